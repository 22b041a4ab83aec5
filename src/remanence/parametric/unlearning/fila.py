"""FILA: an adapter that starts from the part of the weights which the forget set needs more than the retain set.

LoKU (arXiv 2408.06621, ICLR 2025, section 4.2). Two things differ from the published code, both on purpose. Row weights are divided
by their mean, since the absolute constant under the Fisher ratio otherwise makes |A| tiny and |B| huge, and every step of Adam far
too large; B A is the same for every scale of them. And the result is a change of the original weights: the published adapter
is valid only on weights from which it was subtracted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from remanence.errors import InputError
from remanence.parametric.unlearning.examples import Example, batch
from remanence.parametric.unlearning.factors import Factor, Factors
from remanence.parametric.unlearning.losses import cross_entropy, told

_RIDGE = 1e-5


@dataclass(frozen=True, slots=True)
class Start:
    """Where training starts: what is trained, and what is taken away so that nothing changes at step 0."""

    trained: dict[str, Factor]
    """A, B with B A the part that was cut out."""
    removed: dict[str, Factor]
    """A, -B: stays as it is. `joined([trained, removed])` is the change of the original weights, of rank 2 r."""


def effective(layers: Mapping[str, nn.Linear], held: Factors) -> dict[str, Tensor]:
    """The weights of layers with what an adapter adds to them, by parameter name, detached."""
    return {
        f"{name}.weight": (
            layer.weight.detach() + held[name].change().detach().to(layer.weight.dtype) if name in held else layer.weight.detach()
        )
        for name, layer in layers.items()
    }  # fmt: skip


def fisher(
    model: nn.Module, chosen: Sequence[Example], weights: Mapping[str, Tensor], device: torch.device | str = "cpu"
) -> dict[str, Tensor]:
    """The diagonal of the empirical Fisher information of weights [out, in], one example at a time.

    Squared gradients of an example's mean answer loss, weighted by its number of answer tokens. `weights` are by parameter name and are
    used in place of the model's own; the model is not changed.
    """
    if not chosen:
        raise InputError("Importance needs examples.", "Give at least one to forget and one to keep.")
    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    sums = {name: torch.zeros_like(weight) for name, weight in leaves.items()}
    tokens = 0
    for one in chosen:
        put = batch([one], device)
        out = functional_call(model, leaves, (put.ids,), {"attention_mask": put.mask, "use_cache": False})
        gradients = torch.autograd.grad(cross_entropy(told(out.logits, put.labels)).mean(), list(leaves.values()))
        for name, gradient in zip(sums, gradients, strict=True):
            sums[name] += gradient.square() * len(one.answer)
        tokens += len(one.answer)
    return {name: total / tokens for name, total in sums.items()}


def row_weights(forget: Tensor, retain: Tensor) -> Tensor:
    """How much more the forget set needs each output row [out], mean 1: sqrt of the row sums of F_f / (F_r + 1e-5)."""
    rows = (forget / (retain + _RIDGE)).sum(1).sqrt()
    mean = rows.mean()
    return rows / mean if float(mean) > 0 else torch.ones_like(rows)


def split(weight: Tensor, rows: Tensor, rank: int) -> Factor:
    """The best rank-r part of a weight [out, in] under row weights: diag(1/w) of the truncated SVD of diag(w) W.

    Exact SVD in float64, so that it has no seed. B and A carry the same share of the singular values.
    """
    scale = rows.double() + _RIDGE
    u, s, v = torch.linalg.svd(scale[:, None] * weight.double(), full_matrices=False)
    root = s[:rank].sqrt()
    a, b = root[:, None] * v[:rank], (u[:, :rank] * root) / scale[:, None]
    balance = (a.norm() / b.norm().clamp_min(1e-12)).sqrt()
    return Factor((a / balance).to(weight.dtype), (b * balance).to(weight.dtype))


def start(
    model: nn.Module, layers: Mapping[str, nn.Linear], forget: Sequence[Example], retain: Sequence[Example], rank: int, *,
    held: Factors, device: torch.device | str = "cpu",
) -> Start:  # fmt: skip
    """Begin an adapter at what the forget set needs. `held` is an adapter that is in force already; it counts as weights.

    Joined, the two parts of the result change nothing: B A - B A = 0 up to rounding.
    """
    weights = effective(layers, held)
    wanted = fisher(model, forget, weights, device)
    kept = fisher(model, retain, weights, device)
    trained = {
        name: split(weights[key], row_weights(wanted[key], kept[key]), rank)
        for name, key in ((name, f"{name}.weight") for name in layers)
    }
    removed = {name: Factor(factor.a.clone(), -factor.b) for name, factor in trained.items()}
    return Start({name: Factor(one.a.clone(), one.b.clone()) for name, one in trained.items()}, removed)
