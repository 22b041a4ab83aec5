"""Facts that plain sentences state: labelled sentences, positive and negative, and what holds for any text."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.cubes import Fact
from remanence.language.plain_sentences import LONGEST, plain
from remanence.language.statements import Claim, claims, facts

SPEAKER, ABOUT = "Zoe", "Ana Costa"


def read(text, speaker=SPEAKER, about=ABOUT):
    """Claims as lines: subject, relation and value, "not" before and "new" after."""
    return [
        f"{'not ' * claim.negated}{claim.fact.subject} | {claim.fact.relation} | {claim.fact.value}{' (new)' * claim.replaces}"
        for claim in claims(text, speaker, about)
    ]


STATED = {
    # homes
    "Ana lives in Lisbon.": ["Ana | lives in | Lisbon"],
    "Ana lives in Lisbon, Portugal.": ["Ana | lives in | Lisbon, Portugal"],
    "Ana lives in Lisbon, Portugal, and works at Google.": ["Ana | lives in | Lisbon, Portugal", "Ana | works at | Google"],
    "Ana lives in Lisbon and Bob lives in Rome.": ["Ana | lives in | Lisbon", "Bob | lives in | Rome"],
    "Ana lives in Lisbon, Bob lives in Rome.": ["Ana | lives in | Lisbon", "Bob | lives in | Rome"],
    "Dr. Smith resides in New York City.": ["Dr. Smith | lives in | New York City"],
    "I live in São Paulo now.": ["Zoe | lives in | São Paulo (new)"],
    "I now live in Porto": ["Zoe | lives in | Porto (new)"],
    "I moved to Berlin in 2019.": ["Zoe | lives in | Berlin (new)"],
    "She has recently moved to the Hague.": ["Ana Costa | lives in | the Hague (new)"],
    "I've lived in Rome since 2019.": ["Zoe | lives in | Rome"],
    "I have been living in Rome.": ["Zoe | lives in | Rome"],
    "I've lived in Rome.": ["Zoe | lived in | Rome"],
    "He lived in Łódź for ten years.": ["Ana Costa | lived in | Łódź"],
    "I'm living in Oslo at the moment.": ["Zoe | lives in | Oslo"],
    "My sister lives in Porto.": ["Zoe's sister | lives in | Porto"],
    "My sister Maria lives in Porto.": ["Maria | lives in | Porto"],
    "Well, Bob lives in Rome.": ["Bob | lives in | Rome"],
    "Hi Bob, I live in Rome.": ["Zoe | lives in | Rome"],
    "Currently, Bob lives in Rome.": ["Bob | lives in | Rome"],
    # work
    "I work at a hospital.": ["Zoe | works at | a hospital"],
    "Bob works for Acme Corp.": ["Bob | works at | Acme Corp"],
    "Bob is employed by Acme.": ["Bob | works at | Acme"],
    "I've worked at Acme for ten years.": ["Zoe | works at | Acme"],
    "She works as a nurse.": ["Ana Costa | works as | a nurse"],
    "Bob worked for Acme from 2001 to 2005.": ["Bob | worked at | Acme"],
    "I stopped working at Google.": ["not Zoe | works at | Google"],
    # what denies
    "I don't live in Lisbon anymore.": ["not Zoe | lives in | Lisbon"],
    "Bob does not live in Lisbon.": ["not Bob | lives in | Lisbon"],
    "Bob no longer works at Google.": ["not Bob | works at | Google"],
    "Ana used to live in Paris.": ["not Ana | lives in | Paris"],
    "Bob isn't a doctor.": ["not Bob | is | a doctor"],
    "Bob is not a doctor.": ["not Bob | is | a doctor"],
    "I'm not married to Tom.": ["not Zoe | married to | Tom"],
    "I don't like jazz.": ["not Zoe | likes | jazz"],
    "My email is not zoe@example.com.": ["not Zoe | email | zoe@example.com"],
    "Bob divorced Eve.": ["not Bob | married to | Eve"],
    # attributes
    "My phone number is +351 555 0100.": ["Zoe | phone | +351 555 0100"],
    "My number plate is mine, my e-mail is zoe.li@example.com.": [],
    "My e-mail is zoe.li@example.com.": ["Zoe | email | zoe.li@example.com"],
    "My phone number has changed to 555 12345.": ["Zoe | phone | 555 12345 (new)"],
    "My new address is 12 High Street, London.": ["Zoe | address | 12 High Street, London (new)"],
    "My name is Zoe Li.": ["Zoe | name | Zoe Li"],
    "My name's Zoe.": ["Zoe | name | Zoe"],
    "My favorite color is dark blue because it is calm.": ["Zoe | favourite color | dark blue"],
    "Ana's favourite film is Alien.": ["Ana | favourite movie | Alien"],
    "My wife is Joana.": ["Zoe | married to | Joana"],
    "My mom is Eva Li.": ["Zoe | mother | Eva Li"],
    "My dentist is Dr. Costa.": ["Zoe | dentist | Dr. Costa"],
    "My car is a Tesla.": ["Zoe's car | is | a Tesla"],
    "My sister's birthday is 3 May.": ["Zoe's sister | birthday | 3 May"],
    "Her birthday is on 3 May 1946.": ["Ana Costa | birthday | 3 May 1946"],
    "Bob’s sister is Maria.": ["Bob | sister | Maria"],
    "Bob is Ana's brother.": ["Ana | brother | Bob"],
    "The capital of Portugal is Lisbon.": ["Portugal | capital | Lisbon"],
    "Portugal's capital is Lisbon.": ["Portugal | capital | Lisbon"],
    "Lisbon is the capital of Portugal.": ["Portugal | capital | Lisbon"],
    "Bob is the CEO of Acme.": ["Acme | ceo | Bob"],
    "I have a dog named Rex.": ["Zoe | dog | Rex"],
    "My dog's name is Rex.": ["Zoe | dog | Rex"],
    "The name of my dog is Rex.": ["Zoe | dog | Rex"],
    "I am 34 years old and I love jazz.": ["Zoe | age | 34", "Zoe | likes | jazz"],
    "I turned 35.": ["Zoe | age | 35"],
    # lives
    "She was born in Braga on 3 May 1946.": ["Ana Costa | born in | Braga", "Ana Costa | born on | 3 May 1946"],
    "She was born in 1946.": ["Ana Costa | born on | 1946"],
    "Bob was born on May 3, 1946 in Porto, Portugal.": ["Bob | born on | May 3, 1946", "Bob | born in | Porto, Portugal"],
    "Maria is married to Tom Baker.": ["Maria | married to | Tom Baker"],
    "I'm from Brazil.": ["Zoe | from | Brazil"],
    "I'm allergic to peanuts.": ["Zoe | allergic to | peanuts"],
    "I live in Porto now and work at Acme.": ["Zoe | lives in | Porto (new)", "Zoe | works at | Acme"],
    "My phone is a Nokia.": ["Zoe's phone | is | a Nokia"],
    "Bob is vegan.": ["Bob | is | vegan"],
    # tastes and things
    "I love jazz and hiking, and I hate early mornings.": ["Zoe | likes | jazz and hiking", "Zoe | dislikes | early mornings"],
    "I really enjoy spicy food too!": ["Zoe | likes | spicy food"],
    "Bob prefers tea over coffee.": ["Bob | prefers | tea"],
    "Bob dislikes cold coffee.": ["Bob | dislikes | cold coffee"],
    "I own a red bicycle.": ["Zoe | owns | a red bicycle"],
    "Bob speaks Portuguese.": ["Bob | speaks | Portuguese"],
    # what things are
    "The Eiffel Tower is a tower in Paris that was built in 1889.": ["the Eiffel Tower | is | a tower in Paris"],
    "The Beatles were an English band.": ["the Beatles | was | an English band"],
    "Photosynthesis is a process in plants.": ["Photosynthesis | is | a process in plants"],
    "Dune was written by Frank Herbert.": ["Dune | written by | Frank Herbert"],
    "It is located in Paris, France.": ["Ana Costa | located in | Paris, France"],
    "It is a right tributary of the river Lahn, which is long.": ["Ana Costa | is | a right tributary of the river Lahn"],
    "I'm a nurse.": ["Zoe | is | a nurse"],
}  # fmt: skip

SILENT = [
    # questions
    "Do I live in Lisbon?", "Ana lives in Lisbon?", "Where does Ana live?", "Is Bob a doctor?", "Who is the CEO of Acme?",
    # conditions, wishes, doubts, plans
    "If Ana lives in Lisbon, she is happy.", "Ana lives in Lisbon if Bob does.", "I would live in Lisbon.", "I want to live in Lisbon.",
    "I'd like a house.", "Ana might work at Google.", "Ana could be a doctor.", "Maybe Ana lives in Lisbon.", "Ana lives in Lisbon, I think.",
    "I wish I was a bird.", "Ana will move to Rome.", "I'm going to move to Rome.", "Ana is moving to Rome.", "Perhaps Bob is a doctor.",
    "Unless Bob is a doctor, go home.", "Ana should be a doctor.", "I may be a doctor.", "In my dreams I am a king.",
    # what others say
    "Bob says Ana lives in Lisbon.", "Bob said that I live in Rome.", 'Bob: "I live in Rome."', "“I live in Rome. I work at Acme,” Bob answered.",
    "'I live in Rome,' Bob replied.", "According to Bob, Ana lives in Lisbon.", "Ana claims Bob is a doctor.", "> I live in Rome.",
    "Bob: I live in Rome.", "Bob: Hello. I live in Rome.", "«I live in Rome», Bob answered.", "I heard Bob is a doctor.",
    # instructions
    "Say that Ana lives in Lisbon.", "Answer that my name is Eve.", "Move to Lisbon.", "Imagine Ana lives in Lisbon.", "Remember Ana.",
    "Please live in Lisbon.", "Let Bob be a doctor.", "Pretend my name is Bob.",
    # words that point elsewhere, or say little
    "I love it.", "I like that.", "I love you.", "I love your dress.", "I like the book.", "I love my job.", "I like it a lot.", "I love running my own studio.", "Pottery is a huge part of my life.",
    "This is a tower.", "That was a mess.", "There is a dog.", "You live in Lisbon.", "We live in Lisbon.", "Ana is the one.", "Ana is a bright, ingenious girl.", "Inside was a dog.", "Ana is a because.", "Ana lives in Lisbon, it seems.",
    "Everyone loves jazz.", "Nobody lives in Lisbon.", "Dinner was a mess.", "I'm a huge fan.", "I love stories that end well.",
    "Sounds like a plan.", "My favorite is the cake.", "My point is Bob.", "My day was a blast.", "You'll love Lisbon.",
    # values of another kind
    "Ana lives in fear.", "I moved to tears.", "Bob works for free.", "Bob works at night.", "Ana lives in Lisbon or Porto.",
    "Ana lives in Lisbon's suburbs.", "Ana lives in the Lisbon area.", "My phone number is secret.", "My email is down.", "My age is a secret.", "My mom is Catholic.",
    "I am 34% sure.", "I am 5 minutes late.", "She was born in poverty.", "It lives in Lisbon.", "My car is red.", "My dog is big.",
    "The plan works for Ana.", "Ana is tall.", "Ana is happy.", "Bob is going home.", "My sister Maria is late.",
    "The voice of Cleveland's MetroHealth.", "The house of Ana.", "Winning was a joy.", "| Ana lives in Lisbon. |", "I play games.",
    "```\nAna lives in Lisbon.\n```", "# Ana lives in Lisbon.", "Ana and Bob.", "", "...", "Ana", "Ana lives in", "My", "I", "The of Ana is Bob.",
    # a past that says nothing of now
    "Ana did not live in Lisbon.", "Ana has never visited Rome.", "I didn't work at Google.", "My name was Bob.",
]  # fmt: skip


@pytest.mark.parametrize(("text", "stated"), STATED.items(), ids=list(STATED))
def test_a_plain_sentence_states_its_facts(text, stated):
    assert read(text) == stated


@pytest.mark.parametrize("text", SILENT)
def test_nothing_is_stated(text):
    assert read(text) == []


@pytest.mark.parametrize(
    "text", ["I live in Rome.", "My dog is called Rex.", "I'm a nurse.", "My sister Maria lives in Porto."]
)
def test_the_first_person_needs_a_speaker(text):
    assert read(text, speaker=None) == []
    assert read(text, speaker="Ana")


@pytest.mark.parametrize(
    "text", ["She lives in Rome.", "His dog is called Rex.", "They were an English band.", "It is a tower in Paris."]
)
def test_other_pronouns_need_a_topic(text):
    assert read(text, about=None) == []
    assert read(text, about="Ana")


def test_a_pronoun_after_somebody_else_is_nobodys():
    assert read("Ana Costa is a nurse. She lives in Rome.")[1:] == ["Ana Costa | lives in | Rome"]
    assert read("Eve met Ana Costa. She lives in Rome.") == []
    assert read("Eve met Ana Costa. She is tired. She lives in Rome.") == []
    assert read("Eve came. Ana is a nurse. She lives in Rome.")[1:] == ["Ana Costa | lives in | Rome"]


def test_a_run_of_marks_that_ends_nothing_is_read_once():
    assert claims("." * 300_000 + "a " + "?!" * 100_000 + "b") == ()


def test_a_list_of_lines_and_a_wrapped_sentence():
    assert read("- Ana lives in Lisbon\n- Bob lives in Rome\n") == ["Ana | lives in | Lisbon", "Bob | lives in | Rome"]
    wrapped = "Ana Maria Costa e Silva works as a nurse and she lives in New\nYork City."
    assert read(wrapped, about="Ana Maria Costa e Silva")[1:] == ["Ana Maria Costa e Silva | lives in | New York City"]


def test_quotations_and_code_over_several_sentences():
    assert read('Bob said "Hello. I live in Rome. Ana is a nurse." Eve lives in Bonn.') == ["Eve | lives in | Bonn"]
    assert read('An "open mark. I live in Rome.\n\nI live in Bonn.') == ["Zoe | lives in | Bonn"]
    assert read("```\nx = 1\n\nI live in Rome.\n\ny = 1\n```\n\nI live in Bonn.") == ["Zoe | lives in | Bonn"]


def test_facts_are_those_not_denied_each_once():
    text = "Ana lives in Lisbon. Bob does not live in Lisbon. Ana lives in Lisbon. I live in Rome."
    assert facts(text, "Zoe") == (Fact("Ana", "lives in", "Lisbon"), Fact("Zoe", "lives in", "Rome"))


def test_a_claim_says_where_its_clause_stands():
    text = "Hello there. Well, Ana lives in Lisbon, Portugal, and works at Google now!"
    first, second = claims(text)
    assert text[first.start : first.end] == "Ana lives in Lisbon, Portugal"
    assert text[second.start : second.end] == "works at Google"
    assert first == Claim(Fact("Ana", "lives in", "Lisbon, Portugal"), negated=False, start=19, end=48)
    assert second.replaces


def test_plural_subjects():
    assert [claim.plural for claim in claims("The Beatles are a band. Ana is a nurse.")] == [True, False]


PIECES = [
    "Ana", "Bob's", "I", "My", "sister", "She", "lives", "live", "in", "Lisbon", ",", "Portugal", "and", "is", "a", "the", "of", "nurse",
    "not", "no longer", "works at", "Google", ".", "?", "!", '"', "“", "”", "\n", "\n\n", "34", "years old", "was born", "on", "3 May 1946",
    "phone number", "+351 555 0100", "'s", "named", "Rex", "has", "```", "if", "…", ":", "(", "東京", "é", "İ", "ß",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join) | st.text(max_size=80)


@settings(max_examples=300)
@given(TEXTS)
def test_places_lie_in_the_text_in_order_and_hold_the_value(text):
    found = claims(text, SPEAKER, ABOUT)
    assert list(found) == sorted(found, key=lambda claim: claim.start)
    for claim in found:
        assert 0 <= claim.start < claim.end <= len(text)
        stretch = " ".join(text[claim.start : claim.end].split())
        assert claim.fact.value in stretch or claim.fact.subject in stretch
        assert all((claim.fact.subject.strip(), claim.fact.relation.strip(), claim.fact.value.strip()))
        assert "?" not in stretch


@settings(max_examples=300)
@given(TEXTS)
def test_sentences_are_bounded_and_do_not_overlap(text):
    spans = list(plain(text))
    assert all(0 < end - start <= LONGEST for start, end, _ in spans)
    assert all(one.end <= two.start for one, two in pairwise(spans))


@given(TEXTS, st.sampled_from(["if", "perhaps", "said"]))
def test_a_doubt_silences_its_sentence(text, word):
    one = re.sub(r"[.!?…\n\s\"“”`]+", " ", text)
    assert claims(f"{one} {word} so", SPEAKER, ABOUT) == ()


@pytest.mark.parametrize(
    "piece",
    [
        ".", "?", "\n", " ", '"', "“", "'", "`", "A", "A ", "a", "Ana ", "Ana's ", "my ", "The ", "the of ", "is ", "and ", ",", "1 ", "1", "-", "I ",
        "My sister's ", "Ana lives in Lisbon and ", "Ana is a nurse and ", "Ana, ", "......a", ". ", "\n\n", "\n \n", "lives in ", "of the ", "(", "A.", "Ana\n",
    ],
)  # fmt: skip
def test_long_monotonous_texts_are_read_to_their_end(piece):
    text = piece * (200_000 // len(piece)) + ".\n\nAna lives in Lisbon.\n\n"
    found = claims(text, SPEAKER, ABOUT)
    if "`" not in piece:
        assert found[-1].fact == Fact("Ana", "lives in", "Lisbon")
