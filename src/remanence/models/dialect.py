"""What an endpoint understands of the chat protocol, learned from what it refuses.

Servers differ: some know no JSON schema, some want `max_completion_tokens`, some forbid a temperature. The first request asks
for everything; a refusal takes away what it names, and what worked is remembered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, cast

from remanence.models.http import RETRIED
from remanence.models.language import Prompt, Turn

_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_ABOUT_FORMAT = re.compile(r"response.?format|json.?schema|json.?object|json.?mode|grammar|guided|structured.?output")


class Format(IntEnum):
    """How the endpoint is told that JSON is wanted, from the strongest to the weakest."""

    SCHEMA = 2
    """`response_format` with the schema: the server holds the model to it."""
    OBJECT = 1
    """`response_format` json_object, the schema in the system turn."""
    WORDS = 0
    """The schema in the system turn, and nothing else."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way to ask. Each step of `after` takes something away, so there are only a few."""

    format: Format = Format.SCHEMA
    limit: str = "max_tokens"
    temperature: bool = True
    logprobs: bool = True
    usage: bool = True
    """Whether a stream may be asked to report its usage."""

    def body(self, model: str, prompt: Prompt, *, stream: bool = False) -> dict[str, Any]:
        """The request; https://platform.openai.com/docs/api-reference/chat/create."""
        turns, schema = prompt.turns, prompt.schema
        body: dict[str, Any] = {"model": model, self.limit: prompt.max_tokens}
        if self.temperature:
            body["temperature"] = prompt.temperature
        if prompt.stop:
            body["stop"] = list(prompt.stop)
        if prompt.logprobs and self.logprobs:
            body["logprobs"] = True
        if stream:
            body["stream"] = True
            if self.usage:
                body["stream_options"] = {"include_usage": True}
        if schema is not None:
            if self.format is Format.SCHEMA:
                wanted = {"name": _name(schema), "schema": dict(schema), "strict": True}
                body["response_format"] = {"type": "json_schema", "json_schema": wanted}
            else:
                turns = told(turns, schema)
                if self.format is Format.OBJECT:
                    body["response_format"] = {"type": "json_object"}
        body["messages"] = [{"role": turn.role, "content": turn.content} for turn in turns]
        return body

    def after(self, status: int, answer: bytes, asked: Mapping[str, Any]) -> Dialect | None:
        """How to ask after a refusal; None where asking otherwise would not help.

        `asked` is the body that was refused: only what was in it can have been the reason.
        """
        said = answer.decode(errors="replace").lower()
        # A server in trouble may speak of the temperature of its GPU.
        if status not in RETRIED:
            if "max_completion_tokens" in said and "max_tokens" in asked:
                return replace(self, limit="max_completion_tokens")
            for name, field in (("logprobs", "logprobs"), ("temperature", "temperature"), ("stream_options", "usage")):
                if name in said and name in asked:
                    return replace(self, **{field: False})
        # A bare 400 or 422 says nothing; the format is what servers most often do not know.
        if "response_format" in asked and (_ABOUT_FORMAT.search(said) or status in {400, 422}):
            return replace(self, format=Format(self.format - 1))
        return None

    def weaker(self, other: Dialect) -> Dialect:
        """What both can do: two threads may have learned different things."""
        return Dialect(
            format=min(self.format, other.format),
            limit=min(self.limit, other.limit),  # by spelling: max_completion_tokens comes first
            temperature=self.temperature and other.temperature,
            logprobs=self.logprobs and other.logprobs,
            usage=self.usage and other.usage,
        )


def error_in(answer: Any) -> tuple[int, bytes] | None:
    """Status and text of an error that came as an answer with status 200, as some gateways send it; else None."""
    error = cast("dict[str, Any]", answer).get("error") if isinstance(answer, dict) else None
    if not error:
        return None
    code = cast("dict[str, Any]", error).get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) else 400, json.dumps(error).encode()


def told(turns: tuple[Turn, ...], schema: Mapping[str, Any]) -> tuple[Turn, ...]:
    """The turns with the schema in the system turn."""
    text = f"Answer with JSON only, without any other text. The JSON has to fit this JSON schema: {json.dumps(dict(schema))}"
    if turns and turns[0].role == "system":
        return Turn("system", f"{turns[0].content}\n\n{text}"), *turns[1:]
    return Turn("system", text), *turns


def _name(schema: Mapping[str, Any]) -> str:
    """What the protocol wants a schema to be called: its title, in at most 64 letters, digits, _ and -."""
    return _NAME.sub("_", str(schema.get("title") or "answer"))[:64].strip("_") or "answer"
