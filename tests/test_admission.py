"""Trials, promotions, the canary and rollbacks, through the front door."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import pytest

from remanence.admission import Admission
from remanence.cubes import Extraction
from remanence.errors import AdmissionError, InputError, NotFoundError
from remanence.governance.admission import Change, Thresholds
from remanence.models.scripted import ScriptedModel
from remanence.recall.gate import DEFAULT
from remanence.recall.profile import Profile
from remanence.write.openie import write_extractions

NAMES = ["Ana", "Bob", "Cid", "Dora", "Eva", "Fay", "Gus", "Hal", "Ida", "Jon"]
TOWNS = ["Lisbon", "Porto", "Rome", "Oslo", "Bern", "Kiel", "Cork", "Gent", "Riga", "Bari"]
LOOSE = Thresholds(max_latency_ratio=None, max_abstained=None, citation_coverage=None, max_drop=0.05)
NEVER = {"graph": dict(DEFAULT.graph), "nothing": {"bias": 20.0}}
"""A gate that looks nothing up."""
CHEAP = {"graph": {"bias": -9.0}, "nothing": {"bias": -20.0}}


@pytest.fixture
def memory(opened):
    found = opened()
    found.add([f"{name} lives in the town of {town}." for name, town in zip(NAMES, TOWNS, strict=True)])
    return found


def probes_of(memory):
    return [
        {"question": f"In which town does {cube.text.split()[0]} live?", "gold": [cube.id]}
        for cube in memory.list() if "town" in cube.text
    ]  # fmt: skip


def tried(memory, kind, what, thresholds=LOOSE):
    return memory.admission.propose(Change(kind, what), probes_of(memory), thresholds)


def shown(memory):
    return [hit.cube.id for hit in memory.recall("In which town does Ana live?")]


# ── proposals ──


def test_a_trial_changes_nothing_and_leaves_a_record(memory, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before, entries = shown(memory), memory.stats().entries
    trial = tried(memory, "profile", {"words": 0.0, "meaning": -3.0, "alone": -3.0})
    assert (trial.status, trial.figures.probes) == ("rejected", 10)
    assert any("recall" in reason for reason in trial.reasons)
    assert shown(memory) == before
    assert memory.admission.list() == [trial]
    assert memory.admission.show(trial.id) == trial
    assert memory.stats().entries == entries + 1, "journaled"
    assert trial.steps[0]["step"] == "proposed"
    assert trial.steps[0]["by"] == "owner"
    assert not list(tmp_path.glob("remanence-trial-*")), "the copy is gone"
    assert memory.verify().ok


def test_the_copy_is_gone_after_an_interruption_too(memory, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def stop(done, total):
        assert list(tmp_path.glob("remanence-trial-*/trial.rem"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        memory.admission.propose(Change("profile", {"words": 2.0}), probes_of(memory), LOOSE, progress=stop)
    assert not list(tmp_path.glob("remanence-trial-*"))
    assert memory.admission.list() == []


def test_recorded_questions_are_asked_too(opened):
    memory = opened(record_questions="on")
    memory.add("Ana lives in Lisbon.")
    for _ in range(2):
        memory.recall("Where does Ana live?", user=None, current=True)
        memory.ask("Where does Ana live?")
    memory.recall("Where does Bob live?", kinds=["message"], since="2020-01-01")
    recorded = memory._store.trusted.questions("default", 10)
    assert [(one.question, one.filters) for one in recorded] == [
        ("Where does Bob live?", {"kinds": ["message"], "since": "2020-01-01T00:00:00"}),
        ("Where does Ana live?", {"current": True}),
    ]
    assert len(recorded[1].ids) == 1
    trial = memory.admission.propose(Change("profile", {"words": 2.0}), (), LOOSE)
    assert (trial.figures.questions, trial.figures.probes, trial.status) == (2, 0, "passed")
    assert len(memory._store.trusted.questions("default", 10)) == 2, "a trial records nothing"


def test_a_question_that_serves_another_is_not_recorded(opened):
    memory = opened(record_questions="on")
    memory.add({"content": "Bob was born in Tartu.", "source": "https://a.example", "role": "document"})
    memory.pair()
    memory.ask("Where was Bob born?")
    with memory._store.connections.read() as connection:
        assert connection.execute("SELECT count(*) FROM questions").fetchone() == (1,)


def test_nothing_is_recorded_unless_asked_for(memory):
    memory.recall("Where does Ana live?")
    assert memory._store.trusted.questions("default", 10) == []
    assert "no question" in memory.admission.propose(Change("profile", {"words": 2.0})).reasons[0]


@pytest.mark.parametrize(
    ("kind", "what", "word"),
    [
        ("profile", {"colour": 1}, "colour"),
        ("profile", {"words": "much"}, "words"),
        ("profile", {"pool": 1.5}, "pool"),
        ("gate", {"graph": {"bias": "x"}}, "gate"),
        ("embedder", {}, "setting"),
        ("embedder", {"store": "x"}, "store"),
        ("policy", {"corroborate": "everybody"}, "corroborate"),
        ("extractor", {"file": "x"}, "file"),
        ("summary", {"colour": 1}, "colour"),
        ("summary", {"limits": {"colour": 1}}, "colour"),
    ],
)
def test_what_is_no_change_is_refused(memory, kind, what, word):
    with pytest.raises(InputError, match=word):
        tried(memory, kind, what)
    assert memory.admission.list() == []


@pytest.mark.parametrize(
    "probe",
    [{"question": "x"}, {"question": "x", "gold": []}, {"question": 1, "gold": ["a"]}, {"question": "x", "gold": "a"}],
)
def test_what_is_no_probe_is_refused(memory, probe):
    with pytest.raises(InputError, match="probe"):
        memory.admission.propose(Change("profile", {"words": 2.0}), [probe])


def test_a_file_of_probes(memory, tmp_path):
    path = tmp_path / "probes.jsonl"
    path.write_text("\n".join(map(json.dumps, probes_of(memory))))
    assert memory.admission.propose(Change("profile", {"words": 0.9}), path, LOOSE).figures.probes == 10


# ── promotions ──


def test_a_profile_is_used_from_then_on_and_by_the_next_process(memory, opened):
    trial = tried(memory, "profile", {"words": 0.9})
    assert trial.status == "passed"
    promoted = memory.admission.promote(trial.id)
    assert promoted.status == "promoted"
    assert memory._rooms.recall._profile == Profile(words=0.9)
    memory.close()
    again = opened()
    assert again._rooms.recall._profile == Profile(words=0.9)
    with pytest.raises(AdmissionError, match="live already"):
        again.admission.promote(trial.id)
    back = again.admission.rollback(trial.id, "no gain")
    assert back.status == "rolled back"
    assert [step["step"] for step in back.steps] == ["proposed", "promoted", "rolled back"]
    assert again._rooms.recall._profile == Profile()
    with pytest.raises(AdmissionError, match="not live"):
        again.admission.rollback(trial.id)
    assert again.verify().ok


def test_a_profile_of_ones_own_counts_more(tmp_path):
    from remanence import Memory
    from remanence.settings import Settings

    with Memory(tmp_path / "own.rem", Settings(embedder="none"), profile=Profile(words=3.0)) as memory:
        memory.add("Ana lives in Lisbon.")
        with pytest.raises(AdmissionError, match="of its own"):
            memory.admission.propose(Change("profile", {"words": 2.0}))


def test_what_was_rejected_goes_live_by_force_only(memory):
    trial = tried(memory, "gate", NEVER)
    assert trial.status == "rejected"
    with pytest.raises(AdmissionError, match="rejected"):
        memory.admission.promote(trial.id)
    assert shown(memory)
    forced = memory.admission.promote(trial.id, force=True)
    assert forced.steps[-1]["forced"] is True
    assert shown(memory) == []
    memory.admission.rollback(trial.id)
    assert shown(memory)


def test_a_gate_gives_back_the_one_that_was_fitted_before(memory):
    fitted = json.dumps(asdict(DEFAULT))
    memory._store.set_note("gate/default", fitted)
    trial = memory.admission.promote(tried(memory, "gate", CHEAP).id)
    assert json.loads(memory._store.note("gate/default")) == CHEAP
    memory.admission.rollback(trial.id)
    assert memory._store.note("gate/default") == fitted


def test_an_embedder_is_a_reindex_and_the_store_remembers_it(memory, opened):
    before = memory.stats().embedder
    trial = memory.admission.promote(tried(memory, "embedder", {"embedder": "none"}).id)
    assert memory.stats().without_vector == 10
    memory.close()
    again = opened()  # with the settings of before
    assert again.recall("In which town does Ana live?")
    again.admission.rollback(trial.id)
    assert again.stats().embedder == before
    assert again.stats().without_vector == 0
    assert again.verify().ok


def test_settings_of_later_count_more(memory, opened):
    memory.admission.promote(tried(memory, "policy", {"corroborate": ""}).id)
    assert memory._rooms.settings.corroborate == ""
    memory.close()
    assert opened()._rooms.settings.corroborate == ""
    assert opened(corroborate="unknown")._rooms.settings.corroborate == "unknown"


def test_an_extractor_is_tried_on_a_copy_and_undone(memory, tmp_path):
    cubes, path = list(memory.list()), tmp_path / "read.jsonl"
    write_extractions(
        path, cubes, [Extraction(entities=("Tejo",), statements=(f"Statement on {cube.text}",)) for cube in cubes]
    )
    trial = tried(memory, "extractor", {"path": str(path)})
    assert trial.status == "passed", trial.reasons
    assert memory._store.derived.readings(None) == {}
    trial = memory.admission.promote(trial.id)
    assert trial.restore["read"] == 10
    assert len(memory._store.derived.readings(None)) == 10
    memory.admission.rollback(trial.id)
    assert all(not any(asdict(content).values()) for _, content in memory._store.derived.readings(None).values())
    assert memory.verify().ok


def test_an_extractor_needs_a_file_or_a_model(memory):
    with pytest.raises(AdmissionError, match="no extractor"):
        tried(memory, "extractor", {})


def test_summaries_are_tried_on_a_copy_and_put_away(opened):
    memory = opened()
    said = [
        {
            "content": f"I saw {name} in {town}, and we had a long walk by the river there.",
            "name": "Eva",
            "session": "s",
        }
        for name, town in zip(NAMES, TOWNS, strict=True)
    ]
    memory.add(said)
    twice = (("2024-03-01", "I like chess!"), ("2024-02-01", "I really like chess."))
    memory.add([{"name": "Eva", "time": day, "content": text} for day, text in twice])
    cubes = {cube.id for cube in memory.list()}
    what = {"limits": {"session_memories": 3, "characters": 140}, "what": ["merge", "sessions"]}
    probe = {"question": "Where did Eva see Bob?", "gold": [memory.list()[1].id]}
    trial = memory.admission.propose(Change("summary", what), [probe], LOOSE)
    assert trial.status == "passed", trial.reasons
    assert {cube.id for cube in memory.list()} == cubes
    trial = memory.admission.promote(trial.id)
    assert len(trial.restore["ids"]) >= 2
    assert {cube.id for cube in memory.list()} != cubes
    memory.admission.rollback(trial.id)
    assert {cube.id for cube in memory.list()} == cubes
    assert memory.verify().ok


def test_a_later_change_has_to_go_first(memory):
    first = memory.admission.promote(tried(memory, "profile", {"words": 0.9}).id)
    second = memory.admission.promote(tried(memory, "profile", {"words": 0.8}).id)
    with pytest.raises(AdmissionError, match="later change"):
        memory.admission.rollback(first.id)
    memory.admission.rollback(second.id)
    assert memory._rooms.recall._profile == Profile(words=0.9)
    memory.admission.rollback(first.id)
    assert memory._rooms.recall._profile == Profile()


def test_a_change_in_force_is_none(memory):
    memory.admission.promote(tried(memory, "profile", {"words": 0.9}).id)
    with pytest.raises(AdmissionError, match="in force"):
        tried(memory, "profile", {"words": 0.9})


def test_a_promotion_that_was_cut_off_goes_on(memory, monkeypatch):
    trial = tried(memory, "embedder", {"embedder": "none"})
    with monkeypatch.context() as patch:
        patch.setattr("remanence.encoding.Encoding.reindex", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            memory.admission.promote(trial.id)
    assert memory.admission.show(trial.id).restore["unfinished"]
    memory.admission.promote(trial.id)
    assert memory.stats().without_vector == 10
    assert not memory.admission.show(trial.id).restore["unfinished"]


# ── the canary ──


def test_the_watch_lets_be_what_holds_and_rolls_back_what_does_not(memory):
    trial = memory.admission.promote(tried(memory, "profile", {"words": 0.9}).id)
    [watched] = memory.admission.watch()
    assert (watched.reasons, watched.trial.status) == ((), "promoted")
    assert watched.trial.steps[-1]["step"] == "watched"
    memory.add(
        [
            f"In which town does {name} live, {n} people wonder: does {name} live in a town?"
            for n in range(11)
            for name in NAMES
        ]
    )
    [watched] = memory.admission.watch()
    assert watched.reasons
    assert watched.trial.status == "rolled back"
    assert memory.admission.show(trial.id).steps[-1]["reason"].startswith("watch:")
    assert memory._rooms.recall._profile == Profile()
    assert memory.admission.watch() == []


def test_probes_that_were_forgotten_or_corrected_away_are_left_out(memory):
    memory.admission.promote(tried(memory, "profile", {"words": 0.9}).id)
    for cube in memory.list():
        memory.lifecycle.archive(cube.id, "old")
    assert memory.admission.watch() == []


def test_unknown_trials_and_spaces(memory):
    for call in (memory.admission.show, memory.admission.promote, memory.admission.rollback):
        with pytest.raises(AdmissionError, match="no trial"):
            call("nowhere")
    with pytest.raises(NotFoundError):
        memory.admission.propose(Change("profile", {"words": 2.0}), space="nowhere")


def test_the_front_door_is_small(memory):
    assert isinstance(memory.admission, Admission)
    assert Path(memory.stats().location).exists()


def test_a_model_that_fails_to_read_fails_the_trial_and_nothing_else(opened):
    from remanence import Memory
    from remanence.settings import Settings

    with Memory(":memory:", Settings(embedder="none"), model=ScriptedModel([])) as memory:
        [one] = memory.add("Ana lives in the town of Lisbon.")
        with pytest.raises(AdmissionError, match="could not be read"):
            memory.admission.propose(Change("extractor", {}), [{"question": "Where does Ana live?", "gold": [one]}])
        assert memory.admission.list() == []
        assert memory.recall("Where does Ana live?")
