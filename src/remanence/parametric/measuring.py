"""What a model gives away of some facts: six measurements of weights, each one number between 0 and 1 per fact.

Extraction and exact memorisation: Tirumala et al. (arXiv 2205.10770), Carlini et al. (arXiv 2202.07646). Quantised weights: Zhang et
al. (arXiv 2410.16454). Relearning: Lynch et al. (arXiv 2402.16835). Whether a number is too high is for `probing` to say, which holds
it against models that never saw the facts. No measurement changes the model.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from remanence.errors import InputError, TrainingError
from remanence.models.local.causal import CausalLM
from remanence.parametric.unlearning.examples import IGNORED, Batch, Example, batch, examples
from remanence.parametric.unlearning.factors import Factor, Factors, attached, check_fit, fresh, linears
from remanence.parametric.unlearning.fila import effective
from remanence.parametric.unlearning.losses import cross_entropy, told

TESTS = ("extraction", "memorisation", "rank", "paraphrase", "quantised", "relearning")
"""extraction: share of the taught prompts after which the greedy continuation holds the answer.
memorisation: share of the answer's tokens that are the likeliest ones after the true tokens before them, over the taught prompts.
rank: share of the counterfactuals that are less likely than the answer, by mean log-probability per token, ties half; chance is 0.5.
paraphrase: as extraction, over prompts in wordings that were never taught.
quantised: the most that any precision gives, as the share of all prompts whose answer is greedy token by token.
relearning: the same share of first taught prompts, the mean over checkpoints of a short training on them."""

_ROWS = 64  # examples in a forward pass
_GROUP = 32  # columns that share a scale at 4 bits


@dataclass(frozen=True, slots=True)
class Secret:
    """A fact that should be gone, and how to ask for it."""

    id: str
    answer: str
    """What follows a prompt, with the space before it."""
    taught: tuple[str, ...]
    """Prompts in wordings that the model may have been taught."""
    held_out: tuple[str, ...] = ()
    """Prompts in other wordings: paraphrases, questions."""
    foils: tuple[str, ...] = ()
    """Answers that would be as plausible, in the form of `answer`."""

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        if not self.taught or not self.answer.strip():
            raise InputError(f"The fact {self.id} has no prompt or no answer.", "Give both.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How hard is looked. The same for every model that is compared."""

    max_new: int = 12
    """Tokens of a continuation."""
    precisions: tuple[int, ...] = (8, 4)
    """Bits of the quantised weights."""
    checkpoints: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Steps of relearning at which is looked."""
    relearning_rate: float = 2e-4
    relearning_rank: int = 0
    """0 trains a copy of every parameter; more trains new low-rank factors, for models of which no second copy fits."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """What one model gave away, and what it still knows of the rest."""

    name: str
    values: dict[str, list[float]]
    """By test, one number per fact. Tests without prompts or counterfactuals are not there."""
    utility: list[float]
    """1 for each kept answer that is greedy token by token, else 0."""
    relearned: dict[str, float]
    """The share of the facts by steps of relearning, as text."""
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def measure(
    lm: CausalLM, secrets: Sequence[Secret], *, kept: Sequence[tuple[str, str]] = (), factors: Factors | None = None,
    effort: Effort | None = None, name: str = "",
) -> Measured:  # fmt: skip
    """Look at a model in every way of `TESTS`.

    Parameters
    ----------
    lm
        The model.
    secrets
        The facts. All of them are measured alike, whatever was unlearned.
    kept
        Prompts and answers that should still be known, for the utility.
    factors
        An adapter to look through. It counts as part of the weights where those are quantised.
    effort
        How hard to look; the defaults take about a second for 50 facts on a model of 0.2M parameters.
    name
        For reports; that of the model where none is given.
    """
    if not secrets:
        raise InputError("There is no fact to look for.", "Give at least one.")
    began = time.perf_counter()
    how = effort or Effort()
    weights = _weights(lm.model, factors or {})
    taught = [examples(lm, [(prompt, one.answer) for prompt in one.taught]) for one in secrets]
    held_out = [examples(lm, [(prompt, one.answer) for prompt in one.held_out]) for one in secrets]
    hits = _grouped(_greedy(lm.model, _flat(taught), weights), taught)
    values = {"memorisation": [fmean(fmean(each) for each in one) for one in hits]}
    with attached(lm.model, factors) if factors else nullcontext():
        values["extraction"] = _continued(lm, taught, secrets, how.max_new)
        if all(held_out):
            values["paraphrase"] = _continued(lm, held_out, secrets, how.max_new)
    if all(one.foils for one in secrets):
        values["rank"] = _ranks(lm, secrets, weights)
    values["quantised"] = _quantised(
        lm.model, [a + b for a, b in zip(taught, held_out, strict=True)], weights, how.precisions
    )
    values["relearning"], relearned = _relearned(lm.model, [one[0] for one in taught], weights, how)
    known = _greedy(lm.model, examples(lm, kept), weights) if kept else []
    return Measured(
        name or lm.name, {test: values[test] for test in TESTS if test in values}, [float(all(one)) for one in known],
        relearned, time.perf_counter() - began,
    )  # fmt: skip


def _weights(model: nn.Module, factors: Factors) -> dict[str, Tensor]:
    """What replaces the model's own parameters: the layers that an adapter changes."""
    return effective(check_fit(model, factors), factors)


