"""What a request to forget would take away: every copy by its kind, what lies close and stays, and what nobody here can reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from remanence.cubes import Kind
from remanence.errors import InputError, UnknownCubeError
from remanence.language.tokens import stems
from remanence.settings import Settings
from remanence.store import chosen, erasure
from remanence.store.erasure import Survey, Target

if TYPE_CHECKING:
    from remanence.store.sqlite import SQLiteStore

Selection = Literal["ids", "query", "source", "user", "space"]
CLOSE = 0.6
"""Cosine from which another memory is listed as close to one that goes."""
_MOST_CLOSE = 5
_MOST_LISTED = 50  # passages of the same file
_PREVIEW = 160  # characters of a memory in a plan


@dataclass(frozen=True, slots=True)
class Selector:
    """What somebody asked to forget."""

    kind: Selection
    value: tuple[str, ...]
    """The ids, or the query, the source or the user; empty for a whole space."""
    space: str | None
    """None for ids in any space."""

    @property
    def words(self) -> str:
        """One line for people."""
        where = "" if self.space is None else f" in the space {self.space!r}"
        if self.kind == "space":
            return f"everything{where}"
        return f"{self.kind} {', '.join(map(repr, self.value))}{where}"


@dataclass(frozen=True, slots=True)
class Planned:
    """One memory that would go."""

    id: str
    space: str
    substrate: str
    """What kind of copy it is."""
    versions: int
    chosen: bool
    """It was asked for itself; the others follow from it."""
    made_of: tuple[str, ...]
    preview: str
    """The beginning of what it says."""


@dataclass(frozen=True, slots=True)
class Close:
    """A memory that says something close, and stays unless it is added."""

    id: str
    similarity: float
    """Cosine of the embeddings with the nearest memory that was asked for."""
    preview: str


@dataclass(frozen=True, slots=True)
class Beyond:
    """A copy that the erasure cannot reach."""

    what: str
    where: str
    do: str
    """What a person can do about it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a forget would do. It shows content, and is not stored."""

    selector: Selector
    memories: tuple[Planned, ...]
    counts: Mapping[str, int]
    """Rows by substrate."""
    close: tuple[Close, ...]
    same_source: tuple[str, ...]
    """Ids of other passages of the same files: not selected."""
    sources_left: tuple[str, ...]
    """Ids of memories that something asked for was made of: not selected."""
    coming_back: tuple[str, ...]
    """Ids of memories that a merged one spoke for: they are recalled again."""
    rebuilt: tuple[str, ...]
    """Ids of what a dropped summary or profile was also made of: the next `consolidate` makes it anew from them."""
    frozen: tuple[str, ...]
    """Ids of memories that refuse: the forget would be refused as a whole."""
    not_reached: tuple[Beyond, ...]
    elsewhere: int = 0
    """How many more memories would go, of spaces in which the caller may not forget: they were made of these."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Of all memories that would go."""
        return tuple(one.id for one in self.memories)

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self) | {"counts": dict(self.counts)}


def selector_of(
    ids: Sequence[str] | None, query: str | None, source: str | None, user: str | None, space: str | None
) -> Selector:  # fmt: skip
    """What the arguments of a forget mean; InputError unless they name exactly one kind of thing. Names are checked elsewhere."""
    kinds: dict[Selection, Sequence[str] | str | None] = {"ids": ids, "query": query, "source": source, "user": user}
    given: list[Selection] = [kind for kind, value in kinds.items() if value is not None]
    if len(given) > 1:
        raise InputError(
            f"Both {' and '.join(given)} were given.", "Forget by one of them; several calls forget several things."
        )
    if ids is not None:
        if not ids:
            raise InputError("No id was given.", "Pass the id of a memory, or several.")
        return Selector("ids", tuple(dict.fromkeys(ids)), space)
    if given:
        return Selector(given[0], (str(kinds[given[0]]),), space)
    if space is None:
        raise InputError(
            "Nothing was named to forget.",
            "Pass ids, query=, source= or user=; or space= alone for everything in a space.",
        )
    return Selector("space", (), space)


