"""What a question says by itself: whom it names, which time it means, what it is about. Rules only."""

from __future__ import annotations

from dataclasses import dataclass

from remanence.language import dates, tokens
from remanence.language.names import named, speaks_of_self, speaks_to_assistant
from remanence.recall.query import Query
from remanence.recall.view import Mask, View


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, analysed."""

    content: str
    """The question without the participants' names: what both searches look for."""
    terms: tuple[int, ...]
    """Hashed stems of the content."""
    speaker: str | None
    """The one participant that the question is about; None for none or several."""
    windows: tuple[dates.Window, ...]
    """Times that the question names."""
    when: bool
    """Asks for a time."""
    latest: bool
    """Asks for the present state."""
    topics: frozenset[int]
    """Codes of the entities that the question names and some cube is about."""


def analyse(query: Query, view: View) -> Asked:
    """Read a question with what the caller may know of the space: its speakers, its entities, the time it spans."""
    seen = view.open_to(query.clearance)
    naming = named(query.question, view.speakers if seen is None else _speakers(view, seen))
    return Asked(
        content=naming.rest,
        terms=tuple(tokens.hashes(naming.rest)),
        speaker=_speaker(query.question, naming.people),
        windows=dates.asked(query.question, query.as_of or query.now, view.span(seen)),
        when=dates.asks_when(query.question),
        latest=dates.asks_latest(query.question),
        topics=view.topics.named(
            query.question, None if seen is None else frozenset(view.about[view.alive & seen].tolist())
        ),
    )


def _speakers(view: View, seen: Mask) -> list[str]:
    """Those who say something that the caller may see: of the others he must not learn that they are there."""
    codes = frozenset(view.speaker[view.alive & seen].tolist())
    return [name for name in view.speakers if view.code(name) in codes]


def _speaker(question: str, people: frozenset[str]) -> str | None:
    if len(people) == 1:
        return next(iter(people))
    if people:
        return None
    mine, yours = speaks_of_self(question), speaks_to_assistant(question)
    if mine and not yours:
        return "user"
    return "assistant" if yours and not mine else None
