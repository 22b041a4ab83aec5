"""A dialogue in a cache of fixed size, held against attention computed by hand."""

import functools
import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, Qwen3Config, Qwen3ForCausalLM

from remanence.activation.rope import Rope
from remanence.activation.scorers import H2O, SCORERS, Knorm, SirLLM, SnapKV, StreamingLLM, Tova
from remanence.activation.slots import chosen, turned
from remanence.activation.streaming import StreamingMemory
from remanence.errors import (
    ContextTooLongError,
    InputError,
    ModelMismatchError,
    PayloadDamagedError,
    UnsupportedModelError,
)
from remanence.models.local.causal import CausalLM
from remanence.models.local.nano import NanoSpec, new
from remanence.models.local.tokenizing import bpe_tokenizer

torch.set_num_threads(1)
CONTEXT = 96
TEXT = "The kiln came in June and fires at twelve hundred degrees, and Mira likes the blue glaze best of all."


@functools.cache
def lm(seed=0):
    """Random weights with some sharpness, so that a wrong position or a wrong token shows."""
    tokenizer = bpe_tokenizer([TEXT], 300)
    model = new(NanoSpec(depth=2, vocab=len(tokenizer), context=CONTEXT, seed=seed, width=32, heads=4, kv_heads=2))
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.q_proj.weight *= 3
            layer.self_attn.k_proj.weight *= 3
    return CausalLM.of(model, tokenizer, "random")


