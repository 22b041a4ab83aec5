"""Commands: trust, quarantine and admission."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from remanence import show
from remanence.commands.command import Answer, Args, Command, opened, said, text_of
from remanence.cubes import DEFAULT_SPACE, MemCube
from remanence.errors import InputError, UnreadableFileError
from remanence.memory import Memory
from remanence.policies import Trust
from remanence.store.trusted import Revoked

if TYPE_CHECKING:  # numbers are slow to load
    from remanence.governance.admission import Change, Thresholds, Trial

_TRUST = ("quarantined", "release", "reject", "revoke", "accept", "sources", "screen")
_ADMISSION = ("propose", "list", "show", "promote", "rollback", "watch")


def trust(args: Args) -> Answer:
    with opened(args) as memory:
        return _ACTIONS[args.trust_action](memory, args)


def _quarantined(memory: Memory, args: Args) -> Answer:
    _takes(args, 0)
    found = memory.trust.quarantined(space=_space(args), limit=args.limit, after=args.after)
    why = memory.trust.why(found)
    data = {"memories": [{**cube.to_json(), "why": why.get(cube.id)} for cube in found], "cursor": found.cursor}
    return Answer(data, lambda: _held(found, why, found.cursor))


def _released(memory: Memory, args: Args) -> Answer:
    [cube_id] = _takes(args, 1)
    reason = {} if args.reason is None else {"reason": args.reason}
    move = memory.trust.release if args.trust_action == "release" else memory.trust.reject
    cube = move(cube_id, space=args.space, **reason)
    return Answer({"cube": cube.to_json()}, lambda: show.plain(f"{cube.id} is {cube.state.value}"))


def _revoked(memory: Memory, args: Args) -> Answer:
    [source] = _takes(args, 1)
    if args.trust_action == "accept":
        done = memory.trust.accept(source, space=_space(args))
        return Answer(
            _changed(done),
            lambda: show.plain(f"{len(done.away):,} came back, {len(done.undone):,} corrections count again"),
        )
    if args.reason is None:
        raise InputError("There is no reason.", "Say why: --reason TEXT")
    done = memory.trust.revoke(source, args.reason, space=_space(args))
    lines = [f"{len(done.away):,} put away, {len(done.undone):,} corrections undone"]
    lines += [f"{cube_id} is frozen, and stays" for cube_id in done.frozen]
    return Answer(_changed(done), lambda: show.plain(*lines))


def _changed(done: Revoked) -> dict[str, Any]:
    return {"source": done.source, "away": list(done.away), "undone": list(done.undone), "frozen": list(done.frozen)}


def _sources(memory: Memory, args: Args) -> Answer:
    _takes(args, 0)
    found = memory.trust.sources(space=_space(args))
    data = [{"source": one.source, "at": one.at.isoformat(), "reason": one.reason} for one in found]
    lines = [f"{one.source} since {one.at.isoformat(' ', 'seconds')}: {one.reason}" for one in found]
    return Answer({"sources": data}, lambda: show.plain(*(lines or ["Every source is believed."])))


def _screened(memory: Memory, args: Args) -> Answer:
    [text] = _takes(args, 1)
    found = memory.trust.screen(said(text), args.trust)
    data = {"held": found is not None, "rule": found and found.rule, "words": found and found.words}
    return Answer(data, lambda: show.plain(str(found) if found else "Nothing speaks against it."), 1 if found else 0)


_ACTIONS: dict[str, Callable[[Memory, Args], Answer]] = {
    "quarantined": _quarantined, "release": _released, "reject": _released, "revoke": _revoked, "accept": _revoked,
    "sources": _sources, "screen": _screened,
}  # fmt: skip


def _held(found: Sequence[MemCube], why: dict[str, str], cursor: str | None) -> RenderableType:
    if not found:
        return Text("Nothing is held.")
    lines = [f"{cube.id}  {why.get(cube.id, '')}\n    {show.line(cube.text)}" for cube in found]
    return show.plain(*lines, *([f"more: --after {cursor}"] if cursor else []))


# ── admission ────────────────────────────────────────────────────────────────────────────────────────────────────────


def admission(args: Args) -> Answer:
    with opened(args) as memory:
        if args.change_action == "propose":
            return _proposed(memory, args)
        if args.change_action == "list":
            _takes(args, 0)
            trials = memory.admission.list(space=args.space)
            return Answer({"trials": [trial.to_json() for trial in trials]}, lambda: _table(trials))
        if args.change_action == "watch":
            _takes(args, 0)
            watched = memory.admission.watch(space=args.space)
            data = [
                {"trial": one.trial.to_json(), "figures": one.figures.to_json(), "reasons": list(one.reasons)}
                for one in watched
            ]
            lines = [
                f"{one.trial.id} {one.trial.status}{': ' if one.reasons else ''}{'; '.join(one.reasons)}"
                for one in watched
            ]
            broken = any(one.reasons for one in watched)
            return Answer(
                {"watched": data},
                lambda: show.plain(*(lines or ["Nothing is live that could be watched."])),
                int(broken),
            )
        [trial_id] = _takes(args, 1)
        if args.change_action == "promote":
            trial = memory.admission.promote(trial_id, force=args.force)
        elif args.change_action == "rollback":
            trial = memory.admission.rollback(trial_id, **({} if args.reason is None else {"reason": args.reason}))
        else:
            trial = memory.admission.show(trial_id)
    return Answer({"trial": trial.to_json()}, lambda: _shown(trial))


def _proposed(memory: Memory, args: Args) -> Answer:
    if len(args.changes) not in {1, 2}:
        raise InputError(
            "Propose takes a change, and maybe probes.", "remanence admission propose change.json probes.jsonl"
        )
    change, thresholds = _change(args.changes[0])
    probes = args.changes[1] if len(args.changes) > 1 else ()
    with show.Bar("questions") as bar:
        trial = memory.admission.propose(change, probes, thresholds, space=_space(args), progress=bar)
    return Answer({"trial": trial.to_json()}, lambda: _shown(trial), 0 if trial.passed else 1)


def _change(name: str) -> tuple[Change, Thresholds]:
    """A change and its thresholds from a file of JSON."""
    from remanence.governance.admission import Change, Thresholds

    shape = 'Write {"kind": "profile", "what": {"words": 1.2}, "thresholds": {"max_drop": 0.01}}.'
    text = text_of(name)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableFileError(f"{name} is not JSON: {error}.", shape) from error
    if (
        not isinstance(data, dict)
        or {*data} - {"kind", "what", "thresholds"}
        or not isinstance(data.get("what", {}), dict)
    ):
        raise UnreadableFileError(f"{name} holds no change.", shape)
    try:
        return Change(data["kind"], data.get("what", {})), Thresholds(**data.get("thresholds", {}))
    except (TypeError, KeyError) as error:
        raise UnreadableFileError(f"{name} holds no change: {error}.", shape) from error


def _table(trials: Sequence[Trial]) -> RenderableType:
    if not trials:
        return Text("No change was proposed yet.")
    table = Table(box=None, header_style="dim")
    for column in ("trial", "when", "change", "state", "recall@5", "overlap"):
        table.add_column(column)
    for trial in trials:
        figures = trial.figures
        cells = (
            trial.id, trial.at.isoformat(" ", "minutes"), trial.change.kind, trial.status,
            f"{figures.recall_at_5[0]:.3f} → {figures.recall_at_5[1]:.3f}" if figures.probes else "", f"{figures.overlap:.2f}",
        )  # fmt: skip
        table.add_row(*(Text(show.clean(cell)) for cell in cells))
    return table


def _shown(trial: Trial) -> RenderableType:
    figures = trial.figures
    rows = [
        ("trial", f"{trial.id}, {trial.status}"), ("change", f"{trial.change.kind} {json.dumps(dict(trial.change.what), ensure_ascii=False)}"),
        ("asked", f"{figures.questions:,} recorded questions, {figures.probes:,} probes"),
        ("overlap", f"{figures.overlap:.3f}, rank correlation {figures.rank_correlation:.3f}"),
        ("recall@5", _change_of(figures.recall_at_5, figures.recall_at_5_low, figures.recall_at_5_high)),
        ("recall@10", _change_of(figures.recall_at_10, figures.recall_at_10_low, figures.recall_at_10_high)),
        ("latency", f"{figures.latency_ratio:.2f} times what it was"),
        ("unanswered", f"{figures.abstained[0]:.3f} → {figures.abstained[1]:.3f}"),
        *(("broken", reason) for reason in trial.reasons),
        *((str(step["step"]), f"{step['at']} by {step['by']}") for step in trial.steps),
    ]  # fmt: skip
    return Group(show.pairs((name, show.clean(value)) for name, value in rows))


def _change_of(pair: tuple[float, float], low: float, high: float) -> str:
    return f"{pair[0]:.3f} → {pair[1]:.3f}, difference between {low:+.3f} and {high:+.3f} (95 %)"


def _takes(args: Args, count: int) -> list[str]:
    """The subjects of an action."""
    trusting = args.command == "trust"
    given: list[str] = args.subjects if trusting else args.changes
    if len(given) != count:
        action, wanted = (
            args.trust_action if trusting else args.change_action,
            "nothing more" if count == 0 else "one thing",
        )
        raise InputError(
            f"{args.command} {action} takes {wanted}, not {len(given)}.", f"See: remanence {args.command} --help"
        )
    return given


def _space(args: Args) -> str:
    return args.space or DEFAULT_SPACE


ARGUMENTS: dict[str, dict[str, Any]] = {
    "trust_action": {
        "nargs": "?",
        "default": "quarantined",
        "metavar": "ACTION",
        "choices": list(_TRUST),
        "help": ", ".join(_TRUST),
    },
    "change_action": {
        "nargs": "?",
        "default": "list",
        "metavar": "ACTION",
        "choices": list(_ADMISSION),
        "help": ", ".join(_ADMISSION),
    },
    "subjects": {
        "nargs": "*",
        "metavar": "SUBJECT",
        "help": "release and reject: a memory's id; revoke and accept: a source; screen: a text",
    },
    "changes": {
        "nargs": "*",
        "metavar": "SUBJECT",
        "help": "propose: a file with the change, and one with probes; show, promote and rollback: a trial's id",
    },
    "--reason": {"help": "why"},
    "--trust": {"choices": [one.value for one in Trust], "default": "unknown", "help": "whose text it is (unknown)"},
    "--force": {"action": "store_true", "help": "although it was rejected"},
}
COMMANDS: dict[str, Command] = {
    "trust": Command(
        trust, "Look after quarantine and sources: what was held, and who is believed no more.",
        "remanence trust revoke https://lies.example --reason 'made up'", "trust_action subjects --reason --trust --limit --after --space",
    ),
    "admission": Command(
        admission, "Try changes in the shadow, promote them, watch them, roll them back.",
        "remanence admission propose change.json probes.jsonl", "change_action changes --reason --force --space",
    ),
}  # fmt: skip
