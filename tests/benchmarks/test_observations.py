"""LoCoMo's observations by turn."""

from __future__ import annotations

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import observations

    return observations


def test_statements_stand_at_each_of_their_turns_and_keys_are_repaired(module):
    sample = {
        "observation": {
            "session_1_observation": {"Ana": [["A.", "D1:3"], ["B.", ["D1:3", "D1:04"]], ["C.", "D8:6; D:11:26"]]},
            "session_2_observation": {"Bo": [["D.", "D1:3 D1:3"], ["E.", "none"], ["F.", [7]]]},
            "session_3_observation": [],
        }
    }
    assert module.of_sample(sample) == {"D1:3": ["A.", "B.", "D."], "D1:4": ["B."], "D8:6": ["C."], "D11:26": ["C."]}
    assert module.of_sample({}) == {}


def test_every_key_of_the_real_file_is_a_turn(module):
    import data

    if not (data.folder() / "locomo-dev").is_dir():
        pytest.skip(f"{data.folder() / 'locomo-dev'} is not here (set REMANENCE_DATA)")
    found = module.observations()
    turns = {corpus.name: {message["meta"]["key"] for message in corpus.messages} for corpus in data.locomo()}
    assert found.keys() == turns.keys()
    assert sum(len(statements) for by_turn in found.values() for statements in by_turn.values()) > 1200
    assert [key for name, by_turn in found.items() for key in by_turn if key not in turns[name]] == []
