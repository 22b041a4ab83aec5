"""Which memories may become one."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from remanence.consolidate.merge import fullest, groups
from remanence.consolidate.shingles import naive_candidates
from remanence.cubes import Kind, State
from remanence.policies import Trigger, Trust


@pytest.fixture
def merged(stating):
    """The texts of each group."""

    def find(*cubes, **options):
        return [[one.text for one in some] for some in groups(cubes, stating(*cubes), **options)]

    return find


def test_what_says_the_same_is_one_group_in_the_order_given(cube, merged):
    cubes = [
        cube("I live in Rome."),
        cube("I like tea."),
        cube("i'm living in Rome"),
        cube("I live in Rome!", "2024-05-02"),
        cube("My home is Rome."),
    ]
    assert merged(*cubes) == [
        ["I live in Rome.", "I live in Rome!", "My home is Rome."]
    ]  # "i'm" is no claim to the rules


@pytest.mark.parametrize("text", ["Yes.", "Good morning!", "That is great, congratulations.", "See you tomorrow."])
def test_turns_that_claim_nothing_stay(cube, merged, text):
    assert merged(cube(text), cube(text, "2024-05-02"), cube(text, "2024-06-01")) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"user": "u"}, {"agent": "a"}, {"author": "Bob"}, {"role": "assistant"}, {"source": "http://x.test"}, {"sensitivity": "health"},
        {"access": ("bob",)}, {"trust": Trust.WEB}, {"kind": Kind.FACT}, {"session": "s"}, {"about": "Rome"}, {"meta": {"ticket": 1}}, {"priority": 1.0},
        {"ttl": 1}, {"state": State.FROZEN}, {"trigger": Trigger(always=True)}, {"half_life": 3.0}, {"derived_from": ("x",)},
    ],
    ids=str,
)  # fmt: skip
def test_nothing_merges_across_voices_scopes_labels_and_tiers(cube, merged, fields):
    if "ttl" in fields:
        fields = {"expires_at": datetime(2025, 1, 1, tzinfo=UTC)}
    one, other = cube("I live in Rome."), cube("I live in Rome.", "2024-05-02", **fields)
    assert merged(one, cube("I live in Rome.", "2024-05-03")) != []
    assert merged(one, other) == []


def test_two_sources_that_nobody_vouches_for_are_two_witnesses(cube, merged):
    web = [
        cube("Ana lives in Rome.", f"2024-05-0{day}", source=f"https://{name}.test")
        for day, name in ((1, "a"), (2, "b"), (3, "a"))
    ]
    assert len(merged(*web)) == 1
    assert len(merged(*web)[0]) == 2
    assert merged(*web[:2]) == []
    vouched = [cube("Ana lives in Rome.", f"2024-05-0{day}", source=f"file:{day}.txt") for day in (1, 2)]
    assert len(merged(*vouched)[0]) == 2


def test_two_stays_with_another_between_them_stay_two(cube, merged):
    stays = [
        cube("I live in Rome.", "2019-01-01"),
        cube("I live in Oslo.", "2021-01-01"),
        cube("I live in Rome.", "2024-01-01"),
    ]
    assert merged(*stays) == []
    assert merged(stays[0], stays[2]) == [["I live in Rome.", "I live in Rome."]]
    denied = [
        cube("I like tea.", "2019-01-01"),
        cube("I don't like tea.", "2020-01-01"),
        cube("I like tea.", "2021-01-01"),
    ]
    assert merged(*denied) == []
    assert (
        merged(cube("I like tea.", "2019-01-01"), cube("I like rice.", "2020-01-01"), cube("I like tea.", "2021-01-01"))
        != []
    )


def test_times_in_the_world_have_to_touch(cube, merged):
    ended = cube("I work at Acme.", "2019-01-01", valid_to=datetime(2020, 1, 1, tzinfo=UTC))
    assert merged(ended, cube("I work at Acme.", "2023-01-01")) == []
    assert merged(ended, cube("I work at Acme.", "2019-06-01")) != []


def test_a_fact_that_the_rules_cannot_read_is_news_on_another_day(cube, merged):
    fact = {"kind": Kind.FACT}
    assert (
        merged(cube("The server is down.", "2024-05-01", **fact), cube("The server is down.", "2024-05-04", **fact))
        == []
    )
    assert (
        merged(cube("The server is down.", "2024-05-01", **fact), cube("The server is down!", "2024-05-01", **fact))
        != []
    )


def test_passages_of_documents_merge_where_their_words_are_the_same(cube, merged):
    passage = {"kind": Kind.DOCUMENT, "role": "document", "author": None, "timed": False, "about": "Mill"}
    one = cube("The mill burned in 1911. Was it insured?", source="file:a.txt", meta={"part": 1}, **passage)
    again = cube(
        "The mill burned in 1911.  Was it insured?", "2025-01-01", source="file:b.txt", meta={"part": 9}, **passage
    )
    assert len(merged(one, again)) == 1
    other = cube("The mill burned in 1912. Was it insured?", source="file:b.txt", **passage)
    assert merged(one, other) == []


def test_the_fullest_text_speaks(cube):
    short, long_, early = (
        cube("I live in Rome", "2020-01-01"),
        cube("I am living in Rome."),
        cube("I am living in Rome!", "2021-01-01"),
    )
    assert fullest([short, long_, early]) is early


def test_by_bands_and_by_all_pairs(cube, stating):
    chance = random.Random(3)
    words = [
        "roof",
        "library",
        "chair",
        "reading",
        "room",
        "committee",
        "hall",
        "money",
        "winter",
        "garden",
        "accommodate",
        "replacement",
    ]
    cubes = []
    for number in range(60):
        text = " ".join(chance.choices(words, k=30))
        cubes.append(cube(text, id=f"{number}", kind=Kind.FACT))
        if number % 3 == 0:
            cubes.append(
                cube(text.replace("accommodate", "accomodate", 1).upper(), id=f"{number} again", kind=Kind.FACT)
            )
    quick = groups(cubes, stating(*cubes))
    assert quick == groups(cubes, stating(*cubes), naive_candidates)
    assert len(quick) == 20


def test_many_equal_memories_are_one_group(cube, stating):
    cubes = [cube("I like tea.", id=str(number), kind=Kind.FACT) for number in range(600)]
    [group] = groups(cubes, stating(*cubes))
    assert len(group) == 600
