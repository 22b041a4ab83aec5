"""What is added to the loss of an adapter so that it leaves alone what is known: RegLoRA, divergence, replay.

RegLoRA is the regulariser of SEFE (Chen et al. 2025, arXiv 2505.02486, section 4.2): where an earlier adapter's update B A is
largest, the new one's should be small. It holds down the new update there, not its distance to anything.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from remanence.errors import InputError
from remanence.models.local.causal import CausalLM
from remanence.parametric.adapterfile import Adapter, Mount
from remanence.parametric.training import Example, answer_loss, padded

TOP = 0.02
"""The share of positions of each weight that an adapter is held to have used: SEFE's 2 %."""


def key_positions(adapters: Sequence[Adapter], top: float = TOP) -> dict[str, Tensor]:
    """For every module the flat positions where |B A| of an adapter is among its `top` largest, of all adapters together.

    Positions are row x columns + column of the weight [out, in]; one that several adapters used stands there as often, as in
    the published code.

    Raises
    ------
    InputError
        `top` is not a share.
    """
    if not 0 < top <= 1:
        raise InputError(f"The top {top} of the positions cannot be taken.", "Use a share above 0 up to 1.")
    found: dict[str, list[Tensor]] = {}
    for adapter in adapters:
        for module in adapter.modules:
            a, b = adapter.factors(module)
            update = (b.float() @ a.float()).abs().flatten()
            found.setdefault(module, []).append(update.topk(max(1, int(top * update.numel()))).indices)
    return {module: torch.cat(some) for module, some in found.items()}


@dataclass(frozen=True, slots=True)
class RegLoRA:
    """`weight` times the mean over modules of the mean |B A| of a new adapter at the key positions of earlier ones.

    Only the entries at these positions are computed: rows of B times columns of A. `regularised_naive` is its twin.
    """

    factors: Mapping[str, tuple[Tensor, Tensor]]
    """A and B of the new adapter by module: `Mount.factors`."""
    positions: Mapping[str, Tensor]
    weight: float

    def __call__(self, step: int) -> Tensor:
        """The penalty of a step."""
        del step
        shares: list[Tensor] = []
        for module, (a, b) in self.factors.items():
            if module in self.positions:
                flat = self.positions[module].to(a.device)
                rows, columns = flat // a.shape[1], flat % a.shape[1]
                shares.append((b[rows] * a[:, columns].T).sum(-1).abs().mean())
        if not shares:
            return torch.zeros(())
        return self.weight * torch.stack(shares).mean()


def regularised_naive(
    factors: Mapping[str, tuple[Tensor, Tensor]], positions: Mapping[str, Tensor], weight: float
) -> Tensor:
    """The same by its definition: each update in full."""
    shares = [
        (b @ a).abs().flatten()[positions[module]].mean() for module, (a, b) in factors.items() if module in positions
    ]
    return weight * torch.stack(shares).mean()


@dataclass(frozen=True, slots=True)
class Divergence:
    """`weight` times KL(incumbent || candidate) on answers that the incumbent gives to guard prompts.

    The incumbent is the model with the adapters `before` active. Its distributions are computed anew each time, so that no
    vocabulary is kept in memory.
    """

    mount: Mount
    before: tuple[str, ...]
    examples: Sequence[Example]
    weight: float
    batch: int
    seed: int

    def __call__(self, step: int) -> Tensor:
        """The divergence on some of the examples, others at every step."""
        some = _drawn(self.examples, self.batch, self.seed, step)
        model, active = self.mount.lm.model, self.mount.active
        ids, marks = padded(some, 0.0, model.device)
        now = model(input_ids=ids, use_cache=False).logits[:, :-1].float().log_softmax(-1)
        with self.mount.only(*self.before), torch.no_grad():
            then = model(input_ids=ids, use_cache=False).logits[:, :-1].float().log_softmax(-1)
        assert self.mount.active == active
        each = functional.kl_div(now, then, reduction="none", log_target=True).sum(-1)
        weights = marks[:, 1:]
        return self.weight * (each * weights).sum() / weights.sum()


@dataclass(frozen=True, slots=True)
class Replay:
    """The loss on `batch` earlier examples at every step."""

    lm: CausalLM
    examples: Sequence[Example]
    batch: int
    seed: int
    weight: float = 1.0

    def __call__(self, step: int) -> Tensor:
        """The loss on some of the examples, others at every step."""
        ids, marks = padded(_drawn(self.examples, self.batch, self.seed, step), 0.0, self.lm.device)
        return self.weight * answer_loss(self.lm.model, ids, marks)


def _drawn(examples: Sequence[Example], batch: int, seed: int, step: int) -> list[Example]:
    dice = random.Random(f"{seed} {step}")  # noqa: S311  # no secret
    return dice.sample(list(examples), min(batch, len(examples)))
