"""Questions and answers as memories: asked of a model about a cube, read from files, and written as the text of a cube.

Source: pairs made from a passage as a memory of their own, after QAMAT (Chen et al. 2023, arXiv 2204.04581) and PAQ. A pair
is never the only copy: it points to the cube that it was made from, and its quote has to stand there.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

from remanence.cubes import Cost, MemCube
from remanence.errors import InputError, InputTooLargeError, UnreadableFileError
from remanence.language.qa import qa_text
from remanence.language.tokens import stems
from remanence.models.language import LanguageModel, Prompt
from remanence.models.prompts import render
from remanence.settings import Settings
from remanence.write.disk import load
from remanence.write.extract import asked
from remanence.write.grounding import Ground, ground_of, listed, normal, tidy
from remanence.write.messages import valid_unicode
from remanence.write.readers.text import decode
from remanence.write.windows import MOST_WINDOWS, WINDOW, shown, windows

MOST_PAIRS = 64
"""Pairs of one cube; what comes after is dropped and counted."""
LONGEST_QUESTION, LONGEST_ANSWER, LONGEST_QUOTE = 300, 300, 600
"""Characters. Longer ones that a model writes are dropped; files have the limits of `Settings`."""

_ANSWER = 2048
_SMALLEST_WINDOW = 64
_FIELDS = ("question", "answer", "source", "about")
_SHAPE = "Each row has a question and an answer, and may have a source and an about."
_PAIR_SCHEMA = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("question", "answer", "quote")},
    "required": ["question", "answer", "quote"],
    "additionalProperties": False,
}
_SCHEMA = {
    "type": "object",
    "properties": {"pairs": {"type": "array", "items": _PAIR_SCHEMA}},
    "required": ["pairs"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and its answer."""

    question: str
    answer: str
    quote: str = ""
    """What proves it, as it stands in the text; empty for a pair from a file."""
    source: str | None = None
    """Where a file says that it comes from."""
    about: str | None = None


class Pairs(list[Pair]):
    """The pairs of one cube; what they `cost`, how many were `dropped`, and whether the text was `cut` as too long."""

    def __init__(
        self, pairs: list[Pair] | None = None, cost: Cost | None = None, dropped: int = 0, *, cut: bool = False
    ) -> None:
        super().__init__(pairs or [])
        self.cost = cost or Cost()
        self.dropped = dropped
        self.cut = cut


# --- by a model -------------------------------------------------------------------------------------------------------


