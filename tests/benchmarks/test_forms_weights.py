"""The benchmarks of weights: what they compute beside the package's own functions."""

from __future__ import annotations

import math
from importlib import import_module
from itertools import pairwise
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


def test_the_languages_have_four_successors_and_strings_are_no_text(script):
    made = script("curvature").world(3)
    for other in (False, True):
        steps = {(int(a), int(b)) for row in made.text(200, other=other) for a, b in pairwise(row)}
        counts = torch.bincount(torch.tensor([a for a, _ in steps]))
        assert counts.max() == 4
    follows = [int(b) in made.successors[int(a)].tolist() for row in made.strings for a, b in pairwise(row)]
    assert sum(follows) / len(follows) < 0.15


@pytest.mark.parametrize(
    ("a", "b", "expected"), [("", "", 0), ("kitten", "sitting", 3), ("abc", "", 3), ("ab", "ba", 2)]
)
def test_levenshtein(script, a, b, expected):
    assert script("curvature").levenshtein([*map(ord, a)], [*map(ord, b)]) == expected


def test_a_model_of_chance_has_the_perplexity_of_its_vocabulary(script):
    curvature = script("curvature")
    made = curvature.world(0)
    model = curvature.taught(made, 0, 1)
    with torch.no_grad():
        model.lm_head.weight.zero_()
    assert curvature.perplexity(model, made.text(4)) == pytest.approx(curvature.VOCABULARY + curvature.OTHER)
    assert curvature.recitation(model, made.strings)[0] == 0


def test_the_mass_is_chosen_within_half_the_rise(script):
    def row(mass, strict, rise, method="k-fac"):
        return {"method": method, "mass": mass, "strict": strict, "rise": rise}

    rows = [
        row(0.8, 0.0, 0.05),
        row(0.9, 0.1, 0.009),
        row(0.95, 0.1, 0.004),
        row(0.99, 0.6, 0.0),
        row(0.7, 0, 0, "svd"),
    ]
    assert script("curvature").chosen_mass(rows, "k-fac") == 0.95


def test_a_split_leaves_no_forgotten_fact_in_the_oracles_lessons(script):
    split = script("unlearning").Split.of(0, 6, 2)
    names = {fact.subject for fact in split.forget}
    assert len(names) == 2
    assert not [line for pair in split.curriculum(False) for line in pair for name in names if name in line]
    assert len(split.curriculum(True)) - len(split.curriculum(False)) == len(split.world.lessons(split.forget))
    taught = {prompt for prompt, _ in split.curriculum(True)}
    for secret in split.secrets:
        assert set(secret.taught) <= taught
        assert not set(secret.held_out) & taught
        assert secret.answer not in secret.foils


def test_an_ordering_counts_seeds_and_ties(script):
    unlearning = script("unlearning")
    rows = [
        {"seed": seed, "on": on, "method": method, "utility": value, "ks_p": 0.5}
        for on, method in unlearning.METHODS for seed, value in enumerate((0.9, 0.8) if "ihl" in method else (0.5, 0.8))
    ]  # fmt: skip
    found = unlearning.orderings(rows)["adapter: utility of ihl > gd"]
    assert (found["holds_in"], found["ties"], found["of"]) == (1, 1, 2)
    assert math.isclose(found["mean_difference"], 0.2)
