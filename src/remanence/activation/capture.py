"""Tokens → a block: what the model computes for them is kept instead of being computed again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from transformers import Cache, DynamicCache

from remanence.activation.block import NOTHING, Block, Segment, block_of, digest_of
from remanence.activation.codec import GROUP, Precision
from remanence.activation.rope import rope_of
from remanence.activation.running import CHUNK, extend, plain_pairs
from remanence.errors import InputError, UnsupportedModelError
from remanence.models.local.caches import cache_of
from remanence.models.local.causal import CausalLM


def capture(
    ids: Sequence[int], lm: CausalLM, *, prefix: Block | Sequence[int] = (), precision: Precision = "fp16",
    chunk: int = CHUNK, group: int = GROUP, segments: Sequence[Segment] = (),
) -> Block:  # fmt: skip
    """Compute the cache of `ids`, after the tokens of `prefix` if there are any; those are not part of the block.

    A long text is computed `chunk` tokens at a time, which changes nothing but the memory that it takes. `prefix` may be a
    block that begins a prompt: then it is not computed again. `segments` say what the tokens are.

    Raises
    ------
    InputError
        There are no tokens, the prefix does not begin a prompt, or the cache does not fit into the precision.
    ContextTooLongError
        Prefix and tokens are longer than the model's context.
    ModelMismatchError
        The prefix was made with another model.
    UnsupportedModelError
        The model keeps something else than keys and values of all tokens.
    """
    if not ids:
        raise InputError("There are no tokens to compute a cache of.", "Give a text that is not empty.")
    before = prefix.ids if isinstance(prefix, Block) else tuple(prefix)
    lm.check_room(len(before) + len(ids))
    began = time.perf_counter()
    _, cache = extend(ids, lm, _began(prefix, lm, chunk), chunk=chunk)
    pairs = [(keys[:, len(before) :], values[:, len(before) :]) for keys, values in plain_pairs(cache)]
    seconds = time.perf_counter() - began
    block = block_of(
        ids, pairs, precision, lm.fingerprint, start=len(before), parent=digest_of(before) if before else NOTHING,
        segments=segments, rope=_rope(lm), group=group, seconds=seconds,
    )  # fmt: skip
    return replace(block, lossless=block.lossless and (not isinstance(prefix, Block) or prefix.lossless))


def cache_from(block: Block, lm: CausalLM) -> DynamicCache:
    """A new cache with what a block holds, on the model's device and in its dtype. ModelMismatchError for another model's."""
    block.fingerprint.require(lm.fingerprint, "The block")
    return cache_of(
        [(one[None].to(lm.device, lm.dtype), two[None].to(lm.device, lm.dtype)) for one, two in block.pairs()]
    )


def _began(prefix: Block | Sequence[int], lm: CausalLM, chunk: int) -> Cache | None:
    if isinstance(prefix, Block):
        if prefix.parent != NOTHING:
            raise InputError(
                "The block that others are computed after has to begin the prompt.", "Give its tokens instead."
            )
        return cache_from(prefix, lm)
    return extend(prefix, lm, chunk=chunk)[1] if prefix else None


def _rope(lm: CausalLM) -> dict[str, object] | None:
    try:
        return rope_of(lm).to_json()
    except UnsupportedModelError:  # its blocks serve where they stood, and are refused elsewhere
        return None
