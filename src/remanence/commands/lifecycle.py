"""Commands: states, policies, time travel and care."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from remanence import show
from remanence.commands.command import Answer, Args, Command, opened, trigger_of
from remanence.cubes import DEFAULT_SPACE, MemCube, State
from remanence.errors import InputError
from remanence.store.parts import Diff, Event, RolledBack

_ACTIONS = ("freeze", "unfreeze", "archive", "restore", "expire")


def state(args: Args) -> Answer:
    with opened(args) as memory:
        move = getattr(memory.lifecycle, args.action)
        reason = {} if args.reason is None else {"reason": args.reason}
        cubes: list[MemCube] = [move(cube_id, space=args.space, **reason) for cube_id in args.ids]
    return Answer(
        {"memories": [cube.to_json() for cube in cubes]},
        lambda: show.plain(*(f"{cube.id} is {cube.state.value}, version {cube.version}" for cube in cubes)),
    )


def govern(args: Args) -> Answer:
    given: dict[str, Any] = {
        name: value for name in ("trust", "sensitivity", "ttl", "expires_at", "priority", "half_life") if (value := getattr(args, name)) is not None
    }  # fmt: skip
    if args.access:
        given["access"] = args.access
    if args.trigger:
        given["trigger"] = trigger_of(args.trigger)
    if not given and not args.clear:
        raise InputError("Nothing was said about how to govern it.", "See: remanence govern --help")
    with opened(args) as memory:
        cube = memory.lifecycle.govern(args.id, **given, clear=args.clear, space=args.space)
    return Answer({"cube": cube.to_json()}, lambda: _policy(cube))


def _policy(cube: MemCube) -> RenderableType:
    told = cube.policy.to_json() or {"trust": f"{cube.trust.value} (by its role and source)"}
    return show.plain(
        *(f"{name}: {value if isinstance(value, str) else json.dumps(value)}" for name, value in told.items())
    )


def events(args: Args) -> Answer:
    with opened(args) as memory:
        found = memory.lifecycle.events(args.id, space=args.space)
    data = [
        {"at": one.at.isoformat(), "version": one.version, "was": one.was, "became": one.became, "reason": one.reason, "by": one.by}
        for one in found
    ]  # fmt: skip
    return Answer({"events": data}, lambda: _events(found))


def _events(found: list[Event]) -> RenderableType:
    if not found:
        return Text("Nothing happened to it since it was written.")
    table = Table(box=None, header_style="dim")
    for column in ("when", "was", "became", "why", "by"):
        table.add_column(column)
    for one in found:
        table.add_row(
            *(
                Text(show.clean(value))
                for value in (one.at.isoformat(" ", "seconds"), one.was, one.became, one.reason, one.by)
            )
        )
    return table


def states(args: Args) -> Answer:
    with opened(args) as memory:
        page = memory.lifecycle.in_state(
            args.state, space=args.space or DEFAULT_SPACE, limit=args.limit, after=args.after
        )
    data = {"memories": [cube.to_json() for cube in page], "cursor": page.cursor}
    return Answer(data, lambda: show.page(page))


def diff(args: Args) -> Answer:
    with opened(args) as memory:
        found = memory.diff(args.first, args.second, space=args.space or DEFAULT_SPACE)
    data: Mapping[str, Any] = {
        "added": [cube.to_json() for cube in found.added],
        "changed": [{"before": one.before.to_json(), "after": one.after.to_json()} for one in found.changed],
        "removed": [cube.to_json() for cube in found.removed], "forgotten": list(found.forgotten),
    }  # fmt: skip
    return Answer(data, lambda: _diff(found))


def _diff(found: Diff) -> RenderableType:
    lines = [Text(f"+ {show.clean(cube.text)}", style="green") for cube in found.added]
    for one in found.changed:
        lines.append(Text(f"- {show.clean(one.before.text)}", style="red"))
        lines.append(Text(f"+ {show.clean(one.after.text)}", style="green"))
    lines += [Text(f"- {show.clean(cube.text)}", style="red") for cube in found.removed]
    lines += [Text(f"forgotten: {cube_id}", style="dim") for cube_id in found.forgotten]
    return Group(*lines) if lines else Text("Nothing changed.")


def rollback(args: Args) -> Answer:
    with opened(args) as memory:
        done = memory.rollback(args.to, space=args.space or DEFAULT_SPACE)
    data = {
        "put_away": list(done.put_away), "reverted": list(done.reverted), "restored": list(done.restored),
        "skipped": dict(done.skipped),
    }  # fmt: skip
    return Answer(data, lambda: _rolled_back(done))


def _rolled_back(done: RolledBack) -> RenderableType:
    lines = [
        f"{len(done.put_away):,} put away, {len(done.reverted):,} say again what they said, {len(done.restored):,} brought back"
    ]
    lines += [f"{cube_id} stays as it is: {why}" for cube_id, why in done.skipped.items()]
    return show.plain(*lines)


def care(args: Args) -> Answer:
    with opened(args) as memory:
        done = memory.lifecycle.care()
    data = {"expired": list(done.expired), "faded": list(done.faded)}
    return Answer(data, lambda: show.plain(f"{len(done.expired):,} expired, {len(done.faded):,} faded"))


ARGUMENTS: dict[str, dict[str, Any]] = {
    "action": {"choices": list(_ACTIONS), "help": "what to do with it"},
    "state": {"choices": [one.value for one in State if one is not State.FORGOTTEN], "help": "which"},
    "--reason": {"help": "why: kept with the memory, and erased with it"},
    "--clear": {"metavar": "FIELD", "action": "append", "default": [], "help": "reset this, such as ttl; may be repeated"},
    "first": {"metavar": "FROM", "help": "the earlier time"},
    "second": {"nargs": "?", "metavar": "TO", "help": "the later time (now)"},
    "to": {"metavar": "TIME", "help": "the time to go back to"},
}  # fmt: skip
COMMANDS: dict[str, Command] = {
    "state": Command(state, "Freeze, archive, restore or expire memories.", "remanence state freeze ID", "action ids --reason --space"),
    "states": Command(states, "List the memories of one state.", "remanence states archived", "state --limit --after --space"),
    "events": Command(events, "Show what became of a memory, and why.", "remanence events ID", "id --space"),
    "govern": Command(
        govern, "Change how a memory is governed.", "remanence govern ID --ttl 86400 --sensitivity health",
        "id --trust --sensitivity --access --ttl --expires-at --priority --half-life --trigger --clear --space",
    ),
    "diff": Command(diff, "Show what changed between two times.", "remanence diff 2026-05-01 2026-06-01", "first second --space"),
    "rollback": Command(
        rollback, "Let a space say again what it said at a time.", "remanence rollback 2026-05-01T12:00", "to --space"
    ),
    "care": Command(care, "Do what is due: expiry, fading.", "remanence care"),
}  # fmt: skip
