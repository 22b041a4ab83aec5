"""Facts that are held as text, as caches and in an adapter; half of them are forgotten, and looked for in every form.

    python benchmarks/forms/forgetting.py --json benchmarks/forms/results/forgetting.json

Each seed trains a small model that knows a made-up world, tells a memory `--facts` facts about strangers twice over (half stay), derives a cache of
each and one adapter of all, and forgets one half in one call. `rebuild` trains the adapter again without them; `unlearn` changes it. What the receipt says is
what is written here: each probe beside models that never saw the facts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from remanence import Memory, Settings
from remanence.errors import ForgetIncompleteError
from remanence.evaluation.world import World
from remanence.models.local.folders import write_model
from remanence.parametric.gate import Limits
from remanence.parametric.taught import teach

PEOPLE = 24
RELATIONS = 4
LIMITS = Limits(paraphrase=0.5, locality_drop=0.1)
"""Of the gate, lowered: what is measured here is what forgetting leaves, not how well an adapter was taught."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--facts", type=int, default=50, help="how many are forgotten; as many stay")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--modes", nargs="+", default=["rebuild", "unlearn"])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="a small run, to see that it works")
    args = parser.parse_args()
    torch.set_num_threads(1)
    facts, seeds = (8, [0]) if args.quick else (args.facts, args.seeds)
    os.environ["HOME"] = tempfile.mkdtemp()  # the signing key
    rows = [row for seed in seeds for row in _seed(seed, facts, args.modes)]
    said = {
        "machine": f"{platform.machine()}, CPU, one thread", "torch": torch.__version__, "seeds": seeds, "facts": facts,
        "command": f"python benchmarks/forms/forgetting.py {' '.join(sys.argv[1:])}", "rows": rows,
    }  # fmt: skip
    if args.json:
        args.json.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    _show(rows)
    return 0


def _seed(seed: int, facts: int, modes: list[str]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        world = World(seed=seed, people=PEOPLE)
        lm = teach(world)
        model = Path(folder) / "nano"
        write_model(model, lm.model, lm.tokenizer)
        return [_forgotten(Path(folder) / f"{mode}.rem", model, world, facts, mode, seed) for mode in modes]


def _forgotten(store: Path, model: Path, world: World, facts: int, mode: str, seed: int) -> dict[str, Any]:
    told = world.fresh(2 * facts // RELATIONS)
    guard, watch = ([world.question(fact) for fact in world.facts[n::2]] for n in (0, 1))
    settings = Settings(embedder="hashing", model=f"local:{model}", care_every=0)
    with Memory(store, settings) as memory:
        ids = memory.add([{"content": world.statement(fact), "session": str(n)} for n, fact in enumerate(told)])
        for one in ids:
            memory.forms.derive(one)
        began = time.process_time()
        adapter = memory.forms.derive(ids, form="parametric", guard=guard, watch=watch, limits=LIMITS)
        trained = time.process_time() - began
        began = time.process_time()
        try:
            receipt = memory.forget(ids[:facts], adapters=mode)  # pyright: ignore[reportArgumentType]
        except ForgetIncompleteError as error:
            receipt = error.receipt
        spent = time.process_time() - began
        left = memory.forms.list()
        return {
            "seed": seed, "mode": mode, "grade": receipt.grade, "facts": facts, "gate": adapter.payload.details["gate"],
            "forms": receipt.to_json().get("forms", []), "trained_seconds": round(trained, 1), "forget_seconds": round(spent, 1),
            "caches_left": sum(one.form == "activation" for one in left), "adapters_left": sum(one.form == "parametric" for one in left),
            "substrates": [one for one in receipt.to_json()["substrates"] if "cache" in one["kind"] or "adapter" in one["kind"]],
        }  # fmt: skip


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(
        "seed", "mode", "grade", "form", "how", "probe", "before", "after", "never saw", "interval", "verdict", box=None
    )
    for row in rows:
        for form in row["forms"]:
            for figure in form["figures"] or [None]:
                values = ["", "", "", "", "", ""]
                if figure is not None:
                    numbers = [figure[name] for name in ("before", "after", "control", "low", "high")]
                    before, after, control, low, high = ("-" if one is None else f"{one:.3f}" for one in numbers)
                    values = [figure["name"], before, after, control, f"{low} to {high}", figure["verdict"]]
                table.add_row(str(row["seed"]), row["mode"], row["grade"], form["form"], form["mode"], *values)
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
