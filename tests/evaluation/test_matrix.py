"""The forgetting matrix by hand, and its rules for any scores."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.errors import InputError
from remanence.evaluation.matrix import ForgettingMatrix, Split, split

BY_HAND = ForgettingMatrix(((1.0, 0.2, 0.1), (0.6, 0.9, 0.3), (0.5, 0.7, 0.8)), (0.1, 0.1, 0.1))
scores = st.floats(0, 1)
squares = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.lists(scores, min_size=n, max_size=n).map(tuple), min_size=n, max_size=n).map(tuple)
)


def test_by_hand():
    assert [BY_HAND.forgetting(j) for j in range(3)] == pytest.approx([-0.5, -0.2, 0.0])
    assert BY_HAND.average == BY_HAND.final == pytest.approx(2 / 3)
    assert BY_HAND.backward == pytest.approx(-0.35)
    assert BY_HAND.backward_over_all == pytest.approx(-0.7 / 3)
    assert BY_HAND.forward == pytest.approx(((0.2 - 0.1) + (0.3 - 0.1)) / 2)
    assert BY_HAND.fresh == pytest.approx(0.9)
    assert BY_HAND.anytime == pytest.approx((1.0 + 0.75 + 2 / 3) / 3)


@given(squares)
def test_relations_between_the_measures(rows):
    matrix = ForgettingMatrix(rows)
    n = matrix.stages
    assert matrix.final - matrix.fresh == pytest.approx(matrix.backward_over_all)
    assert matrix.backward * (n - 1) == pytest.approx(matrix.backward_over_all * n)
    assert ForgettingMatrix.from_json(json.loads(json.dumps(matrix.to_json()))) == matrix
    assert ForgettingMatrix(rows[:1]).then(rows[-1]) == ForgettingMatrix((rows[0], rows[-1])) if n > 1 else True


def test_the_gate():
    good = ForgettingMatrix(((1.0,), (0.97, 1.0)))
    assert good.passes(0.05)
    assert not good.passes(0.02)
    assert not good.passes(0.05, locality=0.9)
    assert ForgettingMatrix(((0.5,),)).passes(0.0)
    assert not ForgettingMatrix(((1.0,), (1.0, 0.2))).passes(0.05)  # nothing lost, but the new set was not learnt


def test_what_is_no_matrix():
    for rows in ((), ((1.2,),), ((0.5,), (0.5,)), ((float("nan"),),)):
        with pytest.raises(InputError):
            ForgettingMatrix(rows)


def test_superficial_forgetting_is_what_the_style_lost():
    strict = ForgettingMatrix(((1.0,), (0.3, 1.0)))
    content = ForgettingMatrix(((1.0,), (0.8, 1.0)))
    [found] = split(strict, content)
    assert found == Split(pytest.approx(-0.5), pytest.approx(-0.2))
    with pytest.raises(InputError, match="stages"):
        split(strict, ForgettingMatrix(((1.0,),)))
