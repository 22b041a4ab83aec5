"""Does a stretch of a memory carry a sentence?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.answer.support import LEAST, best_stretch, check, claim, support
from remanence.language.sentences import sentence_spans
from remanence.language.tokens import stems


def supported(sentence, *hits, **options):
    return bool(check(sentence, [hit.cube for hit in hits], 0, **options).citations)


def test_the_stretch_that_carries_the_sentence_is_quoted_exactly(hit):
    one = hit("Hello there. We moved the office to Lisbon in May. It rains.", by="Ann")
    checked = check("The office moved to Lisbon.", [one.cube], 3)
    (citation,) = checked.citations
    assert (citation.quote, citation.sentence) == ("We moved the office to Lisbon in May.", 3)
    assert one.cube.text[citation.start : citation.end] == citation.quote
    assert (citation.support, checked.removed) == (1.0, 0)


def test_what_takes_two_sentences_is_quoted_with_both(hit):
    one = hit("I bought a car. It is a red Volvo. Bye now.")
    (citation,) = check("The car is a red Volvo.", [one.cube], 0).citations
    assert citation.quote == "I bought a car. It is a red Volvo."


@pytest.mark.parametrize(
    ("sentence", "holds"),
    [
        ("The kiln fires at 1240 degrees.", True),
        ("The kiln fires at 1250 degrees.", False),
        ("Two kilns fire at 1240 degrees.", False),
        ("The kiln from Denmark fires at 1240 degrees.", False),
        ("Oskar's kiln fires at 1240 degrees.", True),
        ("Anna's kiln fires at 1240 degrees.", False),
        ("The garden is green.", False),
    ],
)
def test_numbers_and_names_have_to_be_there(hit, sentence, holds):
    one = hit("My kiln fires at 1240 degrees.", by="Oskar")
    assert supported(sentence, one, people=frozenset({"oskar", "anna"})) is holds


def test_numbers_match_across_figures_and_words(hit):
    assert supported("Ann has three dogs.", hit("I have 3 dogs.", by="Ann"))
    assert supported("Ann has 3 dogs.", hit("I have three dogs.", by="Ann"))
    assert not supported("Ann has 4 dogs.", hit("I have three dogs.", by="Ann"))
    assert supported("It cost 1240 euros.", hit("It cost 1,240 euros."))


@pytest.mark.parametrize(
    ("sentence", "holds"),
    [
        ("Ann went to the museum on 7 May 2023.", True),
        ("Ann went to the museum in May 2023.", True),
        ("Ann went to the museum in 2023.", True),
        ("Ann went to the museum on Sunday, 7 May 2023.", True),
        ("Ann went to the museum on 2023-05-07.", True),
        ("Ann went to the museum on 2023-05-06.", False),
        ("Ann went to the museum on 8 May 2023.", False),
        ("Ann went to the museum on 7 June 2023.", False),
        ("Ann went to the museum on 7 May 2022.", False),
        ("Ann went to the museum on Friday.", False),
    ],
)
def test_dates_are_compared_as_days(hit, sentence, holds):
    assert supported(sentence, hit("I went to the museum yesterday.", by="Ann", on="2023-05-08T13:56")) is holds


def test_a_month_is_no_name(hit):
    one = hit("I went to the museum yesterday.", by="Ann", on="2023-03-08")
    assert supported("Then Ann went to the museum in March 2023.", one)
    assert supported("Then Ann went to the museum in March.", one)
    assert not supported("Then Ann went to the museum in August.", one)


def test_one_is_mostly_no_number(hit):
    assert supported("Ann sold one of her cars.", hit("I sold a car.", by="Ann"))
    assert supported("Ann sold 1 car.", hit("I sold one car.", by="Ann"))
    assert not supported("Ann sold 1 car.", hit("I sold a car.", by="Ann"))


def test_the_figures_of_a_date_are_no_date(hit):
    one = hit("I bought 7 apples yesterday.", by="Ann", on="2023-05-09")
    assert supported("Ann bought 7 apples on 8 May 2023.", one)
    assert not supported("Ann bought 7 apples on 7 May 2023.", one)


def test_a_text_without_a_day_stands_for_the_day_it_was_said(hit):
    one = hit("I adopted a cat.", by="Ann", on="2023-05-08")
    assert supported("Ann adopted a cat on 8 May 2023.", one)
    assert not supported("Ann adopted a cat on 7 May 2023.", one)
    assert not supported("Ann adopted a cat on 8 May 2023.", hit("I adopted a cat.", by="Ann"))


def test_a_nickname_is_the_same_name(hit):
    assert supported("Then Mel painted a horse.", hit("I painted a horse.", by="Melanie"))
    assert supported("Then Melanie painted a horse.", hit("I painted a horse.", by="Mel"))
    assert not supported("Then Melinda painted a horse.", hit("I painted a horse.", by="Melanie"))


@pytest.mark.parametrize(
    ("text", "sentence", "holds"),
    [
        ("Hey Ann! I lost my job.", "Ann lost her job.", False),
        ("I lost my job, Ann.", "Ann lost her job.", False),
        ("Ann, I lost my job.", "Ann lost her job.", False),
        ("Hey Ann! I lost my job.", "Bob told Ann that he lost his job.", True),
        ("Hey Ann! I lost my job.", "Bob lost his job.", True),
        ("I heard that Ann lost her job.", "Ann lost her job.", True),
        ("Ann lost her job.", "Ann lost her job.", True),
    ],
)
def test_who_is_only_called_out_to_is_not_spoken_of(hit, text, sentence, holds):
    one = hit(text, by="Bob Fox")
    assert supported(sentence, one, people=frozenset({"ann", "bob"})) is holds


def test_two_memories_carry_a_sentence_together(hit):
    one, two = hit("I sold my car.", by="Ann"), hit("I bought a boat in Porto.", by="Bob")
    sentence = "Ann sold a car and Bob bought a boat in Porto."
    people = frozenset({"ann", "bob"})
    checked = check(sentence, [one.cube, two.cube], 0, people=people)
    assert [citation.cube_id for citation in checked.citations] == [one.cube.id, two.cube.id]
    assert not supported(sentence, one, people=people)
    assert not supported(sentence, two, people=people)


def test_a_citation_that_adds_nothing_is_removed_and_counted(hit):
    one, other = hit("I sold my car.", by="Ann"), hit("The weather is nice.", by="Ann")
    checked = check("The car was sold.", [one.cube, other.cube, one.cube], 0)
    assert [citation.cube_id for citation in checked.citations] == [one.cube.id]
    assert checked.removed == 1


def test_repeating_the_question_proves_little(hit):
    one = hit("My favourite colour changes with every season.", by="Ann")
    sentence = "Ann's favourite colour is turquoise velvet."
    assert supported(sentence, one)
    assert not supported(sentence, one, question="What is Ann's favourite colour?")


@pytest.mark.parametrize(("cosine", "holds"), [(0.9, True), (0.59, False), (0.0, False)])
def test_closeness_makes_up_for_words_down_to_a_limit(hit, cosine, holds):
    def embed(texts):
        rows = np.zeros((len(texts), 2), np.float32)
        rows[0], rows[1:] = (1.0, 0.0), (cosine, np.sqrt(1 - cosine**2))
        return rows

    sentence = "Her home stands beside the shore."
    assert supported(sentence, hit("I live on the shore, in a lovely cottage."), embed=embed) is holds
    assert not supported("Her three homes stand beside the shore.", hit("I live on the shore."), embed=embed)
    assert not supported(sentence, hit("I live in a lovely cottage."), embed=embed)


def test_support_is_a_share_or_its_mean_with_the_closeness(hit):
    said = claim("The red car")
    cube = hit("A red bus.").cube
    plain, close = best_stretch(said, cube), best_stretch(said, cube, lambda texts: np.ones((2, 1), np.float32))
    assert (support(said, plain), support(said, close)) == (0.5, 0.75)


def test_a_name_far_away_in_a_long_memory_does_not_count(hit):
    filler = "Nothing of note was said here. " * 100
    one = hit(f"Then Zoe came. {filler}We sold the red car at the market.")
    assert not supported("Then Zoe sold the red car at the market.", one)
    assert supported("We sold the red car at the market.", one)


def test_a_memory_without_text_supports_nothing(hit):
    assert check("Ann moved.", [hit(" \n").cube], 0) == check("Ann moved.", [hit("").cube], 0)
    assert check("Ann moved.", [hit(" ").cube], 0).removed == 1


def naive_best(said, cube):
    """Every run of one to three sentences, the largest share, then the shortest, then the first."""
    places = sentence_spans(cube.text)
    best = None
    for length in (1, 2, 3):
        for first in range(len(places) - length + 1):
            start, end = places[first][0], places[first + length - 1][1]
            held = {term for term in said.terms if term in stems(cube.text[start:end])}
            share = sum(said.weights[term] for term in said.terms if term in held) / max(
                sum(said.weights.values()), 1e-9
            )
            if best is None or share > best[0] + 1e-12:
                best = (share, start, end)
    return best


some = st.lists(st.sampled_from(["kiln", "red", "car", "sold", "hall", ".", "!"]), max_size=20).map(" ".join)


@given(some, some)
def test_the_best_stretch_is_that_of_a_plain_search(hit, text, sentence):
    cube = hit(text).cube
    said = claim(sentence)
    found, naive = best_stretch(said, cube), naive_best(said, cube)
    if naive is None:
        assert found is None
    elif said.terms:
        assert (found.start, found.end) == naive[1:]
    for citation in check(sentence, [cube], 0).citations:
        assert cube.text[citation.start : citation.end] == citation.quote
        assert citation.support >= LEAST or not said.terms
