"""How probable given answers are behind given prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from remanence.errors import InputError

if TYPE_CHECKING:
    from remanence.models.local.causal import CausalLM

BATCH_TOKENS = 8192
"""Tokens of a batch, padding included."""
BATCH_LOGITS = 1 << 26
"""Logits of a batch: 256 MiB in float32."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A target under teacher forcing."""

    logprobs: tuple[float, ...]
    """The natural logarithm of the probability of each target token, given all before it."""
    greedy: bool
    """Whether each target token is the most probable one: free-running generation would write the target."""

    @property
    def total(self) -> float:
        """The log-probability of the whole target."""
        return sum(self.logprobs)

    @property
    def mean(self) -> float:
        """Per token, so that long and short targets can be compared."""
        return self.total / len(self.logprobs)


@torch.no_grad()
def score(lm: CausalLM, prompts: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> list[Scored]:
    """See `CausalLM.score`."""
    if len(prompts) != len(targets):
        raise InputError(f"{len(prompts)} prompts and {len(targets)} targets.", "Pass one target for each prompt.")
    for number, (prompt, target) in enumerate(zip(prompts, targets, strict=True)):
        if not prompt or not target:
            raise InputError(f"Pair {number} has an empty part.", "A prompt and a target have at least one token each.")
        lm.check((min(*prompt, *target), max(*prompt, *target)))
        lm.check_room(len(prompt) + len(target) - 1)
    found: list[Scored | None] = [None] * len(prompts)
    lengths = [len(prompt) + len(target) - 1 for prompt, target in zip(prompts, targets, strict=True)]
    for batch in batches(lengths, min(BATCH_TOKENS, max(1, BATCH_LOGITS // lm.vocabulary))):
        scored = _batch(lm, [prompts[one] for one in batch], [targets[one] for one in batch])
        for one, each in zip(batch, scored, strict=True):
            found[one] = each
    return [one for one in found if one is not None]


def batches(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Indices of sequences of similar length, so many that with padding a batch has at most `tokens`; at least one."""
    batch: list[int] = []
    for one in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        if batch and lengths[batch[0]] * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _batch(lm: CausalLM, prompts: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> Iterator[Scored]:
    """Padding stands on the right, where causal attention does not see it."""
    rows = [[*prompt, *target[:-1]] for prompt, target in zip(prompts, targets, strict=True)]
    longest, first = max(map(len, rows)), min(map(len, prompts)) - 1
    ids = torch.tensor([row + [row[-1]] * (longest - len(row)) for row in rows], device=lm.device)
    mask = None
    if min(map(len, rows)) < longest:
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=lm.device)
    logits = lm.logits(ids, longest - first, attention_mask=mask, use_cache=False)
    for number, (prompt, target) in enumerate(zip(prompts, targets, strict=True)):
        begin = len(prompt) - 1 - first
        part = logits[number, begin : begin + len(target)].log_softmax(-1)
        wanted = torch.tensor(list(target), device=part.device)
        chosen = part.gather(1, wanted[:, None])[:, 0]
        yield Scored(tuple(chosen.tolist()), bool((part.argmax(-1) == wanted).all()))
