"""From what a model wrote to an answer: thoughts cut off, JSON found and checked, one more try where it is broken.

Shared by all clients, the fake included, so that tests with the fake see what the real one would do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from math import isfinite
from typing import Any

from remanence.errors import BrokenAnswerError, InputError
from remanence.models.language import Completion, Prompt, Turn
from remanence.models.schema import problem

LARGEST_TEXT = 1_000_000
"""Characters in which JSON is looked for."""
MOST_SPANS = 50
"""Stretches in brackets that are tried."""
SHOWN = 200
"""Characters of an answer in an error."""
REPEATED = 2_000
"""Characters of a broken answer that the model sees again."""

REPAIR_TOKENS = 2_000
"""More than a repeated answer, or the complaint about it, can have: a token has at least one character."""

_OPEN = re.compile(r"\s*<(think|thinking)>")
_LONE_CLOSE = re.compile(r"</think(?:ing)?>[ \t]*(?:\n|\Z)")
_BRACKET = re.compile(r"[{\[]")
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\Z)|[{}\[\]]', re.DOTALL)
_OPENERS = ("<think>", "<thinking>")


class UnfitError(Exception):
    """What is wrong with an answer, for the repair. It does not leave the package: `BrokenAnswerError` does."""


def answered(
    prompt: Prompt, ask: Callable[[Prompt], Completion], place: str, blotted: Callable[[str], str] = str
) -> Completion:
    """Ask; where a schema is given, parse and check the answer, and ask once more if that fails.

    `ask` gives the text of the model's answer, thoughts already cut off, and what it cost. `place` names the model in an
    error, and `blotted` takes secrets out of what the error shows.

    Raises
    ------
    BrokenAnswerError
        The second answer is broken too. It carries the cost of both.
    """
    check_prompt(prompt)
    first = ask(prompt)
    if prompt.schema is None:
        return first
    try:
        return replace(first, data=parsed(first.text, prompt.schema))
    except UnfitError as error:
        complaint = f"{error}, and the answer was cut off" if first.finish == "length" else str(error)
    second = ask(replace(prompt, turns=(*prompt.turns, *_repair(first.text, complaint))))
    cost = first.cost + second.cost
    try:
        return replace(second, data=parsed(second.text, prompt.schema), cost=cost)
    except UnfitError as error:
        what = f"{place} answered twice with something else than was asked for"
        raise _broken(what, blotted, str(error), replace(second, cost=cost)) from None


def checked(prompt: Prompt, completion: Completion, place: str, blotted: Callable[[str], str] = str) -> Completion:
    """A streamed answer with its data. It cannot be asked for again: its text has been given away.

    Raises
    ------
    BrokenAnswerError
        A schema was given, and the answer does not fit.
    """
    if prompt.schema is None:
        return completion
    try:
        return replace(completion, data=parsed(completion.text, prompt.schema))
    except UnfitError as error:
        what = f"{place} answered with something else than was asked for"
        raise _broken(what, blotted, str(error), completion) from None


def parsed(text: str, schema: Mapping[str, Any]) -> Any:
    """The JSON in an answer, checked: the whole text, else the first outermost object or list in it that fits.

    Models wrap JSON into fences and prose. Parts of an object that was cut off are never taken for the answer.

    Raises
    ------
    UnfitError
        With the reason, for the repair.
    """
    if not text.strip():
        raise UnfitError("it is empty")
    if len(text) > LARGEST_TEXT:
        raise UnfitError(f"it has {len(text):,} characters")
    why = "there is no JSON in it"
    for number, span in enumerate((text, *islice(outermost(text), MOST_SPANS))):
        try:
            value = json.loads(span, strict=False, parse_constant=_refuse_constant)
            # Neither an infinite number (1e999) nor half a surrogate pair could be stored.
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError) as error:
            if number:
                why = f"it is no valid JSON ({error})"
            continue
        wrong = problem(value, schema)
        if wrong is None:
            return value
        why = wrong
    raise UnfitError(why)


def outermost(text: str) -> Iterator[str]:
    """Each outermost stretch from a bracket to the one that closes it; the last may end with the text.

    Brackets inside JSON strings do not count, and quotation marks outside of brackets are prose.
    """
    at = 0
    while found := _BRACKET.search(text, at):
        start, depth, at = found.start(), 0, len(text)
        for piece in _PIECE.finditer(text, start):
            if piece[0] in {"{", "["}:
                depth += 1
            elif piece[0] in {"}", "]"}:
                depth -= 1
                if not depth:
                    at = piece.end()
                    break
        yield text[start:at]


def without_thoughts(text: str) -> str:
    """The text behind the reasoning that some models write first.

    `<think>…</think>` at the start goes; where it is not closed, all of it was reasoning. Some chat templates open it
    themselves, so that only `</think>` is seen: what stands before goes, if the mark ends its line and the text is no JSON.
    """
    opened = _OPEN.match(text)
    if opened:
        _, closed, rest = text[opened.end() :].partition(f"</{opened[1]}>")
        return rest.lstrip() if closed else ""
    close = None if text.lstrip()[:1] in {"{", "[", "`"} else _LONE_CLOSE.search(text)
    if close is None or "<think" in text[: close.start()]:
        return text
    return text[close.end() :].lstrip()


def streamed_without_thoughts(pieces: Iterable[str]) -> Iterator[str]:
    """`without_thoughts` for a text that comes in pieces. A reasoning that is closed but not opened cannot be told in time."""
    pieces = iter(pieces)
    held = ""
    for piece in pieces:
        held += piece
        start = held.lstrip()
        if not any(opener.startswith(start) for opener in _OPENERS):
            break
    opened = _OPEN.match(held)
    if opened:
        yield from _behind(f"</{opened[1]}>", held[opened.end() :], pieces)
        return
    if held:
        yield held
    yield from pieces


def _behind(close: str, held: str, pieces: Iterator[str]) -> Iterator[str]:
    """What comes after a mark, without the blanks at its start."""
    while (end := held.find(close)) < 0:
        piece = next(pieces, None)
        if piece is None:
            return
        held = held[-len(close) :] + piece
    held = held[end + len(close) :]
    while not (start := held.lstrip()):
        piece = next(pieces, None)
        if piece is None:
            return
        held = piece
    yield start
    yield from pieces


def check_prompt(prompt: Prompt) -> None:
    """Refuse what no model can answer.

    Raises
    ------
    InputError
        No turns, no room for an answer, or a temperature below 0.
    """
    if not prompt.turns:
        raise InputError("The prompt has no turns.", "Pass at least one Turn.")
    if not isinstance(prompt.max_tokens, int) or prompt.max_tokens < 1:
        raise InputError(f"max_tokens is {prompt.max_tokens!r}.", "Use a whole number of at least 1.")
    if not isfinite(prompt.temperature) or prompt.temperature < 0:
        raise InputError(f"temperature is {prompt.temperature!r}.", "Use 0 or more.")


def _broken(what: str, blotted: Callable[[str], str], why: str, completion: Completion) -> BrokenAnswerError:
    """The error that shows the start of the answer."""
    text = blotted(completion.text)
    # The reason may quote the answer, cut in the middle of a secret.
    reason = why if text == completion.text else "it repeats the key"
    start = text[:SHOWN] + ("…" if len(text) > SHOWN else "")
    step = "Raise max_tokens." if completion.finish == "length" else "Use a model that follows schemas better."
    return BrokenAnswerError(f"{what}: {reason}. It starts: {start!r}.", step, completion.cost)


def _repair(text: str, complaint: str) -> tuple[Turn, Turn]:
    """The turns that show a model its broken answer and what is wrong with it."""
    return (
        Turn("assistant", text[:REPEATED] or "(nothing)"),
        Turn(
            "user",
            f"This answer cannot be used: {complaint}. Answer again, with nothing but JSON that fits the schema, and shorter "
            "if it was too long.",
        ),
    )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
