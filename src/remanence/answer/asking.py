"""Calls to a language model for one answer: what they cost, and which memories they showed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from remanence.answer.pack import Packed
from remanence.answer.times import day_of
from remanence.cubes import Cost, MemCube
from remanence.models.language import Completion, LanguageModel, Prompt, Turn
from remanence.models.prompts import quoted, render


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model is given to answer from."""

    question: str
    packed: Packed
    now: datetime
    standing: tuple[MemCube, ...] = ()
    """Instructions of the user's own, which hold for every answer."""

    def prompt(self, name: str, **values: str) -> Prompt:
        """A prompt of this name with the memories in it, and the question; `values` are filled in as they are."""
        turns = render(
            name, memories=self.packed.text, question=quoted(self.question), today=day_of(self.now), **values
        )
        told = instructions(self.standing)
        if told:
            turns = tuple(Turn(one.role, f"{one.content}\n\n{told}") if one.role == "system" else one for one in turns)
        return self.about(Prompt(turns=turns))

    def about(self, prompt: Prompt) -> Prompt:
        """The prompt with the space and the ids of the memories that it goes back to, for the cache."""
        space = self.packed.entries[0].hit.cube.scope.space if self.packed.entries else ""
        return replace(prompt, space=space, sources=(*self.packed.ids, *(one.id for one in self.standing)))


def instructions(standing: Sequence[MemCube]) -> str:
    """Standing instructions as a part of what a model is told; empty where there are none."""
    if not standing:
        return ""
    lines = "\n".join(quoted(one.text) for one in standing)
    [told, _] = render("standing", instructions=lines)
    return told.content


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
