"""Caches that are copied, forked, cut and made by hand say how long they are, and share nothing that is written to."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import Cache, DynamicCache, MistralConfig, MistralForCausalLM

from remanence.errors import InputError, UnsupportedModelError
from remanence.models.local import caches


def of(tokens: int, layers: int = 3, seed: int = 0) -> DynamicCache:
    drawn = torch.Generator().manual_seed(seed)
    return caches.cache_of([tuple(torch.randn(1, 2, tokens, 4, generator=drawn) for _ in "kv") for _ in range(layers)])


def same(first: Cache, second: Cache) -> bool:
    one, other = caches.pairs(first), caches.pairs(second)
    return len(one) == len(other) and all(
        torch.equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True)
    )


def grow(cache: Cache, by: int = 2) -> None:
    for number in range(len(cache.layers)):
        cache.update(torch.ones(1, 2, by, 4), torch.ones(1, 2, by, 4), number)


@pytest.mark.parametrize("copy", [caches.clone, caches.fork])
def test_a_copy_grows_without_the_original(copy):
    original = of(5)
    before = [(k.clone(), v.clone()) for k, v in caches.pairs(original)]
    copied = copy(original)
    assert same(original, copied)
    assert caches.length(copied) == 5
    grow(copied)
    assert (caches.length(original), caches.length(copied)) == (5, 7)
    assert same(original, caches.cache_of(before))
    grow(original, 1)
    caches.crop(original, 2)
    assert caches.length(copied) == 7
    assert torch.equal(caches.pairs(copied)[0][0][:, :, :5], before[0][0])


def test_a_clone_owns_its_numbers_and_a_fork_does_not():
    original = of(5)
    pointers = [k.data_ptr() for k, _ in caches.pairs(original)]
    assert [k.data_ptr() for k, _ in caches.pairs(caches.fork(original))] == pointers
    assert not set(pointers) & {k.data_ptr() for k, _ in caches.pairs(caches.clone(original))}


def test_the_tensors_that_were_passed_are_copied():
    tensors = [(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4))]
    cache = caches.cache_of(tensors)
    tensors[0][0].fill_(9)
    assert caches.pairs(cache)[0][0].max() == 0


@settings(max_examples=40)
@given(tokens=st.integers(0, 12), data=st.data())
def test_cutting_keeps_the_beginning(tokens, data):
    cut = data.draw(st.integers(0, tokens))
    cache = of(tokens) if tokens else DynamicCache()
    whole = caches.pairs(cache)
    caches.crop(cache, cut)
    assert caches.length(cache) == cut
    for (k, _), (kept, _) in zip(whole, caches.pairs(cache), strict=True):
        assert torch.equal(k[:, :, :cut], kept)


@pytest.mark.parametrize("length", [-1, 6])
def test_a_cache_cannot_be_cut_to_more_than_it_holds(length):
    with pytest.raises(InputError, match="cannot be cut"):
        caches.crop(of(5), length)


def test_an_unused_cache_is_empty():
    assert caches.length(None) == caches.length(DynamicCache()) == 0
    assert caches.pairs(DynamicCache()) == []
    assert caches.length(caches.clone(DynamicCache())) == 0
    assert caches.length(caches.fork(DynamicCache())) == 0


def test_layers_have_to_agree():
    with pytest.raises(InputError, match="do not agree"):
        caches.cache_of([(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 5, 4))])
    with pytest.raises(InputError, match="do not agree"):
        caches.cache_of([(torch.zeros(1, 2, n, 4), torch.zeros(1, 2, n, 4)) for n in (3, 5)])
    with pytest.raises(InputError, match="do not agree"):
        caches.cache_of([(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4))])


def test_bytes_are_those_of_keys_and_values(lm):
    cache = lm.forward(lm.encode("seven b")).cache
    assert caches.size(cache) == 7 * lm.bytes_per_token


def test_a_window_is_refused():
    config = MistralConfig(
        vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, sliding_window=4, max_position_embeddings=32,
    )  # fmt: skip
    cache = DynamicCache(config=config)
    MistralForCausalLM(config)(torch.arange(6)[None], past_key_values=cache)
    with pytest.raises(UnsupportedModelError, match="full attention"):
        caches.pairs(cache)
