"""The registry against a dict: numbers in the order of arrival, whenever it merges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.recall import registry
from remanence.recall.registry import Registry

names = st.lists(st.sampled_from([0, 1, 2, 9, 2**31, 2**31 + 1, 2**32 - 1]) | st.integers(0, 2**32 - 1), max_size=12)


def hashes(some):
    return np.array(some, np.uint32)


@given(st.lists(names, max_size=8), names, st.sampled_from([0, 3, 10_000]))
def test_it_numbers_as_a_dict_would(batches, strangers, tail):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_TAIL", tail)  # merge often
        found, model = Registry(), dict[int, int]()
        for batch in batches:
            before = len(found)
            expected = [model.setdefault(name, len(model)) for name in batch]
            assert found.number(hashes(batch)).tolist() == expected
            assert len(found) == len(model) >= before
            known = [*model, *strangers]
            assert found.find(hashes(known)).tolist() == [model.get(name, -1) for name in known]


def test_looking_up_adds_nothing():
    found = Registry()
    assert found.find(hashes([5, 5])).tolist() == [-1, -1]
    assert len(found) == 0
    assert found.number(hashes([])).tolist() == []


def test_one_name_twice_in_one_batch_has_one_number():
    found = Registry()
    assert found.number(hashes([7, 3, 7, 3, 1])).tolist() == [0, 1, 0, 1, 2]


def test_a_merge_keeps_all_numbers(monkeypatch):
    monkeypatch.setattr(registry, "_TAIL", 2)
    found = Registry()
    assert found.number(hashes([9, 4])).tolist() == [0, 1]
    assert found.nbytes == 0, "they wait in the dictionary"
    assert found.number(hashes([6])).tolist() == [2]
    assert found.nbytes == 3 * 8, "4 bytes of name and 4 of number"
    assert found.find(hashes([4, 5, 6, 9])).tolist() == [1, -1, 2, 0]


class _MergedMeanwhile(Registry):
    """Another thread merges as soon as a look-up has read its first attribute."""

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        if name == "_state" and vars(self).pop("armed", False):
            self._merge()
        return value


def test_a_merge_during_a_lookup_loses_nothing():
    found = _MergedMeanwhile()
    found.number(hashes([8, 5]))
    found.armed = True
    assert found.find(hashes([5, 8, 7])).tolist() == [1, 0, -1]
    assert not vars(found).get("armed"), "the merge came"