def select(store: SQLiteStore, selector: Selector) -> list[str]:
    """The ids that a selector means, as the store is now.

    Raises
    ------
    UnknownCubeError
        It means none.
    InputError
        A query has no content words.
    """
    if selector.kind == "ids":
        return list(selector.value)
    space = selector.space or ""
    if selector.kind == "query":
        if not stems(selector.value[0]):
            raise InputError(
                f"{selector.value[0]!r} has no content words.", "Name at least one word that tells something."
            )
        found = chosen.by_query(store.connections, space, selector.value[0])
    else:
        value = selector.value[0] if selector.value else None
        by = {"source": value} if selector.kind == "source" else {"user": value} if selector.kind == "user" else {}
        found = chosen.by_place(store.connections, space, **by)
    if not found:
        raise UnknownCubeError(f"No memory is meant by {selector.words}.", "Nothing was erased. Check the spelling.")
    return found


def build(store: SQLiteStore, selector: Selector, settings: Settings, *, close: bool = True) -> tuple[Plan, Survey]:
    """The plan for a selector, and the survey that it rests on; UnknownCubeError where it means nothing.

    Without `close` nothing is compared by meaning: whoever does not read the plan need not wait for that.
    """
    ids = select(store, selector)
    with store.connections.read() as connection:
        survey = erasure.survey(connection, ids, selector.space)
    gone = set(survey.ids)
    plan = Plan(
        selector=selector,
        memories=tuple(_planned(target) for target in survey.targets),
        counts=survey.counts,
        close=_close(store, survey) if close else (),
        same_source=tuple(chosen.same_source(store.connections, _files(survey), gone))[:_MOST_LISTED],
        sources_left=_sources_left(store, survey, gone),
        coming_back=survey.coming_back,
        rebuilt=_rebuilt(store, survey, gone),
        frozen=survey.frozen,
        not_reached=beyond(store, survey, settings, whole=selector.space if selector.kind == "space" else None),
    )
    return plan, survey


def seen_by(plan: Plan, store: SQLiteStore, allowed: Callable[[str], bool]) -> Plan:
    """A plan for somebody who may see only some spaces: of the others it says how many memories of theirs would go."""
    seen = tuple(one for one in plan.memories if allowed(one.space))

    def known(ids: Sequence[str]) -> tuple[str, ...]:
        places = ((one, store.grants.place(one)) for one in ids)
        return tuple(one for one, place in places if place is not None and allowed(place.space))

    return replace(
        plan, memories=tuple(replace(one, made_of=known(one.made_of)) for one in seen),
        elsewhere=len(plan.memories) - len(seen), same_source=known(plan.same_source),
        sources_left=known(plan.sources_left), coming_back=known(plan.coming_back), rebuilt=known(plan.rebuilt),
        frozen=known(plan.frozen),
    )  # fmt: skip


def _planned(target: Target) -> Planned:
    made_of = target.last.provenance.derived_from
    text = " ".join(target.last.text.split())
    preview = text if len(text) <= _PREVIEW else f"{text[: _PREVIEW - 1]}…"
    return Planned(target.id, target.space, target.substrate, len(target.seqs), target.chosen, made_of, preview)


def _files(survey: Survey) -> set[tuple[str, str]]:
    files = ((target.space, target.last.provenance.source) for target in survey.targets if target.chosen)
    return {(space, source) for space, source in files if source.startswith("file:")}


def _sources_left(store: SQLiteStore, survey: Survey, gone: set[str]) -> tuple[str, ...]:
    named = (parent for target in survey.targets if target.chosen for parent in target.last.provenance.derived_from)
    return tuple(chosen.texts(store.connections, [one for one in dict.fromkeys(named) if one not in gone]))


def _rebuilt(store: SQLiteStore, survey: Survey, gone: set[str]) -> tuple[str, ...]:
    named = (
        parent
        for target in survey.targets
        if target.last.kind in {Kind.SUMMARY, Kind.PROFILE} and not target.chosen
        for parent in target.last.provenance.derived_from
    )
    return tuple(chosen.texts(store.connections, [one for one in dict.fromkeys(named) if one not in gone]))


