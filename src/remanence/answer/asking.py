"""Calls to a language model for one answer: what they cost, and which memories they showed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from remanence.answer.pack import Packed
from remanence.answer.times import day_of
from remanence.cubes import Cost
from remanence.models.language import Completion, LanguageModel, Prompt
from remanence.models.prompts import quoted, render


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model is given to answer from."""

    question: str
    packed: Packed
    now: datetime

    def prompt(self, name: str, **values: str) -> Prompt:
        """A prompt of this name with the memories in it, and the question; `values` are filled in as they are."""
        turns = render(
            name, memories=self.packed.text, question=quoted(self.question), today=day_of(self.now), **values
        )
        return self.about(Prompt(turns=turns))

    def about(self, prompt: Prompt) -> Prompt:
        """The prompt with the space and the ids of the memories that it goes back to, for the cache."""
        space = self.packed.entries[0].hit.cube.scope.space if self.packed.entries else ""
        return replace(prompt, space=space, sources=self.packed.ids)


class Asking:
    """Asks a model and adds up the cost, also of calls before one that failed."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.cost = Cost()
        self._lock = threading.Lock()

    def ask(self, prompt: Prompt) -> Completion:
        """One call; raises as `LanguageModel.generate`."""
        completion = self.model.generate(prompt)
        self.spent(completion.cost)
        return completion

    def ask_all(self, prompts: list[Prompt]) -> list[Completion]:
        """Independent calls side by side, answers in the order of the prompts; the first failure is raised once all are done."""
        with ThreadPoolExecutor(max_workers=max(len(prompts), 1)) as pool:
            return list(pool.map(self.ask, prompts))

    def spent(self, cost: Cost) -> None:
        """Add a cost."""
        with self._lock:
            self.cost += cost
