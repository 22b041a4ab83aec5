"""Export and import as JSON Lines (MemDumper, MemLoader).

The first line names the format; every other line is one version of one cube, in the order of writing. Lines are canonical,
so that exporting an import gives the same bytes.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import os
import secrets
import struct
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from remanence.cubes import ROLES, Draft, Keys, MemCube
from remanence.encoding import Encoding
from remanence.errors import InputError, UnreadableFileError
from remanence.language.keys import derive
from remanence.settings import Settings
from remanence.store.protocol import Store
from remanence.write.pipeline import Marks, Progress, keys_for

FORMAT = "remanence-export"
VERSION = 1
_TAIL = 4096  # bytes that surely hold the last line


def export(store: Store, path: Path, space: str | None, *, vectors: bool) -> int:
    """Write all versions, or those of one space. The file appears under its name only when it is complete."""
    if path.exists():
        raise InputError(f"{path} exists.", "Name a file that does not exist yet.")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist.", "Create it first.")
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    count = 0
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            header: dict[str, Any] = {"format": FORMAT, "version": VERSION}
            if vectors:
                header["embedder"] = store.note("embedder")
            file.write(_line(header))
            for cube, keys in store.everything(space):
                line = cube.to_json()
                if vectors and keys.vector:
                    line["vector"] = base64.b64encode(keys.vector).decode()
                file.write(_line(line))
                count += 1
            file.write(_line({"end": count}))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror}.", "Check its folder and the room there."
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def import_(store: Store, path: Path, encoding: Encoding, settings: Settings, progress: Progress | None) -> int:
    """Read an export, batch by batch, each durable. Versions that the store has are skipped."""
    new = read = 0
    with _opened(path) as file:
        header = _parsed(next(file, b""), path, 1, settings)
        if header.get("format") != FORMAT:
            raise UnreadableFileError(f"{path} is not a Remanence export.", "Use ingest for other files.")
        if header.get("version") != VERSION:
            raise UnreadableFileError(f"{path} has export version {header.get('version')!r}.", "Upgrade Remanence.")
        fingerprint = header.get("embedder")
        same_embedder = isinstance(fingerprint, str) and bool(fingerprint) and encoding.claim(fingerprint)
        total = _promised(file, path)
        lines, marks = enumerate(file, 2), Marks(store.secret())
        while batch := list(islice(lines, min(settings.commit_every, total - read))):
            parsed = [(_cube(line, path, number, settings)) for number, line in batch]
            new += store.restore(_drafts(parsed, encoding, marks, same_embedder=same_embedder))
            read += len(batch)
            if progress:
                progress(read, total)
    return new


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


def _drafts(
    parsed: Sequence[tuple[MemCube, bytes | None]], encoding: Encoding, marks: Marks, *, same_embedder: bool
) -> list[Draft]:
    """Versions ready to be restored. First versions get their marks again, so that a repetition is still known as one."""
    missing = [cube for cube, vector in parsed if not (same_embedder and vector)]
    made = iter(keys_for(missing, encoding.documents))
    keys: list[Keys] = [derive(cube, vector) if same_embedder and vector else next(made) for cube, vector in parsed]
    return [
        Draft(cube, key, marks.of([cube])[0] if cube.version == 1 else None)
        for (cube, _), key in zip(parsed, keys, strict=True)
    ]


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


def _cube(line: bytes, path: Path, number: int, settings: Settings) -> tuple[MemCube, bytes | None]:
    data = _parsed(line, path, number, settings)
    try:
        vector = base64.b64decode(data.pop("vector"), validate=True) if "vector" in data else None
        cube = MemCube.from_json(data)
        _check(cube, settings)
        _check_vector(vector)
    except (KeyError, ValueError, TypeError, AttributeError, binascii.Error) as error:
        raise UnreadableFileError(
            f"{path}, line {number} is not a cube: {error!r}.", "Export the memory again."
        ) from error
    return cube, vector


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
    cube.sealed_bytes()


def _check_vector(vector: bytes | None) -> None:
    """float16 numbers; the index compares their count with the store's."""
    if vector is not None and (
        len(vector) % 2 or any(not math.isfinite(value) for (value,) in struct.iter_unpack("<e", vector))
    ):
        raise ValueError("the vector is not one")


def _line(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
