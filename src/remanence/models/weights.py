"""safetensors → the arrays that our graph names; and the shape a model must have for that graph."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from remanence.errors import ModelDamagedError, ModelMissingError

LAYERS, HEADS, HIDDEN, WIDE, VOCABULARY, POSITIONS, TYPES, EPSILON = 6, 12, 384, 1536, 30522, 512, 2, 1e-12
"""The shape of all-MiniLM-L6-v2; `tools/build_minilm_graph.py` draws the graphs from these numbers."""

CONFIG = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "hidden_size": HIDDEN,
    "intermediate_size": WIDE,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": POSITIONS,
    "type_vocab_size": TYPES,
    "layer_norm_eps": EPSILON,
}
"""What a `config.json` has to say for the graphs that we ship."""

Array = NDArray[Any]


def read_file(path: Path, *, pin: str) -> bytes:
    """The bytes of a file whose SHA-256 in hex is `pin`. What is checked is what is used: the file is read once.

    Raises
    ------
    ModelMissingError
        The file is not there or cannot be read.
    ModelDamagedError
        Its hash is not `pin`.
    """
    with _readable(path):
        data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != pin:
        raise ModelDamagedError(
            f"{path} is not the file that it should be: its SHA-256 is {found[:16]}…, expected {pin[:16]}….",
            "Fetch the model again (for the default: remanence models fetch minilm).",
        )
    return data


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex.

    Raises
    ------
    ModelMissingError
        The file is not there or cannot be read.
    """
    with _readable(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _readable(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        what = f"{path} cannot be read: {error.strerror or error}."
        raise ModelMissingError(
            what, "Fetch the model again (for the default: remanence models fetch minilm)."
        ) from error


def arrange(data: bytes, *, where: Path) -> dict[str, Array]:
    """The weights of one MiniLM-L6, under the names and in the layouts of `graphs/minilm-l6-v2.fp32.onnx`.

    PyTorch keeps a linear layer as (out, in) and multiplies by its transpose; the graph wants (in, out), and query, key
    and value side by side.

    Parameters
    ----------
    data
        The content of a `model.safetensors`: float32 (float16 and bfloat16 files have to be converted first).
    where
        The file that `data` came from, for messages.

    Raises
    ------
    ModelDamagedError
        It is not safetensors, a tensor is missing, or one has another shape or dtype.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelDamagedError(f"{where} is not a safetensors file: {error}.", "Fetch the model again.") from error
    source = _Source(tensors, where=where)
    arranged: dict[str, Array] = {
        "word": source("embeddings.word_embeddings.weight", VOCABULARY, HIDDEN).copy(),
        "position": source("embeddings.position_embeddings.weight", POSITIONS, HIDDEN),
        "type": source("embeddings.token_type_embeddings.weight", TYPES, HIDDEN),
        "embedded.gain": source("embeddings.LayerNorm.weight", HIDDEN),
        "embedded.shift": source("embeddings.LayerNorm.bias", HIDDEN),
    }
    for layer in range(LAYERS):
        path = f"encoder.layer.{layer}"
        heads = [f"{path}.attention.self.{part}" for part in ("query", "key", "value")]
        arranged |= {
            f"{layer}.qkv.weight": np.concatenate([source(f"{h}.weight", HIDDEN, HIDDEN).T for h in heads], axis=1),
            f"{layer}.qkv.bias": np.concatenate([source(f"{h}.bias", HIDDEN) for h in heads]),
            f"{layer}.mix.weight": source(f"{path}.attention.output.dense.weight", HIDDEN, HIDDEN).T,
            f"{layer}.attended.bias": source(f"{path}.attention.output.dense.bias", HIDDEN),
            f"{layer}.attended.gain": source(f"{path}.attention.output.LayerNorm.weight", HIDDEN),
            f"{layer}.attended.shift": source(f"{path}.attention.output.LayerNorm.bias", HIDDEN),
            f"{layer}.widen.weight": source(f"{path}.intermediate.dense.weight", WIDE, HIDDEN).T,
            f"{layer}.widen.bias": source(f"{path}.intermediate.dense.bias", WIDE),
            f"{layer}.narrow.weight": source(f"{path}.output.dense.weight", HIDDEN, WIDE).T,
            f"{layer}.fed.bias": source(f"{path}.output.dense.bias", HIDDEN),
            f"{layer}.fed.gain": source(f"{path}.output.LayerNorm.weight", HIDDEN),
            f"{layer}.fed.shift": source(f"{path}.output.LayerNorm.bias", HIDDEN),
        }
    return {name: np.ascontiguousarray(array) for name, array in arranged.items()}


class _Source:
    """Tensors of a file by name, each checked; some exports put `bert.` in front of every name."""

    def __init__(self, tensors: Mapping[str, Array], *, where: Path) -> None:
        self._tensors = tensors
        self._where = where
        self._prefix = "" if "embeddings.word_embeddings.weight" in tensors else "bert."

    def __call__(self, name: str, *shape: int) -> Array:
        tensor = self._tensors.get(self._prefix + name)
        if tensor is None or tensor.shape != shape or tensor.dtype != np.float32:
            found = "missing" if tensor is None else f"{tensor.dtype} {tensor.shape}"
            raise ModelDamagedError(
                f"{self._where}: the tensor {name} is {found}, expected float32 {shape}.", "Fetch the model again."
            )
        return tensor
