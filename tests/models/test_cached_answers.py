"""Answers that are kept, and those that must not be."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.cubes import Cost
from remanence.errors import BrokenAnswerError, EndpointError
from remanence.models.cached_answers import CachedModel, Replies, prompt_key
from remanence.models.language import Completion, LanguageModel, Prompt, TokenLogprob, Turn
from remanence.models.scripted import ScriptedModel

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
ASK = Prompt(turns=(Turn("system", "Be brief."), Turn("user", "Who?")), space="studio", sources=("c1", "c2"))


class Kept:
    """Replies in a dict; the store's have to do the same."""

    def __init__(self):
        self.rows: dict[tuple[str, bytes], tuple[str, tuple[str, ...]]] = {}

    def reply(self, space, key):
        return self.rows.get((space, key), (None, ()))[0]

    def keep_reply(self, space, key, answer, sources):
        self.rows[space, key] = (answer, tuple(sources))


class Foreign:
    """Somebody else's model, whose streams are plain iterators and check nothing."""

    name, context = "foreign", 100

    def __init__(self, *pieces):
        self.pieces = pieces
        self.asked = 0

    def generate(self, prompt):
        raise AssertionError

    def stream(self, prompt):
        self.asked += 1
        return iter(self.pieces)

    def count(self, text):
        return len(text)


@pytest.fixture
def kept():
    return Kept()


def test_a_prompt_is_asked_once(kept):
    inner = ScriptedModel(["Marta.", "Tomasz."])
    model = CachedModel(inner, kept)
    assert isinstance(model, LanguageModel)
    assert isinstance(kept, Replies)
    first, second = model.generate(ASK), model.generate(ASK)
    assert (first.text, second.text) == ("Marta.", "Marta.")
    assert (first.cost.calls, second.cost) == (1, Cost(cached=1))
    assert len(inner.prompts) == 1
    assert [sources for _, sources in kept.rows.values()] == [("c1", "c2")]
    assert (model.name, model.context, model.count("a b")) == ("scripted", 8192, 2)


def test_data_and_logprobs_come_back_too(kept):
    prompt = replace(ASK, schema=SCHEMA, logprobs=True)
    said = Completion('```{"a": 1}```', logprobs=(TokenLogprob("x", -0.5),))
    model = CachedModel(ScriptedModel([said]), kept)
    first, second = model.generate(prompt), model.generate(prompt)
    assert second == replace(first, cost=Cost(cached=1))
    assert second.data == {"a": 1}
    assert second.logprobs == (TokenLogprob("x", -0.5),)


def test_an_answer_is_given_only_to_prompts_that_show_all_that_it_was_made_from(kept):
    model = CachedModel(ScriptedModel(["one", "two", "three"]), kept)
    assert model.generate(ASK).text == "one"
    assert model.generate(replace(ASK, sources=("c1",))).text == "two"  # as somebody who may not see c2
    assert model.generate(replace(ASK, sources=("c1", "c3"))).text == "two"


def test_spaces_never_share(kept):
    model = CachedModel(ScriptedModel(["of a", "of b"]), kept)
    texts = [model.generate(replace(ASK, space=space)).text for space in ("a", "b", "a", "b")]
    assert texts == ["of a", "of b", "of a", "of b"]
    assert len({key for _, key in kept.rows}) == 1  # the space is looked up by, not hashed


@pytest.mark.parametrize(
    "other",
    [
        replace(ASK, turns=(*ASK.turns[:1], Turn("user", "Who ?"))),
        replace(ASK, turns=(Turn("user", "Be brief."), Turn("user", "Who?"))),
        replace(ASK, turns=(Turn("system", "Be brief.Who?"),)),
        replace(ASK, schema=SCHEMA),
        replace(ASK, max_tokens=511),
        replace(ASK, stop=("\n",)),
        replace(ASK, logprobs=True),
        replace(ASK, temperature=0.5),
    ],
)
def test_whatever_can_change_the_answer_changes_the_key(other):
    assert prompt_key("m", other) != prompt_key("m", ASK)
    assert prompt_key("n", ASK) != prompt_key("m", ASK)
    assert len(prompt_key("m", ASK)) == 32


def test_what_cannot_change_the_answer_does_not_change_the_key():
    turned = dict(reversed(SCHEMA.items()))
    assert prompt_key("m", replace(ASK, sources=(), space="x", temperature=0)) == prompt_key("m", ASK)
    assert prompt_key("m", replace(ASK, schema=turned)) == prompt_key("m", replace(ASK, schema=SCHEMA))


