"""Chat exports in JSON: which shapes are understood, and how each becomes messages in the order they were said."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from remanence.errors import UnreadableFileError
from remanence.write.readers.fields import (
    SESSION_KEYS,
    TEXT_KEYS,
    TIME_KEYS,
    Json,
    content_of,
    first,
    is_message,
    iso_time,
    label,
    message_of,
)
from remanence.write.readers.text import decode

SHAPES = (
    "Understood are: a list of messages with a role (or speaker, author, from) and content (or text, message); "
    '{"messages": [...]} or a list of those; conversations.json from ChatGPT or Claude; '
    "and in .jsonl one message or conversation per line."
)


def read_json(data: bytes, path: Path, source: str) -> list[Json]:
    """The messages of a .json chat export. Conversations without an id or title get a session from `source`.

    Raises
    ------
    UnreadableFileError
        Broken or too deeply nested JSON, or a shape that is not understood.

    """
    return _messages(path, source, [(0, decode(data, path))])


def read_json_lines(data: bytes, path: Path, source: str) -> list[Json]:
    """The messages of a .jsonl chat export: on each line one message or one conversation.

    Raises
    ------
    UnreadableFileError
        Broken or too deeply nested JSON, or a shape that is not understood.

    """
    # Not splitlines: JSON texts may hold line separators other than the newline.
    lines = enumerate(decode(data, path).split("\n"), 1)
    return _messages(path, source, ((number, line) for number, line in lines if line.strip()))


def _messages(path: Path, source: str, texts: Iterable[tuple[int, str]]) -> list[Json]:
    walk = _Walk(source)
    messages: list[Json] = []
    for number, text in texts:
        where = f" in line {number}" if number else ""
        try:
            messages.extend(walk.over(json.loads(text, parse_constant=_nothing)))
        except json.JSONDecodeError as error:
            what = f"{path} is not valid JSON: {error.msg}, line {number or error.lineno}, column {error.colno}."
            lines = error.msg == "Extra data" and not number
            next_step = (
                "Name it .jsonl if it holds one value per line." if lines else "Export it again, or mend that place."
            )
            raise UnreadableFileError(what, next_step) from error
        except RecursionError as error:
            raise UnreadableFileError(f"{path} is nested too deeply{where} to be a chat export.", SHAPES) from error
        except _UnknownShapeError as error:
            raise UnreadableFileError(
                f"{path} is JSON, but not a known chat export: {error}{where}.", SHAPES
            ) from error
        except ValueError as error:  # a number with more digits than Python converts
            raise UnreadableFileError(
                f"{path} holds a number that is too long{where}.", "Shorten it, or quote it."
            ) from error
    return messages


def _nothing(constant: str) -> None:
    """NaN and Infinity are no JSON: read them as null, so that nothing downstream has to store them."""
    del constant


class _UnknownShapeError(Exception):
    """What was found instead. Never leaves this module."""


class _Walk:
    """Goes through the values of one file, and counts its conversations to name those without a name."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._count = 0

    def over(self, value: Any) -> Iterator[Json]:
        """The messages in a top-level value. A list there is a list of messages or of conversations."""
        if isinstance(value, list):
            return self._list(cast("list[Any]", value), {})
        return self._one(value, {})

    def _list(self, items: list[Any], shared: Json) -> Iterator[Json]:
        for item in items:
            yield from self._one(item, shared)

    def _one(self, value: Any, shared: Json) -> Iterator[Json]:
        if isinstance(value, list):
            yield from self._list(cast("list[Any]", value), self._shared({}))
            return
        if not isinstance(value, dict):
            raise _UnknownShapeError(f"found {type(value).__name__} where a message was expected")
        raw = cast("Json", value)
        if (turns := _turns(raw)) is not None:
            yield from self._list(turns, self._shared(raw))
        elif is_message(raw):
            if message := message_of(raw):
                yield shared | message
        elif content_of(raw) or not any(key in raw for key in TEXT_KEYS):
            # Notices without words (a member joined, a call ended) say nobody's name, and may be passed over.
            raise _UnknownShapeError(f"found an object with the keys {_named(raw)}")

    def _shared(self, conversation: Json) -> Json:
        """What a conversation says once for all of its messages."""
        self._count += 1
        title = label(first(conversation, ("title", "name")))
        session = label(first(conversation, (*SESSION_KEYS, "id", "uuid"))) or title
        known = {
            "session": session or f"{self._source}#{self._count}",
            "title": title,
            "time": iso_time(first(conversation, TIME_KEYS)),
        }
        return {key: text for key, text in known.items() if text}


def _named(raw: Json) -> str:
    return ", ".join(repr(key[:40]) for key in list(raw)[:6]) or "none"


def _turns(raw: Json) -> list[Any] | None:
    """The messages of a conversation, or None when it is not one."""
    if isinstance(raw.get("mapping"), dict):
        return _branch(cast("Json", raw["mapping"]), raw.get("current_node"))
    for key in ("messages", "chat_messages", "conversations", "conversation"):
        if isinstance(raw.get(key), list):
            return cast("list[Any]", raw[key])
    return None


def _branch(mapping: Json, current: Any) -> list[Any]:
    """ChatGPT keeps a tree, for every edit and retry a branch. The one on screen, else the longest, root first."""
    nodes = {key: cast("Json", node) for key, node in mapping.items() if isinstance(node, dict)}
    if not isinstance(current, str) or current not in nodes:
        current = _deepest(nodes)
    messages: list[Any] = []
    seen: set[str] = set()
    while isinstance(current, str) and current in nodes and current not in seen:
        seen.add(current)
        message = nodes[current].get("message")
        if isinstance(message, dict) and cast("Json", message).get("recipient") in (None, "all"):
            messages.append(cast("Json", message))  # other recipients are tools: a call, not something said
        current = nodes[current].get("parent")
    return messages[::-1]


def _deepest(nodes: dict[str, Json]) -> str | None:
    depth: dict[Any, int] = {}
    for start in nodes:
        trail: list[str] = []
        node: Any = start
        while isinstance(node, str) and node in nodes and node not in depth:
            depth[node] = 0  # a loop ends here
            trail.append(node)
            node = nodes[node].get("parent")
        below = depth[node] if isinstance(node, str) and node in depth else 0
        for above, name in enumerate(reversed(trail), 1):
            depth[name] = below + above
    return max(nodes, key=depth.__getitem__, default=None)
