"""What the tests of answers share: cubes and hits from a line of text, and a model that answers by script."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from remanence.cubes import Cost, Hit, Kind, MemCube, Provenance, Scope
from remanence.errors import BrokenAnswerError
from remanence.models.hashing import HashingEmbedder
from remanence.models.language import Completion, Prompt

Reply = str | Exception | Mapping[str, Any]
_START = datetime(2024, 1, 1, tzinfo=UTC)


class Stream:
    """Pieces of an answer. It has to be closed: nothing here closes by itself."""

    def __init__(self, model: Scripted, pieces: Sequence[str]) -> None:
        self._model, self._pieces = model, iter(pieces)

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> str:
        return next(self._pieces)

    def close(self) -> None:
        self._model.closed += 1


class Scripted:
    """A language model that answers with a script: by a word of the system part of a prompt, or in order.

    Stands in until `models/scripted.py` is there. Words count as tokens.
    """

    name = "scripted"

    def __init__(
        self, *replies: Reply, by: Mapping[str, Reply | Sequence[Reply]] | None = None, context: int = 8000
    ) -> None:
        self.context = context
        self.prompts: list[Prompt] = []
        self.closed = 0
        self._replies = list(replies)
        self._by = {
            key: list(value) if isinstance(value, list | tuple) else [value] for key, value in (by or {}).items()
        }
        self._lock = threading.Lock()

    def generate(self, prompt: Prompt) -> Completion:
        reply = self._next(prompt)
        text = reply if isinstance(reply, str) else json.dumps(reply)
        data = None
        if prompt.schema is not None:
            try:
                data = json.loads(text)
            except ValueError as error:
                raise BrokenAnswerError("The answer is no JSON.", "Ask again.") from error
        return Completion(text, data, cost=Cost(calls=1, prompt_tokens=10, completion_tokens=2))

    def stream(self, prompt: Prompt) -> Stream:
        reply = self._next(prompt)
        assert isinstance(reply, str)
        return Stream(self, [reply[at : at + 7] for at in range(0, len(reply), 7)])

    def count(self, text: str) -> int:
        return len(text.split())

    def _next(self, prompt: Prompt) -> str | Mapping[str, Any]:
        with self._lock:
            self.prompts.append(prompt)
            whole = " ".join(turn.content for turn in prompt.turns)
            reply = None
            for key, replies in self._by.items():
                if key in whole:
                    reply = replies.pop(0) if len(replies) > 1 else replies[0]
                    break
            if reply is None:
                reply = self._replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


@pytest.fixture(scope="session")
def scripted() -> type[Scripted]:
    return Scripted


@pytest.fixture(scope="session")
def hit() -> Callable[..., Hit]:
    """A hit from a text: `by` its speaker, `on` the day it was said, `about` its title."""

    def make(
        text: str, *, by: str | None = None, on: str | None = None, about: str | None = None, score: float = 1.0, cube_id: str | None = None, **origin: Any
    ) -> Hit:  # fmt: skip
        observed = None if on is None else datetime.fromisoformat(on)
        cube = MemCube(
            id=cube_id or f"id of {text[:40]}", version=1, text=text, kind=Kind.MESSAGE, scope=Scope(space="a"), about=about,
            provenance=Provenance(author=by, observed_at=observed, **origin), recorded_at=_START, valid_from=_START,
        )  # fmt: skip
        return Hit(cube, score)

    return make


@pytest.fixture(scope="session")
def embed() -> Callable[[Sequence[str]], np.ndarray]:
    return HashingEmbedder().embed
