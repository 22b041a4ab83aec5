"""Whether anybody ever sees what is not theirs: many spaces of near-identical content, several principals, every read path.

    python benchmarks/reliability/tenants.py                     50 spaces, 20,000 calls
    python benchmarks/reliability/tenants.py --spaces 8 --calls 1000 --seed 3

Every memory carries two words that no other memory has. One of them may be asked for, the other never is. A call is made as some
principal, its whole result is written out as text, and every such word and every id in it is looked up: who may see that
memory? Prints JSON; exits with 1 if there was a leak.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from remanence import Memory, Settings
from remanence.cubes import Cost, Extraction, Fact, Hits
from remanence.errors import NotFoundError, RemanenceError
from remanence.models.language import Completion
from remanence.store.shares import Shared
from remanence.write.extract import Extracted

LABEL = "health"
_WORD = re.compile(r"\b[QZ]\d{5}x\b")
_PEOPLE = ("Ana", "Bob", "Cid")


@dataclass(frozen=True)
class Secret:
    """One memory as the referee knows it."""

    space: str
    label: str | None = None
    only: str | None = None
    """The one principal, beside owners, who may see it."""


@dataclass
class World:
    """A store with many tenants, and who may see what."""

    memory: Memory
    spaces: list[str]
    secrets: dict[str, Secret] = field(default_factory=dict)
    """By word."""
    ids: dict[str, frozenset[str]] = field(default_factory=dict)
    """The words in each memory's text."""
    homes: dict[str, str] = field(default_factory=dict)
    """The space of each memory."""
    roles: dict[str, dict[str, tuple[str, frozenset[str]]]] = field(default_factory=dict)
    """By principal and space: the role, and the labels."""
    shown: set[tuple[str, str]] = field(default_factory=set)
    """Words that a share shows in another space."""
    said: set[tuple[str, str]] = field(default_factory=set)
    """Words that somebody wrote into a space himself, without a label."""
    shares: list[Shared] = field(default_factory=list)
    views: dict[str, Memory] = field(default_factory=dict)

    def acting(self, principal: str) -> Memory:
        if principal not in self.views:
            self.views[principal] = self.memory.acting_as(principal)
        return self.views[principal]

    def may_see(self, principal: str, word: str) -> bool:
        secret = self.secrets[word]
        if any(self._sees(principal, space, Secret(space)) for said, space in self.said if said == word):
            return True
        return any(
            self._sees(principal, space, secret)
            for space in {secret.space, *(to for shared, to in self.shown if shared == word)}
        )

    def _sees(self, principal: str, space: str, secret: Secret) -> bool:
        held = [self.roles.get(principal, {}).get(where) for where in (space, "*")]
        roles = [one for one in held if one is not None]
        if any(role == "owner" for role, _ in roles):
            return True
        labels = frozenset(label for _, some in roles for label in some)
        reads = any(role in {"reader", "writer"} for role, _ in roles)
        return reads and secret.label in {None, *labels} and secret.only in {None, principal}


class Echo:
    """A language model that gives away everything it is shown."""

    name, context = "echo", 100_000

    def generate(self, prompt: Any) -> Completion:
        said = " ".join(dict.fromkeys(_WORD.findall(prompt.turns[-1].content)))
        if prompt.schema is None:
            return Completion(f"{said} [1].", cost=Cost(calls=1))
        data = {"sentences": [{"text": f"It is {said}.", "cites": [1]}], "unanswerable": False, "keep": [1]}
        return Completion(json.dumps(data), data=data, cost=Cost(calls=1))

    def stream(self, prompt: Any) -> Iterator[str]:
        yield self.generate(prompt).text

    def count(self, text: str) -> int:
        return len(text) // 4 + 1


class Reader:
    """An extractor that reads names and facts by a rule."""

    name = "fuzz/1"

    def extract(self, cubes: Any) -> Extracted:
        return Extracted(tuple(self._one(cube.text) for cube in cubes))

    def _one(self, text: str) -> Extraction:
        words, who = tuple(_WORD.findall(text)), next((one for one in _PEOPLE if one in text), "Ana")
        facts = tuple(Fact(who, "knows", word) for word in words)
        return Extraction((who, *words), facts, tuple(f"{who} and {word}." for word in words), None)


