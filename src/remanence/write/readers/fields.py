"""One message of a chat export, whatever its keys are called, as the message that the write pipeline takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

Json = dict[str, Any]

ROLE_KEYS = ("role", "speaker", "author", "from", "sender")
TEXT_KEYS = ("content", "text", "message", "value")
TIME_KEYS = ("time", "timestamp", "created_at", "create_time", "date")
SESSION_KEYS = ("session", "session_id", "conversation_id")
_CALL_KEYS = ("tool_calls", "function_call")  # with these, an assistant's content may be missing altogether
_KNOWN = frozenset((*ROLE_KEYS, *TEXT_KEYS, *TIME_KEYS, *SESSION_KEYS, *_CALL_KEYS, "name", "title", "meta"))

_ROLES = {role: role for role in ("user", "assistant", "system", "tool", "document")} | {
    "developer": "system",
    "function": "tool",
    "human": "user",
    "ai": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "claude": "assistant",
}

_LONGEST_LABEL = 500
# Sixteen keys of 64 characters with 200 each stay under the default `Settings.max_meta`, however they are escaped.
_MOST_KEYS, _LONGEST_KEY, _LONGEST_VALUE = 16, 64, 200
_EARLIEST = 1e8  # seconds: 1973. Below that a number is a year, a counter, or the zero of an unknown time
_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))  # at least this large: so many in a second


def is_message(raw: Json) -> bool:
    """Whether it says who spoke, and has a place for what was said."""
    return any(key in raw for key in ROLE_KEYS) and any(key in raw for key in (*TEXT_KEYS, *_CALL_KEYS))


def message_of(raw: Json) -> Json | None:
    """The message, or None when it has no text (an image, a tool call). Time, name, title and session where known."""
    text = content_of(raw)
    if not text:
        return None
    role, name = _speaker(raw)
    given = first(raw, TIME_KEYS)
    time = iso_time(given)
    meta = scalars({key: value for key, value in raw.items() if key not in _KNOWN})
    if given is not None and not time:
        meta |= scalars({"time": given})  # "last Tuesday" is no instant, and still worth keeping
    if isinstance(raw.get("meta"), dict):
        meta |= cast("Json", raw["meta"])
    optional = {
        "name": name,
        "title": label(raw.get("title")),
        "time": time,
        "session": label(first(raw, SESSION_KEYS)),
        "meta": meta,
    }
    return {"role": role, "content": text} | {key: value for key, value in optional.items() if value}


def content_of(raw: Json) -> str:
    """What was said, from the first of the text keys that holds any; nothing when the words are those of a tool call."""
    return next(filter(None, (_text(raw.get(key)) for key in TEXT_KEYS)), "")


def first(raw: Json, keys: Iterable[str]) -> Any:
    """The first of these keys that holds something, or None."""
    return next((raw[key] for key in keys if raw.get(key) not in (None, "")), None)


def label(value: Any) -> str:
    """A name, title or id as text, at most 500 characters; nothing when it is something else."""
    return str(value).strip()[:_LONGEST_LABEL] if isinstance(value, str | int) and not isinstance(value, bool) else ""


def iso_time(value: Any) -> str:
    """ISO 8601 from an ISO text or a Unix time in seconds (or thousandths and finer, told by size); nothing otherwise.

    A text without an offset stays without one; Unix times become UTC.
    """
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.strip()).isoformat()
        except ValueError:
            pass
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return ""
    try:
        seconds = float(value)
        if seconds < _EARLIEST:
            return ""
        seconds /= next((unit for least, unit in _UNITS if seconds >= least), 1)
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return ""


def scalars(raw: Mapping[str, Any]) -> Json:
    """The short plain values of a mapping, at most sixteen. Longer ones are left out: half a value is a wrong one."""
    kept = ((key, value) for key, value in raw.items() if 0 < len(key) <= _LONGEST_KEY and _plain(value))
    return dict(pair for pair, _ in zip(kept, range(_MOST_KEYS), strict=False))


def _plain(value: Any) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= _LONGEST_VALUE
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and abs(value) < 2**63


def _speaker(raw: Json) -> tuple[str, str]:
    """Role and name. Whoever is not a known role is a person who talks: a user of that name."""
    role, name = "", label(raw.get("name"))
    for key in ROLE_KEYS:
        value = raw.get(key)
        if isinstance(value, dict):  # ChatGPT: {"author": {"role": …, "name": …}}
            author = cast("Json", value)
            name = name or label(author.get("name"))
            value = author.get("role")
        said = label(value)
        known = _ROLES.get(said.lower(), "")
        role = role or known
        name = name or ("" if known else said)
    return role or "user", name


def _text(content: Any) -> str:
    if isinstance(content, dict):
        # ChatGPT wraps texts in parts. What it wraps otherwise is code for a tool, or what the tool answered.
        content = cast("Json", content).get("parts")
    if isinstance(content, list):
        parts = [_part(part) for part in cast("list[Any]", content)]
        content = "\n".join(filter(None, parts))
    return content.strip() if isinstance(content, str) else ""


def _part(part: Any) -> str:
    text = cast("Json", part).get("text") if isinstance(part, dict) else part
    return text.strip() if isinstance(text, str) else ""
