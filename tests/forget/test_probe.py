"""The scan that a receipt rests on: what it sees, what it cannot see, and that it says so."""

from __future__ import annotations

import zlib

import pytest

from remanence.forget import probe
from remanence.forget.probe import Bytes, Reading, Verdict, Wanted, as_invalid, byte_tests, controls, judge
from remanence.store import scan

VALUE = b"the code of the blue safe is seven four one"
PLAIN = b"page one" * 100 + VALUE + b"page two" * 100


def test_the_controls_come_out_right():
    found = controls()
    assert [one.verdict for one in found] == [Verdict.PASS] * 4
    assert found[3].n == len(scan.encoded("Any Text ż")) == 9


@pytest.mark.parametrize(
    ("find", "wrong"),
    [(lambda image, traces: set(), {0, 1, 3}), (lambda image, traces: set(traces), {1, 2})],
    ids=["blind", "sees-everything"],
)
def test_the_controls_notice_a_scan_that_does_not_work(find, wrong):
    found = controls(find)
    assert {number for number, one in enumerate(found) if one.verdict is Verdict.FAIL} == wrong


def test_a_scan_that_knows_no_encodings_is_noticed():
    def plain_only(image, traces):
        return {trace for trace in scan.find(image, traces) if trace.count(0) < 8}

    assert controls(plain_only)[3].verdict is Verdict.FAIL


def test_absence_counts_only_where_presence_was_seen():
    assert judge(PLAIN, PLAIN, VALUE) is Reading.FOUND
    assert judge(PLAIN, PLAIN.replace(VALUE, b""), VALUE) is Reading.REMOVED
    assert judge(PLAIN, PLAIN[: PLAIN.index(VALUE)], VALUE) is Reading.REMOVED
    packed = zlib.compress(PLAIN)
    assert judge(packed, packed, VALUE) is Reading.NOT_COMPUTABLE
    assert judge(b"", b"", VALUE) is Reading.NOT_COMPUTABLE


def looked(texts: int, encodings: int, **places: int | None) -> Bytes:
    return Bytes({"texts": texts}, encodings, places)


@pytest.mark.parametrize(
    ("before", "after", "verdicts"),
    [
        (looked(1, 0, file=2), looked(0, 0, file=0), ["PASS", "PASS"]),
        (looked(1, 0, file=2), looked(1, 0, file=1), ["FAIL", "PASS"]),
        (looked(0, 0, file=0), looked(0, 0, file=0), ["NOT_COMPUTABLE", "PASS"]),
        (looked(1, 1, file=2), looked(0, 1, file=1), ["PASS", "FAIL"]),
        (looked(1, 0, file=2), looked(0, 0, file=0, shm=None), ["PASS", "PASS", "NOT_COMPUTABLE"]),
    ],
    ids=["clean", "left", "never-seen", "encoded", "unread-place"],
)
def test_what_two_looks_come_to(before, after, verdicts):
    sought = Wanted({"texts": ((VALUE,),)}, ((VALUE.hex().encode(),),), 0)
    assert [one.verdict for one in byte_tests(sought, before, after, overhang=0)] == verdicts


def test_bytes_that_nobody_saw_fail():
    sought = Wanted({"texts": ((VALUE,),)}, (), 0)
    found = byte_tests(sought, looked(1, 0, file=1), looked(0, 0, file=0), overhang=9)
    assert [one.verdict for one in found] == ["PASS", "FAIL"]


def test_without_controls_nothing_passes():
    sought = Wanted({"texts": ((VALUE,),)}, ((VALUE,),), 0)
    found = as_invalid(byte_tests(sought, looked(1, 0, file=1), looked(0, 0, file=0), overhang=0))
    assert [one.verdict for one in found] == ["NOT_COMPUTABLE", "NOT_COMPUTABLE"]


def test_a_large_store_is_checked_quickly(opened, monkeypatch):
    memory = opened()
    memory.add(["one", "two", "three"])
    assert probe.structure_test(memory._store).name == "structure: verify"
    monkeypatch.setattr(probe, "_FULL", 2)
    quick = probe.structure_test(memory._store)
    assert (quick.name, quick.verdict) == ("structure: pages and the end of the journal", "PASS")
    with memory._store.connections.write() as connection:
        connection.execute("UPDATE journal SET op = 'extract' WHERE entry = 3")
    assert probe.structure_test(memory._store).verdict is Verdict.FAIL
