from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from remanence.cubes import Kind, MemCube, Provenance, Scope
from remanence.policies import Policy
from remanence.scheduling.grouping import Read, together

AT = datetime(2026, 1, 1, tzinfo=UTC)


def cube(name, user=None, **policy):
    return MemCube(
        id=name, version=1, text=name, kind=Kind.MESSAGE, scope=Scope(user=user), provenance=Provenance(),
        recorded_at=AT, valid_from=AT, policy=Policy(**policy),
    )  # fmt: skip


def named(groups):
    return ["".join(one.id for one in group) for group in groups]


def reads(**times):
    return {name: Read(number, "f", "l") for name, number in times.items()}


TEN = dict.fromkeys("abcdef", 10)


def test_what_stood_in_one_prompt_is_a_group_in_order():
    read = {"a": Read(3, "f", "x"), "b": Read(3, "f", "y"), "c": Read(3, "f", "x"), "f": Read(1, "f", "z")}
    assert named(together(map(cube, "abcdef"), read, TEN)) == ["ac", "b", "f"]


def test_what_may_not_stand_in_one_artefact_is_kept_apart():
    some = [
        cube("a", "ana"),
        cube("b", "ben"),
        cube("c", "ana", sensitivity="x"),
        cube("d", "ana", access=("p",)),
        cube("e", "ana"),
    ]
    assert named(together(some, reads(a=1, b=1, c=1, d=1, e=1), TEN)) == ["ae", "b", "c", "d"]


def test_a_rare_memory_ends_the_run():
    assert named(together(map(cube, "abc"), reads(a=9, b=9, c=1), TEN)) == ["ab"]
    assert named(together(map(cube, "abc"), reads(a=9, b=8, c=8), TEN)) == ["abc"]
    assert named(together(map(cube, "abc"), reads(a=1, b=9, c=9), TEN)) == ["abc"]


def test_a_long_head_favours_what_is_read_more():
    read = reads(a=9, b=6)
    assert named(together(map(cube, "ab"), read, TEN)) == ["ab"]
    assert named(together(map(cube, "ab"), read, TEN, head=100)) == ["a"]


def test_no_group_is_longer_than_it_may_be():
    some = [cube(one) for one in "abcdef"]
    read = reads(**dict.fromkeys("abcdef", 2))
    assert named(together(some, read, TEN, 25)) == ["ab"]
    assert named(together(some, read, TEN, 25, anywhere=True)) == ["ab", "cd", "ef"]
    assert named(together(some, read, TEN, 5)) == ["a"]
    assert named(together(some, read, TEN, 5, anywhere=True)) == list("abcdef")


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 50)), min_size=1, max_size=8),
    st.integers(0, 200),
    st.integers(0, 60),
)
def test_the_run_is_the_best_of_all_runs(given_, most, head):
    names = [chr(97 + number) for number in range(len(given_))]
    read = {name: Read(times, "f", "l") for name, (times, _) in zip(names, given_, strict=True)}
    tokens = {name: size for name, (_, size) in zip(names, given_, strict=True)}
    [group] = together(map(cube, names), read, tokens, most, head)
    runs = [
        names[:length] for length in range(1, len(names) + 1)
        if length == 1 or not most or sum(tokens[one] for one in names[:length]) <= most
    ]  # fmt: skip
    worth = {len(run): (head + sum(tokens[one] for one in run)) * min(read[one].times for one in run) for run in runs}
    assert len(group) == max(worth, key=lambda length: (worth[length], length))
