"""Claims: rows of their own that follow what is written, corrected, read and forgotten."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from remanence.cubes import Extraction, Fact
from remanence.store import claimed
from remanence.write.extract import Extracted


class Reads:
    """An extractor that finds the same in every text."""

    def __init__(self, *facts, name="reads"):
        self.name = name
        self._found = Extraction(facts=tuple(Fact(*fact) for fact in facts))

    def extract(self, cubes):
        return Extracted(tuple(self._found for _ in cubes))


@pytest.fixture
def rows(tmp_path):
    def query(sql="SELECT seq, subject, relation, value, negated, origin FROM claims ORDER BY seq, value"):
        with closing(sqlite3.connect(tmp_path / "m.rem")) as connection:
            return connection.execute(sql).fetchall()

    return query


ORPHANS = "SELECT seq FROM claims WHERE seq NOT IN (SELECT seq FROM cubes)"


def stated(memory, space="default"):
    found = memory._store.derived.claims(space)
    return [
        (one.fact.subject, one.fact.relation, one.fact.value)
        for one in sorted(found, key=lambda one: (one.seq, one.fact.value))
    ]


def test_they_follow_adds_corrections_and_forgets(opened, rows):
    memory = opened()
    ids = memory.add(["Ana lives in Lisbon.", "It rains.", "Ben works at Acme."])
    assert stated(memory) == [("Ana", "lives in", "Lisbon"), ("Ben", "works at", "Acme")]
    memory.correct(ids[0], "Ana lives in Porto and likes tea.")
    assert stated(memory) == [("Ben", "works at", "Acme"), ("Ana", "lives in", "Porto"), ("Ana", "likes", "tea")]
    assert len(rows()) == 4  # the earlier version's stay for as long as it does
    memory.forget(ids[0])
    assert stated(memory) == [("Ben", "works at", "Acme")]
    assert len(rows()) == 1
    memory.forget([ids[1], ids[2]])
    assert rows() == []


def test_reindex_writes_the_same_rows(opened, rows):
    memory = opened()
    ids = memory.add(["Ana lives in Lisbon.", "Ana no longer works at Acme."])
    memory.correct(ids[0], "Ana moved to Porto.")
    before = rows()
    with closing(sqlite3.connect(memory._store.location)) as connection, connection:
        connection.execute("DELETE FROM claims WHERE seq > 1")
    memory.reindex()
    assert rows() == before
    memory.reindex()
    assert rows() == before


def test_a_reading_adds_known_relations_and_replaces_its_own(opened, rows):
    memory = opened()
    ids = memory.add("Ana lives in Lisbon.")
    memory.extract(Reads(("Ana", "employer", "Acme"), ("Ana", "waves at", "Ben")))
    assert stated(memory) == [("Ana", "employer", "Acme"), ("Ana", "lives in", "Lisbon")]
    memory.reindex()
    assert ("Ana", "employer", "Acme") in stated(memory)
    memory.extract(Reads(("Ana", "speaks", "Greek"), name="another"))
    assert stated(memory) == [("Ana", "speaks", "Greek"), ("Ana", "lives in", "Lisbon")]
    memory.correct(ids[0], "Ana lives in Porto.")
    assert stated(memory) == [("Ana", "lives in", "Porto")]
    memory.forget(ids)
    assert rows() == []


def test_an_import_brings_them_and_leaves_no_orphans(opened, rows, tmp_path):
    with_claims = opened("other.rem")
    with_claims.add(["Ana lives in Lisbon.", "Ben works at Acme."])
    with_claims.export(tmp_path / "all.jsonl")
    memory = opened()
    memory.import_(tmp_path / "all.jsonl")
    assert sorted(stated(memory)) == sorted(stated(with_claims))
    memory.forget([cube.id for cube in memory.list()])
    assert (rows(), rows(ORPHANS)) == ([], [])


def test_i_is_the_author_else_the_user_else_the_role(opened):
    memory = opened()
    memory.add({"content": "I live in Lisbon.", "name": "Ana"}, user="u")
    memory.add("I live in Porto.", user="u")
    memory.add({"content": "I live in Braga.", "role": "assistant"})
    memory.add({"content": "I live in Faro.", "role": "document"})
    assert [one[0] for one in stated(memory)] == ["Ana", "u", "assistant"]


def test_a_space_sees_its_own(opened):
    memory = opened()
    memory.add("Ana lives in Lisbon.", space="one")
    memory.add("Ana lives in Porto.", space="two")
    assert stated(memory, "one") == [("Ana", "lives in", "Lisbon")]


def test_with_numbers_whole_slots_come_and_nothing_else(opened):
    memory = opened()
    memory.add(["Ana lives in Lisbon.", "ana moved to Porto.", "Ben lives in Faro.", "Ana works at Acme."])
    some = [one.fact.value for one in memory._store.derived.claims("default", [1])]
    assert some == ["Lisbon"] if len(some) == 1 else ["Lisbon", "Porto"]
    assert [one.fact.value for one in memory._store.derived.claims("default", [3])] == ["Faro"]
    assert memory._store.derived.claims("default", []) == []
    every = memory._store.derived.claims("default", range(1, 2000))
    assert {one.fact.value for one in every} == {one[2] for one in stated(memory)}


def test_a_slot_is_one_in_any_wording():
    assert claimed.slot("The Costas’ house", "lives in") == claimed.slot("costas house", "residing in")
    assert claimed.slot("Ana", "lives in") != claimed.slot("Ben", "lives in") != claimed.slot("Ben", "works at")
    assert 0 <= claimed.slot("Ana", "lives in") < 2**63
