"""Commands: consolidation and profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from remanence import show
from remanence.commands.command import Answer, Args, Command, opened
from remanence.consolidate.steps import WHAT
from remanence.cubes import DEFAULT_SPACE, MemCube

if TYPE_CHECKING:
    from remanence.consolidation import Consolidated


def consolidate(args: Args) -> Answer:
    with opened(args) as memory, show.Bar("steps", "done") as bar:
        done = memory.consolidate(
            space=args.space, model=args.model, what=args.what or WHAT, dry_run=args.dry_run, progress=bar
        )
    failures = {name: str(error) for name, error in done.failures.items()}
    data = {**asdict(replace(done, failures={})), "failures": failures}
    return Answer(data, lambda: _outcome(done), 1 if failures else 0)


def profile(args: Args) -> Answer:
    with opened(args) as memory:
        found = memory.profile(args.user, about=args.about, space=args.space or DEFAULT_SPACE)
    return Answer({"profiles": [one.to_json() for one in found]}, lambda: _profiles(found))


def _outcome(done: Consolidated) -> RenderableType:
    lines = [f"{done.memories:,} memories looked at."]
    if done.due:
        lines += [f"would do: {one}" for one in done.due]
    else:
        lines.append(f"Made {_counted(done.made)}; put away {_counted(done.dropped)}.")
    if done.merged or done.restored:
        lines.append(f"{done.merged:,} memories were merged, {done.restored:,} came back.")
    if done.unsupported:
        lines.append(f"{done.unsupported:,} sentences of the model were left out: their sources do not bear them out.")
    lines += [f"not this time: {name}: {error}" for name, error in done.failures.items()]
    return Text("\n".join(show.line(one) for one in lines))


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in counts.items() if number) or "nothing"


def _profiles(found: list[MemCube]) -> RenderableType:
    if not found:
        return Text("There is no profile. Make them: remanence consolidate")
    return Group(*(Text(f"{show.clean(one.text)}\n{one.id}\n") for one in found))


ARGUMENTS: dict[str, dict[str, Any]] = {
    "--what": {"action": "append", "choices": WHAT, "help": "one step; may be repeated (all)"},
    "--model": {"action": "store_true", "help": "let the model of the settings write the summaries"},
    "--dry-run": {"action": "store_true", "help": "change nothing, and say what would be done"},
    "--about": {"metavar": "NAME", "help": "somebody by name"},
}
COMMANDS: dict[str, Command] = {
    "consolidate": Command(
        consolidate, "Merge repetitions, draw timelines, write summaries and profiles.",
        "remanence consolidate --what merge --dry-run", "--space --what --model --dry-run",
    ),
    "profile": Command(profile, "Show what holds of somebody now.", "remanence profile --user ana", "--user --about --space"),
}  # fmt: skip
