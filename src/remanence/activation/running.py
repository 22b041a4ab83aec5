"""Forward passes over parts of a prompt: into a growing cache, or into chosen places of one that is there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import Cache

from remanence.models.local.caches import length, pairs
from remanence.models.local.causal import CausalLM

CHUNK = 512
"""Tokens of one forward pass; a long prompt takes several, so that its attention scores fit into memory."""

Pair = tuple[Tensor, Tensor]
"""Keys and values of a layer."""


def extend(ids: Sequence[int], lm: CausalLM, cache: Cache | None = None, *, chunk: int = CHUNK) -> tuple[Tensor, Cache]:
    """Compute tokens, at least one, after what the cache holds, and put them into it: the logits after the last, and the cache.

    The logits are fp32, shape (vocabulary,).

    Raises
    ------
    InputError
        There are no tokens, or one that the model does not have.
    ContextTooLongError
        The cache and the tokens together are longer than the model's context.
    """
    lm.check_room(length(cache) + len(ids))
    step = lm.forward(ids[:chunk], cache, keep=1)
    for at in range(chunk, len(ids), chunk):
        step = lm.forward(ids[at : at + chunk], step.cache, keep=1)
    return step.logits[-1], step.cache


def plain_pairs(cache: Cache) -> list[Pair]:
    """Keys and values of each layer without the batch, shape (heads, tokens, channels): the cache's own.

    Raises
    ------
    UnsupportedModelError
        The model keeps something else than one key and one value a token: a window, a state.
    """
    return [(keys[0], values[0]) for keys, values in pairs(cache)]


class Places(DynamicCache):
    """A cache whose tokens are all there, some to be computed again: what a layer computes goes to the places of these.

    A subclass because models ask for a Cache. `stop` is the layer at which a pass is cut off once its keys and values
    are known (`Enough`).
    """

    def __init__(self, stored: Sequence[Pair]) -> None:
        """Stored keys and values of each layer, shape (1, heads, tokens, channels): they are written to."""
        super().__init__()
        self.stored = list(stored)
        self.slots = torch.empty(0, dtype=torch.long)
        self.stop: int | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_args: Any, **_kwargs: Any
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Put what was computed into the places `slots`, and give everything up to the last of them."""
        keys, values = self.stored[layer_idx]
        keys[:, :, self.slots] = key_states.to(keys.dtype)
        values[:, :, self.slots] = value_states.to(values.dtype)
        if layer_idx == self.stop:
            raise Enough
        end = int(self.slots[-1]) + 1
        return keys[:, :, :end], values[:, :, :end]


class Enough(Exception):  # noqa: N818 - not an error: it ends a pass that has seen what it was made for
    """A pass was cut off after the keys and values of the layer that it was made for."""


def refill(
    ids: Tensor, slots: Tensor, cache: Places, lm: CausalLM, *, stop: int | None = None, chunk: int = CHUNK
) -> None:  # fmt: skip
    """Compute the tokens at `slots`, ascending, again, each attending to everything before it as it is in the cache then.

    Tokens attend backwards only, so that chunks in order give what one pass would. `ids` are all tokens of the cache. With
    `stop`, layers after that one are left as they are.
    """
    cache.stop = stop
    for part in slots.split(chunk) if len(slots) else ():
        end = int(part[-1]) + 1
        cache.slots = part
        seen = torch.arange(end, device=part.device)[None, :] <= part[:, None]
        mask = torch.zeros(seen.shape, dtype=lm.dtype, device=part.device).masked_fill_(
            ~seen, torch.finfo(lm.dtype).min
        )
        with torch.no_grad(), suppress(Enough):
            lm.logits(
                ids[part][None], 1, position_ids=part[None], attention_mask=mask[None, None], past_key_values=cache,
                use_cache=True,
            )  # fmt: skip
