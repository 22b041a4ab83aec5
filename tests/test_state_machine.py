"""Random work on a memory, by two handles on one file, beside a plain dictionary that has to agree at every step."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from remanence import Memory
from remanence.cubes import Extraction, Fact, Kind, MemCube, Provenance, Scope, State
from remanence.drafts import Draft
from remanence.errors import (
    ForgottenError,
    FrozenError,
    IdempotencyConflictError,
    InputError,
    TransitionError,
    UnknownCubeError,
    UnknownSpaceError,
)
from remanence.reading import readings
from remanence.settings import Settings
from remanence.write.pipeline import keys_for, new_id

SETTINGS = Settings(embedder="hashing", durability="normal", busy_timeout=5)
ANCHOR = "The anchor stays."
SPACES = ("default", "north", "south")
WORDS = (
    "apple",
    "bridge",
    "candle",
    "Friday",
    "glacier",
    "island",
    "2023",
    "May",
    "Żółw",
    "黄色",
    "it",
    "was",
    "not",
    "the?",
)

texts = st.builds(
    lambda words, tail: " ".join(words) + tail,
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=8),
    st.text(st.characters(categories=["L", "N", "P", "So", "Zs"]), max_size=4),
)
some_texts = st.lists(texts, max_size=2).map(tuple)
contents = st.builds(
    Extraction, some_texts, st.lists(st.builds(Fact, texts, texts, texts), max_size=2).map(tuple), some_texts
)
spaces = st.sampled_from(SPACES)
sessions = st.none() | st.sampled_from(["s1", "s2"])
handles = st.integers(0, 1)
routes = st.sampled_from(["cheap", "graph"])  # the gate may look nothing up


@dataclass
class Model:
    """What the memory should hold."""

    versions: dict[str, list[str]] = field(default_factory=dict)
    """Texts of each memory, oldest first; the dictionary's order is that of writing."""
    place: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    marks: dict[tuple[Any, ...], str] = field(default_factory=dict)
    replays: dict[tuple[str, str], tuple[Any, list[str]]] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)
    parents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    retired: set[str] = field(default_factory=set)
    """What is not current any more: its source was corrected, or it was put away."""
    away: set[str] = field(default_factory=set)
    """Those of the retired that were put away, and can come back."""
    readings: dict[tuple[str, int], tuple[str, Extraction]] = field(default_factory=dict)

    def current(self, space: str, *, made: bool = True) -> dict[str, str]:
        """Current texts of a space; with or without what was made from other memories."""
        left_out = self.retired if made else {*self.retired, *self.parents}
        living = ((one, texts) for one, texts in self.versions.items() if one not in left_out)
        return {one: texts[-1] for one, texts in living if self.place[one][0] == space}

    def descendants(self, ids: list[str]) -> set[str]:
        """What was made from these, from that, and so on; by asking again until nothing new comes."""
        found: set[str] = set()
        while True:
            more = {one for one, parents in self.parents.items() if {*parents} & {*ids, *found}}
            if more == found:
                return found - {*ids}
            found = more

    def standing_descendants(self, cube_id: str) -> set[str]:
        """This and what was made from it, and from that, as far as each is current."""
        found = {cube_id}
        while more := {
            one for one, parents in self.parents.items() if {*parents} & found and one not in self.retired | found
        }:
            found |= more
        return found


