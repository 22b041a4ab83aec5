"""Edits of weights: kept as low-rank updates beside the model, put on and taken off without a trace.

An edit is a sum of outer products per projection, in a file of format `remanence.edit/1` with the memories that it was made from.
While it is applied, the model works with new tensors and the old ones are kept; taking it off puts the very same tensors back.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from remanence.cubes import Form
from remanence.drafts import Artefact
from remanence.errors import InputError, ModelMismatchError, PayloadDamagedError, StaleError, UnsupportedModelError
from remanence.models.local.causal import CausalLM
from remanence.models.local.fingerprint import Fingerprint
from remanence.parametric import tensorfile
from remanence.parametric.sites import weight_shape

FORMAT = "remanence.edit/1"


@dataclass(frozen=True, slots=True)
class Update:
    """A change of one weight: left · rightᵀ, whichever way the module keeps its weight."""

    left: Tensor
    """[out, k], fp32."""
    right: Tensor
    """[in, k], fp32."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Updates by the names of the modules."""

    updates: Mapping[str, Update]
    fingerprint: Fingerprint
    """Of the model before the edit."""
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """`sources`, the method and its sites … No text of a memory."""

    @property
    def rank(self) -> int:
        """The largest number of outer products in one module."""
        return max((update.left.shape[1] for update in self.updates.values()), default=0)


class Applied:
    """An edit that is on a model. `revert` takes it off; later edits have to be taken off first."""

    def __init__(self, lm: CausalLM, edit: Edit) -> None:
        self.lm, self.edit = lm, edit
        edit.fingerprint.require(lm.fingerprint, "The edit")
        self._kept: list[tuple[nn.Parameter, Tensor, Tensor]] = []
        changes: list[tuple[nn.Parameter, Tensor]] = []
        for name, update in edit.updates.items():
            if weight_shape(lm.model, name) != (update.left.shape[0], update.right.shape[0]):
                raise ModelMismatchError(f"The edit does not fit the layer {name} of {lm.name}.", "Make it anew.")
            module = lm.model.get_submodule(name)
            parameter = module.weight
            if not isinstance(parameter, nn.Parameter) or not parameter.is_floating_point():
                raise UnsupportedModelError(
                    f"The weight of {name} is not one that can be edited.", "Open the model unquantised."
                )
            delta = (update.left.double() @ update.right.double().T).to(parameter.device)
            changes.append((parameter, delta.T if isinstance(module, Conv1D) else delta))
        for parameter, delta in changes:
            before = parameter.data
            parameter.data = (before.double() + delta).to(before.dtype)
            self._kept.append((parameter, before, parameter.data))

    def revert(self) -> None:
        """Put the original tensors back: the same storage, so the same bits. Doing it again changes nothing.

        Raises
        ------
        StaleError
            Something else has changed a weight since; nothing was reverted.
        """
        if any(parameter.data_ptr() != ours.data_ptr() for parameter, _, ours in self._kept):
            raise StaleError("A weight was changed after this edit.", "Take later edits off first.")
        for parameter, before, _ in self._kept:
            parameter.data = before
        self._kept = []


@contextmanager
def applied(lm: CausalLM, edit: Edit) -> Generator[Applied]:
    """The edit works inside the block, and is off after it. Errors as `Applied`."""
    on = Applied(lm, edit)
    try:
        yield on
    finally:
        on.revert()


def write(edit: Edit, target: Path) -> Path:
    """Write an edit to one file."""
    tensors = {
        f"{name}.{side}": getattr(update, side) for name, update in edit.updates.items() for side in ("left", "right")
    }
    about = {"fingerprint": edit.fingerprint.to_json(), "details": dict(edit.details), "modules": list(edit.updates)}
    return tensorfile.write(target, FORMAT, tensors, about)


def open_(path: Path, lm: CausalLM) -> Edit:
    """Read an edit and hold it against the model.

    Raises
    ------
    PayloadDamagedError
        The file is missing, of another format, or not what was written.
    ModelMismatchError
        It was made for another model.
    """
    tensors, about = tensorfile.read(path, FORMAT)
    try:
        updates = {name: Update(tensors[f"{name}.left"], tensors[f"{name}.right"]) for name in about["modules"]}
        edit = Edit(updates, Fingerprint.from_json(about["fingerprint"]), about["details"])
    except (KeyError, TypeError, InputError) as error:
        raise PayloadDamagedError(f"{path.name} lacks a part of an edit.", "Make it anew.") from error
    edit.fingerprint.require(lm.fingerprint, f"The edit {path.name}")
    return edit


def keep(edit: Edit, lm: CausalLM, target: Path) -> Artefact:
    """Write an edit as an artefact for the store."""
    write(edit, target)
    sources: Sequence[Any] = edit.details.get("sources", ())
    text = f"Edit of {len(edit.updates)} layers of {lm.name} for {len(sources)} memories"
    return Artefact(Form.PARAMETRIC, FORMAT, target, edit.fingerprint.to_json(), edit.details, text)


def joined(parts: Sequence[Mapping[str, Update]]) -> dict[str, Update]:
    """Updates one after another as one: the outer products side by side, in their order."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {
        name: Update(
            torch.cat([part[name].left for part in parts if name in part], 1),
            torch.cat([part[name].right for part in parts if name in part], 1),
        )
        for name in names
    }


def based_on(edit: Edit, fingerprint: Fingerprint) -> Edit:
    """The same updates for another base: how edits that were made one after another become one of the first base."""
    return replace(edit, fingerprint=fingerprint)
