"""A block holds what the model computes for its tokens."""

from __future__ import annotations

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, MistralConfig, MistralForCausalLM

from remanence.activation.block import NOTHING, Segment, block_of, cut, digest_of, same_numbers
from remanence.activation.capture import cache_from, capture
from remanence.activation.running import plain_pairs
from remanence.errors import ContextTooLongError, InputError, ModelMismatchError, UnsupportedModelError
from remanence.models.local.causal import CausalLM
from remanence.models.local.tokenizing import byte_tokenizer


@pytest.fixture
def ids(lm, texts):
    return lm.encode("".join(texts))


def near(found, wanted):
    return all(
        torch.allclose(one, two, atol=1e-5)
        for a, b in zip(found, wanted, strict=True)
        for one, two in zip(a, b, strict=True)
    )


def test_it_is_what_one_pass_computes_however_it_is_cut(lm, ids):
    wanted = plain_pairs(lm.forward(ids).cache)
    for chunk in (1, 7, 64, 1000):
        block = capture(ids, lm, precision="fp32", chunk=chunk)
        assert near(block.pairs(), wanted)
        assert (block.lossless, block.mode, block.start, block.parent) == (True, "prefix", 0, NOTHING)


@pytest.mark.parametrize("as_block", [False, True])
def test_behind_a_prefix_it_is_what_follows_there(lm, ids, as_block):
    before, after = ids[:40], ids[40:]
    prefix = capture(before, lm, precision="fp32") if as_block else before
    block = capture(after, lm, prefix=prefix, precision="fp32", chunk=16)
    assert near(block.pairs(), [(keys[:, 40:], values[:, 40:]) for keys, values in plain_pairs(lm.forward(ids).cache)])
    assert (block.start, block.parent, block.mode, block.ids) == (40, digest_of(before), "isolated", tuple(after))


def test_behind_a_lossy_prefix_it_is_not_called_lossless(lm, ids):
    lossy = capture(ids[:40], lm, precision="int8")
    assert not lossy.lossless
    assert not capture(ids[40:], lm, prefix=lossy, precision="fp32").lossless


def test_the_loss_of_storing_is_measured(lm, ids):
    exact = capture(ids, lm, precision="fp32")
    assert set(exact.quality.values()) == {0.0}
    for precision in ("fp16", "int8", "int4"):
        block = capture(ids, lm, precision=precision)
        off = max(
            float((one - two).abs().max()) for (one, _), (two, _) in zip(block.pairs(), exact.pairs(), strict=True)
        )
        assert block.quality["keys_max_abs"] == pytest.approx(off, rel=1e-3)
        assert not block.lossless
        assert block.size < exact.size


def test_a_part_of_a_block_is_the_block_of_a_part(lm, ids):
    block = capture(ids, lm, precision="fp32", segments=[Segment(30), Segment(len(ids) - 30, ("a", 1))])
    assert same_numbers(
        cut(block, 0, 50),
        block_of(ids[:50], [(k[:, :50], v[:, :50]) for k, v in block.pairs()], "fp32", lm.fingerprint),
    )
    part = cut(block, 30, 50)
    assert (part.start, part.parent, part.segments) == (30, digest_of(ids[:30]), (Segment(20, ("a", 1)),))
    assert cut(block, 0, len(ids)) is block
    behind = cut(capture(ids[40:], lm, prefix=ids[:40]), 5, 9)
    assert (behind.start, behind.ids) == (45, tuple(ids[45:49]))
    assert behind.parent not in {NOTHING, digest_of(ids[:45])}  # unknown: no prompt has it


def test_bad_input_is_named(lm, ids):
    with pytest.raises(InputError, match="no tokens"):
        capture([], lm)
    with pytest.raises(InputError, match="9999"):
        capture([9999], lm)
    with pytest.raises(ContextTooLongError, match="512"):
        capture(ids * 4, lm)
    with pytest.raises(ContextTooLongError):
        capture(ids, lm, prefix=(ids * 3)[:400])
    with pytest.raises(InputError, match="has to begin the prompt"):
        capture(ids, lm, prefix=capture(ids[5:], lm, prefix=ids[:5]))


def test_another_models_block_is_no_prefix_and_no_cache(lm, ids, model_with):
    block = capture(ids, lm)
    other = model_with()
    with pytest.raises(ModelMismatchError):
        capture(ids[:20], other, prefix=block)
    with pytest.raises(ModelMismatchError):
        cache_from(block, other)


def test_learned_positions_serve_where_they_stood(ids):
    config = GPT2Config(vocab_size=259, n_embd=32, n_layer=2, n_head=2, n_positions=256, bos_token_id=1, eos_token_id=2)
    lm = CausalLM.of(GPT2LMHeadModel(config), byte_tokenizer())
    block = capture(ids[:60], lm, precision="fp32")
    assert block.rope is None
    found = lm.forward(ids[60:80], cache_from(block, lm)).logits
    assert torch.allclose(found, lm.forward(ids[:80]).logits[60:], atol=1e-4)


def test_windows_of_attention_are_refused(ids):
    config = MistralConfig(
        vocab_size=259, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
        sliding_window=8, max_position_embeddings=128, head_dim=16, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    with pytest.raises(UnsupportedModelError, match="full attention"):
        capture(ids[:20], CausalLM.of(MistralForCausalLM(config), byte_tokenizer()))
