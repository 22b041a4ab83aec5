"""What a product is made of, and what it takes over from its parents."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from remanence.consolidate.product import (
    META,
    cube_of,
    is_product,
    lowest,
    merged,
    policy_of,
    stricter,
    suits,
    versions_of,
)
from remanence.cubes import Kind, State
from remanence.policies import Policy, Trigger, Trust

NOW = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "fields",
    [
        {"sensitivity": "health"}, {"access": ("bob",)}, {"trigger": Trigger(always=True)}, {"superseded_at": NOW}, {"state": State.MERGED},
        {"kind": Kind.SUMMARY}, {"kind": Kind.PROFILE}, {"kind": Kind.QA}, {"kind": Kind.PROCEDURE},
        {"derived_from": ("x",), "method": "shared"}, {"derived_from": ("x",), "method": "pairs/rules/1"},
    ],
    ids=str,
)  # fmt: skip
def test_what_may_not_go_into_products(cube, fields):
    assert suits(cube("I live in Rome."))
    assert suits(cube("I live in Rome.", derived_from=("x",), method="merged/rules/1"))
    assert suits(cube("I live in Rome.", state=State.FROZEN))
    assert not suits(cube("I live in Rome.", **fields))


def test_the_strictest_of_some_policies(cube):
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    some = [
        cube("a", access=("ana", "bob"), expires_at=late, priority=1.0), cube("b", sensitivity="health", access=("bob", "cid"), expires_at=early),
        cube("c", source="https://x.test"),
    ]  # fmt: skip
    assert policy_of(some) == Policy(
        trust=Trust.WEB, sensitivity="health", access=("bob",), expires_at=early, priority=1.0
    )


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ({}, {}, (None, ())), ({"sensitivity": "a"}, {}, ("a", ())), ({}, {"access": ("x",)}, (None, ("x",))), ({"sensitivity": "a"}, {"sensitivity": "b"}, None),
        ({"access": ("x", "y")}, {"access": ("y", "z"), "sensitivity": "a"}, ("a", ("y",))), ({"access": ("x",)}, {"access": ("z",)}, None),
    ],
)  # fmt: skip
def test_what_two_policies_ask_for_together(one, other, both):
    assert stricter(Policy(**one), Policy(**other)) == stricter(Policy(**other), Policy(**one)) == both


def test_the_order_of_tiers(cube):
    tiers = [Trust.USER, Trust.TOOL, Trust.MODEL, Trust.WEB, Trust.UNKNOWN]
    cubes = [cube("a", trust=tier) for tier in tiers]
    assert [lowest(cubes[:count]) for count in range(1, 6)] == tiers


def test_a_merge_takes_over_the_fullest_text_and_the_earliest_time(cube):
    parents = [
        cube("I like chess", "2024-03-01", session="b", meta={"part": 2}),
        cube("I really like chess.", "2024-05-01", session="a"),
    ]
    product = merged(parents)
    made = cube_of(product, "new", NOW)
    assert (made.text, made.scope.session, made.meta["consolidation"]["what"]) == (
        "I really like chess.",
        None,
        "merge",
    )
    assert made.valid_from == made.provenance.observed_at == parents[0].valid_from
    assert (made.valid_to, made.recorded_at, made.provenance.author) == (None, NOW, "Ana")
    assert versions_of(made) == product.versions == {(parent.id, 1) for parent in parents}
    assert is_product(made)


def test_a_callers_own_meta_makes_no_product(cube):
    assert not is_product(cube("x", meta={META: {"what": "session"}}))
    assert not is_product(cube("x", meta={META: "mine"}, derived_from=("y",)))
