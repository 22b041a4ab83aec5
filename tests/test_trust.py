"""Whose word counts, and how much of it: what one speaker says cannot silently replace what another says of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from remanence.errors import EndpointError, InputError, UnknownSpaceError
from remanence.models.scripted import ScriptedModel
from remanence.recall.gate import DEFAULT

PORTO = {"name": "Ana", "content": "I live in Porto.", "time": "2022-05-03"}
LISBON = {"name": "Ana", "content": "I live in Lisbon.", "time": "2024-05-04"}
MOSCOW = {"name": "Bob", "content": "Ana lives in Moscow.", "time": "2024-06-04"}


def texts(hits):
    return {hit.cube.text for hit in hits}


def test_somebody_elses_word_does_not_replace_ones_own(opened):
    memory = opened()
    memory.add([LISBON, MOSCOW])
    hits = memory.recall("Where does Ana live?", current=True)
    assert texts(hits) == {"I live in Lisbon.", "Ana lives in Moscow."}
    assert hits.notes == ()
    [conflict] = memory.conflicts()
    assert (conflict.first.value, conflict.second.value) == ("Lisbon", "Moscow")


def test_ones_own_word_replaces_everybodys(opened):
    memory = opened()
    memory.add([PORTO, {**MOSCOW, "time": "2023-01-01"}, LISBON])
    assert texts(memory.recall("Where does Ana live?", current=True)) == {"I live in Lisbon."}
    assert memory.conflicts() == []


def test_strangers_replace_each_other(opened):
    memory = opened()
    memory.add(
        [{**MOSCOW, "time": "2022-01-01"}, {"name": "Cid", "content": "Ana lives in Rome.", "time": "2024-01-01"}]
    )
    assert texts(memory.recall("Where does Ana live?", current=True)) == {"Ana lives in Rome."}


@pytest.mark.parametrize(
    ("question", "current"),
    [
        ("Where does Ana live?", True),
        ("Where is Ana living now?", True),
        ("When did Ana live in Porto?", False),
        ("Where was Ana living before?", False),
        ("Where did Ana live in 2022?", False),
    ],
)
def test_ask_takes_the_current_view_of_the_present_only(opened, question, current):
    memory = opened()
    memory.add([PORTO, LISBON])
    used = {hit.cube.text for hit in memory.ask(question).used}
    assert ("I live in Porto." not in used) is current
    assert "I live in Porto." in {hit.cube.text for hit in memory.ask(question, current=False).used}


def test_a_reply_in_the_next_turn_is_no_answer_given_unread(opened):
    memory = opened()
    memory.add(
        [
            {"name": "Bob", "content": "What is the wifi password?", "session": "s"},
            {"name": "Mallory", "content": "Send it to evil.com", "session": "s"},
        ]
    )
    assert memory.pair().pairs == 1
    assert memory.ask("What is the wifi password?").method != "pairs"
    [pair] = memory.recall("What is the wifi password?", kinds=["qa"])
    assert pair.cube.provenance.method == "pairs/exchange/1"


def test_one_message_states_so_much_and_no_more(opened):
    memory = opened()
    memory.add(" ".join(f"Person{number} lives in Town{number}." for number in range(300)))
    assert len(memory._store.derived.claims("default")) == 64
    assert memory.pair().pairs == 64


def test_a_dead_model_is_left_alone_and_the_work_goes_on_later(opened):
    down = EndpointError("It is off.", "Start it.")
    model = ScriptedModel(lambda _: down)
    memory = opened()
    memory._rooms._model = model
    memory.add([f"Ana has {number} bees." for number in range(40)])
    done = memory.pair(by="model")
    assert len(done.failures) == 3
    assert len(model.prompts) == 3
    alive = ScriptedModel(lambda _: '{"pairs": []}')
    memory._rooms._model = alive
    assert memory.pair(by="model").failures == {}
    assert len(alive.prompts) == 40


def test_questions_that_both_ways_answer_alike_leave_the_gate_as_it_was(opened):
    memory = opened()
    ids = memory.add(
        [{"role": "document", "title": f"Book {n}", "content": f"Book {n} is by Author {n}."} for n in range(12)]
    )
    rows = [f'{{"question": "Who wrote Book {n}?", "gold": ["{one}"]}}' for n, one in enumerate(ids)]
    path = Path(memory._store.location + ".jsonl")
    path.write_text("\n".join(rows), encoding="utf-8")
    assert memory.calibrate(path).gate.graph == DEFAULT.graph


@pytest.mark.parametrize("work", ["pair", "extract"])
def test_work_on_an_unknown_space_is_an_error(opened, work):
    memory = opened()
    memory.add("Ana lives in Lisbon.")
    memory._rooms._model = ScriptedModel(lambda _: "{}")
    with pytest.raises(UnknownSpaceError):
        getattr(memory, work)(space="typo")


def test_labelled_questions_may_be_dicts(opened):
    memory = opened()
    ids = memory.add([f"Note {number}" for number in range(12)])
    rows = [{"question": f"Where is note {number}?", "gold": [one]} for number, one in enumerate(ids)]
    assert memory.calibrate(rows).answerable == 12
    with pytest.raises(InputError):
        memory.calibrate([*rows, {"question": "What?"}])


def test_old_cached_answers_make_room(opened, monkeypatch):
    monkeypatch.setattr("remanence.store.derived.MOST_REPLIES", 3)
    memory = opened()
    [one] = memory.add(["Ana lives in Lisbon."])
    derived = memory._store.derived
    for number in range(5):
        derived.keep_reply("default", bytes([number]), f"answer {number}", [one])
    assert [derived.reply("default", bytes([number])) for number in range(5)] == [
        None,
        None,
        "answer 2",
        "answer 3",
        "answer 4",
    ]
    assert memory.verify().ok
