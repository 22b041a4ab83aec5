"""What a disk may hold after the power failed: what was synced, and any part of what was not.

A recorded list of calls is played on files in memory. A write stays pending until its file is synced; at the end each pending
write is there, not there, or there in some of its sectors, whatever came before or after it. A rename is pending until its
folder is synced. This is harsher than a journaling file system and as harsh as POSIX allows, but for one thing: a file that
was opened exists. SQLite syncs the folder itself when it makes a log (`unixSync`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from disk import Call

_SECTOR = 512


class Platter:
    """Files by name: what is durable, and what is pending."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = {name: bytearray(content) for name, content in files.items()}
        self.pending: dict[str, list[Call]] = {}
        self.entries: list[Call] = []
        """Renames and deletions that no sync of the folder has made durable."""

    def play(self, calls: Sequence[Call]) -> None:
        for call in calls:
            self._play(call)

    def _play(self, call: Call) -> None:
        if call.kind == "open":
            self.files.setdefault(call.name, bytearray())
        elif call.kind in ("write", "truncate"):
            self.files.setdefault(call.name, bytearray())  # opened before the recording began
            self.pending.setdefault(call.name, []).append(call)
        elif call.kind == "sync" and call.name in self.files:
            for one in self.pending.pop(call.name, []):
                _apply(self.files[call.name], one, None)
        elif call.kind == "sync":  # of a folder
            here = [one for one in self.entries if str(Path(one.name).parent) == call.name]
            self._settle(here)
            self.entries = [one for one in self.entries if one not in here]
        else:
            self.entries.append(call)

    def _settle(self, entries: Sequence[Call]) -> None:
        for one in entries:
            if one.kind == "delete":
                self.files.pop(one.name, None)
                self.pending.pop(one.name, None)
            elif (old := one.data.decode()) in self.files:
                self.files[one.name] = self.files.pop(old)
                self.pending[one.name] = self.pending.pop(old, [])

    def fail(self, chance: random.Random | None) -> dict[str, bytes]:
        """The power is gone. Without a chance all that is pending is lost; with one, any part of it."""
        files = {name: bytearray(content) for name, content in self.files.items()}
        if chance is not None:
            for name, calls in self.pending.items():
                for call in calls:
                    if name in files and chance.random() < 0.5:
                        _apply(files[name], call, chance if chance.random() < 0.3 else None)
            after = Platter({})
            after.files = files
            after._settle([one for one in self.entries if chance.random() < 0.5])
        return {name: bytes(content) for name, content in files.items()}


def _apply(content: bytearray, call: Call, chance: random.Random | None) -> None:
    """Carry out a write or a truncation; with a chance only some sectors of the write."""
    if call.kind == "truncate":
        del content[call.offset :]
        content.extend(bytes(call.offset - len(content)))
        return
    at = 0
    while at < len(call.data):
        end = min(len(call.data), (call.offset + at) // _SECTOR * _SECTOR + _SECTOR - call.offset)
        if chance is None or chance.random() < 0.5:
            content.extend(bytes(max(call.offset + at - len(content), 0)))
            content[call.offset + at : call.offset + end] = call.data[at:end]
        at = end


def laid_out(files: Mapping[str, bytes], folder: Path) -> None:
    """Write such files to a real folder: those that are named in another one, under the same names."""
    for name, content in files.items():
        (folder / Path(name).name).write_bytes(content)
