"""Every public method of every front door asks the gate: found by looking at the classes, so that a new one cannot be forgotten."""

from __future__ import annotations

import importlib
import inspect
from contextlib import suppress

import pytest

from remanence import Memory
from remanence.cubes import State
from remanence.errors import AccessDeniedError, RemanenceError, UnknownCubeError
from remanence.governance.access import RIGHTS, Operation, Role
from remanence.governance.admission import Change

UNGATED = {"acting_as", "close", "trust.screen"}
"""`acting_as` asks the gate in its own way, `close` and `trust.screen` show nothing of the memory."""
DOORS = {
    "lifecycle": ("lifecycle", "Lifecycle"), "access": ("accessing", "Access"), "audit": ("auditing", "Audit"),
    "receipts": ("forgetting", "Receipts"), "trust": ("trusting", "Trusting"), "admission": ("admission", "Admission"),
    "forms": ("forms", "Forms"), "schedule": ("schedules", "Schedule"),
}  # fmt: skip
CALLS = {
    "add": lambda m, c: m.add("x", space="work"),
    "ingest": lambda m, c: m.ingest(c.folder / "notes.md", space="work"),
    "correct": lambda m, c: m.correct(c.id, "other"),
    "extract": lambda m, c: m.extract(c.reader, space="work"),
    "pair": lambda m, c: m.pair(space="work"),
    "forget": lambda m, c: m.forget(c.id),
    "recall": lambda m, c: m.recall("Ana?", space="work"),
    "ask": lambda m, c: m.ask("Ana?", space="work"),
    "ask_stream": lambda m, c: list(m.ask_stream("Ana?", space="work")),
    "calibrate": lambda m, c: m.calibrate([], space="work"),
    "conflicts": lambda m, c: m.conflicts(space="work"),
    "get": lambda m, c: m.get(c.id),
    "history": lambda m, c: m.history(c.id),
    "diff": lambda m, c: m.diff("2020-01-01", space="work"),
    "rollback": lambda m, c: m.rollback("2020-01-01", space="work"),
    "consolidate": lambda m, c: m.consolidate(space="work"),
    "profile": lambda m, c: m.profile(space="work"),
    "list": lambda m, c: m.list(space="work"),
    "spaces": lambda m, c: m.spaces(),
    "stats": lambda m, c: m.stats(),
    "verify": lambda m, c: m.verify(sample=0),
    "reindex": lambda m, c: m.reindex(),
    "backup": lambda m, c: m.backup(c.folder / "b.rem"),
    "export": lambda m, c: m.export(c.folder / "e.jsonl", space="work"),
    "import_": lambda m, c: m.import_(c.folder / "i.jsonl"),
    "access.grant": lambda m, c: m.access.grant("q", "reader", space="work"),
    "access.revoke": lambda m, c: m.access.revoke("q", space="work"),
    "access.grants": lambda m, c: m.access.grants(),
    "access.log": lambda m, c: m.access.log(space="work"),
    "access.label": lambda m, c: m.access.label(c.id, "x"),
    "access.restrict": lambda m, c: m.access.restrict(c.id, ["q"]),
    "access.share": lambda m, c: m.access.share(c.id, to="home"),
    "access.unshare": lambda m, c: m.access.unshare(c.share),
    "access.shares": lambda m, c: m.access.shares(),
    "access.sync": lambda m, c: m.access.sync(),
    "trust.why": lambda m, c: m.trust.why([c.cube]),
    "admission.propose": lambda m, c: m.admission.propose(Change("profile", {"words": 2}), [], space="work"),
    "forms.derive": lambda m, c: m.forms.derive([c.id]),
    "schedule.undo": lambda m, c: m.schedule.undo(c.job),
    # arguments by name of the parameter: see `_guessed`
}
GUESSES = {
    "cube_id": "id", "id": "id", "ids": "id", "space": "work", "principal": "q", "reason": "because", "source": "api", "user": "ana", "query": "Ana",
    "state": State.ACTIVE, "to": "2020-01-01", "first": "2020-01-01", "at": "2020-01-01", "name": "x", "receipt": "x", "receipt_id": "x",
    "entry": 1, "rollout": "x", "rollout_id": "x", "trial_id": "x", "question": "Ana?", "questions": ["Ana?"], "kind": "profile", "sensitivity": "x",
}  # fmt: skip


