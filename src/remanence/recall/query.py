"""A checked question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from remanence.cubes import Kind, Route, Scope
from remanence.policies import Clearance


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What `Memory.recall` was asked, checked and with every default filled in."""

    question: str
    scope: Scope
    k: int = 10
    kinds: frozenset[Kind] | None = None
    since: datetime | None = None
    until: datetime | None = None
    as_of: datetime | None = None
    known_at: datetime | None = None
    """Ask what the store knew at that time."""
    today: datetime = field(default_factory=lambda: datetime.now(UTC))
    """What the store's clock says: what has expired by then is not shown, whatever `now` is."""
    clearance: Clearance | None = None
    """What the caller may see; None: everything."""
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])
    explain: bool = True
    route: Route | None = None
    """None: the gate decides."""
    current: bool = False
    """Leave out what states only what something newer has replaced or denied."""
