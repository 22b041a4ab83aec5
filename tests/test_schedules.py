"""`memory.schedule`: what is decided of a real store, and what the jobs do to it."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from remanence import Memory, Settings
from remanence.cubes import Form
from remanence.errors import AccessDeniedError, InputError, NoModelError, NotFoundError, StaleError, UnknownSpaceError
from remanence.scheduling.cost import Machine, Terms
from remanence.store.jobs import JobState

pytest.importorskip("torch", reason="needs the extra `local`")

TERMS = Terms(exposure=1e9)
"""Training is out of reach: a cache, or text."""
LINES = [f"The kettle of room {number} is kept on the shelf by the window of the red house." for number in range(6)]


@pytest.fixture(scope="session")
def lm():
    import torch

    from remanence.models.local import nano, tokenizing
    from remanence.models.local.causal import CausalLM

    torch.set_num_threads(1)
    spec = nano.NanoSpec(depth=2, width=32, heads=2, kv_heads=1, vocab=300, context=2048)
    return CausalLM.of(nano.new(spec), tokenizing.byte_tokenizer())


@pytest.fixture(scope="session")
def dear(lm, tmp_path_factory):
    """A machine on which computing is dear, and everything else as it was measured here. Puts it into a store."""
    from remanence.models.local.measure import measure

    machine = Machine(**measure(lm, tmp_path_factory.mktemp("measured"), rounds=1, longest=256))
    slow = replace(machine, prefill=1e-3, quadratic=0.0, opening=1e-4, load=1e-10, write=1e-9, hash=1e-9)
    return lambda memory: memory._store.set_note(f"cost/{slow.model}/{slow.name}", json.dumps(slow.to_json()))


@pytest.fixture
def memory(tmp_path, clock):
    with Memory(tmp_path / "m.rem", Settings(embedder="hashing", payload_quota=50_000_000), clock=clock) as memory:
        yield memory


@pytest.fixture
def slow(memory, dear):
    """Ids of a session of a store that takes the machine for slow."""
    dear(memory)
    return memory.add([{"content": line, "session": "s"} for line in LINES[:3]])


def read(memory, ids, times=1):
    for _ in range(times):
        memory._store.payloads.read(ids)


def forms(memory):
    return [(one.form, one.provenance.derived_from) for one in memory.forms.list()]


def run(memory, lm, **options):
    return memory.schedule.run(model=lm, terms=TERMS, **options)


def test_what_nobody_reads_stays_text(memory, lm, slow):
    done = run(memory, lm)
    assert (done.moves, done.jobs, done.finished) == ((), (), True)
    assert done.explained.plan.choices == ()


def test_what_is_read_together_gets_one_cache_and_loses_it_when_it_is_not_read_any_more(memory, lm, slow, clock):
    read(memory, slow, 20)
    looked = memory.schedule.run(model=lm, terms=TERMS, dry_run=True)
    assert len(looked.moves) == 1
    assert looked.moves[0].startswith("derive activation")
    assert forms(memory) == []
    assert memory.schedule.jobs() == []
    done = run(memory, lm)
    assert forms(memory) == [(Form.ACTIVATION, tuple(slow))]
    [job] = done.jobs
    assert (job.state, job.ids, job.what) == (JobState.DONE, tuple(slow), "derive activation")
    assert job.artefact == memory.forms.list()[0].id
    assert done.finished
    assert run(memory, lm).moves == ()
    clock.turn(days=200)
    stays = run(memory, lm)  # the room is free, and nothing corrects it: there is no reason to leave
    assert stays.moves == ()
    gone = memory.schedule.run(model=lm, terms=replace(TERMS, rent=1e-6))
    assert [job.what for job in gone.jobs] == ["drop"]
    assert forms(memory) == []
    assert list(memory._store.payloads.folder.iterdir()) == []
    assert memory._store.lifecycle.events(job.artefact)[-1].by == "schedule"
    assert [memory.get(one).text for one in slow] == LINES[:3]


def test_the_explanation_holds_every_number(memory, lm, slow, clock):
    read(memory, slow, 9)
    clock.turn(days=2)
    found = memory.schedule.explain(model=lm)
    [choice] = found.plan.choices
    assert choice.work.ids == tuple(slow)
    assert choice.work.reads == pytest.approx(9 / 3 * 0.5 ** (2 / 7))
    assert choice.work.age == pytest.approx(2)
    data = json.loads(json.dumps(found.to_json()))
    [said] = data["choices"]
    assert said["reads_per_day"] == pytest.approx(choice.work.reads)
    assert set(said["forms"]) == {"text", "activation", "parametric"}
    assert said["forms"]["text"]["parts"]["read"] == pytest.approx(choice.work.reads * 1e-3 * choice.work.tokens)
    assert data["quota"] == 50_000_000
    assert data["machine"]["prefill"] == 1e-3


def test_memories_of_one_session_that_are_read_apart_are_not_put_together(memory, lm, slow, clock):
    read(memory, slow[:2], 20)
    clock.turn(seconds=1)
    read(memory, slow[2:], 20)
    run(memory, lm)
    assert {ids for _, ids in forms(memory)} == {tuple(slow[:2]), tuple(slow[2:])}


def test_a_correction_makes_it_stale_and_the_next_run_derives_it_again(memory, lm, slow, clock):
    read(memory, slow, 50)
    [first] = run(memory, lm).jobs
    memory.correct(slow[1], "The kettle of room 1 is gone.")
    assert forms(memory) == []
    [second] = run(memory, lm).jobs
    assert (second.state, second.ids) == (JobState.DONE, tuple(slow))
    assert second.artefact != first.artefact
    assert memory.forms.list()[0].payload.details["sources"] == [[slow[0], 1], [slow[1], 2], [slow[2], 1]]


def test_what_was_moved_rests_and_what_went_stale_does_not(memory, lm, slow, clock):
    read(memory, slow, 50)
    [job] = run(memory, lm).jobs
    rented = replace(TERMS, rent=1e-6)
    [choice] = memory.schedule.run(model=lm, terms=rented).explained.plan.choices
    assert "rests" in choice.held
    memory.correct(slow[1], "The kettle of room 1 is gone.")
    [again] = run(memory, lm).jobs
    assert (again.what, again.ids) == (job.what, job.ids)
    clock.turn(days=2)
    [gone] = memory.schedule.run(model=lm, terms=rented).jobs
    assert gone.what == "drop"
    read(memory, slow, 500)
    assert run(memory, lm).moves == ()  # rests as text


def test_a_promotion_is_undone_and_left_alone(memory, lm, slow, clock):
    read(memory, slow, 50)
    [job] = run(memory, lm).jobs
    undone = memory.schedule.undo(job.n, model=lm)
    assert undone.state is JobState.UNDONE
    assert forms(memory) == []
    clock.turn(days=20)
    read(memory, slow, 500)
    assert run(memory, lm).moves == ()
    clock.turn(days=20)
    read(memory, slow, 500)
    assert len(run(memory, lm).moves) == 1
    with pytest.raises(InputError, match="undone"):
        memory.schedule.undo(job.n, model=lm)


def test_a_demotion_is_undone_by_deriving_again(memory, lm, slow, clock):
    read(memory, slow, 50)
    run(memory, lm)
    clock.turn(days=100)
    [job] = memory.schedule.run(model=lm, terms=replace(TERMS, rent=1e-6)).jobs
    assert forms(memory) == []
    undone = memory.schedule.undo(job.n, model=lm)
    [made] = memory.forms.list()
    assert (undone.state, undone.artefact) == (JobState.UNDONE, made.id)
    assert made.provenance.derived_from == tuple(slow)
    clock.turn(days=40)
    [again] = memory.schedule.run(model=lm, terms=replace(TERMS, rent=1e-6)).jobs  # it is still the scheduler's own
    assert (again.what, again.artefact) == ("drop", made.id)


def test_a_demotion_of_what_changed_since_cannot_be_undone(memory, lm, slow, clock):
    read(memory, slow, 50)
    run(memory, lm)
    clock.turn(days=100)
    [job] = memory.schedule.run(model=lm, terms=replace(TERMS, rent=1e-6)).jobs
    memory.lifecycle.archive(slow[0])
    with pytest.raises(StaleError):
        memory.schedule.undo(job.n, model=lm)
    assert memory.schedule.jobs()[0].state is JobState.DONE
    assert forms(memory) == []


def test_what_was_derived_by_hand_is_left_as_it_is(memory, lm, slow, clock):
    made = memory.forms.derive(slow[:1], lm)
    clock.turn(days=400)
    found = memory.schedule.run(model=lm, terms=replace(TERMS, rent=1e-6))
    assert found.moves == ()
    assert "by hand" in found.explained.plan.choices[0].held
    assert [one.id for one in memory.forms.list()] == [made.id]


def test_the_quota_of_the_store_holds(tmp_path, lm, clock, dear):
    with Memory(tmp_path / "q.rem", Settings(embedder="hashing", payload_quota=400_000), clock=clock) as memory:
        dear(memory)
        for number in range(8):
            ids = memory.add([{"content": f"{line} {number}", "session": str(number)} for line in LINES])
            read(memory, ids, 10 + number)
            clock.turn(seconds=1)
        done = run(memory, lm)
        assert done.failed == ()
        assert 0 < len(done.jobs) < 8
        assert memory.forms.usage().size <= 400_000
        sessions = {memory.get(one.provenance.derived_from[0]).scope.session for one in memory.forms.list()}
        assert sessions == {str(number) for number in range(8 - len(done.jobs), 8)}  # those that are read most
        assert any(one.crowded for one in done.explained.plan.choices)


def test_a_job_that_fails_leaves_nothing_and_says_why(memory, lm, slow, clock):
    read(memory, slow, 50)
    folder = memory._store.payloads.folder
    folder.write_text("a file in its place")
    done = run(memory, lm)
    [job] = done.failed
    assert "StoreUnwritableError" in job.body["error"]
    assert forms(memory) == []
    folder.unlink()
    assert run(memory, lm).moves == ()
    clock.turn(days=2.5)  # rests for twice as long
    read(memory, slow, 50)
    assert [one.state for one in run(memory, lm).jobs] == [JobState.DONE]


def test_stopping_and_going_on(memory, lm, slow, clock):
    more = memory.add([{"content": line, "session": "t"} for line in LINES[3:]])
    read(memory, slow, 50)
    clock.turn(seconds=1)
    read(memory, more, 50)
    asked = iter([False, True])
    seen = []
    done = run(memory, lm, stop=lambda: next(asked, True), progress=lambda *of: seen.append(of))
    assert len(done.jobs) == 1
    assert not done.finished
    assert seen == [(1, 2)]
    assert [one.state for one in memory.schedule.jobs()] == [JobState.WAITING, JobState.DONE]
    rest = run(memory, lm)
    assert len(rest.jobs) == 1
    assert rest.finished
    assert len(forms(memory)) == 2


def test_an_interruption_leaves_a_job_that_waits(memory, lm, slow, monkeypatch):
    from remanence.activation import derive

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    read(memory, slow, 50)
    with monkeypatch.context() as patch:
        patch.setattr(derive, "derive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(memory, lm)
    [job] = memory.schedule.jobs()
    assert job.state is JobState.WAITING
    assert list(memory._store.payloads.folder.iterdir()) == []
    assert [one.n for one in run(memory, lm).jobs] == [job.n]


def test_what_a_process_made_before_it_ended_is_found(memory, lm, slow, clock):
    """The artefact is stored, and the job not yet marked: taken up again, it makes no second one."""
    read(memory, slow, 50)
    memory._store.jobs.add("default", "derive activation", slow, clock())
    job = memory._store.jobs.next(clock())
    made = memory.forms.derive(slow, lm)
    memory._store.jobs.put_back(job.n, clock())
    run(memory, lm)
    assert [one.id for one in memory.forms.list()] == [made.id]
    assert memory.schedule.jobs()[0].artefact == made.id


def test_forgetting_takes_jobs_along(memory, lm, slow):
    read(memory, slow, 50)
    [job] = run(memory, lm).jobs
    memory.forget(slow[1])
    assert memory.schedule.jobs() == []
    assert forms(memory) == []
    with pytest.raises(NotFoundError):
        memory.schedule.undo(job.n, model=lm)


def test_the_measures_are_kept_and_taken_again_on_demand(memory, lm):
    first = memory.schedule.measure(model=lm, again=False)
    assert memory.schedule.measure(model=lm, again=False) == first
    assert first.prefill + first.quadratic > 0
    assert first.bytes_per_token == lm.bytes_per_token
    note = f"cost/{first.model}/{first.name}"
    memory._store.set_note(note, "nonsense")
    assert memory.schedule.measure(model=lm, again=False).model == first.model
    assert json.loads(memory._store.note(note))["name"] == first.name


def test_care_moves_what_was_read_and_looks_again_only_after_reads(memory, lm, slow, monkeypatch, clock):
    from remanence import schedules

    looks = []
    real = schedules.choose
    monkeypatch.setattr(schedules, "choose", lambda *of, **more: looks.append(1) or real(*of, **more))
    schedules.due(memory._rooms)
    assert looks == []
    read(memory, slow, 50)
    schedules.due(memory._rooms)  # no model is set: nothing
    assert looks == []
    monkeypatch.setattr(memory._rooms, "local", lambda _: lm)
    schedules.due(memory._rooms)
    schedules.due(memory._rooms)
    assert looks == [1]
    assert Form.ACTIVATION in {form for form, _ in forms(memory)}
    clock.turn(days=1)
    schedules.due(memory._rooms)
    assert looks == [1, 1]


def test_a_reader_decides_nothing_and_a_writer_only_of_what_he_may_see(memory, lm, slow, clock):
    secret = memory.add({"content": LINES[4], "sensitivity": "health"}, user="ana")
    read(memory, slow, 50)
    clock.turn(seconds=1)
    read(memory, secret, 50)
    memory.access.grant("w", "writer", space="default")
    memory.access.grant("r", "reader", space="default")
    reader, writer = memory.acting_as("r"), memory.acting_as("w")
    for call in (reader.schedule.explain, reader.schedule.run, reader.schedule.jobs):
        with pytest.raises(AccessDeniedError):
            call()
    done = writer.schedule.run(model=lm, terms=TERMS)
    assert {one.ids for one in done.jobs} == {tuple(slow)}
    everything = run(memory, lm)
    assert {one.ids for one in everything.jobs} == {tuple(secret)}
    assert {one.ids for one in writer.schedule.jobs()} == {tuple(slow)}
    hidden = everything.jobs[0].n
    with pytest.raises(NotFoundError):
        writer.schedule.undo(hidden, model=lm)
    assert memory.schedule.jobs()[0].state is JobState.DONE
    with pytest.raises(AccessDeniedError):
        writer.schedule.measure(model=lm)


def test_bad_input_is_named(memory, slow):
    with pytest.raises(NoModelError):
        memory.schedule.explain()
    with pytest.raises(UnknownSpaceError):
        memory.schedule.run("nowhere")
    with pytest.raises(InputError, match="state"):
        memory.schedule.jobs(state="lost")
    with pytest.raises(InputError):
        memory.schedule.jobs(limit=0)
    with pytest.raises(InputError):
        memory.schedule.undo("1")
    with pytest.raises(NotFoundError):
        memory.schedule.undo(77)


def test_a_cache_that_is_not_used_counts_by_its_uses(memory, lm, slow, clock):
    read(memory, slow, 50)
    [job] = run(memory, lm).jobs
    clock.turn(hours=12)
    read(memory, slow, 50)
    [young] = memory.schedule.explain(model=lm).plan.choices
    assert young.work.reads > 10  # what its memories are read
    clock.turn(days=1)
    [idle] = memory.schedule.explain(model=lm).plan.choices
    assert idle.work.reads == 0  # prompts began with something else
    memory._store.payloads.used({job.artefact: 0.1})
    [used] = memory.schedule.explain(model=lm).plan.choices
    assert used.work.reads == pytest.approx(1 / 2.5)


def test_where_caches_are_composed_all_that_was_read_together_is_derived_apart(tmp_path, lm, clock, dear):
    with Memory(tmp_path / "c.rem", Settings(embedder="hashing", composition="repair"), clock=clock) as memory:
        dear(memory)
        ids = memory.add(LINES[:3])
        read(memory, ids[:2], 50)
        clock.turn(seconds=1)
        read(memory, ids, 10)
        done = run(memory, lm)
        assert [one.ids for one in done.jobs] == [tuple(ids)]
        assert memory.forms.list()[0].payload.details["layout"] == "isolated"


def test_what_expires_or_is_disputed_is_seen(memory, lm, clock, slow):
    ends = memory.add({"content": LINES[0], "ttl": 5 * 86_400.0})
    says = memory.add(
        [{"content": "Ana lives in Rome.", "name": "Ben"}, {"content": "Ana lives in Oslo.", "name": "Eva"}]
    )
    for ids in (ends, says[:1], says[1:]):
        read(memory, ids)
        clock.turn(seconds=1)
    works = {one.work.ids[0]: one.work for one in memory.schedule.explain(model=lm).plan.choices}
    assert works[ends[0]].left == pytest.approx(5, abs=1e-3)
    assert not works[ends[0]].clear
    assert works[says[0]].clear
    assert {works[one].disputed for one in says} == {bool(memory.conflicts())}


def test_one_read_counts_as_reads_usually_do(memory, lm, slow, clock):
    for number in range(8):
        read(memory, memory.add(f"The lamp of room {number} is green."), 6)
        clock.turn(seconds=1)
    clock.turn(days=2)
    new = memory.add("The lamp of room 9 is red.")
    read(memory, new)
    works = {one.work.ids: one.work for one in memory.schedule.explain(model=lm, terms=TERMS).plan.choices}
    assert works[tuple(new)].reads == pytest.approx(1 + 6 / 3, rel=1e-3)


def test_rounds_of_care_move_what_is_read_where_the_settings_say_so(tmp_path, lm, dear):
    settings = Settings(embedder="hashing", care_every=0.02, schedule="on")
    with Memory(tmp_path / "r.rem", settings) as memory:
        memory._rooms.local = lambda _=None: lm
        dear(memory)
        ids = memory.add(LINES[:3])
        read(memory, ids, 20)
        deadline = time.monotonic() + 60
        while not memory.forms.list() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [one.provenance.derived_from for one in memory.forms.list()] == [tuple(ids)]
    with Memory(tmp_path / "r.rem", settings) as memory:  # closing let the round end
        assert [one.state for one in memory.schedule.jobs()] == [JobState.DONE]
