"""Merging: `cat` is the sum, `ties` and `dare` are what their papers say, and what is neither is refused."""

from __future__ import annotations

import pytest
import torch
from peft.tuners.lora import LoraModel

from remanence.errors import InputError, ModelMismatchError
from remanence.parametric import adapterfile
from remanence.parametric.adapterfile import Adapter, Mount, config_for
from remanence.parametric.adapters import LiveAdapters
from remanence.parametric.merging import Merging, merge, merged

PROMPT = "Question: Where does Mira Kovac live? Answer:"


def drawn(lm, seed, rank=3, targets=("down_proj", "v_proj"), sources=()):
    config = config_for(lm, rank, 2 * rank, targets)
    dice = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, module in adapterfile.linear_layers(lm, targets).items():
        out, inner = module.weight.shape
        tensors[f"base_model.model.{name}.lora_A.weight"] = torch.randn(rank, inner, generator=dice) * 0.2
        tensors[f"base_model.model.{name}.lora_B.weight"] = torch.randn(out, rank, generator=dice) * 0.2
    return Adapter(config, tensors, lm.fingerprint, {"sources": list(sources), "tokens": 10})


def delta(adapter, module):
    down, up = adapter.factors(module)
    return adapter.scale(module) * up.double() @ down.double()


@pytest.fixture
def lm(own_taught):
    return own_taught()


def logits(lm, names, **adapters):
    live = LiveAdapters(lm)
    for name, adapter in adapters.items():
        live.put(name, adapter)
    with live.active(names):
        found = lm.forward(lm.encode(PROMPT)).logits
    live.close()
    return found


def test_concatenation_is_the_sum(lm, tmp_path):
    a, b = drawn(lm, 1, sources=[["x", 1], ["y", 2]]), drawn(lm, 2, rank=5, sources=[["y", 2], ["z", 1]])
    made = merge([a, b], lm, tmp_path / "merged", Merging(how="cat"))
    both = adapterfile.open_(tmp_path / "merged", lm)
    for module in a.modules:
        assert (delta(both, module) - delta(a, module) - delta(b, module)).abs().max() < 1e-5
        assert both.factors(module)[0].shape[0] == 8
    assert (logits(lm, ["a", "b"], a=a, b=b) - logits(lm, ["m"], m=both)).abs().max() < 1e-3
    assert made.details["sources"] == [["x", 1], ["y", 2], ["z", 1]]
    assert [one["details"]["sources"] for one in made.details["merged"]["parents"]] == [
        a.details["sources"],
        b.details["sources"],
    ]
    assert made.details["tokens"] == 20
    assert made.format == "remanence.lora/1"


def test_weights_scale_the_updates(lm):
    a, b = drawn(lm, 1), drawn(lm, 2)
    both = merged([a, b], lm, Merging(weights=(0.5, -2.0)))
    for module in a.modules:
        assert (delta(both, module) - 0.5 * delta(a, module) + 2 * delta(b, module)).abs().max() < 1e-5


def test_linear_is_not_the_sum_and_is_refused(lm):
    a, b = drawn(lm, 1), drawn(lm, 2)
    for how in ("linear", "dare_linear", "dare_ties", "magnitude_prune"):
        with pytest.raises(InputError, match="cross terms"):
            Merging(how=how)
    mount = Mount(lm)
    mount.put("a", a)
    mount.put("b", b)
    assert isinstance(mount.tuner, LoraModel)
    mount.tuner.add_weighted_adapter(["a", "b"], [1.0, 1.0], "linear", combination_type="linear")
    linear = mount.adapter("linear", {})
    mount.close()
    for module in a.modules:
        (down_a, up_a), (down_b, up_b) = a.factors(module), b.factors(module)
        cross = 2 * (up_a @ down_b + up_b @ down_a)
        total = delta(a, module) + delta(b, module)
        assert (delta(linear, module) - total).abs().max() > 0.5
        assert (delta(linear, module) - total - cross).abs().max() < 1e-4


def ties(updates, density):
    """Trim, elect a sign, take the mean of those that agree (section 3 of the paper), number by number."""
    trimmed = []
    for update in updates:
        keep = update.abs().flatten().sort(descending=True).indices[: int(density * update.numel())]
        mask = torch.zeros(update.numel(), dtype=torch.bool)
        mask[keep] = True
        trimmed.append(torch.where(mask.reshape(update.shape), update, 0.0))
    elected = torch.where(sum(trimmed) >= 0, 1.0, -1.0)
    agree = [torch.where(one.sign() == elected, one, 0.0) for one in trimmed]
    count = sum((one.sign() == elected).double() for one in trimmed)
    return sum(agree) / count.clamp(min=1)


def test_ties_is_what_the_paper_says(lm):
    a, b, c = (drawn(lm, seed) for seed in (1, 2, 3))
    found = merged([a, b, c], lm, Merging(how="ties", density=0.3, rank=64))
    for module in a.modules:
        expected = ties([delta(one, module) for one in (a, b, c)], 0.3)
        assert (delta(found, module) - expected).abs().max() < 1e-4
    low = merged([a, b, c], lm, Merging(how="ties", density=0.3))
    for module in a.modules:
        expected = ties([delta(one, module) for one in (a, b, c)], 0.3)
        u, s, v = torch.linalg.svd(expected, full_matrices=False)
        assert (delta(low, module) - (u[:, :9] * s[:9]) @ v[:9]).abs().max() < 1e-4


def test_dare_drops_at_random_and_scales_up(lm):
    a, b = drawn(lm, 1), drawn(lm, 2)
    state = torch.random.get_rng_state()
    found = merged([a, b], lm, Merging(how="dare", density=0.5, rank=64, seed=3))
    assert torch.equal(state, torch.random.get_rng_state())
    again = merged([a, b], lm, Merging(how="dare", density=0.5, rank=64, seed=3))
    other = merged([a, b], lm, Merging(how="dare", density=0.5, rank=64, seed=4))
    for module in a.modules:
        left, right, got = delta(a, module), delta(b, module), delta(found, module)
        choices = torch.stack([torch.zeros_like(left), 2 * left, 2 * right, 2 * left + 2 * right])
        assert (choices - got).abs().min(0).values.max() < 1e-4
        assert torch.equal(got, delta(again, module))
        assert not torch.allclose(got, delta(other, module), atol=0.1)
    sure = merged([a, b], lm, Merging(how="dare", density=1.0, rank=64))
    assert (delta(sure, module) - left - right).abs().max() < 1e-4


def test_merging_leaves_the_model_alone(lm):
    before = lm.forward(lm.encode(PROMPT)).logits
    a, b = drawn(lm, 1), drawn(lm, 2)
    for wrong in ([a], []):
        with pytest.raises(InputError):
            merged(wrong, lm, Merging())
    with pytest.raises(InputError):
        merged([a, b], lm, Merging(weights=(1.0,)))
    for options in ({"how": "mean"}, {"density": 0.0}, {"rank": -1}):
        with pytest.raises(InputError):
            Merging(**options)
    merged([a, b], lm, Merging(how="ties"))
    assert torch.equal(before, lm.forward(lm.encode(PROMPT)).logits)
    assert not hasattr(lm.model, "peft_config")
    with torch.no_grad():
        lm.model.lm_head.weight[0, 0] += 1
    with pytest.raises(ModelMismatchError):
        merged([a, b], lm, Merging())
