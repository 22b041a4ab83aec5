"""What is written does not depend on what was computed before, on padding, or on who else is in the batch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel

from remanence.errors import InputError
from remanence.models.local import caches, generating
from remanence.models.local.causal import CausalLM
from remanence.models.local.tokenizing import byte_tokenizer

TEXT = "The kiln came on 3 June and fires at 1240 degrees."


def naive(lm, ids, count):
    """The most probable token each time, everything computed anew."""
    ids = list(ids)
    for _ in range(count):
        ids.append(int(lm.forward(ids).logits[-1].argmax()))
    return tuple(ids[-count:])


def test_it_writes_what_the_naive_loop_writes(lm):
    ids = lm.encode(TEXT)
    written = lm.generate(ids, max_new=12)
    assert written.ids == naive(lm, ids, 12)
    assert (written.finish, len(written.logprobs)) == ("length", 12)
    assert written.text == lm.decode(written.ids)
    assert written.first_seconds > 0
    assert caches.length(written.cache) == len(ids) + 11


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(held=st.integers(1, len(TEXT)))
def test_a_cache_of_any_beginning_changes_nothing(lm, held):
    ids = lm.encode(TEXT)
    without = lm.generate(ids, max_new=8)
    cache = lm.forward(ids[:held]).cache
    kept = caches.clone(cache)
    within = lm.generate(ids, cache=cache, max_new=8)
    assert within.ids == without.ids
    assert within.logprobs == pytest.approx(without.logprobs, abs=1e-4)
    assert within.cache is cache
    assert caches.length(kept) == held
    assert lm.generate(ids, cache=caches.fork(kept), max_new=8).ids == without.ids


def test_the_cache_that_comes_back_goes_on(lm):
    ids = lm.encode(TEXT)
    first = lm.generate(ids, max_new=5)
    more = [*ids, *first.ids, *lm.encode(" And?")]
    assert lm.generate(more, cache=first.cache, max_new=5).ids == lm.generate(more, max_new=5).ids


def test_a_cache_that_was_thinned_out_stands_for_more(lm):
    ids = lm.encode(TEXT)
    cache = lm.forward(ids).cache
    thin = caches.cache_of([(k[:, :, 3:], v[:, :, 3:]) for k, v in caches.pairs(cache)])
    more = lm.encode(" Why?")
    want = lm.forward(more, caches.clone(thin), range(len(ids), len(ids) + len(more))).logits[-1]
    written = lm.generate([*ids, *more], cache=thin, past=len(ids), max_new=1)
    assert written.ids == (int(want.argmax()),)
    assert written.logprobs[0] == pytest.approx(float(want.log_softmax(-1).max()), abs=1e-4)


@pytest.mark.parametrize(("held", "past"), [(9, None), (3, 2), (3, 9)])
def test_a_cache_that_does_not_fit_the_prompt(lm, held, past):
    cache = lm.forward([7] * held).cache
    with pytest.raises(InputError, match="whole prompt"):
        lm.generate([7] * 5, cache=cache, past=past)


def ending(lm, monkeypatch, token):
    monkeypatch.setattr(lm.model.generation_config, "eos_token_id", [2, token])


def test_an_end_token_ends_it(lm, monkeypatch):
    ids = lm.encode(TEXT)
    free = lm.generate(ids, max_new=12)
    at = next(n for n in range(3, 12) if free.ids[n] not in free.ids[:n])
    ending(lm, monkeypatch, free.ids[at])
    ended = lm.generate(ids, max_new=12)
    assert (ended.ids, ended.finish) == (free.ids[:at], "stop")
    assert len(ended.logprobs) == at
    assert lm.generate_many([ids], max_new=12) == [ended.text]
    assert caches.length(ended.cache) == len(ids) + at


def test_a_stop_text_ends_it_and_is_cut_off(lm):
    ids = lm.encode(TEXT)
    free = lm.generate(ids, max_new=40, temperature=1.0, seed=5)
    stop = free.text[6:8]
    at = free.text.index(stop)
    ended = lm.generate(ids, max_new=40, temperature=1.0, seed=5, stop=["never seen", stop])
    assert (ended.text, ended.finish) == (free.text[:at], "stop")
    assert len(ended.ids) < len(free.ids)
    plain = lm.generate(ids, max_new=9)
    assert lm.generate_many([ids], max_new=9, stop=[plain.text[4:6]]) == [
        plain.text[: plain.text.index(plain.text[4:6])]
    ]


def test_the_end_of_the_context_ends_it(lm):
    written = lm.generate([9] * 250, max_new=64)
    assert len(written.ids) == 7  # the last one is written, but never read
    assert written.finish == "length"
    assert lm.generate_many([[9] * 250, [9]], max_new=64) == [written.text, lm.generate([9], max_new=64).text]
    assert len(lm.generate([9] * 256).ids) == 1


def test_many_are_written_as_one_by_one(lm, monkeypatch):
    prompts = [lm.encode(one) for one in ("a", TEXT, "Where does Ana live?", "x" * 120, "b")]
    alone = [lm.generate(one, max_new=16).text for one in prompts]
    assert lm.generate_many(prompts, max_new=16) == alone
    monkeypatch.setattr(generating, "BATCH_TOKENS", 1)
    assert lm.generate_many(prompts, max_new=16) == alone
    assert lm.generate_many([]) == []


def test_learned_positions_do_not_see_the_padding():
    config = GPT2Config(vocab_size=259, n_positions=64, n_embd=16, n_layer=2, n_head=2, eos_token_id=2, pad_token_id=0)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        lm = CausalLM.of(GPT2LMHeadModel(config), byte_tokenizer())
        for one in lm.model.parameters():
            one.data.normal_(0, 0.3)
    prompts = [lm.encode(one) for one in ("a", "a longer prompt", "Where does Ana live?")]
    alone = [lm.generate(one, max_new=12).text for one in prompts]
    assert lm.generate_many(prompts, max_new=12) == alone
    together = lm.score(prompts, [[7, 8], [9], [10, 11, 12]])
    for prompt, target, scored in zip(prompts, [[7, 8], [9], [10, 11, 12]], together, strict=True):
        assert scored.logprobs == pytest.approx(lm.score([prompt], [target])[0].logprobs, abs=1e-4)
    assert (lm.kv_heads, lm.head_dim, lm.layers, lm.context) == (2, 8, 2, 64)


def test_a_seed_draws_the_same_and_the_temperature_counts(lm):
    ids = lm.encode(TEXT)

    def draw(**how):
        return lm.generate(ids, max_new=20, **how).ids

    assert draw(temperature=1.0, seed=3) == draw(temperature=1.0, seed=3) != draw(temperature=1.0, seed=4)
    greedy = draw()
    assert draw(temperature=1e-4, seed=3) == greedy
    assert draw(temperature=5.0, top_p=1e-9, seed=3) == greedy


def test_draws_follow_the_probabilities_within_the_nucleus():
    logprobs = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    drawn = torch.Generator().manual_seed(0)
    counts = torch.zeros(4)
    for _ in range(4000):
        counts[generating._draw(logprobs, 1.0, 0.75, drawn)] += 1
    assert counts[2] == counts[3] == 0
    assert float(counts[0] / 4000) == pytest.approx(0.625, abs=0.03)


@pytest.mark.parametrize(
    "how",
    [
        {"temperature": -1},
        {"temperature": float("nan")},
        {"top_p": 0},
        {"top_p": 1.1},
        {"max_new": 0},
        {"stop": "x"},
        {"stop": [""]},
    ],
)
def test_ways_that_cannot_be_used(lm, how):
    with pytest.raises(InputError):
        lm.generate([5], **how)


def test_many_refuse_them_too(lm):
    for how in ({"max_new": 0}, {"stop": [""]}, {"stop": "x"}):
        with pytest.raises(InputError):
            lm.generate_many([[5]], **how)
