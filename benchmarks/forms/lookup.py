"""Lookup rows: 200 facts written, half of them deleted, against a memory that never had them.

    python benchmarks/forms/lookup.py [--seeds 0 1 2] [--json FILE] [--models FOLDER] [--quick]

A nano model knows a world of 24 people. Facts about 50 new people are written as rows, one cube each: two questions and two
sentences per fact, with questions about the same person as guards. The third question is held out; it shares only some n-grams.
Then every second fact is deleted. The control is a memory that was written with the other half only: what is left must
be the same, bit by bit, and so must its file. Answers are written freely.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from editing_worlds import answers, arguments, keep, likelihood, others, recall, show, taught

from remanence.cubes import Fact
from remanence.evaluation.world import World
from remanence.models.local.causal import CausalLM
from remanence.parametric import lookupfile
from remanence.parametric.lookup import LookupMemory
from remanence.parametric.lookuptable import LookupSpec, Owner
from remanence.parametric.lookuptraining import Note, RowTraining


def note(world: World, fact: Fact, cube: str, guarded: bool = True) -> Note:
    pairs = [(world.question(fact, n), f"{world.answer(fact)}.") for n in (0, 1)]
    pairs += [(world.cloze(fact, n), f"{world.answer(fact)}.") for n in (0, 1)]
    guards = [world.question(other, n) for other in others(world, fact) for n in (0, 1)] if guarded else []
    return Note(Owner(cube, 1), tuple(pairs), (fact.subject,), tuple(guards))


def logits(lm: CausalLM, prompts: Sequence[str]) -> list[torch.Tensor]:
    return [lm.forward(lm.encode(prompt)).logits for prompt in prompts]


def same(left: Sequence[torch.Tensor], right: Sequence[torch.Tensor]) -> float:
    """Share of prompts whose logits are the same bit by bit."""
    return sum(torch.equal(one, other) for one, other in zip(left, right, strict=True)) / len(left)


def measured(lm: CausalLM, world: World, facts: Sequence[Fact], background: Sequence[Fact]) -> dict[str, float]:
    return {
        "recall": recall(lm, world, facts), "second wording": recall(lm, world, facts, 1), "held-out wording": recall(lm, world, facts, -1),
        "log-likelihood": likelihood(lm, world, facts), "background": recall(lm, world, background),
    }  # fmt: skip


def run(seed: int, models: Path | None, people: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    world, lm = taught(seed, models)
    facts, background = world.fresh(people), world.facts
    notes = [note(world, fact, f"c{number:04}") for number, fact in enumerate(facts)]
    prompts = [world.question(fact, n) for fact in facts for n in (0, -1)]
    known = [world.question(fact, n) for fact in background for n in range(3)]
    base = logits(lm, known)
    rows: list[dict[str, Any]] = [{"seed": seed, "memory": "none", **measured(lm, world, facts, background)}]

    start = time.process_time()
    memory = LookupMemory(lm)
    written = memory.write(notes)
    seconds = time.process_time() - start
    with memory.reading():
        rows.append({"seed": seed, "memory": "all facts", **measured(lm, world, facts, background)})
        untouched, full = same(base, logits(lm, known)), logits(lm, prompts)
    every = LookupMemory(lm, replace(memory.spec, read="all"))
    every.add(memory.sets)
    with every.reading():
        rows.append({"seed": seed, "memory": "all facts, all rows read", **measured(lm, world, facts, background)})

    gone = [fact for number, fact in enumerate(facts) if number % 2]
    left = [fact for number, fact in enumerate(facts) if not number % 2]
    start = time.process_time()
    memory.delete(f"c{number:04}" for number in range(1, len(facts), 2))
    deleting = time.process_time() - start
    control = LookupMemory(lm)
    control.write(reversed(notes[::2]))
    found = {}
    for name, one in (("half deleted", memory), ("half never written", control)):
        with one.reading():
            rows.append({"seed": seed, "memory": f"{name}: the other half", **measured(lm, world, left, background)})
            rows.append({"seed": seed, "memory": f"{name}: that half", **measured(lm, world, gone, background)})
            found[name] = logits(lm, prompts)
    with tempfile.TemporaryDirectory() as folder:
        files = [lookupfile.save(one, Path(folder, name)) for name, one in (("a", memory), ("b", control))]
        bytes_equal, size = files[0].read_bytes() == files[1].read_bytes(), files[0].stat().st_size
    kept_prompts = [at for at in range(len(prompts)) if at // 2 % 2 == 0]
    exact = {
        "seed": seed, "facts": len(facts), "seconds per fact": seconds / len(facts), "steps": sum(one.steps for one in written) / len(written),
        "worst loss": max(one.loss for one in written), "rows per fact": sum(one.rows for one in written) / len(written),
        "background bitwise untouched": untouched,
        "as never written, bitwise": same(found["half deleted"], found["half never written"]),
        "kept facts as before the delete, bitwise": same([full[at] for at in kept_prompts], [found["half deleted"][at] for at in kept_prompts]),
        "file as never written": float(bytes_equal), "bytes per fact": size / len(left), "seconds of the delete": deleting,
    }  # fmt: skip
    return rows, exact


def guarding(seed: int, models: Path | None, people: int) -> list[dict[str, Any]]:
    """Other questions about people of whom one fact is written: how many answers stay as they were."""
    world, lm = taught(seed, models)
    facts = world.fresh(people)[:: len(world.relations)]
    asked = [world.question(other, n) for fact in facts for other in others(world, fact) for n in range(3)]
    before, rows = answers(lm, asked), []
    for guarded in (False, True):
        memory = LookupMemory(lm, LookupSpec())
        memory.write([note(world, fact, f"c{number}", guarded) for number, fact in enumerate(facts)], RowTraining())
        with memory.reading():
            after = answers(lm, asked)
            stay = sum(one == other for one, other in zip(before, after, strict=True)) / len(asked)
            rows.append(
                {"seed": seed, "guards": str(guarded), "recall": recall(lm, world, facts), "other answers stay": stay}
            )
    return rows


def main() -> None:
    asked = arguments(__doc__.split("\n", maxsplit=1)[0])
    people = 3 if asked.quick else 50
    rows, exact, guards = [], [], []
    for seed in asked.seeds:
        some, one = run(seed, asked.models, people)
        rows += some
        exact.append(one)
        guards += guarding(seed, asked.models, min(people, 20))
        keep(asked, "lookup.py", {"exact": exact, "guards": guards}, rows)
    show("Lookup rows", rows, ["memory"])
    for one in exact:
        one["memory"] = "rows"
    show("Exactness and cost", exact, ["memory"])
    show("Other questions about the same person", guards, ["guards"])


if __name__ == "__main__":
    main()
