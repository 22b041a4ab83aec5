"""Remanence's own recall on the work of `hipporag_twin.py`, for the same table: questions' vectors at hand, first ten passages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import data

from remanence import Memory, Settings


def rankings(folder: Path, precision: str) -> Iterator[tuple[str, Memory]]:
    """A memory of the multi-hop set, first as the rules leave it, then with the cached triples as extra keys."""
    with Memory(":memory:", Settings(precision=precision)) as memory:  # pyright: ignore[reportArgumentType]
        memory.add(data.multihop(folder).messages)
        yield "Remanence, no model", memory
        memory.extract(folder / "openie.json")
        yield "Remanence, same triples", memory


def found(memory: Memory, question: str) -> list[int]:
    """Numbers of the first ten passages."""
    return [int(hit.cube.meta["key"]) for hit in memory.recall(question, k=10, explain=False)]
