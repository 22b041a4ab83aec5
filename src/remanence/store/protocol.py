"""What every store offers. `tests/contracts/test_store_contract.py` is its specification in running form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from remanence.cubes import Extraction, MemCube, Page, State
from remanence.drafts import Draft, Keys
from remanence.language.slots import Stated
from remanence.policies import Policy

if TYPE_CHECKING:
    from remanence.store.trusted import Trusted


class IndexRow(NamedTuple):
    """One version as an in-memory index wants it."""

    seq: int
    """The version's number in the store: rises with every version written, never used twice."""
    root: int
    """`seq` of the memory's first version: its place in the order of writing, kept by corrections."""
    kind: str
    user: str | None
    agent: str | None
    session: str | None
    author: str | None
    role: str
    source: str
    about: str | None
    observed_at: str | None
    valid_from: str
    valid_to: str | None
    terms: bytes
    dates: bytes
    flags: int
    vector: bytes | None
    mentions: bytes | None
    derived: bool
    """It was made out of other memories, and is a key to them."""
    read_mentions: bytes | None
    """What was read out of it, `Reading`: None where nothing was."""
    read_links: bytes | None
    read_terms: bytes | None
    read_vectors: bytes | None
    recorded_at: str
    superseded_at: str | None
    given_to: str | None
    hidden: int
    sensitivity: str | None
    access: str
    """Names as JSON; with `sensitivity` it says who may see the version."""


