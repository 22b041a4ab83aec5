"""What a change that was admitted does to a store, and how it is undone: one way for the scratch copy and for the live store.

Profiles, gates and settings are notes of the store, and count from the moment when these are written. Embedders, extractors and
summaries then have work to do, which can be interrupted and repeated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

from remanence.arguments import place
from remanence.consolidate.plan import Limits
from remanence.consolidation import consolidate
from remanence.cubes import Extraction, State
from remanence.errors import AdmissionError, InputError, RemanenceError
from remanence.governance.admission import Change
from remanence.governance.admitted import PROFILE, SETTINGS, SWITCHES
from remanence.reading import read, readings
from remanence.recall import gate
from remanence.recall.profile import Profile
from remanence.rooms import Rooms, Upkeep
from remanence.settings import Settings
from remanence.store.parts import Transition
from remanence.write.extract import Extractor, ModelExtractor
from remanence.write.openie import CachedExtractor

if TYPE_CHECKING:
    from remanence.store.protocol import Store

_STEP = 200  # versions whose readings are blanked together
_BLANK = "rolled back"
"""The reader of empty readings: any other has not read these versions yet."""

Notes = dict[str, str | None]
"""Notes of the store by name; None: there is none."""


def notes_of(rooms: Rooms, change: Change, space: str) -> Notes:
    """The notes that a change writes; none where it has only work to do.

    Raises
    ------
    InputError
        What it says is no such change.
    AdmissionError
        It would change nothing.
    """
    checked = {
        "profile": _profile, "gate": _gate, "embedder": _settings, "policy": _settings, "extractor": _extractor, "summary": _summary,
    }[change.kind](rooms, change.what, space)  # fmt: skip
    if checked and all(rooms.store.note(name) == value for name, value in checked.items()):
        raise AdmissionError("The change is in force already.", "Propose something else.")
    return checked


def work(rooms: Rooms, change: Change, space: str) -> dict[str, Any]:
    """Do what remains after the notes. Returns what undoing it needs."""
    if change.kind == "embedder":
        rooms.encoding.reindex()
    elif change.kind == "extractor":
        reader = _reader(rooms, change.what)
        done = read(rooms.store, reader, rooms.encoding.documents, space=space)
        if done.failures:
            failed = next(iter(done.failures.values()))
            raise AdmissionError(f"{len(done.failures)} memories could not be read: {failed.what}", failed.next_step)
        return {"extractor": reader.name, "read": done.read}
    elif change.kind == "summary":
        embed = rooms.encoding.documents
        made = consolidate(rooms.store, embed, rooms.model, space=space, **_consolidation(change.what))
        return {"ids": list(made.ids)}
    return {}


def undo(rooms: Rooms, change: Change, space: str, restore: Mapping[str, Any], by: str) -> None:
    """Undo the work; the notes are back already."""
    if change.kind == "embedder":
        rooms.encoding.reindex()
    elif change.kind == "extractor":
        _blank(rooms, str(restore["extractor"]))
        if (previous := change.what.get("previous")) is not None:
            read(rooms.store, _reader(rooms, {"path": previous}), rooms.encoding.documents, space=space)
    elif change.kind == "summary":
        for cube_id in reversed(restore["ids"]):
            _put_away(rooms.store, cube_id, by)


def _profile(rooms: Rooms, what: Mapping[str, Any], space: str) -> Notes:
    del space
    if rooms.has_own_profile:
        raise AdmissionError(
            "This Memory was opened with a profile of its own, which counts more.", "Open it without one: Memory(path)."
        )
    known = {each.name: each.type for each in fields(Profile)}
    for name, value in what.items():
        if name not in known:
            raise InputError(f"A profile has no {name!r}.", f"Use some of: {', '.join(known)}.")
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or (known[name] == "int" and not isinstance(value, int))
        ):
            raise InputError(f"{name} is {value!r}.", f"It has to be a {known[name]}.")
    whole = {
        name: value for name, value in asdict(replace(Profile(), **what)).items() if value != getattr(Profile(), name)
    }
    return {PROFILE: json.dumps(whole, sort_keys=True) if whole else None}


def _gate(rooms: Rooms, what: Mapping[str, Any], space: str) -> Notes:
    del rooms
    text = json.dumps(dict(what))
    try:
        gate.read(text)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"This is no gate: {error}.", 'Pass {"graph": {…}, "nothing": {…}}, as `calibrate` returns it.'
        ) from error
    return {f"gate/{space}": text}


def _settings(rooms: Rooms, what: Mapping[str, Any], space: str) -> Notes:
    """Settings that the store overrules, as long as the caller's say what they said at the time."""
    del space
    unknown = {*what} - {*SWITCHES}
    if unknown or not what:
        raise InputError(
            f"There is no {min(unknown, default='setting')!r} to change.", f"Use some of: {', '.join(SWITCHES)}."
        )
    replace(rooms.settings, **what)  # checks the values
    given = rooms.given_settings
    before = json.loads(rooms.store.note(SETTINGS) or "{}")
    now = {**before, **{name: [str(getattr(given, name)), value] for name, value in what.items()}}
    return {SETTINGS: json.dumps(now, sort_keys=True)}


