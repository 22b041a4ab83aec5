"""Memories as caches, through the front door, with a model that was trained for it."""

from __future__ import annotations

import pytest

from remanence import Memory
from remanence.cubes import Form, Kind, State
from remanence.errors import (
    AccessDeniedError,
    InputError,
    NoModelError,
    QuotaError,
    StaleError,
    TransitionError,
    UnknownCubeError,
)
from remanence.settings import Settings


@pytest.fixture
def facts(taught_world):
    return taught_world.fresh(6)[:8]


@pytest.fixture
def memory(tmp_path, taught_folder):
    settings = Settings(embedder="hashing", model=f"local:{taught_folder}", care_every=0)
    with Memory(tmp_path / "m.rem", settings) as memory:
        yield memory


@pytest.fixture
def ids(memory, facts, taught_world):
    """One session for each, so that a question can be asked about one memory alone."""
    return memory.add([{"content": taught_world.statement(fact), "session": fact.value} for fact in facts])


@pytest.fixture
def asked(taught_world):
    return lambda fact: taught_world.question(fact).removeprefix("Question: ").removesuffix(" Answer:")


def test_a_cache_is_a_memory_made_of_its_sources(memory, ids):
    made = memory.forms.derive(ids[:3])
    assert (made.form, made.kind, made.state) == (Form.ACTIVATION, Kind.CACHE, State.ACTIVE)
    assert made.provenance.derived_from == tuple(ids[:3])
    assert made.payload.details["sources"] == [[one, 1] for one in ids[:3]]
    assert memory.get(made.id) == made
    assert memory.forms.path(made).stat().st_size == made.payload.size
    assert memory.forms.list() == [made]
    assert memory.forms.list(form="parametric") == []
    usage = memory.forms.usage()
    assert (usage.caches, usage.adapters, usage.size) == (1, 0, made.payload.size)
    assert memory.verify().ok


def test_recall_lists_and_exports_texts_only(memory, ids, tmp_path):
    memory.forms.derive(ids)
    hits = memory.recall("cache of memories tokens", k=20)
    assert {hit.cube.form for hit in hits} == {Form.TEXT}
    assert memory.recall("cache of memories", kinds=["cache"]) == []
    assert memory.export(tmp_path / "e.jsonl") == len(ids)


def test_the_answer_is_the_same_from_text_and_from_the_cache_and_says_which(memory, ids, facts, asked):
    read = [memory.ask(asked(fact), session=fact.value) for fact in facts]
    assert {one.how for answer in read for one in answer.forms} == {"text"}
    assert sum(fact.value in answer.text for fact, answer in zip(facts, read, strict=True)) >= len(facts) // 2
    caches = [memory.forms.derive(one, precision="fp32") for one in ids]
    again = [memory.ask(asked(fact), session=fact.value) for fact in facts]
    assert [one.text for one in again] == [one.text for one in read]
    for cache, source, answer in zip(caches, ids, again, strict=True):
        [used] = answer.forms
        assert (used.form, used.how, used.exact, used.id, used.memories) == (
            Form.ACTIVATION, "prefix", True, cache.id, (source,),
        )  # fmt: skip
        assert used.saved > 0
        assert [citation.cube_id for citation in answer.citations] == ([] if answer.abstained else [source])
    assert memory._store.payloads.uses(caches[0].id).count == 1
    assert memory._store.payloads.reads("default")[ids[0]][0] == 2


def test_what_no_memory_bears_out_is_not_said(memory, ids, facts, asked, taught_world):
    known = taught_world.facts[0]  # the model knows it by heart, the memory does not
    answer = memory.ask(asked(known), k=3)
    assert answer.abstained
    assert any("No memory bears out" in note for note in answer.notes)


def test_caches_are_moved_only_where_the_settings_allow_it(tmp_path, taught_folder, taught_world, facts, asked):
    for composition, hows in (
        ("exact", {"prefix", "text"}),
        ("repair", {"prefix", "composed"}),
        ("blend", {"composed"}),
    ):
        settings = Settings(embedder="hashing", model=f"local:{taught_folder}", care_every=0, composition=composition)
        with Memory(tmp_path / f"{composition}.rem", settings) as memory:
            ids = memory.add([taught_world.statement(fact) for fact in facts])
            memory.forms.derive(ids, layout="isolated")
            used = memory.ask(asked(facts[3]), k=3).forms
            assert {one.how for one in used} <= hows | {"composed"} if composition != "exact" else hows
            assert any(not one.exact for one in used) == (composition != "exact")


