"""Adds up what a language model costs, and stops before a budget is passed, around any `LanguageModel`."""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import NamedTuple

from remanence.cubes import Cost
from remanence.errors import BrokenAnswerError, BudgetError, ModelError
from remanence.models.answers import REPAIR_TOKENS, check_prompt
from remanence.models.language import Completion, LanguageModel, Prompt
from remanence.models.relay import relayed
from remanence.models.tokens import TURN, Prices


class _Share(NamedTuple):
    """What a call may take at most."""

    calls: int = 0
    tokens: int = 0
    price: float = 0.0


class Meter:
    """A `LanguageModel` that counts. With a budget, a call that could pass it is refused before anything is sent.

    A call is taken to cost its prompt and `max_tokens`; where a schema is given, twice that, since a broken answer is asked for
    again. Calls side by side are counted from their start. The budget is kept as far as the model keeps to `max_tokens` and
    `count` errs on the high side. What failed counts too: as one call, with its tokens where they are known.

    Parameters
    ----------
    calls, tokens, price
        The most that may be spent over the life of this meter; None for no limit. Tokens are those of prompts and answers.
    prices
        By which a call's price is known beforehand. Without them the call that passes `price` is the last one.
    """

    def __init__(
        self,
        model: LanguageModel,
        *,
        calls: int | None = None,
        tokens: int | None = None,
        price: float | None = None,
        prices: Prices | None = None,
    ) -> None:
        self._model = model
        self._budget = {"calls": calls, "tokens": tokens, "price": price}
        self._prices = prices or Prices()
        self._spent = Cost()
        self._held: list[_Share] = []
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """See `LanguageModel.name`."""
        return self._model.name

    @property
    def context(self) -> int:
        """See `LanguageModel.context`."""
        return self._model.context

    @property
    def spent(self) -> Cost:
        """The sum of all calls that have ended."""
        with self._lock:
            return self._spent

    def generate(self, prompt: Prompt) -> Completion:
        """See `LanguageModel.generate`.

        Raises
        ------
        BudgetError
            The call could take more than is left.
        """
        check_prompt(prompt)
        share = self._hold(self._most(prompt, repairs=prompt.schema is not None))
        cost = Cost(calls=1)
        try:
            completion = self._model.generate(prompt)
            cost = completion.cost
        except BrokenAnswerError as error:
            cost = error.cost if isinstance(error.cost, Cost) else cost
            raise
        finally:
            self._settle(share, cost)
        return completion

    def stream(self, prompt: Prompt) -> Generator[str, None, Completion | None]:
        """See `LanguageModel.stream`; errors as `generate`. A stream that is closed early counts what had come."""
        check_prompt(prompt)
        share = self._hold(self._most(prompt, repairs=False))
        said: list[str] = []
        cost: Cost | None = None
        try:
            completion = yield from relayed(self._model.stream(prompt), said)
            cost = None if completion is None else completion.cost
        except BrokenAnswerError as error:
            cost = error.cost if isinstance(error.cost, Cost) else None
            raise
        except ModelError:
            cost = None if said else Cost(calls=1)
            raise
        finally:
            self._settle(share, cost or self._guessed(prompt, said))
        return completion

    def count(self, text: str) -> int:
        """See `LanguageModel.count`."""
        return self._model.count(text)

    def _most(self, prompt: Prompt, *, repairs: bool) -> _Share:
        """What a prompt can take at most."""
        asked, answer = self._tokens(prompt), prompt.max_tokens
        if not repairs:
            return _Share(1, asked + answer, self._prices.of(asked, answer))
        asked += asked + min(answer, REPAIR_TOKENS) + REPAIR_TOKENS
        return _Share(2, asked + 2 * answer, self._prices.of(asked, 2 * answer))

    def _tokens(self, prompt: Prompt) -> int:
        return sum(self.count(turn.content) + TURN for turn in prompt.turns)

    def _guessed(self, prompt: Prompt, said: list[str]) -> Cost:
        """What a stream cost that does not say."""
        asked, answer = self._tokens(prompt), self.count("".join(said))
        return Cost(calls=1, prompt_tokens=asked, completion_tokens=answer, price=self._prices.of(asked, answer))

    def _hold(self, share: _Share) -> _Share:
        """Set aside what a call can take."""
        with self._lock:
            spent = self._spent
            used = _Share(spent.calls, spent.prompt_tokens + spent.completion_tokens, spent.price)
            for name, limit in self._budget.items():
                taken = sum(getattr(each, name) for each in (used, *self._held))
                # Where the price is not known beforehand, what is used up has to be told from what is left.
                if limit is not None and (taken + getattr(share, name) > limit or (name == "price" and taken >= limit)):
                    raise BudgetError(
                        f"The call could take {getattr(share, name):,.10g} {_UNITS[name]}, and {max(limit - taken, 0):,.10g} of "
                        f"{limit:,.10g} are left. Nothing was sent.",
                        "Raise the budget, or lower max_tokens.",
                    )
            self._held.append(share)
        return share

    def _settle(self, share: _Share, cost: Cost) -> None:
        """Put what a call cost in the place of what was set aside."""
        with self._lock:
            self._held.remove(share)
            self._spent += cost


_UNITS = {"calls": "calls", "tokens": "tokens", "price": "in price"}
