"""The commands of consolidation, as a user meets them."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REMANENCE_EMBEDDER", "hashing")
    for name in ("REMANENCE_STORE", "REMANENCE_MODEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def filled(run):
    for text, day in (
        ("I live in Rome.", "2019-01-01"),
        ("I live in Rome!", "2019-02-01"),
        ("I moved to Oslo.", "2024-01-01"),
    ):
        run("add", text, "--user", "ana", "--name", "Ana", "--time", day)


@pytest.mark.usefixtures("filled")
def test_a_dry_run_then_a_run_then_nothing(run, said):
    code, answer = run("consolidate", "--dry-run")
    assert (code, len(answer["due"]), answer["made"]) == (0, 3, {})
    code, out, _ = said("consolidate", "--dry-run", "--what", "merge")
    assert (code, out) == (0, "3 memories looked at.\nwould do: merge 2 memories: I live in Rome.\n")
    code, answer = run("consolidate")
    assert (code, answer["made"], answer["merged"]) == (0, {"merge": 1, "chain": 1, "profile": 1}, 2)
    code, out, _ = said("consolidate")
    assert (code, out) == (0, "4 memories looked at.\nMade nothing; put away nothing.\n")


@pytest.mark.usefixtures("filled")
def test_profiles_are_shown(run, said):
    code, out, _ = said("profile", "--user", "ana")
    assert (code, out) == (0, "There is no profile. Make them: remanence consolidate\n")
    run("consolidate")
    code, answer = run("profile", "--user", "ana")
    assert [one["text"] for one in answer["profiles"]] == ["ana:\n- lives in: Oslo (since 2024-01-01)"]
    code, out, _ = said("profile")
    assert code == 0
    assert "- lives in: Oslo" in out
    assert run("profile", "--user", "bob") == (0, {"profiles": []})


@pytest.mark.usefixtures("filled")
def test_what_is_asked_wrongly_is_told(run):
    assert run("consolidate", "--model")[0] == 1
    assert run("consolidate", "--what", "everything")[0] == 2
    assert run("consolidate", "--space", "nowhere")[0] == 2
