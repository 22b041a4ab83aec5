"""Memory through its front door: what each verb promises, and what bad input gets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from remanence import Kind, Memory, Settings
from remanence.cubes import Extraction
from remanence.errors import (
    EmbedderMismatchError,
    EndpointError,
    IdempotencyConflictError,
    InputError,
    InputTooLargeError,
    ModelMissingError,
    NotAStoreError,
    StoreClosedError,
    StoreUnwritableError,
    UnknownCubeError,
    UnknownSpaceError,
    UnreadableFileError,
)

Open = Callable[..., Memory]


@pytest.fixture
def memory(opened: Open) -> Memory:
    return opened(":memory:")


# ── add ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_list_keeps_order_meta_and_scope(memory: Memory) -> None:
    messages = [
        {
            "role": "user",
            "name": "u17",
            "content": f"turn {n}",
            "time": "2024-05-08T13:56:00",
            "meta": {"dia_id": f"D1:{n}"},
        }
        for n in range(5)
    ]
    ids = memory.add(messages, space="acme", user="u17", session="s7")
    cubes = [memory.get(one) for one in ids]
    assert [cube.meta for cube in cubes] == [{"dia_id": f"D1:{n}"} for n in range(5)]
    assert [cube.text for cube in memory.list(space="acme")] == [f"turn {n}" for n in range(5)]
    first = cubes[0]
    assert (first.scope.space, first.scope.user, first.scope.session) == ("acme", "u17", "s7")
    assert first.provenance.author == "u17"
    assert first.provenance.observed_at == datetime(2024, 5, 8, 13, 56)  # noqa: DTZ001
    assert ids == sorted(ids)


def test_a_title_becomes_about(memory: Memory) -> None:
    (one,) = memory.add(
        {"role": "document", "title": "Teutberga", "content": "A queen of Lotharingia.", "meta": {"row": 1}}
    )
    cube = memory.get(one)
    assert (cube.about, cube.kind, cube.meta) == ("Teutberga", Kind.DOCUMENT, {"row": 1})


def test_the_same_from_the_same_source_is_one_cube(memory: Memory) -> None:
    first = memory.add("The office moved.", user="u")
    assert memory.add("The office moved.", user="u") == first
    assert memory.add("The office moved.", user="v") != first
    assert memory.add("The office moved.", user="u", source="mail") != first
    assert memory.stats().cubes == 3


def test_a_list_may_repeat_itself_and_be_repeated(memory: Memory) -> None:
    ids = memory.add(["Yes.", "Really?", "Yes."])
    assert len(set(ids)) == 3
    assert memory.add(["Yes.", "Really?", "Yes."]) == ids


def test_a_corrected_text_that_comes_again_does_not_bring_the_error_back(memory: Memory) -> None:
    said = {"content": "The rent is 820.", "time": "2024-05-08T13:56:00"}
    (one,) = memory.add(said)
    memory.correct(one, "The rent is 790.")
    assert memory.add(said) == [one], "the same utterance"
    assert [cube.text for cube in memory.list()] == ["The rent is 790."]
    (two,) = memory.add("The rent is 900.")
    memory.correct(two, "The rent is 910.")
    (three,) = memory.add("The rent is 900.")
    assert three != two, "said again, without a time: news"
    assert memory.recall("rent 900")[0].cube.id == three


def test_an_idempotency_key_repeats_and_refuses(memory: Memory) -> None:
    ids = memory.add(["a text", "another"], idempotency_key="k")
    assert memory.add(["a text", "another"], idempotency_key="k") == ids
    with pytest.raises(IdempotencyConflictError, match="other content"):
        memory.add(["a text", "a third"], idempotency_key="k")
    assert memory.add(["a text", "another", "new"], idempotency_key="k2")[:2] == ids
    assert memory.add(["a text", "another", "new"], idempotency_key="k2")[:2] == ids
    memory.forget(ids[0])
    assert memory.add(["a text", "another"], idempotency_key="k") == ids[1:], "a repeated call must not bring it back"
    assert memory.stats().cubes == 2


def test_a_long_list_reports_progress_and_goes_on_after_an_interruption(opened: Open) -> None:
    memory = opened(commit_every=10)
    texts = [f"text {n}" for n in range(35)]

    def stop(done: int, total: int) -> None:
        assert total == 35
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        memory.add(texts, progress=stop)
    assert [cube.text for cube in memory.list()] == texts[:20]
    seen: list[tuple[int, int]] = []
    memory.add(texts, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(10, 35), (20, 35), (30, 35), (35, 35)]
    assert [cube.text for cube in memory.list()] == texts


BAD_ADDS: dict[str, tuple[Any, type[InputError]]] = {
    "empty": ("", InputError),
    "blank": (" \n", InputError),
    "number": (3, InputError),
    "none": (None, InputError),
    "bytes": (b"text", InputError),
    "lone surrogate": ("\ud800", InputError),
    "huge": ("x" * 1_000_001, InputTooLargeError),
    "no content": ({"role": "user"}, InputError),
    "content of a wrong type": ({"content": ["a"]}, InputError),
    "unknown field": ({"content": "a", "colour": "red"}, InputError),
    "unknown role": ({"content": "a", "role": "king"}, InputError),
    "unknown kind": ({"content": "a", "kind": "song"}, InputError),
    "bad time": ({"content": "a", "time": "yesterday"}, InputError),
    "time as number": ({"content": "a", "time": 1715176560}, InputError),
    "meta not a dict": ({"content": "a", "meta": [1]}, InputError),
    "meta with NaN": ({"content": "a", "meta": {"x": float("nan")}}, InputError),
    "meta not JSON": ({"content": "a", "meta": {"x": object()}}, InputError),
    "meta huge": ({"content": "a", "meta": {"x": "y" * 70_000}}, InputTooLargeError),
    "list in a list": ([["a"]], InputError),
    "name too long": ({"content": "a", "name": "n" * 600}, InputError),
}


@pytest.mark.parametrize("case", BAD_ADDS)
def test_bad_input_to_add_writes_nothing(memory: Memory, case: str) -> None:
    content, kind = BAD_ADDS[case]
    with pytest.raises(kind) as caught:
        memory.add(["good", content] if case != "bytes" else content)
    assert caught.value.next_step
    assert memory.stats().cubes == 0


@pytest.mark.parametrize("name", ["space", "user", "agent", "session", "source", "idempotency_key"])
@pytest.mark.parametrize("value", ["", " ", 7, "x" * 600], ids=["empty", "blank", "number", "long"])
def test_bad_names_are_refused(memory: Memory, name: str, value: Any) -> None:
    with pytest.raises(InputError):
        memory.add("text", **{name: value})


def test_an_empty_list_adds_nothing(memory: Memory) -> None:
    assert memory.add([]) == []


# ── recall ───────────────────────────────────────────────────────────────────────────────────────────────────────────

BAD_RECALLS: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "empty": ({"question": ""}, InputError),
    "none": ({"question": None}, InputError),
    "huge": ({"question": "x" * 32_001}, InputTooLargeError),
    "lone surrogate": ({"question": "\udfff"}, InputError),
    "k zero": ({"question": "q", "k": 0}, InputError),
    "k negative": ({"question": "q", "k": -1}, InputError),
    "k a bool": ({"question": "q", "k": True}, InputError),
    "k a float": ({"question": "q", "k": 2.5}, InputError),
    "unknown space": ({"question": "q", "space": "nowhere"}, UnknownSpaceError),
    "unknown kind": ({"question": "q", "kinds": ["song"]}, InputError),
    "bad as_of": ({"question": "q", "as_of": "once"}, InputError),
    "bad meta": ({"question": "q", "meta": {"a": [1]}}, InputError),
}


@pytest.mark.parametrize("case", BAD_RECALLS)
def test_bad_input_to_recall(memory: Memory, case: str) -> None:
    memory.add("something")
    arguments, kind = BAD_RECALLS[case]
    with pytest.raises(kind) as caught:
        memory.recall(**arguments)
    assert getattr(caught.value, "next_step", "")


def test_an_empty_memory_answers_with_nothing(memory: Memory) -> None:
    hits = memory.recall("anything?")
    assert hits == []
    assert hits.notes


def test_filters_act_before_ranking(memory: Memory) -> None:
    for user in ("ann", "ben"):
        memory.add([f"{user} likes tea number {n}" for n in range(30)], user=user)
    memory.add({"content": "tea ceremony", "meta": {"topic": "tea", "stars": 5, "new": True}}, user="ann")
    assert {hit.cube.scope.user for hit in memory.recall("tea", user="ben", k=50)} == {"ben"}
    assert len(memory.recall("tea", user="ben", k=50)) == 30
    for meta in ({"topic": "tea"}, {"stars": 5}, {"new": True}, {"topic": "tea", "stars": 5}):
        assert [hit.cube.text for hit in memory.recall("likes", meta=meta)] == ["tea ceremony"]
    assert memory.recall("tea", meta={"topic": "coffee"}) == []
    assert memory.recall("tea", user="nobody") == []


def test_times_filter_what_was_said_when(memory: Memory) -> None:
    memory.add([{"content": f"rain on day {n}", "time": f"2024-05-{n:02d}"} for n in range(1, 11)])
    found = memory.recall("rain", since="2024-05-03", until=datetime(2024, 5, 6, tzinfo=UTC))
    assert sorted(hit.cube.text for hit in found) == ["rain on day 3", "rain on day 4", "rain on day 5"]


def test_as_of_sees_the_version_of_that_time(memory: Memory) -> None:
    (one,) = memory.add({"content": "The office is in Porto.", "time": "2024-01-01"})
    memory.correct(one, "The office is in Lisbon.", time="2024-06-01")
    texts = {
        when: [hit.cube.text for hit in memory.recall("Where is the office?", as_of=when)]
        for when in ("2023-01-01", "2024-03-01", "2024-07-01")
    }
    assert texts == {
        "2023-01-01": [],
        "2024-03-01": ["The office is in Porto."],
        "2024-07-01": ["The office is in Lisbon."],
    }


def test_recall_says_that_there_is_no_embedder(opened: Open) -> None:
    memory = opened(embedder="none")
    memory.add("The kiln fires at 1240 degrees.")
    hits = memory.recall("How hot is the kiln?")
    assert hits[0].cube.text.startswith("The kiln")
    assert "Dense search left out" in hits.notes[0]
    assert memory.stats().without_vector == 1


def test_a_missing_model_is_no_obstacle(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: Settings) -> None:
        raise ModelMissingError("MiniLM is not installed.", "Run: remanence models fetch minilm")

    monkeypatch.setattr("remanence.models.shelf.open_embedder", missing)
    memory = opened(embedder="minilm")
    memory.add("The kiln fires at 1240 degrees.")
    hits = memory.recall("kiln")
    assert hits
    assert "remanence models fetch minilm" in hits.notes[0]


# ── versions, list, forget ───────────────────────────────────────────────────────────────────────────────────────────


def test_correct_supersedes_and_history_keeps(memory: Memory) -> None:
    (one,) = memory.add({"content": "820", "name": "Marta", "time": "2024-05-08", "meta": {"a": 1}}, session="s")
    new = memory.correct(one, "790")
    assert (new.id, new.version, new.text, new.meta) == (one, 2, "790", {"a": 1})
    old, current = memory.history(one)
    assert (old.text, old.state, old.valid_to) == ("820", "archived", current.valid_from)
    assert old.superseded_at == current.recorded_at
    assert memory.get(one) == current == new
    assert [hit.cube.text for hit in memory.recall("820 790")] == ["790"]
    assert memory.correct(one, "790") == current, "the same text is no correction"
    assert memory.correct(current, "780").version == 3
    with pytest.raises(InputError):
        memory.correct(one, "")
    with pytest.raises(UnknownCubeError):
        memory.correct("no such id", "text")


def test_a_correction_may_reach_back_behind_several_versions(memory: Memory) -> None:
    (one,) = memory.add({"content": "Porto", "time": "2024-01-01"})
    memory.recall("office")
    memory.correct(one, "Lisbon", time="2024-10-01")
    memory.correct(one, "Faro", time="2024-05-01")
    for fresh in (False, True):
        if fresh:
            memory._recall.drop()
        seen = {
            when: [hit.cube.text for hit in memory.recall("office", as_of=when)]
            for when in ("2024-03-01", "2024-07-01", "2024-11-01")
        }
        assert seen == {"2024-03-01": ["Porto"], "2024-07-01": ["Faro"], "2024-11-01": ["Faro"]}
    assert memory.verify().ok


def test_a_moment_in_a_named_zone_comes_back_verified(memory: Memory) -> None:
    memory.add({"content": "We met today.", "time": datetime(2024, 3, 31, 12, tzinfo=ZoneInfo("Europe/Lisbon"))})
    assert memory.verify().ok


def test_the_file_cannot_confirm_a_guess_of_what_was_forgotten(memory: Memory) -> None:
    ids = memory.add("My PIN is 4711 okay", idempotency_key="k")
    memory.forget(ids)
    with memory._store.connections.read() as connection:
        assert connection.execute("SELECT request, ids FROM replays").fetchall() == [(b"", "[]")]


def test_an_index_that_was_cut_off_while_loading_begins_again(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = opened(":memory:")
    memory.add([f"turn {n} office" for n in range(50)])
    monkeypatch.setattr("remanence.recall.index._LOAD", 20)
    from remanence.recall.index import SpaceIndex

    original, calls = SpaceIndex._append, []

    def interrupted(self: SpaceIndex, batch: Any) -> None:
        calls.append(len(batch))
        if len(calls) == 2:
            raise KeyboardInterrupt
        original(self, batch)

    monkeypatch.setattr(SpaceIndex, "_append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        memory.recall("office")
    assert len(memory.recall("turn 17 office", k=100)) == 50


def test_a_reindex_elsewhere_is_seen(opened: Open) -> None:
    writer, reader = opened(embedder="none"), opened()
    writer.add("The office moved to Lisbon.")
    reader.recall("ofice in Lissabon")
    opened().reindex()
    assert any(reason.channel == "meaning" for reason in reader.recall("ofice in Lissabon")[0].why.reasons)


def test_an_open_memory_notices_anothers_embedder(opened: Open) -> None:
    first = opened()
    first.add("one")
    second = opened()
    second._store.set_note("embedder", "another/1")
    with pytest.raises(EmbedderMismatchError):
        first.add("two")


def test_more_hits_than_the_pool_holds(opened: Open) -> None:
    memory = opened(":memory:")
    memory.add([f"tea number {n}" for n in range(1500)])
    assert len(memory.recall("tea", k=1400)) == 1400


BAD_CALLS: dict[str, Callable[[Memory], object]] = {
    "forget none": lambda memory: memory.forget(None),
    "forget a number": lambda memory: memory.forget(5),
    "a list as space": lambda memory: memory.get("x", space=["a"]),
    "backup none": lambda memory: memory.backup(None),
    "export none": lambda memory: memory.export(None),
    "import none": lambda memory: memory.import_(None),
    "ingest none": lambda memory: memory.ingest(None),
    "role a list": lambda memory: memory.add({"content": "x", "role": ["user"]}),
    "cursor a number": lambda memory: memory.list(after=5),
    "busy_timeout text": lambda _: Settings(busy_timeout="5"),
    "commit_every none": lambda _: Settings(commit_every=None),
    "sample negative": lambda memory: memory.verify(sample=-1),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_wrong_types_get_a_designed_error(memory: Memory, case: str) -> None:
    memory.add("something")
    with pytest.raises(InputError) as caught:
        BAD_CALLS[case](memory)
    assert caught.value.next_step


def test_two_corrections_at_once_both_count(opened: Open) -> None:
    memory = opened()
    (one,) = memory.add("start")
    threads = [threading.Thread(target=memory.correct, args=(one, f"version by {n}")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [cube.version for cube in memory.history(one)] == list(range(1, 10))
    assert memory.verify().ok


def test_list_pages_through_everything_once(memory: Memory) -> None:
    memory.add([f"text {n}" for n in range(25)], user="u")
    memory.add("of another", user="v")
    seen: list[str] = []
    cursor = None
    while True:
        page = memory.list(limit=10, after=cursor, user="u")
        seen += [cube.text for cube in page]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [f"text {n}" for n in range(25)]
    for bad in ({"limit": 0}, {"after": "x"}, {"after": "-1"}):
        with pytest.raises(InputError):
            memory.list(**bad)
    with pytest.raises(UnknownSpaceError):
        memory.list(space="nowhere")


def test_a_space_guards_its_ids(memory: Memory) -> None:
    (one,) = memory.add("secret of a", space="a")
    memory.add("of b", space="b")
    for call in (memory.get, memory.history, memory.forget):
        with pytest.raises(UnknownCubeError):
            call(one, space="b")
    with pytest.raises(UnknownCubeError):
        memory.correct(one, "text", space="b")
    assert memory.get(one, space="a").text == "secret of a"
    assert all(hit.cube.scope.space == "b" for hit in memory.recall("secret of a", space="b"))


def test_forget_takes_one_or_many_and_nothing_if_one_is_unknown(memory: Memory) -> None:
    ids = memory.add(["one", "two", "three"])
    with pytest.raises(UnknownCubeError):
        memory.forget([ids[0], "no such id"])
    assert memory.stats().cubes == 3
    erasure = memory.forget(ids[:2])
    assert (erasure.ids, erasure.versions) == (tuple(ids[:2]), 2)
    assert [hit.cube.text for hit in memory.recall("one two three")] == ["three"]
    for gone in ids[:2]:
        with pytest.raises(UnknownCubeError):
            memory.get(gone)
    with pytest.raises(InputError):
        memory.forget([])
    assert memory.add("one", relearn=True) != [ids[0]], "what is learned again after forgetting is a new memory"
    assert memory.verify().ok


# ── care ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_another_embedder_is_refused_until_reindex(opened: Open) -> None:
    memory = opened()
    memory.add(["a kiln", "a bicycle"])
    other = opened(embedder="none")
    assert other.recall("kiln"), "without an embedder the words still answer"
    memory._store.set_note("embedder", "another/1")
    fresh = opened()
    for call in (lambda: fresh.recall("kiln"), lambda: fresh.add("more")):
        with pytest.raises(EmbedderMismatchError, match="reindex"):
            call()
    assert fresh.reindex() == 2
    assert fresh.recall("kiln")[0].cube.text == "a kiln"
    assert fresh.verify().ok


def test_reindex_gives_vectors_to_what_had_none_and_can_be_cut_off(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = opened(embedder="none")
    bare.add([f"text {n}" for n in range(7)])
    monkeypatch.setattr("remanence.encoding._STEP", 3)
    memory = opened()

    def stop(done: int, total: int) -> None:
        assert total == 7
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        memory.reindex(progress=stop)
    with pytest.raises(EmbedderMismatchError, match="cut off"):
        opened().recall("text 1")
    assert memory.reindex() == 4, "it goes on where it was cut off"
    assert memory.stats().without_vector == 0
    assert memory.verify().ok


def test_verify_notices_a_vector_of_another_text(opened: Open) -> None:
    from dataclasses import replace

    memory = opened()
    memory.add(["about kilns and clay", "about seahorses and nets"])
    rows = list(memory._store.everything())
    seqs = [seq for seq, _ in memory._store.numbered(0, 10)]
    memory._store.rekey({seqs[0]: replace(rows[0][1], vector=rows[1][1].vector)})
    checked = memory.verify()
    assert not checked.ok
    assert "does not belong to its text" in checked.problems[0]


@pytest.mark.parametrize("value", [b"\x00\x3c", b"\x00\x7e"], ids=["another", "not-a-number"])
def test_verify_notices_a_vector_that_does_not_belong_to_a_reading(opened: Open, read: Any, value: bytes) -> None:
    memory = opened()
    [one] = memory.add(["about kilns and clay"])
    reading = read(
        memory._store, one, Extraction(("kilns",), (), ("Kilns burn clay.",)), embed=memory._encoding.documents
    )
    assert memory.verify().ok
    assert reading.vectors is not None
    memory._store.derived.rekey([reading._replace(vectors=value * (len(reading.vectors) // 2))])
    assert "read out of" in memory.verify().problems[0]


def test_an_endpoint_that_is_down_stops_writes_and_not_recall(opened: Open) -> None:
    from remanence.models.hashing import HashingEmbedder

    class Down(HashingEmbedder):
        broken = False

        def embed(self, texts: Any, progress: Any = None) -> np.ndarray:
            if self.broken:
                raise EndpointError("The endpoint did not answer.", "Start it.")
            return super().embed(texts, progress)

    memory = opened()
    embedder = Down()
    memory._encoding._embedder = memory._encoding._questions = embedder
    memory._encoding._opened = True
    memory.add("The kiln is hot.")
    Down.broken = True
    hits = memory.recall("kiln")
    assert [hit.cube.text for hit in hits] == ["The kiln is hot."]
    assert "did not answer" in hits.notes[0]
    with pytest.raises(EndpointError):
        memory.add("lost?")
    assert memory.stats().cubes == 1


def test_stats_count(memory: Memory) -> None:
    ids = memory.add(["a", "b"], space="x")
    memory.correct(ids[0], "c")
    memory.recall("a", space="x")
    stats = memory.stats()
    assert (stats.cubes, stats.versions, stats.spaces, stats.entries) == (2, 3, 1, 3)
    assert stats.by_space == {"x": 2}
    assert stats.bytes > 0
    assert stats.memory_bytes > 0
    assert stats.embedder
    assert memory.spaces() == ["x"]


def test_a_closed_memory_says_so(opened: Open) -> None:
    memory = opened()
    memory.add("text")
    memory.close()
    memory.close()
    for call in (lambda: memory.add("more"), lambda: memory.recall("text"), memory.stats, memory.verify):
        with pytest.raises(StoreClosedError):
            call()


@pytest.mark.parametrize("location", ["postgresql://localhost/x", ""], ids=["postgresql", "empty"])
def test_locations_that_cannot_be(location: str) -> None:
    with pytest.raises((NotAStoreError, InputError)):
        Memory(location, Settings(embedder="hashing"))


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreUnwritableError, match="does not exist"):
        Memory(tmp_path / "no" / "m.rem")


def test_ingest_reads_a_folder_twice_and_writes_it_once(opened: Open, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "kiln.md").write_text(
        "# The kiln\n\nIt fires at 1240 degrees.\n\n# The wheel\n\nIt is old.", encoding="utf-8"
    )
    (notes / "chat.json").write_text('[{"role": "user", "content": "Is the kiln hot?"}]', encoding="utf-8")
    memory = opened(":memory:")
    ids = memory.ingest(notes, space="n")
    assert len(ids) == 3
    assert memory.ingest(notes, space="n") == ids
    hit = memory.recall("At how many degrees does it fire?", space="n", kinds=["document"])[0]
    assert hit.cube.provenance.source == "file:notes/kiln.md"
    assert "1240" in hit.cube.text
    (notes / "bad.txt").write_bytes(b"\xff\xfe\xfa\x00\xd8")
    (notes / "new.txt").write_text("new", encoding="utf-8")
    with pytest.raises(UnreadableFileError, match=r"bad\.txt"):
        memory.ingest(notes, space="n")
    assert memory.stats().cubes == 3, "a bad file stops the whole call before it writes"


def test_relative_words_count_from_now(memory: Memory) -> None:
    base = datetime(2024, 7, 10, tzinfo=UTC)
    memory.add(
        [
            {"content": f"We met at the harbour, number {n}.", "time": (base - timedelta(days=n)).isoformat()}
            for n in range(0, 60, 3)
        ]
    )
    top = memory.recall("What happened at the harbour last week?", now=base, k=2)
    assert {hit.cube.provenance.observed_at.date().isoformat() for hit in top} <= {
        "2024-07-01",
        "2024-07-04",
        "2024-07-07",
    }
