"""Routing: the adapter that knows, in its scope, at most two, and none where none knows."""

from __future__ import annotations

import numpy as np
import pytest

from remanence.cubes import Scope
from remanence.errors import InputError
from remanence.evaluation.world import World
from remanence.parametric.routing import Asked, Routable, Router, admits


@pytest.fixture(scope="module")
def world():
    return World(seed=3, people=20)


def documents(world, size=12):
    facts = world.facts[:48]
    return {f"d{at // size}": facts[at : at + size] for at in range(0, len(facts), size)}


def routed(world, **options):
    router = Router(**options)
    for name, facts in documents(world).items():
        router.add(Routable(name, tuple(world.statement(fact) for fact in facts)))
    return router


def questions(world, template):
    known = [
        Asked(world.question(fact, template), (name,)) for name, facts in documents(world).items() for fact in facts
    ]
    unknown = [Asked(world.question(fact, template)) for fact in world.fresh(8)]
    return known, unknown


def embed(texts):
    """Unit vectors of letter triples: something that is no bag of words."""
    found = np.zeros((len(texts), 512), np.float32)
    for row, text in enumerate(texts):
        for at in range(len(text) - 2):
            found[row, sum(ord(char) * 31**n for n, char in enumerate(text[at : at + 3])) % 512] += 1
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.parametrize("options", [{}, {"embed": embed}])
def test_it_chooses_the_one_that_knows_and_none_otherwise(world, options):
    router = routed(world, **options)
    known, unknown = questions(world, 0)
    fit = router.fit([*known[::2], *unknown[::2]])
    assert router.threshold == fit.threshold
    assert fit.missed + fit.false <= 0.1
    for template in (0,) if options else (0, -1):
        known, unknown = questions(world, template)
        right = [one.names[0] in router.choose(one.question).names for one in known]
        none = [not router.choose(one.question).names for one in unknown]
        assert np.mean(right) >= (0.8 if options else 0.9)
        assert np.mean(none) >= 0.85


def test_at_most_two(world):
    router = Router(threshold=0.01, ratio=0.8)
    for name in "abc":
        router.add(Routable(name, ("Mira Kovac lives in Lisbon.",)))
    choice = router.choose("Where does Mira Kovac live?")
    assert choice.names == ("a", "b")
    assert len(choice.scores) == 3
    router.add(Routable("b", ("Ugo Conti has a dog called Rex.",)))
    assert router.choose("Where does Mira Kovac live?").names == ("a", "c")
    router.remove("a")
    assert router.choose("Where does Mira Kovac live?").names == ("c",)
    router.remove("nobody")
    assert router.names == ("b", "c")


def test_a_scope_hides_what_is_not_the_askers():
    router = Router(threshold=0.1)
    text = ("Mira Kovac lives in Lisbon.",)
    router.add(Routable("all", text, (Scope(),)))
    router.add(Routable("ana", text, (Scope(user="ana"),)))
    router.add(Routable("both", text, (Scope(user="ana"), Scope(user="ben"))))
    router.add(Routable("other", text, (Scope(space="other"),)))
    seen = {
        scope: {name for name, _ in router.choose("Where does Mira Kovac live?", scope).scores}
        for scope in (Scope(), Scope(user="ana"), Scope(user="ben"), Scope(space="other"), Scope(space="third"))
    }
    assert list(seen.values()) == [{"all"}, {"all", "ana"}, {"all"}, {"other"}, set()]
    assert router.choose("Where does Mira Kovac live?", Scope(space="third")).names == ()


def test_scopes():
    assert admits(Scope(user="ana", agent="x", session="s"), Scope(user="ana"))
    assert not admits(Scope(user="ana"), Scope(user="ana", session="s"))
    assert not admits(Scope(agent="x"), Scope(agent="y"))


def test_the_threshold_lies_between_the_kinds():
    router = Router()
    router.add(Routable("a", ("red green blue",)))
    fit = router.fit([Asked("red green blue", ("a",)), Asked("red green", ("a",)), Asked("black white")])
    assert (fit.missed, fit.false) == (0, 0)
    assert fit.threshold == pytest.approx(router.scores("red green")[0][1] / 2)
    fit = router.fit([Asked("red green blue", ("b",)), Asked("red green")])
    assert fit.missed == 1  # the wrong one was found
    assert router.scores("") == [("a", 0.0)]


def test_what_cannot_be_routed():
    router = Router()
    with pytest.raises(InputError):
        router.choose("Where?")
    with pytest.raises(InputError):
        router.add(Routable("a", (" ",)))
    with pytest.raises(InputError):
        router.add(Routable("a", ("text",), ()))
    router.add(Routable("a", ("text",)))
    for asked in ([], [Asked("text", ("a",))], [Asked("other")]):
        with pytest.raises(InputError):
            router.fit(asked)
