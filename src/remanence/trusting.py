"""Quarantine and sources: what was held, what comes out of it, and who is believed no more."""

from __future__ import annotations

from collections.abc import Sequence

from remanence.arguments import count, identity
from remanence.cubes import DEFAULT_SPACE, MemCube, Page, State
from remanence.errors import InputError, TransitionError, UnknownSpaceError
from remanence.governance.access import Gate, Operation
from remanence.governance.screen import Suspicion, screen
from remanence.policies import Trust
from remanence.rooms import Rooms
from remanence.store.parts import Transition
from remanence.store.trusted import Revoked, RevokedSource
from remanence.write.messages import name
from remanence.write.messages import text as checked_text

_MOST = 10_000


class Trusting:
    """`memory.trust`."""

    def __init__(self, rooms: Rooms, gate: Gate) -> None:
        self._rooms, self._gate = rooms, gate

    def quarantined(self, *, space: str = DEFAULT_SPACE, limit: int = 100, after: str | None = None) -> Page:
        """Memories that are held, oldest first. `why` tells the reason of each; `after` takes the `cursor` of the page before."""
        self._gate.check(Operation.TRUST, space)
        self._rooms.has_space(space)
        return self._rooms.store.lifecycle.in_state(space, State.GENERATED, count(limit, "limit", _MOST), after)

    def why(self, cubes: Sequence[MemCube]) -> dict[str, str]:
        """Why memories are held, by id; those that are not held are left out."""
        for cube in cubes:
            self._gate.locate(Operation.TRUST, cube.id, cube.scope.space)
        return self._rooms.store.trusted.held([cube.id for cube in cubes])

    def release(self, cube_id: str | MemCube, reason: str = "released", *, space: str | None = None) -> MemCube:
        """Let a held memory in: it becomes active, and recall finds it.

        Raises
        ------
        UnknownCubeError
            No such memory.
        TransitionError
            It is not held.
        """
        return self._moved(cube_id, State.ACTIVE, reason, space)

    def reject(self, cube_id: str | MemCube, reason: str = "rejected", *, space: str | None = None) -> MemCube:
        """Put a held memory away for good; `forget` erases it. Raises as `release`."""
        return self._moved(cube_id, State.ARCHIVED, reason, space)

    def revoke(self, source: str, reason: str, *, space: str = DEFAULT_SPACE) -> Revoked:
        """Believe a source no more: what it wrote is put away, its corrections are undone, and nothing more is taken from it.

        A source is what `add` was told, a file as `file:path`, or an address; what lies below it, the pages of a site or the files of
        a folder, goes with it. What was made from its memories goes too. One durable transaction; `accept` reverses it.

        Raises
        ------
        UnknownSpaceError
            Nothing was ever written to this space.
        """
        named, why = _source(source), checked_text(reason, "The reason", 1000)
        self._gate.check(Operation.TRUST, space)
        if not self._rooms.has_space(space):
            raise UnknownSpaceError(f"Nothing was ever written to the space {space!r}.", "Check its spelling.")
        return self._rooms.store.trusted.revoke(space, named, why, self._gate.name)

    def accept(self, source: str, *, space: str = DEFAULT_SPACE) -> Revoked:
        """Believe a revoked source again: what was put away comes back, its corrections count again.

        What was made from its memories is not brought back; consolidation makes it anew.

        Raises
        ------
        InputError
            The source is not revoked.
        """
        named = _source(source)
        self._gate.check(Operation.TRUST, space)
        if all(one.source != named for one in self._rooms.store.trusted.revoked(space)):
            raise InputError(
                f"The source {named!r} is not revoked in the space {space!r}.", "See: remanence trust sources"
            )
        return self._rooms.store.trusted.accept(space, named, self._gate.name)

    def sources(self, *, space: str = DEFAULT_SPACE) -> list[RevokedSource]:
        """The sources that are believed no more, oldest first."""
        self._gate.check(Operation.TRUST, space)
        return self._rooms.store.trusted.revoked(space)

    def screen(self, text: str, trust: Trust | str = Trust.UNKNOWN) -> Suspicion | None:
        """What would speak against a text of this tier; None if nothing. Bursts and echoes show only when it is written."""
        try:
            tier = Trust(trust)
        except ValueError:
            raise InputError(f"trust is {trust!r}.", f"Use one of: {', '.join(Trust)}.") from None
        return screen(checked_text(text, "The text", self._rooms.settings.max_text), tier)

    def _moved(self, cube_id: str | MemCube, to: State, reason: str, space: str | None) -> MemCube:
        one, why = identity(cube_id), checked_text(reason, "The reason", 1000)
        where, _ = self._gate.locate(Operation.TRUST, one, space)
        last = self._rooms.store.get(one, where)
        if last.state is not State.GENERATED:
            raise TransitionError(
                f"The memory {one} is {last.state.value}, not held.", "See: remanence trust quarantined"
            )
        [moved] = self._rooms.store.lifecycle.change([Transition(one, to, why, self._gate.name, where)])
        if to is State.ACTIVE:
            self._rooms.wrote()
        return moved


def _source(source: object) -> str:
    found = name(source, "source")
    if found is None:
        raise InputError("There is no source.", "Pass the source as `add` was told it, or `file:path`.")
    return found
