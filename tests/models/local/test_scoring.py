"""Scores in batches are those of one pair at a time, and those of the naive sum over logits."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.errors import InputError
from remanence.models.local import scoring
from remanence.models.local.scoring import batches


def naive(lm, prompt, target):
    """Token by token, each with a forward pass of its own."""
    logprobs, greedy = [], True
    for number, token in enumerate(target):
        logits = lm.forward([*prompt, *target[:number]]).logits[-1]
        logprobs.append(float(logits.log_softmax(-1)[token]))
        greedy = greedy and int(logits.argmax()) == token
    return logprobs, greedy


PROMPTS = ["a", "The kiln fires at", "Where does Ana live? She lives in", "x" * 90]
TARGETS = [" yes", " 1240 degrees.", " Porto", "y"]


def test_batched_one_by_one_and_naive_agree(lm):
    prompts, targets = [lm.encode(one) for one in PROMPTS], [lm.encode(one) for one in TARGETS]
    together = lm.score(prompts, targets)
    for prompt, target, scored in zip(prompts, targets, together, strict=True):
        alone = lm.score([prompt], [target])[0]
        slow, greedy = naive(lm, prompt, target)
        assert scored.logprobs == pytest.approx(alone.logprobs, abs=1e-4)
        assert scored.logprobs == pytest.approx(slow, abs=1e-4)
        assert scored.greedy == alone.greedy == greedy
        assert scored.total == pytest.approx(sum(slow), abs=1e-3)
        assert scored.mean == pytest.approx(scored.total / len(target))


def test_what_the_model_would_write_is_greedy(lm):
    prompt = lm.encode("The kiln fires at")
    written = lm.generate(prompt, max_new=6)
    other = [*written.ids[:-1], (written.ids[-1] + 1) % 259]
    scored = lm.score([prompt, prompt], [written.ids, other])
    assert [one.greedy for one in scored] == [True, False]
    assert scored[0].logprobs == pytest.approx(written.logprobs, abs=1e-4)


def test_small_batches_change_nothing(lm, monkeypatch):
    prompts, targets = [lm.encode(one) for one in PROMPTS], [lm.encode(one) for one in TARGETS]
    together = lm.score(prompts, targets)
    monkeypatch.setattr(scoring, "BATCH_TOKENS", 40)
    for one, other in zip(together, lm.score(prompts, targets), strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


@settings(max_examples=80)
@given(lengths=st.lists(st.integers(1, 50), max_size=30), tokens=st.integers(1, 120))
def test_batches_hold_everything_once_and_no_more_than_they_may(lengths, tokens):
    found = list(batches(lengths, tokens))
    assert sorted(one for batch in found for one in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) == 1 or max(lengths[one] for one in batch) * len(batch) <= tokens


def test_pairs_that_cannot_be_scored(lm):
    with pytest.raises(InputError, match="one target for each"):
        lm.score([[1]], [])
    with pytest.raises(InputError, match="Pair 1"):
        lm.score([[1], [1]], [[2], []])
    assert lm.score([], []) == []


def test_no_gradient_is_kept(lm):
    lm.model.requires_grad_(True)
    try:
        lm.score([[5, 6]], [[7]])
        assert torch.is_grad_enabled()
    finally:
        lm.model.requires_grad_(False)
