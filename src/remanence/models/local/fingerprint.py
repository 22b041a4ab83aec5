"""What a cache or an adapter depends on, as digests: a model is the same one only if all of them are.

Every tensor of the base is hashed once, in threads, because a digest of the file names or of a few tensors would take a
fine-tuned copy for its original. A core hashes about 1.9 GB a second: 8 billion parameters in bfloat16 are 8 core-seconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from remanence.errors import InputError, ModelMismatchError

DIGITS = 32
"""Hexadecimal digits that are kept of a SHA-256."""
THREADS = 4

_NOT_COMPUTED = frozenset(
    {
        "_name_or_path", "_attn_implementation", "_attn_implementation_internal", "architectures", "auto_map", "bos_token_id",
        "dtype", "eos_token_id", "id2label", "initializer_range", "label2id", "output_attentions", "output_hidden_states",
        "pad_token_id", "problem_type", "return_dict", "torch_dtype", "transformers_version", "use_cache",
    }
)  # fmt: skip
_ROPE = frozenset({"rope_parameters", "rope_scaling", "rope_theta"})


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Digests (the first 32 hexadecimal digits of a SHA-256) or plain strings; empty where a model has no such part."""

    architecture: str
    """The class, and a digest of what its configuration says about arithmetic."""
    weights: str
    """All tensors of the base, without adapters."""
    tokenizer: str
    adapter: str = ""
    dtype: str = "float32"
    template: str = ""
    """The chat template."""
    rope: str = ""
    """Kind, base and scaling of rotary positions, and their inverse frequencies."""

    def to_json(self) -> dict[str, str]:
        """As text, field by field."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fingerprint:
        """What `to_json` gave.

        Raises
        ------
        InputError
            A field is missing, unknown or no text.
        """
        names = {one.name for one in fields(cls)}
        if set(data) != names or not all(isinstance(value, str) for value in data.values()):
            odd = sorted(names.symmetric_difference(data)) or sorted(
                k for k, v in data.items() if not isinstance(v, str)
            )
            raise InputError(f"This is no fingerprint of a model: look at {', '.join(odd)}.", "Build it anew.")
        return cls(**data)

    def differences(self, other: Fingerprint) -> tuple[str, ...]:
        """The names of the fields that differ, in the order of the class."""
        return tuple(one.name for one in fields(self) if getattr(self, one.name) != getattr(other, one.name))

    def require(self, other: Fingerprint, what: str) -> None:
        """Hold what was made with this model against `other`, the model in use. `what` begins the message.

        Raises
        ------
        ModelMismatchError
            They differ; the message says in what, and how.
        """
        if differing := self.differences(other):
            told = "; ".join(
                f"{name} {getattr(self, name) or 'none'} instead of {getattr(other, name) or 'none'}"
                for name in differing
            )
            raise ModelMismatchError(
                f"{what} was made with another model: {told}.",
                "Open the model that it was made with, or build it anew.",
            )


def digest(parts: Iterable[bytes | memoryview[Any]]) -> str:
    """The first digits of a SHA-256 over the lengths and the bytes of the parts."""
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "little"))
        found.update(part)
    return found.hexdigest()[:DIGITS]


def base_of(model: nn.Module) -> nn.Module:
    """The model itself, out of the wrappings of `torch.compile` and PEFT."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and (unwrap := getattr(model, "get_base_model", None)) is not None:
            inner = unwrap()
        if inner is None or inner is model:
            return model
        model = inner


def architecture_of(model: nn.Module) -> str:
    """The class and a digest of its configuration, without what changes no number and without the positions."""
    base = cast(PreTrainedModel, base_of(model))
    said = {k: v for k, v in base.config.to_dict().items() if k not in _NOT_COMPUTED | _ROPE}
    return f"{type(base).__name__}/{digest([_json(said)])}"


