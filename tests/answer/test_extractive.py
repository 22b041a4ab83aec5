"""The answer without a model."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.answer.extractive import effective, extract, find, logistic
from remanence.answer.profile import DEFAULT, WORDS, Profile
from remanence.cubes import Answer, Hit, Kind, MemCube, Provenance, Scope
from remanence.errors import EndpointError

START = datetime(2023, 5, 8, tzinfo=UTC)
ALWAYS = replace(DEFAULT, threshold=0.0, without=replace(WORDS, threshold=0.0))


def test_the_best_sentence_is_quoted_with_its_place(hit):
    hits = [
        hit("Nice weather. The kiln fires at 1240 degrees. Bye!", score=3.0),
        hit("Anna moved to Lisbon.", score=1.0),
        hit("The kiln is red.", score=2.0),
    ]
    found = extract("At what temperature does the kiln fire?", hits, profile=ALWAYS)
    assert found.text == "The kiln fires at 1240 degrees."
    (citation,) = found.citations
    assert (citation.cube_id, citation.sentence, citation.quote) == (hits[0].cube.id, 0, found.text)
    assert hits[0].cube.text[citation.start : citation.end] == citation.quote
    assert found.used == tuple(hits)
    assert not found.abstained


def test_a_relative_time_is_followed_by_its_date_where_a_time_is_asked_for(hit):
    hits = [hit("I went to the museum yesterday.", by="Ann", on="2023-05-08")]
    assert (
        extract("When did Ann go to the museum?", hits, profile=ALWAYS).text
        == "I went to the museum yesterday. [7 May 2023]"
    )
    assert extract("Where did Ann go?", hits, profile=ALWAYS).text == "I went to the museum yesterday."


def test_a_text_without_a_time_gets_the_day_it_was_said(hit):
    hits = [hit("I adopted a cat!", by="Ann", on="2023-05-08")]
    assert extract("When did Ann adopt a cat?", hits, profile=ALWAYS).text == "I adopted a cat! [said on 8 May 2023]"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("I adopted a cat yesterday. The cat sleeps.", "I adopted a cat yesterday. [7 May 2023] The cat sleeps."),
        ("I adopted a cat. The cat sleeps.", "I adopted a cat. The cat sleeps. [said on 8 May 2023]"),
    ],
)
def test_two_sentences_of_a_memory_get_one_day(hit, text, answer):
    wide = replace(ALWAYS, without=replace(WORDS, threshold=0.0, second=9.0))
    assert extract("When did Ann adopt a cat?", [hit(text, by="Ann", on="2023-05-08")], profile=wide).text == answer


def test_a_text_with_a_full_date_stays_as_it_is(hit):
    hits = [hit("I adopted a cat on 3 May 2021.", by="Ann", on="2023-05-08")]
    assert extract("When did Ann adopt a cat?", hits, profile=ALWAYS).text == "I adopted a cat on 3 May 2021."


def test_a_list_question_takes_a_complement_from_another_memory(hit):
    hits = [
        hit("I love the book Dune.", by="Ann", score=2.0), hit("I love the book Emma.", by="Ann", score=1.9),
        hit("I love the book Ivanhoe.", by="Bob", score=1.95),
        hit("The weather is nice.", by="Ann", score=0.0), hit("See you!", by="Ann", score=0.0),
    ]  # fmt: skip
    found = extract("Which books does Ann love?", hits, profile=ALWAYS)
    assert found.text == "I love the book Dune. I love the book Emma."
    assert [citation.sentence for citation in found.citations] == [0, 1]


def test_an_adjacent_sentence_comes_along_where_it_is_nearly_as_good(hit):
    hits = [hit("The cello stands in the hall. The cello came from Ann. Unrelated words follow here.")]
    assert "came from Ann" in extract("Where is the cello?", hits, profile=ALWAYS).text
    strict = replace(ALWAYS, without=replace(WORDS, threshold=0.0, second=-1.0))
    assert len(extract("Where is the cello?", hits, profile=strict).citations) == 1


def test_words_about_another_person_than_the_one_asked_about_count_less(hit):
    question = "What did Jon find for his clothing store?"
    own = [hit("I found the perfect spot for my clothing store.", by="Jon"), hit("Nice, my dog sleeps.", by="Gina")]
    others = [hit("I found the perfect spot for my clothing store.", by="Gina"), hit("Nice, my dog sleeps.", by="Jon")]
    assert find(question, own).confidence > find(question, others).confidence + 0.2
    assert find(question, others).features["rival"] > 0 > find(question, own).features["rival"]


def test_a_person_nobody_mentions_lowers_the_support(hit):
    hits = [hit("I found the perfect spot for a clothing store.", by="Gina")]
    known = find("What did Gina find for her clothing store?", hits)
    unknown = find("What did Zoe find for her clothing store?", hits)
    assert unknown.features["absent"] == 1.0
    assert unknown.confidence < known.confidence / 2


def test_support_that_is_weak_makes_it_abstain(hit):
    found = extract("What is the name of my dog?", [hit("The kiln fires at 1240 degrees.")])
    assert found.abstained
    assert (found.text, found.citations) == ("", ())
    assert 0.0 < found.confidence < WORDS.threshold
    assert len(found.used) == 1


def test_confidence_does_not_depend_on_how_many_other_hits_there_are(hit, embed):
    best = hit("Anna moved to Lisbon in May 2024.", score=9.0)
    rest = [hit(f"Filler {number} about gardens.", score=1.0 / (number + 1)) for number in range(9)]
    alone = find("Where did Anna move?", [best], embed).confidence
    among = find("Where did Anna move?", [best, *rest], embed).confidence
    assert among == pytest.approx(alone, abs=0.08)


def test_without_an_embedder_words_have_their_own_weights(hit, embed):
    hits = [hit("Anna moved to Lisbon.")]
    assert effective(DEFAULT, find("Where did Anna move?", hits).chosen) is WORDS
    assert effective(DEFAULT, find("Where did Anna move?", hits, embed).chosen) is DEFAULT
    assert effective(Profile(), find("Where did Anna move?", hits).chosen) == Profile()


def test_hits_without_text_leave_nothing_to_say(hit):
    found = extract("Who?", [hit("  \n ")])
    assert found.abstained
    assert found.notes == ("There is no text to answer from.",)
    assert extract("Who?", []).abstained


def test_the_logistic_takes_any_number():
    assert [logistic(value) for value in (-1e4, 0.0, 1e4)] == [0.0, 0.5, 1.0]


texts = st.text(st.sampled_from("Ann sold 3 cars. yesterday!?\n é今。"), min_size=1, max_size=60)


@given(st.lists(texts, min_size=1, max_size=4), st.sampled_from(["When did Ann sell?", "Which cars?", "3", "今"]))
def test_citations_quote_exactly_and_every_sentence_of_the_answer_has_one(some, question):
    cubes = [
        MemCube(
            id=str(number), version=1, text=text, kind=Kind.MESSAGE, scope=Scope(), provenance=Provenance(observed_at=START),
            recorded_at=START, valid_from=START,
        )
        for number, text in enumerate(some)
    ]  # fmt: skip
    found: Answer = extract(question, [Hit(cube, 1.0) for cube in cubes], profile=ALWAYS)
    if found.abstained:
        assert not any(text.strip() for text in some)
        return
    assert [citation.sentence for citation in found.citations] == list(range(len(found.citations)))
    for citation in found.citations:
        assert cubes[int(citation.cube_id)].text[citation.start : citation.end] == citation.quote
        assert citation.quote in found.text


def test_an_embedder_that_fails_is_the_callers_to_handle(hit):
    def broken(texts):
        raise EndpointError("The endpoint is away.")

    with pytest.raises(EndpointError):
        extract("Who?", [hit("Ann.")], embed=broken)
