"""The embedded store: one SQLite file."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from remanence.cubes import MemCube, Page, State
from remanence.drafts import Draft, Keys
from remanence.errors import ForgetIncompleteError, StoreError
from remanence.policies import Clearance, Clock, utc_now
from remanence.settings import Settings
from remanence.store import claimed, rows
from remanence.store.cleared import IN_TIME, cleared, withheld
from remanence.store.connections import Connections
from remanence.store.derived import Derived, retire_children, standing
from remanence.store.erasure import erase
from remanence.store.grants import Grants
from remanence.store.imported import imported
from remanence.store.jobs import Jobs
from remanence.store.ledger import Ledger
from remanence.store.lifecycle import Lifecycle, frozen, hold
from remanence.store.payloads import Payloads
from remanence.store.placing import placed
from remanence.store.protocol import Change, Checked, Erased, IndexRow, Replay
from remanence.store.repeated import keep_replay, known_marks, replayed
from remanence.store.scrubbing import residue, scrub
from remanence.store.shares import METHOD as SHARED
from remanence.store.timeline import Timeline
from remanence.store.tombstones import Tombstones
from remanence.store.trusted import Trusted
from remanence.store.verification import verify

_LOG = logging.getLogger("remanence")
_OF_TEXT = "NOT EXISTS (SELECT 1 FROM cubes c WHERE c.seq = keys.seq AND c.form <> 'text')"
_PAYLOADS = "cubes WHERE superseded_at IS NULL AND payload IS NOT NULL"
_MANY = 500  # SQLite takes a bounded number of parameters per statement


class SQLiteStore:
    """`protocol.Store` on one file, or on `:memory:`."""

    def __init__(self, location: str | Path, settings: Settings, clock: Clock = utc_now) -> None:
        self.connections = Connections(str(location), settings)
        """For the parts of this store that stand in files of their own."""
        self.clock = clock
        self.derived = Derived(self.connections, clock)
        self.lifecycle = Lifecycle(self.connections, clock)
        self.grants = Grants(self.connections)
        self.tombstones = Tombstones(self.connections)
        self.trusted = Trusted(self.connections, clock)
        self.timeline = Timeline(self.connections)
        self.ledger = Ledger(self.connections)
        self.payloads = Payloads(self.connections, settings, clock)
        self.jobs = Jobs(self.connections)
        self._secret: bytes | None = None
        try:
            self._finish_erasures()
        except BaseException:  # nobody would close what was never handed out
            self.connections.close()
            raise

    def _finish_erasures(self) -> None:
        """Clean up after an erasure that was cut off between its commit and its clean-up, if nobody is in the way."""
        if self.note("scrub") is None:
            return
        try:
            with self.connections.impatient():
                self.scrub()
        except ForgetIncompleteError as error:  # the next forget or opening tries again; the rows are gone already
            _LOG.warning("%s", error)

    @property
    def location(self) -> str:
        return self.connections.location

    def close(self) -> None:
        self.payloads.close()
        self.connections.close()

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def append(
        self, items: Sequence[Draft | str], replay: Replay | None = None, earlier: Sequence[str] = (),
        clearance: Clearance | None = None,
    ) -> list[str]:  # fmt: skip
        ids: list[str] = []
        if replay is None and all(isinstance(item, str) for item in items):
            return [str(item) for item in items]  # nothing to write: spare the disk a sync
        with self.connections.write() as connection:
            if replay and (first := replayed(connection, replay)) is not None:  # another caller was first
                return [one for one in first if one not in earlier]
            for draft in standing(connection, items):
                if isinstance(draft, str):
                    ids.append(draft)
                    continue
                space = self._space_for_writing(connection, draft.cube.scope.space)
                known = known_marks(connection, [draft.mark], space, clearance) if draft.mark else {}
                if draft.mark in known:
                    ids.append(known[draft.mark])
                    continue
                seq = rows.insert(connection, _quarantined(draft), space, None, "add")
                if draft.held:
                    hold(connection, (space, seq, seq), draft.cube, draft.held)
                ids.append(draft.cube.id)
            if replay:
                space = self._space_for_writing(connection, replay.space)
                keep_replay(connection, space, replay, [*earlier, *ids], self.clock())
        return ids

    def replayed(self, replay: Replay) -> list[str] | None:
        with self.connections.read() as connection:
            return replayed(connection, replay)

    def known(self, marks: Sequence[bytes], space: str, clearance: Clearance | None = None) -> dict[bytes, str]:
        with self.connections.read() as connection:
            number = _space_number(connection, space)
            return {} if number is None else known_marks(connection, marks, number, clearance)

    def supersede(self, draft: Draft) -> bool:
        cube = draft.cube
        with self.connections.write() as connection:
            row = connection.execute(
                "SELECT seq, root, space, version, superseded_at, state, given_to, method FROM cubes WHERE id = ? ORDER BY version DESC",
                (cube.id,),
            ).fetchone()
            if row is None:
                raise rows.unknown(cube.id)
            if row[7] == SHARED:
                raise rows.shared(cube.id)
            if row[5] == State.FROZEN:
                raise frozen(cube.id)
            if row[4]:
                raise rows.retired(cube.id, row[5])
            if row[3] + 1 != cube.version:
                return False
            rows.close(connection, row[0], rows.earlier(row[6], cube.valid_from), cube.recorded_at)
            rows.cut_short(connection, cube.id, cube.valid_from)
            rows.insert(connection, draft, row[2], row[1], "correct")
            retire_children(connection, cube)
        return True

    def restore(self, drafts: Sequence[Draft]) -> int:
        with self.connections.write() as connection:
            return sum(
                imported(connection, draft, self._space_for_writing(connection, draft.cube.scope.space))
                for draft in drafts
            )

    def rekey(self, keys: Mapping[int, Keys]) -> None:
        with self.connections.write() as connection:
            for seq, new in keys.items():
                row = connection.execute(
                    f"SELECT c.space, {rows.CUBE} FROM {rows.CUBES} WHERE c.seq = ?", (seq,)
                ).fetchone()
                if row is not None:  # forgotten meanwhile
                    rows.insert_keys(connection, seq, row[0], new)
                    claimed.insert(connection, seq, row[0], claimed.by_rules(rows.cube_of(row[1:])))

    def set_note(self, name: str, value: str) -> None:
        with self.connections.write() as connection:
            connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))

    def offer_note(self, name: str, value: str) -> str:
        with self.connections.write() as connection:
            connection.execute("INSERT OR IGNORE INTO notes VALUES (?, ?)", (name, value))
            return connection.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()[0]

    def drop_note(self, name: str) -> None:
        with self.connections.write() as connection:
            connection.execute("DELETE FROM notes WHERE name = ?", (name,))

    def _space_for_writing(self, connection: sqlite3.Connection, name: str) -> int:
        number = _space_number(connection, name)
        if number is None:
            number = connection.execute("INSERT INTO spaces (name) VALUES (?)", (name,)).lastrowid
            assert number is not None
        return number

    # ── forgetting ───────────────────────────────────────────────────────────────────────────────────────────────────

    def erase(self, cube_ids: Sequence[str], space: str | None = None) -> Erased:
        return erase(self.connections, cube_ids, space, self.clock())

    def scrub(self) -> None:
        self.payloads.sweep()
        scrub(self.connections)

    def residue(self, traces: Sequence[bytes]) -> list[bytes]:
        return residue(self.connections, traces)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def get(self, cube_id: str, space: str | None = None, clearance: Clearance | None = None) -> MemCube:
        return self.versions(cube_id, space, clearance)[-1]

    def versions(self, cube_id: str, space: str | None = None, clearance: Clearance | None = None) -> list[MemCube]:
        seen, values = cleared(clearance)
        with self.connections.read() as connection:
            found = connection.execute(
                f"SELECT {rows.CUBE} FROM {rows.CUBES} WHERE c.id = ? AND (? IS NULL OR s.name = ?){seen} ORDER BY c.version",
                (cube_id, space, space, *values),
            ).fetchall()
        if not found:
            raise rows.unknown(cube_id)
        return [rows.cube_of(row) for row in found]

    def page(
        self, space: str, limit: int, after: str | None, filters: Mapping[str, str], clearance: Clearance | None = None
    ) -> Page:
        # Names come from Memory.list, never from outside.
        scope = "".join(f" AND c.{name} = ?" for name in filters)
        within = f"FROM {rows.CUBES} WHERE s.name = ? AND c.superseded_at IS NULL AND c.root > ?{scope}"
        asked, (seen, values) = (space, rows.cursor(after), *filters.values()), cleared(clearance)
        with self.connections.read() as connection:
            found = connection.execute(
                f"SELECT c.root, {rows.CUBE} {within}{seen} ORDER BY c.root LIMIT ?", (*asked, *values, limit + 1)
            ).fetchall()
            last = found[limit - 1][0] if len(found) > limit else None
            kept_back = 0
            if clearance is not None:
                unseen, hidden = withheld(clearance)
                count = f"SELECT count(*) {within}{unseen} AND (? IS NULL OR c.root <= ?)"
                [(kept_back,)] = connection.execute(count, (*asked, *hidden, last, last))
        page = Page([rows.cube_of(row[1:]) for row in found[:limit]], None if last is None else str(last))
        page.withheld = kept_back
        return page

    def standing(self, space: str, filters: Mapping[str, str], clearance: Clearance | None = None) -> list[MemCube]:
        seen, values = cleared(clearance)
        scope = "".join(f" AND (c.{name} IS NULL OR c.{name} = ?)" for name in filters)
        with self.connections.read() as connection:
            found = connection.execute(
                # Left to itself SQLite walks over the whole space: an index that holds few rows looks like any other to it.
                f"SELECT {rows.CUBE} FROM cubes c INDEXED BY cubes_standing JOIN spaces s ON s.number = c.space "
                "WHERE c.space = (SELECT number FROM spaces WHERE name = ?) AND "
                "c.standing IS NOT NULL AND c.superseded_at IS NULL AND c.kind IN ('procedure', 'preference')"
                f"{scope}{seen} ORDER BY c.root",
                (space, *filters.values(), *values),
            ).fetchall()
        return [rows.cube_of(row) for row in found]

    def beside(self, cube: MemCube, clearance: Clearance | None = None) -> list[MemCube]:
        with self.connections.read() as connection:
            seen, values = cleared(clearance)
            now = self.clock().isoformat()
            return rows.beside(connection, cube, seen + IN_TIME, (*values, now))

    def fetch(self, space: str, seqs: Sequence[int], clearance: Clearance | None = None) -> dict[int, MemCube]:
        found: dict[int, MemCube] = {}
        seen, values = cleared(clearance)
        with self.connections.read() as connection:
            for at in range(0, len(seqs), _MANY):
                some = seqs[at : at + _MANY]
                holes = ", ".join("?" * len(some))
                for row in connection.execute(
                    f"SELECT c.seq, {rows.CUBE} FROM {rows.CUBES} WHERE s.name = ? AND c.seq IN ({holes}){seen}",
                    (space, *some, *values),
                ):
                    found[row[0]] = rows.cube_of(row[1:])
        return found

    def matching(self, space: str, meta: Mapping[str, Any], clearance: Clearance | None = None) -> list[int]:
        conditions, values = "", list[Any]()
        for name, value in meta.items():
            kinds = rows.JSON_TYPES[type(value)]
            conditions += f" AND EXISTS (SELECT 1 FROM json_each(c.meta) e WHERE e.key = ? AND e.type IN ({kinds}) AND e.value IS ?)"
            values += [name, value]
        seen, own = cleared(clearance)
        with self.connections.read() as connection:
            found = connection.execute(
                f"SELECT c.seq FROM {rows.CUBES} WHERE s.name = ?{conditions}{seen} ORDER BY c.seq",
                (space, *values, *own),
            ).fetchall()
        return [row[0] for row in found]

    def everything(self, space: str | None = None) -> Iterator[tuple[MemCube, Keys]]:
        with self.connections.read() as connection:
            found = connection.execute(
                f"SELECT {rows.KEYS}, {rows.CUBE} FROM {rows.CUBES} JOIN keys k ON k.seq = c.seq "
                "WHERE c.form = 'text' AND (? IS NULL OR s.name = ?) ORDER BY c.seq",
                (space, space),
            )
            if self.connections.in_memory:  # its only connection would show what is written meanwhile
                found = found.fetchall()
            for row in found:
                yield rows.cube_of(row[5:]), Keys(*row[:5])

    def numbered(self, after: int, limit: int) -> list[tuple[int, MemCube]]:
        with self.connections.read() as connection:
            found = connection.execute(
                f"SELECT c.seq, {rows.CUBE} FROM {rows.CUBES} WHERE c.seq > ? ORDER BY c.seq LIMIT ?", (after, limit)
            ).fetchall()
        return [(row[0], rows.cube_of(row[1:])) for row in found]

    def spaces(self) -> list[str]:
        with self.connections.read() as connection:
            return [row[0] for row in connection.execute("SELECT name FROM spaces ORDER BY name")]

    def counts(self, spaces: Sequence[str] | None = None) -> dict[str, int]:
        mine = "space IN (SELECT number FROM spaces WHERE name IN (SELECT value FROM json_each(:spaces)))"
        within = "1" if spaces is None else mine
        questions = {
            "cubes": f"SELECT count(*) FROM cubes WHERE superseded_at IS NULL AND form = 'text' AND {within}",
            "versions": f"SELECT count(*) FROM cubes WHERE {within}",
            "spaces": f"SELECT count(*) FROM spaces WHERE {within.replace('space IN', 'number IN')}",
            "entries": f"SELECT count(*) FROM journal WHERE {within}",
            "without_vector": f"SELECT count(*) FROM keys WHERE vector IS NULL AND {_OF_TEXT} AND {within}",
            "payloads": f"SELECT count(*) FROM {_PAYLOADS} AND {within}",
            "payload_bytes": f"SELECT coalesce(sum(json_extract(payload, '$.size')), 0) FROM {_PAYLOADS} AND {within}",
            "bytes": "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
        }
        asked = {"spaces": json.dumps(spaces)}
        with self.connections.read() as connection:
            return {name: connection.execute(sql, asked).fetchone()[0] for name, sql in questions.items()}

    def sizes(self) -> dict[str, int]:
        with self.connections.read() as connection:
            return dict(
                connection.execute(
                    "SELECT s.name, count(c.seq) FROM spaces s LEFT JOIN cubes c ON c.space = s.number "
                    "AND c.superseded_at IS NULL GROUP BY s.number ORDER BY s.name"
                ).fetchall()
            )

    def head(self) -> int:
        with self.connections.read() as connection:
            return _head(connection)

    @contextmanager
    def snapshot(self, space: str) -> Generator[tuple[int, Iterator[IndexRow]]]:
        with self.connections.read() as connection:
            found = connection.execute(
                f"SELECT {rows.INDEX} FROM cubes c {rows.INDEXED} WHERE c.space = ? AND c.form = 'text' ORDER BY c.root, c.seq",
                (_space_number(connection, space),),
            )
            yield _head(connection), map(IndexRow._make, found)

    def changes(self, space: str, after: int) -> tuple[int, list[Change], dict[int, IndexRow]]:
        with self.connections.read() as connection:
            head = _head(connection)
            number = _space_number(connection, space)
            entries = connection.execute(
                "SELECT op, root, seq FROM journal WHERE space = ? AND entry > ? ORDER BY entry", (number, after)
            ).fetchall()
            found = connection.execute(
                f"SELECT {rows.INDEX} FROM journal j JOIN cubes c ON c.seq = j.seq {rows.INDEXED} "
                "WHERE j.space = ? AND j.entry > ? AND c.form = 'text'",
                (number, after),
            ).fetchall()
        return head, [Change(*entry) for entry in entries], {row[0]: IndexRow._make(row) for row in found}

    def note(self, name: str) -> str | None:
        with self.connections.read() as connection:
            row = connection.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def secret(self) -> bytes:
        if self._secret is None:
            self._secret = bytes.fromhex(self.note("secret") or "")
        return self._secret

    def verify(self) -> Checked:
        return self.payloads.checked(verify(self.connections))

    def backup(self, path: Path) -> None:
        with self.connections.read() as connection:
            try:
                with placed(path) as partial, closing(sqlite3.connect(partial)) as copy:
                    connection.backup(copy)
                self.payloads.copy_to(path)
            except (sqlite3.Error, OSError) as error:
                raise StoreError(
                    f"The backup to {path} failed: {error}.", "Check that disk's room and permissions."
                ) from error


def _quarantined(draft: Draft) -> Draft:
    """A draft as it is written: one that is held was never current."""
    if draft.held is None:
        return draft
    held = replace(draft.cube, state=State.GENERATED, hidden=True, superseded_at=draft.cube.recorded_at)
    return replace(draft, cube=held)


def _head(connection: sqlite3.Connection) -> int:
    return connection.execute("SELECT coalesce(max(entry), 0) FROM journal").fetchone()[0]


def _space_number(connection: sqlite3.Connection, name: str) -> int | None:
    row = connection.execute("SELECT number FROM spaces WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]
