"""Random erasures from a store with corrections, readings, pairs, summaries, shared copies and cached replies: is anything left?

    python benchmarks/reliability/erasures.py                    1,000 erasures
    python benchmarks/reliability/erasures.py --erasures 60      fewer
    python benchmarks/reliability/erasures.py --speed 10000      what one takes in a store of that size

Every memory is given tokens that occur nowhere else: in its text, its corrections, its meta, its title, its author, its session
and what was read out of it. The bench keeps its own list of which memory holds which. After each erasure (by ids, a query, a
source, a user or a whole space) it looks through the bytes of the store for tokens that no living memory holds; that is not the
product's own probe. The receipt has to name exactly what is gone. Now and then the file is closed, read as it lies on the disk,
opened again and verified.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from remanence import Memory
from remanence.cubes import Extraction, Fact, Provenance
from remanence.drafts import Draft
from remanence.errors import InputError, NotFoundError
from remanence.reading import readings
from remanence.settings import Settings
from remanence.store import scan
from remanence.write.pipeline import keys_for, new_id

TOKEN = re.compile(rb"[Zz]q[0-9a-f]{14}")
_MEMORIES = 60  # that a store is filled up to
_ROUND = 12  # erasures between two fillings
_CLOSED = 60  # erasures between two looks at the closed file
_PEOPLE = ("Ana", "Ben", "Cleo", "Dora")
_PLACES = ("Lisbon", "Porto", "Faro", "Braga", "Evora")
_THINGS = ("kiln", "glaze", "bicycle", "boat", "garden", "violin")


@dataclass
class World:
    """What the bench knows: which memory holds which tokens."""

    memory: Memory
    path: Path
    chance: random.Random
    tokens: dict[str, set[bytes]] = field(default_factory=dict)
    derived: dict[str, set[str]] = field(default_factory=dict)
    """Shared copies by id, and what they were made of."""
    replies: dict[bytes, set[str]] = field(default_factory=dict)
    """Tokens of cached replies, and whose text their prompts held."""
    gone: set[bytes] = field(default_factory=set)
    count: int = 0

    def token(self, owner: set[bytes]) -> str:
        self.count += 1
        token = f"Zq{self.count:06x}{self.chance.getrandbits(32):08x}"
        owner.add(token.encode())
        return token

    def living(self) -> set[bytes]:
        return set(self.replies).union(*self.tokens.values())


def fill(world: World) -> None:
    """New memories, and everything that can be made of them."""
    chance, new = world.chance, list[str]()
    while len(world.tokens) < _MEMORIES:
        own: set[bytes] = set()
        who, place, thing = chance.choice(_PEOPLE), chance.choice(_PLACES), chance.choice(_THINGS)
        message = {
            "content": f"{who} lives in {place}. The {thing} of {world.token(own)} is kept by {who} in the cellar of the house.",
            "name": who, "meta": {"note": world.token(own)},
        }  # fmt: skip
        if chance.random() < 0.3:
            message |= {"title": world.token(own), "session": world.token(own)}
        space = chance.choice(["default", "default", "default", f"s{chance.randrange(6)}"])
        source = chance.choice(["api", "diary", "file:notes.md", "https://example.org"])
        [there] = world.memory.add(message, space=space, user=who.lower(), source=source)
        world.tokens[there] = own
        new.append(there)
    for there in new:
        if chance.random() < 0.4:
            world.memory.correct(
                there, f"It was moved with {world.token(world.tokens[there])} to {chance.choice(_PLACES)}."
            )
    read(world, chance.sample(new, len(new) // 2))
    world.memory.pair()
    world.memory.consolidate()
    for there in chance.sample(new, len(new) // 4):
        share(world, there)
    for number, there in enumerate(chance.sample(new, len(new) // 3)):
        sources, own = [there, chance.choice(new)], set[bytes]()
        world.memory._store.derived.keep_reply(
            "default", f"{world.count} {number}".encode(), f"As {world.token(own)} says.", sources
        )
        world.replies |= {token: {*sources} for token in own}


def read(world: World, some: list[str]) -> None:
    """Readings, as a model would have made them."""
    store = world.memory._store
    numbers = {cube.id: (seq, cube) for seq, cube in store.numbered(0, 1_000_000)}
    found = []
    for there in some:
        token = world.token(world.tokens[there])
        content = Extraction((token,), (Fact(token, "lives in", "Porto"),), (f"Somebody says {token} often.",), None)
        found.append((numbers[there], content))
    store.derived.keep(readings("bench", found, world.memory._encoding.documents))


def share(world: World, there: str) -> None:
    """A copy in another space."""
    cube = world.memory.get(there)
    made = replace(
        cube, id=new_id(), version=1, scope=replace(cube.scope, space="shared"),
        provenance=Provenance(method="shared", derived_from=(there,)),
    )  # fmt: skip
    keys = keys_for([made], world.memory._encoding.documents)[0]
    world.memory._store.append([Draft(made, keys, None, ((there, cube.version),))])
    world.derived[made.id] = {there}


def request(world: World) -> dict[str, Any]:
    """Something to forget."""
    chance = world.chance
    cubes = [
        cube
        for one in chance.sample(sorted(world.tokens), min(8, len(world.tokens)))
        for cube in world.memory.history(one)[-1:]
    ]
    cube, kind = (
        chance.choice(cubes),
        chance.choices(["ids", "query", "source", "user", "space"], [60, 18, 6, 6, 10])[0],
    )
    if kind == "ids":
        return {"cube_id": [one.id for one in cubes[: chance.choice([1, 1, 1, 2, 5])]]}
    if kind == "query":
        words = [word for word in re.findall(r"\w+", cube.text) if len(word) > 3]
        return {
            "query": " ".join(chance.sample(words, min(len(words), chance.choice([1, 2, 3])))),
            "space": cube.scope.space,
        }
    if kind == "source":
        return {"source": cube.provenance.source, "space": cube.scope.space}
    if kind == "user":
        return {"user": cube.scope.user, "space": cube.scope.space}
    return {"space": f"s{chance.randrange(6)}"}


def erase(world: World, what: dict[str, Any], tally: Counter[str], problems: list[str]) -> bool:
    """One erasure, and the bench's own look at what is left. False where it meant nothing."""
    before = world.living()
    try:
        receipt = world.memory.forget(**what, tombstone=world.chance.random() < 0.7)
    except (NotFoundError, InputError):  # nothing is meant
        return False
    kind = next(name for name in ("cube_id", "query", "source", "user", "space") if name in what)
    tally["ids" if kind == "cube_id" else kind] += 1
    tally["memories"] += len(receipt.ids)
    tally["versions"] += receipt.versions
    tally[f"grade {receipt.grade}"] += 1
    for test in receipt.tests:
        tally[f"tests {test.verdict}"] += 1
        if test.verdict == "NOT_COMPUTABLE":
            tally[f"not computable: {test.name}"] += 1
    erased = set(receipt.ids)
    for there in erased:
        world.tokens.pop(there, None)
    world.replies = {token: sources for token, sources in world.replies.items() if not sources & erased}
    for copy, parents in list(world.derived.items()):
        if copy in erased:
            del world.derived[copy]
        elif parents & erased:
            problems.append(f"a shared copy of {sorted(parents & erased)} is not in the receipt")
    world.gone |= before - world.living()
    images = [one for one in scan.images(world.memory._store.connections).values() if one]
    problems += told(world, images, f"after {kind}")
    if secret := [one for one in world.gone if one in receipt.canonical()]:
        problems.append(f"the receipt holds {len(secret)} tokens")
    return True


