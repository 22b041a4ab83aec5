"""The graph of one space: passages and the names they mention, relations between names, turns that follow each other.

Nodes are names (hashed, numbered in order of arrival) and slots. An edge exists only as long as a living slot in scope holds
it: nothing is stored that could outlive the cube it came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from remanence.language.entities import ABOUT
from remanence.recall.columns import Column, Rows
from remanence.recall.pagerank import Mass, Nodes
from remanence.recall.postings import Postings
from remanence.recall.profile import Profile
from remanence.recall.ranges import spread
from remanence.recall.registry import Registry
from remanence.recall.view import NOBODY, Mask, View

_PAIR = np.dtype([("term", "<u4"), ("count", "u1")])
Ids = NDArray[np.int32]
Marks = NDArray[np.uint8]
_COUNT = 0x3F
READ = 0x40
"""Bit of a mention that a model found, not the rules."""


@dataclass(frozen=True, slots=True)
class Edges:
    """Edges from some nodes, sorted by them: a small compressed matrix."""

    sources: NDArray[np.int64]
    """Where an edge starts, rising, shape (edges,)."""
    targets: NDArray[np.int64]
    marks: Marks
    owners: NDArray[np.int64]
    """The slot that an edge comes from."""

    def of(self, nodes: Nodes) -> tuple[Nodes, Nodes]:
        """For some nodes: the places of their edges, and the place among the nodes that each belongs to."""
        starts = np.searchsorted(self.sources, nodes, "left")
        ends = np.searchsorted(self.sources, nodes, "right")
        return spread(starts, ends)


_NONE = Edges(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint8), np.empty(0, np.int64))


class Graph:
    """Grows with an index; one thread changes it at a time."""

    def __init__(self) -> None:
        self.names = Registry()
        self.slots_of = Postings()
        """Name → slots; also those that only a reading names."""
        self._starts, self._ids, self._marks = Column(np.int64), Column(np.int32), Column(np.uint8)
        self._popularity = Column(np.int32)
        self._read = {name: Column(np.int64) for name in ("slot", "id", "mark")}
        self._links = {name: Column(np.int64) for name in ("slot", "subject", "value")}
        self.facts = Rows()
        """Vectors of the facts, in the order of `links`; zeros where there is none."""
        self._read_edges = self._link_edges = _NONE
        self._stale = False

    def extend(self, first_slot: int, packed: list[bytes]) -> None:
        """Add the mentions of new slots, numbered from `first_slot`."""
        pairs = np.frombuffer(b"".join(packed), _PAIR)
        sizes = np.fromiter(map(len, packed), np.int64, len(packed)) // _PAIR.itemsize
        ids = self.names.number(pairs["term"].astype(np.uint32))
        self._starts.extend(len(self._ids.view()) + np.cumsum(sizes) - sizes)
        self._ids.extend(ids)
        self._marks.extend(pairs["count"])
        self._post(first_slot, ids, pairs["count"], sizes)

    def read(self, slot: int, mentions: bytes, links: bytes, vectors: NDArray[np.float32] | None) -> None:
        """Add what was read out of a slot: names, facts as pairs of names, and the facts' vectors."""
        pairs = np.frombuffer(mentions, _PAIR)
        ids, marks = self.names.number(pairs["term"].astype(np.uint32)), pairs["count"] | np.uint8(READ)
        new = ~np.isin(ids, self._named(slot)) | (marks & ABOUT > 0)
        ids, marks = ids[new], marks[new]
        self._read["slot"].extend(np.full(len(ids), slot))
        self._read["id"].extend(ids)
        self._read["mark"].extend(marks)
        self._post(slot, ids, marks, np.array([len(ids)]))
        sides = self.names.number(np.frombuffer(links, "<u4").astype(np.uint32)).reshape(-1, 2)
        self._links["slot"].extend(np.full(len(sides), slot))
        self._links["subject"].extend(sides[:, 0])
        self._links["value"].extend(sides[:, 1])
        width = self.facts.width or (0 if vectors is None else vectors.shape[1])
        if width:
            missing = len(self._links["slot"].view()) - len(sides) - self.facts.size
            self.facts.extend(np.zeros((max(missing, 0), width), np.float32))
            self.facts.extend(
                vectors if vectors is not None and len(vectors) else np.zeros((len(sides), width), np.float32)
            )
        self._stale = True

    def _named(self, slot: int) -> Ids:
        """The names that the rules found in a slot."""
        starts = self._starts.view()
        end = starts[slot + 1] if slot + 1 < len(starts) else None
        return self._ids.view()[starts[slot] : end]

    def settle(self) -> None:
        """Make what was added visible."""
        self.slots_of.settle()
        if self._stale:
            slot, ids, mark = (column.view() for column in self._read.values())
            self._read_edges = _sorted(slot, ids, mark.astype(np.uint8), slot)
            owner, subject, value = (column.view() for column in self._links.values())
            apart = subject != value
            owner, subject, value = owner[apart], subject[apart], value[apart]
            both = np.concatenate([subject, value]), np.concatenate([value, subject])
            self._link_edges = _sorted(*both, np.ones(2 * len(owner), np.uint8), np.tile(owner, 2))
            self._stale = False

    def view(self) -> GraphView:
        """The graph as of now."""
        starts = np.append(self._starts.view(), len(self._ids.view()))
        self._popularity.extend(np.zeros(len(self.names) - len(self._popularity.view()), np.int32))
        return GraphView(
            size=len(self.names), degrees=np.concatenate([self._popularity.view(), np.diff(starts)]), names=self.names, slots_of=self.slots_of, facts=self.facts,
            starts=starts, ids=self._ids.view(), marks=self._marks.view(),
            read=self._read_edges, relations=self._link_edges,
            links=tuple(column.view() for column in self._links.values()),
        )  # fmt: skip

    def clear(self, slot: int) -> None:
        """Overwrite the vectors of a forgotten slot's facts."""
        for number in np.flatnonzero(self._links["slot"].view() == slot).tolist():
            self.facts.clear(number)

    @property
    def nbytes(self) -> int:
        """Bytes of arrays held."""
        columns = (self._starts, self._ids, self._marks, self._popularity, *self._read.values(), *self._links.values())
        return sum(column.nbytes for column in columns) + self.names.nbytes + self.slots_of.nbytes + self.facts.nbytes

    def _post(self, first_slot: int, ids: Ids, marks: Marks, sizes: NDArray[np.int64]) -> None:
        """Turn the lists around: for each name, where it is mentioned."""
        self._popularity.extend(np.zeros(len(self.names) - len(self._popularity.view()), np.int32))
        np.add.at(self._popularity.view(), ids, 1)
        packed = np.empty(len(ids), _PAIR)
        packed["term"], packed["count"] = ids, marks
        ends = np.cumsum(sizes)
        raw, width = packed.tobytes(), _PAIR.itemsize
        parts = [
            raw[width * (end - size) : width * end] for end, size in zip(ends.tolist(), sizes.tolist(), strict=True)
        ]
        self.slots_of.extend(first_slot, parts)


