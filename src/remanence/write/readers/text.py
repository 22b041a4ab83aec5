"""Plain text and Markdown, with the front matter that note-taking apps write."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remanence.errors import UnreadableFileError
from remanence.write.readers.fields import iso_time, scalars
from remanence.write.segment import Outline, outline_of


@dataclass(frozen=True, slots=True)
class Document:
    """What a reader found: the outline, and what the file says about itself."""

    outline: Outline
    title: str = ""
    time: str = ""
    meta: dict[str, Any] = field(default_factory=dict[str, Any])


# The longer marks first: UTF-32 starts like UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(data: bytes, path: Path) -> str:
    """Bytes of a text file as text: UTF-8, or what a byte order mark says.

    Raises
    ------
    UnreadableFileError
        Another encoding, or not text at all.

    """
    codec = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(codec)
    except UnicodeDecodeError as error:
        raise UnreadableFileError(
            f"{path} is not {codec.removesuffix('-sig').upper()} text: it breaks at byte {error.start}.",
            "Save it as UTF-8 and try again.",
        ) from error
    if "\0" in text:
        raise UnreadableFileError(
            f"{path} holds NUL characters, so it is not text.", "Save it as UTF-8 text and try again."
        )
    return text


def read_text(data: bytes, path: Path, max_bytes: int) -> Document:
    """A plain text file.

    Raises
    ------
    UnreadableFileError
        It is not text.

    """
    del max_bytes  # checked before the file was loaded, and text does not grow
    outline = outline_of(decode(data, path))
    return Document(outline, title=outline.title)


def read_markdown(data: bytes, path: Path, max_bytes: int) -> Document:
    """A Markdown file. The title, date and other keys of its front matter go to the document, not to a passage.

    Raises
    ------
    UnreadableFileError
        It is not text.

    """
    del max_bytes
    keys, body = _front_matter(decode(data, path).replace("\r\n", "\n"))
    outline = outline_of(body)
    times = (iso_time(keys.get(name)) for name in ("date", "created"))
    title = keys.pop("title", "") or outline.title
    return Document(outline, title=title, time=next(filter(None, times), ""), meta=scalars(keys))


_FRONT = re.compile(r"---[ \t]*\n((?:(?!---[ \t]*\n)[^\n]*\n){1,100}?)---[ \t]*(?:\n|\Z)")
_KEY = re.compile(r"([A-Za-z][\w -]{0,63}):(?:[ \t]+(.*))?\Z")


def _front_matter(text: str) -> tuple[dict[str, str], str]:
    """Keys and the rest. Plain `key: value` lines and lists are read; anything else is left to be text, not guessed at."""
    match = _FRONT.match(text)
    if not match:
        return {}, text
    keys: dict[str, list[str]] = {}
    last: list[str] | None = None
    for line in match[1].splitlines():
        if found := _KEY.match(line):
            last = keys.setdefault(found[1].lower(), [])
            last.append(_bare(found[2] or ""))
        elif last is not None and line.lstrip().startswith("- "):
            last.append(_bare(line.lstrip()[2:]))
        elif line.strip():
            return {}, text
    return {key: ", ".join(filter(None, values)) for key, values in keys.items()}, text[match.end() :]


def _bare(value: str) -> str:
    value = value.strip()
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value
