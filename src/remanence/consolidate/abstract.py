"""A summary by a language model, every sentence held against the memories that it names. What they do not bear out is dropped.

The check knows words, numbers, names and denials. A number has to stand in the sources, or be part of a day that they name or
that they were said on; so does a name, which may also be who speaks or the title. It cannot see who did what to whom.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from remanence.cubes import Cost, MemCube
from remanence.errors import BrokenAnswerError
from remanence.language.calendar_words import FULL_MONTH, WEEKDAY
from remanence.language.dates import mentioned
from remanence.language.entities import opens
from remanence.language.tokens import folded, stems
from remanence.models.language import LanguageModel, Prompt
from remanence.models.prompts import quoted, render

SUPPORT = 0.5
"""Content words of a sentence that its sources have to hold, numbers and the calendar aside."""
_ANSWER = 1024  # tokens
_LONGEST = 400  # characters of a sentence
_MOST = 64  # sentences of an answer that are looked at
_WORD = re.compile(r"[^\W_][\w'’-]*")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_DENIAL = re.compile(r"\b(?:not|no|never|none|nobody|nothing|without|cannot)\b|n['’]t\b", re.IGNORECASE)
_CALENDAR = re.compile(rf"\b(?:{FULL_MONTH}|{WEEKDAY})\b")
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SENTENCE = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "sources": {"type": "array", "items": {"type": "integer"}}},
    "required": ["text", "sources"],
    "additionalProperties": False,
}
_SCHEMA = {
    "type": "object",
    "properties": {"sentences": {"type": "array", "items": _SENTENCE}},
    "required": ["sentences"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Written:
    """A sentence of a model that its sources bear out."""

    text: str
    cubes: tuple[int, ...]
    """Places of its sources in the list that was passed."""


@dataclass(frozen=True, slots=True)
class Abstract:
    """What a model wrote, checked."""

    sentences: tuple[Written, ...] = ()
    dropped: int = 0
    """Sentences that were malformed, or that their sources do not bear out."""
    read: int = 0
    """How many of the memories the model read, from the first."""
    cost: Cost = field(default_factory=Cost)


def abstract(model: LanguageModel, cubes: Sequence[MemCube], room: int) -> Abstract:
    """Ask a model for a summary of at most `room` characters. Memories that do not fit its context are left out, the last first.

    Raises
    ------
    EndpointError, BrokenAnswerError
        As `LanguageModel.generate`.
    """
    shown = _fitting(model, cubes, room)
    prompt = Prompt(
        turns=_turns(shown, room), schema=_SCHEMA, max_tokens=min(_ANSWER, model.context // 4),
        space=cubes[0].scope.space, sources=tuple(dict.fromkeys(cube.id for cube in shown)),
    )  # fmt: skip
    completion = model.generate(prompt)
    data: Any = completion.data
    if not isinstance(data, dict) or not isinstance(data.get("sentences"), list):
        raise BrokenAnswerError(
            f"The answer of {model.name} is no JSON object with a list of sentences.",
            "Use a model that follows a JSON schema.",
        )
    items: list[Any] = data["sentences"]
    kept: dict[str, Written] = {}
    dropped = max(0, len(items) - _MOST)
    for item in items[:_MOST]:
        written = _checked(item, shown)
        if written is None or len(written.text) + 1 > room:
            dropped += 1
        elif written.text not in kept:
            kept[written.text] = written
            room -= len(written.text) + 1
    return Abstract(tuple(kept.values()), dropped, len(shown), completion.cost)


def supported(sentence: str, cubes: Sequence[MemCube]) -> bool:
    """Whether some memories hold what a sentence says: its numbers, names and denials, and half of its other words."""
    texts = [cube.text for cube in cubes]
    heads = [part for cube in cubes for part in (cube.about, cube.provenance.author, cube.scope.user) if part]
    days = " ".join(_days(cube) for cube in cubes)
    known = folded(" ".join([*texts, *heads, days]))
    numbers = set(_NUMBER.findall(known))
    if any(number not in numbers for number in _NUMBER.findall(sentence)):
        return False
    if bool(_DENIAL.search(sentence)) and not any(_DENIAL.search(text) for text in texts):
        return False
    words = set(_WORD.findall(known))
    for name in map(folded, _names(sentence)):
        if words.isdisjoint({name, name.removesuffix("'s").removesuffix("’s")}):
            return False
    # Who speaks proves nothing: of "Ana is rich" the source has to hold that she is.
    content = stems(_CALENDAR.sub(" ", folded(sentence)))
    said = {stem for stem in content if not stem.isdigit()} - set(stems(" ".join(heads)))
    held = set(stems(" ".join(texts)))
    return bool(said) and len(said & held) >= SUPPORT * len(said)


def _checked(item: Any, cubes: Sequence[MemCube]) -> Written | None:
    if not isinstance(item, dict) or not isinstance(item.get("text"), str) or not isinstance(item.get("sources"), list):
        return None
    text = " ".join(str(item["text"]).split())
    numbers: list[Any] = item["sources"]
    places = [number - 1 for number in numbers if type(number) is int and 1 <= number <= len(cubes)]
    if not text or len(text) > _LONGEST or _UNFIT.search(text) or len(places) != len(numbers) or not places:
        return None
    places = list(dict.fromkeys(places))
    return Written(text, tuple(places)) if supported(text, [cubes[place] for place in places]) else None


def _names(sentence: str) -> list[str]:
    """Words with a capital, but for those of the calendar and those that sentences begin with."""
    return [
        match.group()
        for match in _WORD.finditer(sentence)
        if match.group()[0].isupper()
        and not opens(match.group().lower())
        and not _CALENDAR.fullmatch(match.group().lower())
    ]


def _days(cube: MemCube) -> str:
    """The days that a memory names, the day it was said, and the days around it, spelt out: a model has to resolve "yesterday"."""
    said = cube.provenance.observed_at or cube.valid_from
    moments = [said + timedelta(days=step) for step in (-1, 0, 1)]
    moments += [datetime.fromtimestamp(window.lo, said.tzinfo) for window in mentioned(cube.text, said)]
    return " ".join(f"{moment.isoformat()} {moment.year} {moment.month} {moment.day}" for moment in moments)


def _fitting(model: LanguageModel, cubes: Sequence[MemCube], room: int) -> Sequence[MemCube]:
    most = model.context - min(_ANSWER, model.context // 4)
    while len(cubes) > 1 and sum(model.count(turn.content) for turn in _turns(cubes, room)) > most:
        cubes = cubes[: max(1, len(cubes) * 3 // 4)]
    return cubes


def _turns(cubes: Sequence[MemCube], room: int) -> Any:
    rows = [_row(number, cube) for number, cube in enumerate(cubes, 1)]
    return render("summary", memories=quoted(rows), most=str(room))


def _row(number: int, cube: MemCube) -> dict[str, Any]:
    said = cube.provenance.observed_at
    known = {
        "title": cube.about,
        "speaker": cube.provenance.author or (cube.provenance.role if cube.provenance.role != "document" else None),
        "said": said.date().isoformat() if said else None,
    }
    return {"number": number, **{name: value for name, value in known.items() if value}, "text": cube.text}
