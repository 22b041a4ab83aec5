from __future__ import annotations

import math

import numpy as np
import pytest

from remanence.models.local import measure as measuring
from remanence.models.local.measure import machine_digest, measure, model_digest
from remanence.scheduling.cost import Machine

torch = pytest.importorskip("torch", reason="needs the extra `local`")


@pytest.fixture(scope="module")
def lm():
    from remanence.models.local import nano, tokenizing
    from remanence.models.local.causal import CausalLM

    torch.set_num_threads(1)
    spec = nano.NanoSpec(depth=2, width=32, heads=2, kv_heads=1, vocab=300, context=256)
    return CausalLM.of(nano.new(spec), tokenizing.byte_tokenizer())


def test_a_machine_is_measured_and_nothing_is_left_behind(lm, tmp_path):
    asked = []
    weights = model_digest(lm)
    machine = Machine(**measure(lm, tmp_path / "p", asked.extend, rounds=2))
    assert machine.prefill + machine.quadratic > 0
    for name in ("decode", "write", "hash", "embed", "train"):
        assert 0 < getattr(machine, name) < 1, name
    assert machine.load + machine.opening > 0
    assert (machine.bytes_per_token, machine.context) == (lm.bytes_per_token, 256)
    assert (machine.model, machine.name) == (weights, machine_digest(lm))
    assert len(set(asked)) == 2
    assert list((tmp_path / "p").iterdir()) == []
    assert not any(one.requires_grad for one in lm.model.parameters())
    assert model_digest(lm) == weights


def test_without_an_embedder_it_costs_nothing(lm, tmp_path):
    assert measure(lm, tmp_path, rounds=1)["embed"] == 0


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks for it by its old name
def test_the_bytes_of_an_adapter_are_those_of_peft(lm):
    from peft import LoraConfig, get_peft_model

    from remanence.models.local import nano

    spec = nano.NanoSpec(depth=2, width=32, heads=2, kv_heads=1, vocab=300, context=256)
    tuned = get_peft_model(nano.new(spec), LoraConfig(r=measuring.RANK, target_modules="all-linear"))
    assert 4 * sum(one.numel() for one in tuned.parameters() if one.requires_grad) == measuring._adapter_bytes(lm)


def test_the_parts_of_a_prefill_are_found_again():
    lengths = [16, 32, 64, 128, 256, 512]
    given = (2e-3, 3e-5, 4e-8)
    seconds = [given[0] + given[1] * n + given[2] * n * n for n in lengths]
    assert measuring._fitted(lengths, seconds) == pytest.approx(given, rel=1e-6)
    noise = np.random.default_rng(0).normal(1, 0.05, len(lengths))
    found = measuring._fitted(lengths, [one * factor for one, factor in zip(seconds, noise, strict=True)])
    assert all(part >= 0 and math.isfinite(part) for part in found)
    at = 300
    assert found[0] + found[1] * at + found[2] * at**2 == pytest.approx(
        given[0] + given[1] * at + given[2] * at**2, rel=0.2
    )
    assert measuring._fitted([16], [0.016]) == pytest.approx((0, 1e-3, 0))
    assert measuring._fitted([16, 32, 64], [1.0, 1.0, 1.0]) == pytest.approx((0, 1 / 64, 0))  # only a constant


def test_what_takes_long_is_measured_once(lm):
    calls = []
    measuring._timed(lm, lambda: calls.append(1), 5)
    assert len(calls) == 5


def test_machines_and_models_are_told_apart(lm):
    from remanence.models.local import nano, tokenizing
    from remanence.models.local.causal import CausalLM

    other = CausalLM.of(nano.new(nano.NanoSpec(depth=1, vocab=300, seed=1)), tokenizing.byte_tokenizer())
    assert model_digest(other) != model_digest(lm)
    assert machine_digest(other) == machine_digest(lm)
