"""Adapters that learn facts, beside what is known: the taught model, real facts, the gate, and the file."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

pytest.importorskip("peft", reason="needs the extra `local`")

import torch
from safetensors import safe_open

from remanence.cubes import Form, Kind, MemCube, Provenance, Scope
from remanence.errors import GateError, InputError, TrainingError
from remanence.evaluation.probes import Facet, ProbeSet, world_probes
from remanence.evaluation.scoring import evaluate
from remanence.parametric.adapterfile import Mount, attached, config_for, open_
from remanence.parametric.derive import Earlier, derive, neighbour_prompts
from remanence.parametric.gate import Limits, examine
from remanence.parametric.lora import NEW, Recipe, train
from remanence.parametric.penalties import Divergence, RegLoRA, key_positions, regularised_naive
from remanence.parametric.system import LocalSystem
from remanence.parametric.taught import examples
from remanence.parametric.training import Schedule

torch.set_num_threads(1)
AT = datetime(2026, 1, 1, tzinfo=UTC)
RECIPE = Recipe(rank=8, alpha=16.0, schedule=Schedule(steps=60, batch=48, rate=5e-3, decay=0.0), guards=12)
LAX = Limits(reliability=0.9, paraphrase=0.4, locality_drop=0.25)


def cubes_of(world, facts) -> list[MemCube]:
    return [
        MemCube(
            id=f"c{number}", version=1, text=world.statement(fact), kind=Kind.FACT, scope=Scope(), provenance=Provenance(),
            recorded_at=AT, valid_from=AT,
        )
        for number, fact in enumerate(facts)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def lm(taught_folder):
    from remanence.models.local.causal import CausalLM

    return CausalLM.open(taught_folder, device="cpu")


@pytest.fixture(scope="module")
def facts(taught_world):
    return taught_world.fresh(5)


@pytest.fixture(scope="module")
def guard(taught_world):
    return [taught_world.question(fact) for fact in taught_world.facts[:60]]


@pytest.fixture(scope="module")
def derived(lm, taught_world, facts, guard, tmp_path_factory):
    target = tmp_path_factory.mktemp("adapters") / "new.safetensors"
    return derive(cubes_of(taught_world, facts), lm, target, recipe=RECIPE, limits=LAX, guard=guard, neighbours=64)


def weights(lm) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in lm.model.state_dict().values()]


def test_facts_become_an_adapter_that_knows_them(lm, taught_world, facts, derived):
    adapter = open_(derived.path, lm)
    probes = world_probes(taught_world, facts)
    before = evaluate(LocalSystem(lm), probes.probes)
    with attached(lm, adapter):
        after = evaluate(LocalSystem(lm), probes.probes)
    assert before.share(Facet.RELIABILITY).value <= 0.3
    assert after.share(Facet.RELIABILITY).value >= 0.9
    assert after.share(Facet.PARAPHRASE).value >= 0.5
    assert after.share(Facet.COUNTERFACTUAL).value >= 0.9
    assert evaluate(LocalSystem(lm), probes.probes) == before


def test_what_the_artefact_says(lm, taught_world, facts, derived):
    assert (derived.form, derived.format) == (Form.PARAMETRIC, "remanence.lora/1")
    assert derived.fingerprint == lm.fingerprint.to_json()
    assert derived.details["sources"] == [[f"c{number}", 1] for number in range(len(facts))]
    assert derived.details["facts"] == len(facts)
    assert derived.details["gate"]["passed"]
    assert {"tokens", "seconds", "recipe", "bytes"} <= set(derived.details)
    told = json.dumps(dict(derived.details)) + derived.text
    with safe_open(derived.path, "pt") as file:
        told += str(file.metadata())
    for fact in facts:
        assert fact.value not in told
        assert fact.subject not in told


def test_a_missed_gate_writes_nothing(lm, taught_world, facts, guard, tmp_path):
    before, target = weights(lm), tmp_path / "a.safetensors"
    short = Recipe(rank=2, schedule=Schedule(steps=2, batch=8, rate=1e-3), guards=4)
    with pytest.raises(GateError, match="reliability") as raised:
        derive(cubes_of(taught_world, facts[:4]), lm, target, recipe=short, guard=guard[:8], neighbours=0)
    assert not raised.value.report.passed
    assert "reliability" in raised.value.report.to_json()["scores"]
    assert list(tmp_path.iterdir()) == []
    assert all(torch.equal(a, b) for a, b in zip(weights(lm), before, strict=True))


@pytest.mark.parametrize("how", ["interrupted", "stopped", "overflow"])
def test_whatever_ends_a_training_leaves_the_model_alone(lm, taught_world, facts, tmp_path, how):
    before, fingerprint = weights(lm), lm.fingerprint
    cubes, calls = cubes_of(taught_world, facts[:2]), iter(range(100))

    def progress(step: int, loss: float) -> None:
        if how == "interrupted" and step == 2:
            raise KeyboardInterrupt

    schedule = Schedule(steps=8, batch=4, rate=1e30 if how == "overflow" else 1e-3)
    recipe = Recipe(rank=2, schedule=schedule, divergence=0.0)
    with pytest.raises(KeyboardInterrupt if how == "interrupted" else TrainingError):
        derive(
            cubes, lm, tmp_path / "a.safetensors", recipe=recipe, neighbours=0, progress=progress,
            stop=lambda: how == "stopped" and next(calls) > 2,
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []
    assert not hasattr(lm.model, "peft_config")
    assert lm.fingerprint == fingerprint
    assert all(torch.equal(a, b) for a, b in zip(weights(lm), before, strict=True))


def test_a_seed_is_an_adapter(lm, taught_world, facts):
    recipe = Recipe(rank=2, schedule=Schedule(steps=4, batch=8, rate=1e-3), guards=4)
    lessons, guard = taught_world.lessons(facts[:4]), [taught_world.question(taught_world.facts[0])]
    first, second = (train(lm, lessons, recipe, guard=guard).adapter for _ in range(2))
    assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)


def test_regularising_gathers_what_the_whole_update_holds(lm, derived):
    earlier = open_(derived.path, lm)
    positions = key_positions([earlier], 0.02)
    for module, flat in positions.items():
        a, b = earlier.factors(module)
        update = (b @ a).abs().flatten()
        assert len(flat) == int(0.02 * update.numel())
        assert update[flat].min() >= update.sort().values[-len(flat)]
    mount = Mount(lm)
    try:
        mount.make(NEW, config_for(lm, 3, 6.0))
        mount.trainable(NEW)
        factors = mount.factors(NEW)
        for number, (_, b) in enumerate(factors.values()):
            torch.manual_seed(number)
            torch.nn.init.normal_(b, std=0.1)
        fast = RegLoRA(factors, positions, 100.0)(0)
        slow = regularised_naive(factors, positions, 100.0)
        assert torch.allclose(fast, slow, rtol=1e-5)
        assert fast.item() > 0
        some = [a for a, _ in factors.values()]
        for one, other in zip(torch.autograd.grad(fast, some), torch.autograd.grad(slow, some), strict=True):
            assert torch.allclose(one, other, atol=1e-5)
        assert RegLoRA(factors, {}, 100.0)(0).item() == 0.0
    finally:
        mount.close()
    with pytest.raises(InputError, match="top"):
        key_positions([earlier], 0.0)


def test_divergence_is_zero_until_something_was_learnt(lm, taught_world, derived):
    guarded = examples(
        lm, [(taught_world.question(fact), f"{taught_world.answer(fact)}.") for fact in taught_world.facts[:6]]
    )
    adapter = open_(derived.path, lm)
    mount = Mount(lm)
    try:
        mount.make(NEW, adapter.config)
        mount.activate(NEW)
        mount.trainable(NEW)
        measure = Divergence(mount, (), guarded, 1.0, 4, 0)
        assert measure(0).item() == pytest.approx(0.0, abs=1e-6)
        mount._fill(NEW, adapter)
        assert measure(0).item() > 1e-6
        assert measure(0).requires_grad
        assert all(a.requires_grad for a, _ in mount.factors(NEW).values())
        prompt = lm.encode(taught_world.question(taught_world.facts[0]))
        with mount.only():
            alone = lm.forward(prompt).logits.clone()
    finally:
        mount.close()
    assert torch.equal(lm.forward(prompt).logits, alone)


def test_a_second_adapter_learns_beside_the_first(lm, taught_world, facts, guard, derived, tmp_path):
    first = Earlier.of(derived.path, lm, cubes_of(taught_world, facts))
    second = taught_world.fresh(5, batch=1)
    recipe = Recipe(
        rank=8, alpha=16.0, schedule=RECIPE.schedule, guards=12, regularise=10.0, replay=16,
    )  # fmt: skip
    limits = Limits(reliability=0.8, paraphrase=0.3, locality_drop=0.5, forgetting=1.0)
    artefact = derive(
        cubes_of(taught_world, second), lm, tmp_path / "b.safetensors", recipe=recipe, limits=limits, earlier=[first], guard=guard,
        neighbours=64,
    )  # fmt: skip
    told = artefact.details["gate"]["matrix"]
    assert artefact.details["beside"] == 1
    assert [len(row) for row in told["scores"]] == [1, 2]
    assert told["scores"][0][0] >= 0.9
    assert told["scores"][1][0] >= 0.7  # replay holds most of it


def test_forgetting_closes_the_gate(lm, taught_world, facts, derived):
    first = open_(derived.path, lm)
    probes = world_probes(taught_world, facts)
    against = train(  # teaches other values for the same people
        lm, [(taught_world.question(fact), f" {taught_world.counterfactuals(fact, 1)[0]}.") for fact in facts],
        Recipe(rank=8, alpha=16.0, schedule=Schedule(steps=25, batch=20, rate=1e-2, decay=0.0), divergence=0.0), earlier=[first],
    ).adapter  # fmt: skip
    other = ProbeSet("other", tuple(probe for probe in world_probes(taught_world, facts[:2], name="other").probes), {})
    report = examine(lm, against, other, earlier=[(first, probes)], limits=Limits(reliability=0.0, paraphrase=0.0))
    assert any("lost" in line for line in report.missed)
    assert report.matrix.forgetting(0) < -0.5
    with pytest.raises(GateError, match="lost"):
        report.require()


def test_neighbours_are_nobody_one_knows(taught_world, facts):
    some = neighbour_prompts(facts, 40, leave_out=taught_world.people)
    assert len(set(some)) == 40
    assert some == neighbour_prompts(facts, 40, leave_out=taught_world.people)
    for name in (*taught_world.people, *(fact.subject for fact in facts)):
        assert not any(name in prompt for prompt in some)
    assert neighbour_prompts([], 5) == neighbour_prompts(facts, 0) == ()


def test_what_cannot_be_derived(lm, taught_world, facts, tmp_path):
    with pytest.raises(InputError, match="Nothing can be asked"):
        derive(cubes_of(taught_world, facts[:1])[:0] or [_plain("Good morning to all of you.")], lm, tmp_path / "a", recipe=Recipe(rank=1, schedule=Schedule(steps=1, batch=1), divergence=0.0))  # fmt: skip
    mount = Mount(lm)
    try:
        mount.make(NEW, config_for(lm, 1, 1.0))
        mount.activate(NEW)
        with pytest.raises(InputError, match="carries an adapter"):
            derive(cubes_of(taught_world, facts[:1]), lm, tmp_path / "a")
    finally:
        mount.close()
    for wrong in ({"rank": 0}, {"regularise": -1.0}):
        with pytest.raises(InputError, match="negative"):
            Recipe(**wrong)
    with pytest.raises(InputError, match="share"):
        Limits(reliability=2.0)


def _plain(text: str) -> MemCube:
    return MemCube(
        id="c",
        version=1,
        text=text,
        kind=Kind.MESSAGE,
        scope=Scope(),
        provenance=Provenance(),
        recorded_at=AT,
        valid_from=AT,
    )
