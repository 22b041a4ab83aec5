"""Commands: memories as caches and adapters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from remanence import show
from remanence.commands.command import Answer, Args, Command, opened
from remanence.cubes import DEFAULT_SPACE, Form, MemCube

if TYPE_CHECKING:
    from remanence.forms import Usage


def derive(args: Args) -> Answer:
    options: dict[str, Any] = {"lookup": True} if args.lookup else {}
    if args.precision:
        options["precision"] = args.precision
    with opened(args) as memory, show.Bar("steps", "done") as bar:
        made = memory.forms.derive(args.ids, args.model, form=args.form, space=args.space, progress=bar, **options)
    return Answer(made.to_json(), lambda: _made(made))


def forms(args: Args) -> Answer:
    with opened(args) as memory:
        found = memory.forms.list(space=args.space or DEFAULT_SPACE)
        usage = memory.forms.usage()
    return Answer({"forms": [one.to_json() for one in found], "usage": usage.to_json()}, lambda: _listed(found, usage))


def evict(args: Args) -> Answer:
    with opened(args) as memory:
        gone = [memory.forms.evict(one, space=args.space) for one in args.ids]
    return Answer({"evicted": [one.id for one in gone]}, lambda: Text(f"Evicted {len(gone):,}; their memories stay."))


def _made(cube: MemCube) -> RenderableType:
    payload = cube.payload
    size = 0 if payload is None else payload.size
    return Text(
        f"{show.line(cube.text)}: {size:,} bytes, made of {len(cube.provenance.derived_from):,} memories\n{cube.id}"
    )


def _listed(found: Sequence[MemCube], usage: Usage) -> RenderableType:
    if not found:
        return Text("No memory has another form than text. Derive one: remanence derive ID --model FOLDER")
    table = Table("id", "form", "what", "memories", "bytes", box=None)
    for one in found:
        size = one.payload.size if one.payload else 0
        table.add_row(one.id, one.form, show.line(one.text), str(len(one.provenance.derived_from)), f"{size:,}")
    return Group(table, Text(f"{usage.size:,} of {usage.quota:,} bytes are used."))


ARGUMENTS: dict[str, dict[str, Any]] = {
    "--form": {
        "choices": [Form.ACTIVATION.value, Form.PARAMETRIC.value], "default": Form.ACTIVATION.value,
        "help": "a KV cache (activation, the default) or an adapter (parametric)",
    },
    "--model": {"metavar": "FOLDER", "help": "a language model on this machine; else the one of REMANENCE_MODEL"},
    "--precision": {"choices": ["fp32", "fp16", "int8", "int4"], "help": "how a cache is stored (fp16)"},
    "--lookup": {"action": "store_true", "help": "rows of a lookup memory in place of an adapter"},
}  # fmt: skip
COMMANDS: dict[str, Command] = {
    "derive": Command(
        derive, "Make a KV cache or an adapter of memories.", "remanence derive ID ID --model my-model",
        "ids --form --model --precision --lookup --space",
    ),
    "forms": Command(forms, "Show the caches and adapters that stand for memories.", "remanence forms", "--space"),
    "evict": Command(
        evict, "Put caches or adapters away and destroy their files; their memories stay.", "remanence evict ID", "ids --space"
    ),
}  # fmt: skip
