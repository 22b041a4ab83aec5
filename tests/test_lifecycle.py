"""The life of memories through the front door: states, policies, both times, the way back, and the care that falls due."""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence import Memory
from remanence.cubes import Extraction, Kind, State
from remanence.errors import FrozenError, InputError, TransitionError, UnknownCubeError, UnknownSpaceError
from remanence.lifecycle import strength
from remanence.policies import Trigger, Trust
from remanence.settings import Settings
from remanence.store.lifecycle import ALLOWED
from remanence.store.parts import Transition

PLAIN = Settings(embedder="hashing", care_every=0)
WAY = {  # how to get a memory into each state
    State.ACTIVE: (), State.FROZEN: ("freeze",), State.ARCHIVED: ("archive",), State.EXPIRED: ("expire",),
}  # fmt: skip


@pytest.fixture
def memory(clock):
    with Memory(":memory:", PLAIN, clock=clock) as opened:
        yield opened


@pytest.fixture
def said(memory):
    """A memory, and what it recalls, in the order of writing."""

    def ask(question="tea Ana Rome Oslo", **asked):
        return sorted(hit.cube.text for hit in memory.recall(question, k=50, route="cheap", **asked))

    return ask


def sound(memory):
    checked = memory.verify()
    return checked.problems


# ── states ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("was", "to"), [*product(WAY, [one for one in State if one is not State.FORGOTTEN])])
def test_only_what_the_table_allows_happens(memory, was, to):
    cube_id = memory.add("Ana drinks tea")[0]
    for step in WAY[was]:
        getattr(memory.lifecycle, step)(cube_id)
    before = memory.history(cube_id)
    wish = Transition(cube_id, to, "a test")
    if to in ALLOWED[was]:
        [cube] = memory._store.lifecycle.change([wish])
        assert cube == memory.get(cube_id)
        assert cube.state is to
    else:
        with pytest.raises(TransitionError):
            memory._store.lifecycle.change([wish])
        assert memory.history(cube_id) == before
    assert sound(memory) == ()


def test_what_is_put_away_is_not_recalled_and_comes_back_as_a_new_version(memory, said, clock):
    cube_id = memory.add("Ana drinks tea")[0]
    for put_away in (memory.lifecycle.archive, memory.lifecycle.expire):
        clock.turn(days=1)
        away = put_away(cube_id, "not now")
        assert (away.hidden, away.superseded_at, away.valid_to) == (True, clock(), None)
        assert said() == []
        assert said(as_of=clock()) == []
        assert memory.list() == []
        with pytest.raises(InputError, match=r"restore\(id\)"):
            memory.correct(cube_id, "Ana drinks coffee")
        clock.turn(days=1)
        assert memory.lifecycle.restore(cube_id).recorded_at == clock()
        assert said() == ["Ana drinks tea"]
    assert [(one.version, one.state, one.hidden) for one in memory.history(cube_id)] == [
        (1, State.ARCHIVED, True), (2, State.EXPIRED, True), (3, State.ACTIVE, False),
    ]  # fmt: skip
    events = memory.lifecycle.events(cube_id)
    assert [(one.version, one.was, one.became, one.reason, one.by) for one in events] == [
        (1, "active", "archived", "not now", "owner"), (2, "archived", "active", "restored", "owner"),
        (2, "active", "expired", "not now", "owner"), (3, "expired", "active", "restored", "owner"),
    ]  # fmt: skip
    assert sound(memory) == ()


