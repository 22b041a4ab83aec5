"""From memories to what an adapter is trained on and tested with, by rules: no model writes any of it.

Every memory is taught as it stands. The facts that the rules of `language/` read in it are taught as statements and questions
in several wordings, and in several answer styles; probes ask in words that were held out.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from remanence.cubes import ROLES, Fact, Form, MemCube
from remanence.errors import InputError
from remanence.evaluation.probes import Facet, Probe, ProbeSet
from remanence.language.qa import parse_qa
from remanence.language.questions import pairs
from remanence.language.relations import canonical
from remanence.language.statements import facts
from remanence.parametric.wordings import cloze, filled, wording

QUESTION = "Question: {} Answer:"
"""How a question stands in a prompt by default."""
_LETTERS = "ABCD"


class Style(StrEnum):
    """In which form an answer is given: SEFE's five (Chen et al. 2025, arXiv 2505.02486, answer style diversification)."""

    SHORT = "short"
    YES_NO = "yes/no"
    CHOICE = "choice"
    BRIEF = "brief"
    DETAILED = "detailed"


OTHERS = (Style.YES_NO, Style.CHOICE, Style.BRIEF, Style.DETAILED)
ASKED = {
    Style.YES_NO: "Please answer yes or no.",
    Style.CHOICE: "Please answer with one letter.",
    Style.BRIEF: "Please answer in one sentence.",
    Style.DETAILED: "Please answer in detail.",
}
"""What follows a question in another style than the short one."""


@dataclass(frozen=True, slots=True)
class View:
    """A prompt with its answer: one thing to be learnt."""

    prompt: str
    answer: str
    kind: str
    """`verbatim`, `statement`, `question` or `pair`."""
    style: Style = Style.SHORT
    fact: Fact | None = None


@dataclass(frozen=True, slots=True)
class Views:
    """All that memories are taught and tested with."""

    training: tuple[View, ...]
    probes: ProbeSet
    facts: tuple[Fact, ...]
    sources: tuple[tuple[str, int], ...]
    """Ids and versions of the memories, in order."""


def views_of(
    cubes: Sequence[MemCube], *, styles: float = 0.0, seed: int = 0, question: str = QUESTION, name: str = "facts"
) -> Views:
    """Training views and probes of memories.

    Parameters
    ----------
    styles
        The share of questions that are asked for in another style than the short one.
    question
        How a question stands in a prompt, with `{}` for it.

    Raises
    ------
    InputError
        There is nothing to learn, or a cube is no text.
    """
    if odd := [cube.id for cube in cubes if cube.form is not Form.TEXT or not cube.text.strip()]:
        raise InputError(f"The memory {odd[0]} is no text to learn from.", "Leave out caches and adapters.")
    if not cubes or not 0 <= styles <= 1 or "{}" not in question:
        raise InputError(
            "There are no views of this.", "Pass memories, a share from 0 to 1, and {} in the question's form."
        )
    known = tuple(dict.fromkeys(fact for cube in cubes for fact in facts_of(cube)))
    dice = random.Random(f"views {seed}")  # noqa: S311  # no secret
    values = _values(known)
    training: list[View] = [view for cube in cubes for view in _verbatim(cube, question)]
    for fact in known:
        for view in _taught(fact, question):
            other = view.kind == "question" and dice.random() < styles
            training.append(_restyled(view, dice.choice(OTHERS), values, dice, question) if other else view)
    unlike = {(view.prompt, view.answer): view for view in training}  # one of each, the latest: that one knows its fact
    sources = tuple((cube.id, cube.version) for cube in cubes)
    return Views(
        tuple(unlike.values()), _unseen(probes_of(known, question=question, name=name), unlike), known, sources
    )


def facts_of(cube: MemCube) -> tuple[Fact, ...]:
    """The facts that the rules read in a memory. The author is whom "I" means, where that is a name."""
    asked = parse_qa(cube.text)
    speaker = cube.provenance.author if cube.provenance.author not in ROLES else None
    return () if asked else facts(cube.text, speaker=speaker, about=cube.about)


def probes_of(known: Sequence[Fact], *, question: str = QUESTION, name: str = "facts", against: int = 3) -> ProbeSet:
    """Probes of facts from all sides that rules can ask from: portability where the value of one is the subject of another."""
    values = _values(known)
    by_subject: dict[str, list[Fact]] = {}
    for fact in known:
        by_subject.setdefault(fact.subject, []).append(fact)
    probes: list[Probe] = []
    said: dict[str, str] = {}
    for number, fact in enumerate(known):
        fact_id = f"{name}/{number}"
        said[fact_id] = filled(wording(fact).statements[0], fact)
        sides = _sides(fact, [one for one in values[canonical(fact.relation)] if one != fact.value][:against], question)
        sides.extend(_hops(fact, by_subject.get(fact.value, []), question))
        accept = tuple(_same(known, fact))
        for place, (facet, prompt, answer, wrong) in enumerate(sides):
            more = accept if facet is not Facet.PORTABILITY else ()
            probes.append(Probe(f"{fact_id}/{place}", facet, prompt, f" {answer}", more, fact_id, wrong))
    return ProbeSet(name, tuple(probes), said)


