"""What a question wants."""

import pytest

from remanence.answer.question import Expects, capitalised, read_question


@pytest.mark.parametrize(
    ("question", "expects"),
    [
        ("When did Ann move?", Expects.TIME),
        ("What year did Ann move?", Expects.TIME),
        ("How many dogs does Ann have?", Expects.NUMBER),
        ("At what temperature does the kiln fire?", Expects.NUMBER),
        ("How long has Ann lived here?", Expects.NUMBER),
        ("Who plays the cello?", Expects.PERSON),
        ("Where does Ann live?", Expects.PLACE),
        ("Which city did Ann visit?", Expects.PLACE),
        ("Did Ann move?", Expects.YES_NO),
        ("Is Ann's dog old?", Expects.YES_NO),
        ("What did Ann buy?", Expects.OTHER),
        ("Why did Ann leave?", Expects.OTHER),
    ],
)
def test_the_kind_of_answer_follows_from_the_words(question, expects):
    assert read_question(question, []).expects is expects


@pytest.mark.parametrize(
    "question", ["What books has Ann read?", "Which cities did Ann visit?", "What are Ann's hobbies?"]
)
def test_a_plural_asks_for_a_list(question):
    assert read_question(question, []).several


@pytest.mark.parametrize(
    "question", ["What book has Ann read?", "What is Ann's dog called?", "What does Ann's sister do?"]
)
def test_a_singular_does_not(question):
    assert not read_question(question, []).several


def test_the_person_asked_about_is_the_one_speaker_named(hit):
    hits = [hit("I moved.", by="Ann Lee"), hit("So did I.", by="Bob")]
    asked = read_question("When did Ann move?", hits)
    assert asked.owner == "ann lee"
    assert "Ann" not in asked.content
    assert read_question("When did Ann meet Bob?", hits).owner is None


def test_somebody_nobody_knows_is_a_person_as_well(hit):
    asked = read_question("What did Zoe design for Carl's store in March?", [hit("I moved.", by="Ann")])
    assert asked.people == {"zoe", "carl"}


def test_a_nickname_of_a_speaker_is_no_stranger(hit):
    asked = read_question("What did Mel paint?", [hit("I paint.", by="Melanie")])
    assert asked.people == {"melanie"}


def test_a_capital_at_the_beginning_of_a_sentence_makes_no_name():
    assert capitalised("Painting helps. Then Ann's Volvo broke. “Really?”") == {"ann", "volvo"}
