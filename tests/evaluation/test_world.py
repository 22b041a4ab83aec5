"""The synthetic world: read by the project's own rules, the same for the same seed, and honest about what it holds out."""

from __future__ import annotations

import json

import pytest

from remanence.errors import InputError
from remanence.evaluation.probes import Facet, ProbeSet, world_probes
from remanence.evaluation.wordings import RELATIONS
from remanence.evaluation.world import World
from remanence.language.relations import canonical
from remanence.language.statements import facts


@pytest.mark.parametrize("invented", [False, True])
def test_every_statement_is_read_by_the_rules(invented):
    world = World(3, people=12, relations=len(RELATIONS), invented=invented)
    for fact in world.facts:
        for template in range(len(world.relation(fact).statements)):
            [read] = facts(world.statement(fact, template))
            said = (read.subject, read.relation, read.value.removeprefix("a "))
            assert said == (fact.subject, canonical(fact.relation), fact.value)


def test_a_seed_is_a_world():
    assert World(1, 8).facts == World(1, 8).facts
    assert World(1, 8).facts != World(2, 8).facts
    assert World(1, 8).copies(5, seed=4) == World(1, 8).copies(5, seed=4)


def test_it_is_large_enough_to_be_asked():
    world = World()
    assert len(world.relations) >= 4
    for relation in world.relations:
        assert len(set(relation.values)) >= 12
        assert len(relation.statements) >= 3
        assert len(relation.questions) >= 2
        assert not relation.hop or len(relation.properties) == len(relation.values)


def test_groups_of_people_never_meet():
    world = World(0, people=20)
    groups = [set(world.people), *({fact.subject for fact in world.fresh(20, batch)} for batch in range(3))]
    readers = {prompt for prompt, _ in world.copies(300)}
    for number, group in enumerate(groups):
        assert len(group) == 20
        assert not any(group & other for other in groups[number + 1 :])
        assert not any(name in prompt for name in group for prompt in readers)


def test_the_last_wordings_are_held_out_of_lessons():
    world = World(0, people=4)
    new = world.fresh(4)
    taught = {prompt for prompt, _ in world.lessons(new)}
    held = {world.question(fact, -1) for fact in new} | {world.cloze(fact, -1) for fact in new}
    assert not taught & held
    assert held <= {prompt for prompt, _ in world.lessons(new, held_out=True)}


def test_prompts_and_answers_make_sentences():
    world = World(0, people=3)
    for fact in world.facts:
        for template in range(4):
            assert f"{world.cloze(fact, template)}{world.answer(fact)}." == world.statement(fact, template)
        others = world.counterfactuals(fact, 5)
        assert len(set(others)) == 5
        assert fact.value not in others
        assert all(other in world.relation(fact).values for other in others)


def test_every_word_is_in_the_vocabulary():
    world = World(0, people=30)
    known = set(" ".join(world.words()).replace(".", " .").replace("?", " ?").replace(":", " :").split())
    said = [*world.corpus(copies=100), *("".join(pair) for pair in world.lessons(world.fresh(50)))]
    words = set(" ".join(said).replace(".", " .").replace("?", " ?").replace(":", " :").split())
    assert words <= known


def test_no_such_world():
    for people, relations in ((0, 4), (10_000, 4), (5, 0), (5, 99)):
        with pytest.raises(InputError, match="not at hand"):
            World(0, people, relations)
    with pytest.raises(InputError, match="no more names"):
        World(0).fresh(10_000)


def test_probes_see_a_fact_from_all_sides():
    world = World(0, people=10)
    probes = world_probes(world, world.fresh(3), local=world.facts[:5])
    counts = {facet: len(probes.of(facet)) for facet in Facet}
    assert counts == {
        Facet.RELIABILITY: 12, Facet.GENERALITY: 12, Facet.PARAPHRASE: 24, Facet.PORTABILITY: 9, Facet.LOCALITY: 5,
        Facet.COUNTERFACTUAL: 12,
    }  # fmt: skip
    assert ProbeSet.from_json(json.loads(json.dumps(probes.to_json()))) == probes


def test_a_record_of_wikidyk_is_read():
    told = {
        "name": "dyk",
        "records": [
            {
                "fact": "that X?",
                "eval": {
                    "reliability": {"prompt": "Who?", "answer": ["X", "Mr X"]},
                    "locality": {"prompt": "Y?", "answer": "Z"},
                },
            }
        ],
    }
    first, second = ProbeSet.from_json(told).probes
    assert (first.facet, first.prompt, first.answer, first.accept, first.fact_id) == (
        Facet.RELIABILITY,
        "Who?",
        "X",
        ("Mr X",),
        "f0",
    )
    assert (second.facet, second.answer) == (Facet.LOCALITY, "Z")
    for broken in (
        {},
        {"name": "x", "records": [{"eval": {"nonsense": {"prompt": "a", "answer": "b"}}}]},
        {"name": "x", "records": [3]},
    ):
        with pytest.raises(InputError, match="no probe set"):
            ProbeSet.from_json(broken)
    twice = [{"id": "a", "eval": {"reliability": {"id": "same", "prompt": "Who?", "answer": "X"}}}] * 2
    with pytest.raises(InputError, match="share ids"):
        ProbeSet.from_json({"name": "x", "records": twice})