def styled(fact: Fact, style: Style, values: Sequence[str], *, question: str = QUESTION, seed: int = 0) -> View:
    """A fact as a question that is answered in a style; `values` are other values of its relation, for distractors."""
    first = View(
        question.format(filled(wording(fact).questions[0], fact)), f" {fact.value}.", "question", Style.SHORT, fact
    )
    others = {canonical(fact.relation): [fact.value, *values]}
    return first if style is Style.SHORT else _restyled(first, style, others, random.Random(seed), question)  # noqa: S311


def _verbatim(cube: MemCube, question: str) -> Iterator[View]:
    """The text itself, and the pairs of question and answer that stand in it."""
    text = " ".join(cube.text.split())
    asked = parse_qa(cube.text)
    if asked:
        yield View(question.format(asked[0]), f" {asked[1].rstrip('.')}.", "pair")
        return
    first, blank, rest = text.partition(" ")
    if rest:
        yield View(first, blank + rest, "verbatim")
    speaker = cube.provenance.author if cube.provenance.author not in ROLES else None
    for pair in pairs(text, speaker=speaker, about=cube.about):
        yield View(question.format(pair.question), f" {pair.answer}.", "pair")


def _unseen(probes: ProbeSet, taught: Iterable[tuple[str, str]]) -> ProbeSet:
    """Without the paraphrases that a memory happens to be worded in."""
    said = "\n".join(prompt + answer for prompt, answer in taught)
    some = tuple(one for one in probes.probes if one.facet is not Facet.PARAPHRASE or one.prompt not in said)
    return ProbeSet(probes.name, some, probes.facts)


def _taught(fact: Fact, question: str) -> Iterator[View]:
    ways, answer = wording(fact), f" {fact.value}."
    for statement in ways.statements:
        yield View(cloze(statement, fact), answer, "statement", Style.SHORT, fact)
    for asked in ways.questions:
        yield View(question.format(filled(asked, fact)), answer, "question", Style.SHORT, fact)


def _restyled(view: View, style: Style, values: dict[str, list[str]], dice: random.Random, question: str) -> View:
    """The view in another style; as it was where the style needs other values and there are none."""
    fact = view.fact
    others = [] if fact is None else [one for one in values[canonical(fact.relation)] if one != fact.value]
    if fact is None or (style in {Style.YES_NO, Style.CHOICE} and not others):
        return view
    ways = wording(fact)
    said = [filled(one, fact) for one in ways.statements]
    asked = filled(dice.choice(ways.questions), fact) if ways.questions else ""
    if style is Style.YES_NO:
        true = dice.random() < 0.5
        shown = fact if true else Fact(fact.subject, fact.relation, dice.choice(others))
        claim = filled(dice.choice(ways.statements), shown).removesuffix(".")
        asked, answer = f"Is it true that {claim}?", " yes." if true else " no."
    elif style is Style.CHOICE:
        options = [fact.value, *dice.sample(others, min(len(_LETTERS) - 1, len(others)))]
        dice.shuffle(options)
        listed = " ".join(f"{letter}: {one}" for letter, one in zip(_LETTERS, options, strict=False))
        asked, answer = f"{asked} {listed}.", f" {_LETTERS[options.index(fact.value)]}."
    elif style is Style.BRIEF:
        answer = f" {said[0]}"
    else:
        answer = f" {' '.join(said[:3])}"
    return View(question.format(f"{asked} {ASKED[style]}"), answer, "question", style, fact)


def _sides(fact: Fact, others: Sequence[str], question: str) -> list[tuple[Facet, str, str, tuple[str, ...]]]:
    ways = wording(fact)
    found: list[tuple[Facet, str, str, tuple[str, ...]]] = []
    if ways.questions:
        asked = question.format(filled(ways.questions[0], fact))
        found.append((Facet.RELIABILITY, asked, fact.value, ()))
        if others:
            found.append((Facet.COUNTERFACTUAL, asked, fact.value, tuple(f" {one}" for one in others)))
    side = Facet.GENERALITY if ways.questions else Facet.RELIABILITY
    found.append((side, cloze(ways.statements[0], fact), fact.value, ()))
    if ways.held_question:
        found.append((Facet.PARAPHRASE, question.format(filled(ways.held_question, fact)), fact.value, ()))
    if ways.held_statement:
        found.append((Facet.PARAPHRASE, cloze(ways.held_statement, fact), fact.value, ()))
    return found


def _hops(fact: Fact, onward: Sequence[Fact], question: str) -> Iterator[tuple[Facet, str, str, tuple[str, ...]]]:
    """What holds of the value, asked of the phrase that stands for it: "Where is the employer of Ana?"."""
    phrase = wording(fact).phrase
    if not phrase:
        return
    for other in onward:
        ways = wording(other)
        if ways.questions and other.subject != fact.subject:
            asked = filled(ways.questions[0], other, filled(phrase, fact))
            yield Facet.PORTABILITY, question.format(asked), other.value, ()


def _same(known: Sequence[Fact], fact: Fact) -> Iterator[str]:
    """Other values of the same subject and relation: they are right answers too."""
    for other in known:
        if (other.subject, other.relation) == (fact.subject, fact.relation) and other.value != fact.value:
            yield f" {other.value}"


def _values(known: Sequence[Fact]) -> dict[str, list[str]]:
    """All values of every relation, in the order of the facts."""
    found: dict[str, list[str]] = {}
    for fact in known:
        some = found.setdefault(canonical(fact.relation), [])
        if fact.value not in some:
            some.append(fact.value)
    return found
