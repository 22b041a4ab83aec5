"""A synthetic world: people and what holds of them, in plain English sentences that the rules of `language/` read.

Made for models of a few hundred thousand parameters: every answer is known, every wording of a fact can be taught or held
out, and nothing of it was ever in another model's training data, least of all with `invented` names.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import product

from remanence.cubes import Fact
from remanence.errors import InputError
from remanence.evaluation.wordings import FIRST_NAMES, LAST_NAMES, RELATIONS, Relation

QUESTION = "Question: {} Answer:"
"""How a question stands in a prompt; the answer follows after a space."""
CONTEXT = "Context: {} "
"""How statements to read stand before it."""
_SYLLABLES = ("ba", "do", "fi", "ga", "ke", "lu", "mo", "na", "po", "ri", "su", "ta", "ve", "zo")


class World:
    """Background people with one value for each of some relations, and as many strangers as an experiment needs.

    The same seed gives the same world. The last statement and the last question of every relation are held out: `corpus`
    teaches them for background people only, so that a new person's fact can be asked for in a wording that it was never
    taught in.
    """

    def __init__(self, seed: int = 0, people: int = 40, relations: int = 4, *, invented: bool = False) -> None:
        names = [f"{first} {last}" for first, last in product(FIRST_NAMES, LAST_NAMES)]
        if not 1 <= relations <= len(RELATIONS) or not 1 <= people <= len(names) // 2:
            raise InputError(
                f"A world of {people} people and {relations} relations is not at hand.",
                f"Ask for 1 to {len(names) // 2} people and 1 to {len(RELATIONS)} relations.",
            )
        self.seed, self.invented = seed, invented
        random.Random(f"names {seed}").shuffle(names)  # noqa: S311  # no secret
        self._names = _invented_names(names) if invented else names
        self.relations: tuple[Relation, ...] = RELATIONS[:relations]
        self.people: tuple[str, ...] = tuple(self._names[:people])
        self.facts: tuple[Fact, ...] = self._draw(self.people, "background")
        self._by_name = {relation.name: relation for relation in self.relations}

    def fresh(self, people: int, batch: int = 0) -> tuple[Fact, ...]:
        """Facts of people that the world does not hold: `people` of them, others for every `batch` of the same size."""
        start = len(self.people) + batch * people
        if start + people > self._readers:
            raise InputError(
                "The world has no more names.", f"Ask for fewer than {self._readers - len(self.people)} people."
            )
        return self._draw(self._names[start : start + people], f"fresh {batch}")

    def relation(self, fact: Fact) -> Relation:
        """The relation of a fact, with its wordings."""
        return self._by_name[fact.relation]

    def statement(self, fact: Fact, template: int = 0) -> str:
        """The fact as a sentence; `template` -1 is the one that is held out."""
        return self.relation(fact).statements[template].format(s=fact.subject, v=fact.value)

    def cloze(self, fact: Fact, template: int = 0) -> str:
        """The same sentence up to the value, which follows after a space."""
        wording = self.relation(fact).statements[template]
        return wording[: wording.index("{v}")].format(s=fact.subject).rstrip()

    def question(self, fact: Fact, template: int = 0) -> str:
        """A prompt that asks for the fact; `template` -1 is the one that is held out. `answer` follows."""
        return QUESTION.format(self.relation(fact).questions[template].format(s=fact.subject))

    def reading(self, statements: Sequence[str], fact: Fact, template: int = 0) -> str:
        """A prompt that asks for the fact after some statements to read."""
        return CONTEXT.format(" ".join(statements)) + self.question(fact, template)

    def answer(self, fact: Fact) -> str:
        """The value, with the space that parts it from its prompt."""
        return f" {fact.value}"

    def hop(self, fact: Fact) -> tuple[str, str] | None:
        """A prompt that needs the fact and a property of its value, and the answer; None where values have no property."""
        relation = self.relation(fact)
        if not relation.hop:
            return None
        known = relation.properties[relation.values.index(fact.value)]
        return QUESTION.format(relation.hop.format(s=fact.subject)), f" {known}"

    def counterfactuals(self, fact: Fact, n: int) -> list[str]:
        """Up to `n` other values of the same relation, the same for the same fact."""
        others = [value for value in self.relation(fact).values if value != fact.value]
        return random.Random(f"{self.seed} {fact}").sample(others, min(n, len(others)))  # noqa: S311

    def lessons(self, facts: Iterable[Fact], *, held_out: bool = False) -> list[tuple[str, str]]:
        """What teaches some facts closed book: prompts with their answers, of statements and of questions.

        The held-out wordings are among them only if told so. An answer ends with a full stop.
        """
        found: list[tuple[str, str]] = []
        for fact in facts:
            relation, answer = self.relation(fact), f"{self.answer(fact)}."
            keep = 0 if held_out else 1
            found.extend((self.cloze(fact, number), answer) for number in range(len(relation.statements) - keep))
            found.extend((self.question(fact, number), answer) for number in range(len(relation.questions) - keep))
        return found

    def knowledge(self) -> list[tuple[str, str]]:
        """What teaches the properties of values: Lisbon is located in Portugal."""
        found: list[tuple[str, str]] = []
        for relation in self.relations:
            for value, known in zip(relation.values, relation.properties, strict=False):
                said = relation.property_statement.format(v=value, p=known)
                found.append((said[: said.rindex(known)].rstrip(), f" {known}."))
                found.append((QUESTION.format(relation.property_question.format(v=value)), f" {known}."))
        return found

    def copies(self, n: int, *, most: int = 3, seed: int = 0) -> list[tuple[str, str]]:
        """`n` prompts that are answered by reading their context of 1 to `most` statements about strangers.

        The strangers are neither background people nor `fresh` ones, and each prompt draws their values anew: nothing in
        them can be learnt by heart but the reading.
        """
        dice = random.Random(f"copies {self.seed} {seed}")  # noqa: S311
        found: list[tuple[str, str]] = []
        for _ in range(n):
            told: dict[tuple[str, str], Fact] = {}
            for _ in range(dice.randint(1, most)):
                relation = dice.choice(self.relations)
                name = dice.choice(self._names[self._readers :])
                told[name, relation.name] = Fact(name, relation.name, dice.choice(relation.values))
            fact = dice.choice(list(told.values()))
            said = [self.statement(one, dice.randrange(len(self.relation(one).statements))) for one in told.values()]
            asked = dice.randrange(len(self.relation(fact).questions))
            found.append((self.reading(said, fact, asked), f"{self.answer(fact)}."))
        return found

    def curriculum(self, facts: Iterable[Fact] | None = None) -> list[tuple[str, str]]:
        """What a base model is taught: facts (all background facts by default) in every wording, hops, and knowledge."""
        known = self.facts if facts is None else tuple(facts)
        hops = [(prompt, f"{answer}.") for prompt, answer in filter(None, map(self.hop, known))]
        return [*self.lessons(known, held_out=True), *self.knowledge(), *hops]

    def corpus(self, facts: Iterable[Fact] | None = None, *, copies: int = 0, seed: int = 0) -> list[str]:
        """`curriculum` and `copies` as lines of text."""
        return ["".join(pair) for pair in (*self.curriculum(facts), *self.copies(copies, seed=seed))]

    def words(self) -> list[str]:
        """Lines that hold every word that the world can use: what a vocabulary is made of."""
        every = [Fact("Mira Kovac", one.name, value) for one in self.relations for value in one.values]
        names = [word for name in self._names[: len(FIRST_NAMES) * len(LAST_NAMES)] for word in name.split()]
        said = [f"{word} {word} {word}'s" for word in dict.fromkeys(names)]
        lines = self.corpus(every)
        return [*lines, *map(CONTEXT.format, lines), *said]

    @property
    def _readers(self) -> int:
        """Names from here on are only read about."""
        return len(self._names) * 3 // 4

    def _draw(self, names: Sequence[str], what: str) -> tuple[Fact, ...]:
        dice = random.Random(f"{what} {self.seed}")  # noqa: S311
        return tuple(Fact(name, one.name, dice.choice(one.values)) for name in names for one in self.relations)


def _invented_names(names: Sequence[str]) -> list[str]:
    """A name of syllables for each name, one for each of its words: "Mira Kovac" may become "Bado Fiketa"."""
    words = [*FIRST_NAMES, *LAST_NAMES]
    made = ["".join(parts).capitalize() for parts in product(_SYLLABLES, repeat=3)]
    random.Random("invented").shuffle(made)  # noqa: S311
    new = dict(zip(words, made, strict=False))
    return [" ".join(new[word] for word in name.split()) for name in names]
