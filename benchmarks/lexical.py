"""Words at 100,000 cubes: our BM25F in memory beside SQLite's FTS5, same texts, same questions (decisions/0002).

python benchmarks/lexical.py [--cubes 100000]
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import time

import speed

from remanence import Memory, Settings
from remanence.language.tokens import hashes, stems
from remanence.recall.lexical import bm25f
from remanence.recall.profile import DEFAULT


def milliseconds(run, questions) -> tuple[float, float]:
    seconds = []
    for question in questions:
        start = time.perf_counter()
        run(question)
        seconds.append(1000 * (time.perf_counter() - start))
    return statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--cubes", type=int, default=100_000)
    cubes = arguments.parse_args().cubes
    some = speed.messages(cubes)
    questions = [question for question in speed.QUESTIONS * 5 if stems(question)]
    table = sqlite3.connect(":memory:")
    table.execute("CREATE VIRTUAL TABLE turns USING fts5(own, previous, following, content='', tokenize='unicode61')")
    own = [" ".join(stems(one["content"])) for one in some]
    start = time.perf_counter()
    table.executemany(
        "INSERT INTO turns (rowid, own, previous, following) VALUES (?, ?, ?, ?)",
        ((n + 1, text, own[n - 1] if n else "", own[n + 1] if n + 1 < cubes else "") for n, text in enumerate(own)),
    )
    table.execute("INSERT INTO turns (turns) VALUES ('optimize')")
    built = time.perf_counter() - start

    def fts5(limit):
        def run(question):
            words = " OR ".join(f'"{stem}"' for stem in dict.fromkeys(stems(question)))
            query = "SELECT rowid, bm25(turns, 1, .7, .5) FROM turns WHERE turns MATCH ? ORDER BY rank LIMIT ?"
            return table.execute(query, (words, limit)).fetchall()

        return run

    matched = statistics.mean(len(fts5(cubes)(question)) for question in questions[:14])
    print(f"{cubes:,} turns; a question's stems match {matched:,.0f} of them on average; FTS5 built in {built:.1f} s")
    with Memory(":memory:", Settings(embedder="none", commit_every=4096)) as memory:
        memory.add(some)
        view = memory._recall.view("default")
        mask = view.alive & (view.until > 1e300)
        ours = milliseconds(lambda question: bm25f(view, hashes(question), mask, DEFAULT), questions)
        whole = milliseconds(memory.recall, questions)
    rows = {
        "FTS5, best 1,000": milliseconds(fts5(1000), questions),
        "FTS5, every match": milliseconds(fts5(cubes), questions),
        "ours, every slot": ours,
        "ours, a whole recall without an embedder": whole,
    }
    for name, (p50, p95) in rows.items():
        print(f"  {name:44s} p50 {p50:7.2f} ms   p95 {p95:7.2f} ms   {p50 / ours[0]:6.1f} ×")


if __name__ == "__main__":
    main()
