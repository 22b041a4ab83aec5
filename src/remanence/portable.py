"""Export and import as JSON Lines (MemDumper, MemLoader).

The first line names the format; every other line but the last is one version of one cube, in the order of writing, with what
a model read out of it. Lines are canonical, so that exporting an import gives the same bytes.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import math
import os
import struct
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from remanence.cubes import ROLES, Extraction, MemCube, State
from remanence.drafts import Draft, Keys
from remanence.encoding import Encoding
from remanence.errors import UnknownCubeError, UnreadableFileError
from remanence.language.keys import derive, embedded_parts
from remanence.reading import derived_anew
from remanence.settings import Settings
from remanence.store.parts import Reading
from remanence.store.protocol import Store
from remanence.write.disk import new_file
from remanence.write.pipeline import Marks, Progress, keys_for

_LOG = logging.getLogger("remanence")
FORMAT = "remanence-export"
VERSION = 3
_READABLE = frozenset({1, 2, VERSION})  # 1 had neither readings nor `derived_from`, 2 neither policies nor states
_HIDDEN = frozenset({State.GENERATED, State.MERGED, State.EXPIRED})
_TAIL = 4096  # bytes that surely hold the last line


class _Line(NamedTuple):
    """One version as a file has it."""

    cube: MemCube
    vector: bytes | None
    extractor: str = ""
    read: Extraction | None = None
    read_vectors: bytes | None = None


def export(store: Store, path: Path, space: str | None, *, vectors: bool) -> int:
    """Write all versions, or those of one space. The file appears under its name only when it is complete."""
    count = 0
    with new_file(path) as file:
        header: dict[str, Any] = {"format": FORMAT, "version": VERSION}
        if vectors:
            header["embedder"] = store.note("embedder")
        file.write(_line(header))
        for cube, keys, reading in store.derived.everything(space):
            if cube.payload is not None:  # it is derived, and its file is not in an export
                continue
            line = cube.to_json()
            if vectors and keys.vector:
                line["vector"] = base64.b64encode(keys.vector).decode()
            if reading:
                line["reading"] = {"extractor": reading.extractor, **reading.content.to_json()}
                if vectors and reading.vectors:
                    line["reading"]["vectors"] = base64.b64encode(reading.vectors).decode()
            file.write(_line(line))
            count += 1
        file.write(_line({"end": count}))
    return count


def import_(
    store: Store,
    path: Path,
    encoding: Encoding,
    settings: Settings,
    progress: Progress | None,
    *,
    relearn: bool = False,
) -> int:
    """Read an export, batch by batch, each durable. Versions that the store has are skipped, and so are readings of versions
    that it has a reading of. A batch's readings are durable after its versions: an import that was cut off between the two
    brings them when it is repeated.

    `derived_from` is taken as it comes. It may name memories that never come, or run in a circle: what is corrected or
    forgotten then takes everything with it that the lineage reaches, each memory once.
    """
    new = read = 0
    with _opened(path) as file:
        header = _parsed(next(file, b""), path, 1, settings)
        if header.get("format") != FORMAT:
            raise UnreadableFileError(f"{path} is not a Remanence export.", "Use ingest for other files.")
        if header.get("version") not in _READABLE:
            raise UnreadableFileError(f"{path} has export version {header.get('version')!r}.", "Upgrade Remanence.")
        fingerprint = header.get("embedder")
        same_embedder = isinstance(fingerprint, str) and bool(fingerprint) and encoding.claim(fingerprint)
        total = _promised(file, path)
        forgotten = _forgotten(store, file, path, settings, relearn=relearn)
        lines, marks = enumerate(file, 2), Marks(store.secret())
        while batch := list(islice(lines, min(settings.commit_every, total - read))):
            versions = (_version(line, path, number, settings) for number, line in batch)
            parsed = [one for one in versions if one.cube.id not in forgotten]
            new += store.restore(_drafts(parsed, encoding, marks, same_embedder=same_embedder))
            _restore_readings(store, parsed, encoding, same_embedder=same_embedder)
            read += len(batch)
            if progress:
                progress(read, total)
    return new


def _forgotten(store: Store, file: BinaryIO, path: Path, settings: Settings, *, relearn: bool) -> set[str]:
    """Ids of memories in the rest of the file that are left out: of which a version, or a telling sentence of it, was forgotten
    in their space, and what was made of them. Memories that are in the store stay.
    """
    if not store.tombstones.any():
        return set()
    here, found, made = file.tell(), set[str](), dict[str, set[str]]()
    for number, line in enumerate(file, 2):
        if line.startswith(b'{"end":'):
            break
        cube = _version(line, path, number, settings).cube
        made[cube.id] = set(cube.provenance.derived_from)
        if any(store.tombstones.hits(cube.scope.space, [cube.text])):
            if relearn:
                store.tombstones.relearn(cube.scope.space, [cube.text])
            elif not _there(store, cube.id):
                found.add(cube.id)
    file.seek(here)
    while more := {
        one for one, parents in made.items() if one not in found and parents & found and not _there(store, one)
    }:
        found |= more
    if found:
        _LOG.warning(
            "%d memories of %s were left out: they, or what they were made of, were forgotten. To bring them back: relearn=True (--relearn)",
            len(found), path,
        )  # fmt: skip
    return found


def _there(store: Store, cube_id: str) -> bool:
    try:
        store.get(cube_id)
    except UnknownCubeError:
        return False
    return True


def _promised(file: BinaryIO, path: Path) -> int:
    """How many versions the last line says there are; a file without it was cut off, and nothing of it is imported."""
    here = file.tell()
    file.seek(max(file.seek(0, os.SEEK_END) - _TAIL, 0))
    last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
    file.seek(here)
    try:
        count = int(json.loads(last)["end"])
    except (ValueError, KeyError, TypeError, RecursionError):
        count = -1
    if count < 0:
        raise UnreadableFileError(f"{path} has no last line: it was cut off.", "Export the memory again.")
    return count


def _drafts(parsed: Sequence[_Line], encoding: Encoding, marks: Marks, *, same_embedder: bool) -> list[Draft]:
    """Versions ready to be restored. First versions get their marks again, so that a repetition is still known as one."""
    missing = [one.cube for one in parsed if not (same_embedder and one.vector)]
    made = iter(keys_for(missing, encoding.documents))
    keys: list[Keys] = [derive(one.cube, one.vector) if same_embedder and one.vector else next(made) for one in parsed]
    return [
        Draft(one.cube, key, marks.of([one.cube])[0] if one.cube.version == 1 else None)
        for one, key in zip(parsed, keys, strict=True)
    ]


def _restore_readings(store: Store, parsed: Sequence[_Line], encoding: Encoding, *, same_embedder: bool) -> None:
    """Keep what was read out of these versions, where the store has nothing yet. Keys are derived, never taken from the file."""
    read = {(one.cube.id, one.cube.version): one for one in parsed if one.read is not None}
    ready: list[tuple[MemCube, Reading]] = []
    bare: list[tuple[MemCube, Reading]] = []
    for version, seq in store.derived.bare(list(read)).items():
        one = read[version]
        reading = Reading(seq, one.extractor, one.read or Extraction(), b"", b"", b"", one.read_vectors)
        (ready if same_embedder and one.read_vectors else bare).append((one.cube, reading))
    kept = [
        new._replace(vectors=old.vectors)
        for new, (_, old) in zip(derived_anew(ready, lambda _: None), ready, strict=True)
    ] + derived_anew(bare, encoding.documents)
    if kept:
        store.derived.keep(sorted(kept, key=lambda one: one.seq))


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise UnreadableFileError(
            f"{path} cannot be opened: {error.strerror}.", "Check its path and permissions."
        ) from error


def _parsed(line: bytes, path: Path, number: int, settings: Settings) -> dict[str, Any]:
    if len(line) > settings.max_file:
        raise UnreadableFileError(
            f"{path}, line {number} is longer than {settings.max_file:,} bytes.", "Raise Settings.max_file."
        )
    try:
        data = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise UnreadableFileError(f"{path}, line {number} is not JSON: {error}.", "Export the memory again.") from error
    if not isinstance(data, dict):
        raise UnreadableFileError(f"{path}, line {number} is not an object.", "Export the memory again.")
    return data


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _version(line: bytes, path: Path, number: int, settings: Settings) -> _Line:
    data = _parsed(line, path, number, settings)
    try:
        _check_names(data.get("derived_from", []))
        vector = _vector(data.pop("vector", None))
        reading = data.pop("reading", None)
        cube = MemCube.from_json(data)
        _check(cube, settings)
        if reading is None:
            return _Line(cube, vector)
        extractor, content, read_vectors = _reading(reading, vector, settings)
        return _Line(cube, vector, extractor, content, read_vectors)
    except (KeyError, ValueError, TypeError, AttributeError, binascii.Error) as error:
        raise UnreadableFileError(
            f"{path}, line {number} is not a cube: {error!r}.", "Export the memory again."
        ) from error


def _check(cube: MemCube, settings: Settings) -> None:
    """A foreign file is held to the limits of `add`."""
    scope, origin = cube.scope, cube.provenance
    texts = (cube.id, scope.space, origin.source, origin.role, origin.method)
    optional = (cube.about, scope.user, scope.agent, scope.session, origin.author)
    if not all(isinstance(text, str) and text for text in texts):
        raise ValueError("a name is missing")
    if not all(text is None or isinstance(text, str) for text in optional):
        raise TypeError("a name is not text")
    if not cube.text.strip() or len(cube.text) > settings.max_text or not 1 <= cube.version < 1 << 31:
        raise ValueError("the text is empty or too long, or the version is no number of one")
    if origin.role not in ROLES:
        raise ValueError(f"no role is called {origin.role!r}")
    closed = cube.superseded_at is not None
    if closed == (cube.state in {State.ACTIVE, State.FROZEN}) or cube.state is State.FORGOTTEN:
        raise ValueError("the version is neither open nor closed")
    if cube.hidden != (cube.state in _HIDDEN or (cube.hidden and cube.state is State.ARCHIVED)):
        raise ValueError("the version is hidden, and its state says otherwise")
    if closed and not cube.hidden and cube.valid_to is None:
        raise ValueError("the version is closed, and still holds")
    if (cube.hidden or not closed) and cube.valid_to != cube.given_to:
        raise ValueError("the version ends at another time than it was given for")
    cube.sealed_bytes()


def _check_names(found: object) -> None:
    if not isinstance(found, list) or not all(isinstance(one, str) and one for one in found):
        raise TypeError("derived_from is not a list of ids")


def _reading(data: Any, vector: bytes | None, settings: Settings) -> tuple[str, Extraction, bytes | None]:
    """What was read out of a version, by whom, and its vectors: one for each fact and each statement, as wide as the version's."""
    extractor, lists = data["extractor"], [data["entities"], data["statements"], *data["facts"]]
    if not all(isinstance(one, list) for one in (data["facts"], *lists)):
        raise TypeError("the reading is not made of lists")
    texts = [extractor, *(text for one in lists for text in one), *([] if data["about"] is None else [data["about"]])]
    if not all(isinstance(text, str) and len(text) <= settings.max_text for text in texts):
        raise ValueError("something of the reading is too long or no text")
    if not extractor:
        raise ValueError("nobody made the reading")
    content, vectors = Extraction.from_json(data), _vector(data.get("vectors"))
    parts = len(embedded_parts(content))
    "".join(texts).encode()
    if vectors is not None and (
        not parts or len(vectors) % (2 * parts) or (vector and len(vectors) != parts * len(vector))
    ):
        raise ValueError("the reading has other vectors than facts and statements")
    return extractor, content, vectors


def _vector(encoded: Any) -> bytes | None:
    """float16 numbers; the index compares their count with the store's."""
    if encoded is None:
        return None
    vector = base64.b64decode(encoded, validate=True)
    if len(vector) % 2 or any(not math.isfinite(value) for (value,) in struct.iter_unpack("<e", vector)):
        raise ValueError("the vector is not one")
    return vector


def _line(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
