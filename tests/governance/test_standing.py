"""Standing instructions: what brings them up, and how many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.cubes import Kind, MemCube, Provenance, Scope
from remanence.governance.standing import CHARACTERS, MOST, fires, followed, standing
from remanence.policies import Policy, Trigger, Trust

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def cube(text, *, priority=0.0, minutes=0, trigger=None, expires_at=None, role="user", **fields):
    at = NOW - timedelta(days=1) + timedelta(minutes=minutes)
    policy = Policy(
        trigger=trigger or Trigger(always=True),
        priority=priority,
        expires_at=expires_at,
        trust=fields.pop("trust", None),
    )
    return MemCube(
        id=text, version=1, text=text, kind=Kind.PREFERENCE, scope=Scope(), provenance=Provenance(role=role),
        **{"recorded_at": at, "valid_from": at, "policy": policy, **fields},
    )  # fmt: skip


def texts(found):
    return [one.text for one in found.cubes]


@pytest.mark.parametrize(
    ("words", "question", "fired"),
    [
        (("deploy",), "How do I deploy this?", True),
        (("deploy",), "Who was deploying on Monday?", True),  # by stems
        (("deploy",), "Is it employed?", False),  # not inside another word
        (("Café",), "Where is the cafe?", True),  # accents and case folded
        (("pull request",), "Review the pull requests", True),
        (("pull request",), "I request you to pull it", False),  # a phrase stands together
        (("pull request",), "Pull the request", True),  # stop words aside
        (("who are you",), "So who are you?", True),  # only stop words: by its words
        (("who are you",), "You are who?", False),
        (("x", "deploy"), "deploy", True),  # any of them
        (("!",), "!", False),
        (("deploy",), "", False),
    ],
)
def test_what_brings_an_instruction_up(words, question, fired):
    assert fires(Trigger(words=words), question) is fired


def test_one_that_always_holds_needs_no_word():
    assert fires(Trigger(always=True), "")


@given(st.text(max_size=40), st.text(min_size=1, max_size=20), st.text(max_size=40))
def test_a_plain_word_fires_wherever_it_stands(before, word, after):
    word = "".join(letter for letter in word if letter.isascii() and letter.isalpha())
    if word:
        assert fires(Trigger(words=(word,)), f"{before} {word} {after}") or not word.strip()


def test_the_more_important_come_first_then_the_newer():
    some = [cube("old"), cube("new", minutes=5), cube("important", priority=2.0), cube("not so", priority=-1.0)]
    assert texts(standing(some, "?", NOW)) == ["important", "new", "old", "not so"]


def test_there_is_a_limit_of_number_and_one_of_size():
    many = standing([cube(f"{number:03d}", minutes=number) for number in range(MOST + 3)], "?", NOW)
    assert (len(many.cubes), many.left_out, many.cubes[0].text) == (MOST, 3, f"{MOST + 2:03d}")
    big, small = cube("b" * CHARACTERS, minutes=2), cube("small")
    assert texts(standing([cube("first", minutes=3), big, small], "?", NOW)) == ["first", "small"]
    assert standing([cube("first", minutes=3), big, small], "?", NOW).left_out == 1
    assert texts(standing([big], "?", NOW)) == [big.text]


def test_what_does_not_hold_now_is_no_instruction():
    later, before = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
    gone = [
        cube("expired", expires_at=NOW), cube("not yet", valid_from=later), cube("over", valid_to=before),
        cube("replaced", superseded_at=before),
    ]  # fmt: skip
    holds = [cube("holds", expires_at=later, valid_to=later)]
    assert texts(standing([*gone, *holds], "?", NOW)) == ["holds"]


def test_a_memory_without_a_trigger_is_none():
    plain = MemCube(
        id="a", version=1, text="a", kind=Kind.PREFERENCE, scope=Scope(), provenance=Provenance(), recorded_at=NOW, valid_from=NOW
    )  # fmt: skip
    assert standing([plain], "?", NOW) == ((), 0)


def test_only_the_users_own_word_is_followed():
    some = [
        cube("mine"),
        cube("a model's", role="assistant"),
        cube("a page's", trust=Trust.WEB),
        cube("vouched for", role="tool", trust=Trust.USER),
    ]
    assert [one.text for one in followed(some)] == ["mine", "vouched for"]
