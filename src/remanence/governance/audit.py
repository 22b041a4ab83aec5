"""Whether a journal is the one that was written: its chain of hashes, and the signatures on it.

Each entry's hash covers the entry and the hash before it, so a signature on one hash covers all entries up to it (Haber and
Stornetta 1991; Schneier and Kelsey 1999). Entries hold commitments instead of content: nothing here needs a memory's text, and
erasing one breaks nothing.

An examination takes entries and checkpoints one after the other, from a store or from the lines of an export, and keeps only
the last hash: journals of any length fit.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from remanence.errors import AuditError, InputError
from remanence.governance.signing import SigningKey, canonical, fingerprint, verify
from remanence.store.journal import GENESIS, Entry
from remanence.store.ledger import Checkpoint, Ledger, Row

CHECKPOINT = "remanence.checkpoint/1"
EVERY = 1000
"""Entries after which an automatic checkpoint is due."""
ROW_TYPES = (int, str, str, int, int, int, str, int, bytes, bytes)
"""Types of a well-formed journal row."""
UNPINNED = "no key was expected: whoever wrote this could have signed it with a key of their own"
_MOST = 100  # problems listed: more would not help anyone


@dataclass(frozen=True, slots=True)
class Verified:
    """What an examination found."""

    first: int
    """Number of the first entry that was examined."""
    entries: int
    """How many entries were examined: every hash was computed again."""
    signed: int
    """How many of them a checkpoint covers whose signature holds."""
    unsigned: int
    """How many came after the last such checkpoint: nothing proves yet that they are the ones that were written."""
    checkpoints: int
    """How many checkpoints were examined."""
    last: Checkpoint | None
    """The last checkpoint that holds."""
    keys: tuple[str, ...]
    """Fingerprints of the keys that signed."""
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What the examination could not show."""

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""
        return not self.problems


# ── the chain ────────────────────────────────────────────────────────────────────────────────────────────────────────


def linked(previous: bytes, row: Row) -> bytes:
    """As `Entry.chained`, three times as fast: the JSON of a well-formed row is put together by hand."""
    entry, at, op, space, root, seq, name, version, commitment, _ = row
    fields = f'[{entry},{quoted(at)},{quoted(op)},{space},{root},{seq},{quoted(name)},{version},"{commitment.hex()}"]'
    return hashlib.sha256(previous + fields.encode()).digest()


def fault(row: Row, expected: int, previous: bytes) -> str:
    """What is wrong with a row that should be the entry `expected`, behind the one with the hash `previous`; "" for nothing."""
    if tuple(map(type, row)) != ROW_TYPES:
        return f"entry {expected} is malformed"
    if row[0] != expected:
        return (
            f"entry {expected} is missing" if row[0] > expected else f"entry {row[0]} stands where {expected} belongs"
        )
    if linked(previous, row) != row[9]:
        return f"entry {expected} was changed, or does not follow from the one before"
    return ""


def verify_chain(rows: Iterable[Row], previous: bytes = GENESIS, first: int = 1) -> Iterator[str]:
    """For each journal row, in order, what is wrong with it; "" for nothing."""
    expected = first
    for row in rows:
        yield fault(row, expected, previous)
        expected, previous = _next(row, expected)


def naive_chain(rows: Iterable[Row], previous: bytes = GENESIS, first: int = 1) -> Iterator[bool]:
    """The naive twin of `verify_chain`: for each row whether it is as it should be, by the entry's own method."""
    expected = first
    for row in rows:
        entry = Entry._make(row)
        yield entry.entry == expected and entry.chained(previous) == entry.hash
        expected, previous = entry.entry + 1, entry.hash


def _next(row: Row, expected: int) -> tuple[int, bytes]:
    """Number and previous hash that the row after this one should have. After damage it goes on from what is there."""
    number = row[0] if type(row[0]) is int else expected
    return number + 1, row[9] if type(row[9]) is bytes else b""


# ── checkpoints ──────────────────────────────────────────────────────────────────────────────────────────────────────


