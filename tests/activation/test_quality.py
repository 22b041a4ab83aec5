from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from remanence.activation.capture import capture
from remanence.activation.compose import compose
from remanence.activation.quality import (
    Divergence,
    Point,
    Probe,
    continued,
    curve,
    divergence,
    measure,
    share_for,
    together,
)
from remanence.errors import InputError


def by_hand(reference, other):
    """The naive twin: sums over the vocabulary in Python."""
    total, same = [], []
    for one, two in zip(reference.tolist(), other.tolist(), strict=True):
        p, q = ([math.exp(x - max(row)) for x in row] for row in (one, two))
        p, q = [x / sum(p) for x in p], [x / sum(q) for x in q]
        total.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
        same.append(p.index(max(p)) == q.index(max(q)))
    return sum(total) / len(total), max(total), sum(same) / len(same)


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(2, 9))
def test_divergence_is_the_sum_by_hand(seed, places, vocabulary):
    drawn = torch.Generator().manual_seed(seed)
    one, two = (torch.randn((places, vocabulary), generator=drawn) for _ in range(2))
    found = divergence(one, two)
    assert (found.kl, found.worst, found.agreement) == pytest.approx(by_hand(one, two), abs=1e-6)
    assert divergence(one, one + 3) == Divergence(pytest.approx(0, abs=1e-9), pytest.approx(0, abs=1e-9), 1.0, places)


def test_places_count_once_each():
    joined = together([Divergence(1.0, 2.0, 0.5, 1), Divergence(0.0, 0.5, 1.0, 3)])
    assert joined == Divergence(0.25, 2.0, 0.875, 4)
    with pytest.raises(InputError, match="nothing to compare"):
        together([])


@pytest.fixture(scope="module")
def blocks(lm, texts):
    return [capture(lm.encode(text), lm, precision="fp32") for text in texts[:3]]


@pytest.fixture(scope="module")
def probes(lm):
    return [Probe(tuple(lm.encode("Where does Ben live?")), 6), Probe(tuple(lm.encode("Who paints?")))]


def test_a_probe_leaves_the_cache(lm, blocks, probes):
    cache = compose(blocks, lm).cache
    length = cache.get_seq_length()
    first = continued(probes[0], cache, lm)
    assert first.shape == (6, lm.vocabulary)
    assert torch.equal(first, continued(probes[0], cache, lm))
    assert cache.get_seq_length() == length
    with pytest.raises(InputError):
        continued(Probe((1, 2), 3), cache, lm)


def test_the_prefill_itself_diverges_by_nothing(lm, blocks, probes):
    ids = [one for block in blocks for one in block.ids]
    found = measure(lm.forward(ids).cache, ids, probes, lm)
    assert found.kl < 1e-9
    assert (found.agreement, found.places) == (1.0, 7)


def test_the_curve_falls_to_nothing(lm, blocks, probes):
    points = curve(blocks, probes, lm, shares=(0.0, 0.3, 0.6, 1.0))
    assert [point.mode for point in points] == ["raw", "rerotate", "repair", "blend", "blend", "blend", "blend"]
    kls = [point.divergence.kl for point in points]
    assert kls[0] > kls[1] > kls[-1]
    assert kls[-1] < 1e-6
    assert kls[3:] == sorted(kls[3:], reverse=True)
    assert [round(point.share, 1) for point in points[3:]] == [0.0, 0.3, 0.6, 1.0]
    assert points[1].share == points[1].cost == 0 < points[2].cost < points[4].cost


def test_the_share_for_an_agreement():
    def point(share, agreement, mode="blend"):
        return Point(mode, share, share, Divergence(0.1, 0.1, agreement, 10))

    points = [
        point(0.0, 0.9),
        point(0.1, 0.995),
        point(0.2, 0.98),
        point(0.3, 0.99),
        point(1.0, 1.0),
        point(0.0, 1.0, "raw"),
    ]
    assert share_for(points) == 0.3  # 0.1 agrees, but 0.2 does not
    assert share_for(points, 0.9) == 0.0
    assert share_for([point(1.0, 0.5)]) is None
    with pytest.raises(InputError, match="cannot be compared"):
        divergence(torch.zeros(2, 3), torch.zeros(3, 3))
