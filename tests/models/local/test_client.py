"""A local model as a `LanguageModel`: what it computed before changes nothing but the time."""

from __future__ import annotations

import threading

import pytest
import torch

from remanence.errors import BrokenAnswerError, ContextTooLongError, InputError, ModelMissingError
from remanence.models.language import LanguageModel, Prompt, Turn
from remanence.models.local import caches, client, tokenizing
from remanence.models.local.causal import CausalLM
from remanence.models.local.client import LocalModel
from remanence.models.tokens import Prices

SYSTEM = Turn("system", "Answer from these memories: the kiln fires at 1240 degrees.")


def prompt(question="How hot is the kiln?", **how):
    return Prompt(turns=(SYSTEM, Turn("user", question)), **{"max_tokens": 12, **how})


@pytest.fixture
def model(lm):
    return LocalModel(lm)


def test_it_is_a_language_model(model, lm):
    assert isinstance(model, LanguageModel)
    assert model.name == f"local/tiny@{lm.fingerprint.weights[:8]}"
    assert (model.context, model.count("Zürich")) == (256, 7)


def test_the_name_changes_with_weights_and_adapters(model, lm):
    before = model.name
    lm.adapter = "0123456789"
    assert model.name == f"{before}+01234567"
    lm.adapter = ""
    with torch.no_grad():
        lm.model.model.norm.weight[0] += 1
    assert model.name not in {before, f"{before}+01234567"}


def test_an_answer_is_what_the_model_writes(model, lm):
    ids = lm.chat(list(prompt().turns))
    written = lm.generate(ids, max_new=12)
    answer = model.generate(prompt(logprobs=True))
    assert answer.text == written.text
    assert answer.finish == "length"
    assert [one.logprob for one in answer.logprobs] == pytest.approx(written.logprobs, abs=1e-4)
    assert "".join(one.token for one in answer.logprobs if one.token.isascii()) in answer.text or answer.text
    assert model.generate(prompt()).logprobs is None
    assert (answer.cost.calls, answer.cost.prompt_tokens, answer.cost.completion_tokens) == (1, len(ids), 12)
    assert answer.cost.seconds > 0


def test_prices_count(lm):
    paid = LocalModel(lm, prices=Prices(1e6, 2e6)).generate(prompt()).cost
    assert paid.price == pytest.approx(paid.prompt_tokens + 2 * paid.completion_tokens)


def test_what_two_prompts_begin_with_is_computed_once(model, lm, monkeypatch):
    read = []
    forward = CausalLM.forward
    monkeypatch.setattr(
        CausalLM, "forward", lambda self, ids, *given, **how: read.append(len(ids)) or forward(self, ids, *given, **how)
    )
    questions = ["How hot is the kiln?", "How hot is the oven?", "How hot is the kiln?", "Who?"]
    fresh = [LocalModel(lm, kept=0).generate(prompt(one)).text for one in questions]
    ids = [lm.chat(list(prompt(one).turns)) for one in questions]
    shared = client._common(ids[0], ids[1])
    for number, want in enumerate((0, shared, len(ids[2]) - 1, client._common(ids[0], ids[3]))):
        read.clear()
        assert model.generate(prompt(questions[number])).text == fresh[number]
        assert model.reused == want
        assert read[0] == len(ids[number]) - want


def test_logits_with_and_without_reuse_are_equal(model, lm):
    ids = lm.chat(list(prompt("How hot is the oven?").turns))
    model.generate(prompt())
    state = lm.fingerprint
    cache, held = model._begun(ids, (state.weights, state.adapter), "")
    assert 0 < held < len(ids)
    reused = lm.forward(ids[held:], cache).logits
    assert torch.allclose(reused, lm.forward(ids).logits[held:], atol=1e-5)


def test_a_conversation_goes_on_from_its_own_answer(model, lm, monkeypatch):
    monkeypatch.setattr(CausalLM, "tokens", scripted(lm, lm.encode(" At 1240.")))
    first = model.generate(prompt())
    turns = (*prompt().turns, Turn("assistant", first.text), Turn("user", "And then?"))
    again = Prompt(turns=turns, max_tokens=12)
    monkeypatch.undo()
    assert model.generate(again).text == LocalModel(lm, kept=0).generate(again).text
    assert model.reused >= len(lm.chat(list(prompt().turns))) + len(lm.encode(first.text))
    assert len(model._kept) == 1  # what it went on from was replaced


def test_spaces_do_not_share(model):
    model.generate(prompt(space="a"))
    model.generate(prompt(space="b"))
    assert model.reused == 0
    model.generate(prompt(space="a"))
    assert model.reused > 0


def test_nothing_is_reused_once_the_model_changed(model, lm):
    model.generate(prompt())
    lm.adapter = "other"
    model.generate(prompt())
    assert model.reused == 0
    lm.adapter = ""
    model.generate(prompt())
    assert model.reused > 0
    with torch.no_grad():
        lm.model.model.norm.weight[0] += 1
    model.generate(prompt())
    assert model.reused == 0


