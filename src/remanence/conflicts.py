"""Contradictions in a space: two memories that cannot both hold, and that time does not order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from remanence.cubes import MemCube
from remanence.language.slots import Stated, disputed, resolve
from remanence.policies import Clearance
from remanence.store.protocol import Store

_MOST = 1000  # contradictions listed: more would not help anyone


@dataclass(frozen=True, slots=True)
class Side:
    """One of two contradicting statements."""

    cube: MemCube
    value: str
    denied: bool
    """It says that the value does not hold."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two statements about one relation of one subject that cannot both hold."""

    subject: str
    relation: str
    first: Side
    """The earlier one, by the time from which it holds and the order of writing."""
    second: Side

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        sides = {
            name: {"value": side.value, "denied": side.denied, "cube": side.cube.to_json()}
            for name, side in (("first", self.first), ("second", self.second))
        }
        return {"subject": self.subject, "relation": self.relation, **sides}


def conflicts(store: Store, space: str, clearance: Clearance | None = None) -> list[Conflict]:
    """The contradictions among the current memories of a space, by subject and relation, at most a thousand."""
    pairs = disputed(resolve(store.derived.claims(space, clearance=clearance)))[:_MOST]
    cubes = store.fetch(space, sorted({side.seq for pair in pairs for side in (pair.first, pair.second)}), clearance)
    return [
        Conflict(pair.first.fact.subject, pair.first.fact.relation, _side(pair.first, cubes), _side(pair.second, cubes))
        for pair in pairs
        if pair.first.seq in cubes and pair.second.seq in cubes and pair.first.seq != pair.second.seq
    ]


def _side(stated: Stated, cubes: dict[int, MemCube]) -> Side:
    return Side(cubes[stated.seq], stated.fact.value, stated.negated)
