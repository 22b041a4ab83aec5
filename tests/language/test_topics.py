"""Which known entities a question names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.language.topics import Topics, normalised

NAMES = [
    "New York", "New York City", "York", "Rome", "Up (film)", "It (novel)", "The", "AI", "The Who", "São Paulo", "Łódź", "Москва",
    "東京 Tower", "King's Cross", "AC/DC", "R2-D2", "3M", "2001: A Space Odyssey", "Rome (city)",
]  # fmt: skip


@pytest.fixture(scope="module")
def named():
    topics = Topics()
    for code, name in enumerate(NAMES):
        topics.add(name, code)

    def ask(question):
        return sorted(NAMES[code] for code in topics.named(question))

    return ask


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("How old is New York?", ["New York"]),
        ("How old is new york city hall?", ["New York City"]),
        ("Is York in New York City or New York?", ["New York", "New York City", "York"]),
        ("What is Rome like?", ["Rome", "Rome (city)"]),
        ("What of Rome (city)?", ["Rome (city)"]),
        ("What is Rome's age?", ["Rome", "Rome (city)"]),
        ("What is Rome’s age?", ["Rome", "Rome (city)"]),
        ("Is Up (film) good?", ["Up (film)"]),
        ("Who wrote It (novel)?", ["It (novel)"]),
        ("Did the Who play?", ["The Who"]),
        ("Is Sao Paulo large?", ["São Paulo"]),
        ("is são paulo large?", ["São Paulo"]),
        ("Is Łódź far?", ["Łódź"]),
        ("Где Москва?", ["Москва"]),
        ("Where is Москва on the map?", ["Москва"]),
        ("How high is 東京 Tower?", ["東京 Tower"]),
        ("Where is King's Cross?", ["King's Cross"]),
        ("Where is King’s Cross?", ["King's Cross"]),
        ("Is AC/DC loud?", ["AC/DC"]),
        ("Is R2 D2 small?", ["R2-D2"]),
        ("Who made 2001: a space odyssey?", ["2001: A Space Odyssey"]),
    ],
)
def test_named(named, question, found):
    assert named(question) == found


@pytest.mark.parametrize(
    "question",
    [
        "Is Romeo here?", "Yorkshire", "a new yorker", "What is up?", "Is it the AI?", "the tower of London", "3M", "Who is it?",
        "odz", "", "???", "New, old; Yorks", "a space odyssey",
    ],
)  # fmt: skip
def test_not_named(named, question):
    assert named(question) == []


def test_one_name_may_stand_for_several_entities():
    topics = Topics()
    topics.add("Rome", 1)
    topics.add("Rome (film)", 2)
    topics.add("ROME", 3)
    assert topics.named("rome") == {1, 2, 3}


def test_nothing_is_known_at_first():
    assert Topics().named("Rome") == frozenset()


def test_names_of_up_to_twelve_words_are_found():
    topics = Topics()
    for length in (12, 13):
        topics.add(" ".join(f"word{number}" for number in range(length)), length)
    assert topics.named("about " + " ".join(f"word{number}" for number in range(12)) + "?") == {12}
    assert topics.named(" ".join(f"word{number}" for number in range(13))) == {12}


@given(
    st.lists(st.sampled_from(["ab", "ac", "bc", "cd"]), min_size=1, max_size=4),
    st.lists(st.sampled_from("abcd"), max_size=8),
)
def test_longest_matches_from_the_left_as_a_naive_search_finds_them(some, letters):
    names = {" ".join(f"{letter * 3}" for letter in name) for name in [*some, "a", "abc"]}
    topics, codes = Topics(), {name: code for code, name in enumerate(sorted(names))}
    for name, code in codes.items():
        topics.add(name, code)
    words, expected = [letter * 3 for letter in letters], set()
    while words:
        fits = [name.split() for name in names if words[: len(name.split())] == name.split()]
        longest = max(fits, key=len, default=None)
        expected |= {codes[" ".join(longest)]} if longest else set()
        words = words[len(longest) if longest else 1 :]
    assert topics.named(" ".join(letter * 3 for letter in letters)) == expected


@given(st.text(st.characters(max_codepoint=0x24F), max_size=40))  # further on, some capitals appear by decomposing only
def test_normalising_twice_is_normalising_once(text):
    assert normalised(normalised(text)) == normalised(text)
