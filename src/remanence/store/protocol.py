"""What every store offers. `tests/contracts/test_store_contract.py` is its specification in running form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from remanence.cubes import MemCube, Page
from remanence.drafts import Draft, Keys
from remanence.policies import Clearance
from remanence.store.ledger import Ledger
from remanence.store.parts import DerivedStore, LifecycleStore, TimelineStore

if TYPE_CHECKING:
    from remanence.store.erasure import Survey
    from remanence.store.grants import Grants
    from remanence.store.jobs import Jobs
    from remanence.store.payloads import Payloads
    from remanence.store.tombstones import Tombstones
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
    made: bool
    """It was made out of other memories, also where it stands for itself, as merged ones and shared copies do."""
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
    expires_at: str | None


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
    survey: Survey
    """All that it took out."""


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


class Replay(NamedTuple):
    """An idempotency key, and a digest of the request that it came with."""

    space: str
    key: str
    request: bytes


class Store(Protocol):
    """Durable, journaled cubes. Every method is safe to call from any thread; each read is one consistent snapshot.

    A `clearance` leaves out what its holder may not see, inside the query; None leaves out nothing.
    """

    @property
    def location(self) -> str:
        """Where the store lives, for messages."""
        ...

    @property
    def derived(self) -> DerivedStore:
        """What was made out of the cubes."""
        ...

    @property
    def payloads(self) -> Payloads:
        """Files of caches and adapters."""
        ...

    @property
    def jobs(self) -> Jobs:
        """Moves of memories from one form to another."""
        ...

    @property
    def tombstones(self) -> Tombstones:
        """What stays of erasures: digests, receipts, copies."""
        ...

    @property
    def trusted(self) -> Trusted:
        """Revoked sources, echoes of own answers, recorded questions, rollouts."""
        ...

    @property
    def lifecycle(self) -> LifecycleStore:
        """The states of the cubes, and how they are governed."""
        ...

    @property
    def timeline(self) -> TimelineStore:
        """What the store knew at earlier times."""
        ...

    @property
    def ledger(self) -> Ledger:
        """The journal as an auditor reads it, and its signed checkpoints."""
        ...

    @property
    def grants(self) -> Grants:
        """Who may do what, shares, and the access log."""
        ...

    def clock(self) -> datetime:
        """What time it is for this store."""
        ...

    def close(self) -> None:
        """Release everything. Later calls raise `StoreClosedError`."""
        ...

    def append(
        self, items: Sequence[Draft | str], replay: Replay | None = None, earlier: Sequence[str] = (),
        clearance: Clearance | None = None,
    ) -> list[str]:  # fmt: skip
        """Write drafts in one durable transaction; a draft whose mark is known by now is not written again.

        An item may be the id of a memory that is already there. A draft that was made of a version which is not current any
        more, corrected or forgotten meanwhile, is left out. Returns one id for each of the others, in order. `replay` stores
        `earlier` plus these ids under an idempotency key; where another caller stored it first, nothing is written and what
        he stored comes back, without `earlier`.
        """
        ...

    def replayed(self, replay: Replay) -> list[str] | None:
        """The ids that this key stored before, None if it is new; IdempotencyConflictError on another request."""
        ...

    def known(self, marks: Sequence[bytes], space: str, clearance: Clearance | None = None) -> dict[bytes, str]:
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

    def get(self, cube_id: str, space: str | None = None, clearance: Clearance | None = None) -> MemCube:
        """The current version; UnknownCubeError if there is none (in that space)."""
        ...

    def versions(self, cube_id: str, space: str | None = None, clearance: Clearance | None = None) -> list[MemCube]:
        """All versions, oldest first; UnknownCubeError if there are none."""
        ...

    def page(
        self, space: str, limit: int, after: str | None, filters: Mapping[str, str], clearance: Clearance | None = None
    ) -> Page:
        """Current cubes of a space in the order of writing, and how many among them were withheld."""
        ...

    def standing(self, space: str, filters: Mapping[str, str], clearance: Clearance | None = None) -> list[MemCube]:
        """Current standing instructions of a space that are for everyone, or for the user, agent and session of the filters."""
        ...

    def beside(self, cube: MemCube, clearance: Clearance | None = None) -> list[MemCube]:
        """The current cubes said just before and just after one in its session; none outside a session."""
        ...

    def fetch(self, space: str, seqs: Sequence[int], clearance: Clearance | None = None) -> dict[int, MemCube]:
        """Versions by number."""
        ...

    def matching(self, space: str, meta: Mapping[str, Any], clearance: Clearance | None = None) -> list[int]:
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

    def counts(self, spaces: Sequence[str] | None = None) -> dict[str, int]:
        """Sizes for `stats`, of all spaces or of some: cubes, versions, spaces, entries, without_vector; and bytes of the file."""
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
