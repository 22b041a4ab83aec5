"""SuRe: seven calls, and the rule that decides."""

from datetime import UTC, datetime
from itertools import product

import pytest

from remanence.answer.asking import Asking, Reading
from remanence.answer.pack import pack
from remanence.answer.sure import decide, is_true, parse_candidates, ranked, resolve
from remanence.errors import EndpointError

NOW = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def reading(hit):
    hits = [hit("I moved to Porto.", by="Ann", on="2024-01-01"), hit("I moved to Lisbon.", by="Ann", on="2024-05-01")]
    return Reading("Where does Ann live?", pack(hits, count=len, budget=999), NOW)


def by(candidates="(a) Porto (b) Lisbon", valid=("True", "True"), rank=("1", "2")):
    return {
        "propose answers": candidates, "summarise": ["Porto it is.", "Lisbon it is."], "judge whether": list(valid), "compare two": list(rank),
    }  # fmt: skip


def naive_decision(first_order, second_order, valid):
    """The rule, word for word: votes in both orders, halved with the only valid one, the largest, else the first."""
    votes = [0.0, 0.0]
    if first_order == "1" and second_order == "2":
        votes = [1.0, 0.0]
    elif first_order == "2" and second_order == "1":
        votes = [0.0, 1.0]
    else:
        votes = [0.5, 0.5]
    if [valid[0], valid[1]].count(True) == 1:
        only = [1.0 if valid[0] else 0.0, 1.0 if valid[1] else 0.0]
        votes = [0.5 * votes[0] + 0.5 * only[0], 0.5 * votes[1] + 0.5 * only[1]]
    return votes, votes.index(max(votes))


@pytest.mark.parametrize(("one", "two", "first", "second"), list(product("12?", "12?", (True, False), (True, False))))
def test_the_decision_is_the_rule_of_the_paper(one, two, first, second):
    scores = decide(ranked(one, two), (first, second))
    votes, winner = naive_decision(one, two, (first, second))
    assert list(scores) == votes
    assert (0 if scores[0] >= scores[1] else 1) == winner


def test_seven_calls_are_made_and_the_winner_brings_its_summary(reading, scripted):
    model = scripted(by=by(valid=("False", "True")) | {"summarise": "Both."})
    asking = Asking(model)
    found = resolve(asking, reading)
    assert (asking.cost.calls, len(model.prompts)) == (7, 7)
    assert found.candidates == ("Porto", "Lisbon")
    assert {prompt.temperature for prompt in model.prompts} == {0.0}
    assert {prompt.space for prompt in model.prompts} == {"a"}
    assert {prompt.sources for prompt in model.prompts} == {reading.packed.ids}
    assert all(prompt.schema is None for prompt in model.prompts)


class Deciding:
    """Answers by what a prompt shows, so that calls side by side may come in any order."""

    name, context = "deciding", 8000

    def __init__(self, model, valid, preferred):
        self._inner, self._valid, self._preferred = model, valid, preferred
        self.prompts = model.prompts

    def generate(self, prompt):
        user = prompt.turns[1].content
        system = prompt.turns[0].content
        if "propose answers" in system:
            return self._reply("(a) Porto (b) Lisbon", prompt)
        if "summarise" in system:
            return self._reply("S-Porto" if '<prediction>"Porto"' in user else "S-Lisbon", prompt)
        if "judge whether" in system:
            place = "Porto" if '<prediction>"Porto"' in user else "Lisbon"
            assert f'"S-{place}"' in user
            return self._reply(str(place in self._valid), prompt)
        first = "Porto" if 'number="1">"S-Porto"' in user else "Lisbon"
        return self._reply("1" if first == self._preferred else "2", prompt)

    def _reply(self, text, prompt):
        self._inner._replies = [text]
        return self._inner.generate(prompt)


@pytest.mark.parametrize(
    ("valid", "preferred", "winner"),
    [
        ({"Porto", "Lisbon"}, "Lisbon", "Lisbon"), ({"Porto", "Lisbon"}, "Porto", "Porto"), (set(), "Lisbon", "Lisbon"),
        ({"Lisbon"}, "Lisbon", "Lisbon"), ({"Porto"}, "Lisbon", "Porto"),
    ],
)  # fmt: skip
def test_each_candidate_is_judged_with_its_own_summary(reading, scripted, valid, preferred, winner):
    import threading

    lock = threading.Lock()
    model = Deciding(scripted(), valid, preferred)
    whole = model.generate

    def generate(prompt):
        with lock:
            return whole(prompt)

    model.generate = generate
    found = resolve(Asking(model), reading)
    assert (found.answer, found.rationale) == (winner, f"S-{winner}")
    assert found.valid == ("Porto" in valid, "Lisbon" in valid)


def test_a_single_candidate_is_the_answer_after_two_calls(reading, scripted):
    for text in ("Lisbon", "(a) Lisbon (b) lisbon.", "(a) Lisbon (b)"):
        model = scripted(by=by(text) | {"summarise": "She lives there."})
        found = resolve(Asking(model), reading)
        assert (found.answer, found.rationale, found.scores) == ("Lisbon", "She lives there.", ())
        assert len(model.prompts) == 2


def test_unanswerable_stops_after_one_call(reading, scripted):
    model = scripted("UNANSWERABLE")
    assert resolve(Asking(model), reading).answer == ""
    assert len(model.prompts) == 1


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ("(a) Porto (b) Lisbon", ("Porto", "Lisbon")),
        ("Sure!\n(A) Porto\n( b ) “Lisbon”.", ("Porto", "Lisbon")),
        ("(b) Lisbon", ("Lisbon",)),
        ("Answer: Lisbon", ("Lisbon",)),
        ("", ()),
        ("(a) (b)", ()),
        ("Unanswerable.", ()),
    ],
)
def test_candidates_are_read_from_their_labels(text, candidates):
    assert parse_candidates(text) == candidates


@pytest.mark.parametrize(
    ("text", "verdict"), [("True", True), (" true.", True), ("False, not True", False), ("maybe", False)]
)
def test_what_is_not_true_is_false(text, verdict):
    assert is_true(text) is verdict


def test_a_failing_call_among_several_fails_the_whole_and_keeps_the_cost(reading, scripted):
    model = scripted(by=by() | {"judge whether": ["True", EndpointError("Away.")]})
    asking = Asking(model)
    with pytest.raises(EndpointError):
        resolve(asking, reading)
    assert asking.cost.calls >= 3
