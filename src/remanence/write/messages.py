"""What callers pass to `add`, checked: plain text, a message, or a list of either."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, cast

from remanence.cubes import ROLES, Kind, posix
from remanence.errors import InputError, InputTooLargeError
from remanence.policies import Policy, Trigger, Trust
from remanence.settings import Settings

_POLICY = frozenset({"trust", "sensitivity", "access", "ttl", "priority", "half_life", "trigger"})
_FIELDS = _POLICY | {
    "role", "name", "content", "time", "meta", "title", "about", "session", "kind", "source", "valid_from", "valid_to",
}  # fmt: skip
_LONGEST = 1e10  # seconds: three centuries
_MAX_NAME = 512  # characters of a name, a title, a session …

Content = str | Mapping[str, Any] | Iterable[str | Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Message:
    """One checked message."""

    text: str
    role: str
    author: str | None
    about: str | None
    session: str | None
    source: str | None
    kind: Kind
    time: datetime | None
    meta: Mapping[str, Any]
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    policy: Policy = field(default_factory=Policy)
    ttl: float | None = None
    """Seconds after which it expires."""


def messages(content: Content, settings: Settings, policy: Mapping[str, Any] | None = None) -> list[Message]:
    """Every message in `content`, in order. `policy` holds for those that name none of their own, field by field.

    Raises
    ------
    InputError
        A message is empty, of a wrong type, not valid Unicode, or has unknown fields: the message's place is named.
    InputTooLargeError
        A text or its `meta` is over the limits of `settings`.

    """
    if isinstance(content, str | Mapping):
        return [_message(cast("str | Mapping[str, Any]", content), "The message", settings, policy or {})]
    if isinstance(content, bytes | bytearray):
        raise InputError("The text is bytes.", "Decode it first: content.decode('utf-8').")
    if not isinstance(content, Iterable):
        raise InputError(f"What was passed is {_kind_of(content)}.", "Pass text, a message dict, or a list of them.")
    return [_message(one, f"Message {number}", settings, policy or {}) for number, one in enumerate(content)]


def text(value: object, what: str, most: int) -> str:
    """A text of at most `most` characters, checked.

    Raises
    ------
    InputError
        It is not text, empty, or not valid Unicode.
    InputTooLargeError
        It is longer.
    """
    if not isinstance(value, str):
        raise InputError(f"{what} is {_kind_of(value)}.", "Pass text.")
    if not value.strip():
        raise InputError(f"{what} is empty.", "Pass some text.")
    if len(value) > most:
        raise InputTooLargeError(
            f"{what} has {len(value):,} characters; the limit is {most:,}.",
            "Shorten or split it; ingest splits files into passages.",
        )
    return _unicode(value, what)


def name(value: object, what: str) -> str | None:
    """A name, a title or a label, checked; None stays None.

    Raises
    ------
    InputError
        It is not text, empty, or too long.

    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise InputError(f"{what} is {_kind_of(value)}.", "Pass text.")
    if not value.strip() or len(value) > _MAX_NAME:
        raise InputError(f"{what} is empty or longer than {_MAX_NAME} characters.", "Pass a short name.")
    return _unicode(value, what)


def moment(value: object, what: str) -> datetime | None:
    """A time, checked: a datetime, a date, or ISO 8601 text; None stays None.

    Raises
    ------
    InputError
        It is none of these.

    """
    if value is None:
        return value
    if isinstance(value, datetime):
        return datetime.fromisoformat(value.isoformat())  # as it comes back from the store: with a fixed offset
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 (a bare date has no zone to keep)
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.strip())
        except ValueError:
            pass
    raise InputError(f"{what} is {value!r}.", "Pass a datetime or ISO 8601 text such as 2024-05-08T13:56:00.")


