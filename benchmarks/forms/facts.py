"""200 new facts into one adapter, and 200 more after them: what is known, in which words, and what it cost what was known before.

    python benchmarks/forms/facts.py --seeds 0 1 2 --json benchmarks/forms/results/facts.json
    python benchmarks/forms/facts.py --merge a.json b.json --json benchmarks/forms/results/facts.json
    python benchmarks/forms/facts.py --quick

A nano model learns a world of 60 people. Half of them guard the training of adapters; locality is measured on the other half, whom no
guard prompt names. The first adapter learns 50 new people x 4 facts. A second one learns 50 more beside it, in several ways: plainly,
with RegLoRA's penalty at the key positions of the first, with the divergence from the incumbent on guard prompts, with replay. Every
probe is answered free-running; the second figure is teacher-forced. Paraphrases are wordings that nothing was taught in.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from remanence.evaluation.intervals import student
from remanence.evaluation.matrix import ForgettingMatrix
from remanence.evaluation.probes import Facet, ProbeSet, world_probes
from remanence.evaluation.scoring import Scores, evaluate, normalised
from remanence.evaluation.world import World
from remanence.models.local.causal import CausalLM
from remanence.parametric.adapterfile import Mount
from remanence.parametric.derive import neighbour_prompts
from remanence.parametric.lora import Recipe, train
from remanence.parametric.system import LocalSystem
from remanence.parametric.taught import teach
from remanence.parametric.training import Schedule

FIRST = Recipe(
    rank=16, alpha=32.0, schedule=Schedule(steps=600, batch=64, rate=3e-3, decay=0.0), divergence=4.0, guards=32
)
PLAIN = Recipe(rank=16, alpha=32.0, schedule=Schedule(steps=200, batch=64, rate=3e-3, decay=0.0), divergence=0.0)
ARMS = {
    "plain LoRA": PLAIN,
    "RegLoRA 100": replace(PLAIN, regularise=100.0),
    "RegLoRA 1000": replace(PLAIN, regularise=1000.0),
    "RegLoRA 2500": replace(PLAIN, regularise=2500.0),
    "divergence": replace(PLAIN, divergence=4.0, guards=32),
    "replay 16": replace(PLAIN, replay=16),
    "divergence and replay 16": replace(PLAIN, divergence=4.0, guards=32, replay=16),
}


def one_seed(seed: int, quick: bool, bases: Path | None, told: Console, arms: dict[str, Recipe] = ARMS) -> dict:
    world = World(seed, people=6 if quick else 60)
    count = 3 if quick else 50
    schedule = Schedule(steps=4 if quick else 900, batch=64, rate=3e-3, decay=0.1, prompt=0.05, seed=seed)
    began = time.process_time()
    lm = opened(bases and bases / f"base-{seed}")
    if lm is None:
        lm = teach(world, depth=2, width=96, schedule=schedule, copies=50 if quick else 5000)
        if bases and not quick:
            lm.model.save_pretrained(bases / f"base-{seed}")
            lm.tokenizer.save_pretrained(bases / f"base-{seed}")
    base_seconds = time.process_time() - began
    guards, watched = world.people[: len(world.people) // 2], world.people[len(world.people) // 2 :]
    known = [fact for fact in world.facts if fact.subject in guards]
    guard = [world.question(fact, place) for fact in known for place in range(3)]
    guard += [world.cloze(fact, place) for fact in known for place in range(4)]
    local = [fact for fact in world.facts if fact.subject in watched]
    batches = [world.fresh(count, batch) for batch in range(2)]
    probes = [world_probes(world, facts, name=f"batch {n}", local=local) for n, facts in enumerate(batches)]
    around = [neighbour_prompts(facts, 30 if quick else 1500, leave_out=watched, seed=seed) for facts in batches]
    rows, system = [], LocalSystem(lm)
    before = evaluate(system, probes[0].probes)

    began = time.process_time()
    first = train(lm, world.lessons(batches[0]), short(FIRST, seed, quick), guard=[*guard, *around[0]])
    seconds = time.process_time() - began
    after = asked(lm, {"first": first.adapter}, probes[0])
    rows.append(row("first batch", seed, after, before, seconds, bytes=first.adapter.nbytes))
    guarded = asked(lm, {"first": first.adapter}, world_probes(world, [], local=known))
    rows[-1]["guarded"] = share(guarded, Facet.LOCALITY)
    rows.append(row("before", seed, before, before, base_seconds))
    told.print(f"seed {seed}: base {base_seconds:.0f} s, first batch {seconds:.0f} s, {rows[0]['facets']}")

    for name, recipe in arms.items():
        began = time.process_time()
        second = train(
            lm, world.lessons(batches[1]), short(recipe, seed, quick), earlier=[first.adapter], guard=[*guard, *around[1]],
            replay=world.lessons(batches[0]),
        )  # fmt: skip
        seconds = time.process_time() - began
        both = {"first": first.adapter, "second": second.adapter}
        old, new = asked(lm, both, probes[0]), asked(lm, both, probes[1])
        matrices = {}
        for facet in (Facet.RELIABILITY, Facet.PARAPHRASE):
            stages = ((share(after, facet),), (share(old, facet), share(new, facet)))
            matrices[facet.value] = ForgettingMatrix(stages).to_json()
        rows.append(row(name, seed, new, before, seconds, matrices=matrices))
        told.print(
            f"seed {seed}: {name} {seconds:.0f} s, {matrices['reliability']['scores']}, locality {rows[-1]['kept']:.3f}"
        )
    return {"seed": seed, "rows": rows}


def opened(folder: Path | None) -> CausalLM | None:
    return CausalLM.open(folder, device="cpu") if folder and folder.exists() else None


def short(recipe: Recipe, seed: int, quick: bool) -> Recipe:
    steps = 3 if quick else recipe.schedule.steps
    return replace(recipe, schedule=replace(recipe.schedule, seed=seed, steps=steps))


def asked(lm, adapters: dict, probes: ProbeSet) -> Scores:
    mount = Mount(lm)
    for name, adapter in adapters.items():
        mount.put(name, adapter)
    mount.activate(*adapters)
    scores = evaluate(LocalSystem(lm), probes.probes)
    mount.close()
    return scores


def share(scores: Scores, facet: Facet) -> float:
    return scores.share(facet).value


def row(name: str, seed: int, scores: Scores, before: Scores, seconds: float, **more) -> dict:
    facets = {facet: round(one["value"], 4) for facet, one in scores.to_json().items()}
    forced = {facet: round(one["teacher_forced"], 4) for facet, one in scores.to_json().items()}
    told = unchanged(before, scores)
    return {"arm": name, "seed": seed, "facets": facets, "forced": forced, "kept": told, "cpu_seconds": seconds, **more}


def unchanged(before: Scores, after: Scores) -> float:
    """The share of people whom no guard named who are answered about as before. Both batches watch the same facts."""
    pairs = list(zip(before.of(Facet.LOCALITY), after.of(Facet.LOCALITY), strict=True))
    assert all(old.probe.prompt == new.probe.prompt for old, new in pairs)
    return sum(normalised(old.text) == normalised(new.text) for old, new in pairs) / len(pairs)


def summed(seeds: list[dict]) -> list[dict]:
    """Means over seeds with Student's intervals."""
    every = [one for seed in seeds for one in seed["rows"]]
    found = []
    for name in dict.fromkeys(one["arm"] for one in every):
        some = [one for one in every if one["arm"] == name]
        entry = {"arm": name, "seeds": len(some), "cpu_seconds": sum(one["cpu_seconds"] for one in some) / len(some)}
        for facet in some[0]["facets"]:
            entry[facet] = student([one["facets"][facet] for one in some]).to_json()
        drops = [
            seed["rows"][1]["facets"]["locality"] - one["facets"]["locality"]
            for seed, one in zip(seeds, some, strict=True)
        ]
        entry["locality_drop"] = student(drops).to_json()
        if "matrices" in some[0]:
            for facet in some[0]["matrices"]:
                entry[f"forgetting_{facet}"] = student([one["matrices"][facet]["F"][0] for one in some]).to_json()
            plain = {one["seed"]: one for one in every if one["arm"] == "plain LoRA"}
            gains = [
                one["matrices"]["reliability"]["F"][0] - plain[one["seed"]]["matrices"]["reliability"]["F"][0]
                for one in some
            ]
            entry["gain_over_plain"] = student(gains).to_json()
            entry["matrix"] = [
                [sum(one["matrices"]["reliability"]["scores"][i][j] for one in some) / len(some) for j in range(i + 1)]
                for i in range(2)
            ]
        found.append(entry)
    return found


