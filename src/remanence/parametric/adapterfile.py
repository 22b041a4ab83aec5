"""A LoRA adapter as one file, and on and off a model: taking it off gives back the very weights that were there.

An adapter is never merged into the weights here: merging and unmerging leaves rounding errors behind, and what cannot be
undone exactly cannot be forgotten exactly. Adapters: Hu et al. 2022, "LoRA", section 4.1.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig
from peft.tuners.lora import LoraLayer, LoraModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from remanence.errors import InputError, ModelMismatchError, PayloadDamagedError
from remanence.models.local.causal import CausalLM
from remanence.models.local.fingerprint import Fingerprint

FORMAT = "remanence.lora/1"
_PLAIN = ("r", "lora_alpha", "target_modules", "rank_pattern", "alpha_pattern", "fan_in_fan_out")
"""What a plain LoRA is told by; nothing else of peft is written or read."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter in memory."""

    config: Mapping[str, Any]
    """`r`, `lora_alpha`, `target_modules`, `rank_pattern`, `alpha_pattern` and `fan_in_fan_out`, as peft's `LoraConfig` has them."""
    tensors: Mapping[str, Tensor]
    """Under peft's names: `base_model.model.<module>.lora_A.weight` [r, in] and `.lora_B.weight` [out, r]. On the CPU."""
    fingerprint: Fingerprint
    """Of the model that it belongs to, without adapters."""
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What is known of it, as JSON. No text of a memory."""

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules of the model that it changes, in order."""
        end = ".lora_A.weight"
        return tuple(name.removeprefix(_PREFIX).removesuffix(end) for name in self.tensors if name.endswith(end))

    def factors(self, module: str) -> tuple[Tensor, Tensor]:
        """A [r, in] and B [out, r] of a module. The update of its weight is `scale(module)` B A."""
        return self.tensors[f"{_PREFIX}{module}.lora_A.weight"], self.tensors[f"{_PREFIX}{module}.lora_B.weight"]

    def scale(self, module: str) -> float:
        """Alpha / r of a module."""
        return (
            float(self.config["alpha_pattern"].get(module, self.config["lora_alpha"]))
            / self.factors(module)[0].shape[0]
        )

    @property
    def nbytes(self) -> int:
        """Of its tensors."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


_PREFIX = "base_model.model."


def config_for(lm: CausalLM, rank: int, alpha: float, targets: Sequence[str] = ()) -> dict[str, Any]:
    """The `Adapter.config` of a new adapter; `targets` are ends of module names, all linear layers but the output by default.

    Raises
    ------
    InputError
        A rank below 1, or no layer has such a name.
    """
    found = linear_layers(lm, targets)
    if rank < 1 or not found:
        raise InputError(
            f"An adapter of rank {rank} on {', '.join(targets) or 'linear layers'} cannot be made.",
            "Use a rank of at least 1, and names of linear layers of the model.",
        )
    transposed = any(isinstance(module, Conv1D) for module in found.values())
    names = sorted({name.rsplit(".", 1)[-1] for name in found}) if not targets else sorted(targets)
    return {
        "r": rank, "lora_alpha": alpha, "target_modules": names, "rank_pattern": {}, "alpha_pattern": {},
        "fan_in_fan_out": transposed,
    }  # fmt: skip


def linear_layers(lm: CausalLM, targets: Sequence[str] = ()) -> dict[str, nn.Module]:
    """The linear layers of a model by name, the output layer left out; of those whose name ends in one of `targets`.

    Where an adapter is on a layer, it is the layer below it.
    """
    out = lm.model.get_output_embeddings()
    found: dict[str, nn.Module] = {}
    inside: tuple[str, ...] = ()
    for name, module in lm.model.named_modules():
        layer = cast(Any, module).get_base_layer() if isinstance(module, LoraLayer) else module
        if layer is not module:
            inside = (*inside, f"{name}.")
        if isinstance(layer, nn.Linear | Conv1D) and layer is not out and not name.startswith(inside):
            found[name] = layer
    return {
        name: module
        for name, module in found.items()
        if not targets or any(name == end or name.endswith(f".{end}") for end in targets)
    }


def write(adapter: Adapter, target: Path) -> Path:
    """Write one safetensors file: the tensors, and everything needed to open it in the metadata. Whole or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(adapter.tensors.items())}
    metadata = {
        "format": FORMAT,
        "config": json.dumps(dict(adapter.config), sort_keys=True),
        "fingerprint": json.dumps(adapter.fingerprint.to_json(), sort_keys=True),
        "details": json.dumps(dict(adapter.details), sort_keys=True),
        "digest": _digest(tensors),
    }
    part = target.with_name(f"{target.name}.part")
    try:
        save_file(tensors, part, metadata)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def read(path: Path) -> Adapter:
    """Read such a file. It is not held against a model yet: `open_` does that.

    Raises
    ------
    PayloadDamagedError
        The file is missing, is no adapter of this format, or is not what was written.
    """
    try:
        with safe_open(path, "pt") as file:  # pyright: ignore[reportUnknownVariableType] — no stubs
            metadata = cast(dict[str, str], file.metadata() or {})
            tensors = {str(name): cast(Tensor, file.get_tensor(name)).clone() for name in file.keys()}  # noqa: SIM118
        config = {name: json.loads(metadata["config"])[name] for name in _PLAIN}
        adapter = Adapter(
            config, tensors, Fingerprint.from_json(json.loads(metadata["fingerprint"])), json.loads(metadata["details"])
        )
        known, digest = metadata["format"], metadata["digest"]
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise PayloadDamagedError(
            f"{path.name} cannot be read as an adapter.", "Build it anew from its memories."
        ) from error
    if known != FORMAT:
        raise PayloadDamagedError(f"{path.name} has the format {known!r}, not {FORMAT}.", "Open it with what wrote it.")
    if digest != _digest(tensors):
        raise PayloadDamagedError(f"{path.name} is not what was written.", "Build it anew from its memories.")
    return adapter


