"""A language model that answers from a script, and cubes to read."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from remanence.cubes import Cost, Kind, MemCube, Provenance, Scope
from remanence.models.language import Completion, Prompt


class Scripted:
    """Answers with what `script` makes of a prompt: data, or an error to raise. Keeps every prompt."""

    def __init__(self, script: Callable[[Prompt], Any], *, context: int = 128_000, name: str = "scripted") -> None:
        self.name, self.context = name, context
        self.script = script
        self.prompts: list[Prompt] = []
        self.counted = 0
        self._lock = threading.Lock()

    def generate(self, prompt: Prompt) -> Completion:
        with self._lock:
            self.prompts.append(prompt)
        answer = self.script(prompt)
        if isinstance(answer, Exception):
            raise answer
        return Completion(json.dumps(answer), answer, cost=Cost(calls=1, prompt_tokens=10, completion_tokens=2))

    def stream(self, prompt: Prompt) -> Iterator[str]:
        yield self.generate(prompt).text

    def count(self, text: str) -> int:
        with self._lock:
            self.counted += len(text)
        return -(-len(text.encode(errors="replace")) // 4)


def part(prompt: Prompt) -> str:
    """Which of the calls a prompt is: the name of the list that its schema asks for."""
    return next(iter(prompt.schema["properties"]))


def memory(prompt: Prompt) -> dict[str, Any]:
    """The passage as the prompt shows it, read back."""
    user = prompt.turns[-1].content
    return json.loads(user[user.index("<memory>") + 8 : user.index("</memory>")])


def names(prompt: Prompt) -> list[str]:
    user = prompt.turns[-1].content
    return json.loads(user[user.index("<names>") + 7 : user.index("</names>")])


@pytest.fixture(scope="session")
def cube() -> Callable[..., MemCube]:
    at = datetime(2024, 5, 8, 13, 56, tzinfo=UTC)

    def make(
        text: str, *, author: str | None = "Ana", about: str | None = None, space: str = "a", cube_id: str = "",
        kind: Kind = Kind.MESSAGE, role: str = "user", said: datetime | None = at,
    ) -> MemCube:  # fmt: skip
        return MemCube(
            id=cube_id or f"id of {text[:20]}", version=1, text=text, kind=kind, scope=Scope(space=space), about=about,
            provenance=Provenance(author=author, role=role, observed_at=said), recorded_at=at, valid_from=at,
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def scripted() -> type[Scripted]:
    return Scripted


@pytest.fixture(scope="session")
def answering() -> Callable[..., Callable[[Prompt], Any]]:
    """A script: the same list for every call of a part, nothing for the other parts."""

    def script(**lists: Any) -> Callable[[Prompt], Any]:
        def answer(prompt: Prompt) -> Any:
            name = part(prompt)
            found = lists.get(name, [])
            if isinstance(found, Exception):
                return found
            return {name: found} | ({"about": lists.get("about", "")} if name == "statements" else {})

        return answer

    return script


@pytest.fixture(scope="session")
def read_prompt() -> type[ReadPrompt]:
    return ReadPrompt


class ReadPrompt:
    part = staticmethod(part)
    memory = staticmethod(memory)
    names = staticmethod(names)
