"""The benchmarks of caches, small: they run, and their figures hold together."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra `local`")

FORMS = Path(__file__).parents[2] / "benchmarks" / "forms"


def run(monkeypatch, name, path, *options):
    monkeypatch.syspath_prepend(FORMS)
    monkeypatch.setattr(sys, "argv", [name, "--quick", "--json", str(path), *options])
    import_module(name).main()
    return json.loads(path.read_text())


def test_time_to_first_token(monkeypatch, tmp_path, capsys):
    found = run(monkeypatch, "ttft", tmp_path / "ttft.json")
    assert [(row["context"], row["query"], row["published_percent"]) for row in found["rows"]] == [
        (583, 167, 71.3),
        (583, 953, 23.8),
    ]
    for row in found["rows"]:
        assert row["same_first_token"]["disk"]
        assert row["same_first_token"]["ram"]
        assert max(row["logits_off"][way] for way in ("disk", "ram", "prefix")) < 1e-4
        assert row["bytes"] > 583 * found["bytes_per_token"]
    assert "published" in capsys.readouterr().out


def test_composition(monkeypatch, tmp_path, capsys):
    found = run(monkeypatch, "composition", tmp_path / "composition.json")
    rows = {(row["blocks"], row["way"]): row for row in found["rows"]}
    for blocks in (2, 4, 8):
        assert rows[blocks, "blend 1.00, bare"]["kl"][0] < 1e-6
        assert rows[blocks, "blend 1.00, framed"]["agreement"][0] == 1
        assert rows[blocks, "raw, bare"]["share_of_raw"] == 1
        assert rows[blocks, "raw, bare"]["cost"] == rows[blocks, "rerotate, framed"]["cost"] == 0
    assert "99% agreement" in capsys.readouterr().out
