"""Postings against a dict of dicts: whatever came in one by one or at once, before and after merges."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.language.tokens import pack_terms
from remanence.recall import postings
from remanence.recall.postings import Postings

TERMS = [0, 1, 7, 255, 256, 2**31, 2**32 - 1]

documents = st.lists(st.sampled_from(TERMS), max_size=5)
batches = st.lists(st.tuples(st.lists(documents, max_size=5), st.booleans()), max_size=8)


def held(found: Postings, term: int) -> dict[int, int]:
    slots, counts = found.of(term)
    assert np.all(np.diff(slots) > 0), "slots rise, and none comes twice"
    return dict(zip(slots.tolist(), counts.tolist(), strict=True))


@given(batches, st.integers(0, 6), st.sampled_from([0, 2, 99]), st.sampled_from([0, 255, 2**24 - 100]))
def test_it_holds_what_a_dict_would_hold(some, tail, large, first):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postings, "_TAIL", tail)  # merge often
        patch.setattr(postings, "_LARGE", large)
        found, model, slot = Postings(), dict[int, dict[int, int]](), first
        for texts, settles in some:
            found.extend(slot, [pack_terms(terms) for terms in texts])
            for terms in texts:
                for term, count in Counter(terms).items():
                    model.setdefault(term, {})[slot] = count
                slot += 1
            if settles:
                found.settle()
                assert all(held(found, term) == model.get(term, {}) for term in TERMS)
        found.settle()
        assert all(held(found, term) == model.get(term, {}) for term in TERMS)


def test_a_term_that_nobody_holds_has_no_slots():
    found = Postings()
    assert held(found, 5) == {}
    found.extend(0, [pack_terms([4, 6])])
    assert held(found, 5) == {}
    assert held(found, 4) == {0: 1}


def test_counts_are_capped_by_what_a_byte_holds():
    found = Postings()
    found.extend(0, [pack_terms([3] * 300), pack_terms([3] * 255)])
    assert held(found, 3) == {0: 255, 1: 255}


def test_a_large_batch_and_a_small_one_after_it_stay_in_order():
    """As when a space is loaded in pieces, and the last one is small."""
    found = Postings()
    found.extend(0, [pack_terms([9])] * (postings._LARGE + 1))
    found.extend(postings._LARGE + 1, [pack_terms([9])] * 3)
    found.settle()
    assert list(held(found, 9)) == list(range(postings._LARGE + 4))


def test_a_merge_moves_what_waits_into_the_base(monkeypatch):
    monkeypatch.setattr(postings, "_TAIL", 3)
    found = Postings()
    found.extend(0, [pack_terms([1, 2, 3])])
    found.settle()
    before = found.nbytes
    assert held(found, 2) == {0: 1}
    found.extend(1, [pack_terms([2])])
    found.settle()
    assert found.nbytes > before
    assert held(found, 2) == {0: 1, 1: 1}


class _MergedMeanwhile(Postings):
    """Another thread merges as soon as a look-up has read its first attribute."""

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        if name.startswith("_") and not name.startswith("__") and vars(self).pop("armed", False):
            self._merge()
        return value


def test_a_merge_during_a_lookup_loses_nothing_and_doubles_nothing():
    found = _MergedMeanwhile()
    found.extend(0, [pack_terms([1])])
    found._merge()
    found.extend(1, [pack_terms([1]), pack_terms([1, 1])])
    found.armed = True
    assert held(found, 1) == {0: 1, 1: 1, 2: 2}
    assert not vars(found).get("armed"), "the merge came"


@given(
    batches, st.sampled_from([0, 2, 99]), st.sampled_from([0, 255]), st.lists(st.sampled_from([*TERMS, 5]), max_size=9)
)
def test_many_terms_at_once_are_each_one_by_itself(some, tail, large, asked):
    """With all in the base, all in the dictionary, or some in each; terms in any order, also twice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postings, "_TAIL", tail)
        patch.setattr(postings, "_LARGE", large)
        found, slot = Postings(), 0
        for texts, settles in some:
            found.extend(slot, [pack_terms(terms) for terms in texts])
            slot += len(texts)
            if settles:
                found.settle()
        owners, slots, counts = found.many(np.array(asked, np.int64))
        for place, term in enumerate(asked):
            single, times = found.of(term)
            own = owners == place
            assert slots[own].tolist() == single.tolist()
            assert counts[own].tolist() == times.tolist()
        assert len(owners) == len(slots) == len(counts) == sum(len(found.of(term)[0]) for term in asked)


def test_many_with_a_base_and_a_tail_by_hand():
    found = Postings()
    found.extend(0, [pack_terms([1, 1, 2])])
    found._merge()
    found.extend(1, [pack_terms([2] * 200 + [3])])
    owners, slots, counts = found.many(np.array([3, 2, 9, 1]))
    assert sorted(zip(owners.tolist(), slots.tolist(), counts.tolist(), strict=True)) == [
        (0, 1, 1), (1, 0, 1), (1, 1, 200), (3, 0, 2),
    ]  # fmt: skip


def test_many_during_a_merge_loses_nothing_and_doubles_nothing():
    found = _MergedMeanwhile()
    found.extend(0, [pack_terms([1])])
    found._merge()
    found.extend(1, [pack_terms([1]), pack_terms([4])])
    found.armed = True
    owners, slots, _ = found.many(np.array([1, 4]))
    assert sorted(zip(owners.tolist(), slots.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 2)]