def told(world: World, images: list[bytes], when: str) -> list[str]:
    """What is left, in words."""
    there = {found[:1].upper() + found[1:] for image in images for found in TOKEN.findall(image)}
    left = there & world.gone
    missing = world.living() - there
    found = [f"{when}: {len(left)} tokens of what was forgotten are left"] if left else []
    return found + ([f"{when}: {len(missing)} tokens of what lives are missing"] if missing else [])


def closed(world: World, settings: Settings, problems: list[str]) -> None:
    """Close the store, read the file as it lies there, and open and verify it again."""
    world.memory.close()
    problems += told(world, [one.read_bytes() for one in world.path.parent.glob("*.rem*")], "in the closed file")
    world.memory = Memory(world.path, settings)
    checked = world.memory.verify()
    problems += [f"verify: {one}" for one in checked.problems[:3]]
    for receipt in world.memory.receipts.list()[-3:]:
        verified = world.memory.receipts.verify(receipt)
        problems += [f"receipt {receipt.number}: {one.name} {one.words}" for one in verified.checks if not one.ok]


def run(erasures: int, seed: int, folder: Path) -> dict[str, Any]:
    """So many erasures. Returns what was found."""
    settings = Settings(embedder="hashing", durability="normal", signing_key=folder / "key.pem")
    path = folder / "erasures.rem"
    world = World(Memory(path, settings), path, random.Random(seed))
    tally, problems, done, began, spent = Counter[str](), list[str](), 0, time.perf_counter(), 0.0
    while done < erasures:
        fill(world)
        for _ in range(_ROUND):
            if not world.tokens:  # a space or two held everything
                break
            start = time.perf_counter()
            done += erase(world, request(world), tally, problems)
            spent += time.perf_counter() - start
            if done % _CLOSED == 0:
                closed(world, settings, problems)
            if done == erasures:
                break
        print(f"{done} of {erasures}, {len(problems)} problems", file=sys.stderr, flush=True)
    closed(world, settings, problems)
    world.memory.close()
    return {
        "erasures": done, "seed": seed, "seconds": round(time.perf_counter() - began, 1),
        "seconds per erasure with its checks": round(spent / max(done, 1), 3), "tokens given": world.count,
        "tokens gone": len(world.gone), "problems": len(problems), "first problems": problems[:5], "tally": dict(sorted(tally.items())),
    }  # fmt: skip


