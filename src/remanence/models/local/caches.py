"""Key–value caches of transformers, handled without surprises.

Facts of transformers 5.23 that this file is for. A cache grows in place when it is used. `crop` takes the number of tokens to
remove, as a negative number. Tensors that are set by hand on a fresh layer are dropped by the next update, because the layer
is not marked as initialised. Keys are stored rotated to their positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

from remanence.errors import InputError, UnsupportedModelError


def length(cache: Cache | None) -> int:
    """How many tokens a cache holds."""
    return 0 if cache is None else int(cache.get_seq_length())


def pairs(cache: Cache) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of each layer, `[batch, kv heads, tokens, head width]`: the cache's own tensors. Empty before its first use.

    Raises
    ------
    UnsupportedModelError
        A layer keeps something else than one key and one value per token: a window, a state, quantised blocks.
    """
    layers = cast(list[Any], cache.layers)
    if not any(getattr(layer, "is_initialized", True) for layer in layers):
        return []
    found: list[tuple[Tensor, Tensor]] = []
    for number, layer in enumerate(layers):
        if type(layer) is not DynamicLayer or not layer.is_initialized:
            raise UnsupportedModelError(
                f"Layer {number} of the cache is a {type(layer).__name__}, which does not hold a key and a value per token.",
                "Use a model with full attention in every layer.",
            )
        found.append((cast(Tensor, layer.keys), cast(Tensor, layer.values)))
    return found


def cache_of(pairs: Sequence[tuple[Tensor, Tensor]]) -> DynamicCache:
    """A cache of these keys and values, one pair per layer. The tensors are copied.

    Raises
    ------
    InputError
        Shapes differ between keys and values, or the number of tokens between layers.
    """
    shapes = {(tuple(k.shape[:3]), tuple(v.shape[:3])) for k, v in pairs}
    tokens = {shape[::2] for both in shapes for shape in both}
    if any(k.dim() != 4 or v.dim() != 4 for k, v in pairs) or any(k != v for k, v in shapes) or len(tokens) > 1:
        raise InputError(
            "The layers of a cache do not agree in shape.", "Pass [batch, kv heads, tokens, width] for each."
        )
    return DynamicCache(cast(Any, list(pairs))) if pairs else DynamicCache()


def clone(cache: Cache) -> DynamicCache:
    """A copy that shares nothing with the original. Errors as `pairs`."""
    return cache_of(pairs(cache))


def fork(cache: Cache) -> DynamicCache:
    """A second cache over the same tensors, made in no time: each grows on its own, since growing makes new tensors.

    Nobody may write into the tensors of either. Errors as `pairs`.
    """
    copied = DynamicCache()
    for keys, values in pairs(cache):
        layer = DynamicLayer()
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
        copied.layers.append(layer)
    return copied


def crop(cache: Cache, length: int) -> None:
    """Keep the first `length` tokens, in place.

    Raises
    ------
    InputError
        The cache holds fewer, or `length` is negative.
    """
    held = int(cache.get_seq_length())
    if not 0 <= length <= held:
        raise InputError(
            f"A cache of {held:,} tokens cannot be cut to {length:,}.", f"Use a length from 0 to {held:,}."
        )
    if length < held:
        cache.crop(length - held)


def size(cache: Cache) -> int:
    """Bytes of all keys and values. Errors as `pairs`."""
    return sum(k.numel() * k.element_size() + v.numel() * v.element_size() for k, v in pairs(cache))
