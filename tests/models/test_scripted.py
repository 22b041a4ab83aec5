"""The model that says what it was told to behaves as a real one does."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.errors import BrokenAnswerError, EndpointError, InputError
from remanence.models.language import Completion, LanguageModel, Prompt, TokenLogprob, Turn
from remanence.models.scripted import ScriptedModel
from remanence.models.tokens import Prices

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def ask(text="Who?", **fields):
    return Prompt(turns=(Turn("system", "Be brief."), Turn("user", text)), **fields)


def test_a_list_is_answered_in_turn():
    model = ScriptedModel(["one", "two"])
    assert isinstance(model, LanguageModel)
    assert [model.generate(ask("a")).text, model.generate(ask("b")).text] == ["one", "two"]
    assert [prompt.turns[1].content for prompt in model.prompts] == ["a", "b"]
    with pytest.raises(EndpointError, match="no more answers"):
        model.generate(ask("c"))


def test_a_mapping_is_answered_by_what_occurs_in_the_prompt():
    model = ScriptedModel({"bowl": "Marta", re.compile(r"kil+n", re.IGNORECASE): "Friday"})
    assert model.generate(ask("Whose bowl is in the kiln?")).text == "Marta"
    assert model.generate(ask("When does the KILLN come?")).text == "Friday"
    with pytest.raises(EndpointError, match="no answer for"):
        model.generate(ask("else"))


def test_a_function_sees_the_prompt():
    assert ScriptedModel(lambda prompt: prompt.turns[-1].content.upper()).generate(ask("who?")).text == "WHO?"


def test_it_can_fail():
    model = ScriptedModel([EndpointError("The endpoint is down."), "up again"])
    with pytest.raises(EndpointError, match="down"):
        model.generate(ask())
    assert model.generate(ask()).text == "up again"


def test_it_can_be_slow():
    gate = threading.Event()
    model = ScriptedModel(["late"], gate=gate)
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(model.generate, ask())
        assert not answer.done()
        gate.set()
        assert answer.result(5).text == "late"


def test_it_can_be_broken_and_is_asked_again_as_a_real_one_is():
    model = ScriptedModel(lambda _prompt: '{"a": 1}', broken=1)
    found = model.generate(ask(schema=SCHEMA))
    assert (found.data, found.cost.calls) == ({"a": 1}, 2)
    assert model.prompts[1].turns[2:]
    assert model.prompts[1].turns[2] == Turn("assistant", '{"a"')
    with pytest.raises(BrokenAnswerError) as caught:
        ScriptedModel(lambda _prompt: '{"a": 1}', broken=2).generate(ask(schema=SCHEMA))
    assert caught.value.cost.calls == 2


def test_schemas_are_checked():
    with pytest.raises(BrokenAnswerError, match=r"answer\.a is '1', which is no integer"):
        ScriptedModel(['{"a": "1"}', '{"a": "1"}']).generate(ask(schema=SCHEMA))


def test_costs_and_logprobs_are_the_same_every_time():
    model = ScriptedModel(lambda _prompt: "Marta, of course.", prices=Prices(1e6, 1e6))
    found = model.generate(ask(logprobs=True))
    assert [token for token, _ in found.logprobs] == ["Marta", ",", " of", " course", "."]
    assert {value for _, value in found.logprobs} == {-0.1}
    assert (found.cost.prompt_tokens, found.cost.completion_tokens, found.cost.price) == (5, 5, 10.0)
    assert model.generate(ask(logprobs=True)) == found
    assert model.generate(ask()).logprobs is None


def test_a_completion_says_more_than_a_text():
    given_logprobs = (TokenLogprob("yes", -2.0),)
    model = ScriptedModel(lambda _prompt: Completion("yes", finish="content_filter", logprobs=given_logprobs))
    found = model.generate(ask(logprobs=True))
    assert (found.finish, found.logprobs, found.cost.calls) == ("content_filter", given_logprobs, 1)
    assert model.generate(ask()).logprobs is None


def test_it_keeps_to_stop_and_max_tokens():
    model = ScriptedModel(lambda _prompt: "one two\n\nthree")
    assert model.generate(ask(stop=("\n\n",))).text == "one two"
    cut = model.generate(ask(max_tokens=1))
    assert (cut.text, cut.finish, cut.cost.completion_tokens) == ("one", "length", 1)


def test_a_stream_is_the_answer_in_tokens():
    model = ScriptedModel(["Marta, of course.", '{"a": "x"}'])
    assert list(model.stream(ask())) == ["Marta", ",", " of", " course", "."]
    with pytest.raises(BrokenAnswerError):
        list(model.stream(ask(schema=SCHEMA)))
    assert len(model.prompts) == 2  # what was given away cannot be asked for again


def test_prompts_are_checked():
    with pytest.raises(InputError):
        ScriptedModel(["a"]).generate(Prompt(turns=()))
    with pytest.raises(InputError):
        next(ScriptedModel(["a"]).stream(Prompt(turns=())))


def test_threads_take_one_answer_each():
    model = ScriptedModel([str(number) for number in range(200)])
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: model.generate(ask()).text, range(200)))
    assert sorted(found, key=int) == [str(number) for number in range(200)]
    assert len(model.prompts) == 200


@given(st.text(max_size=60))
def test_pieces_add_up_to_the_answer(text):
    model = ScriptedModel([text])
    pieces = list(model.stream(ask()))
    assert "".join(pieces) == text
    assert model.count(text) == len(pieces)
