"""Editing: traced first, written where the model looks, kept beside the weights, taken off without a trace."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
)

from remanence.errors import (
    InputError,
    ModelMismatchError,
    PayloadDamagedError,
    StaleError,
    TrainingError,
    UnsupportedModelError,
)
from remanence.models.local.causal import CausalLM
from remanence.models.local.tokenizing import word_tokenizer
from remanence.parametric import edits
from remanence.parametric.edits import Applied, Edit, Update, applied
from remanence.parametric.keys import Request, Site, batch, covariance, key, spot
from remanence.parametric.memit import memit
from remanence.parametric.rome import EditRecipe, damped, rome
from remanence.parametric.sites import decoder, layer, layers, projection
from remanence.parametric.trace import trace

EXAMPLE = Request("Question: Where does Mira Kovac live? Answer:", "Mira Kovac", " Oslo", ("c1", 2))


@pytest.fixture
def lm(own_taught):
    return own_taught()


@pytest.fixture(scope="module")
def samples(taught_world):
    return taught_world.corpus()[::9]


def request(world, fact, cube, value=None):
    return Request(world.question(fact), fact.subject, f" {value or world.counterfactuals(fact, 1)[0]}", (cube, 1))


def said(lm, prompts):
    return lm.generate_many([lm.encode(prompt) for prompt in prompts], max_new=4, stop=(".",))


def right(lm, prompts, answers):
    return sum(text == answer for text, answer in zip(said(lm, prompts), answers, strict=True)) / len(answers)


def weights(lm):
    return {name: tensor.clone() for name, tensor in lm.model.state_dict().items()}


def same(lm, before):
    return all(torch.equal(tensor, before[name]) for name, tensor in lm.model.state_dict().items())


# ── tracing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_trace_finds_where_an_edit_works(taught, taught_world, samples):
    facts = taught_world.facts[::5][:8]
    known = [request(taught_world, fact, "c", fact.value) for fact in facts]
    found = trace(taught, known, noises=4)
    assert found.clean > 0.9
    assert found.corrupted < 0.5
    assert found.site.place == "last"  # a small model looks up late
    assert max(max(row) for row in found.effects) <= found.clean
    assert found.layers(2)[-1] == found.site.layer
    asked = [request(taught_world, fact, "c") for fact in facts[:3]]
    hits = {}
    for site in (found.site, Site(len(found.effects) - 1, "subject_last")):
        for one in asked:
            with applied(taught, rome(taught, [one], site, samples)):
                hits.setdefault(site.place, []).append(said(taught, [one.prompt])[0] == one.target)
    assert all(hits["last"])
    assert not any(hits["subject_last"])


def test_without_noise_nothing_is_corrupted(taught, taught_world):
    known = [request(taught_world, fact, "c", fact.value) for fact in taught_world.facts[:2]]
    quiet = trace(taught, known, noises=2, spread=0.0)
    assert quiet.corrupted == pytest.approx(quiet.clean, abs=1e-5)
    assert max(abs(effect) for row in quiet.effects for effect in row) < 1e-5
    assert trace(taught, known, noises=2) == trace(taught, known, noises=2)
    assert trace(taught, known, noises=2, window=3) != trace(taught, known, noises=2)
    with pytest.raises(InputError):
        trace(taught, [])


# ── what an update is ────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_update_is_the_least_change_that_moves_the_key(lm, samples):
    """Section 3.1: (W + Δ) k = v, and among all such Δ the one with the smallest tr(Δ C Δᵀ)."""
    found = projection(lm.model, 1)
    recipe = EditRecipe(contexts=("Mira Kovac likes chess.",))
    rows = batch(lm, EXAMPLE, ("", *recipe.contexts), "last")
    mean = key(lm, found, rows)
    update = rome(lm, [EXAMPLE], Site(1, "last"), samples, recipe).updates[found.name]
    delta = update.left.double() @ update.right.double().T
    assert torch.allclose(delta @ mean, update.left[:, 0].double(), atol=1e-5)
    moment = damped(covariance(lm, found, samples), recipe.damping)
    dense = update.left.double() @ (torch.linalg.inv(moment) @ mean)[None] / (mean @ torch.linalg.inv(moment) @ mean)
    assert torch.allclose(delta, dense, atol=1e-5)
    cost = torch.trace(delta @ moment @ delta.T)
    dice = torch.Generator().manual_seed(0)
    for _ in range(20):
        other = torch.randn(delta.shape, generator=dice, dtype=torch.float64) * 0.01
        other -= (other @ mean)[:, None] @ mean[None] / (mean @ mean)  # moves the key by nothing
        assert torch.trace((delta + other) @ moment @ (delta + other).T) > cost


def test_the_covariance_is_the_mean_outer_product(taught, taught_world):
    found = projection(taught.model, 0)
    texts = [taught_world.statement(fact) for fact in taught_world.facts[:3]]
    total, tokens, kept = 0, 0, []
    handle = found.module.register_forward_hook(
        lambda _module, arguments, _output: kept.append(arguments[0][0].double())
    )
    for text in texts:
        taught.forward(taught.encode(text))
    handle.remove()
    for keys in kept:
        for one in keys:
            total, tokens = total + torch.outer(one, one), tokens + 1
    assert torch.allclose(covariance(taught, found, texts), total / tokens, atol=1e-8)
    with pytest.raises(InputError):
        covariance(taught, found, [])


def test_memit_writes_what_is_missing_at_every_key(lm, taught_world, samples):
    """With one layer and almost no weight on other keys, ΔW K = R to the end: the states are reached."""
    facts = taught_world.facts[1::9][:4]
    asked = [request(taught_world, fact, "c") for fact in facts]
    edit = memit(lm, asked, [1], "last", samples, strength=1e-6)
    found = projection(lm.model, 1)
    keys = torch.stack([key(lm, found, batch(lm, one, ("",), "last")) for one in asked], 1)
    update = edit.updates[found.name]
    moved = update.left.double() @ (update.right.double().T @ keys)
    assert torch.allclose(moved, update.left.double(), atol=1e-2 * float(update.left.abs().max()))
    assert edit.rank == 4


# ── how well they do ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_editing_changes_what_was_asked_and_little_else(lm, taught_world, samples):
    world, before = taught_world, weights(lm)
    facts = world.facts[1::7][:8]
    asked = [request(world, fact, f"c{number}") for number, fact in enumerate(facts)]
    edited = {fact.subject for fact in facts}
    others = [fact for fact in world.facts if fact.subject not in edited]
    prompts, answers = [world.question(fact) for fact in others], [world.answer(fact) for fact in others]
    assert right(lm, prompts, answers) >= 0.97
    made = {
        "rome": rome(lm, asked, Site(2, "last"), samples),
        "memit": memit(lm, asked, (1, 2), "last", samples),
    }
    assert same(lm, before)
    for edit in made.values():
        assert edit.details["sources"] == [[f"c{number}", 1] for number in range(8)]
        with applied(lm, edit):
            assert right(lm, [one.prompt for one in asked], [one.target for one in asked]) >= 0.85
            assert right(lm, [world.question(fact, 1) for fact in facts], [one.target for one in asked]) >= 0.6
            assert right(lm, prompts, answers) >= 0.85
        assert same(lm, before)


def test_an_edit_without_a_request_is_the_one_that_never_had_it(lm, taught_world, samples):
    asked = [request(taught_world, fact, f"c{number}") for number, fact in enumerate(taught_world.facts[:3])]
    recipe = EditRecipe(steps=5)
    rome(lm, asked, Site(2, "last"), samples, recipe)
    left = rome(lm, [asked[0], asked[2]], Site(2, "last"), samples, recipe)
    again = rome(lm, [asked[0], asked[2]], Site(2, "last"), samples, recipe)
    for name, update in left.updates.items():
        assert torch.equal(update.left, again.updates[name].left)
        assert torch.equal(update.right, again.updates[name].right)


# ── on and off ───────────────────────────────────────────────────────────────────────────────────────────────────────


def some(lm, module="model.layers.0.mlp.down_proj", seed=0, scale=0.1):
    out, inner = lm.model.get_submodule(module).weight.shape
    dice = torch.Generator().manual_seed(seed)
    left, right_side = torch.randn(out, 2, generator=dice) * scale, torch.randn(inner, 2, generator=dice)
    return Edit({module: Update(left, right_side)}, lm.fingerprint, {"sources": [["c1", 1]]})


def test_taking_an_edit_off_gives_the_same_tensors_back(lm):
    before, storage = weights(lm), lm.model.model.layers[0].mlp.down_proj.weight.data_ptr()
    print_before = lm.fingerprint
    on = Applied(lm, some(lm))
    assert not same(lm, before)
    assert lm.fingerprint.weights != print_before.weights
    second = Applied(lm, some(lm, seed=1))
    with pytest.raises(StaleError):
        on.revert()
    second.revert()
    on.revert()
    on.revert()
    assert same(lm, before)
    assert lm.model.model.layers[0].mlp.down_proj.weight.data_ptr() == storage
    assert lm.fingerprint == print_before
    with pytest.raises(KeyError), applied(lm, some(lm)):
        raise KeyError
    assert same(lm, before)


def test_a_file_holds_an_edit(lm, tmp_path):
    edit = some(lm)
    made = edits.keep(edit, lm, tmp_path / "edit")
    assert (made.format, made.details["sources"]) == ("remanence.edit/1", [["c1", 1]])
    back = edits.open_(tmp_path / "edit", lm)
    with applied(lm, edit):
        expected = weights(lm)
    with applied(lm, back):
        assert same(lm, expected)
    data = bytearray((tmp_path / "edit").read_bytes())
    data[-3] ^= 1
    (tmp_path / "broken").write_bytes(data)
    for path in (tmp_path / "broken", tmp_path / "missing"):
        with pytest.raises(PayloadDamagedError):
            edits.open_(path, lm)
    on = Applied(lm, some(lm))
    with pytest.raises(ModelMismatchError):
        edits.open_(tmp_path / "edit", lm)
    with pytest.raises(ModelMismatchError):
        Applied(lm, edit)
    on.revert()
    odd = Edit({"model.layers.0.mlp.down_proj": Update(torch.zeros(3, 1), torch.zeros(4, 1))}, lm.fingerprint)
    with pytest.raises(ModelMismatchError, match="does not fit"):
        Applied(lm, odd)


# ── architectures, bad input ─────────────────────────────────────────────────────────────────────────────────────────


def gpt2(tmp_path: Path) -> CausalLM:
    tokenizer = word_tokenizer(["Question: Where does Mira Kovac live? Answer: Oslo. Mira Kovac is a"])
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=64,
        n_embd=32,
        n_layer=3,
        n_head=2,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.2,
    )
    return CausalLM.of(GPT2LMHeadModel(config), tokenizer)


def probability(lm):
    return math.exp(lm.score([lm.encode(EXAMPLE.prompt)], [lm.encode(EXAMPLE.target)])[0].total)


def test_models_of_the_other_family(tmp_path):
    lm = gpt2(tmp_path)
    before, samples = weights(lm), ["Question: Where does Mira Kovac live?"]
    never = probability(lm)
    found = projection(lm.model, 1)
    assert (found.name, found.transposed, found.weight.shape) == ("transformer.h.1.mlp.c_proj", True, (32, 128))
    for edit in (
        rome(lm, [EXAMPLE], Site(1, "last"), samples, EditRecipe(clamp=20)),
        memit(lm, [EXAMPLE], [0, 1], "last", samples, EditRecipe(clamp=20)),
    ):
        with applied(lm, edit):
            assert probability(lm) > 3 * never
        assert same(lm, before)
    assert trace(lm, [EXAMPLE], noises=2).site.layer in range(3)


def test_unknown_models_are_refused():
    small = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 16,
    }
    with pytest.raises(UnsupportedModelError):
        decoder(GPTNeoXForCausalLM(GPTNeoXConfig(**small)))
    experts = MixtralForCausalLM(MixtralConfig(**small, num_key_value_heads=2, num_local_experts=2))
    assert len(layers(experts)) == 1
    with pytest.raises(UnsupportedModelError, match="no plain projection"):
        projection(experts, 0)
    for index in (1, -2):
        with pytest.raises(InputError):
            layer(experts, index)


def test_requests_that_cannot_be_written(lm, samples):
    before = weights(lm)
    site = Site(1, "subject_last")
    for wrong in (
        [],
        [Request("Where does Mira Kovac live?", "Jonas Lind", " Oslo", ("c", 1))],
        [Request("Where does Mira Kovac live?", "Mira Kovac", "", ("c", 1))],
        [EXAMPLE, Request("", "Mira Kovac", " Oslo", ("c", 1))],
    ):
        with pytest.raises(InputError):
            rome(lm, wrong, site, samples)
        with pytest.raises(InputError):
            memit(lm, wrong, [1], "subject_last", samples)
    for wrong_layers in ([], [2, 1], [1, 1]):
        with pytest.raises(InputError):
            memit(lm, [EXAMPLE], wrong_layers, "last", samples)
    with pytest.raises(InputError):
        rome(lm, [EXAMPLE], Site(9, "last"), samples)
    with pytest.raises(InputError):
        EditRecipe(steps=0)
    assert same(lm, before)
    with torch.no_grad():
        lm.model.model.norm.weight[0] = math.nan
    with pytest.raises(TrainingError):
        rome(lm, [EXAMPLE], site, samples)
    ids = lm.encode("Mira Kovac's home is")
    assert spot(lm, ids, "Mira Kovac", "subject_last") == 1
    assert spot(lm, ids, "Mira Kovac", "last") == len(ids) - 1
