"""The command line: in process through `main`, and as a real program where pipes, signals and terminals matter."""

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from remanence import Memory, Settings
from remanence.cli import COMMANDS, main

PROGRAM = [sys.executable, "-m", "remanence"]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder of its own, and the embedder that needs no weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REMANENCE_EMBEDDER", "hashing")
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("NO_COLOR", "FORCE_COLOR", "REMANENCE_STORE", "PYTHONUNBUFFERED"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def ids(run):
    """Three memories."""
    return [
        run("add", text, "--name", who, "--time", when, "--session", "s1")[1]["ids"][0]
        for text, who, when in (
            ("The office moved to Lisbon.", "Ana", "2024-05-08"),
            ("Rui bought a green bicycle.", "Rui", "2024-05-09T10:30:00"),
            ("The kiln broke on Friday.", "Ana", "2024-06-01"),
        )
    ]


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_text_is_added_with_all_that_is_known_of_it(run):
    code, answer = run(
        "add", "Tea at five.", "--role", "assistant", "--name", "Ada", "--time", "2024-05-08T13:56", "--title", "tea",
        "--source", "diary", "--meta", "page=5", "--meta", "mood=good", "--meta", 'id="7"', "--user", "u", "--agent", "a",
        "--session", "s", "--space", "home",
    )  # fmt: skip
    assert code == 0
    _, cube = run("get", answer["ids"][0])
    assert {name: cube[name] for name in ("text", "role", "author", "observed_at", "about", "source")} == {
        "text": "Tea at five.", "role": "assistant", "author": "Ada", "observed_at": "2024-05-08T13:56:00",
        "about": "tea", "source": "diary",
    }  # fmt: skip
    assert cube["meta"] == {"page": 5, "mood": "good", "id": "7"}
    assert [cube[name] for name in ("space", "user", "agent", "session")] == ["home", "u", "a", "s"]


def test_add_prints_only_ids(said):
    code, out, err = said("add", "One.")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"[0-9a-f-]{36}\n", out)


def test_text_comes_from_standard_input(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("Grüße\nan alle\n".encode())))
    _, answer = run("add", "-")
    assert run("get", answer["ids"][0])[1]["text"] == "Grüße\nan alle"


def test_standard_input_has_to_be_utf_8(said, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe")))
    code, out, err = said("add", "-")
    assert (code, out) == (2, "")
    assert err.startswith("error: Standard input is not UTF-8")


def test_messages_come_from_json_lines(run, place):
    lines = ['{"content": "Hello\u2028there.", "name": "Ana"}', "", '"Just a text."']
    (place / "chat.jsonl").write_text("\n".join(lines), encoding="utf-8")
    code, answer = run("add", "--jsonl", "chat.jsonl")
    assert code == 0
    assert len(answer["ids"]) == 2
    assert run("add", "--jsonl", "chat.jsonl")[1] == answer


def test_a_broken_line_is_named(said, place):
    (place / "chat.jsonl").write_text('"fine"\n{broken')
    code, _, err = said("add", "--jsonl", "chat.jsonl")
    assert code == 2
    assert "chat.jsonl, line 2 is not JSON" in err
    assert not (place / "memory.rem").exists()


def test_an_idempotency_key_is_held_to_its_content(run):
    first = run("add", "One.", "--key", "k")
    assert run("add", "One.", "--key", "k") == first
    code, answer = run("add", "Two.", "--key", "k")
    assert (code, answer["error"]) == (2, "IdempotencyConflictError")


def test_ingest_counts_what_is_new(run, said, place):
    (place / "notes").mkdir()
    (place / "notes/a.txt").write_text("The kiln is blue.")
    _, answer = run("ingest", "notes")
    assert [(one["messages"], one["new"]) for one in answer["paths"]] == [(1, 1)]
    (place / "notes/b.txt").write_text("The roof is red.")
    assert said("ingest", "notes") == (0, "notes: 2 messages, 1 of them new\n", "")


def test_a_correction_keeps_its_history(run, ids):
    code, cube = run("correct", ids[0], "The office moved to Porto.", "--time", "2025-01-01")
    assert (code, cube["version"], cube["text"]) == (0, 2, "The office moved to Porto.")
    versions = run("history", ids[0])[1]["versions"]
    assert [(one["version"], one["valid_from"], one["valid_to"]) for one in versions] == [
        (1, "2024-05-08T00:00:00", "2025-01-01T00:00:00"), (2, "2025-01-01T00:00:00", None),
    ]  # fmt: skip
    then = run("recall", "Where is the office?", "-k", "1", "--as-of", "2024-07-01")[1]["hits"][0]["cube"]
    assert then["text"] == "The office moved to Lisbon."


# ── forgetting ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_forget_erases(run, ids):
    code, done = run("forget", ids[0], ids[1], "--yes")
    assert (code, done["target"]["record_ids"], done["target"]["versions"], done["grade"]) == (0, ids[:2], 2, "E")
    assert run("get", ids[0])[0] == 2


def test_forget_without_a_terminal_wants_a_yes(said, run, ids, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    code, out, err = said("forget", ids[0])
    assert (code, out) == (2, "")
    assert "--yes" in err
    assert run("get", ids[0])[0] == 0


@pytest.mark.parametrize(("reply", "left"), [("y\n", 2), ("n\n", 3), ("", 3)])
def test_forget_asks_on_a_terminal(said, run, ids, monkeypatch, reply, left):
    terminal = io.StringIO(reply)
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    code, _, err = said("forget", ids[0])
    assert "The office moved to Lisbon." in err
    assert "Erase 1 for good?" in err
    assert code == (0 if left == 2 else 1)
    assert run("stats")[1]["cubes"] == left


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_recall_explains(run, ids):
    code, answer = run("recall", "Who bought a bicycle?", "-k", "2")
    assert code == 0
    assert answer["hits"][0]["cube"]["id"] == ids[1]
    assert len(answer["hits"]) == 2
    for reason in answer["hits"][0]["why"]:
        assert set(reason) == {"channel", "rank", "value", "contribution", "words"}
    assert run("recall", "bicycle", "--no-explain")[1]["hits"][0]["why"] == []


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--since", "2024-05-09", "--until", "2024-06-01"], {"Rui bought a green bicycle."}),
        (["--kind", "fact", "--kind", "event"], set()),
        (["--session", "other"], set()),
    ],
)
def test_recall_filters(run, ids, options, found):
    _, answer = run("recall", "bicycle office kiln", *options)
    assert {hit["cube"]["text"] for hit in answer["hits"]} == found


