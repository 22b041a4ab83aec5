"""What a memory left in the store, row by row; erasing all of it in one transaction; and rewriting the file."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from remanence.cubes import Form, MemCube, Payload, State
from remanence.errors import FrozenError
from remanence.store import journal, rows, scan
from remanence.store.connections import Connections
from remanence.store.derived import content_of, with_descendants
from remanence.store.lifecycle import bring_back_parents
from remanence.store.parts import Transition
from remanence.store.protocol import Erased
from remanence.store.recorded import Questions, questions_about
from remanence.store.shares import drop_shares_of

FORGETTING = "forget"
"""Who acts, in the events of what comes back when something else is forgotten."""
_COPIED = "shared"  # the method of a copy in another space
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")  # as ids of memories are
_MERGED = "merged/"  # the methods of what was made of near-duplicates, which it speaks for


@dataclass(frozen=True, slots=True)
class Target:
    """One memory that goes, with all its versions."""

    id: str
    chosen: bool
    """It was asked for; the others go because they were made of it, or it of them."""
    space: str
    number: int
    """Of the space."""
    root: int
    seqs: tuple[int, ...]
    cubes: tuple[MemCube, ...]
    """Its versions, oldest first."""
    vectors: tuple[bytes | None, ...]
    """Their embeddings as stored."""

    @property
    def last(self) -> MemCube:
        """Its newest version."""
        return self.cubes[-1]

    @property
    def merged(self) -> bool:
        """It was made of others, and speaks for them."""
        return self.last.provenance.method.startswith(_MERGED)

    @property
    def substrate(self) -> str:
        """What kind of copy it is: `memories`, `chunks`, `shared copies`, `merged products`, `pairs`, `summaries`, `derived`, `caches`, `adapters`."""
        origin, kind = self.last.provenance, self.last.kind.value
        if self.last.form is not Form.TEXT:
            return "caches" if self.last.form is Form.ACTIVATION else "adapters"
        if origin.method == _COPIED:
            return "shared copies"
        if self.merged:
            return "merged products"
        if kind in {"summary", "profile"}:
            return "summaries and profiles"
        if origin.derived_from:
            return "question-answer pairs" if kind == "qa" else "other derived memories"
        return "chunks of files" if origin.source.startswith("file:") else "memories"


@dataclass(frozen=True, slots=True)
class Survey:
    """All that the store holds of some memories. It holds their content: kept only as long as a plan or a probe needs it."""

    targets: tuple[Target, ...]
    counts: Mapping[str, int]
    """Rows by substrate."""
    values: Mapping[str, tuple[bytes, ...]]
    """What must not be found any more, by substrate: texts, meta, names, vectors, salts, readings, claims, replies …"""
    texts: tuple[str, ...]
    """The texts among them, for their other encodings."""
    reply_keys: tuple[tuple[str, bytes], ...]
    questions: tuple[int, ...]
    coming_back: tuple[str, ...]
    """Memories that were merged into one that goes, and do not go themselves: they speak for themselves again."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Of all memories that go, those that were asked for first."""
        return tuple(target.id for target in self.targets)

    @property
    def versions(self) -> int:
        """Rows of the table of cubes."""
        return sum(len(target.seqs) for target in self.targets)

    @property
    def frozen(self) -> tuple[str, ...]:
        """Ids of those that refuse every change."""
        return tuple(target.id for target in self.targets if target.last.state is State.FROZEN)

    @property
    def payloads(self) -> tuple[Payload, ...]:
        """The files of caches and adapters that go."""
        cubes = chain.from_iterable(target.cubes for target in self.targets)
        return tuple(cube.payload for cube in cubes if cube.payload is not None)

    def traces(self) -> tuple[bytes, ...]:
        """Pieces of all values, as they are stored."""
        return tuple(dict.fromkeys(piece for one in chain(*self.values.values()) for piece in scan.pieces(one)))


