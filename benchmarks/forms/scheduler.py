"""The scheduler's choices against one form for everything, at equal answers.

    python benchmarks/forms/scheduler.py --json benchmarks/forms/results/scheduler.json
    python benchmarks/forms/scheduler.py --quick
    python benchmarks/forms/scheduler.py --only simulated|real

Simulated: reads and corrections of some weeks are drawn, and each way of keeping memories pays for them what a machine takes. Answers
are equal by construction: a cache that is stale is not read but built again, and weights answer only where their gate let
them. The scheduler sees what a store knows: how often each group was read, when first and last, how often it was corrected.
`hindsight` is the best single form of each group, chosen with the whole future known, without a quota.

Real: a small model reads sessions of a store through `Memory.ask`, with time that the benchmark turns. Each way pays in CPU seconds
of this process: asking, deriving, deciding. Every answer is compared with the one from text, word for word.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from remanence.cubes import Form
from remanence.evaluation.intervals import student
from remanence.scheduling.choose import choose
from remanence.scheduling.cost import Machine, Terms, Workload, corrections_per_day, reads_per_day, trained

TEXT, CACHE, WEIGHTS = Form.TEXT, Form.ACTIVATION, Form.PARAMETRIC
GB = 1e9

# ── machines ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_QWEN3_8B = {"bytes_per_token": 147_456, "adapter_bytes": 87_000_000, "context": 32_768}
MACHINES = {
    "8B, GPU, NVMe": Machine(
        prefill=41e-6, quadratic=2e-10, decode=0.012, load=1 / (5 * GB), opening=2e-3, write=1 / (2 * GB), hash=1 / (2 * GB),
        train=125e-6, **_QWEN3_8B,
    ),
    "8B, GPU, RAM": Machine(
        prefill=41e-6, quadratic=2e-10, decode=0.012, load=1 / (50 * GB), opening=2e-4, write=1 / (50 * GB), hash=0.0,
        train=125e-6, **_QWEN3_8B,
    ),
    "8B, 2 CPU cores": Machine(
        prefill=0.16, quadratic=8e-7, decode=0.4, load=1 / (2 * GB), opening=2e-3, write=1 / GB, hash=1 / GB, train=0.5,
        **_QWEN3_8B,
    ),
    "4B, laptop": Machine(  # llama.cpp: 24,000 tokens in 24.9 s, restored in 0.13 s from 840 MB
        prefill=1.0e-3, quadratic=1.5e-9, decode=0.03, load=0.15e-9, opening=5e-3, write=0.56e-9, hash=0.5e-9, train=3e-3,
        bytes_per_token=35_000, adapter_bytes=40_000_000, context=32_768,
    ),
}  # fmt: skip
"""From figures of others, as in `docs/scheduling.md`: not measured here."""

# ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class World:
    """Groups of memories, and what happens to them: (time in days, group, is a correction), in order."""

    tokens: list[int]
    events: list[tuple[float, int, bool]]
    days: int


def world(pattern: str, seed: int, groups: int, days: int, daily: float = 60.0) -> World:
    drawn = np.random.default_rng([seed, groups, days])
    tokens = np.clip(drawn.lognormal(5.8, 0.9, groups), 30, 6000).astype(int)
    popular = 1 / np.arange(1, groups + 1)
    popular = drawn.permutation(popular / popular.sum())
    rates = np.tile(daily * popular, (days, 1))
    corrected = np.full((days, groups), 0.003)
    if pattern == "bursts":  # each group is busy for a few days, and hardly ever again
        begins = drawn.integers(-5, days, groups)
        busy = (np.arange(days)[:, None] >= begins) & (np.arange(days)[:, None] < begins + 5)
        rates = np.where(busy, daily / (groups * 5 / days), 0.01)
    elif pattern == "corrections":  # a third is corrected again and again
        corrected[:, drawn.random(groups) < 1 / 3] = 1.5
    elif pattern == "shift":  # what is popular changes every ten days
        for start in range(10, days, 10):
            rates[start:] = drawn.permutation(rates[0])
    elif pattern == "mixed":
        corrected[:, drawn.random(groups) < 1 / 4] = 1.0
        rates[days // 2 :] = drawn.permutation(rates[0])
    events: list[tuple[float, int, bool]] = []
    for day in range(days):
        for correction, number in ((False, drawn.poisson(rates[day])), (True, drawn.poisson(corrected[day]))):
            for group in np.flatnonzero(number):
                events += [(day + drawn.random(), int(group), correction) for _ in range(number[group])]
    return World([int(one) for one in tokens], sorted(events), days)


@dataclass
class Seen:
    """What a store knows of a group."""

    reads: int = 0
    first: float = 0.0
    last: float = 0.0
    corrections: int = 0
    corrected: float = 0.0
    moved: float = -np.inf
    failures: int = 0


class Kept:
    """Files of one way of keeping memories, within a quota, and what all of it took."""

    def __init__(self, one: World, machine: Machine, terms: Terms, quota: int, seed: int) -> None:
        self.world, self.machine, self.terms, self.quota = one, machine, terms, quota
        self.drawn = np.random.default_rng([seed, 7])
        self.passes = self.drawn.random(10 * len(one.tokens) + 1000)
        self.form: dict[int, Form] = {}
        self.used: dict[int, float] = {}
        self.opened: dict[int, int] = {}
        self.spent: dict[str, float] = dict.fromkeys(("read", "build", "hash"), 0.0)
        self.moves = self.most = self.trained = 0

    def size(self, group: int, form: Form) -> int:
        return self.world.tokens[group] * self.machine.bytes_per_token if form is CACHE else self.machine.adapter_bytes

    def taken(self) -> int:
        return sum(self.size(group, form) for group, form in self.form.items())

    def read(self, group: int, at: float) -> None:
        form = self.form.get(group)
        if form is None:
            self.spent["read"] += self.machine.prefilled(self.world.tokens[group])
            return
        self.spent["read"] += self.machine.loaded(self.size(group, form))
        if self.opened.get(group) != int(at):  # a process that starts each day
            self.spent["hash"] += self.size(group, form) * self.machine.hash
        self.opened[group], self.used[group] = int(at), at

    def build(self, group: int, form: Form) -> bool:
        """Pay for a form; False if its gate did not let it pass."""
        tokens, size = self.world.tokens[group], self.size(group, form)
        self.moves += 1
        if form is CACHE:
            self.spent["build"] += self.machine.prefilled(tokens) + size * (self.machine.write + self.machine.hash)
        else:
            self.spent["build"] += trained(tokens, self.machine, self.terms)
            self.trained += 1
            if self.passes[(self.trained * 31 + group) % len(self.passes)] > self.terms.passing:
                return False
            self.spent["build"] += size * (self.machine.write + self.machine.hash)
        self.form[group] = form
        self.most = max(self.most, self.taken())
        return True

    def make_room(self, size: int) -> bool:
        """Drop what was not used for longest until a file fits."""
        if size > self.quota:
            return False
        while self.taken() + size > self.quota:
            del self.form[min(self.form, key=lambda one: self.used.get(one, -1.0))]
        return True

    @property
    def seconds(self) -> float:
        return sum(self.spent.values())


def always(form: Form | None, one: World, machine: Machine, terms: Terms, quota: int, seed: int) -> Kept:
    """One form for everything, made at the first read and again at the first read after a correction; None is text."""
    kept, refused = Kept(one, machine, terms, quota, seed), set[int]()
    for at, group, correction in one.events:
        if correction:
            kept.form.pop(group, None)
            refused.discard(group)  # what it says now is tried again
            continue
        if form is not None and group not in kept.form and group not in refused:
            if kept.make_room(kept.size(group, form)):
                built = kept.build(group, form)
                if not built:
                    refused.add(group)
                if built:
                    kept.read(group, at)
                    continue
            kept.spent["read"] += machine.prefilled(one.tokens[group])  # while it is trained, or without room
            continue
        kept.read(group, at)
    return kept


def scheduled(
    one: World, machine: Machine, terms: Terms, quota: int, seed: int, *, believed: Machine | None = None
) -> Kept:
    """The scheduler, asked after reads of text, at most every five minutes, or every hour where the quota makes it search."""
    kept, believed = Kept(one, machine, terms, quota, seed), believed or machine
    seen = [Seen() for _ in one.tokens]
    tried = passed = 0
    asked, pause = -1.0, 1 / 288 if quota >= 10**15 else 1 / 24
    for at, group, correction in one.events:
        now = seen[group]
        if correction:
            if kept.form.pop(group, None) is not None:
                now.moved = -np.inf  # it did not move by a job
            now.corrections, now.corrected = now.corrections + 1, at
            continue
        now.first = at if not now.reads else now.first
        now.reads, now.last = now.reads + 1, at
        was_text = group not in kept.form
        kept.read(group, at)
        if (was_text and at >= asked + pause) or at >= asked + 1:
            tried, passed = _round(kept, seen, at, believed, terms, tried, passed)
            asked = at
    return kept


def _round(
    kept: Kept, seen: list[Seen], now: float, machine: Machine, terms: Terms, tried: int, passed: int
) -> tuple[int, int]:
    learned = replace(terms, passing=(passed + 2 * terms.passing) / (tried + 2))
    base = sum(one.corrections for one in seen) / (1 + now * len(seen))
    groups = [group for group, one in enumerate(seen) if one.reads]
    known = [one.reads / (now - one.first + 1) for one in seen if one.reads and now - one.first >= 1]
    usual = float(np.median(known)) if len(known) >= 8 else 0.0
    works = [_work(kept, seen[group], group, now, machine, learned, (base, usual)) for group in groups]
    for group, choice in zip(groups, choose(works, machine, learned, kept.quota, tolerance=1e-3).choices, strict=True):
        if choice.drop:
            kept.form.pop(group, None)
            seen[group].moved = now
        if choice.derive is not None and kept.taken() + kept.size(group, choice.derive) <= kept.quota:
            good = kept.build(group, choice.derive)
            seen[group].moved, seen[group].failures = now, 0 if good else seen[group].failures + 1
            if choice.derive is WEIGHTS:
                tried, passed = tried + 1, passed + good
    return tried, passed


def _work(
    kept: Kept, one: Seen, group: int, now: float, machine: Machine, terms: Terms, rates: tuple[float, float]
) -> Workload:  # fmt: skip
    base, usual = rates
    form = kept.form.get(group)
    return Workload(
        ids=(str(group),), tokens=kept.world.tokens[group], bytes_per_token=machine.bytes_per_token,
        adapter_bytes=machine.adapter_bytes, reads=reads_per_day(one.reads, now - one.first, now - one.last, terms, usual),
        corrections=corrections_per_day([(one.corrections, now)], base), age=now - one.corrected + 30 * (not one.corrections),
        artefacts={} if form is None else {form: "x"}, moved=now - one.moved, seen=now - one.first, failures=one.failures,
    )  # fmt: skip


def hindsight(one: World, machine: Machine, terms: Terms, seed: int) -> float:
    """The best single form of each group, by what each form took it."""
    alone = []
    for group in range(len(one.tokens)):
        mine = World(
            [one.tokens[group]], [(at, 0, correction) for at, g, correction in one.events if g == group], one.days
        )
        alone.append(min(always(form, mine, machine, terms, 10**15, seed).seconds for form in (None, CACHE, WEIGHTS)))
    return sum(alone)


PATTERNS = ("zipf", "bursts", "corrections", "shift", "mixed")
WAYS: dict[str, Callable[..., Kept]] = {
    "text": lambda *of: always(None, *of),
    "cache": lambda *of: always(CACHE, *of),
    "weights": lambda *of: always(WEIGHTS, *of),
    "scheduler": scheduled,
    "scheduler, wrong by 2": lambda one, machine, *rest: scheduled(
        one, machine, *rest,
        believed=replace(machine, prefill=machine.prefill * 2, load=machine.load / 2, train=machine.train / 2),
    ),
}  # fmt: skip


def simulated(seeds: int, groups: int, days: int, console: Console) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    terms = Terms()
    for name, machine in MACHINES.items():
        for pattern in PATTERNS:
            worlds = [world(pattern, seed, groups, days) for seed in range(seeds)]
            for share in (None, 0.1):
                found: dict[str, list[Kept]] = {way: [] for way in WAYS}
                for seed, one in enumerate(worlds):
                    whole = sum(one.tokens) * machine.bytes_per_token
                    quota = 10**15 if share is None else int(share * whole)
                    for way, run in WAYS.items():
                        found[way].append(run(one, machine, terms, quota, seed))
                        assert found[way][-1].most <= quota
                row = _row(name, pattern, share, found)
                if share is None:
                    row["hindsight"] = student(
                        [hindsight(one, machine, terms, seed) for seed, one in enumerate(worlds)]
                    ).value
                rows.append(row)
                _say(console, row)
    return rows


def _row(machine: str, pattern: str, share: float | None, found: dict[str, list[Kept]]) -> dict[str, Any]:
    seconds = {way: [one.seconds for one in some] for way, some in found.items()}
    best = min(("text", "cache", "weights"), key=lambda way: float(np.mean(seconds[way])))
    ratio = student([mine / other for mine, other in zip(seconds["scheduler"], seconds[best], strict=True)])
    return {
        "machine": machine, "pattern": pattern, "quota": share, "seconds": {way: student(some).value for way, some in seconds.items()},
        "by_seed": seconds, "best_fixed": best, "ratio": [ratio.value, ratio.low, ratio.high],
        "moves": {way: float(np.mean([one.moves for one in some])) for way, some in found.items()},
    }  # fmt: skip


# ── a real model and a real store ────────────────────────────────────────────────────────────────────────────────────


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def turn(self, days: float) -> None:
        self.time += timedelta(days=days)


@dataclass
class Bill:
    """What one way took, and what it answered."""

    seconds: dict[str, float] = field(default_factory=dict[str, float])
    answers: list[str] = field(default_factory=list[str])
    forms: dict[str, int] = field(default_factory=dict[str, int])

    def pay(self, what: str, work: Callable[[], Any]) -> Any:
        """What it took counts, also where it failed."""
        begun = time.process_time()
        try:
            return work()
        finally:
            self.seconds[what] = self.seconds.get(what, 0.0) + time.process_time() - begun


@dataclass(frozen=True)
class Script:
    """Sessions of lines, and what happens: (day, session, question or None for a correction, the other words)."""

    sessions: list[list[str]]
    events: list[tuple[float, int, str, str]]
    days: int


def script(lm_world: Any, pattern: str, seed: int, *, sessions: int, lines: int, days: int, asks: int) -> Script:
    drawn = np.random.default_rng([seed, 11])
    facts = lm_world.fresh(sessions * 4, seed)
    each = [facts[at : at + 4] for at in range(0, len(facts), 4)][:sessions]
    filler = [lm_world.statement(one, 1) for one in lm_world.facts]
    said = [[" ".join([lm_world.statement(one, 0), *drawn.choice(filler, lines - 1)]) for one in some] for some in each]
    happens = world(pattern, seed, sessions, days, asks / days)
    events = []
    for at, group, correction in happens.events:
        place = int(drawn.integers(len(each[group])))
        fact = each[group][place]
        if correction:
            events.append((at, group, "", str(place)))
        else:
            events.append(
                (at, group, lm_world.question(fact, 0).removeprefix("Question: ").removesuffix(" Answer:"), "")
            )
    return Script(said, events, days)


def play(way: str, story: Script, lm: Any, folder: Path) -> Bill:
    from remanence import Memory, Settings
    from remanence.errors import GateError, TrainingError

    clock, bill, refused = Clock(), Bill(), set[int]()
    settings = Settings(embedder="hashing", care_every=0, payload_quota=10**9)
    with Memory(folder / f"{way}.rem", settings, clock=clock) as memory:
        memory._rooms.local = lambda _=None: lm  # it is in memory already
        memory._rooms.settings = replace(memory._rooms.settings, model="local:nano")
        ids = [
            list(memory.add([{"content": line, "session": str(n)} for line in some]))
            for n, some in enumerate(story.sessions)
        ]
        if way == "scheduler":
            bill.pay("measure", lambda: memory.schedule.measure(model=lm))
        memory.ask("Who lives where?", session="0")  # loads what asking needs
        day = 0
        for at, group, question, place in story.events:
            while at >= day + 1:
                day += 1
                if way == "scheduler":
                    clock.time = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
                    done = bill.pay("schedule", lambda: memory.schedule.run(model=lm))
                    assert not [one for one in done.failed if "GateError" not in one.body["error"]], done.failed
            clock.time = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=at)
            if not question:
                one = ids[group][int(place)]
                memory.correct(one, memory.get(one).text + " " + story.sessions[group][0].split(".")[0] + ".")
                refused.discard(group)
                continue
            if (
                way in {"cache", "weights"}
                and group not in refused
                and not memory._store.payloads.of("default", made_of=ids[group])
            ):
                form = CACHE if way == "cache" else WEIGHTS
                try:
                    bill.pay("derive", lambda form=form, group=group: memory.forms.derive(ids[group], lm, form=form))
                except (GateError, TrainingError):
                    refused.add(group)
            answer = bill.pay(
                "ask", lambda question=question, group=group: memory.ask(question, session=str(group), k=8)
            )
            bill.answers.append(answer.text or "; ".join(note for note in answer.notes if "bears out" in note))
            for one in answer.forms:
                bill.forms[one.form.value] = bill.forms.get(one.form.value, 0) + 1
    return bill


def real(seeds: int, console: Console, *, quick: bool, ways: tuple[str, ...]) -> list[dict[str, Any]]:
    import torch

    from remanence.evaluation.world import World as People
    from remanence.parametric.taught import teach

    torch.set_num_threads(1)
    people = People(seed=0, people=24)
    sizes = {"short": (6, 1), "long": (6, 12)}
    lm = teach(people)
    rows: list[dict[str, Any]] = []
    for size, (sessions, lines) in sizes.items():
        for pattern in ("zipf",) if quick else ("zipf", "corrections"):
            trains = size == "short" and pattern == "zipf"  # a training takes as long as hundreds of answers
            tried = [way for way in ways if way != "weights" or trains]
            found: dict[str, list[Bill]] = {way: [] for way in tried}
            for seed in range(seeds):
                days, asks = (4, 20) if quick else (8, 160)
                story = script(people, pattern, seed, sessions=sessions, lines=lines, days=days, asks=asks)
                for way in tried:
                    with tempfile.TemporaryDirectory() as folder:
                        found[way].append(play(way, story, lm, Path(folder)))
            rows.append(_real_row(size, pattern, found))
            _say(console, rows[-1])
    return rows


def _real_row(size: str, pattern: str, found: dict[str, list[Bill]]) -> dict[str, Any]:
    seconds = {way: [sum(one.seconds.values()) for one in some] for way, some in found.items()}
    fixed = [way for way in found if way != "scheduler"]
    best = min(fixed, key=lambda way: float(np.mean(seconds[way])))
    ratio = student([mine / other for mine, other in zip(seconds["scheduler"], seconds[best], strict=True)])
    equal = {
        way: sum(
            sum(one == other for one, other in zip(bill.answers, text.answers, strict=True))
            for bill, text in zip(some, found["text"], strict=True)
        )
        for way, some in found.items()
    }
    asked = sum(len(one.answers) for one in found["text"])
    parts = {
        way: {
            what: student([one.seconds.get(what, 0.0) for one in some]).value
            for what in sorted({w for one in some for w in one.seconds})
        }
        for way, some in found.items()
    }
    forms = {
        way: {form: sum(one.forms.get(form, 0) for one in some) for form in ("text", "activation", "parametric")}
        for way, some in found.items()
    }
    return {
        "machine": f"this one, {size} sessions", "pattern": pattern, "quota": None, "seconds": {way: student(some).value for way, some in seconds.items()},
        "by_seed": seconds, "best_fixed": best, "ratio": [ratio.value, ratio.low, ratio.high], "asked": asked, "equal_answers": equal,
        "parts": parts, "read_from": forms,
    }  # fmt: skip


# ── all of it ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _say(console: Console, row: dict[str, Any]) -> None:
    shown = ", ".join(f"{way} {value:,.1f}" for way, value in row["seconds"].items())
    console.print(f"{row['machine']}, {row['pattern']}, quota {row['quota']}: {shown}", highlight=False)


def table(rows: list[dict[str, Any]]) -> Table:
    found = Table(title="Seconds for all reads, builds and checks; the scheduler against the best single form")
    ways = list(dict.fromkeys(way for row in rows for way in row["seconds"]))
    for name in ("machine", "pattern", "quota", *ways, "hindsight", "best", "ratio", "equal"):
        found.add_column(name, justify="left" if name in {"machine", "pattern", "best"} else "right")
    for row in rows:
        value, low, high = row["ratio"]
        equal = f"{row['equal_answers']['scheduler']}/{row['asked']}" if "equal_answers" in row else ""
        found.add_row(
            row["machine"], row["pattern"], "none" if row["quota"] is None else f"{row['quota']:.0%}",
            *(f"{row['seconds'][way]:,.1f}" if way in row["seconds"] else "" for way in ways),
            f"{row['hindsight']:,.1f}" if "hindsight" in row else "", row["best_fixed"], f"{value:.2f} [{low:.2f}, {high:.2f}]", equal,
        )  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=["simulated", "real"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--groups", type=int, default=30)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--weights", action="store_true", help="also train an adapter for every short session")
    options = parser.parse_args()
    console, rows = Console(width=190), list[dict[str, Any]]()
    if options.only != "real":
        size = (2, 15, 20) if options.quick else (options.seeds, options.groups, options.days)
        rows += simulated(*size, console)
    if options.only != "simulated":
        ways = ("text", "cache", *(("weights",) if options.weights else ()), "scheduler")
        rows += real(1 if options.quick else 3, console, quick=options.quick, ways=ways)
    console.print(table(rows))
    if options.json:
        body = {
            "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores", "command": " ".join(sys.argv),
            "seeds": options.seeds, "real_seeds": 3, "groups": options.groups, "days": options.days, "terms": Terms().to_json(),
            "machines": {name: one.to_json() for name, one in MACHINES.items()}, "rows": rows,
        }  # fmt: skip
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
