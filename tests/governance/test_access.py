"""The gate: who may do what, and what the log says of it."""

from __future__ import annotations

from contextlib import suppress

import pytest

from remanence.errors import AccessDeniedError, InputError, UnknownCubeError
from remanence.governance.access import RIGHTS, TOLD, Gate, Operation, Role, joined, principal_name
from remanence.policies import Clearance, Policy
from remanence.store.grants import Granted

READING = {"recall", "ask", "get", "list", "history", "diff", "conflicts", "stats"}
WRITING = {"add", "correct", "ingest", "extract", "pair", "consolidate", "derive", "schedule"}
AUDITING = {"audit", "receipts", "verify", "log", "stats"}


@pytest.fixture
def memory(opened):
    memory = opened()
    memory.add("Ana lives in Lisbon.", space="work")
    memory.add("Bob lives in Porto.", space="home")
    return memory


def gate(memory, principal="p", role=None, space="work", labels=(), log="principals"):
    if role is not None:
        memory._store.grants.grant(Granted(space, principal, role, tuple(labels), "2026-01-01T00:00:00+00:00", "owner"))
    return Gate(memory._store, principal, log)


def lines(memory):
    return [(one.operation, one.space, one.allowed) for one in memory.access.log()]


def test_the_matrix_is_what_the_guide_says():
    assert RIGHTS[Role.OWNER] == frozenset(Operation)
    assert RIGHTS[Role.READER] == READING
    assert RIGHTS[Role.WRITER] == READING | WRITING
    assert RIGHTS[Role.AUDITOR] == AUDITING
    assert not RIGHTS[Role.AUDITOR] & TOLD  # no content


@pytest.mark.parametrize("role", [None, *Role])
def test_an_operation_passes_exactly_where_the_role_allows_it(memory, role):
    door, passed = gate(memory, role=role), set()
    for operation in Operation:
        for space in ("work", "home", None):
            with suppress(AccessDeniedError):
                door.check(operation, space)
                passed.add((operation, space))
    assert passed == {(one, "work") for one in (RIGHTS[role] if role else ())}


def test_a_grant_everywhere_holds_in_all_spaces_and_for_the_whole_store(memory):
    door = gate(memory, role="owner", space="*")
    assert {door.check(operation, space) for space in ("work", "home", "new", None) for operation in Operation} == {
        None
    }


def test_the_owner_of_the_file_passes_and_leaves_no_line(memory):
    door = Gate(memory._store, None)
    assert [door.check(operation, space) for operation in Operation for space in ("work", None)] == [None] * 2 * len(
        Operation
    )
    assert door.locate(Operation.GET, "anything", "work") == ("work", None)
    door.told(Operation.RECALL, "work", ["x"])
    assert lines(memory) == []


def test_where_the_settings_say_so_the_owner_is_logged_and_nobody_or(memory):
    Gate(memory._store, None, "all").check(Operation.FORGET, "work")
    Gate(memory._store, None, "all").told(Operation.RECALL, "work", ["x"])
    gate(memory, role="reader", log="off").told(Operation.RECALL, "work", ["x"])
    assert [(one.principal, one.operation, one.cubes) for one in memory.access.log()] == [
        ("owner", "forget", ()), ("owner", "recall", ("x",)),
    ]  # fmt: skip


def test_labels_of_all_grants_count_together_and_an_owner_sees_everything(memory):
    gate(memory, role="reader", labels=["health"])
    door = gate(memory, role="reader", space="*", labels=["legal"])
    assert door.check(Operation.RECALL, "work") == Clearance("p", frozenset({"health", "legal"}))
    assert door.check(Operation.RECALL, "home") == Clearance("p", frozenset({"legal"})) == door.clearance("home")
    assert gate(memory, role="owner").check(Operation.RECALL, "work") is None


