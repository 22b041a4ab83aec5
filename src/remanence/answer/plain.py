"""Plain reading: the model sees the memories and writes sentences with the numbers of what they rest on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from remanence.answer.asking import Asking, Reading
from remanence.errors import BrokenAnswerError
from remanence.language.sentences import sentence_spans

MOST_TOKENS = 512
"""Tokens of an answer."""
UNANSWERABLE = "UNANSWERABLE"
"""What a model writes in free text when the memories do not answer."""

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "sentences": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"text": {"type": "string"}, "cites": {"type": "array", "items": {"type": "integer"}}},
                "required": ["text", "cites"],
                "additionalProperties": False,
            },
        },
        "unanswerable": {"type": "boolean"},
    },
    "required": ["sentences", "unanswerable"],
    "additionalProperties": False,
}
"""JSON schema of a plain answer."""

_MARKS = re.compile(r"\s*((?:\[\s*\d{1,6}(?:\s*[,;]\s*\d{1,6})*\s*\]\s*)+)")
_DIGITS = re.compile(r"\d+")
_ONLY_UNANSWERABLE = re.compile(rf"\W*{UNANSWERABLE}\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Written:
    """A sentence of a model, and the numbers of the memories that it cites."""

    text: str
    cites: tuple[int, ...]


def read_plain(asking: Asking, reading: Reading) -> tuple[Written, ...]:
    """Ask the model; no sentence means that it found the question unanswerable.

    Raises
    ------
    EndpointError
        The model failed.
    BrokenAnswerError
        Its answer is not the JSON that was asked for.
    """
    prompt = replace(reading.prompt("answer_plain"), schema=SCHEMA, max_tokens=MOST_TOKENS)
    return parse_plain(asking.ask(prompt).data)


def parse_plain(data: object) -> tuple[Written, ...]:
    """The sentences of a plain answer; none where it says unanswerable. BrokenAnswerError for anything of another shape."""
    if not isinstance(data, Mapping):
        raise _broken(data)
    answer = cast("Mapping[str, Any]", data)
    sentences, unanswerable = answer.get("sentences"), answer.get("unanswerable", False)
    if not isinstance(sentences, list) or not isinstance(unanswerable, bool):
        raise _broken(data)
    written = tuple(_written(one) for one in cast("list[object]", sentences))
    return () if unanswerable else tuple(one for one in written if one.text)


def parse_marked(text: str) -> tuple[Written, ...]:
    """The sentences of free text with [n] marks, which may stand before or after the full stop; none for UNANSWERABLE.

    Marks that stand between two sentences belong to the one before.
    """
    if _ONLY_UNANSWERABLE.match(text):
        return ()
    plain, marks = _without_marks(text)
    found: list[Written] = []
    places = sentence_spans(plain)
    for number, (start, end) in enumerate(places):
        until = places[number + 1][0] if number + 1 < len(places) else len(plain) + 1
        cites = [
            cite for at, cites in marks if (start < at <= until - 1 or (number == 0 and at <= start)) for cite in cites
        ]
        found.append(Written(plain[start:end], tuple(dict.fromkeys(cites))))
    return tuple(found)


def _without_marks(text: str) -> tuple[str, list[tuple[int, list[int]]]]:
    """The text without its marks, and where in it each run of marks stood."""
    parts: list[str] = []
    marks: list[tuple[int, list[int]]] = []
    length = at = 0
    for match in _MARKS.finditer(text):
        parts.append(text[at : match.start()])
        length += match.start() - at
        marks.append((length, [int(number) for number in _DIGITS.findall(match[1])]))
        at = match.end()
        if at < len(text) and (text[at].isalnum() or text[at] in "\"'“‘("):  # the mark held two words apart
            parts.append("\n" if "\n" in match.group() else " ")
            length += 1
    return "".join([*parts, text[at:]]), marks


def _written(one: object) -> Written:
    if not isinstance(one, Mapping):
        raise _broken(one)
    entry = cast("Mapping[str, Any]", one)
    text, cites = entry.get("text"), entry.get("cites")
    if not isinstance(text, str) or not isinstance(cites, Sequence) or isinstance(cites, str):
        raise _broken(one)
    numbers = [cite for cite in cast("Sequence[object]", cites) if isinstance(cite, int) and not isinstance(cite, bool)]
    return Written(_without_marks(text.strip())[0].strip(), tuple(dict.fromkeys(numbers)))


def _broken(data: object) -> BrokenAnswerError:
    return BrokenAnswerError(
        f"The model's answer is no list of sentences with citations: {str(data)[:80]!r}.",
        "Ask again, or use a model that follows a JSON schema.",
    )
