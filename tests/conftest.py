"""What all tests share: no network, fixed hypothesis profiles, memories that get closed, and a look at a file's bytes."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings
from numpy.typing import NDArray
from tests.local_models import own_taught, taught, taught_folder, taught_world  # noqa: F401 — fixtures

from remanence import Memory
from remanence.cubes import Extraction, Kind, MemCube, Provenance, Scope
from remanence.drafts import Draft
from remanence.language.keys import derive
from remanence.reading import readings
from remanence.settings import Settings
from remanence.store.parts import Reading
from remanence.store.protocol import Store

hypothesis_settings.register_profile("dev", deadline=None)
hypothesis_settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))

_LOOPBACK = ("127.", "::1", "localhost")


def _refuse_beyond_loopback(address: object) -> None:
    host = address[0] if isinstance(address, tuple) else None
    if host is not None and not str(host).startswith(_LOOPBACK):
        raise AssertionError(f"a test tried to reach {address!r}: nothing may leave the machine")


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Refuse connections, datagrams and name look-ups beyond the loopback. Unix sockets have no host and pass."""
    connect, connect_ex, sendto = socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto
    getaddrinfo = socket.getaddrinfo

    def guarded(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: socket.socket, *arguments: Any) -> Any:
            _refuse_beyond_loopback(arguments[-1])
            return original(self, *arguments)

        return call

    def looked_up(host: object, *arguments: Any, **options: Any) -> Any:
        if host is not None:
            _refuse_beyond_loopback((host.decode() if isinstance(host, bytes) else host,))
        return getaddrinfo(host, *arguments, **options)  # pyright: ignore[reportArgumentType]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded(connect))
        patch.setattr(socket.socket, "connect_ex", guarded(connect_ex))
        patch.setattr(socket.socket, "sendto", guarded(sendto))
        patch.setattr(socket, "getaddrinfo", looked_up)
        yield


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home folder of the tests: nothing is written into the user's, such as a signing key."""
    before = os.environ.get("HOME")
    os.environ["HOME"] = str(tmp_path_factory.mktemp("home"))
    yield
    if before is None:
        del os.environ["HOME"]
    else:
        os.environ["HOME"] = before


class Clock:
    """A clock that stands still until somebody turns it."""

    def __init__(self, start: datetime) -> None:
        self.time = start

    def __call__(self) -> datetime:
        return self.time

    def turn(self, **by: float) -> datetime:
        """Go on by so many days, hours … Returns the new time."""
        self.time += timedelta(**by)
        return self.time


@pytest.fixture
def clock() -> Clock:
    """A clock that the test turns; it starts with the year 2026."""
    return Clock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def quick() -> Settings:
    """Settings without weights: instant, and the same everywhere."""
    return Settings(embedder="hashing", busy_timeout=10)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Memory]]:
    """Open a memory in the test's folder; settings by keyword. All of them are closed at the end."""
    memories: list[Memory] = []

    def open_memory(name: str | Path = "m.rem", **changes: Any) -> Memory:
        location = name if name == ":memory:" else tmp_path / name
        memories.append(Memory(location, Settings(**{"embedder": "hashing", "busy_timeout": 10.0} | changes)))
        return memories[-1]

    yield open_memory
    for memory in memories:
        memory.close()


@pytest.fixture(scope="session")
def image() -> Callable[[Path], bytes]:
    """All bytes of a store: the file, its log, the log's index."""

    def read(path: Path) -> bytes:
        parts = [path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal"))]
        return b"\0\0".join(part.read_bytes() for part in parts if part.exists())

    return read


_START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def draft() -> Callable[..., Draft]:
    """Make a version that is ready to be written. Its id, mark and time follow from its text unless they are given."""

    def make(
        text: str, space: str = "a", *, cube_id: str | None = None, version: int = 1, mark: bytes | None = b"",
        vector: bytes | None = b"\0\x3c" * 8, minutes: int = 0, derived_from: Sequence[str] = (), **fields: Any,
    ) -> Draft:  # fmt: skip
        at = _START + timedelta(days=version, minutes=minutes)
        scope = Scope(
            space=space, **{name: fields.pop(name) for name in ("user", "agent", "session") if name in fields}
        )
        origin = Provenance(method="raw" if version == 1 else "corrected", derived_from=tuple(derived_from))
        cube = MemCube(
            id=cube_id or f"id of {text} in {space}", version=version, text=text, scope=scope, provenance=origin,
            kind=Kind.QA if derived_from else Kind.MESSAGE, recorded_at=at, valid_from=at, **fields,
        )  # fmt: skip
        return Draft(cube, derive(cube, vector), text.encode() if mark == b"" else mark)

    return make


def _eight_wide(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors as wide as those of `draft`, other ones for other texts."""
    found = np.array([[*hashlib.blake2b(text.encode(), digest_size=8).digest()] for text in texts], np.float32) + 1
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture(scope="session")
def read() -> Callable[..., Reading]:
    """Keep a reading of a memory's current version, or of another, with the keys and vectors that belong to it."""

    def keep(
        store: Store, cube_id: str, content: Extraction, extractor: str = "reader", version: int = 0,
        embed: Callable[[Sequence[str]], NDArray[np.float32] | None] = _eight_wide,
    ) -> Reading:  # fmt: skip
        found = [pair for pair in store.numbered(0, 10_000) if pair[1].id == cube_id]
        [reading] = readings(extractor, [(found[version - 1], content)], embed)
        assert store.derived.keep([reading]) == 1
        return reading

    return keep


@pytest.fixture(scope="session")
def child() -> Callable[..., subprocess.Popen[str]]:
    """Start a test module as a program of its own: what stands under its `__main__`, with text pipes."""

    def start(script: str | Path, arguments: Sequence[object], **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-W", "error", str(script), *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
        )  # fmt: skip

    return start


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any]]:
    """Runs a command with --json; returns the exit code and the document."""

    from remanence.cli import main

    def call(*argv: str) -> tuple[int, Any]:
        code = main([*argv, "--json"])
        out, err = capsys.readouterr()
        assert err == ""
        return code, json.loads(out)

    return call


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[Any, ...]]:
    """Runs a command for people; returns the exit code, stdout and stderr."""

    from remanence.cli import main

    def call(*argv: str) -> tuple[Any, ...]:
        code = main([*argv])
        return code, *capsys.readouterr()

    return call
