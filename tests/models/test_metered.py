"""Costs add up, and a budget holds."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.cubes import Cost
from remanence.errors import BrokenAnswerError, BudgetError, EndpointError, ModelError
from remanence.models.cached_answers import CachedModel
from remanence.models.language import Completion, LanguageModel, Prompt, Turn
from remanence.models.metered import Meter
from remanence.models.scripted import ScriptedModel
from remanence.models.tokens import TURN, Prices

SCHEMA = {"type": "object", "required": ["a"]}


def ask(text="Who made it?", **fields):
    return Prompt(turns=(Turn("user", text),), **{"max_tokens": 10} | fields)


def test_costs_add_up_over_threads():
    meter = Meter(ScriptedModel(lambda _prompt: "Marta.", prices=Prices(1e6, 1e6)))
    assert isinstance(meter, LanguageModel)
    with ThreadPoolExecutor(8) as threads:
        costs = [found.cost for found in threads.map(lambda _: meter.generate(ask()), range(100))]
    assert meter.spent == sum(costs, Cost())
    assert (meter.spent.calls, meter.spent.prompt_tokens, meter.spent.completion_tokens) == (100, 400, 200)
    assert (meter.name, meter.context, meter.count("a b")) == ("scripted", 8192, 2)


def test_calls_are_limited_and_nothing_is_sent_beyond():
    inner = ScriptedModel(lambda _prompt: "Marta.")
    meter = Meter(inner, calls=2)
    meter.generate(ask())
    list(meter.stream(ask()))
    for call in (lambda: meter.generate(ask()), lambda: list(meter.stream(ask()))):
        with pytest.raises(BudgetError, match="could take 1 calls, and 0 of 2 are left") as caught:
            call()
        assert isinstance(caught.value, ModelError)
        assert caught.value.next_step
    assert len(inner.prompts) == 2


def test_tokens_are_limited_by_the_most_that_a_call_can_take():
    most = 4 + TURN + 10
    inner = ScriptedModel(lambda _prompt: "a " * 50)
    with pytest.raises(BudgetError, match=f"could take {most} tokens"):
        Meter(inner, tokens=most - 1).generate(ask())
    assert not inner.prompts
    meter = Meter(inner, tokens=most)
    assert meter.generate(ask()).finish == "length"
    assert meter.spent.prompt_tokens + meter.spent.completion_tokens <= most


def test_a_schema_may_take_two_calls():
    inner = ScriptedModel(lambda _prompt: "{}")
    with pytest.raises(BudgetError, match="could take 2 calls"):
        Meter(inner, calls=1).generate(ask(schema=SCHEMA))
    assert not inner.prompts


def test_price_is_limited():
    prices = Prices(1e6, 1e6)
    inner = ScriptedModel(lambda _prompt: "Marta.", prices=prices)
    meter = Meter(inner, price=28.0, prices=prices)  # a call can take 22 and takes 6
    meter.generate(ask())
    meter.generate(ask(max_tokens=9))
    with pytest.raises(BudgetError, match="could take 22 in price, and 16 of 28 are left"):
        meter.generate(ask())
    assert len(inner.prompts) == 2
    blind = Meter(inner, price=6.0)  # the price is only known afterwards
    blind.generate(ask())
    with pytest.raises(BudgetError):
        blind.generate(ask())


def test_calls_side_by_side_are_counted_from_their_start():
    gate = threading.Event()
    inner = ScriptedModel(lambda _prompt: "Marta.", gate=gate)
    meter = Meter(inner, calls=3)
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(meter.generate, ask()) for _ in range(8)]
        refused = [call for call in calls if isinstance(_error_of(call, gate), BudgetError)]
    assert (len(refused), len(inner.prompts), meter.spent.calls) == (5, 3, 3)


def _error_of(call, gate):
    """Waits a moment for the refusals, then opens the gate for the rest."""
    if not call.done():
        gate.wait(0.03)
        gate.set()
    return call.exception(5)


def test_what_failed_counts_too():
    meter = Meter(ScriptedModel([EndpointError("down"), "x", "x", EndpointError("down"), "x", "a b"]))
    with pytest.raises(EndpointError):
        meter.generate(ask())
    assert meter.spent == Cost(calls=1)
    with pytest.raises(BrokenAnswerError) as caught:
        meter.generate(ask(schema=SCHEMA))
    assert meter.spent == Cost(calls=1) + caught.value.cost
    assert meter.spent.calls == 3
    with pytest.raises(EndpointError):
        list(meter.stream(ask()))
    with pytest.raises(BrokenAnswerError):
        list(meter.stream(ask(schema=SCHEMA)))
    assert meter.spent.calls == 5
    assert meter.spent.completion_tokens == 3


def test_a_stream_that_is_closed_early_counts_what_had_come():
    meter = Meter(ScriptedModel(["one two three"]), calls=2, prices=Prices(0, 1e6))
    stream = meter.stream(ask())
    assert [next(stream), next(stream)] == ["one", " two"]
    assert meter.spent == Cost()
    stream.close()
    assert meter.spent == Cost(calls=1, prompt_tokens=4 + TURN, completion_tokens=2, price=2.0)


def test_a_stream_hands_on_its_completion():
    found = []

    def run():
        found.append((yield from Meter(ScriptedModel(["Marta."])).stream(ask())))

    assert list(run()) == ["Marta", "."]
    assert (found[0].text, found[0].cost.calls) == ("Marta.", 1)


class Nowhere:
    def reply(self, space, key):
        return '{"text": "kept", "logprobs": null, "sources": []}'

    def keep_reply(self, space, key, answer, sources):
        raise AssertionError


def test_kept_answers_count_as_kept():
    meter = Meter(CachedModel(ScriptedModel([]), Nowhere()), calls=1)
    assert [meter.generate(ask()).text, *meter.stream(ask())] == ["kept", "kept"]
    assert meter.spent == Cost(cached=2)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 40), st.booleans()), max_size=12), st.integers(0, 300))
def test_the_budget_of_tokens_is_never_passed(calls, budget):
    meter = Meter(ScriptedModel(lambda prompt: Completion("a " * int(prompt.turns[0].content))), tokens=budget)
    for most, length, streamed in calls:
        prompt = ask(str(length), max_tokens=most)
        try:
            list(meter.stream(prompt)) if streamed else meter.generate(prompt)
        except BudgetError:
            continue
    assert meter.spent.prompt_tokens + meter.spent.completion_tokens <= budget