def speed(memories: int, folder: Path) -> dict[str, Any]:
    """What a forget takes, beside erasing, rewriting and the search of bytes that there was before receipts."""
    chance = random.Random(1)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randrange(3, 9))) for _ in range(3000)]
    texts = [" ".join(chance.choices(words, k=25)).capitalize() + "." for _ in range(memories)]
    with Memory(folder / "speed.rem", Settings(embedder="hashing", signing_key=folder / "key.pem")) as memory:
        ids = iter(memory.add(texts))
        memory.recall("the index is loaded")
        store, bare, whole, many = memory._store, list[float](), list[float](), list[float]()
        for _ in range(5):
            start = time.perf_counter()
            erased = store.erase([next(ids)])
            store.scrub()
            assert not store.residue(erased.traces)
            bare.append(time.perf_counter() - start)
            start = time.perf_counter()
            memory.forget(next(ids))
            whole.append(time.perf_counter() - start)
        start = time.perf_counter()
        memory.forget([next(ids) for _ in range(100)])
        many.append(time.perf_counter() - start)
    return {
        "memories": memories, "erase, rewrite and look for pieces, median of 5": round(statistics.median(bare), 2),
        "forget with its receipt, median of 5": round(statistics.median(whole), 2), "forget 100 at once": round(many[0], 2),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--erasures", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", type=int, metavar="MEMORIES", help="time a forget in a store of that size instead")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.speed:
            print(json.dumps(speed(args.speed, Path(folder)), indent=2))
            return 0
        found = run(args.erasures, args.seed, Path(folder))
    print(json.dumps(found, indent=2))
    return 1 if found["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
