"""A store's file, ready to be tampered with."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from remanence.cubes import Extraction, Fact
from remanence.settings import Settings
from remanence.store.protocol import Checked
from remanence.store.sqlite import SQLiteStore

PLAIN = Settings(embedder="none", busy_timeout=5)


@pytest.fixture
def plain() -> Settings:
    return PLAIN


@pytest.fixture(scope="session")
def sample(tmp_path_factory, draft) -> bytes:
    """The bytes of a store that has seen everything: two spaces, a chain of corrections, a memory forgotten in between."""
    path = tmp_path_factory.mktemp("sample") / "sample.rem"
    with closing(SQLiteStore(path, PLAIN)) as store:
        store.append([draft("one", meta={"n": 1}), draft("two", user="u"), draft("elsewhere", "b")])
        store.supersede(draft("two again", cube_id="id of two in a", version=2, mark=None, user="u"))
        store.erase(["id of one in a"])
        store.append([draft("three on 5 May 2023"), draft("four", about="a title")])
        store.supersede(draft("two at last", cube_id="id of two in a", version=3, mark=None, user="u"))
        store.scrub()
    return path.read_bytes()


READ = Extraction(("Ana", "Lisbon"), (Fact("Ana", "lives in", "Lisbon"),), ("Ana's home is in Lisbon.",), "Ana")


@pytest.fixture(scope="session")
def derived_sample(tmp_path_factory, draft, read) -> bytes:
    """The bytes of a store that holds readings, memories made from others, some of them retired, and cached answers."""
    path = tmp_path_factory.mktemp("sample") / "derived.rem"
    with closing(SQLiteStore(path, PLAIN)) as store:
        store.append([draft("Ana lives in Lisbon.", cube_id="ana"), draft("Ben was here.", cube_id="ben")])
        store.append([draft("Where is Ana? In Lisbon.", cube_id="first", derived_from=["ana"])])
        store.append([draft("Is Ana far? Yes.", cube_id="second", derived_from=["first", "ben"])])
        read(store, "ana", Extraction(entities=("Ana",)))
        read(store, "ana", READ)
        store.supersede(draft("Ana lives in Porto.", cube_id="ana", version=2, mark=None))
        store.append([draft("Where is Ana? In Porto.", cube_id="third", derived_from=["ana"])])
        read(store, "ben", READ, "another reader")
        store.append([draft("Forget me.", cube_id="gone")])
        read(store, "gone", READ)
        for key, sources in ((b"one", ["ben"]), (b"two", []), (b"three", ["ana", "gone"])):
            store.derived.keep_reply("a", key, f"answer {key!r}", sources)
        store.erase(["gone"])
        store.scrub()
    return path.read_bytes()


Tamper = Callable[..., Checked]


@pytest.fixture
def tampered(sample, tmp_path) -> Tamper:
    """Run statements on a copy of the sample, as another program would, and verify it."""
    return _tamper(sample, tmp_path)


@pytest.fixture
def tampered_derived(derived_sample, tmp_path) -> Tamper:
    """The same with `derived_sample`."""
    return _tamper(derived_sample, tmp_path)


def _tamper(image: bytes, folder: Path) -> Tamper:
    def tamper(*statements: str | tuple[str, Any]) -> Checked:
        path = folder / "tampered.rem"
        for old in folder.glob("tampered.rem*"):
            old.unlink()
        path.write_bytes(image)
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement in statements:
                sql, values = statement if isinstance(statement, tuple) else (statement, ())
                assert connection.execute(sql, values).rowcount != 0, f"changed nothing: {sql}"
        with closing(SQLiteStore(path, PLAIN)) as store:
            return store.verify()

    return tamper


@pytest.fixture
def rows(sample, tmp_path) -> Callable[[str], list[tuple[Any, ...]]]:
    """All rows of a query on the sample."""

    def query(sql: str) -> list[tuple[Any, ...]]:
        path = tmp_path / "read.rem"
        path.write_bytes(sample)
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(sql).fetchall()

    return query
