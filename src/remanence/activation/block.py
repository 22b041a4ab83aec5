"""A KV cache of some tokens, frozen, with all that has to agree before it may be used again.

What a block is worth depends on what stood before it when it was computed: `parent` is the digest of those tokens, `start`
their number. Where the same tokens stand before it again, its keys and values are what the model would compute; anywhere
else they are an approximation, which `compose` makes and says so. Nothing writes to a block: `pairs` gives copies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from remanence.activation.codec import Encoded, Precision, encode, loss
from remanence.activation.running import Pair
from remanence.models.local.fingerprint import Fingerprint

Source = tuple[str, int]
"""Id and version of a memory."""


def digest_of(ids: Iterable[int]) -> str:
    """The first 32 hex digits of the SHA-256 of token ids as little-endian int64."""
    return hashlib.sha256(np.asarray(list(ids), dtype="<i8").tobytes()).hexdigest()[:32]


NOTHING = digest_of(())
"""The parent of a block that was computed at the start of a prompt."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a block's tokens: a memory, or the frame around memories."""

    tokens: int
    source: Source | None = None
    """The memory; None for the frame."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Keys and values of consecutive tokens, as they are stored."""

    ids: tuple[int, ...]
    keys: tuple[Encoded, ...]
    """Of each layer; rotated for positions from `start` where the model rotates keys."""
    values: tuple[Encoded, ...]
    start: int
    parent: str
    """`digest_of` the tokens before it when it was computed."""
    fingerprint: Fingerprint
    segments: tuple[Segment, ...]
    """What its tokens are, in order."""
    rope: Mapping[str, Any] | None = None
    """`Rope.to_json`; None where the model's keys cannot be moved."""
    lossless: bool = True
    """Whether what is stored is what was computed, number by number."""
    quality: Mapping[str, float] = field(default_factory=dict[str, float])
    """Loss by storing: `keys_max_abs`, `keys_relative`, `values_max_abs`, `values_relative` of the worst layer."""
    seconds: float = 0.0
    """What computing it took."""

    @property
    def precision(self) -> Precision:
        """How it is stored."""
        return self.keys[0].precision

    @property
    def mode(self) -> str:
        """`prefix` where it begins a prompt; `isolated` where it was computed after a frame, or is meant to be moved there."""
        return "prefix" if self.parent == NOTHING else "isolated"

    @property
    def size(self) -> int:
        """Bytes of what is stored, without names and header."""
        return sum(part.size for part in (*self.keys, *self.values)) + 8 * len(self.ids)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The memories it was made from, in order."""
        return tuple(segment.source for segment in self.segments if segment.source is not None)

    def pairs(self) -> list[Pair]:
        """Copies of the keys and values of each layer in fp32, shape (heads, tokens, channels)."""
        return [(keys.decode(), values.decode()) for keys, values in zip(self.keys, self.values, strict=True)]


def block_of(
    ids: Sequence[int], pairs: Sequence[Pair], precision: Precision, fingerprint: Fingerprint, *, start: int = 0,
    parent: str = NOTHING, segments: Sequence[Segment] = (), rope: Mapping[str, Any] | None = None, group: int = 64,
    seconds: float = 0.0,
) -> Block:  # fmt: skip
    """Store what was computed: `pairs` of each layer, shape (heads, tokens, channels). InputError as `codec.encode`."""
    keys = tuple(encode(pair[0], precision, "keys", group=group) for pair in pairs)
    values = tuple(encode(pair[1], precision, "values", group=group) for pair in pairs)
    lost = [[loss(one, kept) for one, kept in zip(ones, stored, strict=True)]
            for ones, stored in zip(zip(*pairs, strict=True), (keys, values), strict=True)]  # fmt: skip
    quality = {
        f"{role}_{name}": max(getattr(one, name) for one in losses)
        for role, losses in zip(("keys", "values"), lost, strict=True)
        for name in ("max_abs", "relative")
    }
    return Block(
        tuple(ids), keys, values, start, parent, fingerprint, tuple(segments) or (Segment(len(ids)),), rope,
        lossless=not any(quality.values()), quality=quality, seconds=seconds,
    )  # fmt: skip


def cut(block: Block, first: int, last: int) -> Block:
    """Tokens `first` to `last`, excluded, of a block, at least one. What was stored with loss is as it decodes, in fp32."""
    if (first, last) == (0, len(block.ids)):
        return block
    segments: list[Segment] = []
    at = 0
    for segment in block.segments:
        inside = min(at + segment.tokens, last) - max(at, first)
        if inside > 0:
            segments.append(replace(segment, tokens=inside))
        at += segment.tokens
    part = block_of(
        block.ids[first:last], [(keys[:, first:last], values[:, first:last]) for keys, values in block.pairs()], "fp32",
        block.fingerprint, start=block.start + first, segments=segments, rope=block.rope,
    )  # fmt: skip
    return replace(part, lossless=block.lossless, quality=block.quality, parent=parent_at(block, first))


def parent_at(block: Block, first: int) -> str:
    """The parent of what a block holds from token `first` on.

    What stood before a block that does not begin a prompt is known as a digest only: then it is one that no prompt has.
    """
    if not first:
        return block.parent
    return digest_of(block.ids[:first]) if block.parent == NOTHING else f"{block.parent}+{first}"


def same_numbers(one: Block, other: Block) -> bool:
    """Whether two blocks store the same, bit by bit."""
    if one.ids != other.ids or len(one.keys) != len(other.keys):
        return False
    return all(
        part.tensors().keys() == twin.tensors().keys()
        and all(torch.equal(part.tensors()[name], twin.tensors()[name]) for name in part.tensors())
        for part, twin in zip((*one.keys, *one.values), (*other.keys, *other.values), strict=True)
    )
