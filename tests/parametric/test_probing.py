"""The battery: it passes what never saw a fact, fails what knows it, and tells a destroyed model from one that forgot."""

from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from remanence.errors import InputError
from remanence.evaluation.intervals import wilson as counted
from remanence.evaluation.probes import world_probes
from remanence.parametric.measuring import TESTS, Measured, Secret, measure
from remanence.parametric.probing import battery, newcombe, wilson
from remanence.parametric.unlearning.adapters import adapter_of, factors_of, kept_of, secrets_of, unlearn_adapter
from remanence.parametric.unlearning.examples import batch, examples
from remanence.parametric.unlearning.factors import Factor, attached, fresh, linears
from remanence.parametric.unlearning.losses import cross_entropy, told

SECRETS = [Secret("a", " x", ("p",))]


def seen(value, n=20, utility=1.0, **others):
    """A model with the same number in every test."""
    return Measured(
        "m", {test: [others.get(test, value)] * n for test in TESTS}, [utility] * 50, {"1": value}, 0.1
    )  # fmt: skip


NEVER = [seen(0.05), seen(0.1), seen(0.0)]


KNEW = seen(1.0)


def judged(candidate, controls=NEVER, original=KNEW, **more):
    return battery(candidate, SECRETS, controls=controls, original=original, **more)


def test_what_never_saw_the_facts_passes_and_what_knows_them_fails():
    report = judged(seen(0.05))
    assert (report.verdict, report.passed, report.reasons) == ("forgotten", True, ())
    assert all(one.valid and one.finding == "same" for one in report.tests)
    before = judged(seen(1.0))
    assert before.verdict == "remembered"
    assert len(before.reasons) == len(TESTS)
    assert not before.passed


@pytest.mark.parametrize("test", TESTS)
def test_one_test_that_finds_it_is_enough(test):
    report = judged(seen(0.05, **{test: 0.9}))
    assert report.verdict == "remembered"
    assert len(report.reasons) == 1
    assert test in report.reasons[0]


def test_a_destroyed_model_is_unusable_whatever_its_tests_say():
    report = judged(seen(0.05, utility=0.5))
    assert report.verdict == "unusable"
    assert not report.utility.passed
    assert judged(seen(0.05, utility=0.98)).passed


def test_less_than_never_seen_gives_it_away_too():
    controls = [seen(0.5), seen(0.55), seen(0.45)]
    report = judged(seen(0.5, rank=0.0), controls)
    assert report.verdict == "over-unlearned"
    assert "rank" in report.reasons[0]


def test_a_test_without_power_does_not_count_and_all_of_them_leave_it_undecided():
    weak = judged(seen(0.05), original=seen(1.0, relearning=0.1))
    assert weak.verdict == "forgotten"
    assert weak.reasons == ("relearning has no power here",)
    assert judged(seen(0.05), original=seen(0.1)).verdict == "undecided"
    assert judged(seen(0.05), original=None).verdict == "undecided"


def test_a_test_that_one_control_fails_against_the_others_has_no_power():
    odd = [seen(0.0), seen(0.0), seen(0.0, extraction=0.9)]
    assert {one.test: one.valid for one in judged(seen(0.0), odd).tests}["extraction"] is False


def test_one_fact_can_be_told_from_three_controls_and_not_from_one():
    knew, never = seen(1.0, n=1), seen(0.0, n=1)
    assert judged(knew, [never] * 3, knew).verdict == "remembered"
    assert judged(never, [never] * 3, knew).verdict == "forgotten"
    assert judged(never, [never], knew).verdict == "undecided"


def test_the_report_is_json_without_a_word_of_the_facts():
    document = json.dumps(judged(seen(0.05)).to_json())
    assert json.loads(document)["verdict"] == "forgotten"
    assert " x" not in document


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InputError, match="never saw"):
        battery(seen(0.0), SECRETS, controls=[])
    with pytest.raises(InputError, match="measured on other facts"):
        battery(seen(0.0, n=3), SECRETS, controls=NEVER)
    with pytest.raises(InputError, match="level"):
        judged(seen(0.0), level=1.0)


