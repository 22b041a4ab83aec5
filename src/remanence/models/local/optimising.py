"""The optimisers of a training, how fast they go at each step, and their state as named tensors."""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, pi
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

Rule = Literal["adamw", "muon"]
Decline = Literal["linear", "cosine"]

BETAS = (0.9, 0.95)
MUON_LIKE_ADAM = "match_rms_adamw"
"""Muon's updates scaled to the size of AdamW's, so that one learning rate serves both (Liu et al. 2025, section 2.2)."""


def optimisers(model: nn.Module, rule: Rule, weight_decay: float) -> list[Optimizer]:
    """The optimisers over all parameters that can be trained. Gains and biases do not decay.

    `muon` (Jordan et al. 2024) moves the matrices inside the layers, and AdamW the embedding and the gains.
    """
    named = [(name, one) for name, one in model.named_parameters() if one.requires_grad]
    inner = [one for name, one in named if one.dim() == 2 and ".layers." in name] if rule == "muon" else []
    chosen = set(map(id, inner))
    rest = [one for _, one in named if id(one) not in chosen]
    groups = [
        {"params": [one for one in rest if one.dim() >= 2], "weight_decay": weight_decay},
        {"params": [one for one in rest if one.dim() < 2], "weight_decay": 0.0},
    ]
    found: list[Optimizer] = [AdamW([group for group in groups if group["params"]], lr=0.0, betas=BETAS)]
    if inner:
        found.append(Muon(inner, lr=0.0, weight_decay=weight_decay, adjust_lr_fn=MUON_LIKE_ADAM))
    return found


def rate(step: int, steps: int, *, warmup: float, decline: Decline, cooldown: float) -> float:
    """The share of the learning rate at a step, from 0 to `steps` - 1: up in a line, held, and down to almost nothing.

    `cooldown` is the share of the steps in which a linear decline happens; a cosine takes all steps after the warmup.
    """
    rising = max(1, round(steps * warmup))
    if step < rising:
        return (step + 1) / rising
    if decline == "cosine":
        return 0.5 * (1 + cos(pi * (step - rising) / max(1, steps - rising)))
    falling = max(1, round(steps * cooldown))
    return min(1.0, (steps - step) / falling)


def state_tensors(found: list[Optimizer]) -> dict[str, Tensor]:
    """The state of the optimisers as tensors with names; what is a plain number becomes a float64."""
    named: dict[str, Tensor] = {}
    for number, optimiser in enumerate(found):
        for index, state in optimiser.state_dict()["state"].items():
            for key, value in state.items():
                tensor = value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
                named[f"optimiser.{number}.{index}.{key}"] = tensor.detach().cpu().contiguous()
    return named


def load_state(found: list[Optimizer], tensors: Mapping[str, Tensor]) -> None:
    """Put back what `state_tensors` gave, into optimisers of the same parameters.

    Raises
    ------
    KeyError, ValueError
        The names do not belong to these optimisers.
    """
    states: list[dict[int, dict[str, Tensor]]] = [{} for _ in found]
    for name, tensor in tensors.items():
        _, number, index, key = name.split(".", 3)
        states[int(number)].setdefault(int(index), {})[key] = tensor.clone()
    for optimiser, state in zip(found, states, strict=True):
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": state, "param_groups": groups})