def statement(checkpoint: Checkpoint) -> dict[str, Any]:
    """What is signed: the canonical bytes of this."""
    return {
        "format": CHECKPOINT,
        "store": checkpoint.store,
        "entry": checkpoint.entry,
        "hash": checkpoint.hash.hex(),
        "at": checkpoint.at,
        "key": fingerprint(checkpoint.key),
    }


def signed(store: str, entry: int, digest: bytes, at: str, key: SigningKey) -> Checkpoint:
    """A new checkpoint. `at` is the time of signing, ISO 8601."""
    blank = Checkpoint(store, entry, digest, at, key.public, b"")
    signature = key.sign(canonical(statement(blank)))
    return Checkpoint(store, entry, digest, at, key.public, signature)


def sign(ledger: Ledger, open_key: Callable[[], SigningKey], at: str) -> Checkpoint:
    """Sign the journal as it stands; where nothing is new, the last checkpoint. `at` is the time, ISO 8601.

    What came since the last checkpoint is checked first, so that a signature never covers a break in the chain.

    Raises
    ------
    InputError
        Nothing was ever written.
    AuditError
        The chain since the last checkpoint, or the last checkpoint itself, does not hold. Nothing was signed.
    """
    store = ledger.store_id()
    while True:
        last = ledger.last()
        if last is not None and not holds(last):
            raise _broken(f"the signature of the checkpoint at entry {last.entry} does not hold")
        entry, digest = _end(ledger, last)
        if last is not None and entry == last.entry:
            return last
        if entry == 0:
            raise InputError("There is nothing to sign: nothing was ever written here.", "Add something first.")
        made = signed(store, entry, digest, at, open_key())
        if ledger.keep(made):
            return made  # otherwise another process was first: look again


def _end(ledger: Ledger, last: Checkpoint | None) -> tuple[int, bytes]:
    """Number and hash of the last entry, all entries after the last checkpoint checked."""
    entry, digest = (last.entry, last.hash) if last else (0, GENESIS)
    with ledger.snapshot(first=entry + 1) as found:
        if last is not None and found.before != digest:
            raise _broken(f"the checkpoint at entry {entry} was signed over another journal than this")
        for row in found.rows:
            if problem := fault(row, entry + 1, digest):
                raise _broken(problem)
            entry, digest = row[0], row[9]
        if found.numbered is not None and found.numbered != entry:
            raise _broken(f"entries after {entry} are missing: {found.numbered} were written")
    return entry, digest


def _broken(problem: str) -> AuditError:
    return AuditError(f"The journal cannot be signed: {problem}.", "See the whole of it: remanence audit verify")


def holds(checkpoint: Checkpoint) -> bool:
    """Whether its signature is one by its own key. Whose key it is, the signature does not say."""
    one = checkpoint
    return well_formed(one) and verify(one.key, one.signature, canonical(statement(one)))


def well_formed(checkpoint: Checkpoint) -> bool:
    """Whether its values are of their types: another program may have written them."""
    return tuple(map(type, astuple(checkpoint))) == (str, int, bytes, str, bytes, bytes)


def to_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """The checkpoint with all that is needed to check it, but the journal."""
    return {
        "statement": statement(checkpoint),
        "public": checkpoint.key.hex(),
        "signature": checkpoint.signature.hex(),
    }


def from_json(obj: object) -> Checkpoint:
    """What `to_json` made; ValueError if it is anything else. The signature is not checked."""
    match obj:
        case {
            "statement": {"store": str(store), "entry": int(entry), "hash": digest, "at": str(at)},
            "public": public,
            "signature": signature,
        }:
            found = Checkpoint(store, entry, raw_bytes(digest), at, raw_bytes(public), raw_bytes(signature))
        case _:
            raise ValueError("it is no checkpoint")
    if canonical(to_json(found)) != canonical(obj):
        raise ValueError("it is no checkpoint of this format")
    return found


def raw_bytes(text: object) -> bytes:
    """Bytes from their hexadecimal digits in lower case; ValueError for anything else."""
    raw = bytes.fromhex(text) if isinstance(text, str) else None
    if raw is None or raw.hex() != text:
        raise ValueError("there are no hexadecimal digits where they belong")
    return raw


# ── the examination ──────────────────────────────────────────────────────────────────────────────────────────────────


