"""Signed checkpoints of the journal, their verification, and what an auditor gets: behind `memory.audit`."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from remanence.arguments import place
from remanence.errors import AuditError, InputError, StoreBusyError, StoreClosedError, StoreError, UnreadableFileError
from remanence.governance import audit, auditfile
from remanence.governance.access import Gate, Operation
from remanence.governance.audit import Examination, Verified
from remanence.governance.signing import SigningKey, canonical, public_from, public_pem
from remanence.rooms import Rooms
from remanence.settings import Settings
from remanence.store.journal import GENESIS
from remanence.store.ledger import Checkpoint
from remanence.write.disk import load, new_file
from remanence.write.messages import moment

_LOG = logging.getLogger("remanence")
Keys = str | Path | Sequence[str | Path] | None
"""Public keys that may have signed: each as 64 hexadecimal digits or as a file; None where nobody knows."""
_LONGEST = 1 << 20  # bytes of a line of an export: its longest value is a memory's id
_LARGEST = 1 << 30  # bytes of a file that an anchor is read from


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written for an auditor."""

    path: Path
    first: int
    """Number of the first entry in the file."""
    last: int
    entries: int
    checkpoints: int
    unsigned: int
    """How many entries no checkpoint in the file covers."""


class Audit:
    """The audit of one memory."""

    def __init__(self, rooms: Rooms, gate: Gate) -> None:
        self._rooms, self._gate = rooms, gate
        self._ledger = rooms.store.ledger

    def checkpoint(self, path: str | Path | None = None) -> Checkpoint:
        """Sign the journal as it stands; where nothing is new, the last checkpoint. With `path` it is also written to a new file.

        Such a file, kept where nobody who can write the store can write, is the anchor that `verify` takes.

        Raises
        ------
        InputError
            Nothing was ever written, or there is such a file.
        KeyMissingError
            `Settings.signing_key` can neither be read nor be made.
        AuditError
            The journal does not hold. Nothing was signed.
        """
        self._gate.check(Operation.AUDIT, None)
        if path is None:
            return sign(self._rooms)
        with new_file(place(path, "path")) as file:  # a file that cannot be written is no reason to sign
            made = sign(self._rooms)
            file.write(canonical(audit.to_json(made)).decode() + "\n")
        return made

    def checkpoints(self) -> Sequence[Checkpoint]:
        """All checkpoints, in the order of their entries."""
        self._gate.check(Operation.AUDIT, None)
        return self._ledger.checkpoints()

    def verify(self, *, key: Keys = None, anchor: str | Path | None = None) -> Verified:
        """Compute every hash of the journal again and check every signature. No memory is read.

        `key` says who may have signed, and something has to be; without it that is this installation, if it has a key, and nothing
        needs to be signed yet. `anchor` is a file that `checkpoint` or `export` wrote earlier: its checkpoints have to be on the chain.

        Raises
        ------
        InputError, KeyMissingError
            `key` or `anchor`, or without `key` the installation's own, cannot be read.
        """
        self._gate.check(Operation.AUDIT, None)
        keys = _public(key) if key is not None else self._own()
        examination = Examination(keys, _anchors(anchor))
        try:
            with self._ledger.snapshot() as found:
                audit.examine(found.rows, found.checkpoints, examination, found.numbered)
        except (StoreClosedError, StoreBusyError):
            raise
        except StoreError as error:  # a value that is no text, a damaged page
            examination.problems.append(f"the journal cannot be read to its end: {error.what}")
        return _by(examination.result(), key)

    def export(
        self, path: str | Path, *, since: datetime | str | None = None, until: datetime | str | None = None
    ) -> Exported:
        """Write journal and checkpoints for an auditor to a new file: canonical lines of JSON, with no word of a memory.

        `since` and `until` restrict it to entries of a time (until excluded); it then goes on to the next checkpoint, without which
        its last entries would prove nothing. Spaces are numbers in it, memories their ids.

        Raises
        ------
        InputError
            Nothing was written in that time, or there is such a file.
        AuditError, StoreError
            The journal is damaged so that it cannot be written down.
        """
        self._gate.check(Operation.AUDIT, None)
        span = self._ledger.between(_utc(since, "since"), _utc(until, "until"))
        if span is None:
            raise InputError("Nothing was written in that time.", "Leave `since` and `until` out to export all.")
        first, last = span
        target = place(path, "path")
        with new_file(target) as file, self._ledger.snapshot(first, last) as found:
            try:
                for line in auditfile.lines(found.before or GENESIS, found.rows, found.checkpoints):
                    file.write(line.decode())
            except ValueError as error:
                raise AuditError(
                    f"The journal is damaged: {error}. Nothing was exported.", "Run: remanence audit verify"
                ) from error
        signed = found.checkpoints[-1].entry if found.checkpoints else first - 1
        return Exported(target, first, last, last - first + 1, len(found.checkpoints), last - signed)

    def public_key(self, path: str | Path | None = None) -> str:
        """The installation's public key as hexadecimal digits; with `path` also as a new PEM file. Made where there is none.

        Raises
        ------
        KeyMissingError
            `Settings.signing_key` can neither be read nor be made.
        """
        self._gate.check(Operation.AUDIT, None)
        return public_key(self._rooms.settings, path)

    def _own(self) -> Collection[bytes] | None:
        """The installation's key, if there is one."""
        key = SigningKey.found(self._rooms.settings.signing_key)
        return key and (key.public,)


