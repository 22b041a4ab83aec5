"""Memory: the front door, and the only place where rooms meet."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from remanence.arguments import count, identity, kind_set, meta_filter, optional_space, place, scope
from remanence.cubes import DEFAULT_SPACE, Hits, Ids, Kind, MemCube, Page
from remanence.errors import InputError, NotAStoreError, UnknownSpaceError
from remanence.forget.pipeline import Erasure, forget
from remanence.settings import Settings
from remanence.store.protocol import Checked, Store
from remanence.store.sqlite import SQLiteStore
from remanence.write.messages import Content, Message, messages, moment, name
from remanence.write.messages import text as checked_text
from remanence.write.pipeline import Progress, Target, rewritten, write

if TYPE_CHECKING:
    from remanence.encoding import Encoding
    from remanence.recall.pipeline import Recall
    from remanence.recall.profile import Profile

_MOST_HITS = 10_000

Cubes = list[MemCube]  # named here because `Memory.list` hides the builtin inside the class


@dataclass(frozen=True, slots=True)
class Stats:
    """What a store holds, and what it costs."""

    location: str
    cubes: int
    """Memories: corrections are not counted again."""
    versions: int
    spaces: int
    entries: int
    """Journal entries."""
    without_vector: int
    """Versions that dense search cannot find until `reindex`."""
    bytes: int
    """Size of the file, write-ahead log not counted."""
    memory_bytes: int
    """Bytes that the in-memory indexes of this `Memory` hold at the moment."""
    embedder: str | None
    """Fingerprint of the embedder that made the store's vectors."""
    by_space: Mapping[str, int] = field(default_factory=dict[str, int])


