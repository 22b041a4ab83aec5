"""What may be done with a memory, by whom and for how long: the half of a cube's header that may change without a new version."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

Clock = Callable[[], datetime]
"""Says what time it is, with its zone. Tests set their own."""


def utc_now() -> datetime:
    """The clock of the machine."""
    return datetime.now(UTC)


class Trust(StrEnum):
    """How far a memory is to be believed: who it comes from."""

    USER = "user"
    TOOL = "tool"
    WEB = "web"
    MODEL = "model"
    UNKNOWN = "unknown"


def trust_of(role: str, source: str) -> Trust:
    """The tier of a memory for which none was given, by its role and its source."""
    if source.startswith(("http://", "https://")):
        return Trust.WEB
    return {"assistant": Trust.MODEL, "tool": Trust.TOOL}.get(role, Trust.USER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """When a standing instruction is brought up, although it is not similar to the question."""

    always: bool = False
    words: tuple[str, ...] = ()
    """Words or phrases; any one of them in the question brings it up."""

    def to_json(self) -> dict[str, Any]:
        """Only what is set."""
        return ({"always": True} if self.always else {}) | ({"words": list(self.words)} if self.words else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trigger:
        """The inverse of `to_json`; TypeError or ValueError where it is none."""
        words = data.get("words", ())
        if not isinstance(words, list | tuple) or not all(isinstance(word, str) and word.strip() for word in words):
            raise ValueError("words is not a list of words")
        always = data.get("always", False)
        if not isinstance(always, bool) or {*data} - {"always", "words"} or not (always or words):
            raise ValueError('a trigger is {"always": true} or {"words": [...]}')
        return cls(always=always, words=tuple(words))


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a memory is governed. It belongs to the memory: a new version inherits it."""

    trust: Trust | None = None
    """None: as `trust_of` says."""
    sensitivity: str | None = None
    """A label such as `health`; only callers with a right to that label see the memory."""
    access: tuple[str, ...] = ()
    """Principals who alone may see it; empty for everyone with a right to the space."""
    expires_at: datetime | None = None
    """From then on it is no longer recalled."""
    priority: float = 0.0
    """Of two that compete for room, the higher stays."""
    half_life: float | None = None
    """Days in which a memory that nobody uses loses half its strength; None for never."""
    trigger: Trigger | None = None
    """What makes a standing instruction of it."""

    def to_json(self) -> dict[str, Any]:
        """Only what is not the default, in a fixed order."""
        found: dict[str, Any] = {}
        if self.trust is not None:
            found["trust"] = self.trust.value
        if self.sensitivity is not None:
            found["sensitivity"] = self.sensitivity
        if self.access:
            found["access"] = list(self.access)
        if self.expires_at is not None:
            found["expires_at"] = self.expires_at.isoformat()
        if self.priority:
            found["priority"] = self.priority
        if self.half_life is not None:
            found["half_life"] = self.half_life
        if self.trigger is not None:
            found["trigger"] = self.trigger.to_json()
        return found

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Policy:
        """The inverse of `to_json`; KeyError, TypeError or ValueError where it is malformed."""
        if not data:
            return _DEFAULT
        unknown = {*data} - {*cls.__slots__}
        if unknown:
            raise ValueError(f"a policy has no {min(unknown)!r}")
        access = data.get("access", ())
        if not isinstance(access, list | tuple) or not all(isinstance(one, str) and one for one in access):
            raise ValueError("access is not a list of names")
        sensitivity, expires = data.get("sensitivity"), data.get("expires_at")
        if sensitivity is not None and not (isinstance(sensitivity, str) and sensitivity):
            raise ValueError("sensitivity is not a label")
        return cls(
            trust=Trust(data["trust"]) if data.get("trust") is not None else None,
            sensitivity=sensitivity,
            access=tuple(sorted(set(access))),
            expires_at=None if expires is None else _zoned(datetime.fromisoformat(expires)),
            priority=_number(data.get("priority", 0.0)),
            half_life=None if data.get("half_life") is None else _positive(data["half_life"]),
            trigger=None if data.get("trigger") is None else Trigger.from_json(data["trigger"]),
        )


_DEFAULT = Policy()


@dataclass(frozen=True, slots=True)
class Clearance:
    """What one caller may see. Wherever None stands in its place, the caller is the owner of the file and sees everything."""

    principal: str
    labels: frozenset[str] = frozenset()
    """Sensitivity labels that the caller has a right to."""

    def admits(self, sensitivity: str | None, access: tuple[str, ...]) -> bool:
        """Whether a memory with this label and this list of principals may be shown."""
        return (sensitivity is None or sensitivity in self.labels) and (not access or self.principal in access)


def _zoned(moment: datetime) -> datetime:
    """Expiry is compared as text in the store: always UTC there, always with microseconds or none."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return float(value)


def _positive(value: object) -> float:
    number = _number(value)
    if number <= 0:
        raise ValueError(f"{value!r} is not above 0")
    return number
