"""Sleep-time work: memories that say the same become one, what was replaced over time becomes a line, sessions and topics get
summaries, people get profiles.

Every step is a transaction of its own, and what is still to do follows from what is stored: interrupt it, call it again. A
product names the memories that it was made of. It is put away when one of them is corrected or put away, and erased when one
is forgotten; the next run makes it anew from what is left.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from remanence.consolidate.merge import PREFIX, groups
from remanence.consolidate.plan import DEFAULT, Due, Limits, Matter, due
from remanence.consolidate.product import Product, cube_of, is_product, merged, noted, stricter
from remanence.consolidate.steps import WHAT
from remanence.consolidate.summary import summed
from remanence.cubes import Cost, Kind, MemCube, State
from remanence.drafts import Draft
from remanence.errors import (
    BrokenAnswerError,
    EndpointError,
    FrozenError,
    InputError,
    RemanenceError,
    TransitionError,
    UnknownCubeError,
)
from remanence.policies import Clearance
from remanence.store.erasure import FORGETTING
from remanence.store.parts import Transition
from remanence.store.protocol import Store
from remanence.write.pipeline import Progress, keys_for, new_id

if TYPE_CHECKING:
    from remanence.models.language import LanguageModel
    from remanence.write.pipeline import Embed

BY = "consolidation"
"""Who acts, in the events."""
_PAGE = 1000
_GIVE_UP = 3  # summaries that a model fails on, one after the other, before a dead endpoint is left alone


@dataclass(frozen=True, slots=True)
class Consolidated:
    """What came of a run."""

    memories: int = 0
    """Current memories that were looked at."""
    made: Mapping[str, int] = field(default_factory=dict[str, int])
    """New products by what they are: merge, chain, session, topic, profile."""
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])
    """Products that were put away: replaced by a new one, or without ground."""
    merged: int = 0
    """Memories that another one speaks for now."""
    restored: int = 0
    """Memories that had been merged, and are back because what spoke for them is gone."""
    ids: tuple[str, ...] = ()
    """Of the new products."""
    failures: Mapping[str, RemanenceError] = field(default_factory=dict[str, RemanenceError])
    """Why, by what and key, for the summaries that a model could not be asked for this time. The next run asks again."""
    unsupported: int = 0
    """Sentences of a model that its sources did not bear out, and were left out."""
    cost: Cost = field(default_factory=Cost)
    due: tuple[str, ...] = ()
    """Of a dry run: what would be done, a line each."""
    finished: bool = True
    """False if it was stopped, or the model was given up on."""


def consolidate(
    store: Store, embed: Embed, model: LanguageModel | None = None, *, space: str | None = None, what: Sequence[str] = WHAT,
    limits: Limits = DEFAULT, progress: Progress | None = None, stop: Callable[[], bool] = lambda: False, dry_run: bool = False,
) -> Consolidated:  # fmt: skip
    """Consolidate every space, or one, until nothing is left or `stop` says so. See `Memory.consolidate`.

    Raises
    ------
    InputError
        `what` names no step, or an unknown one.
    """
    if isinstance(what, str) or not what or not set(what) <= set(WHAT):
        raise InputError(f"what is {what!r}.", f"Use some of: {', '.join(WHAT)}.")
    run = _Run(store, embed, model, limits, progress, stop)
    for name in [space] if space is not None else store.spaces():
        if dry_run:
            run.look(name, what)
        else:
            run.space(name, what)
    return run.outcome()


def stale(store: Store, space: str, limits: Limits = DEFAULT) -> list[Due]:
    """What waits to be made, made anew or dropped in a space, merges aside, and why."""
    return due(_matter(store, space, limits), WHAT)


def profile(
    store: Store, space: str, user: str | None = None, about: str | None = None, clearance: Clearance | None = None
) -> list[MemCube]:
    """Profiles that are current: a user's own; with `about`, those of somebody by name; with neither, all of a space."""
    filters = {"kind": Kind.PROFILE.value} | ({} if user is None else {"user": user})
    found: list[MemCube] = []
    for cube in _pages(store, space, filters):
        named = about is None or (cube.about or "").casefold() == about.casefold()
        own = user is None or about is not None or noted(cube).get("key") == user
        if named and own and (clearance is None or clearance.admits(cube.policy.sensitivity, cube.policy.access)):
            found.append(cube)
    return found


