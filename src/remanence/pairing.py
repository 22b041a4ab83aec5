"""Question–answer pairs as memories: made from cubes by rules or by a model, or read from a file.

A pair is a cube of kind `qa`, found by its question alone. One that was made from cubes carries their ids in `derived_from`, that
of the answer first: it is retired when one of them is corrected and forgotten with it. Making pairs is resumable: the store notes how far a maker got.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from remanence.cubes import Cost, Kind, MemCube, Provenance, Scope
from remanence.drafts import Draft
from remanence.errors import BrokenAnswerError, EndpointError, RemanenceError
from remanence.governance.access import joined
from remanence.kinds import MADE
from remanence.language import questions
from remanence.language.qa import EXCHANGED, qa_text
from remanence.policies import Policy
from remanence.store.protocol import Store
from remanence.write.messages import Message
from remanence.write.pipeline import Progress, keys_for, new_id

if TYPE_CHECKING:
    from remanence.models.language import LanguageModel
    from remanence.write.pairs import Pair
    from remanence.write.pipeline import Embed

RULES = "pairs/rules/1"
_MOST = 64  # pairs of one cube
_GIVE_UP = 3  # memories that a model fails on, one after the other, before a dead endpoint is left alone
_STEP = 64  # cubes whose pairs are committed together


class _Asked(Protocol):
    """A question and its answer, of rules or of a model."""

    @property
    def question(self) -> str: ...
    @property
    def answer(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Paired:
    """What came of making pairs."""

    cubes: int = 0
    """Memories that were looked at."""
    pairs: int = 0
    """Pairs that are new."""
    failures: Mapping[str, RemanenceError] = field(default_factory=dict[str, RemanenceError])
    """Why, by id, for the memories that a model could not be asked about this time."""
    cost: Cost = field(default_factory=Cost)


def pair(
    store: Store, embed: Embed, model: LanguageModel | None, *, space: str | None = None, progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Paired:  # fmt: skip
    """Make pairs of every current memory that was not looked at yet, by rules, or by a model where one is given.

    A memory that a model fails on is tried again by the next call.
    """
    maker = RULES if model is None else f"pairs/{model.name}"
    note = f"paired/{maker}/{'' if space is None else space}"
    after = int(store.note(note) or 0)
    total = store.counts()["versions"]
    done, failures, turns, tried = Paired(), dict[str, RemanenceError](), _Turns(store), 0
    dead, failed = 0, None
    while not stop() and dead < _GIVE_UP and (some := store.numbered(after, _STEP)):
        drafts: list[_Found] = []
        for seq, cube in some:
            turns.corrected(cube)
            if dead == _GIVE_UP:
                break
            if cube.superseded_at is not None or cube.kind in MADE or (space is not None and cube.scope.space != space):
                continue
            found: Sequence[_Asked] = ()
            try:
                found, cost = _asked(cube, turns, model)
                done, dead = replace(done, cost=done.cost + cost), 0
            except (EndpointError, BrokenAnswerError) as error:
                failures[cube.id], dead = error, dead + 1
                failed = seq if failed is None else failed
            drafts += [_found(cube, one, maker) for one in found]
            done = replace(done, cubes=done.cubes + 1)
        new = _commit(store, embed, drafts)
        after = some[-1][0]
        done = replace(done, pairs=done.pairs + new, failures=failures)
        tried += len(some)
        # The next call begins where the first failure was; what is there is not made twice, nor asked twice where replies are kept.
        store.set_note(note, str(after if failed is None else failed - 1))
        if progress:
            progress(min(tried, total), total)
    return done


class _Found(NamedTuple):
    """A pair that is to be written."""

    parents: tuple[MemCube, ...]
    """Everything whose words are in it: the memory that answers first."""
    text: str
    maker: str


def _found(cube: MemCube, one: _Asked, maker: str) -> _Found:
    text = qa_text(one.question, one.answer)
    return (
        _Found((cube, one.asked_in), text, EXCHANGED) if isinstance(one, _Exchanged) else _Found((cube,), text, maker)
    )


class _Turns:
    """The turn before each, in its session: whatever came between, and whenever it was written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last: dict[Scope, MemCube] = {}

    def corrected(self, cube: MemCube) -> None:
        """After a version that no longer holds, the store has to say what stands in its place."""
        if cube.superseded_at is not None:
            self._last.pop(cube.scope, None)

    def before(self, cube: MemCube) -> MemCube | None:
        """The current memory before one in its session; None where there is none. Ask in the order of writing."""
        if cube.scope.session is None:
            return None
        if cube.version == 1:
            last, self._last[cube.scope] = self._last.get(cube.scope), cube
            if last is not None:
                return last
        own = self._written(cube)
        return next((one for one in self._store.beside(cube) if self._written(one) < own), None)

    def _written(self, cube: MemCube) -> tuple[datetime, str]:
        """The place of a memory in the order of writing, which corrections keep."""
        first = cube if cube.version == 1 else self._store.versions(cube.id, cube.scope.space)[0]
        return first.recorded_at, first.id


