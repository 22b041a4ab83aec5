"""From a cube to what recall looks it up by. One place, so that writing and `verify` cannot differ."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from remanence.cubes import Extraction, Fact, Kind, MemCube
from remanence.drafts import ENDS_WITH_QUESTION, HAS_TIME, Keys
from remanence.language import dates, entities, tokens
from remanence.language.qa import parse_qa
from remanence.language.topics import normalised

RULES = "2"
"""Number of the rules below, and of all that they use. A change that derives other keys from the same cube raises it: a store
notes the rules that its keys were made by, and `reindex` brings it up to date."""

_PAIR = struct.Struct("<2d")


def derive(cube: MemCube, vector: bytes | None = None) -> Keys:
    """The keys of a cube, with a vector that was made elsewhere."""
    corrected = cube.provenance.method == "corrected"  # its words are said now, not when the first version was
    said_at = cube.valid_from if corrected else cube.provenance.observed_at
    flags = ENDS_WITH_QUESTION * cube.text.rstrip().endswith("?") | HAS_TIME * dates.has_time_expression(cube.text)
    return Keys(
        terms=tokens.pack_terms(tokens.hashes(lexical_text(cube))),
        dates=pack_windows(dates.mentioned(cube.text, said_at)),
        flags=flags,
        vector=vector,
        mentions=entities.pack_mentions(entities.mentions(cube.text, cube.about)),
    )


def _topic(content: Extraction) -> str:
    """The subject of most facts, of several the first: what a text without a title is about."""
    subjects = Counter(fact.subject for fact in linking(content))
    return max(subjects, key=subjects.__getitem__, default="")


class ReadKeys(NamedTuple):
    """The keys of what was read out of a cube, its vectors aside: the fields of that name in `store.protocol.Reading`."""

    mentions: bytes
    links: bytes
    terms: bytes


def derive_reading(cube: MemCube, content: Extraction) -> ReadKeys:
    """The keys of what was read out of a cube."""
    sides = [normalised(side) for fact in linking(content) for side in (fact.subject, fact.value)]
    alone = [normalised(side) for fact in content.facts for side in (fact.subject, fact.value)]
    names = dict.fromkeys(name for name in (*map(normalised, content.entities), *alone) if name)
    about = None if cube.about else normalised(content.about or _topic(content))
    if about:
        names[about] = None
    return ReadKeys(
        mentions=entities.pack_mentions(entities.Mention(name, 1, name == about) for name in names),
        links=b"".join(entities.name_hash(side).to_bytes(4, "little") for side in sides),
        terms=tokens.pack_terms(tokens.hashes("\n".join(content.statements))),
    )


def linking(content: Extraction) -> list[Fact]:
    """Facts with a name on both sides. Sides such as a dash would be one node, and join what has nothing in common."""
    return [fact for fact in content.facts if normalised(fact.subject) and normalised(fact.value)]


def embedded_parts(content: Extraction) -> list[str]:
    """What the embedder reads of a reading: each fact as a sentence, then each statement."""
    return [*(f"{fact.subject} {fact.relation} {fact.value}" for fact in linking(content)), *content.statements]


def lexical_text(cube: MemCube) -> str:
    """The words of a cube: its title or its speaker, then its text; of a question–answer pair the question alone."""
    if (pair := _pair(cube)) is not None:
        return pair[0]
    head = cube.about or cube.provenance.author
    return f"{head}\n{cube.text}" if head else cube.text


def embedded_text(cube: MemCube) -> str:
    """What the embedder reads: a document with its title, a message as it was said, of a question–answer pair the question."""
    if (pair := _pair(cube)) is not None:
        return pair[0]
    return f"{cube.about}\n{cube.text}" if cube.about else cube.text


def _pair(cube: MemCube) -> tuple[str, str] | None:
    return parse_qa(cube.text) if cube.kind is Kind.QA else None


def pack_windows(windows: Sequence[dates.Window]) -> bytes:
    """float64 pairs, little-endian."""
    return b"".join(_PAIR.pack(window.lo, window.hi) for window in windows)


def unpack_windows(packed: bytes) -> list[dates.Window]:
    """The inverse of `pack_windows`."""
    return [dates.Window(*pair) for pair in _PAIR.iter_unpack(packed)]
