"""A live set of adapters on one model: many at hand, few in memory, at most two at work.

An adapter is worked by hooks on the linear layers that it changes: to what the layer computes, scale · B A x is added (Hu et al.
2022, "LoRA", section 4.1). No module is replaced and no weight is written, so the model without an active adapter is
the base bit by bit, and nothing of an adapter is left when it is dropped. PEFT's own layers are the reference that tests compare with.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from remanence.errors import InputError, ModelMismatchError
from remanence.models.local.causal import CausalLM
from remanence.parametric import adapterfile, marks, tensorfile
from remanence.parametric.adapterfile import Adapter
from remanence.parametric.sites import weight_shape

MOST_ACTIVE = 2
"""Adapters at work at a time. Own-document recall falls quickly with more of them, so routing chooses."""


@dataclass(frozen=True, slots=True)
class Factors:
    """An adapter's update of one linear layer, on the model's device: scale · B A."""

    down: Tensor
    """A, [r, in]."""
    up: Tensor
    """B, [out, r]."""
    scale: float


@dataclass(frozen=True, slots=True)
class _Live:
    factors: Mapping[str, Factors]
    mark: str
    nbytes: int


class LiveAdapters:
    """Adapters by name. Those in use are kept in memory up to `limit`; the least recently used one is dropped for a new one.

    The model is used by one thread at a time inside `active`; others wait there. Who runs the model outside of `active` while
    another thread is inside sees its adapters, so enter `active()` without names to be sure of the base.
    """

    def __init__(self, lm: CausalLM, *, limit: int = 8, most: int = MOST_ACTIVE) -> None:
        if not 1 <= most <= limit:
            raise InputError(f"{most} active of {limit} live adapters is not possible.", "Use 1 <= most <= limit.")
        self.lm, self.limit, self.most = lm, limit, most
        self._known: dict[str, Path | Adapter] = {}
        self._live: OrderedDict[str, _Live] = OrderedDict()
        self._active: tuple[str, ...] = ()
        self._hooks: dict[str, tuple[RemovableHandle, int]] = {}
        self._lock = threading.RLock()

    @property
    def names(self) -> tuple[str, ...]:
        """All adapters that can be activated."""
        return tuple(self._known)

    @property
    def live(self) -> tuple[str, ...]:
        """Those in memory, the least recently used first."""
        return tuple(self._live)

    @property
    def working(self) -> tuple[str, ...]:
        """Those that change what the model computes now."""
        return self._active

    @property
    def nbytes(self) -> int:
        """Of the tensors in memory."""
        return sum(one.nbytes for one in self._live.values())

    def put(self, name: str, adapter: Path | Adapter) -> None:
        """Make an adapter known under a name, or put another in the place of one (hot swap); it is read when it is needed.

        Raises
        ------
        InputError
            The name is empty, or the adapter of that name is at work.
        """
        with self._lock:
            if not name or name in self._active:
                raise InputError(
                    f"The adapter {name!r} cannot be replaced now." if name else "An adapter needs a name.",
                    "Leave the block in which it is active first." if name else "Give it one.",
                )
            self._drop(name)
            self._known[name] = adapter

    def take(self, name: str) -> None:
        """Forget an adapter: nothing of it stays in memory.

        Raises
        ------
        InputError
            There is none of that name, or it is at work.
        """
        with self._lock:
            self._require([name])
            if name in self._active:
                raise InputError(f"The adapter {name!r} is at work.", "Leave the block in which it is active first.")
            self._drop(name)
            del self._known[name]

    def close(self) -> None:
        """Take all of them."""
        for name in self.names:
            self.take(name)

    @contextmanager
    def active(self, names: Sequence[str] = ()) -> Generator[None]:
        """Inside, these adapters work and no others; without names the base alone. Other threads wait for their turn.

        Raises
        ------
        InputError
            A name is unknown, given twice, or there are more than `most`.
        PayloadDamagedError, ModelMismatchError
            A file cannot be used. Nothing is active then.
        """
        wanted = tuple(names)
        if len(wanted) > self.most or len(set(wanted)) < len(wanted):
            raise InputError(f"{len(wanted)} adapters at a time: {wanted}.", f"Choose at most {self.most}, each once.")
        with self._lock:
            self._require(wanted)
            before = self._active
            self._load([*before, *wanted])
            self._switch(wanted)
            try:
                yield
            finally:
                self._switch(before)

    def _require(self, names: Sequence[str]) -> None:
        if missing := [name for name in names if name not in self._known]:
            raise InputError(f"There is no adapter {missing[0]!r}.", f"Put it first; there are {self.names}.")

    def _load(self, needed: Sequence[str]) -> None:
        for name in needed:
            if name not in self._live:
                self._live[name] = self._opened(name)
                for module in self._live[name].factors:
                    self._hook(module)
            self._live.move_to_end(name)
        for name in [name for name in self._live if name not in needed][: max(0, len(self._live) - self.limit)]:
            self._drop(name)

    def _opened(self, name: str) -> _Live:
        known = self._known[name]
        adapter = adapterfile.read(known) if isinstance(known, Path) else known
        base = replace(self.lm.fingerprint, adapter="")
        adapter.fingerprint.require(base, f"The adapter {name}")
        factors: dict[str, Factors] = {}
        for module in adapter.modules:
            down, up = adapter.factors(module)
            if weight_shape(self.lm.model, module) != (up.shape[0], down.shape[1]):
                raise ModelMismatchError(
                    f"The adapter {name} does not fit the layer {module} of {self.lm.name}.",
                    "Build it anew with this model.",
                )
            down, up = (part.to(self.lm.device, self.lm.dtype) for part in (down, up))
            factors[module] = Factors(down, up, adapter.scale(module))
        return _Live(factors, "lora:" + tensorfile.digest_of(adapter.tensors), adapter.nbytes)

    def _switch(self, names: tuple[str, ...]) -> None:
        for name in self._active:
            marks.change(self.lm, self._live[name].mark, "")
        for name in names:
            marks.change(self.lm, "", self._live[name].mark)
        self._active = names

    def _drop(self, name: str) -> None:
        if (dropped := self._live.pop(name, None)) is None:
            return
        for module in dropped.factors:
            handle, users = self._hooks[module]
            if users == 1:
                handle.remove()
                del self._hooks[module]
            else:
                self._hooks[module] = handle, users - 1

    def _hook(self, module: str) -> None:
        if module in self._hooks:
            handle, users = self._hooks[module]
            self._hooks[module] = handle, users + 1
            return

        def add(_layer: nn.Module, arguments: tuple[Any, ...], output: Any) -> Tensor | None:
            working = [self._live[name].factors.get(module) for name in self._active]
            changed = cast("Tensor", output)
            for factors in working:
                if factors is not None:
                    inner = functional.linear(arguments[0], factors.down)
                    changed = changed + functional.linear(inner, factors.up) * factors.scale
            return changed if any(working) else None

        layer = self.lm.model.get_submodule(module)
        self._hooks[module] = layer.register_forward_hook(add), 1
