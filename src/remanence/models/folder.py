"""A sentence-transformer of the BERT family in a folder: what it says about itself, and the embedder over it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from remanence.errors import ModelDamagedError, ModelMissingError
from remanence.models import bert, minilm, weights, wordpiece
from remanence.models.sentence import Loaded, SentenceEmbedder
from remanence.settings import Precision

ONNX = Path("onnx") / "model.onnx"


@dataclass(frozen=True, slots=True)
class Description:
    """What the JSON files of a folder say."""

    kind: str
    dimensions: int
    max_pieces: int
    pooling: bert.Pooling
    fits: bool
    """Whether the shipped graph has this shape, so that `model.safetensors` is enough."""


def describe(folder: Path) -> Description:
    """Read `config.json`, and the three optional files of sentence-transformers.

    Raises
    ------
    ModelMissingError
        There is no `config.json`, or the model does something after pooling that is not built here.
    ModelDamagedError
        A file is not JSON or says something impossible.
    """
    config = _json(folder / "config.json")
    if config is None:
        raise ModelMissingError(f"{folder} holds no config.json.", f"Fetch the model again, or remove {folder}.")
    pooling = _pooling(folder)
    extra = [str(module.get("type", "")).rpartition(".")[2] for module in _json(folder / "modules.json", []) or []]
    if unknown := set(extra) - {"Transformer", "Pooling", "Normalize"}:
        raise ModelMissingError(
            f"{folder} has a {min(unknown)} module, which is not built here.",
            "Serve this model through an embeddings endpoint.",
        )
    sizes = _json(folder / "sentence_bert_config.json", {}) or {}
    try:
        room = int(config["max_position_embeddings"])
        return Description(
            kind=str(config["model_type"]),
            dimensions=int(config["hidden_size"]),
            max_pieces=max(3, min(room, int(sizes.get("max_seq_length") or minilm.MAX_PIECES))),
            pooling=pooling,
            fits=pooling == "mean" and all(config.get(key) == value for key, value in weights.CONFIG.items()),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelDamagedError(f"{folder / 'config.json'}: {error!r}.", "Fetch the model again.") from error


def open_folder(folder: Path, precision: Precision = "fp32") -> SentenceEmbedder:
    """The embedder over `folder`: our graph where its shape fits, else the folder's own `onnx/model.onnx` as it is.

    Raises
    ------
    ModelMissingError
        The folder lacks a file, or holds a model that cannot run here.
    ModelDamagedError
        A file is not what its name says.
    """
    found = describe(folder)
    path = folder / "model.safetensors"
    fused = found.fits and path.is_file()
    if not fused:
        path = folder / ONNX
        if not path.is_file():
            raise ModelMissingError(
                f"{folder} holds a {found.kind} of another shape than MiniLM-L6, and no {ONNX}.",
                "Export it to ONNX into that place, or serve it through an embeddings endpoint.",
            )
        precision = "fp32"  # a foreign graph runs as it is; int8 is built for MiniLM-L6 only
    tokenizer = weights.digest(folder / "tokenizer.json")
    model = weights.digest(path)
    if path.suffix == ".onnx":  # large exports keep their weights beside the graph
        beside = sorted(path.parent.glob("model.onnx_data*"))
        model = hashlib.sha256("".join([model, *map(weights.digest, beside)]).encode()).hexdigest()
    official = (model, tokenizer) == (minilm.MODEL_SHA256, minilm.TOKENIZER_SHA256)
    label = minilm.NAME if official else f"{found.kind}-{found.dimensions}"

    def load() -> Loaded:
        if fused:
            return minilm.load(folder, precision, model_pin=model, tokenizer_pin=tokenizer)
        cutter = folder / "tokenizer.json"
        text = weights.read_file(cutter, pin=tokenizer)
        return Loaded(wordpiece.from_tokenizer_json(text, where=str(cutter)), bert.foreign(path, found.pooling))

    return SentenceEmbedder(
        name=minilm.NAME if official else folder.name,
        # The label comes from what is in the folder, never from where it lies: a moved folder keeps its fingerprint.
        fingerprint=minilm.fingerprint(
            label,
            precision,
            model=model,
            tokenizer=tokenizer,
            pooling=found.pooling,
            max_pieces=found.max_pieces,
        ),
        dimensions=found.dimensions,
        max_pieces=found.max_pieces,
        load=load,
    )


def _pooling(folder: Path) -> bert.Pooling:
    said = cast("dict[str, Any]", _json(folder / "1_Pooling" / "config.json", {}) or {})
    if isinstance(name := said.get("pooling_mode"), str):  # sentence-transformers since 5.3
        modes = {name}
    else:
        prefix = "pooling_mode_"
        modes = {key.removeprefix(prefix) for key, on in said.items() if key.startswith(prefix) and on is True}
    if modes <= {"mean_tokens", "mean"}:
        return "mean"
    if modes <= {"cls_token", "cls"}:
        return "cls"
    raise ModelMissingError(
        f"{folder} pools by {', '.join(sorted(modes))}; mean and cls are built here.",
        "Serve this model through an embeddings endpoint.",
    )


def _json(path: Path, otherwise: Any = None) -> Any:
    if not path.is_file():
        return otherwise
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise ModelDamagedError(f"{path} is not JSON: {error}.", "Fetch the model again.") from error
