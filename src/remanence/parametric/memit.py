"""MEMIT: write many facts at once, spread over several layers (Meng et al. 2023, arXiv 2210.07229, section 4).

For each fact a hidden state z behind the last layer L of the range is found with which the model says the target. Then, layer by layer, the rest
of the way, R = (z − h) / (layers left), is written for all keys K at once: ΔW = R Kᵀ (λ C + K Kᵀ)⁻¹, in fp64. It is of
rank n for n facts, and is kept as R and (λ C + K Kᵀ)⁻¹ K.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from remanence.errors import InputError
from remanence.models.local.causal import CausalLM
from remanence.parametric.edits import Applied, Edit, Update, joined
from remanence.parametric.keys import Batch, Place, Request, Site, batch, covariance, key
from remanence.parametric.rome import EditRecipe, damped, value
from remanence.parametric.sites import hooked, layer, projection


def memit(
    lm: CausalLM, requests: Sequence[Request], layers: Sequence[int], place: Place, samples: Sequence[str],
    recipe: EditRecipe | None = None, strength: float = 1.0,
) -> Edit:  # fmt: skip
    """Write facts at once. The model is as before afterwards.

    Parameters
    ----------
    lm
        The model.
    requests
        The facts.
    layers
        Rising; the last of them is where the states z are found.
    place
        The token, from `trace`.
    samples
        Texts like the model's own, for C.
    recipe
        How the states are found.
    strength
        λ: how much the keys of the samples are to be left alone.

    Raises
    ------
    InputError, UnsupportedModelError, TrainingError
        As `rome`; also for layers that do not rise.
    """
    if not requests or not layers or list(layers) != sorted(set(layers)) or strength <= 0:
        raise InputError("MEMIT needs requests, rising layers and a strength above 0.", "Pass these.")
    start, recipe = time.monotonic(), recipe or EditRecipe()
    base = lm.fingerprint
    rows = [batch(lm, request, ("", *recipe.contexts), place) for request in requests]
    moments = {index: damped(covariance(lm, projection(lm.model, index), samples), recipe.damping) for index in layers}
    last = layer(lm.model, layers[-1])
    goals, losses = _goals(lm, requests, rows, last, Site(layers[-1], place), recipe)
    on: list[Applied] = []
    parts: list[dict[str, Update]] = []
    try:
        for turn, index in enumerate(layers):
            found = projection(lm.model, index)
            keys = torch.stack([key(lm, found, one).cpu() for one in rows], 1)
            ahead = (goals - torch.stack([_state(lm, last, one) for one in rows], 1)) / (len(layers) - turn)
            right = torch.linalg.solve(strength * moments[index] + keys @ keys.T, keys)
            parts.append({found.name: Update(ahead.float(), right.float())})
            on.append(Applied(lm, Edit(parts[-1], lm.fingerprint)))
    finally:
        for one in reversed(on):
            one.revert()
    details = {
        "method": "memit",
        "sources": [list(request.source) for request in requests],
        "sites": [asdict(Site(index, place)) for index in layers],
        "losses": losses,
        "seconds": round(time.monotonic() - start, 3),
    }
    return Edit(joined(parts), base, details)


def _goals(
    lm: CausalLM, requests: Sequence[Request], rows: Sequence[Batch], last: nn.Module, site: Site, recipe: EditRecipe
) -> tuple[Tensor, list[float]]:
    """The states z [hidden, requests], and the loss at each."""
    goals: list[Tensor] = []
    losses: list[float] = []
    for request, one in zip(requests, rows, strict=True):
        state = _state(lm, last, one)
        delta, loss = value(lm, request, one, last, site, float(state.norm()), recipe)
        goals.append(state + delta.cpu().double())
        losses.append(loss)
    return torch.stack(goals, 1), losses


@torch.no_grad()
def _state(lm: CausalLM, last: nn.Module, rows: Batch) -> Tensor:
    """The mean hidden state [hidden] that a layer puts out at the token that is meant, as fp64."""
    kept: list[Tensor] = []

    def note(_module: nn.Module, _arguments: tuple[Any, ...], output: Any) -> None:
        kept.append(output[0] if isinstance(output, tuple) else output)

    with hooked(last.register_forward_hook(note)):
        lm.model(input_ids=rows.ids, attention_mask=rows.mask, use_cache=False)
    at = torch.arange(len(rows.at), device=rows.at.device)
    return kept[0][at, rows.at].double().mean(0).cpu()
