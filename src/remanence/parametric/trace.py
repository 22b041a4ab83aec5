"""Causal tracing: where in a model a fact is looked up (Meng et al. 2022, arXiv 2202.05262, section 2).

The subject's embeddings are made unreadable with noise; then the output of one MLP at one token is put back to what it was. How far that
brings the target's probability back is the indirect effect of this layer and token. In large models it peaks at the
subject's last token; a small model trained from scratch may look its facts up at the prompt's last token, and an edit anywhere else
does nothing. So an edit is made where the trace of this model peaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from remanence.errors import InputError
from remanence.models.local.causal import CausalLM
from remanence.parametric.keys import Place, Request, Site, forms, spot
from remanence.parametric.lookuptable import contains
from remanence.parametric.sites import embedding, hooked, layers, mlp

PLACES: tuple[Place, ...] = ("subject_last", "last")


@dataclass(frozen=True, slots=True)
class Trace:
    """Average indirect effects of MLP outputs, over facts."""

    effects: tuple[tuple[float, float], ...]
    """Of each layer: at the subject's last token and at the prompt's last token."""
    clean: float
    """The mean probability of the target, per token, with the subject readable."""
    corrupted: float
    """And with noise."""

    @property
    def site(self) -> Site:
        """The layer and token with the largest effect; the first of equals."""
        every: list[tuple[float, int, Place]] = [
            (effect, -index, place)
            for index, row in enumerate(self.effects)
            for place, effect in zip(PLACES, row, strict=True)
        ]
        _, index, place = max(every, key=lambda one: one[:2])
        return Site(-index, place)

    def layers(self, count: int) -> tuple[int, ...]:
        """That many layers next to each other that end at the site's, or as many as there are: MEMIT's range."""
        return tuple(range(max(0, self.site.layer - count + 1), self.site.layer + 1))


def trace(
    lm: CausalLM, requests: Sequence[Request], *, noises: int = 8, spread: float = 3.0, window: int = 1, seed: int = 0
) -> Trace:
    """Trace facts that the model knows.

    Parameters
    ----------
    lm
        The model.
    requests
        Facts whose `target` the model says now.
    noises
        Draws of noise per fact.
    spread
        Standard deviation of the noise, in those of the embedding.
    window
        Neighbouring layers that are put back together; deep models need some ten.
    seed
        Of the noise.

    Raises
    ------
    InputError
        There is no request, or a subject does not stand in its prompt.
    UnsupportedModelError
        The model is of no family that is known.
    """
    if not requests:
        raise InputError("There is nothing to trace.", "Pass requests whose targets the model knows.")
    dice = torch.Generator().manual_seed(seed)
    depth = len(layers(lm.model))
    effects = torch.zeros(depth, len(PLACES))
    clean = corrupted = 0.0
    for request in requests:
        run = _Run(lm, request, noises, spread, dice)
        before, worst = run.probability([], 0)
        clean += before / len(requests)
        corrupted += worst / len(requests)
        for index in range(depth):
            around = range(max(0, index - window // 2), min(depth, index - window // 2 + window))
            for column, at in enumerate(run.places):
                effects[index, column] += (run.probability(list(around), at)[1] - worst) / len(requests)
    rows = [(float(subject), float(last)) for subject, last in effects]
    return Trace(tuple(rows), clean, corrupted)


class _Run:
    """One fact: row 0 of its batch is clean, the others carry noise on the subject."""

    def __init__(self, lm: CausalLM, request: Request, noises: int, spread: float, dice: torch.Generator) -> None:
        prompt, target = lm.encode(request.prompt), lm.encode(request.target)
        if not prompt or not target:
            raise InputError("A request needs a prompt and a target.", "Give it both.")
        self.places = [spot(lm, prompt, request.subject, place) for place in PLACES]
        length = next(len(form) for form in forms(lm, request.subject) if contains(prompt, form) == self.places[0])
        table = embedding(lm.model)
        scale = spread * float(next(table.parameters()).detach().float().std())
        width = int(lm.model.config.hidden_size)
        self._noise = scale * torch.randn(noises, length, width, generator=dice).to(lm.device)
        self._subject = slice(self.places[0] - length + 1, self.places[0] + 1)
        self._ids = torch.tensor([[*prompt, *target]] * (noises + 1), device=lm.device)
        self._start, self._lm, self._table = len(prompt), lm, table

    @torch.no_grad()
    def probability(self, restored: list[int], at: int) -> tuple[float, float]:
        """Of the target, the geometric mean per token: clean, and the mean over noises with these MLPs put back at a place."""

        def corrupt(_module: nn.Module, _arguments: tuple[Any, ...], output: Any) -> Tensor:
            changed = output.clone()
            changed[1:, self._subject] += self._noise.to(output.dtype)
            return changed

        def restore(_module: nn.Module, _arguments: tuple[Any, ...], output: Any) -> Tensor:
            changed = output.clone()
            changed[1:, at] = output[0, at]
            return changed

        handles = [self._table.register_forward_hook(corrupt)]
        handles += [mlp(self._lm.model, index).register_forward_hook(restore) for index in restored]
        with hooked(*handles):
            logits = self._lm.model(input_ids=self._ids, use_cache=False).logits.float()
        said = logits[:, self._start - 1 : -1].log_softmax(-1)
        each = said.gather(-1, self._ids[:, self._start :, None])[..., 0].mean(1).exp()
        return float(each[0]), float(each[1:].mean())
