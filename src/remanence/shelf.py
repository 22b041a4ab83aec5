"""Caches and adapters that are open, so that the next question need not read them again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from remanence.cubes import MemCube

if TYPE_CHECKING:
    from remanence.activation.block import Block
    from remanence.models.local.causal import CausalLM
    from remanence.parametric.adapters import LiveAdapters
    from remanence.store.protocol import Store

ROWS = "remanence.rows/1"
"""The format of lookup memories, which are no LoRA adapters."""
_OPEN = 8  # caches that are kept in memory


class Shelf:
    """Caches and adapters of a store as they were opened last. Safe for several threads."""

    def __init__(self, store: Store, most: int = _OPEN) -> None:
        self._store, self._most = store, most
        self._blocks: OrderedDict[str, tuple[Block, ...]] = OrderedDict()
        self._live: dict[int, LiveAdapters] = {}
        self._lock = threading.Lock()

    def blocks(self, cube: MemCube, lm: CausalLM) -> tuple[Block, ...]:
        """The blocks of a cache.

        Raises
        ------
        StaleError, PayloadDamagedError
            As `Payloads.path`.
        ModelMismatchError
            It was made with another model.
        """
        from remanence.activation.files import open_

        assert cube.payload is not None
        with self._lock:
            found = self._blocks.get(cube.payload.name)
            if found is None:
                found = self._blocks[cube.payload.name] = open_(self._store.payloads.path(cube), lm)
            self._blocks.move_to_end(cube.payload.name)
            while len(self._blocks) > self._most:
                self._blocks.popitem(last=False)
        return found

    @contextmanager
    def using(self, adapters: Sequence[MemCube], lm: CausalLM) -> Generator[None]:
        """Inside, these adapters work on a model and no others; without any, the base alone. Other threads wait for their turn.

        Raises
        ------
        InputError
            More than two at once.
        StaleError, PayloadDamagedError, ModelMismatchError
            One of them cannot be used. Nothing is active then.
        """
        from remanence.parametric.lookupfile import open_

        live = self._adapters(lm)
        names: list[str] = []
        rows: list[Path] = []
        for cube in adapters:
            assert cube.payload is not None
            path = self._store.payloads.path(cube)
            if cube.payload.format == ROWS:
                rows.append(path)
                continue
            if cube.payload.name not in live.names:
                live.put(cube.payload.name, path)
            names.append(cube.payload.name)
        with live.active(names), ExitStack() as attached:  # the turn first: rows are read by every thread
            for path in rows:
                attached.enter_context(open_(path, lm).reading())
            yield

    def _adapters(self, lm: CausalLM) -> LiveAdapters:
        from remanence.parametric.adapters import LiveAdapters

        with self._lock:
            return self._live.setdefault(id(lm), LiveAdapters(lm))

    def clear(self) -> None:
        """Let go of all: something that they held was forgotten."""
        with self._lock:
            self._blocks.clear()
            for live in self._live.values():
                live.close()
            self._live.clear()
