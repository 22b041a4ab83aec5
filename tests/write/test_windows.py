"""Windows: nothing is lost, nothing is over the size, and a long text is not read to its end unless it is asked for."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.models.prompts import quoted
from remanence.write.windows import OVERLAP, windows


def bytes_over_four(text: str) -> int:
    return -(-len(text.encode()) // 4)


def one_each(text: str) -> int:
    return len(text)


KINDS = [
    "One{}. ",
    "Is it {}? ",
    "word{} ",
    "{:040}",
    "东京{}。",
    "{}\n\n",
    "...{}",
    '"Yes{}!" ',
    "<b>{}",
    "é{}",
    "{} ",
]
# Numbered, so that no stretch of it stands anywhere else.
TEXTS = st.lists(st.sampled_from(KINDS), max_size=200).map(
    lambda kinds: "".join(kind.format(f"{number:03}") if "{}" in kind else kind.format(number) for number, kind in enumerate(kinds))
)  # fmt: skip


def joined(parts: list[str], text: str) -> str:
    """The text put together again: each window has to start where, or before, the last one ends."""
    whole = ""
    for part in parts:
        start = text.rfind(part, 0, len(whole) + len(part))
        assert 0 <= start <= len(whole)
        whole = text[: start + len(part)]
    return whole


@given(TEXTS, st.sampled_from([64, 100, 400]), st.sampled_from([bytes_over_four, one_each]))
def test_windows_hold_the_whole_text_and_keep_the_size(text, size, count):
    parts = list(windows(text, size, count))
    assert joined(parts, text) == text
    assert all(count(quoted(part)) <= size for part in parts)


@given(TEXTS)
def test_a_text_that_fits_is_one_window(text):
    assert list(windows(text, 100_000, one_each)) == [text]


def test_windows_are_cut_at_sentence_ends_and_overlap_by_whole_sentences():
    text = "".join(f"Sentence {number} is 3.5 words long, e.g. this one. " for number in range(400))
    parts = list(windows(text, 1000, bytes_over_four))
    assert len(parts) > 3
    for before, after in pairwise(parts):
        assert before.endswith(". ")
        assert after.startswith(("Sentence ", "this one. "))
        start = next(length for length in range(len(after), 0, -1) if before.endswith(after[:length]))
        assert 0 < bytes_over_four(after[:start]) <= OVERLAP


def test_only_what_is_taken_is_counted():
    counted = 0

    def count(text: str) -> int:
        nonlocal counted
        counted += len(text)
        return bytes_over_four(text)

    next(windows("A sentence. " * 1_000_000, 500, count))
    assert counted < 10_000


@pytest.mark.parametrize("text", ["." * 300_000, "!?" * 150_000, '."' * 150_000, "." + '"' * 300_000, "。" * 100_000])
def test_runs_of_marks_take_linear_time(text):
    # Quadratic matching would take minutes here, and the run's own time limit would end it.
    assert sum(map(len, windows(text, 6000, bytes_over_four))) >= len(text)
