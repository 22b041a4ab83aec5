"""Training a small causal language model: packed tokens, AdamW or Muon, stops and goes on bit for bit.

A step depends on its number, the settings, the data and the state of the optimiser, and on nothing that is drawn while it
runs; so a training that was stopped and goes on ends with the same weights on the same machine.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from math import isfinite, log
from pathlib import Path
from typing import Any, cast, get_args

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from remanence.errors import InputError, TrainingError
from remanence.models.local import checkpoints, optimising
from remanence.models.local.optimising import Decline, Rule
from remanence.models.local.packing import MOST_HELD_OUT, Data, rows

Progress = Callable[[int, int], None]
"""Called after each step with the steps done and all of them."""

_TIMED = 3  # steps that are timed to turn minutes into a number of steps


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSpec:
    """How a training goes. Saved with its state.

    Raises
    ------
    InputError
        A number is out of its range.
    """

    steps: int = 1000
    minutes: float = 0.0
    """About how long it may take: the first steps are timed, and `steps` becomes what fits. 0 for `steps` as they are."""
    context: int = 256
    """Tokens of a row."""
    batch: int = 16
    """Rows of a step."""
    lr: float = 1e-2
    """The highest learning rate. 0.01 was the best of four for AdamW at depth 2; deeper models may want less."""
    rule: Rule = "adamw"
    warmup: float = 0.05
    """Share of the steps in which the learning rate rises."""
    decline: Decline = "linear"
    cooldown: float = 0.5
    """Share of the steps in which it falls, if in a line."""
    weight_decay: float = 0.1
    clip: float = 1.0
    """Largest norm of the gradient."""
    seed: int = 0
    evaluate_every: int = 200
    """Steps between two looks at the held-out part; 0 for one at the end."""
    save_every: int = 200
    """Steps between two saved states."""
    compiled: bool = True
    """`torch.compile` on a GPU; the CPU goes without."""

    def __post_init__(self) -> None:
        for name in ("steps", "context", "batch", "save_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)!r}.", "Use a whole number of at least 1.")
        for name in ("lr", "clip"):
            if not isfinite(getattr(self, name)) or getattr(self, name) <= 0:
                raise InputError(f"{name} is {getattr(self, name)!r}.", "Use a number above 0.")
        for name in ("warmup", "cooldown"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)!r}.", "Use a share from 0 to 1.")
        if not (isfinite(self.minutes) and self.minutes >= 0 and self.weight_decay >= 0 and self.evaluate_every >= 0):
            raise InputError("minutes, weight_decay or evaluate_every is below 0.", "Use 0 or more.")
        for name, allowed in (("rule", get_args(Rule)), ("decline", get_args(Decline))):
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} is {getattr(self, name)!r}.", f"Use one of: {', '.join(allowed)}.")


@dataclass(frozen=True, slots=True)
class Measured:
    """How far a training was at a step. Losses are in nats per token."""

    step: int
    loss: float
    """Mean over the training rows since the last look."""
    held_out: float | None
    """On the held-out part; None where there is none."""
    bits_per_byte: float | None
    """The same per byte of text, in bits: comparable between tokenizers."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a training."""

    steps: int
    tokens: int
    """Tokens that were predicted, over all steps."""
    loss: float
    """Of the last look."""
    held_out: float | None
    bits_per_byte: float | None
    seconds: float
    """Of this run; what came before a resumption does not count."""
    history: tuple[Measured, ...]


