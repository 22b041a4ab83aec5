"""The arrays of `weights.arrange` → those of `graphs/minilm-l6-v2.int8.onnx`, where a vector does not depend on its batch.

Each row of activations is rounded to 8 bits by its own largest value, when it comes; each column of a matrix by its own,
here. Neither works while a few values are twenty times the others, as they are in every BERT. So the 48 rows of a matrix
that meet them stay float32, and their part of the product is added (after Dettmers et al. 2022, arXiv 2208.07339, who pick
them anew for every batch). They are found in the weights alone: they are the dimensions of the hidden state that some
feed-forward layer writes to most strongly, and those of a feed-forward layer that it reads most strongly.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from remanence.models.weights import LAYERS, Array

RARE = 48
"""How many rows of a matrix stay float32."""

FLOOR = 0.17
"""Added to what GELU gives, whose least value is -0.16997, so that all 8 bits serve; the bias that follows takes it back."""

MOST = 127


def quantised(weights: Mapping[str, Array]) -> dict[str, Array]:
    """Every matrix as int8 with one float32 scale per column, but for its rare rows; the rest as it was."""
    arrays = {name: array for name, array in weights.items() if array.ndim == 1 or not name.endswith(".weight")}
    loud = _loud(weights)
    arrays |= _choice("hidden", loud, weights["0.qkv.weight"])
    for layer in range(LAYERS):
        wide = weights[f"{layer}.narrow.weight"]
        rows = _largest(np.abs(wide).max(axis=1))
        arrays |= _choice(f"{layer}.gelu", rows, wide)
        arrays |= _split(f"{layer}.qkv", weights, loud) | _split(f"{layer}.widen", weights, loud)
        arrays |= _split(f"{layer}.mix", weights, None) | _split(f"{layer}.narrow", weights, rows)
        kept = arrays[f"{layer}.narrow.weight"].sum(axis=0, dtype=np.int64) * arrays[f"{layer}.narrow.scale"]
        arrays[f"{layer}.fed.bias"] = (weights[f"{layer}.fed.bias"] - FLOOR * kept).astype(np.float32)
    return arrays


def _loud(weights: Mapping[str, Array]) -> Array:
    writes = [np.abs(weights[f"{layer}.narrow.weight"]).max(axis=0) for layer in range(LAYERS)]
    return _largest(np.max([write / max(float(np.median(write)), 1e-30) for write in writes], axis=0))


def _largest(scores: Array) -> Array:
    return np.sort(np.argsort(-scores, kind="stable")[:RARE])


def _choice(name: str, rows: Array, matrix: Array) -> dict[str, Array]:
    """The numbers of the rare rows, and a mask of the others."""
    common = np.ones(len(matrix), np.float32)
    common[rows] = 0
    return {f"{name}.rare": rows.astype(np.int64), f"{name}.common": common}


def _split(name: str, weights: Mapping[str, Array], rows: Array | None) -> dict[str, Array]:
    matrix = weights[f"{name}.weight"].copy()
    arrays: dict[str, Array] = {}
    if rows is not None:
        arrays[f"{name}.rare"] = matrix[rows]
        matrix[rows] = 0
    scale = _scale(matrix)
    return arrays | {f"{name}.weight": np.rint(matrix / scale).astype(np.int8), f"{name}.scale": scale}


def _scale(matrix: Array) -> Array:
    """One step per column: small enough for precision, large enough that nothing overflows on any machine.

    An x86 without VNNI multiplies unsigned by signed bytes and adds each pair of neighbours in 16 bits. What two
    neighbours of the same sign add up to is therefore held to 128 steps: 255 · 128 still fits.
    """
    positive, negative = np.maximum(matrix, 0), np.maximum(-matrix, 0)
    pairs = [half[0::2] + half[1::2] for half in (positive, negative)]
    return np.maximum(np.max(pairs, axis=(0, 1)) / MOST, 1e-30).astype(np.float32)
