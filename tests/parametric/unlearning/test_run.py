"""The run, on a model that knows a world: what goes, what stays, and that nothing is half done."""

from __future__ import annotations

import math

import pytest
import torch

from remanence.errors import InputError, TrainingError
from remanence.parametric.unlearning.examples import Example, batch, examples
from remanence.parametric.unlearning.factors import Factor, attached, fresh, joined, linears
from remanence.parametric.unlearning.losses import cross_entropy, told
from remanence.parametric.unlearning.run import LEARNING_RATES, unlearn, with_weights


def pairs(world, facts):
    return [(prompt, answer.removesuffix(".")) for prompt, answer in world.lessons(facts, held_out=True)]


@pytest.fixture(scope="module")
def split(taught, taught_world):
    """What is to go, what is trained to stay, and what is looked at."""
    facts = taught_world.facts
    return examples(taught, pairs(taught_world, facts[:12])), examples(taught, pairs(taught_world, facts[12:]))


def recalled(lm, chosen, model=None):
    return sum(
        one.greedy for one in lm_of(lm, model).score([e.prompt for e in chosen], [e.answer for e in chosen])
    ) / len(chosen)


def lm_of(lm, model):
    return lm if model is None else type(lm).of(model, lm.tokenizer)


def state(lm):
    return {name: tensor.clone() for name, tensor in lm.model.state_dict().items()}


def same(lm, before):
    return all(torch.equal(before[name], tensor) for name, tensor in lm.model.state_dict().items())


def test_the_bounded_loss_forgets_and_keeps_where_ascent_destroys(taught, split):
    forget, retain = split
    before = state(taught)
    assert min(recalled(taught, forget), recalled(taught, retain)) > 0.98
    found = {}
    for method in ("ihl", "ga"):
        done = unlearn(taught, forget, retain, method=method, steps=40, lr=4e-3)
        assert same(taught, before)
        with attached(taught.model, done.factors):
            found[method] = recalled(taught, forget), recalled(taught, retain)
    assert found["ihl"][0] < 0.35
    assert found["ihl"][1] > 0.95
    assert found["ga"][0] < 0.3
    assert found["ga"][1] < 0.3
    assert same(taught, before)


def test_fila_begins_where_the_model_is_and_forgets(taught, split):
    forget, retain = split
    done = unlearn(taught, forget, retain, method="ihl+fila", steps=40, rank=8)
    plain = unlearn(taught, forget, retain, method="ihl", steps=1, rank=8)
    assert done.losses[0] == pytest.approx(plain.losses[0], abs=0.2)  # other batches, the same model
    assert {one.rank for one in done.factors.values()} == {16}
    assert 0 < done.importance_seconds < done.seconds
    with attached(taught.model, done.factors):
        assert recalled(taught, forget) < 0.35
        assert recalled(taught, retain) > 0.95


def test_full_weights_are_new_and_the_old_ones_are_the_way_back(taught, split):
    forget, retain = split
    before = state(taught)
    done = unlearn(taught, forget, retain, method="ihl", on="full", steps=30)
    changed = with_weights(taught.model, done.weights)
    assert recalled(taught, forget, changed) < 0.35
    assert recalled(taught, retain, changed) > 0.95
    assert same(taught, before)
    assert not any(tensor.requires_grad for tensor in done.weights.values())


