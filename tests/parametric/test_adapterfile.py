"""Adapters as files, and on and off a model: what comes off leaves nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("peft", reason="needs the extra `local`")

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

from remanence.errors import InputError, ModelMismatchError, PayloadDamagedError
from remanence.models.local.causal import CausalLM
from remanence.models.local.nano import NanoSpec, new
from remanence.models.local.tokenizing import byte_tokenizer
from remanence.parametric.adapterfile import (
    Adapter,
    Mount,
    attach,
    attached,
    config_for,
    detach,
    linear_layers,
    open_,
    read,
    write,
)

torch.set_num_threads(1)


def nano(seed: int = 0) -> CausalLM:
    tokenizer = byte_tokenizer()
    return CausalLM.of(new(NanoSpec(depth=2, width=32, heads=2, vocab=len(tokenizer), seed=seed)), tokenizer)


def random_adapter(
    lm: CausalLM, rank: int = 3, seed: int = 0, targets: tuple[str, ...] = (), size: float = 0.3
) -> Adapter:
    drawn = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, module in linear_layers(lm, targets).items():
        out, inner = module.weight.shape if isinstance(module, torch.nn.Linear) else module.weight.shape[::-1]
        tensors[f"base_model.model.{name}.lora_A.weight"] = torch.randn(rank, inner, generator=drawn) * size
        tensors[f"base_model.model.{name}.lora_B.weight"] = torch.randn(out, rank, generator=drawn) * size
    return Adapter(config_for(lm, rank, 2.0 * rank, targets), tensors, lm.fingerprint, {"sources": [["a", 1]]})


@pytest.fixture
def lm() -> CausalLM:
    return nano()


def logits(lm: CausalLM):
    return lm.forward(lm.encode("The kiln fires at 1240 °C.")).logits.clone()


def state(lm: CausalLM) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in lm.model.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


def test_saved_and_read_again_it_is_the_same(lm, tmp_path):
    adapter = random_adapter(lm)
    again = open_(write(adapter, tmp_path / "a.safetensors"), lm)
    assert again.config == adapter.config
    assert again.fingerprint == adapter.fingerprint
    assert again.details == adapter.details
    assert same(dict(sorted(again.tensors.items())), dict(sorted(adapter.tensors.items())))
    with attached(lm, adapter):
        first = logits(lm)
    with attached(lm, again):
        assert torch.equal(logits(lm), first)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_what_comes_off_leaves_the_base_bit_for_bit(lm, tmp_path):
    before, weights, fingerprint = logits(lm), state(lm), lm.fingerprint
    path, other = write(random_adapter(lm), tmp_path / "a.safetensors"), random_adapter(lm, rank=5, seed=1)
    layers = linear_layers(lm)
    mount = attach(lm, path)
    assert linear_layers(lm) == layers
    assert not torch.allclose(logits(lm), before)
    assert lm.fingerprint.adapter
    mount.put("other", other)
    mount.activate("memory", "other")
    mount.activate()
    assert torch.equal(logits(lm), before)
    detach(mount)
    assert torch.equal(logits(lm), before)
    assert same(state(lm), weights)
    assert lm.fingerprint == fingerprint
    assert not hasattr(lm.model, "peft_config")
    assert not any(weight.requires_grad for weight in lm.model.parameters())


def test_the_update_is_what_the_factors_say(lm):
    adapter = random_adapter(lm)
    by_hand = nano()
    with torch.no_grad():
        for name in adapter.modules:
            a, b = adapter.factors(name)
            by_hand.model.get_submodule(name).weight += adapter.scale(name) * b @ a
    with attached(lm, adapter):
        assert torch.allclose(logits(lm), logits(by_hand), atol=2e-4)


def test_active_together_they_add_up(lm):
    first, second = random_adapter(lm, 2, 1, size=0.2), random_adapter(lm, 4, 2, size=0.2)
    by_hand = nano()
    with torch.no_grad():
        for adapter in (first, second):
            for name in adapter.modules:
                a, b = adapter.factors(name)
                by_hand.model.get_submodule(name).weight += adapter.scale(name) * b @ a
    mount = Mount(lm)
    mount.put("first", first)
    mount.put("second", second)
    mount.activate("first", "second")
    both = logits(lm)
    mount.take("first")
    alone = logits(lm)
    mount.close()
    assert torch.allclose(both, logits(by_hand), atol=2e-4)
    with attached(lm, second):
        assert torch.equal(logits(lm), alone)


def test_an_adapter_of_another_model_is_refused(lm, tmp_path):
    path = write(random_adapter(nano(1)), tmp_path / "a.safetensors")
    with pytest.raises(ModelMismatchError, match="weights"):
        open_(path, lm)
    with pytest.raises(ModelMismatchError, match="another model"):
        attach(lm, path)
    assert not hasattr(lm.model, "peft_config")
    assert read(path).modules


def test_an_adapter_that_does_not_fit_is_refused_and_leaves_nothing(lm):
    before = logits(lm)
    adapter = random_adapter(lm)
    one = next(iter(adapter.tensors))
    odd = replace(adapter, tensors={**adapter.tensors, one: torch.zeros(3, 5)})
    fewer = replace(adapter, tensors={name: tensor for name, tensor in adapter.tensors.items() if "layers.0" in name})
    elsewhere = replace(adapter, config={**adapter.config, "target_modules": ["no_such_layer"]})
    mount = Mount(lm)
    for broken in (odd, fewer, elsewhere):
        with pytest.raises(ModelMismatchError):
            mount.put("broken", broken)
        assert mount.names == ()
        assert torch.equal(logits(lm), before)
    mount.put("whole", adapter)
    with pytest.raises(ModelMismatchError):
        mount.put("broken", odd)
    assert mount.names == ("whole",)
    mount.close()
    assert torch.equal(logits(lm), before)


def rewritten(path: Path, **changed: str) -> None:
    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata()) | changed
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path, {name: value for name, value in metadata.items() if value})


def test_a_damaged_file_is_named(lm, tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(PayloadDamagedError, match="cannot be read"):
        read(path)
    write(random_adapter(lm), path)
    whole = path.read_bytes()
    for broken in (whole[:-5], whole[: len(whole) // 2], b"", b"{}" * 40):
        path.write_bytes(broken)
        with pytest.raises(PayloadDamagedError):
            read(path)
    flipped = bytearray(whole)
    flipped[-3] ^= 64
    path.write_bytes(flipped)
    with pytest.raises(PayloadDamagedError, match="not what was written"):
        read(path)
    for changed in (
        {"format": "remanence.kv/1"},
        {"config": ""},
        {"fingerprint": json.dumps({"weights": "x"})},
        {"details": "["},
    ):
        path.write_bytes(whole)
        rewritten(path, **changed)
        with pytest.raises(PayloadDamagedError):
            read(path)


def test_names_and_mounts(lm):
    mount = Mount(lm)
    adapter = random_adapter(lm)
    mount.put("one", adapter)
    for name in ("one", "no name", ""):
        with pytest.raises(InputError, match="cannot be called"):
            mount.put(name, adapter)
    with pytest.raises(InputError, match="No adapter"):
        mount.activate("two")
    with pytest.raises(InputError, match="No adapter"):
        mount.take("two")
    with pytest.raises(InputError, match="carries adapters"):
        Mount(lm)
    mount.close()
    mount.close()
    Mount(lm).close()


def test_targets(lm):
    assert set(config_for(lm, 2, 4)["target_modules"]) == {
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    }
    some = random_adapter(lm, targets=("down_proj",))
    assert all(name.endswith("down_proj") for name in some.modules)
    with attached(lm, some):
        pass
    for rank, targets in ((0, ()), (2, ("lm_head",)), (2, ("nothing",))):
        with pytest.raises(InputError, match="cannot be made"):
            config_for(lm, rank, 4, targets)


def test_layers_that_store_their_weight_transposed():
    tokenizer = byte_tokenizer()
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=32, n_layer=2, n_head=2))
    lm = CausalLM.of(model, tokenizer)
    before, weights = logits(lm), state(lm)
    adapter = random_adapter(lm)
    with attached(lm, adapter):
        assert not torch.allclose(logits(lm), before)
    assert torch.equal(logits(lm), before)
    assert same(state(lm), weights)
