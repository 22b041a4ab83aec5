"""Text into passages: sections by heading, paragraphs packed up to a limit, nothing lost.

What is kept, exactly: the non-space characters of the passages' texts, in order, are those of the input without its
heading lines. A heading with anything below it stands in the `heading` of every passage below it; one with nothing
below it is body text of the section around it. Only the marks of a heading (`#`, an underline) are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import dropwhile, pairwise
from typing import Literal

from remanence.errors import InputError

Kind = Literal["prose", "lines"]
Cut = Callable[[str], list[str]]

LONGEST_HEADING = 200
"""Characters. A longer one is a paragraph in the wrong style, and would repeat in every passage below it."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document: its text, and the headings it stands under, as `A > B`."""

    text: str
    heading: str = ""


def segment(text: str, *, limit: int = 1200) -> list[Passage]:
    """Split Markdown or plain text into passages of at most `limit` characters.

    Raises
    ------
    InputError
        `limit` is below 1.

    """
    return outline_of(text).passages(limit)


# --- Outline: what every reader fills ---------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Heading:
    level: int
    title: str
    used: bool = False


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    cuts: tuple[Cut, ...]  # coarse to fine; when none is left, the text is cut anywhere


@dataclass(frozen=True, slots=True)
class _Section:
    path: tuple[_Heading, ...]
    blocks: list[_Piece]


class Outline:
    """A document in reading order: headings that open sections, and blocks that fill them."""

    def __init__(self) -> None:
        self._open: list[_Heading] = []
        self._all: list[_Heading] = []
        self._sections: list[_Section] = []

    @property
    def title(self) -> str:
        """The first heading among those of the highest rank, or nothing."""
        return min(self._all, key=lambda heading: heading.level).title if self._all else ""

    def open(self, level: int, title: str) -> None:
        """Start a section. A lower `level` ranks higher and closes what ranks the same or lower."""
        title = " ".join(title.split())
        self._close(level)
        if len(title) > LONGEST_HEADING:
            self.add(title)
        elif title:
            heading = _Heading(level, title)
            self._open.append(heading)
            self._all.append(heading)

    def add(self, block: str, kind: Kind = "prose") -> None:
        """Append a block, to be kept whole where it fits. Blocks of `lines` (lists, code, tables) break at lines first."""
        block = block.strip() if kind == "prose" else _trim(block)
        if not block:
            return
        for heading in self._open:
            heading.used = True
        path = tuple(self._open)
        # Headings compare by identity: two sections of the same name stay apart.
        if not self._sections or self._sections[-1].path != path:
            self._sections.append(_Section(path, []))
        self._sections[-1].blocks.append(_Piece(block + "\n\n", _CUTS[kind]))

    def passages(self, limit: int = 1200) -> list[Passage]:
        """Everything added, packed into passages of at most `limit` characters, never across sections.

        Raises
        ------
        InputError
            `limit` is below 1.

        """
        if limit < 1:
            raise InputError(f"limit is {limit!r}.", "Use a whole number of characters, at least 1.")
        self._close(min((heading.level for heading in self._open), default=0))
        return [
            Passage(text, " > ".join(heading.title for heading in section.path))
            for section in self._sections
            for packed in _pack(section.blocks, limit)
            if (text := _trim(packed))
        ]

    def _close(self, level: int) -> None:
        while self._open and self._open[-1].level >= level:
            heading = self._open.pop()
            if not heading.used:
                self.add(heading.title)


# --- packing ----------------------------------------------------------------------------------------------------------

_BLANK_LEAD = re.compile(r"\A\s*\n")
# A mark, its closing quotes, and space, unless a small letter follows ("e.g. this") or a title or initial precedes.
_SENTENCE = re.compile(
    r"""(?:(?<!\b[A-Z])(?<!\b(?:Dr|Mr|Ms|St|Nr|No))(?<!\b(?:Mrs|vgl|bzw))[.!?…]["'”’»)\]]*+\s++(?![a-z])"""
    r"""|[。！？][」』”’）]*+\s*+)"""
)
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_WORD = re.compile(r"\S+\s*")


def _trim(text: str) -> str:
    """Blank lines off the front, space off the end. The first line keeps its indent, which matters in code and lists."""
    return _BLANK_LEAD.sub("", text).rstrip()


