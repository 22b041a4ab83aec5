"""Evidence recall of the read path: what it finds, and what each channel is worth.

python benchmarks/recall.py                 the figures, with and without an embedder
python benchmarks/recall.py --ablation      and with each channel left out (docs/recall.md)
python benchmarks/recall.py --locomo FILE   another file in LoCoMo's format
python benchmarks/recall.py --passages DIR  another folder with corpus.json and questions.json, in HippoRAG's format

Documents are measured with their titles, with titles hidden, and with what a model read out of them (openie.json) as extra
keys; conversations also with LoCoMo's model-written observations as extra keys.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import data
import numpy as np
import observations

from remanence import Memory, Settings
from remanence.cubes import Route
from remanence.recall.profile import DEFAULT, Profile
from remanence.write.openie import CachedExtractor

CUTS = (2, 5, 10, 20)
LEFT_OUT: dict[str, dict[str, Any]] = {
    "as it is": {},
    "without neighbouring turns": {"words_previous": 0, "words_next": 0, "meaning_previous": 0, "meaning_next": 0},
    "without the speaker prior": {"speaker": 0},
    "without the date prior": {"date": 0},
    "without the 'when' prior": {"when": 0},
    "without the question-turn penalty": {"asking": 0},
    "without the 'about' prior": {"about": 0},
    "without the 'latest' prior": {"latest": 0},
    "without the session lift": {"session": 0},
    "without the second round": {"again": 0},
    "without the graph": {"route": Route.CHEAP},
    "titles as any other name": {"about_edge": 1.0},
    "repeated titles as any other": {"repeated": 1.0},
    "without any prior": {"speaker": 0, "date": 0, "when": 0, "asking": 0, "about": 0, "latest": 0, "session": 0},
    "words only": {"meaning": 0},
    "meaning only": {"words": 0},
}


def measure(
    memory: Memory,
    corpora: list[data.Corpus],
    spaces: list[str],
    profile: Profile = DEFAULT,
    route: Route | None = None,
) -> dict[str, dict[str, float]]:
    """Mean recall@k over questions, in all and by kind."""
    memory._recall._profile = profile
    rows = defaultdict(list)
    for corpus, space in zip(corpora, spaces, strict=True):
        for question in corpus.questions:
            hits = memory.recall(question.text, space=space, k=max(CUTS), route=route, explain=False)
            found = [hit.cube.meta["key"] for hit in hits]
            row = [len(set(question.gold) & set(found[:cut])) / len(question.gold) for cut in CUTS]
            rows["all"].append(row)
            rows[question.kind].append(row)
    return {
        kind: {f"@{cut}": float(np.mean(column)) for cut, column in zip(CUTS, zip(*some, strict=True), strict=True)}
        for kind, some in rows.items()
    }


def extra_keys(memory: Memory, corpora: list[data.Corpus], openie: Path) -> None:
    """Let what a model wrote about the texts become keys to them."""
    for corpus in corpora:
        if corpus.messages[0]["role"] == "document":
            memory.extract(openie, space=corpus.name)
            continue
        about, said = observations.observations()[corpus.name], defaultdict(list)
        for message in corpus.messages:
            said[message["content"]] += about.get(message["meta"]["key"], [])
        memory.extract(CachedExtractor.from_statements(said), space=corpus.name)


def filled(corpora: list[data.Corpus], settings: Settings) -> Memory:
    """A memory with each corpus in a space of its own."""
    memory = Memory(":memory:", settings)
    for corpus in corpora:
        memory.add(corpus.messages, space=corpus.name)
    return memory


def line(name: str, result: dict[str, dict[str, float]]) -> None:
    kinds = "  ".join(f"{kind}: {value['@10']:.3f}" for kind, value in sorted(result.items()) if kind != "all")
    print(
        f"{name:44s} " + " / ".join(f"{result['all'][f'@{cut}']:.3f}" for cut in CUTS) + f"   @10 by kind  {kinds}",
        flush=True,
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--locomo", type=Path)
    arguments.add_argument("--passages", type=Path)
    arguments.add_argument("--only", choices=("locomo", "documents"))
    arguments.add_argument("--ablation", action="store_true")
    arguments.add_argument("--precision", default="int8", choices=("fp32", "int8"))
    arguments.add_argument("--json", type=Path, help="write the results there too")
    options = arguments.parse_args()
    if not data.folder().is_dir() and options.locomo is None:
        sys.exit(f"No data in {data.folder()}: set REMANENCE_DATA.")
    sets: dict[str, list[data.Corpus]] = {}
    if options.only != "documents" and options.passages is None:
        sets["LoCoMo turns"] = data.locomo(options.locomo)
    if options.only != "locomo" and options.locomo is None:
        sets["documents, multi-hop"] = [data.multihop(options.passages)]
        sets["documents, titles hidden"] = [data.multihop(options.passages, titles=False)]
        if options.passages is None:
            sets["documents, single-hop"] = [data.single_hop()]
    openie = (options.passages or data.folder() / "multihop-dev") / "openie.json"
    results: dict[str, dict[str, object]] = {}
    for name, corpora in sets.items():
        print(f"\n{name}: recall@{'/@'.join(map(str, CUTS))}, {sum(len(one.questions) for one in corpora)} questions")
        spaces = [corpus.name for corpus in corpora]
        with filled(corpora, Settings(precision=options.precision)) as memory:
            for what, change in LEFT_OUT.items() if options.ablation else [("as it is", {})]:
                weights = {key: value for key, value in change.items() if key != "route"}
                result = measure(memory, corpora, spaces, replace(DEFAULT, **weights), change.get("route"))
                results.setdefault(name, {})[what] = result
                line(what, result)
            if openie.exists() if name.startswith("documents") else options.locomo is None:
                extra_keys(memory, corpora, openie)
                results[name]["with what a model read"] = result = measure(memory, corpora, spaces)
                line("with what a model read as extra keys", result)
        with filled(corpora, Settings(embedder="none")) as memory:
            results[name]["no embedder"] = result = measure(memory, corpora, spaces)
            line("no embedder", result)
        if len(corpora) > 1:
            one = data.Corpus("together", [m | {"session": f"{c.name} {m['session']}", "meta": {"key": f"{c.name} {m['meta']['key']}"}} for c in corpora for m in c.messages],
                              [replace(q, gold=tuple(f"{c.name} {g}" for g in q.gold)) for c in corpora for q in c.questions])  # fmt: skip
            with filled([one], Settings(precision=options.precision)) as memory:
                results[name]["all in one space"] = result = measure(memory, [one], ["together"])
                line("all in one space", result)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
