"""What every store has to do, whatever it is made of. A new kind of store adds itself to `STORES` and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice, pairwise
from pathlib import Path

import pytest

from remanence.cubes import Extraction, Fact, State
from remanence.drafts import Draft
from remanence.errors import IdempotencyConflictError, InputError, StoreClosedError, UnknownCubeError
from remanence.language.keys import derive
from remanence.settings import Settings
from remanence.store.protocol import Change, Replay, Store
from remanence.store.sqlite import SQLiteStore

_SETTINGS = Settings(embedder="none", busy_timeout=5)

STORES: dict[str, Callable[[Path], Store]] = {
    "sqlite-file": lambda folder: SQLiteStore(folder / "store.rem", _SETTINGS),
    "sqlite-memory": lambda _folder: SQLiteStore(":memory:", _SETTINGS),
}


@pytest.fixture(params=STORES.values(), ids=STORES.keys())
def store(request, tmp_path) -> Iterator[Store]:
    with closing(request.param(tmp_path)) as opened:
        yield opened


def texts(cubes) -> list[str]:
    return [cube.text for cube in cubes]


def seqs(store: Store, space: str = "a") -> dict[str, int]:
    """Text to number, of every version of a space."""
    return {cube.text: seq for seq, cube in store.numbered(0, 10_000) if cube.scope.space == space}


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_append_keeps_the_order_and_every_field(store, draft):
    drafts = [
        draft("zebra", user="u", agent="g", session="s", about="animals", meta={"n": 1, "é": ["x", None]}),
        draft("ant\0with a zero"),
        draft("mole", "b"),
        draft("🦉 owl"),
    ]
    ids = store.append(drafts)
    assert ids == [one.cube.id for one in drafts]
    assert [store.get(one) for one in ids] == [one.cube for one in drafts]
    assert texts(store.page("a", 10, None, {})) == ["zebra", "ant\0with a zero", "🦉 owl"]
    assert list(store.everything()) == [(one.cube, one.keys) for one in drafts]


def test_append_of_nothing_is_nothing(store):
    assert store.append([]) == []
    assert store.head() == 0


def test_a_known_mark_writes_nothing_and_gives_the_old_id(store, draft):
    store.append([draft("one", mark=b"m")])
    assert store.append([draft("two", mark=b"m")]) == ["id of one in a"]
    assert store.counts()["versions"] == 1


def test_a_mark_repeated_within_one_call_writes_once(store, draft):
    assert store.append([draft("one", mark=b"m"), draft("two", mark=b"m")]) == ["id of one in a"] * 2


def test_marks_count_within_their_space_only(store, draft):
    store.append([draft("one", "a", mark=b"m")])
    assert store.append([draft("one", "b", mark=b"m")]) == ["id of one in b"]
    assert store.known([b"m", b"n"], "a") == {b"m": "id of one in a"}
    assert store.known([b"m"], "b") == {b"m": "id of one in b"}
    assert store.known([b"m"], "never seen") == {}


def test_no_mark_is_never_a_repetition(store, draft):
    store.append([draft("one", mark=None), draft("one", mark=None, cube_id="other")])
    assert store.counts()["cubes"] == 2


def test_known_takes_any_number_of_marks(store, draft):
    store.append([draft(f"t{n}") for n in range(1100)])
    found = store.known([f"t{n}".encode() for n in range(1200)], "a")
    assert len(found) == 1100
    assert found[b"t1099"] == "id of t1099 in a"


def test_an_id_stands_for_a_draft_that_is_known(store, draft):
    [first] = store.append([draft("one")])
    assert store.append([draft("two"), first, draft("three")]) == ["id of two in a", first, "id of three in a"]
    head = store.head()
    assert store.append([first, first]) == [first, first]
    assert store.head() == head


def test_append_is_all_or_nothing(store, draft):
    store.append([draft("one")])
    head = store.head()
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        store.append([draft("two"), draft("other text", cube_id="id of one in a")])
    assert store.head() == head
    assert texts(store.page("a", 10, None, {})) == ["one"]


def test_a_replay_gives_the_ids_of_the_first_time(store, draft):
    replay = Replay("a", "key", b"request")
    assert store.replayed(replay) is None
    store.append([draft("one"), "known"], replay, ["earlier"])
    assert store.replayed(replay) == ["earlier", "id of one in a", "known"]
    assert store.replayed(Replay("b", "key", b"request")) is None
    assert store.replayed(Replay("a", "other key", b"request")) is None
    with pytest.raises(IdempotencyConflictError):
        store.replayed(Replay("a", "key", b"other request"))


def test_a_key_that_another_caller_used_first_brings_nothing_more(store, draft):
    """He asked before the other was done; and the memory of the first was corrected at once, so that its mark is free again."""
    replay = Replay("a", "key", b"request")
    [first] = store.append([draft("one")], replay)
    store.supersede(draft("another", cube_id=first, version=2, mark=None))
    assert store.append([draft("one", cube_id="second")], replay) == [first]
    assert store.append([draft("one", cube_id="third")], replay, [first]) == []
    assert [cube.id for cube in store.page("a", 10, None, {})] == [first]


def test_a_replay_is_stored_even_if_all_is_known(store, draft):
    [first] = store.append([draft("one")])
    store.append([first], Replay("a", "key", b"r"))
    assert store.replayed(Replay("a", "key", b"r")) == [first]


def test_a_key_that_another_request_took_meanwhile_writes_nothing(store, draft):
    store.append([draft("one")], Replay("a", "key", b"first"))
    with pytest.raises(IdempotencyConflictError):
        store.append([draft("two")], Replay("a", "key", b"second"))
    assert texts(store.page("a", 10, None, {})) == ["one"]


def test_supersede_closes_the_version_before(store, draft):
    store.append([draft("old"), draft("next")])
    new = draft("new", cube_id="id of old in a", version=2, mark=None)
    assert store.supersede(new) is True
    old, current = store.versions("id of old in a")
    assert (old.text, old.state, old.valid_to, old.superseded_at) == (
        "old", State.ARCHIVED, new.cube.valid_from, new.cube.recorded_at,
    )  # fmt: skip
    assert current == new.cube == store.get("id of old in a")
    assert texts(store.page("a", 10, None, {})) == ["new", "next"]  # it keeps its place


def test_the_second_of_two_corrections_is_told_so(store, draft):
    store.append([draft("old")])
    assert store.supersede(draft("mine", cube_id="id of old in a", version=2, mark=None)) is True
    assert store.supersede(draft("yours", cube_id="id of old in a", version=2, mark=None)) is False
    assert texts(store.versions("id of old in a")) == ["old", "mine"]


def test_nothing_supersedes_what_is_not_there(store, draft):
    with pytest.raises(UnknownCubeError):
        store.supersede(draft("new", cube_id="nobody", version=2))
    assert store.head() == 0


def test_restore_writes_versions_as_they_are_and_once(store, draft, tmp_path):
    store.append([draft("old"), draft("b only", "b")])
    store.supersede(draft("new", cube_id="id of old in a", version=2, mark=None))
    wanted = list(store.everything())
    with closing(SQLiteStore(":memory:", _SETTINGS)) as source:
        drafts = [draft(cube.text).__class__(cube, keys, None) for cube, keys in wanted]
        assert (source.restore(drafts), source.restore(drafts)) == (3, 0)
        assert list(source.everything()) == wanted
        assert source.verify().ok
    assert store.restore(drafts) == 0  # all of it is here already


def test_restore_refuses_a_version_with_other_content(store, draft):
    store.append([draft("mine")])
    head = store.head()
    with pytest.raises(InputError):
        store.restore([draft("new one"), draft("yours", cube_id="id of mine in a")])
    assert store.head() == head


def test_rekey_replaces_keys_and_skips_what_was_forgotten(store, draft):
    store.append([draft("one"), draft("two")])
    numbers = seqs(store)
    store.erase(["id of two in a"])
    new = derive(draft("one").cube, b"\1\2" * 4)
    store.rekey({numbers["one"]: new, numbers["two"]: new})
    assert [keys for _, keys in store.everything()] == [new]
    assert store.verify().ok


# ── forgetting ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_erase_takes_every_version_and_leaves_the_others(store, draft):
    store.append([draft("old"), draft("stays")])
    store.supersede(draft("new", cube_id="id of old in a", version=2, mark=None))
    erased = store.erase(["id of old in a", "id of old in a"])
    assert (erased.ids, erased.versions) == (("id of old in a",), 2)
    assert erased.traces
    for read in (store.get, store.versions):
        with pytest.raises(UnknownCubeError):
            read("id of old in a")
    assert [cube.text for cube, _ in store.everything()] == ["stays"]
    assert store.known([b"old"], "a") == {}
    store.scrub()
    assert store.residue(erased.traces) == []
    assert store.verify().ok


@pytest.mark.parametrize(
    ("space", "ids"), [("a", ["there", "gone"]), ("b", ["there"])], ids=["unknown-id", "other-space"]
)
def test_erase_is_all_or_nothing(store, draft, space, ids):
    store.append([draft("one", cube_id="there"), draft("two", "b")])
    with pytest.raises(UnknownCubeError):
        store.erase(ids, space)
    assert store.get("there").text == "one"


def test_residue_tells_a_living_cube_from_a_trace(store, draft):
    store.append(
        [draft("a phrase that two share", cube_id="x"), draft("he said: a phrase that two share", cube_id="y")]
    )
    erased = store.erase(["x"])
    assert store.residue([b"a phrase that two share"]) == []
    store.scrub()
    assert store.residue(erased.traces) == []
    assert store.residue([b"never written anywhere"]) == []


def test_numbers_are_never_used_twice(store, draft):
    store.append([draft("one"), draft("two")])
    store.erase(["id of two in a"])
    store.scrub()
    store.append([draft("three")])
    assert seqs(store) == {"one": 1, "three": 3}


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_reads_stay_within_a_space(store, draft):
    store.append([draft("mine", "a", meta={"k": 1}, user="u"), draft("yours", "b", meta={"k": 1}, user="u")])
    numbers = seqs(store, "a") | seqs(store, "b")
    for read in (store.get, store.versions):
        with pytest.raises(UnknownCubeError):
            read("id of yours in b", "a")
    with pytest.raises(UnknownCubeError):
        store.erase(["id of yours in b"], "a")
    assert texts(store.page("a", 10, None, {"user": "u"})) == ["mine"]
    assert texts(store.fetch("a", list(numbers.values())).values()) == ["mine"]
    assert store.matching("a", {"k": 1}) == [numbers["mine"]]
    assert [cube.text for cube, _ in store.everything("a")] == ["mine"]
    with store.snapshot("a") as (_, rows):
        assert [row.seq for row in rows] == [numbers["mine"]]
    _, changes, rows = store.changes("a", 0)
    assert [change.seq for change in changes] == list(rows) == [numbers["mine"]]
    assert store.sizes() == {"a": 1, "b": 1}


def test_a_space_that_never_was_is_empty(store):
    assert store.page("none", 10, None, {}) == []
    assert store.fetch("none", [1]) == {}
    assert store.matching("none", {}) == []
    assert list(store.everything("none")) == []
    assert store.changes("none", 0) == (0, [], {})
    with store.snapshot("none") as (head, rows):
        assert (head, list(rows)) == (0, [])


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_are_complete_and_without_duplicates(store, draft, limit):
    store.append([draft(f"t{n}", user="even" if n % 2 == 0 else "odd") for n in range(7)])
    store.erase(["id of t3 in a"])
    store.supersede(draft("t1 again", cube_id="id of t1 in a", version=2, mark=None, user="odd"))
    for filters, wanted in (({}, ["t0", "t1 again", "t2", "t4", "t5", "t6"]), ({"user": "odd"}, ["t1 again", "t5"])):
        found, cursor = list[str](), None
        while True:
            page = store.page("a", limit, cursor, filters)
            assert len(page) <= limit
            found += texts(page)
            if (cursor := page.cursor) is None:
                break
        assert found == wanted


@pytest.mark.parametrize("cursor", ["", "-1", "x", "1.5", "²", "9" * 30])
def test_a_cursor_that_is_none_is_refused(store, cursor):
    with pytest.raises(InputError):
        store.page("a", 1, cursor, {})


@pytest.mark.parametrize(
    "key",
    ["plain", "with space", "a.b", "$", "[0]", "é", "", 'quo"te', "back\\slash", "new\nline"],
    ids=["plain", "space", "dot", "dollar", "bracket", "accent", "empty", "quote", "backslash", "newline"],
)  # fmt: skip
def test_meta_is_matched_under_any_key(store, draft, key):
    store.append([draft("yes", meta={key: "v"}), draft("no", meta={key: "w"}), draft("bare")])
    assert store.matching("a", {key: "v"}) == [1]


def test_meta_has_to_match_in_all_values(store, draft):
    store.append(
        [draft("one", meta={"n": 1, "s": "x"}), draft("two", meta={"n": 1, "s": "y"}), draft("three", meta={"n": 1.5})]
    )
    assert store.matching("a", {"n": 1}) == [1, 2]
    assert store.matching("a", {"n": 1, "s": "y"}) == [2]
    assert store.matching("a", {"n": 1.5}) == [3]
    assert store.matching("a", {"n": "1"}) == []


def test_a_missing_key_is_not_null(store, draft):
    store.append([draft("null", meta={"k": None}), draft("missing")])
    assert store.matching("a", {"k": None}) == [1]


def test_fetch_takes_any_number_and_skips_the_unknown(store, draft):
    store.append([draft(f"t{n}") for n in range(600)])
    found = store.fetch("a", range(700))
    assert len(found) == 600
    assert found[600].text == "t599"


def test_numbered_goes_through_all_spaces(store, draft):
    store.append([draft(f"t{n}", "ab"[n % 2]) for n in range(5)])
    assert [(seq, cube.text) for seq, cube in store.numbered(1, 2)] == [(2, "t1"), (3, "t2")]
    assert store.numbered(5, 2) == []


def test_counts_and_spaces(store, draft):
    store.append([draft("one"), draft("two", "b", vector=None)])
    store.supersede(draft("one again", cube_id="id of one in a", version=2, mark=None))
    counts = store.counts()
    assert counts.pop("bytes") > 0
    assert counts == {
        "cubes": 2, "versions": 3, "spaces": 2, "entries": 3, "without_vector": 1, "payloads": 0, "payload_bytes": 0,
    }  # fmt: skip
    store.erase(["id of two in b"])
    assert store.spaces() == ["a", "b"]
    assert store.sizes() == {"a": 1, "b": 0}


def test_everything_is_one_moment(store, draft):
    """What is written while the versions are read does not turn up among them."""
    store.append([draft(f"t{n}") for n in range(3)])
    reading = store.everything()
    found = [next(reading)]
    store.append([draft("late")])
    found += islice(reading, 5)
    reading.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert [cube.text for cube, _ in found] == ["t0", "t1", "t2"]


# ── what in-memory indexes follow ────────────────────────────────────────────────────────────────────────────────────


def test_the_head_rises_with_every_write_and_only_then(store, draft):
    heads = [store.head()]
    store.append([draft("one"), draft("two")])
    heads.append(store.head())
    store.supersede(draft("one again", cube_id="id of one in a", version=2, mark=None))
    heads.append(store.head())
    store.erase(["id of two in a"])
    heads.append(store.head())
    assert all(earlier < later for earlier, later in pairwise(heads))
    store.append(["id of one in a"])  # known already
    store.supersede(draft("late", cube_id="id of one in a", version=2, mark=None))
    store.set_note("n", "1")
    store.scrub()
    assert store.head() == heads[-1]


def test_changes_are_what_happened(store, draft):
    store.append([draft("one"), draft("elsewhere", "b"), draft("two")])
    start = store.head()
    assert store.changes("a", 0)[1] == [Change("add", 1, 1), Change("add", 3, 3)]
    store.supersede(draft("one again", cube_id="id of one in a", version=2, mark=None))
    store.append([draft("three")])
    store.erase(["id of two in a"])
    head, changes, rows = store.changes("a", start)
    assert head == store.head()
    assert changes == [Change("correct", 1, 4), Change("add", 5, 5), Change("forget", 3, 3)]
    assert sorted(rows) == [4, 5]
    assert (rows[4].root, rows[4].terms, rows[4].valid_to) == (1, draft("one again").keys.terms, None)
    assert store.changes("a", head) == (head, [], {})
    assert store.changes("b", start) == (head, [], {})


def test_snapshot_rows_are_the_versions(store, draft):
    store.append([draft("one", user="u", about="x"), draft("two")])
    store.supersede(draft("one again", cube_id="id of one in a", version=2, mark=None))
    with store.snapshot("a") as (head, rows):
        found = list(rows)
    assert head == store.head()
    assert [(row.seq, row.root) for row in found] == [(1, 1), (3, 1), (2, 2)]  # a memory's versions together
    first = found[0]
    wanted = draft("one", about="x")
    assert (first.user, first.about, first.terms, first.vector) == ("u", "x", wanted.keys.terms, wanted.keys.vector)
    assert first.valid_to is not None


# ── what was made out of cubes ───────────────────────────────────────────────────────────────────────────────────────

CONTENT = Extraction(("Ana",), (Fact("Ana", "lives in", "Żary"),), ("Ana's home is Żary.",), "Ana")
OTHER = Extraction(entities=("Ben",))


def test_a_reading_is_kept_with_its_version(store, draft, read):
    store.append([draft("one"), draft("two"), draft("elsewhere", "b")])
    kept = read(store, "id of one in a", CONTENT)
    read(store, "id of elsewhere in b", OTHER, "second reader")
    assert store.derived.reading("id of one in a") == ("reader", CONTENT)
    assert store.derived.reading("id of two in a") is None
    assert store.derived.reading("nobody") is None
    assert store.derived.readings("a") == {("id of one in a", 1): ("reader", CONTENT)}
    assert list(store.derived.readings(None)) == [("id of one in a", 1), ("id of elsewhere in b", 1)]
    assert store.derived.stored(range(600)) == {1: kept, 3: store.derived.stored([3])[3]}
    assert [reading for _, _, reading in store.derived.everything("a")] == [kept, None]
    assert [(cube, keys) for cube, keys, _ in store.derived.everything(None)] == list(store.everything())
    assert store.verify().ok


def test_a_reading_belongs_to_its_version_only(store, draft, read):
    store.append([draft("old")])
    read(store, "id of old in a", CONTENT)
    store.supersede(draft("new", cube_id="id of old in a", version=2, mark=None))
    assert store.derived.reading("id of old in a") is None
    read(store, "id of old in a", OTHER)
    assert store.derived.reading("id of old in a") == ("reader", OTHER)
    assert store.derived.readings("a") == {
        ("id of old in a", 1): ("reader", CONTENT),
        ("id of old in a", 2): ("reader", OTHER),
    }


def test_a_later_reading_takes_the_place_of_an_earlier_one(store, draft, read):
    store.append([draft("one")])
    read(store, "id of one in a", CONTENT)
    read(store, "id of one in a", OTHER, "second reader")
    assert store.derived.reading("id of one in a") == ("second reader", OTHER)
    assert [change.op for change in store.changes("a", 0)[1]] == ["add", "extract", "extract"]
    assert store.verify().ok


def test_the_index_gets_what_was_read(store, draft, read):
    store.append([draft("one"), draft("two")])
    start = store.head()
    kept = read(store, "id of one in a", CONTENT)
    _, changes, rows = store.changes("a", start)
    assert changes == [Change("extract", 1, 1)]
    assert list(rows) == [1]
    with store.snapshot("a") as (_, found):
        loaded = {row.seq: row for row in found}
    for row in (rows[1], loaded[1]):
        assert (row.read_mentions, row.read_links, row.read_terms, row.read_vectors) == kept[3:]
    assert (loaded[2].read_mentions, loaded[2].read_links, loaded[2].read_terms, loaded[2].read_vectors) == (None,) * 4


def test_what_is_forgotten_while_it_is_read_gets_no_reading(store, draft, read):
    store.append([draft("one"), draft("two")])
    kept = read(store, "id of one in a", CONTENT)
    store.erase(["id of one in a"])
    head = store.head()
    assert store.derived.keep([kept, kept._replace(seq=2)]) == 1
    assert list(store.derived.stored([1, 2])) == [2]
    assert store.head() == head + 1


def test_unread_are_current_versions_that_this_extractor_has_not_read(store, draft, read):
    store.append([draft("old"), draft("two"), draft("qa", derived_from=["id of two in a"]), draft("elsewhere", "b")])
    store.supersede(draft("new", cube_id="id of old in a", version=2, mark=None))
    assert [(seq, cube.text) for seq, cube in store.derived.unread("reader", None, 0, 10)] == [
        (2, "two"), (4, "elsewhere"), (5, "new"),
    ]  # fmt: skip
    assert [seq for seq, _ in store.derived.unread("reader", None, 2, 1)] == [4]
    assert [seq for seq, _ in store.derived.unread("reader", "a", 0, 10)] == [2, 5]
    read(store, "id of two in a", CONTENT)
    assert [seq for seq, _ in store.derived.unread("reader", "a", 0, 10)] == [5]
    assert [store.derived.waiting(name, space) for name in ("reader", "other") for space in ("a", "b", None)] == [
        1, 1, 2, 2, 1, 3,
    ]  # fmt: skip


def test_bare_are_versions_without_a_reading(store, draft, read):
    store.append([draft("old"), draft("two")])
    store.supersede(draft("new", cube_id="id of old in a", version=2, mark=None))
    read(store, "id of old in a", CONTENT)
    versions = [("id of old in a", 1), ("id of old in a", 2), ("id of two in a", 1), ("id of two in a", 2), ("x", 1)]
    assert store.derived.bare(versions) == {("id of old in a", 1): 1, ("id of two in a", 1): 2}


def test_keys_of_readings_are_replaced_unless_they_were_read_anew(store, draft, read):
    store.append([draft("one"), draft("two")])
    one = read(store, "id of one in a", CONTENT)
    two = read(store, "id of two in a", CONTENT)
    read(store, "id of two in a", OTHER)
    head = store.head()
    late = two._replace(vectors=b"")
    store.derived.rekey([one._replace(vectors=None), late, one._replace(seq=99)])
    assert store.derived.stored([1]) == {1: one._replace(vectors=None)}
    assert store.derived.stored([2, 99])[2].content == OTHER
    assert store.derived.stored([2])[2].vectors != b""
    assert store.head() == head
    assert store.verify().ok


def test_children_are_the_direct_ones(store, draft):
    store.append([draft("one"), draft("two")])
    store.append([draft("child", derived_from=["id of one in a", "id of two in a", "never came"])])
    store.append([draft("grandchild", derived_from=["id of child in a"])])
    assert store.derived.children(["id of one in a"]) == ["id of child in a"]
    assert store.derived.children(["id of child in a", "id of grandchild in a"]) == ["id of grandchild in a"]
    assert store.derived.children(["never came"]) == ["id of child in a"]
    assert store.derived.children(["nobody"]) == []
    assert store.get("id of child in a").provenance.derived_from == ("id of one in a", "id of two in a", "never came")
    assert store.verify().ok


def test_a_correction_retires_what_was_made_from_the_memory(store, draft):
    store.append([draft("one"), draft("two"), draft("child", derived_from=["id of one in a"])])
    store.append([draft("grandchild", "b", derived_from=["id of child in a"])])
    store.append([draft("of two", derived_from=["id of two in a"])])
    start = store.head()
    new = draft("one again", cube_id="id of one in a", version=2, mark=None)
    store.supersede(new)
    for cube_id in ("id of child in a", "id of grandchild in b"):
        [old] = store.versions(cube_id)
        assert (old.state, old.valid_to, old.superseded_at) == (
            State.ARCHIVED,
            new.cube.valid_from,
            new.cube.recorded_at,
        )
    assert store.get("id of of two in a").superseded_at is None
    assert texts(store.page("a", 10, None, {})) == ["one again", "two", "of two"]
    assert store.page("b", 10, None, {}) == []
    _, changes, rows = store.changes("a", start)
    assert changes == [Change("correct", 1, 6), Change("retire", 3, 3)]
    assert rows[3].valid_to == new.cube.valid_from.isoformat()
    assert store.changes("b", start)[1] == [Change("retire", 4, 4)]
    assert store.verify().ok


def test_what_is_retired_already_is_not_retired_again(store, draft):
    store.append([draft("one"), draft("child", derived_from=["id of one in a"])])
    store.supersede(draft("one again", cube_id="id of one in a", version=2, mark=None))
    [before] = store.versions("id of child in a")
    store.supersede(draft("once more", cube_id="id of one in a", version=3, mark=None))
    assert store.versions("id of child in a") == [before]
    assert [change.op for change in store.changes("a", 0)[1]].count("retire") == 1


def test_erase_takes_what_was_made_from_the_memory(store, draft, read):
    store.append([draft("one"), draft("two"), draft("child", derived_from=["id of one in a", "id of two in a"])])
    store.append([draft("grandchild", "b", derived_from=["id of child in a"])])
    read(store, "id of one in a", CONTENT)
    read(store, "id of grandchild in b", CONTENT)
    store.derived.keep_reply("a", b"k", "an answer of some length", ["id of child in a", "id of two in a"])
    store.derived.keep_reply("a", b"l", "an answer that stays", ["id of two in a"])
    erased = store.erase(["id of one in a"], "a")
    assert erased.ids == ("id of one in a", "id of child in a", "id of grandchild in b")
    assert erased.versions == 3
    assert {b"lives in", b"an answer of some length", CONTENT.statements[0].encode()} <= set(erased.traces)
    assert [cube.text for cube, _ in store.everything()] == ["two"]
    assert store.derived.readings(None) == {}
    assert store.derived.children(["id of one in a", "id of two in a", "id of child in a"]) == []
    assert (store.derived.reply("a", b"k"), store.derived.reply("a", b"l")) == (None, "an answer that stays")
    store.scrub()
    assert store.residue(erased.traces) == []
    assert store.verify().ok


def test_forgetting_what_was_made_leaves_what_it_was_made_from(store, draft):
    store.append([draft("one"), draft("child", derived_from=["id of one in a"])])
    assert store.erase(["id of child in a"]).ids == ("id of child in a",)
    assert store.derived.children(["id of one in a"]) == []
    assert store.get("id of one in a").text == "one"
    assert store.verify().ok


@pytest.mark.parametrize("lineage", [{"x": "y", "y": "x"}, {"x": "x", "y": "x"}], ids=["circle", "itself"])
def test_lineage_in_a_circle_ends(store, draft, lineage):
    store.append([draft(name, cube_id=name, derived_from=[parent]) for name, parent in lineage.items()])
    store.append([draft("stays")])
    store.supersede(draft("x again", cube_id="x", version=2, mark=None, derived_from=[lineage["x"]]))
    assert store.get("x").superseded_at is None
    assert store.get("y").superseded_at is not None
    assert store.verify().ok
    assert store.erase(["x"]).ids == ("x", "y")
    assert [cube.text for cube, _ in store.everything()] == ["stays"]
    assert store.verify().ok


def test_a_reply_is_kept_under_its_space_and_key(store, draft):
    store.append([draft("one")])
    store.derived.keep_reply("a", b"k", "first", ["id of one in a"])
    store.derived.keep_reply("b", b"k", "second", [])
    assert [store.derived.reply(space, b"k") for space in "abc"] == ["first", "second", None]
    assert store.derived.reply("a", b"l") is None
    store.derived.keep_reply("a", b"k", "third", ["id of one in a"])
    assert store.derived.reply("a", b"k") == "third"
    assert store.verify().ok


def test_a_reply_about_what_is_forgotten_already_is_not_kept(store, draft):
    store.append([draft("one"), draft("two")])
    store.erase(["id of one in a"])
    store.derived.keep_reply("a", b"k", "late", ["id of two in a", "id of one in a"])
    assert store.derived.reply("a", b"k") is None
    assert store.verify().ok


def test_claims_go_with_their_version_and_with_what_was_read(store, draft, read):
    store.append([draft("Ana lives in Oslo.")])

    def values() -> set[str]:
        return {one.fact.value for one in store.derived.claims("a")}

    assert values() == {"Oslo"}
    read(store, "id of Ana lives in Oslo. in a", CONTENT)
    assert values() == {"Oslo", "Żary"}
    read(store, "id of Ana lives in Oslo. in a", OTHER, "second reader")
    assert values() == {"Oslo"}
    store.supersede(draft("Ana lives in Rome.", cube_id="id of Ana lives in Oslo. in a", version=2, mark=None))
    assert values() == {"Rome"}
    assert store.derived.claims("b") == []
    erased = store.erase(["id of Ana lives in Oslo. in a"])
    assert values() == set()
    assert b"lives in" in erased.traces  # the rules' name of it, which need not stand in the text
    assert store.verify().ok


# Import writes versions one by one, and cannot know what a file has not said yet.


def moved(store: Store) -> list[Draft]:
    return [Draft(cube, keys, None) for cube, keys in store.everything()]


def test_restore_retires_as_the_export_says(store, draft):
    store.append([draft("one"), draft("child", derived_from=["id of one in a"])])
    before = moved(store)
    store.supersede(draft("one again", cube_id="id of one in a", version=2, mark=None))
    after = moved(store)
    for drafts in ([after], [before, after], [before[1:], after]):
        with closing(SQLiteStore(":memory:", _SETTINGS)) as fresh:
            for some in drafts:
                fresh.restore(some)
            assert fresh.verify().ok
            assert fresh.versions("id of child in a") == store.versions("id of child in a")
            assert "retire" in [change.op for change in fresh.changes("a", 0)[1]]
            head = fresh.head()
            assert (fresh.restore(drafts[-1]), fresh.head()) == (0, head)


def test_restoring_a_correction_retires_what_was_made_here(store, draft):
    store.append([draft("one")])
    with closing(SQLiteStore(":memory:", _SETTINGS)) as other:
        other.restore(moved(store))
        other.append([draft("child", derived_from=["id of one in a"])])
        store.supersede(draft("one again", cube_id="id of one in a", version=2, mark=None))
        other.restore(moved(store))
        assert other.get("id of child in a").state == State.ARCHIVED
        assert other.verify().ok


def test_restoring_a_later_version_of_what_was_retired_here(store, draft):
    """It was corrected there, and its parent here."""
    store.append([draft("one"), draft("child", derived_from=["id of one in a"])])
    with closing(SQLiteStore(":memory:", _SETTINGS)) as other:
        other.restore(moved(store))
        other.supersede(draft("one again", cube_id="id of one in a", version=2, mark=None))
        store.supersede(
            draft(
                "child again",
                cube_id="id of child in a",
                version=2,
                minutes=5,
                mark=None,
                derived_from=["id of one in a"],
            )
        )
        other.restore(moved(store))
        assert other.versions("id of child in a") == store.versions("id of child in a")
        assert other.verify().ok


# ── care ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_notes(store):
    assert store.note("embedder") is None
    store.set_note("embedder", "first")
    store.set_note("embedder", "second")
    assert store.note("embedder") == "second"
    store.drop_note("embedder")
    store.drop_note("embedder")
    assert store.note("embedder") is None


def test_the_secret_is_long_and_the_stores_own(store):
    with closing(SQLiteStore(":memory:", _SETTINGS)) as other:
        assert len(store.secret()) >= 16
        assert store.secret() == store.secret() != other.secret()


def test_verify_counts_what_it_looked_at(store, draft):
    store.append([draft("one"), draft("two", "b")])
    store.supersede(draft("one again", cube_id="id of one in a", version=2, mark=None))
    checked = store.verify()
    assert checked.ok, checked.problems
    assert {name for name, looked_at in checked.checks.items() if not looked_at} == {
        "readings", "lineage", "replies", "events", "grants", "decisions", "payloads",
    }  # fmt: skip


def test_a_backup_holds_the_same_and_never_overwrites(store, draft, tmp_path):
    store.append([draft("one"), draft("two", "b")])
    copy = tmp_path / "copy.rem"
    store.backup(copy)
    with pytest.raises(InputError):
        store.backup(copy)
    with pytest.raises(InputError):
        store.backup(tmp_path / "missing" / "copy.rem")
    with closing(SQLiteStore(copy, _SETTINGS)) as other:
        assert list(other.everything()) == list(store.everything())
        assert (other.secret(), other.head()) == (store.secret(), store.head())
        assert other.verify().ok


CALLS: dict[str, Callable[[Store], object]] = {
    "replayed": lambda store: store.replayed(Replay("a", "k", b"r")), "known": lambda store: store.known([b"m"], "a"),
    "erase": lambda store: store.erase(["x"]), "scrub": lambda store: store.scrub(),
    "get": lambda store: store.get("x"), "versions": lambda store: store.versions("x"),
    "page": lambda store: store.page("a", 1, None, {}), "fetch": lambda store: store.fetch("a", [1]),
    "matching": lambda store: store.matching("a", {}), "everything": lambda store: list(store.everything()),
    "rekey": lambda store: store.rekey({}), "numbered": lambda store: store.numbered(0, 1),
    "spaces": lambda store: store.spaces(), "counts": lambda store: store.counts(), "sizes": lambda store: store.sizes(),
    "head": lambda store: store.head(), "snapshot": lambda store: store.snapshot("a").__enter__(),
    "changes": lambda store: store.changes("a", 0), "note": lambda store: store.note("n"),
    "set_note": lambda store: store.set_note("n", "v"), "drop_note": lambda store: store.drop_note("n"),
    "verify": lambda store: store.verify(), "restore": lambda store: store.restore([]),
    "keep": lambda store: store.derived.keep([]), "unread": lambda store: store.derived.unread("x", None, 0, 1),
    "waiting": lambda store: store.derived.waiting("x", None), "reading": lambda store: store.derived.reading("x"),
    "readings": lambda store: store.derived.readings(None), "children": lambda store: store.derived.children(["x"]),
    "derived-everything": lambda store: list(store.derived.everything(None)),
    "stored": lambda store: store.derived.stored([1]), "bare": lambda store: store.derived.bare([("x", 1)]),
    "derived-rekey": lambda store: store.derived.rekey([]), "reply": lambda store: store.derived.reply("a", b"k"),
    "keep-reply": lambda store: store.derived.keep_reply("a", b"k", "x", []),
    "claims": lambda store: store.derived.claims("a"),
}  # fmt: skip


@pytest.mark.parametrize(
    "call",
    [pytest.param(call, id=name) for name, call in CALLS.items()],
)
def test_a_closed_store_says_so(store, call):
    store.close()
    store.close()
    with pytest.raises(StoreClosedError):
        call(store)


def test_a_closed_store_takes_no_drafts(store, draft):
    store.close()
    with pytest.raises(StoreClosedError):
        store.append([draft("one")])
    with pytest.raises(StoreClosedError):
        store.supersede(draft("one", version=2))
