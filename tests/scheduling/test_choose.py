from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from remanence.cubes import Form
from remanence.errors import InputError
from remanence.scheduling import choose as choosing
from remanence.scheduling.choose import choose, naive
from remanence.scheduling.cost import FORMS, Machine, Terms, Workload, break_even, costs

TEXT, CACHE, WEIGHTS = FORMS
_small = st.floats(0, 1e-2)
machines = st.builds(
    Machine, prefill=st.floats(1e-6, 1e-1), quadratic=st.floats(0, 1e-5), decode=_small, load=st.floats(0, 1e-6),
    opening=_small, write=st.floats(0, 1e-6), hash=st.floats(0, 1e-7), embed=_small, train=st.floats(0, 1e-1),
    bytes_per_token=st.just(1), adapter_bytes=st.just(1), context=st.sampled_from([0, 100, 10_000]),
)  # fmt: skip
terms_ = st.builds(
    Terms, horizon=st.floats(1, 365), margin=st.floats(0, 1), dwell=st.floats(0, 3), rent=st.floats(0, 1e-9),
    restarts=st.floats(0, 10), lag=st.floats(0, 1), lesson=st.floats(0, 1e5), exposure=st.floats(0, 1000), passing=st.floats(0.1, 1),
    settled=st.just(1.0),
)  # fmt: skip
artefacts = st.sampled_from([
    {}, {Form.ACTIVATION: "kv"}, {Form.PARAMETRIC: "lora"}, {Form.ACTIVATION: "kv", Form.PARAMETRIC: "lora"},
])  # fmt: skip
workloads = st.builds(
    Workload, ids=st.just(("a",)), tokens=st.integers(1, 5000), bytes_per_token=st.integers(0, 200_000),
    adapter_bytes=st.integers(0, 10_000_000), reads=st.floats(0, 1000), corrections=st.floats(0, 0.05),
    age=st.floats(0, 10), left=st.sampled_from([float("inf"), 100.0, 0.5, 0.0]), clear=st.booleans(),
    disputed=st.booleans(), artefacts=artefacts,
    report=st.sampled_from([{}, {"reliability": 0.5}, {"reliability": 0.99, "locality": 0.99, "drawdown": 0.0}]),
)  # fmt: skip


def _spared(work, machine, terms, form):
    """Seconds that a form spares in each read, against the text."""
    busy, idle = (costs(replace(work, reads=reads), machine, terms) for reads in (1.0, 0.0))
    return sum((one[TEXT].seconds - one[form].seconds) * sign for one, sign in ((busy, 1), (idle, -1)))


def _total(plan):
    return math.fsum(one.costs[one.form].seconds for one in plan.choices)


# ── properties ───────────────────────────────────────────────────────────────────────────────────────────────────────

quotas = st.one_of(st.just(0), st.integers(0, 10_000_000), st.just(10**12))


@settings(max_examples=300)
@given(machines, terms_, st.lists(workloads, max_size=5), quotas)
def test_the_choice_is_the_best_of_all_assignments(machine, terms, works, quota):
    plan = choose(works, machine, terms, quota)
    assert plan.size <= quota
    assert plan.gap == 0
    assert plan.seconds == pytest.approx(_total(plan))
    assert plan.seconds == pytest.approx(naive(works, machine, terms, quota), rel=1e-9)
    assert not any(one.costs[one.form].refused for one in plan.choices)


@given(machines, terms_, st.lists(workloads, min_size=1, max_size=4), quotas, st.floats(1, 10))
def test_more_reads_never_demote(machine, terms, works, quota, times):
    first, *rest = works
    more = replace(first, reads=first.reads * times + 1e-3)
    before, after = (choose([one, *rest], machine, terms, quota).choices[0] for one in (first, more))
    spared = [_spared(first, machine, terms, one.form) for one in (before, after)]
    assert spared[1] >= spared[0] - 1e-9 * (1 + machine.prefilled(first.tokens))


@given(machines, terms_, st.lists(workloads, min_size=1, max_size=4), quotas, st.integers(1, 100_000))
def test_more_bytes_per_token_never_promote(machine, terms, works, quota, more):
    first, *rest = works
    larger = replace(first, bytes_per_token=first.bytes_per_token + more)
    before, after = (choose([one, *rest], machine, terms, quota).choices[0] for one in (first, larger))
    if before.form is not CACHE and after.form is CACHE:  # only where the two cost the same
        found = before.costs
        assert found[CACHE].seconds == pytest.approx(found[before.form].seconds, rel=1e-9)


