"""A nano model that knows a synthetic world: for tests, documents and benchmarks, trained in about half a minute.

It answers what it was taught by heart, and questions about strangers by reading a context. Facts of `World.fresh` are new to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from remanence.evaluation.world import World
from remanence.models.local.causal import CausalLM
from remanence.models.local.nano import NanoSpec, new
from remanence.models.local.tokenizing import word_tokenizer
from remanence.parametric.training import Example, Schedule, learn

SCHEDULE = Schedule(steps=600, batch=64, rate=3e-3, decay=0.1, prompt=0.05)
COPIES = 4000


def teach(
    world: World, *, depth: int = 3, width: int = 64, schedule: Schedule = SCHEDULE, copies: int = COPIES, also: Sequence[tuple[str, str]] = (),
    progress: Callable[[int, float], None] | None = None,
) -> CausalLM:  # fmt: skip
    """Train a model of `depth` layers on the background facts of `world`, and to read.

    Half of what it sees are `copies`, the rest is the curriculum and what it is to learn `also`, as often as it takes. The words
    are those of the world, so that new people have names that it can spell, and those of `also`.
    """
    tokenizer = word_tokenizer([*world.words(), *("".join(pair) for pair in also)])
    spec = NanoSpec(
        depth=depth, width=width, hidden=3 * width, heads=4, kv_heads=2, vocab=len(tokenizer), seed=schedule.seed
    )
    model = new(spec)
    model.config.remanence_frame = "plain"  # see activation.layout.FRAME
    lm = CausalLM.of(model, tokenizer, name=f"nano that knows world {world.seed}")
    known = examples(lm, [*world.curriculum(), *also])
    read = examples(lm, world.copies(copies, seed=schedule.seed))
    lm.model.requires_grad_(True)
    try:
        learn(lm.model, known * max(1, len(read) // len(known)) + read, schedule, progress=progress)
    finally:
        lm.model.requires_grad_(False)
    return lm


def examples(lm: CausalLM, pairs: Iterable[tuple[str, str]]) -> list[Example]:
    """Prompts with their answers as token ids."""
    found: list[Example] = []
    for prompt, answer in pairs:
        asked = lm.encode(prompt)
        found.append(Example((*asked, *lm.encode(answer)), len(asked)))
    return found
