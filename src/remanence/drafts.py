"""What is handed to a store: a version that is ready to be written, the keys that recall looks it up by, the file of an artefact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remanence.cubes import Form, MemCube


@dataclass(frozen=True, slots=True)
class Keys:
    """What recall looks a version up by. All of it is derived from the text and can be built again."""

    terms: bytes
    """`language.tokens.pack_terms`: hashed stems and their counts."""
    dates: bytes
    """Windows that the text names: float64 pairs [lo, hi) in POSIX seconds."""
    flags: int
    """Bits: ENDS_WITH_QUESTION, HAS_TIME."""
    vector: bytes | None = None
    """The unit embedding as little-endian float16, or None where no embedder was at hand."""
    mentions: bytes | None = None
    """`language.entities.pack_mentions`: hashed names and their counts. None in a store of format 1 until `reindex`."""


ENDS_WITH_QUESTION = 1
HAS_TIME = 2


@dataclass(frozen=True, slots=True)
class Draft:
    """A version that is ready to be written: the cube, its keys, and the mark that tells a repetition."""

    cube: MemCube
    keys: Keys
    mark: bytes | None
    """Keyed digest of source and content; None for a correction, which is never a repetition."""
    made_of: tuple[tuple[str, int], ...] = ()
    """Ids and versions that it was made from while they were current."""
    held: str | None = None
    """Why it is quarantined; its cube is GENERATED then."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """A cache or an adapter that a room wrote to a file: it becomes a memory when the store takes the file over."""

    form: Form
    """ACTIVATION or PARAMETRIC."""
    format: str
    """What the file holds, such as `remanence.kv/1`."""
    path: Path
    """One safetensors file. It is moved, not copied."""
    fingerprint: Mapping[str, str]
    """Of the model that it was made with and works with; `models.local.fingerprint.Fingerprint.to_json`."""
    details: Mapping[str, Any]
    """What is known of it, as JSON: `sources`, `tokens`, `seconds` … It holds no text of a memory, and no token of one."""
    text: str
    """A line for people. It holds nothing of a memory either."""
