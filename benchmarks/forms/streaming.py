"""What a memory of fixed size keeps of a dialogue: SirLLM against other rules at equal budget, on models trained to need it.

    python benchmarks/forms/streaming.py --json benchmarks/forms/results/streaming.json
    python benchmarks/forms/streaming.py --quick      a model that learned next to nothing: only to see that it runs

For each seed a nano model is trained on grocery sessions and games of rock–paper–scissors that fit its context, and nothing is
evicted meanwhile. Then each rule takes it through sessions that it never saw. No option of a rule was chosen on these: sinks,
decay and recent tokens are those of the papers (a half of the budget recent for H2O).
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from streams_taught import CONTEXT, KINDS, taught

from remanence.activation.scorers import SCORERS, Scorer, SirLLM, SnapKV, surprisal
from remanence.activation.streaming import StreamingMemory
from remanence.evaluation import streams
from remanence.evaluation.intervals import bootstrap, mcnemar, paired, student, wilson
from remanence.models.local.causal import CausalLM
from remanence.models.local.tokenizing import BOS

FULL = "full"
UNSEEN = -1
"""Seeds of the dialogues to test with are negative; those that are taught are not."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done."""

    seeds: int = 4
    steps: int = 450
    sessions: int = 30
    matches: int = 10
    rounds: int = 60
    grocery: tuple[int, ...] = (32, 48, 96)
    """Budgets, in tokens."""
    games: tuple[int, ...] = (36, 72)


QUICK = Plan(seeds=1, steps=2, sessions=1, matches=1, rounds=4, grocery=(32,), games=(20,))


@dataclass(frozen=True, slots=True)
class Method:
    """A rule with its options at a budget."""

    scorer: Scorer
    recent: float = 0.0
    """Share of the budget."""
    positions: str = "cache"
    decay: float = 1.0

    def memory(self, lm: CausalLM, budget: int) -> StreamingMemory:
        return StreamingMemory(
            lm, budget, self.scorer, recent=int(self.recent * budget), positions=self.positions, decay=self.decay
        )


METHODS = {
    "streamingllm": Method(SCORERS["streamingllm"]),
    "sirllm": Method(SirLLM()),
    "sirllm, original positions": Method(SirLLM(), positions="original"),
    "sirllm_released": Method(SCORERS["sirllm_released"]),
    "h2o": Method(SCORERS["h2o"], recent=0.5),
    "snapkv": Method(SnapKV(window=8), recent=0.125),
    "tova": Method(SCORERS["tova"]),
    "knorm": Method(SCORERS["knorm"]),
    "random": Method(SCORERS["random"]),
}
GAMES = {
    name: METHODS[name] for name in ("streamingllm", "sirllm", "sirllm_released", "h2o", "snapkv", "knorm", "random")
}
GAMES = GAMES | {"sirllm, decay 0.9": Method(SirLLM(), decay=0.9)}


# ── a rule at work ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Listening:
    """A memory that listens, and what was said, to see what it kept."""

    def __init__(self, memory: StreamingMemory) -> None:
        self.memory, self.said, self.fed = memory, [BOS], 0

    def hear(self, text: str, turn: int) -> None:
        self.said += self.memory.lm.encode(text)
        self.turn = turn

    def weigh(self, options: Sequence[str]) -> Sequence[float]:
        self.memory.feed(self.said[self.fed :], self.turn)  # the last answer and the next question, in one segment
        self.fed = len(self.said)
        self.asked = self.memory._slots  # what was there when the last question was answered
        return self.memory.weigh(options)

    def kept_first(self, id_: int, before: int) -> bool:
        """Whether a token of the first `before` was there, when the last question was answered."""
        return bool(((self.asked.ids == id_) & (self.asked.places < before)).any())


