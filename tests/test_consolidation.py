"""Sleep-time work through the front door: merges, timelines, summaries, profiles, and what becomes of them when a source goes."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from remanence import Memory
from remanence.consolidate.plan import Limits
from remanence.consolidate.product import META
from remanence.consolidation import BY, consolidate, stale
from remanence.cubes import Kind, State
from remanence.errors import EndpointError, InputError, NoModelError
from remanence.models.scripted import ScriptedModel
from remanence.policies import Policy
from remanence.settings import Settings
from remanence.store.parts import Transition

SMALL = Limits(session_memories=3, topic_memories=3, claims=2, characters=140, least_growth=2)
TALK = [
    "I opened a bakery in Porto with my sister Clara in March.", "The bakery in Porto sells 40 loaves of rye bread a day.",
    "Clara bought a second oven for 900 euros.", "We hired Ben, a baker from Faro, for the night shift.",
    "The oven broke in May and we lost a week of work.", "Our bakery won a prize of the city of Porto.",
    "On Sundays we bake a cake with almonds from Tavira for the choir.", "The bank of Porto gave us a loan of 5000 euros for the roof.",
]  # fmt: skip


def run(memory, model=None, **options):
    return consolidate(memory._store, memory._encoding.documents, model, **{"limits": SMALL} | options)


def current(memory, what=None, space="default"):
    """Products that are current."""
    found = [
        cube for cube in memory.list(space=space, limit=1000) if cube.provenance.derived_from and META in cube.meta
    ]
    return [cube for cube in found if what in (None, cube.meta[META]["what"])]


def move(memory, cube_id, state, by="owner"):
    memory._store.lifecycle.change([Transition(cube_id, state, "for a reason", by)])


def told(memory, *lines, **where):
    return memory.add([{"name": "Ana", "time": day, "content": text} for day, text in lines], **where)


def talk(memory, session="s1", texts=TALK, **where):
    return memory.add(
        [
            {"name": "Ana", "time": f"2024-05-01T10:{at:02d}", "session": session, "content": text}
            for at, text in enumerate(texts)
        ],
        **where,
    )


# ── merges ──


def test_memories_that_say_the_same_become_one_that_stands_where_they_stood(opened):
    memory = opened()
    told(memory, ("2024-01-01", "The weather was fine."), user="ana")
    parents = told(memory, ("2024-03-01", "I like chess!"), ("2024-02-01", "I really like chess."), user="ana")
    before = memory.recall("Who likes chess?", user="ana")[0]
    done = memory.consolidate()
    assert (done.made["merge"], done.merged) == (1, 2)
    [product] = current(memory, "merge")
    assert (product.text, product.provenance.method, product.kind) == (
        "I really like chess.",
        "merged/rules/1",
        Kind.MESSAGE,
    )
    assert set(product.provenance.derived_from) == set(parents)
    assert product.valid_from == product.provenance.observed_at == datetime(2024, 2, 1)  # noqa: DTZ001
    assert [memory.get(parent).state for parent in parents] == [State.MERGED, State.MERGED]
    hits = memory.recall("Who likes chess?", user="ana")
    assert hits[0].cube.id == product.id
    assert [hit.cube.text for hit in hits].count("I like chess!") == 0
    assert before.cube.id in parents
    assert memory.verify().ok


def test_the_interval_and_the_policy_are_those_of_the_parents(opened):
    memory = opened()
    memory.add([
        {"content": "I work at Acme.", "name": "Ana", "time": "2024-01-01", "valid_to": "2025-01-01"},
        {"content": "I work for Acme.", "name": "Ana", "time": "2024-02-01", "valid_to": "2026-01-01"},
    ], sensitivity="work", access=["ana", "boss"], priority=2.0)  # fmt: skip
    memory.consolidate(what=["merge"])
    [product] = current(memory)
    assert product.valid_to == product.given_to == datetime(2026, 1, 1)  # noqa: DTZ001
    assert (product.policy.sensitivity, product.policy.access, product.policy.priority) == (
        "work",
        ("ana", "boss"),
        2.0,
    )


def test_a_second_run_does_nothing(opened):
    memory = opened()
    told(
        memory,
        ("2019-01-01", "I live in Rome."),
        ("2019-02-01", "I live in Rome!"),
        ("2024-01-01", "I moved to Oslo."),
        user="ana",
    )
    talk(memory)
    first = run(memory)
    assert {"merge", "chain", "profile", "session"} <= set(first.made)
    entries = memory.stats().entries
    again = run(memory)
    assert (again.made, again.dropped, again.merged, again.restored, again.ids) == ({}, {}, 0, 0, ())
    assert memory.stats().entries == entries
    assert run(memory, dry_run=True).due == ()


def test_a_dry_run_changes_nothing_and_says_what_is_due(opened):
    memory = opened()
    told(
        memory, ("2019-01-01", "I live in Rome."), ("2019-02-01", "I live in Rome!"), ("2024-01-01", "I moved to Oslo.")
    )
    entries = memory.stats().entries
    due = memory.consolidate(dry_run=True).due
    assert due == ("merge 2 memories: I live in Rome.", "chain ana, lives in: missing")
    assert memory.stats().entries == entries


def test_restoring_a_parent_undoes_the_merge_and_it_is_not_merged_again(opened):
    memory = opened()
    parents = told(memory, *((f"2024-01-0{day}", "I like chess.") for day in (1, 2, 3)))
    run(memory, what=["merge"])
    [product] = current(memory)
    move(memory, parents[1], State.ACTIVE)
    assert memory.get(product.id).state is State.ARCHIVED
    assert [memory.get(parent).state for parent in parents] == [State.ACTIVE] * 3
    assert run(memory, what=["merge"]).made == {}
    told(memory, ("2024-01-04", "I like chess."), ("2024-01-05", "I like chess."))
    assert run(memory, what=["merge"]).merged == 2  # the new ones with each other


def test_another_repetition_joins_and_lineage_stays_one_step_long(opened):
    memory = opened()
    first = told(memory, ("2024-01-01", "I like chess."), ("2024-01-02", "I like chess."))
    run(memory, what=["merge"])
    [old] = current(memory)
    [third] = told(memory, ("2024-01-03", "I like chess!"))
    done = run(memory, what=["merge"])
    [product] = current(memory)
    assert set(product.provenance.derived_from) == {*first, third}
    assert (done.merged, done.dropped) == (1, {"merge": 1})
    assert memory.get(old.id).state is State.MERGED
    move(memory, first[0], State.ACTIVE)
    assert {memory.get(one).state for one in (*first, third)} == {State.ACTIVE}
    assert [hit.cube.text for hit in memory.recall("chess")].count("I like chess.") == 2


def test_when_one_is_forgotten_the_others_speak_again(opened):
    memory = opened()
    parents = told(memory, *((f"2024-01-0{day}", "I like chess.") for day in (1, 2, 3)))
    run(memory, what=["merge"])
    memory.forget(parents[0])
    run(memory, what=["merge"])
    [product] = current(memory)
    assert set(product.provenance.derived_from) == set(parents[1:])
    memory.forget(parents[1])
    run(memory, what=["merge"])
    assert current(memory) == []
    assert memory.get(parents[2]).state is State.ACTIVE
    assert memory.recall("chess")[0].cube.id == parents[2]


def test_what_somebody_put_away_stays_away(opened):
    memory = opened()
    told(memory, ("2024-01-01", "I like chess."), ("2024-01-02", "I like chess."))
    run(memory, what=["merge"])
    [product] = current(memory)
    move(memory, product.id, State.ARCHIVED)
    assert run(memory).restored == 0
    assert memory.recall("chess") == []


def test_a_label_on_one_side_of_a_merge_is_a_label_on_both(opened):
    memory = opened()
    parents = told(memory, ("2024-01-01", "I like chess."), ("2024-01-02", "I like chess."))
    run(memory, what=["merge"])
    [product] = current(memory)
    memory._store.lifecycle.govern(parents[0], Policy(sensitivity="health"))
    run(memory, what=["merge"])
    assert {memory.get(one).policy.sensitivity for one in (*parents, product.id)} == {"health"}
    memory._store.lifecycle.govern(product.id, Policy(sensitivity="health", access=("ana",)))
    run(memory, what=["merge"])
    assert {memory.get(one).policy.access for one in (*parents, product.id)} == {("ana",)}
    memory._store.lifecycle.govern(parents[1], Policy(sensitivity="work", access=("ana",)))
    run(memory, what=["merge"])
    assert memory.get(product.id).state is State.ARCHIVED  # no memory can bear both labels
    assert [memory.get(one).policy.sensitivity for one in parents] == ["health", "work"]
    assert run(memory).ids == ()


def test_of_runs_at_the_same_time_one_makes_a_product(opened):
    memory, other = opened(), opened()
    told(
        memory,
        ("2019-01-01", "I live in Rome."),
        ("2019-02-01", "I live in Rome!"),
        ("2024-01-01", "I moved to Oslo."),
        user="ana",
    )
    talk(memory)
    ready, errors = threading.Barrier(2), list[BaseException]()

    def work(one):
        try:
            ready.wait()
            run(one)
        except BaseException as error:  # noqa: BLE001 the test reports whatever it is
            errors.append(error)

    threads = [threading.Thread(target=work, args=(one,)) for one in (memory, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    run(memory)
    places = [(cube.meta[META]["what"], cube.meta[META]["key"]) for cube in current(memory)]
    assert len(places) == len(set(places))
    assert memory.verify().ok


def test_it_can_be_stopped_between_any_two_steps(opened):
    memory = opened()
    told(
        memory,
        ("2019-01-01", "I live in Rome."),
        ("2019-02-01", "I live in Rome!"),
        ("2024-01-01", "I moved to Oslo."),
        user="ana",
    )
    told(memory, ("2024-01-01", "I like chess."), ("2024-01-02", "I like chess."), user="ana")
    talk(memory)
    rounds = 0
    while True:
        left = iter([False, False])
        done = run(memory, stop=lambda left=left: next(left, True))
        assert len(done.ids) <= 2
        rounds += 1
        if done.finished:
            break
    assert rounds > 3
    assert {cube.meta[META]["what"] for cube in current(memory)} >= {"merge", "chain", "profile", "session"}
    assert run(memory).ids == ()


def test_a_crash_between_the_new_and_the_old_leaves_one_too_many_and_the_next_run_mends_it(opened):
    memory = opened()
    talk(memory)
    run(memory, what=["sessions"])
    [first] = current(memory)
    copy = memory._store.lifecycle
    talk(
        memory,
        texts=["We bake for three schools in Porto now.", "Clara plans to rent the shop next door in July."],
        session="s1",
    )

    class Crash(RuntimeError):
        pass

    original = copy.change

    def crash(transitions):
        raise Crash

    copy.change = crash
    with pytest.raises(Crash):
        run(memory, what=["sessions"])
    copy.change = original
    assert len(current(memory)) == 2
    run(memory, what=["sessions"])
    [left] = current(memory)
    assert left.id != first.id
    assert run(memory).ids == ()


# ── chains, summaries, profiles ──


def test_a_timeline_says_what_followed_what_and_from_where(opened):
    memory = opened()
    ids = told(
        memory,
        ("2019-03-01", "I live in Rome."),
        ("2021-05-01", "I moved to Oslo."),
        ("2024-02-01", "I live in Lisbon."),
    )
    run(memory)
    [chain] = current(memory, "chain")
    assert (chain.kind, chain.about) == (Kind.SUMMARY, "Ana")
    assert chain.text == "Ana, lives in: Rome (2019 to 2021), Oslo (2021 to 2024), Lisbon (since 2024)"
    assert [stay["sources"] for stay in chain.meta["stays"]] == [[one] for one in ids]
    assert memory.recall("Where did Ana live?", kinds=["summary"])[0].cube.id == chain.id
    assert chain.id not in {hit.cube.id for hit in memory.recall("Where did Ana live?")}
    told(memory, ("2025-01-01", "I moved to Lima."))
    run(memory)
    assert [one.text.rpartition(", ")[2] for one in current(memory, "chain")] == ["Lima (since 2025)"]
    assert memory.get(chain.id).state is State.ARCHIVED


def test_a_session_is_summed_up_in_its_own_words(opened):
    memory = opened()
    ids = talk(memory, texts=["Well, well, well! " + text for text in TALK], user="ana")
    done = run(memory, what=["sessions"])
    [summary] = current(memory)
    assert (done.made, summary.kind, summary.scope.session, summary.scope.user) == (
        {"session": 1},
        Kind.SUMMARY,
        "s1",
        "ana",
    )
    assert len(summary.text) <= SMALL.characters
    said = summary.meta[META]
    assert (said["what"], said["session"], said["seen"]) == ("session", "s1", 8)
    for source in said["sources"]:
        cube = memory.get(source["id"])
        assert cube.id in ids
        assert cube.version == source["version"]
        assert cube.text[source["start"] : source["end"]] in TALK
        assert cube.text[source["start"] : source["end"]] in summary.text
    assert set(summary.provenance.derived_from) == {source["id"] for source in said["sources"]}
    assert memory.recall("bakery", kinds=["summary"], session="s1")[0].cube.id == summary.id
    assert all(hit.cube.kind is Kind.MESSAGE for hit in memory.recall("bakery", k=50))


def test_a_short_session_has_no_summary_and_none_is_made_of_summaries(opened):
    memory = opened()
    talk(memory, texts=TALK[:2])
    assert run(memory, what=["sessions"]).made == {}
    talk(memory)
    run(memory)
    made = {cube.id for cube in current(memory)}
    assert made
    assert all(made.isdisjoint(cube.provenance.derived_from) for cube in current(memory))


def test_a_summary_is_made_anew_when_its_session_grew_by_enough(opened):
    memory = opened()
    talk(memory)
    run(memory, what=["sessions"])
    [first] = current(memory)
    talk(memory, texts=["We bake for three schools in Porto now."])
    assert stale(memory._store, "default", SMALL) == [] or all(
        one.what != "session" for one in stale(memory._store, "default", SMALL)
    )
    talk(memory, texts=["x", "Clara plans to rent the shop next door in July."])
    assert [(one.what, one.why) for one in stale(memory._store, "default", SMALL) if one.what == "session"] == [
        ("session", "outgrown")
    ]
    done = run(memory, what=["sessions"])
    assert (done.made, done.dropped) == ({"session": 1}, {"session": 1})
    assert memory.get(first.id).state is State.ARCHIVED
    [second] = current(memory)
    assert second.meta[META]["seen"] > first.meta[META]["seen"]


def test_topics_are_names_that_memories_share(opened):
    memory = opened()
    talk(
        memory,
        texts=[
            *TALK,
            "Mill Street in Porto is loud.",
            "It's late.",
            "It's cold.",
            "It's all about the bakery in Porto, it's ours.",
        ],
    )
    run(memory, what=["topics"])
    assert {cube.about for cube in current(memory)} == {"Porto"}
    [topic] = current(memory)
    assert "Porto" in topic.text
    assert "900 euros" not in topic.text


def test_a_profile_is_what_holds_now_each_line_with_its_source(opened):
    memory = opened()
    told(
        memory,
        ("2019-01-01", "I live in Rome."),
        ("2024-01-01", "I moved to Oslo."),
        ("2024-01-02", "I like chess."),
        user="ana",
    )
    memory.add({"content": "Trains for a marathon.", "kind": "fact"}, user="ana")
    memory.add("I live in Lima.", user="bob")
    run(memory)
    [profile] = memory.profile("ana")
    assert profile.text.split("\n") == [
        "ana:",
        "- lives in: Oslo (since 2024-01-01)",
        "- likes: chess",
        "- Trains for a marathon.",
    ]
    assert all(line["sources"] for line in profile.meta["lines"])
    assert [one.text for one in memory.profile("bob")] == ["bob:\n- lives in: Lima"]
    assert len(memory.profile()) == 2
    assert memory.profile("nobody") == []
    assert memory.recall("Ana", kinds=["profile"], user="ana")[0].cube.id == profile.id


def test_users_and_agents_are_never_mixed(opened):
    memory = opened()
    for number, who in enumerate(({"user": "ana"}, {"user": "bob"}, {"agent": "x"}, {})):
        talk(memory, texts=[f"{text} Number {number}." for text in TALK], **who)
    run(memory)
    for cube in current(memory):
        for source in cube.provenance.derived_from:
            scope = memory.get(source).scope
            assert (scope.user, scope.agent) == (cube.scope.user, cube.scope.agent)
    assert len(current(memory, "session")) == 4


# ── what may not go in ──


@pytest.mark.parametrize("fields", [{"sensitivity": "health"}, {"access": ["doctor"]}], ids=str)
def test_nothing_labelled_goes_into_what_others_may_read(opened, fields):
    memory = opened()
    talk(memory)
    secret = talk(memory, texts=["I live in Coimbra since the clinic in Porto.", "I live in Coimbra."], **fields)
    told(memory, ("2019-01-01", "I live in Rome."), ("2020-01-01", "I live in Oslo."))
    run(memory)
    found = current(memory)
    assert {cube.meta[META]["what"] for cube in found} == {"chain", "session"}
    assert not any("Coimbra" in cube.text or set(cube.provenance.derived_from) & set(secret) for cube in found)


def test_a_label_that_comes_later_takes_the_memory_out(opened):
    memory = opened()
    ids = talk(memory)
    told(memory, ("2019-01-01", "I live in Rome."), ("2020-01-01", "I live in Oslo."))
    run(memory)
    [summary] = current(memory, "session")
    source = summary.provenance.derived_from[0]
    text = memory.get(source).text
    memory._store.lifecycle.govern(source, Policy(sensitivity="work"))
    run(memory)
    assert source in ids
    assert current(memory, "session")
    assert not any(text in cube.text for cube in current(memory))


def test_what_is_held_or_put_away_goes_in_nowhere(opened):
    memory = opened()
    ids = talk(memory)
    move(memory, ids[0], State.ARCHIVED)
    run(memory)
    assert current(memory)
    assert not any(TALK[0] in cube.text for cube in current(memory))


def test_pages_and_models_do_not_say_where_somebody_lives(opened):
    memory = opened()
    memory.add("Ana lives in Kyiv.", source="https://x.test", user="ana")
    memory.add({"content": "I live in Kyiv.", "role": "assistant"}, user="ana")
    memory.add("I live in Rome.", user="ana")
    run(memory)
    assert [cube.text for cube in current(memory, "profile")] == ["ana:\n- lives in: Rome"]


def test_the_lowest_trust_goes_with_a_summary(opened):
    memory = opened()
    talk(memory, texts=TALK[1::2])
    memory.add([{"role": "assistant", "session": "s1", "content": text} for text in TALK[::2]])
    run(memory, what=["sessions"], limits=replace(SMALL, characters=200))
    [summary] = current(memory)
    assert {memory.get(one).trust for one in summary.provenance.derived_from} == {"user", "model"}
    assert summary.trust == "model"


def test_a_product_that_somebody_corrected_or_froze_is_left_alone(opened):
    memory = opened()
    talk(memory)
    talk(memory, session="s2")
    run(memory, what=["sessions"])
    one, other = current(memory)
    memory.correct(one, "The bakery, in my words.")
    move(memory, other.id, State.FROZEN)
    for session in ("s1", "s2"):
        talk(
            memory,
            texts=["One more about Porto.", "And another about Faro.", "And a third about Braga."],
            session=session,
        )
    assert run(memory, what=["sessions"]).ids == ()
    assert {cube.text for cube in current(memory)} == {"The bakery, in my words.", other.text}


# ── by a model ──


def writing(memory, prompts=None):
    """A model that repeats the first memory it is shown, and adds something of its own."""

    def say(prompt):
        if prompts is not None:
            prompts.append(prompt)
        return json.dumps({"sentences": [{"text": TALK[0], "sources": [1]}, {"text": "Ana is rich.", "sources": [1]}]})

    return ScriptedModel(say)


def test_a_model_writes_summaries_that_are_held_against_their_sources(opened):
    memory = opened()
    ids = talk(memory)
    run(memory, what=["sessions"])
    done = run(memory, writing(memory), what=["sessions"])
    [summary] = current(memory)
    assert (summary.text, done.unsupported, done.made, done.dropped) == (TALK[0], 1, {"session": 1}, {"session": 1})
    assert summary.provenance.method == "consolidated/scripted/1"
    assert set(summary.provenance.derived_from) == set(ids)  # all that the model read
    assert done.cost.calls == 1
    assert run(memory, writing(memory), what=["sessions"]).ids == ()
    assert run(memory, what=["sessions"]).ids == ()  # rules do not replace a model's


def test_a_failing_model_loses_nothing_and_is_reported(opened):
    memory = opened()
    for session in ("s1", "s2", "s3", "s4", "s5"):
        talk(memory, session=session)
    run(memory, what=["sessions"], limits=SMALL)
    calls = []

    def fail(prompt):
        calls.append(prompt)
        return EndpointError("The model is down.", "Try again.")

    done = run(memory, ScriptedModel(fail), what=["sessions", "profiles"])
    assert len(calls) == 3  # a dead endpoint is left alone
    assert sorted(done.failures) == ["session s1", "session s2", "session s3"]
    assert not done.finished
    assert len(current(memory, "session")) == 5
    assert run(memory, writing(memory), what=["sessions"]).made == {"session": 5}


def test_where_nothing_of_a_model_holds_the_rules_write(opened):
    memory = opened()
    talk(memory)
    lying = ScriptedModel(lambda prompt: json.dumps({"sentences": [{"text": "Zoe is rich.", "sources": [1]}]}))
    done = run(memory, lying, what=["sessions"])
    [summary] = current(memory)
    assert (done.unsupported, summary.provenance.method) == (1, "consolidated/rules/1")
    assert run(memory, lying, what=["sessions"]).ids == ()


def test_arguments_are_checked(opened):
    memory = opened()
    for what in ([], ["merges"], "merge"):
        with pytest.raises(InputError):
            memory.consolidate(what=what)
    with pytest.raises(NoModelError):
        memory.consolidate(model=True)
    assert memory.consolidate(model="auto").finished


# ── nothing made outlives what it was made of ──


class Sources(RuleBasedStateMachine):
    """Any order of telling, correcting, putting away, restoring, forgetting and consolidating."""

    def __init__(self):
        super().__init__()
        self.now = datetime(2024, 6, 1, tzinfo=UTC)
        self.memory = Memory(":memory:", Settings(embedder="none"), clock=lambda: self.now)
        self.texts: dict[str, str] = {}
        """What each memory says now; nothing of one that is away."""
        self.gone: set[str] = set()
        """Marks of texts that nothing current may hold any more."""
        self.away: set[str] = set()
        self.count = 0

    def teardown(self):
        self.memory.close()

    @rule(place=st.sampled_from(["Rome", "Oslo", "Lima"]), session=st.sampled_from(["s1", None]), again=st.booleans())
    def tell(self, place, session, again):
        self.now += timedelta(days=40)
        self.count += 0 if again else 1
        text = f"I live in {place}, flat{self.count}. Flat{self.count} in {place} has a view of the river Tiber{self.count}."
        for one in (text, text) if again else (text,):
            self.now += timedelta(minutes=1)
            message = {"content": one, "time": self.now.isoformat()} | (
                {"session": session} if session else {"kind": "fact"}
            )
            [cube] = self.memory.add(message, user="ana", relearn=True)
            self.texts[cube] = text

    def pick(self, data):
        spoken = [one for one in self.texts if self.memory.get(one).superseded_at is None]
        return data.draw(st.sampled_from(spoken)) if spoken else None

    @rule(data=st.data())
    def correct(self, data):
        if (cube := self.pick(data)) is not None:
            self.count += 1
            self.now += timedelta(minutes=1)
            self.end(cube)
            self.texts[cube] = f"I live in Bonn, flat{self.count}."
            self.memory.correct(cube, self.texts[cube])

    @rule(data=st.data(), state=st.sampled_from([State.ARCHIVED, State.EXPIRED]))
    def put_away(self, data, state):
        if (cube := self.pick(data)) is not None:
            move(self.memory, cube, state)
            self.away.add(cube)

    @precondition(lambda self: self.away)
    @rule(data=st.data())
    def bring_back(self, data):
        cube = data.draw(st.sampled_from(sorted(self.away)))
        move(self.memory, cube, State.ACTIVE)
        self.away.discard(cube)

    @rule(data=st.data())
    def forget(self, data):
        if self.texts:
            cube = data.draw(st.sampled_from(sorted(self.texts)))
            self.memory.forget(cube)
            self.end(cube)
            self.away.discard(cube)

    @rule()
    def consolidate(self):
        run(self.memory)
        products = current(self.memory)
        spoken = {one: cube for one in self.texts if (cube := self.memory.get(one)).superseded_at is None}
        for cube in products:
            if cube.kind is Kind.SUMMARY:
                assert set(cube.provenance.derived_from) <= {*spoken, *(one.id for one in products)}
        merged = {
            parent
            for cube in products
            for parent in cube.provenance.derived_from
            if cube.kind in {Kind.MESSAGE, Kind.FACT}
        }
        assert set(self.texts) == {*spoken} | merged | self.away  # each is there, spoken for, or put away by somebody
        assert run(self.memory).ids == ()

    def end(self, cube):
        del self.texts[cube]

    @invariant()
    def nothing_current_says_what_no_memory_says(self):
        living = " ".join(text for cube, text in self.texts.items() if cube not in self.away)
        for cube in self.memory.list(limit=1000):
            for word in cube.text.replace(".", " ").replace(",", " ").split():
                if word[-1].isdigit() and word.lower().startswith("flat"):
                    assert word.lower() in living.lower(), cube.text
            assert cube.provenance.derived_from == () or all(
                self.memory._store.versions(parent) for parent in cube.provenance.derived_from
            )


Sources.TestCase.settings = settings(
    max_examples=25, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSources = Sources.TestCase


def test_events_name_who_acted(opened):
    memory = opened()
    parents = told(memory, ("2024-01-01", "I like chess."), ("2024-01-02", "I like chess."))
    run(memory)
    [event] = memory._store.lifecycle.events(parents[0])
    assert (event.was, event.became, event.by) == (State.ACTIVE, State.MERGED, BY)
