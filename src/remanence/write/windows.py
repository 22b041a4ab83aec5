"""What a prompt shows of a cube: its header, and its text in windows that fit a model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from remanence.cubes import ROLES, Kind, MemCube
from remanence.models.prompts import quoted

MOST_WINDOWS = 16
"""Windows of one cube that a model reads; what comes after the last is not read, and the result says so."""
WINDOW = 6000
"""Tokens of one window, at most; less for a model with a small context."""
OVERLAP = 200
"""Tokens that a window repeats of the one before, at most."""
_LONGEST_HEADER = 200

# A mark may only begin where no mark stands before it, or a run of dots would be read again from each of its dots.
_END = re.compile(r"""(?<![.!?…])[.!?…]++["'”’»)\]]*+\s++|[。！？]++[」』”’）]*+\s*+|\n++""")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def speaker_of(cube: MemCube) -> str:
    """Who speaks: the author's name, else the role, such as `user`; nothing for a document without an author."""
    origin = cube.provenance
    if origin.author:
        return origin.author[:_LONGEST_HEADER]
    return origin.role if cube.kind is not Kind.DOCUMENT and origin.role in ROLES - {"document"} else ""


def header_of(cube: MemCube) -> dict[str, str]:
    """What a model is told beside the text: `title`, `speaker`, `said`, each where it is known."""
    said = cube.provenance.observed_at
    known = {
        "title": (cube.about or "")[:_LONGEST_HEADER],
        "speaker": speaker_of(cube),
        # By hand: strftime would answer in the language of the process.
        "said": f"{said.isoformat(timespec='seconds')} ({_DAYS[said.weekday()]})" if said else "",
    }
    return {name: value for name, value in known.items() if value}


def shown(cube: MemCube, text: str) -> str:
    """The passage as it stands in a prompt: its header and `text`, as JSON that cannot leave its frame."""
    return quoted(header_of(cube) | {"text": text})


def windows(text: str, size: int, count: Callable[[str], int]) -> Iterator[str]:
    """`text` in windows of at most `size` tokens, cut at sentence ends, each repeating a little of the one before.

    Tokens are those of the text as JSON, which is how a prompt shows it. Windows are made as they are asked for: only
    what is taken of a long text is counted. A sentence of more than `size` / 8 characters may be cut between words.
    """
    # No text of fewer tokens is eight times as many characters, for any tokenizer in use; and counting costs time.
    if len(text) <= 8 * size and count(quoted(text)) <= size:
        yield text
        return
    overlap = min(OVERLAP, size // 4)
    held: list[tuple[str, int]] = []
    total = fresh = 0
    for piece in _pieces(text, max(1, size // 8)):
        tokens = count(quoted(piece))
        if fresh and total + tokens > size:
            yield "".join(part for part, _ in held)
            while held and (total > overlap or total + tokens > size):
                total -= held.pop(0)[1]
            fresh = 0
        held.append((piece, tokens))
        total += tokens
        fresh += 1
    if fresh:
        yield "".join(part for part, _ in held)


def _pieces(text: str, most: int) -> Iterator[str]:
    """Sentences with the space that follows them, the long ones cut: together they are the text."""
    start = 0
    for match in _END.finditer(text):
        yield from _cut(text, start, match.end(), most)
        start = match.end()
    yield from _cut(text, start, len(text), most)


def _cut(text: str, start: int, end: int, most: int) -> Iterator[str]:
    while end - start > most:
        blank = text.rfind(" ", start, start + most)
        stop = blank + 1 if blank >= start else start + most
        yield text[start:stop]
        start = stop
    if start < end:
        yield text[start:end]
