"""Keys and values as bytes: fp32, bf16, fp16, int8 and int4, each with the loss that it was measured to cost.

Codes are linear over the range of a group: x ≈ low + scale * code, off by at most half a scale. Keys are grouped per channel,
because a few of their channels are large everywhere; values per token (KIVI, arXiv 2402.02750, section 3). With int8 a
group is all tokens of a channel, or all channels of a token; with int4 it is `group` neighbours of them. What is stored is
turned back to full precision before anything is computed with it, and before keys are rotated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from remanence.errors import InputError

Precision = Literal["fp32", "bf16", "fp16", "int8", "int4"]
Role = Literal["keys", "values"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
GROUP = 64
"""Neighbours that share a scale with int4: half a bit a number; 32 cost a whole one and lose less."""

_FLOATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_LEVELS = {"int8": 255, "int4": 15}
_ROUNDING, _TINY = 2.0**-10, 2.0**-24  # of fp16: half a step of a number, and its smallest one


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """The keys or the values of one layer as they are stored."""

    precision: Precision
    role: Role
    shape: tuple[int, int, int]
    """Heads, tokens, channels."""
    data: Tensor
    """The numbers themselves, or uint8 codes of shape (heads, lines, groups, codes), two codes a byte with int4."""
    scale: Tensor | None = None
    """fp16, shape (heads, lines, groups, 1); None for floats."""
    low: Tensor | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(part.nbytes for part in (self.data, self.scale, self.low) if part is not None)

    def tensors(self) -> Mapping[str, Tensor]:
        """What a file holds of it, by name: `data`, and with integers `scale` and `low`."""
        named = {"data": self.data, "scale": self.scale, "low": self.low}
        return {name: part for name, part in named.items() if part is not None}

    def decode(self) -> Tensor:
        """The numbers in fp32, shape (heads, tokens, channels): always a copy, never what is stored."""
        if self.scale is None or self.low is None:
            return self.data.to(torch.float32, copy=True)
        heads, tokens, channels = self.shape
        codes = unpacked(self.data) if self.precision == "int4" else self.data
        lines = (codes.float() * self.scale.float() + self.low.float()).flatten(2)
        if self.role == "keys":
            return lines[..., :tokens].transpose(1, 2).contiguous()
        return lines[..., :channels].reshape(heads, tokens, channels)


@dataclass(frozen=True, slots=True)
class Loss:
    """What storing cost, measured on what was stored."""

    max_abs: float
    """The greatest difference of a number."""
    relative: float
    """The norm of all differences by the norm of what was stored; 0 where it was stored as it is."""


def encode(tensor: Tensor, precision: Precision, role: Role, *, group: int = GROUP) -> Encoded:
    """Encode the keys or values of one layer, shape (heads, tokens, channels).

    Raises
    ------
    InputError
        The tensor is not of that shape, is empty, holds what is no number, or is too large for the precision; or `group` is odd.
    """
    if tensor.ndim != 3 or not tensor.numel():
        raise InputError(f"Keys and values have heads, tokens and channels; this is of shape {tuple(tensor.shape)}.")
    if group < 2 or group % 2:
        raise InputError(
            f"Codes of four bits go in pairs: a group of {group} cannot be.", "Give an even group, such as 64."
        )
    heads, tokens, channels = tensor.shape
    shape = (heads, tokens, channels)
    if precision in _FLOATS:
        data = tensor.detach().to("cpu", _FLOATS[precision], copy=True, memory_format=torch.contiguous_format)
        _require_finite(data, precision)
        return Encoded(precision, role, shape, data)
    numbers = tensor.detach().to("cpu", torch.float32)
    lines = numbers.transpose(1, 2) if role == "keys" else numbers
    codes, scale, low = _quantised(_grouped(lines, _size(precision, lines.shape[-1], group)), _LEVELS[precision])
    for part in (numbers, scale, low):
        _require_finite(part, precision)
    return Encoded(precision, role, shape, packed(codes) if precision == "int4" else codes, scale, low)


def loss(original: Tensor, stored: Encoded) -> Loss:
    """How far what is stored is from the original, shape (heads, tokens, channels)."""
    exact = original.detach().to("cpu", torch.float32)
    away = stored.decode() - exact
    return Loss(float(away.abs().max()), float(away.norm() / exact.norm().clamp_min(1e-30)))


def packed(codes: Tensor) -> Tensor:
    """Codes 0 to 15, two a byte along the last axis, which is even: the first of a pair in the low four bits."""
    return codes[..., 0::2] | (codes[..., 1::2] << 4)


def unpacked(data: Tensor) -> Tensor:
    """The inverse of `packed`."""
    return torch.stack((data & 15, data >> 4), dim=-1).flatten(-2)


def expected(
    precision: Precision, role: Role, shape: tuple[int, int, int], group: int
) -> Mapping[str, tuple[int, ...]]:
    """The shapes of `Encoded.tensors` for a layer of that shape: what a file must hold."""
    if precision in _FLOATS:
        return {"data": shape}
    heads, tokens, channels = shape
    lines, along = (channels, tokens) if role == "keys" else (tokens, channels)
    size = _size(precision, along, group)
    groups = -(-along // size)
    codes = size if precision == "int8" else size // 2
    return {"data": (heads, lines, groups, codes), "scale": (heads, lines, groups, 1), "low": (heads, lines, groups, 1)}


def stored_dtype(precision: Precision) -> torch.dtype:
    """The dtype of `Encoded.data`."""
    return _FLOATS.get(precision, torch.uint8)


def _grouped(lines: Tensor, size: int) -> Tensor:
    """(heads, lines, numbers) → (heads, lines, groups, size); the last group is filled up with its last number."""
    missing = -lines.shape[-1] % size
    if missing:
        lines = torch.cat([lines, lines[..., -1:].expand(*lines.shape[:-1], missing)], dim=-1)
    return lines.reshape(*lines.shape[:2], -1, size)


def _size(precision: Precision, along: int, group: int) -> int:
    """Numbers that share a scale, of `along` in a line: no more than there are, and even where codes go in pairs."""
    return along if precision == "int8" else min(group, along + along % 2)


def _quantised(groups: Tensor, levels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Codes, scale and low. The two are rounded outwards, so that the range still holds all numbers of the group."""
    least = groups.amin(-1, keepdim=True)
    low = (least - least.abs() * _ROUNDING - _TINY).half()
    span = (groups.amax(-1, keepdim=True) - low.float()) / levels
    scale = (span * (1 + _ROUNDING) + _TINY).half()
    codes = ((groups - low.float()) / scale.float()).round_().clamp_(0, levels)
    return codes.to(torch.uint8, memory_format=torch.contiguous_format), scale.contiguous(), low.contiguous()


def _require_finite(tensor: Tensor, precision: Precision) -> None:
    if not bool(tensor.isfinite().all()):
        raise InputError(
            f"The cache holds what {precision} cannot.",
            "Store it as fp32; if that fails, the model computes what is no number: check its weights and dtype.",
        )