def tokens(count, seed=0):
    return torch.randint(3, lm().vocabulary, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


def cut(ids, sizes):
    """ids in parts of these sizes, over and over."""
    parts, at = [], 0
    while at < len(ids):
        size = sizes[len(parts) % len(sizes)]
        parts.append(ids[at : at + size])
        at += size
    return parts


# ── twins ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def naive_chosen(scores, room, sinks, recent):
    """The rule as the paper's code reads: best scores, sinks, then the most recent until the room is full."""
    count = len(scores)
    if count <= room:
        return list(range(count))
    ranked = sorted(range(count), key=lambda i: (-scores[i], -i))
    kept = set(ranked[: max(0, room - sinks - recent)]) | set(range(sinks))
    for i in reversed(range(count)):
        if len(kept) >= room:
            break
        kept.add(i)
    return sorted(kept)


def naive_turn(key, place, theta=10_000.0):
    """A key at a place: pairs of channels (i, i + half) turned by place * theta^(-2i / width)."""
    half = len(key) // 2
    found = key.clone()
    for i in range(half):
        angle = place * theta ** (-i / half)
        found[i] = key[i] * math.cos(angle) - key[i + half] * math.sin(angle)
        found[i + half] = key[i + half] * math.cos(angle) + key[i] * math.sin(angle)
    return found


class Naive:
    """The same memory with lists in place of caches: every key is kept as projected, and attention is a loop."""

    def __init__(self, budget, kind, *, sinks=2, recent=0, positions="cache", decay=1.0):
        self.model = lm().model
        self.budget, self.kind, self.sinks, self.recent = budget, kind, sinks, recent
        self.positions, self.decay = positions, decay
        config = self.model.config
        self.heads, self.width, self.group = (
            config.num_key_value_heads,
            config.head_dim,
            config.num_attention_heads // 2,
        )
        self.held = [[[] for _ in range(self.heads)] for _ in self.model.model.layers]
        self.seen, self.last = 0, None

    def feed(self, ids, turn):
        for head in (head for layer in self.held for head in layer):
            if len(head) + len(ids) > self.budget:
                scores = [one["score"] * self.decay ** (turn - one["turn"]) for one in head]
                head[:] = [head[i] for i in naive_chosen(scores, self.budget - len(ids), self.sinks, self.recent)]
        before = len(self.held[0][0])
        x = self.model.model.embed_tokens(torch.tensor(ids))
        first = before if self.positions == "cache" else self.seen
        given = []
        for layer, block in enumerate(self.model.model.layers):
            attended, weights = self._attend(block, layer, block.input_layernorm(x), ids, first, turn)
            x = x + attended
            x = x + block.mlp(block.post_attention_layernorm(x))
            given.append(weights)
        logits = self.model.lm_head(self.model.model.norm(x))
        self._score(ids, logits, given)
        self.last, self.seen = logits[-1], self.seen + len(ids)

    def _attend(self, block, layer, x, ids, first, turn):
        q = block.self_attn.q_proj(x).view(len(ids), -1, self.width)
        k = block.self_attn.k_proj(x).view(len(ids), -1, self.width)
        v = block.self_attn.v_proj(x).view(len(ids), -1, self.width)
        out = torch.zeros_like(q)
        weights = []
        for head, held in enumerate(self.held[layer]):
            for i, id_ in enumerate(ids):
                held.append(
                    {"id": id_, "place": self.seen + i, "turn": turn, "k": k[i, head], "v": v[i, head], "score": 0.0}
                )
            places = [i if self.positions == "cache" else one["place"] for i, one in enumerate(held)]
            keys = torch.stack([naive_turn(one["k"], place) for one, place in zip(held, places, strict=True)])
            rows = torch.zeros(len(ids), len(held))
            for i in range(len(ids)):
                upto = len(held) - len(ids) + i + 1
                for query in range(head * self.group, (head + 1) * self.group):
                    row = keys[:upto] @ naive_turn(q[i, query], first + i) / self.width**0.5
                    row = row.softmax(0)
                    out[i, query] = sum(w * one["v"] for w, one in zip(row, held, strict=False))
                    rows[i, :upto] += row / self.group
            weights.append(rows)
        return block.self_attn.o_proj(out.flatten(1)), weights

    def _score(self, ids, logits, given):
        predictions = [self.last, *logits]
        for layer, heads in enumerate(self.held):
            for head, held in enumerate(heads):
                rows = given[layer][head]
                for i, one in enumerate(held):
                    new = i - (len(held) - len(ids))
                    if self.kind == "sirllm" and new >= 0:
                        row = predictions[new]
                        one["score"] = math.log(len(logits[0])) if row is None else -float(row.log_softmax(0)[ids[new]])
                    elif self.kind == "h2o":
                        one["score"] += float(rows[:, i].sum())
                    elif self.kind == "knorm":
                        one["score"] = -float(one["k"].norm())
                    elif self.kind == "tova":
                        one["score"] = float(sum(given[layer][h][-1, i] for h in range(self.heads)) / self.heads)
                    elif self.kind == "streamingllm":
                        one["score"] = float(one["place"])


@pytest.mark.parametrize("positions", ["cache", "original"])
@pytest.mark.parametrize(
    ("scorer", "decay"),
    [(StreamingLLM(), 1.0), (SirLLM(), 1.0), (SirLLM(), 0.8), (H2O(), 1.0), (Knorm(), 1.0), (Tova(), 1.0)],
    ids=lambda one: getattr(one, "name", str(one)),
)
@torch.no_grad()
def test_the_same_as_attention_by_hand(scorer, decay, positions):
    memory = StreamingMemory(lm(), 14, scorer, sinks=2, recent=1, positions=positions, decay=decay)
    naive = Naive(14, scorer.name, sinks=2, recent=1, positions=positions, decay=decay)
    for turn, part in enumerate(cut(tokens(48), (5, 1, 7, 3))):
        memory.feed(part, turn)
        naive.feed(part, turn)
        places = [[[one["place"] for one in head] for head in layer] for layer in naive.held]
        held = memory._slots.places
        assert (held.expand(2, 2, -1) if held.dim() == 1 else held).tolist() == places
        assert torch.allclose(memory._last, naive.last, atol=2e-4), "the same prediction"
    assert len(memory) <= 14 < memory.seen


@given(
    scores=st.lists(st.integers(-3, 3).map(float), max_size=24), sinks=st.integers(0, 4), recent=st.integers(0, 4), more=st.integers(0, 12),
)  # fmt: skip
@settings(max_examples=200)
def test_what_is_kept_is_what_the_rule_says(scores, sinks, recent, more):
    room = sinks + more
    kept = chosen(torch.tensor(scores), room, sinks, recent).tolist()
    assert kept == naive_chosen(scores, room, sinks, recent)
    rows = torch.tensor([[scores, scores[::-1]]])
    assert chosen(rows, room, sinks, recent)[0, 1].tolist() == naive_chosen(scores[::-1], room, sinks, recent)


def test_best_scores_then_the_most_recent():
    scores = torch.tensor([9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 0.0, 0.5])
    assert chosen(scores, 4, 1, 0).tolist() == [0, 2, 4, 7], "the sink was among the best: the last fills its place"
    assert chosen(scores, 4, 1, 2).tolist() == [0, 5, 6, 7]
    assert chosen(scores, 5, 1, 2).tolist() == [0, 2, 5, 6, 7]
    assert chosen(scores, 8, 1, 0).tolist() == list(range(8))


@given(place=st.integers(0, 5000), width=st.sampled_from([4, 8, 16]))
@settings(max_examples=40)
def test_keys_turn_there_and_back(place, width):
    rope = Rope("default", 10_000.0 ** (-torch.arange(0, width, 2) / width))
    key = torch.randn(1, 1, width, generator=torch.Generator().manual_seed(place))
    there = turned(key, torch.tensor([place]), rope)
    assert torch.allclose(there[0, 0], naive_turn(key[0, 0], place), atol=2e-3)
    assert torch.allclose(turned(there, torch.tensor([place]), rope, back=True), key, atol=1e-5)


# ── what always holds ────────────────────────────────────────────────────────────────────────────────────────────────────


@given(
    name=st.sampled_from(sorted(SCORERS)), sinks=st.integers(0, 4), recent=st.integers(0, 3), spare=st.integers(1, 20),
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4), positions=st.sampled_from(["cache", "original"]),
)  # fmt: skip
@settings(max_examples=40)
def test_never_more_than_the_budget_and_sinks_and_order_stay(name, sinks, recent, spare, sizes, positions):
    budget = sinks + recent + spare
    memory = StreamingMemory(lm(), budget, SCORERS[name], sinks=sinks, recent=recent, positions=positions)
    ids = tokens(60)
    for part in cut(ids, sizes):
        memory.feed(part)
        assert len(memory) <= budget
    places = memory._slots.places.reshape(-1, len(memory))
    assert (places.diff(dim=-1) > 0).all()
    assert (places[:, :sinks] == torch.arange(sinks)).all()
    assert (places[:, -1] == 59).all(), "the turn that is going on is there"
    assert (memory._slots.ids == torch.tensor(ids)[memory._slots.places]).all()


