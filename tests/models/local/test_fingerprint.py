"""A fingerprint changes with everything that changes what a model computes, and with nothing else."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel

from remanence.errors import InputError, ModelMismatchError
from remanence.models.local import fingerprint, nano, tokenizing
from remanence.models.local.causal import CausalLM
from remanence.models.local.fingerprint import Fingerprint

LORA = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)


def test_it_survives_saving_and_opening(lm, folder):
    opened = CausalLM.open(folder, device="cpu")
    assert opened.fingerprint == lm.fingerprint
    assert Fingerprint.from_json(json.loads(json.dumps(lm.fingerprint.to_json()))) == lm.fingerprint


def test_the_digest_of_the_weights_is_that_of_their_bytes(make):
    lm, parts = make(tied=True), []
    state = {k: v for k, v in lm.model.state_dict().items() if k != "model.embed_tokens.weight"}  # tied to lm_head
    for name, tensor in sorted(state.items()):
        shape = tuple(tensor.shape)
        parts.append(hashlib.sha256(f"{name} torch.float32 {shape} ".encode() + tensor.numpy().tobytes()).digest())
    whole = hashlib.sha256(b"".join(len(part).to_bytes(8, "little") + part for part in parts))
    assert lm.fingerprint.weights == whole.hexdigest()[:32]


def test_every_single_number_counts(make):
    first, second = make(), make()
    with torch.no_grad():
        second.model.model.layers[1].mlp.down_proj.weight[3, 5] += 1e-7
    assert first.fingerprint.differences(second.fingerprint) == ("weights",)


def test_a_change_after_the_first_look_is_seen_and_looking_again_is_quick(lm):
    before = lm.fingerprint
    with torch.no_grad():
        lm.model.model.norm.weight[0] += 1
    assert lm.fingerprint.weights != before.weights
    lm.model.model.norm.weight = torch.nn.Parameter(torch.ones(32))
    assert lm.fingerprint == before
    hashed = []
    lm_weights, fingerprint.weights_of = fingerprint.weights_of, hashed.append
    try:
        assert lm.fingerprint == before
    finally:
        fingerprint.weights_of = lm_weights
    assert hashed == []


@pytest.mark.parametrize(
    ("sizes", "differing"),
    [
        ({"seed": 1}, ("weights",)),
        ({"theta": 5e5}, ("rope",)),
        ({"depth": 3}, ("architecture", "weights")),
        ({"context": 128}, ("architecture",)),
        ({"kv_heads": 1}, ("architecture", "weights")),
    ],
)
def test_what_differs_is_named(make, sizes, differing):
    assert make().fingerprint.differences(make(**sizes).fingerprint) == differing


def test_dtype_tokenizer_and_template_count(make):
    base = make().fingerprint
    half = make()
    half.model.to(torch.bfloat16)
    assert {"weights", "dtype"} <= set(base.differences(half.fingerprint))
    assert half.fingerprint.dtype == "bfloat16"
    other = CausalLM.of(make().model, tokenizing.bpe_tokenizer(["aaa"], 259))
    assert base.differences(other.fingerprint) == ("tokenizer",)
    talking = make()
    talking.tokenizer.chat_template = "{{ messages[0]['content'] }}"
    assert base.differences(talking.fingerprint) == ("template",)


def test_scaled_positions_count(make):
    model = make().model
    before = fingerprint.rope_of(model)
    model.model.rotary_emb.original_inv_freq *= 0.5
    assert fingerprint.rope_of(model) != before
    assert before.startswith("default/")


def test_padding_does_not_count(lm):
    before = fingerprint.tokenizer_of(lm.tokenizer)
    lm.tokenizer(["a", "long one"], padding=True, truncation=True, max_length=4)
    assert fingerprint.tokenizer_of(lm.tokenizer) == before


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # PEFT asks for it
def test_an_adapter_of_peft_is_seen_and_leaves_the_base_alone(make):
    lm = make()
    base = lm.fingerprint
    wrapped = get_peft_model(lm.model, LORA)
    on = lm.fingerprint
    assert base.differences(on) == ("adapter",)
    with wrapped.disable_adapter():
        assert lm.fingerprint == base
    assert lm.fingerprint == on
    with torch.no_grad():
        next(p for n, p in wrapped.named_parameters() if "lora_B" in n).add_(1.0)
    assert lm.fingerprint.adapter not in {"", on.adapter}
    assert CausalLM.of(wrapped, lm.tokenizer).fingerprint == lm.fingerprint
    wrapped.merge_adapter()
    with wrapped.disable_adapter():
        pass
    assert lm.fingerprint.adapter


def test_what_is_put_on_by_others_counts_when_they_say_so(lm):
    base = lm.fingerprint
    lm.adapter = "rows-7"
    assert base.differences(lm.fingerprint) == ("adapter",)
    lm.adapter = ""
    assert lm.fingerprint == base


def test_a_model_without_rotary_positions():
    config = GPT2Config(vocab_size=300, n_positions=32, n_embd=16, n_layer=1, n_head=2)
    assert fingerprint.rope_of(GPT2LMHeadModel(config)) == ""


def test_another_model_is_refused_by_what_differs(make):
    first, second = make().fingerprint, make(theta=5e5).fingerprint
    first.require(first, "The cache")
    with pytest.raises(ModelMismatchError, match=r"The cache was made with another model: rope default/\w+ instead of"):
        first.require(second, "The cache")


@pytest.mark.parametrize("data", [{}, {"architecture": "a", "weights": "b", "tokenizer": "c"}])
def test_what_is_no_fingerprint_is_refused(lm, data):
    with pytest.raises(InputError, match="fingerprint"):
        Fingerprint.from_json(data)
    with pytest.raises(InputError, match="look at dtype"):
        Fingerprint.from_json({**lm.fingerprint.to_json(), "dtype": 7})


def test_a_wrapped_model_is_the_one_inside(lm):
    wrapped = torch.nn.Module()
    wrapped._orig_mod = lm.model  # as torch.compile wraps it
    assert fingerprint.base_of(wrapped) is lm.model


def test_nano_specs_reach_it():
    one, same = (nano.new(nano.NanoSpec(depth=1, vocab=64, context=8)) for _ in range(2))
    assert fingerprint.weights_of(one) == fingerprint.weights_of(same)
    assert fingerprint.state_of(one) == fingerprint.state_of(one) != fingerprint.state_of(same)
