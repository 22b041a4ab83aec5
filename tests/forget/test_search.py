"""Searching for what was erased: before it is found, afterwards it is not, and what else says so is named."""

from __future__ import annotations

import numpy as np
import pytest

from remanence.cubes import Answer, Citation
from remanence.errors import EndpointError
from remanence.forget import search
from remanence.forget.search import Found, Searches, paraphrase, run, searches
from remanence.forget.search import tests as told
from remanence.store import erasure

FILLER = [
    f"The {one} is on the {two} shelf."
    for one in ("red", "green", "blue")
    for two in ("upper", "lower", "third", "last")
]


@pytest.fixture
def sought(opened) -> Searches:
    memory = opened()
    ids = memory.add(["Ana lives in Lisbon.", "Ben is a nurse.", *FILLER])
    with memory._store.connections.read() as connection:
        found = erasure.survey(connection, ids[:2], None)
    return searches(found)


def nothing(question: str, space: str, vector: object = None) -> list[str]:
    return []


def abstained(question: str, space: str) -> Answer:
    return Answer("", abstained=True)


def test_what_is_searched_for(sought):
    assert [target.last.text for target in sought.targets] == ["Ana lives in Lisbon.", "Ben is a nurse."]
    assert [(one.question, one.answer) for one in sought.asked][:1] == [("Where does Ana live?", "Lisbon")]
    assert paraphrase("The key is under the third flower pot.") == "pot flower third under key"


def test_a_hit_afterwards_fails(sought):
    there = [sought.targets[0].id]

    def always(question, space, vector=None):
        return there

    before = run(sought, always, abstained)
    assert (before.exact, before.paraphrase, before.embedding) == (2, 2, 2)
    verdicts = {one.name: one.verdict for one in told(sought, before, run(sought, nothing, abstained))}
    assert {verdicts[name] for name in verdicts if name.startswith("search")} == {"PASS"}
    verdicts = {one.name: one.verdict for one in told(sought, before, before)}
    assert {verdicts[name] for name in verdicts if name.startswith("search")} == {"FAIL"}
    verdicts = {
        one.name: one.verdict for one in told(sought, run(sought, nothing, abstained), run(sought, nothing, abstained))
    }
    assert set(verdicts.values()) == {"NOT_COMPUTABLE"}


def test_the_stored_vector_is_searched_with(sought):
    given = []

    def look(question, space, vector=None):
        given.append(vector)
        return []

    run(sought, look, abstained)
    vectors = [one for one in given if one is not None]
    assert len(vectors) == 2
    assert np.allclose([np.linalg.norm(one) for one in vectors], 1, atol=1e-2)


def answering(cube_id: str | None):
    citations = () if cube_id is None else (Citation(cube_id, 1, 0, 0, 1, "x", 1.0),)
    return lambda question, space: Answer("Ana lives in Lisbon.", citations)


def test_an_answer_needs_a_living_memory(sought):
    before = run(sought, nothing, answering(sought.targets[0].id))
    assert before.answered >= 1
    for cited, left in ((sought.targets[0].id, "FAIL"), (None, "FAIL"), ("somebody else", "PASS")):
        found = next(
            one for one in told(sought, before, run(sought, nothing, answering(cited))) if one.name.startswith("re-ask")
        )
        assert found.verdict == left, cited
        assert ("somebody else" in found.words) == (cited == "somebody else")


def test_what_is_not_asked_is_said(sought):
    before = after = run(sought, nothing, None)
    found = next(one for one in told(sought, before, after) if one.name.startswith("re-ask"))
    assert found.verdict == "NOT_COMPUTABLE"
    assert "remote" in found.words


def test_a_search_that_breaks_is_not_computable(sought):
    def broken(question, space, vector=None):
        raise EndpointError("It does not answer.")

    found = told(sought, run(sought, nothing, abstained), run(sought, broken, abstained))
    assert [(one.verdict, "It does not answer." in one.words) for one in found] == [("NOT_COMPUTABLE", True)]
    assert Found(0, 0, 0, 0, 0).problem == ""


def test_the_neighbours_that_say_the_same_are_named(opened):
    memory = opened()
    ids = memory.add(["Ana lives in Lisbon.", {"content": "Ana lives in Lisbon!", "session": "s"}, *FILLER])
    with memory._store.connections.read() as connection:
        sought = searches(erasure.survey(connection, ids[:1], None))
    before = search.resembling(memory._store, sought)
    assert before.test.verdict == "FAIL", "the memory itself is still there"
    memory.forget(ids[0])
    after = search.resembling(memory._store, sought)
    assert (after.test.verdict, after.test.after, after.ids[0]) == ("PASS", 0, ids[1])
