"""States, policies and time travel on the command line."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder of its own, and the embedder that needs no weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REMANENCE_EMBEDDER", "hashing")
    monkeypatch.setenv("REMANENCE_CARE_EVERY", "0")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("REMANENCE_STORE", raising=False)


@pytest.fixture
def cube(run):
    """The id of a memory in the default store."""
    _, added = run("add", "Ana lives in Rome.")
    return added["ids"][0]


def test_state_and_events(run, said, cube):
    assert run("state", "archive", cube, "--reason", "moved")[1]["memories"][0]["state"] == "archived"
    assert run("recall", "Where does Ana live?")[1]["hits"] == []
    assert [one["id"] for one in run("states", "archived")[1]["memories"]] == [cube]
    assert said("state", "restore", cube) == (0, f"{cube} is active, version 2\n", "")
    events = run("events", cube)[1]["events"]
    assert [(one["was"], one["became"], one["reason"], one["by"]) for one in events] == [
        ("active", "archived", "moved", "owner"), ("archived", "active", "restored", "owner"),
    ]  # fmt: skip
    code, out, _ = said("events", cube)
    assert code == 0
    assert "moved" in out


def test_a_frozen_memory_says_the_next_step(run, cube):
    run("state", "freeze", cube)
    code, error = run("correct", cube, "Ana lives in Oslo.")
    assert (code, error["error"]) == (2, "FrozenError")
    assert "unfreeze" in error["next_step"]


def test_govern(run, said, cube):
    _, answer = run("govern", cube, "--ttl", "60", "--sensitivity", "home", "--trigger", "address", "--priority", "2")
    policy = answer["cube"]["policy"]
    assert (policy["sensitivity"], policy["priority"], policy["trigger"]) == ("home", 2.0, {"words": ["address"]})
    assert run("govern", cube, "--clear", "ttl", "--clear", "trigger")[1]["cube"]["policy"].keys() == {
        "sensitivity",
        "priority",
    }
    assert said("govern", cube, "--trust", "web")[1].startswith("trust: web\n")
    assert run("govern", cube)[0] == 2


def test_diff_and_rollback(run, said, cube):
    before = run("get", cube)[1]["recorded_at"]
    run("correct", cube, "Ana lives in Oslo.")
    run("add", "Bob lives in Bergen.")
    code, out, _ = said("diff", before)
    assert (code, out) == (0, "+ Bob lives in Bergen.\n- Ana lives in Rome.\n+ Ana lives in Oslo.\n")
    found = run("recall", "Where does Ana live?", "--known-at", before)[1]["hits"]
    assert [hit["cube"]["text"] for hit in found] == ["Ana lives in Rome."]
    done = run("rollback", before)[1]
    assert (done["reverted"], len(done["put_away"]), done["skipped"]) == ([cube], 1, {})
    assert run("rollback", "2999-01-01")[0] == 2


def test_care(run, said, cube):
    run("govern", cube, "--expires-at", "2020-01-01")
    assert run("care")[1] == {"expired": [cube], "faded": []}
    assert said("care") == (0, "0 expired, 0 faded\n", "")


def test_a_memory_is_governed_from_the_beginning(run):
    options = (
        "--kind", "preference", "--trigger", "invoice", "--trigger", "bill", "--trust", "user", "--sensitivity", "money",
        "--access", "bot", "--ttl", "60", "--priority", "2", "--half-life", "3", "--valid-from", "2024-01-01",
        "--valid-to", "2099-01-01",
    )  # fmt: skip
    _, added = run("add", "Ask Rui first.", *options)
    cube = run("get", added["ids"][0])[1]
    policy = cube["policy"]
    assert policy.pop("expires_at") > "2026"
    assert policy == {
        "trust": "user", "sensitivity": "money", "access": ["bot"], "priority": 2, "half_life": 3,
        "trigger": {"words": ["invoice", "bill"]},
    }  # fmt: skip
    assert (cube["kind"], cube["valid_from"][:10], cube["valid_to"][:10]) == ("preference", "2024-01-01", "2099-01-01")
    assert [one["text"] for one in run("ask", "Shall I pay the bill?")[1]["standing"]] == ["Ask Rui first."]
