"""An OpenAI-compatible chat endpoint: vLLM, the llama.cpp server, Ollama, a cloud.

Protocol: POST {base}/chat/completions; https://platform.openai.com/docs/api-reference/chat. Prompts leave the machine, because
the user named a URL.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing
from typing import Any, TypeVar

from remanence.cubes import Cost
from remanence.errors import EndpointError, InputError
from remanence.models.answers import answered, check_prompt, checked, streamed_without_thoughts, without_thoughts
from remanence.models.dialect import Dialect, error_in
from remanence.models.http import SHOWN, Endpoint, RefusedError
from remanence.models.language import Completion, Prompt
from remanence.models.replies import DONE, Course, Reply, Usage, reply, spoken, whole_characters
from remanence.models.tokens import Prices, estimate, estimate_turns

LARGEST_ANSWER = 8_000_000
"""Bytes of one answer, to which the tokens asked for are added."""
LARGEST_TOKEN = 1_000
"""Bytes that a token takes in an answer, with its log-probability or as an event of a stream; usually 100 to 350."""

T = TypeVar("T")


class ChatModel:
    """A `LanguageModel` behind a URL. Failures that may pass are tried again; answers are checked before they are believed.

    Parameters
    ----------
    url
        The base, such as `http://localhost:11434/v1`; `/chat/completions` is added.
    key
        Bearer token, or empty. It appears in no message.
    timeout
        Seconds for one request; for a stream, from one piece to the next. A request is tried at most four times.
    concurrency
        Requests at once; further ones wait. A stream counts until it is used up or closed: who holds a stream open and asks
        again from the same thread needs two.
    context
        Tokens that a prompt and its answer may have together. The client does not cut: it tells callers.
    prices
        What tokens cost, for `Cost.price`.
    pause
        Seconds before the second attempt; doubled for each further one. `Retry-After` overrules it, up to 30 s.

    Raises
    ------
    InputError
        A parameter cannot be used.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key: str = "",
        timeout: float = 120.0,
        concurrency: int = 4,
        context: int = 8192,
        prices: Prices | None = None,
        pause: float = 0.5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._endpoint = Endpoint(
            url, "chat/completions", setting="model", key=key, timeout=timeout, pause=pause, sleep=sleep,
            connections=concurrency, advice="Check the model, and that its context is long enough.",
        )  # fmt: skip
        if not model:
            raise InputError("The endpoint has no model.", "Write it as http://host:port/v1#model.")
        if concurrency < 1:
            raise InputError(f"concurrency is {concurrency!r}.", "Use a whole number of at least 1.")
        self.name = f"endpoint/{self._endpoint.place}/{model}"
        self.context = context
        self._model = model
        self._prices = prices or Prices()
        self._places = threading.Semaphore(concurrency)
        self._dialect = Dialect()
        self._lock = threading.Lock()

    def generate(self, prompt: Prompt) -> Completion:
        """See `LanguageModel.generate`. A refusal by the model, in so many words, is an `EndpointError`."""
        return answered(prompt, self._ask, self._place, self._endpoint.blotted)

    def stream(self, prompt: Prompt) -> Generator[str, None, Completion]:
        """See `LanguageModel.stream`. The generator returns the whole `Completion`; `yield from` hands it on."""
        check_prompt(prompt)
        course, text = Course(), ""
        with self._places:
            start = time.monotonic()
            with closing(self._pieces(prompt, course)) as pieces:
                try:
                    for piece in streamed_without_thoughts(whole_characters(pieces)):
                        text += piece
                        given = time.monotonic()
                        yield piece
                        start += (
                            time.monotonic() - given
                        )  # what the caller does in between is not waiting for the model
                except EndpointError as error:
                    if not text:
                        raise
                    what = f"{error.what} {len(text):,} characters of the answer had come."
                    raise EndpointError(what, error.next_step) from error
            cost = self._cost(prompt, course.text, course.usage, time.monotonic() - start)
        completion = Completion(text, finish=course.finish or "stop", cost=cost)
        return checked(prompt, completion, self._place, self._endpoint.blotted)

    def count(self, text: str) -> int:
        """See `LanguageModel.count`. An estimate: see `tokens.estimate`."""
        return estimate(text)

    @property
    def _place(self) -> str:
        return f"The model {self.name}"

    def _ask(self, prompt: Prompt) -> Completion:
        """One answer, as text."""
        with self._places:
            start = time.monotonic()
            found = self._understood(prompt, lambda body: self._posted(body, _largest(prompt)))
            seconds = time.monotonic() - start
        if found.refusal and not found.text:
            raise self._refusal(found.refusal)
        text = without_thoughts(found.text)
        logprobs = spoken(found.logprobs, len(found.text) - len(text)) if prompt.logprobs else None
        cost = self._cost(prompt, found.text, found.usage, seconds)
        return Completion(text, finish=found.finish or "stop", logprobs=logprobs, cost=cost)

    def _understood(self, prompt: Prompt, send: Callable[[Mapping[str, Any]], T], *, stream: bool = False) -> T:
        """Send a prompt in a way that the endpoint takes, and remember that way."""
        dialect = self._dialect
        while True:
            body = dialect.body(self._model, prompt, stream=stream)
            try:
                answer = send(body)
            except RefusedError as error:
                other = dialect.after(error.status, error.answer, body)
                if other is None:
                    raise
                dialect = other
            else:
                with self._lock:
                    self._dialect = self._dialect.weaker(dialect)
                return answer

    def _posted(self, body: Mapping[str, Any], largest: int) -> Reply:
        return self._read(self._endpoint.post(body, largest))

    def _begun(self, body: Mapping[str, Any], largest: int) -> tuple[Generator[bytes, None, None], Reply | None]:
        """A stream and its first event: only then it is known whether the request was taken."""
        events = self._endpoint.stream(body, largest)
        with ExitStack() as until_then:
            until_then.callback(events.close)
            first = next(events, None)
            part = None if first is None else self._read(first, part=True)
            until_then.pop_all()
        return events, part

    def _pieces(self, prompt: Prompt, course: Course) -> Generator[str, None, None]:
        """The text of a stream as it comes; what else it says goes into `course`."""
        events, first = self._understood(prompt, lambda body: self._begun(body, _largest(prompt)), stream=True)
        with closing(events):
            if first is not None:
                yield from course.heard(first)
            for event in () if course.done else events:
                yield from course.heard(self._read(event, part=True))
                if course.done:
                    break
        if course.refusal:
            raise self._refusal(course.refusal)
        if not course.finish and not course.done:
            raise EndpointError(self._endpoint.said("broke off before the end of its answer."), "Ask again.")

    def _read(self, answer: bytes, *, part: bool = False) -> Reply:
        """A whole answer, or a part of one, checked."""
        if part and answer.strip() == DONE:
            return Reply(done=True)
        try:
            data = json.loads(answer)
            error = error_in(data)
            if error is None:
                return reply(data, part=part)
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise EndpointError(
                self._endpoint.said(f"does not answer as a chat endpoint should: {error!r}."),
                "Check the URL, and the model after '#'.",
            ) from error
        said = self._endpoint.blotted(error[1].decode())[:SHOWN]
        raise RefusedError(
            self._endpoint.said(f"answered with an error: {said}."), "Check the model, or try again later.", *error
        )

    def _refusal(self, words: str) -> EndpointError:
        said = self._endpoint.blotted(words)[:SHOWN]
        return EndpointError(
            f"{self._place} refused to answer: {said!r}.", "Ask for something else, or use another model."
        )

    def _cost(self, prompt: Prompt, text: str, used: Usage | None, seconds: float) -> Cost:
        """By the endpoint's own count where it gives one."""
        prompt_tokens, completion_tokens = used or (estimate_turns(prompt.turns), estimate(text))
        return Cost(
            calls=1, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens, seconds=seconds,
            price=self._prices.of(prompt_tokens, completion_tokens),
        )  # fmt: skip


def _largest(prompt: Prompt) -> int:
    """Bytes that the answer to a prompt may have."""
    return LARGEST_ANSWER + LARGEST_TOKEN * prompt.max_tokens
