"""Intervals against their definitions and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.errors import InputError
from remanence.evaluation.intervals import bootstrap, equivalent, holm, mcnemar, paired, student, t_quantile, wilson

stats = pytest.importorskip("scipy.stats", reason="needs the extra `local`")


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_that_of_scipy(pair):
    hits, n = pair
    found = wilson(hits, n, z=stats.norm.ppf(0.975))
    wanted = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-9)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_no_observations_say_nothing():
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)
    with pytest.raises(InputError, match="no share"):
        wilson(3, 2)


@pytest.mark.parametrize("freedom", [1, 2, 3, 7, 30, 200])
@pytest.mark.parametrize("probability", [0.5, 0.6, 0.9, 0.975, 0.999])
def test_students_quantile_is_that_of_scipy(probability, freedom):
    assert t_quantile(probability, freedom) == pytest.approx(stats.t.ppf(probability, freedom), rel=1e-7, abs=1e-9)


def test_the_interval_of_three_seeds_is_wide():
    found = student([0.9, 1.0, 0.95])
    low, high = stats.t.interval(0.95, 2, loc=0.95, scale=stats.sem([0.9, 1.0, 0.95]))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert math.isinf(student([0.9]).high)


def test_the_bootstrap_comes_near_the_normal_interval():
    values = np.random.default_rng(3).normal(2.0, 1.0, 400).tolist()
    found = bootstrap(values, rounds=4000)
    half = 1.96 * np.std(values) / math.sqrt(400)
    assert found.low == pytest.approx(np.mean(values) - half, abs=0.02)
    assert found.high == pytest.approx(np.mean(values) + half, abs=0.02)
    assert bootstrap(values, rounds=4000) == found


def test_clusters_widen_what_is_not_independent():
    values = [float(conversation % 2) for conversation in range(20) for _ in range(10)]
    clusters = [conversation for conversation in range(20) for _ in range(10)]
    alone, together = bootstrap(values), bootstrap(values, clusters=clusters)
    assert together.high - together.low > 2.5 * (alone.high - alone.low)
    with pytest.raises(InputError, match="clusters"):
        bootstrap(values, clusters=clusters[1:])


def test_a_paired_difference_forgets_what_items_share():
    hard = np.random.default_rng(0).normal(0, 10, 100)
    found = paired((hard + 0.5).tolist(), hard.tolist())
    assert (found.low, found.high) == pytest.approx((0.5, 0.5))
    with pytest.raises(InputError, match="same items"):
        paired([1.0], [1.0, 2.0])


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_mcnemar_is_the_binomial_test_of_the_disagreements(pairs):
    better, worse = sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)
    wanted = stats.binomtest(better, better + worse).pvalue if better + worse else 1.0
    assert mcnemar([a for a, _ in pairs], [b for _, b in pairs]) == pytest.approx(wanted)


def test_no_difference_found_is_not_equality():
    few, same = [1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0]
    assert not equivalent(few, same, 0.1)[0]
    many = np.random.default_rng(1).normal(0, 0.2, 2000)
    assert equivalent(many.tolist(), (many + 0.01).tolist(), 0.02)[0]
    assert not equivalent(many.tolist(), (many + 0.03).tolist(), 0.02)[0]
    with pytest.raises(InputError, match="margin"):
        equivalent(few, same, 0.0)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_values_have_to_be_numbers():
    for values in ([], [math.nan], [math.inf, 1.0]):
        with pytest.raises(InputError, match="no values"):
            bootstrap(values)
