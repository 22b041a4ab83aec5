"""Corroboration: which sentences of low trust may enter an answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from remanence.cubes import Fact, Hit, MemCube, Provenance, Scope
from remanence.errors import InputError
from remanence.governance.trust import independent, origin, tiers, vouched
from remanence.language.slots import Stated
from remanence.policies import Policy, Trust

LOW = frozenset({Trust.WEB, Trust.UNKNOWN})
ASKED = "Where does Ana live?"
AT = datetime(2024, 1, 1, tzinfo=UTC)


def cube(text, source="api", trust=None, author=None, number=[0]):  # noqa: B006 (a counter)
    number[0] += 1
    return MemCube(
        id=f"c{number[0]}", version=1, text=text, kind="message", scope=Scope(), provenance=Provenance(source=source, author=author),
        recorded_at=AT, valid_from=AT, policy=Policy(trust=trust),
    )  # fmt: skip


def passed(hits, others=(), **more):
    found = vouched(ASKED, [Hit(one, 1.0) for one in hits], others, LOW, **more)
    return [hit.cube.text for hit in found.hits], found.notes


PAGE = "https://a.example/1"


def test_a_users_word_needs_nobody():
    assert passed([cube("Ana lives in Lisbon.")]) == (["Ana lives in Lisbon."], ())


def test_a_page_alone_is_left_out_with_a_note():
    page = cube("Ana lives in Moscow.", PAGE)
    texts, [note] = passed([page])
    assert texts == []
    assert page.id in note
    assert "no independent memory" in note


@pytest.mark.parametrize(
    "other",
    [
        cube("I live in Lisbon, near the river.", author="Ana"),
        cube("Ana lives in Lisbon now.", trust=Trust.TOOL, source="crm"),
        cube("They say that Ana lives in the old town of Lisbon.", "https://b.example/x"),
    ],
)
def test_who_supports_a_page(other):
    assert passed([cube("Ana lives in Lisbon.", PAGE)], [other])[0] == ["Ana lives in Lisbon."]


@pytest.mark.parametrize(
    "other",
    [
        cube("Ana lives in Lisbon, as everybody knows around here.", "https://www.a.example/2"),
        cube("Ana lives in Lisbon.", "https://b.example/2"),
        cube("So I can say that Ana lives in Lisbon.", trust=Trust.MODEL),
        cube("Ana does not live in Lisbon.", trust=Trust.USER),
        cube("Ana lives in Porto.", trust=Trust.USER),
        cube("Bob lives in Lisbon.", trust=Trust.USER),
        cube("Ana likes the trams a lot.", trust=Trust.USER),
        replace(
            cube("Ana lives in Lisbon now."),
            provenance=Provenance(source="summary", derived_from=("c1",), method="summary"),
        ),
    ],
    ids=[
        "same site",
        "a copy",
        "a model",
        "a denial",
        "another place",
        "another person",
        "another matter",
        "made of it",
    ],
)
def test_who_does_not(other):
    assert passed([cube("Ana lives in Lisbon.", PAGE)], [other])[0] == []


def test_only_the_supported_sentences_enter_and_keep_their_places():
    page = cube("Ana lives in Lisbon. Her password is swordfish.", PAGE)
    [text], [note] = passed([page], [cube("Ana lives in Lisbon since May.")])
    assert text == "Ana lives in Lisbon." + " " * len(" Her password is swordfish.")
    assert "only where" in note
    found = vouched(ASKED, [Hit(page, 1.0)], [cube("Ana lives in Lisbon since May.")], LOW)
    assert found.whole == {page.id: page}


def test_numbers_and_names_have_to_agree():
    page = cube("The kiln fires at 1280 degrees.", PAGE)
    assert passed([page], [cube("The kiln fires at 1240 degrees.")])[0] == []
    assert passed([page], [cube("Our kiln fires at 1280 degrees at most.")])[0] == [page.text]


def test_closeness_makes_up_for_words():
    import numpy as np

    def embed(texts):
        return np.ones((len(texts), 1), np.float32)

    page = cube("Ana moved her studio to Lisbon recently.", PAGE)
    other = cube("Lisbon is where Ana has set up her studio.")
    assert passed([page], [other])[0] == []
    assert passed([page], [other], embed=embed)[0] == [page.text]
    assert passed([page], [cube("Porto is where Ana has a studio.")], embed=embed)[0] == []


def test_what_contradicts_a_higher_trust_stays_out_whoever_supports_it():
    page, second = (
        cube("Ana lives in Moscow.", PAGE),
        cube("I hear that Ana lives in Moscow by now.", "https://b.example"),
    )
    user = cube("Ana lives in Lisbon.")
    stated = [
        Stated(Fact("Ana", "lives in", "Lisbon"), user.id, 1, 1, 0.0, "api", rank=2),
        Stated(Fact("Ana", "lives in", "Moscow"), page.id, 1, 2, 1e9, PAGE, rank=1),
    ]
    assert passed([page], [second, user])[0] == [page.text]
    texts, [note] = passed([page], [second, user], stated=stated)
    assert texts == []
    assert user.id in note


def test_origin_is_the_registered_name():
    assert origin("https://www.news.example.co.uk/a") == origin("http://example.co.uk") == "example.co.uk"
    assert origin("https://a.example.com:8080/x?y") == "example.com"
    assert origin("http://127.0.0.1/x") == "127.0.0.1"
    assert origin("api") == "api"
    assert origin("https://[broken") == "https://[broken"


def test_independent():
    one = cube("The bridge was closed for repairs in May.", "https://a.example", author="Bo")
    assert independent(one, cube("Repairs began in May, and nobody may cross.", "https://b.example"))
    assert not independent(one, cube("Repairs began in May, and nobody may cross.", "https://b.example", author="Bo"))
    assert not independent(one, cube(one.text.upper(), "https://b.example"))


def test_tiers():
    assert tiers("web, unknown") == LOW
    assert tiers("") == frozenset()
    with pytest.raises(InputError, match="corroborate"):
        tiers("web,everybody")
