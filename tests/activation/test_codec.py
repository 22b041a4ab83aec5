"""What is stored of keys and values, against what was computed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from remanence.activation.codec import PRECISIONS, encode, expected, loss, packed, stored_dtype, unpacked
from remanence.errors import InputError

roles = st.sampled_from(["keys", "values"])
shapes = st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 20))


def numbers(shape, seed, spread, offset):
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return drawn * spread + offset


def packed_one_by_one(codes):
    """The naive twin: byte by byte, in Python."""
    rows = codes.reshape(-1, codes.shape[-1]).tolist()
    found = [[low + 16 * high for low, high in zip(row[::2], row[1::2], strict=True)] for row in rows]
    return torch.tensor(found, dtype=torch.uint8).reshape(*codes.shape[:-1], -1)


def dequantised_one_by_one(stored):
    """The naive twin of `decode`: number by number, from where each one's code and scale lie."""
    heads, tokens, channels = stored.shape
    codes = unpacked(stored.data) if stored.precision == "int4" else stored.data
    size = codes.shape[-1]
    out = torch.empty(stored.shape)
    for head in range(heads):
        for token in range(tokens):
            for channel in range(channels):
                line, at = (channel, token) if stored.role == "keys" else (token, channel)
                code = int(codes[head, line, at // size, at % size])
                scale, low = stored.scale[head, line, at // size, 0], stored.low[head, line, at // size, 0]
                out[head, token, channel] = float(low) + float(scale) * code
    return out


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 9))
def test_codes_are_packed_as_byte_by_byte(seed, rows, pairs):
    codes = torch.randint(0, 16, (rows, 2 * pairs), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    assert torch.equal(packed(codes), packed_one_by_one(codes))
    assert torch.equal(unpacked(packed(codes)), codes)


@given(shapes, roles, st.integers(0, 10**6), st.sampled_from([1e-3, 1.0, 50.0]), st.sampled_from([0.0, -7.5, 300.0]),
       st.sampled_from([2, 8, 32, 64]), st.sampled_from(["int8", "int4"]))  # fmt: skip
def test_no_number_is_off_by_more_than_half_a_scale(shape, role, seed, spread, offset, group, precision):
    original = numbers(shape, seed, spread, offset)
    stored = encode(original, precision, role, group=group)
    decoded = stored.decode()
    assert decoded.shape == original.shape
    scales = torch.ones_like(stored.scale.float()) * stored.scale.float()
    lines = scales.expand(
        *scales.shape[:3], expected(precision, role, shape, group)["data"][-1] * (2 if precision == "int4" else 1)
    )
    lines = lines.flatten(2)
    each = lines[..., : shape[1]].transpose(1, 2) if role == "keys" else lines[..., : shape[2]]
    assert bool(((decoded - original).abs() <= each / 2 + 1e-5 * original.abs() + 1e-6).all())


@given(shapes, roles, st.integers(0, 10**6), st.sampled_from([2, 6, 64]), st.sampled_from(["int8", "int4"]))
def test_decoding_is_what_each_number_says(shape, role, seed, group, precision):
    stored = encode(numbers(shape, seed, 1, 0.5), precision, role, group=group)
    assert torch.allclose(stored.decode(), dequantised_one_by_one(stored), atol=1e-6)


@given(shapes, roles, st.sampled_from(PRECISIONS), st.sampled_from([2, 32, 64]))
def test_a_file_can_know_the_shapes_beforehand(shape, role, precision, group):
    stored = encode(torch.ones(shape), precision, role, group=group)
    assert {name: tuple(part.shape) for name, part in stored.tensors().items()} == expected(
        precision, role, shape, group
    )
    assert stored.data.dtype == stored_dtype(precision)
    assert stored.size == sum(part.nbytes for part in stored.tensors().values())


def test_full_precision_loses_nothing_and_the_others_ever_more():
    original = numbers((2, 64, 32), 0, 1, 0)
    lost = {name: loss(original, encode(original, name, "keys")).relative for name in PRECISIONS}
    assert lost["fp32"] == 0
    assert lost["fp32"] < lost["fp16"] < lost["bf16"] < lost["int8"] < lost["int4"] < 0.2
    assert encode(original, "int8", "keys").size < 0.3 * encode(original, "fp32", "keys").size
    assert encode(original, "int4", "keys").size < 0.16 * encode(original, "fp32", "keys").size


def test_keys_are_grouped_by_channel_because_some_are_large_everywhere():
    original = numbers((1, 64, 16), 0, 0.1, 0)
    original[..., 3] += 40
    assert (
        loss(original, encode(original, "int8", "keys")).max_abs
        < loss(original, encode(original, "int8", "values")).max_abs / 20
    )


def test_decoding_gives_a_copy():
    stored = encode(torch.ones(1, 2, 3), "fp32", "keys")
    stored.decode().zero_()
    assert bool((stored.data == 1).all())


def test_what_does_not_fit_is_refused():
    large = torch.full((1, 2, 4), 1e6)
    large[0, 0, 0] = 0
    for precision in ("fp16", "int8", "int4"):
        with pytest.raises(InputError, match="Store it as fp32"):
            encode(large * 100, precision, "keys")
    assert loss(large, encode(large, "bf16", "keys")).relative < 1e-2
    with pytest.raises(InputError, match="check its weights"):
        encode(torch.full((1, 2, 4), float("nan")), "fp32", "keys")
    with pytest.raises(InputError, match="heads, tokens and channels"):
        encode(torch.ones(2, 2), "fp16", "keys")
    with pytest.raises(InputError, match="even group"):
        encode(torch.ones(1, 2, 4), "int4", "keys", group=7)
