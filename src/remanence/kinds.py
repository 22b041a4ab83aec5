"""What a memory is: its form, what it is about, where it stands in its life, and the file that a cache or an adapter has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Form(StrEnum):
    """The three forms of a memory. TEXT is the source of truth; the others are made of it, and can be made again."""

    TEXT = "text"
    ACTIVATION = "activation"
    PARAMETRIC = "parametric"


class Kind(StrEnum):
    """What a cube is about; `recall(kinds=…)` filters on it."""

    MESSAGE = "message"
    FACT = "fact"
    EVENT = "event"
    PREFERENCE = "preference"
    PROCEDURE = "procedure"
    DOCUMENT = "document"
    QA = "qa"
    SUMMARY = "summary"
    PROFILE = "profile"
    CACHE = "cache"
    """A KV cache of memories."""
    ADAPTER = "adapter"
    """A change of weights, or rows beside them, that hold memories."""


MADE = frozenset({Kind.QA, Kind.SUMMARY, Kind.PROFILE, Kind.CACHE, Kind.ADAPTER})
"""Kinds that are made out of memories: nothing further is read out of them."""


class State(StrEnum):
    """Where a version stands in its life. `store.lifecycle.ALLOWED` says what may follow what."""

    GENERATED = "generated"
    """Written but not admitted: held in quarantine, never recalled."""
    ACTIVE = "active"
    MERGED = "merged"
    """Another memory was made of it and others, and speaks for it."""
    ARCHIVED = "archived"
    """Superseded by a later version, or put away by hand; kept for `history` and `as_of`."""
    FROZEN = "frozen"
    """Recalled as it is, and closed to every change."""
    EXPIRED = "expired"
    """Its time was up."""
    FORGOTTEN = "forgotten"
    """Erased: no version is in this state, only events and receipts say so."""


@dataclass(frozen=True, slots=True)
class Payload:
    """The file of a memory that is a cache or an adapter. It lies beside the store."""

    format: str
    """What the file holds: `remanence.kv/1`, `remanence.lora/1`, `remanence.rows/1` …"""
    name: str
    """Its name in the folder of payloads; chosen at random, for a name made of the content would tell of it."""
    size: int
    """Bytes."""
    sha256: str
    fingerprint: Mapping[str, str]
    """Of the model that it was made with, and works with."""
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What is known of it: `sources`, `tokens`, `seconds` … No content."""

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "format": self.format, "name": self.name, "size": self.size, "sha256": self.sha256,
            "fingerprint": dict(self.fingerprint), "details": dict(self.details),
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Payload:
        """The inverse of `to_json`; KeyError, ValueError or TypeError where it is malformed."""
        return cls(
            str(data["format"]), str(data["name"]), int(data["size"]), str(data["sha256"]),
            {str(name): str(value) for name, value in data["fingerprint"].items()}, dict(data["details"]),
        )  # fmt: skip
