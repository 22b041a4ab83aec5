"""Filters: each by itself, in combination, and what they may never do: let something outside change a score."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest

from remanence.recall.select import select

DAY = timedelta(days=1)
START = datetime(2024, 3, 1, tzinfo=UTC)

CUBES = {
    "bare": ({}, {}),
    "user": ({}, {"user": "u"}),
    "agent": ({}, {"user": "u", "agent": "g"}),
    "session": ({}, {"user": "u", "agent": "g", "session": "s"}),
    "fact": ({"kind": "fact"}, {"user": "u"}),
    "document": ({"role": "document"}, {"session": "s"}),
    "later": ({"time": START + DAY}, {"user": "v"}),
    "marked": ({"meta": {"a": 1, "b": "x"}}, {"user": "u"}),
    "true": ({"meta": {"a": True, "b": None}}, {}),
}
FILTERS = {
    "of a user": ({"user": "u"}, "user agent session fact marked"),
    "of an agent": ({"agent": "g"}, "agent session"),
    "of a session": ({"session": "s"}, "session document"),
    "of one kind": ({"kinds": ["fact"]}, "fact"),
    "of two kinds": ({"kinds": ["fact", "document"]}, "fact document"),
    "of no kind": ({"kinds": []}, ""),
    "since": ({"since": START + DAY}, "later"),
    "until, excluded": ({"until": START + DAY}, "bare user agent session fact document marked true"),
    "with a number": ({"meta": {"a": 1}}, "marked"),
    "with two marks": ({"meta": {"a": 1, "b": "x"}}, "marked"),
    "with a truth": ({"meta": {"a": True}}, "true"),
    "with a null": ({"meta": {"b": None}}, "true"),
    "with what nobody has": ({"meta": {"a": "1"}}, ""),
    "of an unknown user": ({"user": "nobody"}, ""),
    "of an unknown agent": ({"agent": "nobody"}, ""),
    "of an unknown session": ({"session": "nobody"}, ""),
    "of a user who is only a session": ({"user": "s"}, ""),
}


@pytest.fixture
def full(wordy):
    for text, (message, place) in CUBES.items():
        wordy.add({"content": text, "time": START, **message}, **place)
    return wordy


@pytest.fixture
def selected(view, query):
    """The texts that a filter lets through."""

    def ask(memory, **asked):
        seen, wanted = view(memory), query("what", **asked)
        mask = select(seen, wanted, memory._store.matching("default", wanted.meta) if wanted.meta else None)
        assert mask.shape == (len(seen),)
        cubes = memory._store.fetch("default", seen.seq[mask].tolist())
        return {cube.text for cube in cubes.values()}

    return ask


def test_without_a_filter_everything_is_in_scope(full, selected):
    assert selected(full) == set(CUBES)


@pytest.mark.parametrize("name", FILTERS)
def test_each_filter(full, selected, name):
    asked, expected = FILTERS[name]
    assert selected(full, **asked) == set(expected.split())


@pytest.mark.parametrize(("one", "other"), [pytest.param(a, b, id=f"{a} and {b}") for a, b in combinations(FILTERS, 2)])
def test_two_filters_let_through_what_both_do(full, selected, one, other):
    if FILTERS[one][0].keys() & FILTERS[other][0].keys():
        return
    both = FILTERS[one][0] | FILTERS[other][0]
    assert selected(full, **both) == set(FILTERS[one][1].split()) & set(FILTERS[other][1].split())


def test_as_of_takes_the_version_that_held_then(wordy, selected):
    first, _ = wordy.add([{"content": "one", "time": START}, {"content": "two", "time": START + 2 * DAY}])
    wordy.correct(first, "one again", time=START + 4 * DAY)
    at = [selected(wordy, as_of=START + days * DAY) for days in range(-1, 6)]
    assert at == [set(), {"one"}, {"one"}, {"one", "two"}, {"one", "two"}, {"one again", "two"}, {"one again", "two"}]
    assert selected(wordy) == {"one again", "two"}


def test_what_was_corrected_is_as_old_as_it_was(wordy, selected):
    wordy.correct(wordy.add({"content": "one", "time": START})[0], "two", time=START + 9 * DAY)
    assert selected(wordy, until=START + DAY) == {"two"}


def test_the_forgotten_is_in_no_scope(full, selected, view):
    full.recall("bare")
    full.forget([cube.id for cube in full.list() if cube.text == "bare"])
    assert selected(full) == set(CUBES) - {"bare"}
    assert selected(full, as_of=START) == set(CUBES) - {"bare", "later"}
    assert len(view(full)) == len(CUBES), "its slot stays, and is dead"


SCOPED = [
    {"content": "The red car is fast.", "name": "Ann", "title": "Cars"},
    {"content": "A blue bus came yesterday.", "name": "Bob"},
    {"content": "Where is the red bus?", "name": "Ann", "title": "Rome"},
    {"content": "On 5 March 2024 we saw a car.", "name": "Bob"},
]
ASKED = ["Where is the red car of Ann?", "When did the bus come?", "What is the latest on cars in Rome?", "fox"]


def scores(memory, **asked):
    return [
        [(hit.cube.text, hit.score, str(hit.why)) for hit in memory.recall(question, now=START, **asked)]
        for question in ASKED
    ]


@pytest.mark.parametrize(
    "filters", [{"user": "u"}, {"agent": "g"}, {"session": "s"}, {"user": "u", "session": "s"}], ids=str
)
@pytest.mark.parametrize("embedded", [True, False], ids=["embedded", "words only"])
def test_what_is_out_of_scope_changes_no_score(memory, wordy, filters, embedded):
    chosen = memory if embedded else wordy
    told = [{**message, "time": START + hours * timedelta(hours=1)} for hours, message in enumerate(SCOPED)]
    chosen.add(told, user="u", agent="g", session="s")
    before = scores(chosen, **filters)
    others = [{**message, "content": message["content"] + " Fox!"} for message in told] * 3
    chosen.add(others, user="v", agent="h", session="t")
    chosen.add([{"content": "A red fox.", "time": START}, {"content": "fox car bus", "role": "tool", "time": START}])
    chosen.add([{"content": "Ann saw a red car in Rome.", "name": "Carl", "time": "1999-01-01"}], space="elsewhere")
    assert scores(chosen, **filters) == before


def test_vectors_out_of_scope_do_not_change_what_words_count(memory):
    memory._encoding.documents = lambda _: None
    memory.add(["red car", "a blue car and a bus"], user="u")
    before = [hit.score for hit in memory.recall("red car", user="u", now=START)]
    del memory._encoding.documents
    memory.add("green tree", user="v")
    assert [hit.score for hit in memory.recall("red car", user="u", now=START)] == before
