"""Streams handed on by a wrapper."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from remanence.models.language import Completion


def relayed(pieces: Iterator[str], said: list[str]) -> Generator[str, None, Completion | None]:
    """Hand a stream on and keep its pieces in `said`. Returns the stream's own `Completion`; None where it has none.

    The streams of this package return their `Completion` (`yield from` gives it); those of others need not.
    """
    try:
        while True:
            try:
                piece = next(pieces)
            except StopIteration as end:
                return end.value if isinstance(end.value, Completion) else None
            said.append(piece)
            yield piece
    finally:
        if isinstance(pieces, Generator):
            pieces.close()
