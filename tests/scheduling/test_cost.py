from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.cubes import Form
from remanence.errors import InputError
from remanence.scheduling.cost import (
    FORMS,
    Machine,
    Terms,
    break_even,
    corrections_per_day,
    costs,
    reads_per_day,
    refusal,
)

TEXT, CACHE, WEIGHTS = FORMS


def test_the_costs_of_a_day_by_hand(machine, terms, work):
    """100 tokens, ten reads a day, a correction every fifty days: every part computed on paper."""
    terms = replace(
        terms, horizon=10.0, margin=0.5, lag=0.5, restarts=2.0, passing=0.5, exposure=100.0, lesson=1000.0, answer=8.0
    )
    found = costs(work(corrections=0.02), machine, terms)
    prefill = 0.1 + 1e-7 * 1e4
    stale = 0.01 / 1.01
    assert found[TEXT].parts == pytest.approx(
        {"read": 10 * prefill, "answer": 10 * 0.002 * 8, "embed": 0.02 * 1e-4 * 100}
    )
    size = 1_000_000
    load = 0.001 + 0.01
    making = prefill + size * 6e-9
    assert found[CACHE].size == size
    assert found[CACHE].parts == pytest.approx({
        "read": 10 * ((1 - stale) * load + stale * prefill), "answer": 0.16, "embed": 2e-4,
        "rebuild": 0.02 * making, "upkeep": size * 2e-9, "build": making / 10, "move": 0.5 * prefill / 10,
    })  # fmt: skip
    size = 500_000
    load = 0.001 + 0.005
    training = 0.004 * (1000 + 100 * 100)
    fresh = 0.5 * (1 - stale)
    written = 0.5 * size * 6e-9
    assert found[WEIGHTS].parts == pytest.approx({
        "read": 10 * (fresh * load + (1 - fresh) * prefill), "answer": 0.16, "embed": 2e-4,
        "rebuild": 0.02 * (training + written), "upkeep": 0.5 * size * 2e-9, "build": (training + written) / 10,
        "move": 0.5 * training / 10,
    })  # fmt: skip
    assert found[TEXT].seconds == pytest.approx(10 * prefill + 0.16 + 2e-4)


def test_what_is_there_is_not_built_again_and_leaving_it_costs(machine, terms, work):
    found = costs(work(artefacts={CACHE: "kv"}), machine, terms)
    assert "build" not in found[CACHE].parts
    assert "move" not in found[CACHE].parts
    assert found[TEXT].parts["move"] == pytest.approx(terms.margin * machine.prefilled(100) / terms.horizon)
    trained = costs(work(artefacts={WEIGHTS: "lora"}), machine, terms)[WEIGHTS]
    assert trained.parts["read"] == pytest.approx(10 * machine.loaded(500_000))  # it has passed its gate


def test_what_is_new_to_being_read_has_less_time_and_a_day_at_least(machine, terms, work):
    hours, days, ever = (costs(work(seen=seen), machine, terms)[CACHE].parts["build"] for seen in (0.1, 3.0, math.inf))
    assert (hours, days) == (pytest.approx(30 * ever), pytest.approx(10 * ever))


def test_what_expires_soon_has_to_pay_off_sooner(machine, terms, work):
    soon, ever = (costs(work(left=left), machine, terms)[CACHE].parts["build"] for left in (3.0, math.inf))
    assert soon == pytest.approx(10 * ever)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"corrections": 0.1}, "volatile"),
        ({"disputed": True}, "contradicts"),
        ({"left": 20.0}, "expires"),
        ({"clear": False}, "no fact"),
        ({"age": 0.5}, "settled"),
        ({"artefacts": {WEIGHTS: "x"}, "report": {"reliability": 0.8}}, "reliability"),
        ({"artefacts": {WEIGHTS: "x"}, "report": {"locality": 0.9}}, "locality"),
        ({"artefacts": {WEIGHTS: "x"}, "report": {"drawdown": 0.1}}, "drawdown"),
    ],
)
def test_the_routing_rule_keeps_it_out_of_the_weights(machine, terms, work, changes, word):
    assert word in refusal(work(**changes), WEIGHTS, machine, terms)
    assert refusal(work(**changes), CACHE, machine, terms) == refusal(work(**changes), TEXT, machine, terms) == ""


