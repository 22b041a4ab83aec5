"""Extractions that somebody made before: HippoRAG's OpenIE files, and a plain JSON Lines format of our own.

Ours holds one extraction per line, and every field but `text` may be left out:

    {"text": "…", "title": "…", "entities": ["…"], "triples": [["…", "…", "…"]], "statements": ["…"], "about": "…"}

Source of the other: the cache that HippoRAG's code (OSU-NLP-Group/HippoRAG) keeps of its two calls per passage.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from remanence.cubes import Extraction, Fact, MemCube
from remanence.errors import InputError, UnreadableFileError
from remanence.write.disk import load, new_file
from remanence.write.extract import LONGEST_NAME, LONGEST_STATEMENT, Extracted, fact_of
from remanence.write.grounding import is_pronoun, normal, tidy
from remanence.write.messages import valid_unicode
from remanence.write.readers.text import decode

MAX_BYTES = 256_000_000
"""Of a file of extractions, unless told otherwise. HippoRAG's for MuSiQue (11,656 passages) has about 20 million."""

_OPENIE_SHAPE = 'An OpenIE file is {"docs": [{"passage": "…", "extracted_entities": […], "extracted_triples": […]}]}.'
_LINE_SHAPE = 'A line is {"text": "…", "entities": ["…"], "triples": [["…", "…", "…"]], "statements": ["…"]}.'
_LINE_FIELDS = frozenset({"text", "title", "entities", "triples", "statements", "about"})


@dataclass(frozen=True, slots=True)
class Passage:
    """A text and what is known of it."""

    text: str
    title: str = ""
    extraction: Extraction = field(default_factory=Extraction)


class CachedExtractor:
    """Serves extractions by the text that they were made from: no model, no wait.

    A cube is found by its title and text, else by its text, which may start with the title; white space aside, every
    character has to be the same. Of passages with the same title and text, or the same text and different titles, the
    first counts.

    Nothing is held against the text: what the file says is kept, whoever wrote it.
    """

    def __init__(self, passages: Iterable[Passage], *, skipped: int = 0) -> None:
        self._known: dict[bytes, Extraction] = {}
        by_text: dict[bytes, Extraction] = {}
        digest = hashlib.sha256()
        for passage in passages:
            digest.update(_line(passage).encode())
            self._known.setdefault(_key(passage.title, passage.text), passage.extraction)
            by_text.setdefault(_key("", passage.text), passage.extraction)
            by_text.setdefault(_key("", f"{passage.title}\n{passage.text}"), passage.extraction)
        self._known = by_text | self._known
        self._name = f"cached/{digest.hexdigest()[:16]}"
        self.skipped = skipped
        """Entities, triples and statements of the file that were malformed or too long, and left out."""

    @classmethod
    def from_openie(cls, path: str | Path, *, max_bytes: int = MAX_BYTES) -> CachedExtractor:
        """Read HippoRAG's file. A passage's first line counts as its title where no other is given.

        Raises
        ------
        UnreadableFileError
            It cannot be opened, is not JSON, or not of that shape: the place is named.
        InputTooLargeError
            It is larger than `max_bytes`.
        """
        path = Path(path)
        document = _parsed(decode(load(path, max_bytes), path), f"{path}", _OPENIE_SHAPE)
        docs = document.get("docs") if isinstance(document, dict) else None
        if not isinstance(docs, list):
            raise UnreadableFileError(f"{path} has no list of docs.", _OPENIE_SHAPE)
        counted = _Counted()
        passages = [
            _openie_passage(doc, f"{path}: docs[{place}]", counted) for place, doc in enumerate(cast("list[Any]", docs))
        ]
        return cls(passages, skipped=counted.skipped)

    @classmethod
    def from_lines(cls, path: str | Path, *, max_bytes: int = MAX_BYTES) -> CachedExtractor:
        """Read our own format, as `write_extractions` writes it. Errors as `from_openie`, with the number of the line."""
        path = Path(path)
        counted = _Counted()
        # Not splitlines: JSON texts may hold line separators other than the newline.
        lines = enumerate(decode(load(path, max_bytes), path).split("\n"), 1)
        passages = [_line_passage(line, f"{path}: line {number}", counted) for number, line in lines if line.strip()]
        return cls(passages, skipped=counted.skipped)

    @classmethod
    def from_statements(cls, statements: Mapping[str, Iterable[str]]) -> CachedExtractor:
        """From texts and the statements made of each, such as LoCoMo's turns and observations."""
        counted = _Counted()
        passages = [
            Passage(text, "", Extraction(statements=counted.texts(list(found), LONGEST_STATEMENT)))
            for text, found in statements.items()
        ]
        return cls(passages, skipped=counted.skipped)

    @property
    def name(self) -> str:
        """See `Extractor`: changes with anything that is served."""
        return self._name

    def extract(self, cubes: Sequence[MemCube]) -> Extracted:
        """See `Extractor`. A cube that is not known has an empty extraction and is among `missing`."""
        found = [
            self._known.get(_key(cube.about or "", cube.text)) or self._known.get(_key("", cube.text)) for cube in cubes
        ]
        return Extracted(
            tuple(one or Extraction() for one in found),
            missing=frozenset(place for place, one in enumerate(found) if one is None),
        )  # fmt: skip


