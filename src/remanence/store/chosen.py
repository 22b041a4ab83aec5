"""Which memories a request to forget means, and what lies close to them. Complete: nothing here is ranked or cut off."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from remanence.language.keys import RULES
from remanence.language.tokens import stems, term_hash
from remanence.store.connections import Connections

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Vectors(NamedTuple):
    """The embeddings of the newest versions in a space."""

    ids: list[str]
    rows: NDArray[np.float32]
    """Shape (n, dimensions), unit rows."""


def by_query(connections: Connections, space: str, query: str) -> list[str]:
    """Ids of all memories of which a version, current or not, holds every content word of the query, in the order of writing.

    The stored terms only spare the reading of texts that cannot match; they are hashes, so each text is looked at itself.
    """
    wanted = set(stems(query))
    packed = [term_hash(one).to_bytes(4, "little") for one in wanted]
    with connections.read() as connection:
        fresh = connection.execute("SELECT value FROM notes WHERE name = 'rules'").fetchone() == (RULES,)
        found = connection.execute(
            "SELECT c.id, c.kind, c.text, k.terms FROM cubes c JOIN spaces s ON s.number = c.space "
            "LEFT JOIN keys k ON k.seq = c.seq WHERE s.name = ? ORDER BY c.root, c.seq",
            (space,),
        )
        return list(
            dict.fromkeys(
                cube_id
                for cube_id, kind, text, terms in found
                # the terms of a pair are those of its question alone
                if (kind == "qa" or not fresh or terms is None or all(one in terms for one in packed))
                and wanted <= set(stems(text))
            )
        )


def by_place(connections: Connections, space: str, *, source: str | None = None, user: str | None = None) -> list[str]:
    """Ids of all memories of a space, of one of its sources (a file by its path too) or users, in the order of writing."""
    with connections.read() as connection:
        found = connection.execute(
            "SELECT DISTINCT c.id, c.root FROM cubes c JOIN spaces s ON s.number = c.space WHERE s.name = ? "
            "AND (? IS NULL OR c.source = ? OR c.source = 'file:' || ?) AND (? IS NULL OR c.user = ?) ORDER BY c.root",
            (space, source, source, source, user, user),
        )
        return [cube_id for cube_id, _ in found]


def same_source(connections: Connections, sources: Collection[tuple[str, str]], gone: Collection[str]) -> list[str]:
    """Ids of current memories from these files, as (space, source), that are not among those that go."""
    left: list[str] = []
    with connections.read() as connection:
        for space, source in sorted(sources):
            found = connection.execute(
                "SELECT c.id FROM cubes c JOIN spaces s ON s.number = c.space WHERE s.name = ? AND c.source = ? "
                "AND c.superseded_at IS NULL AND c.derived_from = '[]' ORDER BY c.root",
                (space, source),
            )
            left += [cube_id for (cube_id,) in found if cube_id not in gone]
    return left


def vectors(connections: Connections, space: str) -> Vectors:
    """What the memories of a space mean, as far as they have embeddings, put away ones too."""
    import numpy as np

    with connections.read() as connection:
        found = connection.execute(
            "SELECT c.id, k.vector FROM cubes c JOIN spaces s ON s.number = c.space JOIN keys k ON k.seq = c.seq "
            "WHERE s.name = ? AND k.vector IS NOT NULL AND c.version = (SELECT max(version) FROM cubes l WHERE l.id = c.id) "
            "ORDER BY c.seq",
            (space,),
        ).fetchall()
    widths = {len(vector) for _, vector in found}
    if len(widths) != 1:  # none, or a reindex that was cut off
        return Vectors([], np.zeros((0, 0), np.float32))
    rows = np.frombuffer(b"".join(vector for _, vector in found), "<f2").reshape(len(found), -1)
    return Vectors([cube_id for cube_id, _ in found], rows.astype(np.float32))


def texts(connections: Connections, cube_ids: Sequence[str]) -> dict[str, str]:
    """What the newest versions of memories say, by id; those that are not there are left out."""
    query = "SELECT text FROM cubes WHERE id = ? ORDER BY version DESC LIMIT 1"
    with connections.read() as connection:
        found = {one: connection.execute(query, (one,)).fetchone() for one in cube_ids}
    return {one: row[0] for one, row in found.items() if row}