def groceries(lm: CausalLM, plan: Plan, seed: int) -> Iterator[dict[str, Any]]:
    """Each rule at each budget through the same sessions."""
    for kind in KINDS:
        drawn = streams.sessions(UNSEEN - seed, plan.sessions, kind=kind)
        yield {"kind": kind, "method": FULL, "budget": 0} | recalled(lm, drawn, METHODS["streamingllm"], CONTEXT)
        for budget in plan.grocery:
            for name, method in METHODS.items():
                yield {"kind": kind, "method": name, "budget": budget} | recalled(lm, drawn, method, budget)


def recalled(lm: CausalLM, drawn: Sequence[streams.Session], method: Method, budget: int) -> dict[str, Any]:
    heard, kept = [], []
    for session in drawn:
        listening = Listening(method.memory(lm, budget))
        heard.append(streams.attend(session, listening))
        if method.scorer.shared:
            kept.append(listening.kept_first(lm.encode(f" {session.item}")[0], 12))
    return {
        "right": [one.recalled for one in heard], "kept": kept,
        "fillers": sum(one.fillers for one in heard), "fillers_right": sum(one.fillers_right for one in heard),
    }  # fmt: skip


def games(lm: CausalLM, plan: Plan, seed: int) -> Iterator[dict[str, Any]]:
    """The same for games."""
    drawn = streams.matches(UNSEEN - seed, plan.matches, plan.rounds)
    yield {"method": FULL, "budget": 0} | played(lm, drawn, METHODS["streamingllm"], CONTEXT)
    for budget in plan.games:
        for name, method in GAMES.items():
            yield {"method": name, "budget": budget} | played(lm, drawn, method, budget)


def played(lm: CausalLM, drawn: Sequence[streams.Match], method: Method, budget: int) -> dict[str, Any]:
    ends, moves, dominant = [], 0, 0
    for match in drawn:
        listening = Listening(method.memory(lm, budget))
        ends.append(streams.play(match, listening))
        if method.scorer.shared:
            you = lm.encode(" you")[0]
            theirs = [one.text.strip() for one in listening.memory.kept() if listening.said[one.place - 1] == you]
            moves, dominant = moves + len(theirs), dominant + theirs.count(match.dominant)
    return {
        "won": [one.won for one in ends], "tied": [one.tied for one in ends], "lost": [one.lost for one in ends],
        "moves_kept": moves / len(drawn), "dominant_share": dominant / moves if moves else None,
    }  # fmt: skip


def informative(lm: CausalLM, drawn: Sequence[streams.Session]) -> dict[str, float]:
    """Why surprisal would keep the item, or not: its value, that of the other tokens, and how many are above it."""
    items, others, above = [], [], []
    for session in drawn:
        ids = [BOS, *lm.encode("".join(piece.text for piece in session.lesson))]
        found = surprisal(lm.forward(ids).logits[:-1], torch.tensor(ids[1:]))
        at = ids.index(lm.encode(f" {session.item}")[0]) - 1
        before = len(ids) - 1 - len(lm.encode(session.turns[-1].said)) - 2  # the last question does not compete yet
        items.append(float(found[at]))
        others.append(float(found[:before].sum() - found[at]) / (before - 1))
        above.append(int((found[:before] > found[at]).sum()))
    return {"item": statistics.fmean(items), "others": statistics.fmean(others), "above": statistics.median(above)}


def one_seed(seed: int, plan: Plan, folder: Path | None = None, *, unfinished: bool = False) -> dict[str, Any]:
    """All of one seed. With a folder, it is written there as it comes, and taken from there if it is whole and of this plan."""
    path = folder / f"seed-{seed}.json" if folder else None
    if path and path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        if (unfinished or found.get("whole")) and found["plan"] == json.loads(json.dumps(asdict(plan))):
            return found
    torch.set_num_threads(1)
    lm, training = taught(seed, plan.steps)
    found = {"seed": seed, "plan": asdict(plan), "training": training, "grocery": [], "games": []}
    found["surprisal"] = {
        kind: informative(lm, streams.sessions(UNSEEN - seed, plan.sessions, kind=kind)) for kind in KINDS
    }
    for task, cells in (("grocery", groceries(lm, plan, seed)), ("games", games(lm, plan, seed))):
        for cell in cells:
            found[task].append(cell)
            if path:
                path.write_text(json.dumps(found), encoding="utf-8")
    found["whole"] = True
    if path:
        path.write_text(json.dumps(found), encoding="utf-8")
    return found


