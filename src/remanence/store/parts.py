"""What a store offers beside its cubes: what was made out of them, and how they are governed. `protocol.Store` has both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from remanence.cubes import Extraction, MemCube, Page, State
from remanence.drafts import Draft, Keys
from remanence.language.slots import Stated
from remanence.policies import Clearance, Policy


class Transition(NamedTuple):
    """A wish to change the state of a memory."""

    cube_id: str
    to: State
    reason: str
    by: str = "owner"
    space: str | None = None
    renew: bool = False
    """Whether a memory that comes back loses a time to live that is over."""


class Event(NamedTuple):
    """A change of state that happened."""

    at: datetime
    cube_id: str
    version: int
    was: State
    became: State
    reason: str
    by: str


class Revision(NamedTuple):
    """A memory before and after."""

    before: MemCube
    after: MemCube


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed in a space between two times, as the store knew it."""

    added: tuple[MemCube, ...]
    """Recalled at the second time, and not at the first: new, or brought back."""
    changed: tuple[Revision, ...]
    removed: tuple[MemCube, ...]
    """Recalled at the first time, and not at the second: put away, expired or retired."""
    forgotten: tuple[str, ...]
    """Ids of memories that were forgotten in between; nothing else is left of them."""


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What a rollback did. What it undid is in the history of each memory."""

    put_away: tuple[str, ...]
    """Ids of memories that came later."""
    reverted: tuple[str, ...]
    """Ids of memories that say again what they said then."""
    restored: tuple[str, ...]
    """Ids of memories that had been put away since."""
    skipped: dict[str, str]
    """Ids of memories that stay as they are, and why."""


class Reading(NamedTuple):
    """What an extractor read out of one version, and the keys that follow from it."""

    seq: int
    extractor: str
    content: Extraction
    mentions: bytes
    """`language.entities.pack_mentions` of its entities and of both sides of its facts."""
    links: bytes
    """Two hashed names for each fact, 4 bytes little-endian each: subject and value."""
    terms: bytes
    """`language.tokens.pack_terms` of its statements."""
    vectors: bytes | None
    """Unit embeddings as float16: one for each fact, then one for each statement. None without an embedder."""


class DerivedStore(Protocol):
    """What was made out of cubes, and goes when they go."""

    def keep(self, readings: Sequence[Reading]) -> int:
        """Write what was read out of versions, in one durable transaction; an earlier reading of the same version is replaced.

        Returns how many were kept: a version that was forgotten meanwhile gets none.
        """
        ...

    def unread(self, extractor: str, space: str | None, after: int, limit: int) -> list[tuple[int, MemCube]]:
        """Current versions with numbers above `after` that this extractor has not read yet, and their numbers."""
        ...

    def waiting(self, extractor: str, space: str | None) -> int:
        """How many such versions there are."""
        ...

    def reading(self, cube_id: str) -> tuple[str, Extraction] | None:
        """What was read out of the current version of a memory, and by whom."""
        ...

    def readings(self, space: str | None) -> dict[tuple[str, int], tuple[str, Extraction]]:
        """All readings, by id and version."""
        ...

    def everything(self, space: str | None) -> Iterator[tuple[MemCube, Keys, Reading | None]]:
        """Every version with its keys and what was read out of it, in the order of writing, as of one moment."""
        ...

    def stored(self, seqs: Sequence[int]) -> dict[int, Reading]:
        """Readings by the numbers of their versions."""
        ...

    def bare(self, versions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """The numbers of those versions, given by id and version, that are there and have no reading."""
        ...

    def rekey(self, readings: Sequence[Reading]) -> None:
        """Replace the derived keys of readings, for `reindex`; one whose content is another by now keeps its own."""
        ...

    def children(self, cube_ids: Sequence[str]) -> list[str]:
        """Ids of the memories made directly from these."""
        ...

    def has_pairs(self, space: str) -> bool:
        """Whether the space holds a current question–answer pair."""
        ...

    def claims(self, space: str, seqs: Sequence[int] | None = None, clearance: Clearance | None = None) -> list[Stated]:
        """What the current versions in a space state; with `seqs`, all about the same subjects and relations as those versions do."""
        ...

    def claims_beside(self, space: str, cube_ids: Sequence[str], clearance: Clearance | None = None) -> list[Stated]:
        """What current versions state about the same subjects and relations as these memories do."""
        ...

    def reply(self, space: str, key: bytes) -> str | None:
        """The answer that a language model gave to this prompt before."""
        ...

    def keep_reply(self, space: str, key: bytes, answer: str, sources: Sequence[str]) -> None:
        """Keep an answer as long as all memories that its prompt showed are there; not at all if one is gone already."""
        ...


class LifecycleStore(Protocol):
    """The states of memories, and how they are governed."""

    def change(self, transitions: Sequence[Transition]) -> list[MemCube]:
        """Make transitions, all or none, in one durable transaction. Returns the last version of each memory after it.

        What was derived from a memory that is put away is put away with it; a memory that went into a merge and comes back
        undoes the merge. Raises UnknownCubeError, TransitionError or FrozenError.
        """
        ...

    def merge(self, product: Draft, parents: Sequence[str], reason: str, by: str = "owner") -> MemCube | None:
        """Write a memory made of others, and put these away as MERGED, in one transaction; None if one of them changed meanwhile."""
        ...

    def govern_all(self, policies: Mapping[str, Policy]) -> None:
        """Give all versions of several memories another policy, all of them or none. Raises as `govern`."""
        ...

    def govern(self, cube_id: str, policy: Policy, space: str | None = None) -> MemCube:
        """Give all versions of a memory another policy. Raises UnknownCubeError or FrozenError."""
        ...

    def events(self, cube_id: str, space: str | None = None) -> list[Event]:
        """What became of a memory and why, oldest first; UnknownCubeError if there is none."""
        ...

    def in_state(
        self, space: str, state: State, limit: int, after: str | None = None, clearance: Clearance | None = None
    ) -> Page:
        """Memories whose last version is in a state, in the order of writing."""
        ...

    def due(self, now: datetime, limit: int) -> list[str]:
        """Ids of current memories whose time is up."""
        ...

    def is_due_ever(self) -> bool:
        """Whether any current memory can expire or fade."""
        ...

    def fading(self) -> list[tuple[str, float, float, datetime, int]]:
        """Current memories with a half-life: id, half-life in days, priority, last use or writing, uses."""
        ...

    def used(self, counts: Mapping[str, int], at: datetime) -> None:
        """Add to the uses of memories; those that are not there any more are left out."""
        ...

    def usage(self, cube_id: str) -> tuple[int, datetime | None]:
        """How often a memory was recalled, and when last."""
        ...


class TimelineStore(Protocol):
    """What the store knew at earlier times."""

    def diff(self, space: str, first: datetime, second: datetime, clearance: Clearance | None = None) -> Diff:
        """What changed between two times."""
        ...

    def rollback(self, space: str, to: datetime, now: datetime, by: str) -> RolledBack:
        """Let a space say again what it said at a time, in one durable transaction of new versions and states."""
        ...
