"""Factors and adapter files: one is the other, on the same base."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from remanence.errors import InputError, ModelMismatchError, UnsupportedModelError
from remanence.evaluation.probes import world_probes
from remanence.parametric import adapterfile
from remanence.parametric.unlearning.adapters import adapter_of, factors_of, secrets_of, unlearn_adapter
from remanence.parametric.unlearning.examples import Example
from remanence.parametric.unlearning.factors import Factor, attached, linears
from remanence.parametric.unlearning.run import unlearn

FORGET, RETAIN = (
    [Example((5, 6), (7,)), Example((8, 9, 4), (3, 2))],
    [Example((10, 11), (12,)), Example((13, 14), (15,))],
)


def random_factors(lm, ranks=(2, 3)):
    generator = torch.Generator().manual_seed(0)
    return {
        name: Factor(
            torch.randn(ranks[n % 2], layer.in_features, generator=generator) / 10,
            torch.randn(layer.out_features, ranks[n % 2], generator=generator) / 10,
        )
        for n, (name, layer) in enumerate(linears(lm.model).items())
    }


def test_factors_survive_the_file_and_mean_the_same_on_the_model(own_taught, tmp_path):
    lm = own_taught()
    factors = random_factors(lm)
    with attached(lm.model, factors):
        wanted = lm.forward([5, 6, 7]).logits
    plain = lm.forward([5, 6, 7]).logits
    path = adapterfile.write(adapter_of(factors, lm, {"sources": []}), tmp_path / "a.safetensors")
    with adapterfile.attached(lm, adapterfile.open_(path, lm)):
        assert torch.allclose(lm.forward([5, 6, 7]).logits, wanted, atol=1e-4)
    assert torch.equal(lm.forward([5, 6, 7]).logits, plain)
    back = factors_of(adapterfile.open_(path, lm), lm)
    assert all(torch.equal(back[name].b, one.b) for name, one in factors.items())


def test_the_scale_of_an_adapter_goes_into_b(own_taught):
    lm = own_taught()
    made = adapter_of(random_factors(lm, (2, 2)), lm, {})
    scaled = replace(made, config={**made.config, "lora_alpha": 6, "alpha_pattern": {}})
    name = scaled.modules[0]
    assert torch.allclose(factors_of(scaled, lm)[name].b, 3 * factors_of(made, lm)[name].b)


@pytest.mark.parametrize(("method", "rank"), [("ihl", 2), ("ihl+fila", 6)])
def test_what_unlearned_is_swapped_in_like_any_adapter(own_taught, tmp_path, method, rank):
    lm = own_taught()
    before = adapter_of(random_factors(lm, (2, 2)), lm, {"sources": [["a", 1]]})
    after, _ = unlearn_adapter(lm, before, FORGET, RETAIN, method=method, steps=2, rank=2)
    assert (after.config["r"], after.config["lora_alpha"]) == (rank, rank)
    mount = adapterfile.attach(lm, adapterfile.write(after, tmp_path / "b.safetensors"))
    with_it = lm.forward([5, 6]).logits
    adapterfile.detach(mount)
    with attached(lm.model, factors_of(after, lm)):
        assert torch.allclose(lm.forward([5, 6]).logits, with_it, atol=1e-4)


def test_what_does_not_fit_is_refused(own_taught):
    lm = own_taught()
    made = adapter_of(random_factors(lm), lm, {})
    with pytest.raises(ModelMismatchError, match="weights"):
        factors_of(replace(made, fingerprint=replace(made.fingerprint, weights="0" * 32)), lm)
    with pytest.raises(UnsupportedModelError, match="transposed"):
        factors_of(replace(made, config={**made.config, "fan_in_fan_out": True}), lm)
    with pytest.raises(InputError, match="without factors"):
        adapter_of({}, lm, {})
    mount = adapterfile.Mount(lm)
    mount.put("memory", made)
    for call in (lambda: unlearn_adapter(lm, made, FORGET, RETAIN), lambda: unlearn(lm, FORGET, RETAIN)):
        with pytest.raises(InputError, match="carries adapters"):
            call()
    mount.close()


def test_facts_without_a_taught_prompt_are_no_secrets(taught_world):
    probes = world_probes(taught_world, taught_world.facts[:2], local=taught_world.facts[4:6])
    found = secrets_of(probes)
    assert [one.id for one in found] == ["facts/0", "facts/1"]
    assert [len(one.held_out) for one in found] == [2, 2]
    assert found[0].answer == taught_world.answer(taught_world.facts[0])
