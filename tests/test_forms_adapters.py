"""Memories as adapters, through the front door: trained, gated, asked, made anew when something is forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remanence import Memory
from remanence.cubes import Form, Kind
from remanence.errors import GateError, InputError, StaleError, TrainingError
from remanence.settings import Settings

PLAIN = {"neighbours": 0}
OPEN = {"reliability": 0.0, "paraphrase": 0.0, "locality_drop": 1.0, "forgetting": 1.0}


@pytest.fixture
def recipe():
    """Of a training that takes a moment, and teaches nothing."""
    from remanence.parametric.lora import Recipe
    from remanence.parametric.training import Schedule

    return Recipe(rank=2, schedule=Schedule(steps=4, batch=4, rate=1e-3, decay=0.0))


@pytest.fixture
def through():
    """Limits that let everything pass."""
    from remanence.parametric.gate import Limits

    return Limits(**OPEN)


@pytest.fixture
def memory(tmp_path, taught_folder):
    settings = Settings(embedder="hashing", model=f"local:{taught_folder}", care_every=0)
    with Memory(tmp_path / "m.rem", settings) as memory:
        yield memory


@pytest.fixture
def facts(taught_world):
    return taught_world.fresh(2)


@pytest.fixture
def ids(memory, facts, taught_world):
    return memory.add([{"content": taught_world.statement(fact), "session": fact.value} for fact in facts])


def asked(taught_world, fact):
    return taught_world.question(fact).removeprefix("Question: ").removesuffix(" Answer:")


def nothing_is_kept(memory):
    return memory.forms.list() == [] and not list(memory._store.payloads.folder.iterdir())


def test_an_adapter_knows_by_heart_and_is_made_anew_without_what_is_forgotten(memory, ids, facts, taught_world):
    guard, watch = ([taught_world.question(fact) for fact in taught_world.facts[n::2]] for n in (0, 1))
    from remanence.parametric.gate import Limits

    limits = Limits(reliability=0.75, paraphrase=0.25, locality_drop=0.25)
    told = []
    adapter = memory.forms.derive(
        ids,
        form="parametric",
        guard=guard,
        watch=watch,
        limits=limits,
        neighbours=64,
        progress=lambda *one: told.append(one),
    )
    assert (adapter.form, adapter.kind) == (Form.PARAMETRIC, Kind.ADAPTER)
    assert told[-1][0] == told[-1][1] == len(told)
    assert adapter.payload.details["gate"]["passed"]
    answers = [memory.ask(asked(taught_world, fact), session=fact.value) for fact in facts]
    by_heart = [one for one in answers if [used.form for used in one.forms] == [Form.PARAMETRIC]]
    assert len(by_heart) >= len(facts) // 2
    assert all(used.id == adapter.id and not used.exact for one in by_heart for used in one.forms)
    assert all(one.citations for one in by_heart)
    assert memory._store.payloads.uses(adapter.id).count == len(facts)

    old = memory.forms.path(adapter)
    receipt = memory.forget(ids[:2])
    assert not old.exists()
    [rebuilt] = memory.forms.list()
    assert rebuilt.provenance.derived_from == tuple(ids[2:])
    assert receipt.grade == "E"
    [text, weights] = receipt.forms
    assert (text.form, text.mode, text.copies) == ("text", "exact", 2)
    assert (weights.form, weights.mode, weights.rebuilt) == ("parametric", "exact", (rebuilt.id,))
    figures = {one.name: one for one in weights.figures}
    assert figures["extraction"].before >= 0.5
    assert figures["extraction"].after <= figures["extraction"].high
    assert {one.verdict for one in weights.figures} <= {"PASS", "NOT_COMPUTABLE"}
    for fact in facts[:2]:
        assert facts[0].subject not in str(rebuilt.payload.details)
        assert fact.value not in memory.ask(asked(taught_world, fact), k=3).text
    assert memory.receipts.verify(receipt.id).ok


def test_what_does_not_pass_the_gate_is_not_kept(memory, ids, recipe):
    with pytest.raises(GateError, match="reliability") as raised:
        memory.forms.derive(ids, form="parametric", recipe=recipe, **PLAIN)
    assert not raised.value.report.passed
    assert nothing_is_kept(memory)


def test_a_training_that_is_stopped_leaves_nothing(memory, ids, recipe, through):
    steps = iter([False, True])
    with pytest.raises(TrainingError):
        memory.forms.derive(ids, form="parametric", recipe=recipe, limits=through, stop=lambda: next(steps), **PLAIN)
    assert nothing_is_kept(memory)
    assert memory._rooms.local().fingerprint.adapter == ""


def test_ctrl_c_leaves_nothing_and_the_model_as_it_was(memory, ids, recipe, through):
    before = memory._rooms.local().fingerprint

    def interrupt(step, _):
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        memory.forms.derive(ids, form="parametric", recipe=recipe, limits=through, progress=interrupt, **PLAIN)
    assert nothing_is_kept(memory)
    assert memory._rooms.local().fingerprint == before
    assert memory.forms.derive(ids, form="parametric", recipe=recipe, limits=through, **PLAIN).payload


def test_a_loss_that_is_no_number_is_said(memory, ids, recipe, through):
    wild = replace(recipe, schedule=replace(recipe.schedule, rate=1e30, steps=8))
    with pytest.raises(TrainingError):
        memory.forms.derive(ids, form="parametric", recipe=wild, limits=through, **PLAIN)
    assert nothing_is_kept(memory)


def test_a_memory_that_goes_while_its_adapter_trains_is_not_learned(memory, ids, recipe, through):
    def forget(step, _):
        if step == 2:
            memory.forget(ids[0])

    with pytest.raises(StaleError, match="meanwhile"):
        memory.forms.derive(ids, form="parametric", recipe=recipe, limits=through, progress=forget, **PLAIN)
    assert nothing_is_kept(memory)


def test_a_correction_retires_the_adapter(memory, ids, recipe, through, facts, taught_world):
    memory.forms.derive(ids, form="parametric", recipe=recipe, limits=through, **PLAIN)
    memory.correct(ids[0], "Something else is true.")
    assert nothing_is_kept(memory)
    assert {used.form for used in memory.ask(asked(taught_world, facts[1]), k=1).forms} <= {Form.TEXT}


def test_dropping_makes_nothing_anew(memory, ids, recipe, through):
    memory.forms.derive(ids, form="parametric", recipe=recipe, limits=through, **PLAIN)
    receipt = memory.forget(ids[0], adapters="drop")
    assert nothing_is_kept(memory)
    assert [(one.form, one.mode, one.rebuilt) for one in receipt.forms] == [
        ("text", "exact", ()),
        ("parametric", "exact", ()),
    ]
    with pytest.raises(InputError, match="adapters is 'keep'"):
        memory.forget(ids[1], adapters="keep")


def test_without_its_model_an_adapter_is_erased_and_not_made_anew(
    tmp_path, taught_folder, taught_world, recipe, through
):
    folder = taught_folder.rename(taught_folder.with_name("elsewhere")) if False else taught_folder
    settings = Settings(embedder="hashing", care_every=0)
    with Memory(tmp_path / "m.rem", settings) as memory:
        ids = memory.add([taught_world.statement(fact) for fact in taught_world.fresh(2)])
        adapter = memory.forms.derive(ids, folder, form="parametric", recipe=recipe, limits=through, **PLAIN)
        with memory._store.connections.write() as connection:  # as if the folder had been moved since
            connection.execute(
                "UPDATE cubes SET payload = replace(payload, ?, '/nowhere') WHERE id = ?", (str(folder), adapter.id)
            )
        receipt = memory.forget(ids[0])
        [*_, weights] = receipt.forms
        assert weights.mode == "exact"
        assert "not at hand" in weights.how
        assert nothing_is_kept(memory)


def test_an_adapter_of_another_model_is_not_used(memory, ids, facts, taught_world, recipe, through, tmp_path):
    from remanence.models.local.causal import CausalLM
    from remanence.models.local.nano import NanoSpec, new

    lm = memory._rooms.local()
    other = CausalLM.of(new(NanoSpec(depth=1, vocab=len(lm.tokenizer), seed=9)), lm.tokenizer)
    adapter = memory.forms.derive(ids, other, form="parametric", recipe=recipe, limits=through, **PLAIN)
    answer = memory.ask(asked(taught_world, facts[0]), session=facts[0].value)
    assert adapter.id not in {used.id for used in answer.forms}
