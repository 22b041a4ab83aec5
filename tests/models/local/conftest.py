"""Tiny models with random weights: what is tested here does not depend on what a model knows."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers", reason="needs the extra `local`")

import torch

from remanence.models.local import nano, tokenizing
from remanence.models.local.causal import CausalLM
from remanence.models.local.folders import write_model


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny(seed: int = 0, **sizes) -> CausalLM:
    """Two layers over bytes, 259 tokens; the embedding is not the output, or it would only repeat itself."""
    spec = nano.NanoSpec(
        **{"depth": 2, "vocab": 259, "context": 256, "width": 32, "heads": 4, "seed": seed, "tied": False, **sizes}
    )
    return CausalLM.of(nano.new(spec), tokenizing.byte_tokenizer(), name="tiny")


@pytest.fixture
def lm() -> CausalLM:
    return tiny()


@pytest.fixture
def make():
    return tiny


@pytest.fixture
def folder(tmp_path):
    """A model folder."""
    made = tiny()
    write_model(tmp_path / "tiny", made.model, made.tokenizer)
    return tmp_path / "tiny"
