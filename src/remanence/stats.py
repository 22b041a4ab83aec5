"""What a store holds, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Stats:
    """What a store holds, and what it costs."""

    location: str
    cubes: int
    """Memories: corrections are not counted again."""
    versions: int
    spaces: int
    entries: int
    """Journal entries."""
    without_vector: int
    """Versions that dense search cannot find until `reindex`."""
    payloads: int
    """Caches and adapters."""
    payload_bytes: int
    """What their files take."""
    bytes: int
    """Size of the file, write-ahead log not counted."""
    memory_bytes: int
    """Bytes that the in-memory indexes of this `Memory` hold at the moment."""
    embedder: str | None
    """Fingerprint of the embedder that made the store's vectors."""
    by_space: Mapping[str, int] = field(default_factory=dict[str, int])