class _Run:
    """One run, and what it has done so far."""

    def __init__(
        self, store: Store, embed: Embed, model: LanguageModel | None, limits: Limits, progress: Progress | None,
        stop: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._store, self._embed, self._model, self._limits = store, embed, model, limits
        self._progress, self._stop = progress, stop
        self._memories = self._merged = self._restored = self._unsupported = self._dead = 0
        self._made, self._dropped = Counter[str](), Counter[str]()
        self._ids: list[str] = []
        self._due: list[str] = []
        self._failures: dict[str, RemanenceError] = {}
        self._cost = Cost()
        self._stopped = False

    def outcome(self) -> Consolidated:
        """What was done."""
        return Consolidated(
            self._memories, dict(self._made), dict(self._dropped), self._merged, self._restored, tuple(self._ids),
            self._failures, self._unsupported, self._cost, tuple(self._due), not (self._stopped or self._failures),
        )  # fmt: skip

    def look(self, space: str, what: Sequence[str]) -> None:
        """Note what would be done."""
        matter = _matter(self._store, space, self._limits)
        self._memories += len(matter.cubes)
        if "merge" in what:
            self._due += [f"merge {len(some)} memories: {some[0].text[:80]}" for some in self._alike(matter)]
        self._due += [f"{one.what} {one.key}: {one.why}" for one in due(matter, what, by_model=self._model is not None)]

    def space(self, space: str, what: Sequence[str]) -> None:
        """Do all that is to do in a space."""
        if "merge" in what:
            self._orphans(space)
            self._merge(_matter(self._store, space, self._limits))
        matter = _matter(self._store, space, self._limits)
        self._memories += len(matter.cubes)
        waiting = due(matter, what, by_model=self._model is not None)
        for number, one in enumerate(waiting, 1):
            if self._halted():
                return
            self._make(one)
            if self._progress:
                self._progress(number, len(waiting))

    def _halted(self) -> bool:
        self._stopped = self._stopped or self._stop()
        return self._stopped

    # ── merges ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _orphans(self, space: str) -> None:
        """Look after what was merged: it comes back when what spoke for it was forgotten, and shares the labels of that."""
        after: str | None = None
        while not self._halted():
            page = self._store.lifecycle.in_state(space, State.MERGED, _PAGE, after)
            for cube in page:
                if not is_product(cube):
                    self._look_after(cube)
            if page.cursor is None:
                return
            after = page.cursor

    def _look_after(self, cube: MemCube) -> None:
        speakers = [one for one in self._products_of(cube) if one.state is not State.MERGED]
        if not speakers:
            self._bring_back(cube, "what spoke for it is gone")
            return
        for one in speakers:
            if one.superseded_at is not None or one.state is State.FROZEN:  # somebody put it away, or closed it
                continue
            strict = stricter(cube.policy, one.policy)
            if strict is None:
                self._bring_back(cube, "its labels and those of what speaks for it do not go together")
                return
            for other, policy in ((cube, cube.policy), (one, one.policy)):
                if (policy.sensitivity, policy.access) != strict:
                    self._store.lifecycle.govern(other.id, replace(policy, sensitivity=strict[0], access=strict[1]))

    def _bring_back(self, cube: MemCube, reason: str) -> None:
        self._restored += self._moved([Transition(cube.id, State.ACTIVE, reason, BY, cube.scope.space)])

    def _products_of(self, cube: MemCube) -> list[MemCube]:
        """The merged memories that were made of one, in their last version."""
        found: list[MemCube] = []
        for child in self._store.derived.children([cube.id]):
            try:
                last = self._store.get(child)
            except UnknownCubeError:  # forgotten in this very moment
                continue
            if last.provenance.method.startswith(PREFIX):
                found.append(last)
        return found

    def _alike(self, matter: Matter) -> Iterator[list[MemCube]]:
        """Groups that may become one, without memories that somebody had taken out of a merge."""
        for some in groups(matter.cubes, matter.stated):
            willing = [cube for cube in some if not self._taken_apart(cube)]
            if len(willing) > 1:
                yield willing

    def _taken_apart(self, cube: MemCube) -> bool:
        if cube.version == 1:
            return False
        return any(
            event.was is State.MERGED and event.became is State.ACTIVE and event.by not in {BY, FORGETTING}
            for event in self._store.lifecycle.events(cube.id)
        )

    def _merge(self, matter: Matter) -> None:
        found = list(self._alike(matter))
        for number, some in enumerate(found, 1):
            if self._halted():
                return
            parents = self._first_hand(some)
            product = merged(parents)
            draft = self._draft(product, tuple((cube.id, cube.version) for cube in some))
            try:
                made = self._store.lifecycle.merge(
                    draft, [cube.id for cube in some], f"merged into {draft.cube.id}", BY
                )
            except (
                FrozenError,
                TransitionError,
                UnknownCubeError,
            ):  # somebody else was faster: the next run looks again
                continue
            if made is not None:
                self._made["merge"] += 1
                self._dropped["merge"] += sum(is_product(cube) for cube in some)
                self._merged += sum(not is_product(cube) for cube in some)
                self._ids.append(made.id)
            if self._progress:
                self._progress(number, len(found))

    def _first_hand(self, some: Sequence[MemCube]) -> list[MemCube]:
        """The memories of a group, and in place of an earlier product what it was made of: lineage stays one step long."""
        found: dict[str, MemCube] = {}
        for cube in some:
            for one in cube.provenance.derived_from if is_product(cube) else ():
                found[one] = self._store.get(one)
            if not is_product(cube):
                found[cube.id] = cube
        return list(found.values())

    # ── what is made out of many ─────────────────────────────────────────────────────────────────────────────────────

    def _make(self, one: Due) -> None:
        """Make what is due, and put away what it replaces: first the new one, so that a crash leaves one too many."""
        product, fresh = one.product, None
        if one.why == "without ground":
            product = None
        elif product is None:
            product = self._summed(one)
            if product is None:
                return
        if product is not None:
            draft = self._draft(product, tuple(product.versions), self._mark(product))
            ids = self._store.append([draft])
            if not ids:  # one of its sources changed meanwhile
                return
            fresh = ids[0]
            if fresh == draft.cube.id:
                self._made[one.what] += 1
                self._ids.append(fresh)
        for old in one.old:
            if old != fresh:
                self._dropped[one.what] += self._moved([Transition(old, State.ARCHIVED, one.why, BY, one.scope.space)])

    def _summed(self, one: Due) -> Product | None:
        """The summary that is due; None where there is none this time."""
        model = self._model if self._dead < _GIVE_UP else None
        if self._model is not None and model is None:
            return None
        try:
            made = summed(one, self._limits.characters, model)
        except (EndpointError, BrokenAnswerError) as error:
            self._failures[f"{one.what} {one.key}"] = error
            self._dead += 1
            return None
        self._dead = 0
        self._cost += made.cost
        self._unsupported += made.dropped
        if made.product is None and model is not None and one.why != "by rules":
            return summed(one, self._limits.characters, None).product  # nothing that the model wrote holds
        return made.product

    def _draft(self, product: Product, made_of: tuple[tuple[str, int], ...], mark: bytes | None = None) -> Draft:
        cube = cube_of(product, new_id(), self._store.clock())
        return Draft(cube, keys_for([cube], self._embed)[0], mark, made_of)

    def _mark(self, product: Product) -> bytes:
        """Tells that a product is there: another run, at the same time, makes no second one."""
        content: list[Any] = [*product.place, product.method, product.text, product.seen, sorted(product.versions)]
        return hashlib.blake2b(json.dumps(content).encode(), key=self._store.secret(), digest_size=16).digest()

    def _moved(self, wishes: Sequence[Transition]) -> int:
        """Make transitions; 0 if somebody else changed the memory meanwhile."""
        try:
            return len(self._store.lifecycle.change(wishes))
        except (FrozenError, TransitionError, UnknownCubeError):
            return 0


def _matter(store: Store, space: str, limits: Limits) -> Matter:
    cubes = list(_pages(store, space, {}))
    return Matter(space, cubes, store.derived.claims(space), store.clock(), limits)


def _pages(store: Store, space: str, filters: Mapping[str, str]) -> Iterator[MemCube]:
    after: str | None = None
    while True:
        page = store.page(space, _PAGE, after, filters)
        yield from page
        if page.cursor is None:
            return
        after = page.cursor
