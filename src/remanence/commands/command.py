"""What all commands share: what one is, what it answers, how it opens the store and reads its arguments."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from remanence.cubes import DEFAULT_SPACE
from remanence.errors import InputError, NotAStoreError, UnreadableFileError
from remanence.memory import Memory

Args = argparse.Namespace


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command has to say: data for `--json`, and a view for people that is only built when it is wanted."""

    data: Mapping[str, Any]
    view: Callable[[], RenderableType]
    code: int = 0


@dataclass(frozen=True, slots=True)
class Command:
    """A line of the table: what runs, what its help says, and what it takes."""

    run: Callable[[Args], Answer]
    about: str
    example: str
    arguments: str = ""
    """Names of arguments, in order: of the area's own `ARGUMENTS`, else of `commands.options`."""


def opened(args: Args, *, create: bool = False) -> Memory:
    location = str(args.store)
    named = location == ":memory:" or "://" in location
    if not (create or named or Path(location).exists()):
        raise NotAStoreError(f"There is no store at {location}.", 'Begin one: remanence add "…", or use --store.')
    memory = Memory(location)
    return memory if args.acting_as is None else memory.acting_as(args.acting_as)


def scoped(args: Args) -> dict[str, Any]:
    found = {name: getattr(args, name) for name in ("space", "user", "agent", "session")}
    return found if found["space"] is not None else {**found, "space": DEFAULT_SPACE}


def meta_of(items: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE; a value that is a JSON number, text in quotes, true, false or null is taken as that, all else as text."""
    meta: dict[str, Any] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not (key and equals):
            raise InputError(f"--meta is {item!r}.", "Write KEY=VALUE.")
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            parsed = value
        meta[key] = value if isinstance(parsed, list | dict) else parsed
    return meta


def trigger_of(words: Sequence[str]) -> dict[str, Any]:
    """What brings a standing instruction up: always, or any of these words."""
    return {"always": True} if list(words) == ["always"] else {"words": list(words)}


def said(argument: str) -> str:
    return text_of("-").removesuffix("\n").removesuffix("\r") if argument == "-" else argument


def text_of(name: str) -> str:
    try:
        return (sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = "Standard input" if name == "-" else name
        raise UnreadableFileError(f"{where} is not UTF-8 (byte {error.start}).", "Convert it first.") from error
    except OSError as error:
        raise UnreadableFileError(f"{name} cannot be opened: {error.strerror}.", "Check its path.") from error
