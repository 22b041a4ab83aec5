"""A causal language model: what a cache holds need not be computed again, and nothing depends on how prompts are put together."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remanence.errors import ContextTooLongError, InputError, ModelDamagedError
from remanence.models.local import caches, nano, tokenizing
from remanence.models.local.causal import CausalLM

TEXT = "The kiln came on 3 June and fires at 1240 degrees."


def test_what_it_is(lm):
    assert (lm.layers, lm.kv_heads, lm.head_dim, lm.context, lm.vocabulary) == (2, 2, 8, 256, 259)
    assert lm.bytes_per_token == 2 * 2 * 2 * 8 * 4
    assert lm.device.type == "cpu"
    assert lm.dtype is torch.float32
    assert lm.ends == {tokenizing.EOS}
    assert not lm.model.training
    assert not any(one.requires_grad for one in lm.model.parameters())


def test_logits_are_those_of_the_model(lm):
    ids = lm.encode(TEXT)
    step = lm.forward(ids)
    with torch.no_grad():
        assert torch.equal(step.logits, lm.model(torch.tensor([ids])).logits[0])
    assert step.logits.shape == (len(ids), 259)
    assert torch.allclose(lm.forward(ids, keep=2).logits, step.logits[-2:], atol=1e-5)
    assert not step.logits.requires_grad


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_prompt_in_parts_gives_the_same_logits(lm, data):
    ids = lm.encode(TEXT)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(ids) - 1), max_size=3)))
    whole, parts, cache = lm.forward(ids).logits, [], None
    for begin, end in zip([0, *cuts], [*cuts, len(ids)], strict=True):
        step = lm.forward(ids[begin:end], cache)
        cache = step.cache
        parts.append(step.logits)
    assert torch.allclose(torch.cat(parts), whole, atol=1e-4)
    assert caches.length(cache) == len(ids)


def test_the_cache_that_is_passed_grows(lm):
    cache = lm.forward([1, 2, 3]).cache
    assert lm.forward([4, 5], cache).cache is cache
    assert caches.length(cache) == 5


def test_positions_can_be_given(lm):
    ids = lm.encode(TEXT)
    later = lm.forward(ids, positions=range(100, 100 + len(ids))).logits
    # Rotary positions are relative, so a shift of all changes nothing; one of a part does.
    assert torch.allclose(later, lm.forward(ids).logits, atol=1e-4)
    gap = [*range(5), *range(50, 45 + len(ids))]
    assert not torch.allclose(lm.forward(ids, positions=gap).logits, later, atol=1e-2)


@pytest.mark.parametrize("ids", [[], [259], [-1, 3]])
def test_ids_that_are_none(lm, ids):
    for ask in (lm.forward, lm.generate, lambda one: lm.generate_many([one]), lambda one: lm.score([one], [[1]])):
        with pytest.raises(InputError):
            ask(ids)


def test_positions_that_do_not_fit(lm):
    with pytest.raises(InputError, match="positions"):
        lm.forward([1, 2], positions=[0])
    with pytest.raises(InputError, match="positions"):
        lm.forward([1, 2], positions=[-1, 0])


def test_a_context_that_is_too_long_is_refused_by_all(lm):
    long = [5] * 257
    cache = lm.forward(long[:250]).cache
    for ask in (
        lambda: lm.forward(long), lambda: lm.forward(long[:7], cache), lambda: lm.forward([1], positions=[256]),
        lambda: lm.generate(long), lambda: lm.generate_many([[1], long]), lambda: lm.score([long], [[1]]),
    ):  # fmt: skip
        with pytest.raises(ContextTooLongError, match="256 positions"):
            ask()
    assert len(lm.score([long[:250]], [long[:7]])[0].logprobs) == 7


def test_a_tokenizer_that_is_too_large_is_refused():
    with pytest.raises(ModelDamagedError, match="ids up to 258, and the model embeddings for 100"):
        CausalLM.of(nano.new(nano.NanoSpec(depth=1, vocab=100)), tokenizing.byte_tokenizer())


def test_what_looks_like_a_special_token_is_text(lm):
    assert tokenizing.EOS not in lm.encode("<|end|>")
    assert lm.decode(lm.encode("<|end|>")) == "<|end|>"
    assert lm.decode([*lm.encode("a"), tokenizing.EOS]) == "a"
