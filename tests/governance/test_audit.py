"""The chain, the checkpoints on it, and what an examination of both finds."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.governance.audit import (
    Examination,
    examine,
    from_json,
    holds,
    linked,
    naive_chain,
    signed,
    statement,
    to_json,
    verify_chain,
)
from remanence.governance.signing import canonical
from remanence.store.journal import GENESIS, Entry

STORE = "5eed" * 8


def found(rows, checkpoints=(), *, keys=None, anchors=(), numbered=None):
    examination = Examination(keys, anchors)
    examine(rows, checkpoints, examination, numbered)
    return examination.result()


def again(entries):
    """The rows with all hashes computed anew, as a forger would."""
    previous, rows = GENESIS, []
    for row in entries:
        previous = Entry._make(row).chained(previous)
        rows.append((*row[:9], previous))
    return rows


# ── the chain ────────────────────────────────────────────────────────────────────────────────────────────────────────


_TEXT = st.text(st.characters(codec=None), max_size=8)
_NUMBER = st.integers(-(1 << 63), (1 << 63) - 1)
_ENTRY = st.builds(Entry, _NUMBER, _TEXT, _TEXT, _NUMBER, _NUMBER, _NUMBER, _TEXT, _NUMBER, st.binary(max_size=32))


@given(_ENTRY, st.binary(min_size=32, max_size=32))
def test_a_hash_is_the_one_of_the_entry_itself(entry, previous):
    assert linked(previous, tuple(entry)) == entry.chained(previous)


@given(st.lists(st.integers(0, 11), max_size=14), st.integers(0, 9), st.booleans())
def test_fast_and_naive_agree_on_any_arrangement(rows, picked, column, rehashed):
    arranged = [rows[at] for at in picked]
    if arranged:
        changed = list(arranged[0])
        changed[column] = changed[column] + (
            1 if isinstance(changed[column], int) else type(changed[column])(b"x" if column > 7 else "x")
        )
        arranged[0] = tuple(changed)
    if rehashed:
        arranged = again(arranged)
    assert [not problem for problem in verify_chain(arranged)] == list(naive_chain(arranged))


def test_the_chain_of_an_untouched_journal(rows):
    assert list(verify_chain(rows)) == [""] * len(rows)
    assert list(verify_chain(rows[4:], rows[3][9], 5)) == [""] * (len(rows) - 4)
    assert any(verify_chain(rows[4:], rows[2][9], 5))
    assert any(verify_chain(rows[4:], rows[3][9], 4))


WRONG_TYPES = [(0, "1"), (1, b"x"), (2, None), (3, 1.0), (4, True), (5, None), (6, 7), (7, "1"), (8, "00"), (9, None)]


@pytest.mark.parametrize(("column", "value"), WRONG_TYPES)
def test_a_malformed_row_is_a_problem_and_the_rest_is_still_examined(rows, column, value):
    row = list(rows[3])
    row[column] = value
    damaged = [*rows[:3], tuple(row), *rows[4:]]
    problems = found(damaged).problems
    assert problems[0] == "entry 4 is malformed"
    assert len(problems) <= 2
    assert found(damaged).entries == len(rows)


# ── checkpoints ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_bytes_that_are_signed_never_change(checkpoints, key):
    first = checkpoints[0]
    assert canonical(statement(first)) == (
        b'{"at":"2026-11-23T11:04:00.000000+00:00","entry":4,"format":"remanence.checkpoint/1",'
        b'"hash":"' + first.hash.hex().encode() + b'","key":"' + key.fingerprint.encode() + b'",'
        b'"store":"5eed5eed5eed5eed5eed5eed5eed5eed"}'
    )
    assert key.fingerprint == "139e3940e64b5491"


def test_a_checkpoint_holds_as_it_was_signed_only(checkpoints, stranger):
    one = checkpoints[0]
    assert holds(one)
    changes = {"store": "x", "entry": 5, "hash": bytes(32), "at": "x", "key": stranger.public, "signature": bytes(64)}
    for name, value in changes.items():
        assert not holds(replace(one, **{name: value})), name
    for name in changes:
        assert not holds(replace(one, **{name: None})), name


def test_a_checkpoint_as_json(checkpoints):
    obj = json.loads(json.dumps(to_json(checkpoints[0])))
    assert from_json(obj) == checkpoints[0]
    assert set(obj) == {"statement", "public", "signature"}


@pytest.mark.parametrize(
    "change",
    [
        lambda obj: obj.pop("public"),
        lambda obj: obj.update(more=1),
        lambda obj: obj.update(public=obj["public"].upper()),
        lambda obj: obj.update(signature=obj["signature"] + " "),
        lambda obj: obj.update(signature=7),
        lambda obj: obj["statement"].update(more=1),
        lambda obj: obj["statement"].update(format="remanence.checkpoint/2"),
        lambda obj: obj["statement"].update(key="0" * 16),
        lambda obj: obj["statement"].update(entry="4"),
        lambda obj: obj["statement"].update(at=None),
        lambda obj: obj["statement"].pop("store"),
        lambda obj: obj.update(statement=[]),
    ],
)
def test_what_is_no_checkpoint(checkpoints, change):
    obj = json.loads(json.dumps(to_json(checkpoints[0])))
    change(obj)
    with pytest.raises(ValueError):
        from_json(obj)


@pytest.mark.parametrize("obj", [None, [], "x", 1, {}])
def test_what_is_no_checkpoint_at_all(obj):
    with pytest.raises(ValueError):
        from_json(obj)


# ── the examination ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_untouched_journal(rows, checkpoints, key):
    result = found(rows, checkpoints, keys={key.public}, anchors=[checkpoints[1]], numbered=12)
    assert result.ok, result.problems
    assert (result.first, result.entries, result.signed, result.unsigned, result.checkpoints) == (1, 12, 10, 2, 3)
    assert result.last == checkpoints[-1]
    assert result.keys == (key.fingerprint,)
    assert result.notes == ("not yet signed: 2 of 12 entries",)


def test_a_journal_without_checkpoints_is_not_signed(rows):
    result = found(rows)
    assert result.ok
    assert (result.signed, result.unsigned, result.last) == (0, 12, None)


def test_an_empty_journal():
    result = found([], numbered=None)
    assert result.ok
    assert result.entries == 0
    assert not found([], numbered=3).ok


@pytest.mark.parametrize("at", range(12))
def test_an_entry_removed_whatever_the_forger_computes_anew(rows, checkpoints, at):
    left = rows[:at] + rows[at + 1 :]
    assert not found(left, checkpoints, numbered=12).ok
    moved = [(number, *row[1:]) for number, row in enumerate(left, 1)]
    assert not found(moved, checkpoints).ok or at >= 10
    assert not found(again(moved), checkpoints).ok or at >= 10  # the last two are not signed
    assert found(again(moved), checkpoints, numbered=11).ok == (at >= 10)


@pytest.mark.parametrize("at", range(12))
def test_an_entry_inserted(rows, checkpoints, at):
    more = [*rows[:at], rows[0], *rows[at:]]
    assert not found(more, checkpoints).ok
    moved = again([(number, *row[1:]) for number, row in enumerate(more, 1)])
    assert found(moved, checkpoints).ok == (at >= 10)


@pytest.mark.parametrize("at", range(11))
def test_two_entries_exchanged(rows, checkpoints, at):
    swapped = list(rows)
    swapped[at : at + 2] = swapped[at + 1], swapped[at]
    assert not found(swapped, checkpoints).ok
    moved = again([(number, *row[1:]) for number, row in enumerate(swapped, 1)])
    assert found(moved, checkpoints).ok == (at >= 10)


@pytest.mark.parametrize("kept", range(12))
def test_the_tail_cut_off(rows, checkpoints, kept):
    """Checkpoints that are left give it away; where they are removed too it takes an anchor, or SQLite's own count."""
    assert found(rows[:kept], checkpoints).ok == (kept >= 10)
    left = [one for one in checkpoints if one.entry <= kept]
    assert found(rows[:kept], left).ok
    assert found(rows[:kept], left, anchors=checkpoints[-1:]).ok == (kept >= 10)
    assert not found(rows[:kept], left, numbered=12).ok


