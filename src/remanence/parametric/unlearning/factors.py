"""Low-rank changes of linear layers, by name: attached while a block runs, put together exactly, never written into the weights."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from remanence.errors import InputError, ModelMismatchError, UnsupportedModelError


@dataclass(frozen=True, slots=True)
class Factor:
    """The change B A of one layer's weight [out, in]. The scale of an adapter is inside B."""

    a: Tensor
    """[r, in]."""
    b: Tensor
    """[out, r]."""

    @property
    def rank(self) -> int:
        """The number r of columns of B."""
        return int(self.a.shape[0])

    def change(self) -> Tensor:
        """B A [out, in]."""
        return self.b @ self.a


Factors = Mapping[str, Factor]
"""Changes by the name of the layer in the model that was given."""


def linears(model: nn.Module, endings: Sequence[str] = ()) -> dict[str, nn.Linear]:
    """The linear layers by name, without the output head; only those whose name ends so, if endings are given.

    Raises `UnsupportedModelError` if there are none.
    """
    head = getattr(model, "get_output_embeddings", lambda: None)()
    found = {
        name: layer for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and layer is not head and (not endings or name.endswith(tuple(endings)))
    }  # fmt: skip
    if not found:
        raise UnsupportedModelError(
            f"The model has no linear layers{' that end in ' + ', '.join(endings) if endings else ''}.",
            "Name layers that are torch.nn.Linear.",
        )
    return found


def fresh(layers: Mapping[str, nn.Linear], rank: int, generator: torch.Generator) -> dict[str, Factor]:
    """Changes of rank r that change nothing yet: A uniform as Kaiming's with a = sqrt(5), B zero."""
    if rank < 1:
        raise InputError(f"An adapter of rank {rank} holds nothing.", "Use a rank of at least 1.")
    made: dict[str, Factor] = {}
    for name, layer in layers.items():
        bound = layer.in_features**-0.5
        a = (torch.rand(rank, layer.in_features, generator=generator) * 2 - 1) * bound
        made[name] = Factor(
            a.to(layer.weight.device), torch.zeros(layer.out_features, rank, device=layer.weight.device)
        )
    return made


def joined(parts: Iterable[Factors]) -> dict[str, Factor]:
    """The sum of changes, exactly: ranks add up."""
    found: dict[str, list[Factor]] = {}
    for part in parts:
        for name, factor in part.items():
            found.setdefault(name, []).append(factor)
    return {
        name: Factor(torch.cat([one.a for one in each], 0), torch.cat([one.b for one in each], 1))
        for name, each in found.items()
    }


@contextmanager
def attached(model: nn.Module, factors: Factors) -> Generator[None]:
    """Let the layers answer W x + B (A x) inside the block. The weights are not touched, so the end leaves the model bit by bit as it was.

    Raises `ModelMismatchError` for a layer that is not there or has other sizes.
    """
    layers = check_fit(model, factors)
    handles: list[Any] = []
    try:
        for name, factor in factors.items():
            handles.append(layers[name].register_forward_hook(_adding(factor)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def check_fit(model: nn.Module, factors: Factors) -> dict[str, nn.Linear]:
    """The layers that changes are for. Raises `ModelMismatchError` for one that is not there or has other sizes."""
    modules = dict(model.named_modules())
    found: dict[str, nn.Linear] = {}
    for name, factor in factors.items():
        layer = modules.get(name)
        if not isinstance(layer, nn.Linear):
            raise ModelMismatchError(
                f"The model has no linear layer {name}.", "Use the model that the adapter was made with."
            )
        if (layer.out_features, layer.in_features) != (factor.b.shape[0], factor.a.shape[1]):
            raise ModelMismatchError(
                f"The layer {name} has other sizes.", "Use the model that the adapter was made with."
            )
        found[name] = layer
    return found


def refuse_adapters(model: nn.Module) -> None:
    """Raise `InputError` while adapters of PEFT are on the model: its layers are not the ones that factors name then."""
    if hasattr(model, "peft_config"):
        raise InputError("The model carries adapters at the moment.", "Take them off; pass the one that is meant.")


def _adding(factor: Factor) -> Any:
    def hook(_layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        moved = (inputs[0].to(factor.a.dtype) @ factor.a.T) @ factor.b.T
        return output + moved.to(output.dtype)

    return hook
