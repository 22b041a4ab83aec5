"""The crash trials themselves: small runs are clean, and each way to lose something is noticed."""

from __future__ import annotations

import random

import pytest

from remanence import Memory


@pytest.fixture
def operations(reliability, watched_disk):
    return reliability("operations")


@pytest.fixture
def crash(reliability, watched_disk):
    return reliability("crash")


def test_some_trials(crash):
    tally = crash.run(8, seed=11)
    assert tally.problems == []
    assert tally.trials == 8
    assert tally.operations.total() > 0


def test_a_kill_comes_at_the_call_that_was_asked_for(crash, operations, tmp_path):
    path = tmp_path / "m.rem"
    events, shared = crash.killed(path, operations.Expected(), 1, crash.Plan(calls=30, torn=True))
    assert events == []  # a new file takes more calls than that
    assert shared[1] != 0
    crash.settled(path, operations.Expected(), None, random.Random(1), crash.Tally())


@pytest.fixture
def filled(operations, tmp_path):
    """A store that was worked on, and what it has to hold."""
    chance, expected = random.Random(4), operations.Expected()
    memory = Memory(tmp_path / "m.rem", operations.SETTINGS)
    texts = [operations.text(chance, (0, 5)) for _ in range(14)]
    first = {"op": "add", "texts": texts, "space": "default", "key": "k"}
    for kind in ("add", "correct", "extract", "pair", "forget", "archive", "freeze", "govern"):
        operation = first if kind == "add" else operations.choose(chance, expected, {kind: 1})
        assert operation["op"] == kind
        expected.apply(operation, operations.perform(memory, operation, tmp_path))
    yield memory, expected
    memory.close()


def test_a_store_is_what_it_has_to_be(operations, filled, tmp_path):
    memory, expected = filled
    operations.compare(memory, expected)
    operations.compare_index(memory, random.Random(1), tmp_path)


LOSSES = {
    "memory": "DELETE FROM cubes WHERE id = ?",
    "text": "UPDATE cubes SET text = 'other' WHERE id = ?",
    "correction": "DELETE FROM cubes WHERE id = ? AND version = (SELECT max(version) FROM cubes)",
    "state": "UPDATE cubes SET state = 'frozen' WHERE id = ?",
    "policy": "UPDATE cubes SET sensitivity = 'x' WHERE id = ?",
    "reading": "DELETE FROM extractions WHERE ? IS NOT NULL",
}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_lost_is_missed(operations, filled, loss):
    memory, expected = filled
    one = next(one for one, seen in expected.cubes.items() if len(seen.texts) > 1)
    with memory._store.connections.write() as connection:
        assert connection.execute(LOSSES[loss], (one,)).rowcount > 0
    with pytest.raises(AssertionError):
        operations.compare(memory, expected)


def test_what_is_more_than_expected_is_noticed(operations, filled):
    memory, expected = filled
    memory.add("Nobody expects this.")
    with pytest.raises(AssertionError):
        operations.compare(memory, expected)


def test_an_index_that_differs_from_a_fresh_one_is_noticed(operations, filled, tmp_path):
    memory, _ = filled
    with memory._store.connections.write() as connection:
        connection.execute("UPDATE keys SET vector = zeroblob(length(vector))")
    with (
        Memory(tmp_path / "m.rem", operations.SETTINGS) as again,  # an index that is loaded now
        pytest.raises(AssertionError, match="fresh"),
    ):
        operations.compare_index(again, random.Random(1), tmp_path)


def test_an_operation_that_was_cut_off_leaves_all_or_nothing(operations, filled):
    memory, expected = filled
    image, texts = operations.image_of(memory), [operations.text(random.Random(n)) for n in range(10)]
    add = {"op": "add", "texts": texts, "space": "default"}
    assert operations.left_by(add, expected, image) == "none"
    for count, what in ((4, "part"), (8, "part"), (10, "all")):
        new = {f"new {n}": operations.Seen("default", (texts[n],)) for n in range(count)}
        assert operations.left_by(add, expected, image | new) == what
    for wrong in (
        {f"new {n}": operations.Seen("default", (texts[n],)) for n in range(3)},  # a batch is torn
        {"new": operations.Seen("default", (texts[1],))},  # its first is missing
    ):
        with pytest.raises(AssertionError):
            operations.left_by(add, expected, image | wrong)
    some = expected.in_state("active")[:2]
    forget = {"op": "forget", "ids": some}
    half = {one: seen for one, seen in image.items() if one != some[0]}
    with pytest.raises(AssertionError, match="neither"):
        operations.left_by(forget, expected, half)


def test_a_rollback_that_leads_elsewhere_is_noticed(operations, filled):
    memory, expected = filled
    expected.mark("2026-01-01T00:00:00+00:00")
    image = operations.image_of(memory)
    rollback = {"op": "rollback", "to": expected.marks[0][0], "space": "default", "marks": expected.marks}
    operations.check_rollback(expected.cubes, rollback, image)
    one = next(
        one for one, seen in image.items() if seen.space == "default" and seen.state == "active" and not seen.parents
    )
    changed = image | {one: operations.Seen("default", (*image[one].texts, "else"))}
    with pytest.raises(AssertionError, match="elsewhere"):
        operations.check_rollback(expected.cubes, rollback, changed)
