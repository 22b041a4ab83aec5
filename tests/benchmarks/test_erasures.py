"""Random erasures leave nothing; and the bench would notice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from remanence.forget import probe
from remanence.store.sqlite import SQLiteStore

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "reliability"


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import erasures

    monkeypatch.setattr(erasures, "_MEMORIES", 16)
    return erasures


def test_nothing_is_left(module, tmp_path):
    found = module.run(8, 3, tmp_path)
    assert (found["erasures"], found["first problems"]) == (8, [])
    assert found["tokens gone"] > 8
    assert found["tally"]["grade E"] == 8


def test_what_is_left_is_noticed_although_the_probe_is_blind(module, tmp_path, monkeypatch):
    """A rewrite that does nothing, and a probe that sees nothing: the bench has eyes of its own."""
    look = probe.look

    def blind(store, sought, *, spare_living):
        found = look(store, sought, spare_living=spare_living)
        if not spare_living:
            return found
        return replace(
            found, values=dict.fromkeys(found.values, 0), encodings=0, places=dict.fromkeys(found.places, 0)
        )  # fmt: skip

    monkeypatch.setattr(probe, "look", blind)
    monkeypatch.setattr(SQLiteStore, "scrub", lambda self: None)
    assert "tokens of what was forgotten are left" in module.run(2, 3, tmp_path)["first problems"][0]
