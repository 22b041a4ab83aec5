"""The command lm, as a user meets it: a model is trained, stopped, gone on with, looked at, and writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("transformers", reason="needs the extra `local`")

import torch

from remanence import Memory, Settings
from remanence.models.local.causal import CausalLM

TEXT = "".join(f"The number after {n} is {n + 1}.\n" for n in range(80))
SMALL = ("--depth", "1", "--context", "32", "--batch", "4", "--vocab", "byte")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("REMANENCE_STORE", "REMANENCE_MODEL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "numbers.txt").write_text(TEXT)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(before)


def test_train_info_sample(run, said):
    code, done = run("lm", "train", "numbers.txt", "--out", "nano", *SMALL, "--steps", "30", "--seed", "3")
    assert (code, done["folder"], done["steps"], done["tokens"]) == (0, "nano", 30, 30 * 4 * 32)
    assert done["bits_per_byte"] < 8
    opened = CausalLM.open("nano")
    code, info = run("lm", "info", "nano")
    assert code == 0
    assert info["fingerprint"] == opened.fingerprint.to_json()
    assert (info["parameters"], info["layers"], info["context"], info["vocabulary"]) == (
        sum(one.numel() for one in opened.model.parameters()), 1, 32, 259,
    )  # fmt: skip
    assert info["bytes_per_token"] == 2 * 32 * 4
    code, sample = run("lm", "sample", "nano", "--prompt", "The num", "--max-new", "5")
    assert (code, sample["text"]) == (0, opened.generate(opened.encode("The num"), max_new=5).text)
    drawn = [run("lm", "sample", "nano", "--temperature", "1", "--seed", seed)[1]["text"] for seed in "112"]
    assert drawn[0] == drawn[1] != drawn[2]
    code, out, err = said("lm", "info", "nano")
    assert (code, err) == (0, "")
    assert "256 bytes per token" in out
    assert opened.fingerprint.weights in out
    code, out, err = said("lm", "sample", "nano", "--prompt", "The num", "--max-new", "5")
    assert out.startswith("The num")


def test_vocabularies(run):
    for vocab, tokens in (("byte", 259), ("bpe:280", 280), ("word", 91)):
        code, _ = run("lm", "train", "numbers.txt", "--out", vocab, *SMALL[:-1], vocab, "--steps", "1")
        assert (code, run("lm", "info", vocab)[1]["tokens"]) == (0, tokens)


def program(*argv, **how):
    return subprocess.Popen([sys.executable, "-m", "remanence", *argv], stderr=subprocess.PIPE, text=True, **how)


def test_ctrl_c_saves_and_resume_ends_with_the_same_bits(run, place):
    argv = ("lm", "train", "numbers.txt", *SMALL, "--steps", "120")
    run(*argv, "--out", "whole")
    process = program(*argv, "--out", "parts", env={**os.environ, "OMP_NUM_THREADS": "1"})
    while not (place / "parts" / "training.safetensors").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=60)[1]
    if process.returncode:  # else it was done before the signal came
        assert process.returncode == 130
        assert "of 120 steps; they are saved in parts." in err
        assert "--resume" in err
    code, done = run("lm", "train", "numbers.txt", "--out", "parts", "--resume")
    assert (code, done["steps"]) == (0, 120)
    assert CausalLM.open("parts").fingerprint.weights == CausalLM.open("whole").fingerprint.weights


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["train"], "needs texts and a folder"),
        (["train", "numbers.txt"], "needs texts and a folder"),
        (["train", "none.txt", "--out", "x"], "none.txt cannot be opened"),
        (["train", "numbers.txt", "--out", "x", "--vocab", "letters"], "byte, bpe:512 or word"),
        (["train", "numbers.txt", "--out", "x", "--vocab", "bpe:9999"], "259 to 1,024"),
        (["train", "numbers.txt", "--out", "x", "--depth", "0"], "depth is 0"),
        (["train", "numbers.txt", "--out", "x", "--steps", "3", "--minutes", "1"], "Use one of them"),
        (["train", "numbers.txt", "--out", "x", "--lr", "nan"], "lr is nan"),
        (["train", "numbers.txt", "--out", "x", "--resume"], "no training to go on with"),
        (["train", "numbers.txt", "--out", "x", "--resume", "--lr", "1"], "--lr is given with --resume"),
        (["train", "numbers.txt", "--out", "full"], "full is there already"),
        (["train", "empty.txt", "--out", "x"], "nothing to learn from"),
        (["info"], "one model folder"),
        (["info", "x", "y"], "one model folder"),
        (["sample", "full"], "no config.json"),
        (["info", "nowhere"], "neither a folder nowhere"),
    ],
)
def test_what_goes_wrong_is_told_in_two_lines_and_leaves_no_folder(said, place, argv, told):
    (place / "full").mkdir()
    (place / "full" / "something").write_text("x")
    (place / "empty.txt").write_text("")
    code, out, err = said("lm", *argv)
    assert code in {1, 2}
    assert out == ""
    assert told in err
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 2
    assert not (place / "x").exists()


def test_without_the_extra_it_says_what_to_install(tmp_path):
    code = (
        "import sys\nsys.modules['torch'] = None\nfrom remanence.cli import main\n"
        "print(main(['lm', 'info', 'x', '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout.splitlines()[0])
    assert answer["error"] == "MissingExtraError"
    assert "remanence[local]" in answer["next_step"]


def test_help_loads_no_torch():
    code = (
        "import sys\nfrom remanence.cli import main\n"
        "for argv in (['--help'], ['lm', '--help']):\n    try:\n        main(argv)\n    except SystemExit:\n        pass\n"
        "print({'torch', 'transformers', 'tokenizers', 'peft', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")


def test_a_memory_asks_a_trained_model(run, place):
    sizes = ("--depth", "1", "--context", "4096", "--batch", "1", "--steps", "2")
    run("lm", "train", "numbers.txt", "--out", "nano", *sizes)
    settings = Settings(embedder="hashing", model=f"local:{place / 'nano'}")
    with Memory(place / "memory.rem", settings) as memory:
        memory.add("The kiln fires at 1240 degrees.")
        answer = memory.ask("How hot is the kiln?", method="plain")
    assert answer.abstained  # it has learned nothing yet, least of all to write JSON
    assert any("local/nano@" in note and "answered twice" in note for note in answer.notes)
