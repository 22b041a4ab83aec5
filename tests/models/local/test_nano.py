"""Nano models: sizes from one dial, weights from the seed alone."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

from remanence.errors import InputError
from remanence.models.local import nano
from remanence.models.local.nano import NanoSpec


@pytest.mark.parametrize(
    ("depth", "sizes"),
    [(1, (32, 1, 1, 96)), (2, (64, 2, 1, 192)), (3, (96, 3, 3, 256)), (4, (128, 4, 2, 352)), (8, (256, 8, 4, 704))],
)
def test_the_dial(depth, sizes):
    assert NanoSpec(depth=depth).sizes == sizes


def test_weights_depend_on_the_seed_and_on_nothing_else():
    torch.manual_seed(1)
    first = nano.new(NanoSpec(depth=1, vocab=64))
    torch.manual_seed(2)
    drawn = torch.get_rng_state()
    second = nano.new(NanoSpec(depth=1, vocab=64))
    assert torch.equal(torch.get_rng_state(), drawn)
    other = nano.new(NanoSpec(depth=1, vocab=64, seed=1))
    pairs = list(zip(first.parameters(), second.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert not all(torch.equal(a, c) for a, _, c in pairs)


@torch.no_grad()
def test_activations_keep_their_size_at_any_depth():
    for depth in (1, 6):
        model = nano.new(NanoSpec(depth=depth, vocab=64))
        hidden = model(torch.arange(64)[None], output_hidden_states=True).hidden_states
        assert 0.05 < float(hidden[-2].std()) < 3
        logits = model(torch.arange(64)[None]).logits
        assert 0.3 < float(logits.std()) < 3


def test_the_table_can_be_untied():
    model = nano.new(NanoSpec(depth=1, vocab=64, tied=False))
    assert model.lm_head.weight.data_ptr() != model.model.embed_tokens.weight.data_ptr()


def test_a_folder_of_it_opens_with_transformers(folder, lm):
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype="auto")
    ids = torch.tensor([lm.encode("the same logits")])
    with torch.no_grad():
        assert torch.equal(model(ids).logits, lm.model(ids).logits)
    assert model.config.eos_token_id == lm.tokenizer.eos_token_id


@pytest.mark.parametrize(
    "sizes",
    [
        {"depth": 0},
        {"vocab": 2},
        {"context": 0},
        {"width": 30, "heads": 4},
        {"heads": 4, "kv_heads": 3},
        {"width": 12, "heads": 4},
    ],
)
def test_sizes_that_do_not_fit(sizes):
    with pytest.raises(InputError):
        NanoSpec(**sizes)
