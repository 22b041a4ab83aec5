"""Which names of a question are names, and which facts it brings to mind."""

from __future__ import annotations

import numpy as np
import pytest

from remanence import reading
from remanence.cubes import Extraction, Fact
from remanence.recall import link
from remanence.recall.profile import Profile
from remanence.write.openie import CachedExtractor, Passage

DOCUMENTS = [
    ("New York City", "New York City is large. It was Ann."),
    ("New York", "New York has a coast."),
    ("Brother (song)", "a song that Ann sang"),
    ("Austin, Texas", "It is hot there."),
    ("Ann's House", "It is red."),
]
TURNS = ["my brother came", "her brother went", "his brother sang", "it was Bob with the Rose", "the House is Bob's"]


@pytest.fixture
def asked(memory, view):
    """The names in a question, with how many texts mention each and how many are about it."""
    for title, text in DOCUMENTS:
        memory.add({"content": text, "role": "document", "title": title}, user="u")
    memory.add(TURNS, user="v")

    def ask(question, user=None):
        seen = view(memory)
        mask = seen.alive if user is None else seen.user == seen.code(user)
        return {one.name: (one.mentions, one.about) for one in link.names(question, seen, mask)}

    return ask


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Is New York City large?", {"new york city": (1, 1)}),
        ("Is New York large?", {"new york": (1, 1)}),
        ("is new york or new york city larger", {"new york": (1, 1), "new york city": (1, 1)}),
        ("Was it Ann?", {"ann": (2, 0)}),
        ("was it ann?", {"ann": (2, 0)}),
        ("Ann, Ann and Ann", {"ann": (2, 0)}),
        ("What of Ann's House?", {"ann house": (1, 1)}),
        ("What of Bob's house?", {"bob": (2, 0), "house": (1, 0)}),
        ("Where is Austin, Texas?", {"austin texas": (1, 1)}),
        ("Where is Austin?", {"austin": (1, 0)}),
        ("Who sang Brother?", {"brother": (1, 1)}),
        ("Who sang Brother (song)?", {"brother song": (1, 0)}),
        ("Who is the brother of Bob?", {"bob": (2, 0)}),
        ("Brother of whom?", {}),
        ("what is it like there?", {}),
        ("Who is Zed of Nowhere?", {}),
        ("?", {}),
    ],
)
def test_names_of_a_question(asked, question, expected):
    assert asked(question) == expected


@pytest.mark.parametrize(("user", "expected"), [("u", {"ann": (2, 0)}), ("v", {"bob": (2, 0)})])
def test_only_names_that_texts_in_scope_mention(asked, user, expected):
    assert asked("was it Ann or Bob?", user) == expected


def test_a_longer_name_out_of_scope_does_not_hide_a_shorter_one(memory, view):
    memory.add("it is New York City", user="u")
    memory.add("it is New York", user="v")
    seen = view(memory)
    found = link.names("Is New York City large?", seen, seen.user == seen.code("v"))
    assert [one.name for one in found] == ["new york"]


def test_a_word_is_plain_where_most_texts_mean_no_name_by_it(memory, view):
    """At twice as many texts with the word it is still a name, at one more no longer."""
    memory.add(["it is Rose", "a rose"])
    seen = view(memory)
    assert [one.name for one in link.names("the rose", seen, seen.alive)] == ["rose"]
    memory.add("the rose again")
    seen = view(memory)
    assert link.names("the rose", seen, seen.alive) == []
    assert [one.name for one in link.names("the Rose", seen, seen.alive)] == ["rose"]


def test_a_name_that_only_a_model_found_is_no_name_of_a_question(memory, view):
    memory.add("it is all quiet")
    read(memory, {"it is all quiet": Extraction(("Quiet Place",))})
    seen = view(memory)
    assert link.names("Where is Quiet Place?", seen, seen.alive) == []


def read(memory, found):
    reading.read(
        memory._store, CachedExtractor([Passage(*one) for one in _passages(found)]), memory._encoding.documents
    )


def _passages(found):
    return [(text, "", one) for text, one in found.items()]


FACTS = {
    "one": Extraction((), (Fact("Ann", "lives in", "Rome"), Fact("Bob", "likes", "tea"))),
    "two": Extraction((), (Fact("Carl", "owns", "a red car"),)),
    "three": Extraction((), ()),
}


@pytest.fixture
def facts(memory, view):
    """The facts of a question, as subjects and values, closest first."""
    for user, text in zip("uvv", FACTS, strict=True):
        memory.add(text, user=user)
    read(memory, FACTS)

    def ask(question, user=None, **weights):
        seen = view(memory)
        mask = seen.alive if user is None else seen.user == seen.code(user)
        vector = memory._encoding.question(question)
        found = link.close_facts(vector, seen, mask, Profile(**weights))
        return link.kept_by_score(question, found, seen, Profile(**weights)), seen

    return ask


def numbers(seen, *names):
    hashes = np.array([link.entities.name_hash(name) for name in names], np.uint32)
    return tuple(seen.graph.names.find(hashes).tolist())


def test_a_fact_is_kept_if_the_question_names_one_of_its_sides(facts):
    found, seen = facts("Who lives in Rome?", facts_cut=2.0)
    assert [(one.subject, one.value) for one in found] == [numbers(seen, "ann", "rome")]
    assert found[0].slot == 0
    assert 0 < found[0].closeness <= 1.001


def test_else_only_if_it_is_very_close(facts):
    question = "who lives in and likes the owns"
    assert facts(question, facts_cut=2.0)[0] == []
    found, _ = facts(question, facts_cut=0.1)
    assert found
    assert [one.closeness for one in found] == sorted((one.closeness for one in found), reverse=True)
    assert len(facts(question, facts_cut=0.1, facts=1)[0]) == 1


def test_facts_of_texts_out_of_scope_are_not_brought_to_mind(facts):
    question = "Ann lives in Rome; Carl owns a red car"
    assert {one.slot for one in facts(question)[0]} == {0, 1}
    assert {one.slot for one in facts(question, "u")[0]} == {0}
    assert {one.slot for one in facts(question, "v")[0]} == {1}


def test_without_vectors_there_are_no_facts(wordy, view):
    wordy.add("one")
    reading.read(wordy._store, CachedExtractor([Passage("one", "", FACTS["one"])]), lambda _: None)
    seen = view(wordy)
    assert len(seen.graph.links[0]) == 2
    assert link.close_facts(np.ones(8, np.float32), seen, seen.alive, Profile()) == []
