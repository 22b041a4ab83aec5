from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remanence.errors import InputError, NotFoundError, StoreClosedError
from remanence.store.jobs import Jobs, JobState
from remanence.store.sqlite import SQLiteStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ONE, TWO = "id of one in a", "id of two in a"

TAKES = """
import sys
from datetime import datetime, UTC
from contextlib import closing
from remanence.settings import Settings
from remanence.store.sqlite import SQLiteStore
from remanence.store.jobs import Jobs

if __name__ == "__main__":
    with closing(SQLiteStore(sys.argv[1], Settings(embedder="none"))) as store:
        job = Jobs(store.connections).next(datetime.now(UTC))
        print(job.n, flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def store(tmp_path, plain, draft):
    with closing(SQLiteStore(tmp_path / "j.rem", plain)) as store:
        store.append([draft("one"), draft("two"), draft("three", "b")])
        yield store


@pytest.fixture
def jobs(store):
    return Jobs(store.connections)


def test_a_job_goes_from_waiting_to_done(jobs):
    job = jobs.add("a", "derive activation", [ONE, TWO], NOW, body={"why": "often read"})
    assert (job.ids, job.state, job.at, job.artefact) == ((ONE, TWO), JobState.WAITING, NOW, None)
    taken = jobs.next(LATER)
    assert (taken.n, taken.state, taken.at) == (job.n, JobState.RUNNING, LATER)
    assert jobs.next(LATER) is None
    jobs.finish(job.n, LATER, artefact=TWO, body={"seconds": 2.0})
    done = jobs.get(job.n)
    assert (done.state, done.ids, done.artefact) == (JobState.DONE, (ONE, TWO), TWO)
    assert done.body == {"why": "often read", "seconds": 2.0}
    assert json.loads(json.dumps(done.to_json()))["artefact"] == TWO
    assert jobs.list("a") == [done]
    assert jobs.list("b") == jobs.list("a", JobState.FAILED) == []


def test_the_oldest_of_a_space_comes_first(jobs):
    first, second = (jobs.add("a", "derive activation", [one], NOW) for one in (TWO, ONE))
    other = jobs.add("b", "drop", ["id of three in b"], NOW, artefact="id of three in b")
    assert jobs.next(NOW, "b").n == other.n
    assert [jobs.next(NOW).n, jobs.next(NOW, "a").n, jobs.next(NOW)] == [first.n, second.n, None]


def test_the_same_job_does_not_wait_twice(jobs):
    first = jobs.add("a", "derive activation", [ONE], NOW)
    assert jobs.add("a", "derive activation", [ONE], LATER) is None
    assert jobs.add("a", "derive parametric", [ONE], LATER) is not None
    jobs.next(NOW)
    assert jobs.add("a", "derive activation", [ONE], LATER) is None
    jobs.fail(first.n, NOW, "the disk was full")
    assert jobs.get(first.n).body == {"error": "the disk was full"}
    assert jobs.add("a", "derive activation", [ONE], LATER) is not None


def test_nothing_waits_for_what_is_not_there(jobs):
    assert jobs.add("a", "derive activation", [ONE, "nobody"], NOW) is None
    assert jobs.add("a", "drop", [ONE], NOW, artefact="nobody") is None
    assert jobs.list("a") == []


def test_what_was_stopped_waits_again(jobs):
    job = jobs.add("a", "derive activation", [ONE], NOW)
    jobs.next(NOW)
    jobs.put_back(job.n, LATER)
    assert jobs.get(job.n).state is JobState.WAITING
    assert jobs.next(LATER).n == job.n


def test_undone_once(jobs):
    job = jobs.add("a", "derive activation", [ONE], NOW)
    jobs.next(NOW)
    with pytest.raises(InputError, match="running"):
        jobs.undo(job.n, NOW)
    jobs.finish(job.n, NOW, artefact=TWO)
    undone = jobs.undo(job.n, LATER)
    assert (undone.state, undone.at, undone.artefact, undone.body) == (JobState.UNDONE, LATER, TWO, {"was": "done"})
    with pytest.raises(InputError, match="undone"):
        jobs.undo(job.n, LATER)
    waiting = jobs.add("a", "derive activation", [TWO], NOW)
    assert jobs.undo(waiting.n, NOW).state is JobState.UNDONE
    assert jobs.next(NOW) is None
    with pytest.raises(NotFoundError, match="no job 99"):
        jobs.undo(99, NOW)


def test_only_a_running_job_ends(jobs):
    job = jobs.add("a", "derive activation", [ONE], NOW)
    for end in (
        lambda: jobs.finish(job.n, LATER),
        lambda: jobs.fail(job.n, LATER, "x"),
        lambda: jobs.put_back(job.n, LATER),
    ):
        end()
        assert jobs.get(job.n) == job
    for end in (lambda: jobs.finish(77, NOW), lambda: jobs.fail(77, NOW, "x"), lambda: jobs.put_back(77, NOW)):
        end()  # forgotten meanwhile


def test_what_a_living_process_is_at_is_left_to_it_and_taken_up_when_it_ends(jobs, store, tmp_path, child):
    job = jobs.add("a", "derive activation", [ONE], NOW)
    script = tmp_path / "takes.py"
    script.write_text(TAKES)
    with child(script, [tmp_path / "j.rem"]) as process:
        assert process.stdout.readline() == f"{job.n}\n"
        assert jobs.get(job.n).state is JobState.RUNNING
        assert jobs.next(LATER) is None
        process.kill()
        process.wait()
        assert jobs.next(LATER).n == job.n
    assert jobs.next(LATER) is None  # it is ours now


@pytest.mark.parametrize("by", [
    None, [], [os.getpid(), "", "another process that had our number"], [os.getppid(), "1", "x"], [2**22 + 7, "", "x"], ["1"],
])  # fmt: skip
def test_a_process_with_the_same_number_is_not_the_same(jobs, store, by):
    job = jobs.add("a", "derive activation", [ONE], NOW)
    jobs.next(NOW)
    with store.connections.write() as connection:
        connection.execute("UPDATE jobs SET body = ?", (json.dumps({"by": by}),))
    assert jobs.next(LATER).n == job.n


def test_a_job_of_a_memory_that_was_closed_meanwhile_is_taken_up_in_the_same_process(plain, draft, tmp_path):
    with (
        closing(SQLiteStore(tmp_path / "c.rem", plain)) as store,
        closing(SQLiteStore(tmp_path / "c.rem", plain)) as other,
    ):
        store.append([draft("one")])
        job = store.jobs.add("a", "derive activation", [ONE], NOW)
        store.jobs.next(NOW)
        assert other.jobs.next(NOW) is None  # another thread of ours is at it
        store.close()
        with pytest.raises(StoreClosedError):
            store.jobs.finish(job.n, NOW)
        assert other.jobs.next(LATER).n == job.n
        other.jobs.let_go(job.n)
        assert other.jobs.next(LATER).n == job.n


@pytest.mark.parametrize("gone", [ONE, TWO])
def test_it_goes_with_a_memory_or_the_artefact_that_it_names(jobs, store, tmp_path, gone):
    job = jobs.add("a", "derive activation", [ONE], NOW)
    other = jobs.add("b", "derive activation", ["id of three in b"], NOW)
    jobs.next(NOW)
    jobs.finish(job.n, NOW, artefact=TWO)
    store.erase([gone])
    with pytest.raises(NotFoundError):
        jobs.get(job.n)
    jobs.finish(job.n, NOW)
    assert jobs.list("a") == []
    assert jobs.get(other.n) == other
    with closing(sqlite3.connect(tmp_path / "j.rem")) as connection:
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (1,)


steps = st.lists(
    st.tuples(st.sampled_from(["add", "next", "finish", "fail", "put_back", "undo"]), st.integers(0, 3)), max_size=30
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_whatever_happens_each_job_is_in_one_state_of_its_life(plain, draft, steps):
    """Against a dictionary: what may follow what."""
    with closing(SQLiteStore(":memory:", plain)) as store:
        ids = [f"id of {n} in a" for n in range(4)]
        store.append([draft(str(n)) for n in range(4)])
        jobs, known = Jobs(store.connections), dict[int, str]()
        ends = {"finish": "done", "fail": "failed", "put_back": "waiting"}
        for step, n in steps:
            number = n + 1
            if step == "add":
                added = jobs.add("a", "derive activation", [ids[n]], NOW)
                busy = any(
                    jobs.get(one).ids == (ids[n],) for one, state in known.items() if state in {"waiting", "running"}
                )
                assert (added is None) == busy
                if added is not None:
                    known[added.n] = "waiting"
            elif step == "next":
                taken = jobs.next(NOW)
                waiting = [one for one in sorted(known) if known[one] == "waiting"]
                assert (taken and taken.n) == (waiting[0] if waiting else None)
                if taken is not None:
                    known[taken.n] = "running"
            elif step == "undo":
                if known.get(number) in {"done", "waiting"}:
                    jobs.undo(number, NOW)
                    known[number] = "undone"
                else:
                    with pytest.raises(InputError if number in known else NotFoundError):
                        jobs.undo(number, NOW)
            else:
                more = ("x",) if step == "fail" else ()
                getattr(jobs, step)(number, NOW, *more)
                if known.get(number) == "running":
                    known[number] = ends[step]
        assert {job.n: job.state.value for job in jobs.list("a")} == known
