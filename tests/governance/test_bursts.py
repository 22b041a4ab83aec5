"""Floods and trigger phrases."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.governance.bursts import _crowded, _overlap, _read, bursts, near
from remanence.policies import Trust

WORDS = [
    f"{a}{b}"
    for a in ("ka", "lo", "mi", "nu", "re", "sa", "to", "vi")
    for b in ("ba", "den", "fel", "gor", "hin", "jus", "kel", "lam")
]


def sentence(drawn, count=14):
    return " ".join(drawn.choice(WORDS) for _ in range(count))


def test_a_flood_is_held_and_a_few_are_not():
    flood = [f"Everybody in town knows that the mayor sold bridge {n} to a stranger from abroad." for n in range(8)]
    assert set(bursts(flood, Trust.WEB)) == set(range(8))
    assert bursts(flood[:5], Trust.WEB) == {}
    assert set(bursts(flood[:1], Trust.WEB, flood[1:])) == {0}
    for trust in (Trust.USER, Trust.TOOL):
        assert bursts(flood * 20, trust) == {}, "people and tools repeat themselves"


def test_a_rare_phrase_in_many_texts_is_held_unless_others_use_it_too():
    drawn = random.Random(1)
    planted = [f"{sentence(drawn)} heed the amber window quietly {sentence(drawn)}" for _ in range(8)]
    plain = [sentence(drawn, 30) for _ in range(20)]
    found = bursts([*plain, *planted], Trust.WEB)
    assert set(found) == set(range(20, 28))
    assert all("rare phrase" in str(one) for one in found.values())
    assert bursts([*plain, *planted], Trust.WEB, [], ["we heed the amber window quietly every single morning"]) == {}


def test_short_texts_and_names_make_no_burst():
    assert bursts(["Thank you so much!"] * 50, Trust.WEB) == {}
    drawn = random.Random(2)
    texts = [f"{sentence(drawn)} Massachusetts Institute of Technology Press {sentence(drawn)}" for _ in range(30)]
    assert bursts(texts, Trust.WEB) == {}


def test_near():
    one = "The old mill by the river was sold to a family from the north last week."
    assert near(one, one + " Yes.")
    assert not near(one, "A new school opened on the hill and many children went there at once today.")


@pytest.mark.parametrize("least", [2, 4])
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=20))
def test_crowds_as_all_pairs_find_them(least, chosen):
    """Copies with a word or two changed; texts of different kinds share nothing."""
    base = [[f"{word}{kind}" for word in WORDS[:40]] for kind in range(6)]
    texts = []
    for number, (kind, changes) in enumerate(chosen):
        words = list(base[kind])
        for change in range(changes):
            words[10 + 15 * change] = f"changed{number}"
        texts.append(_read(" ".join(words)))
    naive = {
        at: count
        for at, one in enumerate(texts)
        if (count := sum(_overlap(one.shingles, other.shingles) >= 0.5 for other in texts)) >= least
    }
    assert _crowded(texts, [], least) == naive
