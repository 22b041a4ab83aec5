"""The second round: what is said like the best hits of the first."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence import Memory
from remanence.recall.columns import Rows
from remanence.recall.profile import DEFAULT
from remanence.recall.second import again
from remanence.settings import Settings

TEXTS = [f"Ana painted {what} in the {where}." for what in ("kites", "boats", "a tree") for where in ("hall", "garden")]
TEXTS += ["Ben fixed the boiler.", "It rained.", "Rex barks a lot."]


class Seen:
    """The part of a view that the second round looks at."""

    def __init__(self, vectors, embedded):
        self.vectors = Rows()
        self.vectors.extend(np.asarray(vectors, np.float32))
        self.embedded = np.asarray(embedded, bool)
        self.root = np.arange(len(vectors))


def naive(vectors, embedded, pool, scores, turns, profile):
    """The same, candidate by candidate."""
    places = [at for at, slot in enumerate(pool) if turns[at] and embedded[slot]]
    if not profile.again or len(places) <= profile.again_hits:
        return None
    best = sorted(places, key=lambda at: (-scores[at], pool[at]))[: profile.again_hits]
    weights = [math.exp(scores[at] - scores[best[0]]) for at in best]
    close = {}
    for at in places:
        dots = [sum(a * b for a, b in zip(vectors[pool[at]], vectors[pool[one]], strict=True)) for one in best]
        close[at] = sum(w * dot for w, dot in zip(weights, dots, strict=True)) / sum(weights)
    mean = sum(close.values()) / len(close)
    spread = math.sqrt(sum((one - mean) ** 2 for one in close.values()) / len(close))
    if spread < 1e-6:
        return None
    return [profile.again * (close[at] - mean) / spread if at in close else 0.0 for at in range(len(pool))]


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 14))
@settings(max_examples=60)
def test_it_equals_a_loop(seed, best, count):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(16, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    embedded, turns = rng.random(16) < 0.8, rng.random(count) < 0.8
    pool = rng.permutation(16)[:count]
    scores = rng.integers(0, 4, count).astype(float)  # with ties
    profile = replace(DEFAULT, again_hits=best)
    found = again(Seen(vectors, embedded), pool, scores, turns, profile)
    expected = naive(vectors, embedded, pool, scores, turns, profile)
    assert (found is None) == (expected is None)
    if found is not None:
        assert found.contribution == pytest.approx(expected, abs=1e-4)
        assert not found.contribution[~(turns & embedded[pool])].any()


def test_ties_go_to_the_older_memory():
    vectors = np.eye(4, dtype=np.float32)[[0, 1, 0, 1, 2]]
    found = again(
        Seen(vectors, [True] * 5),
        np.array([3, 0, 2, 1, 4]),
        np.zeros(5),
        np.ones(5, bool),
        replace(DEFAULT, again_hits=1),
    )
    assert found is not None
    assert found.values.tolist() == [0, 1, 1, 0, 0]  # like slot 0, the oldest


def test_where_all_are_alike_it_says_nothing():
    assert again(Seen(np.ones((8, 4)) / 2, [True] * 8), np.arange(8), np.arange(8.0), np.ones(8, bool), DEFAULT) is None


# ── through the front door ──


def reasons(hits, channel="again"):
    return {hit.cube.text: one for hit in hits for one in hit.why.reasons if one.channel == channel}


def test_it_lifts_what_is_like_the_best_and_brings_nothing_new():
    with (
        Memory(":memory:", Settings(embedder="hashing")) as memory,
        Memory(":memory:", Settings(embedder="hashing"), profile=replace(DEFAULT, again=0)) as without,
    ):
        memory.add(TEXTS)
        without.add(TEXTS)
        hits, plain = (one.recall("What has Ana painted?", k=50) for one in (memory, without))
    assert {hit.cube.text for hit in hits} == {hit.cube.text for hit in plain}
    assert not reasons(plain)
    lifted = reasons(hits)
    assert lifted["Ana painted boats in the hall."].contribution > 0 > lifted["It rained."].contribution
    assert lifted["It rained."].rank is None
    assert "like the best hits of the first round" in lifted["It rained."].words
    scores = {hit.cube.text: hit.score for hit in plain}
    for hit in hits:
        added = lifted[hit.cube.text].contribution if hit.cube.text in lifted else 0.0
        assert hit.score == pytest.approx(scores[hit.cube.text] + added, abs=0.006)


def test_documents_are_left_alone(memory):
    memory.add([{"content": text, "role": "document", "title": "Notes"} for text in TEXTS])
    assert not reasons(memory.recall("What has Ana painted?", k=50, route="cheap"))
    memory.add([f"Ana painted {number} boats." for number in range(9)])
    hits = memory.recall("What has Ana painted?", k=50, route="cheap")
    lifted = reasons(hits)
    assert lifted
    assert all(hit.cube.text not in lifted for hit in hits if hit.cube.provenance.role == "document")


def test_few_candidates_or_no_embedder_have_no_second_round(memory, wordy):
    memory.add(TEXTS[: DEFAULT.again_hits])
    assert not reasons(memory.recall("What has Ana painted?", k=50))
    memory.add(TEXTS[DEFAULT.again_hits :])
    assert reasons(memory.recall("What has Ana painted?", k=50))
    wordy.add(TEXTS)
    assert not reasons(wordy.recall("What has Ana painted?", k=50))
