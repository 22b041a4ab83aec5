"""The commands around answers and models, as a user meets them: real processes, terminals, and a language model on the loopback."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from remanence import Memory, Settings

PROGRAM = [sys.executable, "-m", "remanence"]
MUSEUM = "I went to the pottery museum in Porto yesterday. It rained."
WHEN = "When did Ann go to the pottery museum?"
ESCAPES = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")
CONTROLS = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder of its own, the embedder that needs no weights, no language model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REMANENCE_EMBEDDER", "hashing")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "REMANENCE_STORE", "REMANENCE_MODEL", "PYTHONUNBUFFERED"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def ids(place):
    """Three memories."""
    with Memory(place / "memory.rem", Settings(embedder="hashing")) as memory:
        return memory.add(
            [
                {"name": "Ann", "content": MUSEUM, "time": "2024-05-08"},
                {"name": "Ann", "content": "The big kiln fires at 1240 degrees.", "time": "2024-05-09"},
                {"name": "Bob", "content": "My daughter plays the cello in a quartet.", "time": "2024-05-10"},
            ]
        )


class LanguageModel:
    """What the server on the loopback says; `answer` can be exchanged, and every request is kept."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[dict] = []
        self.pieces = ["Ann went to the ", "pottery museum [1]."]
        self.status = 200
        self.hold_at = 0
        """The request, counted from 1, at which `reached` is set; it and those after it wait for `go`."""
        self.hold_piece = 0
        """The piece of a stream before which `go` is waited for."""
        self.reached, self.go = threading.Event(), threading.Event()
        self.lock = threading.Lock()

    def answer(self, system: str, passage: str) -> object:
        if system.startswith("You extract named entities"):
            return {"entities": ["Ann"]}
        if system.startswith("You extract facts"):
            return {"triples": []}
        if system.startswith("You write down"):
            said = re.search(r'"text": ?"(.*?)"', passage)
            return {"statements": [said[1]] if said else [], "about": ""}
        if system.startswith("You write questions"):
            quote = "The big kiln fires at 1240 degrees."
            pair = {"question": "At what temperature does the big kiln fire?", "answer": "1240 degrees", "quote": quote}
            return {"pairs": [pair] if quote in passage else []}
        raise AssertionError(system)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        state = self.server.model
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with state.lock:
            state.asked.append(body)
            count = len(state.asked)
        if state.hold_at and count >= state.hold_at:
            state.reached.set()
            state.go.wait(30)
        try:
            if state.status != 200:
                self.say(json.dumps({"error": {"message": "no\x1b[2J such model"}}).encode(), state.status)
            elif body.get("stream"):
                self.stream()
            else:
                system, *rest = (turn["content"] for turn in body["messages"])
                said = json.dumps(state.answer(system, "\n".join(rest)))
                message = {"role": "assistant", "content": said}
                usage = {"prompt_tokens": 10, "completion_tokens": 2}
                whole = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
                self.say(json.dumps(whole).encode())
        except OSError:  # the program is gone, as a test wanted
            self.close_connection = True

    def say(self, data, status=200):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self):
        state = self.server.model
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number, piece in enumerate(state.pieces):
            if state.hold_piece and number >= state.hold_piece:
                state.go.wait(30)
            delta = {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
            self.wfile.write(f"data: {json.dumps(delta)}\n\n".encode())
            self.wfile.flush()
        last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        self.wfile.write(f"data: {json.dumps(last)}\n\ndata: [DONE]\n\n".encode())
        self.close_connection = True

    def log_message(self, *_arguments):
        """Quiet."""


@pytest.fixture
def model(monkeypatch):
    """A language model behind a URL, named in the environment."""
    state = LanguageModel()
    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.daemon_threads = True
    web.model = state
    state.url = f"http://127.0.0.1:{web.server_port}/v1#tiny"
    monkeypatch.setenv("REMANENCE_MODEL", state.url)
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    state.go.set()
    web.shutdown()
    thread.join()
    web.server_close()


def program(*argv, **options):
    return subprocess.run([*PROGRAM, *argv], capture_output=True, text=True, timeout=60, check=False, **options)


def on_a_terminal(*argv, seen=None, then=None):
    """What the program writes when stdout is a terminal. `then` is called once `seen` was written."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([*PROGRAM, *argv], stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        written = b""
        while select.select([ours], [], [], 30)[0]:
            try:
                some = os.read(ours, 4096)
            except OSError:  # Linux reports the end of a terminal so
                break
            if not some:
                break
            written += some
            if seen and seen in written.decode(errors="replace"):
                seen = None
                then()
    os.close(ours)
    assert seen is None, written
    return process.returncode, written.decode()


# ── ask ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_ask_quotes_and_cites_without_a_model(ids):
    done = program("ask", WHEN)
    assert (done.returncode, done.stderr) == (0, "")
    answer, *cited, how = done.stdout.splitlines()
    assert answer == "I went to the pottery museum in Porto yesterday. [7 May 2024]"
    assert " ".join(" ".join(cited).split()) == f"[1] “I went to the pottery museum in Porto yesterday.” {ids[0]}"
    assert re.fullmatch(r"extractive, confidence 0\.\d\d", how)


def test_ask_as_json_is_one_document(ids):
    done = program("ask", WHEN, "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    assert set(answer) == {
        "text", "citations", "confidence", "abstained", "used", "cost", "removed", "method", "notes", "standing", "forms",
    }  # fmt: skip
    assert answer["citations"] == [
        {"cube_id": ids[0], "version": 1, "sentence": 0, "start": 0, "end": 48, "quote": MUSEUM[:48], "support": 1.0}
    ]
    assert answer["used"][0]["id"] == ids[0]
    assert (answer["abstained"], answer["method"], answer["cost"]["calls"]) == (False, "extractive", 0)


def test_an_abstention_is_no_failure(run, said, ids):
    code, answer = run("ask", "When did Zoe go to the pottery museum?")
    assert (code, answer["abstained"], answer["text"], answer["citations"]) == (0, True, "", [])
    code, out, err = said("ask", "When did Zoe go to the pottery museum?")
    assert (code, err) == (0, "")
    assert out.startswith("The memory does not say.\n")


def test_ask_takes_the_scope_and_the_time(run, said):
    said("add", MUSEUM, "--name", "Ann", "--time", "2024-05-08", "--space", "work", "--user", "ann")
    assert not run("ask", WHEN, "--space", "work", "--user", "ann")[1]["abstained"]
    assert run("ask", WHEN, "--space", "work", "--user", "bob")[1]["abstained"]
    assert run("ask", WHEN, "--space", "work", "--as-of", "2024-01-01")[1]["abstained"]
    assert run("ask", WHEN, "--space", "play")[0] == 2
    assert run("ask", WHEN, "--space", "work", "-k", "0")[0] == 2


def test_a_missing_embedder_is_a_note_and_no_failure(run, ids, monkeypatch):
    monkeypatch.setenv("REMANENCE_EMBEDDER", "nobody/nothing")
    code, answer = run("ask", WHEN)
    assert (code, answer["abstained"]) == (0, False)
    assert "remanence models fetch nobody/nothing" in answer["notes"][0]


@pytest.mark.parametrize(
    ("argv", "code", "error"),
    [
        (["ask", WHEN, "--method", "sure"], 1, "NoModelError"),
        (["ask", WHEN, "--method", "plain"], 1, "NoModelError"),
        (["ask", WHEN, "--method", "guess"], 2, "InputError"),
        (["ask", WHEN, "--budget", "0"], 2, "InputError"),
        (["ask", WHEN, "--budget", "much"], 2, "InputError"),
        (["ask", " "], 2, "InputError"),
        (["extract"], 1, "NoModelError"),
        (["extract", "nowhere.jsonl"], 2, "UnreadableFileError"),
        (["pair", "--by", "model"], 1, "NoModelError"),
        (["pair", "nowhere.csv"], 2, "UnreadableFileError"),
        (["pair", "pairs.csv", "--by", "model"], 2, "InputError"),
        (["gate", "nowhere.jsonl"], 2, "UnreadableFileError"),
        (["recall", WHEN, "--route", "scenic"], 2, "InputError"),
    ],
)
def test_errors_say_what_and_what_next(run, said, ids, argv, code, error):
    seen, document = run(*argv)
    assert (seen, document["error"]) == (code, error)
    assert document["next_step"]
    seen, out, err = said(*argv)
    assert (seen, out) == (code, "")
    assert re.fullmatch(r"error: .+\nnext: .+\n", err)
    if error == "NoModelError":
        assert "REMANENCE_MODEL" in document["next_step"]


def test_a_model_that_is_no_url_is_an_error(run, ids, monkeypatch):
    monkeypatch.setenv("REMANENCE_MODEL", "llama3.2")
    code, document = run("ask", WHEN)
    assert (code, document["error"]) == (2, "InputError")
    assert "http://host:port/v1#model" in document["next_step"]


def test_a_model_writes_and_the_answer_is_checked(ids, model):
    done = program("ask", WHEN, "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert (answer["text"], answer["method"]) == ("Ann went to the pottery museum.", "plain")
    assert [one["cube_id"] for one in answer["citations"]] == [ids[0]]
    assert answer["cost"]["calls"] == len(model.asked) == 1
    assert model.asked[0]["model"] == "tiny"


def test_a_pipe_gets_the_whole_answer_once(ids, model):
    done = program("ask", WHEN)
    assert done.stdout.startswith("Ann went to the pottery museum.\n   [1] “I went to the pottery museum")
    assert done.stdout.count("Ann went") == 1
    assert "plain, confidence" in done.stdout


def test_a_terminal_sees_the_answer_while_it_is_written(ids, model):
    model.hold_piece = 1
    code, written = on_a_terminal("ask", WHEN, seen="Ann went to the ", then=model.go.set)
    plain = ESCAPES.sub("", written)
    assert code == 0
    assert plain.startswith("Ann went to the pottery museum [1].\r\n   [1] “I went to the pottery museum")
    assert plain.count("Ann went") == 1


def test_what_the_check_leaves_is_shown_after_the_stream(ids, model):
    model.pieces = ["Ann went to the pottery museum [1]. ", "She owns a red car [2]."]
    code, written = on_a_terminal("ask", WHEN)
    plain = ESCAPES.sub("", written).replace("\r", "")
    assert code == 0
    assert "She owns a red car [2].\nAfter the check:\nAnn went to the pottery museum.\n   [1]" in plain


def test_a_model_that_finds_nothing_abstains(ids, model):
    model.pieces = ["UNANS", "WERABLE"]
    code, written = on_a_terminal("ask", WHEN)
    assert code == 0
    assert "UNANS" not in written
    assert "The memory does not say." in written


def test_a_model_that_fails_leaves_the_quotation(run, said, ids, model):
    model.status = 400
    code, answer = run("ask", WHEN)
    assert (code, answer["method"]) == (0, "extractive")
    assert answer["text"].startswith("I went to the pottery museum")
    assert "language model failed" in answer["notes"][-1]
    out = said("ask", WHEN)[1]
    assert "note: Answered by extraction" in out
    assert not CONTROLS.search(out)


def test_an_interrupted_answer_stops(ids, model):
    model.hold_piece = 1
    ours, theirs = pty.openpty()
    with subprocess.Popen([*PROGRAM, "ask", WHEN], stdout=theirs, stderr=subprocess.PIPE) as process:
        os.close(theirs)
        assert os.read(ours, 100) == b"Ann went to the "
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=60)[1]
        assert os.read(ours, 100) == b"\r\n"
    os.close(ours)
    assert process.returncode == 130
    assert err == b"error: Stopped.\n"


def test_a_terminal_without_the_letters(ids, model, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    model.pieces = ["Ann went to the pottery museum — yesterday [1]."]
    code, written = on_a_terminal("ask", WHEN)
    assert code == 0
    assert r"museum \u2014 yesterday" in written


EVIL = "I went to the \x1b[31mpottery\x1b]0;owned\x07 \x9b2J museum \u202e in Porto [bold]yesterday[/bold]. It rained."


def test_stored_text_cannot_steer_the_terminal(said, place, model, monkeypatch):
    with Memory(place / "memory.rem", Settings(embedder="hashing")) as memory:
        memory.add([{"content": EVIL, "name": "Ann", "time": "2024-05-08"}, "The kiln fires at 1240 degrees."])
        memory.add(["Ifeoma was born in \x1b[31mLagos.", "Ifeoma was born in Ibadan."])
    model.pieces = ["Ann went to the \x1b", "[31mpottery museum [1]."]
    written = ESCAPES.sub("", on_a_terminal("ask", WHEN)[1])  # rich's own colours
    assert r"Ann went to the \x1b[31mpottery museum [1]." in written
    assert not CONTROLS.search(written)
    monkeypatch.delenv("REMANENCE_MODEL")
    for argv in (["ask", WHEN], ["conflicts"], ["pair"], ["recall", "kiln", "--current"]):
        code, out, err = said(*argv)
        assert code == 0
        assert not CONTROLS.search(out + err)
    assert r"I went to the \x1b[31mpottery\x1b]0;owned\x07" in said("ask", WHEN)[1]
    assert "[bold]yesterday[/bold]" in " ".join(said("ask", WHEN)[1].split())


def test_views_fit_eighty_columns(said, ids, model):
    model.pieces = ["The big kiln fires at 1240 degrees [2]. " * 5]
    for argv in (["ask", "How hot is it?"], ["pair"], ["extract"], ["conflicts"]):
        code, out, _ = said(*argv)
        assert code == 0
        assert max(map(len, out.splitlines())) <= 80


# ── recall: routes and the current view ──────────────────────────────────────────────────────────────────────────────


def test_recall_says_how_it_looked(run, said, ids):
    routed = run("recall", "What did Ann do?", "--route", "cheap")[1]["routed"]
    assert (routed["route"], routed["reason"]) == ("cheap", "asked for")
    assert set(run("recall", "What did Ann do?")[1]["routed"]) == {"route", "reason", "measures"}
    code, answer = run("recall", "Thanks a lot!")
    assert (code, answer["hits"], answer["routed"]["route"]) == (0, [], "none")
    assert run("recall", "Thanks a lot!", "--route", "cheap")[1]["hits"]
    assert "looked up by cheap: asked for" in said("recall", "kiln", "--route", "cheap")[1]


def test_the_current_view_leaves_out_what_was_replaced(run, said):
    said("add", "Ana lives in Lisbon.", "--time", "2024-01-01")
    said("add", "Ana lives in Porto.", "--time", "2024-06-01")
    both = run("recall", "Where does Ana live?")[1]
    assert len(both["hits"]) == 2
    now = run("recall", "Where does Ana live?", "--current")[1]
    assert [hit["cube"]["text"] for hit in now["hits"]] == ["Ana lives in Porto."]
    assert "'Lisbon' was followed by 'Porto'" in now["notes"][0]


# ── extract ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_extractions_of_a_file_become_keys(run, said, ids, place):
    line = {"text": MUSEUM, "entities": ["Ann", "Porto"], "triples": [["Ann", "visited", "Porto"]], "statements": ["Ann looked at ceramics."]}  # fmt: skip
    (place / "cached.jsonl").write_text(json.dumps(line))
    code, done = run("extract", "cached.jsonl")
    assert code == 0
    assert (done["read"], done["waiting"], done["missing"], done["failures"]) == (3, 0, 2, {})
    assert done["cost"]["calls"] == 0
    (hit,) = (hit for hit in run("recall", "ceramics")[1]["hits"] if hit["cube"]["id"] == ids[0])
    assert [one["rank"] for one in hit["why"] if one["channel"].startswith("statement")] == [1, 1]
    assert said("extract", "cached.jsonl") == (0, "0 memories read\n", "")
    said("add", "Something new.")
    assert said("extract", "cached.jsonl") == (0, "1 memories read, 1 unknown to the file\n", "")


def test_extractions_as_hipporag_keeps_them(run, ids, place):
    doc = {"passage": MUSEUM, "extracted_entities": ["Porto"], "extracted_triples": [["Ann", "visited", "Porto"]]}
    (place / "openie.json").write_text(json.dumps({"docs": [doc]}))
    assert run("extract", "openie.json")[1]["missing"] == 2


@pytest.mark.parametrize(("name", "where"), [("cached.jsonl", "line 2"), ("openie.json", "openie.json")])
def test_a_broken_file_of_extractions_is_named(run, ids, place, name, where):
    (place / name).write_text('{"text": "fine"}\n{broken')
    code, document = run("extract", name)
    assert (code, document["error"]) == (2, "UnreadableFileError")
    assert where in document["what"]


def test_a_model_reads_what_is_stored_once(run, said, ids, model):
    code, done = run("extract")
    assert (code, done["read"], done["waiting"], done["failures"]) == (0, 3, 0, {})
    assert done["cost"]["calls"] == len(model.asked) == 9
    assert run("extract")[1]["read"] == 0
    assert len(model.asked) == 9
    said("add", "A fourth memory.")
    assert said("extract")[1].splitlines() == [
        "1 memories read, 1 items without support left out",
        "3 calls, 0 from the cache, 36 tokens, price 0.0000",
    ]


def test_a_model_that_refuses_is_a_failure_that_can_be_repeated(run, said, ids, model):
    model.status = 400
    code, done = run("extract")
    assert (code, done["read"], done["waiting"]) == (1, 0, 3)
    assert set(done["failures"]) == set(ids)
    code, out, _ = said("extract")
    assert code == 1
    assert f"failed: {ids[0]}: " in out
    assert not CONTROLS.search(out)
    model.status = 200
    assert run("extract")[1]["read"] == 3


@pytest.mark.parametrize("as_json", [False, True])
def test_an_interrupted_extraction_goes_on_where_it_stopped(run, place, model, as_json):
    count = 40
    with Memory(place / "memory.rem", Settings(embedder="hashing")) as memory:
        memory.add([f"Ann fired kiln number {number}." for number in range(count)])
    model.hold_at = 3 * 16 + 5  # within the second batch
    command = [*PROGRAM, "extract", *(["--json"] if as_json else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert model.reached.wait(30)
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
        model.go.set()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    told = json.loads(out) if as_json else {"what": err.splitlines()[0].removeprefix("error: "), "next_step": err}
    assert told["what"] == "Stopped: 16 of 40 memories are read."
    assert "Run the same command again" in told["next_step"]
    assert run("extract")[1]["read"] == count - 16
    assert len(model.asked) == 3 * count  # what was answered before is not asked for again


# ── pairs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_pairs_by_rules_answer_first(run, said):
    said("add", "Ana lives in Porto.")
    code, done = run("pair")
    assert code == 0
    assert (done["cubes"], done["pairs"], done["failures"], done["cost"]["calls"]) == (1, 1, {}, 0)
    assert run("pair")[1]["pairs"] == 0
    answer = run("ask", "Where does Ana live?")[1]
    assert (answer["abstained"], "Porto" in answer["text"]) == (False, True)
    assert run("list")[1]["cubes"][1]["kind"] == "qa"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pairs.csv", "question,answer\nWhere is the office?,In Lisbon.\nWho has the keys?,Rui.\n"),
        ("pairs.jsonl", '{"question": "Where is the office?", "answer": "In Lisbon."}\n{"question": "Who has the keys?", "answer": "Rui."}\n'),
    ],
)  # fmt: skip
def test_pairs_of_a_file_begin_a_store(run, said, place, name, text):
    (place / name).write_text(text)
    code, done = run("pair", name)
    assert (code, done["pairs"], len(done["ids"])) == (0, 2, 2)
    assert said("pair", name) == (0, "0 new pairs\n", "")
    assert "Lisbon" in run("ask", "Where is the office?")[1]["text"]


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("pairs.jsonl", '{"question": "Who?", "answer": "Rui."}\n{"question": "Where?"}', "line 2"),
        ("pairs.jsonl", "{broken", "line 1"),
        ("pairs.csv", "name,price\nx,1\n", "pairs.csv"),
        ("pairs.txt", "Where?", "pairs.txt"),
    ],
)
def test_a_broken_file_of_pairs_is_named(run, ids, place, name, text, where):
    (place / name).write_text(text)
    code, document = run("pair", name)
    assert (code, document["error"]) == (2, "UnreadableFileError")
    assert where in document["what"]
    assert run("stats")[1]["cubes"] == 3


def test_pairs_by_a_model(run, ids, model):
    code, done = run("pair", "--by", "model")
    assert (code, done["cubes"], done["pairs"], done["cost"]["calls"]) == (0, 3, 1, 3)
    answer = run("ask", "At what temperature does the big kiln fire?")[1]
    assert (answer["citations"][0]["cube_id"], "1240 degrees" in answer["text"]) == (ids[1], True)
    assert len(model.asked) == 3  # the pair knew it


# ── conflicts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_conflicts_show_both_sides(run, said, ids):
    assert run("conflicts") == (0, {"conflicts": []})
    assert said("conflicts") == (0, "Nothing contradicts anything.\n", "")
    first, second = (run("add", f"Ifeoma was born in {town}.")[1]["ids"][0] for town in ("Lagos", "Ibadan"))
    code, found = run("conflicts")
    assert code == 0
    (one,) = found["conflicts"]
    assert (one["subject"], one["relation"]) == ("Ifeoma", "born in")
    assert [(one[side]["value"], one[side]["denied"]) for side in ("first", "second")] == [("Lagos", False), ("Ibadan", False)]  # fmt: skip
    assert [one[side]["cube"]["id"] for side in ("first", "second")] == [first, second]
    out = said("conflicts")[1]
    assert out.startswith("Ifeoma born in\n   Lagos: “Ifeoma was born in Lagos.”")
    assert run("conflicts", "--space", "nowhere")[0] == 2


# ── gate ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def labelled(ids, count=10):
    rows = [{"question": f"What about kiln number {number}?", "gold": [ids[1]]} for number in range(count - 1)]
    return "\n".join(map(json.dumps, [*rows, {"question": "What is the weather on Mars?", "gold": []}]))


def test_a_gate_is_fitted_and_kept(run, said, ids, place):
    (place / "labelled.jsonl").write_text(labelled(ids))
    code, fitted = run("gate", "labelled.jsonl")
    assert code == 0
    assert (fitted["questions"], fitted["answerable"]) == (10, 9)
    assert set(fitted["recall"]) == {"cheap", "graph", "gate", "best"}
    assert set(fitted["withheld"]) == {"nothing to find", "answerable"}
    assert set(fitted["gate"]) == {"graph", "nothing"}
    assert "recall@10, gate" in said("gate", "labelled.jsonl")[1]
    assert program("recall", "kiln").returncode == 0
    assert run("verify")[1]["ok"]


def test_too_few_questions_fit_nothing(run, ids, place):
    (place / "few.jsonl").write_text(labelled(ids, 9))
    code, document = run("gate", "few.jsonl")
    assert (code, document["what"]) == (2, "There are 9 labelled questions.")
    assert "10" in document["next_step"]


@pytest.mark.parametrize(
    "line", ["{broken", "[]", '"text"', '{"question": "x"}', '{"question": 5, "gold": []}', '{"question": "x", "gold": "id"}', '{"question": "x", "gold": [5]}'],
)  # fmt: skip
def test_a_malformed_label_is_named(run, ids, place, line):
    (place / "bad.jsonl").write_text(f"{labelled(ids)}\n\n{line}\n")
    code, document = run("gate", "bad.jsonl")
    assert (code, document["what"]) == (2, "bad.jsonl, line 12 is no labelled question.")