def rope_of(model: nn.Module) -> str:
    """The kind of rotary positions and a digest of all that they depend on; empty for a model without them."""
    base = cast(PreTrainedModel, base_of(model))
    config = base.config.to_dict()
    said = {key: config[key] for key in sorted(_ROPE) if config.get(key) is not None}
    # The frequencies that a dynamic kind begins with: the others follow the text.
    buffers = dict(base.named_buffers())
    inverse = {
        n: b for n, b in buffers.items() if n.endswith("inv_freq") and f"{_up(n)}original_inv_freq" not in buffers
    }
    inverse |= {n: b for n, b in buffers.items() if n.endswith("original_inv_freq")}
    if not inverse:
        return ""
    parameters = said.get("rope_parameters") or said.get("rope_scaling") or {}
    kind = parameters.get("rope_type") if isinstance(parameters, dict) else None
    return f"{kind or 'default'}/{digest([_json(said), *(_bytes(inverse[name]) for name in sorted(inverse))])}"


def tokenizer_of(tokenizer: PreTrainedTokenizerBase) -> str:
    """A digest of how text becomes ids, whatever padding or cutting was set since."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        said = json.loads(backend.to_str())
        said = {k: v for k, v in said.items() if k not in {"padding", "truncation"}}
    else:
        said = {"class": type(tokenizer).__name__, "vocabulary": tokenizer.get_vocab()}
    return digest([_json(said)])


def weights_of(model: nn.Module) -> str:
    """A digest of all tensors of the base: names, dtypes, shapes and bytes. Tied tensors are hashed once."""
    seen: dict[tuple[int, tuple[int, ...]], str] = {}
    named: list[tuple[str, Tensor]] = []
    for name, tensor in sorted(base_tensors(model)):
        key = (tensor.data_ptr(), tuple(tensor.shape))
        if seen.setdefault(key, name) == name:
            named.append((name, tensor))
    with ThreadPoolExecutor(THREADS) as threads:  # hashing lets other threads run
        return digest(threads.map(_tensor_digest, *zip(*named, strict=True)))


def state_of(model: nn.Module) -> tuple[tuple[int, int], ...]:
    """What changes when a tensor of the base is replaced or written to: cheap, and good only inside this process."""
    return tuple((t.data_ptr(), 0 if t.is_inference() else t._version) for _, t in base_tensors(model))  # noqa: SLF001 — the only counter that torch keeps


def base_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and stored buffers without those of PEFT adapters, under the names that they have without them."""
    base = base_of(model)
    adapted = [f"{name}." for name, module in base.named_modules() if _is_adapted(module)]
    for name, tensor in base.state_dict(keep_vars=True).items():
        if not any(name.startswith(prefix) for prefix in adapted):
            yield name, tensor
        elif ".base_layer." in name:
            yield name.replace(".base_layer.", "."), tensor


def adapter_of(model: nn.Module) -> str:
    """A digest of the adapters that PEFT has put in and that are switched on; empty for none."""
    parts: list[bytes] = []
    for name, module in sorted(base_of(model).named_modules()):
        if not _is_adapted(module) or (cast(Any, module).disable_adapters and not cast(Any, module).merged):
            continue
        layer = cast(Any, module)
        active = sorted({*layer.active_adapters, *layer.merged_adapters})
        scaling = {one: getattr(layer, "scaling", {}).get(one) for one in active}
        tensors = [
            (inner, tensor)
            for inner, tensor in sorted(module.state_dict().items())
            if not inner.startswith("base_layer.") and any(f".{one}." in f".{inner}." for one in active)
        ]
        if tensors:
            parts += [name.encode(), _json(scaling), *(_tensor_digest(*one) for one in tensors)]
    return digest(parts) if parts else ""


def _is_adapted(module: nn.Module) -> bool:
    """Whether PEFT has put an adapter around this layer. By its names, so that PEFT need not be loaded."""
    return all(
        hasattr(module, name) for name in ("base_layer", "active_adapters", "disable_adapters", "merged_adapters")
    )


def _tensor_digest(name: str, tensor: Tensor) -> bytes:
    found = hashlib.sha256(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
    found.update(_bytes(tensor))
    return found.digest()


def _bytes(tensor: Tensor) -> memoryview[Any]:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return memoryview(cast(Any, flat.view(torch.uint8).numpy()))  # without a copy on the CPU


def _json(data: object) -> bytes:
    return json.dumps(data, sort_keys=True, default=str).encode()


def _up(name: str) -> str:
    return name[: len(name) - len("inv_freq")]
