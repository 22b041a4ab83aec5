"""The naive twin of our graph: BERT in plain numpy, one text at a time, as the paper writes it (arXiv 1810.04805)."""

from __future__ import annotations

from math import erf, sqrt

import numpy as np

_erf = np.vectorize(erf, otypes=[np.float64])


def embed(tensors: dict[str, np.ndarray], ids: list[int]) -> np.ndarray:
    """`ids` with [CLS] and [SEP] → the mean of the last hidden states, of length 1. All in float64."""
    t = {name: array.astype(np.float64) for name, array in tensors.items() if array.dtype == np.float32}
    x = t["embeddings.word_embeddings.weight"][ids] + t["embeddings.position_embeddings.weight"][: len(ids)]
    x = normed(t, "embeddings.LayerNorm", x + t["embeddings.token_type_embeddings.weight"][0])
    for layer in range(6):
        name = f"encoder.layer.{layer}"
        q, k, v = (linear(t, f"{name}.attention.self.{part}", x) for part in ("query", "key", "value"))
        heads = []
        for head in range(12):
            s = slice(32 * head, 32 * head + 32)
            scores = q[:, s] @ k[:, s].T / sqrt(32)
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
            heads.append(weights / weights.sum(axis=1, keepdims=True) @ v[:, s])
        mixed = linear(t, f"{name}.attention.output.dense", np.concatenate(heads, axis=1))
        x = normed(t, f"{name}.attention.output.LayerNorm", x + mixed)
        wide = linear(t, f"{name}.intermediate.dense", x)
        wide = wide * 0.5 * (1 + _erf(wide / sqrt(2)))
        x = normed(t, f"{name}.output.LayerNorm", x + linear(t, f"{name}.output.dense", wide))
    mean = x.mean(axis=0)
    return mean / np.linalg.norm(mean)


def linear(t: dict[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]


def normed(t: dict[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-12) * t[f"{name}.weight"] + t[f"{name}.bias"]
