"""What unlearning minimises, all behind one interface: values per token or per sequence from the logits and labels of answers.

Inverted hinge: LoKU (arXiv 2408.06621, ICLR 2025, section 4). Negative preference optimisation: NPO (arXiv 2404.05868). Gradient
ascent and gradient difference: Jang et al. (arXiv 2210.01504), Liu et al. (CoLLAs 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from remanence.errors import InputError
from remanence.parametric.unlearning.examples import IGNORED


@dataclass(frozen=True, slots=True)
class Told:
    """What a model says of the tokens of some answers. N tokens of B sequences, vocabulary V."""

    logits: Tensor
    """Of the position before each token [N, V], float32."""
    labels: Tensor
    """The tokens [N]."""
    rows: Tensor
    """The sequence of each token [N], from 0."""
    reference: Tensor | None = None
    """The logits of the model that unlearning started from [N, V], for losses that need them."""

    @property
    def sequences(self) -> int:
        """How many there are."""
        return int(self.rows.max()) + 1


Loss = Callable[[Told], Tensor]
"""Values of each token [N] or of each sequence [B]. Their mean is minimised."""


def told(logits: Tensor, labels: Tensor, reference: Tensor | None = None) -> Told:
    """Pick the answers' tokens out of logits [B, T, V] and labels [B, T]; label t belongs to the logits at t - 1."""
    looked_at = labels[:, 1:] != IGNORED
    rows = torch.nonzero(looked_at)[:, 0]
    picked = None if reference is None else reference[:, :-1][looked_at].float()
    return Told(logits[:, :-1][looked_at].float(), labels[:, 1:][looked_at], rows, picked)


def inverted_hinge(of: Told) -> Tensor:
    """1 + p_t - p_m per token [N]: p_t is the probability of the token, p_m that of the likeliest other one.

    In [0, 2], so that the gradients stay bounded; the mass of a forgotten token moves to the runner-up.
    """
    shares = of.logits.softmax(-1)
    true = shares.gather(1, of.labels[:, None])[:, 0]
    others = shares.scatter(1, of.labels[:, None], -1.0)
    return 1 + true - others.amax(-1)


def cross_entropy(of: Told) -> Tensor:
    """-log p_t per token [N]: what is kept."""
    return functional.cross_entropy(of.logits, of.labels, reduction="none")


def ascent(of: Told) -> Tensor:
    """Log p_t per token [N]: gradient ascent on the cross-entropy. It has no lower bound, and its gradient never vanishes."""
    return -cross_entropy(of)


def divergence(of: Told) -> Tensor:
    """KL(reference || model) per token [N]."""
    before = _needed(of).log_softmax(-1)
    return (before.exp() * (before - of.logits.log_softmax(-1))).sum(-1)


def npo(of: Told, beta: float = 0.1) -> Tensor:
    """(2 / beta) log(1 + (p / p_reference) ^ beta) per sequence [B], with p the probability of the whole answer."""
    ratio = functional.cross_entropy(_needed(of), of.labels, reduction="none") - cross_entropy(of)
    sums = torch.zeros(of.sequences, dtype=ratio.dtype, device=ratio.device).index_add(0, of.rows, ratio)
    return 2 / beta * functional.softplus(beta * sums)


def _needed(of: Told) -> Tensor:
    if of.reference is None:
        raise InputError("This loss compares with a reference model.", "Pass the reference's logits to `told`.")
    return of.reference


@dataclass(frozen=True, slots=True)
class Objective:
    """A forget loss, and the retain loss that is added to it with weight 1."""

    forget: Loss
    retain: Loss | None
    compares: bool = False
    """Whether one of them needs the reference model's logits."""
    fila: bool = False
    """Whether the adapter starts from the Fisher-weighted initialisation."""


OBJECTIVES: Mapping[str, Objective] = {
    "ihl": Objective(inverted_hinge, cross_entropy),
    "ihl+fila": Objective(inverted_hinge, cross_entropy, fila=True),
    "ga": Objective(ascent, None),
    "gd": Objective(ascent, cross_entropy),
    "kl": Objective(ascent, divergence, compares=True),
    "npo": Objective(npo, cross_entropy, compares=True),
}
"""By the names that `unlearn` takes."""
