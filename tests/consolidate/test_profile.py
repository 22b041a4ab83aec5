"""What holds of somebody, in a few lines."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from remanence.consolidate.profile import LONGEST_LINE, Line, about_users, fitted, lines, told
from remanence.cubes import Kind

NOW = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def shown(stating):
    def show(*cubes):
        by_id = {one.id: one for one in cubes}
        return [line.text for line in fitted(lines(stating(*cubes), by_id, NOW))]

    return show


def test_a_line_for_each_slot_that_holds(cube, shown):
    assert shown(
        cube("I live in Rome.", "2019-01-01"), cube("I live in Oslo.", "2021-01-01"), cube("I like tea."), cube("I like chess."),
        cube("I like tea.", "2024-06-01"), cube("I was born in Faro."), cube("I work at Acme."), cube("I no longer work at Acme.", "2024-09-01"),
    ) == ["born in: Faro", "lives in: Oslo (since 2021-01-01)", "likes: chess, tea"]  # fmt: skip


def test_what_is_over_disputed_or_denied_has_no_line(cube, shown):
    ended = cube("I live in Rome.", "2019-01-01", valid_to=datetime(2020, 1, 1, tzinfo=UTC))
    assert shown(ended) == []
    assert shown(cube("I like tea."), cube("I don't like tea.", "2024-08-01")) == []
    assert (
        shown(cube("Ana was born in Faro.", author="Bob"), cube("Ana was born in Braga.", author="Cid", source="b"))
        == []
    )


def test_facts_and_preferences_that_the_rules_cannot_read_are_lines_too(cube):
    some = [
        cube("Trains for a marathon.", kind=Kind.FACT), cube("Window seats, please.", kind=Kind.PREFERENCE), cube("Some talk.", kind=Kind.MESSAGE),
        cube("x" * (LONGEST_LINE + 1), kind=Kind.FACT), cube("Is ill.", kind=Kind.FACT, valid_to=datetime(2024, 6, 1, tzinfo=UTC)),
        cube("I like tea.", kind=Kind.FACT),
    ]  # fmt: skip
    found = [line.text for line in told(some, {some[-1].id}, NOW)]
    assert found == ["Trains for a marathon.", "Window seats, please."]


def test_room_goes_to_priority_then_to_what_lasts_then_to_what_is_said_often_and_newly():
    some = [Line("new", (), (0, 1, 1, 9.0)), Line("old", (), (0, 1, 1, 1.0)), Line("often", (), (0, 1, 5, 0.0)), Line("lasting", (), (0, 3, 1, 0.0)),
            Line("first", (), (2, 0, 0, 0.0)), Line("new", (), (0, 1, 1, 3.0))]  # fmt: skip
    assert [line.text for line in fitted(some)] == ["first", "lasting", "often", "new", "old"]
    assert [line.text for line in fitted(some, most=2)] == ["first", "lasting"]
    assert [line.text for line in fitted(some, room=16)] == [
        "first",
        "often",
    ]  # what is too long leaves its room to others


def test_a_users_own_words_are_those_of_their_one_author_or_of_their_name(cube, stating):
    ana, bob, nameless = (
        cube("I live in Rome.", author="Ana"),
        cube("I live in Oslo.", author="Bob"),
        cube("I live in Lima.", author=None, user="ana"),
    )
    of = {one.id: one for one in (ana, bob, nameless)}
    stated = list(stating(ana, bob))
    assert {one.cube_id for one in about_users(stated, of, "u-1")} == set()
    assert {one.cube_id for one in about_users(stated, of, "ana")} == {ana.id}
    assert {one.cube_id for one in about_users(stating(ana), of, "u-1")} == {ana.id}
    assistant = cube("I live in Rome.", author="Ana", role="assistant")
    assert about_users(stating(assistant), {assistant.id: assistant}, "u-1") == []
