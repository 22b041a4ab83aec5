"""`remanence schedule`."""

from __future__ import annotations

import json

import pytest

from remanence import Memory, Settings

pytest.importorskip("torch", reason="needs the extra `local`")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A model without knowledge in a folder."""
    import torch

    from remanence.models.local import nano, tokenizing

    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("nano")
    nano.new(nano.NanoSpec(depth=2, width=32, heads=2, kv_heads=1, vocab=300, context=2048)).save_pretrained(place)
    tokenizing.byte_tokenizer().save_pretrained(place)
    return place


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REMANENCE_EMBEDDER", "hashing")
    monkeypatch.setenv("REMANENCE_MODEL", f"local:{folder}")
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.delenv("REMANENCE_STORE", raising=False)
    return tmp_path


@pytest.fixture
def busy(run, place):
    """A memory that is read often, on a machine on which computing is dear. Its id."""
    [one] = run("add", "The kettle is kept on the shelf by the window of the red house.")[1]["ids"]
    machine = run("schedule", "measure")[1]
    with Memory(place / "memory.rem", Settings(embedder="hashing")) as memory:
        dear = machine | {"prefill": 1e-3, "quadratic": 0.0, "opening": 1e-4, "load": 1e-10}
        memory._store.set_note(f"cost/{machine['model']}/{machine['name']}", json.dumps(dear))
        for _ in range(40):
            memory._store.payloads.read([one])
    return one


def test_explain_run_jobs_and_undo(run, said, busy):
    code, found = run("schedule", "explain")
    assert code == 0
    [choice] = found["choices"]
    assert (choice["ids"], choice["from"], choice["action"]) == ([busy], "text", "derive activation")
    assert choice["forms"]["text"]["seconds_per_day"] > choice["forms"]["activation"]["seconds_per_day"]
    out = said("schedule", "explain")[1]
    assert "derive activation" in out
    assert "a cache pays from" in out
    out = said("schedule", "run", "--dry-run")[1]
    assert out.startswith(f"would derive activation: {busy}: 40 reads a day")
    assert run("schedule", "jobs")[1] == {"jobs": []}
    code, done = run("schedule", "run")
    assert (code, [one["state"] for one in done["jobs"]], done["finished"]) == (0, ["done"], True)
    assert said("schedule", "run")[1] == "Nothing is to be moved.\n"
    assert "1. " in said("schedule", "jobs", "--state", "done")[1]
    code, undone = run("schedule", "undo", "1")
    assert (code, undone["state"], undone["artefact"]) == (0, "undone", done["jobs"][0]["artefact"])
    assert said("schedule", "jobs", "--state", "waiting")[1] == "There are no jobs.\n"


def test_a_failed_job_ends_with_1(run, said, busy, place):
    (place / "memory.rem.payloads").rmdir()
    (place / "memory.rem.payloads").write_text("a file in its place")
    code, out, _ = said("schedule", "run")
    assert code == 1
    assert "StoreUnwritableError" in out


def test_the_terms_of_the_options_count(run, busy):
    assert run("schedule", "explain", "--rent", "1")[1]["choices"][0]["action"] == "stay"
    assert run("schedule", "explain", "--horizon", "60")[1]["terms"]["horizon"] == 60
    assert run("schedule", "explain", "--horizon", "-1")[0] == 2


def test_nothing_read_and_measures(run, said):
    run("add", "Ana lives in Lisbon.")
    assert "stays text" in said("schedule", "explain")[1]
    assert said("schedule", "run", "--dry-run")[1] == "Nothing is to be moved.\n"
    assert "µs a token" in said("schedule", "measure")[1]


def test_what_is_asked_wrongly_is_told(run, monkeypatch):
    run("add", "Ana lives in Lisbon.")
    for wrong in (
        ["undo"],
        ["run", "3"],
        ["jobs", "--state", "lost"],
        ["undo", "3"],
        ["explain", "--space", "nowhere"],
    ):
        assert run("schedule", *wrong)[0] == 2
    monkeypatch.delenv("REMANENCE_MODEL")
    assert run("schedule", "explain")[1]["error"] == "NoModelError"
