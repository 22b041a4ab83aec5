"""What speaks for a span."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.answer.evidence import MOST_EMBEDDED, coverage, fits, rarity, spans
from remanence.answer.question import Expects, read_question

WORDS = st.frozensets(st.sampled_from("abcdefgh"), max_size=6)


def naive_rarity(term, documents):
    return math.log((len(documents) + 11) / (sum(term in document for document in documents) + 0.5))


@given(st.lists(WORDS, max_size=6), WORDS)
def test_rarity_is_what_its_formula_says(documents, terms):
    assert rarity(terms, documents) == pytest.approx({term: naive_rarity(term, documents) for term in terms})


@given(st.lists(WORDS, max_size=6), WORDS, WORDS)
def test_coverage_is_a_share_and_grows_with_what_is_held(documents, wanted, held):
    weights = rarity(wanted, documents)
    share = coverage(wanted, held, weights)
    assert 0.0 <= share <= 1.0 + 1e-9
    assert coverage(wanted, held | wanted, weights) == pytest.approx(1.0 if wanted else 0.0)
    assert coverage(wanted, frozenset(), weights) == 0.0


def test_spans_quote_their_cube_exactly_and_know_who_speaks(hit):
    hits = [hit("Hi there! I sold the car on Monday.", by="Ann"), hit("My car is old. Ann's is new.", by="Bob")]
    found = spans(read_question("When did Ann sell the car?", hits), hits, None)
    assert [span.text for span in found] == [
        "Hi there!",
        "I sold the car on Monday.",
        "My car is old.",
        "Ann's is new.",
    ]
    assert all(hits[span.place].cube.text[span.start : span.end] == span.text for span in found)
    assert [span.mine for span in found] == [True, True, False, True]
    assert found[1].feature("coverage") > found[0].feature("coverage") == 0.0
    assert found[1].feature("around") == found[0].feature("around") > 0.0
    assert [span.feature("kind") for span in found] == [-1.0, 1.0, -1.0, -1.0]


def test_a_single_hit_and_equal_scores_have_no_margin(hit):
    for hits in ([hit("One.")], [hit("One."), hit("Two.")]):
        assert all(span.feature("margin") == 0.0 for span in spans(read_question("One?", hits), hits, None))


def test_only_the_best_by_words_are_embedded(hit, embed):
    asked_for: list[int] = []

    def counted(texts):
        asked_for.append(len(texts))
        return embed(texts)

    hits = [hit(f"Filler number {number}. " * 3, cube_id=str(number)) for number in range(40)]
    hits.append(hit("The cello stands in the hall."))
    found = spans(read_question("Where is the cello?", hits), hits, counted)
    assert asked_for == [MOST_EMBEDDED + 1]
    assert found[-1].feature("closeness") > 0.3
    assert sum(span.feature("closeness") != 0.0 for span in found) <= MOST_EMBEDDED


def test_an_embedder_that_has_nothing_to_say_leaves_closeness_out(hit):
    hits = [hit("One.")]
    assert spans(read_question("One?", hits), hits, lambda texts: None)[0].feature("closeness") == 0.0


@pytest.mark.parametrize(
    ("expects", "text", "value"),
    [
        (Expects.TIME, "I went yesterday.", 1.0),
        (Expects.TIME, "I went.", -1.0),
        (Expects.NUMBER, "We have three dogs.", 1.0),
        (Expects.NUMBER, "We have dogs.", -1.0),
        (Expects.PLACE, "I live in Porto.", 1.0),
        (Expects.PLACE, "I live in town.", 0.0),
        (Expects.PLACE, "I live.", -1.0),
        (Expects.PERSON, "It was Ann.", 1.0),
        (Expects.PERSON, "They left.", -1.0),
        (Expects.YES_NO, "I do not know.", 1.0),
        (Expects.OTHER, "Anything.", 0.0),
    ],
)
def test_a_text_fits_what_is_asked_for(expects, text, value):
    assert fits(expects, text) == value
