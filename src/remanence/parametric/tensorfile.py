"""Tensors and what is said of them as one safetensors file, byte for byte the same for the same content.

The library writes its metadata in an order that differs from run to run. A file that must not tell what was in it before
has to be a function of its content, so the header is written anew with its keys sorted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from remanence.errors import PayloadDamagedError

_LENGTH = 8


def write(path: Path, kind: str, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Path:
    """Write a file of format `kind`, whole or not at all. `about` is kept as JSON, one text per key."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())}
    said = {"format": kind} | {name: json.dumps(value, sort_keys=True) for name, value in about.items()}
    said["digest"] = _digest(plain, said)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(_sorted(save(plain, said)))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def read(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of such a file, and what is said of them.

    Raises
    ------
    PayloadDamagedError
        The file is missing, of another format, or not what was written.
    """
    try:
        with safe_open(path, "pt") as file:  # pyright: ignore[reportUnknownVariableType] — no stubs
            said = cast("dict[str, str]", file.metadata() or {})
            tensors = {str(name): cast("Tensor", file.get_tensor(name)).clone() for name in file.keys()}  # noqa: SIM118
        known, digest = said["format"], said.pop("digest")
        about = {name: json.loads(text) for name, text in said.items() if name != "format"}
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise PayloadDamagedError(
            f"{path.name} cannot be read as {kind}.", "Build it anew from its memories."
        ) from error
    if known != kind:
        raise PayloadDamagedError(f"{path.name} has the format {known!r}, not {kind}.", "Open it with what wrote it.")
    if digest != _digest(tensors, said):
        raise PayloadDamagedError(f"{path.name} is not what was written.", "Build it anew from its memories.")
    return tensors, about


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """A SHA-256 of named tensors, as 32 hexadecimal digits."""
    return _digest({name: tensor.detach().cpu() for name, tensor in tensors.items()}, {})[:32]


def _sorted(data: bytes) -> bytes:
    length = int.from_bytes(data[:_LENGTH], "little")
    header = json.dumps(json.loads(data[_LENGTH : _LENGTH + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % _LENGTH)
    return len(header).to_bytes(_LENGTH, "little") + header + data[_LENGTH + length :]


def _digest(tensors: Mapping[str, Tensor], said: Mapping[str, str]) -> str:
    found = hashlib.sha256(json.dumps(dict(said), sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        found.update(bytes(tensor.contiguous().flatten().view(torch.uint8).numpy()))
    return found.hexdigest()
