"""Facts that plain sentences state, by rules: "Ana lives in Lisbon" is (Ana, lives in, Lisbon).

Precision goes before recall. A clause has to begin with a subject that means the same outside its text: a name, the first
person where the speaker is known, a pronoun where the caller says whom the text is about, or something that belongs to one
of these ("my sister"). A predicate of a small grammar has to follow at once, so that "would live in" or "wants to live in"
states nothing; `sentences` leaves out questions, quotations, conditions and doubts. English only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from remanence.cubes import Fact
from remanence.language import phrases, predicates
from remanence.language.plain_sentences import Sentence, plain
from remanence.language.predicates import Said
from remanence.language.relations import canonical, is_known
from remanence.language.subjects import Subject, Voices, other_topic, subjects

_MOST = 8  # claims of one sentence
_JOINT = re.compile(
    r"(?:\s+years?\s+old)?(?:,?\s+(?:now|too|as\s+well|currently|nowadays|these\s+days|today|(?:in|since)\s+[12]\d{3}|for\s+\w+\s+years))?"
    r"\s*(?:[,;]\s*(?:and\s+|but\s+)?|\s(?:and|but)\s+)(?:then\s+|also\s+)?"
)
_NAMED_OF = re.compile(r"the\s+((?:(?:[a-z][a-z-]*|CEO)\s+){1,3})of\s+")
_OF_ONE = re.compile(r"(?:['’]s|(?<=s)['’])\s+((?:[A-Za-z][a-z-]*\s*){1,3})$")
_TITLE_PEOPLE = frozenset(
    "wife husband boss mother father sister brother friend son daughter child cousin uncle aunt ceo president mayor capital "
    "founder author inventor fiance fiancee partner".split()
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A fact that a text states or denies, and where."""

    fact: Fact
    negated: bool
    """The text says that it does not hold, or no longer: "does not live in", "no longer works at", "used to live in"."""
    start: int
    end: int
    """The clause lies at characters [start, end) of the text."""
    replaces: bool = False
    """The text marks that the value takes the place of another: "moved to", "now", "changed to", "my new address"."""
    plural: bool = False
    """The subject takes a plural verb: "The Beatles are …"."""


def claims(text: str, speaker: str | None = None, about: str | None = None) -> tuple[Claim, ...]:
    """The claims of a text in the order of their places.

    `speaker` is whom "I" and "my" mean, `about` whom "he", "she", "it" and "they" mean; clauses about a person who is not
    given are left out. Time is linear in the length of the text.
    """
    found: list[Claim] = []
    clear = True  # no other subject has come up that a pronoun could mean
    for sentence in plain(text):
        voices = Voices(speaker if sentence.own else None, about if clear else None)
        some = _Reader(text, sentence, voices).read()
        found.extend(some)
        if about is not None:
            clear = not other_topic(text, sentence.start, sentence.end, about, clear)
    return tuple(found)


def facts(text: str, speaker: str | None = None, about: str | None = None) -> tuple[Fact, ...]:
    """The facts that a text states and does not deny, each once, in the order of their places. See `claims`."""
    return tuple(dict.fromkeys(claim.fact for claim in claims(text, speaker, about) if not claim.negated))


class _Reader:
    """Reads one sentence, clause by clause."""

    def __init__(self, text: str, sentence: Sentence, voices: Voices) -> None:
        self.text, self.start, self.end = text, sentence.start, sentence.end
        self.voices = voices

    def read(self) -> list[Claim]:
        """The claims of the sentence. A later clause without a subject has that of the clause before it."""
        found: list[Claim] = []
        at, subject = phrases.lead(self.text, self.start, self.end), None
        while len(found) < _MOST:
            step = self._clause(at, subject)
            if step is None:
                break
            subject, some, stop = step
            found.extend(some)
            joint = _JOINT.match(self.text, stop, self.end)
            if joint is None:
                break
            at = joint.end()
        return found

    def _clause(self, at: int, last: Subject | None) -> tuple[Subject, list[Claim], int] | None:
        for subject in subjects(self.text, at, self.end, self.voices):
            said = self._predicate(subject)
            if said:
                return subject, [claim for one in said for claim in self._claim(at, subject, one)], said[-1].span[1]
        if last is None:
            return None
        carried = last._replace(end=at, bare=True)
        said = self._predicate(carried)
        if not said:
            return None
        return last, [claim for one in said for claim in self._claim(at, carried, one)], said[-1].span[1]

    def _predicate(self, subject: Subject) -> list[Said]:
        return predicates.read(self.text, subject, self.end, self._begins_clause)

    def _begins_clause(self, at: int) -> bool:
        """Whether a new clause, with a subject or without, begins here."""
        if predicates.begins(self.text, at, self.end):
            return True
        return any(
            predicates.read(self.text, one, self.end, None) for one in subjects(self.text, at, self.end, self.voices)
        )

    def _claim(self, at: int, subject: Subject, said: Said) -> Iterator[Claim]:
        value = " ".join(self.text[said.span[0] : said.span[1]].split())
        fact = Fact(subject.name, said.relation, value)
        if said.attribute:
            fact = Fact(subject.owner or subject.name, canonical(said.relation), value)
        elif said.relation == "is":
            fact = _turned(fact) or fact
        if fact.subject:
            yield Claim(fact, said.negated, at, said.span[1], said.replaces, subject.plural)


def _turned(fact: Fact) -> Fact | None:
    """Read "Lisbon is the capital of Portugal" and "Ana is Bob's sister" as facts about Portugal and Bob."""
    of = _NAMED_OF.match(fact.value)
    if of and (is_known(of[1]) or of[1].strip() in _TITLE_PEOPLE):
        owner = phrases.name(fact.value, of.end(), len(fact.value))
        if owner and owner[1] == len(fact.value):
            return Fact(fact.value[of.end() :], canonical(of[1]), fact.subject)
    belonging = _OF_ONE.search(fact.value)
    if belonging:
        return Fact(fact.value[: belonging.start()], canonical(belonging[1]), fact.subject)
    return None
