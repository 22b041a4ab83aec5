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
from remanence.cubes import Extraction, Fact
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


# ── what was made out of memories ────────────────────────────────────────────────────────────────────────────────────

items = some.lists(words, max_size=3).map(tuple)
contents = some.builds(
    Extraction, items, some.lists(some.builds(Fact, words, words, words), max_size=2).map(tuple), items, names
)


def derived_state(memory: Memory) -> list[Any]:
    """Every version, and what was read out of it; the numbers and readers of the store left out."""
    return [(cube, keys, reading and reading[1:]) for cube, keys, reading in memory._store.derived.everything(None)]


@settings(max_examples=40)
@given(
    some.lists(contents, min_size=1, max_size=4),
    some.lists(some.tuples(some.integers(0, 3), some.lists(some.integers(0, 3), min_size=1, max_size=2)), max_size=4),
    some.lists(some.tuples(some.integers(0, 3), words), max_size=2),
    some.booleans(),
)
def test_readings_and_lineage_survive(
    read: Any, draft: Any, found: list[Extraction], made: list[tuple[int, list[int]]], corrections: list[tuple[int, str]],
    vectors: bool,
) -> None:  # fmt: skip
    with tempfile.TemporaryDirectory() as name, Memory(":memory:", QUICK) as first, Memory(":memory:", QUICK) as second:
        folder = Path(name)
        embed = first._encoding.documents
        ids = [first.add(f"memory {number}")[0] for number in range(4)]
        for number, content in enumerate(found):
            read(
                first._store,
                ids[number],
                content,
                f"reader {number % 2}",
                embed=embed if number % 3 else lambda _: None,
            )
        for number, (space, parents) in enumerate(made):
            one = draft(
                f"made {number}",
                "ab"[space % 2],
                vector=None,
                cube_id=f"made {number}",
                derived_from=[ids[at] for at in parents],
            )
            ids.insert(0, first._store.append([one])[0])
        for place, text in corrections:
            if first.get(ids[-1 - place]).superseded_at is None:
                first.correct(ids[-1 - place], text)
        first.reindex()
        count = first.export(folder / "one.jsonl", vectors=vectors)
        assert second.import_(folder / "one.jsonl") == count
        second.export(folder / "two.jsonl", vectors=vectors)
        assert (folder / "one.jsonl").read_bytes() == (folder / "two.jsonl").read_bytes()
        assert derived_state(second) == derived_state(first)
        checked = second.verify()
        assert checked.ok, checked.problems
        head = second.stats().entries
        assert second.import_(folder / "one.jsonl") == 0
        assert second.stats().entries == head, "importing again brings nothing new, readings included"


READ = Extraction(("Ana",), (Fact("Ana", "lives in", "Lisbon"),), ("Ana's home is Lisbon.",), "Ana")


@pytest.fixture
def with_reading(opened: Open, tmp_path: Path, read: Any) -> Path:
    memory = opened(":memory:")
    [there] = memory.add("Ana lives in Lisbon.")
    read(memory._store, there, READ, embed=memory._encoding.documents)
    memory.export(tmp_path / "read.jsonl", vectors=True)
    return tmp_path / "read.jsonl"


def changed(path: Path, **fields: Any) -> None:
    """Change fields of the reading in the first line of a version; `...` takes one away."""
    lines = path.read_text(encoding="utf-8").splitlines()
    line = json.loads(lines[1])
    line["reading"] = {key: value for key, value in {**line["reading"], **fields}.items() if value is not ...}
    lines[1] = json.dumps(line)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


