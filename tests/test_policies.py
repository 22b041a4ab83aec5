"""Policies: what they hold, and that they come back from JSON as they went."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.policies import Clearance, Policy, Trigger, Trust, trust_of

names = st.text(min_size=1, max_size=8)
words = st.text("abc é", min_size=1, max_size=8).filter(str.strip)
triggers = st.builds(Trigger, always=st.just(True)) | st.builds(
    Trigger, words=st.lists(words, min_size=1, max_size=3).map(tuple)
)
policies = st.builds(
    Policy, trust=st.none() | st.sampled_from(Trust), sensitivity=st.none() | names,
    access=st.lists(names, max_size=3, unique=True).map(sorted).map(tuple),
    expires_at=st.none() | st.datetimes(timezones=st.just(UTC)), priority=st.floats(-9, 9),
    half_life=st.none() | st.floats(0.01, 1e6), trigger=st.none() | triggers,
)  # fmt: skip


@given(policies)
def test_a_policy_comes_back_as_it_went(policy):
    assert Policy.from_json(policy.to_json()) == policy


def test_the_default_says_nothing():
    assert Policy().to_json() == {}
    assert Policy.from_json({}) == Policy()


def test_expiry_is_kept_in_utc():
    local = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert Policy.from_json({"expires_at": local.isoformat()}).expires_at.isoformat() == "2026-01-01T10:00:00+00:00"


@pytest.mark.parametrize(
    "data",
    [
        {"nobody": 1}, {"trust": "deity"}, {"sensitivity": ""}, {"sensitivity": 3}, {"access": "ana"}, {"access": [""]},
        {"expires_at": "soon"}, {"priority": True}, {"priority": float("inf")}, {"half_life": 0}, {"trigger": {}},
        {"trigger": {"always": "yes"}}, {"trigger": {"words": [" "]}},
    ],
)  # fmt: skip
def test_what_is_no_policy_is_refused(data):
    with pytest.raises((ValueError, TypeError)):
        Policy.from_json(data)


@pytest.mark.parametrize(
    ("role", "source", "tier"),
    [
        ("user", "api", "user"), ("system", "api", "user"), ("document", "file:a.md", "user"), ("tool", "api", "tool"),
        ("assistant", "api", "model"), ("assistant", "https://a.example", "web"), ("document", "http://a.example", "web"),
    ],
)  # fmt: skip
def test_trust_by_role_and_source(role, source, tier):
    assert trust_of(role, source) == tier


@pytest.mark.parametrize(
    ("sensitivity", "access", "seen"),
    [
        (None, (), True), ("health", (), True), ("pay", (), False), (None, ("ana", "bea"), True), (None, ("bea",), False),
        ("health", ("ana",), True), ("health", ("bea",), False), ("pay", ("ana",), False),
    ],
)  # fmt: skip
def test_a_clearance_needs_the_label_and_the_name(sensitivity, access, seen):
    assert Clearance("ana", frozenset({"health"})).admits(sensitivity, access) is seen
