"""The one gate: every public method of every front door asks it first. Deny by default.

A principal is a name that an application acts as. It holds at most one role in a space, and at most one everywhere. What a
role may do stands in one table, `RIGHTS`; what no role of a principal allows is refused, the same way for what is there and
for what is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from remanence.cubes import State
from remanence.errors import AccessDeniedError, InputError
from remanence.policies import Clearance, Policy
from remanence.store.grants import EVERYWHERE, Granted
from remanence.store.rows import unknown

if TYPE_CHECKING:
    from remanence.store.protocol import Store

OWNER = "owner"
"""What the log calls the owner of the file; no principal may have this name."""
_LONGEST = 512


class Role(StrEnum):
    """What a principal is in a space."""

    OWNER = "owner"
    WRITER = "writer"
    READER = "reader"
    AUDITOR = "auditor"


class Operation(StrEnum):
    """What a front door can be asked for."""

    RECALL = "recall"
    ASK = "ask"
    GET = "get"
    LIST = "list"
    HISTORY = "history"
    DIFF = "diff"
    CONFLICTS = "conflicts"
    ADD = "add"
    CORRECT = "correct"
    INGEST = "ingest"
    EXTRACT = "extract"
    PAIR = "pair"
    CONSOLIDATE = "consolidate"
    DERIVE = "derive"
    SCHEDULE = "schedule"
    LIFECYCLE = "lifecycle"
    GOVERN = "govern"
    TRUST = "trust"
    ADMISSION = "admission"
    FORGET = "forget"
    ROLLBACK = "rollback"
    SHARE = "share"
    GRANT = "grant"
    LOG = "log"
    AUDIT = "audit"
    RECEIPTS = "receipts"
    STATS = "stats"
    VERIFY = "verify"
    CALIBRATE = "calibrate"
    REINDEX = "reindex"
    BACKUP = "backup"
    EXPORT = "export"
    IMPORT = "import"
    MAINTAIN = "maintain"


_READING = frozenset({
    Operation.RECALL, Operation.ASK, Operation.GET, Operation.LIST, Operation.HISTORY, Operation.CONFLICTS, Operation.DIFF,
    Operation.STATS,
})  # fmt: skip
_WRITING = frozenset({
    Operation.ADD, Operation.CORRECT, Operation.INGEST, Operation.EXTRACT, Operation.PAIR, Operation.CONSOLIDATE,
    Operation.DERIVE, Operation.SCHEDULE,
})  # fmt: skip
RIGHTS: dict[Role, frozenset[Operation]] = {
    Role.OWNER: frozenset(Operation),
    Role.WRITER: _READING | _WRITING,
    Role.READER: _READING,
    Role.AUDITOR: frozenset({
        Operation.AUDIT, Operation.RECEIPTS, Operation.VERIFY, Operation.LOG, Operation.STATS,
    }),
}  # fmt: skip
"""What each role may do. Content is for owners, writers and readers; an auditor sees none."""
TOLD = frozenset({
    Operation.RECALL, Operation.ASK, Operation.GET, Operation.LIST, Operation.HISTORY, Operation.CONFLICTS, Operation.DIFF,
    Operation.ADD, Operation.INGEST,
})  # fmt: skip
"""Operations that are logged with the ids that they return, by `Gate.told`, before these are handed out."""


class Gate:
    """Decides what one caller may do, and logs what was asked for."""

    def __init__(self, store: Store, principal: str | None, log: str = "principals") -> None:
        """`principal` None is the owner of the file, who may do everything. `log` is `Settings.access_log`."""
        self._store, self.principal, self._log = store, principal, log
        self._logging = log == "all" or (log == "principals" and principal is not None)

    @property
    def name(self) -> str:
        """Who it is, for events and logs."""
        return self.principal or OWNER

    def check(self, operation: Operation, space: str | None, cubes: Sequence[str] = ()) -> Clearance | None:
        """Let an operation on a space pass, or on the whole store where it is None. Returns what the caller may see of it.

        None is everything. What does not return memories is logged here, `TOLD` by `told`.

        Raises
        ------
        AccessDeniedError
            The caller has no right to it, whether or not the space exists.
        """
        if self.principal is None:
            if self._logging and operation not in TOLD:
                self._record(operation, space, cubes, 0, allowed=True)
            return None
        held = self._held(space)
        if not _allows(held, operation):
            self._record(operation, space, (), 0, allowed=False)
            raise self._denied(operation, space)
        if operation not in TOLD:
            self._record(operation, space, cubes, 0, allowed=True)
        return self._clearance(held)

    def told(self, operation: Operation, space: str | None, cubes: Iterable[str], withheld: int = 0) -> None:
        """Log what an operation that passed `check` is about to return."""
        if self._logging:
            self._record(operation, space, list(dict.fromkeys(cubes)), withheld, allowed=True)

    def locate(
        self, operation: Operation, cube_id: str, space: str | None = None
    ) -> tuple[str | None, Clearance | None]:
        """Where an operation may look for a memory, and what the caller may see there.

        For the owner of the file that is the space that was given, None for any. The log names an id only if it is there.

        Raises
        ------
        UnknownCubeError
            It is not there, not in `space`, in quarantine, or the caller may not see it: the same error in all cases.
            Who may release it sees what is in quarantine.
        AccessDeniedError
            The caller may see the memory, but may not do this to it.
        """
        if self.principal is None:
            if self._logging and operation not in TOLD:
                self._record(operation, space, (cube_id,), 0, allowed=True)
            return space, None
        place = self._store.grants.place(cube_id)
        if place is None or space not in {None, place.space}:
            self._record(operation, space, (), 0, allowed=False)
            raise unknown(cube_id)
        granted = self._held(place.space)
        clearance, reads = self._clearance(granted), _allows(granted, Operation.GET)
        withheld = clearance is not None and not clearance.admits(place.sensitivity, place.access)
        held = place.state is State.GENERATED and not _allows(granted, Operation.TRUST)  # in quarantine
        if not reads or withheld or held:
            self._record(operation, place.space, (cube_id,), int(reads), allowed=False)
            raise unknown(cube_id)
        if not _allows(granted, operation):
            self._record(operation, place.space, (cube_id,), 0, allowed=False)
            raise self._denied(operation, place.space)
        if operation not in TOLD:
            self._record(operation, place.space, (cube_id,), 0, allowed=True)
        return place.space, clearance

    def clearance(self, space: str) -> Clearance | None:
        """What the caller may see of a space once an operation on it has passed; None is everything."""
        return None if self.principal is None else self._clearance(self._held(space))

    def refused(self, operation: Operation) -> None:
        """Log a try at something that is not there, or that the caller may not know of."""
        self._record(operation, None, (), 0, allowed=False)

    def acting_as(self, principal: str) -> Gate:
        """The gate of a principal. Only the owner of the file can have it.

        Raises
        ------
        AccessDeniedError
            A principal asks for it.
        InputError
            The name is empty, too long, or the owner's.
        """
        if self.principal is not None:
            raise AccessDeniedError(f"{self.principal} cannot act as others.", "Ask the owner of the file.")
        return Gate(self._store, principal_name(principal), self._log)

    def allows(self, operation: Operation, space: str | None) -> bool:
        """Whether `check` would let it pass. Nothing is logged: for what is only left out of a list."""
        return self.principal is None or _allows(self._held(space), operation)

    def among(self, operation: Operation, spaces: Iterable[str]) -> list[str]:
        """Those of some spaces in which the caller may do something; one line of the log for all.

        Raises
        ------
        AccessDeniedError
            The caller was granted nothing of the kind in any space.
        """
        if self.allows(operation, None):
            self.check(operation, None)
            return list(spaces)
        if not any(_allows([one], operation) for one in self._store.grants.listed(None, self.principal)):
            self.check(operation, None)  # raises
        self._record(operation, None, (), 0, allowed=True)
        return [space for space in spaces if self.allows(operation, space)]

    def _held(self, space: str | None) -> list[Granted]:
        return self._store.grants.held(self.name, space)

    def _clearance(self, held: Iterable[Granted]) -> Clearance | None:
        held = list(held)
        if any(one.role == Role.OWNER for one in held):
            return None
        labels = frozenset(label for one in held for label in one.labels)
        return Clearance(self.name, labels)

    def _record(
        self, operation: Operation, space: str | None, cubes: Sequence[str], withheld: int, *, allowed: bool
    ) -> None:
        if self._logging:
            self._store.grants.record(
                self._store.clock(), self.name, operation, space, cubes, withheld, allowed=allowed
            )

    def _denied(self, operation: Operation, space: str | None) -> AccessDeniedError:
        where = "the whole store" if space is None else f"the space {space!r}"
        return AccessDeniedError(
            f"{self.principal} has no right to {operation} in {where}.",
            f"Its owner can grant it: remanence access grant {self.principal} ROLE --space {space or EVERYWHERE!r}.",
        )


def _allows(held: Iterable[Granted], operation: Operation) -> bool:
    return any(operation in RIGHTS[Role(one.role)] for one in held)


def principal_name(given: object) -> str:
    """A principal's name, checked: text of at most 512 characters that is not the name of the owner of the file."""
    if (
        not isinstance(given, str)
        or not given.strip()
        or len(given) > _LONGEST
        or given == OWNER
        or not given.isprintable()
    ):
        raise InputError(f"{given!r} is not a name for a principal.", 'Use a short text, and another one than "owner".')
    return given


def joined(parents: Iterable[Policy]) -> tuple[str | None, tuple[str, ...]]:
    """The label and the access list of what is made of several memories: nobody may see it who may not see all of them.

    Several labels become one of their own, such as "health+legal", which owners see and whoever is granted just that. Access
    lists that share nobody leave it to owners.
    """
    labels: set[str] = set()
    lists: list[set[str]] = []
    for one in parents:
        labels |= set() if one.sensitivity is None else {one.sensitivity}
        lists += [set(one.access)] if one.access else []
    access = tuple(sorted(set.intersection(*lists))) or (OWNER,) if lists else ()
    return "+".join(sorted(labels)) or None, access
