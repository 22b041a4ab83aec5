"""Write a small store with this release: `python make.py v2.rem`. Files of released formats are kept for ever, never rebuilt.

v1.rem is what the first release wrote, which had no readings, no memories made from others and no cached answers.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from remanence import Memory
from remanence.cubes import Extraction, Fact, Kind, MemCube, Provenance, Scope
from remanence.drafts import Draft
from remanence.reading import readings
from remanence.settings import Settings
from remanence.write.pipeline import keys_for

READ = Extraction(("Ana", "Żary"), (Fact("Ana", "moved to", "Żary"),), ("Ana has lived in Żary since May.",), "Ana")


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
        derive(memory)


def derive(memory: Memory) -> None:
    """In a space of its own: readings, memories made from others, one of them retired, and cached answers."""
    ana, kiln = memory.add(["Ana moved to Żary in May.", "The kiln is fired on Fridays."], space="made")
    store = memory._store
    numbered = {cube.id: (seq, cube) for seq, cube in store.numbered(0, 100)}
    store.derived.keep(readings("reader/1", [(numbered[ana], READ)], memory._encoding.documents))
    _make(memory, "id-of-the-retired", "Q: Where is Ana?\nA: In Żary.", [ana])
    _make(memory, "id-of-the-living", "Q: When is the kiln fired?\nA: On Fridays.", [kiln])
    store.derived.keep_reply("made", b"about Ana", "She is in Żary.", [ana])
    store.derived.keep_reply("made", b"about nothing", "Nobody knows.", [])
    memory.correct(ana, "Ana moved to Łódź in June.")


def _make(memory: Memory, cube_id: str, text: str, parents: list[str]) -> None:
    now = datetime.now(UTC)
    cube = MemCube(
        id=cube_id, version=1, text=text, kind=Kind.QA, scope=Scope(space="made"), recorded_at=now, valid_from=now,
        provenance=Provenance(method="reader/1", derived_from=tuple(parents)),
    )  # fmt: skip
    memory._store.append([Draft(cube, keys_for([cube], memory._encoding.documents)[0], None)])


if __name__ == "__main__":
    make(sys.argv[1])