class Change(NamedTuple):
    """One journal entry as an in-memory index wants it."""

    op: str
    """One of `journal.OPS`."""
    root: int
    seq: int


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure took out, kept in memory only as long as the probe needs it."""

    ids: tuple[str, ...]
    versions: int
    traces: tuple[bytes, ...]
    """Byte strings that must not be found any more."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of `verify`."""

    checks: Mapping[str, int]
    """How many things each check looked at."""
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True when nothing is wrong."""
        return not self.problems


class Transition(NamedTuple):
    """A wish to change the state of a memory."""

    cube_id: str
    to: State
    reason: str
    by: str = "owner"
    space: str | None = None


class Event(NamedTuple):
    """A change of state that happened."""

    at: datetime
    cube_id: str
    version: int
    was: State
    became: State
    reason: str
    by: str


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


class Replay(NamedTuple):
    """An idempotency key, and a digest of the request that it came with."""

    space: str
    key: str
    request: bytes


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

    def claims(self, space: str, seqs: Sequence[int] | None = None) -> list[Stated]:
        """What the current versions in a space state; with `seqs`, all about the same subjects and relations as those versions do."""
        ...

    def claims_beside(self, space: str, cube_ids: Sequence[str]) -> list[Stated]:
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

    def govern(self, cube_id: str, policy: Policy, space: str | None = None) -> MemCube:
        """Give all versions of a memory another policy. Raises UnknownCubeError or FrozenError."""
        ...

    def events(self, cube_id: str, space: str | None = None) -> list[Event]:
        """What became of a memory and why, oldest first; UnknownCubeError if there is none."""
        ...

    def in_state(self, space: str, state: State, limit: int, after: str | None = None) -> Page:
        """Memories whose last version is in a state, in the order of writing."""
        ...

    def due(self, now: datetime, limit: int) -> list[str]:
        """Ids of current memories whose time is up."""
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


class Store(Protocol):
    """Durable, journaled cubes. Every method is safe to call from any thread; each read is one consistent snapshot."""

    @property
    def location(self) -> str:
        """Where the store lives, for messages."""
        ...

    @property
    def derived(self) -> DerivedStore:
        """What was made out of the cubes."""
        ...

    @property
    def trusted(self) -> Trusted:
        """Revoked sources, echoes of own answers, recorded questions, rollouts."""
        ...

    @property
    def lifecycle(self) -> LifecycleStore:
        """The states of the cubes, and how they are governed."""
        ...

    def clock(self) -> datetime:
        """What time it is for this store."""
        ...

    def close(self) -> None:
        """Release everything. Later calls raise `StoreClosedError`."""
        ...

    def append(
        self, items: Sequence[Draft | str], replay: Replay | None = None, earlier: Sequence[str] = ()
    ) -> list[str]:
        """Write drafts in one durable transaction; a draft whose mark is known by now is not written again.

        An item may be the id of a memory that is already there. A draft that was made of a version which is not current any
        more, corrected or forgotten meanwhile, is left out. Returns one id for each of the others, in order. `replay` stores
        `earlier` plus these ids under an idempotency key.
        """
        ...

    def replayed(self, replay: Replay) -> list[str] | None:
        """The ids that this key stored before, None if it is new; IdempotencyConflictError on another request."""
        ...

    def known(self, marks: Sequence[bytes], space: str) -> dict[bytes, str]:
        """Which of these marks the space already holds, and the id each belongs to."""
        ...

    def supersede(self, draft: Draft) -> bool:
        """Write the next version of a memory; False if another correction came first and this is not the next any more.

        What was made from the memory is retired. Raises UnknownCubeError, or InputError if the memory is retired itself.
        """
        ...

    def restore(self, drafts: Sequence[Draft]) -> int:
        """Write imported versions as they are, history included. Returns how many were new."""
        ...

    def erase(self, cube_ids: Sequence[str], space: str | None = None) -> Erased:
        """Delete every row of these memories in one durable transaction. Traces may remain until `scrub`."""
        ...

    def scrub(self) -> None:
        """Rewrite the store so that no free page, log or slack holds anything deleted; ForgetIncompleteError if it cannot."""
        ...

    def residue(self, traces: Sequence[bytes]) -> list[bytes]:
        """Those traces that can still be read from the store's bytes and are not part of a living cube."""
        ...

    def get(self, cube_id: str, space: str | None = None) -> MemCube:
        """The current version; UnknownCubeError if there is none (in that space)."""
        ...

    def versions(self, cube_id: str, space: str | None = None) -> list[MemCube]:
        """All versions, oldest first; UnknownCubeError if there are none."""
        ...

    def page(self, space: str, limit: int, after: str | None, filters: Mapping[str, str]) -> Page:
        """Current cubes of a space in the order of writing."""
        ...

    def beside(self, cube: MemCube) -> list[MemCube]:
        """The current cubes said just before and just after one in its session; none outside a session."""
        ...

    def fetch(self, space: str, seqs: Sequence[int]) -> dict[int, MemCube]:
        """Versions by number."""
        ...

    def matching(self, space: str, meta: Mapping[str, Any]) -> list[int]:
        """Numbers of the versions whose `meta` has all these values."""
        ...

    def everything(self, space: str | None = None) -> Iterator[tuple[MemCube, Keys]]:
        """Every version with its keys, in the order of writing."""
        ...

    def rekey(self, keys: Mapping[int, Keys]) -> None:
        """Replace derived keys, for `reindex`."""
        ...

    def numbered(self, after: int, limit: int) -> list[tuple[int, MemCube]]:
        """Versions with numbers above `after`, of all spaces, for `reindex`."""
        ...

    def spaces(self) -> list[str]:
        """Names of all spaces."""
        ...

    def counts(self) -> dict[str, int]:
        """Sizes for `stats`: cubes, versions, spaces, entries, without_vector, bytes."""
        ...

    def sizes(self) -> dict[str, int]:
        """Current cubes of each space."""
        ...

    def head(self) -> int:
        """Number of the newest journal entry: what in-memory indexes compare themselves with."""
        ...

    def snapshot(self, space: str) -> AbstractContextManager[tuple[int, Iterator[IndexRow]]]:
        """The journal's head and every version of a space, as of one moment."""
        ...

    def changes(self, space: str, after: int) -> tuple[int, list[Change], dict[int, IndexRow]]:
        """What happened in a space since a journal entry: the new head, the changes, the rows they need."""
        ...

    def note(self, name: str) -> str | None:
        """A named fact about the store itself, such as its embedder's fingerprint."""
        ...

    def set_note(self, name: str, value: str) -> None:
        """Write such a fact durably."""
        ...

    def offer_note(self, name: str, value: str) -> str:
        """Write such a fact unless it is there already. Returns what is there now."""
        ...

    def drop_note(self, name: str) -> None:
        """Remove such a fact."""
        ...

    def secret(self) -> bytes:
        """The store's own random key, for marks."""
        ...

    def verify(self) -> Checked:
        """Re-derive every hash and every index entry, and compare."""
        ...

    def backup(self, path: Path) -> None:
        """Copy the store while it is in use."""
        ...
