"""Folders that hold a model: ours by another road, and a foreign one with its own graph."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from remanence.errors import ModelDamagedError, ModelMissingError
from remanence.models.bert import pooled
from remanence.models.folder import describe, open_folder

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "green", "blue"]
CONFIG = {"model_type": "bert", "hidden_size": 4, "max_position_embeddings": 16, "hidden_act": "gelu"}
TOKENIZER = {
    "model": {
        "type": "WordPiece",
        "vocab": {word: i for i, word in enumerate(WORDS)},
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
    },
    "normalizer": {"type": "BertNormalizer", "lowercase": True, "strip_accents": None, "handle_chinese_chars": True},
}
TABLE = np.random.default_rng(3).normal(size=(len(WORDS), 4)).astype(np.float32)


def write(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def graph(inputs=("input_ids", "attention_mask", "token_type_ids"), table=TABLE) -> bytes:
    """The smallest encoder: each piece is looked up in a table."""
    onnx = pytest.importorskip("onnx", reason="the package onnx, which writes this test's graph, is not installed")
    h, t = onnx.helper, onnx.TensorProto
    nodes = [h.make_node("Gather", ["table", inputs[0]], ["last_hidden_state"])]
    given = [h.make_tensor_value_info(name, t.INT64, ["b", "s"]) for name in inputs]
    out = [h.make_tensor_value_info("last_hidden_state", t.FLOAT, ["b", "s", 4])]
    model = h.make_graph(nodes, "tiny", given, out, [onnx.numpy_helper.from_array(table, "table")])
    return h.make_model(model, opset_imports=[h.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "tiny"
    write(folder, "config.json", CONFIG)
    write(folder, "tokenizer.json", TOKENIZER)
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(graph())
    return folder


def unit(row):
    return row / np.linalg.norm(row)


def test_the_mean_over_the_mask(folder):
    embedder = open_folder(folder)
    assert (embedder.name, embedder.dimensions) == ("tiny", 4)
    red, both = embedder.embed(["red", "Green, blue green"])
    assert np.allclose(red, unit(TABLE[[2, 4, 3]].mean(axis=0)), atol=1e-6)
    assert np.allclose(both, unit(TABLE[[2, 5, 1, 6, 5, 3]].mean(axis=0)), atol=1e-6)


def test_the_first_piece(folder):
    write(folder, "1_Pooling/config.json", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False})
    before = open_folder(folder)
    assert np.allclose(before.embed(["red", "blue"]), unit(TABLE[2]), atol=1e-6)


def test_pooled_equals_a_loop():
    rng = np.random.default_rng(1)
    tokens, mask = rng.normal(size=(3, 5, 4)).astype(np.float32), np.tril(np.ones((3, 5), np.int32))
    naive = [
        unit(np.mean([v for v, keep in zip(row, m, strict=True) if keep], axis=0))
        for row, m in zip(tokens, mask, strict=True)
    ]
    assert np.allclose(pooled(tokens, mask, "mean"), naive, atol=1e-6)
    assert np.allclose(pooled(tokens, mask, "cls"), [unit(row[0]) for row in tokens], atol=1e-6)


def test_the_fingerprint_follows_the_content_not_the_place(folder, tmp_path):
    first = open_folder(folder).fingerprint
    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    assert open_folder(moved).fingerprint == first
    assert first.startswith("bert-4/fp32/")
    seen = {first}
    for change in (
        lambda: write(moved, "sentence_bert_config.json", {"max_seq_length": 9}),
        lambda: write(moved, "1_Pooling/config.json", {"pooling_mode": "cls"}),
        lambda: write(moved, "tokenizer.json", TOKENIZER | {"extra": 1}),
        lambda: (moved / "onnx" / "model.onnx").write_bytes(graph(table=TABLE + 1)),
        lambda: (moved / "onnx" / "model.onnx_data").write_bytes(b"x"),
    ):
        change()
        seen.add(open_folder(moved).fingerprint)
    assert len(seen) == 6


def test_a_file_that_changes_after_opening_is_refused(folder):
    embedder = open_folder(folder)
    write(folder, "tokenizer.json", TOKENIZER | {"extra": 1})
    with pytest.raises(ModelDamagedError, match="is not the file that it should be"):
        embedder.embed(["red"])


def test_long_texts_use_the_room_of_the_model(folder):
    assert describe(folder).max_pieces == 16
    write(folder, "sentence_bert_config.json", {"max_seq_length": 9})
    assert describe(folder).max_pieces == 9
    assert open_folder(folder).embed(["red " * 100]).shape == (1, 4)


def test_a_foreign_graph_runs_as_it_is_whatever_the_precision(folder):
    one, other = open_folder(folder, "int8"), open_folder(folder, "fp32")
    assert one.fingerprint == other.fingerprint
    assert (one.embed(["some text"]) == other.embed(["some text"])).all()


def test_what_is_missing_is_said(folder):
    (folder / "onnx" / "model.onnx").unlink()
    with pytest.raises(ModelMissingError, match="another shape than MiniLM-L6, and no onnx"):
        open_folder(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ModelMissingError, match=r"holds no config\.json"):
        open_folder(folder)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("modules.json", [{"type": "sentence_transformers.models.Dense"}], "has a Dense module"),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "pools by max_tokens"),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True}, "pools by"),
    ],
)
def test_what_is_not_built_is_said(folder, file, content, message):
    write(folder, file, content)
    with pytest.raises(ModelMissingError, match=message):
        open_folder(folder)


def test_damage_is_said(folder):
    (folder / "onnx" / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(ModelDamagedError, match="cannot be loaded"):
        open_folder(folder).embed(["red"])
    (folder / "onnx" / "model.onnx").write_bytes(graph(inputs=("pixels",)))
    with pytest.raises(ModelDamagedError, match="asks for"):
        open_folder(folder).embed(["red"])
    write(folder, "config.json", {"model_type": "bert"})
    with pytest.raises(ModelDamagedError, match="max_position_embeddings"):
        open_folder(folder)
    for broken in ("{", "[]", "null"):
        (folder / "config.json").write_text(broken)
        with pytest.raises((ModelDamagedError, ModelMissingError), match=r"config\.json"):
            open_folder(folder)


def test_the_official_model_is_the_same_by_every_road(weights_folder, tmp_path, fp32):
    copy = shutil.copytree(weights_folder, tmp_path / "all-MiniLM-L6-v2", symlinks=True)
    by_folder = open_folder(copy)
    assert (by_folder.name, by_folder.fingerprint) == (fp32.name, fp32.fingerprint)
    assert (by_folder.embed(["the same"]) == fp32.embed(["the same"])).all()
