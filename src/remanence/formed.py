"""How a language model on this machine answers from memories in whatever form they are: by its weights, from caches, from text.

Caches serve by their tokens: a block is used where the prompt holds exactly what it was computed from, so that nothing stale can enter.
What is not cached is computed. An adapter answers by heart; whether that counts is decided against the texts that were recalled.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from remanence.answer.local import Draw
from remanence.cubes import Cost, Form, FormUsed, MemCube
from remanence.errors import ContextTooLongError, ModelMismatchError, PayloadDamagedError, StaleError
from remanence.language.sentences import sentence_spans
from remanence.policies import Clearance

if TYPE_CHECKING:
    from remanence.activation.assemble import Assembled
    from remanence.activation.block import Block
    from remanence.activation.compose import Mode
    from remanence.models.local.causal import CausalLM
    from remanence.rooms import Rooms

ASKED = "Question: {} Answer:"
"""How a question stands before a model that knows the answer by heart: as in `parametric.views`."""
_RUN = re.compile(r"\.{2,}")
MOST_ADAPTERS = 2
MOST_TOKENS = 96
"""Tokens of an answer."""


class LocalReader:
    """`answer.local.Reader` for one caller and one space."""

    def __init__(self, rooms: Rooms, lm: CausalLM, space: str, user: str | None, clearance: Clearance | None) -> None:
        self._rooms, self._lm = rooms, lm
        self._space, self._user, self._clearance = space, user, clearance

    def attempts(self, question: str, cubes: Sequence[MemCube]) -> Sequence[Callable[[], Draw]]:
        """By an adapter that knows of such questions, where there is one; then by reading."""
        known = self._adapters(cubes)
        by_heart = [partial(self._by_heart, question, known)] if known else []
        return [*by_heart, partial(self._by_reading, question, list(cubes))]

    # ── by heart ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _adapters(self, cubes: Sequence[MemCube]) -> list[MemCube]:
        """The adapters that were made of what was recalled, at most two: those of the best memories first.

        Recall has already looked at meaning, words and scope; `parametric.routing` does the same for adapters without a store.
        """
        mine = replace(self._lm.fingerprint, adapter="").to_json()
        ranks = {cube.id: rank for rank, cube in enumerate(cubes)}
        found = [
            (min(ranks[one] for one in adapter.provenance.derived_from if one in ranks), adapter)
            for adapter in self._rooms.store.payloads.of(self._space, Form.PARAMETRIC, ranks, self._clearance)
            if adapter.payload is not None
            and {**adapter.payload.fingerprint, "adapter": ""} == mine
            and adapter.scope.user in {None, self._user}
        ]
        return [adapter for _, adapter in sorted(found, key=lambda one: (one[0], one[1].id))[:MOST_ADAPTERS]]

    def _by_heart(self, question: str, adapters: Sequence[MemCube]) -> Draw:
        lm, began = self._lm, time.perf_counter()
        ids = lm.encode(ASKED.format(question))
        try:
            with self._rooms.shelf.using(adapters, lm):
                written = lm.generate(ids, max_new=_room(lm, len(ids)), stop=("\n", "Question:"))
        except (PayloadDamagedError, StaleError, ModelMismatchError, ContextTooLongError) as error:
            return Draw("", (), Cost(), (f"An adapter was not used. {error}",))
        self._rooms.store.payloads.used(dict.fromkeys((one.id for one in adapters), 0.0))
        forms = tuple(
            FormUsed(Form.PARAMETRIC, "routed", one.provenance.derived_from, one.id, exact=False) for one in adapters
        )
        return Draw(_first(written.text), forms, Cost(1, 0, len(ids), len(written.ids), time.perf_counter() - began))

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _by_reading(self, question: str, cubes: list[MemCube]) -> Draw:
        from remanence.activation.assemble import assemble
        from remanence.activation.layout import frame_of, prompt_of

        lm, notes, began = self._lm, list[str](), time.perf_counter()
        frame = frame_of(lm)
        while True:
            prompt = prompt_of(question, cubes, lm, frame)
            if len(prompt.ids) + MOST_TOKENS <= lm.context or len(cubes) <= 1:
                break
            notes.append(f"Left out, because the model's context is full: {cubes.pop().id}.")
        held = self._caches(cubes, notes)
        blocks = [block for _, some in held for block in some]
        with self._rooms.shelf.using((), lm):  # caches were computed by the base
            try:
                ready = assemble(prompt, blocks, lm, mode=self._mode)
            except ContextTooLongError as error:
                return Draw("", (), Cost(), (*notes, str(error)))
            written = lm.generate(ready.ids, cache=ready.cache, max_new=_room(lm, len(ready.ids)), stop=frame.stop)
        forms = self._used(ready, held)
        self._rooms.store.payloads.used({one.id: one.saved for one in forms if one.id is not None})
        self._rooms.store.payloads.read([cube.id for cube in cubes])
        cost = Cost(1, 0, len(ready.ids), len(written.ids), time.perf_counter() - began)
        return Draw(written.text, forms, cost, tuple(notes))

    @property
    def _mode(self) -> Mode | None:
        composition = self._rooms.settings.composition
        return None if composition == "exact" else composition

    def _caches(self, cubes: Sequence[MemCube], notes: list[str]) -> list[tuple[MemCube, tuple[Block, ...]]]:
        """The caches that hold some of these memories and were made with this model. A damaged one is left out, with a note."""
        found: list[tuple[MemCube, tuple[Block, ...]]] = []
        ids, mine = [cube.id for cube in cubes], self._lm.fingerprint.to_json()
        payloads = self._rooms.store.payloads
        for cache in payloads.of(self._space, Form.ACTIVATION, ids, self._clearance):
            if cache.payload is None or dict(cache.payload.fingerprint) != mine:
                continue
            try:
                found.append((cache, self._rooms.shelf.blocks(cache, self._lm)))
            except (PayloadDamagedError, StaleError, ModelMismatchError) as error:
                notes.append(f"A cache was not used. {error}")
        return found

    def _used(self, ready: Assembled, held: Sequence[tuple[MemCube, tuple[Block, ...]]]) -> tuple[FormUsed, ...]:
        """What each cache gave, and which memories were read as text."""
        fresh = [part.source for part in ready.used if part.source is not None and part.how == "fresh"]
        forms: list[FormUsed] = []
        given: set[tuple[str, int]] = set()
        for cache, blocks in held:
            mine = {source for block in blocks for source in block.sources}
            parts = [
                part for part in ready.used
                if part.source in mine and part.source not in given and part.how != "fresh"
            ]  # fmt: skip
            given |= {part.source for part in parts if part.source is not None}
            if parts and cache.payload is not None:
                exact = all(part.how != "approximate" for part in parts)
                tokens = sum(part.tokens for part in parts)
                saved = tokens * cache.payload.details["prefill"] / max(cache.payload.details["tokens"], 1)
                named = tuple(dict.fromkeys(part.source[0] for part in parts if part.source is not None))
                how = "prefix" if exact else "composed"
                forms.append(FormUsed(Form.ACTIVATION, how, named, cache.id, exact, saved))
        if fresh:
            forms.append(FormUsed(Form.TEXT, "text", tuple(dict.fromkeys(source[0] for source in fresh))))
        return tuple(forms)


def _first(text: str) -> str:
    """The first sentence: an adapter learns short answers, and small models go on after them."""
    plain = _RUN.split(text, maxsplit=1)[0].strip()
    return next((plain[start:end] for start, end in sentence_spans(plain)), "")


def _room(lm: CausalLM, tokens: int) -> int:
    return max(min(MOST_TOKENS, lm.context - tokens), 1)
