"""Every token is read once a pass, the held-out part never, and any step can be made again from its number."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.errors import InputError, TrainingError
from remanence.models.local import chats, tokenizing
from remanence.models.local.packing import pack, rows

BYTES = tokenizing.byte_tokenizer()


def test_texts_are_joined_with_an_end_after_each():
    data = pack(["abc", "", "de"], BYTES, held_out=0)
    assert data.train.tolist() == [*chats.encode(BYTES, "abc"), 2, *chats.encode(BYTES, "de"), 2]
    assert len(data.held_out) == data.held_out_bytes == 0


def test_the_end_of_each_text_is_held_out_from_a_line_on():
    text = "".join(f"line number {n}\n" for n in range(20))
    data = pack([text, text], BYTES, held_out=0.25)
    held = BYTES.decode(data.held_out.tolist(), skip_special_tokens=True)
    assert held == "".join(f"line number {n}\n" for n in range(16, 20)) * 2
    assert data.held_out_bytes == len(held.encode())
    assert BYTES.decode(data.train.tolist(), skip_special_tokens=True) == (text[: text.index("line number 16")]) * 2


def test_bytes_are_counted_and_not_characters():
    assert pack(["é" * 100], BYTES, held_out=0.5).held_out_bytes == 100


@settings(max_examples=60)
@given(
    size=st.integers(2, 120),
    context=st.integers(1, 40),
    batch=st.integers(1, 5),
    seed=st.integers(0, 3),
    step=st.integers(0, 30),
)
def test_rows_are_stretches_of_the_stream(size, context, batch, seed, step):
    stream = torch.arange(size, dtype=torch.int32)
    found = rows(stream, step, batch=batch, context=context, seed=seed)
    assert found.shape == (batch, min(context, size - 1) + 1)
    assert torch.equal(found - found[:, :1], torch.arange(found.shape[1]).expand_as(found))
    assert torch.equal(found, rows(stream, step, batch=batch, context=context, seed=seed))
    assert int(found.max()) < size


@settings(max_examples=40)
@given(size=st.integers(12, 120), context=st.integers(1, 10), seed=st.integers(0, 3))
def test_a_pass_reads_no_token_twice_and_misses_only_the_ends(size, context, seed):
    stream = torch.arange(size, dtype=torch.int32)
    slack = (size - 1) % context if size - 1 < 2 * context else context
    pieces = (size - 1 - slack) // context
    wanted = rows(stream, 0, batch=pieces, context=context, seed=seed)[:, 1:].flatten().tolist()
    assert len(set(wanted)) == len(wanted) == pieces * context
    assert max(wanted) - min(wanted) + 1 == len(wanted)
    assert len(wanted) >= size - 1 - 2 * context


def test_borders_and_order_change_with_the_pass_and_the_seed():
    stream = torch.arange(1000, dtype=torch.int32)
    passes = [rows(stream, step, batch=61, context=16, seed=seed) for step, seed in ((0, 0), (1, 0), (0, 1))]
    assert len({tuple(found[:, 0].tolist()) for found in passes}) == 3
    assert len({int(found[:, 0].min()) for found in passes}) > 1


def test_the_batches_of_a_pass_are_its_parts():
    stream = torch.arange(500, dtype=torch.int32)
    whole = rows(stream, 0, batch=12, context=16, seed=0)
    parts = [rows(stream, step, batch=4, context=16, seed=0) for step in range(3)]
    assert torch.equal(torch.cat(parts), whole)


def test_the_digest_tells_texts_apart():
    assert pack(["one text"], BYTES).digest == pack(["one text"], BYTES).digest != pack(["two text"], BYTES).digest
    assert pack(["abcd"], BYTES, held_out=0).digest != pack(["abcd"], BYTES, held_out=0.5).digest


def test_what_cannot_be_packed():
    with pytest.raises(TrainingError, match="nothing to learn"):
        pack(["", ""], BYTES)
    with pytest.raises(InputError, match="held_out"):
        pack(["abc"], BYTES, held_out=0.6)
