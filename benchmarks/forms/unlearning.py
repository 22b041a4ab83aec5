"""Forget and retain splits: LoKU's inverted hinge, with and without FILA, against ascent, gradient difference, KL, NPO and retraining.

    python benchmarks/forms/unlearning.py [--seeds 0 1 2] [--json FILE] [--quick]

For every seed a world of people, a nano model that knows all of them, and models of other seeds that never saw the forget set (the
oracle: training without it). Each method has 60 steps of 32 + 32 examples, on an adapter of rank 8 and on full weights. Its
learning rate was chosen on seed `TUNING`, which is none of the seeds of the table: of the rates that bring forget accuracy
within 0.1 of the oracle's the one with the best utility, else the one that forgets most.

forget: share of the taught prompts of forgotten facts whose answer is greedy, token by token. utility: harmonic mean of accuracy,
answer probability and 1 - truth ratio of kept facts, and of accuracy and probability of general knowledge (in the manner of TOFU,
arXiv 2401.06121). truth ratio: arithmetic mean of the probabilities of 8 counterfactuals over the true answer's, by mean log-probability per
token, in a held-out wording. KS p: two-sided Kolmogorov-Smirnov test of the truth ratios of the forget set against those of the
first oracle (forget quality is its logarithm); a large p shows no difference, not that there is none: n = 32. relearn: steps of Adam on
all weights until 90 % of the forgotten facts are back, over the mean of the oracles' steps. verdict: `parametric.probing.battery`.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import ks_2samp

from remanence.evaluation.world import World
from remanence.models.local.causal import CausalLM
from remanence.models.local.nano import NanoSpec, new
from remanence.models.local.tokenizing import word_tokenizer
from remanence.parametric import measuring
from remanence.parametric.measuring import Measured, Secret, measure
from remanence.parametric.probing import battery
from remanence.parametric.taught import examples as lessons_of
from remanence.parametric.training import Schedule, learn
from remanence.parametric.unlearning.examples import batch, examples
from remanence.parametric.unlearning.losses import cross_entropy, told
from remanence.parametric.unlearning.run import unlearn, with_weights

PEOPLE, FORGOTTEN, ORACLES, STEPS, TUNING, MOST = 32, 8, 3, 60, 100, 96
METHODS = [
    ("adapter", "ga"), ("adapter", "gd"), ("adapter", "kl"), ("adapter", "npo"), ("adapter", "ihl"), ("adapter", "ihl+fila"),
    ("full", "ga"), ("full", "gd"), ("full", "kl"), ("full", "npo"), ("full", "ihl"),
]  # fmt: skip
RATES = {"adapter": (5e-4, 1e-3, 2e-3, 4e-3, 8e-3), "full": (1e-4, 2e-4, 4e-4, 8e-4, 1.6e-3)}


@dataclass
class Split:
    """A world, cut in two, and how it is asked for."""

    world: World
    forget: list
    retain: list
    secrets: list[Secret]
    kept: list[tuple[str, str]]
    known: list[tuple[str, str]]

    @classmethod
    def of(cls, seed: int, people: int, forgotten: int) -> Split:
        world = World(seed, people=people)
        count = forgotten * len(world.relations)
        forget, retain = list(world.facts[:count]), list(world.facts[count:])
        secrets = [
            Secret(
                f"{fact.subject}/{fact.relation}", world.answer(fact), tuple(prompt for prompt, _ in world.lessons([fact])),
                (world.cloze(fact, -1), world.question(fact, -1)), tuple(f" {value}" for value in world.counterfactuals(fact, 8)),
            )
            for fact in forget
        ]  # fmt: skip
        kept = [(world.question(fact), world.answer(fact)) for fact in retain]
        return cls(world, forget, retain, secrets, kept, plain(world.knowledge()))

    def curriculum(self, whole: bool) -> list[tuple[str, str]]:
        """Forgotten facts are taught without their held-out wordings."""
        return self.world.curriculum(self.retain) + (self.world.lessons(self.forget) if whole else [])


def plain(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(prompt, answer.removesuffix(".")) for prompt, answer in pairs]


def trained(split: Split, whole: bool, seed: int, steps: int) -> CausalLM:
    tokenizer = word_tokenizer(split.world.words())
    spec = NanoSpec(depth=3, width=64, hidden=192, heads=4, kv_heads=2, vocab=len(tokenizer), seed=seed)
    lm = CausalLM.of(new(spec), tokenizer)
    lm.model.requires_grad_(True)
    learn(
        lm.model,
        lessons_of(lm, split.curriculum(whole)),
        Schedule(steps=steps, batch=64, rate=3e-3, prompt=0.05, seed=seed),
    )
    lm.model.requires_grad_(False)
    return lm


def probabilities(lm: CausalLM, pairs: list[tuple[str, str]], weights: dict) -> list[float]:
    return [math.exp(one) for one in measuring._likelihoods(lm.model, examples(lm, pairs), weights)]


def truth_ratios(lm: CausalLM, world: World, facts: list, weights: dict) -> list[float]:
    asked = [
        (world.question(fact, -1), answer) for fact in facts for answer in (world.answer(fact), *foils(world, fact))
    ]
    found, ratios = iter(probabilities(lm, asked, weights)), []
    for fact in facts:
        true = next(found)
        ratios.append(statistics.fmean(next(found) for _ in foils(world, fact)) / max(true, 1e-12))
    return ratios


def foils(world: World, fact) -> list[str]:
    return [f" {value}" for value in world.counterfactuals(fact, 8)]


def greedy(lm: CausalLM, pairs: list[tuple[str, str]], weights: dict) -> float:
    return statistics.fmean(all(one) for one in measuring._greedy(lm.model, examples(lm, pairs), weights))


def relearn_steps(lm: CausalLM, split: Split, weights: dict) -> int:
    """Steps until 90 % of the first taught prompts have their answer; `MOST` + 1 if it takes longer."""
    asked = examples(lm, [(one.taught[0], one.answer) for one in split.secrets])
    copies = {n: weights.get(n, own).detach().clone().requires_grad_() for n, own in lm.model.named_parameters()}
    optimiser, put = torch.optim.Adam(copies.values(), lr=2e-4), batch(asked)
    for step in range(MOST + 1):
        if statistics.fmean(all(one) for one in measuring._greedy(lm.model, asked, copies)) >= 0.9:
            return step
        loss = cross_entropy(told(measuring._run(lm.model, copies, put), put.labels)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return MOST + 1


def quick_look(lm: CausalLM, split: Split, weights: dict) -> dict[str, float]:
    forget = [(prompt, one.answer) for one in split.secrets for prompt in one.taught]
    kept_ratio = statistics.fmean(max(0.0, 1 - one) for one in truth_ratios(lm, split.world, split.retain, weights))
    parts = [
        greedy(lm, split.kept, weights), statistics.fmean(probabilities(lm, split.kept, weights)), kept_ratio,
        greedy(lm, split.known, weights), statistics.fmean(probabilities(lm, split.known, weights)),
    ]  # fmt: skip
    utility = statistics.harmonic_mean(parts) if min(parts) > 0 else 0.0
    return {"forget": greedy(lm, forget, weights), "retain": parts[0], "knowledge": parts[3], "utility": utility}


class Bench:
    """One seed: its models, and what is known of the oracles."""

    def __init__(self, seed: int, small: bool) -> None:
        self.seed, began = seed, time.process_time()
        self.split = Split.of(seed, 8 if small else PEOPLE, 2 if small else FORGOTTEN)
        steps = 40 if small else 300
        self.lm = trained(self.split, True, 10 * seed, steps)
        self.oracles = [trained(self.split, False, 10 * seed + number, steps) for number in range(1, ORACLES + 1)]
        self.seconds = time.process_time() - began
        self.reference = truth_ratios(self.oracles[0], self.split.world, self.split.forget, {})
        self.never = [measure(one, self.split.secrets, kept=self.split.kept) for one in self.oracles]
        self.before = measure(self.lm, self.split.secrets, kept=self.split.kept)
        self.oracle_steps = [relearn_steps(one, self.split, {}) for one in self.oracles]
        self.oracle_forget = statistics.fmean(quick_look(one, self.split, {})["forget"] for one in self.oracles)
        self.forget = examples(self.lm, plain(self.split.world.lessons(self.split.forget)))
        self.keep = examples(
            self.lm, plain(self.split.world.lessons(self.split.retain, held_out=True)) + self.split.known
        )

    def unlearned(self, on: str, method: str, lr: float, steps: int = STEPS):
        done = unlearn(self.lm, self.forget, self.keep, method=method, on=on, lr=lr, steps=steps, seed=self.seed)
        if done.weights is not None:
            return done, CausalLM.of(with_weights(self.lm.model, done.weights), self.lm.tokenizer), {}
        return done, self.lm, done.factors

    def row(self, name: str, on: str, lm: CausalLM, factors: dict, **more) -> dict:
        weights = measuring._weights(lm.model, factors)
        ratios = truth_ratios(lm, self.split.world, self.split.forget, weights)
        seen: Measured = measure(lm, self.split.secrets, kept=self.split.kept, factors=factors)
        others = [one for number, one in enumerate(self.never) if name != f"retrained {number + 1}"]
        report = battery(seen, self.split.secrets, controls=others, original=self.before)
        steps = relearn_steps(lm, self.split, weights)
        return {
            "seed": self.seed, "method": name.split(" ", maxsplit=1)[0], "on": on, **quick_look(lm, self.split, weights),
            "ks_p": float(ks_2samp(ratios, self.reference).pvalue), "relearn_steps": steps,
            "relearn": steps / statistics.fmean(self.oracle_steps), "verdict": report.verdict, "reasons": list(report.reasons),
            "tests": {test: statistics.fmean(values) for test, values in seen.values.items()}, **more,
        }  # fmt: skip


def tuned(bench: Bench, small: bool) -> tuple[dict, list[dict]]:
    chosen, tried = {}, []
    for on, method in METHODS:
        rows = []
        for lr in RATES[on][1:3] if small else RATES[on]:
            _, lm, factors = bench.unlearned(on, method, lr, 4 if small else STEPS)
            rows.append(
                {
                    "on": on,
                    "method": method,
                    "lr": lr,
                    **quick_look(lm, bench.split, measuring._weights(lm.model, factors)),
                }
            )
        able = [row for row in rows if row["forget"] <= bench.oracle_forget + 0.1]
        best = max(able, key=lambda row: row["utility"]) if able else min(rows, key=lambda row: row["forget"])
        chosen[on, method] = best["lr"]
        tried.extend(rows)
    return chosen, tried


def one_seed(seed: int, rates: dict, small: bool) -> list[dict]:
    bench = Bench(seed, small)
    rows = [bench.row("original", "", bench.lm, {}, train_seconds=bench.seconds)]
    rows += [bench.row(f"retrained {n}", "", one, {}) for n, one in enumerate(bench.oracles, 1)]
    for on, method in METHODS:
        done, lm, factors = bench.unlearned(on, method, rates[on, method], 4 if small else STEPS)
        more = {"lr": done.lr, "seconds": done.seconds, "importance_seconds": done.importance_seconds}
        rows.append(bench.row(method, on, lm, factors or {}, **more))
    return rows


def orderings(rows: list[dict]) -> dict[str, dict]:
    """The published ordering, seed by seed: in how many it holds."""

    def of(method: str, on: str, name: str) -> dict[int, float]:
        return {row["seed"]: row[name] for row in rows if row["method"] == method and row["on"] == on}

    found = {}
    for on, better, worse, name in (
        ("adapter", "ihl", "ga", "utility"), ("adapter", "ihl", "gd", "utility"), ("adapter", "ihl", "npo", "utility"),
        ("adapter", "ihl+fila", "ihl", "utility"), ("adapter", "ihl", "gd", "ks_p"), ("adapter", "ihl+fila", "ihl", "ks_p"),
        ("full", "ihl", "ga", "utility"), ("full", "ihl", "gd", "utility"), ("full", "ihl", "gd", "ks_p"),
    ):  # fmt: skip
        one, two = of(better, on, name), of(worse, on, name)
        found[f"{on}: {name} of {better} > {worse}"] = {
            "holds_in": sum(one[seed] > two[seed] for seed in one), "ties": sum(one[seed] == two[seed] for seed in one),
            "of": len(one), "mean_difference": statistics.fmean(one[seed] - two[seed] for seed in one),
        }  # fmt: skip
    return found


def shown(values: list[float]) -> str:
    return f"{statistics.fmean(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def printed(rows: list[dict], orders: dict) -> None:
    table = Table(title="mean (least–most) over seeds")
    for name in ("on", "method", "lr", "forget", "retain", "utility", "KS p", "relearn", "verdicts"):
        table.add_column(name)
    for on, method in dict.fromkeys((row["on"], row["method"]) for row in rows):
        here = [row for row in rows if (row["on"], row["method"]) == (on, method)]
        verdicts = ", ".join(f"{count} {what}" for what, count in Counter(row["verdict"] for row in here).most_common())
        columns = (shown([row[name] for row in here]) for name in ("forget", "retain", "utility", "ks_p", "relearn"))
        table.add_row(on, method, f"{here[0].get('lr', 0):g}", *columns, verdicts)
    console = Console(width=170)
    console.print(table)
    for name, one in orders.items():
        console.print(
            f"{name}: in {one['holds_in']} of {one['of']} seeds, {one['ties']} ties, mean difference {one['mean_difference']:+.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything: the figures mean nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    rates, tried = tuned(Bench(TUNING, asked.quick), asked.quick)
    rows: list[dict] = []
    for seed in asked.seeds:
        rows += one_seed(seed, rates, asked.quick)
        orders = orderings(rows)
        if asked.json:  # after every seed, so that an interrupt leaves what there is
            document = {
                "machine": f"{platform.machine()}, {platform.processor() or 'CPU'}, one thread", "torch": torch.__version__,
                "command": "python benchmarks/forms/unlearning.py " + " ".join(sys.argv[1:]),
                "seeds": sorted({row["seed"] for row in rows}), "tuning_seed": TUNING, "steps": STEPS, "people": PEOPLE,
                "forgotten_people": FORGOTTEN, "oracles": ORACLES, "cpu_seconds": time.process_time() - began,
                "rates": {f"{on} {method}": lr for (on, method), lr in rates.items()}, "tuning": tried, "orderings": orders,
                "rows": rows,
            }  # fmt: skip
            asked.json.write_text(json.dumps(document, indent=1) + "\n")
    printed(rows, orders)


if __name__ == "__main__":
    main()
