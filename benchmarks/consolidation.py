"""What consolidation does to recall, what survives in a summary, and what it costs.

python benchmarks/consolidation.py              all of it
python benchmarks/consolidation.py --only merges|recall|summaries|scale

Merges: how many there are in LoCoMo, where nothing is written twice on purpose, and in a set with known repetitions and with
look-alikes that say something else. Recall: evidence recall before and after consolidation, by the ids behind what is found.
Summaries: what of a session survives in so many characters, against its first sentences, random ones and the longest: the turns
that a question's evidence is in, the words of its answer, the words of LoCoMo's model-written observations. Scale: seconds.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import data
import numpy as np
import observations

from remanence import Memory, Settings
from remanence.consolidate.digest import Piece, Weights, digest, pieces
from remanence.cubes import Kind, MemCube, Provenance, Scope
from remanence.language.tokens import stems

CUTS = (5, 10, 20)
ROOMS = (600, 1200)
FRAME = 10  # characters counted for each memory that a line is taken of
_EVIDENCE = re.compile(r"D:?(\d+):(\d+)")
_AT = datetime(2024, 1, 1, tzinfo=UTC)
Choose = Callable[[Sequence[MemCube], int, int], Sequence[Piece]]


# ── merges ───────────────────────────────────────────────────────────────────────────────────────────────────────────

SAME = (
    ("I live in {city}.", "i live in {city}", "I'm living in {city}.", "My home is {city}."),
    ("I work at {firm}.", "I work for {firm}.", "I am employed by {firm}."),
    ("I don't like {food}.", "I do not like {food}!", "I do not like {food}."),
    ("My favourite colour is {colour}.", "My favorite color is {colour}."),
)
OTHER = (
    ("I moved to {city}.", "I moved to {city} in 2019.", "I moved from {city}.", "I used to live in {city}."),
    ("I work at {firm}.", "I no longer work at {firm}.", "My sister works at {firm}.", "Do I work at {firm}?"),
    ("I like {food}.", "I dislike {food}.", "I am allergic to {food}.", "I like {food} less than rice."),
    ("My phone number is 555 {number}.", "My phone number is 556 {number}."),
)


def planted(memory: Memory) -> dict[str, int]:
    """How many of the planted repetitions were merged, and how many look-alikes were: a text stands for its family."""
    words = {
        "city": ["Rome", "Oslo", "Lisbon", "Porto", "Kyoto", "Lima"], "firm": ["Acme", "Globex", "Initech", "Umbrella", "Hooli", "Stark"],
        "food": ["tea", "coffee", "fish", "cheese", "olives", "garlic"], "colour": ["green", "red", "blue", "pink", "white", "black"],
        "number": ["0100", "0101", "0102", "0103", "0104", "0105"],
    }  # fmt: skip
    family: dict[str, tuple[str, str, int]] = {}
    for kind, families in (("same", SAME), ("other", OTHER)):
        for number, templates in enumerate(families):
            for round_ in range(6):
                fill = {name: some[round_] for name, some in words.items()}
                user = f"{kind} {number} {round_}"  # one family each, so that a merge is right or wrong by itself
                for place, template in enumerate(templates):
                    text = template.format(**fill)
                    [cube] = memory.add({"content": text, "time": "2024-01-05"}, user=user, space="planted")
                    family[cube] = (kind, user, place)
    memory.consolidate(space="planted", what=["merge"])
    counts = Counter(f"{kind}: memories" for kind, _, _ in family.values())
    for cube in memory.list(space="planted", limit=10_000):
        for parent in cube.provenance.derived_from:
            counts[f"{family[parent][0]}: merged"] += 1
    return dict(counts)


def merges(precision: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with Memory(":memory:", Settings(embedder="none", precision=precision)) as memory:
        print("planted:", found.setdefault("planted", planted(memory)))
    total, shown = 0, []
    with Memory(":memory:", Settings(embedder="none")) as memory:
        for corpus in data.locomo():
            plain = [{key: value for key, value in one.items() if key != "meta"} for one in corpus.messages]
            memory.add(plain, space=corpus.name)
            done = memory.consolidate(space=corpus.name, what=["merge"])
            total += done.merged
            for one in done.ids:
                texts = [memory.history(parent)[-1].text for parent in memory.get(one).provenance.derived_from]
                shown.append(texts)
    print(f"LoCoMo: {total} turns merged into {len(shown)}")
    for texts in shown:
        print("  ", " | ".join(text[:100] for text in texts))
    return {**found, "locomo": {"merged": total, "into": shown}}


# ── recall ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def evidence(memory: Memory, corpora: Sequence[data.Corpus], keys: dict[str, str]) -> dict[str, float]:
    """Mean share of a question's evidence in the first hits; a product counts for what it was made of."""
    rows: dict[int, list[float]] = defaultdict(list)
    for corpus in corpora:
        for question in corpus.questions:
            hits = memory.recall(question.text, space=corpus.name, k=max(CUTS), explain=False)
            found = [{keys[one] for one in (hit.cube.provenance.derived_from or (hit.cube.id,))} for hit in hits]
            for cut in CUTS:
                have = set().union(*found[:cut])
                rows[cut].append(len(set(question.gold) & have) / len(question.gold))
    return {f"@{cut}": round(float(np.mean(some)), 4) for cut, some in rows.items()}