def _message(raw: str | Mapping[str, Any], where: str, settings: Settings, shared: Mapping[str, Any]) -> Message:
    if isinstance(raw, str):
        raw = {"content": raw}
    if not isinstance(raw, Mapping):
        raise InputError(f"{where} is {_kind_of(raw)}.", "Pass text or a dict with `content`.")
    unknown = sorted(str(field) for field in raw if field not in _FIELDS)
    if unknown:
        raise InputError(f"{where} has unknown fields: {', '.join(unknown)}.", "Put what is your own into `meta`.")
    role = raw.get("role", "user")
    if not isinstance(role, str) or role not in ROLES:
        raise InputError(f"{where} has the role {role!r}.", f"Use one of: {', '.join(sorted(ROLES))}.")
    return Message(
        text=text(raw.get("content"), f"The content of {where}", settings.max_text),
        role=role,
        author=name(raw.get("name"), f"the name of {where}"),
        about=name(raw.get("about", raw.get("title")), f"the title of {where}"),
        session=name(raw.get("session"), f"the session of {where}"),
        source=name(raw.get("source"), f"the source of {where}"),
        kind=_kind(raw.get("kind"), role, where),
        time=moment(raw.get("time"), f"the time of {where}"),
        meta=_meta(raw.get("meta"), where, settings),
        **_governed(raw, where, shared),
    )


def _governed(raw: Mapping[str, Any], where: str, shared: Mapping[str, Any]) -> dict[str, Any]:
    """The message's interval and policy."""
    given = {name: value for name in _POLICY if (value := raw.get(name, shared.get(name))) is not None}
    ttl = lifetime(given.pop("ttl", None), f"the ttl of {where}")
    begins, ends = (moment(raw.get(one), f"the {one} of {where}") for one in ("valid_from", "valid_to"))
    start = begins or moment(raw.get("time"), f"the time of {where}")
    if ends is not None and start is not None and posix(ends) <= posix(start):
        raise InputError(f"{where} holds until {ends}, and from {start} on.", "Give a valid_to after its beginning.")
    return {"valid_from": begins, "valid_to": ends, "ttl": ttl, "policy": policy_of(given, where)}


def policy_of(given: Mapping[str, Any], where: str) -> Policy:
    """A checked policy; InputError names what is wrong with it."""
    for one in ("sensitivity", *(["access"] if isinstance(given.get("access"), str) else [])):
        name(given.get(one), f"the {one} of {where}")
    access = given.get("access")
    listed = {"access": [access]} if isinstance(access, str) else {}
    trigger = given.get("trigger")
    listed |= {"trigger": trigger.to_json()} if isinstance(trigger, Trigger) else {}
    try:
        return Policy.from_json({**given, **listed})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"The policy of {where} is wrong: {error}.", f"Trust is one of: {', '.join(Trust)}."
        ) from error


def lifetime(value: object, what: str) -> float | None:
    """A time to live in seconds, checked: a number above 0 or a timedelta; None stays None."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < _LONGEST:
        raise InputError(f"{what} is {value!r}.", "Pass seconds above 0, or a timedelta.")
    return float(seconds)


def valid_unicode(value: str) -> bool:
    """Whether a text can be written as UTF-8: it holds no lone surrogate."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def _unicode(value: str, what: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{what} is not valid Unicode (position {error.start}).",
            "Decode its bytes as UTF-8, with errors='replace' if need be.",
        ) from error
    return value


def _kind(value: object, role: str, where: str) -> Kind:
    if value is None:
        return Kind.DOCUMENT if role == "document" else Kind.MESSAGE
    try:
        return Kind(value)
    except ValueError:
        raise InputError(f"{where} has the kind {value!r}.", f"Use one of: {', '.join(Kind)}.") from None


def _meta(value: object, where: str, settings: Settings) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InputError(f"The meta of {where} is {_kind_of(value)}.", "Pass a dict with text keys.")
    try:
        encoded = json.dumps(dict(value), ensure_ascii=False, allow_nan=False)
        encoded.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"The meta of {where} is not JSON: {error}.", "Use text, numbers, booleans, lists and dicts."
        ) from error
    if len(encoded) > settings.max_meta:
        raise InputTooLargeError(
            f"The meta of {where} has {len(encoded):,} bytes; the limit is {settings.max_meta:,}.",
            "Keep a reference in it instead.",
        )
    return json.loads(encoded)


def _kind_of(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"
