"""What a chat endpoint answers: one JSON value, or a part of a stream → what it says, checked.

https://platform.openai.com/docs/api-reference/chat/object and …/chat/streaming.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any, NamedTuple, cast

from remanence.models.language import TokenLogprob

DONE = b"[DONE]"
LEAST_LOGPROB = -9999.0
"""Stands for minus infinity, as in vLLM: JSON has none."""


class Usage(NamedTuple):
    """The endpoint's own count."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer, or a part of one."""

    text: str = ""
    """As it came, thoughts and all."""
    refusal: str = ""
    """Why the model declines, where the protocol says so apart from the text."""
    finish: str = ""
    """Empty as long as it goes on."""
    logprobs: tuple[TokenLogprob, ...] | None = None
    usage: Usage | None = None
    done: bool = False
    """Nothing comes after this."""


class Course:
    """What a stream has said so far."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self.finish = ""
        self.usage: Usage | None = None
        self.done = False
        self._refusal: list[str] = []

    @property
    def text(self) -> str:
        """All of it, as it came."""
        return "".join(self._text)

    @property
    def refusal(self) -> str:
        """The refusal, where there is no text."""
        return "" if any(self._text) else "".join(self._refusal)

    def heard(self, part: Reply) -> Iterator[str]:
        """Take a part in, and give its text if it has some."""
        self.finish = part.finish or self.finish
        self.usage = part.usage or self.usage
        self.done = part.done
        self._refusal.append(part.refusal)
        if part.text:
            self._text.append(part.text)
            yield part.text


def reply(answer: Any, *, part: bool = False) -> Reply:
    """Read an answer, or one event of a stream. Where a stream was asked for, an answer in one piece is taken too.

    Raises
    ------
    ValueError, LookupError, TypeError, AttributeError, OverflowError
        It is something else.
    """
    used = _usage(answer.get("usage"))
    if part and not answer.get("choices"):
        return Reply(usage=used)  # the event that reports the usage has no choices
    choice = answer["choices"][0]
    whole = not part or "message" in choice
    message = choice["message" if whole else "delta"] or {}
    finish, refusal = choice.get("finish_reason"), message.get("refusal")
    text = _text(message.get("content"))
    return Reply(
        text=text if part else "".join(whole_characters([text])),
        refusal=refusal if isinstance(refusal, str) else "",
        finish=finish if isinstance(finish, str) else "",
        logprobs=_logprobs(choice.get("logprobs")),
        usage=used,
        done=part and whole,
    )


def spoken(logprobs: tuple[TokenLogprob, ...] | None, skipped: int) -> tuple[TokenLogprob, ...] | None:
    """The log-probabilities of an answer without those of its first `skipped` characters, its thoughts."""
    if logprobs is None:
        return None
    first = 0
    while skipped > 0 and first < len(logprobs):
        skipped -= len(logprobs[first].token)
        first += 1
    return logprobs[first:]


def whole_characters(pieces: Iterable[str]) -> Iterator[str]:
    """Text without halves of surrogate pairs, which cannot be stored: put together where both come, else U+FFFD.

    JSON writes what is beyond the Basic Multilingual Plane as two escapes, and a stream may be cut between them.
    """
    held = ""
    for piece in pieces:
        text, held = held + piece, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, held = text[:-1], text[-1]
        if text:
            yield _paired(text)
    if held:
        yield _paired(held)


def _paired(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _text(content: Any) -> str:
    """Content is a text, null, or a list of parts, of which those of text count."""
    if content is None or isinstance(content, str):
        return content or ""
    parts = [part["text"] for part in content if part["type"] in {"text", "output_text"}]
    if not all(isinstance(text, str) for text in parts):
        raise TypeError("a part of the content has no text")
    return "".join(parts)


def _usage(usage: Any) -> Usage | None:
    """None where it is missing or odd: then it is estimated."""
    if not isinstance(usage, dict):
        return None
    given = cast("dict[str, Any]", usage)
    prompt, completion = given.get("prompt_tokens"), given.get("completion_tokens")
    # `isinstance` would let True pass.
    if type(prompt) is not int or type(completion) is not int or min(prompt, completion) < 0:
        return None
    return Usage(prompt, completion)


def _logprobs(logprobs: Any) -> tuple[TokenLogprob, ...] | None:
    """The log-probability of each token; None where the endpoint gives none."""
    items = logprobs.get("content") if logprobs else None
    if items is None:
        return None
    return tuple(TokenLogprob(_token(item["token"]), _logprob(item["logprob"])) for item in items)


def _token(token: Any) -> str:
    if not isinstance(token, str):
        raise TypeError(f"a token that is {type(token).__name__}")
    return token


def _logprob(value: Any) -> float:
    if type(value) not in {int, float} or isnan(value):
        raise ValueError(f"a log-probability of {value!r}")
    return min(0.0, float(value)) if isfinite(value) else LEAST_LOGPROB
