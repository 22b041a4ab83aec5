"""Commands: the signed journal."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from remanence import auditing, show
from remanence.commands.command import Answer, Args, Command, opened
from remanence.errors import InputError
from remanence.governance.audit import Verified, to_json
from remanence.governance.signing import fingerprint
from remanence.settings import Settings

_TAKES = {
    "checkpoint": ("file",),
    "verify": ("file", "key", "anchor"),
    "export": ("file", "since", "until"),
    "key": ("file",),
}  # what goes with which action


def audit(args: Args) -> Answer:
    for name in ("file", "key", "anchor", "since", "until"):
        if getattr(args, name) and name not in _TAKES[args.action]:
            raise InputError(f"--{name} does not go with {args.action}.", "See: remanence audit --help")
    return {"checkpoint": _checkpoint, "verify": _verify, "export": _export, "key": _key}[args.action](args)


def _checkpoint(args: Args) -> Answer:
    with opened(args) as memory:
        made = memory.audit.checkpoint(args.file)
    says = f"Entries 1 to {made.entry:,} are signed: {made.at}, key {fingerprint(made.key)}"
    return Answer(to_json(made), lambda: show.plain(says))


def _verify(args: Args) -> Answer:
    keys = args.key or None
    if args.file:
        found = auditing.verify_export(args.file, key=keys, anchor=args.anchor)
    else:
        with opened(args) as memory:
            found = memory.audit.verify(key=keys, anchor=args.anchor)
    data = {**asdict(found), "last": found.last and to_json(found.last), "ok": found.ok}
    return Answer(data, lambda: _verified(found), 0 if found.ok else 1)


def _verified(found: Verified) -> RenderableType:
    """How far it holds, then what does not, then what was not shown."""
    rows = [
        ("entries", f"{found.entries:,}, from {found.first:,}"),
        ("signed", f"{found.signed:,}"),
        ("not signed", f"{found.unsigned:,}"),
        ("checkpoints", f"{found.checkpoints:,}"),
        *(("key", name) for name in found.keys),
        *([("signed at", found.last.at)] if found.last else []),
    ]
    problems = [Text(f"problem: {show.clean(one)}", "red") for one in found.problems]
    notes = [Text(f"note: {show.clean(one)}", "yellow") for one in found.notes]
    return Group(show.pairs(rows), *(problems or [Text("No problems.", "green")]), *notes)


def _export(args: Args) -> Answer:
    if not args.file:
        raise InputError("There is no file to write to.", "Run: remanence audit export audit.jsonl")
    with opened(args) as memory:
        done = memory.audit.export(args.file, since=args.since, until=args.until)
    says = (
        f"{done.path}: entries {done.first:,} to {done.last:,}, {done.checkpoints:,} checkpoints, "
        f"{done.unsigned:,} entries not signed yet"
    )
    return Answer({**asdict(done), "path": str(done.path)}, lambda: show.plain(says))


def _key(args: Args) -> Answer:
    settings = Settings.from_environment()
    public = auditing.public_key(settings, args.file)
    data = {"public": public, "fingerprint": fingerprint(bytes.fromhex(public)), "file": args.file}
    return Answer(data, lambda: show.plain(public))


ARGUMENTS: dict[str, dict[str, Any]] = {
    "action": {
        "choices": list(_TAKES),
        "help": "checkpoint: sign the journal; verify: check it, or the export FILE; export: write it for an auditor; "
        "key: the public key",
    },
    "file?": {
        "nargs": "?",
        "metavar": "FILE",
        "help": "checkpoint, export, key: a new file to write to; verify: an export to check without the store",
    },
    "--key": {
        "metavar": "KEY",
        "action": "append",
        "help": "who may have signed: a public key or a file with it (the key of this installation); may be repeated",
    },
    "--anchor": {
        "metavar": "FILE",
        "help": "an earlier checkpoint or export, kept elsewhere, that has to be on the chain",
    },
    "--since": {"metavar": "TIME", "help": "written at this time or later"},
    "--until": {"metavar": "TIME", "help": "written before this time"},
}
COMMANDS: dict[str, Command] = {
    "audit": Command(
        audit, "Sign the journal, verify it, export it for an auditor.",
        "remanence audit verify --key audit-key.pub --anchor anchor.json", "action file? --key --anchor --since --until",
    ),
}  # fmt: skip
