"""The file after an erasure: rewritten from its living rows, its log emptied, its bytes searched, its structure checked."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from itertools import pairwise

from remanence.errors import ForgetIncompleteError, StoreClosedError, StoreError
from remanence.store import journal, scan
from remanence.store.connections import Connections

_LAST = 1000  # journal entries that a quick check looks at


def scrub(connections: Connections) -> None:
    """Rewrite the file from its living rows and empty the write-ahead log.

    Overwriting deleted cells with zeros is not enough: when SQLite moves cells between pages it leaves stale copies in the
    pages' slack. VACUUM builds every page anew.

    Raises
    ------
    ForgetIncompleteError
        The disk is full, or another process kept reading an old state. The rows are gone; the scrub stays due and is done
        by the next `forget` or at the next opening.
    """
    try:
        with connections.outside_transactions() as connection:
            due = connection.execute("SELECT value FROM notes WHERE name = 'scrub'").fetchone()
            connection.execute("VACUUM")
            emptied = connections.in_memory or _empty_log(connection, connections.busy_timeout)
            if emptied and due:  # an erasure that came meanwhile wrote another number, and stays due
                connection.execute("DELETE FROM notes WHERE name = 'scrub' AND value = ?", due)
    except StoreClosedError:
        raise
    except StoreError as error:
        raise ForgetIncompleteError(
            f"The rows are erased, but the file could not be rewritten: {error.what}",
            "Remove the cause and open the store again: the clean-up is finished then.",
        ) from error
    if not emptied:
        raise ForgetIncompleteError(
            "The rows are erased, but the write-ahead log is still in use by another process.",
            "Let its reads end and open the store again: the clean-up is finished then.",
        )


def _empty_log(connection: sqlite3.Connection, patience: float) -> bool:
    """Copy the log into the file and truncate it. SQLite gives up at once where another checkpoint runs: this waits."""
    deadline = time.monotonic() + patience
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def quick_check(connections: Connections) -> tuple[int, tuple[str, ...]]:
    """SQLite's own check of the pages, and whether the last entries of the journal follow from each other. Returns how many things
    were looked at, and the problems.
    """
    with connections.read() as connection:
        pages = [line for (line,) in connection.execute("PRAGMA quick_check")]
        last = [
            journal.Entry._make(row)
            for row in connection.execute("SELECT * FROM journal ORDER BY entry DESC LIMIT ?", (_LAST,))
        ][::-1]
        count = connection.execute("SELECT page_count FROM pragma_page_count").fetchone()[0]
    problems = [line for line in pages if line != "ok"]
    problems += [
        f"journal: entry {entry.entry} does not follow from the one before"
        for before, entry in pairwise(last)
        if entry.entry != before.entry + 1 or entry.chained(before.hash) != entry.hash
    ]
    return count + len(last), tuple(problems)


def residue(connections: Connections, traces: Sequence[bytes]) -> list[bytes]:
    """Those traces that stand in the bytes of the file or its log and in nothing that lives.

    Raises
    ------
    ForgetIncompleteError
        The file is longer than its pages, so that part of it was not searched.
    """
    if scan.overhang(connections):
        raise ForgetIncompleteError(f"{connections.location} is longer than its pages.", "Run: remanence verify")
    there: set[bytes] = set()
    for image in scan.images(connections).values():
        there |= scan.find(image, traces) if image else set()
    with connections.read() as connection:
        living = scan.living(connection, there) if there else there
    return [trace for trace in traces if trace in there - living]
