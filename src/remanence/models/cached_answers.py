"""Keeps the answers of a language model, around any `LanguageModel`."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Protocol, cast, runtime_checkable

from remanence.cubes import Cost
from remanence.errors import StoreBusyError
from remanence.models.answers import UnfitError, check_prompt, checked, parsed
from remanence.models.language import Completion, LanguageModel, Prompt, TokenLogprob
from remanence.models.relay import relayed

WHOLE = frozenset({"stop", "eos", "eos_token", "end_turn", "stop_sequence"})
"""What endpoints call the end of an answer that was not cut off."""


@runtime_checkable
class Replies(Protocol):
    """Where answers are kept: the store, or a dict in a test."""

    def reply(self, space: str, key: bytes) -> str | None:
        """What was kept for this key in this space; None for nothing."""
        ...

    def keep_reply(self, space: str, key: bytes, answer: str, sources: Sequence[str]) -> None:
        """Keep it, in place of what was there. When a memory of `sources` is forgotten, the answer has to go with it."""
        ...


class CachedModel:
    """A `LanguageModel` that looks a prompt up before it asks the one inside.

    Only prompts of temperature 0 are looked up and kept, only answers that were neither cut off nor broken, and never across
    spaces. An answer is given only to prompts that show every memory that it was made from: who asks may not be allowed to see
    the others. A kept answer costs `Cost(cached=1)`. Two threads with the same new prompt both ask: none waits for the other.
    """

    def __init__(self, model: LanguageModel, replies: Replies) -> None:
        self._model = model
        self._replies = replies

    @property
    def name(self) -> str:
        """See `LanguageModel.name`."""
        return self._model.name

    @property
    def context(self) -> int:
        """See `LanguageModel.context`."""
        return self._model.context

    def generate(self, prompt: Prompt) -> Completion:
        """See `LanguageModel.generate`."""
        check_prompt(prompt)
        kept = self._kept(prompt)
        if kept is not None:
            return kept
        completion = self._model.generate(prompt)
        self._keep(prompt, completion)
        return completion

    def stream(self, prompt: Prompt) -> Generator[str, None, Completion]:
        """See `LanguageModel.stream`. A kept answer comes in one piece; a new one is kept when all of it has come."""
        check_prompt(prompt)
        kept = self._kept(prompt)
        if kept is not None:
            if kept.text:
                yield kept.text
            return kept
        said: list[str] = []
        completion = yield from relayed(self._model.stream(prompt), said)
        if completion is None:
            completion = checked(prompt, Completion("".join(said), cost=Cost(calls=1)), f"The model {self.name}")
        self._keep(prompt, completion)
        return completion

    def count(self, text: str) -> int:
        """See `LanguageModel.count`."""
        return self._model.count(text)

    def _kept(self, prompt: Prompt) -> Completion | None:
        """The answer that is kept; None where there is none, or it is not, or no longer, what the schema wants."""
        if prompt.temperature:
            return None
        answer = self._replies.reply(prompt.space, prompt_key(self.name, prompt))
        if answer is None:
            return None
        try:
            text, logprobs, sources = _unpacked(answer)
            if not sources <= set(prompt.sources):
                return None
            data = None if prompt.schema is None else parsed(text, prompt.schema)
        except (UnfitError, ValueError, LookupError, TypeError, RecursionError):
            return None  # the model is asked again, and its answer takes the place of this one
        return Completion(text, data=data, logprobs=logprobs, cost=Cost(cached=1))

    def _keep(self, prompt: Prompt, completion: Completion) -> None:
        if not prompt.temperature and completion.finish in WHOLE:
            key = prompt_key(self.name, prompt)
            with suppress(StoreBusyError):  # an answer that cannot be kept now is an answer all the same
                self._replies.keep_reply(prompt.space, key, _packed(completion, prompt.sources), prompt.sources)


def prompt_key(model: str, prompt: Prompt) -> bytes:
    """32 bytes of BLAKE2b over the model's name and all of the prompt that can change its answer.

    The space is no part of it, but of the look-up; the sources follow from the turns.
    """
    whole = {
        "model": model, "turns": prompt.turns, "schema": prompt.schema, "max_tokens": prompt.max_tokens,
        "temperature": float(prompt.temperature), "stop": prompt.stop, "logprobs": prompt.logprobs,
    }  # fmt: skip
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=32, person=b"remanence reply").digest()


def _packed(completion: Completion, sources: Sequence[str]) -> str:
    kept = {"text": completion.text, "logprobs": completion.logprobs, "sources": sorted(set(sources))}
    return json.dumps(kept, ensure_ascii=False)


def _unpacked(answer: str) -> tuple[str, tuple[TokenLogprob, ...] | None, set[str]]:
    """The inverse of `_packed`; what is something else raises ValueError or kin, as does an answer of format 2, without sources."""
    kept = cast("dict[str, Any]", json.loads(answer))
    text, logprobs, sources = kept["text"], kept["logprobs"], set[str](kept["sources"])
    if not isinstance(text, str):
        raise TypeError("an answer that is no text")
    if logprobs is None:
        return text, None, sources
    return text, tuple(TokenLogprob(str(token), float(logprob)) for token, logprob in logprobs), sources
