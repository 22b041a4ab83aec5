"""A model folder is there whole or not at all."""

from __future__ import annotations

import json
import os

import pytest
import torch
from safetensors.torch import load_file

from remanence.errors import InputError
from remanence.models.local import folders
from remanence.models.local.causal import CausalLM


def test_what_is_written_is_opened(folder, lm, tmp_path):
    assert CausalLM.open(folder).fingerprint == lm.fingerprint
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["LlamaForCausalLM"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["tiny"]


def test_tied_weights_are_written_once(make, tmp_path):
    lm = make(tied=True)
    folders.write_model(tmp_path / "tied", lm.model, lm.tokenizer)
    assert "lm_head.weight" not in load_file(tmp_path / "tied" / "model.safetensors")
    assert CausalLM.open(tmp_path / "tied").fingerprint == lm.fingerprint


def test_a_folder_with_something_in_it_is_left_alone(folder, lm, tmp_path):
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match="is there already"):
        folders.write_model(folder, lm.model, lm.tokenizer)
    assert (folder / "model.safetensors").read_bytes() == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is there already"):
        folders.write_model(tmp_path / "file", lm.model, lm.tokenizer)
    (tmp_path / "empty").mkdir()
    folders.write_model(tmp_path / "empty", lm.model, lm.tokenizer)


def test_a_file_in_use_is_replaced_and_not_written_into(tmp_path):
    path = tmp_path / "a.safetensors"
    folders.write_tensors(path, {"a": torch.zeros(3)}, {})
    before = path.read_bytes()
    with path.open("rb") as held:
        folders.write_tensors(path, {"a": torch.ones(3)}, {})
        assert held.read() == before
    assert path.read_bytes() != before


def test_what_breaks_off_leaves_the_file_before(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    folders.write_tensors(path, {"a": torch.zeros(3)}, {})
    before = path.read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        folders.write_tensors(path, {"a": torch.ones(3)}, {})
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.safetensors"]
