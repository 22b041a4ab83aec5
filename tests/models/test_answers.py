"""From what a model wrote to what was asked for."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.cubes import Cost
from remanence.errors import BrokenAnswerError, InputError
from remanence.models.answers import (
    UnfitError,
    answered,
    outermost,
    parsed,
    streamed_without_thoughts,
    without_thoughts,
)
from remanence.models.language import Completion, Prompt, Turn

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
ASKED = Prompt(turns=(Turn("user", "?"),), schema=SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        ' \n{"a": 1}\n ',
        '```json\n{"a": 1}\n```',
        '```\n{"a": 1}```',
        'Here it is:\n\n{"a": 1}\n\nDoes that help?',
        'A {name} in braces, a list [1], then {"a": 1}.',
        'An example {"b": 2} and the answer {"a": 1}',
        'It\'s 5" wide: {"a": 1}',
        '{"a": 1} {"a": 2}',
        '{"a": 1, "b": "} ] \\" {"}',
        '{"a": 1, "b": "two\nlines"}',
    ],
)
def test_json_is_found_in_what_is_around_it(text):
    assert parsed(text, SCHEMA)["a"] == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("I do not know.", "no JSON"),
        ('{"a": 1', "no valid JSON"),
        ('{"b": {"a": 1}, "c": [', "no valid JSON"),  # what is inside of an object that was cut off is not the answer
        ('[{"a": 1}', "no valid JSON"),
        ('{"a": "1"}', "no integer"),
        ('{"a": NaN}', "no valid JSON"),
        ('{"a": 1, "b": 1e999}', "no valid JSON"),
        ('{"a": 1, "b": "\\ud800"}', "no valid JSON"),
        ('{"a": ' + "9" * 5000 + "}", "no valid JSON"),
        ("[1]", "no object"),
        ("null", "no object"),
        ("[" * 200_000, "no valid JSON"),
        ('{"a":' * 100_000, "no valid JSON"),
        ("[]" * 400_000, "no object"),
        ('"' * 500_000 + "{", "no valid JSON"),
        ("x" * 1_000_001, "1,000,001 characters"),
    ],
    ids=lambda text: text[:20],
)
def test_anything_else_is_refused_with_the_reason(text, why):
    with pytest.raises(UnfitError, match=why):
        parsed(text, SCHEMA)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
PROSE = st.text(alphabet="ab .,\"'\n`:", max_size=20)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4), PROSE, PROSE, st.booleans())
def test_any_object_is_found_again_in_prose(value, before, after, ascii_only):
    written = json.dumps(value, ensure_ascii=ascii_only)
    assert list(outermost(before + written + after)) == [written]
    assert parsed(before + written + after, {"type": "object"}) == value


@given(st.dictionaries(st.text(max_size=4), JSON, min_size=1, max_size=3), st.data())
def test_an_object_that_was_cut_off_is_never_an_answer(value, data):
    written = json.dumps(value)
    cut = written[: data.draw(st.integers(1, len(written) - 1))]
    with pytest.raises(UnfitError):
        parsed(cut, {"type": "object"})


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("plain", "plain"),
        ('<think>hm {"a": 2}</think>\n\nanswer', "answer"),
        (" \n<think>\nhm\n</think>answer</think>", "answer</think>"),
        ("<thinking>hm</think></thinking> answer", "answer"),
        ("<think>never closed", ""),
        ("<think></think>", ""),
        ("hm, so\n</think>\n\nanswer", "answer"),
        ("say </think> in a sentence", "say </think> in a sentence"),
        ('{"a": "x</think>\ny"}', '{"a": "x</think>\ny"}'),
        ("an answer <think>with a mark</think>", "an answer <think>with a mark</think>"),
        ("<thought> is a word", "<thought> is a word"),
        ("<thin", "<thin"),
    ],
)  # fmt: skip
def test_thoughts_are_cut_off(text, rest):
    assert without_thoughts(text) == rest


@given(
    st.lists(
        st.sampled_from(["<think>", "</think>", "<thinking>", "</thinking>", "<", "a", " ", "\n", "</th"]), max_size=8
    ),
    st.lists(st.integers(0, 60), max_size=10),
)
def test_in_a_stream_as_in_the_whole(parts, cuts):
    text = "".join(parts)
    cuts = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    streamed = "".join(streamed_without_thoughts(text[a:b] for a, b in itertools.pairwise(cuts)))
    # A lone mark at the end of a reasoning cannot be told in time.
    opened = text.lstrip().startswith(("<think>", "<thinking>"))
    assert streamed == (without_thoughts(text) if opened else text)


def test_a_stream_is_not_held_back_without_need():
    def pieces():
        yield "He"
        raise AssertionError("asked for more")

    assert next(streamed_without_thoughts(pieces())) == "He"


def test_a_broken_answer_is_shown_and_asked_for_again_once():
    asked: list[Prompt] = []

    def ask(prompt):
        asked.append(prompt)
        return Completion("x" * 5000 if len(asked) == 1 else '{"a": 3}', cost=Cost(calls=1, prompt_tokens=len(asked)))

    found = answered(ASKED, ask, "It")
    assert (found.data, found.cost.calls, found.cost.prompt_tokens) == ({"a": 3}, 2, 3)
    assert asked[1].turns[:1] == ASKED.turns
    assert [turn.role for turn in asked[1].turns] == ["user", "assistant", "user"]
    assert asked[1].turns[1].content == "x" * 2000
    assert "there is no JSON in it" in asked[1].turns[2].content


def test_broken_twice_is_an_error_with_the_start_and_the_cost():
    with pytest.raises(BrokenAnswerError, match=r"9,000,000 characters. It starts: 'xxx") as caught:
        answered(ASKED, lambda _prompt: Completion("x" * 9_000_000, cost=Cost(calls=1)), "It")
    assert len(str(caught.value)) < 500
    assert caught.value.cost == Cost(calls=2)
    with pytest.raises(BrokenAnswerError) as cut:
        answered(ASKED, lambda _prompt: Completion('{"a"', finish="length"), "It")
    assert cut.value.next_step == "Raise max_tokens."


def test_a_secret_is_blotted_out_also_where_the_reason_would_cut_it():
    secret = "sk-secret-77777777"
    schema = {"type": "object", "properties": {"a": {"enum": [1]}}}
    for start in range(40, 62):
        text = json.dumps({"a": "y" * start + secret})
        with pytest.raises(BrokenAnswerError) as caught:
            answered(
                Prompt(turns=ASKED.turns, schema=schema), lambda _prompt, text=text: Completion(text), "It",
                lambda said: said.replace(secret, "***"),
            )  # fmt: skip
        assert "sk-" not in str(caught.value)
        assert "***" in str(caught.value)


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(turns=()),
        Prompt(turns=(Turn("user", "?"),), max_tokens=0),
        Prompt(turns=(Turn("user", "?"),), temperature=-1),
        Prompt(turns=(Turn("user", "?"),), temperature=float("nan")),
    ],
)
def test_prompts_that_nobody_can_answer_are_refused(prompt):
    with pytest.raises(InputError):
        answered(prompt, lambda _prompt: pytest.fail("was asked"), "It")
