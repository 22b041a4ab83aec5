"""Against a real web server on the loopback."""

from __future__ import annotations

import json
import socket
from email.utils import formatdate
from time import monotonic, time

import numpy as np
import pytest

from remanence.errors import EndpointError, InputError
from remanence.models import endpoint
from remanence.models.endpoint import EndpointEmbedder
from remanence.models.protocol import Embedder

KEY = "sk-very-secret-7777"


def vector(text: str) -> list[float]:
    return [float(len(text) + 1), 2.0, 2.0]


def good(request):
    texts = json.loads(request.body)["input"]
    data = [{"object": "embedding", "index": i, "embedding": vector(text)} for i, text in enumerate(texts)]
    return 200, {"Content-Type": "application/json"}, json.dumps({"data": data, "model": "m"}).encode()


def says(body, status=200, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _request: (status, headers, data)


def in_turn(*answers):
    left = iter(answers)

    def answer(request):
        return next(left)(request)

    return answer


def one(numbers, index=0):
    return {"data": [{"index": index, "embedding": numbers}]}


@pytest.fixture
def open_endpoint(server):
    server.answer = good
    pauses: list[float] = []

    def build(**options):
        embedder = EndpointEmbedder(f"{server.url}/v1", "m", **{"key": KEY, "sleep": pauses.append} | options)
        embedder.pauses = pauses
        return embedder

    return build


def test_texts_become_unit_rows_in_order(server, open_endpoint):
    embedder = open_endpoint()
    texts = [("é" * (i % 7)) for i in range(300)]
    done: list[int] = []
    rows = embedder.embed(texts, done.append)
    expected = np.array([vector(text) for text in texts])
    assert rows.dtype == np.float32
    assert np.allclose(rows, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)
    assert done == [128, 128, 44]
    assert [len(json.loads(request.body)["input"]) for request in server.requests] == [128, 128, 44]
    request = server.requests[0]
    assert (request.method, request.path, request.headers["Authorization"]) == (
        "POST",
        "/v1/embeddings",
        f"Bearer {KEY}",
    )
    assert {k: v for k, v in json.loads(request.body).items() if k != "input"} == {
        "model": "m",
        "encoding_format": "float",
    }
    assert len({request.client for request in server.requests}) == 1  # one connection, used again


def test_no_key_no_header(server, open_endpoint):
    open_endpoint(key="").embed(["a"])
    assert "Authorization" not in server.requests[0].headers


def test_dimensions_come_from_the_first_answer_or_from_a_probe(server, open_endpoint):
    embedder = open_endpoint()
    assert isinstance(embedder.dimensions, int)
    assert (embedder.dimensions, len(server.requests)) == (3, 1)
    assert embedder.fingerprint == f"endpoint/{server.url.removeprefix('http://')}/v1/m/3"
    assert embedder.embed([]).shape == (0, 3)
    asked = open_endpoint()
    asked.embed(["a"])
    assert (asked.dimensions, len(server.requests)) == (3, 2)
    assert isinstance(asked, Embedder)


def test_answers_out_of_order_are_put_in_order(server, open_endpoint):
    server.answer = says({"data": [{"index": 1, "embedding": [0, 1]}, {"index": 0, "embedding": [1, 0]}]})
    assert open_endpoint().embed(["a", "b"]).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_tried_again(server, open_endpoint, status):
    server.answer = in_turn(says(b"later", status), says(b"later", status), good)
    embedder = open_endpoint(pause=0.5)
    assert embedder.embed(["a"]).shape == (1, 3)
    assert embedder.pauses == [0.5, 1.0]


@pytest.mark.parametrize(
    ("asked", "pause"),
    [("7", 7.0), ("0", 0.0), ("9999", 30.0), ("-3", 0.0), ("nonsense", 0.5), ("inf", 30.0), ("nan", 0.5)],
)
def test_retry_after_is_honoured_within_reason(server, open_endpoint, asked, pause):
    server.answer = in_turn(says(b"", 429, **{"Retry-After": asked}), good)
    embedder = open_endpoint()
    embedder.embed(["a"])
    assert embedder.pauses == [pause]


def test_retry_after_may_be_a_date(server, open_endpoint):
    server.answer = in_turn(says(b"", 503, **{"Retry-After": formatdate(time() + 20, usegmt=True)}), good)
    embedder = open_endpoint()
    embedder.embed(["a"])
    assert 15 < embedder.pauses[0] <= 20


def test_failing_for_ever_is_an_error_after_four_attempts(server, open_endpoint):
    server.answer = says(b"boom", 500)
    with pytest.raises(EndpointError, match=r"answered 500: boom \(tried 4 times\)") as caught:
        open_endpoint().embed(["a"])
    assert len(server.requests) == 4
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("status", "step"),
    [(401, "REMANENCE_EMBEDDER_KEY"), (404, "Check the URL"), (400, "length"), (302, "Check the URL")],
)
def test_what_will_not_pass_is_not_tried_again(server, open_endpoint, status, step):
    server.answer = says(b"no", status, Location=f"{server.url}/elsewhere")
    with pytest.raises(EndpointError, match=f"answered {status}") as caught:
        open_endpoint().embed(["a"])
    assert step in caught.value.next_step
    assert len(server.requests) == 1  # redirects are not followed: the token stays here


