"""Reading memories with a model after they are durable: resumable, and never in the way of a write.

The store knows which versions an extractor has not read yet, so the work goes on wherever it was left: after an error, a
restart, or more writes. What was read becomes extra keys to the cube, in a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remanence.cubes import Cost, Extraction, Fact, MemCube
from remanence.errors import RemanenceError
from remanence.language import tokens
from remanence.language.entities import Mention, name_hash, pack_mentions
from remanence.language.topics import normalised
from remanence.store.protocol import Reading, Store
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
    stop: Callable[[], bool] = lambda: False,
) -> Read:  # fmt: skip
    """Read every current version that this extractor has not read, batch by batch, until nothing is left or `stop` says so."""
    total = store.derived.waiting(extractor.name, space)
    done, after, dead = Read(waiting=total), 0, 0
    failures: dict[str, RemanenceError] = {}
    tried = 0
    while not stop() and dead < _GIVE_UP and (some := store.derived.unread(extractor.name, space, after, _BATCH)):
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
    texts = [text for _, extraction in found for text in _embedded(extraction)]
    vectors = embed(texts) if texts else None
    packed = None if vectors is None else vectors.astype("<f2")
    result: list[Reading] = []
    at = 0
    for (seq, cube), extraction in found:
        count = len(_embedded(extraction))
        own = None if packed is None or not count else packed[at : at + count].tobytes()
        at += count
        result.append(
            Reading(
                seq,
                extractor,
                extraction,
                pack_mentions(_mentions(cube, extraction)),
                _links(extraction),
                tokens.pack_terms(tokens.hashes("\n".join(extraction.statements))),
                own,
            )  # fmt: skip
        )
    return result


def _embedded(extraction: Extraction) -> list[str]:
    facts = [f"{fact.subject} {fact.relation} {fact.value}" for fact in _linking(extraction)]
    return [*facts, *extraction.statements]


def _linking(extraction: Extraction) -> list[Fact]:
    """Facts with a name on both sides. Sides such as a dash would be one node, and join what has nothing in common."""
    return [fact for fact in extraction.facts if normalised(fact.subject) and normalised(fact.value)]


def _mentions(cube: MemCube, extraction: Extraction) -> list[Mention]:
    sides = [side for fact in extraction.facts for side in (fact.subject, fact.value)]
    names = dict.fromkeys(name for one in (*extraction.entities, *sides) if (name := normalised(one)))
    about = None if cube.about or not extraction.about else normalised(extraction.about)
    if about:
        names[about] = None
    return [Mention(name, 1, name == about) for name in names]


def _links(extraction: Extraction) -> bytes:
    sides = [side for fact in _linking(extraction) for side in (fact.subject, fact.value)]
    return b"".join(name_hash(normalised(side)).to_bytes(4, "little") for side in sides)
