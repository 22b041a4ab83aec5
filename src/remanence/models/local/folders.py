"""Model folders as Hugging Face reads them, written so that an interruption leaves a whole folder or the one before."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from safetensors.torch import save
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from remanence.errors import InputError
from remanence.models.local.fingerprint import base_of

WEIGHTS = "model.safetensors"


def write_model(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write a new folder that `CausalLM.open` and transformers open: configuration, weights, tokenizer.

    It is written beside its place and renamed, so it is there whole or not at all.

    Raises
    ------
    InputError
        Something lies there already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already.", "Choose a folder that is not there yet.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
        made = Path(beside) / "model"
        made.mkdir()
        config = cast(PreTrainedModel, base_of(model)).config
        said = {**json.loads(config.to_json_string(use_diff=False)), "architectures": [type(base_of(model)).__name__]}
        said.pop("_name_or_path", None)
        _write(made / "config.json", (json.dumps(said, indent=2, sort_keys=True) + "\n").encode())
        cast(Any, tokenizer).save_pretrained(made)
        write_weights(made, model)
        made.replace(folder)


def write_weights(folder: Path, model: PreTrainedModel) -> None:
    """Write the weights of a model into its folder, in one step."""
    write_tensors(folder / WEIGHTS, weights(model), {"format": "pt"})


def weights(model: PreTrainedModel) -> dict[str, Tensor]:
    """The tensors of a model by name; of tied ones the first name only, as transformers wants it."""
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in cast(PreTrainedModel, base_of(model)).state_dict().items():
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            found[name] = tensor.detach().cpu().contiguous()
    return found


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file so that it is there whole, or not changed at all, also when the power fails."""
    _write(path, save(dict(tensors), dict(metadata)))


def _write(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    if os.name == "posix":  # the new name has to reach the disk too
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