@pytest.mark.parametrize("positions", ["cache", "original"])
@pytest.mark.parametrize("name", sorted(SCORERS))
def test_with_room_for_all_it_is_full_attention(name, positions):
    ids = tokens(40)
    memory = StreamingMemory(lm(), 40, SCORERS[name], positions=positions)
    plain = None
    for part in cut(ids, (9, 4)):
        memory.feed(part)
        plain = lm().forward(part, plain.cache if plain else None)
    if SCORERS[name].needs not in {"window", "attention"}:
        assert torch.equal(memory._last, plain.logits[-1]), "nothing was rotated anew"
    assert torch.allclose(memory._last, plain.logits[-1], atol=1e-4)
    assert torch.allclose(memory._last, lm().forward(ids).logits[-1], atol=1e-4)


def test_a_cache_that_is_rotated_anew_is_the_one_that_grew():
    memory = StreamingMemory(lm(), 40, SirLLM())
    memory.feed(tokens(30))
    expected = memory.weigh([[7], [8, 9]])
    memory._live = None
    assert memory.weigh([[7], [8, 9]])[1] == pytest.approx(expected[1], abs=1e-4)


def test_tokens_that_are_close_together_again_are_what_positions_decide():
    """Evicting between two parts changes distances in the cache and keeps them in the original."""
    memories = [StreamingMemory(lm(), 12, StreamingLLM(), positions=positions) for positions in ("cache", "original")]
    for memory in memories:
        memory.feed(tokens(12))
        memory.feed(tokens(6, seed=1))
    assert torch.equal(memories[0]._slots.places, memories[1]._slots.places)
    assert not torch.allclose(memories[0]._last, memories[1]._last, atol=1e-2)


