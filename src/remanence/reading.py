"""Reading memories with a model after they are durable: resumable, and never in the way of a write.

The store knows which versions an extractor has not read yet, so the work goes on wherever it was left: after an error, a
restart, or more writes. What was read becomes extra keys to the cube, in a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remanence.cubes import Cost, Extraction, MemCube
from remanence.errors import RemanenceError
from remanence.language.keys import derive_reading, embedded_parts
from remanence.store.parts import Reading
from remanence.store.protocol import Store
from remanence.write.pipeline import Progress

if TYPE_CHECKING:
    from remanence.write.extract import Extractor
    from remanence.write.pipeline import Embed

_BATCH = 16  # cubes whose reading is committed together: what a crash can cost
_GIVE_UP = 3  # batches that fail as a whole, one after the other, before a dead endpoint is left alone


@dataclass(frozen=True, slots=True)
class Read:
    """What came of reading."""

    read: int = 0
    """Versions that have a reading now."""
    waiting: int = 0
    """Versions that still have none."""
    failures: Mapping[str, RemanenceError] = field(default_factory=dict[str, RemanenceError])
    """Why, by id, for those that failed this time. Reading again tries them again."""
    missing: int = 0
    """Of a cached extractor: versions that it knows nothing of."""
    dropped: int = 0
    """What a model wrote that the text does not bear out, and was left out."""
    cost: Cost = field(default_factory=Cost)


def read(
    store: Store, extractor: Extractor, embed: Embed, *, space: str | None = None, progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False, batch: int = _BATCH,
) -> Read:  # fmt: skip
    """Read every current version that this extractor has not read, batch by batch, until nothing is left or `stop` says so."""
    total = store.derived.waiting(extractor.name, space)
    done, after, dead = Read(waiting=total), 0, 0
    failures: dict[str, RemanenceError] = {}
    tried = 0
    while not stop() and dead < _GIVE_UP and (some := store.derived.unread(extractor.name, space, after, batch)):
        after = some[-1][0]
        found = extractor.extract([cube for _, cube in some])
        pairs = [
            (one, extraction) for one, extraction in zip(some, found.extractions, strict=True) if extraction is not None
        ]
        kept = store.derived.keep(readings(extractor.name, pairs, embed))
        failures |= {some[place][1].id: error for place, error in found.failures.items()}
        dead = 0 if pairs else dead + 1
        tried += len(some)
        done = Read(
            done.read + kept,
            0,
            failures,
            done.missing + len(found.missing),
            done.dropped + found.dropped,
            done.cost + found.cost,
        )
        if progress:
            progress(tried, max(total, tried))
    return Read(
        done.read, store.derived.waiting(extractor.name, space), failures, done.missing, done.dropped, done.cost
    )


def readings(extractor: str, found: Sequence[tuple[tuple[int, MemCube], Extraction]], embed: Embed) -> list[Reading]:
    """Readings with the keys that follow from them; one call of the embedder for all."""
    texts = [text for _, extraction in found for text in embedded_parts(extraction)]
    vectors = embed(texts) if texts else None
    packed = None if vectors is None else vectors.astype("<f2")
    result: list[Reading] = []
    at = 0
    for (seq, cube), extraction in found:
        count = len(embedded_parts(extraction))
        own = None if packed is None or not count else packed[at : at + count].tobytes()
        at += count
        result.append(Reading(seq, extractor, extraction, *derive_reading(cube, extraction), own))
    return result


def derived_anew(found: Sequence[tuple[MemCube, Reading]], embed: Embed) -> list[Reading]:
    """Readings of any extractors with their keys and vectors made again; one call of the embedder for all."""
    made = readings("", [((reading.seq, cube), reading.content) for cube, reading in found], embed)
    return [new._replace(extractor=reading.extractor) for (_, reading), new in zip(found, made, strict=True)]
