"""The gate: what is not looked up, when the graph orders, and weights that are fitted to labelled questions."""

from __future__ import annotations

import math
import time
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence import Memory
from remanence.cubes import Route, Scope
from remanence.errors import StoreDamagedError
from remanence.recall import gate, link
from remanence.recall.gate import Features, chance, fit, unneeded
from remanence.recall.query import Query
from remanence.recall.select import select

ZERO = dict.fromkeys(Features.__slots__, 0.0)


def features(**known):
    return Features(**(ZERO | known))


# ── what is not looked up ──


@pytest.mark.parametrize("said", ["Hi!", "Hello there", "thanks so much", "How are you?", "good night", "OK", "Yes."])
def test_small_talk_is_not_looked_up(memory, said):
    memory.add("Ana said hi and thanks.")
    hits = memory.recall(said)
    assert hits == []
    assert (hits.routed.route, hits.routed.reason) == (Route.NONE, "small talk")
    assert hits.notes == ("Nothing was looked up: small talk.",)


@pytest.mark.parametrize(
    "asked", ["2+2", "2 + 2 = ?", "What is (2+3)*4?", "what's 17 * 23?", "calculate 12.5 / 5", "10-3=?", "3 - 1"]
)
def test_sums_are_not_looked_up(memory, asked):
    memory.add("Two and two is 4.")
    assert memory.recall(asked).routed.reason == "a sum"


@pytest.mark.parametrize(
    "asked",
    ["2024-05-03", "555-0100", "+351 912-345", "(555) 010-0100", "12/05/2024", "What is 555-0100?", "1999", "???",
     "Who said hi?", "thanks Ana", "a", "How much?", "you", "What is 2+2 called?"],
)  # fmt: skip
def test_dates_numbers_and_questions_are_looked_up(asked):
    assert unneeded(asked) is None


def test_a_route_overrules_the_gate(memory):
    memory.add("Ana said hi to Ben.")
    assert memory.recall("hi") == []
    hits = memory.recall("hi", route="cheap")
    assert [hit.cube.text for hit in hits] == ["Ana said hi to Ben."]
    assert (hits.routed.route, hits.routed.reason) == (Route.CHEAP, "asked for")
    assert memory.recall("Who is Ben?", route="none") == []


@pytest.mark.parametrize("asked", ["1+" * 15000 + "x", "1 + " * 7000 + "x", "1" + " " * 31000 + "x", "(" * 32000])
def test_a_long_question_takes_no_time(asked):
    begun = time.process_time()
    unneeded(asked)
    assert time.process_time() - begun < 2  # a regular expression that goes back would take hours


# ── what is ──


def document(text, title):
    return {"content": text, "role": "document", "title": title}


def test_conversation_is_not_ordered_by_the_graph(memory):
    memory.add(["Ana lives in Lisbon.", "Ana knows Ben."])
    routed = memory.recall("Where does Ana live?").routed
    assert routed.route is Route.CHEAP
    assert "conversation only" in routed.reason


def test_names_in_documents_lead_to_the_graph_and_every_hit_says_so(memory):
    memory.add([document("Ana wrote Dust.", "Dust"), document("Ana was born in Porto.", "Ana"), "Hello."])
    hits = memory.recall("Where was Ana born?")
    assert hits.routed.route is Route.GRAPH
    assert "ana (2)" in hits.routed.reason.lower()
    assert hits.routed.measures.keys() == set(Features.__slots__)
    assert hits.routed.measures["rarity"] == 0.5
    assert hits.routed.measures["about"] == 1.0
    assert len(hits) > 1
    assert all(hit.why.routed == hits.routed for hit in hits)


def test_without_a_name_there_is_nothing_to_walk_from(memory):
    memory.add(document("Ana wrote Dust.", "Dust"))
    routed = memory.recall("what was cooked yesterday?").routed
    assert (routed.route, routed.reason) == (Route.CHEAP, "no name or fact to start a walk from")