def show(summary: list[dict], told: Console) -> None:
    def says(one: dict | None) -> str:
        return "" if one is None else f"{one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}]"

    columns = ("reliability", "generality", "paraphrase", "portability", "counterfactual", "locality_drop")
    table = Table("", *columns, title="What was learnt last, and what it cost", show_lines=False)
    for one in summary:
        table.add_row(one["arm"], *(says(one.get(column)) for column in columns))
    told.print(table)
    table = Table(
        "second batch", "batch 1 before, after; batch 2", "forgetting", "of paraphrases", "gain over plain", "CPU s"
    )
    for one in summary:
        if "matrix" in one:
            (a,), (b, c) = one["matrix"]
            table.add_row(
                one["arm"], f"{a:.3f} → {b:.3f}; {c:.3f}", says(one["forgetting_reliability"]), says(one["forgetting_paraphrase"]),
                says(one["gain_over_plain"]), f"{one['cpu_seconds']:.0f}",
            )  # fmt: skip
    told.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--merge", type=Path, nargs="+", help="results of runs of single seeds")
    parser.add_argument("--first", action="store_true", help="the first batch only")
    parser.add_argument("--bases", type=Path, help="a folder to keep the base models in")
    parser.add_argument("--quick", action="store_true", help="a few steps of one seed: the figures mean nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    told = Console(width=200)
    if options.merge:
        parts = [json.loads(path.read_text(encoding="utf-8")) for path in options.merge]
        seeds = sorted((one for part in parts for one in part["seeds"]), key=lambda one: one["seed"])
    else:
        seeds = [
            one_seed(seed, options.quick, options.bases, told, {} if options.first else ARMS)
            for seed in (options.seeds[:1] if options.quick else options.seeds)
        ]
    summary = summed(seeds)
    show(summary, told)
    if options.json:
        data = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread, torch {torch.__version__}",
            "command": f"python {Path(sys.argv[0]).name} --seeds {' '.join(str(one['seed']) for one in seeds)}",
            "summary": summary, "seeds": seeds,
        }  # fmt: skip
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