class Given:
    """Scores that the test gives, by token."""

    name, needs, shared, decays, window = "given", "nothing", True, True, 0

    def __init__(self, scores):
        self.scores = scores

    def score(self, seen):
        return torch.cat([seen.earlier, torch.tensor([self.scores[i] for i in seen.ids.tolist()])])


def test_old_scores_fade_by_the_turn():
    kept = {}
    for decay in (1.0, 0.5):
        memory = StreamingMemory(lm(), 4, Given({3: 0.0, 10: 3.5, 11: 3.0, 12: 2.0, 13: 1.0}), sinks=1, decay=decay)
        for turn, id_ in enumerate([3, 10, 11, 12, 13]):
            memory.feed([id_], turn)
        kept[decay] = [one.id for one in memory.kept()]
    assert kept[1.0] == [3, 10, 11, 13]
    assert kept[0.5] == [3, 11, 12, 13], "3.5 three turns ago is less than 2 one turn ago"


class Broken(SirLLM):
    """Breaks off once."""

    armed = False

    def score(self, seen):
        if self.armed:
            type(self).armed = False
            raise KeyboardInterrupt
        return SirLLM.score(self, seen)


def test_a_segment_that_is_broken_off_was_never_there():
    memory, untouched = (StreamingMemory(lm(), 20, scorer) for scorer in (Broken(), SirLLM()))
    for part in cut(tokens(40), (9,)):
        memory.feed(part)
        untouched.feed(part)
        Broken.armed = True
        with pytest.raises(KeyboardInterrupt):
            memory.feed(tokens(7, seed=8), memory.turn)
        assert [(one.id, one.place) for one in memory.kept()] == [(one.id, one.place) for one in untouched.kept()]
        assert memory.weigh([[5], [6, 7]]) == pytest.approx(untouched.weigh([[5], [6, 7]]), abs=1e-4)
    assert memory.seen == untouched.seen == 40


@pytest.mark.parametrize("name", sorted(SCORERS))
def test_another_architecture(name):
    """Keys that are normed before rotation, and heads of their own width."""
    config = Qwen3Config(
        vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, max_position_embeddings=CONTEXT,
    )  # fmt: skip
    torch.manual_seed(0)
    other = CausalLM.of(Qwen3ForCausalLM(config), lm().tokenizer)
    memory = StreamingMemory(other, 30, SCORERS[name])
    memory.feed(tokens(20))
    memory._live = None  # rotate anew
    memory.feed(tokens(10, seed=1))
    assert torch.allclose(memory._last, other.forward(tokens(20) + tokens(10, seed=1)).logits[-1], atol=1e-4)
    memory.feed(tokens(50, seed=2))
    assert len(memory) <= 30


def test_half_precision():
    half = CausalLM.of(lm.__wrapped__().model.bfloat16(), lm().tokenizer)
    memory = StreamingMemory(half, 40, SirLLM())
    for part in cut(tokens(30), (7,)):
        memory.feed(part)
        memory._live = None  # rotate anew each time
    full = half.forward(tokens(30)).logits[-1]
    assert (memory._last - full).norm() / full.norm() < 0.05
    memory.feed(tokens(50))
    assert len(memory) <= 40


def test_a_model_whose_keys_cannot_be_moved():
    config = GPT2Config(vocab_size=300, n_embd=32, n_layer=1, n_head=2, n_positions=64, bos_token_id=1, eos_token_id=2)
    with pytest.raises(UnsupportedModelError, match="rotary"):
        StreamingMemory(CausalLM.of(GPT2LMHeadModel(config), lm().tokenizer), 20, SirLLM())


# ── the dialogue ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dialogue_may_be_longer_than_the_context():
    memory = StreamingMemory(lm(), 24, SirLLM())
    for part in cut(tokens(3 * CONTEXT), (11,)):
        memory.feed(part)
    assert (memory.seen, len(memory)) == (3 * CONTEXT, 24)
    original = StreamingMemory(lm(), 24, SirLLM(), positions="original")
    original.feed(tokens(CONTEXT))
    before = original.kept()
    with pytest.raises(ContextTooLongError):
        original.feed([5])
    assert original.kept() == before


