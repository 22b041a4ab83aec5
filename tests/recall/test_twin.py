"""The read path against its naive twin, on random stores that change between questions."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remanence import Memory, reading
from remanence.cubes import Extraction, Fact, Kind, State
from remanence.errors import TransitionError
from remanence.policies import Clearance
from remanence.recall import naive
from remanence.recall.dense import dense
from remanence.recall.lexical import bm25f
from remanence.recall.profile import DEFAULT, Profile
from remanence.recall.select import select
from remanence.settings import Settings
from remanence.write.openie import CachedExtractor, Passage

START = datetime(2023, 1, 2, 9, tzinfo=UTC)
WORDS = ["car", "cars", "red", "blue", "bus", "house", "moved", "bought", "went", "garden", "rose", "tea", "will", "mark", "Rome", "York", "Ann", "Bob", "yesterday", "recently", "in_May", "on_5_June_2023", "last_week", "in_2022", "since_March"]  # fmt: skip
TITLES = ["Rome", "New York", "New York City", "Tea (drink)", "Red Car", "Ann"]
ASKING = [
    "", "When did", "What did Ann say about the", "Is Ann or Bob in the", "Where does Rose keep my", "What did you say about",
    "What is the latest", "In May, who had the", "What happened on 5 June 2023 to the", "Last week:", "New York City",
    "Who lives in Rome now, with the", "Before 2023, the", "the", "What is it?",
]  # fmt: skip

some_words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(
    lambda words: " ".join(words).replace("_", " ")
)
texts = st.builds(lambda text, end: text + end, some_words, st.sampled_from([".", "?", " …"]))
moments = st.integers(0, 700).map(lambda days: START + timedelta(days=days))


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


messages = st.fixed_dictionaries(
    {"content": texts},
    optional={
        "role": st.sampled_from(["user", "assistant", "tool", "document"]),
        "name": st.sampled_from(["Ann", "Bob", "Rose", "Melanie Wu", "user"]),
        "time": moments,
        "title": st.sampled_from(TITLES),
        "kind": st.sampled_from([Kind.FACT, Kind.EVENT]),
        "source": st.sampled_from(["file:a.md", "file:b.md", "web"]),
        "meta": st.fixed_dictionaries({}, optional={"a": st.integers(0, 1), "b": st.sampled_from(["x", None, True])}),
        "valid_to": st.integers(701, 1400).map(lambda days: START + timedelta(days=days)),
        "sensitivity": st.sampled_from(["health", "pay"]),
        "access": st.sampled_from([["p"], ["p", "q"], ["q"]]),
    },
)
places = st.fixed_dictionaries(
    {}, optional={"user": st.sampled_from("uv"), "agent": st.just("g"), "session": st.sampled_from(["s", "t"])}
)
adds = st.tuples(st.just("add"), st.lists(messages, min_size=1, max_size=6), places, st.integers(0, 5).map(bool))
corrections = st.tuples(st.just("correct"), st.integers(0, 99), texts, maybe(moments))
erasures = st.tuples(st.just("forget"), st.lists(st.integers(0, 99), min_size=1, max_size=2))
filters = st.fixed_dictionaries(
    {},
    optional={
        "user": st.sampled_from("uv"), "agent": st.sampled_from("gh"), "session": st.sampled_from(["s", "t"]),
        "k": st.sampled_from([1, 3, 100]), "kinds": st.sampled_from([["message"], ["document", "fact"], []]),
        "since": moments, "until": moments, "as_of": moments, "known_at": st.integers(0, 99),
        "clearance": st.builds(Clearance, st.sampled_from("pq"), st.sampled_from([frozenset(), frozenset({"health"})])),
        "meta": st.sampled_from([{"a": 1}, {"a": True}, {"a": 0.0, "b": "x"}, {"b": None}, {"b": True}]),
    },
)  # fmt: skip
narrow = st.builds(lambda some, keep: {name: some[name] for name in list(some)[:keep]}, filters, st.integers(0, 2))
questions = st.builds(lambda start, words: f"{start} {words}", st.sampled_from(ASKING), some_words | st.just(""))
asks = st.tuples(st.just("ask"), questions.filter(str.strip), narrow)
named = st.sampled_from(["Ann", "Rome", "New York", "car", "Red Car", "the Garden House", "2022"])
facts = st.builds(Fact, named, st.sampled_from(["lives in", "owns"]), named)
extractions = st.builds(
    Extraction, st.lists(named, max_size=3).map(tuple), st.lists(facts, max_size=3).map(tuple),
    st.lists(some_words, max_size=2).map(tuple), maybe(named),
)  # fmt: skip
readings = st.tuples(st.just("read"), st.lists(maybe(extractions), min_size=1, max_size=4))
moves = st.tuples(
    st.just("move"), st.integers(0, 99), st.sampled_from(["archive", "expire", "restore", "freeze", "unfreeze"])
)
governed = st.fixed_dictionaries(
    {}, optional={"sensitivity": st.just("pay"), "access": st.just(["q"]), "expires_at": st.sampled_from(["2020-01-01", "2999-01-01"])},
)  # fmt: skip
governing = st.tuples(st.just("govern"), st.integers(0, 99), governed)
rollbacks = st.tuples(st.just("rollback"), st.integers(0, 99))
steps = st.lists(
    st.one_of(adds, asks, corrections, erasures, readings, moves, governing, rollbacks, moves, adds, asks), max_size=8
)


def _take(memory: Memory, step: tuple[Any, ...], agree: Any) -> None:
    match step:
        case ("ask", question, asked):
            agree(memory, question, **_known(memory, asked))
        case ("rollback", place):
            memory.rollback(_times(memory)[place % len(_times(memory))])
        case ("move" | "govern" as verb, place, how):
            _move(memory, verb, place, how)
        case ("add", some, place, embedded):
            if not embedded:
                memory._encoding.documents = lambda _: None  # as if there had been no embedder
            memory.add(some, **place, relearn=True)
            vars(memory._encoding).pop("documents", None)
        case ("read", some):
            cubes = memory.list(limit=1000)
            found = [(cube, some[place % len(some)]) for place, cube in enumerate(cubes)]
            extractor = CachedExtractor([Passage(cube.text, cube.about or "", one) for cube, one in found if one])
            embedded = any(keys.vector for _, keys in memory._store.everything("default"))
            reading.read(memory._store, extractor, memory._encoding.documents if embedded else lambda _: None)
        case (verb, *_):
            ids = [cube.id for cube in memory.list(limit=1000) if cube.state is State.ACTIVE]
            if ids and verb == "correct":
                memory.correct(ids[step[1] % len(ids)], step[2], time=step[3], relearn=True)
            elif ids:
                memory.forget(sorted({ids[place % len(ids)] for place in step[1]}))


def _move(memory: Memory, verb: str, place: int, how: Any) -> None:
    ids = [cube.id for cube, _ in memory._store.everything("default")]
    with suppress(TransitionError):  # its state may not lead there
        if ids and verb == "move":
            getattr(memory.lifecycle, how)(ids[place % len(ids)])
        elif ids:
            memory.lifecycle.govern(ids[place % len(ids)], **how)


def _known(memory: Memory, asked: dict[str, Any]) -> dict[str, Any]:
    """The filters, with a time at which something happened in the store."""
    if "known_at" not in asked:
        return asked
    return {**asked, "known_at": _times(memory)[asked["known_at"] % len(_times(memory))]}


def _times(memory: Memory) -> list[datetime]:
    cubes = [cube for cube, _ in memory._store.everything("default")]
    found = {START, *(cube.recorded_at for cube in cubes), *(cube.superseded_at or START for cube in cubes)}
    return sorted(found)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(adds, steps, asks)
def test_the_fast_path_says_what_the_twin_says_whatever_happened_before(agree, first, between, last):
    with Memory(":memory:", Settings(embedder="hashing", care_every=0)) as memory:
        for step in (first, *between, last):
            _take(memory, step, agree)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(
    adds,
    steps,
    asks,
    st.sampled_from(
        [
            Profile(session=3, session_best=1),
            Profile(b=1, k1=2, words_next=2),
            Profile(asking=0, date_days=100, alone=1),
            Profile(tolerance=1e-12, rounds=60, about_edge=1, relation=2, read_edge=0.5, damping=0.85),
            Profile(tolerance=1e-12, rounds=60, sequence=1, repeated=1, facts=2, facts_cut=0, facts_share=0.5),
        ]
    ),
)
def test_with_other_weights_too(agree, first, between, last, profile):
    with Memory(":memory:", Settings(embedder="hashing", care_every=0), profile=profile) as memory:
        for step in (first, *between, last):
            _take(memory, step, agree)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(messages, min_size=30, max_size=40), steps, questions.filter(str.strip), narrow)
def test_beyond_the_pool_both_searches_stay_exact(query, twin, view, some, between, question, asked):
    with Memory(":memory:", Settings(embedder="hashing", care_every=0), profile=Profile(pool=8)) as memory:
        memory.add(some, session="s")
        for step in between:
            if step[0] != "ask":
                _take(memory, step, None)
        asked = _known(memory, asked)
        expected = twin(memory, question, **asked)
        seen, wanted = view(memory), query(question, **asked)
        mask = select(seen, wanted, memory._store.matching("default", wanted.meta) if wanted.meta else None)
        content = naive.sought(memory._store.everything("default"), wanted)
        by_age = np.lexsort((seen.seq, seen.root))
        slots = by_age[mask[by_age]]
        if expected.words is not None:
            terms = naive.tokens.hashes(content)
            assert bm25f(seen, terms, mask, DEFAULT)[slots].tolist() == pytest.approx(expected.words, abs=1e-4)
        if expected.meaning is not None:
            vector = memory._encoding.question(content)
            assert dense(seen, vector, mask, DEFAULT)[slots].tolist() == pytest.approx(expected.meaning, abs=1e-5)


def test_search_ranks_best_first_and_ties_by_age(memory, query):
    memory.add(["The tea is cold.", "A red car.", "A red car!", "The red car of Ann"])
    entries = list(memory._store.everything("default"))
    vector = memory._encoding.question("red car").tolist()
    found = naive.search(entries, query("red car"), vector)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    assert [cube.text for cube, _ in found] == ["A red car.", "A red car!", "The red car of Ann", "The tea is cold."]
    assert naive.search(entries, query("what is it?"), None) == []
