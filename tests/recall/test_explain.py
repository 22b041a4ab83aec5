"""Why a cube was found: contributions that add up, ranks that are right, words that people read."""

from __future__ import annotations

import re

import pytest

from remanence.cubes import Reason, Why

TURNS = [
    {"content": "A red car and a red bus.", "name": "Ann", "session": "s", "time": "2024-05-06"},
    {"content": "The red car is gone since last week.", "name": "Bob", "session": "s", "time": "2024-05-16"},
    {"content": "Where is the red bus?", "name": "Ann", "session": "t", "time": "2024-06-06"},
    {"content": "A green tree.", "name": "Ann", "session": "t", "time": "2024-06-09"},
    {"content": "Rome has red cars.", "role": "document", "title": "Rome"},
]
QUESTIONS = ["When did Ann see a red car in Rome?", "Where is the red bus now?", "red car on 6 May 2024", "a tree"]
CHANNELS = {
    "words": r"words match, BM25 \d+\.\d|no words in common",
    "meaning": r"meaning -?\d\.\d\d",
    "speaker": r"said by Ann, whom the question is about",
    "date": r"in the time asked about|\d+ days from the time asked about",
    "when": r"says a time, which the question asks for",
    "asking": r"asks rather than tells",
    "brief": r"says little, \d+ content words",
    "about": r"is about what the question names",
    "latest": r"newer than \d+% of the span, and the question asks for now",
    "session": r"its session, or itself, is (?:on|off) the topic",
    "graph": r"reached from rome \(\d+\.\d% of the walk\)",
}


@pytest.fixture
def found(memory):
    memory.add(TURNS)
    return [memory.recall(question, now="2024-06-12") for question in QUESTIONS]


def test_contributions_add_up_to_the_score(found):
    for hits in found:
        assert len(hits) == len(TURNS)
        for hit in hits:  # what is too small to print is left out
            assert sum(reason.contribution for reason in hit.why.reasons) == pytest.approx(hit.score, abs=0.02)


def test_the_strongest_reason_comes_first(found):
    for hit in (hit for hits in found for hit in hits):
        sizes = [abs(reason.contribution) for reason in hit.why.reasons]
        assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("channel", ["words", "meaning"])
def test_a_search_ranks_all_candidates_by_its_own_value(found, channel):
    for hits in found:
        reasons = [reason for hit in hits for reason in hit.why.reasons if reason.channel == channel]
        assert len(reasons) == len(TURNS)
        for reason in reasons:
            assert reason.rank == 1 + sum(other.value > reason.value for other in reasons)


def test_priors_have_no_rank(found):
    reasons = [reason for hits in found for hit in hits for reason in hit.why.reasons]
    assert {reason.channel for reason in reasons if reason.rank is None} == CHANNELS.keys() - {
        "words",
        "meaning",
        "graph",
    }


def test_every_channel_says_its_value_in_words(found):
    said = {reason.channel: set[str]() for hits in found for hit in hits for reason in hit.why.reasons}
    assert said.keys() == CHANNELS.keys()
    for reason in (reason for hits in found for hit in hits for reason in hit.why.reasons):
        assert re.fullmatch(CHANNELS[reason.channel], reason.words), reason.words
        said[reason.channel].add(reason.words)
    for channel, distinct in (("words", 2), ("date", 2), ("session", 2), ("latest", 2)):
        assert len(said[channel]) >= distinct, channel


def test_a_hit_explains_itself_in_one_line():
    why = Why(
        (
            Reason("words", 1, 3.25, 1.204, "words match, BM25 3.2"),
            Reason("asking", None, 1, -1.5, "asks rather than tells"),
        )
    )
    assert str(why) == "words match, BM25 3.2, rank 1 (+1.20); asks rather than tells (-1.50)"
    assert str(Why()) == "not explained"


def test_no_two_reasons_of_a_hit_are_of_one_channel(found):
    for hit in (hit for hits in found for hit in hits):
        channels = [reason.channel for reason in hit.why.reasons]
        assert len(set(channels)) == len(channels)
        assert "\n" not in str(hit.why)


def test_explaining_can_be_left_out_and_changes_nothing_else(memory):
    memory.add(TURNS)
    for question in QUESTIONS:
        plain = memory.recall(question, now="2024-06-12", explain=False)
        told = memory.recall(question, now="2024-06-12")
        assert [(hit.cube, hit.score) for hit in plain] == [(hit.cube, hit.score) for hit in told]
        assert all(hit.why == Why() for hit in plain)
