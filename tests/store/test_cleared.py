"""A clearance as SQL says the same as the clearance itself."""

from __future__ import annotations

import json
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.policies import Clearance
from remanence.store.cleared import cleared, withheld

NAMES = st.sampled_from(["a", "b", "health", "a'b", '"', "ü", "%", "[]"])


@given(st.none() | NAMES, st.lists(NAMES, unique=True, max_size=3), NAMES, st.frozensets(NAMES, max_size=3))
def test_the_condition_is_what_the_clearance_admits(sensitivity, access, principal, labels):
    clearance = Clearance(principal, labels)
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE cubes (sensitivity TEXT, access TEXT NOT NULL)")
    connection.execute("INSERT INTO cubes VALUES (?, ?)", (sensitivity, json.dumps(access, ensure_ascii=False)))
    for condition, expected in (
        (cleared, clearance.admits(sensitivity, tuple(access))),
        (withheld, not clearance.admits(sensitivity, tuple(access))),
    ):
        sql, values = condition(clearance)
        [(count,)] = connection.execute(f"SELECT count(*) FROM cubes c WHERE 1{sql}", values)
        assert bool(count) is expected
    connection.close()


@pytest.mark.parametrize(("condition", "count"), [(cleared, 1), (withheld, 0)])
def test_without_a_clearance_everything_is_seen(condition, count):
    sql, values = condition(None)
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE cubes (sensitivity TEXT, access TEXT NOT NULL)")
    connection.execute("INSERT INTO cubes VALUES ('health', '[\"x\"]')")
    assert connection.execute(f"SELECT count(*) FROM cubes c WHERE 1{sql}", values).fetchone() == (count,)
    connection.close()
