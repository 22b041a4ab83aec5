"""The checker of histories: each anomaly, put into a good history by hand, is found; and a real history is clean."""

from __future__ import annotations

from dataclasses import replace

import pytest

WORDS = ("b", 1, "b1", "north")


@pytest.fixture
def histories(reliability):
    return reliability("histories")


@pytest.fixture
def made(histories):
    """Build histories from short lines: who, from when to when, what, and what was seen."""

    def event(process, begin, end, op, *seen, space="north", gone=(), asked=None, whole=False):
        asked = histories.Version(*asked) if op == "recall" else asked
        versions = tuple(histories.Version(one, version, f"{one}{version}", place) for one, version, place in seen)
        return histories.Event(process, begin, end, op, space, asked, versions, tuple(gone), whole)

    return event


@pytest.fixture
def good(histories, made):
    """A history in which nothing is wrong, and what is left at its end."""
    events = [
        made(0, 0, 10, "add", ("a", 1, "north"), ("b", 1, "north")),
        made(1, 5, 12, "add", ("c", 1, "south"), space="south"),
        made(2, 14, 20, "get", ("a", 1, "north")),
        made(1, 15, 30, "correct", ("a", 2, "north")),
        made(2, 22, 28, "get", ("a", 1, "north")),  # while it is being corrected both are right
        made(0, 24, 29, "get", ("a", 2, "north")),
        made(0, 40, 50, "list", ("a", 2, "north"), ("b", 1, "north"), whole=True),
        made(2, 41, 52, "recall", ("b", 1, "north"), asked=WORDS),
        made(1, 60, 70, "forget", gone=["b"]),
        made(2, 65, 75, "get", gone=["b"]),
        made(0, 80, 85, "keyed", ("k", 1, "north"), asked="key"),
        made(1, 81, 86, "keyed", ("k", 1, "north"), asked="key"),
        made(2, 90, 95, "history", ("a", 1, "north"), ("a", 2, "north")),
    ]
    version = histories.Version
    final = {
        "a": [version("a", 1, "a1", "north"), version("a", 2, "a2", "north")],
        "c": [version("c", 1, "c1", "south")],
        "k": [version("k", 1, "k1", "north")],
    }
    return events, final


def test_a_good_history_is_clean(histories, good):
    assert histories.anomalies(*good) == {}


BAD = {
    "lost update": lambda made, v: [made(2, 16, 31, "correct", ("a", 2, "north"))],
    "stale read": lambda made, v: [made(3, 32, 33, "get", ("a", 1, "north"))],
    "backwards": lambda made, v: [made(1, 96, 97, "get", ("a", 1, "north"))],
    "read from the future": lambda made, v: [made(0, 11, 13, "get", ("a", 2, "north"))],
    "unknown writer": lambda made, v: [made(0, 96, 97, "get", ("a", 3, "north"))],
    "cross-space read": lambda made, v: [made(0, 96, 97, "list", ("c", 1, "south"))],
    "wrong text": lambda made, v: [replace(made(0, 96, 97, "get"), seen=(v("a", 2, "something else", "north"),))],
    "resurrection": lambda made, v: [made(0, 96, 97, "get", ("b", 1, "north"))],
    "early loss": lambda made, v: [made(0, 52, 55, "get", gone=["b"])],
    "missing from a list": lambda made, v: [made(0, 52, 55, "list", whole=True)],
    "torn batch": lambda made, v: [made(0, 52, 55, "list", ("a", 2, "north"), whole=True)],
    "own write not recalled": lambda made, v: [made(0, 52, 55, "recall", asked=WORDS)],
    "key used twice": lambda made, v: [made(2, 87, 89, "keyed", ("other", 1, "north"), asked="key")],
}


@pytest.mark.parametrize("kind", BAD)
def test_each_anomaly_is_found(histories, made, good, kind):
    events, final = good
    assert kind in histories.anomalies([*events, *BAD[kind](made, histories.Version)], final)


def test_what_the_end_says_counts_too(histories, good):
    events, final = good
    version = histories.Version
    assert "lost update" in histories.anomalies(events, {**final, "a": final["a"][:1]})
    assert "lost update" in histories.anomalies(events, {**final, "a": [final["a"][0], version("a", 2, "x", "north")]})
    assert "lost update" in histories.anomalies(events, {one: some for one, some in final.items() if one != "c"})
    assert "resurrection" in histories.anomalies(events, {**final, "b": [version("b", 1, "b1", "north")]})


def test_a_history_survives_its_log(histories, good):
    for event in good[0]:
        assert histories.Event.of(event.line()) == event


def test_two_processes(histories):
    outcome = histories.run(2, 80, seed=3)
    assert outcome.problems == []
    assert len(outcome.history) == 80
    assert {event.process for event in outcome.history} == {0, 1}
