"""Blocks that were computed apart, put behind each other as one cache.

What stands in a block was computed without the blocks that now come before it, so a composed cache is an approximation, and
says so. Four ways, from the least work to the most:

- `raw`: keys stay rotated for where they were computed, so that positions repeat. Wrong; MemOS composes so, and it is here to be
  compared with.
- `rerotate`: keys are rotated to where they stand now. Exact for the first layer, and for a block with the same tokens before it.
- `repair`: and the first tokens of each moved block are computed again in place, which ends their standing as a second start
  of the text (LegoLink in EPIC, arXiv 2410.15332, section 4).
- `blend`: and the tokens whose values at a low layer are furthest from fresh ones are computed again in all layers
  (CacheBlend, arXiv 2405.16444, section 4.2). With all of them the cache is that of a full prefill.

Pieces may also be plain tokens: they are computed in place. The full prefill of all tokens is what all of this is held to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal, get_args

import torch
from torch import Tensor
from transformers import DynamicCache

from remanence.activation.block import Block, digest_of
from remanence.activation.rope import rerotate, rope_of
from remanence.activation.running import CHUNK, Pair, Places, refill
from remanence.errors import InputError
from remanence.models.local.caches import cache_of
from remanence.models.local.causal import CausalLM

Mode = Literal["raw", "rerotate", "repair", "blend"]
How = Literal["exact", "stored", "approximate", "fresh"]
"""`exact`: what a full prefill computes. `stored`: that, rounded by how it is stored. `approximate`: computed with other tokens before
it. `fresh`: computed now; exact where everything before it is."""

SHARE = 0.15
"""Of the tokens of moved blocks, how many `blend` computes again: what CacheBlend found to be enough."""
FIRST = 4
"""Tokens of each moved block that `repair` computes again."""
CHECK = 1
"""The layer at which `blend` compares values; layer 0 sees no other token, so it has nothing to compare."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a composed cache."""

    tokens: int
    how: How
    block: Block | None = None
    """Where it was taken from; None for what is computed now."""


@dataclass(frozen=True, slots=True, eq=False)
class Composed:
    """One cache of several pieces."""

    cache: DynamicCache
    """New, and the caller's own."""
    ids: tuple[int, ...]
    """Its tokens, at the positions from 0 on."""
    pieces: tuple[Piece, ...]
    cost: float
    """Work done, by the work of a full prefill: tokens times layers that were computed."""
    recomputed: int
    """Tokens of blocks that were computed again in all layers."""

    @property
    def exact(self) -> bool:
        """Whether it is the cache of a full prefill but for how it is stored."""
        return all(piece.how != "approximate" for piece in self.pieces)


def compose(
    pieces: Sequence[Block | Sequence[int]], lm: CausalLM, *, mode: Mode = "rerotate", share: float = SHARE, first: int = FIRST,
    check: int = CHECK, chunk: int = CHUNK,
) -> Composed:  # fmt: skip
    """Put blocks and tokens behind each other, from position 0 on, as one cache.

    Blocks that stand where they stood, behind the same tokens, stay as they are in every mode. `share` is used by `blend`: the
    share of the tokens of all other blocks that is computed again. `first` is used by `repair`, `check` by `blend`.

    Raises
    ------
    InputError
        There is nothing to compose, the mode is unknown, or a number is out of its range.
    ContextTooLongError
        The pieces together are longer than the model's context.
    ModelMismatchError
        A block was made with another model.
    UnsupportedModelError
        A block has to be moved, and the model's keys cannot be.
    """
    if mode not in get_args(Mode) or not 0 <= share <= 1 or first < 0 or check < 0:
        raise InputError(
            f"mode {mode!r}, share {share!r}, first {first!r} and check {check!r} cannot be used.",
            f"Use one of {', '.join(get_args(Mode))}, a share from 0 to 1, and whole numbers.",
        )
    blocks = [piece for piece in pieces if isinstance(piece, Block)]
    for block in blocks:
        block.fingerprint.require(lm.fingerprint, "A block")
    ids = tuple(one for piece in pieces for one in (piece.ids if isinstance(piece, Block) else piece))
    lm.check(ids)
    lm.check_room(len(ids))
    parts = _placed(pieces, ids)
    cache = Places(_stored(parts, len(ids), lm, turn=mode != "raw"))
    moved, fresh = _slots(parts, "approximate", lm), _slots(parts, "fresh", lm)
    tokens = torch.tensor(ids, device=lm.device)
    chosen, seen, count = moved[:0], 0, ceil(share * len(moved))
    if mode == "repair":
        chosen = _first(parts, first, lm)
    elif mode == "blend" and count == len(moved):
        chosen = moved
    elif mode == "blend":
        check = min(check, lm.layers - 1)
        chosen = _furthest(tokens, moved, fresh, cache, lm, count, check=check, chunk=chunk)
        seen = (len(moved) + len(fresh)) * (check + 1)
    again = torch.cat([chosen, fresh]).sort().values
    refill(tokens, again, cache, lm, chunk=chunk)
    if len(chosen) == len(moved):
        parts = [Piece(part.tokens, "fresh", part.block) if part.how == "approximate" else part for part in parts]
    cost = (seen + len(again) * lm.layers) / (len(ids) * lm.layers)
    return Composed(cache_of(cache.stored), ids, tuple(parts), cost, len(chosen))


