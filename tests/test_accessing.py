"""`memory.access`: grants, the log, labels, and shares."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from remanence import Memory
from remanence.cubes import State
from remanence.errors import (
    AccessDeniedError,
    FrozenError,
    InputError,
    StoreBusyError,
    UnknownCubeError,
    UnknownSpaceError,
)  # fmt: skip
from remanence.settings import Settings
from remanence.store.parts import Transition


@pytest.fixture
def memory(opened):
    memory = opened()
    memory.add("Ana lives in Lisbon.", space="work", user="ana")
    memory.add("Bob lives in Porto.", space="work", user="bob")
    return memory


def texts(memory, space, **where):
    return [cube.text for cube in memory.list(space=space, **where)]


# ── grants and the log ───────────────────────────────────────────────────────────────────────────────────────────────


def test_an_owner_of_a_space_grants_there_and_nowhere_else(memory):
    memory.access.grant("boss", "owner", space="work")
    boss = memory.acting_as("boss")
    boss.access.grant("helper", "writer", space="work", labels=["health", "health"])
    assert [(one.principal, one.role, one.labels, one.by) for one in boss.access.grants(space="work")] == [
        ("boss", "owner", (), "owner"), ("helper", "writer", ("health",), "boss"),
    ]  # fmt: skip
    for space in ("home", "*"):
        with pytest.raises(AccessDeniedError):
            boss.access.grant("helper", "writer", space=space)
        with pytest.raises(AccessDeniedError):
            boss.access.revoke("helper", space=space)
    with pytest.raises(AccessDeniedError):
        memory.acting_as("helper").access.grant("helper", "owner", space="work")


def test_what_is_revoked_ends_at_once(memory):
    memory.access.grant("p", "reader", space="work")
    reader = memory.acting_as("p")
    assert len(reader.list(space="work")) == 2
    assert memory.access.revoke("p", space="work") is True
    with pytest.raises(AccessDeniedError):
        reader.list(space="work")
    assert memory.access.revoke("p", space="work") is False


def test_a_space_may_be_granted_before_it_is_there(memory):
    memory.access.grant("p", "writer", space="new")
    writer = memory.acting_as("p")
    with pytest.raises(UnknownSpaceError):
        writer.recall("What?", space="new")
    writer.add("Something.", space="new")
    assert texts(writer, "new") == ["Something."]
    assert writer.spaces() == ["new"]
    assert writer.stats().by_space == {"new": 1}
    assert (writer.stats().cubes, memory.stats().cubes) == (1, 3)


def test_a_grant_everywhere_shows_all_spaces(memory):
    memory.access.grant("p", "auditor", space="*")
    assert list(memory.acting_as("p").spaces()) == ["work"]
    assert memory.acting_as("p").verify(sample=0).ok
    with pytest.raises(AccessDeniedError):
        memory.acting_as("p").list(space="work")


@pytest.mark.parametrize(
    "wrong",
    [
        {"principal": "owner"}, {"principal": ""}, {"role": "king"}, {"space": ""}, {"space": None}, {"labels": [""]},
        {"labels": [3]},
    ],
)  # fmt: skip
def test_a_wrong_grant_is_refused(memory, wrong):
    given = {"principal": "p", "role": "reader", "space": "work", "labels": []} | wrong
    with pytest.raises(InputError):
        memory.access.grant(given.pop("principal"), given.pop("role"), **given)
    assert memory.access.grants() == []


def test_an_auditor_reads_the_log_of_his_space_and_no_other(memory):
    memory.access.grant("eye", "auditor", space="work")
    memory.access.grant("p", "reader", space="work")
    memory.acting_as("p").recall("Where does Ana live?", space="work")
    eye = memory.acting_as("eye")
    assert [(one.principal, one.operation) for one in eye.access.log(space="work", principal="p")] == [("p", "recall")]
    assert [one.principal for one in eye.access.grants()] == ["eye", "p"]
    for call in (
        eye.access.log,
        lambda: eye.access.log(space="home"),
        lambda: eye.access.grants(space="home"),
    ):
        with pytest.raises(AccessDeniedError):
            call()
    with pytest.raises(AccessDeniedError):
        memory.acting_as("p").access.log(space="work")


def test_the_log_holds_no_text(memory, image, tmp_path):
    memory.access.grant("p", "writer", space="work")
    writer = memory.acting_as("p")
    writer.recall("Is this xyzzy question kept?", space="work")
    writer.ask("Is this xyzzy question kept?", space="work")
    with pytest.raises(UnknownCubeError):
        writer.get("xyzzy")
    memory.close()
    assert b"xyzzy" not in image(tmp_path / "m.rem")


def test_an_access_that_cannot_be_logged_does_not_happen(tmp_path):
    with Memory(tmp_path / "m.rem", Settings(embedder="hashing", busy_timeout=0)) as memory:
        [one] = memory.add("Ana lives in Lisbon.", space="work")
        memory.access.grant("p", "reader", space="work")
        reader = memory.acting_as("p")
        with closing(sqlite3.connect(tmp_path / "m.rem", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for call in (
                lambda: reader.get(one), lambda: reader.recall("Ana?", space="work"), lambda: reader.list(space="work"),
                lambda: reader.ask("Where does Ana live?", space="work"), reader.stats,
                lambda: next(reader.ask_stream("Where does Ana live?", space="work")),
            ):  # fmt: skip
                with pytest.raises(StoreBusyError):
                    call()
            assert memory.get(one).text == "Ana lives in Lisbon."  # the owner of the file is not logged


def test_the_log_tells_times_by_the_clock_of_the_memory(tmp_path):
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    with Memory(tmp_path / "m.rem", Settings(embedder="hashing"), clock=lambda: now[0]) as memory:
        memory.access.grant("p", "writer", space="a")
        for _ in range(3):
            memory.acting_as("p").add(f"At {now[0]}.", space="a")
            now[0] += timedelta(hours=1)
        found = memory.access.log(since="2026-01-01T01:00", until="2026-01-01T02:00+00:00")
        assert [one.at for one in found] == [datetime(2026, 1, 1, 1, tzinfo=UTC)]
        assert memory.access.grants()[0].at == "2026-01-01T00:00:00.000000+00:00"


# ── labels ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_owners_label(memory):
    [one, _] = memory.list(space="work")
    memory.access.grant("w", "writer", space="work")
    memory.access.grant("o", "owner", space="work")
    with pytest.raises(AccessDeniedError):
        memory.acting_as("w").access.label(one.id, "health")
    assert memory.acting_as("o").access.label(one, "health").policy.sensitivity == "health"
    assert memory.acting_as("o").access.restrict(one, "w").policy.access == ("w",)
    assert memory.get(one).policy.sensitivity == "health"
    for wrong in ("", " ", 3):
        with pytest.raises(InputError):
            memory.access.label(one, wrong)
    with pytest.raises(UnknownCubeError):
        memory.access.label(one, "x", space="home")


def test_what_is_made_of_several_keeps_the_labels_of_the_others(opened):
    memory = opened()
    [one] = memory.add({"content": "What is the code?", "name": "Ana", "session": "s"}, space="a")
    [two] = memory.add({"content": "It is 4711.", "name": "Bob", "session": "s"}, space="a")
    memory.pair(space="a")
    [pair] = [cube for cube in memory.list(space="a") if cube.kind == "qa"]
    assert set(pair.provenance.derived_from) <= {one, two}
    for parent in pair.provenance.derived_from:
        memory.access.label(parent, "secret")
    assert memory.get(pair.id).policy.sensitivity == "secret"
    for parent in pair.provenance.derived_from:
        memory.access.label(parent, None)
    assert memory.get(pair.id).policy.sensitivity is None


def test_what_is_frozen_below_stops_a_label_before_anything_is_changed(opened):
    memory = opened()
    [one] = memory.add("Ana was born in Oslo.", space="a", user="u")
    memory.pair(space="a")
    [pair] = [cube for cube in memory.list(space="a") if cube.kind == "qa"]
    memory._store.lifecycle.change([Transition(pair.id, State.FROZEN, "kept")])
    with pytest.raises(FrozenError, match="made from"):
        memory.access.label(one, "x")
    assert [cube.policy.sensitivity for cube in memory.list(space="a")] == [None, None]


# ── sharing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_memory_is_shown_in_another_space_as_a_copy(memory):
    [ana, _] = memory.list(space="work")
    shared = memory.access.share(ana, to="team")
    [copy] = memory.list(space="team")
    assert (copy.text, copy.provenance.method, copy.provenance.derived_from, copy.scope.user) == (
        ana.text,
        "shared",
        (ana.id,),
        "ana",
    )
    assert memory.recall("Where does Ana live?", space="team")[0].cube.id == copy.id
    assert memory.access.shares() == [shared]
    with pytest.raises(InputError, match="is shared from another space"):
        memory.correct(copy, "Ana lives in Faro.")
    with pytest.raises(InputError, match="is shared from another space"):
        memory.access.label(copy, "x")
    with pytest.raises(InputError, match="is shared from another space"):
        memory.access.share(copy, to="third")
    assert memory.verify(sample=0).ok


def test_a_view_is_kept_up_to_date(memory):
    memory.access.share(space="work", user="ana", to="team")
    assert texts(memory, "team") == ["Ana lives in Lisbon."]
    [later] = memory.add("Ana likes figs.", space="work", user="ana")
    memory.add("Bob likes plums.", space="work", user="bob")
    assert texts(memory, "team") == ["Ana lives in Lisbon.", "Ana likes figs."]
    memory.correct(later, "Ana likes dates.")
    assert texts(memory, "team") == ["Ana lives in Lisbon.", "Ana likes dates."]
    memory.forget(later)
    assert texts(memory, "team") == ["Ana lives in Lisbon."]
    [ana] = memory.list(space="work", user="ana")
    memory._store.lifecycle.change([Transition(ana.id, State.ARCHIVED, "old")])
    assert texts(memory, "team") == []
    memory._store.lifecycle.change([Transition(ana.id, State.ACTIVE, "new again")])
    assert memory.access.sync().made == 1
    assert texts(memory, "team") == ["Ana lives in Lisbon."]
    assert memory.access.sync() == type(memory.access.sync())()
    assert memory.verify(sample=0).ok


@pytest.mark.parametrize(
    ("view", "found"),
    [
        ({}, "abcd"), ({"user": "u"}, "a"), ({"agent": "x"}, "b"), ({"session": "s"}, "c"), ({"kinds": ["fact"]}, "d"),
        ({"source": "mail"}, "b"), ({"user": "u", "session": "s"}, ""),
    ],
)  # fmt: skip
def test_a_view_is_what_passes_its_filters(opened, view, found):
    memory = opened()
    memory.add("a", space="a", user="u")
    memory.add("b", space="a", agent="x", source="mail")
    memory.add("c", space="a", session="s")
    memory.add({"content": "d", "kind": "fact"}, space="a")
    memory.add(".", space="b")
    memory.access.share(space="a", to="b", **view)
    assert "".join(texts(memory, "b")) == f".{found}"


def test_copies_and_pairs_are_not_shared_onward(opened):
    memory = opened()
    memory.add("Ana was born in Oslo.", space="a", user="u")
    memory.pair(space="a")
    memory.access.share(space="a", to="b")
    memory.access.share(space="b", to="a")
    memory.access.share(space="b", to="c")
    memory.add("Bob was born in Faro.", space="b")
    assert [texts(memory, space) for space in "bc"] == [
        ["Ana was born in Oslo.", "Bob was born in Faro."], ["Bob was born in Faro."],
    ]  # fmt: skip
    assert [cube.text for cube in memory.list(space="a") if cube.kind != "qa"] == [
        "Ana was born in Oslo.",
        "Bob was born in Faro.",
    ]


def test_labels_travel_and_follow(memory):
    [ana, bob] = memory.list(space="work")
    memory.access.label(ana, "health")
    memory.access.share(space="work", to="team")
    memory.access.grant("p", "reader", space="team")
    reader = memory.acting_as("p")
    assert texts(reader, "team") == ["Bob lives in Porto."]
    memory.access.restrict(bob, ["somebody"])
    assert texts(reader, "team") == []
    memory.access.label(ana, None)
    assert texts(reader, "team") == ["Ana lives in Lisbon."]


def test_a_label_reaches_copies_that_have_ended(memory):
    [ana, _] = memory.list(space="work")
    memory.access.share(ana, to="team")
    [before] = memory.list(space="team")
    memory.correct(ana, "Ana lives in Faro.")
    memory.access.grant("p", "reader", space="team")
    reader = memory.acting_as("p")
    assert reader.history(before)[0].text == "Ana lives in Lisbon."
    memory.access.label(ana, "health")
    with pytest.raises(UnknownCubeError):
        reader.history(before)


def test_copies_follow_every_change_of_state_at_once(opened):
    memory = opened()
    one = memory.add("Ana lives in Rome.", space="A")[0]
    memory.access.share(space="A", to="B")

    def there():
        return [cube.text for cube in memory.list(space="B")]

    memory.lifecycle.archive(one)
    memory.lifecycle.restore(one)
    assert there() == ["Ana lives in Rome."]
    then = memory.get(one).recorded_at
    memory.correct(one, "Ana lives in Oslo.", source="x")
    memory.trust.revoke("x", "it lies", space="A")
    assert there() == ["Ana lives in Rome."]
    memory.trust.accept("x", space="A")
    assert there() == ["Ana lives in Oslo."]
    memory.rollback(then, space="A")
    assert there() == ["Ana lives in Rome."]


def test_unsharing_erases_the_copies_but_those_that_another_share_shows(memory, image, tmp_path):
    [ana, bob] = memory.list(space="work")
    all_ = memory.access.share(space="work", to="team")
    memory.access.share(ana, to="team")
    assert texts(memory, "team") == ["Ana lives in Lisbon.", "Bob lives in Porto."]
    assert len(memory.access.unshare(all_.id)) == 1
    assert texts(memory, "team") == ["Ana lives in Lisbon."]
    memory.forget(bob)
    memory.close()
    assert b"Bob lives" not in image(tmp_path / "m.rem")


def test_shares_need_rights_on_both_sides(memory):
    [ana, _] = memory.list(space="work")
    for name, role, space in (("o", "owner", "work"), ("w", "writer", "work"), ("t", "owner", "team")):
        memory.access.grant(name, role, space=space)
    for name in "owt":
        with pytest.raises((AccessDeniedError, UnknownCubeError)):
            memory.acting_as(name).access.share(ana, to="team")
        with pytest.raises(AccessDeniedError):
            memory.acting_as(name).access.share(space="work", to="team")
    memory.access.grant("o", "writer", space="team")
    shared = memory.acting_as("o").access.share(ana, to="team")
    assert list(memory.acting_as("t").access.shares()) == [shared]
    with pytest.raises(AccessDeniedError):
        memory.acting_as("w").access.shares()
    with pytest.raises(UnknownCubeError):
        memory.acting_as("w").access.unshare(shared.id)
    assert len(memory.acting_as("t").access.unshare(shared.id)) == 1
    with pytest.raises(InputError, match="is the space that is shared"):
        memory.access.share(space="work", to="work")


def test_two_who_follow_at_once_make_one_copy(memory):
    memory.access.share(space="work", to="team")
    store = memory._store
    for number in range(5):
        with store.connections.write() as connection:  # as another process writes, which does not follow
            connection.execute("UPDATE notes SET value = '0' WHERE name LIKE 'shared/%'")
        threads = [threading.Thread(target=memory.access.sync) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(texts(memory, "team")) == 2, number


# ── what was made from a memory ──────────────────────────────────────────────────────────────────────────────────────


def made(memory, space="a"):
    """Everything of a space, also what is put away, by method."""
    found = [*memory.list(space=space), *memory.lifecycle.in_state("merged", space=space)]
    return {cube.id: cube for cube in found}


def test_a_label_on_a_merge_reaches_what_it_speaks_for(opened):
    memory = opened()
    said = {"role": "user", "name": "Ana", "source": "diary"}
    ids = memory.add([{**said, "content": "I live in Rome."}, {**said, "content": "I'm living in Rome."}], space="a")
    memory.consolidate(space="a", what=["merge"])
    [product] = memory.list(space="a")
    memory.access.label(product, "health")
    assert {cube.policy.sensitivity for cube in made(memory).values()} == {"health"}
    memory.lifecycle.restore(ids[0])
    memory.access.grant("rita", "reader", space="a")
    assert memory.acting_as("rita").list(space="a") == []
    assert memory.verify().ok


def test_a_label_of_its_own_stays_with_what_was_made(opened):
    memory = opened()
    [one] = memory.add("Ana was born in Oslo.", space="a", user="u")
    memory.pair(space="a")
    [pair] = [cube for cube in memory.list(space="a") if cube.kind == "qa"]
    memory.access.label(pair, "legal")
    memory.access.label(one, "health")
    memory.access.grant("rita", "reader", space="a", labels=["health"])
    assert [cube.id for cube in memory.acting_as("rita").list(space="a")] == [one]


def test_lower_trust_reaches_what_was_made(opened):
    memory = opened()
    [one] = memory.add("Ana was born in Oslo.", space="a", user="u")
    memory.pair(space="a")
    [pair] = [cube.id for cube in memory.list(space="a") if cube.kind == "qa"]
    memory.lifecycle.govern(one, trust="web")
    assert memory.get(pair).trust == "web"
    assert memory.verify().ok