class Memory:
    """A memory for an application, in one file.

    ::

        with Memory("life.rem") as memory:
            memory.add("The office moved to Lisbon in May 2024.")
            print(memory.recall("Where is the office?")[0].cube.text)

    Safe to use from several threads, and from several processes on the same file: one writes at a time, all may read.
    """

    def __init__(
        self, location: str | Path | None = None, settings: Settings | None = None, *, profile: Profile | None = None
    ) -> None:
        """Open a store, created if it is missing: a path, or ":memory:" for one that ends with the process; `Settings.store`
        if none is given.

        `profile` holds the weights of recall's channels; the default is the measured one.

        Raises
        ------
        StoreError
            The file is something else, comes from a later release, or cannot be written.
        """
        self.settings = settings or Settings.from_environment()
        location = self.settings.store if location is None else location
        if str(location).startswith(("postgresql://", "postgres://")):
            raise NotAStoreError("PostgreSQL is not supported by this release.", 'Pass a path such as "life.rem".')
        self._store: Store = SQLiteStore(
            location if location == ":memory:" else place(location, "location"), self.settings
        )
        self._encoding_: Encoding | None = None
        self._recall_: Recall | None = None
        self._profile = profile
        self._opening = threading.Lock()  # two first calls at once must not open two embedders or load two indexes
        self._spaces: set[str] = set()  # seen to exist; a space never ceases to

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def add(
        self, content: Content, *, space: str = DEFAULT_SPACE, user: str | None = None, agent: str | None = None,
        session: str | None = None, source: str | None = None, idempotency_key: str | None = None,
        progress: Progress | None = None,
    ) -> Ids:  # fmt: skip
        """Remember a text, a message, or a list of them: one cube each. Returns their ids, in order, once they are durable.

        A message is a dict: `content` and, as far as known, `role` (user, assistant, system, tool, document), `name` (the
        speaker), `time` (ISO 8601 or datetime), `session`, `title` (of a document: what it is about), `kind`, `source` and
        `meta` (your own JSON, kept as it came). The same message from the same source again makes no second cube: its id
        comes back. A long list is committed in batches of `Settings.commit_every`; what was committed stays, and the same
        call again goes on from there.

        Raises
        ------
        InputError
            Something is empty, too large or of a wrong type. Nothing was written.
        IdempotencyConflictError
            `idempotency_key` was used for other content.
        StoreError
            The store could not commit. Batches before that are safe.
        """
        target = Target(scope(space, user, agent, session), name(source, "source") or "api")
        key = name(idempotency_key, "idempotency_key")
        found = messages(content, self.settings)
        return self._write(found, target, key, progress)

    def ingest(
        self, path: str | Path, *, space: str = DEFAULT_SPACE, user: str | None = None, agent: str | None = None,
        session: str | None = None, skip_unreadable: bool = False, progress: Progress | None = None,
    ) -> Ids:  # fmt: skip
        """Remember a file or a folder: .txt, .md, .html, chat exports in .json and .jsonl; .pdf and .docx with the extra `files`.

        All files are read and checked before the first cube is written. Documents become passages. Ingesting the same
        files again adds only what is new. With `skip_unreadable` a file that cannot be read does not stop the others: the
        result's `skipped` names it.

        Raises
        ------
        UnreadableFileError
            A file is missing, damaged, too large or of an unknown kind, or there is no text in any. Nothing was written.
        """
        from remanence.write.files import read_all

        target = Target(scope(space, user, agent, session), "api")
        found, skipped = read_all(place(path, "path"), self.settings, skip_unreadable=skip_unreadable)
        ids = self._write(found, target, None, progress)
        ids.skipped = skipped
        return ids

    def _write(self, found: Sequence[Message], target: Target, key: str | None, progress: Progress | None) -> Ids:
        return write(
            self._store, found, target, self._encoding.documents,
            commit_every=self.settings.commit_every, key=key, progress=progress,
        )  # fmt: skip

    def correct(
        self, cube_id: str | MemCube, text: str, *, space: str | None = None, time: datetime | str | None = None
    ) -> MemCube:
        """Replace what a memory says. The earlier version stays in `history`; recall finds the new one only.

        `time` is from when the new text holds in the world; now, if it is not given.

        Raises
        ------
        UnknownCubeError
            No such memory.
        InputError
            The text is empty, too large or of a wrong type.
        """
        checked = checked_text(text, "The text", self.settings.max_text)
        from_when = moment(time, "time")
        while True:
            current = self._store.get(identity(cube_id), optional_space(space))
            if checked == current.text:
                return current
            draft = rewritten(current, checked, from_when, self._encoding.documents)  # embeds before the write lock
            if self._store.supersede(draft):
                return draft.cube

    def forget(self, cube_id: str | MemCube | Sequence[str | MemCube], *, space: str | None = None) -> Erasure:
        """Erase memories: every version, every index entry, every trace in the file's free pages and log.

        The file is rewritten and its bytes are searched afterwards. Several ids at once cost one rewrite.

        Raises
        ------
        UnknownCubeError
            One of the ids is not there. Nothing was erased.
        ForgetIncompleteError
            A trace could not be removed, or its absence not be shown.
        """
        some = list(cube_id) if isinstance(cube_id, Iterable) and not isinstance(cube_id, str | MemCube) else [cube_id]
        return forget(self._store, [identity(one) for one in some], optional_space(space))

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def recall(
        self, question: str, *, space: str = DEFAULT_SPACE, user: str | None = None, agent: str | None = None,
        session: str | None = None, k: int = 10, kinds: Sequence[Kind | str] | None = None,
        since: datetime | str | None = None, until: datetime | str | None = None, as_of: datetime | str | None = None,
        now: datetime | str | None = None, meta: Mapping[str, Any] | None = None, explain: bool = True,
    ) -> Hits:  # fmt: skip
        """Find the memories that answer a question, best first.

        `user`, `agent`, `session`, `kinds`, `meta` and `since`/`until` (when it was said, until excluded) restrict what is
        looked at, before ranking. `as_of` asks the memory as it stood in the world at that time. Words like "last week"
        count from `now`: `as_of` if that is given, else the clock. `hits.notes` says what could not be done, such as dense
        search without an embedder.

        Raises
        ------
        InputError
            The question is empty or too long, k is below 1, or something is of a wrong type.
        UnknownSpaceError
            Nothing was ever written to this space.
        EmbedderMismatchError
            The store was built with another embedder: `reindex` or change the settings.
        """
        from remanence.recall.query import Query

        asked_as_of = moment(as_of, "as_of")
        query = Query(
            question=checked_text(question, "The question", self.settings.max_question), scope=scope(space, user, agent, session), k=count(k, "k", _MOST_HITS),
            kinds=kind_set(kinds), since=moment(since, "since"), until=moment(until, "until"), as_of=asked_as_of,
            now=moment(now, "now") or asked_as_of or datetime.now(UTC), meta=meta_filter(meta), explain=bool(explain),
        )  # fmt: skip
        if not self._has_space(space):
            return Hits(notes=(f"Nothing is in the space {space!r} yet.",))
        hits = self._recall(query, self._encoding.question)
        hits.notes += self._encoding.notes()
        return hits

    def get(self, cube_id: str | MemCube, *, space: str | None = None) -> MemCube:
        """The current version of a memory; UnknownCubeError if there is none, or none in `space`."""
        return self._store.get(identity(cube_id), optional_space(space))

    def history(self, cube_id: str | MemCube, *, space: str | None = None) -> Cubes:
        """All versions of a memory, oldest first; UnknownCubeError if there is none."""
        return self._store.versions(identity(cube_id), optional_space(space))

    def list(
        self, *, space: str = DEFAULT_SPACE, user: str | None = None, agent: str | None = None, session: str | None = None,
        limit: int = 100, after: str | None = None,
    ) -> Page:  # fmt: skip
        """Memories of a space in the order of writing. `after` takes the `cursor` of the page before."""
        where = scope(space, user, agent, session)
        filters = {key: value for key in ("user", "agent", "session") if (value := getattr(where, key)) is not None}
        self._has_space(space)
        if after is not None and not isinstance(after, str):
            raise InputError(f"after is {after!r}.", "Pass the `cursor` of the page before, or None.")
        return self._store.page(space, count(limit, "limit", _MOST_HITS), after, filters)

    def spaces(self) -> Sequence[str]:
        """Names of the spaces that hold or held something."""
        return self._store.spaces()

    def stats(self) -> Stats:
        """Sizes, counts, and the embedder."""
        counts = self._store.counts()
        return Stats(
            location=self._store.location,
            embedder=self._store.note("embedder"),
            memory_bytes=self._recall_.nbytes if self._recall_ else 0,
            by_space=self._store.sizes(),
            **counts,
        )

    # ── care ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def verify(self, *, sample: int = 64) -> Checked:
        """Check the whole store: pages, journal chain, commitments, versions, derived keys; and `sample` vectors by embedding again."""
        sample = count(sample, "sample", _MOST_HITS, least=0)
        checked = self._store.verify()
        looked_at, problems = self._encoding.verify(sample if checked.ok else 0)
        return Checked({**checked.checks, "vectors embedded again": looked_at}, checked.problems + problems)

    def reindex(self, progress: Progress | None = None) -> int:
        """Derive all keys anew, with the embedder of the settings. Returns how many versions were done. Can be interrupted and repeated."""
        done = self._encoding.reindex(progress)
        if self._recall_:
            self._recall_.drop()
        return done

    def backup(self, path: str | Path) -> Path:
        """Copy the store to a new file while it is in use. Note that a later `forget` cannot reach the copy."""
        target = place(path, "path")
        self._store.backup(target)
        return target

    def export(self, path: str | Path, *, space: str | None = None, vectors: bool = False) -> int:
        """Write every version as JSON Lines to a new file. Returns how many. An import of it exports again to the same bytes."""
        from remanence.portable import export

        if space is not None:
            self._has_space(scope(space, None, None, None).space)
        return export(self._store, place(path, "path"), space, vectors=vectors)

    def import_(self, path: str | Path, progress: Progress | None = None) -> int:
        """Read what `export` wrote. Returns how many versions were new.

        Raises
        ------
        UnreadableFileError
            The file is not such an export: the line is named. Batches before that line are imported.
        """
        from remanence.portable import import_

        return import_(self._store, place(path, "path"), self._encoding, self.settings, progress)

    def close(self) -> None:
        """Release the file. A closed memory raises `StoreClosedError`."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ── wiring ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _encoding(self) -> Encoding:
        with self._opening:
            if self._encoding_ is None:
                from remanence.encoding import Encoding

                self._encoding_ = Encoding(self._store, self.settings)
            return self._encoding_

    @property
    def _recall(self) -> Recall:
        with self._opening:
            if self._recall_ is None:
                from remanence.recall.pipeline import Recall
                from remanence.recall.profile import DEFAULT

                self._recall_ = Recall(self._store, self._profile or DEFAULT)
            return self._recall_

    def _has_space(self, space: str) -> bool:
        """Whether anything was ever written to it; an unknown space other than the default is an error."""
        if space in self._spaces:
            return True
        self._spaces.update(self._store.spaces())
        if space in self._spaces:
            return True
        if space == DEFAULT_SPACE:
            return False
        raise UnknownSpaceError(
            f"Nothing was ever written to the space {space!r}.",
            "Check its spelling; Memory.spaces() and `remanence spaces` list them.",
        )
