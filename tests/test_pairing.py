"""Question–answer pairs as memories: made by rules or by a model, or read from a file."""

from __future__ import annotations

import json

import pytest

from remanence import Memory
from remanence.cubes import Ids, Kind
from remanence.errors import BudgetError, EndpointError, InputError, NoModelError, UnknownCubeError, UnreadableFileError
from remanence.language.qa import parse_qa
from remanence.models.language import Prompt
from remanence.models.scripted import ScriptedModel
from remanence.pairing import pair
from remanence.settings import Settings


def pairs(memory, space="default"):
    return {
        parse_qa(cube.text)
        for cube in memory.list(space=space, limit=1000)
        if cube.kind is Kind.QA and not cube.superseded_at
    }


def asked(memory, question, **where):
    return {parse_qa(hit.cube.text) for hit in memory.recall(question, kinds=["qa"], route="cheap", **where)}


def proposing(*broken):
    """A model that asks about the one text it is shown, and fails on texts that hold one of some words."""
    known = {
        "Lisbon": ("Where does Ana live?", "Lisbon", "Ana lives in Lisbon."),
        "boiler": ("Who fixed the boiler?", "Ben", "Ben fixed the boiler."),
        "kites": ("What did Ana paint?", "kites", "Ana painted kites."),
        "Porto": ("Where did Ana move?", "Porto", "Ana went to Porto."),
    }

    def say(prompt: Prompt):
        text = prompt.turns[-1].content
        if any(word in text for word in broken):
            return EndpointError("The model is down.", "Try again.")
        found = [
            dict(zip(("question", "answer", "quote"), one, strict=True)) for word, one in known.items() if word in text
        ]
        return json.dumps({"pairs": found})

    return ScriptedModel(say)


@pytest.fixture
def with_model(tmp_path):
    """Open one file with some model."""
    memories = []

    def open_with(model):
        memories.append(Memory(tmp_path / "m.rem", Settings(embedder="hashing"), model=model))
        return memories[-1]

    yield open_with
    for memory in memories:
        memory.close()


TEXTS = ["Ana lives in Lisbon.", "Ben fixed the boiler.", "Ana painted kites."]

# ── by rules ──


def test_pairs_point_to_what_they_come_from_and_are_a_key_to_it(opened):
    memory = opened()
    (parent,) = memory.add(
        {"content": "Ana lives in Lisbon.", "name": "Ben", "time": "2024-03-01"}, user="u", source="diary"
    )
    done = memory.pair()
    assert (done.cubes, done.pairs, done.failures, done.cost.calls) == (1, 1, {}, 0)
    (hit,) = memory.recall("Where does Ana live?", kinds=["qa"])
    cube, made = hit.cube, memory.get(parent)
    assert parse_qa(cube.text) == ("Where does Ana live?", "Lisbon")
    assert cube.provenance.derived_from == (parent,)
    assert (cube.provenance.source, cube.provenance.author) == ("diary", "Ben")
    assert (cube.scope, cube.valid_from) == (made.scope, made.valid_from)
    assert cube.provenance.method == "pairs/rules/1"
    assert [one.cube.id for one in memory.recall("Where does Ana live?")] == [parent]  # found only when asked for


def test_pairs_are_found_by_their_question_alone(opened):
    memory = opened(embedder="none")
    memory.add("Ana lives in Lisbon.")
    memory.pair()
    assert asked(memory, "Lisbon") == set()
    assert asked(memory, "live") == {("Where does Ana live?", "Lisbon")}


def test_a_second_call_makes_none_and_new_memories_are_looked_at_alone(opened):
    memory = opened()
    memory.add(["Ana lives in Lisbon.", "It rains."])
    assert memory.pair().pairs == 1
    again = memory.pair()
    assert (again.cubes, again.pairs) == (0, 0)
    memory.add("Ben works at Acme.")
    new = memory.pair()
    assert (new.cubes, new.pairs) == (1, 1)
    assert pairs(memory) == {("Where does Ana live?", "Lisbon"), ("Where does Ben work?", "Acme")}


def test_a_space_at_a_time_and_then_all_makes_each_once(opened):
    memory = opened()
    memory.add("Ana lives in Lisbon.", space="a")
    memory.add("Ana lives in Porto.", space="b")
    assert memory.pair(space="a").pairs == 1
    assert pairs(memory, "b") == set()
    assert memory.pair().pairs == 1
    assert (pairs(memory, "a"), pairs(memory, "b")) == (
        {("Where does Ana live?", "Lisbon")},
        {("Where does Ana live?", "Porto")},
    )


