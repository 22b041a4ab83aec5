"""The sentences of a text that plainly state something in the voice of whoever wrote it.

Left out are questions, what stands in quotation marks, code, sentences with a condition or a doubt, and reports of what
others say or think. One pass over the text; a sentence of more than `LONGEST` characters is left out as well, so that the
work on each is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

LONGEST = 300
"""Characters of a sentence that is still read."""
_SHORTEST = 6  # "I am 5" has a subject, a verb and a value
_WRAPPED = 60  # a line at least this long is broken by its width, and its sentence goes on in the next line


class Sentence(NamedTuple):
    """Characters [start, end) of the text."""

    start: int
    end: int
    own: bool
    """The words are the speaker's. False in a line such as "Bob: I live here", where I is somebody else."""


_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*+")
_MARK = re.compile(
    r"""(?:(?<![.!?…])(?<!\b[A-Z])(?<!\b(?:Dr|Mr|Ms|St|Nr|No|vs))(?<!\b(?:Mrs|Inc|Ltd))[.!?…]++["'”’»)\]]*+(?:\s++(?![a-z])|$)"""
    r"""|[。！？]++[」』”’）]*+\s*+|\n\s*+)"""
)
_CODE = re.compile(r"\s*(?:>|```|\||#{1,6}\s|\$|<)")
_LABEL = re.compile(r"\s*[^\W\d_][\w .'’-]{0,40}:(?=\s)")
_DOUBT = re.compile(
    r"\b(?:if|unless|whether|perhaps|maybe|probably|possibly|supposedly|allegedly|apparently|presumably|reportedly|rumou?red"
    r"|sa(?:y|ys|id|ying)|tells?|told|claim(?:s|ed)?|think(?:s|ing)?|thought|believe[sd]?|guess(?:es|ed)?|suppose[sd]?"
    r"|imagine[sd]?|pretend(?:s|ed)?|assum(?:e|es|ed|ing)|suspect(?:s|ed)?|heard|reckon(?:s|ed)?|wish(?:es|ed)?|hope[sd]?"
    r"|dream(?:s|ed|t)?|seem(?:s|ed|ing)?|appear(?:s|ed)?\s+to|fictional|according to|not sure|as though|or so|just kidding|joking|lol)\b",
    re.IGNORECASE,
)
_QUOTES = re.compile(r"""["“”„«»「」『』]|(?<!\w)['‘](?=[A-Z])""")
_FENCE = "```"


def plain(text: str) -> Iterator[Sentence]:
    """The plain sentences, in order. Quotation marks pair up within a paragraph, fences of code over the whole text."""
    fenced = False
    ends = [0, *(match.end() for match in _BLANK_LINE.finditer(text)), len(text)]
    for offset, stop in pairwise(ends):
        block = text[offset:stop]
        fences = block.count(_FENCE)
        if not fenced and not fences:
            for start, end, own in _stated(block):
                yield Sentence(offset + start, offset + end, own)
        fenced ^= fences % 2 == 1


def _stated(block: str) -> Iterator[Sentence]:
    """The plain sentences of one paragraph."""
    quoted = labelled = False
    for start, end in _spans(block):
        if end - start > LONGEST:
            quoted ^= block.count('"', start, end) % 2 == 1
            continue
        piece = block[start:end]
        if len(piece) < _SHORTEST and not _QUOTES.search(piece):
            continue
        inside, quoted = quoted, _still_quoted(piece, quoted)
        labelled = labelled or _LABEL.match(piece) is not None
        if inside or quoted or "?" in piece or _QUOTES.search(piece) or _CODE.match(piece) or _DOUBT.search(piece):
            continue
        yield Sentence(start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip()), not labelled)


def _spans(block: str) -> Iterator[tuple[int, int]]:
    """Where the sentences of a paragraph lie, without the blanks around them."""
    ends, line = [0], 0
    for match in _MARK.finditer(block):
        if block[match.start()] == "\n":
            length, line = match.start() - line, match.end()
            if length >= _WRAPPED:
                continue
        elif "\n" in match.group():
            line = match.end()
        ends.append(match.end())
    ends.append(len(block))
    for start, end in pairwise(ends):
        if block[start:end].strip():
            yield start, end


def _still_quoted(piece: str, quoted: bool) -> bool:
    """Whether a quotation is open at the end of a sentence, given whether it was at its beginning."""
    opened = max(piece.rfind(mark) for mark in "“„«「『")
    closed = max(piece.rfind(mark) for mark in "”»」』")
    if opened != closed:
        return opened > closed
    return quoted ^ (piece.count('"') % 2 == 1)
