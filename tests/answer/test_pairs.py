"""Answers from question–answer pairs: the same question, or a chain of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from remanence.answer.pairs import HOPS, LONGEST, by_pairs
from remanence.cubes import Hit, Kind, MemCube, Provenance, Scope
from remanence.language.qa import qa_text

_DAY = datetime(2024, 1, 1, tzinfo=UTC)


def cube(name, text, parents=()):
    return MemCube(
        id=name, version=1, text=text, kind=Kind.QA if parents or text.startswith("Q:") else Kind.MESSAGE, scope=Scope(),
        provenance=Provenance(derived_from=tuple(parents)), recorded_at=_DAY, valid_from=_DAY,
    )  # fmt: skip


@pytest.fixture
def ask():
    """Ask pairs, given as question, answer, and the text that they come from; count the look-ups."""

    def run(question, *pairs, embed=None):
        parents = {f"m{at}": cube(f"m{at}", one[2]) for at, one in enumerate(pairs) if len(one) > 2}
        hits = [
            Hit(cube(f"p{at}", qa_text(*one[:2]), (f"m{at}",) if f"m{at}" in parents else ()), 1.0)
            for at, one in enumerate(pairs)
        ]
        asked = []

        def find(text):
            asked.append(text)
            return hits

        def source(pair):
            return parents.get(pair.provenance.derived_from[0]) if pair.provenance.derived_from else None

        return by_pairs(question, find, source, embed), asked

    return run


LIVES = ("Where does Ana live?", "Lisbon", "Now that you ask: Ana lives in lisbon.")


def test_the_same_question_is_answered_from_its_source(ask):
    found, asked = ask("Where does Ana live?", LIVES)
    assert (found.text, found.method, found.abstained, found.cost.calls) == ("Lisbon", "pairs", False, 0)
    (citation,) = found.citations
    assert (citation.cube_id, citation.quote) == ("m0", "lisbon")
    assert LIVES[2][citation.start : citation.end] == "lisbon"
    assert found.notes == ("From pairs: Where does Ana live? Lisbon",)
    assert [hit.cube.id for hit in found.used] == ["p0"]
    assert len(asked) == 1


def test_a_pair_that_stands_for_itself_is_cited_itself(ask):
    found, _ = ask("Where does Ana live?", LIVES[:2])
    assert (found.citations[0].cube_id, found.citations[0].quote) == ("p0", "Lisbon")


@pytest.mark.parametrize(
    ("answer", "source", "cited"),
    [
        ("Yes", "Ana said yesterday that she would.", "p0"),  # no word of it
        ("Rex", "Rexford is big. The dog is Rex.", "m0"),
        ("Izmir", "İİİ lives in Izmir.", "m0"),  # longer in lower case
        ("(C++)", "She writes (C++) code.", "m0"),
    ],
)
def test_a_citation_quotes_the_answer_as_whole_words(ask, answer, source, cited):
    found, _ = ask("What does Ana say?", ("What does Ana say?", answer, source))
    (citation,) = found.citations
    text = source if cited == "m0" else qa_text("What does Ana say?", answer)
    assert (citation.cube_id, text[citation.start : citation.end], citation.quote) == (cited, answer, answer)
    assert text[citation.end : citation.end + 1] != "f"


@pytest.mark.parametrize(
    ("question", "known"),
    [
        ("Where does Ben live?", "Where does Ana live?"),
        ("Ben lives where?", "Ana lives where?"),
        ("Where does Émile live?", "Where does Élodie live?"),
        ("where does ben live?", "Where does Ana live?"),
        ("What happened in 2024?", "What happened in 2023?"),
        ("Where does Ana live in May?", "Where does Ana live?"),
    ],
)
def test_a_pair_about_someone_else_does_not_answer(ask, question, known):
    import numpy as np

    alike = lambda texts: np.ones((len(texts), 1), np.float32)  # noqa: E731  # even if it were as close as can be
    assert ask(question, (known, "Lisbon"), embed=alike)[0] is None


@pytest.mark.parametrize("question", ["where does ana live?", "Where does ANA live"])
def test_capitals_do_not_matter(ask, question):
    assert ask(question, LIVES)[0].text == "Lisbon"


def test_rivals_with_different_answers_are_left_to_reading(ask):
    assert ask("Where does Ana live?", LIVES, ("Where does Ana live?", "Porto"))[0] is None
    assert ask("Where does Ana live?", LIVES, LIVES)[0].text == "Lisbon"
    assert ask("Where does Ana live?", LIVES, ("Where does Ben live?", "Porto"))[0].text == "Lisbon"


AUTHOR = ("Who wrote Dust?", "Ana Costa", "Dust was written by Ana Costa.")
BORN = ("Where was Ana Costa born?", "Porto", "Ana Costa was born in Porto.")
MAYOR = ("Who is the mayor of Porto?", "Ben Ruiz", "The mayor of Porto is Ben Ruiz.")


def test_two_pairs_make_one_answer_and_each_is_cited(ask):
    found, asked = ask("Where was the author of Dust born?", BORN, AUTHOR)
    assert found.text == "Porto"
    assert asked == ["Where was the author of Dust born?", "Where was Ana Costa born?"]
    assert [(one.cube_id, one.quote) for one in found.citations] == [("m1", "Ana Costa"), ("m0", "Porto")]
    assert found.notes == ("From pairs: Who wrote Dust? Ana Costa → Where was Ana Costa born? Porto",)


def test_three_pairs_make_one_answer(ask):
    """The birthplace is asked for in the words of the pair that knows it."""
    place = ("What is the birthplace of Ana Costa?", "Porto", "Porto is her birthplace.")
    found, asked = ask("Who is the mayor of the birthplace of the author of Dust?", MAYOR, place, AUTHOR)
    assert found is not None, asked
    assert found.text == "Ben Ruiz"
    assert [one.quote for one in found.citations] == ["Ana Costa", "Porto", "Ben Ruiz"]
    assert len(asked) == HOPS


def test_a_circle_ends(ask):
    circle = [("Who is the friend of Ana?", "Ben"), ("Who is the friend of Ben?", "Ana")]
    found, asked = ask("Where does the friend of the friend of the friend of the friend of Ana live?", *circle)
    assert found is None
    assert len(asked) <= HOPS


def test_an_answer_that_holds_its_own_question_ends(ask):
    found, asked = ask("Where was the author of Dust born?", ("Who wrote Dust?", "the author of Dust"))
    assert found is None
    assert len(asked) <= HOPS


def test_nothing_known_and_very_long_questions_are_left_to_reading(ask):
    assert ask("Where does Ana live?")[0] is None
    found, asked = ask("Where does Ana live?" + " please" * LONGEST, LIVES)
    assert (found, asked) == (None, [])


def test_what_is_no_pair_is_passed_over():
    hits = [Hit(cube("x", "Ana lives in Lisbon."), 1.0)]
    assert by_pairs("Where does Ana live?", lambda _: hits, lambda _: None, None) is None