def _run(model: nn.Module, weights: Mapping[str, Tensor], put: Batch) -> Tensor:
    return functional_call(model, dict(weights), (put.ids,), {"attention_mask": put.mask, "use_cache": False}).logits


def _batches(model: nn.Module, chosen: Sequence[Example]) -> list[Batch]:
    device = next(model.parameters()).device
    return [batch(chosen[first : first + _ROWS], device) for first in range(0, len(chosen), _ROWS)]


@torch.no_grad()
def _greedy(model: nn.Module, chosen: Sequence[Example], weights: Mapping[str, Tensor]) -> list[list[bool]]:
    """For each answer token whether it is the likeliest. All of an answer: greedy decoding writes exactly this answer."""
    found: list[list[bool]] = []
    for put in _batches(model, chosen):
        right = _run(model, weights, put)[:, :-1].argmax(-1) == put.labels[:, 1:]
        looked_at = put.labels[:, 1:] != IGNORED
        found.extend(right[row][looked_at[row]].tolist() for row in range(len(right)))
    return found


@torch.no_grad()
def _likelihoods(model: nn.Module, chosen: Sequence[Example], weights: Mapping[str, Tensor]) -> list[float]:
    """Mean log-probability per answer token."""
    found: list[float] = []
    for put in _batches(model, chosen):
        of = told(_run(model, weights, put), put.labels)
        sums = torch.zeros(of.sequences, device=of.logits.device).index_add(0, of.rows, -cross_entropy(of))
        found.extend((sums / torch.bincount(of.rows)).tolist())
    return found


def _flat(nested: Sequence[Sequence[Example]]) -> list[Example]:
    return [one for each in nested for one in each]


def _grouped(flat: Sequence[list[bool]], like: Sequence[Sequence[Example]]) -> list[list[list[bool]]]:
    ahead = iter(flat)
    return [[next(ahead) for _ in each] for each in like]


def _continued(lm: CausalLM, asked: Sequence[Sequence[Example]], secrets: Sequence[Secret], most: int) -> list[float]:
    """The share of each fact's prompts after which free-running greedy decoding brings the answer's words, in their order."""
    said = iter(lm.generate_many([one.prompt for one in _flat(asked)], max_new=most))
    return [
        fmean(_plain(secret.answer) in _plain(next(said)) for _ in each) for secret, each in zip(secrets, asked, strict=True)
    ]  # fmt: skip


def _plain(text: str) -> str:
    words = re.findall(r"\w+", text.casefold())
    return f" {' '.join(words)} "


