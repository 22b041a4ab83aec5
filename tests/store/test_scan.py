"""Searching bytes: the quick search finds what the naive one finds, in every encoding that is looked for."""

from __future__ import annotations

import base64
import random
from contextlib import closing
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.settings import Settings
from remanence.store import scan
from remanence.store.sqlite import SQLiteStore


@given(seed=st.integers(0, 999), size=st.integers(0, 6000), count=st.integers(0, 40), letters=st.integers(1, 4))
def test_the_quick_search_finds_what_the_naive_one_finds(seed, size, count, letters):
    chance = random.Random(seed)
    alphabet = b"abcd"[:letters] + b"\0"
    image = bytes(chance.choices(alphabet, k=size))
    traces = []
    for _ in range(count):
        at, length = chance.randrange(size + 1), chance.randrange(1, 40)
        piece = image[at : at + length]
        traces.append(piece if piece and chance.random() < 0.6 else bytes(chance.choices(alphabet, k=length)))
    assert scan.find(image, traces) == scan.find_slowly(image, traces)


@pytest.mark.parametrize("place", [0, 1, 7, 8, 4088, 4089, 4100 - 33], ids=str)
def test_a_value_is_found_wherever_it_stands(place):
    value = random.Random(3).randbytes(32)
    image = bytearray(random.Random(4).randbytes(4100))
    image[place : place + 32] = value
    others = [random.Random(seed).randbytes(32) for seed in range(20, 60)]
    assert scan.find(bytes(image), [*others, value]) == {value}


TEXT = "Der Schlüssel liegt unter dem dritten Blumentopf, sagt 菜々子."


@pytest.mark.parametrize("ahead", [0, 1, 2], ids=str)
def test_base64_is_known_at_every_alignment(ahead):
    around = b"x" * ahead + TEXT.encode() + b"yz"
    form = scan.encoded(TEXT)[f"base64+{ahead}"]
    assert form in base64.b64encode(around)
    assert len(form) > len(TEXT.encode())


def test_the_other_forms_of_a_text():
    forms = scan.encoded(TEXT)
    assert forms["utf-16le"] == TEXT.encode("utf-16-le")
    assert forms["utf-16be"] == TEXT.encode("utf-16-be")
    assert forms["hex"] == TEXT.encode().hex().encode()
    assert forms["url"] == quote(TEXT).encode()
    assert b"Schl\\u00fcssel" in forms["json"]
    assert forms["lower case"] == TEXT.lower().encode()
    assert "json" not in scan.encoded("plain ascii")


def test_the_other_forms_of_a_vector():
    vector = np.linspace(-1, 1, 24).astype("<f2")
    forms = scan.encoded_vector(vector.tobytes())
    assert forms["float32"] == vector.astype("<f4").tobytes()
    assert forms["base64+0"] == base64.b64encode(vector.tobytes())


def test_what_lives_is_told_from_what_is_left(tmp_path, draft):
    with closing(SQLiteStore(tmp_path / "m.rem", Settings(embedder="none"))) as store:
        store.append([draft("the phrase that lives on", meta={"note": "a second phrase of it"})])
        with store.connections.read() as connection:
            found = scan.living(connection, [b"phrase that lives", b"second phrase", b"a phrase that went"])
    assert found == {b"phrase that lives", b"second phrase"}


def test_an_id_beside_a_number_is_no_trace(tmp_path, draft):
    """Seen in a bench: the id of a living memory in an erased `meta`, and in the file the byte of a number that reads as a quote."""
    there = "01a20b35-0dcb-7331-a00e-292e3b01478c"
    with closing(SQLiteStore(tmp_path / "m.rem", Settings(embedder="none"))) as store:
        store.append([draft("text", cube_id=there)])
        pieces = [
            f'{there[5:]}"'.encode(),
            f'"{there[:31]}'.encode(),
            f'"pin 4711": {there[:20]}'.encode(),
            b"0123456789abcdef-0123",
        ]
        with store.connections.read() as connection:
            assert scan.living(connection, pieces) == set(pieces[:2])


def test_every_place_of_a_store_is_looked_at(tmp_path, draft):
    with closing(SQLiteStore(tmp_path / "m[1].rem", Settings(embedder="none"))) as store:
        store.append([draft("some text that is in the log")])
        (tmp_path / ".m[1].rem.0a1b.part").write_bytes(b"a copy that was cut off")
        (tmp_path / ".m1.rem.0a1b.part").write_bytes(b"of another store")
        found = scan.images(store.connections)
        assert set(found) == {"file", "wal", "journal", "shm", "partial"}
        assert b"some text that is in the log" in found["file"]  # through SQLite, as its readers see it
        assert b"some text that is in the log" in found["wal"]
        assert found["partial"] == b"a copy that was cut off"
        assert found["shm"] == (tmp_path / "m[1].rem-shm").read_bytes()
        assert len(found["shm"]) >= 32768
        store.scrub()
        assert scan.images(store.connections)["wal"] == b""


def test_what_lies_beyond_the_last_page_is_noticed(tmp_path, draft):
    path = tmp_path / "m.rem"
    with closing(SQLiteStore(path, Settings(embedder="none"))) as store:
        store.append([draft("text")])
        store.scrub()
        assert scan.overhang(store.connections) == 0
        with path.open("ab") as file:
            file.write(b"left over")
        assert scan.overhang(store.connections) == 9
