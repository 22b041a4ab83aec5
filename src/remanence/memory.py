"""Memory: the front door, and the only place where rooms meet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from remanence.arguments import count, identity, optional_space, place, scope
from remanence.consolidate.steps import WHAT
from remanence.cubes import DEFAULT_SPACE, Answer, Hits, Ids, Kind, MemCube, Page, Route
from remanence.errors import InputError, NoModelError, NotAStoreError
from remanence.governance.access import Gate, Operation
from remanence.policies import Clearance, Clock, Trust, utc_now
from remanence.rooms import Rooms, Upkeep
from remanence.settings import Settings
from remanence.stats import Stats
from remanence.store.protocol import Checked
from remanence.store.sqlite import SQLiteStore
from remanence.write.messages import Content, messages, name
from remanence.write.pipeline import Progress, Target
from remanence.writing import correct, save

if TYPE_CHECKING:
    from remanence.accessing import Access
    from remanence.admission import Admission
    from remanence.answer.pipeline import Method
    from remanence.auditing import Audit
    from remanence.calibration import Fitted, Labelled
    from remanence.conflicts import Conflict
    from remanence.consolidation import Consolidated
    from remanence.encoding import Encoding
    from remanence.forget.plan import Plan
    from remanence.forget.receipt import Receipt
    from remanence.forgetting import Receipts, Wanted
    from remanence.forms import Forms
    from remanence.lifecycle import Lifecycle
    from remanence.models.language import LanguageModel
    from remanence.models.local.causal import CausalLM
    from remanence.pairing import Paired
    from remanence.reading import Read
    from remanence.recall.pipeline import Recall
    from remanence.recall.profile import Profile
    from remanence.reforming import Adapters
    from remanence.schedules import Schedule
    from remanence.store.parts import Diff, RolledBack
    from remanence.trusting import Trusting
    from remanence.write.extract import Extractor

_MOST_HITS = 10_000

Cubes = list[MemCube]  # named here because `Memory.list` hides the builtin inside the class


class Memory:
    """A memory for an application, in one file.

    ::

        with Memory("life.rem") as memory:
            memory.add("The office moved to Lisbon in May 2024.")
            print(memory.recall("Where is the office?")[0].cube.text)

    Safe to use from several threads, and from several processes on the same file: one writes at a time, all may read.
    """

    def __init__(
        self, location: str | Path | None = None, settings: Settings | None = None, *, profile: Profile | None = None,
        model: LanguageModel | None = None, clock: Clock = utc_now,
    ) -> None:  # fmt: skip
        """Open a store, created if it is missing: a path, or ":memory:" for one that ends with the process; `Settings.store`
        if none is given.

        `profile` holds the weights of recall's channels; the default is the measured one. `model` answers and extracts in
        place of the one that `Settings.model` names. `clock` tells the time that things are recorded and expire by.

        Raises
        ------
        StoreError
            The file is something else, comes from a later release, or cannot be written.
        """
        self.settings = settings or Settings.from_environment()
        location = self.settings.store if location is None else location
        if str(location).startswith(("postgresql://", "postgres://")):
            raise NotAStoreError("PostgreSQL is not supported by this release.", 'Pass a path such as "life.rem".')
        self._store = SQLiteStore(
            location if location == ":memory:" else place(location, "location"), self.settings, clock
        )
        self._gate = Gate(self._store, None, self.settings.access_log)
        self._profile = profile
        self._rooms = Rooms(self._store, self.settings, profile, model, Upkeep(_care, _sign))

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def add(
        self, content: Content, *, space: str = DEFAULT_SPACE, user: str | None = None, agent: str | None = None,
        session: str | None = None, source: str | None = None, idempotency_key: str | None = None,
        trust: Trust | str | None = None, sensitivity: str | None = None, access: Sequence[str] | None = None,
        ttl: float | timedelta | None = None, priority: float | None = None, half_life: float | None = None,
        relearn: bool = False, progress: Progress | None = None,
    ) -> Ids:  # fmt: skip
        """Remember a text, a message, or a list of them: one cube each. Returns their ids, in order, once they are durable.

        A message is a dict: `content` and, as far as known, `role` (user, assistant, system, tool, document), `name` (the
        speaker), `time` (ISO 8601 or datetime), `session`, `title` (of a document: what it is about), `kind`, `source`,
        `meta` (your own JSON, kept as it came), and `valid_from` and `valid_to` (when it holds in the world). How it is
        governed is told by `trust`, `sensitivity`, `access`, `ttl` (seconds), `priority`, `half_life` (days), for all messages
        or in one, and by `trigger` ({"always": true} or {"words": [...]}), which makes a standing instruction of it. The same message from the same source again makes no second cube: its id
        comes back. A long list is committed in batches of `Settings.commit_every`; what was committed stays, and the same
        call again goes on from there. A text that was forgotten is refused; with `relearn` it is learned again.

        Raises
        ------
        InputError
            Something is empty, too large or of a wrong type. Nothing was written.
        IdempotencyConflictError
            `idempotency_key` was used for other content.
        ForgottenError
            A text was forgotten in this space before.
        StoreError
            The store could not commit. Batches before that are safe.
        """
        target = Target(scope(space, user, agent, session), name(source, "source") or "api")
        key = name(idempotency_key, "idempotency_key")
        governed = {
            "trust": trust, "sensitivity": sensitivity, "access": access, "ttl": ttl, "priority": priority, "half_life": half_life,
        }  # fmt: skip
        found = messages(content, self.settings, governed)
        return save(self._rooms, self._gate, Operation.ADD, found, target, key, progress, relearn=bool(relearn))

    def ingest(
        self, path: str | Path, *, space: str = DEFAULT_SPACE, user: str | None = None, agent: str | None = None,
        session: str | None = None, skip_unreadable: bool = False, relearn: bool = False, progress: Progress | None = None,
    ) -> Ids:  # fmt: skip
        """Remember a file or a folder: .txt, .md, .html, chat exports in .json and .jsonl; .pdf and .docx with the extra `files`.

        All files are read and checked before the first cube is written. Documents become passages. Ingesting the same
        files again adds only what is new. With `skip_unreadable` a file that cannot be read does not stop the others: the
        result's `skipped` names it, and passages that were forgotten before; with `relearn` those are learned again.

        Raises
        ------
        UnreadableFileError
            A file is missing, damaged, too large or of an unknown kind, or there is no text in any. Nothing was written.
        """
        from remanence.write.files import read_all

        target = Target(scope(space, user, agent, session), "api")
        self._gate.check(Operation.INGEST, target.scope.space)
        found, skipped = read_all(place(path, "path"), self.settings, skip_unreadable=skip_unreadable)
        ids = save(
            self._rooms,
            self._gate,
            Operation.INGEST,
            found,
            target,
            None,
            progress,
            relearn=bool(relearn),
            leave_out=True,
        )
        ids.skipped = (*skipped, *ids.skipped)
        return ids

    def correct(
        self, cube_id: str | MemCube, text: str, *, space: str | None = None, time: datetime | str | None = None,
        relearn: bool = False, source: str | None = None,
    ) -> MemCube:  # fmt: skip
        """Replace what a memory says. The earlier version stays in `history`; recall finds the new one only.

        `time` is from when the new text holds in the world; now, if it is not given. `source` says where the correction comes
        from: revoking that source undoes it.

        Raises
        ------
        UnknownCubeError
            No such memory.
        InputError
            The text is empty, too large or of a wrong type.
        ForgottenError
            The text, or a telling sentence that it adds, was forgotten in this space before, and `relearn` is not set.
        SourceRevokedError
            `source` was revoked in this space.
        """
        return correct(self._rooms, self._gate, cube_id, text, space, time, source, relearn=bool(relearn))

    def extract(
        self, extractor: Extractor | str | Path | None = None, *, space: str | None = None, progress: Progress | None = None
    ) -> Read:  # fmt: skip
        """Let a model read what is stored: entities, facts and statements become extra keys to each memory.

        By the model of the settings, a file with cached extractions (`.json` as HippoRAG writes it, `.jsonl` as
        `write_extractions` does), or an `Extractor` of your own. Reads what was not read yet: interrupt it, call it again.
        A failing model loses nothing; `failures` says what has to be read again.

        Raises
        ------
        NoModelError
            There is no extractor, and the settings name no model.
        UnreadableFileError
            The file is no such file.
        """
        from remanence.asking import extractor_of
        from remanence.reading import read

        self._gate.check(Operation.EXTRACT, optional_space(space))
        reader, only = extractor_of(extractor, self._rooms), self._rooms.known_space(space)
        return read(self._store, reader, self._encoding.documents, space=only, progress=progress)

    def pair(
        self, path: str | Path | None = None, *, by: Literal["rules", "model"] = "rules", space: str | None = None,
        progress: Progress | None = None,
    ) -> Paired | Ids:  # fmt: skip
        """Make question–answer pairs: of what is stored, by rules or by the model of the settings; or remember those of a file.

        Pairs made of a memory are retired when it is corrected and forgotten with it. `ask` uses them first. A file is
        .jsonl or .csv, with `question` and `answer`; its pairs stand for themselves, and their ids come back.
        """
        from remanence.asking import pairs_in, pairs_of

        if path is not None:
            target = Target(scope(space or DEFAULT_SPACE, None, None, None), "api")
            return save(self._rooms, self._gate, Operation.ADD, pairs_in(path, self.settings), target, None, progress)
        self._gate.check(Operation.PAIR, optional_space(space))
        return pairs_of(self._rooms, by, self._rooms.known_space(space), progress)

    def consolidate(
        self, *, space: str | None = None, model: bool | Literal["auto"] = False, what: Sequence[str] = WHAT,
        progress: Progress | None = None, dry_run: bool = False,
    ) -> Consolidated:  # fmt: skip
        """Sleep-time work: merge memories that say the same, draw timelines of what was replaced, summarise sessions and topics,
        and keep profiles of people. Interrupt it, call it again: a run with nothing new does nothing.

        Without a model all of it is by rules. With `model="auto"`, the model of the settings writes the summaries, where there is
        one; every sentence is held against its sources. Merged memories are found in place of what they were made of; summaries
        and profiles only by their kind. `dry_run` changes nothing, and says in `due` what would be done.

        Raises
        ------
        InputError
            `what` names a step that does not exist.
        NoModelError
            `model=True`, and the settings name none.
        """
        from remanence.consolidation import consolidate

        only = self._rooms.known_space(space)
        self._gate.check(Operation.CONSOLIDATE, only)
        speaking = self._rooms.model if model else None
        if model is True and speaking is None:
            raise NoModelError("The settings name no language model.", "Set REMANENCE_MODEL, or leave model out.")
        embed = self._encoding.documents
        return consolidate(self._store, embed, speaking, space=only, what=what, progress=progress, dry_run=dry_run)

    def profile(self, user: str | None = None, *, about: str | None = None, space: str = DEFAULT_SPACE) -> Cubes:
        """Profiles that `consolidate` made: a user's own; with `about`, those of somebody by name; with neither, all of a space."""
        from remanence.consolidation import profile

        where = scope(space, user, None, None)
        clearance = self._gate.check(Operation.LIST, where.space)
        self._rooms.has_space(where.space)
        found = profile(self._store, where.space, where.user, about, clearance)
        self._gate.told(Operation.LIST, where.space, [cube.id for cube in found])
        return found

    @overload
    def forget(
        self, cube_id: Wanted = None, *, query: str | None = None, source: str | None = None, user: str | None = None,
        space: str | None = None, reason: str | None = None, dry_run: Literal[True], tombstone: bool = True,
        progress: Progress | None = None, adapters: Adapters = "rebuild", model: CausalLM | str | Path | None = None,
    ) -> Plan: ...  # fmt: skip

    @overload
    def forget(
        self, cube_id: Wanted = None, *, query: str | None = None, source: str | None = None, user: str | None = None,
        space: str | None = None, reason: str | None = None, dry_run: Literal[False] = False, tombstone: bool = True,
        progress: Progress | None = None, adapters: Adapters = "rebuild", model: CausalLM | str | Path | None = None,
    ) -> Receipt: ...  # fmt: skip

    def forget(
        self, cube_id: Wanted = None, *, query: str | None = None, source: str | None = None, user: str | None = None,
        space: str | None = None, reason: str | None = None, dry_run: bool = False, tombstone: bool = True,
        progress: Progress | None = None, adapters: Adapters = "rebuild", model: CausalLM | str | Path | None = None,
    ) -> Receipt | Plan:  # fmt: skip
        """Erase memories by their ids, or all that hold the words of a `query`, come from a `source`, belong to a `user`, or
        are in a `space`: with all their versions, everything that was derived from them, and every trace in the file.

        The file is rewritten, searched and asked afterwards; the signed receipt says what was looked for and what cannot be
        reached. With `dry_run` nothing happens: the plan comes back. `tombstone` keeps keyed digests, so that the same text
        is not learned again silently. `reason` stays in the receipt. Several ids at once cost one rewrite.

        Caches that hold it are erased. Adapters that learned it are erased too, and trained anew without it (`adapters="rebuild"`),
        changed until probes do not find it (`unlearn`), or left away (`drop`); `model` is theirs, if the settings name another.

        Raises
        ------
        InputError
            Not exactly one kind of thing was named, or the reason repeats what is to go.
        UnknownCubeError
            One of the ids is not there, or nothing is meant. Nothing was erased.
        FrozenError
            Something that would go is frozen. Nothing was erased.
        ForgetIncompleteError
            A trace could not be removed, or its absence not be shown; its `receipt` says which.
        """
        from remanence.forgetting import forget

        return forget(
            self._rooms, self._gate, cube_id, query=query, source=source, user=user, space=space, reason=reason,
            dry_run=dry_run, tombstone=tombstone, progress=progress, adapters=adapters, model=model,
        )  # fmt: skip

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def recall(
        self, question: str, *, space: str = DEFAULT_SPACE, user: str | None = None, agent: str | None = None,
        session: str | None = None, k: int = 10, kinds: Sequence[Kind | str] | None = None,
        since: datetime | str | None = None, until: datetime | str | None = None, as_of: datetime | str | None = None,
        known_at: datetime | str | None = None, now: datetime | str | None = None, meta: Mapping[str, Any] | None = None,
        explain: bool = True, route: Route | str | None = None, current: bool = False,
    ) -> Hits:  # fmt: skip
        """Find the memories that answer a question, best first.

        `user`, `agent`, `session`, `kinds`, `meta` and `since`/`until` (when it was said, until excluded) restrict what is
        looked at, before ranking. `as_of` asks the memory as it stood in the world at that time, `known_at` what the store
        knew at that time, both together what it then knew of that. Words like "last week"
        count from `now`: `as_of` if that is given, else the clock. `hits.notes` says what could not be done, such as dense
        search without an embedder.

        The gate decides how to look, and `hits.routed` says what it decided and why; `route` ("none", "cheap", "graph")
        overrules it. With `current`, a memory that states only what a newer one replaced or denied is left out, with a note.

        Raises
        ------
        InputError
            The question is empty or too long, k is below 1, or something is of a wrong type.
        UnknownSpaceError
            Nothing was ever written to this space.
        EmbedderMismatchError
            The store was built with another embedder: `reindex` or change the settings.
        """
        where = scope(space, user, agent, session)
        clearance = self._gate.check(Operation.RECALL, where.space)
        hits = self._found(
            clearance, question, space=space, user=user, agent=agent, session=session, k=k, kinds=kinds, since=since,
            until=until, as_of=as_of, known_at=known_at, now=now, meta=meta, explain=explain, route=route, current=current,
        )  # fmt: skip
        self._gate.told(
            Operation.RECALL, space, [*(hit.cube.id for hit in hits), *(one.id for one in hits.standing)], hits.withheld
        )
        return hits

    def _found(self, clearance: Clearance | None, question: str, /, **where: Any) -> Hits:
        """`recall` for a caller whom the gate has let pass."""
        from remanence.recalling import recall

        return recall(self._rooms, clearance, question, **where)

    def ask(
        self, question: str, *, method: Method = "auto", budget: int | None = None, k: int = 10, **where: Any
    ) -> Answer:
        """Answer a question from memory: every sentence cites memories, or there is no answer (`abstained`).

        Without a language model (`Settings.model`) the best supported sentences are quoted. With one, `auto` lets it read
        what was recalled, or compares candidates (SuRe) where the memories conflict. Pairs that know the question answer
        first. `k` memories are read; `where` takes the filters of `recall`: space, user, kinds, as_of …

        Raises
        ------
        InputError, EmbedderMismatchError
            As `recall`.
        NoModelError
            `plain` or `sure` was asked for, and the settings name no model.
        """
        from remanence.asking import ask

        return ask(self._rooms, self._gate, self._found, question, k=k, method=method, budget=budget, **where)

    def ask_stream(
        self, question: str, *, method: Method = "auto", budget: int | None = None, k: int = 10, **where: Any
    ) -> Iterator[str | Answer]:
        """As `ask`, in pieces as they are written, and at the end the checked `Answer`. Closing the iterator stops the model."""
        from remanence.asking import ask_stream

        return ask_stream(self._rooms, self._gate, self._found, question, k=k, method=method, budget=budget, **where)

    def calibrate(
        self, labelled: str | Path | Iterable[Labelled | Mapping[str, Any]], *, space: str = DEFAULT_SPACE,
        progress: Progress | None = None,
    ) -> Fitted:  # fmt: skip
        """Fit the gate to questions whose answers are known: JSON Lines of {"question", "gold": [ids]}. The store keeps it for the space.

        An empty `gold` says that there is nothing to find. `fitted.recall` compares the gate with always and never walking.
        """
        from remanence.calibration import calibrate, dumped, read_labels

        self._gate.check(Operation.CALIBRATE, scope(space, None, None, None).space)
        self._rooms.known_space(space)
        rows = read_labels(place(labelled, "labelled")) if isinstance(labelled, str | Path) else labelled
        fitted = calibrate(rows, space, self._recall, self._encoding.question, progress)
        self._store.set_note(f"gate/{space}", dumped(fitted.gate))
        return fitted

    def conflicts(self, *, space: str = DEFAULT_SPACE) -> Sequence[Conflict]:
        """Pairs of memories, of all users of a space, that cannot both hold and that time does not order, with both sides and their sources."""
        from remanence.conflicts import conflicts

        where = scope(space, None, None, None).space
        clearance = self._gate.check(Operation.CONFLICTS, where)
        found = conflicts(self._store, where, clearance) if self._rooms.has_space(where) else []
        self._gate.told(Operation.CONFLICTS, where, [side.cube.id for one in found for side in (one.first, one.second)])
        return found

    def get(self, cube_id: str | MemCube, *, space: str | None = None) -> MemCube:
        """The current version of a memory; UnknownCubeError if there is none, or none in `space`."""
        where, clearance = self._gate.locate(Operation.GET, identity(cube_id), optional_space(space))
        cube = self._store.get(identity(cube_id), where, clearance)
        self._gate.told(Operation.GET, cube.scope.space, [cube.id])
        return cube

    def history(self, cube_id: str | MemCube, *, space: str | None = None) -> Cubes:
        """All versions of a memory, oldest first; UnknownCubeError if there is none."""
        where, clearance = self._gate.locate(Operation.HISTORY, identity(cube_id), optional_space(space))
        versions = self._store.versions(identity(cube_id), where, clearance)
        self._gate.told(Operation.HISTORY, versions[0].scope.space, [versions[0].id])
        return versions

    def diff(self, first: datetime | str, second: datetime | str | None = None, *, space: str = DEFAULT_SPACE) -> Diff:
        """What changed in a space between two times, as the store knew it; up to now if one time is given."""
        from remanence.lifecycle import diff

        return diff(self._rooms, self._gate, first, second, space)

    def rollback(self, to: datetime | str, *, space: str = DEFAULT_SPACE) -> RolledBack:
        """Let a space say again what it said at a time. Nothing is rewritten: what came later is put away, what was corrected
        since gets a new version with the old text. What was forgotten stays forgotten, and what is frozen stays as it is.

        Raises
        ------
        InputError
            The time is none, or lies ahead.
        UnknownSpaceError
            Nothing was ever written to this space.
        """
        from remanence.lifecycle import rollback

        return rollback(self._rooms, self._gate, to, space)

    def list(
        self, *, space: str = DEFAULT_SPACE, user: str | None = None, agent: str | None = None, session: str | None = None,
        limit: int = 100, after: str | None = None,
    ) -> Page:  # fmt: skip
        """Memories of a space in the order of writing. `after` takes the `cursor` of the page before."""
        where = scope(space, user, agent, session)
        filters = {key: value for key in ("user", "agent", "session") if (value := getattr(where, key)) is not None}
        clearance = self._gate.check(Operation.LIST, where.space)
        self._rooms.has_space(space)
        if after is not None and not isinstance(after, str):
            raise InputError(f"after is {after!r}.", "Pass the `cursor` of the page before, or None.")
        page = self._store.page(space, count(limit, "limit", _MOST_HITS), after, filters, clearance)
        self._gate.told(Operation.LIST, where.space, [cube.id for cube in page], page.withheld)
        return page

    def spaces(self) -> Sequence[str]:
        """Names of the spaces that hold or held something: for a principal, those that he was granted something in."""
        return self._gate.among(Operation.STATS, self._store.spaces())

    def stats(self) -> Stats:
        """Sizes, counts, and the embedder; for a principal, of the spaces that he was granted something in."""
        spaces = self._gate.among(Operation.STATS, self._store.spaces())
        whole = self._gate.allows(Operation.STATS, None)
        return Stats(
            location=self._store.location,
            embedder=self._store.note("embedder"),
            memory_bytes=self._rooms.recall_.nbytes if self._rooms.recall_ else 0,
            by_space={space: size for space, size in self._store.sizes().items() if space in spaces},
            **self._store.counts(None if whole else spaces),
        )

    # ── care ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def verify(self, *, sample: int = 64) -> Checked:
        """Check the whole store: pages, journal chain, commitments, versions, derived keys; and `sample` vectors by embedding again."""
        sample = count(sample, "sample", _MOST_HITS, least=0)
        self._gate.check(Operation.VERIFY, None)
        checked = self._store.verify()
        looked_at, problems = self._encoding.verify(sample if checked.ok else 0)
        return Checked({**checked.checks, "vectors embedded again": looked_at}, checked.problems + problems)

    def reindex(self, progress: Progress | None = None) -> int:
        """Derive all keys anew, with the embedder of the settings. Returns how many versions were done. Can be interrupted and repeated."""
        self._gate.check(Operation.REINDEX, None)
        done = self._encoding.reindex(progress)
        if self._rooms.recall_:
            self._rooms.recall_.drop()
        return done

    def backup(self, path: str | Path) -> Path:
        """Copy the store to a new file while it is in use. Note that a later `forget` cannot reach the copy."""
        target = place(path, "path")
        self._gate.check(Operation.BACKUP, None)
        self._store.backup(target)
        self._store.tombstones.made_copy("backup", target)
        return target

    def export(self, path: str | Path, *, space: str | None = None, vectors: bool = False) -> int:
        """Write every version as JSON Lines to a new file. Returns how many. An import of it exports again to the same bytes."""
        from remanence.portable import export

        self._gate.check(Operation.EXPORT, optional_space(space))
        self._rooms.known_space(space)
        target = place(path, "path")
        count = export(self._store, target, space, vectors=vectors)
        self._store.tombstones.made_copy("export", target, space)
        return count

    def import_(self, path: str | Path, progress: Progress | None = None, *, relearn: bool = False) -> int:
        """Read what `export` wrote. Returns how many versions were new. Memories that were forgotten since, or hold a sentence of
        what was, are left out with a warning; with `relearn` they come back.

        Raises
        ------
        UnreadableFileError
            The file is not such an export: the line is named. Batches before that line are imported.
        """
        from remanence.portable import import_

        self._gate.check(Operation.IMPORT, None)
        new = import_(self._store, place(path, "path"), self._encoding, self.settings, progress, relearn=bool(relearn))
        self._rooms.wrote(falls_due=self._store.lifecycle.is_due_ever())
        return new

    # ── governance: each room has a door of its own ──────────────────────────────────────────────────────────────────

    def acting_as(self, principal: str) -> Memory:
        """The same memory as somebody else may use it: what that principal was granted, and nothing else. Every access is logged.

        Raises
        ------
        AccessDeniedError
            Only the owner of the file can act as others.
        InputError
            The name is empty, or "owner".
        """
        other = copy(self)
        other._gate = self._gate.acting_as(principal)  # noqa: SLF001 (a copy of ourselves)
        return other

    @property
    def lifecycle(self) -> Lifecycle:
        """States: freeze, archive, restore, expire; events; how a memory is governed; care that is due."""
        from remanence.lifecycle import Lifecycle

        return Lifecycle(self._rooms, self._gate)

    @property
    def access(self) -> Access:
        """Principals, grants, labels, shares, and the access log."""
        from remanence.accessing import Access

        return Access(self._rooms, self._gate)

    @property
    def audit(self) -> Audit:
        """The signed journal: checkpoints, verification, export for an auditor."""
        from remanence.auditing import Audit

        return Audit(self._rooms, self._gate)

    @property
    def receipts(self) -> Receipts:
        """Receipts of what was forgotten."""
        from remanence.forgetting import Receipts

        return Receipts(self._rooms, self._gate)

    @property
    def trust(self) -> Trusting:
        """Quarantine, and sources that are believed no more."""
        from remanence.trusting import Trusting

        return Trusting(self._rooms, self._gate)

    @property
    def forms(self) -> Forms:
        """Caches and adapters that stand for memories."""
        from remanence.forms import Forms

        return Forms(self._rooms, self._gate)

    @property
    def schedule(self) -> Schedule:
        """Which memories are worth a cache or an adapter on this machine, and the jobs that move them there and back."""
        from remanence.schedules import Schedule

        return Schedule(self._rooms, self._gate)

    @property
    def admission(self) -> Admission:
        """Changes that are tried in the shadow before they count."""
        from remanence.admission import Admission

        return Admission(self._rooms, self._gate)

    def close(self) -> None:
        """Release the file, for everyone who acts on this memory. A closed memory raises `StoreClosedError`."""
        self._rooms.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _encoding(self) -> Encoding:
        return self._rooms.encoding

    @property
    def _recall(self) -> Recall:
        return self._rooms.recall


def _care(rooms: Rooms) -> None:
    from remanence.lifecycle import care

    care(rooms)
    _sign(rooms)
    if rooms.settings.schedule == "on":
        from remanence.schedules import due

        due(rooms, lambda: rooms.care.stopping)


def _sign(rooms: Rooms) -> None:
    """Sign a checkpoint where one is due."""
    from remanence.auditing import keep_up

    keep_up(rooms)