def train(
    model: PreTrainedModel,
    data: Data,
    spec: TrainSpec,
    *,
    folder: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Trained:
    """Train all weights of a model, in place. It ends in evaluation mode.

    On the CPU in float32; on a GPU in bfloat16 with weights in float32, compiled.

    Parameters
    ----------
    model
        Where it is; all of its parameters are trained.
    data
        See `packing.pack`.
    spec
        How; with `resume`, the saved one is used instead.
    folder
        A model folder that the state is saved to at once, every `save_every` steps and at the end; None to save nothing.
    resume
        Go on with the state in `folder`.
    progress
        Called after each step.

    Raises
    ------
    TrainingError
        The loss or the gradient is not a number. The last saved state stays as it is.
    InputError
        More context than the model has positions, or the state of another training.
    KeyboardInterrupt
        As it came, after the step was finished and the state saved; the exception says so. A second one does not wait.
    """
    run = _Run(model, data, folder, progress)
    try:
        with _patient() as asked:
            run.begin(spec, resume=resume)
            run.go(asked)
    finally:
        model.eval()
    return run.result()


def evaluate(model: nn.Module, stream: Tensor, context: int, batch: int = 16) -> float:
    """The mean loss of a stream of ids, in nats per token, each row without what came before it; NaN for less than two ids."""
    stream = stream[:MOST_HELD_OUT].long()
    if len(stream) < 2:
        return float("nan")
    context = min(context, len(stream) - 1)
    pieces = [stream[at : at + context + 1] for at in range(0, len(stream) - 1, context)]
    total, count, was = 0.0, 0, model.training
    model.eval()
    with torch.no_grad():
        for at in range(0, len(pieces), batch):
            for group in _equal(pieces[at : at + batch]):
                part = torch.stack(group)
                total += float(_loss(model, part)) * part[:, 1:].numel()
                count += part[:, 1:].numel()
    model.train(was)
    return total / count


class _Run:
    """One training. Between two steps its state is whole."""

    def __init__(self, model: PreTrainedModel, data: Data, folder: Path | None, progress: Progress | None) -> None:
        self._model, self._data, self._folder, self._progress = model, data, folder, progress
        self._step, self._saved, self._whole = 0, -1, True
        self._sum, self._count = 0.0, 0
        self._history: list[Measured] = []

    def begin(self, spec: TrainSpec, *, resume: bool) -> None:
        """Check what was passed, and take up a saved state."""
        state = None
        if resume:
            if self._folder is None:
                raise InputError("There is no folder to go on from.", "Pass the folder of the training.")
            state = checkpoints.read(self._folder)
            if state.said.get("data") != self._data.digest:
                raise InputError(
                    "The texts are not those that the training began with.", "Pass the same, in their order."
                )
            spec = TrainSpec(**state.said["spec"])
        room = cast(int, getattr(self._model.config, "max_position_embeddings", spec.context))
        if spec.context > room:
            raise InputError(
                f"A context of {spec.context} is over the {room} positions of the model.", "Use a shorter one."
            )
        self._model.train().requires_grad_(True)
        self._optimisers = optimising.optimisers(self._model, spec.rule, spec.weight_decay)
        on_gpu = self._model.device.type == "cuda"
        self._forward = cast(nn.Module, torch.compile(self._model)) if on_gpu and spec.compiled else self._model
        if state is not None:
            checkpoints.restore(state, self._model, self._optimisers)
            self._step = self._saved = int(state.said["step"])
            self._sum, self._count = float(state.said["sum"]), int(state.said["count"])
            self._history = [Measured(**one) for one in state.said["history"]]
        elif spec.minutes:
            spec = replace(spec, steps=self._fitting(spec))
        self._spec = spec
        self._seconds = time.monotonic()
        self._save()  # so that a training that breaks off at once can be gone on with too

    def go(self, asked: Callable[[], bool]) -> None:
        """Step until the end, or until somebody asks to stop."""
        spec = self._spec
        try:
            while self._step < spec.steps:
                self._one()
                done = self._step
                if done == spec.steps or (spec.evaluate_every and done % spec.evaluate_every == 0):
                    self._look()
                if done == spec.steps or done % spec.save_every == 0:
                    self._save()
                if self._progress is not None:
                    self._progress(done, spec.steps)
                if asked():
                    raise KeyboardInterrupt  # noqa: TRY301 — as if it came here by itself
        except KeyboardInterrupt as error:
            self._save()
            if self._folder is not None and self._saved >= 0:
                error.add_note(
                    f"Stopped after {self._saved:,} of {spec.steps:,} steps; they are saved in {self._folder}."
                )
                error.add_note("Run the same command with --resume: it goes on from there.")
            raise

    def result(self) -> Trained:
        """What came of it."""
        last = self._history[-1] if self._history else Measured(self._step, float("nan"), None, None)
        per_step = self._spec.batch * min(self._spec.context, len(self._data.train) - 1)
        return Trained(
            self._step, self._step * per_step, last.loss, last.held_out, last.bits_per_byte,
            time.monotonic() - self._seconds, tuple(self._history),
        )  # fmt: skip

    def _one(self) -> None:
        spec = self._spec
        share = optimising.rate(
            self._step, spec.steps, warmup=spec.warmup, decline=spec.decline, cooldown=spec.cooldown
        )
        loss = self._gradient(spec, self._step)
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), spec.clip)
        value = float(loss)
        if not (isfinite(value) and isfinite(float(norm))):
            self._clear()
            kept = f" The state after {self._saved:,} steps is kept." if self._folder else ""
            raise TrainingError(
                f"At step {self._step + 1:,} the loss is {value} and the gradient's norm {float(norm)}.{kept}",
                f"Use a learning rate below {spec.lr:g}.",
            )
        self._whole = False
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                group["lr"] = spec.lr * share
            optimiser.step()
        self._clear()
        self._step += 1
        self._whole = True
        self._sum, self._count = self._sum + value, self._count + 1

    def _gradient(self, spec: TrainSpec, step: int) -> Tensor:
        part = rows(self._data.train, step, batch=spec.batch, context=spec.context, seed=spec.seed)
        loss = _loss(self._forward, part)
        loss.backward()
        return loss.detach()

    def _clear(self) -> None:
        for optimiser in self._optimisers:
            optimiser.zero_grad(set_to_none=True)

    def _look(self) -> None:
        mean, self._sum, self._count = self._sum / max(1, self._count), 0.0, 0
        held: float | None = None
        bits: float | None = None
        stream = self._data.held_out[:MOST_HELD_OUT]
        if len(stream) > 1:
            held = evaluate(self._model, stream, self._spec.context)
            # What the whole held-out part has of bytes per token, since its beginning stands for it.
            per_byte = (len(self._data.held_out) - 1) / max(1, self._data.held_out_bytes)
            bits = held / log(2) * per_byte
        self._history.append(Measured(self._step, mean, held, bits))

    def _save(self) -> None:
        if self._folder is None or self._saved == self._step or not self._whole:
            return
        said = {
            "step": self._step, "spec": asdict(self._spec), "data": self._data.digest, "sum": self._sum, "count": self._count,
            "history": [asdict(one) for one in self._history],
        }  # fmt: skip
        checkpoints.save(self._folder, self._model, self._optimisers, said)
        self._saved = self._step

    def _fitting(self, spec: TrainSpec) -> int:
        """How many steps fit the minutes, by the time that a few take whose gradients are thrown away."""
        self._gradient(spec, 0)  # the first one also compiles
        start = time.monotonic()
        for step in range(_TIMED):
            self._gradient(spec, step)
        self._clear()
        return max(1, int(spec.minutes * 60 / ((time.monotonic() - start) / _TIMED * 1.1)))


def _loss(model: nn.Module, part: Tensor) -> Tensor:
    """The mean loss of rows, in nats per token."""
    device = next(model.parameters()).device
    part = part.to(device)
    on_gpu = device.type == "cuda"
    with torch.autocast("cuda", dtype=torch.bfloat16) if on_gpu else nullcontext():
        logits = cast(Any, model)(input_ids=part[:, :-1], use_cache=False).logits
    return nn.functional.cross_entropy(logits.float().flatten(0, 1), part[:, 1:].flatten())


def _equal(pieces: list[Tensor]) -> list[list[Tensor]]:
    """Pieces of one length together; only the last one of a stream is shorter."""
    found: dict[int, list[Tensor]] = {}
    for piece in pieces:
        found.setdefault(len(piece), []).append(piece)
    return [group for length, group in found.items() if length > 1]


@contextmanager
def _patient() -> Generator[Callable[[], bool]]:
    """Let a step end before Ctrl-C takes effect, since half a step cannot be gone on from. A second one takes effect at once."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield lambda: False
        return
    asked = False

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        if asked and callable(before):
            before(number, frame)
        asked = True

    signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
