"""The hooks of a lookup memory: they find the n-grams of what the model reads and add rows before chosen layers.

A forward pass that extends a KV cache sees only its new tokens, so the tokens behind each cache are remembered with it. A
cache whose tokens are not known is refused: n-grams that reach back into it would be missed silently.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from remanence.errors import InputError
from remanence.parametric.lookuptable import Hits, LookupSpec, Table
from remanence.parametric.sites import decoder, layer

_NONE = Hits(())


class Reading:
    """Reads a table into a model. Threads may run the model at the same time; each has its own state."""

    def __init__(self, model: nn.Module, spec: LookupSpec, table: Table, up: Tensor | None) -> None:
        self.table = table
        self._model, self._spec, self._up = model, spec, up
        self._handles: list[RemovableHandle] = []
        self._local = threading.local()
        self._seen: WeakKeyDictionary[Any, Tensor] = WeakKeyDictionary()

    @property
    def attached(self) -> bool:
        """Whether the hooks are in place."""
        return bool(self._handles)

    def attach(self) -> None:
        """Put the hooks in place. Doing it again changes nothing."""
        if self._handles:
            return
        base = decoder(self._model)
        found = [layer(self._model, index) for index in self._spec.layers]
        self._handles = [
            base.register_forward_pre_hook(self._begin, with_kwargs=True),
            base.register_forward_hook(self._end),
            *(
                part.register_forward_pre_hook(self._adding(number), with_kwargs=True)
                for number, part in enumerate(found)
            ),
        ]

    def detach(self) -> None:
        """Take the hooks away; the model is as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def tell(self, cache: object, ids: Sequence[int]) -> None:
        """Say which tokens a KV cache of one text holds."""
        self._seen[cache] = torch.tensor([list(ids)], dtype=torch.long)

    @contextmanager
    def only(self, table: Table, values: Tensor) -> Generator[None]:
        """In this thread, read this table with these values [rows, layers, dim] in place of the memory's own."""
        was = self.attached
        self.attach()
        self._local.instead = (table, values)
        try:
            yield
        finally:
            self._local.instead = None
            if not was:
                self.detach()

    def _reads(self) -> tuple[Table, Tensor]:
        instead = cast("tuple[Table, Tensor] | None", getattr(self._local, "instead", None))
        return instead if instead is not None else (self.table, self.table.values)

    def _begin(self, _module: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        ids = options.get("input_ids", arguments[0] if arguments else None)
        if ids is None:
            raise InputError(
                "A lookup memory needs token ids; the model was given embeddings.", "Detach it, or pass `input_ids`."
            )
        tokens = cast("Tensor", ids).detach().cpu().long()
        mask = options.get("attention_mask")
        if isinstance(mask, Tensor) and mask.ndim == 2:
            tokens = tokens.masked_fill(mask[:, -tokens.shape[1] :].cpu() == 0, -1)
        cache = options.get("past_key_values")
        past = int(cache.get_seq_length()) if cache is not None else 0
        if past:
            tokens = torch.cat([self._before(cache, past, len(tokens)), tokens], dim=1)
        table, values = self._reads()
        self._local.hits, self._local.values, self._local.tokens = table.match(tokens, past), values, tokens

    def _before(self, cache: object, past: int, texts: int) -> Tensor:
        seen = self._seen.get(cache)
        if seen is None or seen.shape[1] < past or len(seen) != texts:
            raise InputError(
                f"The lookup memory does not know the {past} tokens that this KV cache holds.",
                "Call `tell(cache, ids)` first, or compute the cache with the memory attached.",
            )
        return seen[:, :past]

    def _end(self, _module: nn.Module, _arguments: tuple[Any, ...], output: Any) -> None:
        cache = getattr(output, "past_key_values", None)
        if cache is not None:
            self._seen[cache] = self._local.tokens
        self._local.hits = _NONE

    def _adding(self, number: int) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], Any]:
        def add(_module: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
            hits = cast("Hits", getattr(self._local, "hits", _NONE))
            if not hits.passes:
                return None  # untouched, bit by bit
            named = "hidden_states" in options
            hidden = cast("Tensor", options["hidden_states"] if named else arguments[0])
            changed = self._added(hidden, hits, number)
            return (arguments, {**options, "hidden_states": changed}) if named else ((changed, *arguments[1:]), options)

        return add

    def _added(self, hidden: Tensor, hits: Hits, number: int) -> Tensor:
        values = cast("Tensor", self._local.values)[:, number]
        for texts, places, rows in hits.passes:
            read = values[rows.to(values.device)].to(hidden.device)
            if self._up is not None:
                read = read @ self._up.to(hidden.device)
            at = (texts.to(hidden.device), places.to(hidden.device))
            hidden = hidden.index_put(at, (self._spec.gate * read).to(hidden.dtype), accumulate=True)
        return hidden
