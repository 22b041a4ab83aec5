"""What this machine takes with a model: prefill, decoding, loading and writing a cache, a training step. Medians, in seconds.

Every text that is measured is made of random tokens. A prefill is fitted as a constant, a part that grows with the tokens and one
that grows with their square; the constant is left out, because a question is computed behind a cache as well.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, cast

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.optimize import nnls
from torch import Tensor, nn

from remanence.models.local import caches
from remanence.models.local.causal import CausalLM

ROUNDS = 5
LONGEST = 2048
"""Tokens of the longest prompt that is measured."""
ENOUGH = 1.0
"""Seconds that a prompt may take before no longer one is tried."""
RANK = 16
"""Of the adapter whose bytes are counted."""
_SHORTEST = 16
_DECODED = 8
_BATCH, _ROW = 8, 64  # of a training step
_WORDS = "the kettle in the office of the harbour was mended by a friend on a rainy day in spring"

Timed = Callable[[], object]


def model_digest(lm: CausalLM) -> str:
    """16 digits that stand for the fingerprint of a model."""
    said = json.dumps(lm.fingerprint.to_json(), sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def machine_digest(lm: CausalLM) -> str:
    """16 digits that tell this machine, and the device that the model is on, from others."""
    device = torch.cuda.get_device_name(lm.device) if lm.device.type == "cuda" else lm.device.type
    threads = torch.get_num_threads()
    said = [platform.node(), platform.machine(), platform.processor(), os.cpu_count(), device, threads]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def measure(
    lm: CausalLM, folder: Path, embed: Callable[[Sequence[str]], object] | None = None, *, rounds: int = ROUNDS,
    longest: int = LONGEST,
) -> dict[str, Any]:  # fmt: skip
    """Measure this machine with a model: the fields of `scheduling.cost.Machine`.

    Parameters
    ----------
    lm
        The model.
    folder
        Where caches would lie: a file is written there, and removed.
    embed
        The embedder of the store; None for none.
    rounds
        Measurements of which the median counts.
    longest
        Tokens of the longest prompt.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    random_ = random.Random(0)  # noqa: S311 (tokens to compute with, not a secret)
    most = max(_SHORTEST, min(longest, lm.context - _DECODED - 1))
    ids = [random_.randrange(lm.vocabulary) for _ in range(most)]
    lm.forward(ids[:_SHORTEST], keep=1)  # warms up
    lengths, seconds = _prefills(lm, ids, rounds)
    _, linear, square = _fitted(lengths, seconds)
    load, opening, write, hashed = _files(lm, ids[: lengths[-1]], folder, rounds)
    return {
        "name": machine_digest(lm), "model": model_digest(lm), "prefill": linear, "quadratic": square,
        "decode": _decoding(lm, ids[: lengths[-1]]), "load": load, "opening": opening, "write": write, "hash": hashed,
        "embed": _embedding(lm, embed, rounds), "train": _training(lm, random_, rounds),
        "bytes_per_token": lm.bytes_per_token, "adapter_bytes": _adapter_bytes(lm), "context": lm.context,
    }  # fmt: skip


def _prefills(lm: CausalLM, ids: Sequence[int], rounds: int) -> tuple[list[int], list[float]]:
    """Lengths, doubled until one takes long or there are no more tokens, and what they take."""
    lengths, seconds = list[int](), list[float]()
    length = min(_SHORTEST, len(ids))
    while True:
        part = ids[:length]
        lengths.append(length)
        seconds.append(_timed(lm, lambda part=part: lm.forward(part, keep=1), rounds))
        if length == len(ids) or seconds[-1] > ENOUGH:
            return lengths, seconds
        length = min(2 * length, len(ids))


def _fitted(lengths: Sequence[int], seconds: Sequence[float]) -> tuple[float, float, float]:
    """Constant, linear and square part, none below 0, with the least squares of relative errors."""
    plain = 0.0, seconds[-1] / lengths[-1], 0.0  # all of it grows with the tokens
    if len(lengths) < 3:
        return plain
    times = torch.tensor(seconds, dtype=torch.float64)
    tokens = torch.tensor(lengths, dtype=torch.float64)
    columns = torch.stack([torch.ones_like(tokens), tokens, tokens**2], dim=1) / times[:, None]
    found, _ = nnls(columns.numpy(), torch.ones_like(times).numpy())
    if found[1] <= 0 and found[2] <= 0:  # too little to tell from noise
        return plain
    return float(found[0]), float(found[1]), float(found[2])


def _decoding(lm: CausalLM, ids: Sequence[int]) -> float:
    cache = lm.forward(ids[:-1], keep=1).cache
    taken = list[float]()
    for _ in range(_DECODED):
        taken.append(_once(lm, lambda: lm.forward(ids[-1:], cache, keep=1)))
    return median(taken)