def recall(precision: str) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for name, corpora in (("LoCoMo turns", data.locomo()), ("documents, multi-hop", [data.multihop()])):
        with Memory(":memory:", Settings(precision=precision)) as memory:
            keys: dict[str, str] = {}
            for corpus in corpora:
                plain = [{key: value for key, value in one.items() if key != "meta"} for one in corpus.messages]
                ids = memory.add(plain, space=corpus.name)
                keys |= dict(zip(ids, (one["meta"]["key"] for one in corpus.messages), strict=True))
            before = evidence(memory, corpora, keys)
            begun = time.perf_counter()
            done = memory.consolidate()
            seconds = time.perf_counter() - begun
            after = evidence(memory, corpora, keys)
        results[name] = {
            "before": before,
            "after": after,
            "made": done.made,
            "merged": done.merged,
            "seconds": round(seconds, 1),
        }
        print(name, results[name], flush=True)
    return results


# ── summaries ────────────────────────────────────────────────────────────────────────────────────────────────────────


def sessions() -> list[tuple[list[MemCube], list[tuple[str, str, int]], list[str]]]:
    """Each session's turns; the questions with evidence in it as (turn, answer, category); its observations."""
    raw = json.loads((data.folder() / "locomo-dev" / "locomo-dev.json").read_text(encoding="utf-8"))
    found = []
    for corpus, sample in zip(data.locomo(), raw, strict=True):
        said, asked = observations.of_sample(sample), defaultdict(list)
        for question in sample["qa"]:
            if question["category"] in (1, 2, 4):
                keys = [f"D{int(a)}:{int(b)}" for text in question["evidence"] for a, b in _EVIDENCE.findall(text)]
                for key in dict.fromkeys(keys):
                    asked[f"session_{key[1:].split(':')[0]}"].append(
                        (key, str(question["answer"]), question["category"])
                    )
        by_session = defaultdict(list)
        for message in corpus.messages:
            cube = MemCube(
                id=message["meta"]["key"], version=1, text=message["content"], kind=Kind.MESSAGE, recorded_at=_AT, valid_from=_AT,
                scope=Scope(session=message["session"]), provenance=Provenance(author=message["name"]),
            )  # fmt: skip
            by_session[message["session"]].append(cube)
        for session, cubes in by_session.items():
            statements = [one for cube in cubes for one in said.get(cube.id, [])]
            found.append((cubes, asked[session], statements))
    return found


def fitting(chosen: Sequence[Piece], room: int) -> list[Piece]:
    kept, opened = [], set()
    for piece in chosen:
        cost = piece.end - piece.start + 1 + (0 if piece.cube in opened else FRAME)
        if cost <= room:
            kept.append(piece)
            opened.add(piece.cube)
            room -= cost
    return kept


def shuffled(seed: int) -> Choose:
    def choose(cubes: Sequence[MemCube], room: int, number: int) -> list[Piece]:
        found = pieces(cubes)
        random.Random(seed * 1000 + number).shuffle(found)
        return fitting(found, room)

    return choose


