"""Export and import: bit for bit, whatever was written; and what a bad file gets."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from remanence import Memory, Settings
from remanence.errors import InputError, UnknownSpaceError, UnreadableFileError

QUICK = Settings(embedder="hashing", durability="normal")
Open = Callable[..., Memory]

words = some.text(some.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
    lambda text: bool(text.strip())
)
names = some.none() | words
json_values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
messages = some.fixed_dictionaries(
    {"content": words},
    optional={
        "role": some.sampled_from(["user", "assistant", "system", "tool", "document"]),
        "name": names,
        "time": some.datetimes().map(lambda moment: moment.isoformat()) | some.datetimes(timezones=some.timezones()),
        "title": names,
        "session": names,
        "meta": some.dictionaries(words, json_values, max_size=3),
    },
)


@settings(max_examples=60)
@given(
    some.lists(some.tuples(messages, some.sampled_from(["a", "b"])), min_size=1, max_size=6),
    some.lists(some.tuples(some.integers(0, 5), words), max_size=3),
    some.booleans(),
)
def test_an_export_of_an_import_is_the_same_bytes(
    added: list[tuple[dict[str, Any], str]], corrections: list[tuple[int, str]], vectors: bool
) -> None:
    with tempfile.TemporaryDirectory() as name, Memory(":memory:", QUICK) as first, Memory(":memory:", QUICK) as second:
        folder = Path(name)
        ids = [first.add(message, space=space)[0] for message, space in added]
        for place, text in corrections:
            first.correct(ids[place % len(ids)], text)
        versions = first.export(folder / "one.jsonl", vectors=vectors)
        assert second.import_(folder / "one.jsonl") == versions == first.stats().versions
        second.export(folder / "two.jsonl", vectors=vectors)
        assert (folder / "one.jsonl").read_bytes() == (folder / "two.jsonl").read_bytes()
        assert second.verify().ok
        for one in set(ids):
            assert second.history(one) == first.history(one)
            assert second.get(one).meta == first.get(one).meta
        assert second.import_(folder / "one.jsonl") == 0, "importing again brings nothing new"
        for space in first.spaces():
            question = added[0][0]["content"]
            assert [(hit.cube.id, round(hit.score, 3)) for hit in second.recall(question, space=space)] == [
                (hit.cube.id, round(hit.score, 3)) for hit in first.recall(question, space=space)
            ]


@pytest.fixture
def exported(opened: Open, tmp_path: Path) -> Path:
    memory = opened(":memory:")
    memory.add(["one", "two"], space="a")
    memory.add("three", space="b")
    memory.export(tmp_path / "all.jsonl")
    return tmp_path / "all.jsonl"


def test_a_space_alone(opened: Open, tmp_path: Path) -> None:
    memory = opened(":memory:")
    memory.add(["one", "two"], space="a")
    memory.add("three", space="b")
    assert memory.export(tmp_path / "b.jsonl", space="b") == 1
    assert "one" not in (tmp_path / "b.jsonl").read_text(encoding="utf-8")
    with pytest.raises(UnknownSpaceError):
        memory.export(tmp_path / "c.jsonl", space="c")


def test_an_existing_file_is_not_overwritten(opened: Open, exported: Path) -> None:
    before = exported.read_bytes()
    with pytest.raises(InputError, match="exists"):
        opened(":memory:").export(exported)
    with pytest.raises(InputError):
        opened(":memory:").export(exported.parent)
    with pytest.raises(InputError, match="does not exist"):
        opened(":memory:").export(exported.parent / "no" / "file.jsonl")
    assert exported.read_bytes() == before


BAD: dict[str, tuple[int, Callable[[dict[str, Any]], object]]] = {
    "another format": (0, lambda line: {**line, "format": "other"}),
    "a later version": (0, lambda line: {**line, "version": 99}),
    "a field missing": (2, lambda line: {key: value for key, value in line.items() if key != "text"}),
    "an unknown kind": (2, lambda line: {**line, "kind": "song"}),
    "a bad time": (2, lambda line: {**line, "recorded_at": "yesterday"}),
    "text of a wrong type": (2, lambda line: {**line, "source": 7}),
    "empty text": (2, lambda line: {**line, "text": " "}),
    "meta of a wrong type": (2, lambda line: {**line, "meta": [1]}),
    "a version of nothing": (2, lambda line: {**line, "version": 0}),
    "a lone surrogate": (2, lambda line: {**line, "text": "\udc00"}),
    "not an object": (2, lambda _: [1]),
    "a bad vector": (2, lambda line: {**line, "vector": "?"}),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_named_and_stops_the_import(opened: Open, exported: Path, case: str) -> None:
    number, change = BAD[case]
    lines = exported.read_text(encoding="utf-8").splitlines()
    lines[number] = json.dumps(change(json.loads(lines[number])))
    exported.write_text("\n".join(lines), encoding="utf-8")
    memory = opened(":memory:")
    with pytest.raises(UnreadableFileError) as caught:
        memory.import_(exported)
    assert number == 0 or "line 3" in caught.value.what
    assert memory.stats().cubes == 0, "the batch with the bad line is not written"


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"not json\n", b"[" * 100_000], ids=["empty", "bytes", "text", "deep"]
)
def test_files_that_are_no_export(opened: Open, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content)
    with pytest.raises(UnreadableFileError):
        opened(":memory:").import_(path)


def test_a_missing_file_and_a_folder(opened: Open, tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(UnreadableFileError):
            opened(":memory:").import_(path)


def test_an_id_with_other_content_is_refused(opened: Open, exported: Path) -> None:
    memory = opened(":memory:")
    memory.import_(exported)
    exported.write_text(exported.read_text(encoding="utf-8").replace('"one"', '"uno"'), encoding="utf-8")
    with pytest.raises(InputError, match="other content"):
        memory.import_(exported)


def test_a_repetition_is_known_after_an_import(opened: Open, tmp_path: Path) -> None:
    said = {"time": "2024-05-08T13:56:00"}
    turns = [
        {"content": "Yes.", "name": "Ann", **said},
        {"content": "Yes.", "name": "Ann", **said},
        {"content": "No.", "name": "Ben", **said},
    ]
    first = opened(":memory:")
    ids = first.add(turns, session="s")
    first.correct(ids[2], "Perhaps.")
    first.export(tmp_path / "all.jsonl")
    second = opened(":memory:")
    second.import_(tmp_path / "all.jsonl")
    assert second.add(turns, session="s") == ids
    assert second.stats().cubes == 3


def test_vectors_wait_for_their_embedder(opened: Open, tmp_path: Path) -> None:
    first = opened(":memory:")
    first.add(["a kiln", "a bicycle"])
    first.export(tmp_path / "all.jsonl", vectors=True)
    with Memory(tmp_path / "bare.rem", Settings(embedder="none")) as bare:
        bare.import_(tmp_path / "all.jsonl")
        assert bare.stats().without_vector == 0
    with Memory(tmp_path / "bare.rem", QUICK) as later:
        assert later.recall("a kiln")[0].cube.text == "a kiln"
        assert later.verify().ok


def test_a_cut_off_export_leaves_no_file(opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = opened(":memory:")
    memory.add("text")

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(KeyboardInterrupt):
        memory.export(tmp_path / "all.jsonl")
    assert list(tmp_path.iterdir()) == []