def open_(path: Path, lm: CausalLM) -> Adapter:
    """Read an adapter and hold it against the model that it is for.

    Raises
    ------
    PayloadDamagedError
        As `read`.
    ModelMismatchError
        It was made with another model; the message says in what it differs.
    """
    adapter = read(path)
    adapter.fingerprint.require(replace(lm.fingerprint, adapter=""), f"The adapter {path.name}")
    return adapter


class Mount:
    """The adapters that are on one model: put on, switched, taken off. With none active the model is the base, bit for bit.

    Adapters of several ranks and layers can be active at a time: their updates add up exactly.
    """

    def __init__(self, lm: CausalLM) -> None:
        self.lm = lm
        self.tuner: LoraModel | None = None
        """The one of peft; None where no adapter is on."""
        self.active: tuple[str, ...] = ()
        """Names of those that work now."""
        if hasattr(lm.model, "peft_config"):
            raise InputError("The model carries adapters already.", "Take them off first, or use their own mount.")

    @property
    def names(self) -> tuple[str, ...]:
        """Of all adapters that are on, active or not."""
        return () if self.tuner is None else tuple(self.tuner.peft_config)

    def put(self, name: str, adapter: Adapter) -> None:
        """Put an adapter on; it works only once it is activated.

        Raises
        ------
        InputError
            The name is taken, or cannot be one.
        ModelMismatchError
            It was made with another model.
        """
        adapter.fingerprint.require(replace(self.lm.fingerprint, adapter=""), f"The adapter {name}")
        self.make(name, adapter.config)
        try:
            self._fill(name, adapter)
        except (KeyError, RuntimeError) as error:
            self.take(name)
            raise ModelMismatchError(
                f"The adapter {name} does not fit the layers of {self.lm.name}.", "Build it anew with this model."
            ) from error

    def make(self, name: str, config: Mapping[str, Any]) -> None:
        """Put a new adapter on that changes nothing yet: A is drawn from torch's generator, B is zero."""
        if name in self.names or not name.isidentifier():
            raise InputError(f"An adapter cannot be called {name!r} here.", "Use a new name of letters, digits and _.")
        plain = LoraConfig(**config, bias="none", inference_mode=True, task_type="CAUSAL_LM")
        before = self.names
        try:
            if self.tuner is None:
                self.tuner = LoraModel(self.lm.model, plain, name)
            else:
                self.tuner.peft_config[name] = plain
                self.tuner.inject_adapter(self.lm.model, name)
        except ValueError as error:
            if self.tuner is not None and not before:
                self.close()
            elif self.tuner is not None:
                self.tuner.delete_adapter(name)
            raise ModelMismatchError(
                f"The model has no layers for the adapter {name}: {error}", "Build it anew with this model."
            ) from error
        self.activate(*self.active)

    def activate(self, *names: str) -> None:
        """Let these adapters work, and no others; without names the base alone.

        Raises
        ------
        InputError
            One of them is not on.
        """
        if missing := [name for name in names if name not in self.names]:
            raise InputError(f"No adapter {missing[0]!r} is on the model.", f"Put it on; there are {self.names}.")
        self.active = tuple(dict.fromkeys(names))
        if self.tuner is not None and self.active:
            self.tuner.enable_adapter_layers()
            self.tuner.set_adapter(list(self.active))
        elif self.tuner is not None:
            self.tuner.disable_adapter_layers()
        self.lm.model.requires_grad_(False).eval()

    @contextmanager
    def only(self, *names: str) -> Generator[None]:
        """For a moment these adapters alone, in the middle of a training: what requires gradients goes on requiring them."""
        layers = [module for module in self.lm.model.modules() if isinstance(module, LoraLayer)]
        before = [cast(Any, layer).active_adapters for layer in layers]
        try:
            for layer in layers:
                cast(Any, layer)._active_adapter = list(names)  # noqa: SLF001 — peft's own switch also freezes
            yield
        finally:
            for layer, active in zip(layers, before, strict=True):
                cast(Any, layer)._active_adapter = active  # noqa: SLF001

    def trainable(self, name: str) -> None:
        """Let the gradients of one adapter be computed, and of nothing else."""
        for pair in self.factors(name).values():
            for weight in pair:
                weight.requires_grad_(True)

    def take(self, name: str) -> None:
        """Take an adapter off. InputError where it is not on."""
        if self.tuner is None or name not in self.names:
            raise InputError(f"No adapter {name!r} is on the model.", f"There are {self.names}.")
        if len(self.names) == 1:
            self.close()
            return
        self.tuner.delete_adapter(name)
        self.activate(*(one for one in self.active if one != name))

    def close(self) -> None:
        """Take all of them off: the layers are those that were there before."""
        if self.tuner is not None:
            self.tuner.unload()
            if hasattr(self.lm.model, "peft_config"):
                del self.lm.model.peft_config
        self.tuner, self.active = None, ()
        self.lm.model.requires_grad_(False).eval()

    def layers(self, name: str) -> dict[str, LoraLayer]:
        """The layers that an adapter changes, by the names of the modules."""
        found = {
            module_name: module
            for module_name, module in self.lm.model.named_modules()
            if isinstance(module, LoraLayer) and name in module.lora_A
        }
        if not found:
            raise InputError(f"No adapter {name!r} is on the model.", f"There are {self.names}.")
        return found

    def factors(self, name: str) -> dict[str, tuple[Tensor, Tensor]]:
        """A and B of every layer that an adapter changes, as they are on the model: what trains."""
        return {
            module: (cast(Any, layer.lora_A[name]).weight, cast(Any, layer.lora_B[name]).weight)
            for module, layer in self.layers(name).items()
        }

    def adapter(self, name: str, details: Mapping[str, Any]) -> Adapter:
        """An adapter that is on, copied."""
        tensors: dict[str, Tensor] = {}
        for module_name, pair in self.factors(name).items():
            for part, weight in zip(("lora_A", "lora_B"), pair, strict=True):
                tensors[f"{_PREFIX}{module_name}.{part}.weight"] = weight.detach().cpu().clone()
        config = cast(LoraModel, self.tuner).peft_config[name].to_dict()
        plain = {key: config[key] for key in _PLAIN} | {"target_modules": sorted(config["target_modules"])}
        return Adapter(plain, tensors, replace(self.lm.fingerprint, adapter=""), dict(details))

    @torch.no_grad()
    def _fill(self, name: str, adapter: Adapter) -> None:
        ours = self.factors(name)
        if set(ours) != set(adapter.modules):
            raise KeyError(name)
        for module_name, pair in ours.items():
            for weight, tensor in zip(pair, adapter.factors(module_name), strict=True):
                if weight.shape != tensor.shape:
                    raise KeyError(module_name)
                weight.copy_(tensor)


def attach(lm: CausalLM, path: Path, name: str = "memory") -> Mount:
    """Open an adapter and let it work on the model. `detach` ends it. Errors as `open_` and `Mount.put`."""
    mount = Mount(lm)
    mount.put(name, open_(path, lm))
    mount.activate(name)
    return mount


def detach(mount: Mount) -> None:
    """Take all adapters of a mount off; the model's weights are, bit for bit, what they were before."""
    mount.close()


@contextmanager
def attached(lm: CausalLM, adapter: Adapter) -> Generator[Mount]:
    """The adapter works inside of the block, and is off after it."""
    mount = Mount(lm)
    try:
        mount.put("memory", adapter)
        mount.activate("memory")
        yield mount
    finally:
        mount.close()


def _digest(tensors: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        found.update(bytes(tensor.contiguous().flatten().view(torch.uint8).numpy()))
    return found.hexdigest()
