"""Standing instructions: procedures and preferences that hold for a question although they are not similar to it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from remanence.cubes import Kind, MemCube, Scope, posix
from remanence.language.tokens import folded, stems
from remanence.policies import Clearance, Trigger, Trust
from remanence.store.protocol import Store

MOST = 16
"""Instructions that one question brings."""
CHARACTERS = 4000
"""Their texts together."""


class Standing(NamedTuple):
    """What holds for a question."""

    cubes: tuple[MemCube, ...]
    """By priority, then the newest first."""
    left_out: int
    """How many more were triggered and did not fit."""


def standing(found: Iterable[MemCube], question: str, now: datetime) -> Standing:
    """Those of some current instructions that a question triggers, as many as fit.

    One that has expired by `now`, or does not hold yet or any more, is no instruction. A text that is too long for what is
    left is passed over for a shorter one.
    """
    asked = _Asked(question)
    fired = [
        cube
        for cube in found
        if _holds(cube, now) and cube.policy.trigger is not None and _fires(cube.policy.trigger, asked)
    ]
    fired.sort(key=lambda cube: (-cube.policy.priority, -posix(cube.recorded_at), cube.id))
    kept: list[MemCube] = []
    room = CHARACTERS
    for cube in fired:
        if len(kept) < MOST and len(cube.text) <= room:
            room -= len(cube.text)
            kept.append(cube)
    return Standing(tuple(kept), len(fired) - len(kept))


def held(
    store: Store, question: str, scope: Scope, clearance: Clearance | None, kinds: Collection[Kind] | None
) -> tuple[tuple[MemCube, ...], tuple[str, ...]]:
    """The instructions that a question brings up in a scope, and a note on those that did not fit.

    An instruction without a user is for all users of the space; one of another user is for nobody else. So for agents and sessions.
    """
    filters = {name: value for name in ("user", "agent", "session") if (value := getattr(scope, name)) is not None}
    some = store.standing(scope.space, filters, clearance)
    if not some:
        return (), ()
    found = standing([cube for cube in some if kinds is None or cube.kind in kinds], question, store.clock())
    note = f"{found.left_out} more standing instructions were brought up and did not fit."
    return found.cubes, (note,) if found.left_out else ()


def followed(cubes: Iterable[MemCube]) -> tuple[MemCube, ...]:
    """Those that may be handed to a model as instructions: the user's own. All others are data."""
    return tuple(cube for cube in cubes if cube.trust is Trust.USER)


def fires(trigger: Trigger, question: str) -> bool:
    """Whether a question brings an instruction up: always, or by one of its phrases.

    A phrase fires when its stems stand together in the question, stop words aside; one of stop words only when its words do.
    """
    return _fires(trigger, _Asked(question))


class _Asked:
    """A question as words and as stems."""

    def __init__(self, question: str) -> None:
        self.stems, self.words = stems(question), _words(question)


def _fires(trigger: Trigger, asked: _Asked) -> bool:
    return trigger.always or any(
        _within(own, asked.stems) if (own := stems(phrase)) else _within(_words(phrase), asked.words)
        for phrase in trigger.words
    )


def _within(part: Sequence[str], whole: Sequence[str]) -> bool:
    size = len(part)
    return bool(size) and any(list(whole[at : at + size]) == list(part) for at in range(len(whole) - size + 1))


def _words(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in folded(text)).split()


def _holds(cube: MemCube, now: datetime) -> bool:
    moment, policy = posix(now), cube.policy
    return (
        cube.superseded_at is None
        and posix(cube.valid_from) <= moment
        and (cube.valid_to is None or posix(cube.valid_to) > moment)
        and (policy.expires_at is None or posix(policy.expires_at) > moment)
    )