def plain(text: str) -> bool:
    """Whether anything is left of a text that tombstones tell apart: letters or digits."""
    return any(character.isalnum() for character in text)


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "m.rem"
        self.memories: list[Memory | None] = [Memory(self.path, SETTINGS), None]
        self.model = Model()
        for space in SPACES:
            self._written(self.memory(0).add(ANCHOR, space=space), [ANCHOR], space, None)

    def memory(self, handle: int) -> Memory:
        memory = self.memories[handle]
        if memory is None:
            memory = self.memories[handle] = Memory(self.path, SETTINGS)
        return memory

    def _written(self, ids: list[str], found: list[str], space: str, session: str | None) -> None:
        """Hold the ids that `add` returned to the model: old ones for repetitions, new ones else."""
        seen: Counter[str] = Counter()
        assert len(ids) == len(found)
        for cube_id, text in zip(ids, found, strict=True):
            mark = (space, session, text, seen[text])
            seen[text] += 1
            if mark in self.model.marks:
                assert cube_id == self.model.marks[mark]
                continue
            assert cube_id not in self.model.versions
            assert cube_id not in self.model.forgotten
            self.model.marks[mark] = cube_id
            self.model.versions[cube_id] = [text]
            self.model.place[cube_id] = (space, session)
        self.model.touched.add(space)

    def pick(self, data: st.DataObject, *, anchors: bool = True, retired: bool = True) -> str:
        """A memory that is not forgotten; the newest is the simplest choice."""
        ids = [
            one
            for one, found in self.model.versions.items()
            if (anchors or found[0] != ANCHOR) and (retired or one not in self.model.retired)
        ]
        return data.draw(st.sampled_from(ids[::-1]))

    def has_more_than_anchors(self) -> bool:
        return len(self.model.versions) > len(SPACES)

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(text=texts, space=spaces, session=sessions, handle=handles)
    def add_one(self, text, space, session, handle):
        ids = self.memory(handle).add(text, space=space, session=session, relearn=True)
        self._written(ids, [text], space, session)

    @rule(found=st.lists(texts, max_size=4), again=st.booleans(), space=spaces, session=sessions, handle=handles)
    def add_some(self, found, again, space, session, handle):
        found = found * 2 if again else found
        messages = [{"content": text, "session": session} for text in found]
        self._written(self.memory(handle).add(messages, space=space, relearn=True), found, space, session)

    @rule(
        found=st.lists(texts, min_size=1, max_size=2),
        key=st.sampled_from("kl"),
        space=spaces,
        handle=handles,
        again=st.booleans(),
    )
    def add_with_key(self, found, key, space, handle, again):
        earlier = self.model.replays.get((space, key))
        if earlier and again:
            found = earlier[0] or found
        if earlier and earlier[0] not in (None, found):
            with pytest.raises(IdempotencyConflictError):
                self.memory(handle).add(found, space=space, idempotency_key=key, relearn=True)
            return
        ids = self.memory(handle).add(found, space=space, idempotency_key=key, relearn=True)
        if earlier:
            assert ids == earlier[1]
        else:
            self._written(ids, found, space, None)
            self.model.replays[space, key] = (found, ids)

    @rule(data=st.data(), text=texts, handle=handles)
    def correct(self, data, text, handle):
        cube_id = self.pick(data)
        found = self.model.versions[cube_id]
        if cube_id in self.model.retired and text != found[-1]:
            with pytest.raises(InputError, match=r"retired|expired"):
                self.memory(handle).correct(cube_id, text, relearn=True)
            return
        if found[0] == ANCHOR:
            text = ANCHOR
        cube = self.memory(handle).correct(cube_id, text, relearn=True)
        if text != found[-1]:
            found.append(text)
            # Said without a time: the same words again are news now.
            self.model.marks = {mark: one for mark, one in self.model.marks.items() if one != cube_id}
            self.model.retired |= self.model.descendants([cube_id])
        assert (cube.id, cube.version, cube.text) == (cube_id, len(found), found[-1])

    @precondition(has_more_than_anchors)
    @rule(data=st.data(), count=st.integers(1, 3), handle=handles)
    def forget(self, data, count, handle):
        self.forget_these(list(dict.fromkeys(self.pick(data, anchors=False) for _ in range(count))), handle)

    def forget_these(self, ids, handle):
        made = self.model.descendants(ids)
        erasure = self.memory(handle).forget(ids)
        assert erasure.ids[: len(ids)] == tuple(ids)
        assert sorted(erasure.ids) == sorted([*ids, *made])
        ids += made
        self.model.retired -= {*ids}
        self.model.away -= {*ids}
        self.model.parents = {one: parents for one, parents in self.model.parents.items() if one not in ids}
        self.model.readings = {key: found for key, found in self.model.readings.items() if key[0] not in ids}
        assert erasure.versions == sum(len(self.model.versions.pop(one)) for one in ids)
        self.model.forgotten.update(ids)
        self.model.marks = {mark: one for mark, one in self.model.marks.items() if one not in ids}
        for key, (_, stored) in self.model.replays.items():
            if set(stored) & set(ids):  # the key stays, without a digest of what was asked
                self.model.replays[key] = (None, [one for one in stored if one not in ids])

    # ── states ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @precondition(has_more_than_anchors)
    @rule(data=st.data(), handle=handles, how=st.sampled_from(["archive", "expire"]))
    def put_away(self, data, handle, how):
        cube_id = self.pick(data, anchors=False)
        if cube_id in self.model.retired:
            with pytest.raises(TransitionError):
                getattr(self.memory(handle).lifecycle, how)(cube_id)
            return
        getattr(self.memory(handle).lifecycle, how)(cube_id)
        gone = self.model.standing_descendants(cube_id)
        self.model.retired |= gone
        self.model.away |= gone
        self.model.marks = {mark: one for mark, one in self.model.marks.items() if one not in gone}

    @precondition(lambda self: self.model.away)
    @rule(data=st.data(), handle=handles)
    def restore(self, data, handle):
        cube_id = data.draw(st.sampled_from(sorted(self.model.away)))
        cube = self.memory(handle).lifecycle.restore(cube_id)
        self.model.retired.remove(cube_id)
        self.model.away.remove(cube_id)
        found = self.model.versions[cube_id]
        found.append(found[-1])
        assert (cube.version, cube.text, cube.state) == (len(found), found[-1], State.ACTIVE)
        if reading := self.model.readings.get((cube_id, len(found) - 1)):
            self.model.readings[cube_id, len(found)] = reading

    @rule(data=st.data(), handle=handles)
    def freeze_for_a_while(self, data, handle):
        cube_id, memory, other = self.pick(data, retired=False), self.memory(handle), self.memory(1 - handle)
        memory.lifecycle.freeze(cube_id)
        for attempt in (other.forget, other.lifecycle.archive, lambda one: other.correct(one, "thawed")):
            with pytest.raises(FrozenError):
                attempt(cube_id)
        other.lifecycle.unfreeze(cube_id)

    @precondition(has_more_than_anchors)
    @rule(data=st.data(), handle=handles)
    def forget_and_tell_again(self, data, handle):
        cube_id = self.pick(data, anchors=False)
        text, (space, session) = self.model.versions[cube_id][-1], self.model.place[cube_id]
        self.forget_these([cube_id], handle)
        if plain(text):
            with pytest.raises(ForgottenError):
                self.memory(1 - handle).add(text, space=space, session=session)

    # ── what is made out of memories ─────────────────────────────────────────────────────────────────────────────────

    @rule(data=st.data(), text=texts, count=st.integers(1, 2), space=spaces, handle=handles)
    def make_from(self, data, text, count, space, handle):
        parents = [self.pick(data, retired=False) for _ in range(count)]
        memory, now = self.memory(handle), datetime.now(UTC)
        cube = MemCube(
            id=new_id(), version=1, text=text, kind=Kind.QA, scope=Scope(space=space), recorded_at=now, valid_from=now,
            provenance=Provenance(method="test", derived_from=tuple(parents)),
        )  # fmt: skip
        [keys] = keys_for([cube], memory._encoding.documents)
        assert memory._store.append([Draft(cube, keys, None)]) == [cube.id]
        self.model.versions[cube.id], self.model.place[cube.id] = [text], (space, None)
        self.model.parents[cube.id] = cube.provenance.derived_from

    @rule(data=st.data(), content=contents, extractor=st.sampled_from("xy"), handle=handles)
    def read_one(self, data, content, extractor, handle):
        cube_id, memory = self.pick(data), self.memory(handle)
        version = len(self.model.versions[cube_id])
        [(seq, cube)] = [
            pair for pair in memory._store.numbered(0, 10_000) if (pair[1].id, pair[1].version) == (cube_id, version)
        ]
        made = readings(extractor, [((seq, cube), content)], memory._encoding.documents)
        assert memory._store.derived.keep(made) == 1
        self.model.readings[cube_id, version] = (extractor, content)

    @rule(handle=handles)
    def look_at_what_was_made(self, handle):
        derived = self.memory(handle)._store.derived
        assert derived.readings(None) == self.model.readings
        for cube_id in self.model.versions:
            assert derived.children([cube_id]) == sorted(
                one for one, parents in self.model.parents.items() if cube_id in parents
            )

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(data=st.data(), handle=handles, made=st.booleans(), route=routes)
    def recall_an_exact_text(self, data, handle, made, route):
        cube_id = self.pick(data, retired=False)
        space, session = self.model.place[cube_id]
        question, current = self.model.versions[cube_id][-1], self.model.current(space, made=made)
        options = {"space": space, "k": len(current), "kinds": list(Kind) if made else None, "route": route}
        hits = self.memory(handle).recall(question, **options)
        assert {hit.cube.id: hit.cube.text for hit in hits} == current
        assert len(hits) == len(current)
        assert all(hit.cube.scope.space == space for hit in hits)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        if session:
            within = self.memory(handle).recall(question, session=session, **options)
            assert {hit.cube.id for hit in within} == {one for one in current if self.model.place[one][1] == session}

    @rule(question=texts, space=spaces, handle=handles, k=st.integers(1, 3), made=st.booleans(), route=routes)
    def recall_anything(self, question, space, handle, k, made, route):
        current = self.model.current(space, made=made)
        hits = self.memory(handle).recall(question, space=space, k=k, kinds=list(Kind) if made else None, route=route)
        assert len(hits) == min(k, len(current))
        for hit in hits:
            assert current[hit.cube.id] == hit.cube.text
            assert self.memory(1 - handle).get(hit.cube) == hit.cube

    @rule(handle=handles, limit=st.integers(1, 5))
    def list_all(self, handle, limit):
        for space in SPACES:
            found, cursor = dict[str, str](), None
            while True:
                page = self.memory(handle).list(space=space, limit=limit, after=cursor)
                found |= {cube.id: cube.text for cube in page}
                if (cursor := page.cursor) is None:
                    break
            assert list(found.items()) == list(self.model.current(space).items())

    @rule(data=st.data(), handle=handles, other=spaces)
    def look_at_one(self, data, handle, other):
        cube_id, memory = self.pick(data), self.memory(handle)
        history = memory.history(cube_id)
        assert [cube.text for cube in history] == self.model.versions[cube_id]
        assert [cube.version for cube in history] == list(range(1, len(history) + 1))
        assert [cube.superseded_at is None for cube in history] == [False] * (len(history) - 1) + [
            cube_id not in self.model.retired
        ]
        assert memory.get(cube_id) == history[-1]
        if other != self.model.place[cube_id][0]:
            for read in (memory.get, memory.history, memory.forget):
                with pytest.raises(UnknownCubeError):
                    read(cube_id, space=other)

    @precondition(lambda self: self.model.forgotten)
    @rule(data=st.data(), handle=handles)
    def look_for_a_forgotten_one(self, data, handle):
        cube_id = data.draw(st.sampled_from(sorted(self.model.forgotten)))
        memory = self.memory(handle)
        for call in (memory.get, memory.history, memory.forget, lambda one: memory.correct(one, "new")):
            with pytest.raises(UnknownCubeError):
                call(cube_id)

    # ── care ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(handle=handles)
    def reopen(self, handle):
        if memory := self.memories[handle]:
            memory.close()
        self.memories[handle] = None

    @rule(handle=handles, vectors=st.booleans())
    def export_and_import(self, handle, vectors):
        first, second = (Path(self.folder.name) / name for name in ("one.jsonl", "two.jsonl"))
        for path in (first, second):
            path.unlink(missing_ok=True)
        count = self.memory(handle).export(first, vectors=vectors)
        assert count == sum(map(len, self.model.versions.values()))
        with Memory(":memory:", SETTINGS) as fresh:
            assert (fresh.import_(first), fresh.import_(first)) == (count, 0)
            fresh.export(second, vectors=vectors)
            assert fresh.verify().ok
            assert fresh._store.derived.readings(None) == self.model.readings
            for space in SPACES:
                assert {cube.id: cube.text for cube in fresh.list(space=space)} == self.model.current(space)
        assert second.read_bytes().splitlines()[1:] == first.read_bytes().splitlines()[1:]

    @invariant()
    def counts_agree(self):
        stats = self.memory(0).stats()
        living = len(self.model.versions) - len(self.model.retired)
        assert (stats.cubes, stats.versions) == (living, sum(map(len, self.model.versions.values())))

    def teardown(self) -> None:
        try:
            checked = self.memory(0).verify()
            assert checked.ok, checked.problems
        finally:
            for memory in self.memories:
                if memory:
                    memory.close()
            self.folder.cleanup()


