"""A language model that says what it was told to: for our tests and for yours."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from remanence.cubes import Cost
from remanence.errors import EndpointError, ModelError
from remanence.models.answers import answered, check_prompt, checked
from remanence.models.language import Completion, Prompt, TokenLogprob
from remanence.models.tokens import Prices

Says: TypeAlias = str | Completion | ModelError
"""An answer: its text; a `Completion`, of which text, finish and logprobs are taken; or an error, which is raised."""

Script: TypeAlias = Sequence[Says] | Mapping[str | re.Pattern[str], Says] | Callable[[Prompt], Says]

LOGPROB = -0.1
_TOKEN = re.compile(r"\s*\w+|\s*[^\w\s]|\s+\Z")


class ScriptedModel:
    """A `LanguageModel` without a model. Answers are checked against the schema, and asked for again, as a real one's are.

    Parameters
    ----------
    script
        A list of answers, given in turn; a mapping, of which the first key counts that occurs in the prompt (a text as it
        stands, a compiled pattern by `search`); or a function of the prompt. Asking again takes another answer of the list.
    broken
        The first so many answers are cut in half, so that their JSON is broken.
    gate
        Nothing is answered before this is set: for tests of what happens meanwhile.
    prices
        What a token costs, for `Cost.price`. A token is a word or a sign, with the blanks before it.
    """

    def __init__(
        self,
        script: Script,
        *,
        name: str = "scripted",
        context: int = 8192,
        broken: int = 0,
        gate: threading.Event | None = None,
        prices: Prices | None = None,
    ) -> None:
        self.name = name
        self.context = context
        self._script = script if callable(script) or isinstance(script, Mapping) else deque(script)
        self._broken = broken
        self._gate = gate
        self._prices = prices or Prices()
        self._prompts: list[Prompt] = []
        self._lock = threading.Lock()

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """What was asked so far, asking again after a broken answer included."""
        with self._lock:
            return tuple(self._prompts)

    def generate(self, prompt: Prompt) -> Completion:
        """See `LanguageModel.generate`.

        Raises
        ------
        EndpointError
            The script has no answer for this prompt.
        """
        return answered(prompt, self._ask, self._place)

    def stream(self, prompt: Prompt) -> Generator[str, None, Completion]:
        """See `LanguageModel.stream`: token by token. The generator returns the whole `Completion`."""
        check_prompt(prompt)
        completion = self._ask(prompt)
        yield from _tokens(completion.text)
        return checked(prompt, completion, self._place)

    def count(self, text: str) -> int:
        """See `LanguageModel.count`: words and signs. Exact, since this model is its own tokenizer."""
        return len(_tokens(text))

    @property
    def _place(self) -> str:
        return f"The model {self.name}"

    def _ask(self, prompt: Prompt) -> Completion:
        with self._lock:
            self._prompts.append(prompt)
            said, cut = self._said(prompt), self._broken > 0
            self._broken -= cut
        if self._gate is not None:
            self._gate.wait()
        if isinstance(said, ModelError):
            raise said
        done = said if isinstance(said, Completion) else Completion(said)
        if cut:
            done = Completion(done.text[: len(done.text) // 2], finish="length")
        return self._as_a_model_would(prompt, done)

    def _said(self, prompt: Prompt) -> Says:
        if isinstance(self._script, deque):
            if self._script:
                return self._script.popleft()
            raise EndpointError("The script has no more answers.", "Give ScriptedModel a longer list, or a function.")
        if not isinstance(self._script, Mapping):
            return self._script(prompt)
        text = "\n".join(turn.content for turn in prompt.turns)
        for key, said in self._script.items():
            if key in text if isinstance(key, str) else key.search(text):
                return said
        raise EndpointError(f"The script has no answer for {text[-80:]!r}.", "Add a key that occurs in the prompt.")

    def _as_a_model_would(self, prompt: Prompt, done: Completion) -> Completion:
        """Cut at a stop text and at max_tokens, counted and priced."""
        for stop in prompt.stop:
            done = replace(done, text=done.text.partition(stop)[0])
        tokens = _tokens(done.text)
        if len(tokens) > prompt.max_tokens:
            tokens = tokens[: prompt.max_tokens]
            done = replace(done, text="".join(tokens), finish="length")
        logprobs = None
        if prompt.logprobs:
            logprobs = done.logprobs or tuple(TokenLogprob(token, LOGPROB) for token in tokens)
        asked = sum(self.count(turn.content) for turn in prompt.turns)
        cost = Cost(
            calls=1, prompt_tokens=asked, completion_tokens=len(tokens), price=self._prices.of(asked, len(tokens))
        )
        return replace(done, data=None, logprobs=logprobs, cost=cost)


def _tokens(text: str) -> list[str]:
    """Words and signs with the blanks before them; together they are the text."""
    return _TOKEN.findall(text)