def test_what_is_asked_and_told_in_one_session_is_a_pair_also_across_calls(opened):
    whole, parts = opened("whole.rem"), opened("parts.rem")
    turns = [
        {"content": "Where did you buy the lamp?", "name": "Ana", "session": "s"},
        {"content": "What is the colour of your car?", "name": "Cem", "session": "other"},
        {"content": "At the market in Porto.", "name": "Ben", "session": "s"},
    ]
    whole.add(turns)
    whole.pair()
    for turn in turns:
        parts.add(turn)
        parts.pair()
    assert [one[0] for one in pairs(whole)] == ["Where did you buy the lamp?"]
    assert pairs(whole) == pairs(parts)


def test_what_is_told_answers_the_question_as_it_was_corrected(opened):
    memory = opened()
    turns = [("Ana", "It rains."), ("Ana", "Where did you by the lamp?"), ("Ben", "At the market in Porto.")]
    ids = memory.add([{"content": text, "name": name, "session": "s"} for name, text in turns])
    memory.correct(ids[1], "Where did you buy the lamp?")
    memory.pair()
    assert pairs(memory) == {("Where did you buy the lamp?", "At the market in Porto")}


def test_a_pair_of_two_turns_is_seen_by_those_who_may_see_both_and_goes_with_either(opened, image, tmp_path):
    memory = opened()
    asked_, told = memory.add(
        [
            {"content": "When did your zoster begin?", "name": "Ben", "session": "s", "sensitivity": "health"},
            {"content": "It began in March 2019.", "name": "Ana", "session": "s", "access": ["rita", "carl"]},
        ]
    )
    memory.pair()
    [made] = [cube for cube in memory.list() if cube.kind is Kind.QA]
    assert made.provenance.derived_from == (told, asked_)
    assert (made.policy.sensitivity, made.policy.access) == ("health", ("carl", "rita"))
    memory.access.grant("rita", "reader", space="default")
    assert [cube.text for cube in memory.acting_as("rita").list()] == ["It began in March 2019."]
    memory.forget(asked_)
    assert pairs(memory) == set()
    assert b"zoster" not in image(tmp_path / "m.rem")
    assert memory.verify().ok