TURNS = st.lists(st.builds(Turn, st.sampled_from(["user", "system"]), st.text(max_size=5)), max_size=3).map(tuple)


@given(TURNS, TURNS)
def test_keys_are_equal_exactly_for_equal_turns(one, other):
    assert (prompt_key("m", Prompt(turns=one)) == prompt_key("m", Prompt(turns=other))) == (one == other)


def test_only_temperature_zero_is_kept(kept):
    model = CachedModel(ScriptedModel(["a", "b", "c", "d"]), kept)
    warm = replace(ASK, temperature=0.7)
    assert [model.generate(warm).text, model.generate(warm).text] == ["a", "b"]
    assert [*model.stream(warm), *model.stream(warm)] == ["c", "d"]
    assert not kept.rows
    kept.keep_reply("studio", prompt_key("scripted", warm), '{"text": "kept", "logprobs": null, "sources": []}', ())
    with pytest.raises(EndpointError):  # the script is at its end, and what is kept is not looked at
        model.generate(warm)


@pytest.mark.parametrize("finish", ["length", "content_filter", "error"])
def test_what_was_cut_off_is_not_kept(kept, finish):
    model = CachedModel(ScriptedModel([Completion("half", finish=finish)] * 2), kept)
    model.generate(ASK)
    list(model.stream(ASK))
    assert not kept.rows


def test_what_failed_or_broke_is_not_kept(kept):
    model = CachedModel(ScriptedModel([EndpointError("down"), "x", "x", "x", EndpointError("down")]), kept)
    with pytest.raises(EndpointError):
        model.generate(ASK)
    with pytest.raises(BrokenAnswerError):
        model.generate(replace(ASK, schema=SCHEMA))
    with pytest.raises(BrokenAnswerError):
        list(model.stream(replace(ASK, schema=SCHEMA)))
    with pytest.raises(EndpointError):
        list(model.stream(ASK))
    assert not kept.rows


def test_a_stream_is_kept_when_all_of_it_has_come(kept):
    inner = ScriptedModel(["Marta, of course.", "else"])
    model = CachedModel(inner, kept)
    stream = model.stream(ASK)
    assert next(stream) == "Marta"
    assert not kept.rows
    assert list(stream) == [",", " of", " course", "."]
    assert list(model.stream(ASK)) == ["Marta, of course."]
    assert model.generate(ASK).text == "Marta, of course."
    assert len(inner.prompts) == 1


def test_a_stream_that_is_closed_early_is_not_kept(kept):
    model = CachedModel(ScriptedModel(["Marta, of course."]), kept)
    stream = model.stream(ASK)
    next(stream)
    stream.close()
    assert not kept.rows


def test_an_empty_answer_is_kept_and_streams_nothing(kept):
    inner = ScriptedModel([""])
    model = CachedModel(inner, kept)
    assert list(model.stream(ASK)) == list(model.stream(ASK)) == []
    assert len(inner.prompts) == 1


def test_streams_of_foreign_models_are_checked_before_they_are_kept(kept):
    foreign = Foreign("Mar", "ta")
    model = CachedModel(foreign, kept)
    assert list(model.stream(ASK)) == ["Mar", "ta"]
    assert list(model.stream(ASK)) == ["Marta"]
    assert foreign.asked == 1
    with pytest.raises(BrokenAnswerError):
        list(model.stream(replace(ASK, schema=SCHEMA)))
    assert len(kept.rows) == 1


@pytest.mark.parametrize(
    "rubbish",
    [
        "",
        "text",
        "[]",
        "{}",
        '{"text": 7, "logprobs": null, "sources": []}',
        '{"text": "a", "logprobs": [7]}',
        "[" * 100_000,
    ],
)
def test_what_cannot_be_read_is_asked_for_again_and_replaced(kept, rubbish):
    kept.keep_reply("studio", prompt_key("scripted", ASK), rubbish, ())
    model = CachedModel(ScriptedModel(["Marta."]), kept)
    assert model.generate(ASK).cost.calls == 1
    assert model.generate(ASK).cost.cached == 1
    assert [json.loads(answer)["text"] for answer, _ in kept.rows.values()] == ["Marta."]


def test_a_kept_answer_that_does_not_fit_is_asked_for_again(kept):
    prompt = replace(ASK, schema=SCHEMA)
    kept.keep_reply(
        "studio", prompt_key("scripted", prompt), '{"text": "no JSON", "logprobs": null, "sources": []}', ()
    )
    model = CachedModel(ScriptedModel(['{"a": 1}']), kept)
    assert model.generate(prompt).data == {"a": 1}
    assert model.generate(prompt).cost.cached == 1
