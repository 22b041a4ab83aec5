"""Messages → cubes in the store: mark, skip what is known, embed, commit, batch by batch."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from remanence.cubes import Ids, MemCube, Provenance, Scope
from remanence.drafts import Draft, Keys
from remanence.language.keys import derive, embedded_text
from remanence.policies import Clearance
from remanence.store.protocol import Replay, Store
from remanence.write.forgotten import sift
from remanence.write.messages import Message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from remanence.governance.quarantine import Quarantine

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
    commit_every: int, key: str | None = None, progress: Progress | None = None, clearance: Clearance | None = None,
    relearn: bool = False, leave_out: bool = False, guard: Quarantine | None = None,
) -> Ids:  # fmt: skip
    """Write messages in durable batches. Returns one id per message, in order, old ids for repetitions.

    A batch is one transaction. Whatever interrupts the call, the batches before stay; calling again with the same
    messages goes on after them, because they are recognised by their marks before anything is embedded. A memory that the
    caller may not see is no repetition: else he could try out what it says. What the `guard` suspects is written but held;
    `Ids.held` says why.

    Raises
    ------
    IdempotencyConflictError
        The key came before with other messages.
    ForgottenError
        A message was forgotten before, and neither `relearn` nor `leave_out` says what to do with it.
    SourceRevokedError
        The guard takes nothing from a source any more.

    """
    cubes = [_cube(message, target, store.clock()) for message in found]
    if guard:
        guard.refuse(cubes)
    marks = Marks(store.secret()).of(cubes)
    replay = None
    if key:
        replay = Replay(target.scope.space, key, hashlib.blake2b(b"".join(marks), digest_size=16).digest())
        if (known := store.replayed(replay)) is not None:
            again = Ids(known)
            again.held |= store.trusted.held(known) if guard else {}
            return again
    marked, held, skipped = sift(
        store, list(zip(cubes, marks, strict=True)), target.scope.space, relearn=relearn, leave_out=leave_out
    )
    ids = Ids()
    ids.skipped = skipped
    for at in range(0, len(marked), commit_every):
        batch = marked[at : at + commit_every]
        last = at + commit_every >= len(marked)
        written = _commit(store, batch, embed, replay if last else None, ids, clearance, held, guard)
        ids.held |= store.trusted.held(written)
        ids.new += len(set(written) & {cube.id for cube, _ in batch})
        ids += written
        if progress:
            progress(len(ids), len(marked))
    return ids


def rewritten(
    cube: MemCube, text: str, holds_from: datetime | None, embed: Embed, now: datetime, source: str | None = None
) -> Draft:
    """The next version of a cube, with another text. It keeps when and by whom it was said; it holds from then, or from now, on.

    `source` is where the correction comes from, if that is not where the memory came from.
    """
    method = "merged/corrected" if cube.provenance.method.startswith("merged/") else "corrected"
    corrected = replace(
        cube, version=cube.version + 1, text=text, recorded_at=now, valid_from=holds_from or now, valid_to=None,
        given_to=None, provenance=replace(cube.provenance, method=method, source=source or cube.provenance.source),
    )  # fmt: skip
    return Draft(corrected, keys_for([corrected], embed)[0], None)


def keys_for(cubes: Sequence[MemCube], embed: Embed) -> list[Keys]:
    """Derived keys, vectors included where there is an embedder."""
    vectors = embed([embedded_text(cube) for cube in cubes]) if cubes else None
    packed = [None] * len(cubes) if vectors is None else [row.tobytes() for row in vectors.astype("<f2")]
    return [derive(cube, vector) for cube, vector in zip(cubes, packed, strict=True)]


def _commit(
    store: Store, batch: Sequence[tuple[MemCube, bytes]], embed: Embed, replay: Replay | None, earlier: Sequence[str],
    clearance: Clearance | None, held: Mapping[str, str], guard: Quarantine | None,
) -> list[str]:  # fmt: skip
    """Write what the store does not know yet, in one transaction. Returns all ids of the batch, in order."""
    known = store.known([mark for _, mark in batch], batch[0][0].scope.space, clearance)
    new = [(cube, mark) for cube, mark in batch if mark not in known]
    keys = keys_for([cube for cube, _ in new], embed)
    reasons = {**(guard.reasons([cube for cube, _ in new]) if guard else {}), **held}
    drafts = iter(
        [Draft(cube, key, mark, held=reasons.get(cube.id)) for (cube, mark), key in zip(new, keys, strict=True)]
    )
    return store.append([known.get(mark) or next(drafts) for _, mark in batch], replay, earlier, clearance)


def _cube(message: Message, target: Target, now: datetime) -> MemCube:
    policy = message.policy
    if message.ttl is not None:
        policy = replace(policy, expires_at=now + timedelta(seconds=message.ttl))
    scope = target.scope if message.session is None else replace(target.scope, session=message.session)
    return MemCube(
        id=new_id(), version=1, text=message.text, kind=message.kind, scope=scope, about=message.about, meta=message.meta,
        provenance=Provenance(
            source=message.source or target.source, author=message.author, role=message.role, observed_at=message.time
        ),
        recorded_at=now, valid_from=message.valid_from or message.time or now, valid_to=message.valid_to,
        given_to=message.valid_to, policy=policy,
    )  # fmt: skip


class Marks:
    """Keyed digests that say of a first version: this content from this source, for the n-th time in this call.

    A list may rightly say "Yes." twice; the same list again is a repetition, turn by turn.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._seen: Counter[bytes] = Counter()

    def of(self, cubes: Sequence[MemCube]) -> list[bytes]:
        """The mark of each cube, 16 bytes."""
        return [self._mark(cube) for cube in cubes]

    def _mark(self, cube: MemCube) -> bytes:
        data = cube.to_json()
        if cube.provenance.source.startswith("file:"):  # a passage keeps its mark when the file grows around it
            data["meta"] = {key: value for key, value in data["meta"].items() if key not in {"part", "parts"}}
        told = [data["given_to"]] if cube.given_to else []
        if cube.valid_from not in (cube.provenance.observed_at, cube.recorded_at):
            told.append(data["valid_from"])
        digest = self._digest([*(data[name] for name in _MARKED), *told])
        times = self._seen[digest]
        self._seen[digest] += 1
        return self._digest([digest.hex(), times]) if times else digest

    def _digest(self, content: Sequence[object]) -> bytes:
        encoded = json.dumps(content, ensure_ascii=False, sort_keys=True).encode()
        return hashlib.blake2b(encoded, key=self._secret, digest_size=16).digest()


_MARKED = (
    "space",
    "user",
    "agent",
    "session",
    "source",
    "role",
    "author",
    "about",
    "kind",
    "observed_at",
    "text",
    "meta",
)


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
