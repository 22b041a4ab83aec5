"""The file for an auditor: one form only, and every byte of it counts."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

import pytest

from remanence.governance.audit import UNPINNED, signed, to_json
from remanence.governance.auditfile import lines, verify_lines
from remanence.governance.signing import canonical
from remanence.store.journal import GENESIS, Entry

GOLDEN = Path(__file__).parent / "golden" / "audit-1.jsonl"


@pytest.fixture(scope="module")
def whole(rows, checkpoints) -> bytes:
    return b"".join(lines(GENESIS, rows, checkpoints))


def found(data: bytes, **options):
    return verify_lines(io.BytesIO(data), **options)


def test_the_file_says_what_the_journal_says(whole, key, checkpoints):
    result = found(whole, keys={key.public}, anchors=checkpoints)
    assert result.ok, result.problems
    assert (result.first, result.entries, result.signed, result.unsigned, result.checkpoints) == (1, 12, 10, 2, 3)
    assert result.notes == ("not yet signed: 2 of 12 entries",)
    assert UNPINNED in found(whole).notes


def test_files_of_the_first_format_stay_readable(whole, key):
    data = GOLDEN.read_bytes()
    assert found(data, keys={key.public}).ok
    assert data == whole


def test_a_part_of_a_journal(rows, checkpoints, key):
    data = b"".join(lines(rows[4][9], rows[5:10], checkpoints[1:]))
    result = found(data, keys={key.public}, anchors=[checkpoints[1]])
    assert result.ok, result.problems
    assert (result.first, result.entries, result.signed, result.unsigned) == (6, 5, 5, 0)
    assert not found(data, anchors=[checkpoints[0]]).ok
    assert not found(data.replace(rows[4][9].hex().encode(), bytes(32).hex().encode(), 1)).ok


def test_a_journal_without_checkpoints(rows):
    result = found(b"".join(lines(GENESIS, rows, ())))
    assert result.ok
    assert (result.signed, result.unsigned) == (0, 12)


def test_a_malformed_row_cannot_be_written_down(rows):
    with pytest.raises(ValueError, match="malformed"):
        list(lines(GENESIS, [(*rows[0][:9], "text")], ()))


def test_every_single_byte_edit_is_found(whole):
    """Each byte becomes one other, which the seed chooses; `benchmarks/reliability/tamper.py` takes all 255."""
    chance = random.Random(1)
    for at in range(len(whole)):
        edited = bytearray(whole)
        edited[at] ^= chance.randrange(1, 256)
        assert not found(bytes(edited)).ok, at


def test_every_change_of_case_is_found(whole):
    for at in range(len(whole)):
        edited = whole[:at] + whole[at : at + 1].swapcase() + whole[at + 1 :]
        assert edited == whole or not found(edited).ok, at


def test_every_byte_removed_doubled_or_put_in_is_found(whole):
    chance = random.Random(2)
    for at in range(len(whole)):
        more = chance.choice((whole[at : at + 1], b" ", b"\n", b"\r", b"\0"))
        edited = chance.choice((whole[:at] + whole[at + 1 :], whole[:at] + more + whole[at:], whole[:at]))
        assert not found(edited).ok, at
    for more in (b" ", b"\n", b"{}\n", whole):
        assert not found(whole + more).ok, more


def test_every_line_removed_doubled_or_exchanged_is_found(whole):
    parts = whole.splitlines(keepends=True)
    for at in range(len(parts)):
        assert not found(b"".join(parts[:at] + parts[at + 1 :])).ok, at
        assert not found(b"".join(parts[: at + 1] + parts[at:])).ok, at
        for to in range(at):
            swapped = list(parts)
            swapped[at], swapped[to] = swapped[to], swapped[at]
            assert not found(b"".join(swapped)).ok, (at, to)


def _counts(data: bytes, entries: int, checkpoints: int) -> bytes:
    before = data.splitlines(keepends=True)[:-1]
    return b"".join(before) + b'{"end":{"checkpoints":%d,"entries":%d}}\n' % (checkpoints, entries)


def test_a_checkpoint_removed_with_the_counts_put_right_leaves_its_entries_unsigned(whole):
    parts = whole.splitlines(keepends=True)
    last = max(at for at, part in enumerate(parts) if b"signature" in part)
    result = found(_counts(b"".join(parts[:last] + parts[last + 1 :]), 12, 2))
    assert result.ok
    assert result.unsigned == 5


def test_a_tail_removed_with_the_counts_put_right_takes_an_anchor(rows, checkpoints):
    cut = b"".join(lines(GENESIS, rows[:8], checkpoints[:2]))
    assert found(cut).ok
    assert not found(cut, anchors=checkpoints[-1:]).ok


def test_a_journal_begins_with_nothing_before_it(rows):
    """A chain that holds, but from another beginning than that of a journal."""
    start, forged = b"x" * 32, []
    for row in rows:
        forged.append((*row[:9], Entry._make(row).chained(forged[-1][9] if forged else start)))
    assert not found(b"".join(lines(start, forged, ()))).ok
    assert found(b"".join(lines(forged[0][9], forged[1:], ()))).ok  # from the second entry on nothing tells


OTHER_ENTRIES = [
    {"more": 1},
    {"entry": "1"},
    {"entry": True},
    {"entry": 1.0},
    {"at": None},
    {"version": "1"},
    {"commitment": None},
    {"hash": ""},
]


@pytest.mark.parametrize("change", OTHER_ENTRIES, ids=str)
def test_an_entry_has_its_fields_and_no_others(whole, change):
    head, first, *rest = whole.splitlines(keepends=True)
    other = canonical({**json.loads(first), **change}) + b"\n"
    assert other != first
    assert not found(b"".join([head, other, *rest])).ok


def test_a_checkpoint_of_nothing(whole, key):
    """Before the first entry, over the hash that stands there: it would say nothing."""
    head, *rest = whole.splitlines(keepends=True)
    nothing = canonical(to_json(signed("5eed" * 8, 0, GENESIS, "x", key))) + b"\n"
    assert not found(_counts(b"".join([head, nothing, *rest]), 12, 4)).ok


def test_a_checkpoint_twice_with_the_counts_put_right(whole):
    parts = whole.splitlines(keepends=True)
    at = next(at for at, part in enumerate(parts) if b"signature" in part)
    assert not found(_counts(b"".join(parts[: at + 1] + parts[at:]), 12, 4)).ok


def test_a_file_that_was_cut_off_says_so(whole):
    assert "cut off" in found(whole[:-1]).problems[-1]
    assert "cut off" in found(whole[: whole.index(b"\n", 1000) + 1]).problems[-1]
    assert "cut off" in found(whole[:1000]).problems[-1]


WRONG = {
    "empty": b"",
    "only-a-head": b'{"format":"remanence.audit/1","previous":"' + b"0" * 64 + b'"}\n',
    "no-entries": b'{"format":"remanence.audit/1","previous":"'
    + b"0" * 64
    + b'"}\n{"end":{"checkpoints":0,"entries":0}}\n',
    "another-format": b'{"format":"remanence.audit/2","previous":"' + b"0" * 64 + b'"}\n',
    "a-list": b"[]\n",
    "a-text": b'"previous"\n',
    "binary": bytes(range(256)),
    "utf-16": '{"format":"remanence.audit/1"}\n'.encode("utf-16"),
    "deep": b"[" * 100_000,
    "previous-a-number": b'{"format":"remanence.audit/1","previous":0}\n',
    "previous-no-hash": b'{"format":"remanence.audit/1","previous":""}\n{"end":{"checkpoints":0,"entries":0}}\n',
}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG.keys())
def test_other_files_are_problems_and_nothing_is_raised(data):
    assert not found(data).ok


@pytest.mark.parametrize("first", [0, -3])
def test_entries_are_counted_from_1(rows, first):
    entry = Entry._make((first, *rows[0][1:]))
    row = (*entry[:9], entry.chained(GENESIS))
    assert not found(b"".join(lines(GENESIS, [row], ()))).ok


def test_a_checkpoint_before_any_entry(whole, checkpoints):
    parts = whole.splitlines(keepends=True)
    at = next(at for at, part in enumerate(parts) if b"signature" in part)
    assert not found(b"".join([parts[0], parts[at], *parts[1:]])).ok
