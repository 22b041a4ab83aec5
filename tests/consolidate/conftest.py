"""Cubes that were never stored."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from remanence.cubes import Kind, MemCube, Provenance, Scope
from remanence.language.slots import Stated
from remanence.policies import Policy
from remanence.store.claimed import by_rules


@pytest.fixture(scope="session")
def cube() -> Callable[..., MemCube]:
    """A current memory; what is not given follows from its text."""

    def make(text: str, day: str = "2024-05-01", **fields: Any) -> MemCube:
        scope = Scope(**{name: fields.pop(name) for name in ("space", "user", "agent", "session") if name in fields})
        policy = Policy(**{name: fields.pop(name) for name in Policy.__slots__ if name in fields})
        at = datetime.fromisoformat(day).replace(tzinfo=UTC)
        timed = fields.pop("timed", True)
        origin = Provenance(
            author=fields.pop("author", "Ana"), role=fields.pop("role", "user"), source=fields.pop("source", "api"),
            method=fields.pop("method", "raw"), derived_from=fields.pop("derived_from", ()), observed_at=at if timed else None,
        )  # fmt: skip
        filled: dict[str, Any] = {
            "id": f"{text} {day}",
            "version": 1,
            "kind": Kind.MESSAGE,
            "recorded_at": at,
            "valid_from": at,
        }
        return MemCube(text=text, scope=scope, policy=policy, provenance=origin, **filled | fields)

    return make


@pytest.fixture(scope="session")
def stating() -> Callable[..., list[Stated]]:
    """What some memories claim, as the store tells it."""

    def state(*cubes: MemCube) -> list[Stated]:
        return [
            Stated(
                claim.fact, one.id, one.version, number, one.valid_from.timestamp(), one.provenance.source, claim.negated,
                claim.replaces, own=claim.fact.subject == one.provenance.author,
            )
            for number, one in enumerate(cubes, 1)
            for claim in by_rules(one)
        ]  # fmt: skip

    return state
