"""Commands: in which form memories are kept, why, and the jobs that move them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from remanence import show
from remanence.commands.command import Answer, Args, Command, opened
from remanence.cubes import DEFAULT_SPACE
from remanence.errors import InputError
from remanence.memory import Memory

if TYPE_CHECKING:
    from remanence.schedules import Explained, Ran
    from remanence.scheduling.cost import Machine, Terms
    from remanence.store.jobs import Job

_ACTIONS = ("explain", "run", "jobs", "undo", "measure")
_UNITS = {
    "prefill": (1e6, "µs a token"), "quadratic": (1e9, "ns a squared token"), "decode": (1e6, "µs a token"),
    "load": (1e9, "ns a byte"), "opening": (1e6, "µs a load"), "write": (1e9, "ns a byte"), "hash": (1e9, "ns a byte"),
    "embed": (1e6, "µs a token"), "train": (1e6, "µs a token"), "bytes_per_token": (1.0, "bytes a token in a cache"),
    "adapter_bytes": (1.0, "bytes of an adapter"), "context": (1.0, "tokens of context"),
}  # fmt: skip


def schedule(args: Args) -> Answer:
    if (args.number is not None) != (args.do == "undo"):
        takes = "the number of a job" if args.do == "undo" else "nothing more"
        raise InputError(f"{args.do} takes {takes}.", f"Run: remanence schedule {args.do}{' N' * (args.do == 'undo')}")
    with opened(args) as memory:
        return _DO[args.do](memory, args)


def _explain(memory: Memory, args: Args) -> Answer:
    found = memory.schedule.explain(args.space or DEFAULT_SPACE, model=args.model, terms=_terms(args))
    return Answer(found.to_json(), lambda: _explained(found))


def _run(memory: Memory, args: Args) -> Answer:
    with show.Bar("jobs", "done") as bar:
        done = memory.schedule.run(
            args.space or DEFAULT_SPACE, model=args.model, terms=_terms(args), dry_run=args.dry_run, progress=bar
        )
    return Answer(done.to_json(), lambda: _ran(done, dry_run=args.dry_run), 1 if done.failed else 0)


def _jobs(memory: Memory, args: Args) -> Answer:
    found = memory.schedule.jobs(args.space or DEFAULT_SPACE, state=args.state, limit=args.limit)
    return Answer({"jobs": [one.to_json() for one in found]}, lambda: _listed(found))


def _undo(memory: Memory, args: Args) -> Answer:
    with show.Bar("parts", "done", resumes=False) as bar:
        job = memory.schedule.undo(args.number, model=args.model, progress=bar)
    return Answer(job.to_json(), lambda: _listed([job]))


def _measure(memory: Memory, args: Args) -> Answer:
    machine = memory.schedule.measure(model=args.model)
    return Answer(machine.to_json(), lambda: _measures(machine))


_DO: dict[str, Callable[[Memory, Args], Answer]] = {
    "explain": _explain, "run": _run, "jobs": _jobs, "undo": _undo, "measure": _measure,
}  # fmt: skip


def _terms(args: Args) -> Terms | None:
    """The terms, with what the options say."""
    from remanence.scheduling.cost import Terms

    said = {name: getattr(args, name) for name in ("horizon", "margin", "rent") if getattr(args, name) is not None}
    return replace(Terms(), **said) if said else None


# ── for people ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _explained(found: Explained) -> RenderableType:
    from remanence.scheduling.explain import columns, rows

    plan = found.plan
    taken = f"{show.size(plan.size)} of {show.size(plan.quota)} for files, {show.size(found.elsewhere)} taken elsewhere"
    if not plan.choices:
        return Text("No memory was read by a model on this machine, and nothing is derived: all of it stays text.")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    *short, why = columns()
    for name in short:
        table.add_column(name, justify="left" if name in {"memories", "from", "to"} else "right", overflow="fold")
    reasons = list[Text]()
    for number, row in enumerate(rows(plan), 1):
        table.add_row(f"{number}. {_short(row[0])}", *row[1:-1])
        reasons.append(Text(f"{number}. {show.line(row[-1])}", "dim"))
    gap = f", at most {plan.gap:.3g} more than the best" if plan.gap else ""
    return Group(
        Text(f"{plan.seconds:.3g} s a day expected{gap}; {taken}"), table,
        Text(f"text, cache and weights: seconds a day; × not allowed. {why.capitalize()}:"), *reasons,
    )  # fmt: skip


def _short(name: str) -> str:
    """The end of an id, which differs, and how many more there are."""
    cube, plus, more = name.partition(" +")
    return f"…{cube[-8:]}{plus}{more}" if len(cube) > 9 else name


def _ran(done: Ran, *, dry_run: bool) -> RenderableType:
    if dry_run or not done.jobs:
        lines = [f"would {one}" for one in done.moves] if dry_run else []
        return Text("\n".join(map(show.line, lines)) or "Nothing is to be moved.")
    tail = [] if done.finished else [Text("Jobs are left: run it again.", "yellow")]
    return Group(_listed(done.jobs), *tail)


def _listed(found: Sequence[Job]) -> RenderableType:
    if not found:
        return Text("There are no jobs.")
    return Group(*(_job(one) for one in found))


def _job(one: Job) -> Text:
    many = f" and {len(one.ids) - 1} more" if len(one.ids) > 1 else ""
    said = one.body.get("error") or one.body.get("why") or ""
    text = Text.assemble((f"{one.n}. ", "bold"), f"{one.at:%Y-%m-%d %H:%M} {one.state} {show.line(one.what)}: ")
    text.append(f"{one.ids[0] if one.ids else 'forgotten'}{many}", "dim")
    return text.append(f"\n   {show.line(str(said))}", "red" if "error" in one.body else "dim")


def _measures(machine: Machine) -> RenderableType:
    said = machine.to_json()
    return show.pairs((name, f"{_number(said[name] * factor)} {unit}") for name, (factor, unit) in _UNITS.items())


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"


ARGUMENTS: dict[str, dict[str, Any]] = {
    "do": {"choices": _ACTIONS, "metavar": "ACTION", "help": ", ".join(_ACTIONS)},
    "number?": {"nargs": "?", "type": int, "metavar": "N", "help": "of the job to undo"},
    "--model": {"metavar": "FOLDER", "help": "the language model; else the one of the settings"},
    "--dry-run": {"action": "store_true", "help": "change nothing, and say what would be done"},
    "--state": {"metavar": "STATE", "help": "of jobs: waiting, running, done, failed or undone"},
    "--horizon": {"type": float, "metavar": "DAYS", "help": "in which a cache or an adapter has to pay off (30)"},
    "--margin": {"type": float, "metavar": "SHARE", "help": "what a move has to gain besides (0.25)"},
    "--rent": {"type": float, "metavar": "SECONDS", "help": "what a byte of a file is worth a day (0)"},
}
COMMANDS: dict[str, Command] = {
    "schedule": Command(
        schedule, "Decide which memories are worth a cache or an adapter, move them, and say why.",
        "remanence schedule explain --model models/qwen3\n  remanence schedule run --dry-run\n  remanence schedule jobs --state failed\n"
        "  remanence schedule undo 3\n  remanence schedule measure",
        "do number? --space --model --dry-run --state --limit --horizon --margin --rent",
    ),
}  # fmt: skip
