"""Slow twins of `curvature`: one token at a time, one pair at a time. Tests compare the two."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def mask_by_heap(inputs: Sequence[float], outputs: Sequence[float], mass: float) -> set[tuple[int, int]]:
    """The pairs (i, j) with the largest outputs[i] * inputs[j], until they hold `mass` of all. Both are sorted, largest first.

    A heap walks the grid from its corner: a pair is looked at when the one before it in its row was taken.
    """
    total = mass * sum(outputs) * sum(inputs)
    waiting = [(-outputs[i] * inputs[0], i, 0) for i in range(len(outputs))]
    heapq.heapify(waiting)
    taken: set[tuple[int, int]] = set()
    reached = 0.0
    while waiting and (reached < total or not taken):
        score, i, j = heapq.heappop(waiting)
        taken.add((i, j))
        reached -= score
        if j + 1 < len(inputs):
            heapq.heappush(waiting, (-outputs[i] * inputs[j + 1], i, j + 1))
    return taken


def factors_one_by_one(model: Any, sequences: Sequence[Sequence[int]], layer: str) -> tuple[Tensor, Tensor]:
    """A and G of one layer with the text's own labels: each sequence alone and unpadded, outer products added token by token."""
    module = dict(model.named_modules())[layer]
    a, g, tokens = (
        torch.zeros(module.in_features, module.in_features),
        torch.zeros(module.out_features, module.out_features),
        0,
    )
    for sequence in sequences:
        caught: list[Tensor] = []

        def hook(_layer: Any, inputs: tuple[Tensor, ...], output: Tensor, into: list[Tensor] = caught) -> None:
            into.extend((inputs[0], output))

        handle = module.register_forward_hook(hook)
        ids = torch.tensor([list(sequence)])
        embedded = model.get_input_embeddings()(ids).detach().requires_grad_()
        logits = model(inputs_embeds=embedded, use_cache=False).logits
        handle.remove()
        loss = functional.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="sum")
        [gradient] = torch.autograd.grad(loss, [caught[1]])
        for at in range(len(sequence) - 1):
            a += torch.outer(caught[0][0, at].detach(), caught[0][0, at].detach())
            g += torch.outer(gradient[0, at], gradient[0, at])
            tokens += 1
    return a / tokens, g / tokens