def survey(connection: sqlite3.Connection, chosen: Sequence[str], space: str | None) -> Survey:
    """What the store holds of these memories, of what was made of them, and of what those among them that were merged are made of.

    Raises
    ------
    UnknownCubeError
        One of the ids is not there, or not in that space.
    """
    asked = list(dict.fromkeys(chosen))
    targets = [_target(connection, one, space, chosen=True) for one in asked]
    wanted = _with_sources(connection, targets)
    everyone = with_descendants(connection, wanted)
    targets += [_target(connection, one, None, chosen=False) for one in everyone if one not in set(asked)]
    seqs = [seq for target in targets for seq in target.seqs]
    ids = [target.id for target in targets]
    cubes = [cube for target in targets for cube in target.cubes]
    found, read_vectors = _readings(connection, seqs)
    replies = _replies(connection, ids)
    asked_about = questions_about(connection, ids, cubes)
    values = {
        "texts": [cube.text.encode() for cube in cubes],
        "meta": [part for cube in cubes if cube.meta for part in _meta_parts(cube)],
        "names": [name.encode() for cube in cubes for name in _names(cube)],
        "vectors": [vector for target in targets for vector in target.vectors if vector],
        "salts": _salts(connection, seqs),
        "readings": found,
        "vectors of readings": read_vectors,
        "claims": _claims(connection, seqs),
        "cached replies": [answer.encode() for *_, answer in replies],
        "recorded questions": [text.encode() for text in asked_about.texts],
        "reasons of events": _reasons(connection, ids),
    }
    return Survey(
        targets=tuple(targets),
        counts=_counts(connection, targets, ids, seqs, len(replies), asked_about),
        values={name: tuple(dict.fromkeys(one for one in some if one)) for name, some in values.items()},
        texts=tuple(dict.fromkeys(cube.text for cube in cubes)),
        reply_keys=tuple((one[0], one[1]) for one in replies),
        questions=asked_about.numbers,
        coming_back=_merged_into(connection, targets),
    )


def _target(connection: sqlite3.Connection, cube_id: str, space: str | None, *, chosen: bool) -> Target:
    found = connection.execute(
        f"SELECT c.seq, c.root, c.space, k.vector, {rows.CUBE} FROM {rows.CUBES} LEFT JOIN keys k ON k.seq = c.seq "
        "WHERE c.id = ? AND (? IS NULL OR s.name = ?) ORDER BY c.version",
        (cube_id, space, space),
    ).fetchall()
    if not found:
        raise rows.unknown(cube_id)
    cubes = tuple(rows.cube_of(tuple(row[4:])) for row in found)
    return Target(
        id=cube_id, chosen=chosen, space=cubes[0].scope.space, number=found[0][2], root=found[0][1],
        seqs=tuple(row[0] for row in found), cubes=cubes, vectors=tuple(row[3] for row in found),
    )  # fmt: skip


def _with_sources(connection: sqlite3.Connection, targets: Sequence[Target]) -> list[str]:
    """The ids asked for, and those that the merged ones among them speak for: their texts say the same.

    A source that came back since speaks for itself, and may say something else by now.
    """
    found = dict.fromkeys(target.id for target in targets)
    waiting = [target.last for target in targets]
    while waiting:
        cube = waiting.pop()
        if not cube.provenance.method.startswith(_MERGED):
            continue
        for parent in cube.provenance.derived_from:
            row = connection.execute(
                f"SELECT {rows.CUBE} FROM {rows.CUBES} WHERE c.id = ? ORDER BY c.version DESC LIMIT 1", (parent,)
            ).fetchone()
            source = None if row is None else rows.cube_of(row)
            if source is not None and source.state is State.MERGED and parent not in found:
                found[parent] = None
                waiting.append(source)
    return list(found)


def _merged_into(connection: sqlite3.Connection, targets: Sequence[Target]) -> tuple[str, ...]:
    """What was put away for a merged memory that goes, as far as it does not go too."""
    going = {target.id for target in targets}
    parents = dict.fromkeys(
        parent
        for target in targets
        if target.merged
        for parent in target.last.provenance.derived_from
        if parent not in going
    )
    query = "SELECT state FROM cubes WHERE id = ? ORDER BY version DESC LIMIT 1"
    return tuple(one for one in parents if connection.execute(query, (one,)).fetchone() == ("merged",))


def _meta_parts(cube: MemCube) -> list[bytes]:
    """The meta as it is stored, without ids: living rows may rightly hold those, and any byte may follow one there."""
    stored = json.dumps(dict(cube.meta), ensure_ascii=False, separators=(",", ":"))
    return [part.encode() for part in _ID.split(stored) if any(map(str.isalnum, part))]


