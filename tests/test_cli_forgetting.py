"""`remanence forget` and `remanence receipts`."""

from __future__ import annotations

import io
import json

import pytest

from remanence.governance.signing import SigningKey
from remanence.settings import Settings


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder of its own, and the embedder that needs no weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REMANENCE_EMBEDDER", "hashing")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("REMANENCE_STORE", raising=False)
    return tmp_path


@pytest.fixture
def ids(run):
    """Four memories."""
    told = (
        ("Ana lives in Lisbon.", "ana"),
        ("Ana likes green tea.", "ana"),
        ("Ben is a nurse.", "ben"),
        ("The kiln is hot.", "ben"),
    )
    return [run("add", text, "--user", user, "--source", f"diary of {user}")[1]["ids"][0] for text, user in told]


@pytest.mark.parametrize(
    ("arguments", "left"),
    [(["--query", "ana lisbon"], 3), (["--user", "ana"], 2), (["--source", "diary of ben"], 2), (["--space", "default", "--all-of-space"], 0)],
    ids=["query", "user", "source", "space"],
)  # fmt: skip
def test_what_is_meant_goes(run, ids, arguments, left):
    code, plan = run("forget", *arguments, "--dry-run")
    assert code == 0
    assert (len(plan["memories"]), run("stats")[1]["cubes"]) == (4 - left, 4)
    code, receipt = run("forget", *arguments, "--yes", "--reason", "asked")
    assert (code, receipt["grade"], len(receipt["target"]["record_ids"])) == (0, "E", 4 - left)
    assert receipt["request"]["reason"] == "asked"
    assert run("stats")[1]["cubes"] == left


@pytest.mark.parametrize(
    "arguments",
    [[], ["--all-of-space"], ["--space", "default"], ["--space", "default", "--all-of-space", "--user", "ana"],
     ["--query", "ana", "--user", "ana"], ["--user", "nobody"], ["--query", "ana", "--receipt", "no/such/folder.json"]],
    ids=" ".join,
)  # fmt: skip
def test_what_means_nothing_erases_nothing(said, run, ids, arguments):
    assert said("forget", *arguments, "--yes")[0] == 2
    assert run("stats")[1]["cubes"] == 4


def test_the_plan_is_shown_before_it_asks(said, run, ids, monkeypatch):
    run("pair")
    terminal = io.StringIO("n\n")
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    code, out, err = said("forget", ids[0])
    for words in ("Ana lives in Lisbon.", "goes with it", "question-answer pairs", "Erase 2 for good?"):
        assert words in err, words
    assert (code, run("stats")[1]["versions"]) == (1, run("stats")[1]["versions"])
    assert "Nothing was erased" in out


def test_a_dry_run_is_readable(said, ids):
    code, out, _ = said("forget", ids[0], "--dry-run")
    assert code == 0
    for words in ("Would erase", "Ana lives in Lisbon.", "versions", "not reached", "system backups"):
        assert words in out, words


def test_receipt_and_page_are_written(run, said, ids, place):
    code, receipt = run("forget", ids[0], "--yes", "--receipt", "r.json", "--page", "r.html")
    assert code == 0
    assert json.loads((place / "r.json").read_text()) == receipt
    assert (place / "r.html").read_text().startswith("<!doctype html>")
    assert said("forget", ids[1], "--yes", "--receipt", "r.json")[0] == 2, "nothing is overwritten"
    assert run("get", ids[1])[0] == 0


def test_receipts_are_listed_shown_and_verified(run, said, ids, place):
    receipt = run("forget", ids[0], "--yes", "--receipt", "r.json")[1]
    assert [one["id"] for one in run("receipts")[1]["receipts"]] == [receipt["id"]]
    assert receipt["id"] in said("receipts", "list")[1]
    assert run("receipts", "show", receipt["id"])[1] == receipt
    assert "grade E" in said("receipts", "show", receipt["id"], "--page", "again.html")[1]
    assert (place / "again.html").exists()
    for what in (receipt["id"], "r.json"):
        code, found = run("receipts", "verify", what)
        assert (code, found["ok"]) == (0, True), found
    assert said("receipts", "show")[0] == 2
    assert said("receipts", "show", "no-such-id")[0] == 1


def test_a_receipt_is_verified_where_there_is_no_store(run, said, ids, place):
    run("forget", ids[0], "--yes", "--receipt", "r.json")
    key = SigningKey.open(Settings.from_environment().signing_key).public.hex()
    assert said("--store", "none.rem", "receipts", "verify", "r.json", "--key", key)[0] == 0
    text = (place / "r.json").read_text()
    (place / "r.json").write_text(text.replace('"exact":true', '"exact":false'))
    code, out, _ = said("--store", "none.rem", "receipts", "verify", "r.json", "--key", key)
    assert code == 1
    assert "FAILS" in out


def test_without_tombstones(run, ids):
    receipt = run("forget", ids[0], "--yes", "--no-tombstone")[1]
    assert receipt["target"]["keyed_digests"] == []
    assert run("add", "Ana lives in Lisbon.")[0] == 0
    run("forget", ids[1], "--yes")
    assert run("add", "Ana likes green tea.")[0] == 2


def test_one_file_cannot_be_receipt_and_page(run, said, ids, place):
    code, answer = run("forget", ids[0], "--yes", "--receipt", "r.json", "--page", "./r.json")
    assert (code, answer["error"]) == (2, "InputError")
    assert run("get", ids[0])[0] == 0, "nothing was erased"
    assert not (place / "r.json").exists()


def test_what_was_forgotten_is_learned_again_on_purpose(run, ids):
    text = run("get", ids[0])[1]["text"]
    run("forget", ids[0], "--yes")
    code, answer = run("add", text)
    assert (code, answer["error"]) == (2, "ForgottenError")
    assert "--relearn" in answer["next_step"]
    assert run("add", text, "--relearn")[0] == 0


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_file_that_is_no_receipt_is_told_in_words(run, place, text):
    (place / "r.json").write_text(text, encoding="utf-8")
    _, answer = run("receipts", "verify", "r.json")
    assert answer["error"] == "ReceiptError"
    assert "Error(" not in answer["what"]


def test_a_list_of_receipts_takes_nothing_more(run, ids):
    assert run("receipts", "list", "r.json")[1]["error"] == "InputError"
