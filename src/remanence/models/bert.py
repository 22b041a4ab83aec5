"""The encoder in ONNX Runtime: our own fused graph with weights put in, or the graph that a folder brings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from remanence.errors import ModelDamagedError
from remanence.models.protocol import Vectors

if TYPE_CHECKING:
    import onnxruntime

GRAPHS = resources.files("remanence.models") / "graphs"

Pieces = NDArray[np.int32]
Pooling = Literal["mean", "cls"]


class Encoder(Protocol):
    """(ids, mask), int32 of shape (texts, pieces) → float32 (texts, dimensions), unit rows."""

    def __call__(self, ids: Pieces, mask: Pieces) -> Vectors: ...


class Fused:
    """The shipped graph of one precision, with the arrays of `weights.arrange` (int8: of `int8.quantised`) put in."""

    def __init__(self, weights: Mapping[str, NDArray[Any]], precision: str) -> None:
        import onnxruntime

        options = _options()
        # Kept as long as the session: it reads from these arrays, and does not own them.
        self._values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
        options.add_external_initializers(list(weights), self._values)
        graph = (GRAPHS / f"minilm-l6-v2.{precision}.onnx").read_bytes()
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def __call__(self, ids: Pieces, mask: Pieces) -> Vectors:
        """See `Encoder`."""
        return self._session.run(["vectors"], {"ids": ids, "mask": mask})[0]  # pyright: ignore[reportReturnType]


def foreign(path: Path, pooling: Pooling) -> Encoder:
    """Run the `onnx/model.onnx` of a sentence-transformer: it gives token vectors, which are pooled here.

    Raises
    ------
    ModelDamagedError
        ONNX Runtime cannot load the file, or its inputs and outputs are not those of a BERT.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as ort  # pyright: ignore[reportAttributeAccessIssue]  # no stubs

    try:
        session = onnxruntime.InferenceSession(str(path), _options(), providers=["CPUExecutionProvider"])
    except (
        ort.Fail,
        ort.InvalidArgument,
        ort.InvalidGraph,
        ort.InvalidProtobuf,
        ort.NoSuchFile,
        ort.NotImplemented,
        ort.RuntimeException,
    ) as error:
        raise ModelDamagedError(f"{path} cannot be loaded: {error}", "Fetch the model again.") from error
    wanted = {node.name for node in session.get_inputs()}
    if not {"input_ids", "attention_mask"} <= wanted <= {"input_ids", "attention_mask", "token_type_ids"}:
        raise ModelDamagedError(f"{path} asks for {sorted(wanted)}.", "Use the ONNX export of a BERT-family model.")

    def encode(ids: Pieces, mask: Pieces) -> Vectors:
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        tokens = np.asarray(session.run(None, {k: v.astype(np.int64) for k, v in feeds.items() if k in wanted})[0])
        if tokens.ndim != 3 or tokens.shape[:2] != ids.shape:
            raise ModelDamagedError(
                f"{path} gives {tokens.shape}, not one vector per piece.", "Use an encoder's export."
            )
        return pooled(tokens, mask, pooling)

    return encode


def pooled(tokens: NDArray[Any], mask: Pieces, pooling: Pooling) -> Vectors:
    """Token vectors (texts, pieces, dimensions) → unit text vectors: of the first piece, or the mean over the mask."""
    total = tokens[:, 0] if pooling == "cls" else np.einsum("tpd,tp->td", tokens, mask.astype(tokens.dtype))
    return unit(total)


def unit(rows: NDArray[Any]) -> Vectors:
    """Rows of length 1, float32; a row of zeros stays one."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=-1, keepdims=True)
    return (rows / np.maximum(lengths, 1e-30)).astype(np.float32)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _options() -> onnxruntime.SessionOptions:  # pyright: ignore[reportUnknownParameterType]  # no stubs
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # only Windows builds have any; nothing leaves the machine there either
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    options.log_severity_level = 3
    # Threads that spin between two runs save 0.9 ms of a query on an idle machine, and double it on a busy one.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
