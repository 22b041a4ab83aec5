"""The run: examples to forget, examples to keep, a method, and what comes of it. The model that is passed is never changed."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor, nn
from torch.func import functional_call

from remanence.errors import InputError, TrainingError
from remanence.parametric.unlearning import fila
from remanence.parametric.unlearning.examples import Batch, Example, batch, drawn, without_shared_end
from remanence.parametric.unlearning.factors import Factor, Factors, attached, fresh, joined, linears, refuse_adapters
from remanence.parametric.unlearning.losses import OBJECTIVES, Objective, Told, told

Method = Literal["ihl", "ihl+fila", "ga", "gd", "kl", "npo"]
Where = Literal["adapter", "full"]

LEARNING_RATES: Mapping[tuple[str, str], float] = {
    ("adapter", "ihl"): 4e-3, ("adapter", "ihl+fila"): 2e-3, ("adapter", "ga"): 1e-3, ("adapter", "gd"): 2e-3,
    ("adapter", "kl"): 4e-3, ("adapter", "npo"): 4e-3,
    ("full", "ihl"): 4e-4, ("full", "ga"): 2e-4, ("full", "gd"): 4e-4, ("full", "kl"): 4e-4, ("full", "npo"): 8e-4,
}  # fmt: skip
"""Where `lr` is not given: for models of about 0.2M parameters (`benchmarks/forms/unlearning.py` tries five of each). A model of a billion wants 1e-4 to 2e-4 on adapters."""
_DECAY = 0.01


class HasModel(Protocol):
    """What holds a causal language model of transformers, such as a `CausalLM`."""

    @property
    def model(self) -> Any:
        """The model itself."""
        ...


@dataclass(frozen=True, slots=True)
class Unlearned:
    """What a run came to. Nothing is in force until the caller puts it there, and the model that it started from is the way back."""

    method: str
    on: Where
    factors: dict[str, Factor] | None
    """`on="adapter"`: the change of the original base that replaces the adapter that was passed."""
    weights: dict[str, Tensor] | None
    """`on="full"`: the new parameters by name."""
    steps: int
    lr: float
    seed: int
    losses: tuple[tuple[float, float], ...]
    """The forget loss and the retain loss at each step; 0 where a method has no retain loss."""
    seconds: float
    importance_seconds: float
    """The part of `seconds` that the Fisher importance took."""

    def details(self) -> dict[str, Any]:
        """Without tensors, as JSON."""
        return {
            "method": self.method, "on": self.on, "steps": self.steps, "lr": self.lr, "seed": self.seed,
            "seconds": round(self.seconds, 3), "importance_seconds": round(self.importance_seconds, 3),
            "rank": max((one.rank for one in self.factors.values()), default=0) if self.factors else 0,
            "first_losses": list(self.losses[0]), "last_losses": list(self.losses[-1]),
        }  # fmt: skip


@dataclass(slots=True)
class _Plan:
    """What is trained, and how the model runs with it."""

    leaves: list[Tensor]
    run: Callable[[Batch], Tensor]
    """Logits [B, T, V] with what is trained."""
    before: Callable[[Batch], Tensor]
    """Logits of where it started."""
    factors: Callable[[], dict[str, Factor]] | None
    weights: dict[str, Tensor] | None


def unlearn(
    lm: HasModel, forget: Sequence[Example], retain: Sequence[Example], *, method: Method = "ihl", on: Where = "adapter",
    adapter: Factors | None = None, rank: int = 8, endings: Sequence[str] = (), steps: int = 60, lr: float | None = None,
    batch_size: int = 32, seed: int = 0, stop: Callable[[], bool] | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Unlearned:  # fmt: skip
    """Train a model, or an adapter of it, not to give some answers, while it keeps others.

    The forget loss is added to the retain loss, both with weight 1, on `batch_size` examples of each side in each of `steps`; AdamW,
    weight decay 0.01, a constant learning rate.

    `lm` is not changed, whatever happens: new factors of the original base, or new weights, come back. `forget` are prompts with the
    answers that are to go; a last token that all answers of both sides have, such as the full stop, is left out. `retain` are those
    that are to stay; `ga` does not look at them, and destroys them.

    `method`: `ihl` (LoKU's inverted hinge), `ihl+fila` (begun from a Fisher-weighted cut, adapters only), `ga` (gradient ascent), `gd`
    (ascent and cross-entropy), `kl` (ascent and KL to the model before), `npo` (beta 0.1, and cross-entropy). The oracle, training
    without the examples, is no method of this function. `on` an adapter changes low-rank factors, `full` every parameter.

    `adapter` are the factors in which the memory lives, if it lives in an adapter: they are trained further. With FILA they stay as
    they are, and the result has 2 r ranks more. Without them, new factors of rank `rank` are put on the layers whose names end as
    `endings` says; () for every linear layer but the output head. `lr` None is that of `LEARNING_RATES`. `seed` decides the order of the
    examples, new factors, and the retain examples that FILA looks at. `stop` is asked before every step; `progress` is told the
    step, the number of steps, and the loss.

    Raises
    ------
    InputError
        No examples, or options that contradict each other.
    TrainingError
        The loss is not a number, or `stop` said so. Nothing has changed.
    """
    began = time.perf_counter()
    refuse_adapters(lm.model)
    objective, rate = _checked(method, on, forget, retain, adapter, steps, batch_size, lr)
    forget = without_shared_end(forget, retain)
    generator = torch.Generator().manual_seed(seed)
    device = next(lm.model.parameters()).device
    importance = 0.0
    if on == "full":
        plan = _full(lm.model)
    else:
        held, layers = dict(adapter or {}), linears(lm.model, tuple(adapter or ()) or endings)
        begun = None
        if objective.fila:  # as many retain examples as forget examples, as LoKU draws them
            some = next(drawn(retain, len(forget), generator))
            begun = fila.start(lm.model, layers, forget, some, rank, held=held, device=device)
        importance = time.perf_counter() - began if begun else 0.0
        plan = _low_rank(lm.model, held, held if held and not begun else fresh(layers, rank, generator), begun)
    sides = (drawn(forget, batch_size, generator), drawn(retain or forget, batch_size, generator))
    pairs = ((batch(next(sides[0]), device), batch(next(sides[1]), device)) for _ in range(steps))
    losses = _trained(plan, objective, pairs, steps, rate, stop, progress)
    return Unlearned(
        method, on, plan.factors() if plan.factors else None,
        {name: tensor.detach() for name, tensor in plan.weights.items()} if plan.weights is not None else None,
        steps, rate, seed, losses, time.perf_counter() - began, importance,
    )  # fmt: skip


def _trained(
    plan: _Plan, objective: Objective, pairs: Iterator[tuple[Batch, Batch]], steps: int, rate: float,
    stop: Callable[[], bool] | None, progress: Callable[[int, int, float], None] | None,
) -> tuple[tuple[float, float], ...]:  # fmt: skip
    optimiser = torch.optim.AdamW(plan.leaves, lr=rate, weight_decay=_DECAY)
    losses: list[tuple[float, float]] = []
    for step, (forget, retain) in enumerate(pairs, 1):
        if stop is not None and stop():
            raise TrainingError(
                f"Unlearning was stopped before step {step} of {steps}.", "Nothing was changed; run it again."
            )
        total, parts = _loss(plan, objective, forget, retain)
        if not math.isfinite(sum(parts)):
            raise TrainingError(
                f"The loss is not a number at step {step} of {steps}.",
                "Nothing was changed. Use a lower learning rate.",
            )
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        losses.append(parts)
        if progress is not None:
            progress(step, steps, sum(parts))
    if not all(bool(torch.isfinite(one).all()) for one in plan.leaves):
        raise TrainingError(
            "A weight is not a number after the last step.", "Nothing was changed. Use a lower learning rate."
        )
    return tuple(losses)


def _checked(
    method: str, on: str, forget: Sequence[Example], retain: Sequence[Example], adapter: Factors | None, steps: int,
    batch_size: int, lr: float | None,
) -> tuple[Objective, float]:  # fmt: skip
    objective = OBJECTIVES.get(method)
    if objective is None:
        raise InputError(f"There is no method {method!r}.", f"Use one of: {', '.join(OBJECTIVES)}.")
    if on not in get_args(Where):
        raise InputError(f"Nothing can be unlearned on {on!r}.", "Use adapter or full.")
    if on == "full" and (adapter or objective.fila):
        raise InputError("An adapter and FILA belong to on='adapter'.", "Leave them out, or unlearn on the adapter.")
    if not forget:
        raise InputError("There is nothing to unlearn.", "Give at least one prompt with its answer.")
    if not retain and (objective.retain is not None or objective.fila):
        raise InputError(f"The method {method} needs examples to keep.", "Give some, or everything else is lost.")
    if steps < 1 or batch_size < 1 or (lr is not None and not 0 < lr < math.inf):
        raise InputError("Steps, batch size and learning rate are positive.", "Correct the one that is not.")
    return objective, LEARNING_RATES[on, method] if lr is None else lr


def _full(model: nn.Module) -> _Plan:
    weights = {name: tensor.detach().clone().requires_grad_() for name, tensor in model.named_parameters()}

    def run(put: Batch) -> Tensor:
        return functional_call(model, weights, (put.ids,), {"attention_mask": put.mask, "use_cache": False}).logits

    return _Plan(list(weights.values()), run, lambda put: _plain(model, {}, put), None, weights)


def _low_rank(model: nn.Module, held: Factors, begun_with: Factors, cut: fila.Start | None) -> _Plan:
    base = cut.trained if cut else begun_with
    trained = {
        name: Factor(one.a.detach().clone().requires_grad_(), one.b.detach().clone().requires_grad_())
        for name, one in base.items()
    }
    parts: list[Factors] = [trained, cut.removed, held] if cut else [trained]
    leaves = [tensor for one in trained.values() for tensor in (one.a, one.b)]

    def result() -> dict[str, Factor]:
        return {name: Factor(one.a.detach(), one.b.detach()) for name, one in joined(parts).items()}

    return _Plan(
        leaves, lambda put: _plain(model, joined(parts), put), lambda put: _plain(model, held, put), result, None
    )


def _plain(model: nn.Module, factors: Factors, put: Batch) -> Tensor:
    with attached(model, factors) if factors else nullcontext():
        return model(put.ids, attention_mask=put.mask, use_cache=False).logits


def _loss(plan: _Plan, objective: Objective, forget: Batch, retain: Batch) -> tuple[Tensor, tuple[float, float]]:
    lost = objective.forget(_told(plan, objective, forget)).mean()
    if objective.retain is None:
        return lost, (lost.item(), 0.0)
    kept = objective.retain(_told(plan, objective, retain)).mean()
    return lost + kept, (lost.item(), kept.item())


def _told(plan: _Plan, objective: Objective, put: Batch) -> Told:
    reference = None
    if objective.compares:
        with torch.no_grad():
            reference = plan.before(put)
    return told(plan.run(put), put.labels, reference)


def with_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> Any:
    """A copy of a model that holds other parameters, in evaluation mode. The model itself stays as it is: it is the way back."""
    changed = copy.deepcopy(model)
    named = dict(changed.named_parameters())
    with torch.no_grad():
        for name, tensor in weights.items():
            named[name].copy_(tensor)
    return changed.eval()