def test_frozen_means_that_nothing_changes(memory, said):
    cube_id = memory.add("Ana drinks tea")[0]
    memory.lifecycle.freeze(cube_id, "evidence")
    tries = (
        lambda: memory.correct(cube_id, "Ana drinks coffee"), lambda: memory.forget(cube_id),
        lambda: memory.lifecycle.archive(cube_id), lambda: memory.lifecycle.expire(cube_id),
        lambda: memory.lifecycle.govern(cube_id, priority=2), lambda: memory.lifecycle.freeze(cube_id),
    )  # fmt: skip
    for attempt in tries:
        with pytest.raises(FrozenError, match="Unfreeze it first"):
            attempt()
    assert said() == ["Ana drinks tea"]
    memory.lifecycle.unfreeze(cube_id)
    assert memory.correct(cube_id, "Ana drinks coffee").version == 2
    assert sound(memory) == ()


def test_there_is_nothing_to_undo(memory):
    cube_id = memory.add("Ana drinks tea")[0]
    with pytest.raises(TransitionError, match="not frozen"):
        memory.lifecycle.unfreeze(cube_id)
    with pytest.raises(TransitionError, match="not put away"):
        memory.lifecycle.restore(cube_id)
    memory.correct(cube_id, "Ana drinks coffee")
    with pytest.raises(UnknownCubeError):
        memory.lifecycle.archive(cube_id, space="elsewhere")


def test_what_was_made_from_a_memory_is_put_away_with_it(memory):
    cube_id = memory.add("Ana lives in Rome.", user="ana")[0]
    assert memory.pair().pairs
    pairs = memory.recall("Where does Ana live?", kinds=[Kind.QA])
    assert pairs
    memory.lifecycle.archive(cube_id)
    assert memory.recall("Where does Ana live?", kinds=[Kind.QA]) == []
    assert [one.reason for one in memory.lifecycle.events(pairs[0].cube.id)] == [f"its source {cube_id} was put away"]
    assert sound(memory) == ()


def test_what_a_model_read_comes_back_with_the_memory(opened, read):
    memory = opened(embedder="none")
    cube_id = memory.add("Ana drinks tea")[0]
    read(memory._store, cube_id, Extraction(entities=("Ana",), statements=("Ana likes green tea.",)))
    memory.lifecycle.archive(cube_id)
    memory.lifecycle.restore(cube_id)
    assert memory._store.derived.reading(cube_id)[1].statements == ("Ana likes green tea.",)
    assert sound(memory) == ()


def test_states_are_listed_by_pages(memory):
    ids = memory.add([f"tea {number}" for number in range(5)])
    for cube_id in ids:
        memory.lifecycle.archive(cube_id)
    memory.lifecycle.restore(ids[0])
    first = memory.lifecycle.in_state("archived", limit=3)
    rest = memory.lifecycle.in_state("archived", limit=3, after=first.cursor)
    assert [cube.id for cube in [*first, *rest]] == ids[1:]
    assert rest.cursor is None
    with pytest.raises(InputError, match="no state 'gone'"):
        memory.lifecycle.in_state("gone")
    with pytest.raises(UnknownSpaceError):
        memory.lifecycle.in_state("archived", space="nowhere")


def test_several_changes_happen_together_or_not_at_all(memory, said):
    one, other = memory.add(["Ana drinks tea", "Bob drinks tea"])
    memory.lifecycle.freeze(other)
    with pytest.raises(FrozenError):
        memory._store.lifecycle.change([Transition(cube_id, State.ARCHIVED, "both") for cube_id in (one, other)])
    assert said() == ["Ana drinks tea", "Bob drinks tea"]
    assert memory.lifecycle.events(one) == []


# ── policies ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_policy_is_given_when_written_changed_and_cleared(memory, clock):
    said = {"content": "Ana drinks tea", "sensitivity": "diet", "trigger": {"words": ["tea time"]}}
    cube_id = memory.add(said, trust="tool", access=["bea", "ana"], ttl=timedelta(days=2), priority=1, half_life=7)[0]
    policy = memory.get(cube_id).policy
    assert (policy.trust, policy.sensitivity, policy.access) == (Trust.TOOL, "diet", ("ana", "bea"))
    assert (policy.expires_at, policy.priority, policy.half_life) == (clock() + timedelta(days=2), 1.0, 7.0)
    assert policy.trigger == Trigger(words=("tea time",))
    memory.correct(cube_id, "Ana drinks coffee")
    changed = memory.lifecycle.govern(cube_id, sensitivity="taste", ttl=60, clear=["access", "trigger"])
    assert changed == memory.get(cube_id)
    for version in memory.history(cube_id):  # a label that only hid the newest version would hide nothing
        assert (version.policy.sensitivity, version.policy.access, version.policy.trust) == ("taste", (), Trust.TOOL)
        assert version.policy.expires_at == clock() + timedelta(seconds=60)
    assert sound(memory) == ()


