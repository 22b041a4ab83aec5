"""Which facts hold, which were superseded, which contradict: by example, and against a naive twin."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.cubes import Fact
from remanence.errors import InputError
from remanence.language import slots
from remanence.language.relations import Arity, arity
from remanence.language.slots import (
    NEAREST,
    Contradiction,
    Slot,
    Stated,
    Superseded,
    order,
    relation_key,
    resolve,
    same_values,
    subject_key,
    value_key,
)

DAY = 86400.0
HOME = ("ana", "lives in")


def stated(value, day=0.0, *, relation="lives in", source="a", seq=None, subject="Ana", **more):
    seq = int(day * 100) if seq is None else seq
    return Stated(Fact(subject, relation, value), f"c{seq}", 1, seq, day * DAY, source, **more)


def values(slot):
    return [one.fact.value for one in slot.current]


def ended(slot):
    return [(one.old.fact.value, one.by.fact.value) for one in slot.superseded]


def against(slot):
    return [(pair.first.fact.value, pair.second.fact.value) for pair in slot.contradictions]


# ── a slot of one value ──


def test_the_newest_home_holds_and_the_older_says_what_ended_it():
    slot = resolve([stated("Porto", 9), stated("Lisbon", 1), stated("Braga", 5)])[HOME]
    assert slot.arity is Arity.ONE
    assert values(slot) == ["Porto"]
    assert ended(slot) == [("Lisbon", "Braga"), ("Braga", "Porto")]
    assert against(slot) == []


def test_going_back_is_a_new_run():
    slot = resolve([stated("Lisbon", 1), stated("Porto", 5), stated("Lisbon", 9)])[HOME]
    assert values(slot) == ["Lisbon"]
    assert slot.current[0].holds_from == 9 * DAY
    assert ended(slot) == [("Lisbon", "Porto"), ("Porto", "Lisbon")]


def test_saying_it_again_ends_nothing():
    slot = resolve([stated("Lisbon", 1), stated("lisbon", 5), stated("Lisbon, Portugal", 9)])[HOME]
    assert values(slot) == ["Lisbon, Portugal"]
    assert ended(slot) == []


def test_no_longer_leaves_nothing_and_does_not_bring_back_the_one_before():
    slot = resolve([stated("Lisbon", 1), stated("Porto", 5), stated("Porto", 9, negated=True)])[HOME]
    assert values(slot) == []
    assert ended(slot) == [("Lisbon", "Porto"), ("Porto", "Porto")]


def test_a_denial_of_another_value_ends_nothing():
    slot = resolve([stated("Porto", 1), stated("Lisbon", 9, negated=True)])[HOME]
    assert values(slot) == ["Porto"]
    assert ended(slot) == against(slot) == []


def test_a_denial_does_not_reach_forward():
    slot = resolve([stated("Lisbon", 1, negated=True), stated("Lisbon", 9)])[HOME]
    assert values(slot) == ["Lisbon"]
    assert against(slot) == []


@pytest.mark.parametrize(
    ("second", "contradict"),
    [
        (stated("Porto", 0, source="b", seq=5), True),  # the same time
        (stated("Porto", 0, source="a", seq=5), True),  # the same time and source
        (stated("Porto", 0.5, source="b"), True),  # another source, the same day
        (stated("Porto", 1, source="b"), True),  # the window belongs to itself
        (stated("Porto", 1.001, source="b"), False),
        (stated("Porto", 0.001, source="a"), False),  # the same source corrects itself
        (stated("Porto", 0, source="b", replaces=True), False),  # it says that it replaces
        (stated("Porto", 0.5, source="b", replaces=True), False),
        (stated("Lisbon, Portugal", 0, source="b"), False),  # the same value
    ],
)
def test_two_homes_contradict_where_time_does_not_order_them(second, contradict):
    slot = resolve([stated("Lisbon", 0), second])[HOME]
    assert (against(slot) == [("Lisbon", "Porto")]) == contradict
    assert len(values(slot)) == (2 if contradict else 1)
    assert ended(slot) == ([] if contradict or second.fact.value != "Porto" else [("Lisbon", "Porto")])


def test_two_moves_at_one_time_contradict():
    slot = resolve([stated("Lisbon", 0, replaces=True), stated("Porto", 0, source="b", replaces=True, seq=3)])[HOME]
    assert against(slot) == [("Lisbon", "Porto")]


def test_a_later_statement_ends_both_sides_of_a_contradiction():
    slot = resolve([stated("Lisbon", 0), stated("Porto", 0, source="b", seq=1), stated("Braga", 9)])[HOME]
    assert values(slot) == ["Braga"]
    assert ended(slot) == [("Lisbon", "Braga"), ("Porto", "Braga")]
    assert against(slot) == [("Lisbon", "Porto")]


def test_a_contradiction_is_named_once_by_its_last_statements():
    slot = resolve([stated(("Lisbon", "Porto")[at % 2], 0, source="ab"[at % 2], seq=at) for at in range(6)])[HOME]
    assert [(pair.first.seq, pair.second.seq) for pair in slot.contradictions] == [(4, 5)]


def test_yes_and_no_at_one_time():
    slot = resolve([stated("Lisbon", 0), stated("Lisbon", 0, negated=True, source="b", seq=4)])[HOME]
    assert values(slot) == ["Lisbon"]
    assert against(slot) == [("Lisbon", "Lisbon")]


# ── the other arities ──


def test_two_places_of_birth_contradict_however_late():
    born, late = stated("Lisbon", 0, relation="born in"), stated("Porto", 9999, relation="was born in")
    slot = resolve([born, late])["ana", "born in"]
    assert slot.arity is Arity.FIXED
    assert values(slot) == ["Lisbon", "Porto"]
    assert against(slot) == [("Lisbon", "Porto")]


def test_a_denial_takes_back_a_place_of_birth():
    born = stated("Lisbon", 0, relation="born in")
    slot = resolve([born, replace(born, holds_from=3 * DAY, negated=True)])["ana", "born in"]
    assert values(slot) == against(slot) == []


@pytest.mark.parametrize(
    ("one", "other"), [("1946", "3 May 1946"), ("May 1946", "May 3rd, 1946"), ("1946-05-03", "the 3rd of May 1946")]
)
def test_a_year_and_its_day_are_one_date_of_birth(one, other):
    slot = resolve([stated(one, 0, relation="born on"), stated(other, 0, relation="born on", source="b")])[
        "ana", "born on"
    ]
    assert len(values(slot)) == 1
    assert against(slot) == []


def test_likes_stand_side_by_side_until_denied():
    likes = [stated(value, day, relation="likes") for day, value in enumerate(("jazz", "tea", "chess"))]
    slot = resolve(
        [*likes, stated("Tea", 9, relation="loves", negated=True), stated("wine", 10, relation="enjoys", replaces=True)]
    )["ana", "likes"]
    assert slot.arity is Arity.MANY
    assert values(slot) == ["jazz", "chess", "wine"]
    assert ended(slot) == [("tea", "Tea")]
    assert against(slot) == []


def test_unknown_relations_stand_side_by_side_unless_one_replaces():
    one, two, three = (
        stated(value, day, relation="database") for day, value in enumerate(("Postgres", "SQLite", "DuckDB"))
    )
    key = ("ana", "database")
    assert values(resolve([one, two, three])[key]) == ["Postgres", "SQLite", "DuckDB"]
    slot = resolve([one, two, replace(three, replaces=True)])[key]
    assert values(slot) == ["DuckDB"]
    assert ended(slot) == [("Postgres", "DuckDB"), ("SQLite", "DuckDB")]
    assert resolve([one, replace(two, holds_from=0.0, source="b")])[key].contradictions == ()


@pytest.mark.parametrize(
    ("subject", "key"),
    [("Ana", "ana"), (" ANA ", "ana"), ("The Eiffel Tower", "eiffel tower"), ("José's", "jose"), ("the", "the"), ("?", "?")],
)  # fmt: skip
def test_subjects(subject, key):
    assert subject_key(subject) == subject_key(key) == key


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Lisbon", "lisbon", True), ("São Paulo", "Sao Paulo", True), ("a nurse", "nurse", True), ("five", "5", True),
        ("The Beatles", "Beatles", True), ("555-0100", "555 0100", True), ("C", "C++", False), ("12", "12,000", False),
        ("12,000", "12000", True), ("two dogs", "2 dogs", True), ("Lisbon", "Lisbon, Portugal", False), ("Porto", "Lisbon", False),
        ("3 May", "May 3rd", True), ("3 May", "3 May 1946", False), ("", "?", False),
    ],
)  # fmt: skip
def test_values(one, other, same):
    assert (value_key("owns", one) == value_key("owns", other)) == same


def test_a_birthday_begins_with_its_day():
    assert value_key("birthday", "3 May 1946")[:2] == value_key("birthday", "May 3")
    assert value_key("born on", "3 May 1946")[:1] == value_key("born on", "1946")


@given(st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map(tuple), max_size=12))
def test_same_values_as_a_naive_search_finds_them(keys):
    def naive(key):
        fuller = [other for other in set(keys) if other[: len(key)] == key]
        longest = max(fuller, key=len)
        return longest if all(longest[: len(other)] == other for other in fuller) else key

    assert same_values(keys) == {key: naive(key) for key in keys}


# ── against the naive twin ──


def naive(some, window=slots.WINDOW):
    """`resolve` by comparing every statement with every other."""
    some = sorted(set(some), key=order)
    found = {}
    for key in sorted({(subject_key(one.fact.subject), relation_key(one.fact.relation)) for one in some}):
        line = [one for one in some if (subject_key(one.fact.subject), relation_key(one.fact.relation)) == key]
        found[key] = naive_slot(line, arity(key[1]), window)
    return found


def naive_slot(line, count, window):  # noqa: C901
    keys = [value_key(one.fact.relation, one.fact.value) for one in line]
    same = same_values(keys)
    value = dict(zip(line, (same[key] for key in keys), strict=True))

    def orders(one, two):
        later = two.holds_from > one.holds_from + window or (
            one.source == two.source and two.holds_from > one.holds_from
        )
        return two.rank >= one.rank and (later or (two.replaces and not one.replaces))

    def ends(one, two):
        if two.negated:
            return value[one] == value[two]
        may = count is Arity.ONE or (count is Arity.OPEN and two.replaces)
        return may and value[one] != value[two]

    def clash(one, two):
        if value[one] == value[two]:
            return one.negated != two.negated and not orders(one, two)
        if one.negated or two.negated:
            return False
        return count is Arity.FIXED or (count is Arity.ONE and not orders(one, two))

    current, superseded, pairs = {}, {}, {}
    for at, one in enumerate(line):
        by = next((two for two in line[at + 1 :] if orders(one, two) and ends(one, two)), None)
        if not one.negated and by is None:
            current[value[one]] = one
        elif not one.negated:
            superseded[value[one], by] = one
        for before in line[:at]:
            if clash(before, one):
                pairs[frozenset((value[before], value[one]))] = (before, one)
    place = {one: at for at, one in enumerate(line)}
    return Slot(
        count,
        tuple(sorted(current.values(), key=place.get)),
        tuple(Superseded(old, by) for old, by in sorted(((old, by) for (_, by), old in superseded.items()), key=lambda two: (place[two[0]], place[two[1]]))),
        tuple(Contradiction(*two) for two in sorted(pairs.values(), key=lambda two: (place[two[0]], place[two[1]]))),
    )  # fmt: skip


STATEMENTS = st.builds(
    Stated,
    fact=st.builds(
        Fact,
        subject=st.sampled_from(["Ana", "the ana", "Bob"]),
        relation=st.sampled_from(["lives in", "moved to", "born in", "likes", "database", "database", "lives in"]),
        value=st.sampled_from(["Lisbon", "lisbon", "Lisbon, Portugal", "Lisbon, Ohio", "Porto", "Braga"]),
    ),
    cube_id=st.sampled_from("xy"),
    version=st.just(1),
    seq=st.integers(0, 6),
    holds_from=st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, 7.0, 9.0]),
    source=st.sampled_from("abc"),
    negated=st.sampled_from([False, False, False, True]),
    replaces=st.sampled_from([False, False, True]),
    rank=st.sampled_from([0, 0, 1, 2]),
)
ONE_SLOT = st.builds(
    Stated,
    fact=st.builds(
        Fact,
        st.just("Ana"),
        st.sampled_from(["lives in", "lives in", "database"]),
        st.sampled_from(["Lisbon", "Porto", "Rome"]),
    ),
    cube_id=st.just("x"),
    version=st.just(1),
    seq=st.integers(0, 9),
    holds_from=st.integers(0, 6).map(float),
    source=st.sampled_from("ab"),
    negated=st.sampled_from([False, False, True]),
    replaces=st.sampled_from([False, False, False, True]),
    rank=st.sampled_from([0, 0, 1]),
)
MANY_STATEMENTS = st.lists(STATEMENTS, max_size=14)


@settings(max_examples=400)
@given(MANY_STATEMENTS, st.sampled_from([0.0, 1.0, 2.0, 100.0]))
def test_as_the_naive_twin_finds_it(some, window):
    assert dict(resolve(some, window)) == naive(some, window)


@settings(max_examples=300)
@given(st.lists(ONE_SLOT, max_size=12), st.sampled_from([0.0, 1.0, 3.0]))
def test_one_slot_as_the_naive_twin_finds_it(some, window):
    assert dict(resolve(some, window)) == naive(some, window)


def test_a_value_said_again_is_near_again():
    crowd = [stated(f"Town {at}", 0, source=str(at), seq=at) for at in range(NEAREST + 1)]
    again, new = stated("Town 0", 0, source="x", seq=100), stated("Rome", 0, source="y", seq=101)
    assert Contradiction(again, new) in resolve([*crowd, again, new])[HOME].contradictions
    assert Contradiction(crowd[1], new) not in resolve([*crowd, again, new])[HOME].contradictions


@given(MANY_STATEMENTS, st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_changes_anything(some, random):
    mixed = some + some[:5]
    random.shuffle(mixed)
    assert resolve(mixed, 2.0) == resolve(some, 2.0)
    assert list(resolve(mixed, 2.0)) == sorted(resolve(some, 2.0))


@given(MANY_STATEMENTS)
def test_what_was_superseded_was_so_later_and_pairs_are_named_once(some):
    for slot in resolve(some, 2.0).values():
        for one in slot.superseded:
            assert order(one.by) > order(one.old)
            assert one.by.holds_from >= one.old.holds_from
        assert all(order(pair.first) < order(pair.second) for pair in slot.contradictions)
        pairs = [frozenset((pair.first, pair.second)) for pair in slot.contradictions]
        assert len(set(pairs)) == len(pairs)
        if slot.arity is Arity.ONE and not slot.contradictions:
            assert len(slot.current) <= 1


@given(MANY_STATEMENTS)
def test_every_value_that_was_stated_is_accounted_for(some):
    found = resolve(some, 2.0)
    for one in some:
        slot = found[subject_key(one.fact.subject), relation_key(one.fact.relation)]
        known = [*slot.current, *(each.old for each in slot.superseded)]
        assert one.negated or any(
            value_key("", each.fact.value)[:1] == value_key("", one.fact.value)[:1] for each in known
        )


# ── limits ──


def test_many_entities_and_slots_of_many_statements():
    many = [stated(f"Town {at % 977}", at % 5, subject=f"Person {at % 10_000}", seq=at) for at in range(20_000)]
    assert len(resolve(many)) == 10_000
    crowd = [stated(f"Town {at}", 0, source=str(at), seq=at) for at in range(3000)]
    slot = resolve(crowd)[HOME]
    assert len(slot.current) == 3000
    assert len(slot.contradictions) == sum(min(at, NEAREST) for at in range(3000))
    back_and_forth = [stated(("Lisbon", "Porto")[at % 2], at, seq=at) for at in range(20_000)]
    assert len(resolve(back_and_forth)[HOME].superseded) == 19_999


@pytest.mark.parametrize("time", [float("nan"), float("inf"), float("-inf")])
def test_a_time_has_to_be_a_number(time):
    with pytest.raises(InputError, match="POSIX"):
        resolve([replace(stated("Lisbon"), holds_from=time)])


@pytest.mark.parametrize("window", [-1.0, float("nan")])
def test_a_window_has_to_be_a_number(window):
    with pytest.raises(InputError, match="0 or more"):
        resolve([], window)


def test_slots_are_found_by_any_wording_and_their_contradictions_together():
    found = resolve(
        [stated("Lisbon"), stated("Porto", source="b", seq=1), stated("Rome", relation="born in", subject="Bob")]
    )
    slot = found.about("ANA", "resides in")
    assert slot is not None
    assert found.contradictions() == slot.contradictions != ()
    assert found.about("Ana", "age") is None
    assert resolve([]) == {}
