"""What callers pass to `Memory`, checked: wrong types and values get a designed error before anything happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from remanence.cubes import DEFAULT_SPACE, Kind, MemCube, Route, Scope
from remanence.errors import InputError
from remanence.write.messages import name, valid_unicode


def scope(space: str, user: str | None, agent: str | None, session: str | None) -> Scope:
    """The scope that these names give."""
    return Scope(
        space=name(space, "space") or DEFAULT_SPACE,
        user=name(user, "user"),
        agent=name(agent, "agent"),
        session=name(session, "session"),
    )


def identity(cube_id: object) -> str:
    """The id of a memory, from an id or a cube."""
    if isinstance(cube_id, MemCube):
        return cube_id.id
    if not isinstance(cube_id, str) or not valid_unicode(cube_id):
        raise InputError(f"{cube_id!r} is not an id.", "Pass an id that add returned, or a cube.")
    return cube_id


def optional_space(space: object) -> str | None:
    """The space that an id has to be in; None for any."""
    return name(space, "space")


def place(path: object, what: str) -> Path:
    """A path, with ~ expanded."""
    if not isinstance(path, str | Path) or not str(path).strip() or "\0" in str(path):
        raise InputError(f"{what} is {path!r}.", "Pass a path.")
    return Path(path).expanduser()


def count(value: object, what: str, most: int, least: int = 1) -> int:
    """A whole number from `least` to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InputError(f"{what} is {value!r}.", f"Pass a whole number from {least} to {most:,}.")
    return value


def kind_set(kinds: Sequence[Kind | str] | None) -> frozenset[Kind] | None:
    """The kinds to look among; None for all."""
    if kinds is None:
        return None
    try:
        return frozenset(Kind(kind) for kind in ([kinds] if isinstance(kinds, str) else kinds))
    except (ValueError, TypeError):
        raise InputError(f"kinds is {kinds!r}.", f"Use some of: {', '.join(Kind)}.") from None


def chosen(route: Route | str | None) -> Route | None:
    """How to look a question up; None where the gate decides."""
    try:
        return None if route is None else Route(route)
    except ValueError:
        raise InputError(f"route is {route!r}.", f"Use one of: {', '.join(Route)}, or None.") from None


def meta_filter(meta: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Names in `meta` and the values they have to equal."""
    if meta is None:
        return {}
    if not isinstance(meta, Mapping) or not all(_comparable(key, value) for key, value in meta.items()):
        raise InputError(
            f"meta is {meta!r}.", "Pass a dict of names and the text, numbers or booleans they have to equal."
        )
    return meta


def _comparable(key: object, value: object) -> bool:
    """Whether the store can look for it."""
    if type(value) is int:
        value = value if abs(value) < 1 << 63 else object()  # as large as a number in the store can be
    texts = [text for text in (key, value) if isinstance(text, str)]
    return (
        isinstance(key, str)
        and "\0" not in key
        and (value is None or type(value) in {str, int, float, bool})
        and all(valid_unicode(text) for text in texts)
    )
