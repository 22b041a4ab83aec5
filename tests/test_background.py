"""The thread that reads what was written: never in the way of a write, never the end of one."""

from __future__ import annotations

import json
import threading

import pytest

from remanence import Memory, Settings
from remanence.background import Background, Rounds
from remanence.errors import EndpointError, InputError, NoModelError, StoreBusyError
from remanence.models.scripted import ScriptedModel


def nothing(prompt):
    """Reads nothing out of anything."""
    wanted = prompt.schema["properties"]
    return json.dumps({name: "" if name == "about" else [] for name in wanted})


@pytest.fixture
def speaking(tmp_path):
    memories = []

    def make(script, background="extract", name="m.rem", **options):
        model = ScriptedModel(script, **options)
        settings = Settings(embedder="hashing", background=background)
        memories.append(Memory(tmp_path / name, settings, model=model))
        return memories[-1], model

    yield make
    for memory in memories:
        memory.close()


def waiting(memory):
    from remanence.write.extract import ModelExtractor

    return memory._store.derived.waiting(ModelExtractor(memory._rooms.model).name, None)


def test_what_is_added_and_corrected_is_read_by_itself(speaking):
    memory, model = speaking(nothing)
    ids = memory.add(["Ana lives in Lisbon.", "Bob keeps bees."])
    assert memory._rooms.background.settled(10)
    assert waiting(memory) == 0
    assert len(model.prompts) == 6
    memory.correct(ids[0], "Ana lives in Porto.")
    assert memory._rooms.background.settled(10)
    assert len(model.prompts) == 9


def test_a_slow_model_holds_up_no_write_and_loses_none(speaking):
    gate = threading.Event()
    memory, _ = speaking(nothing, gate=gate)
    ids = memory.add([f"Ana has {number} bees." for number in range(20)])
    assert len(memory.list()) == len(ids) == 20  # durable, found, and nothing was answered yet
    assert memory.recall("How many bees?")
    assert waiting(memory) == 20
    gate.set()
    assert memory._rooms.background.settled(20)
    assert waiting(memory) == 0


def test_what_is_left_at_the_end_is_read_by_the_next_one(speaking):
    down = EndpointError("It is off.", "Start it.")
    memory, _ = speaking(lambda _: down)
    memory.add("Ana lives in Lisbon.")
    assert memory._rooms.background.settled(10)
    assert waiting(memory) == 1
    memory.close()
    memory, _ = speaking(nothing)
    memory.add("Bob keeps bees.")
    assert memory._rooms.background.settled(10)
    assert waiting(memory) == 0


def test_closing_does_not_wait_for_a_model_that_hangs(speaking):
    gate = threading.Event()
    memory, _ = speaking(nothing, gate=gate)
    memory.add("Ana lives in Lisbon.")
    memory._rooms.background.stop(0.01)
    memory._store.close()
    gate.set()


def test_pairs_are_made_too(speaking):
    pair = {"question": "Where does Ana live?", "answer": "Lisbon", "quote": "Ana lives in Lisbon."}
    memory, _ = speaking(lambda _: json.dumps({"pairs": [pair]}), background="pair")
    memory.add("Ana lives in Lisbon.")
    assert memory._rooms.background.settled(10)
    assert memory.ask("Where does Ana live?").method == "pairs"


def test_it_needs_a_model_and_a_known_word(tmp_path):
    with pytest.raises(NoModelError):
        Memory(tmp_path / "m.rem", Settings(embedder="hashing", background="extract"))
    with pytest.raises(InputError):
        Settings(background="sometimes")  # pyright: ignore[reportArgumentType]


def test_without_it_nothing_runs(opened):
    memory = opened()
    memory.add("Ana lives in Lisbon.")
    assert memory._rooms.background._thread is None


def test_what_failed_is_tried_again_after_a_pause_and_a_wake_does_not_wait_for_it():
    runs, enough = [], threading.Event()

    def work(_):
        runs.append(1)
        if len(runs) == 3:
            enough.set()
        return len(runs) < 3

    background = Background(work, pause=0.001)
    background.wake()
    assert enough.wait(10)
    background.stop()
    assert len(runs) == 3

    slow, again = Background(lambda _: True, pause=1000), threading.Event()
    slow.wake()
    assert slow.settled(10)
    slow._work = lambda _: again.set() or False
    slow.wake()
    assert again.wait(10)
    slow.stop()


def test_stopping_twice_or_before_the_first_work_is_harmless():
    background = Background(lambda _: False)
    background.stop()
    background.wake()
    background.stop()
    assert background._thread is None


def test_rounds_go_on_after_an_error_and_end_with_stop():
    done, stopped = [], threading.Event()

    def work():
        done.append(len(done))
        if len(done) == 1:
            raise StoreBusyError("busy", "wait")
        if len(done) == 3:
            stopped.set()

    rounds = Rounds(work, 0.001)
    rounds.begin()
    assert stopped.wait(5)
    rounds.stop()
    after = len(done)
    rounds.begin()
    assert (len(done), rounds.going) == (after, True)


def test_rounds_that_are_not_wanted_never_begin():
    rounds = Rounds(lambda: pytest.fail("it began"), 0)
    rounds.begin()
    assert rounds.going
    rounds.stop()