@pytest.mark.parametrize(
    "given",
    [
        {"trust": "nobody"}, {"sensitivity": ""}, {"access": [1]}, {"ttl": 0}, {"ttl": "soon"}, {"priority": "high"},
        {"half_life": -1}, {"trigger": {}}, {"trigger": {"words": "tea"}}, {"trigger": {"often": True}}, {"priority": float("nan")},
        {"valid_from": "2024-05-02", "valid_to": "2024-05-01"}, {"valid_to": "later"},
    ],
)  # fmt: skip
def test_a_wrong_policy_writes_nothing(memory, given):
    with pytest.raises(InputError):
        memory.add(["Ana drinks tea", {"content": "Bob drinks tea", **given}])
    assert memory.stats().versions == 0


def test_govern_refuses_what_it_does_not_know(memory):
    cube_id = memory.add("Ana drinks tea")[0]
    with pytest.raises(InputError, match="clear names 'text'"):
        memory.lifecycle.govern(cube_id, clear=["text"])
    with pytest.raises(InputError, match="Trust is one of"):
        memory.lifecycle.govern(cube_id, trust="deity")


@pytest.mark.parametrize(
    ("told", "tier"),
    [
        ({}, "user"),
        ({"role": "assistant"}, "model"),
        ({"role": "tool"}, "tool"),
        ({"source": "https://a.example"}, "web"),
    ],
)
def test_trust_follows_from_role_and_source(memory, told, tier):
    assert memory.get(memory.add({"content": "Ana drinks tea", **told})[0]).trust == tier


# ── the two times ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_given_interval_holds_as_it_was_told(memory, said):
    memory.add({"content": "Ana lived in Rome", "valid_from": "2019-01-01", "valid_to": "2021-06-01"})
    assert said(as_of="2018-12-31") == []
    assert said(as_of="2020-01-01") == ["Ana lived in Rome"]
    assert said(as_of="2021-06-01") == []
    assert said() == ["Ana lived in Rome"]
    assert said(current=True) == []


def test_known_at_asks_what_the_store_knew(memory, said, clock):
    cube_id = memory.add({"content": "Ana lives in Rome", "valid_from": "2019-01-01"})[0]
    first = clock()
    second = clock.turn(days=10)
    memory.correct(cube_id, "Ana lives in Oslo", time="2021-01-01")
    assert said(known_at=first - timedelta(seconds=1)) == []
    assert said(known_at=first) == ["Ana lives in Rome"]
    assert said(known_at=second) == ["Ana lives in Oslo"]
    assert said(known_at=first, as_of="2025-01-01") == ["Ana lives in Rome"]  # it did not know better then
    assert said(known_at=second, as_of="2025-01-01") == ["Ana lives in Oslo"]
    assert said(known_at=second, as_of="2020-01-01") == ["Ana lives in Rome"]
    assert said(known_at=first, as_of="2018-01-01") == []
    with pytest.raises(InputError, match="current goes with"):
        memory.recall("tea", known_at=first, current=True)


