"""How fast it is and what it costs: latency at 100,000 cubes, adds, bulk, bytes, import.

    python benchmarks/speed.py                      all parts, on the embedded default
    python benchmarks/speed.py --cubes 20000        a smaller space
    python benchmarks/speed.py --only recall        one part: recall, writes, import

Stored vectors of the latency part are random (their values do not change the work); questions are embedded for real.
Times are noisy on shared machines: compare within one run.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from remanence import Memory, Settings

SAMPLE = Path(__file__).parents[1] / "examples" / "sample" / "chat.jsonl"


def texts(count: int, words: int = 22, seed: int = 0) -> list[str]:
    """Distinct texts with the sample chat's words at its frequencies: `words` words are about 34 word pieces."""
    chance = random.Random(seed)
    spoken = [json.loads(line)["content"].split() for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    vocabulary = [word for turn in spoken for word in turn]
    rare = [
        f"{a}{b}"
        for a in ("kel", "mor", "tan", "vir", "sol", "bra")
        for b in ("don", "mix", "tor", "lia", "nek", "ush", "per")
    ]
    return [
        " ".join(
            [*chance.choices(vocabulary, k=words - 2), chance.choice(rare) + str(chance.randrange(count)), f"{number}."]
        )
        for number in range(count)
    ]


def messages(count: int) -> list[dict]:
    return [
        {"role": "user", "name": ("Marta", "Tomasz")[number % 2], "content": text, "session": f"s{number // 20}",
         "time": f"20{10 + number // 8000 % 15:02d}-{1 + number // 700 % 12:02d}-{1 + number // 25 % 28:02d}T12:00:00"}
        for number, text in enumerate(texts(count))
    ]  # fmt: skip


QUESTIONS = [
    "Where does Marta keep the glaze recipes?", "When did Tomasz move to the new flat?", "What did she pay for the kiln in June?",
    "Who called about the bicycle last week?", "How many seahorses were counted?", "What is the rent of the studio now?",
    "Which book did Marta like?", "What happened on 12 May 2016?", "Did the dentist change the appointment?", "How is the dog?",
    "What did Tomasz say about the survey in the north?", "Why was the trip cancelled?", "kelmix17", "coffee in the morning",
]  # fmt: skip


def quantiles(run: Callable[[str], object], rounds: int) -> tuple[float, float]:
    """p50 and p95 of the milliseconds that a call takes."""
    seconds = []
    for number in range(rounds):
        start = time.perf_counter()
        run(QUESTIONS[number % len(QUESTIONS)] + ("?" * (number // len(QUESTIONS))))  # never a cached question
        seconds.append(1000 * (time.perf_counter() - start))
    return statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]


def resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


def recall(cubes: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.rem"
        chance = np.random.default_rng(0)
        some = messages(cubes)
        with Memory(path, Settings(durability="normal", commit_every=4096)) as memory:
            encoding = memory._encoding
            encoding.question("warm up")
            encoding._bind(encoding._open(), claim=True)

            def random_units(batch):
                rows = chance.standard_normal((len(batch), 384), np.float32)
                return rows / np.linalg.norm(rows, axis=1, keepdims=True)

            encoding.documents = random_units
            start = time.perf_counter()
            memory.add(some, space="large")
            write = time.perf_counter() - start
        size = path.stat().st_size
        with Memory(path) as memory:
            memory.recall("warm up", space="default")
            embed = memory._encoding
            embed.question("warm up")
            before = resident()
            start = time.perf_counter()
            memory.recall("warm up", space="large")
            load = time.perf_counter() - start
            held = resident() - before
            embedding = quantiles(lambda q: embed.question(q + " now"), 60)
            p50, p95 = quantiles(lambda q: memory.recall(q, space="large"), 140)
            filtered = quantiles(lambda q: memory.recall(q + "!", space="large", session="s17"), 56)
            asked = memory._recall.view("large")
            arrays = memory.stats().memory_bytes
            assert len(asked) == cubes
        text = sum(len(one["content"].encode()) for one in some)
        return {
            "cubes": cubes, "recall p50 ms": p50, "recall p95 ms": p95, "embedding p50 ms": embedding[0],
            "p50 beyond embedding ms": p50 - embedding[0], "p95 / p50": p95 / p50, "recall in one session p50 ms": filtered[0],
            "first recall after opening s": load, "writing without embedding, texts/s": cubes / write,
            "file bytes per cube beyond its text": (size - text) / cubes, "resident bytes per cube": held / cubes,
            "array bytes per cube": arrays / cubes,
        }  # fmt: skip


def writes() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder, Memory(Path(folder) / "small.rem") as memory:
        encoding, some = memory._encoding, texts(3300, seed=1)
        encoding.documents(some[:8])
        inside = 0.0
        embed = encoding.documents

        def timed(batch):
            nonlocal inside
            start = time.perf_counter()
            rows = embed(batch)
            inside += time.perf_counter() - start
            return rows

        encoding.documents = timed
        single = []
        for text in some[:300]:
            start, inside = time.perf_counter(), 0.0
            memory.add(text)
            single.append((1000 * (time.perf_counter() - start), 1000 * inside))
        start, inside = time.perf_counter(), 0.0
        memory.add(some[300:])
        bulk = time.perf_counter() - start
        return {
            "add of one message p50 ms": statistics.median(all_ for all_, _ in single),
            "of that embedding p50 ms": statistics.median(part for _, part in single),
            "beyond embedding p50 ms": statistics.median(all_ - part for all_, part in single),
            "bulk texts/s": 3000 / bulk, "bulk share of the embedder": inside / bulk,
        }  # fmt: skip


def imports() -> dict[str, float]:
    code = "import time; t = time.perf_counter(); import remanence; print(time.perf_counter() - t)"
    seconds = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(7)
    ]
    code = "import remanence, sys; print(len({name.split('.')[0] for name in sys.modules} & {'torch', 'numpy', 'onnxruntime', 'urllib3', 'rich'}))"
    heavy = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return {"import s (median of 7)": statistics.median(seconds), "heavy modules it loads": float(heavy)}


PARTS = {"recall": recall, "writes": writes, "import": imports}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--cubes", type=int, default=100_000)
    arguments.add_argument("--only", choices=PARTS)
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    results = {}
    for name, part in PARTS.items():
        if options.only in (None, name):
            results[name] = part(options.cubes) if name == "recall" else part()
            print(f"\n{name}")
            for what, value in results[name].items():
                print(f"  {what:42s} {value:12,.2f}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