@given(hits=st.integers(0, 30), more=st.integers(0, 30))
def test_wilsons_interval_is_the_counted_one_and_covers_its_mean(hits, more):
    n = hits + more
    if n == 0:
        return
    low, high = wilson(hits / n, n, 1.96)
    expected = counted(hits, n, 1.96)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert low <= hits / n <= high


def test_newcombes_interval_is_the_published_one():
    low, high = newcombe(56 / 70, 70, 48 / 80, 80)  # Newcombe 1998, table II, example (a), method 10
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert newcombe(48 / 80, 80, 56 / 70, 70) == pytest.approx((-high, -low))


@given(one=st.floats(0, 1), other=st.floats(0, 1), n=st.integers(1, 60))
def test_the_difference_lies_in_its_interval(one, other, n):
    low, high = newcombe(one, n, other, n)
    assert low <= one - other <= high
    assert math.isfinite(low + high)


def learned(lm, pairs, seed, steps=40):
    """An adapter of rank 4 that holds these prompts and answers."""
    begun = fresh(linears(lm.model), 4, torch.Generator().manual_seed(seed))
    factors = {name: Factor(one.a.requires_grad_(), one.b.requires_grad_()) for name, one in begun.items()}
    optimiser = torch.optim.AdamW([tensor for one in factors.values() for tensor in (one.a, one.b)], lr=1e-2)
    put = batch(examples(lm, pairs))
    for _ in range(steps):
        with attached(lm.model, factors):
            loss = cross_entropy(told(lm.model(put.ids, attention_mask=put.mask).logits, put.labels)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return {name: Factor(one.a.detach(), one.b.detach()) for name, one in factors.items()}


def test_an_adapter_that_unlearned_is_told_from_one_that_knows_and_is_an_adapter_again(taught, taught_world):
    world, facts = taught_world, taught_world.fresh(5)
    gone, stay = facts[:8], facts[8:]
    guard = [(world.question(fact), world.answer(fact)) for fact in world.facts[:24]]
    pairs = {
        name: [(p, a.removesuffix(".")) for p, a in world.lessons(some)]
        for name, some in (("gone", gone), ("stay", stay))
    }
    before = adapter_of(learned(taught, pairs["gone"] + pairs["stay"] + guard, 0), taught, {"sources": [["id", 1]]})
    never = [{}, *(learned(taught, pairs["stay"] + guard, seed) for seed in (1, 2))]
    probes = world_probes(world, gone, local=[*stay, *world.facts[:12]], against=6)
    secrets, kept = secrets_of(probes), kept_of(probes)
    assert (len(secrets), len(secrets[0].foils), len(kept)) == (8, 6, 24)

    def look(factors):
        return measure(taught, secrets, kept=kept, factors=factors)

    original, controls = look(factors_of(before, taught)), [look(one) for one in never]
    known = battery(original, secrets, controls=controls, original=original)
    assert known.verdict == "remembered"
    assert sum(one.valid for one in known.tests) >= 5
    rebuilt = battery(controls[1], secrets, controls=[controls[0], controls[2]], original=original)
    assert rebuilt.passed
    retain = examples(taught, pairs["stay"] + guard)
    after, done = unlearn_adapter(taught, before, examples(taught, pairs["gone"]), retain, method="ihl", steps=40)
    assert after.details["sources"] == [["id", 1]]
    assert after.details["unlearned"] == done.details()
    report = battery(look(factors_of(after, taught)), secrets, controls=controls, original=original)
    extraction = report.tests[0]
    assert (extraction.test, extraction.finding) == ("extraction", "same")
    assert report.utility.value > 0.9
    destroyed, _ = unlearn_adapter(taught, before, examples(taught, pairs["gone"]), [], method="ga", steps=40)
    assert (
        battery(look(factors_of(destroyed, taught)), secrets, controls=controls, original=original).verdict
        == "unusable"
    )
