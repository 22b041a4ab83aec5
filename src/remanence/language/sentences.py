"""Where the sentences of a text lie. By rules, for any script that marks the end of a sentence; nothing of the text is changed."""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 600
"""Characters. What has no end by then is cut at a blank, so that a text without marks does not count as one sentence."""

# A mark with its closing quotes and space, unless a small letter follows or a title or an initial stands before it; the
# marks of Chinese and Japanese need no space; a line break always ends a sentence.
_END = re.compile(
    r"""(?:(?<!\b[A-Z])(?<!\b(?:Dr|Mr|Ms|St|Nr|No))(?<!\b(?:Mrs|vgl|bzw))[.!?…]["'”’»)\]]*+\s++(?![a-z])"""
    r"""|[。！？][」』”’）]*+\s*+|\n\s*+)"""
)


def sentence_spans(text: str, longest: int = LONGEST) -> list[tuple[int, int]]:
    """Start and end of each sentence in characters, space around it left out; in order, and they never overlap.

    What is not space lies in exactly one of them. A sentence of more than `longest` characters is cut at the last blank
    before the limit, or anywhere if there is none.
    """
    found: list[tuple[int, int]] = []
    start = 0
    for end in [*(match.end() for match in _END.finditer(text)), len(text)]:
        found.extend(_cut(text, *_trimmed(text, start, end), longest))
        start = end
    return found


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _cut(text: str, start: int, end: int, longest: int) -> Iterator[tuple[int, int]]:
    while end - start > longest:
        blank = text.rfind(" ", start + 1, start + longest + 1)
        stop = blank if blank > start else start + longest
        yield _trimmed(text, start, stop)
        start, end = _trimmed(text, stop, end)
    if start < end:
        yield start, end
