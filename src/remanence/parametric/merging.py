"""Merging adapters into one file: an explicit operation, beside routing, which is the default.

`cat` is exact: the ranks add up, and the merged update is the sum of the updates. `ties` (Yadav et al. 2023, arXiv 2306.01708) and
`dare` (Yu et al. 2024, arXiv 2311.03099) work on the updates themselves, B A, and are brought back to a low rank by a truncated SVD.

PEFT also offers `linear`, `ties` and the like on the factors: they combine the A's and the B's separately, so that the
merged update has cross terms, B of one times A of another, which belong to no adapter. They are refused here.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import torch
from peft.tuners.lora import LoraModel
from torch.nn.functional import pad

from remanence.cubes import Form
from remanence.drafts import Artefact
from remanence.errors import InputError
from remanence.models.local.causal import CausalLM
from remanence.parametric import adapterfile
from remanence.parametric.adapterfile import Adapter, Mount

How = Literal["cat", "ties", "dare"]
_PEFT = {"cat": "cat", "ties": "ties_svd", "dare": "dare_linear_svd"}
_FACTORS = frozenset({"linear", "dare_linear", "dare_ties", "magnitude_prune"})
_MERGED = "merged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merging:
    """How adapters are merged.

    Raises
    ------
    InputError
        The way is unknown, or one that does not merge the updates; a density outside of (0, 1]; a rank below 1.
    """

    how: How = "cat"
    weights: tuple[float, ...] = ()
    """One per adapter; 1 for each where none are given."""
    density: float = 0.5
    """The share of numbers of each update that `ties` keeps, the largest, and `dare` keeps, drawn at random and scaled up."""
    rank: int = 0
    """Of the result, for `ties` and `dare`; 0: the sum of the ranks."""
    seed: int = 0
    """Of what `dare` draws."""

    def __post_init__(self) -> None:
        if self.how in _FACTORS:
            raise InputError(
                f"{self.how!r} merges the factors, which is not the sum of the updates: it adds cross terms.",
                "Use cat, ties or dare.",
            )
        if self.how not in _PEFT or not 0 < self.density <= 1 or self.rank < 0:
            raise InputError(
                f"There is no merging {self.how!r} of density {self.density} and rank {self.rank}.",
                "Use cat, ties or dare, a density above 0 and up to 1, and no negative rank.",
            )


def merge(parents: Sequence[Adapter], lm: CausalLM, target: Path, how: Merging | None = None) -> Artefact:
    """Merge adapters of one model into a new file. Its lineage is that of all of them; the parents stay as they are.

    Raises
    ------
    InputError
        Fewer than two adapters, or another number of weights.
    ModelMismatchError
        One of them was made with another model.
    """
    start = time.monotonic()
    made = merged(parents, lm, how or Merging())
    details = {**made.details, "seconds": round(time.monotonic() - start, 3)}
    adapterfile.write(replace(made, details=details), target)
    text = f"{len(parents)} adapters for {lm.name}, merged by {(how or Merging()).how}"
    return Artefact(Form.PARAMETRIC, adapterfile.FORMAT, target, made.fingerprint.to_json(), details, text)


def merged(parents: Sequence[Adapter], lm: CausalLM, how: Merging) -> Adapter:
    """The merged adapter in memory. Raises as `merge`."""
    weights = how.weights or (1.0,) * len(parents)
    if len(parents) < 2 or len(weights) != len(parents):
        raise InputError(
            f"{len(parents)} adapters with {len(weights)} weights cannot be merged.",
            "Pass at least two, and a weight for each.",
        )
    names = [f"parent{number}" for number in range(len(parents))]
    mount = Mount(lm)
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The density 1")  # nothing is pruned then, as was asked
            for name, adapter in zip(names, parents, strict=True):
                mount.put(name, adapter)
            torch.manual_seed(how.seed)
            tuner = cast("LoraModel", mount.tuner)
            tuner.add_weighted_adapter(
                names, list(weights), _MERGED, combination_type=cast("Any", _PEFT[how.how]), density=how.density,
                svd_rank=_rank(parents, how), svd_full_matrices=False,
            )  # fmt: skip
        return _padded(mount.adapter(_MERGED, _details(parents, weights, how)))
    finally:
        mount.close()


def _rank(parents: Sequence[Adapter], how: Merging) -> int | None:
    """What `ties` and `dare` are truncated to: no more than any layer has."""
    if how.how == "cat":
        return None
    factors = [adapter.factors(module) for adapter in parents for module in adapter.modules]
    most = max(min(down.shape[1], up.shape[0]) for down, up in factors)
    return min(how.rank or sum(int(adapter.config["r"]) for adapter in parents), most)


def _padded(adapter: Adapter) -> Adapter:
    """With zeros up to the rank of the whole: a layer that is smaller than the rank has fewer singular vectors."""
    rank = int(adapter.config["r"])
    tensors = dict(adapter.tensors)
    for name, tensor in adapter.tensors.items():
        missing = rank - tensor.shape[0 if ".lora_A." in name else 1]
        tensors[name] = pad(tensor, (0, 0, 0, missing) if ".lora_A." in name else (0, missing))
    return replace(adapter, tensors=tensors)


def _details(parents: Sequence[Adapter], weights: Sequence[float], how: Merging) -> dict[str, Any]:
    """Both lineages: the memories behind the parents, each once, and the parents themselves."""
    sources: dict[str, list[Any]] = {}
    for adapter in parents:
        for cube, version in adapter.details.get("sources", ()):
            sources.setdefault(str(cube), [cube, version])
    return {
        "sources": list(sources.values()),
        "tokens": sum(int(adapter.details.get("tokens", 0)) for adapter in parents),
        "merged": {
            "how": how.how, "weights": list(weights), "density": how.density, "seed": how.seed,
            "parents": [{"digest": _digest(adapter), "details": _plain(adapter.details)} for adapter in parents],
        },
    }  # fmt: skip


def _plain(details: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if name in {"sources", "seed", "recipe", "merged"}}


def _digest(adapter: Adapter) -> str:
    found = hashlib.sha256()
    for name, tensor in sorted(adapter.tensors.items()):
        found.update(name.encode())
        found.update(bytes(tensor.contiguous().flatten().view(torch.uint8).numpy()))
    return found.hexdigest()[:32]
