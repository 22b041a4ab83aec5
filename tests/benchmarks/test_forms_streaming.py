"""The benchmark of the streaming memory runs, counts what it says, and the page shows its results."""

import json
import random
import sys
from importlib import import_module
from pathlib import Path

import pytest

from remanence.evaluation import streams
from remanence.models.local.causal import CausalLM
from remanence.models.local.nano import NanoSpec, new
from remanence.models.local.tokenizing import word_tokenizer

FORMS = Path(__file__).parents[2] / "benchmarks" / "forms"


@pytest.fixture
def streaming(monkeypatch):
    monkeypatch.syspath_prepend(FORMS)
    yield import_module("streaming")
    sys.modules.pop("streaming", None)


@pytest.fixture
def taught(monkeypatch):
    monkeypatch.syspath_prepend(FORMS)
    return import_module("streams_taught")


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(FORMS)
    return import_module("streaming_page")


def test_a_small_run(streaming, page, tmp_path, capsys, monkeypatch):
    command = ["--quick", "--json", str(tmp_path / "a.json"), "--cells", str(tmp_path / "cells")]
    streaming.main(command)
    result = json.loads((tmp_path / "a.json").read_text())
    monkeypatch.delattr(streaming, "taught")
    streaming.main(command)  # goes on where it was: nothing is left to teach
    assert json.loads((tmp_path / "a.json").read_text()) == result
    rows = result["rows"]
    assert {row["method"] for row in rows["grocery"]} == {"full", *streaming.METHODS}
    assert len(rows["grocery"]) == 2 * (1 + len(streaming.METHODS))
    assert all(row["recall"]["n"] == 1 for row in rows["grocery"])
    assert all(row["won"]["value"] + row["tied"] + row["lost"] == pytest.approx(1) for row in rows["games"])
    assert "rock–paper–scissors" in capsys.readouterr().out
    assert "| sirllm |" in page.tables(result)


def test_what_is_taught_is_weighted(taught):
    tokenizer = word_tokenizer(streams.texts())
    ids, targets, weights = taught.batch(random.Random(0), tokenizer, 3)
    assert ids.shape == targets.shape == weights.shape
    assert ((weights == 30).sum(1) == 1).all(), "one recall in each session"
    assert (targets == ids)[weights > 0].all()
    ids, targets, weights = taught.batch(random.Random(0), tokenizer, None)
    moves = weights == 10
    assert (targets == ids)[(weights > 0) & ~moves].all()
    assert not (targets == ids)[moves].all(), "what was played is not what is taught"
    assert (weights[:, 0] == 0).all()


def test_dialogues_to_test_with_were_not_taught(streaming):
    """Those that are taught have seeds of 0 and more."""
    assert streaming.UNSEEN < 0
    unseen = {session.lesson for session in streams.sessions(streaming.UNSEEN, 50)}
    assert not unseen & {session.lesson for seed in range(50) for session in streams.sessions(seed, 1)}


def test_the_reference_players(streaming):
    match = streams.Match("rock", ("rock", "rock", "paper", "rock"))
    assert streaming.most_often(match)[1:] == ["rock", "rock", "rock"]
    assert streaming.countered(match, ["rock"] * 4) == streams.Played(3, 1, 0)


def test_a_memory_says_whether_the_item_was_there(streaming):
    tokenizer = word_tokenizer(streams.texts())
    lm = CausalLM.of(new(NanoSpec(depth=1, width=32, heads=2, vocab=len(tokenizer), context=512)), tokenizer)
    drawn = streams.sessions(-1, 3)
    full = streaming.recalled(lm, drawn, streaming.METHODS["streamingllm"], 512)
    none = streaming.recalled(lm, drawn, streaming.METHODS["streamingllm"], 32)
    assert full["kept"] == [True] * 3
    assert none["kept"] == [False] * 3
    assert full["fillers"] == 60


@pytest.mark.skipif(not (FORMS / "results" / "streaming.json").exists(), reason="the benchmark was not run")
def test_the_page_shows_the_results(page):
    tables = page.tables(json.loads(page.RESULT.read_text(encoding="utf-8")))
    assert f"{page.BEGINS}\n{tables}{page.ENDS}" in page.PAGE.read_text(encoding="utf-8")