def test_closeness_counts_where_words_find_nothing(memory):
    memory.add(["kites", "boats"])
    measures = memory.recall("kite-flying").routed.measures
    assert measures["closeness"] > 0


# ── counts of WiTQA ──


def linked(memory, question, space="default"):
    view, query = memory._recall.view(space), Query(question=question, scope=Scope(space=space))
    return {one.name: one.mentions for one in link.names(question, view, select(view, query, None))}


def test_s_counts_follow_adds_corrections_and_forgets_in_each_space(memory):
    ids = memory.add(["Ana met Ben.", "Ana met Carl."])
    memory.add(["Ana is here."], space="other")
    assert linked(memory, "Did Ana meet Ben?") == {"ana": 2, "ben": 1}
    memory.correct(ids[1], "Ben met Carl.")
    assert linked(memory, "Did Ana meet Ben?") == {"ana": 1, "ben": 2}
    memory.forget(ids[0])
    assert linked(memory, "Did Ana meet Ben?") == {"ben": 1}
    assert linked(memory, "Did Ana meet Ben?", "other") == {"ana": 1}


def test_s_r_counts_are_those_of_a_loop(memory):
    texts = ["Ana met Ben.", "Ana painted kites.", "Ana sleeps.", "Ben painted kites."]
    ids = memory.add(texts)
    for word, wanted in (("painted", 1), ("met", 1), ("flew", 0)):
        together = sum("Ana" in text and word in text for text in texts)
        assert together == wanted
        assert memory.recall(f"When was it that Ana {word}?").routed.measures["together"] == (
            1 / together if together else 0
        )
    memory.add("Ana painted boats.")
    assert memory.recall("When was it that Ana painted?").routed.measures["together"] == 0.5
    memory.forget(ids[1])
    assert memory.recall("When was it that Ana painted?").routed.measures["together"] == 1.0


def test_counts_are_those_of_the_scope(memory):
    memory.add(["Ana met Ben."], user="u")
    memory.add(["Ana met Carl.", "Ana met Dora."], user="v")
    assert memory.recall("Whom did Ana meet?", user="v").routed.measures["rarity"] == 0.5
    assert memory.recall("Whom did Ana meet?", user="u").routed.measures["rarity"] == 1.0


# ── fitting ──

numbers = st.floats(0, 1)
rows_of = st.lists(
    st.tuples(
        st.builds(Features, **dict.fromkeys(Features.__slots__, numbers)), st.sampled_from([-1.0, -0.3, 0.0, 0.5, 1.0])
    ),
    max_size=12,
)


def naive_fit(rows, ridge=1.0, rounds=6000, rate=0.05):
    """Gradient ascent on the same penalised likelihood, one row at a time."""
    names = [*ZERO, "bias"]
    weights = dict.fromkeys(names, 0.0)
    for _ in range(rounds):
        gradient = {name: -ridge * (0.01 if name == "bias" else 1.0) * weights[name] for name in names}
        for one, gain in rows:
            values = {**asdict(one), "bias": 1.0}
            p = 1 / (1 + math.exp(-sum(weights[name] * values[name] for name in names)))
            for name in names:
                gradient[name] += abs(gain) * ((gain > 0) - p) * values[name]
        for name in names:
            weights[name] += rate * gradient[name]
    return weights


def test_fit_is_a_gradient_ascent_done_fast():
    rng = np.random.default_rng(3)
    rows = [(Features(*rng.random(8)), float(rng.choice([-1, -0.5, 0, 0.5, 1]))) for _ in range(15)]
    assert fit(rows) == pytest.approx(naive_fit(rows), abs=1e-3)