def _placed(pieces: Sequence[Block | Sequence[int]], ids: tuple[int, ...]) -> list[Piece]:
    """What each piece is worth where it stands: that depends on everything before it."""
    parts: list[Piece] = []
    at = 0
    for piece in pieces:
        tokens = len(piece.ids) if isinstance(piece, Block) else len(piece)
        if not isinstance(piece, Block):
            parts.append(Piece(tokens, "fresh"))
        elif piece.start == at and piece.parent == digest_of(ids[:at]):
            parts.append(Piece(tokens, "exact" if piece.lossless else "stored", piece))
        else:
            parts.append(Piece(tokens, "approximate", piece))
        at += tokens
    return parts


def _stored(parts: Sequence[Piece], tokens: int, lm: CausalLM, *, turn: bool) -> list[Pair]:
    """All keys and values in place, shape (1, heads, tokens, channels) for each layer; zeros where nothing is stored."""
    rope = rope_of(lm) if turn and any(part.how == "approximate" for part in parts) else None
    shape = (1, lm.kv_heads, tokens, lm.head_dim)
    found = [
        (torch.zeros(shape, device=lm.device, dtype=lm.dtype), torch.zeros(shape, device=lm.device, dtype=lm.dtype))
        for _ in range(lm.layers)
    ]
    at = 0
    for part in parts:
        block, end = part.block, at + part.tokens
        for layer, (keys, values) in enumerate(block.pairs() if block is not None else ()):
            assert block is not None
            turned = keys if rope is None else rerotate(keys, block.start, at, rope)
            found[layer][0][0, :, at:end] = turned.to(lm.device, lm.dtype)
            found[layer][1][0, :, at:end] = values.to(lm.device, lm.dtype)
        at = end
    return found


def _slots(parts: Sequence[Piece], how: How, lm: CausalLM) -> Tensor:
    """Places of the tokens of all pieces of a kind, ascending."""
    return torch.arange(sum(part.tokens for part in parts), device=lm.device)[
        torch.tensor([part.how == how for part in parts for _ in range(part.tokens)], device=lm.device)
    ]


def _first(parts: Sequence[Piece], first: int, lm: CausalLM) -> Tensor:
    """Places of the first tokens of each moved block."""
    flags = [part.how == "approximate" and at < first for part in parts for at in range(part.tokens)]
    return torch.tensor(flags, device=lm.device).nonzero()[:, 0]


def _furthest(
    tokens: Tensor, moved: Tensor, fresh: Tensor, cache: Places, lm: CausalLM, count: int, *, check: int, chunk: int
) -> Tensor:  # fmt: skip
    """Places of the moved tokens whose values at a layer are furthest from fresh ones, which are left in the cache.

    All of them are computed up to that layer. The distance is squared and summed over heads and channels.
    """
    before = cache.stored[check][1][0, :, moved].float()
    refill(tokens, torch.cat([moved, fresh]).sort().values, cache, lm, stop=check, chunk=chunk)
    away = (cache.stored[check][1][0, :, moved].float() - before).square().sum(dim=(0, 2))
    return moved[away.topk(count).indices]
