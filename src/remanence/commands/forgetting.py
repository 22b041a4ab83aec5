"""Commands: forgetting and receipts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from remanence import show
from remanence.arguments import place
from remanence.commands.command import Answer, Args, Command, opened
from remanence.errors import ForgetIncompleteError, InputError
from remanence.forget.plan import Plan
from remanence.forget.receipt import Receipt
from remanence.forget.verify import Verified
from remanence.write.disk import new_file

_SHOWN = 12  # memories of a plan that a person is shown


def forget(args: Args) -> Answer:
    what = _selected(args)
    for path in filter(None, (args.receipt, args.page)):
        _check_new(place(path, "path"))
    if args.receipt and args.page and place(args.receipt, "path").resolve() == place(args.page, "path").resolve():
        raise InputError("--receipt and --page name the same file.", "Name two files.")
    with opened(args) as memory:
        if args.dry_run or not args.yes:
            plan = memory.forget(**what, reason=args.reason, dry_run=True)
            assert isinstance(plan, Plan)
            if args.dry_run:
                return Answer(plan.to_json(), lambda: _plan(plan))
            if not _confirmed(plan):
                return Answer({"erased": []}, lambda: show.plain("Nothing was erased."), 1)
        try:
            with show.Bar("steps", resumes=False) as bar:
                receipt = memory.forget(
                    **what, reason=args.reason, tombstone=not args.no_tombstone, progress=bar, adapters=args.adapters
                )
        except KeyboardInterrupt as error:
            error.add_note("Stopped: it may be erased already, without a receipt.")
            error.add_note(
                "Run the same command again: what is still there is erased then. See: remanence receipts list"
            )
            raise
        except ForgetIncompleteError as error:
            if isinstance(error.receipt, Receipt):  # the proof of what failed is worth keeping too
                _write(args, error.receipt)
            raise
    assert isinstance(receipt, Receipt)
    _write(args, receipt)
    return Answer(receipt.to_json(), lambda: _receipt(receipt))


def _selected(args: Args) -> dict[str, Any]:
    found: dict[str, Any] = {"query": args.query, "source": args.source, "user": args.user, "space": args.space}
    if args.all_of_space:
        if args.space is None or args.ids or any(found[one] is not None for one in ("query", "source", "user")):
            raise InputError(
                "--all-of-space erases a whole space.", "Name it, and nothing else: --space SPACE --all-of-space"
            )
    elif not args.ids and all(found[one] is None for one in ("query", "source", "user")):
        raise InputError(
            "Nothing was named to forget.", "Give ids, --query, --source or --user; or --space SPACE --all-of-space."
        )
    return found | {"cube_id": args.ids or None}


def _check_new(path: Path) -> None:
    """Refuse a place for the receipt before anything is erased."""
    if path.exists():
        raise InputError(f"{path} exists.", "Name a file that does not exist yet.")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist.", "Create it first.")


def _write(args: Args, receipt: Receipt) -> None:
    for path, text in (
        (args.receipt, receipt.canonical().decode() + "\n"),
        (args.page, receipt.page() if args.page else ""),
    ):
        if path:
            with new_file(place(path, "path")) as file:
                file.write(text)


def _confirmed(plan: Plan) -> bool:
    if not sys.stdin.isatty():
        raise InputError("Nothing was erased: nobody is here to confirm it.", "Add --yes to erase without being asked.")
    show.say(*_lines(plan), f"Erase {len(plan.memories)} for good? [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _lines(plan: Plan) -> list[str]:
    """A plan in lines: what goes, what goes with it, what stays and might have been meant."""
    asked = [one for one in plan.memories if one.chosen]
    lines = [f"{one.id}  {show.line(one.preview, 70)}" for one in asked[:_SHOWN]]
    lines += [f"… and {len(asked) - _SHOWN} more"] if len(asked) > _SHOWN else []
    lines += [
        f"goes with it: {one.id}  {one.substrate}: {show.line(one.preview, 60)}"
        for one in plan.memories
        if not one.chosen
    ][:_SHOWN]
    lines += [f"goes with it: {plan.elsewhere:,} of other spaces"] if plan.elsewhere else []
    lines += [f"{count:>7,}  {name}" for name, count in plan.counts.items()]
    lines += [f"close, and stays: {one.id}  {one.similarity:.2f}  {show.line(one.preview, 60)}" for one in plan.close]
    for words, ids in (
        ("of the same file, and stays", plan.same_source), ("what it was made of, and stays", plan.sources_left),
        ("recalled again", plan.coming_back), ("summaries are made anew of", plan.rebuilt), ("frozen, refuses", plan.frozen),
    ):  # fmt: skip
        lines += [f"{words}: {', '.join(ids[:_SHOWN])}{' …' if len(ids) > _SHOWN else ''}"] if ids else []
    return lines


def _plan(plan: Plan) -> RenderableType:
    head = Text(f"Would erase {plan.selector.words}: {len(plan.memories)} memories.")
    beyond = [f"not reached: {one.what}: {one.where}. {one.do}" for one in plan.not_reached]
    return Group(head, show.plain(*_lines(plan)), Text("\n".join(map(show.clean, beyond)), "dim"))


def _receipt(receipt: Receipt) -> RenderableType:
    searched = sum(one.n for one in receipt.tests if one.name.startswith("bytes:"))
    lines = [
        f"Erased: {', '.join(receipt.ids[:_SHOWN])}{' …' if len(receipt.ids) > _SHOWN else ''}",
        f"{receipt.versions:,} versions; {len(receipt.tests)} tests, none failed; {searched:,} values searched for in the bytes, none found.",
        f"Receipt {receipt.id}, grade {receipt.grade}. Read it: remanence receipts show {receipt.id}",
    ]
    beyond = "; ".join(f"{one.what} ({one.where})" for one in receipt.not_reached)
    return Group(show.plain(*lines), Text(show.clean(f"Not reached: {beyond}."), "dim"))


# ── receipts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def receipts(args: Args) -> Answer:
    if args.what == "list":
        return _list(args)
    if args.which is None:
        raise InputError(f"receipts {args.what} needs an id.", "See: remanence receipts list")
    if args.what == "show":
        return _show(args)
    return _verify(args)


def _list(args: Args) -> Answer:
    if args.which is not None:
        raise InputError(
            f"receipts list takes nothing more, but {args.which!r} was given.", "See: remanence receipts --help"
        )
    with opened(args) as memory:
        found = memory.receipts.list()
    lines = [
        f"{one.id}  {one.issued_at[:19]}  grade {one.grade}  {len(one.ids):,} memories by {one.request.selector}"
        for one in found
    ]
    return Answer({"receipts": [one.to_json() for one in found]}, lambda: show.plain(*lines or ["No receipts yet."]))


def _show(args: Args) -> Answer:
    with opened(args) as memory:
        found = memory.receipts.get(args.which)
    if args.page:
        with new_file(place(args.page, "path")) as file:
            file.write(found.page())
    return Answer(found.to_json(), lambda: show.plain(found.text()))


def _verify(args: Args) -> Answer:
    """With the store where it is there, else by the file alone."""
    from remanence.forgetting import verify_file

    if Path(args.which).exists() and not Path(args.store).exists():
        found = verify_file(args.which, args.key)
    else:
        with opened(args) as memory:
            found = memory.receipts.verify(args.which, key=args.key)
    return Answer(json.loads(json.dumps(found.to_json())), lambda: _verified(found), 0 if found.ok else 1)


def _verified(found: Verified) -> RenderableType:
    lines = [
        f"{'holds' if one.ok else 'FAILS':<6} {one.name}{f': {one.words}' if one.words else ''}" for one in found.checks
    ]
    lines += [f"note: {one}" for one in found.notes]
    head = f"Receipt {found.receipt}, grade {found.grade}: {'holds' if found.ok else 'does not hold'}"
    return show.plain(head, *lines)


def _file(words: str) -> dict[str, Any]:
    return {"metavar": "FILE", "help": words}


ARGUMENTS: dict[str, dict[str, Any]] = {
    "ids": {"nargs": "*", "metavar": "ID", "help": "the memories' ids"},
    "--query": {"metavar": "WORDS", "help": "every memory that holds all these words"},
    "--source": {"help": "every memory from this source, or this file"},
    "--user": {"help": "every memory of this user"},
    "--all-of-space": {"action": "store_true", "help": "everything in the space that --space names"},
    "--dry-run": {"action": "store_true", "help": "show the plan, and erase nothing"},
    "--reason": {"metavar": "WORDS", "help": "why; it stays in the receipt"},
    "--adapters": {
        "choices": ["rebuild", "unlearn", "drop"],
        "default": "rebuild",
        "help": "what becomes of adapters that learned it (rebuild: trained again without it)",
    },
    "--no-tombstone": {"action": "store_true", "help": "keep no keyed digests: it may be learned again"},
    "--receipt": _file("write the signed receipt there, as JSON"),
    "--page": _file("write the receipt there as a web page"),
    "what?": {
        "nargs": "?",
        "choices": ["list", "show", "verify"],
        "default": "list",
        "help": "list (default), show or verify",
    },
    "which?": {"nargs": "?", "metavar": "ID_OR_FILE", "help": "the id of a receipt, or its file"},
    "--key": {"metavar": "KEY", "help": "public key of whom you trust, in hexadecimal digits or a file"},
}
COMMANDS: dict[str, Command] = {
    "forget": Command(
        forget, "Erase memories for good, search for what may be left, and sign a receipt.",
        "remanence forget --user ana --reason 'she asked' --receipt ana.json",
        "ids --query --source --user --all-of-space --space --dry-run --reason --no-tombstone --adapters --yes --receipt --page",
    ),
    "receipts": Command(
        receipts, "List, show and verify receipts of what was forgotten.", "remanence receipts verify ana.json", "what? which? --key --page",
    ),
}  # fmt: skip