@pytest.fixture(scope="module")
def adapter(taught, taught_world):
    """An adapter that holds new facts, and the examples of a half that is to go and of one that stays."""
    facts = taught_world.fresh(4)
    halves = [examples(taught, pairs(taught_world, facts[:8])), examples(taught, pairs(taught_world, facts[8:]))]
    begun = fresh(linears(taught.model), 4, torch.Generator().manual_seed(0))
    factors = {name: Factor(one.a.requires_grad_(), one.b.requires_grad_()) for name, one in begun.items()}
    optimiser = torch.optim.AdamW([tensor for one in factors.values() for tensor in (one.a, one.b)], lr=1e-2)
    put = batch(halves[0] + halves[1])
    for _ in range(40):
        with attached(taught.model, factors):
            loss = cross_entropy(told(taught.model(put.ids, attention_mask=put.mask).logits, put.labels)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return {name: Factor(one.a.detach(), one.b.detach()) for name, one in factors.items()}, *halves


@pytest.mark.parametrize(("method", "more"), [("ihl", 0), ("ihl+fila", 8)])
def test_a_memorys_own_adapter_unlearns_a_part(taught, adapter, method, more):
    factors, forget, retain = adapter
    copies = {name: (one.a.clone(), one.b.clone()) for name, one in factors.items()}
    with attached(taught.model, factors):
        assert min(recalled(taught, forget), recalled(taught, retain)) > 0.95
    done = unlearn(taught, forget, retain, method=method, adapter=factors, steps=40, rank=4)
    with attached(taught.model, done.factors):
        assert recalled(taught, forget) < 0.3
        assert recalled(taught, retain) > 0.9
    assert {one.rank for one in done.factors.values()} == {4 + more}
    for name, (a, b) in copies.items():
        assert torch.equal(factors[name].a, a)
        assert torch.equal(factors[name].b, b)


def test_the_same_seed_gives_the_same_factors(taught, split):
    forget, retain = split
    one, two, other = (unlearn(taught, forget, retain, steps=3, seed=seed) for seed in (1, 1, 2))
    name = next(iter(one.factors))
    assert torch.equal(one.factors[name].b, two.factors[name].b)
    assert not torch.equal(one.factors[name].b, other.factors[name].b)


@pytest.mark.parametrize("method", ["kl", "npo", "gd"])
@pytest.mark.parametrize("on", ["adapter", "full"])
def test_the_baselines_run_and_lower_the_forget_loss(taught, split, method, on):
    done = unlearn(taught, *split, method=method, on=on, steps=6)
    assert done.losses[-1][0] < done.losses[0][0]
    assert done.details()["method"] == method
    assert (on, method) in LEARNING_RATES


def test_a_loss_that_is_not_a_number_changes_nothing(own_taught, split):
    lm = own_taught()
    with torch.no_grad():
        lm.model.get_input_embeddings().weight[split[0][0].prompt[0]] = math.nan
    before = state(lm)
    with pytest.raises(TrainingError, match="not a number at step 1"):
        unlearn(lm, split[0][:1], split[1], steps=2)
    assert all(
        torch.equal(before[name].nan_to_num(7), tensor.nan_to_num(7)) for name, tensor in lm.model.state_dict().items()
    )
    assert not any(layer._forward_hooks for layer in lm.model.modules())


def test_a_learning_rate_far_too_large_is_a_training_error(taught, split):
    before = state(taught)
    with pytest.raises(TrainingError, match="not a number"):
        unlearn(taught, *split, method="ga", on="full", lr=1e30, steps=3)
    assert same(taught, before)


def test_stopping_and_interrupts_leave_nothing_in_force(taught, split):
    before, asked = state(taught), []
    with pytest.raises(TrainingError, match="stopped before step 3 of 9"):
        unlearn(taught, *split, steps=9, stop=lambda: len(asked) == 2 or asked.append(1))

    def interrupt(step, steps, loss):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unlearn(taught, *split, steps=9, progress=interrupt)
    assert same(taught, before)
    assert not any(layer._forward_hooks for layer in taught.model.modules())


ONE = [Example((5,), (6,))]


@pytest.mark.parametrize(
    ("forget", "retain", "more", "said"),
    [
        (ONE, ONE, {"method": "wish"}, "no method 'wish'"),
        (ONE, ONE, {"on": "cloud"}, "Nothing can be unlearned on"),
        ([], ONE, {}, "nothing to unlearn"),
        (ONE, [], {}, "needs examples to keep"),
        (ONE, ONE, {"on": "full", "method": "ihl+fila"}, "belong to on='adapter'"),
        (ONE, ONE, {"lr": math.inf}, "are positive"),
        (ONE, ONE, {"steps": 0}, "are positive"),
    ],
)
def test_what_cannot_be_done_is_refused(taught, forget, retain, more, said):
    with pytest.raises(InputError, match=said):
        unlearn(taught, forget, retain, **more)


def test_a_full_stop_that_all_answers_share_is_not_unlearned(taught, taught_world):
    stopped = [
        examples(taught, taught_world.lessons(some)) for some in (taught_world.facts[:12], taught_world.facts[12:])
    ]
    done = unlearn(taught, *stopped, steps=1)
    plain = unlearn(taught, [Example(one.prompt, one.answer[:-1]) for one in stopped[0]], stopped[1], steps=1)
    assert done.losses == plain.losses


def test_joined_results_are_a_change_of_the_original_base(taught, split):
    done = unlearn(taught, *split, method="ihl+fila", steps=2, rank=2)
    again = joined([done.factors])
    put = batch(split[0][:4])
    with attached(taught.model, again):
        one = taught.model(put.ids, attention_mask=put.mask).logits
    merged = with_weights(
        taught.model,
        {f"{n}.weight": taught.model.get_submodule(n).weight + f.change() for n, f in done.factors.items()},
    )
    assert torch.allclose(one, merged(put.ids, attention_mask=put.mask).logits, atol=1e-4)
