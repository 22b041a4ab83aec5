"""Reading memories with an extractor: what is kept, what is tried again, and when it stops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence import Memory, reading
from remanence.cubes import Cost, Extraction, Fact
from remanence.errors import EndpointError
from remanence.language import entities, tokens
from remanence.language.topics import normalised
from remanence.settings import Settings
from remanence.write.extract import Extracted
from remanence.write.openie import CachedExtractor, Passage

FULL = Extraction(("Ann",), (Fact("Ann", "lives in", "Rome"),), ("Ann lives in Rome.",), "Ann")


class Flaky:
    """Reads every text but those that it is told to fail at; costs one call each. `meanwhile` runs while it reads."""

    def __init__(self, bad=(), name="flaky", meanwhile=lambda _: None):
        self.name, self.bad, self.meanwhile = name, set(bad), meanwhile
        self.seen = []

    def extract(self, cubes):
        self.seen.append([cube.text for cube in cubes])
        self.meanwhile(cubes)
        failed = {
            place: EndpointError(f"no answer to {cube.text}", "Start it.")
            for place, cube in enumerate(cubes)
            if cube.text in self.bad
        }
        found = tuple(None if place in failed else Extraction((cube.text,)) for place, cube in enumerate(cubes))
        good = len(cubes) - len(failed)
        return Extracted(found, failed, Cost(calls=good, prompt_tokens=10 * good), dropped=good)


def texts(count):
    return [f"text {number}" for number in range(count)]


def read(memory, extractor, **options):
    return reading.read(memory._store, extractor, memory._encoding.documents, **options)


@pytest.fixture
def memory():
    with Memory(":memory:", Settings(embedder="hashing")) as opened:
        yield opened


def test_everything_is_read_once_in_batches(memory):
    memory.add(texts(40))
    extractor, told = Flaky(), []
    found = read(memory, extractor, progress=lambda done, total: told.append((done, total)))
    assert [len(batch) for batch in extractor.seen] == [16, 16, 8]
    assert [text for batch in extractor.seen for text in batch] == texts(40)
    assert (found.read, found.waiting, found.failures, found.dropped) == (40, 0, {}, 40)
    assert found.cost == Cost(calls=40, prompt_tokens=400)
    assert told == [(16, 40), (32, 40), (40, 40)]
    again = read(memory, extractor)
    assert (again.read, again.waiting, len(extractor.seen)) == (0, 0, 3)


def test_what_fails_is_named_and_tried_again_next_time(memory):
    ids = memory.add(texts(20))
    found = read(memory, Flaky(bad=["text 3", "text 17"]))
    assert (found.read, found.waiting) == (18, 2)
    assert set(found.failures) == {ids[3], ids[17]}
    assert "text 3" in str(found.failures[ids[3]])
    second = Flaky(bad=["text 17"])
    found = read(memory, second)
    assert second.seen == [["text 3", "text 17"]]
    assert (found.read, found.waiting, set(found.failures)) == (1, 1, {ids[17]})
    assert read(memory, Flaky()).waiting == 0


def test_three_batches_that_fail_as_a_whole_are_the_last(memory):
    memory.add(texts(100))
    dead = Flaky(bad=texts(100))
    found = read(memory, dead)
    assert len(dead.seen) == 3
    assert (found.read, found.waiting, len(found.failures)) == (0, 100, 48)
    assert read(memory, Flaky()).read == 100


def test_a_batch_that_works_in_between_keeps_it_going(memory):
    memory.add(texts(100))
    shaky = Flaky(bad=[text for number, text in enumerate(texts(100)) if number // 16 not in {2, 5}])
    found = read(memory, shaky)
    assert len(shaky.seen) == 7
    assert (found.read, found.waiting) == (32, 68)


def test_stop_ends_it_between_batches_and_reading_goes_on_from_there(memory):
    memory.add(texts(40))
    extractor = Flaky()
    found = read(memory, extractor, stop=lambda: len(extractor.seen) == 1)
    assert (found.read, found.waiting) == (16, 24)
    assert read(memory, extractor, stop=lambda: True).read == 0
    assert read(memory, extractor).read == 24
    assert [text for batch in extractor.seen for text in batch] == texts(40)


def test_an_error_that_is_none_of_a_cube_leaves_the_batches_before_it(memory):
    memory.add(texts(40))

    def breaks(cubes):
        if cubes[0].text == "text 16":
            raise RuntimeError("pulled the plug")

    with pytest.raises(RuntimeError, match="pulled the plug"):
        read(memory, Flaky(meanwhile=breaks))
    assert memory._store.derived.waiting("flaky", None) == 24
    assert read(memory, Flaky()).read == 24


def test_what_is_forgotten_meanwhile_gets_no_reading(memory):
    ids = memory.add(texts(5))

    def forgets(cubes):
        if ids[2] in {cube.id for cube in cubes}:
            memory.forget(ids[2])

    found = read(memory, Flaky(meanwhile=forgets))
    assert (found.read, found.waiting) == (4, 0)
    assert memory._store.derived.reading(ids[2]) is None
    assert len(memory._store.derived.readings(None)) == 4


def test_what_is_written_meanwhile_is_read_too(memory):
    memory.add(texts(3))
    told = []
    extractor = Flaky(meanwhile=lambda cubes: memory.add("late") if cubes[0].text != "late" else None)
    found = read(memory, extractor, progress=lambda done, total: told.append((done, total)))
    assert extractor.seen == [texts(3), ["late"]]
    assert (found.read, found.waiting) == (4, 0)
    assert told == [(3, 3), (4, 4)]


def test_what_is_corrected_meanwhile_is_read_again(memory):
    ids = memory.add(texts(2))
    once = Flaky(meanwhile=lambda cubes: memory.correct(ids[0], "new") if cubes[0].text == "text 0" else None)
    read(memory, once)
    assert once.seen == [["text 0", "text 1"], ["new"]]
    assert memory._store.derived.reading(ids[0])[1] == Extraction(("new",))


def test_another_extractor_reads_again_and_replaces(memory):
    ids = memory.add(texts(3))
    read(memory, Flaky())
    found = read(memory, Flaky(name="better"))
    assert found.read == 3
    assert memory._store.derived.reading(ids[0])[0] == "better"
    assert read(memory, Flaky(name="better")).read == 0


def test_one_space_at_a_time(memory):
    memory.add("here", space="a")
    memory.add("there", space="b")
    extractor = Flaky()
    found = read(memory, extractor, space="b")
    assert extractor.seen == [["there"]]
    assert (found.read, found.waiting) == (1, 0)
    assert read(memory, extractor).read == 1


def test_what_a_cached_extractor_does_not_know_is_missing_and_done(memory):
    memory.add(texts(2))
    extractor = CachedExtractor([Passage("text 1", "", FULL)])
    found = read(memory, extractor)
    assert (found.read, found.missing, found.waiting) == (2, 1, 0)
    assert read(memory, extractor).read == 0


def test_nothing_to_read_says_so(memory):
    assert read(memory, Flaky()) == reading.Read()


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def keys(memory, *found, embed=None):
    """The readings of a memory's cubes."""
    cubes = memory._store.derived.unread("nobody", None, 0, 99)
    pairs = list(zip(cubes, found, strict=True))
    return reading.readings("someone", pairs, embed or memory._encoding.documents)


