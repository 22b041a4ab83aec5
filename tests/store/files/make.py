"""Write a small store with this release: `python make.py v1.rem`. Files of released formats are kept for ever, never rebuilt."""

from __future__ import annotations

import sys

from remanence import Memory
from remanence.settings import Settings


def make(path: str) -> None:
    with Memory(path, Settings(embedder="hashing")) as memory:
        first, _, third = memory.add(
            [
                {"content": "Ana keeps bees on the roof.", "name": "Ana", "time": "2023-05-08T13:56:00", "session": "s1"},
                {"content": "The honey was sold in June 2023.", "role": "assistant", "session": "s1", "meta": {"price": 9.5}},
                {"content": "This one was forgotten.", "session": "s1"},
            ],
            user="ana", idempotency_key="first",
        )  # fmt: skip
        memory.add({"content": "Żółta łódź, 黄色い船", "role": "document", "title": "Boats"}, space="other")
        memory.correct(first, "Ana keeps bees in the garden.")
        memory.correct(first, "Ana keeps bees in the orchard.", time="2024-02-01T00:00:00+00:00")
        memory.forget(third)


if __name__ == "__main__":
    make(sys.argv[1])