class TestRandomWork(Machine.TestCase):
    settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.slow
class TestMuchRandomWork(Machine.TestCase):
    settings = settings(max_examples=500, stateful_step_count=80, deadline=None)


# ── an index that followed the store is the one that would be loaded ─────────────────────────────────────────────────


def ranked(memory: Memory, question: str) -> list[tuple[str, float]]:
    return [(hit.cube.text, round(hit.score, 4)) for hit in memory.recall(question, k=50)]


@pytest.fixture
def followed(opened):
    """A memory whose index is loaded and has taken in some turns of a conversation, and their ids."""
    memory = opened()
    memory.add([ANCHOR, "Bob was here."])
    memory.recall("anchor")
    turns = [("Ann", "red apple"), ("Bob", "blue sky"), ("Bob", "Ann likes green grass")]
    ids = memory.add([{"content": text, "name": name, "session": "s"} for name, text in turns])
    return memory, ids


def test_corrected_before_the_index_looked(followed, opened):
    memory, ids = followed
    memory.correct(ids[0], "red cherry")
    assert ranked(memory, "cherry") == ranked(opened(), "cherry")


def test_corrected_after_the_index_looked(followed, opened):
    memory, ids = followed
    memory.recall("apple")
    memory.correct(ids[0], "red cherry")
    assert ranked(memory, "cherry") == ranked(opened(), "cherry")


