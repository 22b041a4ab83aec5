"""What the graph costs: latency at 100,000 cubes and about a million edges, and writing, with and without it, in one run.

    python benchmarks/graph.py                      100,000 documents of ten names each
    python benchmarks/graph.py --cubes 20000        fewer

The names follow Zipf's law, as names do: some stand in thousands of documents, most in one or two. Stored vectors are random
(their values do not change the work); questions are embedded for real. The walk is compared with a plain power iteration on
the same graph.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import speed

from remanence import Memory, Settings
from remanence.cubes import Route
from remanence.language.entities import mentions, pack_mentions
from remanence.recall.link import names
from remanence.recall.profile import DEFAULT

FIRST = [
    "Ada",
    "Bram",
    "Cora",
    "Dario",
    "Esme",
    "Finn",
    "Gerda",
    "Hugo",
    "Iris",
    "Jonas",
    "Kira",
    "Lev",
    "Mona",
    "Nils",
    "Olga",
    "Pavel",
    "Rosa",
    "Sami",
    "Tilda",
    "Viktor",
]
LAST = [
    "Albrecht",
    "Brandt",
    "Castellan",
    "Dvorak",
    "Eriksen",
    "Fontaine",
    "Grimaldi",
    "Hollander",
    "Ibsen",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Nakamura",
    "Okafor",
    "Petrov",
    "Quint",
    "Rossi",
    "Svensson",
    "Tanaka",
]


def name(number: int) -> str:
    return f"{FIRST[number % 20]} {LAST[number // 20 % 20]}{'' if number < 400 else ' ' + LAST[number // 400 % 20] + str(number // 8000 or '')}"


def documents(count: int, mentioned: int = 9, seed: int = 0) -> list[dict]:
    chance, people = random.Random(seed), max(count // 2, 1000)
    numbers = np.minimum(np.random.default_rng(seed).zipf(1.3, (count, mentioned)) - 1, people - 1)
    words = speed.texts(count, words=30, seed=seed)
    made = []
    for place, (row, text) in enumerate(zip(numbers.tolist(), words, strict=True)):
        parts = text.split()
        for number in row:
            parts.insert(chance.randrange(len(parts)), f"met {name(number)} and")
        made.append({"role": "document", "title": name(place % people) + " (notes)", "content": " ".join(parts)})
    return made


def median(run, items) -> tuple[float, float]:
    seconds = []
    for item in items:
        start = time.perf_counter()
        run(item)
        seconds.append(1000 * (time.perf_counter() - start))
    return statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]


def latency(count: int) -> None:
    made = documents(count)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.rem"
        chance = np.random.default_rng(0)
        with Memory(path, Settings(durability="normal", commit_every=4096)) as memory:
            encoding = memory._encoding
            encoding.question("warm up")
            encoding._bind(encoding._open(), claim=True)

            def units(batch):
                rows = chance.standard_normal((len(batch), 384), np.float32)
                return rows / np.linalg.norm(rows, axis=1, keepdims=True)

            encoding.documents = units
            start = time.perf_counter()
            memory.add(made)
            print(f"  writing without embedding, texts/s     {count / (time.perf_counter() - start):10,.0f}")
        with Memory(path) as memory:
            start = time.perf_counter()
            memory.recall("warm up")
            print(f"  first recall after opening, s          {time.perf_counter() - start:10.2f}")
            view = memory._recall.view("default")
            print(f"  names, edges                           {view.graph.size:10,} {len(view.graph.ids):10,}")
            questions = [
                f"What did {name(number)} say about {text}?"
                for number, text in enumerate(speed.texts(60, words=6, seed=5), 3)
            ]
            mask = view.alive & True
            hubs = [min((one.mentions for one in names(question, view, mask)), default=0) for question in questions]
            print(f"  mentions of the names asked for, median {statistics.median(hubs):9,.0f}, most {max(hubs):,}")
            for question in questions:
                memory._encoding.question(question)  # so that neither way pays for embedding
            for _ in range(2):
                cheap = median(lambda q: memory.recall(q, route=Route.CHEAP, explain=False), questions)
                graph = median(lambda q: memory.recall(q, route=Route.GRAPH, explain=False), questions)
            print(f"  recall without the graph p50, p95, ms  {cheap[0]:10.1f} {cheap[1]:10.1f}")
            print(f"  recall with the graph p50, p95, ms     {graph[0]:10.1f} {graph[1]:10.1f}")
            print(f"  the graph adds at p50, ms              {graph[0] - cheap[0]:10.1f}")
            hits = memory.recall(questions[0])
            print(f"  routed: {hits.routed}")
            walks(view, mask)


def walks(view, mask) -> None:
    """Local push and power iteration over the same edges, from the same name."""
    from remanence.recall.pagerank import push

    graph, size = view.graph, view.graph.size
    counts = np.log1p(graph.marks & 0x3F) * np.where(graph.marks & 0x80, DEFAULT.about_edge, 1.0)
    slots = np.repeat(np.arange(len(view)), np.diff(graph.starts))
    source = np.concatenate([graph.ids.astype(np.int64), size + slots])
    target = np.concatenate([size + slots, graph.ids.astype(np.int64)])
    weight = np.tile(counts, 2)
    strength = np.bincount(source, weight, size + len(view))
    share, alone = DEFAULT.damping * weight / strength[source], strength == 0
    seed = int(graph.ids[5])
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        exact = np.zeros(size + len(view))
        exact[seed] = 1.0
        for _ in range(20):
            kept = np.where(alone, exact, 0)
            exact = np.bincount(target, share * exact[source], size + len(view)) + kept
            exact[seed] += 1 - exact.sum()
        seconds.append(1000 * (time.perf_counter() - begun))
    ours = []
    for _ in range(5):
        begun = time.perf_counter()
        walk = push(
            lambda some: graph.neighbours(some, view, mask, DEFAULT), graph.degrees, np.array([seed]), np.ones(1),
            damping=DEFAULT.damping, tolerance=DEFAULT.tolerance, rounds=DEFAULT.rounds,
        )  # fmt: skip
        ours.append(1000 * (time.perf_counter() - begun))
    off = float(np.abs(walk.mass - exact).sum())
    print(
        f"  a walk from one name: push {statistics.median(ours):.1f} ms, power iteration {statistics.median(seconds):.1f} ms, apart {off:.4f}, left {walk.left:.4f}"
    )


def writing(count: int) -> None:
    """The share of names and claims in deriving keys, beside the embedder's time for the same texts."""
    made = documents(count, seed=2)
    with Memory(":memory:") as memory:
        encoding = memory._encoding
        embed, inside = encoding.documents, 0.0

        def timed(batch):
            nonlocal inside
            begun = time.perf_counter()
            rows = embed(batch)
            inside += time.perf_counter() - begun
            return rows

        encoding.documents = timed
        embed(["warm up"])
        begun = time.perf_counter()
        memory.add(made)
        whole = time.perf_counter() - begun
    from remanence.language.statements import claims

    begun = time.perf_counter()
    for one in made:
        pack_mentions(mentions(one["content"], one["title"]))
        claims(one["content"], None, one["title"])
    new = time.perf_counter() - begun
    print(
        f"  bulk {count / whole:,.0f} documents/s; embedder {inside / whole:.0%}, names and claims {new / whole:.1%} of the time"
    )
    print(f"  with names and claims / without: {whole / (whole - new):.2f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--cubes", type=int, default=100_000)
    options = arguments.parse_args()
    print(f"latency at {options.cubes:,} documents")
    latency(options.cubes)
    print("\nwriting")
    writing(1000)


if __name__ == "__main__":
    main()
