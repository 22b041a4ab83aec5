"""JSON schema, as much of it as answers of language models need: a checker without a dependency.

Checked: `type` (one name or a list of them), `enum`, `properties`, `required`, `additionalProperties`, `items`, `minItems`,
`maxItems`, `minLength`, `maxLength`. Other keywords are notes (`title`, `description`) or are not checked.
Meaning as in https://json-schema.org/draft/2020-12/json-schema-validation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

Schema = Mapping[str, Any]

_SHOWN = 60

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    # Python counts True as 1, JSON does not; JSON counts 1.0 as an integer.
    "integer": lambda value: (
        not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
    ),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}


def problem(value: Any, schema: Schema) -> str | None:
    """What is wrong with a JSON value, in words that a model or a person can act on; None where it fits.

    Examples
    --------
    >>> problem({"names": ["Ada", 7]}, {"type": "object", "properties": {"names": {"items": {"type": "string"}}}})
    'answer.names[1] is 7, which is no string'

    Raises
    ------
    KeyError
        The schema names a type that does not exist: a mistake in the code.
    """
    return next(_problems(value, schema, "answer"), None)


def _problems(value: Any, schema: Schema, where: str) -> Iterator[str]:
    kind = schema.get("type")
    kinds: Sequence[str] = [kind] if isinstance(kind, str) else kind or []
    if kinds and not any(_TYPES[name](value) for name in kinds):
        yield f"{where} is {_shown(value)}, which is no {' or '.join(kinds)}"
        return
    if "enum" in schema and not any(_same(value, choice) for choice in schema["enum"]):
        yield f"{where} is {_shown(value)}, which is none of {_shown(list(schema['enum']), 200)}"
    if isinstance(value, dict):
        yield from _object(cast("dict[str, Any]", value), schema, where)
    elif isinstance(value, list):
        yield from _array(cast("list[Any]", value), schema, where)
    elif isinstance(value, str):
        yield from _size(len(value), schema, "Length", "characters", where)


def _object(value: dict[str, Any], schema: Schema, where: str) -> Iterator[str]:
    properties: Mapping[str, Schema] = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{where} has no {name!r}"
    others = schema.get("additionalProperties", True)
    for name, inner in value.items():
        if name in properties:
            yield from _problems(inner, properties[name], f"{where}.{name}")
        elif others is False:
            yield f"{where} has {_shown(name)}, which was not asked for"
        elif isinstance(others, Mapping) and others:
            yield from _problems(inner, cast("Schema", others), f"{where}[{_shown(name)}]")


def _array(value: list[Any], schema: Schema, where: str) -> Iterator[str]:
    yield from _size(len(value), schema, "Items", "items", where)
    items: Schema = schema.get("items", {})
    # Without a schema for the items there is nothing to walk: how deep a foreign value goes must not matter.
    for index, item in enumerate(value if items else ()):
        yield from _problems(item, items, f"{where}[{index}]")


def _size(size: int, schema: Schema, keyword: str, unit: str, where: str) -> Iterator[str]:
    least, most = schema.get(f"min{keyword}", 0), schema.get(f"max{keyword}", size)
    if not least <= size <= most:
        yield f"{where} has {size} {unit}, and should have {f'at least {least}' if size < least else f'at most {most}'}"


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: True is not 1, also inside lists and objects."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        left, right = cast("list[Any]", one), cast("list[Any]", other)
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(one, dict) and isinstance(other, dict):
        mine, its = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
        return mine.keys() == its.keys() and all(_same(inner, its[name]) for name, inner in mine.items())
    return one == other


def _shown(value: Any, most: int = _SHOWN) -> str:
    """A value in a message, cut: what a model wrote may be long."""
    text = repr(value) if isinstance(value, str | int | float | bool | None) else _outline(value)
    return text if len(text) <= most else f"{text[:most]}…"


def _outline(value: Any) -> str:
    """Lists of plain values as they are; anything deeper only by name."""
    if isinstance(value, list):
        items = cast("list[Any]", value)
        plain = all(isinstance(item, str | int | float | bool | None) for item in items)
        return repr(items[:50]) if plain else f"a list of {len(items)} items"
    return "an object"
