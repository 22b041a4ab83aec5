"""The table of a lookup memory: which rows belong to which n-gram, and whose they are.

A row is held under a token n-gram: the last two or three tokens read so far. `heads` hash functions (multiply, XOR, modulo a
prime, as in Engram, arXiv 2601.07372) each give an n-gram one slot, and an occupancy map per head counts the rows in each slot.
A position is looked at only if its slot is taken in every head; then the n-gram itself decides, so a collision of hashes
never reads another n-gram's row.

A table is a pure function of the set of row sets in it: it is built anew by every write and delete, in an order that does not
depend on the order of writing. So what is left after a delete is what would be there had the deleted set never been written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from remanence.errors import InputError

NGram = tuple[int, ...]
_MASK = (1 << 64) - 1
_POSITIVE = (1 << 63) - 1
_MIX = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class LookupSpec:
    """The shape of a lookup memory. Two memories can exchange rows only if their specs are equal."""

    layers: tuple[int, ...] = (-1,)
    """Before which layers of the decoder rows are added to the residual stream; negative ones count from the end."""
    orders: tuple[int, ...] = (2, 3)
    """Lengths of the n-grams, in tokens."""
    dim: int = 0
    """Numbers per row and layer; 0: the hidden size. Fewer are projected up by a fixed orthonormal map made from `seed`."""
    heads: int = 2
    """Hash functions, 2 to 4."""
    size: int = 65_536
    """Slots per head; each head uses a prime number of them."""
    gate: float = 1.0
    """What a row is multiplied by before it is added."""
    read: Literal["best", "all"] = "best"
    """Where several cubes have rows: read those of the cube that most n-grams of the last `window` tokens belong to, or all."""
    window: int = 32
    """Tokens back that `read="best"` counts n-grams in."""
    collisions: Literal["chain", "refuse"] = "chain"
    """What happens to an n-gram whose slots are all taken by other n-grams: it shares them, or the write is refused."""
    seed: int = 0

    def __post_init__(self) -> None:
        wrong = [
            not self.layers,
            not self.orders or min(self.orders) < 1 or len(set(self.orders)) < len(self.orders),
            not 2 <= self.heads <= 4,
            self.size < 16,
            self.dim < 0,
            self.collisions not in {"chain", "refuse"},
        ]
        if any(wrong):
            raise InputError(
                "A lookup memory needs layers, different n-gram lengths of at least 1, 2 to 4 heads and 16 slots or more.",
                "Correct the LookupSpec.",
            )


@dataclass(frozen=True, slots=True)
class Owner:
    """The cube that rows were written for."""

    id: str
    version: int


@dataclass(frozen=True, slots=True, eq=False)
class RowSet:
    """The rows of one cube. They were trained with no other rows in place, so they hold nothing of any other cube."""

    owner: Owner
    ngrams: tuple[NGram, ...]
    """Sorted, without doubles."""
    values: Tensor
    """[rows, layers, dim], fp32: row i belongs to `ngrams[i]`."""
    entities: tuple[NGram, ...] = ()
    """If given, rows are read only from where one of these token sequences has ended in the text; sorted."""


@dataclass(frozen=True, slots=True)
class Hits:
    """Where rows are added: pass k adds row `rows[k][i]` at text `texts[k][i]`, place `places[k][i]`.

    No place occurs twice in a pass, so the sums have one order and are the same bit by bit each time.
    """

    passes: tuple[tuple[Tensor, Tensor, Tensor], ...]

    @property
    def count(self) -> int:
        """Rows read, counted per place."""
        return sum(len(texts) for texts, _, _ in self.passes)


class Table:
    """Row sets, ordered and indexed. Immutable."""

    def __init__(self, spec: LookupSpec, sets: Iterable[RowSet], width: int) -> None:
        self.spec = spec
        self.sets = tuple(sorted(sets, key=lambda rows: (rows.owner.id, rows.owner.version)))
        empty = torch.zeros(0, len(spec.layers), width)
        self.values: Tensor = torch.cat([empty, *(rows.values for rows in self.sets)])
        """[all rows, layers, dim], set after set."""
        index: dict[NGram, list[tuple[int, int]]] = {}
        row = 0
        for number, rows in enumerate(self.sets):
            for ngram in rows.ngrams:
                index.setdefault(ngram, []).append((number, row))
                row += 1
        self.index = {ngram: tuple(held) for ngram, held in index.items()}
        self.hashes = Hashes(spec)
        self.counts = torch.zeros(spec.heads, spec.size, dtype=torch.int32)
        """The occupancy map: rows per head and slot."""
        for ngram, held in index.items():
            for head, slot in enumerate(self.hashes.slots(ngram)):
                self.counts[head, slot] += len(held)

    def match(self, ids: Tensor, start: int = 0) -> Hits:
        """The rows that are read at the places from `start` on of ids [B, T]; -1 stands for padding.

        Places are counted from `start`. Raises nothing: a text without any of the n-grams has no hits.
        """
        first = max(0, start - self.spec.window + 1) if self.spec.read == "best" else start
        found = [place for order in self.spec.orders for place in self._candidates(ids, order, first)]
        return self._arranged(ids, start, sorted(found))

    def match_naive(self, ids: Tensor, start: int = 0) -> Hits:
        """What `match` finds, by comparing every n-gram with every suffix. The reference for tests."""
        found: list[tuple[int, int, NGram]] = []
        for text, tokens in enumerate(ids.tolist()):
            for place in range(len(tokens)):
                found += [(text, place, n) for n in self.index if len(n) <= place + 1 and _ends(tokens, place, n)]
        return self._arranged(ids, start, sorted(found))

    def crowded(self, ngrams: Sequence[NGram]) -> list[NGram]:
        """Those of new n-grams whose slots are taken in every head by other n-grams."""
        new = [ngram for ngram in ngrams if ngram not in self.index]
        counts = self.counts
        return [n for n in new if all(int(counts[head, slot]) for head, slot in enumerate(self.hashes.slots(n)))]

    @cached_property
    def _taken(self) -> Tensor:
        return self.counts > 0

    def _candidates(self, ids: Tensor, order: int, start: int) -> list[tuple[int, int, NGram]]:
        first = max(start, order - 1)
        if ids.shape[1] <= first or not self.sets:
            return []
        windows = ids[:, first - order + 1 :].unfold(1, order, 1)
        taken = torch.ones(windows.shape[:2], dtype=torch.bool)
        for head in range(self.spec.heads):
            taken &= self._taken[head, self.hashes.of(windows, head)]
        places = taken.nonzero().tolist()
        grams = [tuple(gram) for gram in windows[taken].tolist()]
        return [(text, at + first, n) for (text, at), n in zip(places, grams, strict=True) if n in self.index]

    def _arranged(self, ids: Tensor, start: int, found: list[tuple[int, int, NGram]]) -> Hits:
        seen: dict[int, dict[int, list[int]]] = {}
        here: dict[tuple[int, int], dict[int, list[int]]] = {}
        for text, place, ngram in found:
            for number, row in self.index[ngram]:
                seen.setdefault(text, {}).setdefault(number, []).append(place)
                if place >= start:
                    here.setdefault((text, place), {}).setdefault(number, []).append(row)
        since = {text: self._starts(ids[text].tolist(), sets) for text, sets in seen.items()}
        read: dict[tuple[int, int], list[int]] = {}
        for (text, place), rows in here.items():
            chosen = self._chosen(place, [number for number in rows if place >= since[text][number]], seen[text])
            if chosen:
                read[text, place - start] = sorted(row for number in chosen for row in rows[number])
        passes: list[tuple[Tensor, Tensor, Tensor]] = []
        for turn in range(max((len(rows) for rows in read.values()), default=0)):
            turns = [(text, place, rows[turn]) for (text, place), rows in read.items() if len(rows) > turn]
            columns = torch.tensor(turns, dtype=torch.long)
            passes.append((columns[:, 0], columns[:, 1], columns[:, 2]))
        return Hits(tuple(passes))

    def _starts(self, tokens: list[int], sets: Iterable[int]) -> dict[int, int]:
        """From which place on each row set may be read: where one of its entities has ended."""
        return {number: _since(tokens, self.sets[number].entities) for number in sets}

    def _chosen(self, place: int, active: list[int], seen: dict[int, list[int]]) -> list[int]:
        """The sets that are read at a place: all, or those of which most n-grams ended within the window."""
        if self.spec.read == "all" or len(active) < 2:
            return active
        first = place - self.spec.window
        counted = {number: sum(first < ended <= place for ended in seen[number]) for number in active}
        most = max(counted.values())
        return [number for number in active if counted[number] == most]


class Hashes:
    """The hash functions of a spec: head h maps an n-gram to the slot XOR(multiplier · id) modulo a prime."""

    def __init__(self, spec: LookupSpec) -> None:
        self.primes = _primes(spec.size, spec.heads)
        longest = max(spec.orders)
        self.multipliers = [
            [_scrambled(spec.seed * 1_000_003 + head * 1_009 + place) | 1 for place in range(longest)]
            for head in range(spec.heads)
        ]

    def slots(self, ngram: NGram) -> list[int]:
        """One slot per head. Written with Python's whole numbers: the twin of `of`."""
        slots: list[int] = []
        for prime, multipliers in zip(self.primes, self.multipliers, strict=True):
            mixed = 0
            for place, token in enumerate(reversed(ngram)):
                mixed ^= ((token + 1) * multipliers[place]) & _MASK
            slots.append((mixed & _POSITIVE) % prime)
        return slots

    def of(self, windows: Tensor, head: int) -> Tensor:
        """Slots of n-grams [..., order] in one head."""
        mixed = torch.zeros(windows.shape[:-1], dtype=torch.int64)
        for place in range(windows.shape[-1]):
            multiplier = self.multipliers[head][place]
            signed = multiplier - (1 << 64) if multiplier > _POSITIVE else multiplier
            mixed ^= (windows[..., windows.shape[-1] - 1 - place] + 1) * signed
        return (mixed & _POSITIVE) % self.primes[head]


def contains(tokens: Sequence[int], wanted: NGram) -> int:
    """The place at which the first occurrence of a token sequence ends; -1 if there is none."""
    for place in range(len(wanted) - 1, len(tokens)):
        if _ends(tokens, place, wanted):
            return place
    return -1


def _since(tokens: list[int], entities: tuple[NGram, ...]) -> int:
    if not entities:
        return 0
    ends = [end for end in (contains(tokens, entity) for entity in entities) if end >= 0]
    return min(ends, default=len(tokens))


def _ends(tokens: Sequence[int], place: int, ngram: NGram) -> bool:
    return tuple(tokens[place - len(ngram) + 1 : place + 1]) == ngram


def _scrambled(number: int) -> int:
    """SplitMix64 (Steele, Lea and Flood, 2014): well mixed 64 bits of a small number."""
    mixed = (number * _MIX + _MIX) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return mixed ^ (mixed >> 31)


def _primes(size: int, count: int) -> list[int]:
    """The largest primes that are not above `size`."""
    found: list[int] = []
    candidate = size
    while len(found) < count:
        if all(candidate % divisor for divisor in range(2, int(candidate**0.5) + 1)):
            found.append(candidate)
        candidate -= 1
    return found
