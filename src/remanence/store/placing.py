"""New files that appear whole, and stay where they appeared."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from remanence.errors import InputError


@contextmanager
def placed(path: Path) -> Generator[Path]:
    """Another name to write to, in the same folder. When the block ends well, what is there gets the name `path`, durably.

    The block has to sync what it writes. An OSError of the renaming passes through.

    Raises
    ------
    InputError
        There is such a file already, or no such folder.
    """
    if path.exists():
        raise InputError(f"{path} exists.", "Name a file that does not exist yet.")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist.", "Create it first.")
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield partial
        partial.replace(path)
        _sync(path.parent)
    finally:
        with suppress(OSError):  # the disk that refused the file may refuse this too, and the first error says more
            partial.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """A renaming is durable when its folder is synced (POSIX); other systems offer no way and need none."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
