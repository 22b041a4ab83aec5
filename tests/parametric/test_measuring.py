"""The six measurements: what they say of a model that knows, of one that does not, and that they change nothing."""

from __future__ import annotations

from statistics import fmean

import pytest
import torch

from remanence.errors import InputError, ModelMismatchError, TrainingError
from remanence.parametric.measuring import TESTS, Effort, Secret, measure, rounded
from remanence.parametric.unlearning.factors import Factor, fresh, linears


def secret(world, fact):
    return Secret(
        f"{fact.subject}/{fact.relation}", world.answer(fact), (world.cloze(fact), world.question(fact)),
        (world.question(fact, -1),), tuple(f" {value}" for value in world.counterfactuals(fact, 6)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def known(taught, taught_world):
    return measure(taught, [secret(taught_world, fact) for fact in taught_world.facts[:12]])


@pytest.fixture(scope="module")
def unknown(taught, taught_world):
    return measure(taught, [secret(taught_world, fact) for fact in taught_world.fresh(3)])


def test_what_is_known_is_found_by_every_test_and_what_is_not_by_none(known, unknown):
    assert tuple(known.values) == tuple(unknown.values) == TESTS
    for test in TESTS:
        assert fmean(known.values[test]) > 0.9
        assert fmean(unknown.values[test]) < 0.7
    assert fmean(unknown.values["extraction"]) < 0.3
    assert 0.3 < fmean(unknown.values["rank"]) < 0.7  # chance
    assert known.relearned["1"] > unknown.relearned["1"]
    assert unknown.relearned["16"] > unknown.relearned["1"]


def test_the_teacher_forced_share_agrees_with_the_models_own_scores(taught, taught_world, known):
    facts = taught_world.facts[:12]
    prompts = [
        taught.encode(prompt) for fact in facts for prompt in (taught_world.cloze(fact), taught_world.question(fact))
    ]
    answers = [taught.encode(taught_world.answer(fact)) for fact in facts for _ in range(2)]
    scored = taught.score(prompts, answers)
    exact = [float(one.greedy) for one in scored]
    assert fmean(exact) <= fmean(known.values["memorisation"])
    assert fmean(known.values["extraction"]) >= fmean(exact)


def test_the_rank_counts_counterfactuals_by_mean_likelihood(taught, taught_world):
    one = secret(taught_world, taught_world.fresh(1)[0])
    expected = []
    for prompt in one.taught:
        scored = taught.score(
            [taught.encode(prompt)] * 7, [taught.encode(answer) for answer in (one.answer, *one.foils)]
        )
        expected.append(fmean(float(other.mean < scored[0].mean) for other in scored[1:]))
    assert measure(taught, [one]).values["rank"] == pytest.approx([fmean(expected)])


def test_measuring_changes_nothing_and_is_the_same_every_time(taught, taught_world, unknown):
    before = {name: tensor.clone() for name, tensor in taught.model.state_dict().items()}
    again = measure(taught, [secret(taught_world, fact) for fact in taught_world.fresh(3)])
    assert again.values == unknown.values
    assert all(torch.equal(before[name], tensor) for name, tensor in taught.model.state_dict().items())
    assert not any(layer._forward_hooks for layer in taught.model.modules())


def test_an_adapter_counts_in_every_test(taught, taught_world):
    secrets = [secret(taught_world, fact) for fact in taught_world.facts[:4]]
    generator = torch.Generator().manual_seed(0)
    drowned = {
        name: Factor(one.a, torch.randn(one.b.shape, generator=generator))
        for name, one in fresh(linears(taught.model), 4, generator).items()
    }
    found = measure(taught, secrets, factors=drowned, kept=[(secrets[0].taught[0], secrets[0].answer)])
    for test in TESTS:
        assert fmean(found.values[test]) < 0.7
    assert found.utility == [0.0]
    assert measure(taught, secrets, kept=[(secrets[0].taught[0], secrets[0].answer)]).utility == [1.0]
    name = next(iter(drowned))
    with pytest.raises(ModelMismatchError):
        measure(taught, secrets, factors={name: Factor(torch.zeros(1, 3), torch.zeros(3, 1))})


def test_relearning_can_train_factors_in_place_of_a_copy(taught, taught_world):
    effort = Effort(max_new=1, precisions=(), relearning_rank=4, relearning_rate=5e-3)
    secrets = [secret(taught_world, fact) for fact in (*taught_world.facts[:4], *taught_world.fresh(1))]
    before = {name: tensor.clone() for name, tensor in taught.model.state_dict().items()}
    found = measure(taught, secrets, effort=effort)
    assert found.values["relearning"][:4] == [1.0] * 4
    assert fmean(found.values["relearning"][4:]) < 1
    assert found.relearned["16"] > found.relearned["1"] or found.relearned["1"] == 1
    assert all(torch.equal(before[name], tensor) for name, tensor in taught.model.state_dict().items())
    assert not any(layer._forward_hooks for layer in taught.model.modules())


def test_tests_without_prompts_or_counterfactuals_are_left_out(taught, taught_world):
    fact = taught_world.facts[0]
    found = measure(taught, [Secret("a", taught_world.answer(fact), (taught_world.cloze(fact),))])
    assert set(found.values) == set(TESTS) - {"rank", "paraphrase"}


@pytest.mark.parametrize(("bits", "levels"), [(8, 255), (4, 15), (3, 7)])
def test_rounding_stays_within_half_a_step_and_has_so_many_levels(bits, levels):
    weight = torch.randn(6, 64, generator=torch.Generator().manual_seed(0))
    coarse = rounded(weight, bits)
    width = 64 if bits == 8 else 32
    for part, rough in zip(weight.split(width, 1), coarse.split(width, 1), strict=True):
        step = part.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
        assert ((part - rough).abs() <= step / 2 + 1e-6).all()
        assert max(len(row.unique()) for row in rough) <= levels
    assert torch.equal(rounded(torch.zeros(2, 40), bits), torch.zeros(2, 40))
    with pytest.raises(InputError, match="bits"):
        rounded(weight, 1)


def test_what_cannot_be_measured_is_refused(own_taught):
    with pytest.raises(InputError, match="no prompt or no answer"):
        Secret("a", " x", ())
    with pytest.raises(InputError, match="no fact"):
        measure(own_taught(), [])
    lm = own_taught()
    with torch.no_grad():
        lm.model.get_input_embeddings().weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="Relearning"):
        measure(lm, [Secret("a", " Lisbon", ("Where",))], effort=Effort(max_new=1, precisions=()))
