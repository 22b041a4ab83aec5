"""The training loop of this room: prompts with answers, the loss on the answers, seeded, stoppable, never half done.

What trains is up to the caller: the tensors that require gradients. Where a run breaks off, by `stop`, by Ctrl-C or by a loss
that is not a number, they are what they were before.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from remanence.errors import InputError, TrainingError

_BUCKET = 4  # batches that are sorted by length together, so that little of them is padding


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids, of which those from `answer` on are to be learnt."""

    ids: tuple[int, ...]
    answer: int

    def __post_init__(self) -> None:
        if not 1 <= self.answer < len(self.ids):
            raise InputError("An example needs a prompt and an answer.", "Leave out what has no tokens.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how fast."""

    steps: int = 300
    batch: int = 32
    rate: float = 3e-3
    """The highest learning rate; it rises over the first 8 % of the steps and falls as a cosine to 5 % of it."""
    decay: float = 0.01
    """Weight decay of AdamW."""
    clip: float = 1.0
    """The largest norm of a gradient."""
    prompt: float = 0.0
    """Weight of the loss on the tokens of prompts; 1 for those of answers."""
    seed: int = 0

    def at(self, step: int) -> float:
        """The learning rate of a step."""
        warm = max(1, round(0.08 * self.steps))
        return self.rate * min(1.0, (step + 1) / warm) * (0.05 + 0.475 * (1 + math.cos(math.pi * step / self.steps)))


@dataclass(frozen=True, slots=True)
class Learned:
    """How a training went."""

    losses: tuple[float, ...]
    """One for each step."""
    seconds: float
    tokens: int
    """Read, padding included."""


Extra = Callable[[int], Tensor]
"""Something to add to the loss of a step: a penalty, a divergence."""


def learn(
    model: PreTrainedModel, examples: Sequence[Example], schedule: Schedule, *, extra: Sequence[Extra] = (),
    progress: Callable[[int, float], None] | None = None, stop: Callable[[], bool] | None = None,
) -> Learned:  # fmt: skip
    """Train the tensors of `model` that require gradients on `examples`. The model is left in eval mode.

    Raises
    ------
    InputError
        There is nothing to learn from, or nothing that can learn.
    TrainingError
        A loss is not a number, or `stop` said so. As on KeyboardInterrupt, the tensors are what they were before.
    """
    weights = [tensor for tensor in model.parameters() if tensor.requires_grad]
    if not examples or not weights:
        raise InputError(
            "There is nothing to train.", "Pass examples, and a model with tensors that require gradients."
        )
    before = [tensor.detach().clone() for tensor in weights]
    done = False
    try:
        learned = _run(model, weights, examples, schedule, extra, progress, stop)
        done = True
    finally:
        model.eval()
        if not done:  # whatever ended it: the model must not stay half trained
            _put_back(weights, before)
    return learned


@torch.no_grad()
def _put_back(weights: Sequence[nn.Parameter], before: Sequence[Tensor]) -> None:
    for tensor, old in zip(weights, before, strict=True):
        tensor.copy_(old)
        tensor.grad = None


def _run(
    model: PreTrainedModel, weights: list[nn.Parameter], examples: Sequence[Example], schedule: Schedule,
    extra: Sequence[Extra], progress: Callable[[int, float], None] | None, stop: Callable[[], bool] | None,
) -> Learned:  # fmt: skip
    optimiser = torch.optim.AdamW(weights, lr=schedule.rate, betas=(0.9, 0.98), weight_decay=schedule.decay)
    losses: list[float] = []
    began, tokens = time.perf_counter(), 0
    model.train()
    torch.manual_seed(schedule.seed)  # dropout of adapters
    for step, batch in zip(range(schedule.steps), batches(examples, schedule), strict=False):
        if stop is not None and stop():
            raise TrainingError(f"The training was stopped after {step} steps.", "Nothing was changed. Start it again.")
        ids, marks = padded(batch, schedule.prompt, model.device)
        loss = answer_loss(model, ids, marks)
        for more in extra:
            loss = loss + more(step)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"The loss of step {step + 1} is not a number.",
                "Nothing was changed. Lower the learning rate, or train in float32.",
            )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, schedule.clip)
        for group in optimiser.param_groups:
            group["lr"] = schedule.at(step)
        optimiser.step()
        losses.append(value)
        tokens += ids.numel()
        if progress is not None:
            progress(step + 1, value)
    optimiser.zero_grad(set_to_none=True)
    return Learned(tuple(losses), time.perf_counter() - began, tokens)


def batches(examples: Sequence[Example], schedule: Schedule) -> Iterator[list[Example]]:
    """Batches without end, every example once per round in a seeded order, those of one length together."""
    dice = random.Random(schedule.seed)  # noqa: S311  # no secret
    size = min(schedule.batch, len(examples))
    waiting: list[Example] = []
    while True:
        while len(waiting) < size * _BUCKET:
            some = list(examples)
            dice.shuffle(some)
            waiting.extend(some)
        some, waiting = sorted(waiting[: size * _BUCKET], key=lambda one: len(one.ids)), waiting[size * _BUCKET :]
        groups = [some[at : at + size] for at in range(0, len(some), size)]
        dice.shuffle(groups)
        yield from groups


def padded(batch: Sequence[Example], prompt: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids and weights of a batch, both [B, T]; padded on the right with id 0 and weight 0."""
    longest = max(len(one.ids) for one in batch)
    ids = [[*one.ids, *(0 for _ in range(longest - len(one.ids)))] for one in batch]
    marks = [
        [
            *(prompt for _ in range(one.answer)),
            *(1.0 for _ in one.ids[one.answer :]),
            *(0.0 for _ in range(longest - len(one.ids))),
        ]
        for one in batch
    ]
    return torch.tensor(ids, device=device), torch.tensor(marks, device=device)


def answer_loss(model: PreTrainedModel, ids: Tensor, marks: Tensor) -> Tensor:
    """Mean negative log-likelihood of the tokens, weighted by `marks` [B, T]. Padding is on the right, so no mask is needed."""
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
    losses = functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    weight = marks[:, 1:].flatten()
    return (losses * weight).sum() / weight.sum()
