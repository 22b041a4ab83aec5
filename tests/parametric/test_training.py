"""The training loop: what it learns, that it is the same for a seed, and that it leaves nothing half done."""

from __future__ import annotations

import pytest

pytest.importorskip("peft", reason="needs the extra `local`")

import torch

from remanence.errors import InputError, TrainingError
from remanence.models.local.nano import NanoSpec, new
from remanence.parametric.training import Example, Schedule, answer_loss, batches, learn, padded

torch.set_num_threads(1)
EXAMPLES = [Example((5, 6 + n, 20, 30 + n), 3) for n in range(8)]
QUICK = Schedule(steps=60, batch=8, rate=1e-2, decay=0.0)


def model(seed: int = 0):
    return new(NanoSpec(depth=1, width=16, heads=1, kv_heads=1, vocab=48, seed=seed)).requires_grad_(True)


def weights(of) -> list[torch.Tensor]:
    return [tensor.detach().clone() for tensor in of.parameters()]


def same(first, second) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_it_learns_the_answers():
    trained = model()
    told: list[tuple[int, float]] = []
    learned = learn(trained, EXAMPLES, QUICK, progress=lambda step, loss: told.append((step, loss)))
    assert learned.losses[-1] < 0.1 < learned.losses[0]
    assert [step for step, _ in told] == list(range(1, 61))
    assert learned.tokens == 60 * 8 * 4
    ids = torch.tensor([one.ids for one in EXAMPLES])
    assert torch.equal(trained(ids).logits[:, 2].argmax(-1), ids[:, 3])
    assert not trained.training


def test_a_seed_is_a_training():
    first, second, other = model(), model(), model()
    learn(first, EXAMPLES, QUICK)
    learn(second, EXAMPLES, QUICK)
    learn(other, EXAMPLES * 2, Schedule(steps=60, batch=8, rate=1e-2, decay=0.0, seed=1))
    assert same(weights(first), weights(second))
    assert not same(weights(first), weights(other))


class Cut(Exception):
    """A way to end that nobody expects."""


@pytest.mark.parametrize("ends", [KeyboardInterrupt, Cut])
def test_whatever_ends_it_leaves_the_weights_as_they_were(ends):
    trained = model()
    before = weights(trained)

    def progress(step: int, loss: float) -> None:
        if step == 5:
            raise ends

    with pytest.raises(ends):
        learn(trained, EXAMPLES, QUICK, progress=progress)
    assert same(weights(trained), before)
    assert all(tensor.grad is None for tensor in trained.parameters())
    assert not trained.training


def test_it_stops_when_told():
    trained = model()
    before = weights(trained)
    calls = iter([False, False, True])
    with pytest.raises(TrainingError, match="stopped after 2 steps"):
        learn(trained, EXAMPLES, QUICK, stop=lambda: next(calls))
    assert same(weights(trained), before)


def test_a_loss_that_is_no_number():
    trained = model()
    before = weights(trained)

    def breaks(step: int) -> torch.Tensor:
        return torch.tensor(float("nan") if step == 3 else 0.0)

    with pytest.raises(TrainingError, match="step 4 is not a number"):
        learn(trained, EXAMPLES, QUICK, extra=[breaks])
    assert same(weights(trained), before)


def test_padding_changes_no_loss():
    trained = model()
    long, short = Example((5, 6, 7, 8, 9), 2), Example((10, 11), 1)
    ids, marks = padded([long, short], 0.0, torch.device("cpu"))
    assert marks.tolist() == [[0, 0, 1, 1, 1], [0, 1, 0, 0, 0]]
    together = answer_loss(trained, ids, marks)
    apart = [answer_loss(trained, *padded([one], 0.0, torch.device("cpu"))) for one in (long, short)]
    assert together.item() == pytest.approx((3 * apart[0].item() + apart[1].item()) / 4, rel=1e-5)
    _, weighted = padded([long], 0.25, torch.device("cpu"))
    assert weighted.tolist() == [[0.25, 0.25, 1, 1, 1]]


def test_every_example_comes_once_a_round():
    drawn = batches(EXAMPLES, Schedule(batch=4, seed=3))
    seen = [one for _ in range(8) for one in next(drawn)]
    assert sorted(one.ids for one in seen) == sorted(one.ids for one in EXAMPLES * 4)


def test_nothing_to_do():
    with pytest.raises(InputError, match="nothing to train"):
        learn(model(), [], QUICK)
    with pytest.raises(InputError, match="nothing to train"):
        learn(model().requires_grad_(False), EXAMPLES, QUICK)
    for ids, answer in (((1, 2), 0), ((1, 2), 2), ((), 0)):
        with pytest.raises(InputError, match="prompt and an answer"):
            Example(ids, answer)
