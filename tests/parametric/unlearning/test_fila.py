"""The Fisher-weighted start: importance, the cut, and that nothing changes at step 0."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from remanence.errors import InputError
from remanence.parametric.unlearning import fila
from remanence.parametric.unlearning.examples import Example, batch
from remanence.parametric.unlearning.factors import attached, fresh, joined, linears
from remanence.parametric.unlearning.losses import cross_entropy, told


@pytest.fixture(scope="module")
def lm():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        max_position_embeddings=64,
    )  # fmt: skip
    return SimpleNamespace(model=LlamaForCausalLM(config).eval().requires_grad_(False))


def chosen(seed, count=6):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 40, (count, 6), generator=generator).tolist()
    return [Example(tuple(row[:4]), tuple(row[4 : 4 + 1 + number % 2])) for number, row in enumerate(ids)]


def logits(lm, factors, examples):
    put = batch(examples)
    with attached(lm.model, factors):
        return lm.model(put.ids, attention_mask=put.mask).logits


def test_importance_is_the_squared_gradient_of_each_example_alone(lm):
    layers = linears(lm.model, ["1.mlp.down_proj"])
    [name] = layers
    examples = chosen(0, 3)
    found = fila.fisher(lm.model, examples, fila.effective(layers, {}))[f"{name}.weight"]
    weight, total, tokens = layers[name].weight, 0, 0
    for one in examples:
        put = batch([one])
        weight.requires_grad_(True)
        loss = cross_entropy(told(lm.model(put.ids).logits, put.labels)).mean()
        [gradient] = torch.autograd.grad(loss, [weight])
        weight.requires_grad_(False)
        total, tokens = total + gradient**2 * len(one.answer), tokens + len(one.answer)
    assert torch.allclose(found, total / tokens, rtol=1e-4, atol=1e-12)
    assert found.max() > 0


def test_importance_looks_through_the_adapter_that_is_in_force(lm):
    layers = linears(lm.model, ["mlp.down_proj"])
    held = {
        n: type(f)(f.a, torch.ones_like(f.b)) for n, f in fresh(layers, 2, torch.Generator().manual_seed(0)).items()
    }
    plain = fila.fisher(lm.model, chosen(0), fila.effective(layers, {}))
    through = fila.fisher(lm.model, chosen(0), fila.effective(layers, held))
    assert not torch.allclose(next(iter(plain.values())), next(iter(through.values())))


def test_row_weights_have_mean_one_and_do_not_depend_on_the_scale():
    forget, retain = torch.rand(5, 3), torch.rand(5, 3) + 1
    rows = fila.row_weights(forget, retain)
    assert rows.mean() == pytest.approx(1)
    assert torch.allclose(rows, fila.row_weights(forget * 1e-6, retain), rtol=1e-3)
    assert torch.equal(fila.row_weights(torch.zeros(5, 3), retain), torch.ones(5))


def test_rows_that_the_forget_set_needs_weigh_more():
    forget, retain = torch.full((4, 3), 0.1), torch.full((4, 3), 0.1)
    forget[2] *= 50
    assert fila.row_weights(forget, retain).argmax() == 2


@given(seed=st.integers(0, 1000), scale=st.floats(1, 1e3))
def test_the_cut_is_the_best_one_under_the_row_weights_whatever_their_scale(seed, scale):
    generator = torch.Generator().manual_seed(seed)
    weight, rows = torch.randn(7, 5, generator=generator), torch.rand(7, generator=generator) + 0.1
    u, s, v = torch.linalg.svd(rows[:, None] * weight, full_matrices=False)
    best = (u[:, 2:] * s[2:] @ v[2:]).norm().item()
    for cut in (fila.split(weight, rows, 2), fila.split(weight, rows * scale, 2)):
        assert (rows[:, None] * (weight - cut.change())).norm().item() == pytest.approx(best, rel=1e-3)
        assert cut.a.norm().item() == pytest.approx(cut.b.norm().item(), rel=1e-4)


def test_the_whole_rank_is_the_whole_weight():
    weight = torch.randn(4, 6)
    assert torch.allclose(fila.split(weight, torch.rand(4) + 0.5, 4).change(), weight, atol=1e-5)


@pytest.mark.parametrize("with_adapter", [False, True])
def test_nothing_changes_at_step_0_on_the_original_base(lm, with_adapter):
    layers = linears(lm.model)
    held = {}
    if with_adapter:
        start = fresh(layers, 2, torch.Generator().manual_seed(3))
        held = {name: type(one)(one.a, torch.full_like(one.b, 0.05)) for name, one in start.items()}
    begun = fila.start(lm.model, layers, chosen(1), chosen(2), 4, held=held)
    everything = joined([begun.trained, begun.removed, held])
    assert {one.rank for one in everything.values()} == {8 + 2 * with_adapter}
    assert (logits(lm, everything, chosen(5)) - logits(lm, held, chosen(5))).abs().max() < 1e-4
    assert all(one.change().abs().max() > 1e-3 for one in begun.trained.values())  # there is something to train


def test_importance_of_nothing_is_refused(lm):
    with pytest.raises(InputError, match="needs examples"):
        fila.fisher(lm.model, [], fila.effective(linears(lm.model), {}))
