"""Several processes on one file, several threads on one memory."""

from __future__ import annotations

import json
import random
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from remanence import Memory
from remanence.settings import Settings

SETTINGS = Settings(embedder="hashing", busy_timeout=60, durability="normal")
WORKERS, ROUNDS = 4, 25


# ── one worker: a process, or a thread ───────────────────────────────────────────────────────────────────────────────


def work(memory: Memory, worker: int, *, forgets: bool) -> dict[str, list[str]]:
    """Write and read in a space of one's own and in a shared one, checking what comes back. Returns the texts by space."""
    chance, own = random.Random(worker), f"space {worker}"
    kept: dict[str, dict[str, str]] = {own: {}, "shared": {}}
    for number in range(ROUNDS):
        space = own if number % 2 else "shared"
        text = f"Worker {worker} wrote down number {number} on a yellow card, says worker {worker} at {number}."
        [cube_id] = memory.add(text, space=space)
        kept[space][cube_id] = text
        assert memory.get(cube_id).text == text
        assert cube_id in {cube.id for cube in memory.list(space=space, limit=1000)}
        hits = memory.recall(text, space=space, k=200)
        assert cube_id in {hit.cube.id for hit in hits}, "its own write is not visible"
        assert all(hit.cube.scope.space == space for hit in hits)
        if number % 5 == 4:
            chosen = chance.choice(list(kept[space]))
            kept[space][chosen] = memory.correct(
                chosen, f"Worker {worker} changed {number} to a green card {worker}.{number}."
            ).text
            found = {hit.cube.id: hit.cube.text for hit in memory.recall(kept[space][chosen], space=space, k=200)}
            assert kept[space].items() <= found.items()
        if forgets and number % 6 == 5:
            chosen = chance.choice(list(kept[own]))
            memory.forget(chosen)
            del kept[own][chosen]
            assert chosen not in {hit.cube.id for hit in memory.recall(text, space=own, k=200)}
    return {space: sorted(texts.values()) for space, texts in kept.items()}


def compare(memory: Memory, results: list[dict[str, list[str]]]) -> None:
    checked = memory.verify()
    assert checked.ok, checked.problems
    for worker, result in enumerate(results):
        own = f"space {worker}"
        assert sorted(cube.text for cube in memory.list(space=own, limit=1000)) == result[own]
    shared = sorted(text for result in results for text in result["shared"])
    assert sorted(cube.text for cube in memory.list(space="shared", limit=1000)) == shared
    assert len(memory.recall("card", space="shared", k=1000)) == len(shared)


