"""The format `remanence.kv/1`: blocks in one safetensors file.

Tensors: `{b}.ids` of block b, `{b}.k.{l}` and `{b}.v.{l}` of its layer l, and with int8 and int4 `….scale` and `….low`. The
metadata hold `format`, `header` (JSON: all that has to agree, and the shapes that follow) and `digest`, the SHA-256 of the
header and of every tensor in the order of their names. Token ids stand in a tensor: they are content, like the cache itself.
Nothing in it is executed when it is opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from remanence.activation.block import Block, Segment, digest_of
from remanence.activation.codec import Encoded, Precision, Role, expected, stored_dtype
from remanence.errors import InputError, PayloadDamagedError
from remanence.models.local.causal import CausalLM
from remanence.models.local.fingerprint import Fingerprint

FORMAT = "remanence.kv/1"

_again = "Derive it again from its memories; they are not touched."
_ROLES: tuple[tuple[str, Role], ...] = (("k", "keys"), ("v", "values"))


def save(blocks: Block | Sequence[Block], path: str | Path, *, notes: Mapping[str, Any] | None = None) -> int:
    """Write blocks of one model to a file, all or nothing, and give its bytes. `notes`: JSON kept in the header.

    Raises
    ------
    InputError
        There is no block, or they are of several models.
    """
    blocks = (blocks,) if isinstance(blocks, Block) else tuple(blocks)
    if not blocks or any(block.fingerprint != blocks[0].fingerprint for block in blocks):
        raise InputError("A file holds one or more blocks of one model.", "Write a file for each model.")
    tensors: dict[str, Tensor] = {}
    for number, block in enumerate(blocks):
        tensors[f"{number}.ids"] = torch.tensor(block.ids, dtype=torch.int64)
        for letter, role in _ROLES:
            for layer, part in enumerate(getattr(block, role)):
                for name, tensor in part.tensors().items():
                    tensors[_name(number, letter, layer, name)] = tensor
    header = json.dumps(_header(blocks, notes or {}), ensure_ascii=False, sort_keys=True)
    metadata = {"format": FORMAT, "header": header, "digest": _digest(header, tensors)}
    target = Path(path)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        partial = Path(file.name)
    try:
        save_file(tensors, partial, metadata)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target.stat().st_size


def open_(path: str | Path, model: CausalLM | Fingerprint) -> tuple[Block, ...]:
    """Read the blocks of a file, all of it checked, for use with this model.

    Raises
    ------
    PayloadDamagedError
        The file is missing, cut off, changed, of another format or version, or its parts do not fit together.
    ModelMismatchError
        It was made with another model; the message names what differs.
    """
    header, digest, tensors = _read(Path(path))
    wanted = model if isinstance(model, Fingerprint) else model.fingerprint
    try:
        made_with = Fingerprint.from_json(header["fingerprint"])
        made_with.require(wanted, f"The cache {Path(path).name}")
        if _digest(json.dumps(header, ensure_ascii=False, sort_keys=True), tensors) != digest:
            raise PayloadDamagedError(f"{path} is not what was written: its digest differs.", _again)
        blocks = tuple(_block(number, one, tensors, made_with) for number, one in enumerate(header["blocks"]))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise PayloadDamagedError(f"{path} does not hold what its header says: {error}.", _again) from error
    if not blocks or len(tensors) != sum(1 + sum(len(p.tensors()) for p in (*b.keys, *b.values)) for b in blocks):
        raise PayloadDamagedError(f"{path} holds tensors that its header does not name.", _again)
    return blocks


def notes_of(path: str | Path) -> dict[str, Any]:
    """The `notes` of a file, read without its tensors. PayloadDamagedError where it cannot be read."""
    return dict(_metadata(Path(path))[0].get("notes", {}))


def _header(blocks: Sequence[Block], notes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "fingerprint": blocks[0].fingerprint.to_json(),
        "notes": dict(notes),
        "blocks": [
            {
                "precision": block.precision, "group": _group(block), "layers": len(block.keys), "mode": block.mode,
                "shape": list(block.keys[0].shape), "start": block.start, "parent": block.parent, "rope": block.rope,
                "tokens_digest": digest_of(block.ids), "lossless": block.lossless, "quality": dict(block.quality),
                "seconds": block.seconds,
                "segments": [[segment.tokens, segment.source] for segment in block.segments],
            }
            for block in blocks
        ],
    }  # fmt: skip


def _group(block: Block) -> int:
    """Numbers that share a scale, as many as keys or values have; 2 where this is said by the precision."""
    sizes = [2 * part.data.shape[-1] for part in (block.keys[0], block.values[0])]
    return max(sizes) if block.precision == "int4" else 2


def _block(
    number: int, said: Mapping[str, Any], tensors: Mapping[str, Tensor], made_with: Fingerprint
) -> Block:  # fmt: skip
    heads, tokens, channels = (int(size) for size in said["shape"])
    ids = tuple(int(one) for one in tensors[f"{number}.ids"].tolist())
    segments = tuple(Segment(int(count), _source(source)) for count, source in said["segments"])
    if len(ids) != tokens or sum(one.tokens for one in segments) != tokens or digest_of(ids) != said["tokens_digest"]:
        raise ValueError(f"the tokens of block {number} are not as many, or not those")
    if said["precision"] not in get_args(Precision):
        raise ValueError(f"no precision is called {said['precision']!r}")
    precision = cast("Precision", said["precision"])
    parts = {
        role: tuple(
            _encoded(number, letter, layer, precision, role, (heads, tokens, channels), int(said["group"]), tensors)
            for layer in range(int(said["layers"]))
        )
        for letter, role in _ROLES
    }  # fmt: skip
    return Block(
        ids, parts["keys"], parts["values"], int(said["start"]), str(said["parent"]), made_with, segments, said["rope"],
        lossless=bool(said["lossless"]), quality=dict(said["quality"]), seconds=float(said["seconds"]),
    )  # fmt: skip


def _encoded(
    number: int, letter: str, layer: int, precision: Precision, role: Role, shape: tuple[int, int, int], group: int,
    tensors: Mapping[str, Tensor],
) -> Encoded:  # fmt: skip
    found: dict[str, Tensor] = {}
    for name, size in expected(precision, role, shape, group).items():
        tensor = tensors[_name(number, letter, layer, name)]
        wanted = stored_dtype(precision) if name == "data" else torch.float16
        if tuple(tensor.shape) != tuple(size) or tensor.dtype != wanted:
            raise ValueError(f"{role} of layer {layer} are of shape {tuple(tensor.shape)}, not {tuple(size)}")
        found[name] = tensor
    return Encoded(precision, role, shape, **found)


def _source(said: Any) -> tuple[str, int] | None:
    return None if said is None else (str(said[0]), int(said[1]))


def _name(number: int, letter: str, layer: int, part: str) -> str:
    return f"{number}.{letter}.{layer}" + ("" if part == "data" else f".{part}")


def _digest(header: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(memoryview(cast("Any", tensors[name].contiguous().flatten().view(torch.uint8).numpy())))
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], str, dict[str, Tensor]]:
    header, digest = _metadata(path)
    # Copies, for the file may be overwritten while they are in use: that is how an erasure ends it.
    try:
        with safe_open(path, framework="pt") as file:
            return header, digest, {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise PayloadDamagedError(f"{path} cannot be read: {error}.", _again) from error


def _metadata(path: Path) -> tuple[dict[str, Any], str]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise PayloadDamagedError(f"{path} cannot be read: {error}.", _again) from error
    if metadata.get("format") != FORMAT:
        raise PayloadDamagedError(
            f"{path} is of the format {metadata.get('format', 'of no cache')!r}; this release reads {FORMAT!r}.", _again
        )
    try:
        header = json.loads(metadata["header"])
        return dict(header), metadata["digest"]
    except (KeyError, ValueError, TypeError) as error:
        raise PayloadDamagedError(f"The header of {path} is damaged: {error}.", _again) from error
