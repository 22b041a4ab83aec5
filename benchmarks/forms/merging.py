"""Routing against merging: recall of each document's own facts with 2, 4 and 6 adapters.

    python benchmarks/forms/merging.py [--seeds 0 1 2] [--json FILE] [--models FOLDER] [--quick]

Six documents of 12 facts about three new people each, one adapter per document. `own`: the adapter of the fact's
document alone, which is what perfect routing gives. `routed`: at most two adapters, chosen by the router from the question; its
threshold is fitted to questions in the second wording, and measured on those in the first. Then all adapters at once: active side by side, or
merged by `cat`, `ties` and `dare`. Background: what the model knew before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from editing_worlds import answers, arguments, keep, recall, show, taught

from remanence.cubes import Fact
from remanence.evaluation.world import World
from remanence.models.local.causal import CausalLM
from remanence.parametric.adapterfile import Adapter
from remanence.parametric.adapters import LiveAdapters
from remanence.parametric.lora import Recipe, train
from remanence.parametric.merging import Merging, merged
from remanence.parametric.routing import Asked, Routable, Router
from remanence.parametric.training import Schedule

PEOPLE = 3


def adapters(lm: CausalLM, world: World, documents: Sequence[Sequence[Fact]], steps: int) -> list[Adapter]:
    guard = [world.question(fact) for fact in world.facts[::2]]
    recipe = Recipe(rank=4, alpha=8.0, schedule=Schedule(steps=steps, batch=32, rate=5e-3, decay=0.0))
    return [train(lm, world.lessons(facts), recipe, guard=guard).adapter for facts in documents]


def routed(
    live: LiveAdapters, world: World, documents: Sequence[Sequence[Fact]], background: Sequence[Fact]
) -> dict[str, float]:
    router = Router()
    for number, facts in enumerate(documents):
        router.add(Routable(f"d{number}", tuple(world.statement(fact) for fact in facts)))
    fit = router.fit(
        [Asked(world.question(fact, 1), (f"d{number}",)) for number, facts in enumerate(documents) for fact in facts]
        + [Asked(world.question(fact, 1)) for fact in background]
    )

    def share(facts: Sequence[Fact]) -> tuple[float, float]:
        right = none = 0.0
        for fact in facts:
            names = router.choose(world.question(fact)).names
            none += not names
            with live.active(names):
                right += answers(live.lm, [world.question(fact)])[0] == world.answer(fact)
        return right / len(facts), none / len(facts)

    every = [fact for facts in documents for fact in facts]
    (found, missed), (kept, none) = share(every), share(background)
    return {
        "recall": found,
        "background": kept,
        "none for own": missed,
        "none for background": none,
        "fitted errors": fit.missed + fit.false,
    }


def together(
    lm: CausalLM, world: World, one: Sequence[Adapter], facts: Sequence[Fact], background: Sequence[Fact]
) -> dict[str, float]:
    live = LiveAdapters(lm, limit=8, most=8)
    for number, adapter in enumerate(one):
        live.put(f"a{number}", adapter)
    with live.active(live.names):
        found = {"recall": recall(lm, world, facts), "background": recall(lm, world, background)}
    live.close()
    return found


def run(seed: int, models: Path | None, quick: bool) -> list[dict[str, Any]]:
    world, lm = taught(seed, models)
    fresh = world.fresh(6 * PEOPLE)
    size = PEOPLE * len(world.relations)
    documents = [fresh[at : at + size] for at in range(0, len(fresh), size)][: 2 if quick else 6]
    background = world.facts[::2]
    start = time.process_time()
    made = adapters(lm, world, documents, 20 if quick else 150)
    rows: list[dict[str, Any]] = []
    print(f"seed {seed}: {len(made)} adapters in {time.process_time() - start:.0f} s", flush=True)
    for count in (2,) if quick else (2, 4, 6):
        some, parts = documents[:count], made[:count]
        every = [fact for facts in some for fact in facts]
        live = LiveAdapters(lm, limit=8)
        for number, adapter in enumerate(parts):
            live.put(f"d{number}", adapter)
        own, kept = 0.0, 0.0
        for number, facts in enumerate(some):
            with live.active([f"d{number}"]):
                own += recall(lm, world, facts) / count
                kept += recall(lm, world, background) / count
        blank = {"none for own": None, "none for background": None, "fitted errors": None}
        rows.append({"seed": seed, "adapters": count, "way": "own", "recall": own, "background": kept, **blank})
        rows.append({"seed": seed, "adapters": count, "way": "routed", **routed(live, world, some, background)})
        live.close()
        ways = {"side by side": list(parts)}
        for name, how in (
            ("cat", Merging()),
            ("cat, mean", Merging(weights=(1 / count,) * count)),
            ("ties", Merging(how="ties", density=0.5)),
            ("dare", Merging(how="dare", density=0.5)),
        ):
            ways[name] = [merged(parts, lm, how)]
        for way, working in ways.items():
            rows.append(
                {
                    "seed": seed,
                    "adapters": count,
                    "way": way,
                    **together(lm, world, working, every, background),
                    **blank,
                }
            )
    return rows


def main() -> None:
    asked = arguments(__doc__.split("\n", maxsplit=1)[0])
    rows: list[dict[str, Any]] = []
    for seed in asked.seeds:
        rows += run(seed, asked.models, asked.quick)
        keep(asked, "merging.py", {}, rows)
    show("Routing against merging", rows, ["adapters", "way"])


if __name__ == "__main__":
    main()
