"""Moved keys against keys that the model computes at the other place."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel

from remanence.activation.rope import Rope, declared, rerotate, rope_of
from remanence.activation.running import plain_pairs
from remanence.errors import UnsupportedModelError
from remanence.models.local.causal import CausalLM
from remanence.models.local.tokenizing import byte_tokenizer

IDS = list(range(40, 60))
KINDS = {
    "default": {"rope_type": "default", "rope_theta": 10000.0},
    "linear": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
    "llama3": {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 64},
    "yarn": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64},
}  # fmt: skip


def native(lm, start):
    return plain_pairs(lm.forward(IDS, positions=range(start, start + len(IDS))).cache)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("start", "to"), [(0, 97), (120, 3), (200, 200)])
def test_moved_keys_are_native_ones(model_with, kind, start, to):
    lm = model_with(rope_parameters=KINDS[kind])
    rope = rope_of(lm)
    assert rope.kind == kind
    for (keys, values), (wanted, same) in zip(native(lm, start), native(lm, to), strict=True):
        assert torch.allclose(rerotate(keys, start, to, rope), wanted, atol=3e-5)
        assert torch.allclose(values, same, atol=3e-5)  # values know no position


def turned_pair_by_pair(keys, start, to, frequencies):
    """The naive twin: each pair of channels as a complex number."""
    pairs = len(frequencies)
    out = keys.clone()
    for token in range(keys.shape[-2]):
        for pair, frequency in enumerate(frequencies.tolist()):
            turn = torch.polar(
                torch.tensor(1.0, dtype=torch.float64), torch.tensor((to - start) * frequency, dtype=torch.float64)
            )
            number = torch.complex(keys[..., token, pair].double(), keys[..., token, pair + pairs].double()) * turn
            out[..., token, pair], out[..., token, pair + pairs] = number.real.float(), number.imag.float()
    return out


@given(st.integers(0, 10**6), st.integers(0, 300), st.integers(0, 300), st.integers(0, 3))
def test_it_turns_pairs_of_channels_and_leaves_the_others(seed, start, to, others):
    drawn = torch.Generator().manual_seed(seed)
    keys = torch.randn((2, 3, 8 + others), generator=drawn)
    rope = Rope("default", torch.rand(4, generator=drawn))
    found = rerotate(keys, start, to, rope)
    assert torch.allclose(found, turned_pair_by_pair(keys, start, to, rope.frequencies), atol=2e-4)
    assert torch.equal(found[..., 8:], keys[..., 8:])
    assert torch.allclose(rerotate(found, to, start, rope), keys, atol=2e-4)  # and back
    assert torch.allclose(found.norm(dim=-1), keys.norm(dim=-1), rtol=1e-5)


@pytest.mark.parametrize(
    ("what", "parameters"),
    [
        ("dynamic", {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}),
        ("multi-section", {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}),
    ],
)
def test_what_cannot_be_moved_is_refused(model_with, what, parameters):
    with pytest.raises(UnsupportedModelError, match=what):
        rope_of(model_with(rope_parameters=parameters))


def test_learned_positions_are_refused():
    config = GPT2Config(vocab_size=259, n_embd=32, n_layer=1, n_head=2, n_positions=64, bos_token_id=1, eos_token_id=2)
    with pytest.raises(UnsupportedModelError, match="no rotary positions"):
        rope_of(CausalLM.of(GPT2LMHeadModel(config), byte_tokenizer()))


def test_a_model_that_does_something_else_than_it_declares_is_found_out(model_with):
    lm = model_with()
    decoder = lm.model.get_decoder()
    kept = decoder.rotary_emb.forward

    def twice_as_fast(x, position_ids):
        return kept(x, position_ids * 2)

    decoder.rotary_emb.forward = twice_as_fast
    assert declared(lm).kind == "default"
    with pytest.raises(UnsupportedModelError, match="layer 0"):
        rope_of(lm)


def test_its_description_changes_with_the_frequencies(model_with):
    one, other = (
        rope_of(model_with(rope_parameters={"rope_type": "default", "rope_theta": theta})) for theta in (1e4, 1e5)
    )
    assert one.to_json()["frequencies"] != other.to_json()["frequencies"]
    assert one.to_json()["channels"] == 16
