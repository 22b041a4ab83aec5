"""The state of a training in one file: weights, optimiser, and as JSON what else it depends on. No pickle.

One file, because only a single rename is atomic: weights of one step can never meet the optimiser of another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.optim import Optimizer
from transformers import PreTrainedModel

from remanence.errors import InputError, ModelDamagedError, ModelMissingError
from remanence.models.local import folders, optimising
from remanence.models.local.fingerprint import base_of

FILE = "training.safetensors"
FORMAT = "remanence.training/1"
_WEIGHT = "model."


@dataclass(frozen=True, slots=True)
class State:
    """What was saved."""

    said: dict[str, Any]
    """What the training needs besides tensors: its step, its settings, its losses."""
    tensors: dict[str, Tensor]


def save(folder: Path, model: PreTrainedModel, found: list[Optimizer], said: Mapping[str, Any]) -> None:
    """Replace the state in `folder`, and then the weights that others read there."""
    weights = folders.weights(model)
    tensors = {f"{_WEIGHT}{name}": tensor for name, tensor in weights.items()} | optimising.state_tensors(found)
    folders.write_tensors(folder / FILE, tensors, {"format": FORMAT, "state": json.dumps(said)})
    folders.write_weights(folder, model)


def read(folder: Path) -> State:
    """The state in `folder`.

    Raises
    ------
    ModelMissingError
        There is none.
    ModelDamagedError
        The file is not what was written.
    """
    path = folder / FILE
    if not path.is_file():
        raise ModelMissingError(f"{folder} holds no training to go on with.", "Begin one: remanence lm train.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = cast(dict[str, str], file.metadata() or {})
            if metadata.get("format") != FORMAT:
                raise ModelDamagedError(f"{path} is no state of a training.", "Begin the training again.")
            said = cast(dict[str, Any], json.loads(metadata["state"]))
            return State(said, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 — no mapping
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelDamagedError(f"{path} is damaged: {error}.", "Begin the training again.") from error


def restore(state: State, model: PreTrainedModel, found: list[Optimizer]) -> None:
    """Put weights and optimiser back.

    Raises
    ------
    InputError
        The state belongs to a model of other sizes, or to other optimisers.
    """
    own = dict(cast(PreTrainedModel, base_of(model)).state_dict())
    try:
        with torch.no_grad():
            for name in folders.weights(model):
                own[name].copy_(state.tensors[f"{_WEIGHT}{name}"])
        optimising.load_state(found, {k: v for k, v in state.tensors.items() if not k.startswith(_WEIGHT)})
    except (KeyError, ValueError, IndexError, RuntimeError) as error:
        raise InputError(
            f"The saved training is not of this model: {error}.", "Use the folder and the settings that it began with."
        ) from error