class Case:
    def __init__(self, memory, folder):
        self.folder, self.reader = folder, Reader()
        self.cube = memory.list(space="work")[0]
        self.id = self.cube.id
        self.share = memory.access.share(self.id, to="elsewhere").id
        self.job = memory._store.jobs.add("work", "derive activation", [self.id], memory._store.clock()).n
        (folder / "notes.md").write_text("# A note\n\nOf something.")
        memory.export(folder / "i.jsonl", space="work")


class Reader:
    name = "none/1"

    def extract(self, cubes):
        raise AssertionError("nothing may be read")


def doors():
    """Every public method: "add", "access.grant" … Doors that this release does not have are left out."""
    found = {name: None for name, one in vars(Memory).items() if not name.startswith("_") and inspect.isfunction(one)}
    for door, (module, kind) in DOORS.items():
        with suppress(ImportError):  # not in this release
            one = getattr(importlib.import_module(f"remanence.{module}"), kind)
            found |= {
                f"{door}.{name}": None for name in dir(one) if not name.startswith("_") and callable(getattr(one, name))
            }
    return [name for name in found if name not in UNGATED]


def _guessed(memory, name, case):
    """A call with arguments guessed from the names of the parameters; a test fails where one has no guess."""
    door, _, method = name.rpartition(".")
    call = getattr(getattr(memory, door) if door else memory, method)
    given = {}
    for one in inspect.signature(call).parameters.values():
        if one.name == "space":
            given["space"] = "work"
        elif one.default is inspect.Parameter.empty and one.kind not in {one.VAR_KEYWORD, one.VAR_POSITIONAL}:
            if one.name == "path":
                given[one.name] = case.folder / "p.jsonl"
                continue
            assert one.name in GUESSES, f"{name}({one.name}): say in CALLS or GUESSES how to call it"
            given[one.name] = case.id if GUESSES[one.name] == "id" else GUESSES[one.name]
    return call(**given)


def called(memory, name, case):
    return CALLS[name](memory, case) if name in CALLS else _guessed(memory, name, case)


@pytest.fixture
def memory(opened):
    memory = opened()
    memory.add("Ana lives in Lisbon.", space="work")
    memory.add("Bob lives in Porto.", space="home")
    return memory


def test_every_method_of_memory_is_known():
    assert {name for name in doors() if "." not in name} <= set(CALLS) | UNGATED


def test_somebody_without_grants_is_refused(memory, tmp_path):
    case = Case(memory, tmp_path)
    before = [cube.to_json() for space in ("work", "home") for cube in memory.list(space=space)]
    stranger, seen = memory.acting_as("stranger"), []
    for lines, name in enumerate(doors(), 1):
        with suppress(AccessDeniedError, UnknownCubeError):
            called(stranger, name, case)
            seen.append(name)
        [*_, line] = log = memory.access.log(principal="stranger", limit=1000)
        assert (len(log), line.allowed, line.withheld) == (lines, False, 0), name
    assert seen == []
    assert [cube.to_json() for space in ("work", "home") for cube in memory.list(space=space)] == before


@pytest.mark.parametrize("role", Role)
def test_what_a_role_does_is_logged_and_nothing_of_other_spaces_is_touched(memory, tmp_path, role):
    case = Case(memory, tmp_path)
    memory.access.grant("p", role, space="work")
    lines = 0
    for name in doors():
        if name in {"forget", "rollback"}:  # the memory is needed
            continue
        with suppress(RemanenceError, AssertionError):
            called(memory.acting_as("p"), name, case)
        log = memory.access.log(principal="p", limit=10_000)
        assert len(log) > lines, name
        lines = len(log)
    assert [cube.text for cube in memory.list(space="home") if not cube.provenance.derived_from] == [
        "Bob lives in Porto."
    ]


@pytest.mark.parametrize("role", [Role.READER, Role.AUDITOR])
def test_readers_and_auditors_change_nothing(memory, tmp_path, role):
    case = Case(memory, tmp_path)
    memory.access.grant("p", role, space="*")
    reader, head = memory.acting_as("p"), memory._store.head()
    for name in doors():
        with suppress(RemanenceError):
            called(reader, name, case)
        assert memory._store.head() == head, name


def test_every_operation_has_a_place_in_the_matrix():
    assert RIGHTS[Role.OWNER] == set(Operation)
