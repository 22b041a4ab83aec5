"""The benchmarks of lookup rows, editing and merging run on the shared model, and write what they measured."""

from __future__ import annotations

import json
from argparse import Namespace
from importlib import import_module
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `local`")
torch.set_num_threads(1)
pytest.importorskip("peft", reason="needs the extra `local`")


@pytest.fixture
def script(monkeypatch):
    """Import a module of benchmarks/forms."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks" / "forms")
    return import_module


@pytest.fixture
def models(taught_folder, tmp_path):
    """Where the benchmarks look for a model that knows world 0: it is the one that the tests share."""
    (tmp_path / "world0").symlink_to(taught_folder)
    return tmp_path


def test_half_of_the_rows_go_as_if_never_written(script, models):
    rows, exact = script("lookup").run(0, models, 2)
    found = {row["memory"]: row for row in rows}
    assert found["all facts"]["recall"] >= 0.85 > 0.4 > found["none"]["recall"]
    assert found["all facts, all rows read"]["recall"] < found["all facts"]["recall"]
    assert exact["facts"] == 8
    for name in ("background bitwise untouched", "as never written, bitwise", "file as never written"):
        assert exact[name] == 1
    for half in ("the other half", "that half"):
        deleted, never = (
            {key: value for key, value in found[f"{how}: {half}"].items() if key != "memory"}
            for how in ("half deleted", "half never written")
        )
        assert deleted == never


def test_routing_keeps_what_merging_mixes(script, models):
    rows = script("merging").run(0, models, quick=True)
    found = {row["way"]: row for row in rows}
    assert found["side by side"]["recall"] == pytest.approx(found["cat"]["recall"], abs=0.05)
    assert found["routed"]["none for own"] <= 0.1
    assert set(found) == {"own", "routed", "side by side", "cat", "cat, mean", "ties", "dare"}


def test_groups_and_results(script, tmp_path):
    assert script("editing").groups([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]
    worlds = script("editing_worlds")
    rows = [{"seed": seed, "way": "a", "share": seed / 10, "note": None} for seed in range(3)]
    asked = Namespace(json=tmp_path / "deep" / "found.json", seeds=[0, 1, 2])
    worlds.keep(asked, "merging.py", {"more": 1}, rows)
    written = json.loads(asked.json.read_text(encoding="utf-8"))
    assert written["rows"] == rows
    assert written["command"].startswith("python benchmarks/forms/merging.py")
    assert worlds._cell([0.0, 0.1, 0.2]).startswith("0.100 [-0.148")
    assert worlds._cell([0.5]) == "0.500"
    assert worlds._cell([None, 0.5]) == "None"
    worlds.show("title", rows, ["way"])