def test_it_stops_when_told_and_goes_on_from_there(opened):
    memory = opened()
    people = [f"Ana{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(150)]
    memory.add([f"{one} lives in Lisbon." for one in people])
    calls, seen = iter([False, True]), []
    first = pair(memory._store, memory._encoding.documents, None, stop=lambda: next(calls))
    assert 0 < first.pairs < 150
    rest = memory.pair(progress=lambda at, of: seen.append((at, of)))
    assert first.pairs + rest.pairs == 150 == len(pairs(memory))
    assert all(at <= of for at, of in seen)


def test_pairs_are_retired_with_a_correction_and_made_anew(opened):
    memory = opened()
    (parent,) = memory.add("Ana lives in Lisbon.")
    memory.pair()
    memory.correct(parent, "Ana lives in Porto.")
    assert asked(memory, "Where does Ana live?") == set()
    assert memory.pair().pairs == 1
    assert asked(memory, "Where does Ana live?") == {("Where does Ana live?", "Porto")}
    memory.correct(parent, "Ana lives in Lisbon.")
    assert memory.pair().pairs == 1
    assert asked(memory, "Where does Ana live?") == {("Where does Ana live?", "Lisbon")}


def test_pairs_are_forgotten_with_their_parent(opened, image, tmp_path):
    memory = opened()
    ids = memory.add(["Zora lives in Zamboanga.", "Ben works at Acme."])
    memory.pair()
    (hit,) = memory.recall("Where does Zora live?", kinds=["qa"], k=1)
    memory.forget(ids[0])
    with pytest.raises(UnknownCubeError):
        memory.get(hit.cube.id)
    assert asked(memory, "Where does Zora live?") == {("Where does Ben work?", "Acme")}
    assert b"Zamboanga" not in image(tmp_path / "m.rem")
    assert memory.pair().pairs == 0
    assert memory.verify().ok


def test_nothing_stored_makes_nothing(opened):
    assert opened().pair().cubes == 0


# ── by a model ──


def test_a_model_is_asked_about_each_memory_once(with_model):
    model = proposing()
    memory = with_model(model)
    memory.add(TEXTS)
    done = memory.pair(by="model")
    assert (done.cubes, done.pairs, done.cost.calls) == (3, 3, 3)
    assert done.cost.prompt_tokens > 0
    assert ("Who fixed the boiler?", "Ben") in pairs(memory)
    assert memory.pair(by="model").cost.calls == 0
    assert len(model.prompts) == 3
    assert all(len(prompt.sources) == 1 for prompt in model.prompts)


def test_rules_and_a_model_side_by_side(with_model):
    memory = with_model(proposing())
    memory.add(TEXTS)
    memory.pair()
    before = len(pairs(memory))
    memory.pair(by="model")
    assert pairs(memory) >= {("Where does Ana live?", "Lisbon"), ("What did Ana paint?", "kites")}
    assert (
        sum(cube.kind is Kind.QA for cube in memory.list()) == len(pairs(memory)) > before
    )  # the same pair is made once


def test_what_failed_is_tried_again_and_nothing_is_made_twice(with_model):
    memory = with_model(proposing("boiler"))
    ids = memory.add(TEXTS)
    first = memory.pair(by="model")
    assert (first.cubes, first.pairs, list(first.failures)) == (3, 2, [ids[1]])
    assert isinstance(first.failures[ids[1]], EndpointError)
    again = with_model(proposing()).pair(by="model")
    assert (again.pairs, again.failures) == (1, {})
    assert len(pairs(memory)) == 3
    assert with_model(proposing()).pair(by="model").cubes == 0


def test_broken_json_is_a_failure_of_that_memory(with_model):
    memory = with_model(ScriptedModel(lambda _: "no JSON"))
    (cube_id,) = memory.add("Ana lives in Lisbon.")
    done = memory.pair(by="model")
    assert (done.pairs, list(done.failures)) == (0, [cube_id])


def test_other_errors_stop_it_and_lose_nothing(with_model):
    answers = iter([proposing(), None])

    def say(prompt):
        model = next(answers)
        return model.generate(prompt).text if model else BudgetError("The budget is spent.", "Raise it.")

    memory = with_model(ScriptedModel(say))
    memory.add(TEXTS[:2])
    with pytest.raises(BudgetError):
        memory.pair(by="model")
    assert with_model(proposing()).pair(by="model").pairs == 2


def test_a_pair_that_the_text_does_not_bear_out_is_not_kept(with_model):
    made_up = {"pairs": [{"question": "Where does Ana live?", "answer": "Paris", "quote": "Ana lives in Paris."}]}
    memory = with_model(ScriptedModel(lambda _: json.dumps(made_up)))
    memory.add("Ana lives in Lisbon.")
    assert memory.pair(by="model").pairs == 0


def test_pairs_by_a_model_need_one(opened):
    memory = opened()
    memory.add("Ana lives in Lisbon.")
    with pytest.raises(NoModelError, match="no language model"):
        memory.pair(by="model")
    with pytest.raises(InputError, match="by is 'magic'"):
        memory.pair(by="magic")


# ── from files ──


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "p.jsonl",
            '{"question": "Who wrote Dust?", "answer": "Ana Costa"}\n{"question": "Who is Rex?", "answer": "a dog"}\n',
        ),
        ("p.csv", 'question,answer\nWho wrote Dust?,Ana Costa\n"Who is Rex?","a dog"\n'),
    ],
)
def test_pairs_of_a_file_stand_for_themselves(opened, tmp_path, name, content):
    memory = opened()
    (tmp_path / name).write_text(content)
    ids = memory.pair(tmp_path / name)
    assert isinstance(ids, Ids)
    assert ids.new == 2
    assert pairs(memory) == {("Who wrote Dust?", "Ana Costa"), ("Who is Rex?", "a dog")}
    cube = memory.get(ids[0])
    assert cube.provenance.derived_from == ()
    assert cube.provenance.source == f"file:{tmp_path / name}"
    assert cube.id in {hit.cube.id for hit in memory.recall("Who wrote Dust?")}  # also without asking for pairs
    assert memory.pair(tmp_path / name).new == 0
    assert memory.pair().cubes == 0  # and no pairs are made of pairs
    assert list(memory.pair(str(tmp_path / name), space="other")) != list(ids)


def test_a_bad_file_writes_nothing(opened, tmp_path):
    memory = opened()
    (tmp_path / "p.jsonl").write_text('{"question": "Who wrote Dust?", "answer": "Ana"}\n{"question": "Who?"}\n')
    with pytest.raises(UnreadableFileError, match="line 2"):
        memory.pair(tmp_path / "p.jsonl")
    assert memory.list() == []
