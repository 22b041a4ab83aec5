"""The gate: every check of who may do what goes through here."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from remanence.policies import Clearance
from remanence.store.protocol import Store


class Operation(StrEnum):
    """What a caller may want to do."""

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


class Gate:
    """What one caller may do. `principal` None is the owner of the file, who may do everything."""

    def __init__(self, store: Store, principal: str | None) -> None:
        self._store, self.principal = store, principal

    @property
    def name(self) -> str:
        """Who it is, for events."""
        return self.principal or "owner"

    def check(self, operation: Operation, space: str | None, cubes: Sequence[str] = ()) -> Clearance | None:
        """Let the caller through, or raise AccessDeniedError. Returns what may be seen; None: everything."""
        del operation, space, cubes
        return None

    def locate(self, operation: Operation, cube_id: str, space: str | None) -> tuple[str | None, Clearance | None]:
        """The space that a memory may be looked for in, and what may be seen; UnknownCubeError where there is no right."""
        del operation, cube_id
        return space, None