def test_what_is_kept_is_bounded_and_can_be_dropped(lm):
    model = LocalModel(lm, kept=2)
    for number in range(4):
        model.generate(prompt(f"{number}?"))
    assert len(model._kept) == 2
    size = caches.size(model._kept[0].cache)
    small = LocalModel(lm, kept_bytes=2 * size - 1)
    for number in range(4):
        small.generate(prompt(f"{number}?"))
    assert len(small._kept) == 1
    small.clear()
    small.generate(prompt("3?"))
    assert small.reused == 0


def test_a_stream_gives_the_same_text_in_pieces(model):
    want = model.generate(prompt())
    said = []
    completion = whole(model.stream(prompt()), said)
    assert completion.text == "".join(said) == want.text
    assert completion.cost.completion_tokens == 12


def whole(stream, said):
    """All pieces into `said`; returns what the stream returns."""
    given = []

    def outer():
        given.append((yield from stream))

    said += outer()
    return given[0]


def test_a_stream_never_shows_what_a_stop_text_takes_back(lm, monkeypatch):
    model = LocalModel(lm)
    said = lm.encode("One. Two STOP three")
    monkeypatch.setattr(CausalLM, "tokens", scripted(lm, said))
    stopped = prompt(stop=("STOP",), max_tokens=40)
    assert "".join(model.stream(stopped)) == "One. Two "
    completion = model.generate(stopped)
    assert (completion.text, completion.finish) == ("One. Two ", "stop")


def test_a_stream_gives_whole_characters(lm, monkeypatch):
    monkeypatch.setattr(CausalLM, "tokens", scripted(lm, lm.encode("Zürich 𝔘!")))
    pieces = list(LocalModel(lm).stream(prompt(max_tokens=40)))
    assert pieces == [*"Zürich 𝔘!"]


def scripted(lm, said):
    """`CausalLM.tokens`, but with the tokens of a text instead of the model's own choice; all else is computed."""
    from remanence.models.local.generating import Token

    def tokens(self, ids, *, cache=None, max_new, **_how):
        past, ahead = caches.length(cache), list(ids)
        for token in [*said, tokenizing.EOS][:max_new]:
            step = lm.forward(ahead[past:], cache)
            cache, past = step.cache, len(ahead)
            yield Token(token, 0.0, cache)
            ahead.append(token)

    return tokens


SCHEMA = {"type": "object", "properties": {"hot": {"type": "integer"}}, "required": ["hot"]}


def test_json_is_found_checked_and_ends_the_answer(make, monkeypatch):
    lm = make(context=1024)
    monkeypatch.setattr(CausalLM, "tokens", scripted(lm, lm.encode('Sure: {"hot": 1240} and more {')))
    found = LocalModel(lm).generate(prompt(schema=SCHEMA, max_tokens=60))
    assert found.data == {"hot": 1240}
    assert (found.text, found.finish) == ('Sure: {"hot": 1240}', "stop")


def test_no_json_is_asked_for_twice_and_then_an_error(make):
    model = LocalModel(make(context=1024))
    with pytest.raises(BrokenAnswerError, match="answered twice") as broken:
        model.generate(prompt(schema={"type": "object"}, max_tokens=4))
    assert broken.value.cost.calls == 2
    with pytest.raises(BrokenAnswerError):
        list(model.stream(prompt(schema={"type": "object"}, max_tokens=4)))


def test_where_there_is_no_room_to_ask_again_it_is_an_error_too(model):
    with pytest.raises(BrokenAnswerError, match="no room"):
        model.generate(prompt("?", schema={"type": "object"}, max_tokens=2))


def test_a_prompt_that_is_too_long(model):
    with pytest.raises(ContextTooLongError, match="256 positions"):
        model.generate(prompt("x" * 300))
    with pytest.raises(InputError):
        model.generate(Prompt(turns=()))


def test_threads_take_turns_and_a_stream_keeps_nobody_waiting(model):
    want = {one: LocalModel(model.lm).generate(prompt(one)).text for one in "abcd"}
    open_stream = model.stream(prompt("held open"))
    next(open_stream)
    found = {}
    threads = [
        threading.Thread(target=lambda one=one: found.update({one: model.generate(prompt(one)).text})) for one in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == want
    open_stream.close()
    model.generate(prompt("held open"))
    assert model.reused > 0  # what a closed stream had computed is kept


def test_a_folder_is_opened_when_it_is_needed(folder, lm, tmp_path):
    model = LocalModel(folder, device="cpu")
    assert model._lm is None
    assert model.generate(prompt()).text == LocalModel(lm).generate(prompt()).text
    with pytest.raises(ModelMissingError, match="no folder"):
        LocalModel(tmp_path / "none")
    with pytest.raises(ModelMissingError, match="neither a folder"):
        LocalModel("none").count("x")
