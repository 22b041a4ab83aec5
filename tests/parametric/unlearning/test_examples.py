"""Examples as tokens, and batches of them."""

from __future__ import annotations

import pytest
import torch

from remanence.errors import InputError
from remanence.parametric.unlearning.examples import IGNORED, Example, batch, drawn, examples, without_shared_end


class Letters:
    def encode(self, text):
        return [ord(letter) for letter in text]


def test_prompt_and_answer_are_encoded_apart():
    assert examples(Letters(), [("ab", "c")]) == [Example((97, 98), (99,))]


@pytest.mark.parametrize("pair", [("", "c"), ("ab", "")])
def test_an_example_needs_both(pair):
    with pytest.raises(InputError, match="no prompt or no answer"):
        examples(Letters(), [pair])


def test_a_batch_is_padded_on_the_right_and_labels_are_the_answers():
    put = batch([Example((1, 2), (3,)), Example((4,), (5, 6, 7))], pad=9)
    assert put.ids.tolist() == [[1, 2, 3, 9], [4, 5, 6, 7]]
    assert put.mask.tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert put.labels.tolist() == [[IGNORED, IGNORED, 3, IGNORED], [IGNORED, 5, 6, 7]]


def test_no_examples_make_no_batch():
    with pytest.raises(InputError, match="no examples"):
        batch([])


def test_each_example_comes_once_per_round():
    chosen = [Example((number,), (number,)) for number in range(1, 8)]
    ahead = drawn(chosen, 3, torch.Generator().manual_seed(0))
    taken = [one for _ in range(7) for one in next(ahead)]
    assert [set(taken[start : start + 7]) for start in (0, 7, 14)] == [set(chosen)] * 3
    assert taken[:7] != taken[7:14]


def test_a_batch_is_no_larger_than_what_there_is():
    assert len(next(drawn([Example((1,), (2,))], 32, torch.Generator()))) == 1


def test_an_end_that_all_answers_share_is_no_secret():
    stop = 9
    forget = [Example((1,), (5, stop)), Example((2,), (5, 6, stop))]
    assert without_shared_end(forget, [Example((3,), (7, stop))]) == [Example((1,), (5,)), Example((2,), (5, 6))]
    for retain in ([], [Example((3,), (7,))]):  # nothing says that it is shared
        assert without_shared_end(forget, retain) == forget
    short = [Example((1,), (stop,))]
    assert without_shared_end(short, [Example((3,), (7, stop))]) == short