def test_a_turn_that_is_longer_than_the_budget_comes_by_parts():
    memory = StreamingMemory(lm(), 20, StreamingLLM())
    memory.feed(tokens(50))
    by_hand = StreamingMemory(lm(), 20, StreamingLLM())
    for part in cut(tokens(50), (8,)):  # half of the room beside 4 sinks
        by_hand.feed(part, 0)
    assert torch.equal(memory._last, by_hand._last)
    assert memory.turn == 0


def test_options_are_weighed_without_a_trace():
    memory = StreamingMemory(lm(), 60, SirLLM())
    memory.feed(TEXT[:40])
    before = memory.kept()
    weighed = memory.weigh([" Mira", [5], " blue glaze"])
    prompt = lm().encode(TEXT[:40])
    expected = lm().score([prompt] * 3, [lm().encode(" Mira"), [5], lm().encode(" blue glaze")])
    assert weighed == pytest.approx([one.total for one in expected], abs=1e-4)
    assert memory.kept() == before
    assert memory.weigh([[5]])[0] == weighed[1]


def test_what_is_written_is_remembered_and_the_same_with_room_for_all():
    memory = StreamingMemory(lm(), 80, SirLLM())
    memory.feed(TEXT[:30])
    written = memory.generate(12)
    assert written.ids == lm().generate(lm().encode(TEXT[:30]), max_new=12).ids
    assert [one.id for one in memory.kept()][-len(written.ids) :] == list(written.ids)

    small = StreamingMemory(lm(), 12, SirLLM())
    small.feed(TEXT)
    seen = small.seen
    written = small.generate(40)
    assert len(small) <= 12
    assert small.seen == seen + len(written.ids)


def test_room_for_what_is_written_is_made_at_once():
    """So that the cache is not rotated anew for every token."""
    memory, by_hand = (StreamingMemory(lm(), 36, SirLLM()) for _ in range(2))
    for one in (memory, by_hand):
        one.feed(tokens(36))
    written = memory.generate(3)
    assert len(written.ids) == 3
    by_hand._make_room(3)
    for id_ in written.ids:
        by_hand.feed([id_], 0)
    assert memory.kept() == by_hand.kept()


def test_kept_tokens_are_a_text():
    memory = StreamingMemory(lm(), 30, SirLLM(), sinks=2)
    memory.feed(TEXT[:30], 0)
    assert memory.kept_text() == TEXT[:30]
    for turn, part in enumerate(cut(lm().encode(TEXT[30:]), (6,)), 1):
        memory.feed(part, turn)
    everything = lm().encode(TEXT[:30]) + lm().encode(TEXT[30:])
    for one in memory.kept():
        assert everything[one.place] == one.id
        assert one.text == lm().decode([one.id])
    assert " …" in memory.kept_text()
    assert "".join(one.text for one in memory.kept()) == memory.kept_text(gap="")


def test_kept_tokens_of_each_head_are_none():
    memory = StreamingMemory(lm(), 30, H2O())
    memory.feed(TEXT)
    with pytest.raises(InputError, match="every layer and head"):
        memory.kept_text()


def test_attention_is_watched_without_a_trace():
    fresh = lm.__wrapped__()
    assert fresh.model.config._attn_implementation == "sdpa"
    memory = StreamingMemory(fresh, 30, SnapKV(4))
    memory.feed(TEXT)
    assert fresh.model.config._attn_implementation == "sdpa"
    assert not any(module._forward_hooks for module in fresh.model.modules())


