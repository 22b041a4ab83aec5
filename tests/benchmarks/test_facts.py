"""The benchmarks of facts and of styles run, and sum up what they found."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("peft", reason="needs the extra `local`")
FORMS = Path(__file__).parents[2] / "benchmarks" / "forms"


@pytest.mark.parametrize(
    ("name", "arms", "measure"),
    [
        ("facts", {"first batch", "plain LoRA", "RegLoRA 1000", "replay 16"}, "reliability"),
        ("styles", {"plain", "diversified"}, "BWT"),
    ],
)
def test_a_quick_run_writes_its_summary(monkeypatch, tmp_path, capsys, name, arms, measure):
    monkeypatch.syspath_prepend(FORMS)
    monkeypatch.setattr(sys, "argv", [name, "--quick", "--json", str(tmp_path / "found.json")])
    import_module(name).main()
    told = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert arms <= {one["arm"] for one in told["summary"]}
    assert all(one["seeds"] == 1 and measure in one for one in told["summary"])
    assert {"machine", "command", "seeds"} <= set(told)
    assert "plain" in capsys.readouterr().out


def test_the_sum_is_over_seeds(monkeypatch):
    monkeypatch.syspath_prepend(FORMS)
    facts = import_module("facts")

    def seed(number: int, reliability: float, after: float) -> dict:
        def row(arm: str, share: float, **more) -> dict:
            facets = {"reliability": share, "locality": 1.0 if arm == "before" else 0.9}
            return {"arm": arm, "seed": number, "facets": facets, "cpu_seconds": 1.0, **more}

        matrix = {"reliability": {"scores": [[reliability], [after, 1.0]], "F": [after - reliability, 0.0]}}
        rows = [row("first batch", reliability), row("before", 0.1), row("plain LoRA", 1.0, matrices=matrix)]
        return {"seed": number, "rows": rows}

    summary = {one["arm"]: one for one in facts.summed([seed(0, 1.0, 0.5), seed(1, 0.9, 0.6)])}
    assert summary["first batch"]["reliability"]["value"] == pytest.approx(0.95)
    assert summary["first batch"]["locality_drop"]["value"] == pytest.approx(0.1)
    assert summary["plain LoRA"]["forgetting_reliability"]["value"] == pytest.approx(-0.4)
    assert summary["plain LoRA"]["matrix"][1] == pytest.approx([0.55, 1.0])
