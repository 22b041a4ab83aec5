"""JSON over HTTP to an endpoint that the user named: what the embedding client and the chat client share.

A request that fails in a way that may pass is tried again with exponential backoff, or after the pause that the server asks
for. Answers are bounded in time and size, redirects are not followed (the token stays here), and no message shows the token.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from email.utils import parsedate_to_datetime
from math import isnan
from typing import Any, TypeVar

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.exceptions import TimeoutError as SlowError
from urllib3.util import Url, parse_url

from remanence.errors import EndpointError, InputError
from remanence.models.events import events

ATTEMPTS = 4
LONGEST_PAUSE = 30.0
LARGEST_ANSWER = 64_000_000
LARGEST_REFUSAL = 64_000
SHOWN = 200
RETRIED = frozenset({408, 429, 500, 502, 503, 504})

T = TypeVar("T")


class RefusedError(EndpointError):
    """The endpoint answered with another status than 200; for callers that can ask in another way."""

    def __init__(self, what: str, next_step: str, status: int, answer: bytes) -> None:
        super().__init__(what, next_step)
        self.status = status
        self.answer = answer
        """The body, or its first 64 KB or so."""


class _PassingError(Exception):
    """A refusal that may pass, and the seconds that the server asks to wait, if it does."""

    def __init__(self, refusal: RefusedError, wait: float | None) -> None:
        super().__init__(refusal.what)
        self.refusal = refusal
        self.wait = wait


class Endpoint:
    """One address that takes JSON by POST. Safe to use from several threads.

    Parameters
    ----------
    url
        The base, such as `http://localhost:11434/v1`; `path` is added.
    setting
        The setting that names the endpoint, `embedder` or `model`, so that messages can say where to look.
    key
        Bearer token, or empty. It appears in no message.
    timeout
        Seconds for one request, from connecting to the last byte; for a stream, from one event to the next.
    pause
        Seconds before the second attempt; doubled for each further one. `Retry-After` overrules it, up to 30 s.
    largest
        Bytes of an answer.
    connections
        How many are kept open.
    advice
        What to check after 400, 413 and 422.

    Raises
    ------
    InputError
        The URL or the key cannot be used.
    """

    def __init__(
        self,
        url: str,
        path: str,
        *,
        setting: str,
        key: str = "",
        timeout: float = 60.0,
        pause: float = 0.5,
        sleep: Callable[[float], None] = time.sleep,
        attempts: int = ATTEMPTS,
        largest: int = LARGEST_ANSWER,
        connections: int = 1,
        advice: str = "Check the model, and that it takes texts of this length.",
    ) -> None:
        self._key_name = f"REMANENCE_{setting.upper()}_KEY"
        parts = _checked_url(url, self._key_name)
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise InputError(f"The {setting} key holds blanks or line breaks.", f"Check {self._key_name}.")
        base = (parts.path or "").rstrip("/")
        self.place = f"{parts.netloc}{base}"
        """Host and path, for people and for fingerprints."""
        self._url = parts._replace(path=f"{base}/{path}").url
        self._key = key
        self._timeout = timeout
        self._pause = pause
        self._sleep = sleep
        self._attempts = attempts
        self._largest = largest
        self._advice = advice
        self._pool = urllib3.PoolManager(retries=False, maxsize=connections)

    def post(self, body: Mapping[str, Any], largest: int | None = None) -> bytes:
        """The body of the answer to a request: at most `largest` bytes, by default what the endpoint was made with.

        Raises
        ------
        RefusedError
            The answer has another status than 200, also after the retries where it may pass.
        EndpointError
            No answer, too slow, or too large.
        """
        data = json.dumps(body).encode()

        def once() -> bytes:
            response = self._opened(data, "application/json")
            try:
                return b"".join(self._chunks(response, largest or self._largest))
            finally:
                response.close()

        return self._repeated(once)

    def stream(self, body: Mapping[str, Any], largest: int | None = None) -> Generator[bytes, None, None]:
        """The data of each server-sent event of the answer. Closing the iterator closes the connection.

        An answer of another type than `text/event-stream` comes as one piece. Before the first event a failure is tried
        again; afterwards it is an error. Comments do not put the timeout off.

        Raises
        ------
        RefusedError, EndpointError
            See `post`.
        """
        data = json.dumps(body).encode()
        response, found = self._repeated(lambda: self._begun(data, largest or self._largest))
        try:
            yield from found
        except HTTPError as error:
            raise EndpointError(self.said(f"broke off: {error}."), "Ask again.") from error
        finally:
            response.close()

    def said(self, what: str) -> str:
        """A message about this endpoint, without the token."""
        return f"The endpoint {self.place} {self.blotted(what)}"

    def blotted(self, text: str) -> str:
        """A server may echo the token: it is blotted out. Blot before cutting: half a token is a leak too."""
        return text.replace(self._key, "***") if self._key else text

    def _repeated(self, once: Callable[[], T]) -> T:
        """Do it, again while the failure is of a kind that may pass."""
        failure: EndpointError | None = None
        pause = self._pause
        for attempt in range(self._attempts):
            if attempt:
                self._sleep(min(pause, LONGEST_PAUSE))
            pause = self._pause * 2**attempt
            try:
                return once()
            except HTTPError as error:
                failure = EndpointError(self.said(f"failed: {error}"))
            except _PassingError as error:
                failure = error.refusal
                pause = pause if error.wait is None else error.wait
        what = f"{failure.what if failure else ''} (tried {self._attempts} times)"
        step = "Check that the endpoint runs, or try again later."
        if isinstance(failure, RefusedError):
            raise RefusedError(what, step, failure.status, failure.answer)
        raise EndpointError(what, step)

    def _opened(self, data: bytes, accept: str) -> urllib3.BaseHTTPResponse:
        """A response of status 200, its body still to be read."""
        headers = {"Content-Type": "application/json", "Accept": accept}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        response = self._pool.request(
            "POST",
            self._url,
            body=data,
            headers=headers,
            timeout=urllib3.Timeout(total=self._timeout),
            redirect=False,
            preload_content=False,
        )
        if response.status != 200:
            try:
                self._refuse(response)
            finally:
                response.close()
        return response

    def _refuse(self, response: urllib3.BaseHTTPResponse) -> None:
        """Raise what a status other than 200 means."""
        answer = bytearray()
        for chunk in self._chunks(response, self._largest):
            answer += chunk
            if len(answer) >= LARGEST_REFUSAL:
                break
        status, said = response.status, self.blotted(answer.decode(errors="replace"))[:SHOWN]
        refusal = RefusedError(self.said(f"answered {status}: {said}"), self._next_step(status), status, bytes(answer))
        if status in RETRIED:
            raise _PassingError(refusal, _seconds(response.headers.get("Retry-After")))
        raise refusal

    def _begun(self, data: bytes, largest: int) -> tuple[urllib3.BaseHTTPResponse, Iterator[bytes]]:
        """A response whose first event has come, and its events."""
        response = self._opened(data, "text/event-stream")
        found = self._events(response, largest)
        with ExitStack() as until_then:
            until_then.callback(response.close)
            first = next(found, None)
            until_then.pop_all()
        return response, _again(first, found)

    def _events(self, response: urllib3.BaseHTTPResponse, largest: int) -> Iterator[bytes]:
        if not response.headers.get("Content-Type", "").lower().startswith("text/event-stream"):
            yield b"".join(self._chunks(response, largest))
            return
        late = _Deadline(self._timeout)
        for event in events(self._chunks(response, largest, late)):
            late.put_off()
            yield event
            late.put_off()  # the caller took its time: that is not the server's fault

    def _chunks(
        self, response: urllib3.BaseHTTPResponse, largest: int, late: _Deadline | None = None
    ) -> Iterator[bytes]:
        """What comes, as it comes, within the limits of time and size."""
        late, size = late or _Deadline(self._timeout), 0
        while chunk := response.read1(1 << 16, decode_content=True):
            size += len(chunk)
            if size > largest:
                raise EndpointError(self.said(f"sent more than {largest:,} bytes."), "Check what runs behind this URL.")
            yield chunk
            if late.passed():
                raise SlowError("the answer dripped too slowly")

    def _next_step(self, status: int) -> str:
        if status in {401, 403}:
            return f"Check {self._key_name}."
        if status in {400, 413, 422}:
            return self._advice
        return "Check the URL, and the model after '#'."


class _Deadline:
    """A moment that can be put off."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.put_off()

    def put_off(self) -> None:
        self._at = time.monotonic() + self._seconds

    def passed(self) -> bool:
        return time.monotonic() > self._at


def _again(first: bytes | None, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first is not None:
        yield first
        yield from rest


def _checked_url(url: str, key_name: str) -> Url:
    try:
        parts = parse_url(url)
    except LocationParseError as error:
        raise InputError("The endpoint is not a URL.", "Write it as http://host:port/v1#model.") from error
    if parts.scheme not in {"http", "https"} or not parts.host or parts.auth or parts.query or parts.fragment:
        raise InputError(
            "The endpoint has to be a plain http or https URL, without user, query or fragment.",
            f"Write it as http://host:port/v1#model, and put a token into {key_name}.",
        )
    return parts


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After` is a number of seconds or a date."""
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
        return None if isnan(seconds) else max(0.0, seconds)
    except ValueError:
        pass  # a date, then
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None
