"""The figures of a trial, and the verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.errors import InputError
from remanence.governance.admission import Change, Look, Pair, Thresholds, Trial, compare, interval, judge, spearman

IDS = st.lists(st.sampled_from("abcdefghijkl"), unique=True, max_size=10).map(tuple)


def pair(before, after, gold=None, seconds=(1.0, 1.0), sentences=(1, 1), **after_more):
    return Pair(
        None if gold is None else frozenset(gold), Look(tuple(before), seconds[0], sentences[0], sentences[0]),
        Look(tuple(after), seconds[1], sentences[1], sentences[1], **after_more),
    )  # fmt: skip


def naive_spearman(one, other):
    """By the definition: Pearson's correlation of ranks; what is missing shares the mean of the ranks that are left."""
    union = sorted({*one, *other})
    if len(union) < 2:
        return 1.0

    def ranks(ids):
        rest = [one for one in union if one not in ids]
        order = [*ids, *rest]
        mean = sum(order.index(one) + 1 for one in rest) / len(rest) if rest else 0
        return [mean if one in rest else order.index(one) + 1 for one in union]

    left, right = np.array(ranks(list(one)), float), np.array(ranks(list(other)), float)
    if left.std() == 0 or right.std() == 0:
        return float(list(one) == list(other))
    return float(np.corrcoef(left, right)[0, 1])


@given(IDS, IDS)
def test_spearman_as_the_definition_says(one, other):
    assert spearman(one, other) == pytest.approx(naive_spearman(one, other), abs=1e-9)
    assert spearman(one, other) == pytest.approx(spearman(other, one))


def test_figures_by_hand():
    found = compare([
        pair("abcdefghij", "jbcdefghia", gold="a"),
        pair("abcdef", "abcdef", gold="bz", seconds=(1.0, 3.0), sentences=(1, 0)),
        pair("ab", "cd", seconds=(2.0, 4.0)),
    ])  # fmt: skip
    assert (found.questions, found.probes) == (1, 2)
    assert found.overlap == pytest.approx(2 / 3)
    assert found.recall_at_5 == (pytest.approx(0.75), pytest.approx(0.25))
    assert found.recall_at_10 == (0.75, 0.75)
    assert found.latency_ratio == 3.0
    assert found.abstained == (0.0, 0.5)
    assert found.recall_at_5_low <= -0.5 <= found.recall_at_5_high


def test_the_interval_is_a_bootstrap_and_always_the_same():
    values = [0.0] * 50 + [-1.0] * 50
    low, high = interval(values)
    assert (low, high) == interval(values)
    assert -0.65 < low < -0.55
    assert -0.45 < high < -0.35
    assert interval([]) == (0.0, 0.0)
    assert interval([0.25] * 9) == (0.25, 0.25)


GOOD = compare([pair("abc", "abc", gold="a") for _ in range(5)])


def test_nothing_broken():
    assert judge(GOOD, Thresholds()) == ()


@pytest.mark.parametrize(
    ("changes", "thresholds", "word"),
    [
        ({"recall_at_5": (0.9, 0.8)}, {}, "recall_at_5"),
        ({"recall_at_10": (0.9, 0.88)}, {}, "recall_at_10"),
        ({"recall_at_5": (0.8, 0.8)}, {"recall_at_5": 0.85}, "below 0.850"),
        ({"recall_at_10_low": -0.2}, {"certain": True}, "ruled out"),
        ({"overlap": 0.4}, {"min_overlap": 0.5}, "overlap"),
        ({"latency_ratio": 2.5}, {}, "latencies"),
        ({"citation_coverage": (1.0, 0.8)}, {}, "citation"),
        ({"unsupported": (0.0, 0.1)}, {}, "unsupported"),
        ({"abstained": (0.1, 0.2)}, {}, "abstentions"),
    ],
)
def test_each_threshold_can_break(changes, thresholds, word):
    [reason] = judge(replace(GOOD, **changes), Thresholds(**thresholds))
    assert word in reason
    loose = dict.fromkeys(("min_overlap", "max_latency_ratio", "citation_coverage", "unsupported", "max_abstained"))
    assert judge(replace(GOOD, **changes), Thresholds(**loose, max_drop=1.0)) == ()


def test_without_questions_there_is_no_verdict():
    assert "no question" in judge(compare([]), Thresholds())[0]


def test_recorded_questions_alone_are_judged_by_what_they_can_show():
    found = compare([pair("abc", "def")])
    assert judge(found, Thresholds()) == ()
    assert judge(found, Thresholds(min_overlap=0.1)) != ()


@pytest.mark.parametrize(
    "wrong", [{"max_drop": -1}, {"min_overlap": "0.5"}, {"recall_at_5": float("nan")}, {"unsupported": True}]
)
def test_thresholds_are_checked(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Thresholds(**wrong)


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match="colour"):
        Change("colour", {})


def test_a_record_comes_back_as_it_was():
    import json

    trial = Trial(
        "id", datetime(2025, 1, 1, tzinfo=UTC), "work", Change("profile", {"words": 2.0}), Thresholds(certain=True), GOOD,
        ("reason",), "rejected", {"notes": {"a": None}}, ({"step": "proposed"},),
    )  # fmt: skip
    assert Trial.from_json(json.loads(json.dumps(trial.to_json()))) == trial
