"""`remanence audit`."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from remanence.governance.audit import from_json, holds


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REMANENCE_EMBEDDER", "none")
    monkeypatch.setenv("REMANENCE_SIGNING_KEY", str(tmp_path / "keys" / "signing.pem"))


@pytest.fixture
def stored(run):
    for text in ("The kiln came in June.", "The glaze is blue."):
        assert run("add", text)[0] == 0


def edit(statement: str) -> None:
    with closing(sqlite3.connect("memory.rem")) as connection, connection:
        assert connection.execute(statement).rowcount == 1


def test_from_a_key_to_a_file_without_the_store(run, stored, tmp_path):
    code, key = run("audit", "key", "audit-key.pub")
    assert code == 0
    assert (tmp_path / "audit-key.pub").read_text().startswith("-----BEGIN PUBLIC KEY-----")
    code, made = run("audit", "checkpoint", "anchor.json")
    assert code == 0
    assert holds(from_json(made))
    assert made["public"] == key["public"]
    assert made["statement"]["key"] == key["fingerprint"]
    run("add", "One more.")
    code, found = run("audit", "verify", "--key", "audit-key.pub", "--anchor", "anchor.json")
    assert code == 0
    assert (found["ok"], found["entries"], found["signed"], found["unsigned"]) == (True, 3, 2, 1)
    assert found["last"] == made
    code, done = run("audit", "export", "audit.jsonl")
    assert code == 0
    assert done == {"path": "audit.jsonl", "first": 1, "last": 3, "entries": 3, "checkpoints": 1, "unsigned": 1}
    (tmp_path / "memory.rem").unlink()
    code, found = run("audit", "verify", "audit.jsonl", "--key", key["public"], "--anchor", "anchor.json")
    assert code == 0
    assert found["ok"]


def test_the_key_needs_no_store(run, tmp_path):
    code, key = run("audit", "key")
    assert code == 0
    assert len(bytes.fromhex(key["public"])) == 32
    assert run("audit", "key") == (code, key)
    assert not (tmp_path / "memory.rem").exists()


def test_a_store_that_does_not_hold_exits_with_1(run, said, stored):
    run("audit", "checkpoint")
    edit("UPDATE journal SET at = '2001' WHERE entry = 2")
    code, found = run("audit", "verify")
    assert code == 1
    assert found["problems"] == ["entry 2 was changed, or does not follow from the one before"]
    code, out, _ = said("audit", "verify")
    assert code == 1
    assert "problem: entry 2 was changed" in out


def test_an_export_that_does_not_hold_exits_with_1(run, stored, tmp_path):
    run("audit", "checkpoint")
    run("audit", "export", "audit.jsonl")
    data = (tmp_path / "audit.jsonl").read_text()
    (tmp_path / "audit.jsonl").write_text(data.replace('"op":"add"', '"op":"forget"', 1))
    code, found = run("audit", "verify", "audit.jsonl")
    assert code == 1
    assert not found["ok"]


def test_another_key_exits_with_1(run, stored):
    run("audit", "checkpoint")
    code, found = run("audit", "verify", "--key", "00" * 32)
    assert code == 1
    assert "not the expected one" in found["problems"][0]
    [_, key] = run("audit", "key")
    assert run("audit", "verify", "--key", "00" * 32, "--key", key["public"])[0] == 0


def test_what_people_see(said, stored):
    code, out, _ = said("audit", "checkpoint")
    assert code == 0
    assert out.startswith("Entries 1 to 2 are signed: ")
    code, out, _ = said("audit", "verify")
    assert code == 0
    assert "No problems." in out
    assert "signed       2" in out
    code, out, _ = said("audit", "export", "audit.jsonl")
    assert out.startswith("audit.jsonl: entries 1 to 2, 1 checkpoints")
    code, out, _ = said("audit", "key")
    assert len(out) == 65


MISTAKES = {
    "no-action": ["audit"],
    "unknown": ["audit", "burn"],
    "no-file": ["audit", "export"],
    "key-elsewhere": ["audit", "export", "x.jsonl", "--key", "x"],
    "time-elsewhere": ["audit", "verify", "--since", "2024"],
    "no-time": ["audit", "export", "x.jsonl", "--since", "soon"],
    "anchor-missing": ["audit", "verify", "--anchor", "none"],
    "nothing-in-it": ["audit", "export", "x.jsonl", "--until", "1999-01-01"],
    "export-missing": ["audit", "verify", "none.jsonl"],
}


@pytest.mark.parametrize("argv", MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_exit_with_2_and_write_nothing(run, stored, capsys, tmp_path, argv):
    from remanence.cli import main

    assert main([*argv, "--json"]) == 2
    assert '"next_step": "' in capsys.readouterr().out
    assert not (tmp_path / "x.jsonl").exists()


def test_an_export_without_a_file_says_how(stored, capsys):
    from remanence.cli import main

    assert main(["audit", "export"]) == 2
    assert "remanence audit export audit.jsonl" in capsys.readouterr().err


def test_a_key_that_cannot_be_used_exits_with_1(stored, capsys, tmp_path):
    from remanence.cli import main

    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "signing.pem").write_text("hello")
    assert main(["audit", "checkpoint"]) == 1
    assert "can be read by others" in capsys.readouterr().err


def test_an_empty_store_and_none(run, capsys):
    from remanence.cli import main

    assert main(["audit", "verify"]) == 1
    assert "There is no store" in capsys.readouterr().err
