"""What the gate does not look up: small talk and sums, and nothing that a memory could hold."""

from __future__ import annotations

import pytest

from remanence.recall.gate import unneeded


@pytest.mark.parametrize(
    "question", ["2+2", "What is 3*4?", "calculate 12 - 5", " 1.5 / (2 + 3) = ?", "what’s 10 % 3", "2^8"]
)
def test_a_sum_is_not_looked_up(question):
    assert unneeded(question).reason == "a sum"


@pytest.mark.parametrize(
    "question", ["555-1234", "what is 555-1234?", "+1 (555) 123-4567", "2024-05-08", "08/05/2024", "10.0.0.1", "1984", "24/7", "50%"]
)  # fmt: skip
def test_numbers_and_days_that_a_memory_may_hold_are_looked_up(question):
    assert unneeded(question) is None


def test_a_bare_telephone_number_finds_its_memory(memory):
    memory.add(["Call Bob at 555-1234.", "The trip was on 2024-05-08."])
    assert "Bob" in memory.recall("555-1234")[0].cube.text
    assert "trip" in memory.recall("2024-05-08")[0].cube.text


@pytest.mark.parametrize("piece", ["1-", "1 - ", " ", "1", "(", "1 +", "="])
def test_a_long_question_of_figures_that_ends_in_a_word_is_no_sum(piece):  # seconds, if the rules backtrack
    assert unneeded("1" + piece * 8000 + "x") is None
