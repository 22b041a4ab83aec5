"""The format `remanence.stream/1`: a streaming memory in one safetensors file.

Tensors: `ids`, `places`, `turns` and `scores` of the tokens that are held, `k.{l}` (before rotation) and `v.{l}` of each layer, and
`last`, what the model expects next. The metadata hold `format`, `header` (JSON: the fingerprint of the model and the state of
the memory) and `digest`, the SHA-256 of the header and of every tensor in the order of their names. Nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from remanence.activation.slots import Slots
from remanence.errors import InputError, PayloadDamagedError
from remanence.models.local.causal import CausalLM
from remanence.models.local.fingerprint import Fingerprint

FORMAT = "remanence.stream/1"
_again = "Begin the dialogue anew, or restore the file from a copy."
_LISTS = ("ids", "places", "turns", "scores")


@dataclass(frozen=True, slots=True)
class State:
    """All of a memory but its tokens."""

    budget: int
    sinks: int
    recent: int
    positions: Literal["cache", "original"]
    decay: float
    scorer: str
    seen: int
    turn: int


def save(path: Path, held: Slots, last: Tensor | None, state: Mapping[str, Any], made_with: Fingerprint) -> int:
    """Write a memory, all or nothing, and give the bytes of the file."""
    tensors = {name: cast(Tensor, getattr(held, name)) for name in _LISTS}
    tensors |= {f"k.{layer}": one for layer, one in enumerate(held.keys)}
    tensors |= {f"v.{layer}": one for layer, one in enumerate(held.values)}
    if last is not None:
        tensors["last"] = last
    tensors = {name: one.cpu().contiguous() for name, one in tensors.items()}
    header = json.dumps({"fingerprint": made_with.to_json(), "state": dict(state)}, sort_keys=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        partial = Path(file.name)
    try:
        save_file(tensors, partial, {"format": FORMAT, "header": header, "digest": _digest(header, tensors)})
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path.stat().st_size


def load(path: Path, lm: CausalLM, *, shared: bool) -> tuple[Slots, Tensor | None, State]:
    """Read a memory, all of it checked, for use with this model.

    Raises
    ------
    PayloadDamagedError
        The file is missing, damaged or of another format.
    ModelMismatchError
        It was made with another model.
    InputError
        It holds other tokens for every layer and head and should be shared, or the other way round.
    """
    metadata, tensors = _read(path)
    if metadata.get("format") != FORMAT:
        raise PayloadDamagedError(
            f"{path} is of the format {metadata.get('format', 'of no memory')!r}; this release reads {FORMAT!r}.",
            _again,
        )
    try:
        if _digest(metadata["header"], tensors) != metadata["digest"]:
            raise PayloadDamagedError(f"{path} is not what was written: its digest differs.", _again)
        header = json.loads(metadata["header"])
        made_with = Fingerprint.from_json(header["fingerprint"])
        state = State(**header["state"])
        layers = sum(name.startswith("k.") for name in tensors)
        lists = [tensors[name] for name in _LISTS]
        parts = [tuple(tensors[f"{letter}.{layer}"].to(lm.device) for layer in range(layers)) for letter in "kv"]
    except (KeyError, TypeError, ValueError) as error:
        raise PayloadDamagedError(f"{path} does not hold what its header says: {error}.", _again) from error
    made_with.require(lm.fingerprint, f"The dialogue {path.name}")
    if shared != (lists[0].dim() == 1):
        raise InputError(f"{path} was made with a scorer of another kind.", "Pass the scorer that it was made with.")
    return Slots(lists[0], lists[1], lists[2], lists[3], parts[0], parts[1]), tensors.get("last"), state


def _digest(header: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - it is no mapping
            return file.metadata() or {}, tensors
    except (SafetensorError, OSError, ValueError) as error:
        raise PayloadDamagedError(f"{path} cannot be read: {error}.", _again) from error