def test_what_is_clear_settled_and_agreed_may_go_into_weights(machine, terms, work):
    assert refusal(work(), WEIGHTS, machine, terms) == ""
    passed = {"reliability": 0.95, "locality": 0.99, "drawdown": 0.01}
    assert refusal(work(artefacts={WEIGHTS: "x"}, report=passed), WEIGHTS, machine, terms) == ""


def test_what_is_too_long_or_over_is_not_cached(machine, terms, work):
    assert "4,096" in refusal(work(tokens=5000), CACHE, machine, terms)
    assert refusal(work(tokens=5000), CACHE, replace(machine, context=0), terms) == ""
    assert "time is up" in refusal(work(left=0.0), CACHE, machine, terms)


def test_the_number_of_reuses(machine, terms, work):
    found = break_even(work(), machine, terms)
    prefill, load = machine.prefilled(100), machine.loaded(1_000_000)
    assert found.reuses == pytest.approx((prefill + 1e6 * 6e-9) / (prefill - load))
    assert break_even(work(bytes_per_token=10**8), machine, terms).reuses == math.inf


def test_reads_fade(terms):
    assert reads_per_day(0, 10, 10, terms) == 0
    assert reads_per_day(22, 10, 0, terms) == 2
    assert reads_per_day(22, 10, 7, terms) == 1
    assert reads_per_day(1, 0, 0, terms) == 1
    assert reads_per_day(1, 1, 7, terms, base=3.0) == 1
    assert reads_per_day(1, -1, -1, terms) == 1  # a clock that went back


@given(st.integers(0, 1000), st.floats(0, 100), st.floats(0, 100))
def test_more_reads_are_expected_where_there_were_more(count, days, idle):
    terms = Terms()
    assert reads_per_day(count + 1, days, idle, terms) >= reads_per_day(count, days, idle, terms)
    assert reads_per_day(count, days, idle + 1, terms) <= reads_per_day(count, days, idle, terms)


def test_corrections_add_up_and_start_from_the_rate_around_them():
    assert corrections_per_day([(3, 23.0)]) == pytest.approx(0.1)
    assert corrections_per_day([(3, 23.0), (3, 23.0)]) == pytest.approx(0.2)
    assert corrections_per_day([(0, 0.0)], base=0.5) == pytest.approx(0.5)
    assert corrections_per_day([]) == 0


def test_measures_come_back_as_they_went(machine):
    assert Machine.from_json(json.loads(json.dumps(machine.to_json()))) == machine
    with pytest.raises(InputError, match="measures"):
        Machine.from_json({"prefill": 1.0})


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf, "1", True, None])
def test_numbers_out_of_range_are_refused(machine, terms, work, bad):
    with pytest.raises(InputError):
        replace(machine, prefill=bad)
    with pytest.raises(InputError):
        replace(terms, margin=bad)
    with pytest.raises(InputError):
        work(reads=bad)


def test_nonsense_is_refused(work):
    for bad in ({"ids": ()}, {"tokens": 0}, {"left": math.nan}):
        with pytest.raises(InputError):
            replace(work(), **bad)
    for bad in ({"horizon": 0.0}, {"passing": 0.0}, {"passing": 1.5}, {"locality": 2.0}):
        with pytest.raises(InputError):
            Terms(**bad)


def test_the_current_form_is_the_furthest_from_text(work):
    assert work().current is Form.TEXT
    assert work(artefacts={CACHE: "a"}).current is CACHE
    assert work(artefacts={WEIGHTS: "b", CACHE: "a"}).current is WEIGHTS
