"""A store's file, ready to be tampered with."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture
def tampered(sample, tmp_path) -> Callable[..., Checked]:
    """Run statements on a copy of the sample, as another program would, and verify it."""

    def tamper(*statements: str | tuple[str, Any]) -> Checked:
        path: Path = tmp_path / "tampered.rem"
        for old in tmp_path.glob("tampered.rem*"):
            old.unlink()
        path.write_bytes(sample)
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
