"""What storing a cache in fewer bits costs: bytes, error of the numbers, and divergence of the next token.

    python benchmarks/forms/precision.py --json benchmarks/forms/results/precision.json
    python benchmarks/forms/precision.py --quick

The models and prompts of `composition.py`, with eight statements each, as one block from the start of the prompt: nothing but the storing
stands between it and the full prefill.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from pathlib import Path

import torch
from composition import prompts, reader
from rich.console import Console
from rich.table import Table

from remanence.activation.capture import cache_from, capture
from remanence.activation.quality import Probe, continued, divergence, together
from remanence.activation.running import extend

WAYS = (("fp32", 64), ("bf16", 64), ("fp16", 64), ("int8", 64), ("int4", 32), ("int4", 64))
SIZE = 8


def measured(world, lm, count: int, seed: int) -> list[dict]:
    off: dict[tuple[str, int], list] = {way: [] for way in WAYS}
    bytes_: dict[tuple[str, int], list[int]] = {way: [] for way in WAYS}
    lost: dict[tuple[str, int], list[float]] = {way: [] for way in WAYS}
    for said, fact in prompts(world, SIZE, count, seed):
        ids = lm.encode(f"Context: {' '.join(said)}")
        probe = Probe(tuple(lm.encode(f" {world.question(fact)}")))
        wanted = continued(probe, extend(ids, lm)[1], lm)
        for way in WAYS:
            block = capture(ids, lm, precision=way[0], group=way[1])
            off[way].append(divergence(wanted, continued(probe, cache_from(block, lm), lm)))
            bytes_[way].append(block.size)
            lost[way].append(max(block.quality["keys_relative"], block.quality["values_relative"]))
    found = []
    for way in WAYS:
        all_ = together(off[way])
        found.append({
            "precision": way[0], "group": way[1], "bytes": statistics.mean(bytes_[way]), "relative_error": statistics.mean(lost[way]),
            "kl": all_.kl, "worst": all_.worst, "agreement": all_.agreement, "seed": seed,
        })  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--models", type=Path, help="a folder that keeps the trained models")
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds, steps, count = (1, 5, 2) if options.quick else (options.seeds, options.steps, options.prompts)
    runs = []
    for seed in range(seeds):
        world, lm, _ = reader(seed, steps, options.models)
        runs += measured(world, lm, count, seed)
    rows = []
    for precision, group in WAYS:
        mine = [run for run in runs if (run["precision"], run["group"]) == (precision, group)]
        rows.append({"precision": precision, "group": group if precision == "int4" else None} | {
            name: statistics.mean(run[name] for run in mine) for name in ("bytes", "relative_error", "kl", "agreement")
        } | {"worst": max(run["worst"] for run in mine)})  # fmt: skip
    table = Table(title="Storing: means over seeds")
    for name in ("precision", "group", "of fp32", "relative error", "KL, nats", "worst", "next token agrees"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row["precision"], str(row["group"] or ""), f"{row['bytes'] / rows[0]['bytes']:.1%}", f"{row['relative_error']:.5f}",
            f"{row['kl']:.2e}", f"{row['worst']:.2e}", f"{row['agreement']:.3f}",
        )  # fmt: skip
    Console(width=120).print(table)
    if options.json:
        body = {
            "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, 1 thread, torch {torch.__version__}",
            "seeds": list(range(seeds)), "command": " ".join(sys.argv), "prompts": count, "rows": rows, "runs": runs,
        }  # fmt: skip
        options.json.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