class Examination:
    """Entries and checkpoints, taken in one after the other.

    `keys` are the raw public keys that may sign, None for any; `anchors` checkpoints, kept elsewhere, that have to be on the chain.
    """

    def __init__(
        self, keys: Collection[bytes] | None = None, anchors: Sequence[Checkpoint] = (), *,
        previous: bytes = GENESIS, first: int = 1,
    ) -> None:  # fmt: skip
        self.problems: list[str] = []
        self._keys = keys
        self._first, self._expected, self._previous = first, first, previous
        self._entries = self._checkpoints = 0
        self._last: Checkpoint | None = None
        self._store: str | None = None
        self._signers: dict[bytes, None] = {}
        self._anchors: dict[int, list[Checkpoint]] = defaultdict(list)
        for anchor in anchors:
            self._anchors[anchor.entry].append(anchor)
        for anchor in self._anchors.pop(first - 1, ()):  # the hash before the first entry is on the chain too
            self._compare(anchor, "the anchor")

    def entry(self, row: Row) -> None:
        """The next journal row."""
        if problem := fault(row, self._expected, self._previous):
            self.problems.append(problem)
        self._expected, self._previous = _next(row, self._expected)
        self._entries += 1
        for anchor in self._anchors.pop(self._expected - 1, ()):
            self._compare(anchor, "the anchor")

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """A checkpoint at the entry that came last."""
        self._checkpoints += 1
        if self._compare(checkpoint, "the checkpoint"):
            self._last = checkpoint
            self._signers[checkpoint.key] = None

    def _compare(self, checkpoint: Checkpoint, what: str) -> bool:
        """Whether a checkpoint or an anchor belongs to the chain so far."""
        name = f"{what} at entry {checkpoint.entry}"
        problem = ""
        if not holds(checkpoint):
            problem = f"the signature of {name} does not hold"
        elif self._keys is not None and checkpoint.key not in self._keys:
            problem = f"{name} is signed by the key {fingerprint(checkpoint.key)}, which is not the expected one"
        elif (self._store or checkpoint.store) != checkpoint.store:
            problem = f"{name} is one of another store"
        elif (checkpoint.entry, checkpoint.hash) != (self._expected - 1, self._previous):
            problem = (
                f"{name} was signed over another journal than this: entries up to it were changed, added or removed"
            )
        if problem:
            self.problems.append(problem)
        else:
            self._store = checkpoint.store
        return not problem

    def ended(self, numbered: int | None = None) -> None:
        """There are no more entries; `numbered` is how many were ever written, where that is known."""
        end = self._expected - 1
        if numbered is not None and numbered != end:
            self.problems.append(f"entries after {end} are missing: {numbered} were written")
        for entry in sorted(self._anchors):
            where = f"ends at {end}" if entry > end else f"begins at {self._first}"
            self.problems.append(f"the anchor at entry {entry} is not in this journal, which {where}")

    def result(self) -> Verified:
        """What was found so far."""
        covered = self._last.entry - self._first + 1 if self._last else 0
        problems = self.problems[:_MOST]
        if more := len(self.problems) - len(problems):
            problems.append(f"and {more:,} more")
        unsigned = max(self._entries - covered, 0)
        late = (f"not yet signed: {unsigned:,} of {self._entries:,} entries",) if unsigned else ()
        anyone = (UNPINNED,) if self._signers and self._keys is None else ()
        return Verified(
            self._first, self._entries, self._entries - unsigned, unsigned, self._checkpoints, self._last,
            tuple(map(fingerprint, self._signers)), tuple(problems), (*late, *anyone),
        )  # fmt: skip


def examine(
    rows: Iterable[Row], checkpoints: Iterable[Checkpoint], examination: Examination, numbered: int | None
) -> None:
    """Take in a whole journal and the checkpoints about it."""
    about = {one.entry: one for one in checkpoints}
    for row in rows:
        examination.entry(row)
        if row[0] in about:
            examination.checkpoint(about.pop(row[0]))
    examination.problems += [f"the checkpoint at entry {entry} is about an entry that is missing" for entry in about]
    examination.ended(numbered)
