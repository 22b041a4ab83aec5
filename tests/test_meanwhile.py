"""Answers, pairs and readings where something else happens meanwhile, or filters are given."""

from __future__ import annotations

import json

import pytest

from remanence import Memory, Settings, pairing
from remanence.cubes import Extraction, Fact
from remanence.errors import StoreBusyError
from remanence.models.cached_answers import CachedModel
from remanence.models.language import Prompt, Turn
from remanence.models.scripted import ScriptedModel
from remanence.write.openie import CachedExtractor, Passage

HASHING = Settings(embedder="hashing")
SILENT = json.dumps({"sentences": [], "unanswerable": True})


def test_no_pair_outlives_a_memory_that_was_corrected_or_forgotten_while_it_was_made():
    memory = Memory(":memory:", HASHING)
    moved, gone = memory.add(
        [{"name": "Ana", "content": "I live in Porto."}, {"name": "Ana", "content": "I work at Acme."}]
    )
    meanwhile = [lambda: memory.correct(moved, "I live in Lisbon."), lambda: memory.forget(gone)]

    def embed(texts):
        while meanwhile:
            meanwhile.pop(0)()
        return memory._encoding.documents(texts)

    made = pairing.pair(memory._store, embed, None)
    assert [cube.text for cube in memory.list()] == ["I live in Lisbon.", "Q: Where does Ana live?\nA: Lisbon"]
    assert made.pairs == 1
    assert memory.ask("Where does Ana work?").method != "pairs"


@pytest.mark.parametrize("where", [{"as_of": "2023-01-01"}, {"until": "2023-01-01"}, {"meta": {"tag": 1}}])
def test_a_turn_outside_the_filters_is_not_read_along(where):
    model = ScriptedModel(lambda prompt: SILENT)
    memory = Memory(":memory:", HASHING, model=model)
    turns = [("I like the red kiln.", "2022-01-01", 1), ("The divorce came later.", "2025-01-01", 2)]
    memory.add([{"name": "Ana", "session": "s", "content": text, "time": time, "meta": {"tag": tag}} for text, time, tag in turns])  # fmt: skip
    memory.ask("Which kiln does Ana like?", **where)
    assert not any("divorce" in turn.content for prompt in model.prompts for turn in prompt.turns)
    memory.ask("Which kiln does Ana like?")
    assert any("divorce" in turn.content for turn in model.prompts[-1].turns)


def _reading(place: str) -> Passage:
    text = f"Ana lives in {place} by the water."
    return Passage(text, "Ana", Extraction(("Ana", place), (Fact("Ana", "lives in", place),), (), None))


def _recognising(script):
    memory = Memory(":memory:", Settings(embedder="hashing", recognition="model"), model=script)
    [there] = memory.add({"role": "document", "title": "Ana", "content": "Ana lives in Porto by the water."})
    memory.extract(CachedExtractor([_reading("Porto")]))
    return memory, there


def test_facts_of_an_old_version_are_recognised_by_what_it_said_itself():
    model = ScriptedModel(lambda prompt: '{"keep": [1]}')
    memory, there = _recognising(model)
    memory.correct(there, "Ana lives in Lisbon by the water.", time="2090-01-01")
    memory.extract(CachedExtractor([_reading("Lisbon")]))
    memory.recall("Where does Ana live?", as_of="2089-01-01")
    assert "Porto" in model.prompts[-1].turns[-1].content
    assert "Lisbon" not in model.prompts[-1].turns[-1].content


class _Careless:
    """A model of somebody else, whose answers nobody checked."""

    name, context = "careless", 8000

    def __init__(self, data):
        self.data = data

    def generate(self, prompt):
        from remanence.models.language import Completion

        return Completion("", self.data)

    def stream(self, prompt):
        yield ""

    def count(self, text):
        return len(text)


@pytest.mark.parametrize("data", [None, [1], {}, {"keep": 1}, {"keep": [[1]]}])
def test_a_broken_recognition_falls_back_to_the_score_with_a_note(data):
    memory, _ = _recognising(_Careless(data))
    hits = memory.recall("Where does Ana live?")
    assert "Porto" in hits[0].cube.text
    assert any("recognised by their score" in note for note in hits.notes)


def test_an_outdated_memory_is_left_out_however_many_stand_before_the_current_one():
    memory = Memory(":memory:", HASHING)
    memory.add([{"name": "Ana", "content": "I live in Rome.", "time": f"2{year:03d}-01-01"} for year in range(40)])
    memory.add({"name": "Ana", "content": "I live in Oslo.", "time": "2500-01-01"})  # fmt: skip
    found = memory.recall("Is it Rome?", current=True, k=1)
    assert ["Oslo" in hit.cube.text for hit in found] == [True]
    assert len(found.notes) == 1
    assert memory.recall("Oslo", current=True, k=1).notes == ()


def test_an_answer_that_cannot_be_kept_is_given_all_the_same():
    class Busy:
        def reply(self, space, key):
            return None

        def keep_reply(self, space, key, answer, sources):
            raise StoreBusyError("The store is locked.", "Try again.")

    model = CachedModel(ScriptedModel(["Red."]), Busy())
    assert model.generate(Prompt(turns=(Turn("user", "Which colour?"),))).text == "Red."


def test_every_repetition_of_a_value_that_was_replaced_is_outdated():
    memory = Memory(":memory:", HASHING)
    said = ["I live in Rome.", "I live in Rome, Italy.", "I live in Rome.", "I live in Oslo."]
    memory.add([{"name": "Ana", "content": text, "time": f"202{year}-01-01"} for year, text in enumerate(said)])
    found = memory.recall("Where does Ana live? Rome?", current=True)
    assert [hit.cube.text for hit in found] == ["I live in Oslo."]
    memory.add({"name": "Ana", "content": "I live in Rome.", "time": "2025-01-01"})
    again = memory.recall("Where does Ana live? Rome?", current=True)
    assert {hit.cube.text for hit in again} == {"I live in Rome.", "I live in Rome, Italy."}


def test_what_contradicts_an_answer_is_not_named_from_beyond_the_filters():
    memory = Memory(":memory:", HASHING)
    said = {"I was born in Porto.": "2022-01-01", "I was born in Rome.": "2025-01-01"}
    memory.add([{"name": "Ana", "content": text, "time": time} for text, time in said.items()])
    assert any("'Rome'" in note for note in memory.ask("Was Ana born in Porto?").notes)
    for where in ({"as_of": "2023-01-01"}, {"until": "2023-01-01"}):
        found = memory.ask("Was Ana born in Porto?", **where)
        assert found.text == "I was born in Porto."
        assert not any("Rome" in note for note in found.notes)
