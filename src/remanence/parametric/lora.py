"""Train a LoRA adapter on views of memories, beside a frozen model and earlier adapters.

Earlier adapters stay active and frozen while a new one learns: what RegLoRA calls merging into the base, without touching it.
Whatever ends a training early, the model is left without the new adapter, and with nothing of it active.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from remanence.errors import InputError
from remanence.models.local.causal import CausalLM
from remanence.parametric.adapterfile import Adapter, Mount, config_for
from remanence.parametric.penalties import TOP, Divergence, RegLoRA, Replay, key_positions
from remanence.parametric.taught import examples
from remanence.parametric.training import Extra, Learned, Schedule, learn

NEW = "candidate"
"""What a new adapter is called while it learns."""
_SENTENCE = re.compile(r"\s*[^.\n]*[.\n]?")
Pairs = Sequence[tuple[str, str]]
"""Prompts with their answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How an adapter is trained.

    Raises
    ------
    InputError
        A weight is negative, or the rank is below 1.
    """

    rank: int = 16
    alpha: float = 32.0
    targets: tuple[str, ...] = ()
    """Ends of module names; all linear layers but the output where there are none."""
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=300, batch=64, rate=3e-3, decay=0.0))
    regularise: float = 0.0
    """Weight of RegLoRA's penalty; SEFE uses 2500."""
    top: float = TOP
    divergence: float = 4.0
    """Weight of the divergence from the incumbent on guard prompts."""
    guards: int = 32
    """Guard prompts for each step."""
    replay: int = 0
    """Earlier views for each step."""
    styles: float = 0.0
    """The share of questions in other answer styles."""

    def __post_init__(self) -> None:
        if min(self.regularise, self.divergence, self.guards, self.replay, self.alpha) < 0 or self.rank < 1:
            raise InputError(
                "A recipe has no negative weights.", "Use 0 to leave a part of it out, and a rank of at least 1."
            )


@dataclass(frozen=True, slots=True)
class Trained:
    """A new adapter, and how its training went."""

    adapter: Adapter
    learned: Learned
    seconds: float
    """All of it, preparation included."""


def train(
    lm: CausalLM, lessons: Pairs, recipe: Recipe, *, earlier: Sequence[Adapter] = (), guard: Sequence[str] = (), replay: Pairs = (),
    progress: Callable[[int, float], None] | None = None, stop: Callable[[], bool] | None = None,
) -> Trained:  # fmt: skip
    """Train a new adapter on prompts with answers.

    Parameters
    ----------
    earlier
        Adapters that stay active beside the new one, in their order.
    guard
        Prompts whose answers must not change: the divergence is taken on what the model answers to them now.
    replay
        Earlier lessons, `recipe.replay` of them at each step.

    Raises
    ------
    InputError
        Nothing to learn from, or the model carries adapters already.
    TrainingError
        A loss was not a number, or `stop` said so.
    ModelMismatchError
        An earlier adapter belongs to another model.
    """
    began = time.perf_counter()
    if not lessons:
        raise InputError("There is nothing to learn.", "Pass at least one prompt with its answer.")
    mount = Mount(lm)
    names = tuple(f"earlier{number}" for number in range(len(earlier)))
    try:
        for name, adapter in zip(names, earlier, strict=True):
            mount.put(name, adapter)
        mount.activate(*names)
        guarded = answered(lm, guard) if recipe.divergence and recipe.guards else []
        torch.manual_seed(recipe.schedule.seed)
        mount.make(NEW, config_for(lm, recipe.rank, recipe.alpha, recipe.targets))
        mount.activate(*names, NEW)
        mount.trainable(NEW)
        extra = _extra(mount, names, recipe, earlier, guarded, replay)
        learned = learn(lm.model, examples(lm, lessons), recipe.schedule, extra=extra, progress=progress, stop=stop)
        adapter = mount.adapter(NEW, {})
    finally:
        mount.close()
    return Trained(adapter, learned, time.perf_counter() - began)


def answered(lm: CausalLM, prompts: Sequence[str], most: int = 12) -> list[tuple[str, str]]:
    """Prompts with the first sentence that the model, as it is now, answers to them; those that it leaves open are left out."""
    texts = lm.generate_many([lm.encode(prompt) for prompt in prompts], max_new=most) if prompts else []
    firsts = [_SENTENCE.match(text) for text in texts]
    return [(prompt, one[0]) for prompt, one in zip(prompts, firsts, strict=True) if one and one[0].strip()]


def _extra(
    mount: Mount, names: tuple[str, ...], recipe: Recipe, earlier: Sequence[Adapter], guarded: Pairs, replay: Pairs
) -> list[Extra]:
    lm, seed = mount.lm, recipe.schedule.seed
    found: list[Extra] = []
    if recipe.regularise and earlier:
        positions = key_positions(earlier, recipe.top)
        found.append(RegLoRA(mount.factors(NEW), positions, recipe.regularise))
    if guarded:
        found.append(Divergence(mount, names, examples(lm, guarded), recipe.divergence, recipe.guards, seed))
    if recipe.replay and replay:
        found.append(Replay(lm, examples(lm, replay), recipe.replay, seed))
    return found
