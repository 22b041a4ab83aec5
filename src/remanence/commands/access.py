"""Commands: who may do what, what was asked for, what is withheld and what is shared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from remanence import show
from remanence.accessing import Access
from remanence.commands.command import Answer, Args, Command, opened
from remanence.errors import InputError
from remanence.governance.access import Operation
from remanence.store.grants import Granted, Log
from remanence.store.shares import Shared

_ACTIONS = ("grant", "revoke", "list", "log", "label", "restrict", "share", "unshare", "shares", "sync")

_TAKES = {
    "grant": "PRINCIPAL ROLE", "revoke": "PRINCIPAL", "label": "ID [LABEL]", "restrict": "ID [PRINCIPAL]…", "share": "[ID] --to SPACE",
    "unshare": "SHARE",
}  # fmt: skip
ARGUMENTS: dict[str, dict[str, Any]] = {
    "do": {"choices": _ACTIONS, "metavar": "ACTION", "help": ", ".join(_ACTIONS)},
    "what": {"nargs": "*", "metavar": "WHAT", "help": "; ".join(f"{do}: {takes}" for do, takes in _TAKES.items())},
    "--label": {
        "metavar": "LABEL",
        "action": "append",
        "default": [],
        "help": "a label that may be seen; may be repeated",
    },
    "--to": {"metavar": "SPACE", "help": "the space that a share is shown in"},
    "--principal": {"dest": "whose", "metavar": "NAME", "help": "of the log and the list: this one only"},
    "--operation": {"metavar": "NAME", "help": f"of the log: {', '.join(Operation)}"},
    "--cube": {"metavar": "ID", "help": "of the log: lines that returned or touched this memory"},
    "--refused": {"action": "store_true", "help": "of the log: only what was refused"},
    "--since": {"metavar": "TIME", "help": "of the log: at this time or later"},
    "--until": {"metavar": "TIME", "help": "of the log: before this time"},
    "--source": {"metavar": "SOURCE", "help": "of a shared view: what comes from there"},
}


def access(args: Args) -> Answer:
    action, takes = _DO[args.do]
    most = len(takes.split()) if not takes.endswith("…") else len(args.what)
    least = sum(not one.startswith("[") for one in takes.removesuffix("…").split())
    if not least <= len(args.what) <= most:
        raise InputError(
            f"{args.do} takes {takes or 'nothing more'}.", f"Run: remanence access {args.do} {takes}".strip()
        )
    with opened(args) as memory:
        return action(memory.access, args)


def _grant(door: Access, args: Args) -> Answer:
    done = door.grant(args.what[0], args.what[1], space=_space(args), labels=args.label)
    return Answer(done.to_json(), lambda: _grants([done]))


def _revoke(door: Access, args: Args) -> Answer:
    done = door.revoke(args.what[0], space=_space(args))
    said = f"{args.what[0]} has no right in {args.space} any more." if done else f"{args.what[0]} had no right there."
    return Answer({"revoked": done}, lambda: show.plain(said), 0 if done else 1)


def _list(door: Access, args: Args) -> Answer:
    found = list(door.grants(space=args.space, principal=args.whose))
    return Answer({"grants": [one.to_json() for one in found]}, lambda: _grants(found))


def _log(door: Access, args: Args) -> Answer:
    found = door.log(
        since=args.since, until=args.until, principal=args.whose, operation=args.operation, cube=args.cube,
        space=args.space, allowed=False if args.refused else None, limit=args.limit, after=args.after,
    )  # fmt: skip
    return Answer({"lines": [one.to_json() for one in found], "cursor": found.cursor}, lambda: _lines(found))


def _label(door: Access, args: Args) -> Answer:
    cube = door.label(args.what[0], args.what[1] if len(args.what) > 1 else None, space=args.space)
    return Answer(cube.to_json(), lambda: show.cube(cube))


def _restrict(door: Access, args: Args) -> Answer:
    cube = door.restrict(args.what[0], args.what[1:], space=args.space)
    return Answer(cube.to_json(), lambda: show.cube(cube))


def _share(door: Access, args: Args) -> Answer:
    if args.to is None:
        raise InputError("Nothing says where it is to be shown.", "Add --to SPACE.")
    done = door.share(
        args.what[0] if args.what else None, to=args.to, space=args.space, user=args.user, agent=args.agent,
        session=args.session, source=args.source, kinds=args.kind,
    )  # fmt: skip
    return Answer(done.to_json(), lambda: _shared([done]))


def _unshare(door: Access, args: Args) -> Answer:
    gone = door.unshare(args.what[0])
    return Answer({"erased": gone}, lambda: show.plain(f"{len(gone):,} copies erased"))


def _shares(door: Access, args: Args) -> Answer:
    found = list(door.shares(space=args.space))
    return Answer({"shares": [one.to_json() for one in found]}, lambda: _shared(found))


def _sync(door: Access, _: Args) -> Answer:
    done = door.sync()
    data = {"made": done.made, "governed": done.governed, "ended": done.ended}
    return Answer(
        data, lambda: show.plain(f"{done.made:,} copies made, {done.governed:,} relabelled, {done.ended:,} ended")
    )


_DO: dict[str, tuple[Callable[[Access, Args], Answer], str]] = {
    "grant": (_grant, "PRINCIPAL ROLE"), "revoke": (_revoke, "PRINCIPAL"), "list": (_list, ""), "log": (_log, ""),
    "label": (_label, "ID [LABEL]"), "restrict": (_restrict, "ID [PRINCIPAL]…"), "share": (_share, "[ID]"),
    "unshare": (_unshare, "SHARE"), "shares": (_shares, ""), "sync": (_sync, ""),
}  # fmt: skip
"""What runs, and what it takes behind its name."""


def _space(args: Args) -> str:
    if args.space is None:
        raise InputError("Nothing says in which space.", "Add --space SPACE, or --space '*' for all.")
    return args.space


# ── for people ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _grants(found: list[Granted]) -> RenderableType:
    if not found:
        return Text("Nothing is granted to anybody.")
    return Group(*(_grant_line(one) for one in found))


def _grant_line(one: Granted) -> Text:
    labels = f", may see {', '.join(map(show.line, one.labels))}" if one.labels else ""
    return Text(f"{show.line(one.principal)} is {one.role} of {show.line(one.space)}{labels}")


def _lines(found: Log) -> RenderableType:
    rows = [_line_of(one) for one in found] or [Text("There is nothing in the log.")]
    more = [Text(f"more: --after {found.cursor}", "dim")] if found.cursor else []
    return Group(*rows, *more)


def _line_of(one: Any) -> Text:
    what = "" if one.allowed else " REFUSED"
    counts = f", {len(one.cubes):,} memories" if one.cubes else ""
    counts += f", {one.withheld:,} withheld" if one.withheld else ""
    text = (
        f"{one.at:%Y-%m-%d %H:%M:%S} {show.line(one.principal)} {one.operation} in {show.line(one.space)}{what}{counts}"
    )
    return Text(text, "" if one.allowed else "yellow")


def _shared(found: list[Shared]) -> RenderableType:
    if not found:
        return Text("Nothing is shared.")
    return Group(
        *(
            Text(f"{one.id}: {show.line(one.source)} → {show.line(one.target)}, {show.line(_what(one))}")
            for one in found
        )
    )


def _what(one: Shared) -> str:
    if one.cube is not None:
        return f"the memory {one.cube}"
    return ", ".join(f"{name} {value}" for name, value in (one.view or {}).items()) or "everything"


COMMANDS: dict[str, Command] = {
    "access": Command(
        access,
        "Say who may do what, read the access log, label and share.",
        "remanence access grant agent-7 reader --space work --label health\n  remanence access log --principal agent-7 --refused\n"
        "  remanence access label ID health\n  remanence access restrict ID agent-7 agent-8\n"
        "  remanence access share --space work --user ana --to team",
        "do what --space --label --to --user --agent --session --source --kind --principal --operation --cube --refused --since "
        "--until --limit --after",
    )
}