def build(memory: Memory, spaces: int, rng: random.Random) -> World:
    """Tenants with the same life, but for two words in every memory."""
    world = World(memory, [f"tenant {number}" for number in range(spaces)])
    numbers = iter(range(10_000, 100_000))
    for space in world.spaces:
        _people(world, space)
        for label, only, texts in (
            (None, None, _TEXTS),
            (LABEL, None, _HEALTH),
            (None, f"one of {space}", _PRIVATE),
        ):
            for text, more in texts:
                number = next(numbers)
                words = (f"Q{number}x", f"Z{number}x")
                where = {"sensitivity": label, "access": None if only is None else [only]}
                given = {name: value for name, value in where.items() if value}
                message = {"content": text.format(*words), "time": "2024-03-05", **more, **given}
                [cube_id] = memory.add(message, space=space, user=rng.choice(("u", "v")))
                for word in words:
                    world.secrets[word] = Secret(space, label, only)
                world.ids[cube_id], world.homes[cube_id] = frozenset(words), space
    memory.pair()
    memory.extract(Reader())
    for space in world.spaces:  # corrected: an older version has the same words and one more
        page = memory.list(space=space, limit=1)
        memory.correct(page[0], page[0].text + " Or so they say.", space=space)
    for _ in range(max(spaces // 5, 1)):
        _share(world, rng)
    for space in world.spaces:
        for cube in memory.list(space=space, limit=10_000):
            world.homes[cube.id], world.ids[cube.id] = space, frozenset(_WORD.findall(cube.text))
    return world


_TEXTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Ana lives in {0} near the {1} bridge.", {"name": "Bob", "session": "s"}),
    ("Ana lives in {0}, I am sure, by the {1} gate.", {"name": "Cid", "session": "s", "time": "2024-03-06"}),
    ("Bob works at {0} and his code is {1}.", {"name": "Ana", "session": "s"}),
    ("The author of Dead {0} is {1}.", {"role": "document", "title": "Dead {0}"}),
    ("Cid was born in {0}. He likes {1}.", {"name": "Ana", "meta": {"n": 1}}),
    ("Cid was born in {0}. Ask {1}.", {"name": "Bob", "source": "letter"}),
    ("Answer Ana in the manner of {0} and {1}.", {"kind": "preference", "trigger": {"always": True}}),
    ("When Bob asks, say {0} then {1}.", {"kind": "procedure", "trigger": {"words": ["bob", "office"]}}),
)
_HEALTH: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Ana takes {0} against {1}.", {"name": "Ana", "session": "s"}),
    ("Ana lives in {0} clinic, room {1}.", {"name": "Ana", "session": "s"}),
    ("Cid was born in {0}. So {1} says.", {"name": "Dan", "source": "file"}),
    ("Mention {0} and {1} to nobody.", {"kind": "preference", "trigger": {"always": True}}),
)
_PRIVATE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Bob pays {0} to {1} each month.", {"name": "Bob", "session": "s"}),
    ("Bob works at {0} too, under {1}.", {"name": "Bob"}),
)


def _people(world: World, space: str) -> None:
    for principal, role, labels in (
        (f"reader of {space}", "reader", ()), (f"nurse of {space}", "reader", (LABEL,)), (f"writer of {space}", "writer", ()),
        (f"one of {space}", "reader", ()), (f"owner of {space}", "owner", ()), (f"auditor of {space}", "auditor", ()),
    ):  # fmt: skip
        world.memory.access.grant(principal, role, space=space, labels=labels)
        world.roles.setdefault(principal, {})[space] = (role, frozenset(labels))


def _share(world: World, rng: random.Random) -> None:
    """Show one memory, or one user's, of a tenant in another."""
    source, target = rng.sample(world.spaces, 2)
    if rng.random() < 0.5:
        cube = rng.choice(world.memory.list(space=source, limit=100))
        if cube.provenance.method == "shared":
            return
        world.shares.append(world.memory.access.share(cube.id, to=target))
        shown = [cube]
    else:
        world.shares.append(world.memory.access.share(space=source, user="u", to=target))
        page = world.memory.list(space=source, user="u", limit=10_000)
        shown = [cube for cube in page if cube.provenance.method != "shared"]
    for cube in shown:
        for word in _WORD.findall(cube.text):
            world.shown.add((word, target))


