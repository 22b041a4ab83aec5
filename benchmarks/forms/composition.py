"""Caches that were computed apart, put together: how far the answer is from that of a full prefill, and what nearer costs.

    python benchmarks/forms/composition.py --json benchmarks/forms/results/composition.json
    python benchmarks/forms/composition.py --quick

For each seed a nano model is trained to answer by reading two to eight statements about strangers, so that its answers depend on
the cache. A prompt is `Context:`, k statements, a question. Every statement is a block of its own: `bare`, computed with nothing before
it, or `framed`, computed behind `Context:`. Compared are the distributions over the next token after the question, which is the
first word of the answer, and over the ANSWER words that the full prefill goes on with. `raw` with bare blocks is what MemOS does; all ways are said in `remanence.activation.compose`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import sys
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from remanence.activation.capture import capture
from remanence.activation.compose import compose
from remanence.activation.quality import Probe, continued, divergence, together
from remanence.activation.running import extend
from remanence.cubes import Fact
from remanence.evaluation.world import World
from remanence.models.local.caches import clone
from remanence.models.local.causal import CausalLM
from remanence.models.local.nano import NanoSpec, new
from remanence.models.local.tokenizing import word_tokenizer
from remanence.parametric.taught import examples
from remanence.parametric.training import Schedule, learn

SIZES = (2, 4, 8)
MOST = 8
FIRST = (1, 4)
SHARES = (0.0, 0.05, 0.1, 0.15, 0.25, 0.35, 0.5, 0.65, 0.8, 0.9, 1.0)
"""Of `blend`: for framed blocks; for bare ones the round ones only."""
BARE_SHARES = (0.15, 0.5, 0.8, 1.0)
AGREEMENT = 0.99
ANSWER = 3
"""Predictions that are compared: the first word of the answer and two more."""


def reader(seed: int, steps: int, kept: Path | None) -> tuple[World, CausalLM, float]:
    """A world, a model that reads about it, and the seconds of its training; from the folder `kept` where it is there."""
    world = World(seed=seed, people=24)
    folder = kept / f"reader-{seed}-{steps}" if kept else None
    if folder and folder.exists():
        return world, CausalLM.open(folder, device="cpu"), 0.0
    tokenizer = word_tokenizer(world.words())
    lm = CausalLM.of(
        new(NanoSpec(depth=4, width=64, hidden=192, heads=4, kv_heads=2, vocab=len(tokenizer), seed=seed)), tokenizer,
        f"reader {seed}",
    )  # fmt: skip
    began = time.process_time()
    lm.model.requires_grad_(True)
    schedule = Schedule(steps=steps, batch=64, rate=3e-3, prompt=0.05, seed=seed)
    learn(lm.model, examples(lm, world.copies(16 * steps, most=MOST, seed=seed)), schedule)
    lm.model.requires_grad_(False)
    if folder:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lm.model.save_pretrained(folder)
        lm.tokenizer.save_pretrained(folder)
    return world, lm, time.process_time() - began


def prompts(world: World, size: int, count: int, seed: int) -> list[tuple[list[str], Fact]]:
    """Statements about different things, and the fact that is asked for: strangers that the training drew other values for."""
    dice = random.Random(f"{seed} {size}")
    names = sorted({pair for name in world.fresh(12) for pair in [name.subject]})
    found = []
    for _ in range(count):
        told: dict[tuple[str, str], Fact] = {}
        while len(told) < size:
            relation, name = dice.choice(world.relations), dice.choice(names)
            told[name, relation.name] = Fact(name, relation.name, dice.choice(relation.values))
        said = [world.statement(one, dice.randrange(2)) for one in told.values()]
        found.append((said, dice.choice(list(told.values()))))
    return found


def ways() -> list[tuple[str, dict, bool]]:
    """Name, options of `compose`, and whether blocks are framed."""
    found = [("raw, bare", {"mode": "raw"}, False), ("rerotate, bare", {"mode": "rerotate"}, False)]
    found += [(f"repair {first}, bare", {"mode": "repair", "first": first}, False) for first in FIRST]
    found += [("raw, framed", {"mode": "raw"}, True), ("rerotate, framed", {"mode": "rerotate"}, True)]
    found += [(f"repair {first}, framed", {"mode": "repair", "first": first}, True) for first in FIRST]
    found += [(f"blend {share:.2f}, framed", {"mode": "blend", "share": share}, True) for share in SHARES]
    found += [(f"blend {share:.2f}, bare", {"mode": "blend", "share": share}, False) for share in BARE_SHARES]
    return found


def measured(world: World, lm: CausalLM, size: int, count: int, seed: int) -> tuple[dict[str, dict], float]:
    """Divergence and cost of each way for prompts of `size` statements, and how often the full prefill reads the right answer."""
    head = lm.encode("Context:")
    first: dict[str, list] = {name: [] for name, _, _ in ways()}
    all_: dict[str, list] = {name: [] for name in first}
    cost: dict[str, list[float]] = {name: [] for name in first}
    begun = capture(head, lm, precision="fp32")
    right = 0
    for said, fact in prompts(world, size, count, seed):
        parts = [lm.encode(f" {one}") for one in said]
        question = lm.encode(f" {world.question(fact)}")
        full = extend([*head, *(one for part in parts for one in part)], lm)[1]
        words = greedy(lm, question, full)
        right += words[0] == lm.encode(world.answer(fact))[0]
        probe = Probe((*question, *words[:-1]), ANSWER)
        wanted = continued(probe, full, lm)
        blocks = {
            framed: [capture(part, lm, prefix=begun if framed else (), precision="fp32") for part in parts]
            for framed in (0, 1)
        }
        for name, options, framed in ways():
            done = compose([begun, *blocks[framed]], lm, **options)
            found = continued(probe, done.cache, lm)
            first[name].append(divergence(wanted[:1], found[:1]))
            all_[name].append(divergence(wanted, found))
            cost[name].append(done.cost)
    results = {}
    for name, parts in first.items():
        one, more = together(parts), together(all_[name])
        results[name] = {
            "kl": one.kl, "worst": one.worst, "agreement": one.agreement, "kl_all": more.kl, "agreement_all": more.agreement,
            "cost": statistics.mean(cost[name]), "places": one.places,
        }  # fmt: skip
    return results, right / count


def greedy(lm: CausalLM, question: list[int], cache) -> list[int]:
    step = lm.forward(question, clone(cache), keep=1)
    found = [int(step.logits[-1].argmax())]
    while len(found) < ANSWER:
        step = lm.forward(found[-1:], step.cache)
        found.append(int(step.logits[-1].argmax()))
    return found


def interval(values: list[float]) -> tuple[float, float, float]:
    """Mean over seeds, least, greatest."""
    return statistics.mean(values), min(values), max(values)


def over_seeds(runs: list[dict]) -> list[dict]:
    """One row for each way and number of blocks: means, with the least and the greatest seed."""
    rows = []
    for size in SIZES:
        mine = [run for run in runs if run["blocks"] == size]
        raw = statistics.mean(run["ways"]["raw, bare"]["kl"] for run in mine)
        for name, _, framed in ways():
            kl = interval([run["ways"][name]["kl"] for run in mine])
            agreement = interval([run["ways"][name]["agreement"] for run in mine])
            rows.append({
                "blocks": size, "way": name, "framed": framed, "kl": kl, "share_of_raw": kl[0] / raw, "agreement": agreement,
                "kl_all": interval([run["ways"][name]["kl_all"] for run in mine]),
                "agreement_all": interval([run["ways"][name]["agreement_all"] for run in mine]),
                "cost": statistics.mean(run["ways"][name]["cost"] for run in mine),
            })  # fmt: skip
    return rows


def share_needed(rows: list[dict], size: int) -> float | None:
    """The least share of blend from which on all greater ones agree in 99 % of next tokens, by the mean over seeds; framed blocks."""
    found = None
    for share in sorted(SHARES, reverse=True):
        row = next(row for row in rows if row["blocks"] == size and row["way"] == f"blend {share:.2f}, framed")
        if row["agreement"][0] < AGREEMENT:
            break
        found = share
    return found


def run_of(seed: int, steps: int, count: int, kept: Path | None) -> list[dict]:
    """All sizes of one seed; from the folder `kept` where they are there."""
    file = kept / f"run-{seed}-{steps}-{count}.json" if kept else None
    if file and file.exists():
        return json.loads(file.read_text(encoding="utf-8"))
    world, lm, seconds = reader(seed, steps, kept)
    found = []
    for size in SIZES:
        results, right = measured(world, lm, size, count, seed)
        found.append(
            {"seed": seed, "blocks": size, "reads_right": right, "train_cpu_seconds": seconds, "ways": results}
        )
        print(f"seed {seed}, {size} blocks: the full prefill reads {right:.0%} right", file=sys.stderr, flush=True)
    if file:
        file.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="one seed, hardly trained, few prompts")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--prompts", type=int, default=40)
    parser.add_argument("--only", type=int, help="this seed alone, to be kept in the folder of `--models`")
    parser.add_argument("--models", type=Path, help="a folder that keeps trained models and finished seeds")
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds, steps, count = (1, 5, 2) if options.quick else (options.seeds, options.steps, options.prompts)
    chosen = [options.only] if options.only is not None else list(range(seeds))
    runs = [run for seed in chosen for run in run_of(seed, steps, count, options.models)]
    rows = over_seeds(runs)
    needed = {size: share_needed(rows, size) for size in SIZES}
    show(rows, needed)
    if options.json:
        body = {
            "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, 1 thread, torch {torch.__version__}",
            "seeds": chosen, "command": " ".join(sys.argv), "prompts": count, "answer_tokens": ANSWER,
            "share_for_99_percent": needed, "rows": rows,
            "runs": runs,
        }  # fmt: skip
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


def show(rows: list[dict], needed: dict) -> None:
    table = Table(title="Composed caches against a full prefill: mean over seeds (least, greatest)")
    for name in ("blocks", "way", "KL, nats", "of raw", "next token agrees", f"{ANSWER} tokens agree", "cost"):
        table.add_column(name, justify="left" if name == "way" else "right")
    for row in rows:
        kl, agreement = row["kl"], row["agreement"]
        table.add_row(
            str(row["blocks"]), row["way"], f"{kl[0]:.4f} ({kl[1]:.4f}, {kl[2]:.4f})", f"{row['share_of_raw']:.3f}",
            f"{agreement[0]:.3f} ({agreement[1]:.3f}, {agreement[2]:.3f})", f"{row['agreement_all'][0]:.3f}", f"{row['cost']:.2f}",
        )  # fmt: skip
    console = Console(width=130)
    console.print(table)
    console.print(f"Share to compute again for {AGREEMENT:.0%} agreement from there on: {needed}")


if __name__ == "__main__":
    main()
