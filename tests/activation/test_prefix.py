"""The longest beginning that blocks hold, against looking at every chain of them; and that using a block does not change it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from remanence.activation.block import NOTHING, Block, digest_of, same_numbers
from remanence.activation.capture import capture
from remanence.activation.prefix import PIECE, PrefixIndex, common, reuse
from remanence.errors import ModelMismatchError
from remanence.models.local.caches import clone
from remanence.models.local.fingerprint import Fingerprint

ANY = Fingerprint("a", "w", "t")


def bare(ids, before=()):
    """A block without numbers: the index looks at tokens only."""
    return Block(tuple(ids), (), (), len(before), digest_of(before) if before else NOTHING, ANY, ())


def longest_by_looking(ids, blocks, at=0):
    """The naive twin: the most tokens that any chain covers from a place on."""
    best = 0
    for block in blocks:
        if block.start != at or block.parent != (digest_of(ids[:at]) if at else NOTHING):
            continue
        shared = common(block.ids, ids[at:])
        best = max(best, shared + (longest_by_looking(ids, blocks, at + shared) if shared == len(block.ids) else 0))
    return best


runs = st.lists(st.integers(0, 1), min_size=1, max_size=3 * PIECE)


@given(
    st.lists(runs, min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50), st.integers(0, 90)), max_size=8),
    st.data(),
)
def test_the_longest_chain_is_found(sequences, cuts, data):
    blocks = [bare(ids) for ids in sequences]
    for number, start, last in cuts:
        ids = sequences[number % len(sequences)]
        first = start % len(ids)
        if ids[first : first + 1 + last]:
            blocks.append(bare(ids[first : first + 1 + last], ids[:first]))
    ids = data.draw(st.sampled_from(sequences)) + data.draw(st.lists(st.integers(0, 1), max_size=5))
    ids = ids[: data.draw(st.integers(0, len(ids)))]
    chain, covered = PrefixIndex(blocks).longest(ids)
    assert covered == longest_by_looking(ids, blocks)
    at = 0
    for block in chain:
        assert block.start == at
        assert block.ids[: covered - at] == tuple(ids[at : min(covered, at + len(block.ids))])
        at += len(block.ids)
    assert at >= covered


def test_a_chain_from_a_short_block_is_found_beside_a_longer_one():
    ids = list(range(60))
    short, behind, longer = bare(ids[:10]), bare(ids[10:], ids[:10]), bare([*ids[:40], 99])
    for blocks in ([short, behind, longer], [longer, behind, short]):
        assert PrefixIndex(blocks).longest(ids) == ((short, behind), 60)
    assert PrefixIndex([short, longer]).longest(ids) == ((longer,), 40)


def test_common_beginnings():
    assert common([1, 2, 3], [1, 2, 4]) == 2
    assert common([1, 2], [1, 2, 3]) == common([1, 2, 3], [1, 2]) == 2
    assert common([], [1]) == common([2], [1]) == 0


@pytest.fixture
def full(lm, texts):
    return lm.encode("".join(texts))


def test_reuse_is_exact_also_of_a_part_and_of_a_chain(lm, texts, full):
    wanted = lm.forward(full).logits
    half, rest = full[:70], full[70:130]
    cases = {
        "whole": ([capture(full, lm, precision="fp32")], len(full) - 1),
        "chain": ([capture(half, lm, precision="fp32"), capture(rest, lm, prefix=half, precision="fp32")], 130),
        "part": ([capture([*half, 7, 7, 7], lm, precision="fp32")], 70),
        "nothing": ([capture(full[1:], lm, precision="fp32")], 0),
        "an end without its beginning": ([capture(rest, lm, prefix=half, precision="fp32")], 0),
    }
    for name, (blocks, covered) in cases.items():
        found = reuse(full, blocks, lm)
        assert (found.covered, found.lossless) == (covered, True), name
        rest_logits = lm.forward(full[covered:], found.cache).logits
        assert torch.allclose(rest_logits, wanted[covered:], atol=1e-4), name


def test_what_lost_nothing_is_preferred(lm, full):
    lossy, exact = capture(full, lm, precision="int8"), capture(full, lm, precision="fp32")
    for blocks in ([lossy, exact], [exact, lossy]):
        assert reuse(full, blocks, lm).used == (exact,)
    found = reuse(full, [lossy], lm)
    assert (found.used, found.lossless) == ((lossy,), False)


def test_a_block_used_twice_gives_the_same_twice(lm, full, texts):
    """MemOS passes the stored cache itself: it grows, and the second question sees the first."""
    block = capture(full, lm, precision="fp32")
    before = [(keys.decode(), values.decode()) for keys, values in zip(block.keys, block.values, strict=True)]
    question = [*full, *lm.encode(texts[0])]
    answers = []
    for _ in range(2):
        found = reuse(question, [block], lm)
        answers.append(lm.generate(question, cache=found.cache, max_new=5))
        assert found.cache.get_seq_length() > len(full)  # the copy grew
    assert answers[0].ids == answers[1].ids
    assert answers[0].logprobs == answers[1].logprobs
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(before, block.pairs(), strict=True))
    assert len(block.ids) == len(full)
    assert same_numbers(block, capture(full, lm, precision="fp32"))


def test_another_models_block_is_refused(lm, full, model_with):
    other = model_with()
    with pytest.raises(ModelMismatchError):
        reuse(full, [capture(full[:50], other)], lm)


def test_the_copy_shares_nothing(lm, full):
    block = capture(full, lm, precision="fp32")
    cache = reuse(full, [block], lm).cache
    for layer in cache.layers:
        layer.keys.zero_()
        layer.values.zero_()
    assert float(block.keys[0].data.abs().max()) > 0
    assert clone(reuse(full, [block], lm).cache).get_seq_length() == len(full) - 1
