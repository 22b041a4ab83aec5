"""Caches that are open, so that the next question need not read them again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from remanence.cubes import MemCube

if TYPE_CHECKING:
    from remanence.activation.block import Block
    from remanence.models.local.causal import CausalLM
    from remanence.store.protocol import Store

_OPEN = 8  # caches that are kept in memory


class Shelf:
    """Caches of a store as they were opened last. Safe for several threads."""

    def __init__(self, store: Store, most: int = _OPEN) -> None:
        self._store, self._most = store, most
        self._blocks: OrderedDict[str, tuple[Block, ...]] = OrderedDict()
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

    def clear(self) -> None:
        """Let go of all: something that they held was forgotten."""
        with self._lock:
            self._blocks.clear()