def write_extractions(path: str | Path, cubes: Sequence[MemCube], extractions: Sequence[Extraction | None]) -> int:
    """Write a file for `CachedExtractor.from_lines`, and return its number of lines. What is None is left out.

    The file holds the cubes' texts: whoever forgets a cube has to forget it there too. It appears under its name only when
    it is whole.

    Raises
    ------
    InputError
        The two lists differ in length, the file exists, or it cannot be written.
    """
    path = Path(path)
    if len(cubes) != len(extractions):
        raise InputError(f"There are {len(cubes)} cubes and {len(extractions)} extractions.", "Pass one for each.")
    pairs = [(cube, one) for cube, one in zip(cubes, extractions, strict=True) if one is not None]
    with new_file(path) as file:
        file.writelines(_line(Passage(cube.text, cube.about or "", one)) for cube, one in pairs)
    return len(pairs)


def _line(passage: Passage) -> str:
    found = passage.extraction
    line: dict[str, Any] = {
        "text": passage.text,
        "title": passage.title,
        "entities": found.entities,
        "triples": [[fact.subject, fact.relation, fact.value] for fact in found.facts],
        "statements": found.statements,
        "about": found.about,
    }
    kept = {name: value for name, value in line.items() if value or name == "text"}
    return json.dumps(kept, ensure_ascii=False) + "\n"


def _key(title: str, text: str) -> bytes:
    """What stands for a text in the table. The title is a line of its own, so that it cannot run into the text."""
    folded = "\n".join(" ".join(part.split()) for part in (title, text))
    return hashlib.sha256(folded.encode()).digest()


# --- reading ----------------------------------------------------------------------------------------------------------


class _Counted:
    """Reads the lists of a file, and counts the items that are left out."""

    def __init__(self) -> None:
        self.skipped = 0

    def texts(self, items: list[Any], most: int) -> tuple[str, ...]:
        kept: dict[str, None] = {}
        for item in items:
            text = tidy(item, most)
            if normal(text) and not is_pronoun(text):
                kept[text] = None
            else:
                self.skipped += 1
        return tuple(kept)

    def facts(self, items: list[Any]) -> tuple[Fact, ...]:
        kept: dict[Fact, None] = {}
        for item in items:
            fact = fact_of(item)
            if fact:
                kept[fact] = None
            else:
                self.skipped += 1
        return tuple(kept)


def _openie_passage(doc: Any, where: str, counted: _Counted) -> Passage:
    raw = _object(doc, where, _OPENIE_SHAPE)
    title, text = _text(raw, "title", where), _text(raw, "text", where)
    if not text:
        first, line, rest = _text(raw, "passage", where).partition("\n")
        title, text = (title or first, rest) if line and rest.strip() else (title, first)
    if not text.strip():
        raise UnreadableFileError(f"{where} has no text.", _OPENIE_SHAPE)
    entities = counted.texts(_items(raw, "extracted_entities", where), LONGEST_NAME)
    return Passage(text, title, Extraction(entities, counted.facts(_items(raw, "extracted_triples", where))))


def _line_passage(line: str, where: str, counted: _Counted) -> Passage:
    raw = _object(_parsed(line, where, _LINE_SHAPE), where, _LINE_SHAPE)
    unknown = sorted(set(raw) - _LINE_FIELDS)
    if unknown:
        raise UnreadableFileError(f"{where} has unknown fields: {', '.join(unknown)[:200]}.", _LINE_SHAPE)
    text = _text(raw, "text", where)
    if not text.strip():
        raise UnreadableFileError(f"{where} has no text.", _LINE_SHAPE)
    about = counted.texts([raw["about"]], LONGEST_NAME) if raw.get("about") else ()
    extraction = Extraction(
        counted.texts(_items(raw, "entities", where), LONGEST_NAME),
        counted.facts(_items(raw, "triples", where)),
        counted.texts(_items(raw, "statements", where), LONGEST_STATEMENT),
        about[0] if about else None,
    )
    return Passage(text, _text(raw, "title", where), extraction)


def _parsed(text: str, where: str, shape: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
        raise UnreadableFileError(f"{where} is not valid JSON: {error.msg}, {place}.", "Mend that place.") from error
    except RecursionError as error:
        raise UnreadableFileError(f"{where} is nested too deeply.", shape) from error
    except ValueError as error:  # a number with more digits than Python converts
        raise UnreadableFileError(f"{where} holds a number that is too long.", "Shorten it, or quote it.") from error


def _object(value: Any, where: str, shape: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnreadableFileError(f"{where} is of type {type(value).__name__}, not an object.", shape)
    return cast("dict[str, Any]", value)


def _text(raw: dict[str, Any], name: str, where: str) -> str:
    value = raw.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or not valid_unicode(value):
        raise UnreadableFileError(f"{where}: {name} is not a text.", "Write it as a JSON string of valid Unicode.")
    return value


def _items(raw: dict[str, Any], name: str, where: str) -> list[Any]:
    value = raw.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise UnreadableFileError(f"{where}: {name} is of type {type(value).__name__}.", "Write it as a JSON list.")
    return cast("list[Any]", value)
