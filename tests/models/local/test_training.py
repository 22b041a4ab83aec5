"""Training learns, stops and goes on bit for bit, and breaks off without losing what was saved."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import replace
from math import isnan, log

import pytest
import torch

from remanence.errors import InputError, ModelDamagedError, ModelMissingError, TrainingError
from remanence.models.local import checkpoints, nano, tokenizing
from remanence.models.local.causal import CausalLM
from remanence.models.local.folders import write_model
from remanence.models.local.packing import pack
from remanence.models.local.training import TrainSpec, evaluate, train

TEXT = "".join(f"The number after {n} is {n + 1}.\n" for n in range(60))
BYTES = tokenizing.byte_tokenizer()
DATA = pack([TEXT], BYTES)
SPEC = TrainSpec(steps=12, context=24, batch=4, lr=1e-2, evaluate_every=5, save_every=4)


def fresh(seed=0, **sizes):
    return nano.new(nano.NanoSpec(**{"depth": 1, "vocab": 259, "context": 64, "seed": seed, **sizes}))


def weights(model):
    return torch.cat([one.detach().flatten() for one in model.parameters()])


@pytest.fixture
def place(tmp_path):
    write_model(tmp_path / "nano", fresh(), BYTES)
    return tmp_path / "nano"


@pytest.fixture(scope="module")
def uninterrupted():
    """Weights and result of the training without a stop, for both optimisers."""
    found = {}
    torch.set_num_threads(1)
    for rule in ("adamw", "muon"):
        model = fresh()
        found[rule] = train(model, DATA, replace(SPEC, rule=rule)), weights(model)
    return found


def test_it_learns():
    model = fresh()
    assert evaluate(model, DATA.held_out, 24) == pytest.approx(log(259), abs=0.5)
    done = train(model, DATA, TrainSpec(steps=60, context=32, batch=8, lr=1e-2, evaluate_every=30))
    assert [one.step for one in done.history] == [30, 60]
    assert done.history[1].loss < done.history[0].loss < log(259)
    assert done.held_out == done.history[-1].held_out < 2.0
    # A byte a token, and one end token behind the text.
    assert done.bits_per_byte == pytest.approx(done.held_out / log(2), rel=0.02)
    assert (done.steps, done.tokens) == (60, 60 * 8 * 32)
    assert not model.training


@pytest.mark.parametrize("rule", ["adamw", "muon"])
@pytest.mark.parametrize("stop", [1, 4, 7])
def test_stopped_and_gone_on_it_ends_with_the_same_bits(place, uninterrupted, rule, stop):
    model = fresh()

    def stopping(done, total):
        if done == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        train(model, DATA, replace(SPEC, rule=rule), folder=place, progress=stopping)
    assert f"Stopped after {stop} of 12 steps" in stopped.value.__notes__[0]
    torch.rand(7)  # what else draws does not matter
    again = fresh(seed=5)
    done = train(again, DATA, TrainSpec(), folder=place, resume=True)
    want, bits = uninterrupted[rule]
    assert torch.equal(weights(again), bits)
    assert done.history == want.history
    assert torch.equal(weights(CausalLM.open(place).model), bits)


def test_a_process_that_is_killed_goes_on_from_its_last_state(place, uninterrupted):
    def dying(done, total):
        if done == 6:
            raise ZeroDivisionError  # nothing is saved on the way out

    with pytest.raises(ZeroDivisionError):
        train(fresh(), DATA, SPEC, folder=place, progress=dying)
    assert checkpoints.read(place).said["step"] == 4
    again = fresh(seed=5)
    train(again, DATA, SPEC, folder=place, resume=True)
    assert torch.equal(weights(again), uninterrupted["adamw"][1])


def test_what_is_saved_holds_no_pickle_and_opens_with_transformers(place):
    train(fresh(), DATA, SPEC, folder=place)
    assert {one.suffix for one in place.iterdir()} == {".json", ".safetensors"}
    said = checkpoints.read(place).said
    assert said["step"] == 12
    assert json.loads(json.dumps(said)) == said
    assert CausalLM.open(place).forward([5]).logits.isfinite().all()


def test_a_signal_lets_the_step_end(place, uninterrupted):
    def interrupting(done, total):
        if done == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(fresh(), DATA, SPEC, folder=place, progress=interrupting)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert checkpoints.read(place).said["step"] == 3
    again = fresh()
    train(again, DATA, SPEC, folder=place, resume=True)
    assert torch.equal(weights(again), uninterrupted["adamw"][1])


def test_half_a_step_is_never_saved(place, monkeypatch):
    step, calls = torch.optim.AdamW.step, []

    def torn(self, *given):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return step(self, *given)

    monkeypatch.setattr(torch.optim.AdamW, "step", torn)
    with pytest.raises(KeyboardInterrupt) as stopped:
        train(fresh(), DATA, SPEC, folder=place)
    assert checkpoints.read(place).said["step"] == 4
    assert "Stopped after 4 of" in stopped.value.__notes__[0]


def test_another_thread_can_train():
    found = []
    thread = threading.Thread(target=lambda: found.append(train(fresh(), DATA, replace(SPEC, steps=1))))
    thread.start()
    thread.join()
    assert found[0].steps == 1


def test_a_loss_that_is_no_number_keeps_the_last_state(place):
    model = fresh()

    def poisoning(done, total):
        if done == 6:
            with torch.no_grad():
                model.model.norm.weight[0] = float("nan")

    with pytest.raises(TrainingError, match=r"At step 7 the loss is nan .* after 4 steps is kept.*below 0.01"):
        train(model, DATA, SPEC, folder=place, progress=poisoning)
    assert checkpoints.read(place).said["step"] == 4
    assert weights(CausalLM.open(place).model).isfinite().all()
    with pytest.raises(TrainingError):
        train(model, DATA, SPEC)


def test_a_learning_rate_that_is_far_too_high_breaks_off():
    with pytest.raises(TrainingError):
        train(fresh(), DATA, replace(SPEC, lr=1e30, steps=50, clip=1e30))


def test_minutes_become_steps_and_nothing_is_learned_by_timing(place):
    before, seen = weights(fresh()), []
    model = fresh()

    def first(done, total):
        seen.append(total)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(model, DATA, replace(SPEC, minutes=0.01), folder=place, progress=first)
    steps = checkpoints.read(place).said["spec"]["steps"]
    assert seen == [steps]
    assert steps != 12
    exact = fresh()
    train(exact, DATA, replace(SPEC, steps=1, warmup=0, cooldown=0), folder=None)
    assert not torch.equal(weights(model), before)


def test_a_training_goes_on_with_its_own_texts_model_and_file_only(place, tmp_path):
    train(fresh(), DATA, replace(SPEC, steps=2), folder=place)
    with pytest.raises(InputError, match="texts"):
        train(fresh(), pack([TEXT + "x"], BYTES), SPEC, folder=place, resume=True)
    with pytest.raises(InputError, match="not of this model"):
        train(fresh(depth=2), DATA, SPEC, folder=place, resume=True)
    with pytest.raises(InputError, match="no folder"):
        train(fresh(), DATA, SPEC, resume=True)
    with pytest.raises(ModelMissingError, match="no training"):
        train(fresh(), DATA, SPEC, folder=tmp_path, resume=True)


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: b"\xff" * 40 + data[40:], lambda _: b""])
def test_a_damaged_state_says_so(place, damage):
    train(fresh(), DATA, replace(SPEC, steps=1), folder=place)
    path = place / checkpoints.FILE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelDamagedError, match=r"training\.safetensors"):
        train(fresh(), DATA, SPEC, folder=place, resume=True)


def test_another_safetensors_file_is_no_state(place):
    (place / checkpoints.FILE).write_bytes((place / "model.safetensors").read_bytes())
    with pytest.raises(ModelDamagedError, match="no state"):
        checkpoints.read(place)


def test_evaluation_is_the_naive_mean(lm):
    stream = DATA.held_out[:61].long()
    naive = []
    for at in range(0, 60, 24):
        part = stream[at : at + 25]
        logprobs = lm.forward(part[:-1].tolist()).logits.log_softmax(-1)
        naive += (-logprobs[range(len(part) - 1), part[1:]]).tolist()
    assert evaluate(lm.model, stream, 24, batch=2) == pytest.approx(sum(naive) / len(naive), abs=1e-5)
    assert isnan(evaluate(lm.model, stream[:1], 24))


def test_more_context_than_positions():
    with pytest.raises(InputError, match="64 positions"):
        train(fresh(), DATA, replace(SPEC, context=65))


@pytest.mark.parametrize(
    "bad",
    [
        {"steps": 0}, {"context": 0}, {"batch": -1}, {"lr": 0.0}, {"lr": float("nan")}, {"clip": 0}, {"warmup": 1.1},
        {"cooldown": -0.1}, {"minutes": -1}, {"minutes": float("nan")}, {"weight_decay": -1}, {"rule": "sgd"}, {"decline": "no"},
        {"save_every": 0}, {"evaluate_every": -1},
    ],
)  # fmt: skip
def test_settings_that_cannot_be(bad):
    with pytest.raises(InputError):
        TrainSpec(**bad)
