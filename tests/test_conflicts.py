"""Contradictions: two memories that cannot both hold, and that time does not order."""

from __future__ import annotations

import json

import pytest

from remanence import Memory
from remanence.cubes import Extraction, Fact
from remanence.errors import UnknownSpaceError
from remanence.settings import Settings
from remanence.write.extract import Extracted


class Reads:
    """An extractor that looks facts up by the text."""

    name = "reads"

    def __init__(self, found):
        self._found = found

    def extract(self, cubes):
        return Extracted(tuple(Extraction(facts=self._found.get(cube.text, ())) for cube in cubes))


@pytest.fixture
def two(opened):
    """Two sources that disagree on one day."""
    memory = opened()
    ids = [
        memory.add({"content": text, "time": "2024-03-01"}, source=source)[0]
        for text, source in (("Ana lives in Lisbon.", "diary"), ("Ana lives in Porto.", "letter"))
    ]
    return memory, ids


def test_both_sides_and_their_sources_are_named(two):
    memory, ids = two
    (found,) = memory.conflicts()
    assert (found.subject, found.relation) == ("Ana", "lives in")
    sides = (found.first, found.second)
    assert [one.cube.id for one in sides] == ids
    assert [(one.value, one.denied) for one in sides] == [("Lisbon", False), ("Porto", False)]
    assert [one.cube.provenance.source for one in sides] == ["diary", "letter"]
    data = json.loads(json.dumps(found.to_json()))
    assert data["first"]["value"] == "Lisbon"
    assert data["second"]["cube"]["id"] == ids[1]


def test_a_correction_resolves_it(two):
    memory, ids = two
    memory.correct(ids[0], "Ana visited Lisbon.")
    assert memory.conflicts() == []


def test_forgetting_resolves_it(two):
    memory, ids = two
    memory.forget(ids[1])
    assert memory.conflicts() == []


def test_a_later_statement_is_no_contradiction_but_of_a_birthplace_it_is(opened):
    memory = opened()
    for day, text in (("2024-01-01", "Ana lives in Lisbon."), ("2024-06-01", "Ana lives in Porto.")):
        memory.add({"content": text, "time": day})
    assert memory.conflicts() == []
    for day, text in (("2024-01-01", "Ben was born in Lisbon."), ("2024-06-01", "Ben was born in Porto.")):
        memory.add({"content": text, "time": day})
    assert [one.subject for one in memory.conflicts()] == ["Ben"]


def test_a_denial_contradicts(opened):
    memory = opened()
    memory.add({"content": "Ana works at Acme.", "time": "2024-03-01"}, source="a")
    memory.add({"content": "Ana does not work at Acme.", "time": "2024-03-01"}, source="b")
    (found,) = memory.conflicts()
    assert {found.first.denied, found.second.denied} == {True, False}


def test_each_space_has_its_own(two):
    memory, _ = two
    memory.add({"content": "Ana lives in Faro.", "time": "2024-03-01"}, space="other", source="c")
    assert memory.conflicts(space="other") == []
    assert len(memory.conflicts()) == 1
    with pytest.raises(UnknownSpaceError):
        memory.conflicts(space="nowhere")


def test_an_empty_memory_has_none(opened):
    assert opened().conflicts() == []


def test_facts_of_a_model_count_where_the_relation_is_known(opened):
    memory = opened()
    texts = ["A note.", "A word."]
    for text in texts:
        memory.add({"content": text, "time": "2024-03-01"}, source=text)
    facts = {
        text: (Fact("Ana", "place of birth", place), Fact("Ana", "waves at", place))
        for text, place in zip(texts, ("Faro", "Braga"), strict=True)
    }
    memory.extract(Reads(facts))
    assert [(one.relation, one.first.value, one.second.value) for one in memory.conflicts()] == [
        ("place of birth", "Faro", "Braga")
    ]


def test_one_memory_does_not_contradict_itself(opened):
    memory = opened()
    memory.add("Ana was born in Lisbon. Ana was born in Porto.")
    assert memory.conflicts() == []


def test_ten_thousand_repetitions_and_one_rival(opened):
    memory = opened(":memory:", embedder="none", commit_every=5000)
    memory.add([{"content": "Ana was born in Lisbon.", "session": str(number)} for number in range(9_999)])
    memory.add({"content": "Ana was born in Porto."}, source="rival")
    assert len(memory._store.derived.claims("default")) == 10_000
    (found,) = memory.conflicts()
    assert {found.first.value, found.second.value} == {"Lisbon", "Porto"}


def test_what_is_over_contradicts_nothing_before_anybody_cared(tmp_path, clock):
    with Memory(tmp_path / "m.rem", Settings(embedder="none", care_every=0), clock=clock) as memory:
        memory.add("Ana was born in Lisbon.", source="diary")
        memory.add({"content": "Ana was born in Porto.", "ttl": 3600}, source="letter")
        assert len(memory.conflicts()) == 1
        clock.turn(hours=2)
        assert memory.conflicts() == []


def test_what_is_over_stands_beside_nothing(tmp_path, clock):
    with Memory(tmp_path / "m.rem", Settings(embedder="none", care_every=0), clock=clock) as memory:
        ids = memory.add([{"content": "The code is 4711.", "ttl": 3600}, "Thank you, Ana."], session="s")
        last = memory.get(ids[1])
        assert [cube.id for cube in memory._store.beside(last)] == [ids[0]]
        clock.turn(hours=2)
        assert memory._store.beside(last) == []
