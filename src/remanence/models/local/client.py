"""A model on this machine as a `LanguageModel`. Prompts stay here, and what two of them begin with is computed once."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import Cache

from remanence.cubes import Cost
from remanence.errors import BrokenAnswerError, ContextTooLongError, ModelMissingError, UnsupportedModelError
from remanence.models.answers import (
    UnfitError,
    answered,
    check_prompt,
    checked,
    parsed,
    streamed_without_thoughts,
    without_thoughts,
)
from remanence.models.dialect import told
from remanence.models.language import Completion, Prompt, TokenLogprob
from remanence.models.local import caches
from remanence.models.local.causal import CausalLM
from remanence.models.local.generating import UNFINISHED, Token
from remanence.models.replies import spoken
from remanence.models.tokens import Prices

KEPT = 4
"""Prompts whose keys and values are kept."""
KEPT_BYTES = 1 << 29
"""Most bytes of them all; older ones go."""
SHOWN = 8
"""Digits of a digest in the name."""


@dataclass(slots=True)
class _Kept:
    """A prompt and its answer, as far as they were computed."""

    ids: list[int]
    cache: Cache
    state: tuple[str, str]
    space: str


@dataclass(slots=True)
class _Course:
    """An answer while it is written."""

    prompt_tokens: int
    reused: int
    """Tokens of the prompt whose keys and values were there."""
    new: list[int] = field(default_factory=list[int])
    logprobs: list[TokenLogprob] = field(default_factory=list[TokenLogprob])
    text: str = ""
    finish: str = "length"


class LocalModel:
    """A `LanguageModel` over a `CausalLM`, which is opened when it is first needed. Safe to call from several threads: they take
    turns, token by token.

    The keys and values of the last prompts are kept, and a prompt that begins as one of them is computed from where they
    part: exact, up to the order in which a processor adds. They are reused only for prompts of the same space, and only while
    no adapter was put on or taken off.

    Parameters
    ----------
    where
        A model, or the folder or name of one; see `CausalLM.open`.
    device
        See `CausalLM.open`.
    dtype
        See `CausalLM.open`.
    prices
        What tokens cost, for `Cost.price`.
    kept
        Prompts to keep; 0 for none.
    kept_bytes
        Most bytes that they may take together.

    Raises
    ------
    ModelMissingError
        The path names no folder.
    """

    def __init__(
        self,
        where: CausalLM | str | Path,
        *,
        device: str = "auto",
        dtype: str = "auto",
        prices: Prices | None = None,
        kept: int = KEPT,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self._lm = where if isinstance(where, CausalLM) else None
        self._where = Path(where).expanduser() if isinstance(where, str | Path) else None
        self._open = {"device": device, "dtype": dtype}
        if self._where is not None and self._where.is_absolute() and not self._where.is_dir():
            raise ModelMissingError(
                f"There is no folder {self._where}.", "Check the path after local: in the settings."
            )
        self._prices = prices or Prices()
        self._most, self._most_bytes = kept, kept_bytes
        self._kept: list[_Kept] = []
        self._lock = threading.RLock()
        self.reused = 0
        """Tokens of the last prompt whose keys and values were there."""

    @property
    def lm(self) -> CausalLM:
        """The model. Errors as `CausalLM.open`."""
        with self._lock:
            if self._lm is None:
                self._lm = CausalLM.open(self._where or "", **self._open)
            return self._lm

    @property
    def name(self) -> str:
        """`local/<name>@<weights>`, and `+<adapter>` where one is on, by the first digits of their digests.

        The same folder with other weights is another model, whose answers must not be mixed up with those of the first.
        """
        found = self.lm.fingerprint
        adapter = f"+{found.adapter[:SHOWN]}" if found.adapter else ""
        return f"local/{self.lm.name}@{found.weights[:SHOWN]}{adapter}"

    @property
    def context(self) -> int:
        """See `LanguageModel.context`: the positions of the model."""
        return self.lm.context

    def count(self, text: str) -> int:
        """See `LanguageModel.count`. Exact."""
        return len(self.lm.encode(text))

    def generate(self, prompt: Prompt) -> Completion:
        """See `LanguageModel.generate`.

        With a schema the answer ends as soon as it holds JSON that fits.

        Raises
        ------
        BrokenAnswerError
            The answer is no such JSON, also after asking again.
        ContextTooLongError
            The prompt is longer than the model's context.
        """

        def ask(one: Prompt) -> Completion:
            try:
                return self._ask(one)
            except ContextTooLongError as error:
                if one is prompt:
                    raise
                what = (
                    f"{self._place} answered with something else than was asked for, and has no room to be asked again."
                )
                raise BrokenAnswerError(what, "Use a model with a longer context.") from error

        return answered(prompt, ask, self._place)

    def stream(self, prompt: Prompt) -> Generator[str, None, Completion]:
        """See `LanguageModel.stream`. The generator returns the whole `Completion`; `yield from` hands it on."""
        check_prompt(prompt)
        start, waited = time.monotonic(), 0.0
        ids = self._ids(prompt)
        course = _Course(len(ids), 0)
        for piece in streamed_without_thoughts(self._pieces(prompt, ids, course)):
            given = time.monotonic()
            yield piece
            waited += time.monotonic() - given
        completion = self._completion(prompt, course, time.monotonic() - start - waited)
        return checked(prompt, completion, self._place)

    def clear(self) -> None:
        """Drop the keys and values of earlier prompts, which are made of what was in them."""
        with self._lock:
            self._kept.clear()

    @property
    def _place(self) -> str:
        return f"The model {self.name}"

    def _ask(self, prompt: Prompt) -> Completion:
        start = time.monotonic()
        ids = self._ids(prompt)
        course = _Course(len(ids), 0)
        for _ in self._pieces(prompt, ids, course):
            pass
        return self._completion(prompt, course, time.monotonic() - start)

    def _ids(self, prompt: Prompt) -> list[int]:
        turns = prompt.turns if prompt.schema is None else told(prompt.turns, prompt.schema)
        ids = self.lm.chat(turns)
        self.lm.check_room(len(ids) + 1)
        return ids

    def _completion(self, prompt: Prompt, course: _Course, seconds: float) -> Completion:
        text = without_thoughts(course.text)
        given = spoken(tuple(course.logprobs), len(course.text) - len(text)) if prompt.logprobs else None
        cost = Cost(
            calls=1, prompt_tokens=course.prompt_tokens, completion_tokens=len(course.new), seconds=seconds,
            price=self._prices.of(course.prompt_tokens, len(course.new)),
        )  # fmt: skip
        return Completion(text, finish=course.finish, logprobs=given, cost=cost)

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _pieces(self, prompt: Prompt, ids: list[int], course: _Course) -> Iterator[str]:
        """The text as it is written; what else there is to say goes into `course`."""
        lm, sent = self.lm, 0
        for token in self._tokens(prompt, ids, course):
            if token.id in lm.ends:
                course.finish = "stop"
                break
            course.new.append(token.id)
            course.logprobs.append(TokenLogprob(lm.decode([token.id]), token.logprob))
            course.text = lm.decode(course.new)
            if found := [at for one in prompt.stop if (at := course.text.find(one)) >= 0]:
                course.text, course.finish = course.text[: min(found)], "stop"
                break
            if prompt.schema is not None and _complete(course.text, prompt.schema):
                course.finish = "stop"
                break
            settled = _settled(course.text, prompt.stop)
            if settled > sent:
                yield course.text[sent:settled]
                sent = settled
        if len(course.text) > sent:
            yield course.text[sent:]

    def _tokens(self, prompt: Prompt, ids: list[int], course: _Course) -> Iterator[Token]:
        """Tokens, each under the lock, so that a stream that nobody reads keeps nobody waiting."""
        lm = self.lm
        with self._lock:
            state = lm.fingerprint
            key = (state.weights, state.adapter)
            cache, course.reused = self._begun(ids, key, prompt.space)
            self.reused = course.reused
        tokens = lm.tokens(ids, cache=cache, max_new=prompt.max_tokens, temperature=prompt.temperature)
        last: Cache | None = None
        try:
            while True:
                with self._lock:
                    token = next(tokens, None)
                if token is None:
                    return
                last = token.cache
                yield token
        finally:  # also where the stream is closed before its end
            if last is not None:
                self._keep(ids + course.new, last, key, prompt.space)

    def _begun(self, ids: Sequence[int], state: tuple[str, str], space: str) -> tuple[Cache | None, int]:
        """A cache of the longest beginning of `ids` that is kept, short of the last token."""
        best: _Kept | None = None
        most = 0
        for one in self._kept:
            if (one.state, one.space) == (state, space) and (same := _common(one.ids, ids)) > most:
                best, most = one, same
        most = min(most, len(ids) - 1)
        if best is None or most < 1:
            return None, 0
        cache = caches.fork(best.cache)
        caches.crop(cache, most)
        self._kept.remove(best)  # the last used stand at the end
        self._kept.append(best)
        return cache, most

    def _keep(self, ids: list[int], cache: Cache, state: tuple[str, str], space: str) -> None:
        """Keep what was computed; what it goes on from is dropped, and the oldest where room is short."""
        ids = ids[: caches.length(cache)]
        try:
            made = _Kept(ids, caches.fork(cache), state, space)
        except UnsupportedModelError:  # a window or a state cannot be cut back: nothing is kept of such models
            return
        with self._lock:
            self._kept = [
                one
                for one in self._kept
                if (one.state, one.space) != (state, space) or _common(one.ids, ids) < len(one.ids)
            ]
            self._kept.append(made)
            while self._kept and (
                len(self._kept) > self._most or sum(caches.size(one.cache) for one in self._kept) > self._most_bytes
            ):
                del self._kept[0]


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many ids two begin with together."""
    for number, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return number
    return min(len(first), len(second))


def _settled(text: str, stop: Sequence[str]) -> int:
    """Characters that no further token takes back: short of half a character, and of what may become a stop text."""
    end = len(text.rstrip(UNFINISHED))
    for one in stop:
        for size in range(min(len(one) - 1, len(text)), 0, -1):
            if text.endswith(one[:size]):
                end = min(end, len(text) - size)
                break
    return end


def _complete(text: str, schema: Mapping[str, Any]) -> bool:
    """Whether an answer already holds all the JSON that was asked for."""
    if text.rstrip()[-1:] not in {"}", "]"}:
        return False
    try:
        parsed(without_thoughts(text), schema)
    except UnfitError:
        return False
    return True