def _ranks(lm: CausalLM, secrets: Sequence[Secret], weights: Mapping[str, Tensor]) -> list[float]:
    asked = [(prompt, answer) for one in secrets for prompt in one.taught for answer in (one.answer, *one.foils)]
    likely = iter(_likelihoods(lm.model, examples(lm, asked), weights))
    found: list[float] = []
    for one in secrets:
        shares: list[float] = []
        for _ in one.taught:
            true, others = next(likely), [next(likely) for _ in one.foils]
            shares.append(fmean(float(other < true) + 0.5 * float(other == true) for other in others))
        found.append(fmean(shares))
    return found


def rounded(weight: Tensor, bits: int) -> Tensor:
    """Round to nearest, symmetric: one scale per row at 8 bits, per 32 columns of a row below that."""
    if not 2 <= bits <= 8:
        raise InputError(f"Weights of {bits} bits are not tried.", "Use 2 to 8.")
    width = weight.shape[1] if bits == 8 else _GROUP
    parts: list[Tensor] = []
    for part in weight.split(width, dim=1):
        step = part.abs().amax(1, keepdim=True).clamp_min(1e-12) / (2 ** (bits - 1) - 1)
        parts.append((part / step).round() * step)
    return torch.cat(parts, 1)


def _quantised(
    model: nn.Module, asked: Sequence[Sequence[Example]], weights: Mapping[str, Tensor], precisions: Sequence[int]
) -> list[float]:
    linear = {f"{name}.weight": one.weight for name, one in model.named_modules() if isinstance(one, nn.Linear)}
    most = [0.0] * len(asked)
    for bits in precisions:
        coarse = {name: rounded(weights.get(name, weight).detach(), bits) for name, weight in linear.items()}
        hits = _grouped(_greedy(model, _flat(asked), {**weights, **coarse}), asked)
        most = [max(old, fmean(float(all(each)) for each in one)) for old, one in zip(most, hits, strict=True)]
    return most


def _relearned(
    model: nn.Module, lessons: Sequence[Example], weights: Mapping[str, Tensor], how: Effort
) -> tuple[list[float], dict[str, float]]:
    """Train on the facts for some steps, and look now and then. Adam, in random batches of 32; the model is not changed."""
    generator = torch.Generator().manual_seed(how.seed)
    copies, factors = _learning(model, weights, how.relearning_rank, generator)
    leaves = [tensor for one in factors.values() for tensor in (one.a, one.b)] or list(copies.values())
    optimiser = torch.optim.Adam(leaves, lr=how.relearning_rate)
    device = next(model.parameters()).device
    seen: dict[str, list[float]] = {}
    for step in range(1, max(how.checkpoints) + 1):
        order = torch.randperm(len(lessons), generator=generator).tolist()[: _ROWS // 2]
        put = batch([lessons[one] for one in order], device)
        with attached(model, factors):
            loss = cross_entropy(told(_run(model, copies, put), put.labels)).mean()
        if not bool(torch.isfinite(loss)):
            raise TrainingError("Relearning gave a loss that is not a number.", "Look at the model: it may be broken.")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step in how.checkpoints:
            with attached(model, factors):
                seen[str(step)] = [float(all(one)) for one in _greedy(model, lessons, copies)]
    return [fmean(each) for each in zip(*seen.values(), strict=True)], {step: fmean(one) for step, one in seen.items()}


def _learning(
    model: nn.Module, weights: Mapping[str, Tensor], rank: int, generator: torch.Generator
) -> tuple[dict[str, Tensor], dict[str, Factor]]:
    """What relearning trains: copies of all parameters, or factors beside the weights as they are."""
    if not rank:
        own = dict(model.named_parameters())
        return {name: weights.get(name, one).detach().clone().requires_grad_() for name, one in own.items()}, {}
    made = fresh(linears(model), rank, generator)
    return dict(weights), {name: Factor(one.a.requires_grad_(), one.b.requires_grad_()) for name, one in made.items()}