def test_recall_filters_by_meta(run):
    run("add", "Five.", "--meta", "page=5")
    run("add", "Six.", "--meta", "page=6")
    hits = run("recall", "five six", "--meta", "page=6")[1]["hits"]
    assert [hit["cube"]["text"] for hit in hits] == ["Six."]


def test_a_missing_embedder_is_a_note_and_no_failure(run, said, ids, monkeypatch):
    monkeypatch.setenv("REMANENCE_EMBEDDER", "nobody/nothing")
    code, answer = run("recall", "bicycle")
    assert code == 0
    assert "remanence models fetch nobody/nothing" in answer["notes"][0]
    code, _, err = said("add", "Another.")
    assert code == 0
    assert err.startswith("note: no embedder")
    assert err.count("\n") == 1


def test_list_goes_page_by_page(run, said, ids):
    _, first = run("list", "--limit", "2")
    _, second = run("list", "--limit", "2", "--after", first["cursor"])
    assert [cube["id"] for cube in first["cubes"] + second["cubes"]] == ids
    assert second["cursor"] is None
    assert f"More: --after {first['cursor']}" in said("list", "--limit", "2")[1]


def test_views_fit_eighty_columns(said, ids):
    said("add", "word " * 300, "--name", "a very long name that goes on and on")
    for argv in (["list"], ["recall", "word"], ["history", ids[0]], ["stats"], ["models"], ["verify"], ["spaces"]):
        code, out, _ = said(*argv)
        assert code == 0
        assert out
        assert max(map(len, out.splitlines())) <= 80


# ── care ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_care_commands(run, ids, place):
    assert run("spaces") == (0, {"spaces": {"default": 3}})
    assert run("reindex") == (0, {"versions": 3})
    assert run("backup", "copy.rem")[1]["bytes"] == (place / "copy.rem").stat().st_size
    assert run("--store", "copy.rem", "stats")[1]["cubes"] == 3
    assert run("export", "all.jsonl", "--only", "default", "--vectors")[1]["versions"] == 3
    assert run("import", "all.jsonl", "--store", "new.rem") == (0, {"file": "all.jsonl", "new": 3})
    code, checked = run("verify", "--store", "new.rem")
    assert (code, checked["ok"], checked["problems"]) == (0, True, [])
    assert run("models")[1]["models"][1]["name"] == "hashing"


