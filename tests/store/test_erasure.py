"""Traces to look for, and two erasures that cross."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.cubes import Extraction, State
from remanence.errors import FrozenError
from remanence.store.erasure import recount, survey
from remanence.store.parts import Transition
from remanence.store.scan import pieces
from remanence.store.sqlite import SQLiteStore


@given(size=st.integers(64, 1500), seed=st.integers(0, 99), data=st.data())
def test_a_run_of_64_bytes_of_a_value_holds_one_of_its_pieces(size, seed, data):
    value = random.Random(seed).randbytes(size)
    start = data.draw(st.integers(0, len(value) - 64))
    run = value[start : start + 64]
    assert any(piece in run for piece in pieces(value))


@given(size=st.integers(0, 5000), seed=st.integers(0, 99))
def test_pieces_are_of_the_value_and_few(size, seed):
    value = random.Random(seed).randbytes(size)
    found = pieces(value)
    assert all(piece in value for piece in found)
    assert len(found) <= 50
    assert bool(found) == (len(value) >= 8)


@pytest.mark.parametrize("size", [8, 31, 32, 33, 64, 5000], ids=str)
def test_first_and_last_bytes_are_among_the_pieces(size):
    value = random.Random(size).randbytes(size)
    found = pieces(value)
    assert found[0] == value[: len(found[0])]
    assert found[-1] == value[-len(found[-1]) :]


def test_an_erasure_during_anothers_clean_up_stays_due(tmp_path, plain, draft):
    """A rewrites the file; B erases something else before A is through, and is killed before its own rewrite."""
    path = tmp_path / "m.rem"
    with closing(SQLiteStore(path, plain)) as one, closing(SQLiteStore(path, plain)) as other:
        one.append([draft("first"), draft("second"), draft("third")])
        one.erase(["id of first in a"])

        def when_the_log_is_emptied(statement: str) -> None:
            if "wal_checkpoint" in statement:
                other.erase(["id of second in a"])

        one.connections._writer.set_trace_callback(when_the_log_is_emptied)
        one.scrub()
        one.connections._writer.set_trace_callback(None)
        assert other.note("scrub") is not None


def test_a_clean_up_takes_its_own_note_away(tmp_path, plain, draft):
    with closing(SQLiteStore(tmp_path / "m.rem", plain)) as store:
        store.append([draft("first"), draft("second")])
        store.erase(["id of first in a"])
        assert store.note("scrub") is not None
        store.scrub()
        assert store.note("scrub") is None


def test_a_checkpoint_elsewhere_is_waited_for(tmp_path, plain, draft):
    """SQLite answers "busy" at once while another connection checkpoints, whatever the timeout; any commit may do that."""
    path = tmp_path / "m.rem"
    with (
        closing(SQLiteStore(path, plain)) as store,
        closing(SQLiteStore(path, plain)) as other,
        closing(SQLiteStore(path, plain)) as reader,
        ThreadPoolExecutor(1) as thread,
    ):
        store.append([draft("first"), draft("second")])
        erased = store.erase(["id of first in a"])
        reading, started = ExitStack(), list[Future[None]]()

        def checkpoint() -> None:
            with other.connections.outside_transactions() as connection:
                while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[
                    0
                ]:  # the probe below got there first
                    pass

        def busy() -> bool:
            with store.connections.read() as connection:
                connection.execute("COMMIT")
                found = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[0]
                connection.execute("BEGIN")
            return bool(found)

        def begin(statement: str) -> None:
            """Just before the store checkpoints, the other one begins to, and has to wait for a reader."""
            if "wal_checkpoint(TRUNCATE)" not in statement or started:
                return
            next(reading.enter_context(reader.snapshot("a"))[1])
            started.append(thread.submit(checkpoint))
            deadline = time.monotonic() + 4
            while not busy():
                assert time.monotonic() < deadline
                time.sleep(0.001)
            threading.Timer(0.2, reading.close).start()

        store.connections._writer.set_trace_callback(begin)
        try:
            store.scrub()
        finally:
            store.connections._writer.set_trace_callback(None)
            reading.close()
            started[0].result(10)
        assert store.residue(erased.traces) == []


def test_what_is_frozen_refuses_in_the_transaction_too(tmp_path, plain, draft):
    """It may be frozen between the plan and the erasure."""
    with closing(SQLiteStore(tmp_path / "m.rem", plain)) as store:
        store.append([draft("parent", cube_id="parent"), draft("other")])
        store.append([draft("child", cube_id="child", derived_from=["parent"])])
        store.lifecycle.change([Transition("child", State.FROZEN, "law")])
        with pytest.raises(FrozenError, match="child"):
            store.erase(["id of other in a", "parent"])
        assert store.counts()["versions"] == 3


def test_everything_of_a_survey_is_counted_and_gone(tmp_path, plain, draft, read):
    with closing(SQLiteStore(tmp_path / "m.rem", plain)) as store:
        store.append(
            [draft("Ana lives in Lisbon.", cube_id="ana", meta={"pin": "one two three"}, user="ana of the first floor")]
        )
        store.append([draft("Q: Where is Ana? A: Lisbon.", cube_id="pair", derived_from=["ana"])])
        read(store, "ana", Extraction(entities=("Ana of Lisbon",)))
        store.derived.keep_reply("a", b"k", "She lives in Lisbon.", ["ana"])
        with store.connections.read() as connection:
            found = survey(connection, ["ana"], None)
        assert found.ids == ("ana", "pair")
        assert [target.substrate for target in found.targets] == ["memories", "question-answer pairs"]
        assert found.values["texts"] == (b"Ana lives in Lisbon.", b"Q: Where is Ana? A: Lisbon.")
        assert b'{"pin":"one two three"}' in found.values["meta"]
        assert b"ana of the first floor" in found.values["names"]
        assert b"Ana of Lisbon" in found.values["readings"]
        assert found.values["cached replies"] == (b"She lives in Lisbon.",)
        assert (len(found.values["vectors"]), len(found.values["salts"])) == (1, 2)
        store.erase(["ana"])
        with store.connections.read() as connection:
            assert set(recount(connection, found).values()) == {0}


def test_ids_in_meta_are_no_content(tmp_path, plain, draft):
    """An index entry holds an id and then a row number, which may be the byte of the quotation mark that follows it in the meta."""
    one, other = "01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058"
    secret = "the pin of the third drawer is nine eight seven"
    with closing(SQLiteStore(tmp_path / "m.rem", plain)) as store:
        store.append([draft("Ana likes tea.", cube_id="ana", meta={"of": [one, other], "pin": secret, "last": one})])
        with store.connections.read() as connection:
            found = survey(connection, ["ana"], None)
    assert not [piece for piece in found.traces() if one[-8:].encode() in piece or other[-8:].encode() in piece]
    assert any(secret[:12].encode() in part for part in found.values["meta"])
    assert any(secret[-12:].encode() in piece for piece in found.traces())
