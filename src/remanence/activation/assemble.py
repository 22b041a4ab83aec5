"""The cache for a prompt, out of whatever blocks there are.

What is exact is taken first. What may be moved is moved where the caller allows it, and said to be an approximation. What nobody holds
is computed, in between where something moved comes after it, else by the pass that reads the question.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from transformers import DynamicCache

from remanence.activation.block import Block, Source, cut, digest_of, parent_at
from remanence.activation.compose import CHECK, FIRST, SHARE, How, Mode, Piece, compose
from remanence.activation.layout import Part, Prompt
from remanence.activation.prefix import PrefixIndex
from remanence.activation.running import CHUNK
from remanence.models.local.causal import CausalLM

Chunk = Block | tuple[int, ...]
"""Tokens that are stored, or that are to be computed."""


@dataclass(frozen=True, slots=True)
class Used:
    """What became of some tokens of a prompt."""

    tokens: int
    how: How
    source: Source | None = None
    """The memory that they are; None for the frame."""


@dataclass(frozen=True, slots=True, eq=False)
class Assembled:
    """A prompt and the cache of its beginning."""

    ids: tuple[int, ...]
    """The whole prompt: `lm.generate(ids, cache=cache)` computes the rest and answers."""
    cache: DynamicCache
    """New, and the caller's own."""
    covered: int
    """Tokens that the cache holds."""
    used: tuple[Used, ...]
    """All tokens before the question, in order; those after `covered` are fresh, and not in the cache yet."""
    cost: float
    """Work done, by the work of computing all covered tokens."""

    @property
    def exact(self) -> bool:
        """Whether the answer is that of a prompt with the text, but for how caches are stored."""
        return all(part.how != "approximate" for part in self.used)

    @property
    def taken(self) -> int:
        """Tokens that did not have to be computed."""
        return sum(part.tokens for part in self.used if part.how != "fresh")


def assemble(
    prompt: Prompt, blocks: Iterable[Block], lm: CausalLM, *, mode: Mode | None = "repair", share: float = SHARE,
    first: int = FIRST, check: int = CHECK, chunk: int = CHUNK,
) -> Assembled:  # fmt: skip
    """Build the cache of a prompt, up to its question at most, out of the blocks that hold parts of it.

    The longest exact beginning is taken first, then blocks of single memories by their tokens, moved by `mode` as in `compose`.
    With the mode None nothing is moved: only what is exact is taken. Errors as `compose`.
    """
    known, mine = list(blocks), lm.fingerprint
    for block in known:
        block.fingerprint.require(mine, "A block")
    lm.check_room(len(prompt.ids))
    parts = [part for part in prompt.parts if part is not prompt.question]
    pieces = _exact(parts, known)
    if mode is not None:
        pieces = _moved(pieces, parts, _Held(known))
    if not pieces:
        return Assembled(prompt.ids, DynamicCache(), 0, _used(parts, ()), 0.0)
    done = compose(pieces, lm, mode=mode or "rerotate", share=share, first=first, check=check, chunk=chunk)
    return Assembled(prompt.ids, done.cache, len(done.ids), _used(parts, done.pieces), done.cost)


def _exact(parts: Sequence[Part], blocks: Sequence[Block]) -> list[Chunk]:
    """The blocks that hold the longest beginning of the parts, the last of them cut to what fits."""
    ids = tuple(one for part in parts for one in part.ids)
    chain, covered = PrefixIndex(blocks).longest(ids)
    found: list[Chunk] = []
    for block in chain:
        found.append(cut(block, 0, min(len(block.ids), covered)))
        covered -= len(block.ids)
    return found


class _Held:
    """Single memories that blocks hold, by their tokens; one in a longer block is cut out of it when it is used."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._places: dict[tuple[int, ...], list[tuple[Block, int]]] = {}
        for block in blocks:
            at = 0
            for segment in block.segments:
                self._places.setdefault(block.ids[at : at + segment.tokens], []).append((block, at))
                at += segment.tokens

    def find(self, ids: tuple[int, ...], before: tuple[int, ...], head: int) -> Block | None:
        """The best block of these tokens: computed after the same tokens, else after the same frame, `head` tokens, else any."""
        here, framed = (len(before), digest_of(before)), (head, digest_of(before[:head]))
        found = self._places.get(ids)
        if not found:
            return None

        def worth(place: tuple[Block, int]) -> tuple[bool, bool, bool]:
            block, at = place
            stood = block.start + at, parent_at(block, at)
            return stood == here, block.lossless, stood == framed

        block, at = max(found, key=worth)
        return cut(block, at, at + len(ids))


def _moved(pieces: list[Chunk], parts: Sequence[Part], held: _Held) -> list[Chunk]:
    """Go on behind the exact beginning with blocks of single parts, up to the last one that is held."""
    at = sum(map(_length, pieces))
    ids = tuple(one for part in parts for one in part.ids)
    head = len(parts[0].ids) if parts and parts[0].source is None else 0
    found, stored, start = list(pieces), len(pieces), 0
    for part in parts:
        end = start + len(part.ids)
        if end > at:
            block = held.find(part.ids, ids[:start], head)
            if block is not None and at > start:  # an exact beginning that ends inside of what is held as a whole
                found, at = _back(found, at - start), start
            found.append(block or ids[max(at, start) : end])
            at = end
            stored = len(found) if block is not None else stored
        start = end
    return found[:stored]


def _back(pieces: Sequence[Chunk], tokens: int) -> list[Chunk]:
    """The pieces without the last `tokens`."""
    found = list(pieces)
    while tokens:
        last = found.pop()
        assert isinstance(last, Block)
        if len(last.ids) > tokens:
            found.append(cut(last, 0, len(last.ids) - tokens))
        tokens -= min(tokens, len(last.ids))
    return found


def _used(parts: Sequence[Part], pieces: Sequence[Piece]) -> tuple[Used, ...]:
    """Parts and pieces, laid over each other."""
    rest = Piece(sum(len(part.ids) for part in parts) - sum(piece.tokens for piece in pieces), "fresh")
    hows: list[How] = [piece.how for piece in (*pieces, rest) for _ in range(piece.tokens)]
    found: list[Used] = []
    at = 0
    for part in parts:
        mine = hows[at : at + len(part.ids)]
        found += (Used(len(list(run)), how, part.source) for how, run in itertools.groupby(mine))
        at += len(part.ids)
    return tuple(found)


def _length(piece: Chunk) -> int:
    return len(piece.ids) if isinstance(piece, Block) else len(piece)