# ── the figures ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def grocery_rows(found: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One row per kind, budget and rule, over all seeds. Differences are to StreamingLLM on the same sessions."""
    for key in common([[(one["kind"], one["budget"], one["method"]) for one in seed["grocery"]] for seed in found]):
        cells, others = (
            [
                next(one for one in seed["grocery"] if (one["kind"], one["budget"], one["method"]) == wanted)
                for seed in found
            ]
            for wanted in (key, (*key[:2], "streamingllm" if key[1] else FULL))
        )
        right, base = ([float(one) for cell in some for one in cell["right"]] for some in (cells, others))
        clusters = [number for number, cell in enumerate(cells) for _ in cell["right"]]
        kept = [one for cell in cells for one in cell["kept"]]
        yield {
            "kind": key[0], "budget": key[1], "method": key[2], "recall": wilson(int(sum(right)), len(right)).to_json(),
            "over_seeds": spread([statistics.fmean(cell["right"]) for cell in cells]),
            "item_kept": statistics.fmean(kept) if kept else None,
            "fillers": sum(cell["fillers_right"] for cell in cells) / sum(cell["fillers"] for cell in cells),
            "over_streamingllm": paired(right, base, clusters=clusters if len(found) > 1 else None).to_json(),
            "p": mcnemar([bool(one) for one in right], [bool(one) for one in base]),
        }  # fmt: skip


def game_rows(found: Sequence[dict[str, Any]], plan: Plan) -> Iterator[dict[str, Any]]:
    """One row per budget and rule; the first two are what can be known."""
    drawn = [match for seed in found for match in streams.matches(UNSEEN - seed["seed"], plan.matches, plan.rounds)]
    for name, ends in (
        ("always the counter of the dominant move", [countered(match, [match.dominant] * plan.rounds) for match in drawn]),
        ("the counter of what came most often", [countered(match, most_often(match)) for match in drawn]),
    ):  # fmt: skip
        yield {"method": name, "budget": 0} | ended(
            [one.won for one in ends], [one.tied for one in ends], [one.lost for one in ends]
        )
    for key in common([[(one["budget"], one["method"]) for one in seed["games"]] for seed in found]):
        cells = [next(one for one in seed["games"] if (one["budget"], one["method"]) == key) for seed in found]
        shares = [cell["dominant_share"] for cell in cells if cell["dominant_share"] is not None]
        yield {
            "method": key[1], "budget": key[0], "moves_kept": statistics.fmean(cell["moves_kept"] for cell in cells) if shares else None,
            "dominant_share": statistics.fmean(shares) if shares else None,
            "over_seeds": spread([sum(cell["won"]) / (plan.matches * plan.rounds) for cell in cells]),
        } | ended(*([one for cell in cells for one in cell[what]] for what in ("won", "tied", "lost")))  # fmt: skip


