"""Personalised PageRank by local push: work in proportion to what the walk reaches, not to the graph.

Andersen, Chung and Lang, "Local graph partitioning using PageRank vectors" (FOCS 2006), in rounds: all nodes whose residual
is worth it push at once, so that numpy does the work. A node without neighbours keeps what it gets. `naive_graph.py` has
the power iteration that this is held to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Nodes = NDArray[np.int64]
Mass = NDArray[np.float64]
Neighbours = Callable[[Nodes], tuple[Nodes, Nodes, Mass]]
"""For some nodes: the place of each edge's node among them, the node at its other end, and its weight above 0."""


class Walk(NamedTuple):
    """Where a walk with restarts is found."""

    mass: Mass
    """Probability of every node, shape (nodes,); the sum is 1 - `left`."""
    left: float
    """What was not pushed any further: no node's probability is off by more, nor are all of them together."""


def push(
    neighbours: Neighbours, degrees: NDArray[np.integer], seeds: Nodes, weights: Mass, *, damping: float, tolerance: float,
    rounds: int,
) -> Walk:  # fmt: skip
    """Walk from distinct `seeds`, which get the start in proportion to `weights`, going on with probability `damping`.

    A node pushes while its residual is above `tolerance` times its degree, so that one with thousands of neighbours waits
    until each of them gets something worth having. `degrees`, shape (nodes,), say only what a push costs; they need not be
    exact. At most `rounds` rounds are made.
    """
    residual, mass = np.zeros(len(degrees)), np.zeros(len(degrees))
    least = tolerance * np.maximum(degrees, 1)
    residual[seeds] = weights / weights.sum()
    frontier = seeds[residual[seeds] > least[seeds]]
    for _ in range(rounds):
        if not len(frontier):
            break
        moving = residual[frontier]
        residual[frontier] = 0
        owner, target, weight = neighbours(frontier)
        degree = np.bincount(owner, weight, len(frontier))
        mass[frontier] += np.where(degree > 0, (1 - damping) * moving, moving)
        share = np.divide(damping * moving, degree, out=np.zeros(len(frontier)), where=degree > 0)
        np.add.at(residual, target, weight * share[owner])
        frontier = np.flatnonzero(residual > least)
    return Walk(mass, float(residual.sum()))