def test_a_journal_rewritten_and_signed_with_another_key(rows, checkpoints, key, stranger):
    forged = again([(*rows[0][:6], "another", *rows[0][7:]), *rows[1:]])
    signatures = [signed(STORE, one.entry, forged[one.entry - 1][9], one.at, stranger) for one in checkpoints]
    assert found(forged, signatures).ok  # nobody said who may sign
    assert found(forged, signatures).keys == (stranger.fingerprint,)
    pinned = found(forged, signatures, keys={key.public})
    assert pinned.signed == 0
    assert len(pinned.problems) == 3
    assert "is not the expected one" in pinned.problems[0]
    anchored = found(forged, signatures, anchors=[checkpoints[0]])
    assert anchored.problems == (
        "the anchor at entry 4 was signed over another journal than this: entries up to it were changed, added or removed",
    )


def test_a_journal_rewritten_by_the_holder_of_the_key_takes_an_anchor(rows, checkpoints, key):
    forged = again([*rows[:5], (*rows[5][:6], "another", *rows[5][7:]), *rows[6:]])
    signatures = [signed(STORE, one.entry, forged[one.entry - 1][9], one.at, key) for one in checkpoints]
    assert found(forged, signatures, keys={key.public}).ok
    assert found(forged, signatures, keys={key.public}, anchors=[checkpoints[0]]).ok  # signed before the change
    assert not found(forged, signatures, keys={key.public}, anchors=[checkpoints[1]]).ok


def test_checkpoints_edited_moved_or_of_another_store(rows, checkpoints, key):
    first, *others = checkpoints
    for name, value in {"entry": 5, "hash": rows[4][9], "at": "x", "signature": bytes(64)}.items():
        assert not found(rows, [replace(first, **{name: value}), *others]).ok, name
    elsewhere = signed("another", 4, rows[3][9], "x", key)
    assert found(rows, [elsewhere, *others]).problems[0] == "the checkpoint at entry 7 is one of another store"
    assert not found(rows, checkpoints, anchors=[elsewhere]).ok
    assert not found(rows, checkpoints, anchors=[replace(first, signature=bytes(64))]).ok
    wrong = signed(STORE, 4, rows[4][9], "x", key)
    assert "over another journal" in found(rows, [wrong, *others]).problems[0]


def test_an_anchor_before_what_is_examined(rows, checkpoints, key):
    def part(first, anchors):
        examination = Examination(None, anchors, previous=rows[first - 2][9], first=first)
        examine(rows[first - 1 :], [one for one in checkpoints if one.entry >= first], examination, None)
        return examination.result()

    assert part(5, [checkpoints[0]]).ok  # the hash before the first entry is known
    assert not part(5, [signed(STORE, 4, bytes(32), "x", key)]).ok
    assert part(6, [checkpoints[0]]).problems == ("the anchor at entry 4 is not in this journal, which begins at 6",)
    assert part(6, [checkpoints[1]]).signed == 5


def test_problems_are_counted_beyond_what_is_listed(rows):
    damaged = [(*row[:9], b"x") for row in rows] * 20
    problems = found(damaged).problems
    assert len(problems) == 101
    assert problems[-1].startswith("and ")