def test_diff_says_what_came_changed_and_went(memory, clock):
    start = clock()
    kept, corrected, archived, erased = memory.add(["Ana", "Bob", "Carl", "Dora"])
    before = clock.turn(days=1)
    clock.turn(days=1)
    memory.correct(corrected, "Bert")
    memory.lifecycle.archive(archived)
    new = memory.add("Emil")[0]
    memory.forget(erased)
    found = memory.diff(before)
    assert [cube.id for cube in found.added] == [new]
    assert [(one.before.text, one.after.text) for one in found.changed] == [("Bob", "Bert")]
    assert [cube.id for cube in found.removed] == [archived]
    assert kept not in str(found)
    assert memory.diff(start, start) == type(found)((), (), (), ())
    with pytest.raises(InputError, match="in their order"):
        memory.diff(clock(), start)
    with pytest.raises(UnknownSpaceError):
        memory.diff(start, space="nowhere")


def test_a_forgotten_memory_is_named_by_diff():
    with Memory(":memory:", PLAIN) as memory:  # the journal goes by the machine's clock
        cube_id = memory.add("Dora")[0]
        before = datetime.now(UTC)
        memory.forget(cube_id)
        assert memory.diff(before).forgotten == (cube_id,)


def test_a_rollback_is_a_new_state(memory, said, clock):
    corrected, archived, frozen, expiring = memory.add(
        ["Ana in Rome", "Bob drinks tea", "Carl drinks tea", "Dora drinks tea"]
    )
    memory.lifecycle.govern(expiring, ttl=3600)
    memory.pair()
    then = clock.turn(minutes=30)
    clock.turn(days=1)
    memory.correct(corrected, "Ana in Oslo")
    memory.correct(corrected, "Ana in Bergen")
    memory.lifecycle.archive(archived)
    memory.correct(frozen, "Carl drinks wine, not tea")
    memory.lifecycle.freeze(frozen)
    memory.add("Emil drinks tea")
    memory.lifecycle.care()
    clock.turn(days=1)
    late = said()
    done = memory.rollback(then)
    assert (done.reverted, done.restored, len(done.put_away)) == ((corrected,), (archived,), 1)
    assert done.skipped == {frozen: "it is frozen", expiring: "its time was up"}
    assert said() == ["Ana in Rome", "Bob drinks tea", "Carl drinks wine, not tea"]
    assert [cube.text for cube in memory.history(corrected)] == [
        "Ana in Rome",
        "Ana in Oslo",
        "Ana in Bergen",
        "Ana in Rome",
    ]
    assert said(known_at=clock() - timedelta(hours=1)) == late
    assert sound(memory) == ()
    clock.turn(days=1)
    assert memory.rollback(clock() - timedelta(hours=1)).reverted == ()


def test_a_rollback_needs_a_time_that_is_over(memory, clock):
    memory.add("Ana")
    for to in (clock() + timedelta(seconds=1), None, "yesterday"):
        with pytest.raises(InputError):
            memory.rollback(to)
    with pytest.raises(UnknownSpaceError):
        memory.rollback(clock(), space="nowhere")


# ── care ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_over_is_not_recalled_even_before_anybody_cared(memory, said, clock):
    cube_id = memory.add("The code for tea is 4711", ttl=3600)[0]
    clock.turn(minutes=59)
    assert said() == ["The code for tea is 4711"]
    clock.turn(minutes=1)
    assert said() == []
    assert said(as_of=clock() - timedelta(minutes=30)) == []
    assert memory.get(cube_id).state is State.ACTIVE
    assert memory.lifecycle.care().expired == (cube_id,)
    assert memory.get(cube_id).state is State.EXPIRED
    assert memory.lifecycle.care().expired == ()
    memory.lifecycle.restore(cube_id)
    assert memory.get(cube_id).policy.expires_at is None
    assert said() == ["The code for tea is 4711"]
    assert sound(memory) == ()


