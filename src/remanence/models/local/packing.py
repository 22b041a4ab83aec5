"""Texts → one stream of tokens → rows of a batch, so that any step of a training can be made again from its number."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from remanence.errors import InputError, TrainingError
from remanence.models.local import chats

MOST_HELD_OUT = 65_536
"""Tokens of the held-out part that are looked at."""


@dataclass(frozen=True, slots=True)
class Data:
    """What a training reads, as ids."""

    train: Tensor
    """[tokens], int32."""
    held_out: Tensor
    """[tokens], int32; may be empty. Never trained on."""
    held_out_bytes: int
    """Bytes of UTF-8 that the held-out tokens stand for."""

    @property
    def digest(self) -> str:
        """Tells whether a training goes on with the same data."""
        return hashlib.sha256(b"".join(part.numpy().tobytes() for part in (self.train, self.held_out))).hexdigest()


def pack(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, *, held_out: float = 0.05) -> Data:
    """Join texts into one stream, an end token after each; the last part of each text is held out.

    A text is cut at a line where it has several, so that both parts begin as the text does.

    Parameters
    ----------
    texts
        Documents, in the order of the stream.
    tokenizer
        Cuts them; its end token stands between two.
    held_out
        Share of the characters of each text, from 0 up to 0.5.

    Raises
    ------
    InputError
        The share is out of its range.
    TrainingError
        There is nothing to learn from.
    """
    if not 0 <= held_out <= 0.5:
        raise InputError(f"held_out is {held_out!r}.", "Use a share from 0 to 0.5.")
    end = tokenizer.eos_token_id
    ends = [int(end)] if isinstance(end, int) else []
    train: list[int] = []
    held: list[int] = []
    size = 0
    for text in texts:
        first, last = _cut(text, held_out)
        train += [*chats.encode(tokenizer, first), *ends] if first else []
        held += [*chats.encode(tokenizer, last), *ends] if last else []
        size += len(last.encode("utf-8", "replace"))
    if len(train) < 2:
        raise TrainingError("There is nothing to learn from.", "Pass texts that are not empty.")
    return Data(torch.tensor(train, dtype=torch.int32), torch.tensor(held, dtype=torch.int32), size)


def rows(stream: Tensor, step: int, *, batch: int, context: int, seed: int) -> Tensor:
    """The rows of a step, [batch, context + 1] ids: input and, one to the right, what is to be predicted.

    The stream is cut into pieces at an offset that is drawn anew for every pass over it, and the pieces are shuffled: every
    pass reads each token once, but for the two ends, and never with the same borders. It depends on nothing but the
    arguments, so a training that goes on needs no state of this.
    """
    context = min(context, len(stream) - 1)
    slack = (len(stream) - 1) % context if len(stream) - 1 < 2 * context else context
    pieces = (len(stream) - 1 - slack) // context
    made: dict[int, tuple[int, Tensor]] = {}
    found: list[Tensor] = []
    for number in range(step * batch, (step + 1) * batch):
        passed, at = divmod(number, pieces)
        if passed not in made:
            drawn = torch.Generator().manual_seed(_drawn_from(seed, passed))
            offset = int(torch.randint(slack + 1, (1,), generator=drawn))
            made[passed] = offset, torch.randperm(pieces, generator=drawn)
        offset, order = made[passed]
        begin = offset + int(order[at]) * context
        found.append(stream[begin : begin + context + 1])
    return torch.stack(found).long()


def _drawn_from(seed: int, passed: int) -> int:
    """A seed for one pass. Torch's generator on the CPU takes 32 bits of it, so the two are mixed and not put side by side."""
    return int.from_bytes(hashlib.sha256(f"{seed} {passed}".encode()).digest()[:4], "little")


def _cut(text: str, share: float) -> tuple[str, str]:
    """The first part and the held-out one."""
    at = len(text) - int(len(text) * share)
    line = text.find("\n", at)
    at = line + 1 if 0 <= line < len(text) - 1 else at
    return text[:at], text[at:]
