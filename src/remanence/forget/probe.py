"""Is anything left? Bytes, rows and structure, looked at before and after, with controls that show what the scan can see.

The two controls follow the sentinel method: a truncated store must read as gone, an encoded one as not computable. A scan that
calls both clean has only shown that it cannot find anything.
"""

from __future__ import annotations

import secrets
import sqlite3
import zlib
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING

from remanence.store import scan, scrubbing
from remanence.store.erasure import Survey
from remanence.store.verification import verify

if TYPE_CHECKING:
    from remanence.store.sqlite import SQLiteStore

Find = Callable[[bytes, Collection[bytes]], set[bytes]]
"""`scan.find`, or a twin."""
_MASKED = bytes(one ^ 0x5A for one in range(256))
_FULL = 200  # versions up to which everything is derived again; beyond it that would take longer than the erasure


class Verdict(StrEnum):
    """What a test or a substrate came to."""

    PASS = "PASS"  # noqa: S105 (a verdict)
    FAIL = "FAIL"
    NOT_COMPUTABLE = "NOT_COMPUTABLE"
    """It could not have failed: what it looks for was not seen before either."""


class Reading(StrEnum):
    """What a scan says of one value."""

    FOUND = "FOUND"
    REMOVED = "REMOVED"
    NOT_COMPUTABLE = "NOT_COMPUTABLE"


@dataclass(frozen=True, slots=True)
class Test:
    """One test of a receipt."""

    __test__ = False  # nothing for pytest to collect

    name: str
    statistic: str
    """What the numbers count."""
    n: int
    """How many things were looked for."""
    before: int | None
    """The statistic on the store before the erasure; None where it makes no sense there."""
    after: int | None
    """The same afterwards; None where it could not be taken."""
    verdict: Verdict
    words: str = ""
    """What has to be known to read it."""


def judge(before: bytes, after: bytes, value: bytes, find: Find = scan.find) -> Reading:
    """What two images say of a value. Its absence afterwards counts only where the same scan saw it before."""
    looked_for = scan.pieces(value)
    if find(after, looked_for):
        return Reading.FOUND
    return Reading.REMOVED if find(before, looked_for) else Reading.NOT_COMPUTABLE


def controls(find: Find = scan.find) -> list[Test]:
    """Tests of the scan itself, on a small store in memory with a sentinel in it."""
    sentinel = f"Sentinel {secrets.token_hex(24)} Żółw"
    value = sentinel.encode()
    plain = _scratch(sentinel)
    cut = plain[: plain.index(value)]
    hidden = plain.translate(_MASKED)
    packed = zlib.compress(plain)
    forms = scan.encoded(sentinel)
    seen = sum(
        bool(find(b"\0".join((plain[:4096], form, plain[:4096])), scan.encoded_pieces({name: form})))
        for name, form in forms.items()
    )
    planted = judge(plain, plain, value, find) is Reading.FOUND
    truncated = judge(plain, cut, value, find) is Reading.REMOVED
    encoded = [judge(one, one, value, find) is Reading.NOT_COMPUTABLE for one in (hidden, packed)]
    return [
        _control("control: a planted sentinel is found", 1, planted),
        _control("control: a store cut off before the sentinel reads as gone", 1, truncated),
        _control("control: an encoded store reads as not computable", 2, sum(encoded)),
        _control("control: a sentinel in each known encoding is found", len(forms), seen),
    ]  # fmt: skip


def _control(name: str, n: int, right: int) -> Test:
    verdict = Verdict.PASS if right == n else Verdict.FAIL
    return Test(name, "controls read rightly", n, None, int(right), verdict)


def _scratch(sentinel: str) -> bytes:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE cubes (seq INTEGER PRIMARY KEY, text TEXT)")
        rows = [(f"filler {number} " * 20,) for number in range(40)]
        connection.executemany("INSERT INTO cubes (text) VALUES (?)", [*rows[:20], (sentinel,), *rows[20:]])
        connection.commit()
        return connection.serialize()


# ── the bytes of the store ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Bytes:
    """What was found in the bytes of a store."""

    values: Mapping[str, int]
    """Values of each substrate of which a piece stands there."""
    encodings: int
    """Values of which a piece stands there in another encoding."""
    places: Mapping[str, int | None]
    """Pieces in each place; None for a place that could not be read."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for: kept in memory only as long as the probe runs."""

    plain: Mapping[str, tuple[tuple[bytes, ...], ...]]
    """By substrate, the pieces of each value."""
    encoded: tuple[tuple[bytes, ...], ...]
    """The pieces of the other encodings of each text and vector."""
    short: int
    """Values that are too short to be looked for in bytes."""

    def traces(self) -> set[bytes]:
        """All pieces."""
        return {piece for value in chain(*self.plain.values(), self.encoded) for piece in value}


