"""Low-rank changes: attached, joined, and gone without a trace."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from remanence.errors import InputError, ModelMismatchError, UnsupportedModelError
from remanence.parametric.unlearning.factors import Factor, attached, fresh, joined, linears


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def some(seed, rank=2):
    generator = torch.Generator().manual_seed(seed)
    return {
        "0": Factor(torch.randn(rank, 4, generator=generator), torch.randn(6, rank, generator=generator)),
        "2": Factor(torch.randn(rank, 6, generator=generator), torch.randn(3, rank, generator=generator)),
    }


ASKED = torch.linspace(-1, 1, 8).view(2, 4)


def test_attached_is_the_sum_of_weight_and_change_and_ends_bit_by_bit(model):
    before = model(ASKED)
    factors = some(1)
    with attached(model, factors):
        inside = model(ASKED)
    assert torch.equal(model(ASKED), before)
    hidden = torch.relu(ASKED @ (model[0].weight + factors["0"].change()).T + model[0].bias)
    assert torch.allclose(inside, hidden @ (model[2].weight + factors["2"].change()).T + model[2].bias, atol=1e-5)


def test_an_error_inside_leaves_nothing_attached(model):
    before = model(ASKED)
    with pytest.raises(KeyboardInterrupt), attached(model, some(1)):
        raise KeyboardInterrupt
    assert torch.equal(model(ASKED), before)


def test_joined_factors_are_the_sum_of_the_changes(model):
    one, two = some(1), {"2": some(2, rank=3)["2"]}
    both = joined([one, two])
    assert (both["0"].rank, both["2"].rank) == (2, 5)
    assert torch.allclose(both["2"].change(), one["2"].change() + two["2"].change(), atol=1e-5)
    with attached(model, both):
        at_once = model(ASKED)
    with attached(model, one), attached(model, two):
        assert torch.allclose(model(ASKED), at_once, atol=1e-5)


def test_fresh_factors_change_nothing(model):
    factors = fresh(linears(model), 2, torch.Generator().manual_seed(0))
    assert all(one.change().abs().max() == 0 and one.a.abs().max() > 0 for one in factors.values())


@pytest.mark.parametrize("factors", [{"7": some(0)["0"]}, {"2": some(0)["0"]}, {"1": some(0)["0"]}])
def test_factors_of_another_model_are_refused_and_leave_nothing(model, factors):
    before = model(ASKED)
    with pytest.raises(ModelMismatchError), attached(model, {"0": some(0)["0"], **factors}):
        pass
    assert torch.equal(model(ASKED), before)


def test_layers_are_found_by_the_ends_of_their_names(model):
    assert list(linears(model)) == ["0", "2"]
    assert list(linears(model, ["2"])) == ["2"]
    with pytest.raises(UnsupportedModelError, match="q_proj"):
        linears(model, ["q_proj"])
    with pytest.raises(InputError, match="rank"):
        fresh(linears(model), 0, torch.Generator())


def test_the_output_head_is_left_out():
    class Headed(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(2, 2), nn.Linear(2, 5)

        def get_output_embeddings(self):
            return self.head

    assert list(linears(Headed())) == ["body"]
