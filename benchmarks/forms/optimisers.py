"""AdamW against Muon for nano models, at equal steps: the loss on held-out text, and the CPU time that a step takes.

    python benchmarks/forms/optimisers.py --json benchmarks/forms/results/optimisers.json
    python benchmarks/forms/optimisers.py --quick

The text is that of the synthetic world, its lines shuffled; the last tenth is held out. Each optimiser has its own sweep of learning rates, since one rate need not suit both.
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

from remanence.evaluation.world import World
from remanence.models.local.nano import NanoSpec, new
from remanence.models.local.packing import pack
from remanence.models.local.tokenizing import bpe_tokenizer
from remanence.models.local.training import TrainSpec, train

RATES = (1e-3, 3e-3, 1e-2, 3e-2)
SEEDS = (0, 1, 2)


def run(data, rule: str, lr: float, seed: int, steps: int) -> dict:
    model = new(NanoSpec(depth=2, vocab=512, context=128, seed=seed))
    began = time.process_time()
    done = train(
        model, data, TrainSpec(steps=steps, batch=8, context=128, lr=lr, rule=rule, seed=seed, evaluate_every=0)
    )
    busy = time.process_time() - began
    return {
        "rule": rule, "lr": lr, "seed": seed, "loss": done.loss, "held_out": done.held_out, "bits_per_byte": done.bits_per_byte,
        "cpu_seconds": busy, "tokens_per_cpu_second": done.tokens / busy,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="a few steps of one seed: the figures mean nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = World(seed=0, people=200).corpus(copies=2000)
    random.Random(0).shuffle(lines)
    texts = ["\n".join(lines)]
    data = pack(texts, bpe_tokenizer(texts, 512), held_out=0.1)
    steps, seeds, rates = (3, SEEDS[:1], RATES[1:2]) if options.quick else (150, SEEDS, RATES)
    rows = [run(data, rule, lr, seed, steps) for rule in ("adamw", "muon") for lr in rates for seed in seeds]
    table = Table(
        title=f"{steps} steps of 1,024 tokens, {len(data.train):,} tokens of text, {len(seeds)} seeds: mean (lowest to highest)"
    )
    for name in ("optimiser", "learning rate", "held out, nats", "bits per byte", "tokens per CPU second"):
        table.add_column(name, justify="right")
    for rule in ("adamw", "muon"):
        for lr in rates:
            part = [one for one in rows if (one["rule"], one["lr"]) == (rule, lr)]
            cells = [[one[name] for one in part] for name in ("held_out", "bits_per_byte", "tokens_per_cpu_second")]
            shown = [f"{statistics.mean(c):,.3f} ({min(c):,.3f} to {max(c):,.3f})" for c in cells[:2]]
            table.add_row(rule, f"{lr:g}", *shown, f"{statistics.mean(cells[2]):,.0f}")
    Console().print(table)
    if options.json:
        body = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, 1 thread, torch {torch.__version__}",
            "command": " ".join(sys.argv), "seeds": list(seeds), "steps": steps, "text_tokens": len(data.train),
            "parameters": sum(one.numel() for one in new(NanoSpec(depth=2, vocab=512, context=128)).parameters()), "rows": rows,
        }  # fmt: skip
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
