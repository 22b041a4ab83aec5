"""Fusing by hand: z-scores, which cubes become candidates, and the session's lift."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence import Memory
from remanence.recall import fuse
from remanence.recall.analyse import analyse
from remanence.recall.profile import DEFAULT, Profile
from remanence.recall.view import NOBODY
from remanence.settings import Settings

WORDS = ["red", "blue", "car", "bus", "fox", "dog", "tree", "house"]


def test_zscore_by_hand():
    assert fuse.zscore(np.array([1.0, 2.0, 3.0])).tolist() == pytest.approx([-sqrt(1.5), 0, sqrt(1.5)])
    assert fuse.zscore(np.array([])).tolist() == []


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 7.3, 1e-9])
@pytest.mark.parametrize("count", [1, 3, 7, 100])
def test_values_that_are_all_the_same_tell_nothing_apart(value, count):
    same = np.full(count, value, np.float32)
    assert fuse.zscore(same).tolist() == [0] * count
    nearly = same * (1 + np.arange(count, dtype=np.float32) % 2 * np.float32(1.2e-7))
    assert fuse.zscore(nearly).tolist() == [0] * count


def test_rounding_around_zero_tells_nothing_apart():
    """As where a question shares nothing with any text: dot products of parts that cancel out."""
    assert fuse.zscore(np.array([0, 3e-9, -8e-9, 1e-8], np.float32)).tolist() == [0] * 4


@given(st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=50))
def test_zscores_keep_the_order_and_have_mean_zero(values):
    found = fuse.zscore(np.array(values, np.float64))
    assert abs(found.mean()) < 1e-6
    assert all(a <= b + 1e-9 for a, b in zip(found[np.argsort(values)], found[np.argsort(values)][1:], strict=False))


def test_slots_without_a_vector_stay_at_the_mean():
    found = fuse._zscore_of(np.array([1.0, 50.0, 3.0]), np.array([True, False, True]))
    assert found.tolist() == [-1, 0, 1]


@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0]) | st.floats(0, 3, width=32), min_size=1, max_size=400),
    st.integers(1, 30), st.booleans(),
)  # fmt: skip
def test_the_best_are_those_that_sorting_gives(values, count, everything):
    scores = np.array(values, np.float32)
    slots = np.arange(len(scores)) if everything else np.arange(0, len(scores), 2)
    found = fuse._best(slots, scores, count)
    assert len(set(found.tolist())) == len(found) == min(count, len(slots))
    assert set(found.tolist()) <= set(slots.tolist())
    assert sorted(scores[found]) == sorted(scores[slots])[-count:]


def test_the_best_of_many_with_many_ties():
    scores = np.zeros(5000, np.float32)
    scores[[7, 4999]] = 1
    found = fuse._best(np.arange(5000), scores, 40)
    assert {7, 4999} <= set(found.tolist())
    assert len(found) == 40


@pytest.fixture(scope="module")
def crowd():
    """240 cubes by three speakers on forty days, some about something."""
    chance = np.random.default_rng(5)
    with Memory(":memory:", Settings(embedder="hashing")) as memory:
        for number in range(240):
            message = {
                "content": " ".join(chance.choice(WORDS, 4)) + f" {number}", "name": ["Ann", "Bob", "Carl"][number % 3],
                "time": f"2024-0{1 + number % 4}-{1 + number % 10:02d}",
            }  # fmt: skip
            memory.add(message | ({"title": "Rome"} if number % 20 == 0 else {}))
        yield memory


REACHES = {
    "": lambda cube: True,
    "Ann": lambda cube: cube.provenance.author == "Ann",
    "in Rome": lambda cube: cube.about == "Rome",
    "on 3 February 2024": lambda cube: abs(cube.provenance.observed_at.timetuple().tm_yday - 34) <= 7,
}


@pytest.mark.parametrize("size", [8, 16, 40, 100])
@pytest.mark.parametrize("reach", REACHES)
@pytest.mark.parametrize("found_by", ["words", "meaning"])
def test_the_best_of_each_search_are_candidates_within_each_priors_reach_too(crowd, query, view, size, reach, found_by):
    seen, asked = view(crowd), query(f"a red fox or a dog {reach}")
    profile, mask = Profile(pool=size), np.ones(240, bool)
    mask[::7] = False
    chance = np.random.default_rng(size)
    searches = {name: chance.random(240, np.float32) for name in ("words", "meaning")}
    pool = fuse.candidates(seen, analyse(asked, seen), mask, fuse.Searches(**searches), profile)
    assert np.all(np.diff(pool) > 0)
    assert mask[pool].all()
    cubes = crowd._store.fetch("default", seen.seq.tolist())
    within = [slot for slot in range(240) if mask[slot] and REACHES[reach](cubes[int(seen.seq[slot])])]
    best = sorted(within, key=lambda slot: -searches[found_by][slot])[: size // 4]
    assert len(best) > 1
    assert set(best) <= set(pool.tolist())


def test_a_small_scope_is_taken_whole(crowd, query, view):
    seen, mask = view(crowd), np.zeros(240, bool)
    mask[[3, 5, 200]] = True
    found = fuse.Searches(words=np.ones(240, np.float32))
    pool = fuse.candidates(seen, analyse(query("fox"), seen), mask, found, Profile(pool=3))
    assert pool.tolist() == [3, 5, 200]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_even_the_smallest_pool_finds_something(size):
    with Memory(":memory:", Settings(embedder="hashing"), profile=Profile(pool=size)) as memory:
        memory.add([f"the red car number {number}" for number in range(200)])
        assert memory.recall("car number 17", k=1)[0].cube.text == "the red car number 17"


def test_where_no_search_speaks_priors_reach_the_oldest_too():
    with Memory(":memory:", Settings(embedder="none"), profile=Profile(pool=8)) as memory:
        memory.add(
            [
                {"content": f"the {number}th", "time": f"2023-{1 + number // 20:02d}-{1 + number % 20:02d}"}
                for number in range(60)
            ]
        )
        found = memory.recall("What was on 7 January 2023?", k=1, now="2024-01-01")
        assert [hit.cube.text for hit in found] == ["the 6th"]


def test_a_search_counts_for_more_where_it_is_alone(memory, wordy, contributions):
    for one in (memory, wordy):
        one.add(["It is a red car", "blue bus"])
    assert contributions(memory, "car")["It is a red car"]["words"] == pytest.approx(DEFAULT.words)
    assert contributions(memory, "car")["It is a red car"]["meaning"] == pytest.approx(DEFAULT.meaning)
    assert contributions(wordy, "car")["It is a red car"]["words"] == pytest.approx(DEFAULT.alone)
    assert abs(contributions(memory, "what is it?")["It is a red car"]["meaning"]) == pytest.approx(DEFAULT.alone)


def lifted(threads, scores, **weights):
    found = fuse._session_lift(np.array(threads, np.int32), np.array(scores, float), Profile(**weights))
    return None if found is None else found.tolist()


def test_the_session_lift_by_hand():
    # means of the two best: 2.5 for thread 0, 1 for thread 1; their cubes' mean is 1.9, the deviation sqrt(0.54)
    threads, scores = [0, 1, 0, 0, 1], [1.0, 2.0, 3.0, 2.0, 0.0]
    high, low = (2.5 - 1.9) / sqrt(0.54), (1 - 1.9) / sqrt(0.54)
    assert lifted(threads, scores, session=0.5, session_best=2) == pytest.approx(
        [0.5 * high, 0.5 * low, 0.5 * high, 0.5 * high, 0.5 * low]
    )


def test_a_cube_without_a_session_is_a_session_of_its_own():
    found = lifted([NOBODY, 0, 0, NOBODY], [4.0, 0.0, 2.0, 1.0], session=1, session_best=3)
    assert found == pytest.approx(fuse.zscore(np.array([4.0, 1.0, 1.0, 1.0])).tolist())


@pytest.mark.parametrize("threads", [[], [0], [3, 3, 3], [NOBODY, NOBODY]], ids=str)
def test_fewer_than_two_sessions_lift_nothing(threads):
    assert lifted(threads, [float(n) for n in range(len(threads))]) is None
