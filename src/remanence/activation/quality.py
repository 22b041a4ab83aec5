"""How far a cache is from the prompt that it stands for: divergence of the next token, and what nearer would cost.

A probe is what comes after the cache: a question, and the tokens of an answer. The distributions over the last tokens of it are
compared with those of a full prefill, in nats; agreement is the share of them whose most probable token is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from transformers import Cache

from remanence.activation.block import Block
from remanence.activation.compose import CHECK, FIRST, Mode, compose
from remanence.activation.running import CHUNK, extend
from remanence.errors import InputError
from remanence.models.local.caches import clone
from remanence.models.local.causal import CausalLM


@dataclass(frozen=True, slots=True)
class Probe:
    """Tokens that follow a cache, and how many predictions at their end count."""

    ids: tuple[int, ...]
    scored: int = 1
    """1: what comes after the last token only."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """Two sets of distributions over the next token, compared."""

    kl: float
    """Mean Kullback–Leibler divergence from the reference, in nats."""
    worst: float
    """The greatest one."""
    agreement: float
    """Share of places where the most probable token is the same."""
    places: int


@dataclass(frozen=True, slots=True)
class Point:
    """One way to compose, what it costs, and how near it comes."""

    mode: Mode
    share: float
    """Of the tokens of moved blocks, computed again in all layers."""
    cost: float
    """As `Composed.cost`."""
    divergence: Divergence


def divergence(reference: Tensor, other: Tensor) -> Divergence:
    """Compare logits of shape (places, vocabulary). InputError where the shapes differ or are empty."""
    if reference.shape != other.shape or reference.ndim != 2 or not len(reference):
        raise InputError(f"Logits of {tuple(reference.shape)} and {tuple(other.shape)} cannot be compared.")
    exact, found = reference.double().log_softmax(-1), other.double().log_softmax(-1)
    away = (exact.exp() * (exact - found)).sum(-1).clamp_min(0)
    same = (reference.argmax(-1) == other.argmax(-1)).double().mean()
    return Divergence(float(away.mean()), float(away.max()), float(same), len(reference))


def together(parts: Sequence[Divergence]) -> Divergence:
    """Several comparisons as one, each place counted once. InputError for none."""
    places = sum(part.places for part in parts)
    if not places:
        raise InputError("There is nothing to compare.", "Give at least one probe.")
    kl = sum(part.kl * part.places for part in parts) / places
    agreement = sum(part.agreement * part.places for part in parts) / places
    return Divergence(kl, max(part.worst for part in parts), agreement, places)


def continued(probe: Probe, cache: Cache, lm: CausalLM) -> Tensor:
    """Logits of a probe after a cache, which is not changed: shape (scored, vocabulary)."""
    if not 1 <= probe.scored <= len(probe.ids):
        raise InputError(f"{probe.scored} predictions of {len(probe.ids)} tokens cannot be scored.")
    return lm.forward(probe.ids, clone(cache), keep=probe.scored).logits


def measure(
    cache: Cache, ids: Sequence[int], probes: Sequence[Probe], lm: CausalLM, *, chunk: int = CHUNK
) -> Divergence:
    """Compare a cache with the full prefill of the tokens that it stands for, over probes."""
    full = extend(ids, lm, chunk=chunk)[1]
    return together([divergence(continued(probe, full, lm), continued(probe, cache, lm)) for probe in probes])


def curve(
    pieces: Sequence[Block | Sequence[int]], probes: Sequence[Probe], lm: CausalLM, *,
    shares: Sequence[float] = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0), first: int = FIRST, check: int = CHECK,
) -> tuple[Point, ...]:  # fmt: skip
    """Quality against cost: raw, re-rotated and repaired once each, and blended by each share."""
    ways: list[tuple[Mode, float]] = [
        ("raw", 0.0),
        ("rerotate", 0.0),
        ("repair", 0.0),
        *(("blend", one) for one in shares),
    ]
    ids = [one for piece in pieces for one in (piece.ids if isinstance(piece, Block) else piece)]
    full = extend(ids, lm)[1]
    wanted = [continued(probe, full, lm) for probe in probes]
    found: list[Point] = []
    for mode, share in ways:
        done = compose(pieces, lm, mode=mode, share=share, first=first, check=check)
        off = [divergence(one, continued(probe, done.cache, lm)) for one, probe in zip(wanted, probes, strict=True)]
        moved = sum(len(part.block.ids) for part in done.pieces if part.block and part.how in ("approximate", "fresh"))
        found.append(Point(mode, done.recomputed / max(moved, 1), done.cost, together(off)))
    return tuple(found)


def share_for(points: Sequence[Point], agreement: float = 0.99) -> float | None:
    """The least share of `blend` from which on every greater one agrees at least so often; None where none does."""
    blended = sorted((point for point in points if point.mode == "blend"), key=lambda point: -point.share)
    found: float | None = None
    for point in blended:
        if point.divergence.agreement < agreement:
            break
        found = point.share
    return found
