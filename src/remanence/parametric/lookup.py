"""An editable lookup memory: rows under token n-grams, added to what a frozen causal LM computes.

A write trains rows for one cube and nothing else; a delete drops them. Every row has one owner, several owners of the same
n-gram are chained, and what is read is their sum. After a delete the memory, its file and the model's logits are bitwise
those of a memory in which the deleted cube was never written. Text without any of the n-grams is never touched.

The name and the idea of hashed n-gram rows beside a transformer are related to DeepSeek's Engram (arXiv 2601.07372), which learns such
a table during pretraining to hold common local knowledge. Here the model is frozen, the rows are memories, and each can be taken out.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from remanence.errors import InputError, QuotaError
from remanence.models.local.causal import CausalLM
from remanence.models.local.fingerprint import Fingerprint
from remanence.parametric import marks, tensorfile
from remanence.parametric.lookupreading import Reading
from remanence.parametric.lookuptable import LookupSpec, NGram, Owner, RowSet, Table
from remanence.parametric.lookuptraining import Note, RowTraining, Written, trained


@dataclass(frozen=True, slots=True)
class Occupancy:
    """How full a memory is."""

    rows: int
    ngrams: int
    shared: int
    """N-grams that several cubes have rows under."""
    taken: tuple[int, ...]
    """Slots with at least one row, per head."""
    slots: int
    """Slots per head, as the spec says."""


class LookupMemory:
    """Rows on one frozen causal LM. Attached, they are read by everything that runs the model.

    Reading is safe from several threads. Writes and deletes take a lock and come into force at once, as a whole.
    """

    def __init__(self, lm: CausalLM, spec: LookupSpec | None = None) -> None:
        self.lm = lm
        self.spec = spec or LookupSpec()
        hidden = int(lm.model.config.hidden_size)
        self.width = self.spec.dim or hidden
        if self.width > hidden:
            raise InputError(f"Rows of {self.width} do not fit a hidden size of {hidden}.", "Choose a smaller `dim`.")
        up = None if self.width == hidden else _orthonormal(self.width, hidden, self.spec.seed)
        self._reading = Reading(lm.model, self.spec, Table(self.spec, (), self.width), up)
        self._lock = threading.RLock()
        self._mark = ""

    @property
    def owners(self) -> tuple[Owner, ...]:
        """The cubes that own rows, by id and version."""
        return tuple(rows.owner for rows in self._reading.table.sets)

    @property
    def sets(self) -> tuple[RowSet, ...]:
        """The row sets, in the order of `owners`."""
        return self._reading.table.sets

    @property
    def attached(self) -> bool:
        """Whether the model reads the rows."""
        return self._reading.attached

    def attach(self) -> None:
        """Let the model read the rows. Doing it again changes nothing."""
        with self._lock:
            self._reading.attach()
            self._marked()

    def detach(self) -> None:
        """Take the hooks out of the model, which is then as it was."""
        with self._lock:
            self._reading.detach()
            self._marked()

    def stands_on(self) -> Fingerprint:
        """The model that the rows belong to: what is in use now, these rows left out."""
        return marks.without(self.lm, self._mark)

    @contextmanager
    def reading(self) -> Generator[LookupMemory]:
        """Attached inside, and as before outside."""
        was = self.attached
        self.attach()
        try:
            yield self
        finally:
            if not was:
                self.detach()

    def tell(self, cache: object, ids: Sequence[int]) -> None:
        """Say which tokens a KV cache holds that was not computed while the memory was attached, or that is a copy."""
        self._reading.tell(cache, ids)

    def write(self, notes: Iterable[Note], how: RowTraining | None = None) -> tuple[Written, ...]:
        """Train and place rows for each note; rows of another version of the same cube go in the same moment.

        Raises
        ------
        InputError
            A note has nothing to learn from, two notes have one owner, or no n-gram of a note can hold a row.
        TrainingError
            A loss is not a number. Nothing of the call is written.
        QuotaError
            `collisions` is "refuse", and all slots of a new n-gram are taken. Nothing of the call is written.
        """
        given = list(notes)
        if len({note.owner.id for note in given}) < len(given):
            raise InputError("Two notes have the same owner.", "Put the pairs of one cube into one note.")
        with self._lock:
            made = [
                trained(self.lm, self._reading, self.spec, self.width, note, how or RowTraining()) for note in given
            ]
            self.add(rows for rows, _ in made)
        return tuple(written for _, written in made)

    def add(self, sets: Iterable[RowSet]) -> None:
        """Place rows that were trained before, with the same spec on the same model. Raises `QuotaError` as `write`."""
        with self._lock:
            new = list(sets)
            ids = {rows.owner.id for rows in new}
            table = self._without(ids)
            if self.spec.collisions == "refuse":
                table = self._placed(table, new)
            else:
                table = Table(self.spec, [*table.sets, *new], self.width)
            self._put(table)

    def delete(self, ids: Iterable[str]) -> int:
        """Drop every row of these cubes, in all versions, and say how many there were. Cubes without rows are no error."""
        with self._lock:
            before = len(self._reading.table.values)
            self._put(self._without(set(ids)))
            return before - len(self._reading.table.values)

    def held_under(self, text: str) -> dict[Owner, int]:
        """Whose rows are read in a text, and how many times: the provenance of what the memory adds there."""
        table = self._reading.table
        ends: list[int] = []
        number = 0
        for rows in table.sets:
            number += len(rows.ngrams)
            ends.append(number)
        counted: dict[Owner, int] = {}
        for _, _, read in table.match(torch.tensor([self.lm.encode(text)], dtype=torch.long)).passes:
            for row in read.tolist():
                owner = table.sets[next(at for at, end in enumerate(ends) if row < end)].owner
                counted[owner] = counted.get(owner, 0) + 1
        return counted

    def owners_of(self, ngram: NGram) -> tuple[Owner, ...]:
        """Who has a row under an n-gram of token ids."""
        table = self._reading.table
        return tuple(table.sets[number].owner for number, _ in table.index.get(ngram, ()))

    def occupancy(self) -> Occupancy:
        """How many rows there are, and how full the heads."""
        table = self._reading.table
        shared = sum(len(held) > 1 for held in table.index.values())
        taken = tuple((table.counts > 0).sum(1).tolist())
        return Occupancy(len(table.values), len(table.index), shared, taken, self.spec.size)

    def _put(self, table: Table) -> None:
        self._reading.table = table
        self._marked()

    def _marked(self) -> None:
        """Let the fingerprint of the model say which rows it reads; an empty memory changes nothing and says nothing."""
        table, mark = self._reading.table, ""
        if self._reading.attached and table.sets:
            named = {f"{rows.owner.id}/{rows.owner.version}": rows.values for rows in table.sets}
            mark = "rows:" + tensorfile.digest_of(named)
        marks.change(self.lm, self._mark, mark)
        self._mark = mark

    def _without(self, ids: set[str]) -> Table:
        table = self._reading.table
        return Table(self.spec, [rows for rows in table.sets if rows.owner.id not in ids], self.width)

    def _placed(self, table: Table, new: list[RowSet]) -> Table:
        for rows in new:
            crowded = table.crowded(rows.ngrams)
            if crowded:
                raise QuotaError(
                    f"{len(crowded)} n-grams of {rows.owner.id} have no free slot in any of {self.spec.heads} heads.",
                    "Use a larger `size`, or let collisions chain.",
                )
            table = Table(self.spec, [*table.sets, rows], self.width)
        return table


def _orthonormal(dim: int, hidden: int, seed: int) -> Tensor:
    """Fixed rows [dim, hidden] that are orthonormal: a function of the seed alone."""
    drawn = torch.randn(hidden, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.linalg.qr(drawn).Q.T.float().contiguous()
