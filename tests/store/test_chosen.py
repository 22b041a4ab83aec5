"""Which memories a request means: complete, and of one space."""

from __future__ import annotations

from contextlib import closing

import pytest

from remanence.language.tokens import stems
from remanence.settings import Settings
from remanence.store import chosen
from remanence.store.sqlite import SQLiteStore


@pytest.fixture
def store(tmp_path, draft):
    with closing(SQLiteStore(tmp_path / "m.rem", Settings(embedder="none"))) as opened:
        opened.append([
            draft("Ana moved to Lisbon.", cube_id="1", user="ana"), draft("Ben moves boats in Porto.", cube_id="2", user="ben"),
            draft("Ana likes Lisbon and moving.", cube_id="3", user="ana"), draft("Ana moved to Lisbon.", "b", cube_id="4", user="ana"),
        ])  # fmt: skip
        opened.append([draft("Q: Where is Ana? A: She moved to Lisbon.", cube_id="5", derived_from=["1"])])
        opened.supersede(draft("Ana moved to Faro.", cube_id="1", version=2, mark=None, user="ana"))
        yield opened


def test_a_query_means_all_versions_that_hold_all_its_words(store):
    assert chosen.by_query(store.connections, "a", "the move to LISBON") == ["1", "3", "5"]
    assert chosen.by_query(store.connections, "a", "Faro") == ["1"]
    assert chosen.by_query(store.connections, "b", "lisbon") == ["4"]
    assert chosen.by_query(store.connections, "a", "Lisbon Porto") == []


def test_it_is_what_reading_every_text_gives(store):
    for query in ("ana", "lisbon", "moved", "ana lisbon", "boats", "where"):
        wanted = set(stems(query))
        naive = {cube.id for cube, _ in store.everything("a") if wanted <= set(stems(cube.text))}
        assert set(chosen.by_query(store.connections, "a", query)) == naive, query


def test_keys_of_other_rules_are_not_gone_by(store):
    """After an upgrade the stored terms may be other ones until a reindex: the texts decide."""
    with store.connections.write() as connection:
        connection.execute("UPDATE keys SET terms = x''")
    assert chosen.by_query(store.connections, "a", "Lisbon") == ["5"]
    store.set_note("rules", "0")
    assert chosen.by_query(store.connections, "a", "Lisbon") == ["1", "3", "5"]


def test_sources_users_and_spaces(store, draft):
    assert chosen.by_place(store.connections, "a", user="ana") == ["1", "3"]
    assert chosen.by_place(store.connections, "a") == ["1", "2", "3", "5"]
    assert chosen.by_place(store.connections, "a", source="api") == ["1", "2", "3", "5"]
    assert chosen.by_place(store.connections, "a", source="nowhere") == []


def test_vectors_are_of_the_newest_versions(store):
    found = chosen.vectors(store.connections, "a")
    assert found.ids == ["2", "3", "5", "1"]
    assert found.rows.shape == (4, 8)
