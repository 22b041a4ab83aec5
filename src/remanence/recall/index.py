"""The in-memory index of one space: derived from the store, stamped with its journal's head, catching up by itself.

Each version of a cube has a slot. A space has an index of its own, so no search can see another tenant's words, not even
through their frequencies.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from remanence.cubes import ROLES, Kind, posix
from remanence.errors import StoreDamagedError, StoreError
from remanence.language.topics import Topics
from remanence.recall.columns import Column, Rows
from remanence.recall.graph import Graph
from remanence.recall.postings import MOST_SLOTS, Postings
from remanence.recall.statements import StatementKeys
from remanence.recall.threads import Threads
from remanence.recall.view import NOBODY, View, Ward
from remanence.store.protocol import Change, IndexRow, Store

_KINDS = {kind.value: number for number, kind in enumerate(Kind)}
_MOVING = frozenset({"retire", "state"})
_LATER = _MOVING | {"extract", "govern"}  # what happens to versions that are here already
_LOAD = 1024  # rows taken from the store at a time

_COLUMNS: dict[str, type[np.generic]] = {
    "seq": np.int64, "root": np.int64,
    "thread": np.int32, "speaker": np.int32, "user": np.int32, "agent": np.int32, "session": np.int32, "about": np.int32,
    "role": np.int32, "kind": np.uint8, "flags": np.uint8, "alive": np.bool_, "embedded": np.bool_, "dated": np.bool_, "read": np.bool_, "derived": np.bool_,
    "observed": np.float64, "since": np.float64, "until": np.float64,
    "recorded": np.float64, "superseded": np.float64, "given": np.float64, "hidden": np.bool_, "ward": np.int32,
    "expires": np.float64,
    "previous": np.int32, "next": np.int32, "length": np.int32,
}  # fmt: skip
# Columns that change behind the end: a view has its own.
_CHANGING = ("previous", "next", "until", "superseded", "hidden", "ward", "expires", "alive")
_WINDOWS: dict[str, type[np.generic]] = {"window_slot": np.int32, "window_lo": np.float64, "window_hi": np.float64}


class SpaceIndex:
    """Columns by slot, postings, vectors and dates of one space."""

    def __init__(self, store: Store, space: str) -> None:
        self._store, self._space = store, space
        self._lock = threading.Lock()
        self._begin("")

    def _begin(self, generation: str) -> None:
        self._head, self._generation = -1, generation
        self._columns = {name: Column(dtype) for name, dtype in {**_COLUMNS, **_WINDOWS}.items()}
        self._names: dict[str, int] = {}
        self._wards: dict[int, Ward] = {}
        self._speakers: tuple[str, ...] = ()
        self._topics = Topics()
        self._threads = Threads()
        self._postings = Postings()
        self._vectors = Rows()
        self._graph = Graph()
        self._statements = StatementKeys()
        self._newest, self._again = 0, False
        self._seen = self._graph.view()
        self._view = self._look()

    @property
    def nbytes(self) -> int:
        """Bytes of arrays held in memory."""
        parts = (self._postings, self._vectors, self._graph, self._statements)
        return sum(column.nbytes for column in self._columns.values()) + sum(part.nbytes for part in parts)

    def view(self) -> View:
        """The space as the store has it now: takes in whatever this or another process committed since the last call."""
        generation = self._store.note("generation") or ""
        if self._store.head() != self._head or generation != self._generation:
            with self._lock:
                if generation != self._generation:  # all keys were made anew
                    self._begin(generation)
                try:
                    head = self._catch_up()
                    if self._again:  # something was read out of a cube anew
                        self._begin(generation)
                        head = self._catch_up()
                except (ValueError, TypeError) as error:  # a time that is none, vectors cut off
                    self._begin(generation)
                    raise StoreDamagedError(
                        f"A row of the space {self._space!r} is malformed: {error}.", "Run: remanence verify"
                    ) from error
                except BaseException:  # half a load is no index: the next question begins again
                    self._begin(generation)
                    raise
                live = self._look()
                self._view = replace(live, **{name: getattr(live, name).copy() for name in _CHANGING})
                self._head = head  # last: whoever sees it must find the view that belongs to it
        return self._view

    def _catch_up(self) -> int:
        if self._head < 0:
            with self._store.snapshot(self._space) as (head, rows):
                while batch := list(islice(rows, _LOAD)):
                    self._append(batch)
        else:
            head, changes, rows = self._store.changes(self._space, self._head)
            self._apply(changes, rows)
        for part in (self._postings, self._graph, self._statements):
            part.settle()
        self._seen = self._graph.view()  # once a catch-up: it joins arrays of the graph's size
        return head

    def _look(self) -> View:
        columns = {name: column.view() for name, column in self._columns.items()}
        return View(
            **columns, postings=self._postings, vectors=self._vectors, speakers=self._speakers, topics=self._topics,
            names=self._names, wards=self._wards, graph=self._seen, statements=self._statements.view(),
        )  # fmt: skip

    def _apply(self, changes: Sequence[Change], rows: dict[int, IndexRow]) -> None:
        """Rows are as they are now, after all the changes: in the order of their memories, as a fresh load takes them."""
        known = self._newest
        new = [row for row in rows.values() if row.seq > known]
        self._append(sorted(new, key=lambda row: (row.root, row.seq)))
        later = dict.fromkeys((change.seq, change.op) for change in changes if change.op in _LATER)
        for seq, op in later:
            if seq in rows and seq <= known:
                self._refresh(rows[seq], op)
        forgotten = [change.root for change in changes if change.op == "forget"]
        for root in forgotten:
            self._forget(root)
        if forgotten:
            self._name_again()

    def _append(self, batch: Sequence[IndexRow]) -> None:
        if not batch:
            return
        self._newest = max(self._newest, *(one.seq for one in batch))
        first = len(self._columns["seq"].view())
        if first + len(batch) > MOST_SLOTS:
            raise StoreError(
                f"The space {self._space!r} holds more than {MOST_SLOTS:,} versions.", "Split it into several spaces."
            )
        row: dict[str, tuple[Any, ...]] = dict(zip(IndexRow._fields, zip(*batch, strict=True), strict=True))
        since = [_seconds(text) for text in row["valid_from"]]
        values: dict[str, Sequence[float] | NDArray[Any]] = {
            "seq": row["seq"], "root": row["root"], "flags": row["flags"], "derived": row["derived"],
            "thread": [self._register(_thread(one)) for one in batch],
            "speaker": [self._register(one.author or one.role) for one in batch],
            "kind": [kind_code(kind) for kind in row["kind"]],
            "alive": np.ones(len(batch), np.bool_), "read": np.zeros(len(batch), np.bool_),
            "embedded": [vector is not None for vector in row["vector"]],
            "observed": [
                start if text is None or text == begun else _seconds(text)
                for text, begun, start in zip(row["observed_at"], row["valid_from"], since, strict=True)
            ],
            "dated": [one.observed_at is not None or one.role != "document" for one in batch],
            "since": since,
            "until": [_ends(text) for text in row["valid_to"]],
            "recorded": [_seconds(text) for text in row["recorded_at"]],
            "superseded": [_ends(text) for text in row["superseded_at"]],
            "given": [_ends(text) for text in row["given_to"]], "hidden": [bool(hidden) for hidden in row["hidden"]],
            "ward": [self._ward(one) for one in batch], "expires": [_ends(text) for text in row["expires_at"]],
            "previous": np.full(len(batch), NOBODY), "next": np.full(len(batch), NOBODY),
            "length": [sum(terms[4::5]) for terms in row["terms"]],
        }  # fmt: skip
        for name in ("user", "agent", "session", "role", "about"):
            values[name] = [self._register(value) for value in row[name]]
        for name, column in values.items():
            self._columns[name].extend(column)
        for about in {*row["about"]} - {None}:
            self._topics.add(about, self._names[about])
        if new := {*row["author"]} - {None, *self._speakers, *ROLES}:
            self._speakers = tuple(sorted({*self._speakers, *new}))
        self._add_vectors(row["vector"], first)
        self._add_windows(row["dates"], first)
        self._postings.extend(first, row["terms"])
        self._graph.extend(first, [mentions or b"" for mentions in row["mentions"]])
        self._statements.extend(len(batch))
        for slot, one in enumerate(batch, first):
            self._read(slot, one)
        if not self._threads.link(self._look(), first):
            self._again = True  # a memory came back into the middle of its session

    def _refresh(self, row: IndexRow, op: str) -> None:
        """Take in what happened to a version that is here already: it was closed, governed otherwise, or read."""
        slot = int(np.flatnonzero(self._columns["seq"].view() == row.seq)[0])
        if op in _MOVING:
            self._columns["until"].view()[slot] = _ends(row.valid_to)
            self._columns["superseded"].view()[slot] = _ends(row.superseded_at)
            self._columns["hidden"].view()[slot] = bool(row.hidden)
            if row.superseded_at:
                self._threads.unlink(self._look(), slot)
        elif op == "govern":
            self._columns["ward"].view()[slot] = self._ward(row)
            self._columns["expires"].view()[slot] = _ends(row.expires_at)
        elif self._columns["read"].view()[slot]:
            self._again = True  # what was read before cannot be taken out
        else:
            self._read(slot, row)

    def _read(self, slot: int, row: IndexRow) -> None:
        if row.read_mentions is None or row.read_links is None or row.read_terms is None:
            return
        self._columns["read"].view()[slot] = True
        facts = len(row.read_links) // 8
        vectors = None
        width = self._vectors.width
        if row.read_vectors and width and len(row.read_vectors) % (2 * width) == 0:
            vectors = np.frombuffer(row.read_vectors, "<f2").reshape(-1, width).astype(np.float32)
        self._graph.read(slot, row.read_mentions, row.read_links, None if vectors is None else vectors[:facts])
        self._statements.read(slot, row.read_terms, None if vectors is None else vectors[facts:])

    def _add_vectors(self, packed: Sequence[bytes | None], first: int) -> None:
        width = self._vectors.width or next((len(vector) // 2 for vector in packed if vector), 0)
        if not width:
            return
        missing = first - self._vectors.size  # slots that came before the first vector
        if missing:
            self._vectors.extend(np.zeros((missing, width), np.float32))
        blank = bytes(2 * width)
        joined = b"".join(vector or blank for vector in packed)
        if len(joined) != len(packed) * len(blank):
            raise StoreDamagedError("Vectors of different lengths lie in one space.", "Run: remanence reindex")
        self._vectors.extend(np.frombuffer(joined, "<f2").reshape(len(packed), width).astype(np.float32))

    def _add_windows(self, packed: Sequence[bytes], first: int) -> None:
        for slot, dates in enumerate(packed, first):
            if dates:
                pairs = np.frombuffer(dates, "<f8").reshape(-1, 2)
                self._columns["window_slot"].extend(np.full(len(pairs), slot))
                self._columns["window_lo"].extend(pairs[:, 0])
                self._columns["window_hi"].extend(pairs[:, 1])

    def _forget(self, root: int) -> None:
        slots = self._look()
        for slot in np.flatnonzero(slots.root == root).tolist():
            self._threads.unlink(slots, slot)
            slots.alive[slot] = False
            self._vectors.clear(slot)
            self._graph.clear(slot)
            self._statements.clear(slot)

    def _name_again(self) -> None:
        """Know no speaker and no entity any more that only forgotten cubes named."""
        slots = self._look()
        names = {code: name for name, code in self._names.items()}
        self._speakers = tuple(sorted({names[code] for code in set(slots.speaker[slots.alive].tolist())} - ROLES))
        self._topics = Topics()
        for code in set(slots.about[slots.alive].tolist()) - {NOBODY}:
            self._topics.add(names[code], code)

    def _ward(self, row: IndexRow) -> int:
        """The code of who may see a version; NOBODY where all may who have a right to the space."""
        if row.sensitivity is None and row.access == "[]":
            return NOBODY
        code = self._register(f"\0ward {row.sensitivity!r} {row.access}")
        self._wards[code] = (row.sensitivity, tuple(json.loads(row.access)))
        return code

    def _register(self, name: str | None) -> int:
        return NOBODY if name is None else self._names.setdefault(name, len(self._names))


def kind_code(kind: str) -> int:
    """The number that stands for a kind in the `kind` column."""
    return _KINDS[kind]


def _thread(row: IndexRow) -> str | None:
    """What a turn's neighbours share: the session of a conversation. Passages of documents stand for themselves, and what was
    made from a turn stands in no session: nobody said it.
    """
    stands_alone = row.session is None or row.role == "document" or row.made
    return None if stands_alone else f"\0{row.user!r}\0{row.agent!r}\0{row.session}"


def _ends(text: str | None) -> float:
    return np.inf if text is None else _seconds(text)


def _seconds(text: str) -> float:
    return posix(datetime.fromisoformat(text))
