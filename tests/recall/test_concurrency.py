"""Questions while others write: no error, no half-seen state, and in the end the same as if nobody had hurried."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from remanence import Memory
from remanence.language.tokens import hashes
from remanence.recall import postings
from remanence.recall.dense import dense
from remanence.recall.lexical import bm25f
from remanence.recall.profile import DEFAULT
from remanence.settings import Settings

QUESTIONS = ["Where is the red car of Ann?", "When did the bus come?", "What is the latest in Rome?", "a fox"]


def _message(writer, number):
    return {
        "content": f"The red car {number} of {writer} met a {['bus', 'fox', 'dog'][number % 3]}.",
        "name": ["Ann", "Bob"][number % 2], "session": f"s{(writer + number) % 5}", "time": f"2024-05-{1 + number % 28:02d}",
        "source": f"{writer} {number}",
    } | ({"title": "Rome"} if number % 7 == 0 else {})  # fmt: skip


@pytest.mark.parametrize("location", ["file", "memory"])
def test_four_write_and_four_ask(tmp_path, monkeypatch, agree, location):
    monkeypatch.setattr(postings, "_TAIL", 50)  # merge often
    where = ":memory:" if location == "memory" else tmp_path / "m.rem"
    with Memory(where, Settings(embedder="hashing", durability="normal")) as memory:
        memory.add(_message(9, 0))
        done, erasing = threading.Event(), threading.Lock()

        def write(writer):
            for number in range(0, 30, 3):
                ids = memory.add([_message(writer, number + more) for more in range(3)])
                if number % 2:
                    memory.correct(ids[0], f"Corrected {number} of {writer}: a blue fox.", time="2024-06-01")
                if number == 9:
                    with erasing:  # two at once may take each other's unscrubbed rows for their own
                        memory.forget(ids[1])

        def ask(reader):
            asked = 0
            while not done.is_set() or not asked:
                hits = memory.recall(QUESTIONS[(asked + reader) % 4], k=1000)
                assert hits, "there is always one"
                assert len({hit.cube.id for hit in hits}) == len(hits), "no memory in two versions"
                asked += 1
            return asked

        with ThreadPoolExecutor(8) as pool:
            readers = [pool.submit(ask, reader) for reader in range(4)]
            writers = [pool.submit(write, writer) for writer in range(4)]
            errors = [future.exception() for future in writers]
            done.set()
            assert errors == [None] * 4
            assert all(future.result() for future in readers)
        assert len(memory.list(limit=1000)) == 4 * 29 + 1
        for question in QUESTIONS:
            agree(memory, question, k=1000)


CHANGES = {
    "a turn is added": lambda memory, ids: memory.add([f"fox and dog {number}" for number in range(3)], session="s"),
    "one is corrected": lambda memory, ids: memory.correct(ids[1], "a corrected fox and a dog"),
    "the last is corrected": lambda memory, ids: memory.correct(ids[-1], "a corrected fox and a dog"),
    "one is forgotten": lambda memory, ids: memory.forget(ids[1]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_question_goes_on_with_the_view_it_began_with(memory, view, change):
    ids = memory.add(["red fox", "blue dog", "a fox again"], session="s")
    before, everything = view(memory), np.ones(3, bool)
    vector = memory._encoding.question("fox and dog")

    def searched():
        words = bm25f(before, hashes("fox and dog"), everything, DEFAULT).tolist()
        return words, dense(before, vector, everything, DEFAULT).tolist(), before.alive.tolist(), before.until.tolist()

    expected = searched()
    CHANGES[change](memory, ids)
    assert len(view(memory)) >= 3
    found = searched()
    assert found[0] == expected[0]
    assert found[2:] == expected[2:]
    if change != "one is forgotten":  # its vector goes at once, everywhere
        assert found[1] == expected[1]


def test_readers_that_come_together_load_a_space_once(memory, monkeypatch):
    memory.add([f"a red car {number}" for number in range(20)])
    loads, snapshot, _ = [], memory._store.snapshot, memory._recall
    monkeypatch.setattr(memory._store, "snapshot", lambda space: loads.append(space) or snapshot(space))
    barrier = threading.Barrier(6)

    def ask(_):
        barrier.wait()
        return len(memory.recall("red car", k=100))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(6))) == [20] * 6
    assert loads == ["default"]
