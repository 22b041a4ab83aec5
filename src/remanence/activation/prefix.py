"""The longest beginning of a prompt that is computed already.

A prompt is covered by a chain of blocks: one that begins prompts, then one that was computed after exactly these tokens, and so
on; the last one may be used in part. What is found is exact, because keys and values depend on nothing but the tokens
before. Blocks are looked up by hashes that are chained over pieces of a few tokens, as servers do with pages (Kwon et al.,
arXiv 2309.06180, section 4.3), and their tokens are compared before they are used. `longest` in the tests compares every chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from transformers import DynamicCache

from remanence.activation.block import NOTHING, Block, digest_of
from remanence.activation.capture import cache_from
from remanence.activation.running import Pair
from remanence.models.local.caches import cache_of, crop, pairs
from remanence.models.local.causal import CausalLM

PIECE = 16
"""Tokens of one hash."""


class Reused(NamedTuple):
    """The beginning of a prompt, computed before."""

    cache: DynamicCache
    """New, and the caller's own: it may grow."""
    covered: int
    """Tokens of the prompt that it holds."""
    used: tuple[Block, ...] = ()
    """The blocks that it was taken from, in order; the last one may have been used in part."""

    @property
    def lossless(self) -> bool:
        """Whether every number is what the model computed."""
        return all(block.lossless for block in self.used)


@dataclass(slots=True)
class _Branch:
    """Blocks that were computed after the same tokens."""

    having: dict[int, list[Block]] = field(default_factory=dict[int, list[Block]])
    """By the chained hash of some whole pieces: the blocks that begin with them and go on."""
    ending: dict[int, list[Block]] = field(default_factory=dict[int, list[Block]])
    """By the chained hash of all whole pieces of a block: that block."""


class PrefixIndex:
    """Blocks of one model, found by the tokens of a prompt."""

    def __init__(self, blocks: Iterable[Block] = ()) -> None:
        self._branches: dict[tuple[int, str], _Branch] = {}
        for block in blocks:
            self.add(block)

    def add(self, block: Block) -> None:
        """Add a block. Of several with the same tokens the one that lost nothing is preferred, then the first."""
        branch = self._branches.setdefault((block.start, block.parent), _Branch())
        chained = 0
        for at in range(0, len(block.ids) - PIECE + 1, PIECE):
            branch.having.setdefault(chained, []).append(block)
            chained = hash((chained, block.ids[at : at + PIECE]))
        branch.having.setdefault(chained, []).append(block)
        branch.ending.setdefault(chained, []).append(block)

    def longest(self, ids: Sequence[int]) -> tuple[tuple[Block, ...], int]:
        """The chain of blocks that covers most of a prompt's beginning, and how many tokens that is."""
        return self._chain(tuple(ids), 0, NOTHING)

    def _chain(self, ids: tuple[int, ...], at: int, parent: str) -> tuple[tuple[Block, ...], int]:
        branch = self._branches.get((at, parent))
        if branch is None or at >= len(ids):
            return (), 0
        whole, (part, covered) = _matches(branch, ids[at:])
        best: tuple[tuple[Block, ...], int] = ((part,), covered) if part is not None else ((), 0)
        for block in whole:
            end = at + len(block.ids)
            rest, more = self._chain(ids, end, digest_of(ids[:end]))
            if len(block.ids) + more > best[1]:
                best = (block, *rest), len(block.ids) + more
        return best


def reuse(ids: Sequence[int], blocks: PrefixIndex | Iterable[Block], lm: CausalLM) -> Reused:
    """The cache of the longest beginning of a prompt that blocks hold, its last token left out: someone needs its logits.

    The blocks are not changed; the cache is a copy. Compute the rest with `lm.forward(ids[covered:], cache)`, or pass the
    cache to `lm.generate`. ModelMismatchError where a block that fits was made with another model.
    """
    index = blocks if isinstance(blocks, PrefixIndex) else PrefixIndex(blocks)
    chain, covered = index.longest(ids[:-1])
    return Reused(chained(chain, covered, lm), covered, chain)


def chained(chain: Sequence[Block], covered: int, lm: CausalLM) -> DynamicCache:
    """A new cache of blocks that follow each other, cut to `covered` tokens."""
    if not chain:
        return DynamicCache()
    caches = [cache_from(block, lm) for block in chain]
    cache = caches[0]
    if len(caches) > 1:
        layers = zip(*(pairs(one) for one in caches), strict=True)
        cache = cache_of([_joined(layer) for layer in layers])
    crop(cache, covered)
    return cache


def _joined(layer: Sequence[Pair]) -> Pair:
    return torch.cat([keys for keys, _ in layer], dim=2), torch.cat([values for _, values in layer], dim=2)


def _matches(branch: _Branch, ids: tuple[int, ...]) -> tuple[list[Block], tuple[Block | None, int]]:
    """Of the blocks of a branch: those that stand at the beginning of `ids` as a whole, and the one that shares most of it."""
    whole: list[Block] = []
    chained, at = 0, 0
    while True:
        whole += (block for block in branch.ending.get(chained, ()) if ids[: len(block.ids)] == block.ids)
        after = hash((chained, ids[at : at + PIECE]))
        if at + PIECE > len(ids) or after not in branch.having:
            break
        chained, at = after, at + PIECE
    best: tuple[Block | None, int] = (None, 0)
    for block in branch.having.get(chained, ()):
        shared = common(block.ids, ids)
        if shared > best[1] or (shared == best[1] and best[0] is not None and block.lossless > best[0].lossless):
            best = block, shared
    return sorted(whole, key=lambda block: not block.lossless), best


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences share from the start."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
