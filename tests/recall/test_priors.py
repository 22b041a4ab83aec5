"""Each prior adds where its reason holds, by its weight, and only then."""

from __future__ import annotations

from math import exp

import pytest

from remanence.recall.profile import DEFAULT

TURNS = [
    {"content": "A red car.", "name": "Ann", "role": "user", "time": "2024-05-06T10:00:00"},
    {"content": "The blue bus came last week.", "name": "Bob", "role": "user", "time": "2024-05-10T10:00:00"},
    {"content": "Is the tree green?", "role": "assistant", "time": "2024-06-01T10:00:00"},
    {"content": "It rained on 20 May 2024 by the house.", "role": "user", "time": "2024-06-05T10:00:00"},
    {"content": "A book that nobody dated.", "role": "document", "title": "Rome (city)"},
]
CAR, BUS, TREE, RAIN, BOOK = (turn["content"] for turn in TURNS)


@pytest.fixture
def added(memory, contributions):
    """What one channel adds, by text; {} where it is silent for all."""
    memory.add(TURNS)

    def ask(question, channel, **asked):
        found = contributions(memory, question, **asked)
        assert len(found) == len(TURNS)
        return {text: pytest.approx(parts[channel], abs=1e-4) for text, parts in found.items() if channel in parts}

    return ask


@pytest.mark.parametrize(
    ("question", "texts"),
    [
        ("What did Ann see?", [CAR]),
        ("What did ann see?", [CAR]),
        ("Did Ann or Bob see it?", []),
        ("Did Carl see it?", []),
        ("What did Ann and Bob tell me?", []),
        ("What did I see?", [CAR, BUS, RAIN]),
        ("What is my car?", [CAR, BUS, RAIN]),
        ("What did you say?", [TREE]),
        ("What did I say to you?", []),
        ("Is Bob's bus my bus?", [BUS]),
    ],
)
def test_speaker(added, question, texts):
    assert added(question, "speaker") == dict.fromkeys(texts, DEFAULT.speaker)


def test_a_speaker_who_said_all_tells_nothing_apart(memory, contributions):
    memory.add([{"content": "A red car.", "name": "Ann"}, {"content": "A blue bus.", "name": "Ann"}])
    assert all("speaker" not in parts for parts in contributions(memory, "What did Ann see?").values())


def test_date_is_full_inside_and_falls_with_every_day_outside(added):
    found = added("What was on 6 May 2024?", "date")
    assert found[CAR] == DEFAULT.date
    assert found[BUS] == DEFAULT.date, "last week, of 10 May, ends where the day begins"
    assert found[RAIN] == DEFAULT.date * exp(-13 / 7)
    assert BOOK not in found, "it has no date, and names none"
    assert added("What was on 9 May 2024?", "date")[CAR] == DEFAULT.date * exp(-(2 + 14 / 24) / 7)


def test_date_counts_what_a_text_names(added):
    assert added("What was on 20 May 2024?", "date")[RAIN] == DEFAULT.date


def test_a_vague_date_in_a_text_does_not_count(memory, contributions):
    memory.add([
        {"content": "Much happened in 2015.", "time": "2024-05-06"},
        {"content": "Much happened in March 2015.", "time": "2024-05-06"},
    ])  # fmt: skip
    found = contributions(memory, "What was on 7 March 2015?")
    assert "date" not in found["Much happened in 2015."], "a whole year is near to none of its days"
    assert found["Much happened in March 2015."]["date"] == pytest.approx(DEFAULT.date)


@pytest.mark.parametrize("question", ["What about the car?", "When did the car come?"])
def test_no_date_in_the_question_no_date_prior(added, question):
    assert added(question, "date") == {}


def test_when(added):
    assert added("When did the car come?", "when") == {BUS: DEFAULT.when, RAIN: DEFAULT.when}
    assert added("Where did the car go?", "when") == {}


def test_asking(added):
    assert added("Where is the car?", "asking") == {TREE: DEFAULT.asking}


def test_brief(added):
    found = added("Where is the car?", "brief")
    assert found[CAR] == DEFAULT.brief * exp(-3 / DEFAULT.brief_stems)  # its speaker counts as one of three words
    assert found[TREE] == DEFAULT.brief * exp(-2 / DEFAULT.brief_stems)


@pytest.mark.parametrize(
    ("question", "fires"),
    [
        ("How old is Rome?", True),
        ("What of the rome (city)?", True),
        ("What is Romeo like?", False),
        ("What is old?", False),
    ],
)
def test_about(added, question, fires):
    assert added(question, "about") == ({BOOK: DEFAULT.about} if fires else {})


def test_latest(added):
    found = added("Where is the car now?", "latest")
    assert found[RAIN] == DEFAULT.latest
    assert found[BUS] == DEFAULT.latest * 4 / 30
    assert CAR not in found, "the oldest gets nothing"
    assert BOOK not in found, "nor does what has no date"
    assert added("Where was the car?", "latest") == {}


def test_latest_among_equals_gives_all_nothing(memory, contributions):
    memory.add([{"content": text, "time": "2024-05-06"} for text in (CAR, BUS)])
    assert all("latest" not in parts for parts in contributions(memory, "Where is the car now?").values())


def test_latest_of_what_has_no_date_is_nothing(memory, contributions):
    memory.add([{"content": text, "role": "document"} for text in (CAR, BUS)])
    assert all("latest" not in parts for parts in contributions(memory, "Where is the car now?").values())


def test_session(memory, contributions):
    memory.add(["A red car.", "It is fast."], session="s")
    memory.add(["A green tree.", "It is tall."], session="t")
    found = contributions(memory, "Who has a red car?")
    lifts = [found[text]["session"] for text in ("A red car.", "It is fast.", "A green tree.", "It is tall.")]
    assert lifts == pytest.approx([DEFAULT.session, DEFAULT.session, -DEFAULT.session, -DEFAULT.session], abs=1e-4)
    only_s = contributions(memory, "Who has a red car?", session="s")
    assert all("session" not in parts for parts in only_s.values()), "one session cannot be told from another"