def test_a_correction_makes_the_cache_stale_and_it_is_used_no_more(memory, ids, facts, asked):
    cache = memory.forms.derive(ids[0])
    memory.correct(ids[0], f"{facts[0].subject} lives in Graz.")
    with pytest.raises(StaleError, match="archived"):
        memory.forms.path(cache)
    assert memory.forms.list() == []
    assert not list(memory._store.payloads.folder.iterdir())
    answer = memory.ask(asked(facts[0]), session=facts[0].value)
    assert "Graz" in answer.text
    assert {one.how for one in answer.forms} == {"text"}


def test_forgetting_a_source_erases_the_cache_and_the_receipt_says_so(memory, ids):
    kept, gone = memory.forms.derive(ids[4:]), memory.forms.derive(ids[:2])
    path = memory.forms.path(gone)
    receipt = memory.forget(ids[0])
    assert set(receipt.ids) == {ids[0], gone.id}
    assert not path.exists()
    assert [one.id for one in memory.forms.list()] == [kept.id]
    assert {one.form: (one.mode, one.copies) for one in receipt.forms} == {
        "text": ("exact", 1),
        "activation": ("exact", 1),
    }
    [files] = [one for one in receipt.substrates if one.kind == "files of caches and adapters"]
    assert (files.before, files.after, files.verdict) == (1, 0, "PASS")
    assert receipt.grade == "E"
    assert memory.receipts.verify(receipt.id).ok
    assert "activation: exact" in receipt.text()
    assert "Form by form" in receipt.page()


def test_eviction_keeps_the_memories(memory, ids):
    cache = memory.forms.derive(ids)
    gone = memory.forms.evict(cache, "not needed")
    assert gone.state is State.ARCHIVED
    assert memory.forms.usage().size == 0
    assert len(memory.list()) == len(ids)
    assert memory.lifecycle.events(cache.id)[-1].reason == "not needed"
    with pytest.raises(TransitionError, match="its file is gone"):
        memory.lifecycle.restore(cache.id)


@pytest.mark.parametrize("other", [{"space": "b"}, {"user": "ben"}, {"sensitivity": "health"}, {"access": ["ana"]}])
def test_what_differs_in_who_may_see_it_is_not_put_into_one_cache(memory, ids, other):
    [stranger] = memory.add("Something else.", **other)
    with pytest.raises(InputError, match="differ"):
        memory.forms.derive([ids[0], stranger])


def test_a_cache_is_as_guarded_as_what_it_was_made_of(memory, ids):
    [secret] = memory.add("A matter of health.", sensitivity="health")
    cache = memory.forms.derive(secret)
    assert cache.policy.sensitivity == "health"
    memory.access.grant("ben", "writer", space="default")
    ben = memory.acting_as("ben")
    assert ben.forms.list() == []
    with pytest.raises(UnknownCubeError):
        ben.forms.path(cache.id)
    memory.access.grant("eve", "reader", space="default")
    with pytest.raises(AccessDeniedError):
        memory.acting_as("eve").forms.derive(ids[0])


def test_bad_input_is_named(memory, ids, tmp_path):
    with pytest.raises(InputError, match="form is 'text'"):
        memory.forms.derive(ids, form="text")
    with pytest.raises(InputError, match="form is 'gas'"):
        memory.forms.derive(ids, form="gas")
    with pytest.raises(InputError, match="No memory"):
        memory.forms.derive([])
    with pytest.raises(UnknownCubeError):
        memory.forms.derive("nobody")
    cache = memory.forms.derive(ids[0])
    with pytest.raises(InputError, match="no text but"):
        memory.forms.derive(cache.id)
    with pytest.raises(InputError, match="is a text"):
        memory.forms.evict(ids[0])
    with pytest.raises(InputError, match="cache or an adapter"):
        memory.correct(cache.id, "something")
    with Memory(tmp_path / "none.rem", Settings(embedder="hashing", care_every=0)) as other:
        [one] = other.add("a text")
        with pytest.raises(NoModelError, match="local:FOLDER"):
            other.forms.derive(one)
        with pytest.raises(NoModelError, match="local"):
            other.ask("what?", method="local")


def test_a_quota_that_is_too_small_keeps_nothing(tmp_path, taught_folder):
    settings = Settings(embedder="hashing", model=f"local:{taught_folder}", care_every=0, payload_quota=100)
    with Memory(tmp_path / "q.rem", settings) as memory:
        [one] = memory.add("Ana lives in Lisbon.")
        with pytest.raises(QuotaError, match="quota of 100"):
            memory.forms.derive(one)
        assert memory.forms.list() == []
        assert not list(memory._store.payloads.folder.iterdir())


def test_a_damaged_file_is_not_used_and_a_note_says_so(memory, ids, facts, asked):
    cache = memory.forms.derive(ids[0])
    path = memory.forms.path(cache)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    answer = memory.ask(asked(facts[0]), session=facts[0].value)
    assert facts[0].value in answer.text
    assert any("A cache was not used" in note for note in answer.notes)
    assert not memory.verify().ok
