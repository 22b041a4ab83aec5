"""The local push against solving the whole walk as a matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.recall.pagerank import push

_ROUNDING = 1e-12


def graph_of(size, seed, *, density=0.2, parts=1):
    """Weights of a random symmetric graph in several parts without an edge between them; some nodes are alone."""
    chance = np.random.default_rng(seed)
    weights = np.triu(chance.random((size, size)) * (chance.random((size, size)) < density), 1)
    part = chance.integers(0, parts, size)
    weights *= part[:, None] == part[None, :]
    weights[:, chance.random(size) < 0.1] = 0
    return weights + weights.T


def neighbours_of(weights):
    def neighbours(nodes):
        owner, target = np.nonzero(weights[nodes])
        return owner, target, weights[nodes[owner], target]

    return neighbours


def converged(weights, seeds, start, damping):
    """The whole walk by power iteration: what is on its way, step by step, until nothing is."""
    degree = weights.sum(axis=1)
    alone = degree == 0
    steps = weights / np.where(alone, 1, degree)[:, None]
    moving, found = np.zeros(len(weights)), np.zeros(len(weights))
    moving[seeds] = np.asarray(start) / np.sum(start)
    while moving.sum() > 1e-16:
        found += np.where(alone, moving, (1 - damping) * moving)
        moving = damping * (moving * ~alone) @ steps
    return found


cases = st.tuples(st.integers(1, 40), st.integers(0, 10**6), st.sampled_from([0.0, 0.05, 0.3, 1.0]), st.integers(1, 4))
dampings = st.sampled_from([0.0, 0.3, 0.5, 0.85, 0.95])


@given(cases, dampings, st.sampled_from([0.0, 1e-9, 1e-4, 1e-2, 0.5]), st.sampled_from([0, 1, 5, 30, 1000]), st.data())
def test_it_is_the_whole_walk_but_for_what_is_left(case, damping, tolerance, rounds, data):
    size, seed, density, parts = case
    weights = graph_of(size, seed, density=density, parts=parts)
    seeds = np.array(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=5, unique=True)))
    start = np.array(data.draw(st.lists(st.floats(0.01, 10), min_size=len(seeds), max_size=len(seeds))))
    walk = push(
        neighbours_of(weights), np.ones(size, int), seeds, start, damping=damping, tolerance=tolerance, rounds=rounds
    )
    expected = converged(weights, seeds, start, damping)
    assert walk.mass.sum() + walk.left == pytest.approx(1, abs=_ROUNDING)
    assert np.abs(walk.mass - expected).sum() <= walk.left + _ROUNDING
    assert np.all(walk.mass <= expected + _ROUNDING), "what is left is still missing, nowhere too much"
    assert walk.left <= size * tolerance + damping**rounds + _ROUNDING


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("damping", [0.5, 0.85])
def test_more_rounds_and_a_tighter_tolerance_never_leave_more(seed, damping):
    weights = graph_of(60, seed, parts=2)
    seeds, start = np.array([0, 7, 33]), np.array([1.0, 2.0, 0.5])

    def left(tolerance, rounds):
        return push(
            neighbours_of(weights), np.ones(60, int), seeds, start, damping=damping, tolerance=tolerance, rounds=rounds
        ).left  # fmt: skip

    by_rounds = [left(1e-9, rounds) for rounds in (0, 1, 2, 5, 12, 100)]
    assert by_rounds[0] == pytest.approx(1)
    assert by_rounds == sorted(by_rounds, reverse=True)
    by_tolerance = [left(tolerance, 300) for tolerance in (0.9, 0.1, 1e-2, 1e-4, 1e-6, 1e-9)]
    assert by_tolerance == sorted(by_tolerance, reverse=True)
    assert by_tolerance[-1] < 1e-6 < by_tolerance[0]


def test_a_node_without_neighbours_keeps_what_it_gets():
    weights = np.zeros((3, 3))
    walk = push(
        neighbours_of(weights), np.ones(3, int), np.array([2, 0]), np.array([3.0, 1.0]), damping=0.5, tolerance=0.01, rounds=5
    )  # fmt: skip
    assert walk.mass.tolist() == [0.25, 0, 0.75]
    assert walk.left == 0


def test_a_pair_by_hand():
    # 0 stops with 1/2, or with 1/4 of the rest at 1, and so on: 1/2 (1 + 1/4 + …) = 2/3
    weights = np.array([[0.0, 5.0], [5.0, 0.0]])
    walk = push(
        neighbours_of(weights), np.ones(2, int), np.array([0]), np.array([9.0]), damping=0.5, tolerance=1e-12, rounds=99
    )
    assert walk.mass.tolist() == pytest.approx([2 / 3, 1 / 3])


def test_what_no_edge_reaches_has_exactly_nothing():
    weights = graph_of(50, 3, density=0.5)
    weights[25:, :25] = weights[:25, 25:] = 0
    walk = push(
        neighbours_of(weights),
        np.ones(50, int),
        np.array([1]),
        np.array([1.0]),
        damping=0.85,
        tolerance=1e-8,
        rounds=400,
    )
    assert np.all(walk.mass[25:] == 0)
    assert walk.mass[:25].sum() > 0.99


def test_work_follows_what_the_walk_reaches_not_the_graph():
    """A chain of a hundred thousand nodes: few are asked for their neighbours."""
    asked, size = [], 100_000

    def chain(nodes):
        asked.append(len(nodes))
        owner = np.repeat(np.arange(len(nodes)), 2)
        target = np.stack([nodes - 1, nodes + 1], axis=1).ravel()
        inside = (target >= 0) & (target < size)
        return owner[inside], target[inside], np.ones(int(inside.sum()))

    walk = push(chain, np.ones(size, int), np.array([50_000]), np.array([1.0]), damping=0.5, tolerance=1e-5, rounds=200)
    assert walk.left < 1e-3
    assert sum(asked) < 1000