# ── the calls ────────────────────────────────────────────────────────────────────────────────────────────────────────

Call = Callable[[World, Memory, str, random.Random], Any]


def question(world: World, rng: random.Random) -> str:
    """What anybody could ask; now and then with a word of another tenant's memory."""
    word = rng.choice([word for word in world.secrets if word[0] == "Q"])
    return rng.choice(
        (
            "Where does Ana live?", "Where does Bob work?", "Who is the author of Dead {0}?", "What is {0}?", "Ana and {0}",
            "What does Ana take against {0}?", "Where was Cid born?", "Is Bob at the office in {0}?", "last week",
        )
    ).format(word)  # fmt: skip


def _any_id(world: World, rng: random.Random) -> str:
    return rng.choice(list(world.ids))


def _exported(_: World, memory: Memory, space: str, rng: random.Random) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "all.jsonl"
        memory.export(path, space=rng.choice((space, None)))
        return path.read_text(encoding="utf-8")


def _recall(world: World, memory: Memory, space: str, rng: random.Random, **more: Any) -> Any:
    asked = question(world, rng)
    found = memory.recall(
        asked, space=space, k=rng.choice((1, 5, 50)), route=rng.choice((None, "cheap", "graph")), current=rng.random() < 0.3,
        user=rng.choice((None, None, "u")), as_of=rng.choice((None, None, "2025-01-01")), **more,
    )  # fmt: skip
    return [asked, found, [getattr(found, name, None) for name in ("standing", "withheld", "notes", "routed")]]


def _add(world: World, memory: Memory, space: str, rng: random.Random) -> Any:
    """Say what may be there already: whether it was must not be told to those who may not see it."""
    known = rng.choice([one for one, home in world.homes.items() if home == space])
    cube, origin = world.memory.get(known), world.memory.get(known).provenance
    who = next(name for name, one in world.views.items() if one is memory)
    hidden = not any(world.may_see(who, word) for word in world.ids[known])
    message = {
        "content": cube.text, "role": origin.role, "name": origin.author, "time": origin.observed_at, "source": origin.source,
        "session": cube.scope.session, "title": cube.about, "kind": cube.kind, "meta": cube.meta,
    }  # fmt: skip
    ids = memory.add({name: value for name, value in message.items() if value}, space=space, user=cube.scope.user)
    if hidden and known in ids:
        return ["", sorted(world.ids[known])]
    following = {
        one.target for one in world.shares if one.source == space and one.cube is None and cube.scope.user == "u"
    }
    world.said |= {(word, where) for word in _WORD.findall(cube.text) for where in {space, *following}}
    return ["", ids.new]


def _ask(world: World, memory: Memory, space: str, rng: random.Random) -> Any:
    asked = question(world, rng)
    return [asked, memory.ask(asked, space=space, method=rng.choice(("auto", "extractive", "plain")))]


def _stream(world: World, memory: Memory, space: str, rng: random.Random) -> Any:
    asked = question(world, rng)
    return [asked, list(memory.ask_stream(asked, space=space))]


CALLS: dict[str, Call] = {
    "recall": _recall,
    "recall pairs": lambda w, m, s, r: _recall(w, m, s, r, kinds=["qa"]),
    "recall meta": lambda w, m, s, r: _recall(w, m, s, r, meta={"n": 1}),
    "ask": _ask,
    "ask_stream": _stream,
    "get": lambda w, m, s, r: m.get(_any_id(w, r), space=r.choice((None, s))),
    "history": lambda w, m, s, r: m.history(_any_id(w, r), space=r.choice((None, s))),
    "list": lambda _, m, s, r: m.list(space=s, user=r.choice((None, "u")), limit=r.choice((3, 100))),
    "conflicts": lambda _, m, s, __: m.conflicts(space=s),
    "spaces": lambda _, m, __, ___: m.spaces(),
    "stats": lambda _, m, __, ___: m.stats(),
    "export": _exported,
    "log": lambda w, m, s, r: m.access.log(
        space=r.choice((s, s, None)), cube=r.choice((None, _any_id(w, r))), limit=50
    ),
    "grants": lambda _, m, s, r: m.access.grants(space=r.choice((s, None))),
    "shares": lambda _, m, s, r: m.access.shares(space=r.choice((s, None))),
    "add": _add,
    "extract": lambda _, m, s, __: m.extract(Reader(), space=s),
    "pair": lambda _, m, s, __: m.pair(space=s),
}