def marks(packed):
    return tokens.unpack_terms(packed)


def hashed(name):
    return entities.name_hash(normalised(name))


def test_the_keys_of_a_reading(memory):
    memory.add(["one", "two", "three"])
    more = Extraction((), (Fact("Bob", "is", "Carl"), Fact("Carl", "met", "Dora")), ("It was so.", "Or not."))
    first, second, third = keys(memory, FULL, Extraction(), more)
    assert marks(first.mentions) == {hashed("Ann"): 1 | entities.ABOUT, hashed("Rome"): 1}
    assert first.links == hashed("Ann").to_bytes(4, "little") + hashed("Rome").to_bytes(4, "little")
    assert marks(first.terms).keys() == set(tokens.hashes("Ann lives in Rome."))
    assert (second.mentions, second.links, second.terms, second.vectors) == (b"", b"", b"", None)
    assert [one.seq for one in (first, second, third)] == [1, 2, 3]
    assert third.content == more
    wanted = memory._encoding.documents(["Bob is Carl", "Carl met Dora", "It was so.", "Or not."])
    assert third.vectors == wanted.astype("<f2").tobytes()
    assert len(first.vectors) == 2 * wanted.shape[1] * 2


def test_without_an_embedder_there_are_no_vectors(memory):
    memory.add("one")
    (only,) = keys(memory, FULL, embed=lambda _: None)
    assert only.vectors is None
    assert only.links
    memory._store.derived.keep([only])
    assert memory.recall("Ann in Rome", k=1)[0].cube.text == "one"


def test_all_texts_of_a_batch_are_embedded_in_one_call(memory):
    memory.add(["one", "two"])
    calls = []

    def embed(some):
        calls.append(list(some))
        return memory._encoding.documents(some)

    keys(memory, FULL, FULL, embed=embed)
    assert [len(some) for some in calls] == [4]
    calls.clear()
    keys(memory, Extraction(("Ann",)), Extraction(), embed=embed)
    assert calls == [], "nothing to embed, nothing asked"


def test_a_cube_with_a_title_keeps_its_own(memory):
    memory.add({"content": "it", "title": "Rome"})
    (only,) = keys(memory, FULL)
    assert not any(mark & entities.ABOUT for mark in marks(only.mentions).values())


strings = st.sampled_from(["Ann", "ann", "New York", "—", "!?", "", "é", "x" * 50]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=8
)
extractions = st.builds(
    Extraction,
    st.lists(strings, max_size=3).map(tuple),
    st.lists(st.builds(Fact, strings, strings, strings), max_size=3).map(tuple),
    st.lists(strings, max_size=3).map(tuple),
    st.none() | strings,
)


@given(st.lists(extractions, min_size=1, max_size=3))
def test_any_reading_can_be_kept_and_asked_about(some):
    with Memory(":memory:", Settings(embedder="hashing")) as memory:
        memory.add(texts(len(some)))
        memory.recall("Ann in New York")
        found = keys(memory, *some)
        assert memory._store.derived.keep(found) == len(some)
        assert [content for _, content in memory._store.derived.readings(None).values()] == some
        for one, extraction in zip(found, some, strict=True):
            width = len(memory._encoding.question("x"))
            facts = len(one.links) // 8
            assert len(one.vectors or b"") == 2 * width * (facts + len(extraction.statements))
            assert hashed("") not in marks(one.mentions)
            sides = np.frombuffer(one.links, "<u4")
            assert hashed("") not in sides, (
                "what has no letters is no node: it would join facts that have nothing in common"
            )
            assert set(sides.tolist()) <= marks(one.mentions).keys()
        assert len(memory.recall("Ann in New York")) == len(some)
        assert memory.verify().ok
