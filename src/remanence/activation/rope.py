"""Rotary positions: which rotation a model gives its keys, and moving keys to another place in a sequence.

Su et al., RoFormer (arXiv 2104.09864): a key at position p is turned by the angles p * w, one for each pair of channels.
Where the frequencies w do not depend on the length, a key moves from p to q by turning it by (q - p) * w; a factor on all
keys, as YaRN has one, stays as it is. The angles are rounded as the model rounds them, so that a moved key comes out as near
to a native one as fp32 allows. What a configuration says is not trusted: `rope_of` tries the move on the model itself.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from remanence.activation.running import plain_pairs
from remanence.errors import UnsupportedModelError
from remanence.models.local.causal import CausalLM

KINDS = frozenset({"default", "linear", "llama3", "yarn"})
"""Rotations whose frequencies are constant."""

_TRIED, _MOVED = 8, 5  # tokens of the trial, and how far they are moved
_OFF = {torch.float32: 1e-3}  # relative; a model in half precision rounds every key by up to 2^-8
_next = "Use the cache as a prefix at its own place, or choose another model."
_known: WeakKeyDictionary[Any, Rope] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True, eq=False)
class Rope:
    """The rotation of a model's keys."""

    kind: str
    frequencies: Tensor
    """Radians a position, fp32, shape (pairs,): channel i turns with channel i + pairs; the channels after 2 * pairs do not turn."""

    def to_json(self) -> dict[str, Any]:
        """The kind, the channels that turn, and a digest of the frequencies."""
        digest = hashlib.sha256(self.frequencies.numpy().tobytes()).hexdigest()[:32]
        return {"type": self.kind, "channels": 2 * len(self.frequencies), "frequencies": digest}


def rope_of(lm: CausalLM) -> Rope:
    """The rotation of this model's keys, tried once on the model: tokens computed in one place and moved, and computed there.

    Raises
    ------
    UnsupportedModelError
        It has no rotary positions, or frequencies that change with the length or differ between kinds of positions or of
        layers; or moved keys do not come out as native ones.
    """
    known = _known.get(lm.model)
    if known is None:
        known = declared(lm)
        _try(lm, known)
        _known[lm.model] = known
    return known


def declared(lm: CausalLM) -> Rope:
    """What the model says of its rotation.

    Raises
    ------
    UnsupportedModelError
        As `rope_of`, but for the trial.
    """
    rotary = getattr(lm.model.get_decoder(), "rotary_emb", None)
    frequencies = getattr(rotary, "inv_freq", None)
    if not isinstance(frequencies, Tensor):
        raise UnsupportedModelError(f"{lm.name} has no rotary positions of one kind: its cache cannot be moved.", _next)
    kind = str(getattr(rotary, "rope_type", "default"))
    said: dict[str, Any] = getattr(lm.model.config, "rope_parameters", None) or {}
    if kind not in KINDS or "mrope_section" in said:
        what = "multi-section" if "mrope_section" in said else kind
        raise UnsupportedModelError(f"{lm.name} has {what} rotary positions: its cache cannot be moved.", _next)
    return Rope(kind, frequencies.detach().to("cpu", torch.float32, copy=True))


def rerotate(keys: Tensor, start: int, to: int, rope: Rope) -> Tensor:
    """Keys of consecutive tokens, rotated at `start`, as they are at `to`; fp32, shape (…, tokens, channels).

    Rotate from what was stored, never from what was moved before: roundings would add up.
    """
    if start == to:
        return keys.float()
    places = torch.arange(keys.shape[-2], dtype=torch.float32, device=keys.device)
    frequencies = rope.frequencies.to(keys.device)
    angle = ((places + to)[:, None] * frequencies).double() - ((places + start)[:, None] * frequencies).double()
    cos, sin = angle.cos().float(), angle.sin().float()
    pairs = len(frequencies)
    one, two, rest = keys.float().split([pairs, pairs, keys.shape[-1] - 2 * pairs], dim=-1)
    return torch.cat([one * cos - two * sin, two * cos + one * sin, rest], dim=-1)


def _try(lm: CausalLM, rope: Rope) -> None:
    """Hold moved keys against native ones, layer by layer; the first layer alone would hide layers without rotation."""
    ids = [number % lm.vocabulary for number in range(3, 3 + _TRIED)]
    here, there = (
        plain_pairs(lm.forward(ids, positions=range(at, at + _TRIED), keep=1).cache) for at in (0, _MOVED)
    )  # fmt: skip
    limit = _OFF.get(lm.dtype, 4e-2)
    for layer, ((keys, _), (native, _)) in enumerate(zip(here, there, strict=True)):
        moved = rerotate(keys.cpu(), 0, _MOVED, rope)
        off = float((moved - native.cpu().float()).norm() / native.float().norm().clamp_min(1e-30))
        if not off <= limit:
            raise UnsupportedModelError(f"Keys of layer {layer} of {lm.name} are not moved by its declared rotation ({off:.1e} off).", _next)  # fmt: skip
