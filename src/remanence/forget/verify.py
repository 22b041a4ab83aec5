"""Is a receipt what it says, and does it still hold? Signature, chain, journal, and the scans that digests allow."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remanence.errors import ReceiptError
from remanence.forget.receipt import FIRST, Receipt, closure_digest, is_signed, parsed
from remanence.governance.signing import fingerprint
from remanence.store import journal, scan
from remanence.store.ledger import Ledger
from remanence.store.tombstones import Stored

if TYPE_CHECKING:
    from remanence.store.sqlite import SQLiteStore

_MOST = 4_000_000  # bytes of a receipt's file
_PLACES = (
    ("cubes", "id"),
    ("lineage", "parent"),
    ("lineage", "child"),
    ("events", "id"),
    ("usage", "id"),
    ("reply_sources", "id"),
    ("reads", "id"),
    ("payload_uses", "id"),
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked."""

    name: str
    ok: bool
    words: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification of a receipt came to."""

    receipt: str
    """Its id."""
    grade: str
    """What it says of itself."""
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()
    """What has to be known, and is no fault."""

    @property
    def ok(self) -> bool:
        """Everything holds. It says nothing of the grade."""
        return all(one.ok for one in self.checks)

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {"ok": self.ok} | asdict(self)


def from_file(path: Path) -> Receipt:
    """The receipt in a file; ReceiptError where there is none."""
    try:
        with path.open("rb") as file:
            return parsed(file.read(_MOST))
    except OSError as error:
        raise ReceiptError(f"{path} cannot be opened: {error.strerror}.", "Check its path and permissions.") from error


def alone(receipt: Receipt, key: bytes | None) -> Verified:
    """What can be said without the store. Without a key of the one who is trusted only that it is unchanged since it was signed."""
    found = [
        Check("signature", is_signed(receipt), "by the key that the receipt names"),
        Check("fingerprint", receipt.issuer == _fingerprint(receipt), receipt.issuer),
        Check("ids", receipt.target.lineage_closure_digest == closure_digest(receipt.ids), f"{len(receipt.ids)}"),
    ]
    if key is not None:
        found.append(Check("key", receipt.key == key.hex(), fingerprint(key)))
    notes = (
        () if key is not None else ("No key was given: the signature shows that nothing was changed, not who signed.",)
    )
    return Verified(receipt.id, receipt.grade, tuple(found), notes)


def _fingerprint(receipt: Receipt) -> str:
    try:
        return fingerprint(bytes.fromhex(receipt.key))
    except ValueError:
        return ""


def inside(store: SQLiteStore, receipt: Receipt, key: bytes | None, *, again: bool) -> Verified:
    """What can be said with the store at hand; `again` repeats the scans that ids and digests allow."""
    before = alone(receipt, key)
    stored = store.tombstones.receipts()
    found = [
        *before.checks,
        Check("store", receipt.store == Ledger(store.connections).store_id(), receipt.store),
        _chain(stored),
        _kept(stored, receipt),
        _journal(store, receipt),
    ]
    notes = before.notes
    if again:
        scans, more = _scans(store, receipt)
        found, notes = [*found, *scans], (*notes, *more)
    return Verified(receipt.id, receipt.grade, tuple(found), notes)


def _chain(stored: Sequence[Stored]) -> Check:
    """Every receipt follows from the one before, and is signed."""
    prev = FIRST
    for place, one in enumerate(stored, 1):
        try:
            receipt = parsed(one.body)
        except ReceiptError:
            return Check("chain of receipts", ok=False, words=f"receipt {place} is malformed")
        if (one.number, receipt.number) != (place, place):
            return Check("chain of receipts", ok=False, words=f"receipt {place} is missing")
        if receipt.prev != prev or receipt.id != one.id or not is_signed(receipt):
            return Check("chain of receipts", ok=False, words=f"receipt {place} does not follow from the one before")
        prev = hashlib.sha256(one.body.encode()).hexdigest()
    return Check("chain of receipts", ok=True, words=f"{len(stored)}")


def _kept(stored: Sequence[Stored], receipt: Receipt) -> Check:
    body = next((one.body for one in stored if one.id == receipt.id), None)
    same = body is not None and body.encode() == receipt.canonical()
    return Check("the store holds the same receipt", same, receipt.id)


def _journal(store: SQLiteStore, receipt: Receipt) -> Check:
    """The journal still says that each id was forgotten, in the entries that the receipt names, and its chain holds there."""
    where = receipt.journal
    with store.connections.read() as connection:
        rows = connection.execute(
            "SELECT * FROM journal WHERE entry BETWEEN ? AND ? ORDER BY entry", (where.first - 1, where.entry)
        ).fetchall()
    entries = [journal.Entry._make(row) for row in rows]
    before = journal.GENESIS
    if where.first > 1 and entries:
        before, entries = entries[0].hash, entries[1:]
    chained = True
    for entry in entries:
        chained, before = chained and entry.chained(before) == entry.hash, entry.hash
    forgotten = {entry.id for entry in entries if entry.op == "forget"}
    same = bool(entries) and chained and before.hex() == where.hash and forgotten >= set(receipt.ids)
    return Check("journal", same, f"entries {where.first} to {where.entry}")


def _scans(store: SQLiteStore, receipt: Receipt) -> tuple[list[Check], tuple[str, ...]]:
    digests = [bytes.fromhex(one) for one in receipt.target.keyed_digests]
    with store.connections.read() as connection:
        left = {table: count for table, column in _PLACES if (count := _count(connection, table, column, receipt.ids))}
    found = [Check("no row has an erased id", not left, ", ".join(f"{name} ({count})" for name, count in left.items()))]
    if not digests:
        return found, ("No digests were kept: whether the same text is here again cannot be told.",)
    living: dict[str, int] = {}
    for space in receipt.target.spaces:
        living |= store.tombstones.living(space, digests)
    again = sorted(one for one, entry in living.items() if entry > receipt.journal.entry)
    before = sorted(living.keys() - set(again))
    held = store.tombstones.held(digests)
    found.append(Check("no memory has learned an erased text again", not again, ", ".join(again)))
    found.append(Check("tombstones are there", held == len(digests), f"{held} of {len(digests)}"))
    notes = [f"Said the same before, and was not forgotten: {', '.join(before)}."] if before else []
    if held < len(digests):
        notes.append("A tombstone goes when the text is learned again on purpose.")
    return found, tuple(notes)


def _count(connection: sqlite3.Connection, table: str, column: str, ids: Sequence[str]) -> int:
    return scan.by_rows(connection, table, column, ids)