def test_the_middle_of_a_conversation_forgotten(followed, opened):
    memory, ids = followed
    memory.recall("apple")
    memory.forget(ids[1])
    assert ranked(memory, "grass") == ranked(opened(), "grass")


def test_the_only_words_of_a_speaker_forgotten(followed, opened):
    """The name of somebody who says nothing any more is a word like any other."""
    memory, ids = followed
    memory.recall("apple")
    memory.forget(ids[0])
    assert ranked(memory, "What does Ann like?") == ranked(opened(), "What does Ann like?")


@pytest.mark.parametrize("vectors", [False, True], ids=["without", "with"])
def test_an_import_exports_to_the_same_bytes_and_knows_its_embedder(opened, tmp_path, vectors):
    memory, fresh = opened(), opened("fresh.rem")
    memory.add([ANCHOR, {"content": "one", "time": "2024-01-01", "meta": {"k": [1, "é"]}}])
    memory.export(tmp_path / "one.jsonl", vectors=vectors)
    fresh.import_(tmp_path / "one.jsonl")
    fresh.export(tmp_path / "two.jsonl", vectors=vectors)
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    assert fresh.stats().embedder == memory.stats().embedder


def test_an_unknown_space_is_an_error(opened):
    with pytest.raises(UnknownSpaceError):
        opened().recall("anything", space="nowhere")


def test_corrected_and_put_away_before_the_index_looked(followed, opened):
    memory, ids = followed
    memory.recall("apple")
    memory.correct(ids[0], "red cherry")
    memory.lifecycle.archive(ids[0])
    assert ranked(memory, "red apple cherry") == ranked(opened(), "red apple cherry")
    assert "red" not in str(ranked(memory, "red"))


def test_put_away_and_brought_back_into_the_middle_of_a_conversation(followed, opened):
    memory, ids = followed
    memory.recall("apple")
    memory.lifecycle.archive(ids[1])
    memory.recall("apple")
    memory.lifecycle.restore(ids[1])
    assert ranked(memory, "grass sky") == ranked(opened(), "grass sky")


@pytest.mark.parametrize("looked", [False, True])
def test_known_at_after_two_corrections(followed, opened, looked):
    memory, ids = followed
    between = memory.correct(ids[0], "red cherry").recorded_at
    if looked:
        memory.recall("apple")
    memory.correct(ids[0], "red plum")
    for one in (memory, opened()):
        assert [hit.cube.text for hit in one.recall("red", k=1, known_at=between)] == ["red cherry"]
