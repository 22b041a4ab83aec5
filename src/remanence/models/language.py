"""What a language model is. Nothing is imported that costs time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

from remanence.cubes import Cost


class Turn(NamedTuple):
    """One message of a prompt."""

    role: str
    """system, user or assistant."""
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What is asked of a model, and what the answer has to look like."""

    turns: tuple[Turn, ...]
    schema: Mapping[str, Any] | None = None
    """JSON schema of the answer; None for free text."""
    max_tokens: int = 512
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    """Ask for the log-probability of each token of the answer, where the model can."""
    space: str = ""
    """The space whose memories the prompt shows, for the cache; empty for none."""
    sources: tuple[str, ...] = ()
    """Ids of the memories whose text is in the prompt: when one of them is forgotten, the cached answer goes with it."""


class TokenLogprob(NamedTuple):
    """A token of an answer and the natural logarithm of its probability."""

    token: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer."""

    text: str
    data: Any = None
    """The answer parsed and checked against the schema; None where none was asked for."""
    finish: str = "stop"
    """stop, length, or what the endpoint says."""
    logprobs: tuple[TokenLogprob, ...] | None = None
    """None where they were not asked for, or the endpoint gives none."""
    cost: Cost = field(default_factory=Cost)


@runtime_checkable
class LanguageModel(Protocol):
    """Answers prompts. Safe to call from several threads at once."""

    @property
    def name(self) -> str:
        """For people, and for the provenance of what the model wrote: `endpoint/<host and path>/<model>`, `scripted`."""
        ...

    @property
    def context(self) -> int:
        """How many tokens a prompt and its answer may have together."""
        ...

    def generate(self, prompt: Prompt) -> Completion:
        """Answer a prompt.

        Raises
        ------
        EndpointError
            The model refused, failed, or was too slow, also after the retries.
        BrokenAnswerError
            A schema was asked for and the answer is no such JSON, also after asking again.
        """
        ...

    def stream(self, prompt: Prompt) -> Iterator[str]:
        """The answer piece by piece as it is written; errors as `generate`. Closing the iterator stops the request."""
        ...

    def count(self, text: str) -> int:
        """Tokens of a text: exact where the tokenizer is known, else an estimate that errs on the high side."""
        ...