def test_verify_fails_when_something_is_wrong(run, ids, place):
    import sqlite3

    with sqlite3.connect(place / "memory.rem") as connection:
        connection.execute("UPDATE cubes SET text = 'The office moved to Rome.'")
    connection.close()
    code, checked = run("verify")
    assert (code, checked["ok"]) == (1, False)
    assert any("changed outside" in problem for problem in checked["problems"])


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("argv", "code", "error"),
    [
        (["add"], 2, "InputError"),
        (["add", " "], 2, "InputError"),
        (["add", "x", "--jsonl", "f"], 2, "InputError"),
        (["add", "x", "--meta", "nonsense"], 2, "InputError"),
        (["add", "x", "--time", "yesterday"], 2, "InputError"),
        (["add", "--jsonl", "nowhere.jsonl"], 2, "UnreadableFileError"),
        (["ingest", "nowhere"], 2, "UnreadableFileError"),
        (["recall", "x", "-k", "many"], 2, "InputError"),
        (["recall", "x", "-k", "0"], 2, "InputError"),
        (["recall", "x", "--kind", "song"], 2, "InputError"),
        (["recall", "x", "--space", "nowhere"], 2, "UnknownSpaceError"),
        (["get", "nobody"], 2, "UnknownCubeError"),
        (["get", "nobody", "--store", "nowhere.rem"], 1, "NotAStoreError"),
        (["get", "nobody", "--store", "text.rem"], 1, "NotAStoreError"),
        (["list", "--store", "postgresql://host/db"], 1, "NotAStoreError"),
        (["import", "text.rem"], 2, "UnreadableFileError"),
        (["export", "no/folder.jsonl"], 2, "InputError"),
        (["models", "fetch"], 2, "InputError"),
        (["models", "list", "minilm"], 2, "InputError"),
        (["models", "fetch", "../../etc"], 2, "InputError"),
        (["sing"], 2, "InputError"),
        (["get"], 2, "InputError"),
        (["get", "x", "--loud"], 2, "InputError"),
    ],
)
def test_errors_say_what_and_what_next(said, run, ids, place, argv, code, error):
    (place / "text.rem").write_text("not a store")
    seen, document = run(*argv)
    assert (seen, document["error"]) == (code, error)
    assert document["what"]
    seen, out, err = said(*argv)
    assert (seen, out) == (code, "")
    assert re.fullmatch(r"error: .+\nnext: .+\n", err)


EXAMPLES = {  # what a command needs so that it gets as far as opening the store; else its first words are made up
    "access": ["list"], "audit": ["verify"], "trust": ["quarantined"], "admission": ["list"], "receipts": ["list"],
    "govern": ["x", "--priority", "1"], "schedule": ["jobs"],
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"add", "ingest", "import", "models", "lm"}))
def test_only_writing_creates_a_store(name, place, capsys):
    values = {"question": "x", "id": "x", "ids": "x", "text": "x", "file": "x", "labelled": "x", "to": "x",
        "action": "freeze", "state": "archived", "first": "2024-01-01"}  # fmt: skip
    made_up = [values[one] for one in COMMANDS[name].arguments.split() if one in values]
    assert main([name, *EXAMPLES.get(name, made_up)]) == 1
    assert capsys.readouterr().err.startswith("error: There is no store at memory.rem.")
    assert list(place.iterdir()) == []


def test_every_command_has_help_with_an_example(capsys):
    for name, command in COMMANDS.items():
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
        out = capsys.readouterr().out
        assert command.about[:40] in out
        assert f"  {command.example}" in out
        assert command.example.startswith(("remanence", "REMANENCE_"))
        assert max(map(len, out.splitlines())) <= 80


# ── untrusted text ───────────────────────────────────────────────────────────────────────────────────────────────────

EVIL = (
    "red \x1b[31m title \x1b]0;owned\x07 c1 \x9b2J bidi \u202e back \x08\x08 return \r [bold]markup[/bold] :smile: end"
)


def test_stored_text_cannot_steer_the_terminal(said, run, place):
    (place / "evil.jsonl").write_text(
        json.dumps({"content": EVIL, "name": "A\x1b[2Jna", "title": "\x1b[1m", "meta": {"a\x1b[1m": "\x1b[2J"}})
    )
    code, out, _ = said("add", "--jsonl", "evil.jsonl")
    evil = out.strip()
    assert code == 0
    for argv in (["recall", "title"], ["list"], ["get", evil], ["history", evil], ["correct", evil, EVIL + "!"]):
        code, out, err = said(*argv)
        assert code == 0
        assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u202e]", out + err)
        assert "\\x1b[31m" in out
        assert "[bold]markup[/bold] :smile: end" in out.replace("\n   ", " ")
    assert said("get", "\x1b[31m")[2].startswith("error: No cube has the id '\\x1b[31m'")
    assert "\x1b" not in said("--store", "\x1b[31m.rem", "list")[2]


