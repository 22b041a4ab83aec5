"""ROME: write one fact into one MLP projection by a rank-one update (Meng et al. 2022, arXiv 2202.05262, section 3.1).

The key k is the mean input of the projection at the chosen token over several contexts. A change δ of the projection's output
there is optimised until the model says the target. With C = E[k kᵀ], the update δ (C⁻¹k)ᵀ / (kᵀC⁻¹k) adds δ at k and
disturbs other keys least. The released code takes the mean key for the numerator and the key without a context for the denominator; r-ROME
(Gupta et al. 2024, arXiv 2403.07175) showed that this makes sequences of edits collapse. Here one key is used throughout;
`consistent=False` is the released code's mix, for comparison.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from remanence.errors import InputError, TrainingError
from remanence.models.local.causal import CausalLM
from remanence.parametric.edits import Applied, Edit, Update, joined
from remanence.parametric.keys import Batch, Request, Site, adding, batch, covariance, key, spot
from remanence.parametric.sites import projection


@dataclass(frozen=True, slots=True, kw_only=True)
class EditRecipe:
    """How a value is found. The weights of the loss and the clamp are the released ones of ROME.

    The rate is not: 0.5 for 20 steps oversteps in a small model, and what is larger than needed disturbs other facts.

    Raises
    ------
    InputError
        A number that cannot be used.
    """

    contexts: tuple[str, ...] = ()
    """Texts that stand before the prompt, besides none: a key should not depend on what came before."""
    steps: int = 60
    rate: float = 0.1
    """Of Adam."""
    stop: float = 0.05
    """The search ends at this mean negative log-likelihood of the target, nats per token."""
    essence: str = "{} is a"
    """A prompt whose next token should stay as it was: what the subject is does not change."""
    divergence: float = 0.0625
    """Weight of the divergence (KL) after it."""
    decay: float = 0.5
    """Weight of |δ| / |v|²."""
    clamp: float = 4.0
    """|δ| is at most this many times |v|."""
    damping: float = 0.01
    """Added to the diagonal of C, in shares of its mean: a small model's keys do not span their space."""
    consistent: bool = True

    def __post_init__(self) -> None:
        positive = self.steps > 0 and self.rate > 0 and self.clamp > 0
        if not positive or min(self.stop, self.divergence, self.decay, self.damping) < 0:
            raise InputError(
                "An edit needs steps, a rate and a clamp above 0, and no negative weights.", "Correct the recipe."
            )


def rome(
    lm: CausalLM,
    requests: Sequence[Request],
    site: Site,
    samples: Iterable[str],
    recipe: EditRecipe | None = None,
) -> Edit:
    """Write facts one after another, each into the model with the earlier ones in it. The model is as before afterwards.

    Parameters
    ----------
    lm
        The model.
    requests
        The facts, in the order in which they are written.
    site
        The layer and the token, from `trace`.
    samples
        Texts like the model's own, for C. It is taken once, from the model before the edits.
    recipe
        How values are found.

    Raises
    ------
    InputError
        There is no request, a subject does not stand in its prompt, or there is no sample.
    UnsupportedModelError
        The model has no projection that is known.
    TrainingError
        A loss is not a number.
    """
    if not requests:
        raise InputError("There is nothing to write.", "Pass at least one request.")
    start, recipe = time.monotonic(), recipe or EditRecipe()
    base = lm.fingerprint
    inverse = damped(covariance(lm, projection(lm.model, site.layer), samples), recipe.damping)
    parts: list[Mapping[str, Update]] = []
    losses: list[float] = []
    on: list[Applied] = []
    try:
        for request in requests:
            update, loss = _written(lm, request, site, inverse, recipe)
            parts.append(update)
            losses.append(loss)
            on.append(Applied(lm, Edit(update, lm.fingerprint)))
    finally:
        for one in reversed(on):
            one.revert()
    details = {
        "method": "rome" if recipe.consistent else "rome, mixed keys",
        "sources": [list(request.source) for request in requests],
        "site": asdict(site),
        "losses": losses,
        "seconds": round(time.monotonic() - start, 3),
    }
    return Edit(joined(parts), base, details)


def damped(moment: Tensor, damping: float) -> Tensor:
    """C with something added to its diagonal, in shares of the mean of it."""
    return moment + damping * moment.diagonal().mean() * torch.eye(len(moment), dtype=moment.dtype)


def value(
    lm: CausalLM, request: Request, rows: Batch, module: nn.Module, site: Site, size: float, recipe: EditRecipe
) -> tuple[Tensor, float]:
    """The change δ [out] of a module's output at the token that is meant with which the model says the target; its last loss.

    `size` is the norm of the output there. Raises `TrainingError` if a loss is not a number.
    """
    essence = _essence(lm, request, recipe, site)
    with torch.no_grad():
        before = functional.log_softmax(lm.model(input_ids=essence.ids, use_cache=False).logits[:, -1].float(), -1)
    delta = torch.zeros(int(lm.model.config.hidden_size), device=lm.device, requires_grad=True)
    search = torch.optim.Adam([delta], recipe.rate)
    loss = float("nan")
    for step in range(recipe.steps + 1):
        said = _with(lm, module, rows, delta)
        target = functional.cross_entropy(said.transpose(1, 2), rows.labels, ignore_index=-100)
        loss = float(target.detach())
        if not loss < float("inf"):
            raise TrainingError(
                f"The edit for {request.source[0]} has no finite loss.", "Lower the rate; nothing was changed."
            )
        if loss < recipe.stop or step == recipe.steps:
            break
        after = functional.log_softmax(_with(lm, module, essence, delta)[:, -1], -1)
        total = target + recipe.divergence * functional.kl_div(after, before, reduction="batchmean", log_target=True)
        total = total + recipe.decay * (delta.square().sum() + 1e-12).sqrt() / size**2
        [delta.grad] = torch.autograd.grad(total, [delta])
        search.step()
        with torch.no_grad():
            delta *= min(1.0, recipe.clamp * size / max(float(delta.norm()), 1e-12))
    return delta.detach(), loss


def _written(
    lm: CausalLM, request: Request, site: Site, moment: Tensor, recipe: EditRecipe
) -> tuple[dict[str, Update], float]:
    found = projection(lm.model, site.layer)
    rows = batch(lm, request, ("", *recipe.contexts), site.place)
    mean = key(lm, found, rows)
    own = mean if recipe.consistent else key(lm, found, batch(lm, request, ("",), site.place))
    size = float((found.weight.double() @ own).norm())
    delta, loss = value(lm, request, rows, found.module, site, size, recipe)
    right = torch.linalg.solve(moment, mean.cpu())
    right = right / (right @ own.cpu())
    return {found.name: Update(delta.cpu().float()[:, None], right.float()[:, None])}, loss


def _essence(lm: CausalLM, request: Request, recipe: EditRecipe, site: Site) -> Batch:
    ids = lm.encode(recipe.essence.format(request.subject))
    at = spot(lm, ids, request.subject, site.place)
    rows = torch.tensor([ids], device=lm.device)
    return Batch(rows, torch.ones_like(rows), torch.full_like(rows, -100), torch.tensor([at], device=lm.device))


def _with(lm: CausalLM, module: nn.Module, rows: Batch, delta: Tensor) -> Tensor:
    done = adding(module, rows, delta)
    try:
        return lm.model(input_ids=rows.ids, attention_mask=rows.mask, use_cache=False).logits.float()
    finally:
        done()
