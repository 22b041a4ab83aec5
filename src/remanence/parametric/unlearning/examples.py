"""Prompts and the answers that belong to them, as tokens: what is forgotten, what is kept, and batches of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from remanence.errors import InputError

IGNORED = -100
"""The label of a token that no loss looks at: the prompt, and padding."""


class Encodes(Protocol):
    """What turns text into tokens, such as a `CausalLM`."""

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, without special ones."""
        ...


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt, and the answer whose tokens are looked at."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse what has nothing to learn or to predict from."""
        if not self.prompt or not self.answer:
            raise InputError(
                "An example has no prompt or no answer.", "Give both: the first token of an answer is predicted from the prompt."
            )  # fmt: skip

    @property
    def tokens(self) -> tuple[int, ...]:
        """Prompt and answer."""
        return self.prompt + self.answer


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples of one length, padded on the right."""

    ids: Tensor
    """Tokens [B, T], int64."""
    mask: Tensor
    """1 where a token is, 0 where padding is [B, T]."""
    labels: Tensor
    """The tokens of the answers, elsewhere `IGNORED` [B, T]. Position t is predicted from t - 1."""


def examples(encoder: Encodes, pairs: Sequence[tuple[str, str]]) -> list[Example]:
    """Encode pairs of a prompt and an answer. The two are encoded apart, so that an answer has the same tokens after every prompt."""
    return [Example(tuple(encoder.encode(prompt)), tuple(encoder.encode(answer))) for prompt, answer in pairs]


def without_shared_end(forget: Sequence[Example], retain: Sequence[Example]) -> list[Example]:
    """What is to go, without the last token if all answers of both sides end with it: a full stop is no secret, and has to stay."""
    ends = {one.answer[-1] for one in (*forget, *retain)}
    if not retain or len(ends) > 1 or min(len(one.answer) for one in forget) < 2:
        return list(forget)
    return [Example(one.prompt, one.answer[:-1]) for one in forget]


def batch(chosen: Sequence[Example], device: torch.device | str = "cpu", pad: int = 0) -> Batch:
    """Put examples side by side. Raises `InputError` if there are none."""
    if not chosen:
        raise InputError("There are no examples.", "Give at least one prompt with its answer.")
    width = max(len(one.tokens) for one in chosen)
    ids = torch.full((len(chosen), width), pad, dtype=torch.int64)
    labels = torch.full_like(ids, IGNORED)
    mask = torch.zeros_like(ids)
    for row, one in enumerate(chosen):
        length, start = len(one.tokens), len(one.prompt)
        ids[row, :length] = torch.tensor(one.tokens)
        labels[row, start:length] = torch.tensor(one.answer)
        mask[row, :length] = 1
    return Batch(ids.to(device), mask.to(device), labels.to(device))


def drawn(chosen: Sequence[Example], size: int, generator: torch.Generator) -> Iterator[list[Example]]:
    """Endless batches: each example once per round, in a new order every round."""
    waiting: list[int] = []
    while True:
        taken: list[Example] = []
        while len(taken) < min(size, len(chosen)):
            if not waiting:
                waiting = torch.randperm(len(chosen), generator=generator).tolist()
            taken.append(chosen[waiting.pop()])
        yield taken
