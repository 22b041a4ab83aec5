"""What is learned from refusals."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.models.dialect import Dialect, Format, error_in
from remanence.models.language import Prompt, Turn

FULL = Prompt(turns=(Turn("user", "Who?"),), schema={"type": "object"}, logprobs=True, stop=("\n",))
WORDS = st.sampled_from(
    ["max_tokens", "max_completion_tokens", "temperature", "logprobs", "response_format", "json_schema", "grammar",
     "stream_options", "is not supported", "prompt", "context"]
)  # fmt: skip
STATUSES = st.sampled_from([200, 400, 403, 404, 422, 429, 500, 503])


@given(st.lists(st.tuples(STATUSES, st.lists(WORDS, max_size=4)), min_size=12, max_size=12))
def test_whatever_is_refused_there_are_few_ways_to_ask(refusals):
    dialect, steps = Dialect(), 0
    for status, words in refusals:
        body = dialect.body("m", FULL, stream=True)
        assert body["messages"][-1] == {"role": "user", "content": "Who?"}
        weaker = dialect.after(status, " ".join(words).encode(), body)
        if weaker is not None:
            assert weaker != dialect
            assert dialect.weaker(weaker) == weaker.weaker(dialect) == weaker
            dialect, steps = weaker, steps + 1
    assert steps <= 6


@pytest.mark.parametrize("message", ["temperature is wrong", "no logprobs", "stream_options", "response_format"])
def test_what_was_not_asked_for_cannot_have_been_refused(message):
    plain = Dialect(temperature=False)
    assert plain.after(400, message.encode(), plain.body("m", Prompt(turns=FULL.turns))) is None


def test_a_server_in_trouble_is_not_a_refusal():
    body = Dialect().body("m", FULL)
    assert Dialect().after(503, b"the GPU's temperature is too high", body) is None
    assert Dialect().after(429, b"lower max_completion_tokens", body) is None
    assert Dialect().after(500, b"failed to parse grammar", body) == Dialect(format=Format.OBJECT)


def test_not_utf_8_is_no_trouble():
    assert Dialect().after(401, b"\xff\xfe", Dialect().body("m", FULL)) is None


@pytest.mark.parametrize(
    ("title", "name"), [(None, "answer"), ("Facts of a turn", "Facts_of_a_turn"), ("é", "answer"), ("x" * 99, "x" * 64)]
)
def test_schemas_get_a_name_that_the_protocol_allows(title, name):
    schema = {"type": "object"} | ({"title": title} if title else {})
    body = Dialect().body("m", Prompt(turns=FULL.turns, schema=schema))
    assert body["response_format"]["json_schema"]["name"] == name


@pytest.mark.parametrize(
    ("answer", "status"),
    [({"error": "x"}, 400), ({"error": {"code": 503}}, 503), ({"error": {"code": "rate"}}, 400), ({"error": None}, None), ([], None)],
)  # fmt: skip
def test_errors_that_come_as_answers(answer, status):
    found = error_in(answer)
    assert (found and found[0]) == status
    assert not found or json.loads(found[1]) == answer["error"]
