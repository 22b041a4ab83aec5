"""A forward pass that shows what a scorer needs: logits, and on request the attention, averaged over query groups."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import Cache

from remanence.errors import UnsupportedModelError
from remanence.models.local.causal import CausalLM, Step


@torch.no_grad()
def watched(
    lm: CausalLM, ids: Sequence[int], cache: Cache | None, positions: Sequence[int]
) -> tuple[Step, list[Tensor]]:
    """As `lm.forward`, and the attention of each layer, [key–value heads, m, n + m].

    The attention is computed by the plain implementation, which holds all of it in memory: m * (n + m) numbers a head.

    Raises
    ------
    UnsupportedModelError
        The model does not show its attention.
    """
    with _recorded(lm) as recorded:
        step = lm.forward(ids, cache, positions)
    if len(recorded) != lm.layers:
        raise UnsupportedModelError(
            f"{lm.name} does not show its attention.", "Use a scorer that needs none, such as SirLLM or StreamingLLM."
        )
    return step, [_grouped(one, lm.kv_heads) for one in recorded]


@contextmanager
def _recorded(lm: CausalLM) -> Generator[list[Tensor]]:
    """Attention weights of the passes made meanwhile, one per layer; the model is left as it was found."""
    found: list[Tensor] = []

    def note(_module: Any, _inputs: Any, output: Any) -> None:
        if isinstance(output, tuple) and len(output) > 1 and isinstance(output[1], Tensor):
            found.append(output[1])

    before = str(lm.model.config._attn_implementation)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    hooks = [
        module.register_forward_hook(note)
        for name, module in lm.model.named_modules()
        if name.endswith(("self_attn", ".attn", ".attention"))
    ]
    lm.model.set_attn_implementation("eager")
    try:
        yield found
    finally:
        lm.model.set_attn_implementation(before)
        for hook in hooks:
            hook.remove()


def _grouped(weights: Tensor, heads: int) -> Tensor:
    """[1, query heads, m, n] → [key–value heads, m, n], the mean over those that share one."""
    return weights[0].float().unflatten(0, (heads, -1)).mean(dim=1).cpu()
