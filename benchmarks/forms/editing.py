"""Editing: where a trace says a model looks its facts up, and how one, ten and twenty edits do there and elsewhere.

    python benchmarks/forms/editing.py [--seeds 0 1 2] [--json FILE] [--models FOLDER] [--quick]

A nano model knows a world of 24 people. It is edited to answer another value. Reliability: the edited question; generality:
another wording of it; same subject: other facts of the edited people; others: facts of other people. All answers are
written freely. "mixed keys" is the released ROME, with the mean key above and the key without a context below the line.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from editing_worlds import answers, arguments, keep, recall, show, taught

from remanence.cubes import Fact
from remanence.evaluation.world import World
from remanence.models.local.causal import CausalLM
from remanence.parametric.edits import Edit, applied
from remanence.parametric.keys import Request, Site
from remanence.parametric.memit import memit
from remanence.parametric.rome import EditRecipe, rome
from remanence.parametric.trace import PLACES, trace

CONTEXTS = ("The weather is fine.", "Please answer in one sentence.")


def wanted(world: World, fact: Fact, cube: str) -> Request:
    return Request(world.question(fact), fact.subject, f" {world.counterfactuals(fact, 1)[0]}", (cube, 1))


def measured(
    lm: CausalLM, world: World, edit: Edit, facts: Sequence[Fact], requests: Sequence[Request]
) -> dict[str, float]:
    edited, subjects = set(facts), {fact.subject for fact in facts}
    near = [fact for fact in world.facts if fact.subject in subjects and fact not in edited]
    far = [fact for fact in world.facts if fact.subject not in subjects]
    targets = [one.target for one in requests]

    def hit(prompts: list[str]) -> float:
        return statistics.fmean(text == target for text, target in zip(answers(lm, prompts), targets, strict=True))

    with applied(lm, edit):
        return {
            "reliability": hit([one.prompt for one in requests]), "generality": hit([world.question(fact, 1) for fact in facts]),
            "same subject": recall(lm, world, near), "others": recall(lm, world, far),
        }  # fmt: skip


def run(seed: int, models: Path | None, quick: bool) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    world, lm = taught(seed, models)
    samples = world.corpus()[::3]
    facts = [world.facts[at * 4 + at % 4] for at in range(3 if quick else 20)]
    facts = facts[: len(world.people) - 2]
    requests = [wanted(world, fact, f"c{number}") for number, fact in enumerate(facts)]
    known = [Request(world.question(fact), fact.subject, world.answer(fact), ("known", 1)) for fact in world.facts[::6]]
    found = trace(lm, known)
    traced = [
        {
            "seed": seed,
            "layer": str(index),
            "token": place,
            "effect": effect,
            "clean": found.clean,
            "corrupted": found.corrupted,
        }
        for index, row in enumerate(found.effects)
        for place, effect in zip(PLACES, row, strict=True)
    ]
    rows: list[dict[str, Any]] = []

    def add(method: str, edits: int, make: Any, chosen: list[int]) -> None:
        start = time.process_time()
        some = [make([requests[at] for at in group]) for group in groups(chosen, edits)]
        seconds = (time.process_time() - start) / len(chosen)
        each = [
            measured(lm, world, edit, [facts[at] for at in group], [requests[at] for at in group])
            for edit, group in zip(some, groups(chosen, edits), strict=True)
        ]
        mean = {name: statistics.fmean(one[name] for one in each) for name in each[0]}
        rows.append({"seed": seed, "method": method, "edits": edits, **mean, "seconds per edit": seconds})

    every = list(range(len(facts)))
    best, inner = found.site, Site(len(found.effects) - 2, "last")
    add(f"ROME at the traced site {best.layer}/{best.place}", 1, lambda some: rome(lm, some, best, samples), every[:8])
    add(
        "ROME at the last layer's subject",
        1,
        lambda some: rome(lm, some, Site(len(found.effects) - 1, "subject_last"), samples),
        every[:8],
    )
    for count in (10, 20):
        if count > len(every):
            continue
        chosen = every[:count]
        add("ROME in sequence, traced site", count, lambda some: rome(lm, some, best, samples), chosen)
        add("ROME in sequence, a layer before", count, lambda some: rome(lm, some, inner, samples), chosen)
        for name, consistent in (("one key, contexts", True), ("mixed keys, contexts", False)):
            recipe = EditRecipe(contexts=CONTEXTS, consistent=consistent)
            add(f"ROME in sequence, {name}", count, lambda some, how=recipe: rome(lm, some, best, samples, how), chosen)
        add("MEMIT, two layers", count, lambda some: memit(lm, some, found.layers(2), best.place, samples), chosen)
        add("MEMIT, one layer", count, lambda some: memit(lm, some, found.layers(1), best.place, samples), chosen)
    return rows, traced


def groups(chosen: list[int], size: int) -> list[list[int]]:
    return [chosen[at : at + size] for at in range(0, len(chosen), size)]


def main() -> None:
    asked = arguments(__doc__.split("\n", maxsplit=1)[0])
    rows, traced = [], []
    for seed in asked.seeds:
        some, more = run(seed, asked.models, asked.quick)
        rows += some
        traced += more
        keep(asked, "editing.py", {"trace": traced}, rows)
    show("Indirect effects of MLP outputs", traced, ["layer", "token"])
    show("Edits", rows, ["method", "edits"])


if __name__ == "__main__":
    main()
