"""What one question sees of an index: arrays of one length, taken at one moment, while the index goes on growing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from remanence.language.dates import Window
from remanence.language.topics import Topics
from remanence.policies import Clearance
from remanence.recall.columns import Rows
from remanence.recall.postings import Postings

if TYPE_CHECKING:
    from remanence.recall.graph import GraphView

NOBODY = -1
"""No user, no neighbour, no entity. As an index it is the last place: arrays that are gathered from end with a zero."""

Codes = NDArray[np.int32]
Times = NDArray[np.float64]
Ward = tuple[str | None, tuple[str, ...]]
"""A sensitivity label, and the principals who alone may see something."""
Mask = NDArray[np.bool_]
"""What a question may see: True for the slots in scope, shape (slots,)."""


@dataclass(frozen=True, slots=True)
class Statements:
    """What models wrote about slots: extra keys to them."""

    slot: NDArray[np.int64]
    """Of each statement, shape (statements,)."""
    vectors: Rows
    postings: Postings
    """Words of all statements of a slot."""
    length: NDArray[np.int32]
    """Stems of all statements of a slot, shape (n,)."""


@dataclass(frozen=True, slots=True)
class View:
    """Columns by slot, shape (n,) each; one slot per version. Codes stand for names, times are POSIX seconds."""

    seq: NDArray[np.int64]
    root: NDArray[np.int64]
    thread: Codes
    speaker: Codes
    user: Codes
    agent: Codes
    session: Codes
    about: Codes
    role: Codes
    kind: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    alive: NDArray[np.bool_]
    embedded: NDArray[np.bool_]
    derived: NDArray[np.bool_]
    """It was made out of other memories: found only where its kind is asked for."""
    read: NDArray[np.bool_]
    """A model read something out of it."""
    dated: NDArray[np.bool_]
    """False for documents whose date nobody knows: `observed` is then only when they were stored."""
    observed: Times
    since: Times
    until: Times
    recorded: Times
    superseded: Times
    given: Times
    """The end of validity as it was told, inf where none was."""
    hidden: NDArray[np.bool_]
    expires: Times
    """From when on the slot is not shown any more."""
    ward: Codes
    """Who may see the slot, a key of `wards`; NOBODY where everyone may."""
    previous: Codes
    next: Codes
    length: Codes
    window_slot: Codes
    """Dates that texts name, shape (windows,): the slot of each, its start and its end."""
    window_lo: Times
    window_hi: Times
    postings: Postings
    vectors: Rows
    speakers: tuple[str, ...]
    """Names of everyone who speaks in the space; roles are not names."""
    topics: Topics
    names: Mapping[str, int]
    wards: Mapping[int, Ward]
    graph: GraphView
    statements: Statements

    def __len__(self) -> int:
        return len(self.seq)

    def code(self, name: str | None) -> int:
        """The number that stands for a user, session, speaker …; NOBODY for None and for names never seen."""
        return NOBODY if name is None else self.names.get(name, NOBODY)

    def open_to(self, clearance: Clearance | None) -> Mask | None:
        """The slots that a caller may see at all, shape (n,); None where that is all of them."""
        if clearance is None or not self.wards:
            return None
        codes = [code for code, ward in list(self.wards.items()) if clearance.admits(*ward)]
        return (self.ward == NOBODY) | np.isin(self.ward, codes)

    def span(self, seen: Mask | None = None) -> Window | None:
        """From the first to the last observation of what was not forgotten, among the slots that are `seen`."""
        observed = self.observed[self.alive if seen is None else self.alive & seen]
        return Window(float(observed.min()), float(observed.max()) + 1) if len(observed) else None