def _extractor(rooms: Rooms, what: Mapping[str, Any], space: str) -> Notes:
    del space
    unknown = {*what} - {"path", "previous"}
    if unknown:
        raise InputError(f"An extractor has no {min(unknown)!r}.", "Pass `path` and, for a rollback, `previous`.")
    _reader(rooms, what)
    return {}


def _summary(rooms: Rooms, what: Mapping[str, Any], space: str) -> Notes:
    del rooms, space
    unknown = {*what} - {"what", "limits"}
    if unknown:
        raise InputError(
            f"A summary has no {min(unknown)!r}.", "Pass `what` and `limits`, as `consolidate` takes them."
        )
    _consolidation(what)
    return {}


def _consolidation(what: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `consolidate`."""
    try:
        limits = Limits(**what.get("limits", {}))
    except TypeError as error:
        raise InputError(f"These are no limits: {error}.", f"Use some of: {', '.join(Limits.__slots__)}.") from error
    return {"limits": limits, **({"what": tuple(what["what"])} if "what" in what else {})}


def _reader(rooms: Rooms, what: Mapping[str, Any]) -> Extractor:
    if (given := what.get("path")) is None:
        if rooms.model is None:
            raise AdmissionError("There is no extractor.", "Pass a `path`, or set REMANENCE_MODEL.")
        return ModelExtractor(rooms.model, concurrency=rooms.settings.model_concurrency)
    path = place(given, "path")
    opened = CachedExtractor.from_lines if path.suffix.lower() in {".jsonl", ".ndjson"} else CachedExtractor.from_openie
    return opened(path, max_bytes=rooms.settings.max_file)


def _blank(rooms: Rooms, extractor: str) -> None:
    """Empty every reading of an extractor."""
    store, after = rooms.store, 0
    while some := store.numbered(after, _STEP):
        after = some[-1][0]
        stored = store.derived.stored([seq for seq, _ in some])
        theirs = [(pair, Extraction()) for pair in some if pair[0] in stored and stored[pair[0]].extractor == extractor]
        if theirs:
            store.derived.keep(readings(_BLANK, theirs, rooms.encoding.documents))


def _put_away(store: Store, cube_id: str, by: str) -> None:
    """Archive a product; one of a merge by bringing a parent back, which undoes the merge. What is gone by now is gone."""
    try:
        cube = store.get(cube_id)
        if cube.state is not State.ACTIVE or cube.superseded_at is not None:
            return
        parents = cube.provenance.derived_from
        wish = Transition(cube_id, State.ARCHIVED, "the change that made it was rolled back", by)
        if cube.provenance.method.startswith("merged/") and parents:
            wish = Transition(parents[0], State.ACTIVE, wish.reason, by)
        store.lifecycle.change([wish])
    except RemanenceError:  # corrected, frozen or forgotten since: it is somebody else's by now
        return


def scratch(rooms: Rooms, path: str) -> Rooms:
    """A copy of everything at a path, with rooms of its own. Nothing that happens there reaches the live store."""
    from remanence.store.sqlite import SQLiteStore

    target = place(path, "path")
    rooms.store.backup(target)
    quiet: Settings = replace(rooms.given_settings, background="off", record_questions="off", durability="normal")
    idle = Upkeep(due=_nothing, at_end=_nothing)
    return Rooms(SQLiteStore(target, quiet, rooms.store.clock), quiet, None, rooms.given_model, idle)


def _nothing(rooms: Rooms) -> None:
    """The upkeep of a copy: nothing expires in it, and nothing of it is signed."""
    del rooms
