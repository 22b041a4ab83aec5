"""Blocks on disk: back as they were, or refused."""

from __future__ import annotations

import json
import pickle
import struct
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from tests.activation.conftest import SPEC

from remanence.activation.block import Segment, digest_of, same_numbers
from remanence.activation.capture import cache_from, capture
from remanence.activation.codec import PRECISIONS
from remanence.activation.files import FORMAT, _digest, notes_of, open_, save
from remanence.errors import InputError, ModelMismatchError, PayloadDamagedError, RemanenceError
from remanence.models.local.nano import new


@pytest.fixture
def ids(lm, texts):
    return lm.encode("".join(texts[:2]))


def rewritten(path, *, header=None, drop=(), digest=None, keep_digest=False, **tensors):
    """The file again, with changes; its digest is made to fit unless told otherwise, as an attacker would."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        found = {name: file.get_tensor(name) for name in file.keys() if name not in drop}  # noqa: SIM118
    said = json.loads(metadata["header"])
    if header:
        header(said)
    metadata["header"] = json.dumps(said, ensure_ascii=False, sort_keys=True)
    found |= {name.replace("_", "."): tensor for name, tensor in tensors.items()}
    if not keep_digest:
        metadata["digest"] = digest or _digest(metadata["header"], found)
    save_file(found, path, metadata)
    return path


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_opened_is_what_was_saved(lm, ids, tmp_path, precision):
    segments = (Segment(10), Segment(len(ids) - 10, ("0007", 2)))
    block = capture(ids, lm, prefix=lm.encode("Before. "), precision=precision, group=32, segments=segments)
    size = save(block, tmp_path / "b.kv", notes={"layout": "isolated"})
    [again] = open_(tmp_path / "b.kv", lm)
    assert same_numbers(block, again)
    for name in ("ids", "start", "parent", "fingerprint", "segments", "rope", "lossless", "quality", "seconds", "mode"):
        assert getattr(again, name) == getattr(block, name)
    assert again.sources == (("0007", 2),)
    assert size == (tmp_path / "b.kv").stat().st_size >= block.size
    assert notes_of(tmp_path / "b.kv") == {"layout": "isolated"}
    assert [path.name for path in tmp_path.iterdir()] == ["b.kv"]  # nothing is left of the writing


def test_several_blocks_in_one_file(lm, texts, tmp_path):
    blocks = [capture(lm.encode(text), lm) for text in texts]
    save(blocks, tmp_path / "b.kv")
    assert all(same_numbers(one, two) for one, two in zip(blocks, open_(tmp_path / "b.kv", lm), strict=True))


def test_a_cache_continues_as_it_would_have_after_a_restart(lm, ids, texts, tmp_path):
    question = lm.encode(texts[3])
    expected = lm.forward([*ids, *question]).logits[-len(question) :]
    save(capture(ids, lm, precision="fp32"), tmp_path / "b.kv")
    [block] = open_(tmp_path / "b.kv", lm)
    assert torch.allclose(lm.forward(question, cache_from(block, lm)).logits, expected, atol=1e-4)


def test_token_ids_are_content_and_stand_in_a_tensor_only(lm, texts, tmp_path):
    save(capture(lm.encode(texts[0]), lm), tmp_path / "b.kv", notes={"layout": "prefix"})
    with safe_open(tmp_path / "b.kv", framework="pt") as file:
        said = json.dumps(file.metadata())
        assert file.get_tensor("0.ids").tolist() == lm.encode(texts[0])
    assert "Ada" not in said
    assert str(lm.encode(texts[0])[:3])[1:-1] not in said


@pytest.mark.parametrize("what", ["weights", "tokenizer", "adapter", "dtype", "template", "rope", "architecture"])
def test_another_model_is_refused_by_name_of_what_differs(lm, ids, tmp_path, what):
    block = capture(ids, lm)
    save(replace(block, fingerprint=replace(block.fingerprint, **{what: "other"})), tmp_path / "b.kv")
    with pytest.raises(ModelMismatchError, match=what):
        open_(tmp_path / "b.kv", lm)


def test_another_model_with_other_weights_of_the_same_shape_is_refused(lm, ids, tmp_path):
    save(capture(ids, lm), tmp_path / "b.kv")
    other = type(lm).of(
        new(type(SPEC)(depth=4, width=64, heads=4, kv_heads=2, vocab=259, context=512, seed=1)), lm.tokenizer
    )
    with pytest.raises(ModelMismatchError, match="weights"):
        open_(tmp_path / "b.kv", other)
    with pytest.raises(ModelMismatchError, match="weights"):
        cache_from(open_(tmp_path / "b.kv", lm)[0], other)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_no_byte_can_be_changed_and_no_end_cut_off(lm, texts, tmp_path, data):
    path = tmp_path / "b.kv"
    block = capture(lm.encode(texts[0])[:6], lm, precision="int4")
    save(block, path)
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    else:
        at, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
    try:
        opened = open_(path, lm)
    except (PayloadDamagedError, ModelMismatchError):
        return
    # The only bytes that may differ are blanks of the outer header and the name of its padding.
    assert len(opened) == 1
    assert same_numbers(opened[0], block)
    assert opened[0].segments == block.segments


def test_damage_that_carries_a_fitting_digest_is_seen_by_its_shapes(lm, ids, tmp_path):
    path = tmp_path / "b.kv"
    cases = [
        {"drop": ("0.k.1",)},
        {"drop": ("0.ids",)},
        {"0_ids": torch.arange(len(ids))},
        {"0_ids": torch.arange(3)},
        {"0_k_2": torch.zeros(2, len(ids), 15, dtype=torch.float16)},
        {"0_k_2": torch.zeros(2, len(ids), 16, dtype=torch.float32)},
        {"9_v_0": torch.zeros(1)},
        {"header": lambda said: said["blocks"].clear()},
        {"header": lambda said: said["blocks"][0].update(precision="fp2")},
        {"header": lambda said: said["blocks"][0].update(segments=[[1, None]])},
        {"header": lambda said: said["blocks"][0].update(shape=[2])},
        {"header": lambda said: said["blocks"][0].pop("start")},
        {"header": lambda said: said.pop("fingerprint")},
        {"header": lambda said: said.update(blocks=7)},
    ]
    for case in cases:
        save(capture(ids, lm), path)
        with pytest.raises(PayloadDamagedError, match=r"header|cannot be read|digest"):
            open_(rewritten(path, **case), lm)


def test_a_changed_number_is_seen_by_the_digest(lm, ids, tmp_path):
    save(capture(ids, lm), tmp_path / "b.kv")
    with pytest.raises(PayloadDamagedError, match="digest differs"):
        open_(
            rewritten(
                tmp_path / "b.kv", keep_digest=True, **{"0_v_3": torch.zeros(2, len(ids), 16, dtype=torch.float16)}
            ),
            lm,
        )
    with pytest.raises(PayloadDamagedError, match="digest differs"):
        open_(rewritten(tmp_path / "b.kv", keep_digest=True, header=lambda said: said["blocks"][0].update(start=3)), lm)


def test_other_files_are_refused(lm, tmp_path):
    path = tmp_path / "b.kv"
    with pytest.raises(PayloadDamagedError, match="cannot be read"):
        open_(path, lm)
    path.write_bytes(b"")
    with pytest.raises(PayloadDamagedError, match="cannot be read"):
        open_(path, lm)
    save_file({"a": torch.ones(1)}, path)
    with pytest.raises(PayloadDamagedError, match="of no cache"):
        open_(path, lm)
    save_file({"a": torch.ones(1)}, path, {"format": "remanence.kv/2"})
    with pytest.raises(PayloadDamagedError, match=rf"kv/2.*{FORMAT}"):
        open_(path, lm)
    save_file({"a": torch.ones(1)}, path, {"format": FORMAT, "header": "{", "digest": ""})
    with pytest.raises(PayloadDamagedError, match="header"):
        open_(path, lm)
    path.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    with pytest.raises(PayloadDamagedError, match="cannot be read"):
        open_(path, lm)


class Trap:
    """What a pickle would run."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_nothing_is_executed_when_a_file_is_opened(lm, tmp_path):
    (tmp_path / "b.kv").write_bytes(pickle.dumps({"cache": Trap()}))
    with pytest.raises(PayloadDamagedError):
        open_(tmp_path / "b.kv", lm)


def test_what_cannot_be_written_leaves_what_was_there(lm, ids, model_with, tmp_path):
    save(capture(ids, lm), tmp_path / "b.kv")
    before = (tmp_path / "b.kv").read_bytes()
    other = capture(ids, model_with())
    with pytest.raises(InputError, match="one model"):
        save([capture(ids, lm), other], tmp_path / "b.kv")
    with pytest.raises(InputError, match="one or more"):
        save([], tmp_path / "b.kv")
    with pytest.raises(TypeError):
        save(capture(ids, lm), tmp_path / "b.kv", notes={"layout": object()})
    assert (tmp_path / "b.kv").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_digests_tell_sequences_apart():
    assert digest_of([1, 2]) != digest_of([2, 1]) != digest_of([1, 2, 0])
    assert len(digest_of([])) == 32
    assert issubclass(PayloadDamagedError, RemanenceError)