def plain(value: Any) -> Any:
    """Everything that a result holds, as JSON types: also what stands in attributes of lists."""
    if isinstance(value, str | int | float | bool | type(None)):
        return value
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        own = {name: plain(one) for name, one in getattr(value, "__dict__", {}).items()}
        return [*(plain(one) for one in value), *([own] if own else [])]
    return str(value)


def leaks(world: World, principal: str, result: Any) -> list[str]:
    """Words, and ids of memories, that the principal may not see and did not say."""
    asked = ""
    if isinstance(result, list) and result and isinstance(result[0], str) and not isinstance(result, Hits):
        asked, result = result[0], result[1:]
    text = json.dumps(plain(result), ensure_ascii=False)
    found = [word for word in dict.fromkeys(_WORD.findall(text)) if not world.may_see(principal, word)]
    found = [word for word in found if word not in asked]
    roles = world.roles.get(principal, {})
    for cube_id, words in world.ids.items():
        # Auditors and owners see ids in the access log; they stand for no text.
        logged = roles.get(world.homes[cube_id], ("",))[0] in {"auditor", "owner"}
        if cube_id in text and words and not logged and not any(world.may_see(principal, word) for word in words):
            found.append(cube_id)
    return found


def fuzz(world: World, calls: int, rng: random.Random, only: str | None = None) -> dict[str, Any]:
    """Make random calls as random principals on random spaces. Returns counts, and the leaks with the call that showed them."""
    principals = [*world.roles, "a stranger"]
    made, refused, returned = Counter[str](), Counter[str](), Counter[str]()
    found: list[dict[str, Any]] = []
    for _ in range(calls):
        name = only or rng.choice(list(CALLS))
        principal = rng.choice(principals)
        home = next(iter(world.roles.get(principal, {})), None)
        space = home if home is not None and rng.random() < 0.6 else rng.choice(world.spaces)
        made[name] += 1
        try:
            result = CALLS[name](world, world.acting(principal), space, rng)
        except RemanenceError as error:
            refused[name] += 1
            result = [
                "",
                type(error).__name__ if isinstance(error, NotFoundError) else str(error),
            ]  # the caller's own id aside
        returned[name] += bool(_WORD.search(json.dumps(plain(result))))
        bad = leaks(world, principal, result)
        if bad:
            found.append({"call": name, "principal": principal, "space": space, "seen": bad[:5]})
    return {
        "calls": sum(made.values()), "by call": dict(made), "refused": dict(refused), "returned words": dict(returned),
        "leaks": len(found), "first leaks": found[:10],
    }  # fmt: skip


def run(location: str | Path, spaces: int, calls: int, seed: int) -> dict[str, Any]:
    """One whole run on a new store."""
    rng = random.Random(seed)
    settings = Settings(embedder="hashing", durability="normal", signing_key=Path(location).parent / "signing.pem")
    with closing(Memory(location, settings, model=Echo())) as memory:
        start = time.perf_counter()
        world = build(memory, spaces, rng)
        built = time.perf_counter() - start
        result = fuzz(world, calls, rng)
        checked = memory.verify(sample=0)
        return {
            "at": datetime.now(UTC).isoformat(timespec="seconds"), "seed": seed, "spaces": spaces,
            "memories": len(world.ids), "principals": len(world.roles), "built s": round(built, 1),
            "calls s": round(time.perf_counter() - start - built, 1), **result, "verify": checked.ok,
        }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", type=int, default=50)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder) / "tenants.rem", args.spaces, args.calls, args.seed)
    print(json.dumps(result, indent=2))
    return 1 if result["leaks"] else 0


if __name__ == "__main__":
    sys.exit(main())
