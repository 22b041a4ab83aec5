"""What the benchmarks of lookup rows, editing and merging share: taught models, answers, tables, results."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from remanence.cubes import Fact
from remanence.evaluation.intervals import student
from remanence.evaluation.world import World
from remanence.models.local.causal import CausalLM
from remanence.parametric.taught import teach

PEOPLE, QUICK_PEOPLE = 24, 3


def arguments(what: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--models", type=Path, help="a folder to keep the taught models in")
    parser.add_argument("--quick", action="store_true", help="one seed, few facts: to see that it runs")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.quick:
        asked.seeds = asked.seeds[:1]
    return asked


def taught(seed: int, models: Path | None) -> tuple[World, CausalLM]:
    """A world and a model that knows it, taught once per folder."""
    world = World(seed=seed, people=PEOPLE)
    folder = models / f"world{seed}" if models is not None else None
    if folder is not None and folder.exists():
        return world, CausalLM.open(folder, device="cpu")
    lm = teach(world)
    if folder is not None:
        lm.model.save_pretrained(folder)
        lm.tokenizer.save_pretrained(folder)
    return world, lm


def answers(lm: CausalLM, prompts: Sequence[str]) -> list[str]:
    return lm.generate_many([lm.encode(prompt) for prompt in prompts], max_new=6, stop=(".",))


def recall(lm: CausalLM, world: World, facts: Sequence[Fact], template: int = 0) -> float:
    """Share of facts that are answered, written freely."""
    said = answers(lm, [world.question(fact, template) for fact in facts])
    return sum(text == world.answer(fact) for text, fact in zip(said, facts, strict=True)) / len(facts)


def likelihood(lm: CausalLM, world: World, facts: Sequence[Fact]) -> float:
    """Mean log-probability of the answers, nats."""
    prompts = [lm.encode(world.question(fact)) for fact in facts]
    found = lm.score(prompts, [lm.encode(world.answer(fact)) for fact in facts])
    return statistics.fmean(one.total for one in found)


def others(world: World, fact: Fact) -> list[Fact]:
    """What else one may ask of the subject; the values are not meant."""
    return [Fact(fact.subject, one.name, one.values[0]) for one in world.relations if one.name != fact.relation]


def show(title: str, rows: Sequence[dict[str, Any]], by: Sequence[str]) -> None:
    """Means over seeds, with 95 % intervals (Student) where there are at least three."""
    numbers = [name for name in rows[0] if name not in {*by, "seed"}]
    table = Table(*by, *numbers, title=title)
    for group in dict.fromkeys(tuple(row[name] for name in by) for row in rows):
        here = [row for row in rows if tuple(row[name] for name in by) == group]
        table.add_row(*map(str, group), *(_cell([row[name] for row in here]) for name in numbers))
    Console(width=200).print(table)


def keep(asked: argparse.Namespace, command: str, about: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    if asked.json is None:
        return
    document = {
        "machine": f"{platform.machine()}, CPU, one thread, shared", "torch": torch.__version__,
        "command": f"python benchmarks/forms/{command} " + " ".join(sys.argv[1:]), "seeds": asked.seeds, **about, "rows": list(rows),
    }  # fmt: skip
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(document, indent=1) + "\n")


def _cell(values: Sequence[Any]) -> str:
    if any(value is None or isinstance(value, str) for value in values):
        return str(values[0])
    if len(values) < 3:
        return f"{statistics.fmean(values):.3f}"
    found = student([float(value) for value in values])
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