def test_a_refusal_says_the_same_of_a_space_that_is_there_and_one_that_is_not(memory):
    door, said = gate(memory), []
    for space in ("home", "nowhere"):
        with pytest.raises(AccessDeniedError) as refused:
            door.check(Operation.RECALL, space)
        said.append(str(refused.value).replace(space, "…"))
    assert said[0] == said[1]


def test_what_is_not_there_and_what_may_not_be_seen_are_one_error(memory):
    [home] = [cube.id for cube in memory.list(space="home")]
    [secret] = memory.add("Ana takes pills.", space="work", sensitivity="health")
    [private] = memory.add("Ana pays Bob.", space="work", access=["somebody"])
    door, said = gate(memory, role="reader"), []
    for cube_id, space in (
        (home, None),
        (secret, None),
        (private, None),
        (home, "work"),
        ("0" * 36, None),
        ("0" * 36, "home"),
    ):
        with pytest.raises(UnknownCubeError) as unknown:
            door.locate(Operation.GET, cube_id, space)
        said.append(str(unknown.value).replace(cube_id, "…"))
    assert len(set(said)) == 1
    # The log says which, to those who may read it; ids that are not there are anybody's text and are not kept.
    found = [(one.space, one.cubes, one.withheld, one.allowed) for one in memory.access.log()]
    assert found == [
        ("home", (home,), 0, False), ("work", (secret,), 1, False), ("work", (private,), 1, False),
        ("work", (), 0, False), ("*", (), 0, False), ("home", (), 0, False),
    ]  # fmt: skip


def test_what_may_be_seen_but_not_done_is_said(memory):
    [cube] = memory.list(space="work")
    door = gate(memory, role="reader")
    assert door.locate(Operation.GET, cube.id) == ("work", Clearance("p"))
    with pytest.raises(AccessDeniedError, match="no right to correct in the space 'work'"):
        door.locate(Operation.CORRECT, cube.id)
    assert lines(memory) == [("correct", "work", False)]


def test_an_auditor_is_told_of_no_memory(memory):
    [cube] = memory.list(space="work")
    door = gate(memory, role="auditor")
    for operation in Operation:
        with pytest.raises(UnknownCubeError):
            door.locate(operation, cube.id)


def test_what_is_not_told_is_logged_at_the_gate(memory):
    door = gate(memory, role="owner")
    for operation in Operation:
        door.check(operation, "work", ["x"])
    assert [one.operation for one in memory.access.log()] == [one for one in Operation if one not in TOLD]
    assert {one.cubes for one in memory.access.log()} == {("x",)}


def test_only_the_owner_of_the_file_acts_as_others(memory):
    memory.access.grant("boss", "owner", space="*")
    with pytest.raises(AccessDeniedError, match="cannot act as others"):
        memory.acting_as("boss").acting_as("somebody")


@pytest.mark.parametrize("name", ["", " ", "owner", None, 7, "x" * 513, "a\nb"])
def test_names_that_nobody_has(name):
    with pytest.raises(InputError):
        principal_name(name)


@pytest.mark.parametrize(
    ("parents", "label", "access"),
    [
        ([], None, ()),
        ([Policy(), Policy()], None, ()),
        ([Policy(), Policy(sensitivity="health")], "health", ()),
        ([Policy(sensitivity="legal"), Policy(sensitivity="health")], "health+legal", ()),
        ([Policy(access=("a", "b")), Policy(), Policy(access=("b", "c"))], None, ("b",)),
        ([Policy(access=("a",)), Policy(access=("c",))], None, ("owner",)),
    ],
)
def test_what_is_made_of_several_is_seen_by_those_who_see_all_of_them(parents, label, access):
    assert joined(parents) == (label, access)
    for who in ("a", "b", "c"):
        for labels in ((), ("health",), ("legal",), ("health", "legal")):
            caller = Clearance(who, frozenset(labels))
            everything = all(caller.admits(one.sensitivity, one.access) for one in parents)
            assert not caller.admits(label, access) or everything