BAD_READINGS: dict[str, dict[str, Any]] = {
    "no extractor": {"extractor": ...}, "an extractor without a name": {"extractor": ""}, "a number for one": {"extractor": 5},
    "no entities": {"entities": ...}, "entities in one text": {"entities": "Ana"}, "a number among them": {"entities": [5]},
    "an entity too long": {"entities": ["x" * 2_000_000]}, "no facts": {"facts": ...}, "facts in one text": {"facts": "abc"},
    "a fact in one text": {"facts": ["abc"]}, "a fact of two": {"facts": [["a", "b"]]},
    "a fact of four": {"facts": [["a", "b", "c", "d"]]}, "a fact with a list": {"facts": [["a", "b", ["c"]]]},
    "statements of a wrong type": {"statements": {"a": 1}}, "no about": {"about": ...}, "about a number": {"about": 7},
    "a lone surrogate": {"statements": ["\udc00"]}, "vectors that are none": {"vectors": "?"},
    "vectors of a wrong type": {"vectors": [0.5]}, "too few vectors": {"vectors": "AAA="},
    "infinite vectors": {"vectors": "AHwAfA=="}, "vectors of nothing": {"facts": [], "statements": []},
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_READINGS)
def test_a_bad_reading_stops_the_import(opened: Open, with_reading: Path, case: str) -> None:
    changed(with_reading, **BAD_READINGS[case])
    memory = opened(":memory:")
    with pytest.raises(UnreadableFileError, match="line 2"):
        memory.import_(with_reading)
    assert memory.stats().cubes == 0


@pytest.mark.parametrize("reading", [5, "x", [1], []], ids=["number", "text", "list", "empty list"])
def test_a_reading_that_is_no_object_stops_the_import(opened: Open, with_reading: Path, reading: object) -> None:
    lines = with_reading.read_text(encoding="utf-8").splitlines()
    lines[1] = json.dumps({**json.loads(lines[1]), "reading": reading})
    with_reading.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UnreadableFileError, match="line 2"):
        opened(":memory:").import_(with_reading)


def test_keys_of_a_reading_are_derived_and_claims_too(opened: Open, with_reading: Path) -> None:
    memory = opened(":memory:")
    memory.import_(with_reading)
    assert {one.fact.value for one in memory._store.derived.claims("default")} == {"Lisbon"}
    assert memory.verify().ok
    [reading] = memory._store.derived.stored([1]).values()
    assert len(reading.links) == 8
    assert len(reading.vectors or b"") == 2 * len(next(memory._store.everything())[1].vector or b"")


def test_the_stores_own_reading_stays(opened: Open, with_reading: Path, read: Any) -> None:
    memory = opened(":memory:")
    memory.import_(with_reading)
    [cube] = memory.list()
    read(memory._store, cube.id, Extraction(entities=("Ben",)), "mine", embed=lambda _: None)
    assert memory.import_(with_reading) == 0
    assert memory._store.derived.reading(cube.id) == ("mine", Extraction(entities=("Ben",)))


def test_a_reading_comes_with_a_repeated_import(opened: Open, with_reading: Path) -> None:
    """The first one was cut off between the versions and their readings."""
    memory = opened(":memory:")
    lines = [json.loads(line) for line in with_reading.read_text(encoding="utf-8").splitlines()]
    bare = with_reading.with_name("bare.jsonl")
    bare.write_text("\n".join(json.dumps({k: v for k, v in line.items() if k != "reading"}) for line in lines), "utf-8")
    assert (memory.import_(bare), memory.import_(with_reading)) == (1, 0)
    assert memory._store.derived.reading(memory.list()[0].id) == ("reader", READ)


def test_vectors_of_readings_wait_for_their_embedder(opened: Open, tmp_path: Path, with_reading: Path) -> None:
    with Memory(tmp_path / "bare.rem", Settings(embedder="none")) as bare:
        bare.import_(with_reading)
        [kept] = bare._store.derived.stored([1]).values()
        bare.export(tmp_path / "again.jsonl", vectors=True)
    assert kept.vectors
    assert (tmp_path / "again.jsonl").read_bytes() == with_reading.read_bytes()


def test_vectors_of_another_embedder_are_made_again(opened: Open, tmp_path: Path, with_reading: Path) -> None:
    lines = with_reading.read_text(encoding="utf-8").splitlines()
    lines[0] = json.dumps({**json.loads(lines[0]), "embedder": "another"})
    half = json.loads(lines[1])
    half["vector"], half["reading"]["vectors"] = "ADw=", "ADwAPA=="
    lines[1] = json.dumps(half)
    with_reading.write_text("\n".join(lines), encoding="utf-8")
    memory = opened(":memory:")
    memory.import_(with_reading)
    width = len(next(memory._store.everything())[1].vector or b"")
    assert [len(one.vectors or b"") for one in memory._store.derived.stored([1]).values()] == [2 * width]