def common(keys: Sequence[Sequence[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
    """What every model did, in the order of the first: all of it, but for a run that was stopped."""
    return [key for key in keys[0] if all(key in others for others in keys)]


def ended(won: Sequence[int], tied: Sequence[int], lost: Sequence[int]) -> dict[str, Any]:
    """Shares of all rounds; the interval is over games, whose rounds are not independent."""
    rounds = won[0] + tied[0] + lost[0]
    return {
        "won": bootstrap([one / rounds for one in won]).to_json(), "tied": sum(tied) / (rounds * len(won)), "lost": sum(lost) / (rounds * len(won)),
    }  # fmt: skip


def countered(match: streams.Match, expected: Sequence[str]) -> streams.Played:
    ends = [streams.outcome(streams.counter(one), theirs) for one, theirs in zip(expected, match.moves, strict=True)]
    return streams.Played(ends.count("win"), ends.count("tie"), ends.count("lose"))


def most_often(match: streams.Match) -> list[str]:
    """What a player expects who remembers all."""
    return [max(streams.MOVES, key=match.moves[:number].count) for number in range(len(match.moves))]


def spread(values: Sequence[float]) -> dict[str, Any]:
    """The mean over seeds with Student's interval, and each."""
    found = student(values)
    bounds = {"low": found.low, "high": found.high} if len(values) > 1 else {"low": None, "high": None}
    return {"value": found.value, **bounds, "each": list(values)}


def show(result: dict[str, Any]) -> None:
    console = Console()
    for kind in KINDS:
        table = Table(
            "method",
            "budget",
            "recall",
            "item kept",
            "fillers",
            "over StreamingLLM",
            title=f"groceries, {kind} fillers",
        )
        for row in result["rows"]["grocery"]:
            if row["kind"] == kind:
                recall, over = row["recall"], row["over_streamingllm"]
                kept = "" if row["item_kept"] is None else f"{row['item_kept']:.2f}"
                table.add_row(
                    row["method"], str(row["budget"] or ""), f"{recall['value']:.3f} [{recall['low']:.3f}, {recall['high']:.3f}]", kept,
                    f"{row['fillers']:.3f}", f"{over['value']:+.3f} [{over['low']:+.3f}, {over['high']:+.3f}]",
                )  # fmt: skip
        console.print(table)
    table = Table(
        "method", "budget", "won", "tied", "lost", "moves kept", "of them dominant", title="rock–paper–scissors"
    )
    for row in result["rows"]["games"]:
        won = row["won"]
        kept = (
            ("", "") if row.get("moves_kept") is None else (f"{row['moves_kept']:.1f}", f"{row['dominant_share']:.2f}")
        )
        table.add_row(
            row["method"], str(row["budget"] or ""), f"{won['value']:.3f} [{won['low']:.3f}, {won['high']:.3f}]", f"{row['tied']:.3f}",
            f"{row['lost']:.3f}", *kept,
        )  # fmt: skip
    console.print(table)
    for seed in result["surprisal"]:
        console.print(seed)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where the result goes")
    parser.add_argument(
        "--cells", type=Path, help="a folder for what each model did; a run that was stopped goes on from there"
    )
    parser.add_argument(
        "--unfinished", action="store_true", help="with --cells: the figures of what is there, and nothing more"
    )
    parser.add_argument("--quick", action="store_true", help="see that it runs")
    parser.add_argument("--seeds", type=int, help=f"models; {Plan.seeds} by default")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    options = parser.parse_args(arguments)
    plan = QUICK if options.quick else Plan(seeds=options.seeds or Plan().seeds)
    if options.cells:
        options.cells.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    found: list[dict[str, Any]] = []
    with ExitStack() as stack:
        jobs = range(plan.seeds), [plan] * plan.seeds, [options.cells] * plan.seeds
        work: Iterator[dict[str, Any]] = map(one_seed, *jobs)
        if options.unfinished:
            work = (one_seed(seed, plan, options.cells, unfinished=True) for seed in range(plan.seeds))
        elif not options.quick:
            pool = stack.enter_context(ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")))
            work = pool.map(one_seed, *jobs)
        for one in work:
            found.append(one)
            print(f"seed {one['seed']} after {time.monotonic() - started:.0f} s: {one['training']}", flush=True)
            result = whole(found, plan)
            if options.json:  # also what is there of a run that does not come to its end
                options.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    show(result)


def whole(found: Sequence[dict[str, Any]], plan: Plan) -> dict[str, Any]:
    """The result as it is kept."""
    return {
        "machine": f"{platform.machine()}, CPU, one thread for each model", "torch": torch.__version__,
        "command": "python benchmarks/forms/streaming.py --json benchmarks/forms/results/streaming.json",
        "seeds": [one["seed"] for one in found], "plan": asdict(plan), "training": [one["training"] for one in found],
        "surprisal": [one["surprisal"] for one in found],
        "rows": {"grocery": list(grocery_rows(found)), "games": list(game_rows(found, plan))},
    }  # fmt: skip


if __name__ == "__main__":
    main()