def sign(rooms: Rooms) -> Checkpoint:
    """Sign the journal of a memory as it stands, for callers that were admitted already; errors as `Audit.checkpoint`."""
    settings, store = rooms.settings, rooms.store
    at = store.clock().astimezone(UTC).isoformat(timespec="microseconds")
    return audit.sign(store.ledger, lambda: SigningKey.open(settings.signing_key), at)


def public_key(settings: Settings, path: str | Path | None = None) -> str:
    """As `Audit.public_key`; no store is needed for it."""
    public = SigningKey.open(settings.signing_key).public
    if path is not None:
        with new_file(place(path, "path")) as file:
            file.write(public_pem(public))
    return public.hex()


def keep_up(rooms: Rooms, every: int = audit.EVERY) -> Checkpoint | None:
    """The automatic checkpoint: sign if one is due. What stands in its way is logged; the caller's own work is done already."""
    try:
        return sign(rooms) if due(rooms, every) else None
    except (AuditError, StoreError) as error:
        _LOG.warning("No checkpoint was made: %s", error)
        return None


def due(rooms: Rooms, every: int = audit.EVERY) -> bool:
    """Whether so many entries came since the last checkpoint that the next one is due. Costs two look-ups."""
    return rooms.store.ledger.unsigned() >= every


def verify_export(path: str | Path, *, key: Keys = None, anchor: str | Path | None = None) -> Verified:
    """Examine a file that `Audit.export` wrote, without the store. `key` and `anchor` as in `Audit.verify`; without `key` any may have signed.

    Raises
    ------
    InputError, KeyMissingError
        The file, `key` or `anchor` cannot be read.
    """
    keys = None if key is None else _public(key)
    return _by(auditfile.verify_lines(_lines(place(path, "path")), keys, _anchors(anchor)), key)


def _by(found: Verified, key: Keys) -> Verified:
    """Who names a key wants something to be signed with it: otherwise removing all checkpoints would go unnoticed."""
    if key is None or found.last is not None:
        return found
    return replace(found, problems=(*found.problems, "nothing is signed with the expected key"))


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while line := file.readline(_LONGEST):
                yield line
    except OSError as error:
        raise UnreadableFileError(
            f"{path} cannot be opened: {error.strerror}.", "Check that it is a file, and its permissions."
        ) from error


def _public(key: str | Path | Sequence[str | Path]) -> Collection[bytes]:
    keys = [key] if isinstance(key, str | Path) else key
    if not isinstance(keys, Collection) or not keys or not all(isinstance(one, str | Path) for one in keys):
        raise InputError(f"key is {key!r}.", "Pass a public key as hexadecimal digits, or a file with one.")
    return {public_from(one) for one in keys}


def _anchors(anchor: str | Path | None) -> list[Checkpoint]:
    """The checkpoints in a file that `checkpoint` or `export` wrote."""
    if anchor is None:
        return []
    path = place(anchor, "anchor")
    found = list[Checkpoint]()
    for line in load(path, _LARGEST).splitlines():
        try:
            obj: Any = json.loads(line)
            if isinstance(obj, dict) and "statement" in obj:
                found.append(audit.from_json({name: obj.get(name) for name in ("statement", "public", "signature")}))
        except (ValueError, RecursionError) as error:
            raise UnreadableFileError(f"{path} cannot be an anchor: {error}.", _ANCHOR) from error
    if not found:
        raise UnreadableFileError(f"{path} cannot be an anchor: there is no checkpoint in it.", _ANCHOR)
    return found


_ANCHOR = "Pass a file that `remanence audit checkpoint` or `remanence audit export` wrote."


def _utc(value: datetime | str | None, what: str) -> str | None:
    """The time as the journal writes it: UTC, ISO 8601, microseconds. Without a zone it is read as UTC."""
    at = moment(value, what)
    if at is None:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at.astimezone(UTC).isoformat(timespec="microseconds")
