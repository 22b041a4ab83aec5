"""An OpenAI-compatible embeddings endpoint: Ollama, vLLM, llama.cpp, a cloud.

Protocol: POST {base}/embeddings with {"model", "input", "encoding_format"}, answered by {"data": [{"index", "embedding"}]};
https://platform.openai.com/docs/api-reference/embeddings. Texts leave the machine, because the user named a URL.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from math import isnan

import numpy as np
import urllib3
from numpy.typing import NDArray
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.exceptions import TimeoutError as SlowError
from urllib3.util import Url, parse_url

from remanence.errors import EndpointError, InputError
from remanence.models.bert import unit
from remanence.models.protocol import Progress, Vectors

BATCH = 128
ATTEMPTS = 4
LONGEST_PAUSE = 30.0
LARGEST_ANSWER = 64_000_000
Rows = NDArray[np.float64]
RETRIED = frozenset({408, 429, 500, 502, 503, 504})


class EndpointEmbedder:
    """An `Embedder` behind a URL. Failures that may pass are tried again; answers are checked number by number.

    Parameters
    ----------
    url
        The base, such as `http://localhost:11434/v1`; `/embeddings` is added.
    key
        Bearer token, or empty. It appears in no message.
    timeout
        Seconds for one request, from connecting to the last byte.
    pause
        Seconds before the second attempt; doubled for each further one. `Retry-After` overrules it, up to 30 s.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key: str = "",
        timeout: float = 60.0,
        pause: float = 0.5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = _checked(url, model, key)
        self.name = model
        self._place = f"{parts.netloc}{(parts.path or '').rstrip('/')}"
        self._url = parts._replace(path=f"{(parts.path or '').rstrip('/')}/embeddings").url
        self._key = key
        self._timeout = timeout
        self._pause = pause
        self._sleep = sleep
        self._pool = urllib3.PoolManager(retries=False)
        self._dimensions = 0
        self._lock = threading.Lock()

    @property
    def dimensions(self) -> int:
        """Length of a vector: that of the first answer, or of a probe if nothing was asked yet.

        Raises
        ------
        EndpointError
            The probe failed.
        """
        if not self._dimensions:
            self.embed(["dimensions"])
        return self._dimensions

    @property
    def fingerprint(self) -> str:
        """`endpoint/<host and path>/<model>/<dimensions>`: all that can be known from outside. May probe."""
        return f"endpoint/{self._place}/{self.name}/{self.dimensions}"

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """See `Embedder.embed`. At most 128 texts go into one request."""
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        parts: list[Vectors] = []
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            rows = self._rows(self._ask(batch), len(batch))
            parts.append(unit(rows))
            if progress is not None:
                progress(len(batch))
        return np.concatenate(parts)

    def _ask(self, texts: Sequence[str]) -> bytes:
        """One request, repeated while the failure is of a kind that may pass. The body of the answer."""
        body = {"model": self.name, "input": list(texts), "encoding_format": "float"}
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        data = json.dumps(body).encode()
        failure, pause = "", self._pause
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(min(pause, LONGEST_PAUSE))
            try:
                status, answer, wait = self._post(data, headers)
            except HTTPError as error:
                failure, pause = self._said(f"failed: {error}"), self._pause * 2**attempt
                continue
            if status == 200:
                return answer
            failure = self._said(f"answered {status}: {answer[:200].decode(errors='replace')}")
            if status not in RETRIED:
                raise EndpointError(failure, _next_step(status))
            pause = self._pause * 2**attempt if wait is None else wait
        raise EndpointError(f"{failure} (tried {ATTEMPTS} times)", "Check that the endpoint runs, or try again later.")

    def _post(self, data: bytes, headers: dict[str, str]) -> tuple[int, bytes, float | None]:
        """Status, body and the seconds that `Retry-After` asks for."""
        deadline = time.monotonic() + self._timeout
        response = self._pool.request(
            "POST",
            self._url,
            body=data,
            headers=headers,
            timeout=urllib3.Timeout(total=self._timeout),
            redirect=False,
            preload_content=False,
        )
        try:
            chunks, size = [], 0
            while chunk := response.read1(1 << 16, decode_content=True):
                chunks.append(chunk)
                size += len(chunk)
                if size > LARGEST_ANSWER:
                    raise EndpointError(
                        self._said(f"sent more than {LARGEST_ANSWER:,} bytes."), "Check what runs behind this URL."
                    )
                if time.monotonic() > deadline:
                    raise SlowError("the answer dripped too slowly")
        finally:
            response.close()
        return response.status, b"".join(chunks), _seconds(response.headers.get("Retry-After"))

    def _rows(self, answer: bytes, count: int) -> Rows:
        """The vectors of an answer, checked."""
        try:
            rows = _parsed(answer, count)
            self._agree(rows.shape[1])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise EndpointError(
                self._said(f"does not answer as an embeddings endpoint should: {error!r}."),
                "Check the URL, and the model after '#'.",
            ) from error
        return rows

    def _agree(self, dimensions: int) -> None:
        with self._lock:
            self._dimensions = self._dimensions or dimensions
            if dimensions != self._dimensions:
                raise ValueError(f"vectors of length {dimensions}, before {self._dimensions}")

    def _said(self, what: str) -> str:
        """A message about this endpoint. A server may echo the token: it is blotted out."""
        text = f"The endpoint {self._place} {what}"
        return text.replace(self._key, "***") if self._key else text


def _parsed(answer: bytes, count: int) -> Rows:
    """The vectors of an answer: (count, dimensions), in the order of the inputs. Anything odd raises `ValueError` or kin."""
    items = json.loads(answer)["data"]
    vectors = {item["index"]: item["embedding"] for item in items}
    if len(items) != count or set(vectors) != set(range(count)):
        raise ValueError(f"{len(items)} vectors for {count} texts, or indices that do not match")
    # numpy would read "1.5", True and null as numbers.
    if any(type(number) not in {int, float} for vector in vectors.values() for number in vector):
        raise ValueError("something that is not a number")
    rows = np.array([vectors[index] for index in range(count)], np.float64)
    if rows.ndim != 2 or not rows.shape[1]:
        raise ValueError("vectors without length")
    if not np.isfinite(rows).all() or not rows.any(axis=1).all():
        raise ValueError("a vector of zeros, or one that is not finite")
    return rows


def _checked(url: str, model: str, key: str) -> Url:
    try:
        parts = parse_url(url)
    except LocationParseError as error:
        raise InputError("The endpoint is not a URL.", "Write it as http://host:port/v1#model.") from error
    if parts.scheme not in {"http", "https"} or not parts.host or parts.auth or parts.query or parts.fragment:
        raise InputError(
            "The endpoint has to be a plain http or https URL, without user, query or fragment.",
            "Write it as http://host:port/v1#model, and put a token into REMANENCE_EMBEDDER_KEY.",
        )
    if not model:
        raise InputError("The endpoint has no model.", "Write it as http://host:port/v1#model.")
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise InputError("The embedder key holds blanks or line breaks.", "Check REMANENCE_EMBEDDER_KEY.")
    return parts


def _next_step(status: int) -> str:
    if status in {401, 403}:
        return "Check REMANENCE_EMBEDDER_KEY."
    if status in {400, 413, 422}:
        return "Check the model, and that it takes texts of this length."
    return "Check the URL, and the model after '#'."


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