def _sentences(text: str) -> list[str]:
    ends = [0, *(match.end() for match in _SENTENCE.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(ends) if start < end]


_CUTS: dict[Kind, tuple[Cut, ...]] = {
    "prose": (_sentences, _LINE.findall, _WORD.findall),
    "lines": (_LINE.findall, _sentences, _WORD.findall),
}


def _pack(pieces: Iterable[_Piece], limit: int) -> Iterator[str]:
    """Join pieces greedily up to `limit` characters, not counting space at the end; cut finer what is over it alone.

    Pieces carry the space that follows them, so that joining is adding and a cut can only lose space.
    """
    held = ""
    for piece in pieces:
        size = len(piece.text.rstrip())
        if len(held) + size <= limit:
            held += piece.text
            continue
        yield held
        held = piece.text
        if size > limit:
            *done, held = _pack(_finer(piece, limit), limit)
            yield from done
    yield held


def _finer(piece: _Piece, limit: int) -> Iterable[_Piece]:
    if piece.cuts:
        return [_Piece(part, piece.cuts[1:]) for part in piece.cuts[0](piece.text)]
    return [_Piece(piece.text[at : at + limit], ()) for at in range(0, len(piece.text), limit)]


# --- Markdown ---------------------------------------------------------------------------------------------------------

_ATX = re.compile(r"(#{1,6})[ \t]+(\S.*)")
_UNDERLINE = re.compile(r"(={3,}|-{3,})[ \t]*\Z")
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,9}[.)])\s+\S")
_ROW = re.compile(r"\s*\||[^|]*\s\|\s")


def outline_of(text: str) -> Outline:
    """Read Markdown, or plain text as the Markdown that it mostly is, into an outline."""
    outline = Outline()
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    at = 0
    while at < len(lines):
        at = next(end for rule in _RULES if (end := rule(lines, at, outline)) > at)
    return outline


def _blank(lines: list[str], at: int, outline: Outline) -> int:
    del outline
    return at if lines[at].strip() else at + 1


def _heading(lines: list[str], at: int, outline: Outline) -> int:
    if not (found := _atx(lines[at])):
        return at
    outline.open(*found)
    return at + 1


def _underlined(lines: list[str], at: int, outline: Outline) -> int:
    """A heading by underline: one line, three marks or more under it. Rows and items with a rule below are neither."""
    title = lines[at]
    if at + 1 == len(lines) or len(title) > LONGEST_HEADING or any(rule.match(title) for rule in (_ITEM, _ROW, _FENCE)):
        return at
    mark = _UNDERLINE.match(lines[at + 1])
    if not mark or _UNDERLINE.match(title):
        return at
    outline.open(1 if mark[1].startswith("=") else 2, title)
    return at + 2


def _fence(lines: list[str], at: int, outline: Outline) -> int:
    if not _FENCE.match(lines[at]):
        return at
    end = _fence_end(lines, at)
    outline.add("\n".join(lines[at:end]), "lines")
    return end


def _block(lines: list[str], at: int, outline: Outline) -> int:
    end = _block_end(lines, at)
    listed = any(_ITEM.match(line) or _ROW.match(line) for line in lines[at:end])
    outline.add("\n".join(lines[at:end]), "lines" if listed else "prose")
    return end


# The first rule that moves on has read the block. The last one always does.
_RULES = (_blank, _heading, _underlined, _fence, _block)


def _atx(line: str) -> tuple[int, str] | None:
    """Level and title of a `# heading`. Steps, not one pattern: closing marks would make it quadratic."""
    match = _ATX.match(line)
    if not match or len(line) > LONGEST_HEADING:
        return None
    title = match[2].rstrip()
    bare = title.rstrip("#")
    if not bare or bare[-1].isspace():
        title = bare.rstrip()
    return (len(match[1]), title) if title else None


def _fence_end(lines: list[str], at: int) -> int:
    match = _FENCE.match(lines[at])
    mark = match[1] if match else "```"
    for end in range(at + 1, len(lines)):
        closing = lines[end].strip()
        if len(closing) >= len(mark) and not closing.strip(mark[0]):
            return end + 1
    return len(lines)


def _block_end(lines: list[str], at: int) -> int:
    """Where a paragraph or list ends. A list reaches over blank lines to its next item, and over the code in its items."""
    listed = bool(_ITEM.match(lines[at]))
    end = at + 1
    while end < len(lines) and not _atx(lines[end]):
        line = lines[end]
        if _FENCE.match(line):
            if not listed or not line[0].isspace():
                break
            end = _fence_end(lines, end)
        elif not line.strip():
            below = next(dropwhile(lambda row: not lines[row].strip(), range(end, len(lines))), len(lines))
            if not listed or below == len(lines) or not (_ITEM.match(lines[below]) or lines[below][0].isspace()):
                break
            end = below
        else:
            end += 1
    return end
