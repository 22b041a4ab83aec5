"""Growing arrays: what was appended is there, and a view that somebody holds stays as it was."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from remanence.recall.columns import _BLOCK, Column, Rows

pieces = st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=70), max_size=8)


@given(pieces)
def test_a_column_is_the_list_of_all_that_was_appended_and_older_views_stay(some):
    column, model, older = Column(np.int32), list[int](), []
    for values in some:
        column.extend(values)
        model += values
        older.append((column.view(), model.copy()))
    assert column.view().tolist() == model
    assert column.view().dtype == np.int32
    assert all(view.tolist() == then for view, then in older)


def test_a_column_has_spare_room_but_not_much():
    column = Column(np.int32)
    for number in range(10_000):
        column.extend([number])
    assert 40_000 <= column.nbytes <= 40_000 * 1.2


def test_writing_into_a_view_writes_into_the_column():
    column = Column(np.float64)
    column.extend([1, 2])
    column.view()[1] = 5
    assert column.view().tolist() == [1, 5]


@given(st.lists(st.sampled_from([0, 1, 3, _BLOCK - 1, _BLOCK, 2 * _BLOCK + 1]), max_size=5), st.integers(0, 9))
def test_rows_give_the_dot_products_of_one_matrix(sizes, seed):
    chance, rows = np.random.default_rng(seed), Rows()
    whole = [chance.standard_normal((size, 4), np.float32) for size in sizes]
    for part in whole:
        rows.extend(part)
    vector = chance.standard_normal(4, np.float32)
    expected = np.concatenate([np.zeros((0, 4), np.float32), *whole]) @ vector
    assert rows.size == len(expected)
    np.testing.assert_allclose(rows.dot(vector), expected, atol=1e-5)


def test_rows_without_any_row_give_nothing():
    assert Rows().dot(np.ones(4, np.float32)).tolist() == []
    assert Rows().nbytes == 0
    Rows().clear(3)  # nothing to clear, and no error


def test_a_cleared_row_is_zero_and_the_others_stay():
    rows = Rows()
    rows.extend(np.ones((_BLOCK + 2, 2), np.float32))
    rows.clear(_BLOCK)
    products = rows.dot(np.ones(2, np.float32))
    assert products[_BLOCK] == 0
    assert np.delete(products, _BLOCK).tolist() == [2] * (_BLOCK + 1)


def test_blocks_never_move():
    rows = Rows()
    rows.extend(np.ones((1, 2), np.float32))
    first = rows._blocks[0]
    rows.extend(np.ones((3 * _BLOCK, 2), np.float32))
    assert rows._blocks[0] is first
    assert rows.nbytes == 4 * _BLOCK * 2 * 4