@given(machines, terms_, st.lists(workloads, max_size=6), quotas, st.lists(st.booleans(), min_size=6, max_size=6))
def test_the_quota_holds_whatever_rests(machine, terms, works, quota, resting):
    works = [replace(work, moved=0.0 if rests else math.inf) for work, rests in zip(works, resting, strict=False)]
    plan = choose(works, machine, terms, quota)
    assert plan.size <= quota
    assert all(one.costs[one.form].refused == "" for one in plan.choices)


@given(machines, terms_, workloads, st.lists(st.floats(0.5, 2), min_size=2, max_size=20))
def test_a_rate_that_swings_within_the_band_moves_it_at_most_once(machine, terms, work, swings):
    """Between the rate that brings a cache and the rate that takes it away, whatever was chosen first stays."""
    work = replace(work, artefacts={}, left=math.inf, clear=False, tokens=min(work.tokens, 100))
    up = break_even(work, machine, terms).per_day
    assume(0 < up < 1e6)
    made = replace(work, artefacts={CACHE: "kv"})
    still = [reads for reads in (up * swing for swing in swings) if _keeps(made, reads, machine, terms)]
    moves, now = 0, work
    for reads in still:
        form = choose([replace(now, reads=reads)], machine, terms, 10**12).choices[0].form
        moves += form is not now.current
        now = made if form is CACHE else work
    assert moves <= 1


def _keeps(made, reads, machine, terms):
    return choose([replace(made, reads=reads)], machine, terms, 10**12).choices[0].form is CACHE


@given(machines, terms_, workloads, st.floats(0, 2))
def test_a_cache_pays_above_its_break_even_and_not_below(machine, terms, work, times):
    work = replace(work, artefacts={}, left=math.inf)
    even = break_even(work, machine, terms)
    if math.isinf(even.per_day):
        times = 1.0
        work = replace(work, reads=1e6)
    else:
        work = replace(work, reads=even.per_day * times)
    found = costs(work, machine, terms)
    difference = found[TEXT].seconds - found[CACHE].seconds
    slack = 1e-9 * (found[TEXT].seconds + found[CACHE].seconds)
    if math.isinf(even.per_day) or times < 1:
        assert difference <= slack
    elif times > 1:
        assert difference >= -slack


_PLAIN = Machine(prefill=1.0, bytes_per_token=1, adapter_bytes=1)
_knapsacks = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 60)), min_size=3, max_size=6)


@settings(max_examples=300)
@given(_knapsacks, st.integers(1, 40))
@example([(6, 1, 10), (5, 1, 8), (5, 1, 8)], 10)  # the densest does not go with the best two
def test_a_quota_that_binds_is_used_best(items, quota):
    """Files of a few bytes, so that the densest choice is often not the best, and every byte counts."""
    works = [
        Workload(
            ids=("a",), tokens=tokens, bytes_per_token=size, adapter_bytes=1, reads=float(reads), clear=False, age=9.0
        )
        for tokens, size, reads in items
    ]
    plan = choose(works, _PLAIN, Terms(margin=0.0), quota)
    assert plan.size <= quota
    assert plan.seconds == pytest.approx(naive(works, _PLAIN, Terms(margin=0.0), quota), rel=1e-9)


# ── examples ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_read_often_gets_a_cache_and_what_is_read_more_often_is_trained(machine, terms, work):
    works = [work("rare", reads=0.01), work("often", reads=10.0), work("always", reads=5000.0, bytes_per_token=50_000)]
    plan = choose(works, machine, terms, 10**9)
    assert [one.form for one in plan.choices] == [TEXT, CACHE, WEIGHTS]
    assert [one.derive for one in plan.choices] == [None, CACHE, WEIGHTS]
    assert not any(one.drop for one in plan.choices)


def test_what_nobody_reads_any_more_is_dropped(machine, terms, work):
    [choice] = choose([work(reads=0.0, artefacts={CACHE: "kv"}, corrections=0.02)], machine, terms, 10**9).choices
    assert (choice.form, choice.drop, choice.derive) == (TEXT, ("kv",), None)


