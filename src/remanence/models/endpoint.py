"""An OpenAI-compatible embeddings endpoint: Ollama, vLLM, llama.cpp, a cloud.

Protocol: POST {base}/embeddings with {"model", "input", "encoding_format"}, answered by {"data": [{"index", "embedding"}]};
https://platform.openai.com/docs/api-reference/embeddings. Texts leave the machine, because the user named a URL.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from remanence.errors import EndpointError, InputError
from remanence.models.bert import unit
from remanence.models.http import ATTEMPTS, LARGEST_ANSWER, Endpoint
from remanence.models.protocol import Progress, Vectors

BATCH = 128
Rows = NDArray[np.float64]


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
        self._endpoint = Endpoint(
            url, "embeddings", setting="embedder", key=key, timeout=timeout, pause=pause, sleep=sleep, attempts=ATTEMPTS,
            largest=LARGEST_ANSWER,
        )  # fmt: skip
        if not model:
            raise InputError("The endpoint has no model.", "Write it as http://host:port/v1#model.")
        self.name = model
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
        return f"endpoint/{self._endpoint.place}/{self.name}/{self.dimensions}"

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """See `Embedder.embed`. At most 128 texts go into one request."""
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        parts: list[Vectors] = []
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            body = {"model": self.name, "input": list(batch), "encoding_format": "float"}
            rows = self._rows(self._endpoint.post(body), len(batch))
            parts.append(unit(rows))
            if progress is not None:
                progress(len(batch))
        return np.concatenate(parts)

    def _rows(self, answer: bytes, count: int) -> Rows:
        """The vectors of an answer, checked."""
        try:
            rows = _parsed(answer, count)
            self._agree(rows.shape[1])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise EndpointError(
                self._endpoint.said(f"does not answer as an embeddings endpoint should: {error!r}."),
                "Check the URL, and the model after '#'.",
            ) from error
        return rows

    def _agree(self, dimensions: int) -> None:
        with self._lock:
            self._dimensions = self._dimensions or dimensions
            if dimensions != self._dimensions:
                raise ValueError(f"vectors of length {dimensions}, before {self._dimensions}")


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
