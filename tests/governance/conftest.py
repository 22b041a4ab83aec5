"""A journal with checkpoints, made by hand, and the keys that sign it: the same at every run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remanence.governance.audit import signed
from remanence.governance.signing import SigningKey
from remanence.store.journal import GENESIS, Entry
from remanence.store.ledger import Checkpoint, Row

STORE = "5eed" * 8
ENTRIES, SIGNED = 12, (4, 7, 10)  # two entries at the end are not signed yet


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))


@pytest.fixture(scope="session")
def stranger() -> SigningKey:
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))


@pytest.fixture(scope="session")
def chain() -> Callable[[Iterable[Entry]], list[Row]]:
    """Give entries the numbers from 1 and the hashes that follow."""

    def link(entries: Iterable[Entry]) -> list[Row]:
        rows: list[Row] = []
        previous = GENESIS
        for number, entry in enumerate(entries, 1):
            one = entry._replace(entry=number)
            previous = one.chained(previous)
            rows.append((*one[:9], previous))
        return rows

    return link


@pytest.fixture(scope="session")
def rows(chain) -> list[Row]:
    entries: list[Entry] = []
    for number in range(1, ENTRIES + 1):
        op = ("add", "add", "correct", "forget")[number % 4]
        commitment = b"" if op == "forget" else hashlib.sha256(b"%d" % number).digest()
        name = f"größe {number}" if number == 5 else f"{number:032x}"
        at = f"2026-11-23T10:{number:02}:00.000000+00:00"
        entries.append(Entry(number, at, op, 1 + number % 2, number, number, name, 1, commitment))
    return chain(entries)


@pytest.fixture(scope="session")
def checkpoints(rows, key) -> list[Checkpoint]:
    return [signed(STORE, at, rows[at - 1][9], f"2026-11-23T11:{at:02}:00.000000+00:00", key) for at in SIGNED]
