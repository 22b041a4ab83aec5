"""Where a method may touch a causal LM: its decoder, its layers, and the projection that ends an MLP.

Two families are known: Llama-style decoders (`model.layers[i].mlp.down_proj`, an `nn.Linear`) and GPT-2-style ones
(`transformer.h[i].mlp.c_proj`, a `Conv1D` whose weight is transposed). Anything else is refused, never guessed.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers.pytorch_utils import Conv1D

from remanence.errors import InputError, UnsupportedModelError


@dataclass(frozen=True, slots=True)
class Projection:
    """The linear map at the end of one MLP: it turns the key (its input) into the value that the layer adds."""

    layer: int
    name: str
    """Of the module, as `named_modules` of the model gives it."""
    module: nn.Module
    transposed: bool
    """The weight is kept as [in, out], as `Conv1D` does."""

    @property
    def parameter(self) -> nn.Parameter:
        """The weight as the module keeps it."""
        return cast("nn.Parameter", self.module.weight)

    def oriented(self, delta: Tensor) -> Tensor:
        """A change given as [out, in], in the orientation of the weight."""
        return delta.T if self.transposed else delta

    @property
    def weight(self) -> Tensor:
        """The weight as [out, in]; a view, not a copy."""
        return self.oriented(self.parameter.detach())


def decoder(model: nn.Module) -> nn.Module:
    """The part of the model that takes token ids and runs the layers.

    Raises
    ------
    UnsupportedModelError
        The model is of neither family.
    """
    return _parts(model)[0]


def layers(model: nn.Module) -> list[nn.Module]:
    """The decoder's layers, first to last. Raises as `decoder`."""
    return list(_parts(model)[1])


def layer(model: nn.Module, index: int) -> nn.Module:
    """One layer of the decoder; a negative index counts from the end.

    Raises
    ------
    InputError
        There is no such layer.
    """
    found = layers(model)
    if not -len(found) <= index < len(found):
        raise InputError(f"The model has {len(found)} layers; there is no layer {index}.", "Choose one that it has.")
    return found[index]


def embedding(model: nn.Module) -> nn.Module:
    """The token embedding. Raises as `decoder`."""
    base = decoder(model)
    return cast("nn.Module", base.embed_tokens if hasattr(base, "embed_tokens") else base.wte)


def mlp(model: nn.Module, index: int) -> nn.Module:
    """The MLP of one layer. Raises as `layer`."""
    return cast("nn.Module", layer(model, index).mlp)


def projection(model: nn.Module, index: int) -> Projection:
    """The projection that ends the MLP of one layer.

    Raises
    ------
    UnsupportedModelError
        The layer has an MLP of another shape: a mixture of experts, or an adapter inside.
    InputError
        There is no such layer.
    """
    found = layer(model, index)
    part = getattr(found, "mlp", None)
    module = getattr(part, "down_proj", None) or getattr(part, "c_proj", None)
    if not isinstance(module, nn.Linear | Conv1D):
        raise UnsupportedModelError(
            f"The MLP of layer {index} of {type(model).__name__} has no plain projection at its end.",
            "Edit a Llama-style or GPT-2-style model, without adapters inside.",
        )
    name = next(name for name, candidate in model.named_modules() if candidate is module)
    return Projection(index % len(layers(model)), name, module, isinstance(module, Conv1D))


@contextmanager
def hooked(*handles: RemovableHandle) -> Generator[None]:
    """Hooks that are gone afterwards, whatever happens."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def inputs_of(model: nn.Module, found: Projection, ids: Tensor, mask: Tensor | None = None) -> Tensor:
    """What reaches a projection when the model reads ids [B, T]: the keys [B, T, in], as fp32."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, arguments: tuple[Any, ...]) -> None:
        kept.append(arguments[0].detach().float())

    with hooked(found.module.register_forward_pre_hook(keep)):
        model(input_ids=ids, attention_mask=mask, use_cache=False)
    return kept[0]


def weight_shape(model: nn.Module, name: str) -> tuple[int, int] | None:
    """(out, in) of a linear layer by its name; None where the model has no linear layer of that name."""
    try:
        module = model.get_submodule(name)
    except AttributeError:
        return None
    if not isinstance(module, nn.Linear | Conv1D):
        return None
    first, second = module.weight.shape
    return (second, first) if isinstance(module, Conv1D) else (first, second)


def _parts(model: nn.Module) -> tuple[nn.Module, nn.ModuleList]:
    for outer, inner in (("model", "layers"), ("transformer", "h")):
        base = getattr(model, outer, None)
        found = getattr(base, inner, None)
        if isinstance(base, nn.Module) and isinstance(found, nn.ModuleList):
            return base, found
    raise UnsupportedModelError(
        f"{type(model).__name__} is neither a Llama-style nor a GPT-2-style decoder.",
        "Use a causal LM with `model.layers` or `transformer.h`, without a wrapper around it.",
    )