def _names(cube: MemCube) -> list[str]:
    origin, scope = cube.provenance, cube.scope
    names = (cube.about, origin.author, scope.user, scope.agent, scope.session, origin.source, *_policy_names(cube))
    return [name for name in names if name]


def _policy_names(cube: MemCube) -> list[str]:
    policy = cube.policy
    return [policy.sensitivity or "", *policy.access, *(policy.trigger.words if policy.trigger else ())]


def _salts(connection: sqlite3.Connection, seqs: Sequence[int]) -> list[bytes]:
    return [connection.execute("SELECT salt FROM cubes WHERE seq = ?", (seq,)).fetchone()[0] for seq in seqs]


def _readings(connection: sqlite3.Connection, seqs: Sequence[int]) -> tuple[list[bytes], list[bytes]]:
    texts, vectors = list[str](), list[bytes]()
    for seq in seqs:
        row = connection.execute("SELECT content, vectors FROM extractions WHERE seq = ?", (seq,)).fetchone()
        if row is None:
            continue
        content = content_of(row[0])
        texts += [*content.entities, *content.statements, content.about or ""]
        texts += [part for fact in content.facts for part in (fact.subject, fact.relation, fact.value)]
        vectors.append(row[1] or b"")
    return [text.encode() for text in texts], vectors


def _claims(connection: sqlite3.Connection, seqs: Sequence[int]) -> list[bytes]:
    found = (connection.execute("SELECT subject, relation, value FROM claims WHERE seq = ?", (seq,)) for seq in seqs)
    return [part.encode() for row in chain.from_iterable(found) for part in row]


def _replies(connection: sqlite3.Connection, ids: Sequence[str]) -> list[tuple[str, bytes, str]]:
    query = "SELECT r.space, r.key, r.answer FROM replies r JOIN reply_sources q ON q.space = r.space AND q.key = r.key WHERE q.id = ?"
    return list(dict.fromkeys(row for one in ids for row in connection.execute(query, (one,))))


def _reasons(connection: sqlite3.Connection, ids: Sequence[str]) -> list[bytes]:
    found = (connection.execute("SELECT reason FROM events WHERE id = ?", (one,)) for one in ids)
    return [reason.encode() for (reason,) in chain.from_iterable(found)]


def _counts(
    connection: sqlite3.Connection, targets: Sequence[Target], ids: Sequence[str], seqs: Sequence[int], replies: int,
    questions: Questions,
) -> dict[str, int]:  # fmt: skip
    found: dict[str, int] = {}
    for target in targets:
        found[target.substrate] = found.get(target.substrate, 0) + 1
    found |= _by_table(connection, ids, seqs)
    found |= {"cached replies": replies, "recorded questions": len(questions.numbers)}
    found["idempotency keys"] = len(_naming(connection, "replays", "ids", ids))
    found["access log entries, ids only"] = len(_naming(connection, "access_log", "cubes", ids))
    return {name: count for name, count in found.items() if count}


ROWS: Mapping[str, tuple[str, str]] = {
    "versions": ("cubes", "seq"),
    "keys: words, days, names and vectors": ("keys", "seq"),
    "readings": ("extractions", "seq"),
    "claims": ("claims", "seq"),
    "lineage to what was made": ("lineage", "parent"),
    "lineage from what it was made of": ("lineage", "child"),
    "events": ("events", "id"),
    "usage": ("usage", "id"),
    "reads by models": ("reads", "id"),
    "uses of caches and adapters": ("payload_uses", "id"),
    "shares": ("shares", "cube"),
    "sources of cached replies": ("reply_sources", "id"),
}
"""Tables whose rows belong to one memory: by the number of a version, or by the id."""


def _by_table(connection: sqlite3.Connection, ids: Sequence[str], seqs: Sequence[int]) -> dict[str, int]:
    return {
        name: scan.by_rows(connection, table, column, seqs if column == "seq" else ids)
        for name, (table, column) in ROWS.items()
    }


