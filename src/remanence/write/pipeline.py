"""Messages → cubes in the store: mark, skip what is known, embed, commit, batch by batch."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from remanence.cubes import Draft, Ids, Keys, MemCube, Provenance, Scope
from remanence.language.keys import derive, embedded_text
from remanence.store.protocol import Replay, Store
from remanence.write.messages import Message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Embed = Callable[[Sequence[str]], NDArray[np.float32] | None]
    """Unit vectors, shape (n, dimensions), or None where there is no embedder."""

Progress = Callable[[int, int], None]
"""Called with how many messages are durable, and how many there are."""


class Target(NamedTuple):
    """Where messages go."""

    scope: Scope
    source: str


def write(
    store: Store, found: Sequence[Message], target: Target, embed: Embed, *,
    commit_every: int, key: str | None = None, progress: Progress | None = None,
) -> Ids:  # fmt: skip
    """Write messages in durable batches. Returns one id per message, in order, old ids for repetitions.

    A batch is one transaction. Whatever interrupts the call, the batches before stay; calling again with the same
    messages goes on after them, because they are recognised by their marks before anything is embedded.

    Raises
    ------
    IdempotencyConflictError
        The key came before with other messages.

    """
    space = target.scope.space
    marks = _marks(store.secret(), found, target)
    replay = Replay(space, key, hashlib.blake2b(b"".join(marks), digest_size=16).digest()) if key else None
    if replay and (ids := store.replayed(replay)) is not None:
        return Ids(ids)
    ids = Ids()
    for at in range(0, len(found), commit_every):
        some, their = found[at : at + commit_every], marks[at : at + commit_every]
        last = at + commit_every >= len(found)
        written, new = _batch(store, some, their, target, embed, replay if last else None, ids)
        ids += written
        ids.new += new
        if progress:
            progress(len(ids), len(found))
    return ids


def rewritten(cube: MemCube, text: str, now: datetime, embed: Embed) -> Draft:
    """The next version of a cube, with another text. It keeps when and by whom it was said; it holds from `now` on."""
    corrected = replace(
        cube, version=cube.version + 1, text=text, recorded_at=now, valid_from=now,
        provenance=replace(cube.provenance, method="corrected"),
    )  # fmt: skip
    return Draft(corrected, keys_for([corrected], embed)[0], None)


def keys_for(cubes: Sequence[MemCube], embed: Embed) -> list[Keys]:
    """Derived keys, vectors included where there is an embedder."""
    vectors = embed([embedded_text(cube) for cube in cubes]) if cubes else None
    packed = [None] * len(cubes) if vectors is None else [row.tobytes() for row in vectors.astype("<f2")]
    return [derive(cube, vector) for cube, vector in zip(cubes, packed, strict=True)]


def _batch(
    store: Store, some: Sequence[Message], marks: Sequence[bytes], target: Target, embed: Embed,
    replay: Replay | None, earlier: Sequence[str],
) -> tuple[list[str], int]:  # fmt: skip
    known = store.known(marks, target.scope.space)
    new = [(mark, message) for mark, message in zip(marks, some, strict=True) if mark not in known]
    cubes = [_cube(message, target) for _, message in new]
    drafts = [Draft(cube, keys, mark) for (mark, _), cube, keys in zip(new, cubes, keys_for(cubes, embed), strict=True)]
    fresh = iter(drafts)
    ids = store.append([known.get(mark) or next(fresh) for mark in marks], replay, earlier)
    return ids, len(set(ids) & {cube.id for cube in cubes})


def _cube(message: Message, target: Target) -> MemCube:
    now = datetime.now(UTC)
    scope = target.scope if message.session is None else replace(target.scope, session=message.session)
    return MemCube(
        id=new_id(), version=1, text=message.text, kind=message.kind, scope=scope, about=message.about, meta=message.meta,
        provenance=Provenance(
            source=message.source or target.source, author=message.author, role=message.role, observed_at=message.time
        ),
        recorded_at=now, valid_from=message.time or now,
    )  # fmt: skip


def _marks(secret: bytes, found: Sequence[Message], target: Target) -> list[bytes]:
    """A keyed digest per message that says: the same content from the same source, for the n-th time in this call.

    A list may rightly say "Yes." twice; the same list again is a repetition, turn by turn.
    """
    seen: Counter[bytes] = Counter()
    marks: list[bytes] = []
    for message in found:
        scope = target.scope
        content = [
            scope.user, scope.agent, message.session or scope.session, message.source or target.source, message.role,
            message.author, message.about, message.kind, None if message.time is None else message.time.isoformat(),
            message.text, message.meta,
        ]  # fmt: skip
        digest = _digest(secret, content)
        marks.append(_digest(secret, [digest.hex(), seen[digest]]) if seen[digest] else digest)
        seen[digest] += 1
    return marks


def _digest(secret: bytes, content: Sequence[object]) -> bytes:
    encoded = json.dumps(content, ensure_ascii=False, sort_keys=True, default=str).encode()
    return hashlib.blake2b(encoded, key=secret, digest_size=16).digest()


class _Ids:
    """UUIDs of version 7 (RFC 9562, method 2 of section 6.2): each is greater than the one before in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._millisecond = self._random = 0

    def __call__(self) -> str:
        with self._lock:
            now = time.time_ns() // 1_000_000
            if now > self._millisecond:
                self._millisecond, self._random = now, secrets.randbits(73)  # one bit of room to count up
            else:
                self._random += 1 + secrets.randbits(32)
            high, low = divmod(self._random, 1 << 62)
            value = self._millisecond << 80 | 7 << 76 | high << 64 | 2 << 62 | low
        return str(UUID(int=value))


new_id = _Ids()
