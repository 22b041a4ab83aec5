"""What is held when it is written, and what is refused: screening, bursts, echoes and revoked sources, in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from remanence.errors import SourceRevokedError
from remanence.governance.bursts import LEAST, RECENT, REPEATING, bursts
from remanence.governance.echoes import is_echo, probes
from remanence.governance.screen import screen

if TYPE_CHECKING:
    from remanence.cubes import MemCube
    from remanence.policies import Trust
    from remanence.settings import Settings
    from remanence.store.protocol import Store

    Writer = tuple[str, str | None, Trust]
    """Source, author and tier."""


class Quarantine:
    """The guard of one store's door."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._is_on = store, settings.quarantine == "on"

    def refuse(self, cubes: Sequence[MemCube]) -> None:
        """Stop a write that something from a revoked source is part of, before any of it is written.

        Raises
        ------
        SourceRevokedError
            A source was revoked.
        """
        for space in {cube.scope.space for cube in cubes}:
            revoked = self._store.trusted.revoked(space)
            for cube in cubes if revoked else ():
                by = next((one for one in revoked if is_from(cube.provenance.source, one.source)), None)
                if by is not None and cube.scope.space == space:
                    raise SourceRevokedError(
                        f"The source {by.source!r} was revoked: {by.reason}",
                        "Nothing was written. Believe it again with: remanence trust accept SOURCE",
                    )

    def reasons(self, cubes: Sequence[MemCube]) -> dict[str, str]:
        """Why some of a batch of one space are to be held, by id."""
        if not self._is_on or not cubes:
            return {}
        found = self._echoes(cubes)
        writers: dict[Writer, list[MemCube]] = {}
        for cube in cubes:
            if cube.id in found:
                continue
            title = "\n".join(filter(None, (cube.about, cube.provenance.author)))
            suspicion = screen(cube.text, cube.trust) or (screen(title, cube.trust) if title else None)
            if suspicion is not None:
                found[cube.id] = str(suspicion)
            else:
                writers.setdefault((cube.provenance.source, cube.provenance.author, cube.trust), []).append(cube)
        return found | self._bursts(writers)

    def _bursts(self, writers: Mapping[Writer, Sequence[MemCube]]) -> dict[str, str]:
        """What is part of a burst, by id; the texts that were written before are read once for all writers."""
        found: dict[str, str] = {}
        suspects = {writer: some for writer, some in writers.items() if writer[2] not in REPEATING}
        if not suspects:
            return found
        newest = self._store.trusted.newest(next(iter(suspects.values()))[0].scope.space)
        for (source, author, trust), some in suspects.items():
            own = [text for theirs, name, text in newest if (theirs, name) == (source, author)][:RECENT]
            if len(own) + len(some) < LEAST:
                continue
            others = [text for theirs, name, text in newest if (theirs, name) != (source, author)][:RECENT]
            for place, suspicion in bursts([cube.text for cube in some], trust, own, others).items():
                found[some[place].id] = str(suspicion)
        return found

    def _echoes(self, cubes: Sequence[MemCube]) -> dict[str, str]:
        space, secret = cubes[0].scope.space, self._store.secret()
        if not self._store.trusted.has_echoes(space):
            return {}
        looked = {cube.id: probes(cube.text, secret) for cube in cubes}
        known = self._store.trusted.echoed(space, [digest for found in looked.values() for digest, _ in found])
        return {
            cube_id: "own output: this memory answered so before, and does not learn it from itself"
            for cube_id, found in looked.items()
            if is_echo(found, known)
        }


def is_from(source: str, revoked: str) -> bool:
    """Whether a source is the revoked one, or lies below it: a page of a site, a file of a folder."""
    return source == revoked or source.startswith(revoked.rstrip("/") + "/")