def test_of_two_forms_the_worse_one_is_dropped(machine, terms, work):
    both = work(reads=100.0, artefacts={CACHE: "kv", WEIGHTS: "lora"})
    [choice] = choose([both], machine, terms, 10**9).choices
    assert choice.form is WEIGHTS
    assert choice.drop == ("kv",)
    assert choice.derive is None


def test_an_adapter_that_fell_below_the_limits_is_taken_back(machine, terms, work):
    bad = work(reads=0.0, artefacts={WEIGHTS: "lora"}, report={"locality": 0.5}, moved=0.0)
    [choice] = choose([bad], machine, terms, 10**9).choices
    assert (choice.form, choice.drop) == (TEXT, ("lora",))


def test_the_quota_goes_to_what_saves_most_per_byte(machine, terms, work):
    works = [work("a", reads=5.0), work("b", reads=9.0), work("c", reads=7.0), work("d", tokens=250, reads=3.0)]
    plan = choose(works, machine, replace(terms, exposure=1e9), 2_000_000)
    assert [one.form for one in plan.choices] == [TEXT, CACHE, CACHE, TEXT]
    assert [one.crowded for one in plan.choices] == [True, False, False, True]
    assert plan.size == 2_000_000


def test_a_cache_makes_room_for_a_better_one(machine, terms, work):
    old, new = work("old", reads=1.0, artefacts={CACHE: "kv"}), work("new", reads=50.0)
    plan = choose([old, new], machine, replace(terms, exposure=1e9), 1_000_000)
    assert [one.form for one in plan.choices] == [TEXT, CACHE]
    assert plan.choices[0].drop == ("kv",)


def test_what_was_moved_rests_and_longer_after_failures(machine, terms, work):
    still = work(reads=0.0, corrections=0.02, artefacts={CACHE: "kv"})
    for moved, failures, form in ((0.5, 0, CACHE), (1.5, 0, TEXT), (1.5, 1, CACHE), (2.5, 1, TEXT), (900.0, 99, CACHE)):
        [choice] = choose([replace(still, moved=moved, failures=failures)], machine, terms, 10**9).choices
        assert (choice.form, bool(choice.held)) == (form, form is CACHE)
    [choice] = choose([replace(still, moved=0.5)], machine, terms, 0).choices  # there is no room to rest in
    assert choice.form is TEXT


def test_what_is_pinned_stays_and_takes_its_room(machine, terms, work):
    pinned = work("mine", reads=0.0, artefacts={CACHE: "kv", WEIGHTS: "lora"}, pinned=True)
    plan = choose([pinned, work("other")], machine, replace(terms, exposure=1e9), 2_000_000)
    assert [one.form for one in plan.choices] == [WEIGHTS, TEXT]
    assert plan.choices[0].drop == ()
    assert plan.size == 1_500_000
    crowded = choose([pinned, work("other")], machine, terms, 1000)
    assert [one.form for one in crowded.choices] == [WEIGHTS, TEXT]


def test_many_workloads_are_decided_in_time_and_the_gap_says_what_may_be_missing(machine, terms, work, monkeypatch):
    works = [work(str(n), tokens=50 + 37 * n % 101, reads=1.0 + 29 * n % 53) for n in range(300)]
    terms = replace(terms, exposure=1e9)
    plan = choose(works, machine, terms, 100_000_000)
    monkeypatch.setattr(choosing, "WORK", 1)
    cut = choose(works, machine, terms, 100_000_000)
    assert plan.size <= 100_000_000
    assert plan.seconds <= cut.seconds
    assert cut.gap > 0
    assert cut.seconds - cut.gap <= plan.seconds + 1e-9


@given(machines, terms_, st.lists(workloads, max_size=5), quotas, st.floats(0, 0.5))
def test_a_tolerance_misses_no_more_than_it_says(machine, terms, works, quota, tolerance):
    plan = choose(works, machine, terms, quota, tolerance=tolerance)
    best = naive(works, machine, terms, quota)
    assert plan.size <= quota
    assert plan.seconds - plan.gap <= best + 1e-9 * (1 + best)


def test_nothing_to_decide(machine, terms):
    plan = choose([], machine, terms, 0)
    assert (plan.choices, plan.size, plan.seconds) == ((), 0, 0)
    with pytest.raises(InputError, match="quota"):
        choose([], machine, terms, -1)