def survival(choose: Choose, room: int, some: Sequence[Any]) -> dict[str, float]:
    turns, answers, said, used = [], [], [], []
    for number, (cubes, asked, statements) in enumerate(some):
        chosen = choose(cubes, room, number)
        have = {cubes[piece.cube].id for piece in chosen}
        text = " ".join(cubes[piece.cube].text[piece.start : piece.end] for piece in chosen)
        held = set(stems(text))
        names = {stem for cube in cubes for stem in stems(cube.provenance.author or "")}
        used.append(len(text))
        for key, answer, category in asked:
            turns.append(key in have)
            words = set(stems(answer))
            if category != 2 and words:  # answers to "when" are days that nobody says
                answers.append(len(words & held) / len(words))
        for statement in statements:
            words = set(stems(statement)) - names
            if words:
                said.append(len(words & held) / len(words))
    means = (np.mean(some) for some in (turns, answers, said, used))
    return dict(
        zip(
            ("evidence turns", "answer words", "observation words", "characters"),
            (round(float(one), 3) for one in means),
            strict=True,
        )
    )


def summaries() -> dict[str, Any]:
    some = sessions()
    ways: dict[str, Choose] = {
        "the first sentences": lambda cubes, room, _: fitting(pieces(cubes), room),
        "the longest sentences": lambda cubes, room, _: fitting(sorted(pieces(cubes), key=lambda one: one.start - one.end), room),
        "centrality alone": lambda cubes, room, _: digest(cubes, pieces(cubes), room, FRAME, Weights(1.0, 0, 0, 0, 0.7)),
        "ours": lambda cubes, room, _: digest(cubes, pieces(cubes), room, FRAME),
    }  # fmt: skip
    results: dict[str, Any] = {}
    print(
        f"{len(some)} sessions of {np.mean([sum(len(cube.text) for cube in one[0]) for one in some]):.0f} characters on average"
    )
    for room in ROOMS:
        for name, choose in ways.items():
            results[f"{room}: {name}"] = survival(choose, room, some)
        runs = [survival(shuffled(seed), room, some) for seed in range(5)]
        results[f"{room}: random, mean of 5"] = {
            key: round(float(np.mean([run[key] for run in runs])), 3) for key in runs[0]
        }
    for name, result in results.items():
        print(f"{name:34s}", result, flush=True)
    return results


# ── scale ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def scale(count: int) -> dict[str, float]:
    """Seconds for so many memories: conversations of LoCoMo over and over, each copy a user of its own, every tenth turn written twice."""
    chance = random.Random(7)
    turns = [one for corpus in data.locomo() for one in corpus.messages]
    with Memory(":memory:", Settings(embedder="hashing")) as memory:
        at = 0
        while at < count:
            some = turns[: count - at]
            user = f"user {at}"
            messages = [{key: value for key, value in one.items() if key != "meta"} for one in some]
            facts = [
                {"content": f"I like {word}.", "kind": "fact", "time": f"2024-01-{day:02d}"}
                for word in ("tea", "chess", "rain") for day in range(1, 1 + chance.randint(1, 9))
            ]  # fmt: skip
            memory.add([*messages, *facts], user=user)
            at += len(some) + len(facts)
        begun = time.perf_counter()
        done = memory.consolidate()
        first = time.perf_counter() - begun
        begun = time.perf_counter()
        again = memory.consolidate()
        second = time.perf_counter() - begun
    assert not again.ids
    result = {"memories": at, "seconds": round(first, 1), "again": round(second, 1), "merged": done.merged, **done.made}
    print(result)
    return result


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", choices=("merges", "recall", "summaries", "scale"))
    arguments.add_argument("--precision", default="int8", choices=("fp32", "int8"))
    arguments.add_argument("--count", type=int, default=20_000, help="memories of the measure of scale")
    arguments.add_argument("--json", type=Path, help="write the results there too")
    options = arguments.parse_args()
    if not data.folder().is_dir():
        sys.exit(f"No data in {data.folder()}: set REMANENCE_DATA.")
    parts: dict[str, Callable[[], Any]] = {
        "merges": lambda: merges(options.precision), "recall": lambda: recall(options.precision), "summaries": summaries,
        "scale": lambda: scale(options.count),
    }  # fmt: skip
    results = {name: part() for name, part in parts.items() if options.only in (None, name)}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