def _files(lm: CausalLM, ids: Sequence[int], folder: Path, rounds: int) -> tuple[float, float, float, float]:
    """Seconds per byte to load and check, seconds that a load takes at any size, seconds per byte to write and to hash."""
    folder.mkdir(mode=0o700, exist_ok=True)
    sizes, loads, writes, hashes = list[int](), list[float](), list[float](), list[float]()
    cache = lm.forward(ids, keep=1).cache
    for share in (8, 2, 1):
        length = max(1, len(ids) // share)
        tensors = {
            f"{number}.{name}": tensor[:, :, :length].cpu().contiguous()
            for number, pair in enumerate(caches.pairs(cache))
            for name, tensor in zip("kv", pair, strict=True)
        }
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{os.getpid()}.", suffix=".part") as file:
            path = Path(file.name)
            writes.append(_timed(lm, lambda tensors=tensors, path=path: _write(tensors, path), rounds))
            sizes.append(path.stat().st_size)
            hashes.append(_timed(lm, lambda path=path: _hash(path), rounds))
            loads.append(
                _timed(lm, lambda path=path: _load(path, lm.device), rounds, before=lambda path=path: _cool(path))
            )
    opening, load = _fitted_line(sizes, loads)
    return load, opening, writes[-1] / sizes[-1], hashes[-1] / sizes[-1]


def _fitted_line(sizes: Sequence[int], seconds: Sequence[float]) -> tuple[float, float]:
    times = torch.tensor(seconds, dtype=torch.float64)
    columns = torch.stack([torch.ones_like(times), torch.tensor(sizes, dtype=torch.float64)], dim=1) / times[:, None]
    found, _ = nnls(columns.numpy(), torch.ones_like(times).numpy())
    return float(found[0]), float(found[1])


def _write(tensors: dict[str, Tensor], path: Path) -> None:
    save_file(tensors, path)
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(path: Path, device: torch.device) -> object:
    with safe_open(path, framework="pt", device=str(device)) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
    digest = hashlib.sha256()  # as opening a cache does
    for tensor in tensors.values():
        digest.update(memoryview(tensor.cpu().reshape(-1).view(torch.uint8).numpy()))
    layers = len(tensors) // 2
    return caches.cache_of([(tensors[f"{number}.k"], tensors[f"{number}.v"]) for number in range(layers)])


def _cool(path: Path) -> None:
    """Take a file out of the page cache, where the system lets us."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _embedding(lm: CausalLM, embed: Callable[[Sequence[str]], object] | None, rounds: int) -> float:
    if embed is None:
        return 0.0
    tokens = max(1, len(lm.encode(_WORDS)))
    number = iter(range(10_000))  # another text each time: an embedder may remember
    return _timed(lm, lambda: embed([f"{_WORDS} {next(number)}"]), rounds) / tokens


def _training(lm: CausalLM, random_: random.Random, rounds: int) -> float:
    """Seconds per token, forward and backward through all layers, as an adapter on each of them needs it. No weight has a gradient."""
    row = min(_ROW, lm.context)
    ids = torch.tensor(
        [[random_.randrange(lm.vocabulary) for _ in range(row)] for _ in range(_BATCH)], device=lm.device
    )
    inputs = lm.model.get_input_embeddings()

    def step() -> None:
        with torch.enable_grad():
            embedded = cast(Tensor, inputs(ids)).detach().requires_grad_()
            logits: Tensor = cast(Any, lm.model)(inputs_embeds=embedded).logits
            logits.float().logsumexp(-1).mean().backward()

    step()
    return _timed(lm, step, rounds) / (row * _BATCH)


def _adapter_bytes(lm: CausalLM) -> int:
    """Of two matrices of the rank beside each linear layer, the one that gives the logits aside, in float32."""
    shapes = [
        module.weight.shape
        for name, module in lm.model.named_modules()
        if isinstance(module, nn.Linear) and not name.endswith("lm_head")
    ]
    return 4 * RANK * sum(sum(shape) for shape in shapes)


def _timed(lm: CausalLM, work: Timed, rounds: int, before: Callable[[], None] | None = None) -> float:
    taken = list[float]()
    for _ in range(max(1, rounds)):
        if before is not None:
            before()
        taken.append(_once(lm, work))
        if taken[-1] > ENOUGH:  # once is enough of what takes so long
            break
    return median(taken)


def _once(lm: CausalLM, work: Timed) -> float:
    _settle(lm)
    begun = time.perf_counter()
    work()
    _settle(lm)
    return time.perf_counter() - begun


def _settle(lm: CausalLM) -> None:
    if lm.device.type == "cuda":
        torch.cuda.synchronize(lm.device)