def test_what_nobody_uses_fades(memory, said, clock):
    used, unused, other = (
        memory.add(f"{name} drinks tea", half_life=half)[0] for name, half in (("Ana", 1), ("Bob", 1), ("Carl", None))
    )
    clock.turn(days=3)
    memory.recall("Ana", k=1, route="cheap")
    assert memory.lifecycle.usage(used) == (1, clock())
    clock.turn(days=2)
    assert memory.lifecycle.care().faded == (unused,)
    assert said() == ["Ana drinks tea", "Carl drinks tea"]
    assert memory.lifecycle.usage(other) == (0, None)
    memory.lifecycle.restore(unused)
    assert "Bob drinks tea" in said()


@given(st.floats(0.01, 1e4), st.floats(0, 100), st.floats(0, 1e4), st.integers(0, 10**6))
def test_strength_falls_with_time_and_rises_with_use(half_life, priority, days, times):
    now = strength(half_life, priority, days, times)
    assert strength(half_life, priority, days + half_life, times) == pytest.approx(now / 2)
    assert strength(half_life, priority, days, times + 1) >= now
    assert strength(half_life, priority + 1, days, times) >= now
    assert strength(half_life, 0, 0, 0) == 1


def test_uses_are_written_down_when_the_memory_closes(tmp_path, clock):
    with Memory(tmp_path / "m.rem", PLAIN, clock=clock) as memory:
        cube_id = memory.add("Ana drinks tea", half_life=1)[0]
        memory.recall("tea", route="cheap")
    with Memory(tmp_path / "m.rem", PLAIN, clock=clock) as memory:
        assert memory.lifecycle.usage(cube_id) == (1, clock())


def test_care_comes_by_itself(tmp_path, clock):
    settings = Settings(embedder="none", care_every=0.01)
    with Memory(tmp_path / "m.rem", settings, clock=clock) as memory:
        cube_id = memory.add("Ana drinks tea", ttl=3600)[0]
        clock.turn(days=1)
        gone = threading.Event()
        for _ in range(500):
            if memory.get(cube_id).state is State.EXPIRED:
                gone.set()
                break
            gone.wait(0.01)
        assert gone.is_set()


def test_a_memory_without_anything_due_has_no_thread(tmp_path):
    with Memory(tmp_path / "m.rem", Settings(embedder="none")) as memory:
        memory.add("Ana drinks tea")
        assert "remanence-care" not in {thread.name for thread in threading.enumerate()}


# ── export and import ────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_old_export_does_not_open_what_was_frozen_then_and_ended_since(memory, tmp_path):
    cube_id = memory.add("Ana drinks tea")[0]
    memory.lifecycle.freeze(cube_id)
    memory.export(tmp_path / "old.jsonl")
    memory.lifecycle.unfreeze(cube_id)
    memory.correct(cube_id, "Ana drinks coffee")
    memory.import_(tmp_path / "old.jsonl")
    assert [cube.state for cube in memory.history(cube_id)] == [State.ARCHIVED, State.ACTIVE]
    assert sound(memory) == ()


def test_states_and_policies_travel(memory, clock, tmp_path):
    ids = memory.add([f"tea {number}" for number in range(5)], sensitivity="diet", ttl=1e6)
    memory.lifecycle.archive(ids[0])
    memory.lifecycle.expire(ids[1])
    memory.lifecycle.freeze(ids[2])
    memory.correct(ids[3], "coffee 3")
    memory.lifecycle.archive(ids[3])
    clock.turn(days=1)
    memory.lifecycle.restore(ids[3])
    memory.export(tmp_path / "one.jsonl")
    with closing(Memory(":memory:", PLAIN, clock=clock)) as fresh:
        assert fresh.import_(tmp_path / "one.jsonl") == 7
        assert fresh.import_(tmp_path / "one.jsonl") == 0
        assert sound(fresh) == ()
        assert [fresh.history(cube_id) for cube_id in ids] == [memory.history(cube_id) for cube_id in ids]
        fresh.export(tmp_path / "two.jsonl")
        assert fresh.lifecycle.restore(ids[0]).text == "tea 0"
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