def test_json_is_plain_ascii(capsys, run, place):
    (place / "evil.jsonl").write_text(json.dumps(EVIL))
    run("add", "--jsonl", "evil.jsonl")
    main(["list", "--json"])
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.strip().isprintable()
    assert json.loads(out)["cubes"][0]["text"] == EVIL


# ── as a program ─────────────────────────────────────────────────────────────────────────────────────────────────────


def program(*argv, **options):
    return subprocess.run([*PROGRAM, *argv], capture_output=True, text=True, timeout=60, check=False, **options)


def on_a_terminal(*argv):
    """What the program writes when stdout is a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([*PROGRAM, *argv], stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        while select.select([ours], [], [], 30)[0]:
            try:
                some = os.read(ours, 4096)
            except OSError:  # Linux reports the end of a terminal so
                break
            if not some:
                break
            said += some
    os.close(ours)
    assert process.returncode == 0
    return said.decode()


def test_help_loads_no_numbers():
    code = (
        "import sys\nfrom remanence.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print({'numpy', 'onnxruntime'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "usage: remanence" in done.stdout
    assert done.stdout.endswith("set()\n")


def test_version_and_no_command():
    assert re.fullmatch(r"remanence \d+\.\d+\.\d+\S*\n", program("--version").stdout)
    assert program().stdout.startswith("usage: remanence")


def test_a_pipe_in_and_a_pipe_out():
    added = program("add", "-", "--json", input="The roof is red.\n")
    assert program("get", json.loads(added.stdout)["ids"][0]).stdout.endswith("The roof is red.\n")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_closed_pipe_is_no_error(place, options):
    with Memory(place / "memory.rem", Settings(embedder="none")) as memory:
        memory.add([f"Message {number}: {'word ' * 60}" for number in range(2000)])
    with subprocess.Popen(
        [*PROGRAM, "list", "--limit", "2000", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.read(10)
        process.stdout.close()
        err = process.stderr.read()
    assert err == ""
    assert process.returncode == 141


def test_an_encoding_that_lacks_a_letter(run):
    run("add", "Olá, você.", "--name", "João")
    done = program("list", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "Ol\\xe1, voc\\xea." in done.stdout


def test_colours_only_on_a_terminal_that_wants_them(ids, monkeypatch):
    colour = re.compile(r"\x1b\[[\d;]*3\dm")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b" not in program("recall", "bicycle").stdout
    assert colour.search(on_a_terminal("recall", "bicycle"))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colour.search(on_a_terminal("recall", "bicycle"))


def test_a_progress_bar_is_drawn_on_a_terminal(place, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    (place / "notes.txt").write_text("The kiln is blue.")
    assert "notes.txt ━" in re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", on_a_terminal("ingest", "notes.txt"))


@pytest.mark.parametrize("as_json", [False, True])
def test_an_interrupted_ingest_goes_on_where_it_stopped(place, run, as_json):
    count = 3000
    lines = [json.dumps({"role": "user", "content": f"Message {number}."}) for number in range(count)]
    (place / "chat.jsonl").write_text("\n".join(lines))
    command = [*PROGRAM, "ingest", "chat.jsonl", *(["--json"] if as_json else [])]
    one_by_one = {**os.environ, "REMANENCE_COMMIT_EVERY": "1"}
    with subprocess.Popen(command, env=one_by_one, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for_cubes(place / "memory.rem", 20)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err
    said = json.loads(out)["what"] if as_json else err.decode()
    assert said.startswith("Stopped: " if as_json else "error: Stopped: ")
    durable = int(re.search(r"([\d,]+) of 3,000 messages are durable", said)[1].replace(",", ""))
    before = run("stats")[1]["cubes"]
    assert 20 <= durable <= before <= durable + 1 < count
    _, answer = run("ingest", "chat.jsonl")
    assert [(one["messages"], one["new"]) for one in answer["paths"]] == [(count, count - before)]
    assert run("stats")[1]["cubes"] == count


def wait_for_cubes(path, count):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if path.exists():
            with Memory(path) as memory:
                if memory.stats().cubes >= count:
                    return
        time.sleep(0.02)
    pytest.fail("nothing was written")