# ── in a file ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["sirllm", "h2o"])
def test_a_dialogue_goes_on_where_it_was_stored(name, tmp_path):
    scorer = SCORERS[name]
    memory = StreamingMemory(lm(), 20, scorer, sinks=3, recent=2, decay=0.9)
    for part in cut(tokens(50), (7,)):
        memory.feed(part)
    assert memory.save(tmp_path / "a.safetensors") == (tmp_path / "a.safetensors").stat().st_size
    again = StreamingMemory.load(tmp_path / "a.safetensors", lm(), scorer)
    assert again.weigh([[5], [6]]) == memory.weigh([[5], [6]])
    for one in (memory, again):
        one.feed(tokens(9, seed=4))
    assert torch.allclose(again._last, memory._last, atol=1e-4)
    assert torch.equal(again._slots.places, memory._slots.places)
    assert again.turn == memory.turn
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_dialogue_that_did_not_begin_can_be_stored(tmp_path):
    StreamingMemory(lm(), 20, SirLLM()).save(tmp_path / "a")
    again = StreamingMemory.load(tmp_path / "a", lm(), SirLLM())
    again.feed(TEXT)
    assert again.seen == len(lm().encode(TEXT))


@pytest.fixture
def stored(tmp_path):
    memory = StreamingMemory(lm(), 20, SirLLM())
    memory.feed(TEXT)
    memory.save(tmp_path / "a.safetensors")
    return tmp_path / "a.safetensors"


def test_another_model_is_refused(stored):
    with pytest.raises(ModelMismatchError, match="weights"):
        StreamingMemory.load(stored, lm(1), SirLLM())


@pytest.mark.parametrize("scorer", [SirLLM(smooth=3), StreamingLLM(), Knorm()], ids=lambda one: one.name)
def test_another_scorer_is_refused(stored, scorer):
    with pytest.raises(InputError, match="scorer"):
        StreamingMemory.load(stored, lm(), scorer)


def rewritten(path, *, tensors=None, metadata=None):
    with safe_open(path, framework="pt") as file:
        said = dict(file.metadata())
    save_file(load_file(path) | (tensors or {}), path, said | (metadata or {}))


DAMAGE = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "empty": lambda path: path.write_bytes(b""),
    "another score": lambda path: rewritten(path, tensors={"scores": torch.zeros(20)}),
    "another value": lambda path: rewritten(path, tensors={"v.0": torch.zeros(2, 20, 8)}),
    "another format": lambda path: rewritten(path, metadata={"format": "remanence.kv/1"}),
    "another header": lambda path: rewritten(path, metadata={"header": json.dumps({"state": {}})}),
    "no digest": lambda path: save_file(load_file(path), path, {"format": "remanence.stream/1"}),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_said(stored, damage):
    DAMAGE[damage](stored)
    with pytest.raises(PayloadDamagedError):
        StreamingMemory.load(stored, lm(), SirLLM())


# ── bad input ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budget": 4}, "no room"), ({"budget": 0, "sinks": 0}, "no room"), ({"sinks": -1}, "no room"),
        ({"budget": 10, "recent": 6}, "no room"), ({"positions": "absolute"}, "positions"), ({"decay": 0.0}, "decay"),
        ({"decay": 1.5}, "decay"), ({"decay": math.nan}, "decay"), ({"decay": 0.9, "scorer": Knorm()}, "cannot decay"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit(options, said):
    with pytest.raises(InputError, match=said):
        StreamingMemory(lm(), **({"budget": 20, "scorer": SirLLM()} | options))


def test_a_budget_beyond_the_context():
    with pytest.raises(ContextTooLongError, match="96"):
        StreamingMemory(lm(), CONTEXT + 1, SirLLM())


def test_what_cannot_be_fed():
    memory = StreamingMemory(lm(), 20, SirLLM())
    for call in (lambda: memory.weigh([" a"]), memory.generate):
        with pytest.raises(InputError, match="Nothing was said"):
            call()
    with pytest.raises(InputError):
        memory.feed("")
    with pytest.raises(InputError):
        memory.feed([lm().vocabulary])
    memory.feed(TEXT, 3)
    with pytest.raises(InputError, match="Turn 2 is over"):
        memory.feed(TEXT, 2)
    with pytest.raises(InputError):
        memory.weigh([""])
    with pytest.raises(InputError, match="max_new"):
        memory.generate(0)
    memory.feed(TEXT)
    assert memory.turn == 4
