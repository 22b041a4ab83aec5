"""The fuzz of tenants: a small run finds nothing, and finds something as soon as one lock is taken off."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

import pytest

from remanence import Memory
from remanence.governance.access import Gate
from remanence.settings import Settings
from remanence.store.grants import Grants, Place

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "reliability"


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import tenants

    return tenants


def fuzzed(module, tmp_path, calls=400, seed=5, only=None):
    rng = random.Random(seed)
    settings = Settings(embedder="hashing", durability="normal")
    with closing(Memory(tmp_path / "t.rem", settings, model=module.Echo())) as memory:
        world = module.build(memory, 4, rng)
        result = module.fuzz(world, calls, rng, only)
        assert memory.verify(sample=0).ok
        return result


def test_nobody_sees_what_is_not_theirs(module, tmp_path):
    found = fuzzed(module, tmp_path)
    assert found["first leaks"] == []
    for call in ("recall", "ask", "ask_stream", "list", "conflicts"):  # it did look
        assert found["returned words"][call] > 0
    assert all(found["refused"][call] for call in module.CALLS if call not in {"spaces", "stats"})


@pytest.mark.parametrize("call", ["recall", "list", "ask", "conflicts"])
def test_a_gate_that_takes_any_grant_for_this_one_is_found_out(module, tmp_path, monkeypatch, call):
    monkeypatch.setattr(Grants, "held", lambda self, principal, space: self.listed(None, principal))
    assert fuzzed(module, tmp_path, calls=60, only=call)["leaks"] > 0


@pytest.mark.parametrize("call", ["recall", "list", "ask", "conflicts", "recall pairs"])
def test_a_clearance_that_is_not_asked_for_is_found_out(module, tmp_path, monkeypatch, call):
    monkeypatch.setattr(Gate, "_clearance", lambda self, held: None)
    assert fuzzed(module, tmp_path, calls=60, only=call)["leaks"] > 0


@pytest.mark.parametrize("call", ["get", "history"])
def test_ids_of_other_spaces_are_found_out(module, tmp_path, monkeypatch, call):
    place = Grants.place

    def anywhere(self, cube_id):
        found, home = place(self, cube_id), [one.space for one in self.listed() if one.role == "reader"]
        return found and Place(found.space, None, (), found.state) if home else found

    monkeypatch.setattr(Grants, "place", anywhere)
    monkeypatch.setattr(Grants, "held", lambda self, principal, space: self.listed(None, principal))
    assert fuzzed(module, tmp_path, calls=200, only=call)["leaks"] > 0