@given(rows_of)
@settings(max_examples=60)
def test_fit_ends_where_the_gradient_is_zero(rows):
    weights = fit(rows)
    assert fit(rows) == weights  # and always in the same place
    if not any(gain for _, gain in rows):
        assert weights == {"bias": 0.0}
        return
    for name in weights:
        slope = -(0.01 if name == "bias" else 1.0) * weights[name]
        slope += sum(
            abs(gain) * ((gain > 0) - chance(one, weights)) * (asdict(one) | {"bias": 1.0})[name] for one, gain in rows
        )
        assert slope == pytest.approx(0, abs=1e-5)


def test_fit_separates_what_can_be_separated():
    rows = [(features(hops=one), 1.0) for one in (0.6, 0.8, 1.0)] * 5 + [
        (features(hops=one), -1.0) for one in (0.0, 0.2)
    ] * 5
    weights = fit(rows)
    assert all((chance(one, weights) > 0.5) == (gain > 0) for one, gain in rows)


def test_fit_of_nothing_and_of_one_side():
    assert fit([]) == fit([(features(named=1), 0.0)]) == {"bias": 0.0}
    assert chance(features(named=0.5), fit([(features(named=0.5), 1.0)] * 30)) > 0.9
    assert chance(features(named=0.5), fit([(features(named=0.5), -1.0)] * 30)) < 0.1


def test_fit_of_features_that_are_all_the_same_or_huge_gains():
    same = [(features(**dict.fromkeys(ZERO, 1.0)), 1.0), (features(**dict.fromkeys(ZERO, 1.0)), -1.0)] * 8
    assert chance(same[0][0], fit(same)) == pytest.approx(0.5)
    weights = fit([(features(named=1), 1e6), (features(named=1), -1.0)])
    assert all(map(math.isfinite, weights.values()))
    assert chance(features(named=1), weights) > 0.99


# ── the store's note ──

QUESTION = "Where was Ana born?"
NEVER = '{"graph": {"bias": -9.0}, "nothing": {"bias": -20.0}}'


def test_a_fitted_gate_is_used_at_once_and_by_others(opened):
    memory = opened()
    memory.add([document("Ana wrote Dust.", "Dust"), document("Ana was born in Porto.", "Ana")])
    assert memory.recall(QUESTION).routed.route is Route.GRAPH
    memory._store.set_note("gate/default", NEVER)
    assert memory.recall(QUESTION).routed.route is Route.CHEAP
    assert "nothing to gain" in memory.recall(QUESTION).routed.reason
    assert opened().recall(QUESTION).routed.route is Route.CHEAP


def test_a_gate_may_find_nothing_close(opened):
    memory: Memory = opened()
    memory.add("Ana was born in Porto.")
    memory._store.set_note(
        "gate/default", '{"graph": {"bias": 1}, "nothing": {"bias": 5, "closeness": -5, "unknown": 7}}'
    )
    hits = memory.recall(QUESTION)
    assert hits == []
    assert hits.notes == ("Nothing was looked up: nothing here is close to it.",)


@pytest.mark.parametrize(
    "note",
    ["", "null", "[]", "{}", "3", '{"graph": {}}', '{"graph": {}, "nothing": []}', '{"graph": {"bias": "x"}, "nothing": {}}',
     '{"graph": {"bias": null}, "nothing": {}}', '{"graph": {"bias": NaN}, "nothing": {}}', NEVER[:-5],
     '{"graph": {}, "nothing": {}, "more": 1}', "[" * 100000],
)  # fmt: skip
def test_a_malformed_note_is_named_and_a_route_goes_round_it(memory, note):
    memory.add("Ana was born in Porto.")
    memory._store.set_note("gate/default", note)
    with pytest.raises(StoreDamagedError, match="gate") as caught:
        memory.recall(QUESTION)
    assert "remanence gate" in caught.value.next_step
    assert len(memory.recall(QUESTION, route="cheap")) == 1


def test_the_default_gate_is_read_back_from_what_is_written():
    from remanence.calibration import dumped

    assert gate.read(dumped(gate.DEFAULT)) == gate.DEFAULT
