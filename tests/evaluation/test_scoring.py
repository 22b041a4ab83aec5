"""Scores of answers, and systems that are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.errors import InputError
from remanence.evaluation.probes import Facet, Probe
from remanence.evaluation.scoring import em, evaluate, f1, kept, normalised, subem


@dataclass(frozen=True)
class Likely:
    total: float
    greedy: bool


@dataclass(frozen=True)
class Book:
    """A system that looks its answers up; how likely a target is, it says by its length."""

    answers: dict[str, str]
    says: bool = True

    def answer(self, prompts: Sequence[str]) -> list[str]:
        return [self.answers.get(prompt, "") for prompt in prompts]

    def score(self, prompts: Sequence[str], targets: Sequence[str]) -> list[Likely]:
        return [Likely(-float(len(target)), len(target) < 5) for target in targets] if self.says else []


def test_the_usual_form():
    assert normalised(" The  Eiffel-Tower, a_b! ") == "eiffel tower b"
    assert em("The Lisbon.", ["lisbon"])
    assert not em("in Lisbon", ["Lisbon"])
    assert subem("in Lisbon, I think", ["Lisbon"])
    assert not subem("Lisbonne", ["Lisbon"])
    assert not subem("anything", ["the"])
    assert f1("two cats and a dog", ["cat"]) == pytest.approx(2 * 1 / (3 + 1))  # stop words do not count
    assert f1("", ["cat"]) == 0.0


@given(st.text(max_size=30), st.text(max_size=30))
def test_exact_answers_hold_themselves(text, other):
    if normalised(text):
        assert em(text, [text])
        assert subem(f"{other} {text}", [text])
    if em(text, [other]) and normalised(other):
        assert subem(text, [other])
    assert 0 <= f1(text, [other]) <= 1 + 1e-12


PROBES = (
    Probe("1", Facet.RELIABILITY, "a", " Oslo", (" Kristiania",)),
    Probe("2", Facet.RELIABILITY, "b", " Rome"),
    Probe("3", Facet.COUNTERFACTUAL, "c", " Ulm", against=(" Hamburg",)),
    Probe("4", Facet.COUNTERFACTUAL, "d", " Hamburg", against=(" Ulm",)),
)


def test_each_facet_has_its_share():
    scores = evaluate(Book({"a": "Kristiania", "b": "Paris", "c": "Hamburg", "d": "Hamburg"}), PROBES)
    assert scores.share(Facet.RELIABILITY).value == 0.5
    assert [one.right for one in scores.of(Facet.COUNTERFACTUAL)] == [
        True,
        False,
    ]  # by likelihood, not by what was written
    assert scores.forced(Facet.COUNTERFACTUAL).value == 0.5
    told = scores.to_json()
    assert set(told) == {"reliability", "counterfactual"}
    assert "Oslo" not in str(told)


def test_a_system_that_cannot_say_how_likely():
    scores = evaluate(Book({"d": "Hamburg"}, says=False), PROBES)
    assert scores.forced(Facet.RELIABILITY) is None
    assert scores.share(Facet.COUNTERFACTUAL).value == 0.5


def test_a_system_that_loses_answers_is_found_out():
    class Short(Book):
        def answer(self, prompts):
            return super().answer(prompts)[1:]

    with pytest.raises(InputError, match="3 answers to 4 probes"):
        evaluate(Short({}), PROBES)
    assert evaluate(Short({}), ()).outcomes == ()


def test_what_stays_as_it_was():
    guard = [Probe(str(n), Facet.LOCALITY, str(n), " x") for n in range(4)]
    before = evaluate(Book({"0": "One.", "1": "Two", "2": "Three", "3": "Four"}), guard)
    after = evaluate(Book({"0": "one", "1": "Two", "2": "Three", "3": "Five"}), guard)
    assert kept(before, after).value == 0.75
    with pytest.raises(InputError, match="different probes"):
        kept(before, evaluate(Book({}), guard[1:]))
