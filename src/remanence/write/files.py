"""Files and folders into messages: what `ingest` finds, how each kind is read, and what a file is called in the store."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

from remanence.errors import InputError, MissingExtraError, UnreadableFileError
from remanence.settings import Settings
from remanence.write.disk import load
from remanence.write.messages import Message, messages
from remanence.write.readers.chat import read_json, read_json_lines
from remanence.write.readers.pdf import read_pdf
from remanence.write.readers.text import Document, read_markdown, read_text
from remanence.write.readers.webpage import read_html
from remanence.write.readers.word import read_word

_DOCUMENTS: dict[str, Callable[[bytes, Path, int], Document]] = {
    ".txt": read_text,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".html": read_html,
    ".htm": read_html,
    ".pdf": read_pdf,
    ".docx": read_word,
}
_CHATS: dict[str, Callable[[bytes, Path, str], list[dict[str, Any]]]] = {
    ".json": read_json,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
}
SUFFIXES = (*_DOCUMENTS, *_CHATS)
"""What can be read, by suffix in lower case."""

_LONGEST_TITLE = 200
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class FileMessages:
    """One file, read. `messages` is empty when the file holds no text: it is empty, or a scan."""

    path: Path
    source: str
    """`file:` and the POSIX path from the ingested root on, the root's own name included: the same on every machine."""
    messages: list[dict[str, Any]]
    """Each with `role` and `content`, and where known `name`, `title`, `time` (ISO 8601), `session`, `meta`."""


def read_all(path: str | Path, settings: Settings, *, skip_unreadable: bool) -> tuple[list[Message], tuple[str, ...]]:
    """Every message of a file or folder, checked, and what was skipped and why.

    A file without text is skipped too.

    Raises
    ------
    UnreadableFileError
        A file cannot be read and may not be skipped, or there is no text in any.
    """
    root = Path(path).expanduser()
    found: list[Message] = []
    skipped: list[str] = []
    for file in find_files(root):
        try:
            read = read_file(file, root=root, settings=settings)
            found += messages([{"source": read.source, **raw} for raw in read.messages], settings)
            if not read.messages:
                skipped.append(f"{file} holds no text.")
        except (InputError, MissingExtraError) as error:
            if not skip_unreadable:
                raise
            skipped.append(error.what)
    if not found:
        raise UnreadableFileError(f"{root} holds no text.", "A scanned PDF needs text recognition first.")
    return found, tuple(skipped)


def find_files(path: str | Path) -> list[Path]:
    """The files to read: the one named, or those in the folder named and below it, sorted.

    In folders, hidden files and folders, other suffixes, and links that lead out of the folder are passed over.

    Raises
    ------
    UnreadableFileError
        Nothing is there, nothing there can be read, or a folder refuses to be listed.

    """
    path = Path(path).expanduser()
    if path.is_dir():
        return _in_folder(path)
    if not path.exists():
        raise UnreadableFileError(
            f"{path} does not exist.", "Check the spelling, and where a relative path starts from."
        )
    _check_kind(path)
    return [path]


def read_file(path: Path, *, root: Path, settings: Settings) -> FileMessages:
    """Read one file. `root` is what was ingested: the file itself, or a folder that it is in.

    Raises
    ------
    InputTooLargeError
        The file, or what it unpacks to, is over `Settings.max_file`.
    UnreadableFileError
        It is damaged, encrypted, of another encoding, or of a shape or suffix that is not understood.
    InputError
        It is not in `root`.
    MissingExtraError
        A package that reads this kind of file is not installed.

    """
    _check_kind(path)
    source = _source(path, root)
    data = load(path, settings.max_file)
    suffix = path.suffix.lower()
    if suffix in _CHATS:
        messages = _CHATS[suffix](data, path, source)
    else:
        messages = _as_messages(_DOCUMENTS[suffix](data, path, settings.max_file), path)
    try:
        return FileMessages(path, source, [cast("dict[str, Any]", _storable(message)) for message in messages])
    except RecursionError as error:  # the meta of a chat message, just shallow enough to be parsed
        raise UnreadableFileError(f"{path} is nested too deeply.", "Flatten the meta of its messages.") from error


# --- finding ----------------------------------------------------------------------------------------------------------


def _in_folder(root: Path) -> list[Path]:
    files: list[Path] = []
    links: list[Path] = []
    for folder, folders, names in os.walk(root, onerror=_unlistable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            if not name.startswith(".") and path.suffix.lower() in SUFFIXES and path.is_file():
                (links if path.is_symlink() else files).append(path)
    base = root.resolve()
    known = {path.resolve() for path in files}
    for link in sorted(links):
        target = link.resolve()
        if target not in known and _visible_in(target, base):
            known.add(target)
            files.append(link)
    if not files:
        raise UnreadableFileError(f"{root} holds nothing that can be read.", f"Readable are: {', '.join(SUFFIXES)}.")
    return sorted(files, key=lambda path: path.relative_to(root).parts)


def _unlistable(error: OSError) -> NoReturn:
    raise UnreadableFileError(
        f"{error.filename} cannot be listed: {error.strerror}.", "Check its permissions, or move it out of the folder."
    ) from error


def _visible_in(target: Path, base: Path) -> bool:
    return target.is_relative_to(base) and not any(part.startswith(".") for part in target.relative_to(base).parts)


def _check_kind(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES:
        kind = f"{path.suffix} files" if path.suffix else "files without a suffix"
        raise UnreadableFileError(
            f"{path} cannot be read: {kind} are not known.", f"Readable are: {', '.join(SUFFIXES)}."
        )


def _source(path: Path, root: Path) -> str:
    """Made absolute without following links: a linked folder is known by the name it was ingested under."""
    base, full = Path(os.path.abspath(root)), Path(os.path.abspath(path))  # noqa: PTH100 (resolve would follow links)
    if not full.is_relative_to(base):
        raise InputError(f"{path} is not in {root}.", "Pass the folder that was ingested as root, or the file itself.")
    # Some file systems hand names back with their accents taken apart.
    return "file:" + _whole(unicodedata.normalize("NFC", Path(base.name, full.relative_to(base)).as_posix()))


# --- reading ----------------------------------------------------------------------------------------------------------


def _as_messages(document: Document, path: Path) -> list[dict[str, Any]]:
    passages = document.outline.passages()
    title = document.title or _humanised(path.stem)
    shared = {"role": "document", "title": title[:_LONGEST_TITLE]} | ({"time": document.time} if document.time else {})
    return [
        shared
        | {
            "content": passage.text,
            "meta": document.meta
            | {"file": path.name, "part": number, "parts": len(passages)}
            | ({"heading": passage.heading} if passage.heading else {}),
        }
        for number, passage in enumerate(passages, 1)
    ]


def _humanised(stem: str) -> str:
    """`2024-05-01_trip-to-rome` is `2024-05-01 trip to rome`."""
    words = re.sub(r"(?<!\d)[-_]+|[-_]+(?!\d)", " ", stem).split()
    return " ".join(words) or stem


def _storable(value: Any) -> Any:
    """No NUL and no half of a character pair, which JSON and PDF can carry and a database cannot."""
    if isinstance(value, str):
        return _whole(value)
    if isinstance(value, dict):
        return {_whole(str(key)): _storable(inner) for key, inner in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list):
        return [_storable(inner) for inner in cast("list[Any]", value)]
    return value


def _whole(text: str) -> str:
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)
