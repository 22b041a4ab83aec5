"""What a streaming memory holds of its tokens, and which of them it keeps when room is short."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from remanence.activation.rope import Rope


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """n tokens in the order in which they came.

    The lists are of shape [n] where all layers and heads hold the same tokens, else [layers, heads, n].
    """

    ids: Tensor
    places: Tensor
    """Where in the dialogue each token stood, from 0."""
    turns: Tensor
    scores: Tensor
    """float32, as the scorer gave them, without decay."""
    keys: tuple[Tensor, ...]
    """Per layer [heads, n, width], float32, before rotation."""
    values: tuple[Tensor, ...]
    """Per layer [heads, n, width], as the model computed them."""

    def __len__(self) -> int:
        return self.ids.shape[-1]

    def grown(
        self, ids: Tensor, start: int, turn: int, scores: Tensor, keys: tuple[Tensor, ...], values: tuple[Tensor, ...]
    ) -> Slots:
        """With m more tokens: their ids [m], keys and values, and the scores of all n + m."""
        rows = scores.shape[:-1]
        places = torch.arange(start, start + len(ids))
        lists = ((self.ids, ids), (self.places, places), (self.turns, torch.full_like(ids, turn)))
        one, two, three = (torch.cat([old, new.expand(*rows, -1)], dim=-1) for old, new in lists)
        return Slots(
            one, two, three, scores.float(),
            tuple(torch.cat([old, new], dim=-2) for old, new in zip(self.keys, keys, strict=True)),
            tuple(torch.cat([old, new], dim=-2) for old, new in zip(self.values, values, strict=True)),
        )  # fmt: skip

    def picked(self, index: Tensor) -> Slots:
        """Only the tokens at `index`, [k] or [layers, heads, k]."""
        ids, places, turns, scores = (one.gather(-1, index) for one in (self.ids, self.places, self.turns, self.scores))
        keys, values = (
            tuple(_rows(one, index, layer) for layer, one in enumerate(of)) for of in (self.keys, self.values)
        )
        return replace(self, ids=ids, places=places, turns=turns, scores=scores, keys=keys, values=values)


def nothing(layers: int, heads: int, width: int, dtype: torch.dtype, device: torch.device, *, shared: bool) -> Slots:
    """No tokens yet."""
    rows = () if shared else (layers, heads)
    none = torch.zeros((*rows, 0), dtype=torch.int64)
    keys = tuple(torch.zeros((heads, 0, width), device=device) for _ in range(layers))
    return Slots(none, none, none, none.float(), keys, tuple(one.to(dtype) for one in keys))


def chosen(scores: Tensor, room: int, sinks: int, recent: int) -> Tensor:
    """Which of n tokens to keep in `room` places, in their order: [min(n, room)], or with leading axes as `scores` has.

    As SirLLM's eviction: the best `room - sinks - recent` scores, and the first `sinks`; what is left of the room, also where
    these overlap, is filled with the most recent. Of equal scores the later wins.

    `room` is at least `sinks`.
    """
    count = scores.shape[-1]
    if count <= room:
        return torch.arange(count).expand(scores.shape)
    best = scores.flip(-1).argsort(dim=-1, descending=True, stable=True)[..., : max(0, room - sinks - recent)]
    kept = torch.zeros(scores.shape, dtype=torch.bool).scatter(-1, count - 1 - best, value=True)
    kept[..., :sinks] = True
    missing = room - kept.sum(-1, keepdim=True)
    rank = (~kept).flip(-1).cumsum(-1).flip(-1)  # 1 for the most recent that is not kept, and so on
    kept |= ~kept & (rank <= missing)
    return kept.nonzero()[:, -1].reshape(*scores.shape[:-1], room)


def turned(keys: Tensor, places: Tensor, rope: Rope, *, back: bool = False) -> Tensor:
    """Keys [heads, n, width] rotated to `places`, [n] or [heads, n]; with `back` the other way. float32.

    The angles are rounded as the model rounds them, so that there and back gives the same keys within float32.
    """
    angle = places.to(keys.device, torch.float32)[..., None] * rope.frequencies.to(keys.device)
    cos, sin = angle.cos(), -angle.sin() if back else angle.sin()
    pairs = len(rope.frequencies)
    one, two, rest = keys.float().split([pairs, pairs, keys.shape[-1] - 2 * pairs], dim=-1)
    return torch.cat([one * cos - two * sin, two * cos + one * sin, rest], dim=-1)


def _rows(tensor: Tensor, index: Tensor, layer: int) -> Tensor:
    index = index.to(tensor.device)
    if index.dim() == 1:
        return tensor[:, index]
    return tensor.gather(1, index[layer][..., None].expand(-1, -1, tensor.shape[-1]))
