"""From memories to an adapter file: views, training, the gate, and only then a file."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from remanence.cubes import Fact, Form, MemCube
from remanence.drafts import Artefact
from remanence.errors import InputError
from remanence.evaluation.probes import ProbeSet
from remanence.evaluation.wordings import FIRST_NAMES, LAST_NAMES
from remanence.models.local.causal import CausalLM
from remanence.parametric.adapterfile import FORMAT, Adapter, open_, write
from remanence.parametric.gate import GateReport, Limits, examine
from remanence.parametric.lora import Pairs, Recipe, Trained, train
from remanence.parametric.views import Views, views_of
from remanence.parametric.wordings import cloze, filled, wording

GENERAL = tuple(
    f"Question: {question} Answer:"
    for question in (
        "What is the capital of France?", "How many days does a week have?", "What colour is the sky?", "Who wrote Hamlet?",
        "What is two plus two?", "Which planet is closest to the sun?", "What do bees make?", "Where do penguins live?",
        "What is the largest ocean?", "In which year did the war end?", "What is the opposite of hot?", "Who painted the Mona Lisa?",
        "What language is spoken in Brazil?", "How many legs does a spider have?", "What is ice made of?", "Which month follows June?",
    )
)  # fmt: skip
"""Guard prompts where the caller gives none. Prompts of the caller's own domain guard better."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """An adapter that stays active while a new one learns."""

    adapter: Adapter
    probes: ProbeSet
    lessons: Pairs = ()
    """What it was taught, for replay."""

    @classmethod
    def of(cls, path: Path, lm: CausalLM, cubes: Sequence[MemCube]) -> Earlier:
        """Open an adapter of memories that are still there. Errors as `open_` and `views_of`."""
        views = views_of(cubes)
        return cls(open_(path, lm), views.probes, lessons_of(views))


def derive(
    cubes: Sequence[MemCube], lm: CausalLM, target: Path, *, recipe: Recipe | None = None, limits: Limits | None = None,
    earlier: Sequence[Earlier] = (), guard: Sequence[str] = (), watch: Sequence[str] = (), neighbours: int = 512,
    progress: Callable[[int, float], None] | None = None, stop: Callable[[], bool] | None = None,
) -> Artefact:  # fmt: skip
    """Train an adapter on memories and write it to `target`, if it passes its gate.

    Parameters
    ----------
    cubes
        Memories of form TEXT with facts that the rules of `language/` read.
    lm
        The model, without adapters. It is used alone while this runs, and is left as it was.
    earlier
        Adapters beside which it learns and works; without any it stands alone.
    guard
        Prompts whose answers must not change; `GENERAL` where there are none.
    watch
        Prompts that locality is measured on; every second one of `guard` where there are none.
    neighbours
        So many questions about made-up people are guarded too: what was learnt of one person should not be told of others.

    Raises
    ------
    InputError
        Nothing to learn from, or an adapter is on the model already.
    TrainingError
        A loss was not a number, or `stop` said so.
    GateError
        A limit was missed; the error carries the report.
    """
    began = time.perf_counter()
    recipe, limits = recipe or Recipe(), limits or Limits()
    if lm.fingerprint.adapter:
        raise InputError("The model carries an adapter.", "Take it off before a new one is trained.")
    views = views_of(cubes, styles=recipe.styles, seed=recipe.schedule.seed)
    anchors = tuple(guard) or GENERAL
    measured = tuple(watch) or anchors[1::2]
    if not watch:
        anchors = anchors[0::2]
    around = neighbour_prompts(views.facts, neighbours, seed=recipe.schedule.seed)
    trained = train(
        lm, lessons_of(views), recipe, earlier=[one.adapter for one in earlier], guard=(*anchors, *around),
        replay=[pair for one in earlier for pair in one.lessons], progress=progress, stop=stop,
    )  # fmt: skip
    beside = [(one.adapter, one.probes) for one in earlier]
    report = examine(lm, trained.adapter, views.probes, watch=measured, earlier=beside, limits=limits)
    report.require()
    details = _details(views, trained, report, recipe, len(earlier)) | {
        "seconds": round(time.perf_counter() - began, 3)
    }
    adapter = replace(trained.adapter, details=details)
    write(adapter, target)
    text = (
        f"An adapter of rank {recipe.rank} for {len(views.facts)} facts of {len(cubes)} memories, made with {lm.name}."
    )
    return Artefact(Form.PARAMETRIC, FORMAT, target, adapter.fingerprint.to_json(), details, text)


def lessons_of(views: Views) -> list[tuple[str, str]]:
    """The training views as prompts with answers."""
    return [(view.prompt, view.answer) for view in views.training]


def neighbour_prompts(
    facts: Sequence[Fact], n: int, *, seed: int = 0, leave_out: Sequence[str] = ()
) -> tuple[str, ...]:
    """Questions and sentences as those of the facts, about people of recombined names whom no fact is about.

    `leave_out` names people who are not asked about either, so that locality can be measured on them.
    """
    if not facts or n < 1:
        return ()
    dice = random.Random(f"neighbours {seed}")  # noqa: S311  # no secret
    subjects, no_one = sorted({fact.subject for fact in facts}), set(leave_out)
    firsts = [*(name.split()[0] for name in subjects), *FIRST_NAMES]
    lasts = [*(name.split()[-1] for name in subjects if " " in name), *LAST_NAMES]
    found: dict[str, None] = {}
    for _ in range(4 * n):
        name = f"{dice.choice(firsts)} {dice.choice(lasts)}"
        fact = dice.choice(facts)
        if name in subjects or name in no_one:
            continue
        ways = wording(fact)
        prompts = [f"Question: {filled(one, fact, name)} Answer:" for one in ways.questions]
        prompts.extend(cloze(one, Fact(name, fact.relation, fact.value)) for one in ways.statements)
        found[dice.choice(prompts)] = None
        if len(found) == n:
            break
    return tuple(found)


def _details(views: Views, trained: Trained, report: GateReport, recipe: Recipe, earlier: int) -> dict[str, Any]:
    """What is known of the adapter. Counts and figures only: no text of a memory."""
    return {
        "sources": [list(source) for source in views.sources], "facts": len(views.facts), "views": len(views.training),
        "tokens": trained.learned.tokens, "steps": len(trained.learned.losses), "loss": trained.learned.losses[-1],
        "training_seconds": round(trained.seconds, 3), "bytes": trained.adapter.nbytes, "beside": earlier,
        "recipe": asdict(recipe), "gate": report.to_json(),
    }  # fmt: skip
