"""What stays of an erasure: digests that know a text again, a chain of receipts, and where copies went."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from remanence.settings import Settings
from remanence.store.sqlite import SQLiteStore
from remanence.store.tombstones import digest

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG = "The code of the blue safe in the cellar is seven four one."


@pytest.fixture
def store(tmp_path, draft):
    with closing(SQLiteStore(tmp_path / "m.rem", Settings(embedder="none"))) as opened:
        opened.append([draft("something", "a"), draft("something", "b")])
        yield opened


def bury(store: SQLiteStore, texts: list[str], space: int = 1) -> list[bytes]:
    with store.connections.write() as connection:
        return store.tombstones.bury(connection, space, texts, "receipt", NOW)


def test_a_whole_text_and_its_telling_sentences_are_known_again(store):
    found = bury(store, ["Short.", f"Hello. {LONG}"])
    assert len(found) == 3
    asked = ["SHORT", f"hello - {LONG}", f"Before that: nothing. {LONG.upper()}", LONG, "Hello.", "Something else."]
    assert store.tombstones.hits("a", asked) == ["whole", "whole", "sentence", "sentence", None, None]
    assert store.tombstones.hits("b", asked) == [None] * 6
    assert store.tombstones.hits("no such space", asked) == [None] * 6


def test_a_sentence_that_was_a_whole_text_once_is_whole(store):
    bury(store, [f"Hello. {LONG}"])
    bury(store, [LONG])
    assert store.tombstones.hits("a", [LONG]) == ["whole"]
    bury(store, [f"Hello. {LONG}"])
    assert store.tombstones.hits("a", [LONG]) == ["whole"]


def test_learning_again_drops_what_kept_it_out(store):
    bury(store, [f"Hello. {LONG}", "Other."])
    assert store.tombstones.relearn("b", [LONG]) == 0
    assert store.tombstones.relearn("a", [LONG]) == 1
    assert store.tombstones.hits("a", [LONG, f"Hello. {LONG}", "Other."]) == [None, "whole", "whole"]


def test_digests_are_keyed(store):
    secret = store.secret()
    assert digest("Hello!", secret) == digest("hello", secret) == store.tombstones.digest("Hello!")
    assert digest("Hello!", b"another key") != digest("Hello!", secret)
    assert len(digest("", secret)) == 16


def test_the_store_holds_no_text_of_it(store, tmp_path):
    bury(store, [LONG])
    with store.connections.read() as connection:
        held = connection.execute("SELECT * FROM tombstones").fetchall()
    assert [len(row[1]) for row in held] == [16]
    assert "safe" not in repr(held)


def test_what_lives_with_a_digest(store, draft):
    store.append([draft(LONG, "b", cube_id="x"), draft(f"{LONG} And more.", "b", cube_id="y")])
    digests = [digest(LONG, store.secret())]
    assert store.tombstones.living("b", digests) == {"x": 3}
    assert store.tombstones.living("a", digests) == {}
    assert store.tombstones.held(digests) == 0
    bury(store, [LONG])
    assert store.tombstones.held(digests) == 1


def test_receipts_are_numbered_and_see_the_one_before(store):
    seen = []

    def make(number, before):
        seen.append((number, before))
        return f"id {number}", NOW.isoformat(), "a", f"body {number}"

    for _ in range(3):
        store.tombstones.issue(make)
    assert seen == [(1, None), (2, "body 1"), (3, "body 2")]
    assert [one.body for one in store.tombstones.receipts()] == ["body 1", "body 2", "body 3"]


def test_copies_since_an_entry_and_of_a_space(store, tmp_path, draft):
    store.tombstones.made_copy("backup", tmp_path / "one.rem")
    store.append([draft("later", "a")])
    store.tombstones.made_copy("export", Path("two.jsonl"), "b")
    found = store.tombstones.copies(1, ["a", "b"])
    assert [(one.kind, Path(one.path).name, one.space) for one in found] == [
        ("backup", "one.rem", None),
        ("export", "two.jsonl", "b"),
    ]
    assert Path(found[1].path).is_absolute()
    assert [one.kind for one in store.tombstones.copies(1, ["a"])] == ["backup"]
    assert [one.kind for one in store.tombstones.copies(3, ["a", "b"])] == ["export"]