@dataclass(frozen=True, slots=True)
class GraphView:
    """What one question sees of a graph."""

    size: int
    """Names; the node of slot s is `size + s`."""
    degrees: NDArray[np.int64]
    """Mentions of every node, shape (size + n,), in and out of scope: what a push from it costs."""
    names: Registry
    slots_of: Postings
    facts: Rows
    starts: NDArray[np.int64]
    ids: Ids
    marks: Marks
    read: Edges
    relations: Edges
    links: tuple[NDArray[np.int64], ...]
    """Of each fact: its slot, and the numbers of its subject and its value."""

    def mentioning(self, name: int, mask: Mask) -> tuple[NDArray[np.int32], Marks]:
        """The slots in scope that mention a name, each once, and the mark of the mention."""
        slots, marks = self.slots_of.of(name)
        inside = slots < len(mask)
        slots, marks = slots[inside], marks[inside].astype(np.uint8)
        inside = mask[slots]
        slots, first = np.unique(slots[inside], return_index=True)
        return slots, marks[inside][first]

    def neighbours(self, nodes: Nodes, view: View, mask: Mask, profile: Profile) -> tuple[Nodes, Nodes, Mass]:
        """See `pagerank.Neighbours`: edges of names and slots, those of slots out of scope left out."""
        is_name = nodes < self.size
        names, slots = np.flatnonzero(is_name), np.flatnonzero(~is_name)
        parts = [
            *self._from_names(nodes[names], names, mask, profile),
            *self._from_slots(nodes[slots] - self.size, slots, view, mask, profile),
        ]
        owner, target, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
        return owner, target, weight

    def _from_names(self, names: Nodes, place: Nodes, mask: Mask, profile: Profile) -> list[tuple[Nodes, Nodes, Mass]]:
        owner, slots, marks = self.slots_of.many(names)
        inside = slots < len(mask)
        inside[inside] = mask[slots[inside]]
        mentions = (place[owner[inside]], self.size + slots[inside].astype(np.int64), _weight(marks[inside], profile))
        return [mentions, self._related(names, place, mask, profile)]

    def _related(self, names: Nodes, place: Nodes, mask: Mask, profile: Profile) -> tuple[Nodes, Nodes, Mass]:
        edges, owner = self.relations.of(names)
        inside = mask[self.relations.owners[edges]]
        edges, owner = edges[inside], owner[inside]
        return place[owner], self.relations.targets[edges], np.full(len(edges), profile.relation)

    def _from_slots(
        self, slots: Nodes, place: Nodes, view: View, mask: Mask, profile: Profile
    ) -> list[tuple[Nodes, Nodes, Mass]]:
        edges, owner = spread(self.starts[slots], self.starts[slots + 1])
        parts = [(place[owner], self.ids[edges].astype(np.int64), _weight(self.marks[edges], profile))]
        edges, owner = self.read.of(slots)
        parts.append((place[owner], self.read.targets[edges], _weight(self.read.marks[edges], profile)))
        if profile.sequence:
            for column in (view.previous, view.next):
                beside = column[slots].astype(np.int64)
                there = beside != NOBODY
                there[there] = mask[beside[there]]
                parts.append((place[there], self.size + beside[there], np.full(int(there.sum()), profile.sequence)))
        return parts


def _weight(marks: Marks, profile: Profile) -> Mass:
    """ln(1 + mentions), more for what the text is about."""
    return _weights(profile.about_edge, profile.read_edge)[marks]


@lru_cache(maxsize=16)
def _weights(about: float, read: float) -> Mass:
    """The weight of each of the 256 marks that there can be."""
    marks = np.arange(256)
    return np.log1p(marks & _COUNT) * np.where(marks & ABOUT, about, 1.0) * np.where(marks & READ, read, 1.0)


def _sorted(sources: NDArray[np.int64], targets: NDArray[np.int64], marks: Marks, owners: NDArray[np.int64]) -> Edges:
    order = np.argsort(sources, kind="stable")
    return Edges(sources[order], targets[order], marks[order], owners[order])
