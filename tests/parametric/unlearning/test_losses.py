"""Losses: closed forms, bounds, and what they are minimised by."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from remanence.errors import InputError
from remanence.parametric.unlearning.examples import IGNORED
from remanence.parametric.unlearning.losses import (
    OBJECTIVES,
    Told,
    ascent,
    cross_entropy,
    divergence,
    inverted_hinge,
    npo,
    told,
)


def of(logits, labels, rows=None, reference=None):
    return Told(logits, labels, torch.zeros_like(labels) if rows is None else rows, reference)


def drawn(seed, tokens=5, vocabulary=7, spread=3.0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(tokens, vocabulary, generator=generator, dtype=torch.float64) * spread
    return logits, torch.randint(0, vocabulary, (tokens,), generator=generator)


@given(seed=st.integers(0, 10_000), spread=st.floats(0, 60))
def test_the_inverted_hinge_stays_between_0_and_2(seed, spread):
    values = inverted_hinge(of(*drawn(seed, spread=spread)))
    assert (values >= 0).all()
    assert (values <= 2).all()


def test_the_ends_of_the_inverted_hinge():
    logits = torch.tensor([[50.0, 0, 0], [0, 50.0, 0], [0, 0, 0]])
    assert inverted_hinge(of(logits, torch.zeros(3, dtype=torch.int64))).tolist() == pytest.approx([2, 0, 1])


@given(seed=st.integers(0, 10_000))
def test_the_gradient_of_the_inverted_hinge_is_the_closed_form(seed):
    logits, labels = drawn(seed)
    logits.requires_grad_()
    inverted_hinge(of(logits, labels)).sum().backward()
    for row, label, found in zip(logits.detach(), labels.tolist(), logits.grad, strict=True):
        p = row.softmax(-1)
        rest = p.clone()
        rest[label] = -1
        m = int(rest.argmax())
        expected = p * (p[m] - p[label])
        expected[label] = p[label] * (1 - p[label] + p[m])
        expected[m] = -p[m] * (1 + p[label] - p[m])
        assert torch.allclose(found, expected, atol=1e-12)


def test_mass_moves_to_the_runner_up_and_not_to_all_others():
    logits = torch.tensor([[4.0, 3.0, 0.0, -1.0]], requires_grad=True)
    inverted_hinge(of(logits, torch.tensor([0]))).sum().backward()
    step = -logits.grad[0]
    assert step.argmax() == 1
    assert step[2:].abs().max() < step[1] / 10


def test_ascent_pushes_without_end_where_the_hinge_stops():
    logits = torch.tensor([[-30.0, 10.0, 0.0]], requires_grad=True)
    labels = torch.tensor([0])
    [steep] = torch.autograd.grad(ascent(of(logits, labels)).sum(), [logits])
    [flat] = torch.autograd.grad(inverted_hinge(of(logits, labels)).sum(), [logits])
    assert steep[0, 0] == pytest.approx(1, abs=1e-3)
    assert flat.abs().max() < 1e-3


def test_ascent_is_the_negative_of_the_cross_entropy():
    logits, labels = drawn(0)
    assert torch.equal(ascent(of(logits, labels)), -cross_entropy(of(logits, labels)))
    assert torch.allclose(cross_entropy(of(logits, labels)).mean(), functional.cross_entropy(logits, labels))


@given(seed=st.integers(0, 1000))
def test_divergence_is_zero_at_the_reference_and_positive_elsewhere(seed):
    logits, labels = drawn(seed)
    others, _ = drawn(seed + 1)
    assert divergence(of(logits, labels, reference=logits + 3)).abs().max() < 1e-9
    expected = functional.kl_div(logits.log_softmax(-1), others.softmax(-1), reduction="none").sum(-1)
    assert torch.allclose(divergence(of(logits, labels, reference=others)), expected)
    assert (expected > 0).all()


def test_npo_is_two_log_two_over_beta_at_the_reference_and_counts_whole_answers():
    logits, labels = drawn(0, tokens=3)
    rows = torch.tensor([0, 0, 1])
    assert npo(of(logits, labels, rows, logits), beta=0.5).tolist() == pytest.approx([4 * math.log(2)] * 2)
    reference, _ = drawn(1, tokens=3)
    ratio = cross_entropy(of(reference, labels)) - cross_entropy(of(logits, labels))
    first = 4 * math.log1p(math.exp(0.5 * float(ratio[0] + ratio[1])))
    assert npo(of(logits, labels, rows, reference), beta=0.5)[0].item() == pytest.approx(first)


def test_npo_near_a_small_beta_pushes_as_ascent_does():
    logits, labels = drawn(2)
    logits.requires_grad_()
    [slow] = torch.autograd.grad(npo(of(logits, labels, reference=logits.detach()), beta=1e-6).sum(), [logits])
    [plain] = torch.autograd.grad(ascent(of(logits, labels)).sum(), [logits])
    assert torch.allclose(slow, plain, atol=1e-5)


@pytest.mark.parametrize("loss", [npo, divergence])
def test_a_loss_that_compares_says_what_it_lacks(loss):
    with pytest.raises(InputError, match="reference"):
        loss(of(*drawn(0)))


def test_told_reads_a_label_from_the_position_before_it():
    logits = torch.arange(2 * 3 * 4, dtype=torch.float32).view(2, 3, 4)
    labels = torch.tensor([[IGNORED, 2, IGNORED], [IGNORED, 1, 3]])
    found = told(logits, labels, logits + 1)
    assert found.labels.tolist() == [2, 1, 3]
    assert found.rows.tolist() == [0, 1, 1]
    assert found.sequences == 2
    assert torch.equal(found.logits, torch.stack([logits[0, 0], logits[1, 0], logits[1, 1]]))
    assert torch.equal(found.reference, found.logits + 1)


def test_every_objective_that_compares_gets_a_reference():
    logits, labels = drawn(0)
    for objective in OBJECTIVES.values():
        for loss in filter(None, (objective.forget, objective.retain)):
            loss(of(logits, labels, reference=logits if objective.compares else None))
