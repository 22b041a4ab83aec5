"""What `Memory.recall` does once the gate has let the caller pass: the question checked, looked up, noted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from remanence.arguments import chosen, count, kind_set, meta_filter, scope
from remanence.cubes import DEFAULT_SPACE, Hits, Kind, Route
from remanence.errors import InputError
from remanence.governance.standing import held
from remanence.policies import Clearance
from remanence.recall.query import Query
from remanence.rooms import Rooms
from remanence.write.messages import moment
from remanence.write.messages import text as checked_text

MOST_HITS = 10_000


def recall(
    rooms: Rooms, clearance: Clearance | None, question: str, /, *, space: str = DEFAULT_SPACE, user: str | None = None,
    agent: str | None = None, session: str | None = None, k: int = 10, kinds: Sequence[Kind | str] | None = None,
    since: datetime | str | None = None, until: datetime | str | None = None, as_of: datetime | str | None = None,
    known_at: datetime | str | None = None, now: datetime | str | None = None, meta: Mapping[str, Any] | None = None,
    explain: bool = True, route: Route | str | None = None, current: bool = False,
) -> Hits:  # fmt: skip
    """See `Memory.recall`."""
    asked_as_of, knew, today = moment(as_of, "as_of"), moment(known_at, "known_at"), rooms.store.clock()
    if current and knew is not None:
        raise InputError("current goes with what the store knows now.", "Leave out current, or known_at.")
    query = Query(
        question=checked_text(question, "The question", rooms.settings.max_question), k=count(k, "k", MOST_HITS),
        scope=scope(space, user, agent, session), kinds=kind_set(kinds), meta=meta_filter(meta),
        since=moment(since, "since"), until=moment(until, "until"), as_of=asked_as_of, known_at=knew, today=today,
        now=moment(now, "now") or asked_as_of or knew or today, explain=bool(explain), route=chosen(route),
        current=bool(current), clearance=clearance,
    )  # fmt: skip
    if not rooms.has_space(space):
        return Hits(notes=(f"Nothing is in the space {space!r} yet.",))
    hits = rooms.recall(query, rooms.encoding.question)
    hits.notes += rooms.encoding.notes()
    if knew is None:  # what holds now says nothing of what the store knew once
        hits.standing, note = held(rooms.store, query.question, query.scope, clearance, query.kinds)
        hits.notes += note
    rooms.record(query, hits)
    rooms.used.update(hit.cube.id for hit in hits if hit.cube.policy.half_life is not None)
    return hits