# ── processes ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def together(child) -> Callable[..., list[Any]]:
    """Run one process per argument list. All wait until the last one is ready; each answers with one line."""

    def run(*arguments: list[object]) -> list[Any]:
        processes = [child(__file__, some) for some in arguments]
        try:
            assert [process.stdout.readline() for process in processes] == ["ready\n"] * len(processes)
            for process in processes:
                process.stdin.write("go\n")
                process.stdin.flush()
            answers = [process.communicate(timeout=120) for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.communicate()
        for process, (_, errors) in zip(processes, answers, strict=True):
            assert process.returncode == 0, errors
        return [json.loads(answer) for answer, _ in answers]

    return run


WITH_AND_WITHOUT = pytest.mark.parametrize("forgets", [False, True], ids=["write", "write-and-forget"])


@WITH_AND_WITHOUT
def test_four_processes(together, opened, tmp_path, forgets):
    with opened() as memory:
        memory.add("The first one.")
    mode = "write-and-forget" if forgets else "write"
    results = together(*([mode, tmp_path / "m.rem", worker] for worker in range(WORKERS)))
    compare(opened(), results)


def test_four_processes_create_the_same_file(together, opened, tmp_path):
    results = together(*(["create", tmp_path / "new.rem", worker] for worker in range(WORKERS)))
    memory = opened("new.rem")
    assert {cube.id for cube in memory.list()} == {one for ids in results for one in ids}
    assert len(memory.list()) == WORKERS
    assert memory.verify().ok


def test_what_another_process_writes_is_seen_at_the_next_question(together, opened, tmp_path):
    memory = opened()
    memory.add("The first one.")
    assert len(memory.recall("something", k=100)) == 1
    [ids] = together(["create", tmp_path / "m.rem", 7])
    assert {hit.cube.id for hit in memory.recall("Process 7 was here.", k=1)} == set(ids)


def look_at_the_bytes(memory: Memory, _path: Path) -> None:
    memory.forget(memory.add("This goes away again, and its traces are looked for."))


def open_it_again(_memory: Memory, path: Path) -> None:
    Memory(path, SETTINGS).close()


@pytest.mark.parametrize("act", [look_at_the_bytes, open_it_again], ids=["forget", "second-handle"])
def test_a_visitor_does_not_take_the_log_away(together, opened, tmp_path, act):
    """POSIX drops all of a process's locks on a file when it closes any handle of it. A process that comes by, reads and
    leaves then takes itself for the last one and deletes the log that this one goes on writing to."""
    memory = opened()
    memory.add(["The first one.", "The second one."])
    act(memory, tmp_path / "m.rem")
    assert together(["count", tmp_path / "m.rem", 0]) == [2]
    memory.add("Written after the visit, acknowledged, and to be found by everybody.")
    assert (tmp_path / "m.rem-wal").exists()
    assert together(["count", tmp_path / "m.rem", 0]) == [3]


# ── threads ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def hasty():
    """Threads change places as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@WITH_AND_WITHOUT
@pytest.mark.parametrize("location", ["m.rem", ":memory:"], ids=["file", "memory"])
def test_four_threads_on_one_memory(together, tmp_path, location, forgets):
    """In a process of its own, so that what kills a process fails one test only."""
    if location == ":memory:" and forgets:
        pytest.skip("covered by the case without forgetting: there is no file to look at")
    [problems] = together(
        [
            "threads-that-forget" if forgets else "threads",
            tmp_path / location if location != ":memory:" else location,
            0,
        ]
    )
    assert problems == []


def four_threads(memory: Memory, *, forgets: bool) -> list[str]:
    sys.setswitchinterval(1e-5)
    start = threading.Barrier(WORKERS)

    def run(worker: int) -> dict[str, list[str]]:
        start.wait(10)
        return work(memory, worker, forgets=forgets)

    with ThreadPoolExecutor(WORKERS) as threads:
        compare(memory, list(threads.map(run, range(WORKERS))))
    return list(memory.verify().problems)


def test_threads_add_the_same_text_and_correct_the_same_memory(opened, hasty):
    """One memory for the text; one version for each correction, none lost."""
    memory = opened(durability="normal")
    start = threading.Barrier(WORKERS)

    def run(worker: int) -> str:
        start.wait(10)
        [cube_id] = memory.add({"content": "The same for all.", "time": "2024-05-08T13:56:00"})
        for number in range(10):
            memory.correct(cube_id, f"worker {worker}, correction {number}")
        return cube_id

    with ThreadPoolExecutor(WORKERS) as threads:
        ids = set(threads.map(run, range(WORKERS)))
    [cube_id] = ids
    history = memory.history(cube_id)
    assert [cube.version for cube in history] == list(range(1, 1 + len(history)))
    assert len({cube.text for cube in history}) == len(history) == 1 + 10 * WORKERS
    assert memory.verify().ok


def test_a_view_is_never_older_than_the_head_it_stands_for(opened, monkeypatch):
    """Two threads ask after a write. While one takes it in, the other must not get the view from before."""
    from remanence.recall.index import SpaceIndex

    memory = opened()
    memory.add("The first card.")
    assert len(memory.recall("card")) == 1
    memory.add("The second card.")
    look, between, go_on = SpaceIndex._look, threading.Event(), threading.Event()

    def slowly(self: SpaceIndex) -> Any:
        if self._head == memory._store.head():  # it claims to be up to date, and the view is not there yet
            between.set()
            go_on.wait(5)
        return look(self)

    monkeypatch.setattr(SpaceIndex, "_look", slowly)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(memory.recall, "card")
        between.wait(0.5)
        second = threads.submit(memory.recall, "card")
        try:
            assert len(second.result(5)) == 2
        finally:
            go_on.set()
        assert len(first.result(5)) == 2


if __name__ == "__main__":
    mode, location, number = sys.argv[1:]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    with Memory(location, SETTINGS) as opened_memory:
        if mode.startswith("threads"):
            answer: object = four_threads(opened_memory, forgets=mode == "threads-that-forget")
        elif mode == "create":
            answer = opened_memory.add(f"Process {number} was here.")
        elif mode == "count":
            answer = opened_memory.stats().cubes
        else:
            answer = work(opened_memory, int(number), forgets=mode == "write-and-forget")
    sys.stdout.write(json.dumps(answer) + "\n")
