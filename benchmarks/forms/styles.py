"""Answer styles and forgetting: three tasks in three styles after one another, with answer style diversification and without.

    python benchmarks/forms/styles.py --seeds 0 1 2 --json benchmarks/forms/results/styles.json
    python benchmarks/forms/styles.py --quick

SEFE (Chen et al. 2025) tells superficial forgetting, the style alone, from essential forgetting, the content. A nano model knows a world and
the five styles. It then learns facts about three groups of people, each in a style of its own: short answers, letters of a choice, whole
sentences; each group by a new adapter beside the earlier ones. `strict` counts answers that are right in the style asked for, written freely.
`content` gives the style away: the right answer, written in it, has to be the most probable one of all values. Diversification converts a
fifth of each group's questions into the other four styles.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from remanence.cubes import Fact
from remanence.evaluation.intervals import student
from remanence.evaluation.matrix import ForgettingMatrix, split
from remanence.evaluation.scoring import normalised
from remanence.evaluation.world import World
from remanence.parametric.adapterfile import Mount
from remanence.parametric.lora import Recipe, train
from remanence.parametric.taught import teach
from remanence.parametric.training import Schedule
from remanence.parametric.views import OTHERS, Style, View, styled

TASKS = (Style.SHORT, Style.CHOICE, Style.BRIEF)
PLAIN = Recipe(rank=16, alpha=32.0, schedule=Schedule(steps=120, batch=48, rate=3e-3, decay=0.0), divergence=0.0)
ARMS = {
    "plain": (PLAIN, 0.0),
    "diversified": (PLAIN, 0.2),
    "RegLoRA 1000": (replace(PLAIN, regularise=1000.0), 0.0),
    "diversified, RegLoRA 1000": (replace(PLAIN, regularise=1000.0), 0.2),
}


def others(world: World, fact: Fact) -> list[str]:
    return [value for value in world.relation(fact).values if value != fact.value]


def lessons(world: World, facts, native: Style, share: float, seed: int) -> list[tuple[str, str]]:
    """Every fact twice, in the native style or, a share of them, in another of the five."""
    dice = random.Random(f"styles {seed}")
    rest = [style for style in (*OTHERS, Style.SHORT) if style is not native]
    found: list[tuple[str, str]] = []
    for number, fact in enumerate(facts):
        for turn in range(2):
            style = dice.choice(rest) if dice.random() < share else native
            view = styled(fact, style, others(world, fact), seed=2 * number + turn)
            found.append((view.prompt, view.answer))
    return found


def asked(world: World, fact: Fact, style: Style, number: int) -> tuple[View, list[str]]:
    """A test question in a style, and every answer that has the form: the right one first."""
    view = styled(fact, style, others(world, fact), seed=10_000 + number)
    if style is Style.CHOICE:
        wrong = [f" {letter}." for letter in "ABCD" if f" {letter}." != view.answer]
    else:
        wrong = [
            styled(Fact(fact.subject, fact.relation, value), style, []).answer for value in others(world, fact)[:7]
        ]
    return view, [view.answer, *wrong]


def measured(lm, world: World, tasks) -> tuple[list[float], list[float]]:
    """Strict and content scores of every task."""
    strict, content = [], []
    for style, facts in tasks:
        views = [asked(world, fact, style, number) for number, fact in enumerate(facts)]
        prompts = [lm.encode(view.prompt) for view, _ in views]
        texts = lm.generate_many(prompts, max_new=16, stop=(".",))
        strict.append(
            sum(normalised(text) == normalised(view.answer) for text, (view, _) in zip(texts, views, strict=True))
            / len(views)
        )
        scored = iter(lm.score(
            [prompt for prompt, (_, answers) in zip(prompts, views, strict=True) for _ in answers],
            [lm.encode(answer) for _, answers in views for answer in answers],
        ))  # fmt: skip
        right = 0
        for _, answers in views:
            totals = [next(scored).total for _ in answers]
            right += totals[0] >= max(totals)
        content.append(right / len(views))
    return strict, content


def one_seed(seed: int, quick: bool, told: Console) -> list[dict]:
    world = World(seed, people=4 if quick else 30, relations=3)
    dice = random.Random(seed)
    taught = [
        styled(fact, style, others(world, fact), seed=dice.randrange(10_000))
        for fact in world.facts
        for style in Style
        for _ in range(2)
    ]
    schedule = Schedule(steps=3 if quick else 900, batch=64, rate=3e-3, decay=0.1, prompt=0.05, seed=seed)
    lm = teach(
        world,
        depth=2,
        width=96,
        schedule=schedule,
        copies=20 if quick else 1000,
        also=[(view.prompt, view.answer) for view in taught],
    )
    groups = [world.fresh(2 if quick else 16, batch) for batch in range(len(TASKS))]
    known = measured(lm, world, [(style, world.facts[:30]) for style in TASKS])[0]
    told.print(f"seed {seed}: the base follows the styles on what it knows: {known}")
    rows = []
    for name, (recipe, share) in ARMS.items():
        began, adapters, strict, content = time.process_time(), [], [], []
        for stage, style in enumerate(TASKS):
            how = replace(
                recipe, schedule=replace(recipe.schedule, seed=seed, steps=3 if quick else recipe.schedule.steps)
            )
            new = train(lm, lessons(world, groups[stage], style, share, seed), how, earlier=adapters)
            adapters.append(new.adapter)
            mount = Mount(lm)
            for number, adapter in enumerate(adapters):
                mount.put(f"a{number}", adapter)
            mount.activate(*mount.names)
            seen = list(zip(TASKS, groups, strict=True))[: stage + 1]
            one, other = measured(lm, world, seen)
            mount.close()
            strict.append(tuple(one))
            content.append(tuple(other))
        first, second = ForgettingMatrix(tuple(strict)), ForgettingMatrix(tuple(content))
        parts = split(first, second)
        rows.append({
            "arm": name, "seed": seed, "strict": first.to_json(), "content": second.to_json(),
            "superficial": sum(part.superficial for part in parts) / len(parts), "essential": sum(part.essential for part in parts) / len(parts),
            "base_follows": known, "cpu_seconds": time.process_time() - began,
        })  # fmt: skip
        told.print(f"seed {seed}: {name} strict {first.scores} content {second.scores}")
    return rows


def summed(rows: list[dict]) -> list[dict]:
    found = []
    for name in ARMS:
        some = [one for one in rows if one["arm"] == name]
        entry: dict = {"arm": name, "seeds": len(some)}
        for measure in ("MFT", "MFN", "MAA", "BWT"):
            entry[measure] = student([one["strict"][measure] for one in some]).to_json()
        for part in ("superficial", "essential"):
            entry[part] = student([one[part] for one in some]).to_json()
        found.append(entry)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--merge", type=Path, nargs="+", help="results of runs of single seeds")
    parser.add_argument("--quick", action="store_true", help="a few steps of one seed: the figures mean nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    told = Console(width=200)
    if options.merge:
        rows = [one for path in options.merge for one in json.loads(path.read_text(encoding="utf-8"))["rows"]]
    else:
        rows = [
            row
            for seed in (options.seeds[:1] if options.quick else options.seeds)
            for row in one_seed(seed, options.quick, told)
        ]
    summary = summed(rows)
    columns = ("MFT", "MFN", "MAA", "BWT", "superficial", "essential")
    table = Table(
        "", *columns, title="Strict scores of three tasks in three styles; means over seeds, with Student's intervals"
    )
    for one in summary:
        table.add_row(
            one["arm"],
            *(f"{one[name]['value']:.3f} [{one[name]['low']:.2f}, {one[name]['high']:.2f}]" for name in columns),
        )
    told.print(table)
    if options.json:
        seeds = sorted({row["seed"] for row in rows})
        data = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread, torch {torch.__version__}",
            "command": f"python {Path(sys.argv[0]).name} --seeds {' '.join(map(str, seeds))}", "seeds": seeds, "summary": summary, "rows": rows,
        }  # fmt: skip
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