def wanted(survey: Survey) -> Wanted:
    """The pieces of everything that a survey found."""
    plain = {
        name: tuple(found for one in values if (found := tuple(scan.pieces(one))))
        for name, values in survey.values.items()
    }
    vectors = [*survey.values["vectors"], *survey.values["vectors of readings"]]
    forms = [*map(scan.encoded, survey.texts), *map(scan.encoded_vector, vectors)]
    encoded = tuple(found for one in forms if (found := tuple(scan.encoded_pieces(one))))
    short = sum(len(one) < scan.SHORTEST for values in survey.values.values() for one in values)
    return Wanted({name: some for name, some in plain.items() if some}, encoded, short)


def look(store: SQLiteStore, sought: Wanted, *, spare_living: bool) -> Bytes:
    """Look for everything in the bytes of the store; with `spare_living`, what something that lives rightly holds is not counted."""
    traces = sought.traces()
    images = scan.images(store.connections)
    found = {name: None if image is None else scan.find(image, traces) for name, image in images.items()}
    there = set().union(*(some for some in found.values() if some))
    if spare_living and there:
        with store.connections.read() as connection:
            living = scan.living(connection, there)
        there -= living
        found = {name: some and some - living for name, some in found.items()}
    return Bytes(
        values={name: sum(not there.isdisjoint(one) for one in values) for name, values in sought.plain.items()},
        encodings=sum(not there.isdisjoint(one) for one in sought.encoded),
        places={name: None if some is None else len(some) for name, some in found.items()},
    )


def byte_tests(sought: Wanted, before: Bytes, after: Bytes, *, overhang: int) -> list[Test]:
    """The tests that follow from two looks."""
    found = [
        Test(
            f"bytes: {name}", "values with a piece in the file, its log, its index or a partial copy", len(values),
            before.values.get(name, 0), after.values[name], _verdict(before.values.get(name, 0), after.values[name]),
        )
        for name, values in sought.plain.items()
    ]  # fmt: skip
    if (
        sought.encoded
    ):  # copies in other encodings need not have been there: the control shows that the scan would see them
        found.append(
            Test(
                "bytes: other encodings", "texts and vectors with a piece in UTF-16, base64, hex, JSON, URL, lower case or float32",
                len(sought.encoded), before.encodings, after.encodings, Verdict.FAIL if after.encodings else Verdict.PASS,
            )
        )  # fmt: skip
    unread = [name for name, some in after.places.items() if some is None]
    if unread:
        found.append(
            Test(
                "bytes: places that cannot be read",
                "places",
                len(unread),
                None,
                None,
                Verdict.NOT_COMPUTABLE,
                ", ".join(unread),
            )
        )
    if overhang:
        found.append(
            Test("bytes: beyond the last page", "bytes that no scan saw", overhang, None, overhang, Verdict.FAIL)
        )
    return found


def _verdict(before: int, after: int) -> Verdict:
    if after:
        return Verdict.FAIL
    return Verdict.PASS if before else Verdict.NOT_COMPUTABLE


# ── rows and structure ───────────────────────────────────────────────────────────────────────────────────────────────


def row_tests(left: Mapping[str, int], survey: Survey, short: int) -> list[Test]:
    """No row of any table belongs to what was erased. `left` counts by substrate, as `survey.counts` did before."""
    words = (
        f"{short} values under {scan.SHORTEST} bytes were looked for here, in rows, and not in bytes." if short else ""
    )
    if total := sum(left.values()):
        there = ", ".join(f"{name}: {count}" for name, count in left.items() if count)
        words = f"left are {there}. {words}".strip()
    before = sum(survey.counts.get(name, 0) for name in left)
    verdict = Verdict.FAIL if total else Verdict.PASS
    return [Test("rows: none belongs to an erased memory", "rows", len(survey.ids), before, total, verdict, words)]


def structure_test(store: SQLiteStore) -> Test:
    """Whether the store is whole: everything derived again while it is small, its pages and its journal where it is large."""
    versions = store.counts()["versions"]
    if versions <= _FULL:
        checked = verify(store.connections)
        looked_at, problems, name = sum(checked.checks.values()), checked.problems, "structure: verify"
    else:
        looked_at, problems, name = (
            *scrubbing.quick_check(store.connections),
            "structure: pages and the end of the journal",
        )
    verdict = Verdict.FAIL if problems else Verdict.PASS
    return Test(name, "problems", looked_at, None, len(problems), verdict, "; ".join(problems[:3]))


def as_invalid(tests: list[Test]) -> list[Test]:
    """What byte tests come to when the controls failed: nothing."""
    return [
        replace(one, verdict=Verdict.NOT_COMPUTABLE)
        if one.name.startswith("bytes:") and one.verdict is Verdict.PASS
        else one
        for one in tests
    ]