def _close(store: SQLiteStore, survey: Survey) -> tuple[Close, ...]:
    """The nearest memories that stay, by embedding, of the spaces of those that were asked for."""
    import numpy as np

    gone, best = set(survey.ids), dict[str, float]()
    for space in dict.fromkeys(target.space for target in survey.targets if target.chosen):
        found = chosen.vectors(store.connections, space)
        asked = [
            target.vectors[-1] for target in survey.targets
            if target.chosen and target.space == space and target.vectors[-1] is not None
        ]  # fmt: skip
        left = np.array([one not in gone for one in found.ids], bool)
        if not asked or not left.any() or {len(one) for one in asked} != {2 * found.rows.shape[1]}:
            continue
        rows = np.stack([np.frombuffer(one, "<f2").astype(np.float32) for one in asked])
        nearest = (found.rows @ rows.T).max(axis=1)
        for place in np.flatnonzero(left & (nearest >= CLOSE)):
            best[found.ids[place]] = float(nearest[place])
    top = sorted(best, key=lambda one: (-best[one], one))[:_MOST_CLOSE]
    texts = chosen.texts(store.connections, top)
    return tuple(
        Close(one, round(best[one], 3), " ".join(texts[one].split())[:_PREVIEW]) for one in top if one in texts
    )


# ── out of reach ─────────────────────────────────────────────────────────────────────────────────────────────────────


def beyond(store: SQLiteStore, survey: Survey, settings: Settings, whole: str | None = None) -> tuple[Beyond, ...]:
    """Copies that this store knows of, or must assume, and cannot erase. `whole` is the space that is forgotten as a whole."""
    found: list[Beyond] = []
    since = min((_first_entry(store, target) for target in survey.targets), default=0)
    spaces = sorted({target.space for target in survey.targets})
    for copy in store.tombstones.copies(since, spaces):
        there = "" if Path(copy.path).exists() else ", not there any more under this name"
        do = (
            "Delete it, or open it and forget the same ids there."
            if copy.kind == "backup"
            else "Delete it and export again."
        )
        found.append(Beyond(f"{copy.kind} of {copy.at[:19]}Z{there}", copy.path, do))
    for name, url in (("embedder", settings.embedder), ("language model", settings.model)):
        if host := _host(url):
            found.append(
                Beyond(
                    f"remote {name}",
                    host,
                    "It may have been sent these texts. Ask its operator what is kept, and have it erased.",
                )
            )
    found += _in_settings(store, survey, whole)
    found += [
        Beyond("copies made by other means", "copied files, file-system snapshots, system backups", "Delete them where you know of any."),
        Beyond("memory of running programs", "this one's freed memory, and others that have the store open", "Restart them; their indexes follow at their next question."),
        Beyond("old blocks of the disk", "where the file lay before it was rewritten", "Use an encrypted disk, or trim and overwrite its free space."),
        Beyond("what was shown or told", "prompts, screens, logs of other programs", "Ask those who keep them."),
    ]  # fmt: skip
    return tuple(found)


def _in_settings(store: SQLiteStore, survey: Survey, whole: str | None) -> list[Beyond]:
    """Grants, principals and shares that name the user of what goes, or the space that goes. Only how many: the plan may be shown."""
    users = {cube.scope.user for target in survey.targets for cube in target.cubes if cube.scope.user}
    grants = sum(one.principal in users or one.space == whole for one in store.grants.listed())
    shares = sum(
        (one.view or {}).get("user") in users or whole in {one.source, one.target}
        for one in store.grants.shares.listed()
    )
    counts = (
        (grants, "grants"),
        (len(users.intersection(store.grants.principals())), "principals"),
        (shares, "shares"),
    )
    where = ", ".join(f"{count} {what}" for count, what in counts if count)
    do = "List them and end them: remanence access revoke, remanence access unshare. A principal's name stays."
    return [Beyond("names in settings", where, do)] if where else []


def _first_entry(store: SQLiteStore, target: Target) -> int:
    """The journal entry that wrote the first version."""
    with store.connections.read() as connection:
        row = connection.execute("SELECT min(entry) FROM journal WHERE seq = ?", (target.seqs[0],)).fetchone()
    return row[0] or 0


def _host(url: str) -> str:
    """The host that a setting names; never the key or the user that may stand in it."""
    parts = urlsplit(url) if url.startswith(("http://", "https://")) else None
    if parts is None or not parts.hostname:
        return ""
    try:
        port = parts.port
    except ValueError:
        port = None
    return parts.hostname if port is None else f"{parts.hostname}:{port}"