def model_pairs(model: LanguageModel, cube: MemCube) -> Pairs:
    """Ask a model for the questions that a cube answers: one call, or one for each window of a long text.

    A pair is kept when its quote stands in the text, character by character but for white space; when its answer stands
    there too, or every content word of it is in the quote; and when its question shares a content word with the text, its
    title or its speaker. Of equal questions the first is kept.

    Raises
    ------
    EndpointError, BrokenAnswerError
        As `LanguageModel.generate`.
    InputError
        The model's context is too small for the prompt.
    """
    frame = sum(model.count(turn.content) for turn in render("pairs", memory=""))
    answer = min(_ANSWER, model.context // 4)
    size = min(WINDOW, model.context - answer - frame - model.count(shown(cube, "")))
    if size < _SMALLEST_WINDOW:
        raise InputError(
            f"The model {model.name} has a context of {model.context:,} tokens, too few for pairs.",
            "Serve it with a larger one: 4,096 tokens are enough.",
        )
    if not cube.text.strip():
        return Pairs()
    parts = list(islice(windows(cube.text, size, model.count), MOST_WINDOWS + 1))
    kept: dict[str, Pair] = {}
    cost, dropped = Cost(), 0
    for window in parts[:MOST_WINDOWS]:
        turns = render("pairs", memory=shown(cube, window))
        prompt = Prompt(
            turns=turns, schema=_SCHEMA, max_tokens=answer, space=cube.scope.space, sources=(cube.id,)
        )  # fmt: skip
        data, spent = asked(model, prompt, "pairs")
        cost += spent
        items, beyond = listed(data["pairs"])
        dropped += beyond
        ground, folded = ground_of(cube, window), " ".join(window.split())
        for item in items:
            pair = _checked(item, folded, ground)
            key = normal(pair.question) if pair else ""
            if pair and (key in kept or len(kept) < MOST_PAIRS):
                kept.setdefault(key, pair)
            else:
                dropped += 1
    return Pairs(list(kept.values()), cost, dropped, cut=len(parts) > MOST_WINDOWS)


def _checked(item: Any, text: str, ground: Ground) -> Pair | None:
    """The pair, if the text bears it out. `text` has its white space folded."""
    if not isinstance(item, dict):
        return None
    raw = cast("dict[str, Any]", item)
    question = tidy(raw.get("question"), LONGEST_QUESTION)
    answer = tidy(raw.get("answer"), LONGEST_ANSWER)
    quote = tidy(raw.get("quote"), LONGEST_QUOTE)
    if not all(map(normal, (question, answer, quote))) or quote not in text:
        return None
    words = set(stems(answer))
    stated = ground.holds(answer, header=False) or (bool(words) and words <= set(stems(quote)))
    return Pair(question, answer, quote) if stated and ground.touches(question) else None


# --- from files -------------------------------------------------------------------------------------------------------


def read_pairs(path: str | Path, limits: Settings) -> list[Pair]:
    """Read pairs from JSON Lines (.jsonl, .ndjson) or a table with a line of column names (.csv, commas).

    Columns are `question` and `answer`, and where wanted `source` and `about`. Errors name the line; nothing is skipped.

    Raises
    ------
    UnreadableFileError
        The file cannot be opened or parsed, has another suffix, or a row is not of that shape.
    InputTooLargeError
        The file is over `max_file`, a question over `max_question`, or a pair over `max_text`.
    """
    path = Path(path)
    readers = {".jsonl": _json_rows, ".ndjson": _json_rows, ".csv": _table_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UnreadableFileError(f"{path} is neither JSON Lines nor CSV.", f"Name it {', '.join(readers)}.")
    data = load(path, limits.max_file)
    return [_pair(row, f"{path}: line {number}", limits) for number, row in reader(decode(data, path), path)]


def _json_rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    # Not splitlines: JSON texts may hold line separators other than the newline.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UnreadableFileError(
                f"{where} is not valid JSON: {error.msg}, column {error.colno}.", "Mend that line."
            ) from error
        except (RecursionError, ValueError) as error:  # a number with more digits than Python converts
            raise UnreadableFileError(f"{where} is nested too deeply or holds a huge number.", _SHAPE) from error
        if not isinstance(row, dict):
            raise UnreadableFileError(f"{where} is of type {type(row).__name__}, not an object.", _SHAPE)
        yield number, cast("dict[str, Any]", row)


def _table_rows(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        if not {"question", "answer"} <= set(names) or len(set(names)) < len(names):
            raise UnreadableFileError(
                f"{path}: line 1 names the columns {', '.join(names)[:200] or 'none'}.",
                "Name them question, answer, and where wanted source and about, with commas between, each once.",
            )
        before = reader.line_num
        for row in reader:
            number, before = before + 1, reader.line_num  # a row may take several lines: name its first
            if not any(row):
                continue
            if len(row) != len(names):
                raise UnreadableFileError(
                    f"{path}: line {number} has {len(row)} columns, line 1 has {len(names)}.",
                    "Put texts with commas into double quotes.",
                )
            yield number, {name: value or None for name, value in zip(names, row, strict=True)}
    except csv.Error as error:
        raise UnreadableFileError(
            f"{path}: line {reader.line_num} is not valid CSV: {error}.", "Mend that line."
        ) from error


def _pair(row: dict[str, Any], where: str, limits: Settings) -> Pair:
    unknown = sorted(set(row) - set(_FIELDS))
    if unknown:
        raise UnreadableFileError(f"{where} has unknown fields: {', '.join(unknown)[:200]}.", _SHAPE)
    for name in _FIELDS:
        value = row.get(name)
        if value is not None and (not isinstance(value, str) or not valid_unicode(value) or "\0" in value):
            raise UnreadableFileError(f"{where}: {name} is not a text of valid Unicode.", _SHAPE)
        if name in ("question", "answer") and not (value or "").strip():
            raise UnreadableFileError(f"{where} has no {name}.", _SHAPE)
    pair = Pair(row["question"].strip(), row["answer"].strip(), "", row.get("source"), row.get("about"))
    if len(pair.question) > limits.max_question or len(qa_text(pair.question, pair.answer)) > limits.max_text:
        raise InputTooLargeError(
            f"{where} has a question of {len(pair.question):,} characters and an answer of {len(pair.answer):,}.",
            "Shorten it, or raise Settings.max_question or Settings.max_text.",
        )
    return pair
