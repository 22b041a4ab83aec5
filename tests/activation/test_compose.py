"""Blocks put behind each other, against the full prefill of their tokens."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from remanence.activation.block import same_numbers
from remanence.activation.capture import capture
from remanence.activation.compose import compose
from remanence.activation.quality import Probe, measure
from remanence.activation.running import plain_pairs
from remanence.errors import ContextTooLongError, InputError, ModelMismatchError, UnsupportedModelError
from remanence.models.local.caches import clone
from remanence.models.local.causal import CausalLM
from remanence.models.local.tokenizing import byte_tokenizer


@pytest.fixture(scope="module")
def ids(lm, texts):
    return [lm.encode(text) for text in texts[:4]]


@pytest.fixture(scope="module")
def blocks(lm, ids):
    return [capture(one, lm, precision="fp32") for one in ids]


@pytest.fixture(scope="module")
def probes(lm, texts):
    return [Probe(tuple(lm.encode(text)), 8) for text in ("Where does Cid live?", "Who lives in Rome?", texts[4])]


def joined(pieces):
    return [one for piece in pieces for one in piece]


def off(found, wanted):
    """The greatest difference of any number of two caches."""
    both = zip(plain_pairs(found), plain_pairs(wanted), strict=True)
    return max(float((one - two).abs().max()) for a, b in both for one, two in zip(a, b, strict=True))


def test_with_all_computed_again_it_is_a_full_prefill(lm, ids, blocks):
    full = lm.forward(joined(ids)).cache
    for options in ({"mode": "blend", "share": 1.0}, {"mode": "repair", "first": 10**6}):
        for chunk in (512, 9):
            done = compose(blocks, lm, chunk=chunk, **options)
            assert off(done.cache, full) < 1e-4
            assert done.exact
            assert done.ids == tuple(joined(ids))
            assert done.recomputed == len(done.ids) - len(ids[0])
            assert done.cost == pytest.approx(done.recomputed / len(done.ids))


def test_all_but_the_positions_of_the_first_layer_is_approximate(lm, ids, blocks):
    full, done = plain_pairs(lm.forward(joined(ids)).cache), compose(blocks, lm)
    layers = [
        max(float((one - two).abs().max()) for one, two in zip(a, b, strict=True))
        for a, b in zip(plain_pairs(done.cache), full, strict=True)
    ]
    assert layers[0] < 1e-4
    assert min(layers[1:]) > 1e-2
    assert [piece.how for piece in done.pieces] == ["exact", "approximate", "approximate", "approximate"]
    assert not done.exact
    assert done.cost == 0


def test_a_merged_cache_is_as_long_as_its_parts_and_is_used(lm, ids, blocks):
    """In MemOS a merged cache reports length 0, and what is generated is as without memory."""
    for mode in ("raw", "rerotate", "repair", "blend"):
        cache = compose(blocks, lm, mode=mode).cache
        assert cache.get_seq_length() == len(joined(ids))
        question = lm.encode("Where does Cid live?")
        with_it, without = lm.forward(question, clone(cache)), lm.forward(question)
        assert with_it.cache.get_seq_length() == len(joined(ids)) + len(question)
        assert not torch.allclose(with_it.logits, without.logits, atol=1e-2)


def test_positions_after_the_first_block_are_right(lm, ids, blocks):
    """In MemOS every block keeps the positions from 0 on: their keys differ from moved ones, and the first layer says so."""
    full = plain_pairs(lm.forward(joined(ids)).cache)[0][0]
    moved, raw = (plain_pairs(compose(blocks, lm, mode=mode).cache)[0][0] for mode in ("rerotate", "raw"))
    assert float((moved - full).abs().max()) < 1e-4
    assert float((raw - full).abs().max()) > 0.1
    first = len(ids[0])
    assert torch.equal(raw[:, :first], moved[:, :first])


def test_each_way_comes_nearer_than_the_one_before(lm, ids, blocks, probes):
    def kl(**options):
        return measure(compose(blocks, lm, **options).cache, joined(ids), probes, lm).kl

    ways = [
        kl(mode="raw"),
        kl(mode="rerotate"),
        kl(mode="repair", first=8),
        kl(mode="blend", share=0.5),
        kl(mode="blend", share=1),
    ]
    assert ways == sorted(ways, reverse=True)
    assert ways[-1] < 1e-6 < ways[-2] < ways[0] / 2


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=6), st.integers(5, 40))
def test_any_mixture_of_blocks_and_tokens_can_be_made_exact(lm, texts, picks, chunk):
    ids = [lm.encode(text)[: 8 + 5 * number] for number, text in enumerate(texts)]
    stored = {number: capture(ids[number], lm, precision="fp32") for number, kept in picks if kept}
    pieces = [stored[number] if kept else ids[number] for number, kept in picks]
    everything = joined(ids[number] for number, _ in picks)
    full = lm.forward(everything).cache
    assert off(compose(pieces, lm, mode="blend", share=1, chunk=chunk).cache, full) < 1e-4
    done = compose(pieces, lm, mode="rerotate", chunk=chunk)
    assert done.ids == tuple(everything)
    assert done.exact == (off(done.cache, full) < 1e-4)
    fresh = sum(len(ids[number]) for number, kept in picks if not kept)
    assert done.cost == pytest.approx(fresh / len(everything))


def test_a_block_where_it_stood_is_exact(lm, ids):
    behind = capture(ids[1], lm, prefix=ids[0], precision="fp32")
    for head in (ids[0], capture(ids[0], lm, precision="fp32")):
        done = compose([head, behind, ids[2]], lm, mode="raw")
        assert done.exact
        assert off(done.cache, lm.forward(joined(ids[:3])).cache) < 1e-4
    moved = compose([ids[2], behind], lm)
    assert moved.pieces[1].how == "approximate"
    elsewhere = compose([[*ids[0][:-1], 9], behind], lm)  # as long, but not the same tokens
    assert elsewhere.pieces[1].how == "approximate"


def test_storing_with_loss_is_said(lm, ids):
    blocks = [capture(ids[0], lm, precision="int8"), capture(ids[1], lm, prefix=ids[0], precision="int8")]
    done = compose(blocks, lm, mode="blend", share=1)
    assert [piece.how for piece in done.pieces] == ["stored", "stored"]
    assert 1e-5 < off(done.cache, lm.forward(joined(ids[:2])).cache) < 0.2


def test_stored_blocks_are_turned_after_they_are_decoded(lm, ids):
    exact, coarse = (compose([ids[0], capture(ids[1], lm, precision=one)], lm).cache for one in ("fp32", "int8"))
    lost = max(capture(ids[1], lm, precision="int8").quality.values())
    assert 0 < off(coarse, exact) < 3 * lost


def test_composing_leaves_the_blocks_as_they_were(lm, ids, blocks):
    twice = [compose(blocks, lm, mode="blend", share=0.4).cache for _ in range(2)]
    assert off(*twice) == 0
    lm.forward(ids[0], twice[0])
    assert all(same_numbers(block, capture(one, lm, precision="fp32")) for block, one in zip(blocks, ids, strict=True))


def test_blend_takes_the_tokens_whose_values_are_furthest_from_fresh_ones(lm, ids, blocks):
    """The naive twin: all values of the layer computed afresh, sorted."""
    done = compose(blocks, lm, mode="blend", share=0.2, check=1)
    plain, full = compose(blocks, lm), lm.forward(joined(ids)).cache
    values = [plain_pairs(cache)[1][1] for cache in (plain.cache, full)]
    away = (values[0] - values[1]).square().sum(dim=(0, 2))
    moved = len(done.ids) - len(ids[0])
    expected = set(away.topk(-(-moved // 5)).indices.tolist())
    changed = (plain_pairs(done.cache)[3][1] - plain_pairs(plain.cache)[3][1]).abs().amax(dim=(0, 2)) > 1e-7
    assert set(changed.nonzero()[:, 0].tolist()) == expected
    assert done.recomputed == len(expected)
    assert done.cost == pytest.approx((2 * moved + 4 * len(expected)) / (4 * len(done.ids)))


@pytest.mark.parametrize("kind", ["qwen2", "qwen3"])
def test_other_architectures_compose_too(kind, texts):
    settings = {
        "vocab_size": 259, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 256, "bos_token_id": 1, "eos_token_id": 2, "head_dim": 16,
    }  # fmt: skip
    model = Qwen2ForCausalLM(Qwen2Config(**settings)) if kind == "qwen2" else Qwen3ForCausalLM(Qwen3Config(**settings))
    lm = CausalLM.of(model, byte_tokenizer())
    ids = [lm.encode(text) for text in texts[:3]]
    blocks = [capture(one, lm, precision="fp32") for one in ids]
    full = lm.forward(joined(ids)).cache
    assert off(compose(blocks, lm, mode="blend", share=1).cache, full) < 1e-4
    assert float((plain_pairs(compose(blocks, lm).cache)[0][0] - plain_pairs(full)[0][0]).abs().max()) < 1e-4


def test_eager_attention_takes_the_same_masks(model_with, texts):
    lm = model_with(attn_implementation="eager")
    ids = [lm.encode(text) for text in texts[:2]]
    done = compose([capture(one, lm, precision="fp32") for one in ids], lm, mode="blend", share=1, chunk=16)
    assert off(done.cache, lm.forward(joined(ids)).cache) < 1e-4


def test_bad_input_is_named(lm, ids, blocks, model_with):
    with pytest.raises(InputError, match="mode 'mix'"):
        compose(blocks, lm, mode="mix")
    for options in ({"share": 1.1}, {"share": -0.1}, {"first": -1}, {"check": -1}):
        with pytest.raises(InputError, match="cannot be used"):
            compose(blocks, lm, **options)
    with pytest.raises(InputError, match="no tokens"):
        compose([], lm)
    with pytest.raises(ContextTooLongError):
        compose(blocks * 5, lm)
    with pytest.raises(ModelMismatchError, match="weights"):
        compose(blocks[:2], model_with())
    dynamic = model_with(rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0})
    stuck = [capture(one, dynamic, precision="fp32") for one in ids[:2]]
    assert compose(stuck[:1], dynamic).exact
    with pytest.raises(UnsupportedModelError, match="cannot be moved"):
        compose(stuck, dynamic)
