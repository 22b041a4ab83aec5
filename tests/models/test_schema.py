"""The checker of answers, against cases written out and against values made from the schema itself."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.models.schema import problem

NAMES = {
    "type": "object",
    "properties": {"names": {"type": "array", "items": {"type": "string"}}},
    "required": ["names"],
}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({}, [None, 1, "a", [], {}], []),
        ({"type": "object"}, [{}, {"a": 1}], [[], None, "{}", 1]),
        ({"type": "array"}, [[], [1]], [{}, "[]", None]),
        ({"type": "string"}, ["", "a"], [1, None, [], True]),
        ({"type": "boolean"}, [True, False], [0, 1, "true", None]),
        ({"type": "null"}, [None], [0, "", False]),
        ({"type": "integer"}, [0, -7, 2.0], [1.5, True, "1", float("inf")]),
        ({"type": "number"}, [0, 1.5], [True, "1", None]),
        ({"type": ["string", "null"]}, ["a", None], [1, []]),
        ({"enum": ["a", 1, None]}, ["a", 1, 1.0, None], ["b", True, 0]),
        ({"enum": [False, [1], {"a": [True]}]}, [False, [1], {"a": [True]}], [0, [True], {"a": [1]}, {"a": [True], "b": 1}]),
        ({"items": {"type": "integer"}}, [[], [1, 2], "no list"], [[1, "2"]]),
        ({"minItems": 1, "maxItems": 2}, [[1], [1, 2], "no list"], [[], [1, 2, 3]]),
        ({"minLength": 1, "maxLength": 2}, ["a", "éé", 12345], ["", "abc"]),
        ({"required": ["a"]}, [{"a": None}, "no object"], [{}, {"b": 1}]),
        ({"properties": {"a": {"type": "string"}}}, [{}, {"a": "x"}, {"b": 1}], [{"a": 1}]),
        ({"properties": {"a": {}}, "additionalProperties": False}, [{}, {"a": 1}], [{"b": 1}, {"a": 1, "b": 1}]),
        ({"additionalProperties": {"type": "integer"}}, [{}, {"x": 1}], [{"x": "1"}]),
    ],
)  # fmt: skip
def test_what_fits_and_what_does_not(schema, good, bad):
    assert [value for value in good if problem(value, schema) is not None] == []
    assert [value for value in bad if problem(value, schema) is None] == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "answer has no 'names'"),
        ({"names": "Ada"}, "answer.names is 'Ada', which is no array"),
        ({"names": ["Ada", 7]}, "answer.names[1] is 7, which is no string"),
        ([], "answer is [], which is no object"),
    ],
)
def test_the_words_say_where(value, words):
    assert problem(value, NAMES) == words


def test_words_stay_short_whatever_the_value_is():
    for value in ("x" * 100_000, ["x" * 100_000], {"x" * 100_000: 1}, [[[]] * 10_000]):
        for schema in ({"type": "null"}, {"enum": [1]}, {"additionalProperties": False, "properties": {}, "enum": [1]}):
            assert len(problem(value, schema)) < 400


def test_depth_of_a_foreign_value_does_not_matter():
    deep = []
    for _ in range(50_000):
        deep = [deep]
    assert problem(deep, {"type": "array"}) is None
    assert problem({"a": deep}, {"type": "object", "additionalProperties": True}) is None


def test_a_type_that_does_not_exist_is_a_mistake_in_the_code():
    with pytest.raises(KeyError):
        problem(1, {"type": "int"})


LEAVES = st.sampled_from(
    [{"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}, {"type": "null"}]
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items, "maxItems": 3}, inner),
        st.builds(
            lambda properties: {
                "type": "object", "properties": properties, "required": sorted(properties), "additionalProperties": False,
            },
            st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        ),
    ),
    max_leaves=6,
)  # fmt: skip
SCALARS = {
    "string": st.text(max_size=5),
    "integer": st.integers(),
    "number": st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
    "boolean": st.booleans(),
    "null": st.none(),
}
ANYTHING = st.recursive(
    st.one_of(*SCALARS.values()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=6,
)


def values(schema):
    if schema["type"] == "array":
        return st.lists(values(schema["items"]), max_size=3)
    if schema["type"] == "object":
        return st.fixed_dictionaries({name: values(inner) for name, inner in schema["properties"].items()})
    return SCALARS[schema["type"]]


def fits(value, schema) -> bool:
    """The naive twin, for the schemas above."""
    kind = schema["type"]
    if kind == "array":
        return type(value) is list and len(value) <= 3 and all(fits(item, schema["items"]) for item in value)
    if kind == "object":
        wanted = schema["properties"]
        return type(value) is dict and set(value) == set(wanted) and all(fits(value[n], wanted[n]) for n in wanted)
    if kind == "integer":
        return type(value) is int or (type(value) is float and value == int(value))
    return type(value) in {"string": [str], "number": [int, float], "boolean": [bool], "null": [type(None)]}[kind]


@given(st.data())
def test_what_is_made_from_a_schema_fits_it(data):
    schema = data.draw(SCHEMAS)
    value = data.draw(values(schema))
    assert problem(value, schema) is None
    assert problem(json.loads(json.dumps(value)), schema) is None


@given(SCHEMAS, ANYTHING)
def test_the_verdict_is_that_of_the_naive_twin(schema, value):
    assert (problem(value, schema) is None) == fits(value, schema)
