"""What a clause can be about: a name, a person who is known from outside, or what belongs to one of these."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from remanence.language import phrases
from remanence.language.topics import normalised

_PRONOUN = re.compile(r"(I|[Hh]e|[Ss]he|[Ii]t|[Tt]hey)(?=['’]|\s)")
_OWNER = re.compile(r"([Mm]y|[Hh]is|[Hh]er|[Ii]ts|[Tt]heir)\s+")
_POSSESSIVE = re.compile(r"(?:['’]s|(?<=s)['’])\s+")
_CALLED = re.compile(r"name(?=\s)")
_OF = re.compile(r"[Tt]he\s+((?:[a-z][a-z-]*|CEO)(?:\s+[a-z][a-z-]*){0,2})\s+of\s+")
_ATTRIBUTE_WORD = re.compile(r"(?:[a-z][a-z-]*|CEO|E-?mail)(?!\w)\s*")
_MOST_WORDS = 4
_NO_ATTRIBUTE = frozenset(
    """is are was were am has have had do does did will would can could should own not and or point guess problem question
    hope plan goal day week weekend month morning night life heart mind head issue thing take opinion dream turn bad only
    first last next best worst main biggest greatest biggest-ever idea advice concern feeling sense understanding impression
    time year goodness god word favourite-part""".split()
)


class Voices(NamedTuple):
    """Whom "I" and whom the other pronouns mean; None where it is not known."""

    speaker: str | None
    about: str | None


class Subject(NamedTuple):
    """A way to read the beginning of a clause, up to character `end`."""

    name: str
    end: int
    owner: str | None = None
    """Whom the attribute belongs to, for "my sister": then `name` is "Ana's sister"."""
    attribute: str | None = None
    first: bool = False
    """It is "I": the verb stands without its s, as after a plural."""
    person: bool = True
    """False for "it", which neither lives nor works anywhere."""
    plural: bool = False
    bare: bool = False
    """The clause goes on with the subject of the clause before it."""


def subjects(text: str, at: int, end: int, voices: Voices) -> Iterator[Subject]:
    """The ways to read a subject at a place, shortest first. Longer ones take in more words of an attribute."""
    pronoun = _PRONOUN.match(text, at, end)
    if pronoun:
        word = pronoun[1].lower()
        who = voices.speaker if word == "i" else voices.about
        if who:
            yield Subject(_shown(who), pronoun.end(), first=word == "i", person=word != "it", plural=word == "they")
        return
    owner = _OWNER.match(text, at, end)
    if owner:
        who = voices.speaker if owner[1].lower() == "my" else voices.about
        if who:
            yield from _belongings(text, owner.end(), end, _shown(who))
        return
    of = _OF.match(text, at, end)
    if of:
        yield from _of(text, of, end, voices)
        return
    span = phrases.name(text, at, end)
    if span:
        name = _shown(text[slice(*span)])
        yield Subject(name, span[1], plural=name.endswith("s") and name.startswith(("The ", "the ")))
        possessive = _POSSESSIVE.match(text, span[1], end)
        if possessive:
            yield from _belongings(text, possessive.end(), end, name)


def other_topic(text: str, start: int, end: int, about: str, clear: bool) -> bool:
    """Whether a pronoun after this sentence could mean somebody other than `about`.

    A sentence that begins with a pronoun leaves it as it was; one that begins with a name settles it.
    """
    at = phrases.lead(text, start, end)
    if _PRONOUN.match(text, at, end) or _OWNER.match(text, at, end):
        return not clear
    span = phrases.name(text, at, end)
    if span is None:
        return not clear
    return not set(normalised(text[slice(*span)]).split()) & set(normalised(about).split())


def _belongings(text: str, at: int, end: int, owner: str, depth: int = 1) -> Iterator[Subject]:
    """Each of "phone", "phone number", "phone number today" …: the predicate that follows decides which it is."""
    place = at
    for _ in range(_MOST_WORDS):
        word = _ATTRIBUTE_WORD.match(text, place, end)
        if not word or word.group().strip() in _NO_ATTRIBUTE:
            return
        place = word.end()
        stop = place - (len(word.group()) - len(word.group().rstrip()))
        attribute = " ".join(text[at:stop].split())
        if attribute in {"favourite", "favorite"}:
            continue
        yield Subject(f"{owner}'s {attribute}", stop, owner, attribute, plural=attribute.endswith("s"))
        inner = _POSSESSIVE.match(text, stop, end)
        if (
            inner and attribute != "name"
        ):  # "my dog's name is Rex" says who the dog is; "my sister's birthday" belongs to the sister
            named = _CALLED.match(text, inner.end(), end)
            if named:
                yield Subject(f"{owner}'s {attribute}", named.end(), owner, attribute)
            elif depth:
                yield from _belongings(text, inner.end(), end, f"{owner}'s {attribute}", depth - 1)
            return
        name = phrases.name(text, place, end) if attribute.split()[-1] in _INTRODUCES else None
        if name:
            yield Subject(_shown(text[slice(*name)]), name[1])


_INTRODUCES = frozenset(
    """friend sister brother wife husband mother father mom mum dad son daughter cousin uncle aunt boss colleague coworker
    partner girlfriend boyfriend neighbour neighbor roommate dog cat""".split()
)  # "my sister Ana lives …": the name is the subject


def _of(text: str, of: re.Match[str], end: int, voices: Voices) -> Iterator[Subject]:
    """Read "the capital of Portugal", "the name of my dog"."""
    attribute = " ".join(of[1].split())
    if attribute.split()[-1] in _NO_ATTRIBUTE:
        return
    span = phrases.name(text, of.end(), end)
    if span:
        name = _shown(text[slice(*span)])
        yield Subject(f"{name}'s {attribute}", span[1], name, attribute, plural=attribute.endswith("s"))
        return
    for inner in subjects(text, of.end(), end, voices):
        if inner.attribute and attribute == "name":
            yield inner
        elif inner.attribute:
            yield Subject(f"{inner.name}'s {attribute}", inner.end, inner.name, attribute)


def _shown(name: str) -> str:
    """A name on one line, without the capital that the beginning of a sentence gives to "the"."""
    words = name.split()
    return " ".join(["the", *words[1:]] if len(words) > 1 and words[0] == "The" else words)
