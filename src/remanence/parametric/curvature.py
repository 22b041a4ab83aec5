"""Editing weights by the curvature of the loss: directions that many inputs use are kept, those that serve single memories go.

After "From Memorization to Reasoning in the Spectrum of Loss Curvature" (arXiv 2510.24256). The loss around a linear layer is taken
as a Kronecker product (K-FAC, arXiv 1503.05671): A = E[a a^T] of its inputs, G = E[g g^T] of the gradients at its outputs. No list of
what was memorised is needed, only ordinary text. Knowledge that is used in few places, such as facts and arithmetic, falls with it
unless a corpus protects it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from remanence.errors import InputError, ModelMismatchError, TrainingError, UnsupportedModelError


@dataclass(frozen=True, slots=True)
class Side:
    """The two factors of one layer with a weight [out, in], float32."""

    inputs: Tensor
    """A [in, in]."""
    outputs: Tensor
    """G [out, out]."""


@dataclass(frozen=True, slots=True)
class Curvature:
    """Factors by layer, and the number of tokens that they are the mean of."""

    sides: Mapping[str, Side]
    tokens: int


@dataclass(frozen=True, slots=True)
class Edit:
    """New weights for some layers, and the old ones: the way back."""

    changed: dict[str, Tensor]
    """New weights [out, in] by layer."""
    originals: dict[str, Tensor]
    kept: dict[str, float]
    """The share of the pairs of directions that is kept, by layer."""
    mass: float
    method: str

    def deltas(self) -> dict[str, Tensor]:
        """What is added to the weights, by layer."""
        return {name: self.changed[name] - self.originals[name] for name in self.changed}


def mlp_layers(
    model: nn.Module, which: Sequence[int] | None = None, endings: Sequence[str] = ("gate_proj", "up_proj")
) -> list[str]:
    """Names of the linear layers of MLPs: of the blocks `which`, counted from 0, or of the last two thirds of them.

    Raises `UnsupportedModelError` for a model without a list of blocks with such layers.
    """
    blocks = [
        (name, one) for name, one in model.named_modules() if isinstance(one, nn.ModuleList) and _has(one, endings)
    ]
    if not blocks:
        raise UnsupportedModelError(
            f"The model has no blocks with linear layers that end in {', '.join(endings)}.", "Name its layers yourself."
        )
    name, listed = blocks[0]
    chosen = range(len(listed) - max(1, round(len(listed) * 2 / 3)), len(listed)) if which is None else which
    found = [
        f"{name}.{number}.{inner}" for number in chosen if 0 <= number < len(listed)
        for inner, layer in listed[number].named_modules() if isinstance(layer, nn.Linear) and inner.endswith(tuple(endings))
    ]  # fmt: skip
    if not found:
        raise InputError(f"None of the blocks {list(chosen)} is there.", f"The model has {len(listed)}, from 0.")
    return found


def _has(listed: nn.ModuleList, endings: Sequence[str]) -> bool:
    return any(isinstance(layer, nn.Linear) and name.endswith(tuple(endings)) for name, layer in listed.named_modules())


def collect(
    model: Any,
    sequences: Iterable[Sequence[int]],
    layers: Sequence[str],
    *,
    batch_size: int = 32,
    seed: int = 0,
    gold: bool = False,
) -> Curvature:
    """The factors of some layers over token sequences, in float32. The model is not changed.

    The labels are drawn from the model's own predictions, which gives the Fisher information and not its empirical stand-in; `gold` takes
    the text's. The last position of a sequence has no label and does not count; neither does padding.
    """
    wanted = [list(one) for one in sequences if len(one) > 1]
    if not wanted:
        raise InputError("There is no text to measure curvature on.", "Give sequences of at least two tokens.")
    modules = {name: _linear(model, name) for name in layers}
    device = next(model.parameters()).device
    sums = {
        name: (torch.zeros(one.in_features, one.in_features, device=device), torch.zeros(one.out_features, one.out_features, device=device))
        for name, one in modules.items()
    }  # fmt: skip
    generator = torch.Generator(device=device).manual_seed(seed)
    tokens = 0
    for first in range(0, len(wanted), batch_size):
        ids, mask = _padded(wanted[first : first + batch_size], device)
        valid = mask[:, 1:].bool()
        seen, logits = _watched(model, modules, ids, mask)
        labels = ids[:, 1:][valid] if gold else _drawn(logits[:, :-1][valid], generator)
        loss = functional.cross_entropy(logits[:, :-1][valid].float(), labels, reduction="sum")
        gradients = torch.autograd.grad(loss, [seen[name][1] for name in modules])
        for name, gradient in zip(modules, gradients, strict=True):
            a, g = seen[name][0][:, :-1][valid].float(), gradient[:, :-1][valid].float()
            sums[name][0].addmm_(a.T, a)
            sums[name][1].addmm_(g.T, g)
        tokens += int(valid.sum())
    sides = {name: Side(a / tokens, g / tokens) for name, (a, g) in sums.items()}
    if not all(bool(torch.isfinite(one.inputs).all() and torch.isfinite(one.outputs).all()) for one in sides.values()):
        raise TrainingError("The curvature is not a number.", "Use float32 weights, and text that the model can read.")
    return Curvature(sides, tokens)


def _linear(model: nn.Module, name: str) -> nn.Linear:
    layer = dict(model.named_modules()).get(name)
    if not isinstance(layer, nn.Linear):
        raise UnsupportedModelError(
            f"The model has no linear layer {name}.", "See mlp_layers for the names that it has."
        )
    return layer


def _padded(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    width = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=device)
    return ids, mask


def _watched(
    model: Any, modules: Mapping[str, nn.Linear], ids: Tensor, mask: Tensor
) -> tuple[dict[str, tuple[Tensor, Tensor]], Tensor]:
    """Inputs and outputs of layers, and the logits. A graph runs from the embeddings on, so that frozen weights stay frozen."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def watching(name: str) -> Any:
        def hook(_layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen[name] = (inputs[0].detach(), output)

        return hook

    handles = [layer.register_forward_hook(watching(name)) for name, layer in modules.items()]
    try:
        embedded = model.get_input_embeddings()(ids).detach().requires_grad_()
        logits = model(inputs_embeds=embedded, attention_mask=mask, use_cache=False).logits
    finally:
        for handle in handles:
            handle.remove()
    return seen, logits


def _drawn(logits: Tensor, generator: torch.Generator) -> Tensor:
    return torch.multinomial(logits.detach().float().softmax(-1), 1, generator=generator)[:, 0]


def mask_of(scores: Tensor, mass: float) -> Tensor:
    """The smallest set of pairs whose scores come to at least `mass` of the total, as a mask of the scores' shape.

    By sorting all of them; `naive_curvature.mask_by_heap` walks the sorted grid. Ties go to the lower place.
    """
    if not 0 < mass <= 1:
        raise InputError(f"A mass of {mass} is no share.", "Use a number above 0, at most 1.")
    flat = scores.flatten().double().clamp_min(0)
    ordered, places = torch.sort(flat, descending=True, stable=True)
    reached = torch.cumsum(ordered, 0)
    count = int((reached < mass * reached[-1]).sum()) + 1
    mask = torch.zeros_like(flat, dtype=torch.bool)
    mask[places[:count]] = True
    return mask.view(scores.shape)


def edit(
    model: nn.Module,
    general: Curvature,
    *,
    mass: float = 0.95,
    protected: Sequence[Curvature] = (),
    weight: float = 0.5,
) -> Edit:
    """Keep of each layer's weight what the curvature of ordinary text needs. Nothing is put into the model: see `edited`.

    With A = U diag(lambda) U^T and G = V diag(mu) V^T, the weight is V C U^T; the pair (i, j) of an output and an input direction scores
    mu_i lambda_j, and the smallest set of pairs that holds `mass` of the sum of the scores stays.

    A protected corpus takes part twice: its factors, scaled to the same trace, are added with `weight` before the directions are
    found, and its own score of a pair, (v_i^T G v_i)(u_j^T A u_j), is added with `weight`; each corpus's scores are divided by their sum.
    """
    names = list(general.sides)
    if any(set(other.sides) != set(names) for other in protected):
        raise InputError("A protected corpus was measured on other layers.", "Collect all of them on the same layers.")
    changed: dict[str, Tensor] = {}
    originals: dict[str, Tensor] = {}
    kept: dict[str, float] = {}
    for name in names:
        stored = _linear(model, name).weight.detach()
        sides = [(1.0, general.sides[name]), *((weight, other.sides[name]) for other in protected)]
        if stored.shape != (len(sides[0][1].outputs), len(sides[0][1].inputs)):
            raise ModelMismatchError(f"The layer {name} has other sizes.", "Measure the curvature on this model.")
        u, v = (
            _directions([(share, one.inputs) for share, one in sides]),
            _directions([(share, one.outputs) for share, one in sides]),
        )
        scores = sum((share * _scores(one, u, v) for share, one in sides), torch.zeros(()))
        mask = mask_of(scores, mass)
        new = v @ ((v.T @ stored.double() @ u) * mask) @ u.T
        changed[name], originals[name] = new.to(stored.dtype), stored.clone()
        kept[name] = float(mask.double().mean())
    return Edit(changed, originals, kept, mass, "k-fac")


def _directions(parts: Sequence[tuple[float, Tensor]]) -> Tensor:
    """Eigenvectors of a weighted sum of factors, each scaled to trace 1, as columns, float64."""
    total = sum(
        (share * one.double() / one.double().trace().clamp_min(1e-300) for share, one in parts), torch.zeros(())
    )
    return torch.linalg.eigh(total)[1]


def _scores(side: Side, u: Tensor, v: Tensor) -> Tensor:
    """What each pair of directions carries of a corpus's curvature [out, in]; they sum to 1."""
    inputs = ((side.inputs.double() @ u) * u).sum(0).clamp_min(0)
    outputs = ((side.outputs.double() @ v) * v).sum(0).clamp_min(0)
    found = outputs[:, None] * inputs[None, :]
    return found / found.sum().clamp_min(1e-300)


def truncate(
    model: nn.Module, layers: Sequence[str], *, energy: float | None = None, ranks: Mapping[str, int] | None = None
) -> Edit:
    """The baseline: the truncated SVD of each weight, to a share of its squared singular values, or to given ranks."""
    if (energy is None) == (ranks is None):
        raise InputError("A truncation goes to an energy or to ranks.", "Give one of them.")
    changed: dict[str, Tensor] = {}
    originals: dict[str, Tensor] = {}
    kept: dict[str, float] = {}
    for name in layers:
        stored = _linear(model, name).weight.detach()
        u, s, v = torch.linalg.svd(stored.double(), full_matrices=False)
        rank = ranks[name] if ranks is not None else int(mask_of(s.square(), energy or 1.0).sum())
        changed[name] = ((u[:, :rank] * s[:rank]) @ v[:rank]).to(stored.dtype)
        originals[name], kept[name] = stored.clone(), rank * (sum(stored.shape) - rank) / stored.numel()
    return Edit(changed, originals, kept, energy or 0.0, "svd")


def equal_ranks(of: Edit) -> dict[str, int]:
    """The rank of each layer at which a truncated SVD has no fewer free numbers than the edit keeps pairs: k (out + in - k)."""
    found: dict[str, int] = {}
    for name, weight in of.originals.items():
        out, into = weight.shape
        wanted = of.kept[name] * weight.numel()
        found[name] = next(
            k for k in range(1, min(out, into) + 1) if k * (out + into - k) >= wanted or k == min(out, into)
        )
    return found


@contextmanager
def edited(model: nn.Module, change: Edit) -> Generator[None]:
    """Put an edit in force inside the block. The end, an error and an interrupt put the same bytes back.

    Raises `ModelMismatchError` if the model's weights are not the ones that the edit was made from.
    """
    put_in(model, change)
    try:
        yield
    finally:
        take_out(model, change)


def put_in(model: nn.Module, change: Edit) -> None:
    """Put an edit in force for good. All layers are checked before the first is written."""
    layers = {name: _linear(model, name) for name in change.changed}
    for name, layer in layers.items():
        if not torch.equal(layer.weight.detach(), change.originals[name].to(layer.weight.device)):
            raise ModelMismatchError(
                f"The layer {name} holds other weights than the edit was made from.", "Make the edit again."
            )
    _write(layers, change.changed)


def take_out(model: nn.Module, change: Edit) -> None:
    """Put the original weights back, bit by bit."""
    _write({name: _linear(model, name) for name in change.originals}, change.originals)


def _write(layers: Mapping[str, nn.Linear], weights: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, layer in layers.items():
            layer.weight.copy_(weights[name])
