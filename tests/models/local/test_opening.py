"""Folders that are whole are opened; for all others it is said what they lack, and no code of theirs is run."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForSequenceClassification, T5Config

from remanence.errors import InputError, ModelDamagedError, ModelMissingError, UnsupportedModelError
from remanence.models.local import tokenizing
from remanence.models.local.causal import CausalLM


def config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_folder_is_opened(folder, lm):
    opened = CausalLM.open(folder)
    assert (opened.name, opened.folder) == ("tiny", folder)
    assert opened.generate(opened.encode("a"), max_new=5).ids == lm.generate(lm.encode("a"), max_new=5).ids
    half = CausalLM.open(str(folder), device="cpu", dtype="bfloat16")
    assert half.dtype is torch.bfloat16
    assert half.forward([5]).logits.dtype is torch.float32
    assert half.bytes_per_token == lm.bytes_per_token // 2


def test_opening_is_quiet_and_leaves_the_progress_bars_as_they_were(folder, capfd):
    from transformers.utils import logging

    logging.enable_progress_bar()
    CausalLM.open(folder)
    assert capfd.readouterr() == ("", "")
    assert logging.is_progress_bar_enabled()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.json", "no config.json"),
        ("model.safetensors", "no model.safetensors"),
        ("tokenizer.json", "no tokenizer"),
    ],
)
def test_a_file_that_is_not_there(folder, name, message):
    (folder / name).unlink()
    with pytest.raises(ModelMissingError, match=message):
        CausalLM.open(folder)


def test_weights_in_a_pickle_are_never_read(folder):
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    with pytest.raises(ModelMissingError, match="pickle"):
        CausalLM.open(folder)


@pytest.mark.parametrize("where", ["/nowhere/at/all", "./nowhere", "nowhere", "org/nowhere"])
def test_what_is_not_here(where):
    with pytest.raises(ModelMissingError, match=r"There is (no|neither a) folder"):
        CausalLM.open(where)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_file_that_is_cut_off_or_flipped(folder, name):
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises((ModelDamagedError, ModelMissingError), match="tiny"):
        CausalLM.open(folder)
    (folder / name).write_bytes(b"\xff" * 64 + whole[64:])
    with pytest.raises((ModelDamagedError, ModelMissingError), match="tiny"):
        CausalLM.open(folder)


def test_weights_that_are_not_complete_are_not_made_up(folder):
    state = load_file(folder / "model.safetensors")
    del state["model.layers.1.mlp.up_proj.weight"]
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelDamagedError, match=r"lack 1 tensors, such as model\.layers\.1\.mlp\.up_proj\.weight"):
        CausalLM.open(folder)


def test_weights_of_another_shape(folder):
    config(folder, intermediate_size=64)
    with pytest.raises(ModelDamagedError, match="tiny"):
        CausalLM.open(folder)


def test_a_tokenizer_with_more_tokens_than_embeddings(folder):
    tokenizing.bpe_tokenizer(["a b c d abc abd " * 20], 270).save_pretrained(folder)
    with pytest.raises(ModelDamagedError, match="embeddings for 259"):
        CausalLM.open(folder)


def test_other_kinds_of_models_are_refused(folder, tmp_path):
    config(folder, architectures=["LlamaForSequenceClassification"])
    with pytest.raises(UnsupportedModelError, match="no causal language model"):
        CausalLM.open(folder)
    T5Config(vocab_size=259, d_model=8, num_layers=1, num_heads=1, d_ff=8, d_kv=8).save_pretrained(folder)
    with pytest.raises(UnsupportedModelError, match="no causal language model"):
        CausalLM.open(folder)
    small = BertConfig(vocab_size=259, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    BertForSequenceClassification(small).config.save_pretrained(folder)
    config(folder, architectures=["BertForSequenceClassification"])
    with pytest.raises(UnsupportedModelError, match="BertForSequenceClassification"):
        CausalLM.open(folder)


def test_code_of_a_model_is_never_run(folder, tmp_path):
    (folder / "modeling_evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    config(
        folder, model_type="evil", architectures=["EvilForCausalLM"],
        auto_map={"AutoConfig": "modeling_evil.C", "AutoModelForCausalLM": "modeling_evil.M"},
    )  # fmt: skip
    with pytest.raises(UnsupportedModelError, match="never executed"):
        CausalLM.open(folder)
    config(folder, model_type="llama", architectures=["LlamaForCausalLM"])
    CausalLM.open(folder)  # what transformers knows is opened by its own code
    assert not (tmp_path / "ran").exists()


def test_devices_and_dtypes_that_are_none(folder):
    for how in ({"device": "tpu?"}, {"dtype": "int3"}, {"device": "cuda:0"}):
        if how.get("device") == "cuda:0" and torch.cuda.is_available():
            continue
        with pytest.raises(InputError):
            CausalLM.open(folder, **how)


def test_a_moved_folder_is_the_same_model(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "other")
    assert CausalLM.open(folder).fingerprint == CausalLM.open(tmp_path / "other").fingerprint
