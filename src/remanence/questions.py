"""Recorded questions: what a `Query` was asked with, as JSON, and back. Changes are tried on them; see `admission`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from remanence.cubes import Kind, Route, Scope

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from remanence.recall.query import Query

_TIMES = ("since", "until", "as_of", "known_at")


def filters_of(query: Query) -> dict[str, Any]:
    """What narrowed a question, as JSON types; only what was given. `now` is not among them: it differs with every call."""
    scope = query.scope
    found: dict[str, Any] = {
        name: value for name in ("user", "agent", "session") if (value := getattr(scope, name)) is not None
    }
    found |= {name: value.isoformat() for name in _TIMES if (value := getattr(query, name)) is not None}
    if query.kinds is not None:
        found["kinds"] = sorted(query.kinds)
    if query.meta:
        found["meta"] = dict(query.meta)
    if query.route is not None:
        found["route"] = query.route.value
    if query.current:
        found["current"] = True
    return found


def query_of(question: str, space: str, filters: Mapping[str, Any], k: int, now: datetime) -> Query:
    """The question again, as of now."""
    from remanence.recall.query import Query

    times = {name: datetime.fromisoformat(filters[name]) if name in filters else None for name in _TIMES}
    return Query(
        question=question, scope=Scope(space=space, **{name: filters.get(name) for name in ("user", "agent", "session")}), k=k,
        kinds=frozenset(map(Kind, filters["kinds"])) if "kinds" in filters else None, meta=filters.get("meta", {}),
        route=Route(filters["route"]) if "route" in filters else None, current=bool(filters.get("current")),
        since=times["since"], until=times["until"], as_of=times["as_of"], known_at=times["known_at"], today=now,
        now=times["as_of"] or times["known_at"] or now, explain=False,
    )  # fmt: skip


@contextmanager
def unrecorded(quiet: threading.local) -> Generator[None]:
    """Within the block this thread's questions are a part of another one, and are not recorded."""
    quiet.depth = getattr(quiet, "depth", 0) + 1
    try:
        yield
    finally:
        quiet.depth -= 1
