"""Rows of grants and of the access log, and what the journal says of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone

import pytest

from remanence.errors import InputError, StoreBusyError
from remanence.settings import Settings
from remanence.store.grants import Granted, grants_problems, moment
from remanence.store.shares import Shared
from remanence.store.sqlite import SQLiteStore

AT = datetime(2026, 1, 1, tzinfo=UTC)


def granted(principal="p", space="a", role="reader", labels=()):
    return Granted(space, principal, role, tuple(labels), moment(AT), "owner")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "g.rem"


@pytest.fixture
def store(path, plain):
    with closing(SQLiteStore(path, plain)) as store:
        yield store


def problems(store):
    with store.connections.read() as connection:
        return [one for one in grants_problems(connection, store.secret()) if one]


def test_a_principal_has_one_role_in_a_space_and_one_everywhere(store):
    for one in (
        granted(),
        granted(role="writer", labels=["x", "ü"]),
        granted(space="*"),
        granted(space="b"),
        granted("q"),
    ):
        store.grants.grant(one)
    assert store.grants.held("p", "a") == [granted(space="*"), granted(role="writer", labels=["x", "ü"])]
    assert store.grants.held("p", None) == [granted(space="*")] == store.grants.held("p", "unknown")
    assert store.grants.held("nobody", "a") == []
    assert [(one.space, one.principal) for one in store.grants.listed()] == [
        ("*", "p"),
        ("a", "p"),
        ("a", "q"),
        ("b", "p"),
    ]
    assert store.grants.listed("a", "q") == [granted("q")]
    assert store.grants.principals() == ["p", "q"]


def test_what_is_revoked_is_gone_at_once(store, path, plain):
    store.grants.grant(granted())
    with closing(SQLiteStore(path, plain)) as other:
        assert other.grants.revoke("p", "a") == granted()
        assert other.grants.revoke("p", "a") is None
    assert store.grants.held("p", "a") == []


def test_the_journal_names_nobody(store):
    store.grants.grant(granted("ana@example.org", "Ana's space"))
    store.grants.revoke("ana@example.org", "Ana's space")
    with store.connections.read() as connection:
        entries = connection.execute("SELECT op, id, seq FROM journal").fetchall()
    assert [(op, seq) for op, _, seq in entries] == [("grant", 0), ("revoke", 0)]
    assert entries[0][1] == entries[1][1]
    assert "ana" not in str(entries).lower()
    assert store.verify().ok


def filled(store):
    store.grants.grant(granted())
    store.grants.grant(granted("q", labels=["health"]))
    store.grants.grant(granted("gone"))
    store.grants.revoke("gone", "a")
    store.grants.shares.add(Shared("s1", "a", "b", None, {"user": "u"}, moment(AT), "owner"))
    store.grants.shares.add(Shared("s2", "a", "b", "cube", None, moment(AT), "owner"))
    store.grants.shares.add(Shared("s3", "a", "b", "cube", None, moment(AT), "owner"))
    store.grants.shares.drop("s3")


def test_what_was_not_tampered_with_has_no_problem(store):
    filled(store)
    assert problems(store) == []


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE grants SET role = 'owner' WHERE principal = 'p'", "the grant of p in a is not what the journal says"),
        ("UPDATE grants SET labels = '[\"legal\"]' WHERE principal = 'q'", "the grant of q in a is not what the journal says"),
        ("UPDATE grants SET by = 'x' WHERE principal = 'q'", "the grant of q in a is not what the journal says"),
        ("UPDATE grants SET principal = 'mallory' WHERE principal = 'p'", "the grant of mallory in a is not in the journal"),
        ("UPDATE grants SET space = '*' WHERE principal = 'p'", "the grant of p in * is not in the journal"),
        ("DELETE FROM grants WHERE principal = 'p'", "a grant that the journal names is not there"),
        ("INSERT INTO grants VALUES ('a', 'gone', 'reader', '[]', '2026-01-01', 'owner')", "the grant of gone in a is not in"),
        ("UPDATE shares SET target = 'c' WHERE id = 's1'", "the share s1 is not what the journal says"),
        ("UPDATE shares SET filters = NULL WHERE id = 's1'", "the share s1 is not what the journal says"),
        ("DELETE FROM shares WHERE id = 's2'", "a share that the journal names is not there: s2"),
        ("INSERT INTO shares SELECT 's3', source, target, cube, filters, at, by FROM shares WHERE id = 's2'", "the share s3 is not in"),
    ],
)  # fmt: skip
def test_every_edit_of_grants_and_shares_is_noticed(store, path, statement, found):
    filled(store)
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement).rowcount == 1
    assert any(found in one for one in problems(store)), problems(store)


def test_lines_of_the_log_are_found_by_everything_they_hold(store):
    record = store.grants.record
    record(AT, "p", "recall", "a", ["x", "y"], 2, allowed=True)
    record(AT + timedelta(hours=1), "p", "get", "b", ["x"], 0, allowed=False)
    record(AT + timedelta(hours=2), "q", "recall", None, [], 0, allowed=True)
    log = store.grants.log
    assert [one.to_json() for one in log({}, 10, None)] == [
        {"n": 1, "at": "2026-01-01T00:00:00+00:00", "principal": "p", "operation": "recall", "space": "a", "allowed": True, "cubes": ["x", "y"], "withheld": 2},
        {"n": 2, "at": "2026-01-01T01:00:00+00:00", "principal": "p", "operation": "get", "space": "b", "allowed": False, "cubes": ["x"], "withheld": 0},
        {"n": 3, "at": "2026-01-01T02:00:00+00:00", "principal": "q", "operation": "recall", "space": "*", "allowed": True, "cubes": [], "withheld": 0},
    ]  # fmt: skip
    for filters, numbers in (
        ({"principal": "p"}, [1, 2]), ({"operation": "recall"}, [1, 3]), ({"space": "a"}, [1]), ({"cube": "x"}, [1, 2]),
        ({"cube": "y"}, [1]), ({"allowed": False}, [2]), ({"since": moment(AT + timedelta(hours=1))}, [2, 3]),
        ({"until": moment(AT + timedelta(hours=1))}, [1]), ({"principal": "p", "operation": "recall"}, [1]), ({"cube": "z"}, []),
    ):  # fmt: skip
        assert [one.n for one in log(filters, 10, None)] == numbers, filters


def test_the_log_comes_in_pages(store):
    for number in range(5):
        store.grants.record(AT, str(number), "get", "a", [], 0, allowed=True)
    pages, after = [], None
    while True:
        page = store.grants.log({}, 2, after)
        pages.append([one.principal for one in page])
        after = page.cursor
        if after is None:
            break
    assert pages == [["0", "1"], ["2", "3"], ["4"]]
    with pytest.raises(InputError):
        store.grants.log({}, 2, "none")


def test_times_are_kept_so_that_texts_compare_as_they_do():
    east = timezone(timedelta(hours=5))
    assert moment(datetime(2026, 1, 1, 5, tzinfo=east)) == moment(AT) == moment(AT.replace(tzinfo=None))


def test_a_line_that_cannot_be_written_is_an_error(path, plain):
    with (
        closing(SQLiteStore(path, Settings(embedder="none", busy_timeout=0))) as store,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError):
            store.grants.record(AT, "p", "get", "a", [], 0, allowed=True)