def _asked(cube: MemCube, turns: _Turns, model: LanguageModel | None) -> tuple[Sequence[_Asked], Cost]:
    if model is not None:
        from remanence.write.pairs import model_pairs

        found = model_pairs(model, cube)
        return found, found.cost
    origin = cube.provenance
    speaker = None if origin.role == "document" else origin.author or cube.scope.user
    pairs: list[_Asked] = list(questions.pairs(cube.text, speaker, cube.about)[:_MOST])
    previous = turns.before(cube)
    if previous is not None and _answers(previous, cube) and (found := questions.exchange(previous.text, cube.text)):
        pairs.append(_Exchanged(found.question, found.answer, previous))
    return pairs, Cost()


class _Exchanged(NamedTuple):
    """A question and what somebody replied: found by its question, but no answer that can be given unread."""

    question: str
    answer: str
    asked_in: MemCube
    """The turn that the question is in."""


def _answers(asked: MemCube, told: MemCube) -> bool:
    """Two turns of one session, one after the other, by different people."""
    same = asked.scope == told.scope and told.scope.session is not None
    who = [one.provenance.author or one.provenance.role for one in (asked, told)]
    return same and who[0] != who[1]


def _commit(store: Store, embed: Embed, found: Sequence[_Found]) -> int:
    marks = [_mark(store.secret(), one) for one in found]
    known: dict[tuple[str, bytes], str] = {}
    for space in {one.parents[0].scope.space for one in found}:
        inside = [mark for one, mark in zip(found, marks, strict=True) if one.parents[0].scope.space == space]
        known |= {(space, mark): cube_id for mark, cube_id in store.known(inside, space).items()}
    new = [
        (one, _cube(one, store.clock()), mark)
        for one, mark in zip(found, marks, strict=True)
        if (one.parents[0].scope.space, mark) not in known
    ]
    keys = keys_for([cube for _, cube, _ in new], embed)
    drafts = [
        Draft(cube, own, mark, tuple((parent.id, parent.version) for parent in one.parents))
        for (one, cube, mark), own in zip(new, keys, strict=True)
    ]
    return len({cube.id for _, cube, _ in new}.intersection(store.append(drafts)))


def _cube(found: _Found, now: datetime) -> MemCube:
    parent = found.parents[0]
    origin = Provenance(
        source=parent.provenance.source, author=parent.provenance.author, role=parent.provenance.role, method=found.maker,
        derived_from=tuple(one.id for one in found.parents),
    )  # fmt: skip
    return MemCube(
        id=new_id(), version=1, text=found.text, kind=Kind.QA, scope=parent.scope, provenance=origin, about=parent.about,
        recorded_at=now, valid_from=parent.valid_from, valid_to=parent.given_to, given_to=parent.given_to,
        policy=_policy(found.parents),
    )  # fmt: skip


def _policy(parents: Sequence[MemCube]) -> Policy:
    """The policy of the memory that answers; but nobody may see a pair who may not see all that it was made of, or for longer."""
    sensitivity, access = joined(one.policy for one in parents)
    expires = min((one.policy.expires_at for one in parents if one.policy.expires_at), default=None)
    return replace(parents[0].policy, trigger=None, sensitivity=sensitivity, access=access, expires_at=expires)


def _mark(secret: bytes, found: _Found) -> bytes:
    parent = found.parents[0]
    content = f"qa\0{parent.id}\0{parent.version}\0{found.text}".encode()
    return hashlib.blake2b(content, key=secret, digest_size=16).digest()


def imported(pairs: Sequence[Pair], source: str) -> list[Message]:
    """Pairs of a file as messages to write: each stands for itself."""
    return [
        Message(
            text=qa_text(one.question, one.answer),
            role="document",
            author=None,
            time=None,
            session=None,
            about=one.about,
            kind=Kind.QA,
            source=one.source or source,
            meta={},
        )
        for one in pairs
    ]
