"""Runs of an array against plain loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from remanence.recall.ranges import spread

runs = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), max_size=12)


@given(runs)
def test_it_lays_runs_one_after_the_other(some):
    starts = np.array([start for start, _ in some], np.int64)
    ends = np.array([start + size for start, size in some], np.int64)
    places, owner = spread(starts, ends)
    expected = [(place, run) for run, (start, size) in enumerate(some) for place in range(start, start + size)]
    assert list(zip(places.tolist(), owner.tolist(), strict=True)) == expected


def test_by_hand_with_an_empty_run_and_one_that_comes_twice():
    places, owner = spread(np.array([4, 9, 0, 4]), np.array([6, 9, 1, 6]))
    assert places.tolist() == [4, 5, 0, 4, 5]
    assert owner.tolist() == [0, 0, 2, 3, 3]
