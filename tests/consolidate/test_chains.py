"""Timelines of what was replaced."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from remanence.consolidate.chains import chains


@pytest.fixture
def lines(stating):
    def find(*cubes):
        return [chain.text for chain in chains(stating(*cubes), {one.id: one for one in cubes})]

    return find


def test_a_line_with_intervals_and_sources(cube, stating):
    cubes = [
        cube("I live in Rome.", "2019-03-01"), cube("I still live in Rome.", "2020-01-01"), cube("I moved to Oslo.", "2021-05-01"),
        cube("I live in Lisbon, Portugal.", "2024-02-01"),
    ]  # fmt: skip
    [chain] = chains(stating(*cubes), {one.id: one for one in cubes})
    assert chain.text == "Ana, lives in: Rome (2019 to 2021), Oslo (2021 to 2024), Lisbon, Portugal (since 2024)"
    assert [[one.cube_id for one in stay.sources] for stay in chain.stays] == [
        [cubes[0].id, cubes[1].id],
        [cubes[2].id],
        [cubes[3].id],
    ]
    assert [stay.ends for stay in chain.stays] == [
        cubes[2].valid_from.timestamp(),
        cubes[3].valid_from.timestamp(),
        None,
    ]


def test_coming_back_is_a_stay_of_its_own(cube, lines):
    found = lines(
        cube("I live in Rome.", "2019-01-01"),
        cube("I live in Oslo.", "2020-01-01"),
        cube("I live in Rome.", "2021-01-01"),
    )
    assert found == ["Ana, lives in: Rome (2019 to 2020), Oslo (2020 to 2021), Rome (since 2021)"]


def test_days_are_as_exact_as_it_takes_to_tell_them_apart(cube, lines):
    assert lines(cube("I live in Rome.", "2019-01-01"), cube("I live in Oslo.", "2019-05-01")) == [
        "Ana, lives in: Rome (2019-01 to 2019-05), Oslo (since 2019-05)"
    ]
    assert lines(cube("I live in Rome.", "2019-01-01"), cube("I live in Oslo.", "2019-01-21")) == [
        "Ana, lives in: Rome (2019-01-01 to 2019-01-21), Oslo (since 2019-01-21)"
    ]
    assert lines(cube("I live in Rome.", "2019-01-01T08:00"), cube("I moved to Oslo.", "2019-01-01T09:00")) == [
        "Ana, lives in: Rome, Oslo (now)"
    ]


def test_a_denial_and_a_given_end_close_a_stay(cube, lines):
    assert lines(cube("I work at Acme.", "2022-01-01"), cube("I no longer work at Acme.", "2023-01-01")) == [
        "Ana, works at: Acme (2022 to 2023)"
    ]
    ended = cube("I live in Oslo.", "2020-01-01", valid_to=datetime(2022, 1, 1, tzinfo=UTC))
    assert lines(cube("I live in Rome.", "2019-01-01"), ended) == [
        "Ana, lives in: Rome (2019 to 2020), Oslo (2020 to 2022)"
    ]


def test_nothing_replaced_disputed_or_side_by_side_is_no_line(cube, lines):
    assert lines(cube("I live in Rome.", "2019-01-01"), cube("I live in Rome.", "2020-01-01")) == []
    assert lines(cube("I like tea.", "2019-01-01"), cube("I like rice.", "2020-01-01")) == []
    at_once = [
        cube("Ana lives in Rome.", author="Bob", source="a"),
        cube("Ana lives in Oslo.", author="Cid", source="b"),
    ]
    assert lines(*at_once) == []  # a contradiction
    assert (
        lines(cube("I live in Rome.", "2019-01-01"), cube("Ana lives in Oslo.", "2020-01-01", author="Bob")) == []
    )  # somebody else's word


def test_memories_that_were_left_out_are_not_in_the_line(cube, stating):
    cubes = [
        cube("I live in Rome.", "2019-01-01"),
        cube("I live in Oslo.", "2020-01-01"),
        cube("I live in Lima.", "2021-01-01"),
    ]
    [chain] = chains(stating(*cubes), {one.id: one for one in cubes[1:]})
    assert "Rome" not in chain.text
