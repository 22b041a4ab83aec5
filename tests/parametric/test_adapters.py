"""A live set of adapters: what they add is what PEFT adds, and nothing of them stays."""

from __future__ import annotations

import sys
import threading

import pytest
import torch

from remanence.errors import InputError, ModelMismatchError, PayloadDamagedError
from remanence.parametric import adapterfile
from remanence.parametric.adapterfile import Adapter, Mount, config_for
from remanence.parametric.adapters import LiveAdapters

PROMPT = "Question: Where does Mira Kovac live? Answer:"


def drawn(lm, seed, rank=3, targets=()):
    """An adapter of random numbers: it changes every logit."""
    config = config_for(lm, rank, 2 * rank, targets)
    dice = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, module in adapterfile.linear_layers(lm, targets).items():
        out, inner = module.weight.shape
        tensors[f"base_model.model.{name}.lora_A.weight"] = torch.randn(rank, inner, generator=dice) * 0.2
        tensors[f"base_model.model.{name}.lora_B.weight"] = torch.randn(out, rank, generator=dice) * 0.2
    return Adapter(config, tensors, lm.fingerprint)


@pytest.fixture
def lm(own_taught):
    return own_taught()


def logits(lm, prompt=PROMPT):
    return lm.forward(lm.encode(prompt)).logits


def state(lm):
    modules = list(lm.model.modules())
    hooks = sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in modules)
    return len(modules), len(list(lm.model.parameters())), hooks, sorted(vars(lm.model)), lm.adapter


def test_an_active_adapter_computes_what_peft_computes(lm):
    adapters = {"a": drawn(lm, 1), "b": drawn(lm, 2, rank=5, targets=("down_proj", "q_proj"))}
    live = LiveAdapters(lm)
    for name, adapter in adapters.items():
        live.put(name, adapter)
    found = {}
    for names in ((), ("a",), ("b",), ("a", "b")):
        with live.active(names):
            found[names] = logits(lm)
    live.close()
    mount = Mount(lm)
    for name, adapter in adapters.items():
        mount.put(name, adapter)
    for names, expected in found.items():
        mount.activate(*names)
        assert torch.allclose(expected, logits(lm), atol=1e-4, rtol=1e-5)
    assert not torch.allclose(found["a",], found["a", "b"], atol=0.1)
    mount.close()


def test_without_active_adapters_it_is_the_base_bit_by_bit(lm, tmp_path):
    before, weights = logits(lm), {name: tensor.clone() for name, tensor in lm.model.state_dict().items()}
    fresh = state(lm)
    live = LiveAdapters(lm)
    live.put("a", adapterfile.write(drawn(lm, 1), tmp_path / "a"))
    with live.active(["a"]):
        changed = logits(lm)
        assert lm.fingerprint.adapter.startswith("lora:")
        with live.active():
            assert torch.equal(before, logits(lm))
            assert lm.fingerprint.adapter == ""
        assert torch.equal(changed, logits(lm))
    assert torch.equal(before, logits(lm))
    live.take("a")
    assert state(lm) == fresh
    assert all(torch.equal(tensor, weights[name]) for name, tensor in lm.model.state_dict().items())
    assert not torch.equal(before, changed)


def test_fifty_rounds_leave_nothing_behind(lm):
    adapters = [drawn(lm, seed, rank=2) for seed in range(5)]
    fresh, before = state(lm), logits(lm)
    live = LiveAdapters(lm, limit=3)
    for turn in range(50):
        name = f"a{turn % 5}"
        live.put(name, adapters[turn % 5])
        with live.active([name]):
            pass
        if turn % 2:
            live.take(name)
    live.close()
    assert state(lm) == fresh
    assert live.nbytes == 0
    assert torch.equal(before, logits(lm))


def test_loading_the_thirtieth_costs_what_the_second_did(lm):
    live = LiveAdapters(lm, limit=40)
    counts = []
    for seed in range(30):
        live.put(f"a{seed}", drawn(lm, 7, rank=1))
        calls = 0

        def count(_frame, event, _argument):
            nonlocal calls
            calls += event == "call"

        sys.setprofile(count)
        with live.active([f"a{seed}"]):
            sys.setprofile(None)
        counts.append(calls)
    assert max(counts[2:]) <= counts[1] + 4
    live.close()


def test_the_least_recently_used_is_dropped(lm, tmp_path):
    live = LiveAdapters(lm, limit=2)
    for name in "abc":
        live.put(name, adapterfile.write(drawn(lm, ord(name), rank=1), tmp_path / name))
    for name, expected in (("a", "a"), ("b", "ab"), ("a", "ba"), ("c", "ac"), ("b", "cb")):
        with live.active([name]):
            assert "".join(live.live) == expected
    assert live.names == ("a", "b", "c")
    size = adapterfile.read(tmp_path / "a").nbytes
    assert live.nbytes == 2 * size
    with live.active(["a"]), live.active(["b", "c"]):
        assert set(live.live) >= {"a", "b", "c"}  # what an outer block needs is not dropped
    live.close()


def test_swapping(lm):
    live = LiveAdapters(lm)
    live.put("a", drawn(lm, 1))
    with live.active(["a"]):
        old = logits(lm)
        with pytest.raises(InputError, match="cannot be replaced"):
            live.put("a", drawn(lm, 2))
        with pytest.raises(InputError, match="at work"):
            live.take("a")
    live.put("a", drawn(lm, 2))
    with live.active(["a"]):
        assert not torch.allclose(old, logits(lm), atol=0.01)
    live.put("a", drawn(lm, 1))
    with live.active(["a"]):
        assert torch.equal(old, logits(lm))
    live.close()


def test_threads_take_turns(lm):
    live = LiveAdapters(lm, limit=2, most=1)
    names = ["a", "b", "c"]
    expected = {}
    for seed, name in enumerate(names):
        live.put(name, drawn(lm, seed, rank=1))
        with live.active([name]):
            expected[name] = logits(lm)
    wrong = []

    def run(number):
        for turn in range(6):
            name = names[(number + turn) % 3]
            with live.active([name]):
                if not torch.equal(expected[name], logits(lm)) or live.working != (name,):
                    wrong.append(name)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert live.working == ()
    live.close()


def test_what_cannot_be_used_is_refused(lm, tmp_path):
    live = LiveAdapters(lm)
    for name in "abc":
        live.put(name, drawn(lm, 1, rank=1))
    for names in (["x"], ["a", "a"], ["a", "b", "c"]):
        with pytest.raises(InputError), live.active(names):
            pass
    with pytest.raises(InputError):
        live.put("", drawn(lm, 1))
    with pytest.raises(InputError):
        live.take("x")
    with pytest.raises(InputError):
        LiveAdapters(lm, limit=1, most=2)
    live.put("gone", tmp_path / "gone")
    with pytest.raises(PayloadDamagedError), live.active(["a", "gone"]):
        pass
    small = drawn(lm, 1, rank=1)
    bad = {name: tensor[:, :1] if "lora_A" in name else tensor for name, tensor in small.tensors.items()}
    live.put("bad", Adapter(small.config, bad, small.fingerprint))
    with pytest.raises(ModelMismatchError, match="does not fit the layer"), live.active(["bad"]):
        pass
    with torch.no_grad():
        lm.model.lm_head.weight[0, 0] += 1
    live.put("other", small)
    with pytest.raises(ModelMismatchError), live.active(["other"]):
        pass
    assert live.working == ()
    live.close()