def test_nobody_listens(open_endpoint):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"  # bound, not listening: refused
        embedder = EndpointEmbedder(url, "m", sleep=lambda _seconds: None)
        with pytest.raises(EndpointError, match="failed") as caught:
            embedder.embed(["a"])
    assert "runs" in caught.value.next_step


def test_slow_answers_time_out(server, open_endpoint):
    server.answer = lambda request: server.released.wait(5) and good(request)
    start = monotonic()
    with pytest.raises(EndpointError, match="timed out"):
        open_endpoint(timeout=0.1).embed(["a"])
    assert monotonic() - start < 3


def test_answers_that_drip_time_out(server, open_endpoint, monkeypatch):
    monkeypatch.setattr(endpoint, "ATTEMPTS", 1)

    def drip():
        while not server.released.wait(0.02):  # each byte comes well within the timeout
            yield b" "

    server.answer = lambda _request: (200, {"Content-Length": "5000"}, drip())
    start = monotonic()
    with pytest.raises(EndpointError, match="dripped"):
        open_endpoint(timeout=0.2).embed(["a"])
    assert monotonic() - start < 2


def test_answers_that_end_early_are_tried_again(server, open_endpoint):
    server.answer = in_turn(says(b'{"data"', **{"Content-Length": "5000"}), good)
    assert open_endpoint().embed(["a"]).shape == (1, 3)


BAD = {
    "not json": b"<html>",
    "broken json": b'{"data": [',
    "not utf-8": b'{"data": "\xff"}',
    "a list": [],
    "no data": {},
    "data is null": {"data": None},
    "too few": {"data": []},
    "too many": {"data": [*one([1.0])["data"], {"index": 1, "embedding": [1.0]}]},
    "wrong index": one([1.0], 1),
    "same index twice": {"data": one([1.0])["data"] * 2},
    "no index": {"data": [{"embedding": [1.0]}]},
    "index is a list": one([1.0], [0]),
    "not a number": b'{"data": [{"index": 0, "embedding": [NaN, 1]}]}',
    "infinite": b'{"data": [{"index": 0, "embedding": [Infinity]}]}',
    "overflow": b'{"data": [{"index": 0, "embedding": [1e999]}]}',
    "an endless integer": b'{"data": [{"index": 0, "embedding": [' + b"9" * 400 + b"]}]}",
    "text": one(["1.5"]),
    "true": one([True]),
    "null": one([None]),
    "base64": one("AAAA"),
    "nested": one([[1.0]]),
    "empty": one([]),
    "zeros": one([0.0, 0.0]),
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_nonsense_is_refused(server, open_endpoint, body):
    server.answer = says(body)
    with pytest.raises(EndpointError, match="does not answer as an embeddings endpoint should") as caught:
        open_endpoint().embed(["a"])
    assert caught.value.next_step
    assert len(server.requests) == 1


def test_lengths_must_agree_within_an_answer_and_between_answers(server, open_endpoint):
    server.answer = says({"data": [{"index": 0, "embedding": [1, 0]}, {"index": 1, "embedding": [1]}]})
    embedder = open_endpoint()
    with pytest.raises(EndpointError, match="does not answer"):
        embedder.embed(["a", "b"])
    server.answer = good
    embedder.embed(["a"])
    server.answer = says(one([1.0]))
    with pytest.raises(EndpointError, match="length 1, before 3"):
        embedder.embed(["a"])


def test_endless_answers_are_cut(server, open_endpoint, monkeypatch):
    monkeypatch.setattr(endpoint, "LARGEST_ANSWER", 100_000)
    server.answer = says(b" " * 1_000_000)
    with pytest.raises(EndpointError, match="more than 100,000 bytes"):
        open_endpoint().embed(["a"])


def test_the_token_appears_nowhere(server, open_endpoint):
    embedder = open_endpoint()
    server.answer = says(f"bad token {KEY}".encode(), 401)
    with pytest.raises(EndpointError) as caught:
        embedder.embed(["a"])
    server.answer = says(one([KEY]))
    with pytest.raises(EndpointError) as nonsense:
        embedder.embed(["a"])
    seen = f"{caught.value!r} {caught.value} {nonsense.value!r} {nonsense.value} {embedder!r}"
    assert KEY not in seen


@pytest.mark.parametrize(
    ("url", "model", "key"),
    [
        ("ftp://host/v1", "m", ""),
        ("http://user:hunter2@host/v1", "m", ""),
        ("http://host/v1?key=hunter2", "m", ""),
        ("http://", "m", ""),
        ("http://[bad", "m", ""),
        ("http://host/v1", "", ""),
        ("http://host/v1", "m", "hunter2\nX: y"),
        ("http://host/v1", "m", "hunter2 y"),
    ],
)
def test_what_cannot_be_an_endpoint_is_refused_and_not_repeated(url, model, key):
    with pytest.raises(InputError) as caught:
        EndpointEmbedder(url, model, key=key)
    assert "hunter2" not in str(caught.value)
