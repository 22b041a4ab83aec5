"""A local model as what `evaluation` asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from remanence.models.local.causal import CausalLM
from remanence.models.local.scoring import Scored


@dataclass(frozen=True, slots=True)
class LocalSystem:
    """A model with whatever adapters are active on it, answering closed book and greedily: an `evaluation.scoring.System`."""

    lm: CausalLM
    max_new: int = 12
    stop: tuple[str, ...] = (".", "\n")
    """What ends an answer. Without the full stop for answers of several sentences."""

    def answer(self, prompts: Sequence[str]) -> list[str]:
        """The answers to prompts, in batches."""
        return self.lm.generate_many(
            [self.lm.encode(prompt) for prompt in prompts], max_new=self.max_new, stop=self.stop
        )

    def score(self, prompts: Sequence[str], targets: Sequence[str]) -> list[Scored]:
        """The likelihoods of targets, in batches."""
        return self.lm.score([self.lm.encode(one) for one in prompts], [self.lm.encode(one) for one in targets])
