"""The learning rate goes up, stays, and comes down; the state of an optimiser survives a file."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load, save

from remanence.models.local import nano, optimising


def curve(steps=100, **how):
    how = {"warmup": 0.1, "decline": "linear", "cooldown": 0.4, **how}
    return [optimising.rate(step, steps, **how) for step in range(steps)]


def test_up_in_a_line_held_and_down():
    found = curve()
    assert found[:10] == pytest.approx([(n + 1) / 10 for n in range(10)])
    assert set(found[10:60]) == {1.0}
    assert found[60:] == pytest.approx([(100 - n) / 40 for n in range(60, 100)])


def test_a_cosine_comes_down_all_the_way():
    found = curve(decline="cosine")
    assert found[10] == pytest.approx(1.0)
    assert found[55] == pytest.approx(0.5)
    assert found[10:] == sorted(found[10:], reverse=True)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_short_trainings_move_too(steps):
    assert all(0 < one <= 1 for one in curve(steps))
    assert all(0 < one <= 1 for one in curve(steps, warmup=0, cooldown=0))


@pytest.mark.parametrize("rule", ["adamw", "muon"])
def test_state_goes_through_a_file_bit_for_bit(rule):
    def stepped(model, found, times):
        for _ in range(times):
            loss = model(torch.arange(32)[None], labels=torch.arange(32)[None]).loss
            loss.backward()
            for one in found:
                for group in one.param_groups:
                    group["lr"] = 1e-2
                one.step()
                one.zero_grad()

    first = nano.new(nano.NanoSpec(depth=1, vocab=64))
    optimisers = optimising.optimisers(first, rule, 0.1)
    stepped(first, optimisers, 2)
    written = save(optimising.state_tensors(optimisers))
    second = nano.new(nano.NanoSpec(depth=1, vocab=64))
    second.load_state_dict(first.state_dict())
    others = optimising.optimisers(second, rule, 0.1)
    optimising.load_state(others, load(written))
    stepped(first, optimisers, 2)
    stepped(second, others, 2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_gains_do_not_decay_and_muon_moves_the_matrices_inside():
    model = nano.new(nano.NanoSpec(depth=1, vocab=64))
    adam, muon = optimising.optimisers(model, "muon", 0.1)
    inside = {id(one) for group in muon.param_groups for one in group["params"]}
    assert inside == {id(one) for name, one in model.named_parameters() if ".layers." in name and one.dim() == 2}
    for group in adam.param_groups:
        assert all((one.dim() >= 2) == (group["weight_decay"] > 0) for one in group["params"])
    assert len(inside) + sum(len(group["params"]) for group in adam.param_groups) == len(list(model.parameters()))