def recount(connection: sqlite3.Connection, found: Survey) -> dict[str, int]:
    """Rows by substrate that are still there of what was surveyed."""
    seqs = [seq for target in found.targets for seq in target.seqs]
    left = _by_table(connection, found.ids, seqs)
    for target in found.targets:
        left[target.substrate] = left.get(target.substrate, 0) + scan.by_rows(connection, "cubes", "id", [target.id])
    left["cached replies"] = sum(
        connection.execute("SELECT count(*) FROM replies WHERE space = ? AND key = ?", one).fetchone()[0]
        for one in found.reply_keys
    )
    left["recorded questions"] = scan.by_rows(connection, "questions", "n", found.questions)
    return left


def _naming(connection: sqlite3.Connection, table: str, column: str, ids: Sequence[str]) -> set[object]:
    """Rows whose JSON list of ids names one of these. The key is the list itself: equal lists count once."""
    wanted = set(ids)
    rows_ = connection.execute(f"SELECT DISTINCT {column} FROM {table}").fetchall() if wanted else []
    return {text for (text,) in rows_ if wanted.intersection(json.loads(text))}


# ── erasing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

Also = Callable[[sqlite3.Connection, Survey], None]
"""More to do in the transaction of an erasure, when the rows are gone."""


def erase(
    connections: Connections, cube_ids: Sequence[str], space: str | None, now: datetime, also: Also | None = None
) -> Erased:
    """Delete all versions of these memories, what was read out of them and the memories made from them; note that a scrub is due.

    What had gone into a merged memory that goes, and does not go itself, comes back.

    Raises
    ------
    UnknownCubeError
        One of the ids is not there. Nothing was erased.
    FrozenError
        One of the memories that would go is frozen. Nothing was erased.
    """
    with connections.write() as connection:
        found = survey(connection, cube_ids, space)
        refuse_frozen(found)
        _delete(connection, found, now)
        for target in found.targets:
            journal.append(connection, "forget", (target.number, target.root, target.seqs[-1]), target.last, b"")
        if also:
            also(connection, found)
        connection.execute("INSERT OR REPLACE INTO notes SELECT 'scrub', max(entry) FROM journal")
    return Erased(found.ids, found.versions, found.traces(), found)


def refuse_frozen(found: Survey) -> None:
    """FrozenError where something of it refuses every change."""
    if found.frozen:
        raise FrozenError(
            f"Nothing was erased: frozen is {', '.join(found.frozen)}.",
            "Unfreeze it first: remanence state unfreeze ID, or memory.lifecycle.unfreeze(id).",
        )


_BY_ID = (("events", "id"), ("usage", "id"), ("reads", "id"), ("payload_uses", "id"), ("reply_sources", "id"))


def _delete(connection: sqlite3.Connection, found: Survey, now: datetime) -> None:
    for seq in (seq for target in found.targets for seq in target.seqs):
        for table in ("claims", "extractions", "keys", "cubes"):
            connection.execute(f"DELETE FROM {table} WHERE seq = ?", (seq,))
    back = Transition("", State.ACTIVE, "another memory that it had been merged with was forgotten", FORGETTING)
    for target in found.targets:
        if target.merged:  # its own rows are gone by now: what comes back are the others
            bring_back_parents(connection, target.id, back, now)
    for cube_id in found.ids:
        connection.execute("DELETE FROM lineage WHERE parent = ? OR child = ?", (cube_id, cube_id))
        for table, column in _BY_ID:
            connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (cube_id,))
        drop_shares_of(connection, cube_id)
    for table in ("replies", "reply_sources"):
        connection.executemany(f"DELETE FROM {table} WHERE space = ? AND key = ?", found.reply_keys)
    connection.executemany("DELETE FROM questions WHERE n = ?", [(number,) for number in found.questions])
    _forget_replays(connection, set(found.ids))
    for named in _naming(connection, "jobs", "ids", found.ids):
        connection.execute("DELETE FROM jobs WHERE ids = ?", (named,))


def _forget_replays(connection: sqlite3.Connection, gone: set[str]) -> None:
    """Keep the idempotency key, so that a repeated call brings nothing back, but not the digest of what was asked."""
    for text in _naming(connection, "replays", "ids", list(gone)):
        left = json.dumps([one for one in json.loads(str(text)) if one not in gone])
        connection.execute("UPDATE replays SET request = x'', ids = ? WHERE ids = ?", (left, text))
