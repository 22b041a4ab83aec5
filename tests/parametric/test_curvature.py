"""The curvature edit: factors against a slow twin, the set of pairs against a heap, and the way back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from remanence.errors import InputError, ModelMismatchError, UnsupportedModelError
from remanence.parametric.curvature import (
    Curvature,
    Side,
    collect,
    edit,
    edited,
    equal_ranks,
    mask_of,
    mlp_layers,
    put_in,
    take_out,
    truncate,
)
from remanence.parametric.naive_curvature import factors_one_by_one, mask_by_heap


@pytest.fixture
def model():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=30, hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1,
        max_position_embeddings=32,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval().requires_grad_(False)


def text(seed, count=6, least=3, most=9):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(least, most + 1, (count,), generator=generator).tolist()
    return [torch.randint(0, 30, (length,), generator=generator).tolist() for length in lengths]


def test_factors_are_those_of_the_slow_twin_padding_and_all(model):
    layers = mlp_layers(model, (1,))
    found = collect(model, text(0), layers, batch_size=4, gold=True)
    assert found.tokens == sum(len(one) - 1 for one in text(0))
    for name in layers:
        a, g = factors_one_by_one(model, text(0), name)
        assert torch.allclose(found.sides[name].inputs, a, atol=1e-6)
        assert torch.allclose(found.sides[name].outputs, g, atol=1e-8)
        assert g.abs().max() > 1e-6


def test_drawn_labels_are_seeded_and_give_the_fisher_information_of_the_model(model):
    [name] = mlp_layers(model, (2,), endings=["up_proj"])
    one, same, other = (collect(model, text(1), [name], seed=seed).sides[name].outputs for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    ids = [[3, 4]]  # one token to predict: the expectation over its labels can be written down
    mean = torch.stack([collect(model, ids, [name], seed=seed).sides[name].outputs for seed in range(300)]).mean(0)
    expected = torch.zeros_like(mean)
    with torch.no_grad():
        shares = model(torch.tensor(ids)).logits[0, 0].softmax(-1)
    for label, share in enumerate(shares.tolist()):
        expected += share * factors_one_by_one(model, [[3, label]], name)[1]
    assert torch.allclose(mean, expected, atol=0.3 * expected.abs().max().item())
    gold = collect(model, ids, [name], gold=True).sides[name].outputs
    assert (mean - expected).norm() < 0.3 * (gold - expected).norm()


def test_collecting_leaves_the_model_as_it_was(model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    collect(model, text(0), mlp_layers(model))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in model.parameters())
    assert not any(layer._forward_hooks for layer in model.modules())


shares = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=9, unique=True)


@given(inputs=shares, outputs=shares, mass=st.floats(0.05, 0.999))
def test_the_set_of_pairs_is_the_one_a_heap_walks_to(inputs, outputs, mass):
    inputs, outputs = sorted(inputs, reverse=True), sorted(outputs, reverse=True)
    scores = torch.tensor(outputs, dtype=torch.float64)[:, None] * torch.tensor(inputs, dtype=torch.float64)
    mask = mask_of(scores, mass)
    walked = mask_by_heap(inputs, outputs, mass)
    assert scores[mask].sum() >= mass * scores.sum() * (1 - 1e-9)
    assert abs(len(walked) - int(mask.sum())) <= 1  # ties and rounding at the edge
    slow = torch.zeros_like(mask)
    slow[tuple(torch.tensor(sorted(walked)).T)] = True
    assert scores[slow].sum().item() == pytest.approx(
        scores[mask].sum().item(), rel=1e-9, abs=scores.min().item() * 1.001
    )
    assert scores[mask].min() >= scores[~mask].max() if (~mask).any() else True


def test_the_smallest_set_is_meant():
    assert mask_of(torch.tensor([[5.0, 3.0], [1.0, 1.0]]), 0.8).tolist() == [[True, True], [False, False]]
    assert mask_of(torch.tensor([[5.0, 3.0], [1.0, 1.0]]), 0.81).sum() == 3
    with pytest.raises(InputError, match="no share"):
        mask_of(torch.ones(2, 2), 0)


def sides(generator, out=5, into=4):
    def factor(size):
        half = torch.randn(size, size, generator=generator)
        return half @ half.T

    return Side(factor(into), factor(out))


def linear(seed=0):
    torch.manual_seed(seed)
    return nn.ModuleDict({"one": nn.Linear(4, 5, bias=False)})


def test_the_edit_is_the_projection_onto_the_kept_pairs():
    layer, side = linear(), sides(torch.Generator().manual_seed(1))
    change = edit(layer, Curvature({"one": side}, 9), mass=0.9)
    weight = layer["one"].weight.detach().double()
    values, u = torch.linalg.eigh(side.inputs.double())
    others, v = torch.linalg.eigh(side.outputs.double())
    kept = mask_by_heap(values.flip(0).tolist(), others.flip(0).tolist(), 0.9)
    expected = torch.zeros_like(weight)
    for i, j in kept:  # one pair at a time
        left, right = v[:, -1 - i], u[:, -1 - j]
        expected += torch.outer(left, right) * (left @ weight @ right)
    assert torch.allclose(change.changed["one"].double(), expected, atol=1e-5)
    assert change.kept["one"] == pytest.approx(len(kept) / 20)
    assert torch.equal(layer["one"].weight, change.originals["one"])
    assert torch.equal(change.deltas()["one"], change.changed["one"] - layer["one"].weight)


def test_the_whole_mass_keeps_the_weight():
    layer, side = linear(), sides(torch.Generator().manual_seed(1))
    assert torch.allclose(
        edit(layer, Curvature({"one": side}, 9), mass=1).changed["one"], layer["one"].weight, atol=1e-5
    )


def test_a_protected_corpus_keeps_its_directions():
    layer, e, f = linear(), torch.eye(4), torch.eye(5)
    general = Curvature({"one": Side(torch.outer(e[0], e[0]) + 1e-9 * e, torch.outer(f[0], f[0]) + 1e-9 * f)}, 9)
    other = Curvature({"one": Side(torch.outer(e[1], e[1]), torch.outer(f[1], f[1]))}, 9)
    weight = layer["one"].weight
    plain = edit(layer, general, mass=0.99).changed["one"]
    saved = edit(layer, general, mass=0.99, protected=[other], weight=0.5).changed["one"]
    assert plain[0, 0].item() == pytest.approx(weight[0, 0].item(), abs=1e-5)
    assert plain[1, 1].abs() < 1e-5
    assert saved[1, 1].item() == pytest.approx(weight[1, 1].item(), abs=1e-5)
    assert saved[2:, 2:].abs().max() < 1e-5
    none = edit(layer, general, mass=0.99, protected=[other], weight=0)
    assert torch.allclose(none.changed["one"], plain, atol=1e-5)


def test_an_edit_comes_and_goes_bit_by_bit(model):
    change = edit(model, collect(model, text(0), mlp_layers(model)), mass=0.7)
    ids = torch.tensor(text(5, least=8)[:1])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    logits = model(ids).logits
    with edited(model, change):
        inside = model(ids).logits
    with pytest.raises(KeyboardInterrupt), edited(model, change):
        raise KeyboardInterrupt
    assert not torch.allclose(inside, logits)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    put_in(model, change)
    assert torch.equal(model(ids).logits, inside)
    take_out(model, change)
    assert torch.equal(model(ids).logits, logits)


def test_an_edit_of_other_weights_is_refused_before_anything_is_written(model):
    change = edit(model, collect(model, text(0), mlp_layers(model, (1, 2))), mass=0.7)
    model.model.layers[2].mlp.up_proj.weight[0, 0] += 1
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ModelMismatchError, match="other weights"), edited(model, change):
        pass
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_the_baseline_is_a_truncated_svd_and_counts_its_numbers():
    layer = linear()
    change = truncate(layer, ["one"], ranks={"one": 2})
    u, s, v = torch.linalg.svd(layer["one"].weight.detach(), full_matrices=False)
    assert torch.allclose(change.changed["one"], u[:, :2] * s[:2] @ v[:2], atol=1e-5)
    assert change.kept["one"] == pytest.approx(2 * (5 + 4 - 2) / 20)
    assert equal_ranks(change) == {"one": 2}
    everything = truncate(layer, ["one"], energy=1.0)
    assert torch.allclose(everything.changed["one"], layer["one"].weight, atol=1e-5)
    share = float((s[:1] ** 2).sum() / (s**2).sum())
    assert truncate(layer, ["one"], energy=share - 0.01).kept["one"] == pytest.approx(8 / 20)
    with pytest.raises(InputError, match="energy or to ranks"):
        truncate(layer, ["one"])


def test_layers_are_named_and_what_is_not_there_is_refused(model):
    assert mlp_layers(model, (0,)) == ["model.layers.0.mlp.gate_proj", "model.layers.0.mlp.up_proj"]
    assert {name.split(".")[2] for name in mlp_layers(model)} == {"1", "2"}
    with pytest.raises(InputError, match="has 3"):
        mlp_layers(model, (7,))
    with pytest.raises(UnsupportedModelError):
        mlp_layers(nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(UnsupportedModelError, match="no linear layer x"):
        collect(model, text(0), ["x"])
    with pytest.raises(InputError, match="no text"):
        collect(model, [[1]], mlp_layers(model))


def test_a_protected_corpus_of_other_layers_is_refused(model):
    general = collect(model, text(0), mlp_layers(model, (1,)))
    with pytest.raises(InputError, match="other layers"):
        edit(model, general, protected=[collect(model, text(0), mlp_layers(model, (2,)))])
    wrong = Curvature({"one": sides(torch.Generator())}, 1)
    with pytest.raises(ModelMismatchError, match="other sizes"):
        edit(nn.ModuleDict({"one": nn.Linear(3, 5)}), wrong)
