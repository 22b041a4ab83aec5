"""Files, read up to a limit and written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from remanence.errors import InputError, InputTooLargeError, UnreadableFileError
from remanence.store.placing import placed


def load(path: Path, max_bytes: int) -> bytes:
    """The bytes of a file.

    Raises
    ------
    UnreadableFileError
        It cannot be opened.
    InputTooLargeError
        It is larger than `max_bytes`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise UnreadableFileError(
            f"{path} cannot be opened: {error.strerror}.", "Check that it is a file, and its permissions."
        ) from error
    if len(data) > max_bytes:
        raise InputTooLargeError(f"{path} is larger than {max_bytes} bytes.", "Split it, or raise Settings.max_file.")
    return data


@contextmanager
def new_file(path: Path) -> Generator[TextIO]:
    """A new text file in UTF-8. It appears under its name, synced, only when the block ends well.

    Raises
    ------
    InputError
        There is such a file already, or no such folder, or it cannot be written.
    """
    try:
        with placed(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror}.", "Check its folder and the room there."
        ) from error