def test_an_export_of_the_first_release_is_read(opened: Open, exported: Path) -> None:
    lines = [json.loads(line) for line in exported.read_text(encoding="utf-8").splitlines()]
    lines[0]["version"] = 1
    old = [{key: value for key, value in line.items() if key != "derived_from"} for line in lines]
    exported.write_text("\n".join(map(json.dumps, old)), encoding="utf-8")
    memory = opened(":memory:")
    assert memory.import_(exported) == 3
    assert memory.verify().ok


@pytest.mark.parametrize("lineage", ["x", 5, [5], [""], {"a": 1}, None], ids=str)
def test_lineage_of_a_wrong_type_is_refused(opened: Open, exported: Path, lineage: object) -> None:
    lines = exported.read_text(encoding="utf-8").splitlines()
    lines[2] = json.dumps({**json.loads(lines[2]), "derived_from": lineage})
    exported.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UnreadableFileError, match="line 3"):
        opened(":memory:").import_(exported)


@pytest.mark.parametrize(
    "change",
    [{"state": "archived"}, {"valid_to": "2030-01-01T00:00:00+00:00"}, {"superseded_at": "2030-01-01T00:00:00+00:00"}],
    ids=["state", "valid_to", "superseded_at"],
)
def test_a_version_that_is_neither_open_nor_closed_is_refused(
    opened: Open, exported: Path, change: dict[str, str]
) -> None:
    lines = exported.read_text(encoding="utf-8").splitlines()
    lines[2] = json.dumps({**json.loads(lines[2]), **change})
    exported.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UnreadableFileError, match="line 3"):
        opened(":memory:").import_(exported)


def with_lineage(path: Path, lineage: dict[str, list[str]]) -> None:
    """An export of memories with these ids and parents, made by hand."""
    with Memory(":memory:", QUICK) as memory:
        memory.add([f"This is {name}." for name in lineage])
        memory.export(path)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for line, (name, parents) in zip(lines[1:], lineage.items(), strict=False):
        line |= {"id": name, "derived_from": parents}
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")


def test_a_circle_ends_in_a_correction_and_in_a_forget(opened: Open, tmp_path: Path) -> None:
    with_lineage(tmp_path / "circle.jsonl", {"a": ["b"], "b": ["c"], "c": ["a"], "d": [], "e": ["e", "d"]})
    memory = opened()
    assert memory.import_(tmp_path / "circle.jsonl") == 5
    assert memory.verify().ok
    memory.correct("a", "Another text.")
    assert [cube.id for cube in memory.list()] == ["a", "d", "e"]
    memory.correct("e", "Another text as well.")
    assert memory.verify().ok
    assert set(memory.forget("b").ids) == {"a", "b", "c"}
    assert memory.forget("d").ids == ("d", "e")
    assert memory.list() == []
    assert memory.verify().ok


def test_parents_that_never_came_and_came_late(opened: Open, tmp_path: Path) -> None:
    with_lineage(tmp_path / "orphan.jsonl", {"child": ["parent", "nobody"]})
    with_lineage(tmp_path / "parent.jsonl", {"parent": []})
    memory = opened()
    memory.import_(tmp_path / "orphan.jsonl")
    assert memory.verify().ok
    memory.import_(tmp_path / "parent.jsonl")
    assert memory._store.derived.children(["parent"]) == ["child"]
    assert memory.forget("parent").ids == ("parent", "child")
    assert memory.verify().ok


def test_a_long_line_of_descent(opened: Open, tmp_path: Path) -> None:
    names = [f"n{number:04}" for number in range(1500)]
    with_lineage(tmp_path / "long.jsonl", {name: names[at - 1 : at] for at, name in enumerate(names)})
    memory = opened()
    memory.import_(tmp_path / "long.jsonl")
    memory.correct(names[0], "Another text.")
    assert [cube.id for cube in memory.list()] == names[:1]
    assert len(memory.forget(names[1]).ids) == 1499


def test_a_cut_off_export_leaves_no_file(opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = opened(":memory:")
    memory.add("text")

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(KeyboardInterrupt):
        memory.export(tmp_path / "all.jsonl")
    assert list(tmp_path.iterdir()) == []
