"""Groups of memories that say the same, and may become one.

Only within one scope, one voice and one tier of trust: two people who say the same are two witnesses, and so are two sources
that nobody vouches for. Turns of a conversation merge only within their session and only where they claim something. Two
memories with a rival between them in time stay apart: Rome, Oslo, and Rome again are three stays.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from remanence.consolidate.shingles import candidates
from remanence.consolidate.wording import Wording, same, wording
from remanence.cubes import Kind, MemCube, State, posix
from remanence.language.relations import Arity, arity
from remanence.language.slots import Stated, Value, relation_key, subject_key, value_key
from remanence.policies import Trust
from remanence.store.claimed import by_rules

METHOD = "merged/rules/1"
PREFIX = "merged/"
"""Methods of merged memories begin with this."""
_KINDS = frozenset({Kind.FACT, Kind.PREFERENCE, Kind.DOCUMENT, Kind.MESSAGE})
_VOUCHED = frozenset({Trust.USER, Trust.TOOL})
_DAY = 86400.0
_UNDATED = datetime(2000, 1, 1, tzinfo=UTC)  # "yesterday" in two copies of a document is one day
_TRIED = 8  # groups of one wording that a memory is compared with, the newest
_WORDINGS = 16  # of one group

Candidates = Callable[[Sequence[str]], Iterable[tuple[int, int]]]
"""Pairs of places of texts that are alike."""


def groups(
    cubes: Sequence[MemCube], stated: Sequence[Stated], alike: Candidates = candidates
) -> list[tuple[MemCube, ...]]:
    """Two or more memories that say the same, in the order of `cubes`. `stated` is what the space's memories claim.

    In a group every memory says the same as every other; none is in two groups.
    """
    rivals = _Rivals(stated)
    by_voice: dict[tuple[object, ...], list[_Member]] = defaultdict(list)
    for cube in cubes:
        voice = _voice(cube)
        member = None if voice is None else _member(cube)
        if voice is not None and member is not None:
            by_voice[voice].append(member)
    found: list[tuple[MemCube, ...]] = []
    for members in by_voice.values():
        if len(members) > 1:
            found += [tuple(one.cube for one in group.members) for group in _grouped(members, rivals, alike)]
    return found


def fullest(parents: Sequence[MemCube]) -> MemCube:
    """The parent whose text stands for all: the longest, of equal ones the earliest."""
    return min(parents, key=lambda cube: (-len(cube.text), posix(cube.valid_from), cube.id))


@dataclass(frozen=True, slots=True)
class _Member:
    cube: MemCube
    wording: Wording

    @property
    def span(self) -> tuple[float, float]:
        """From when until when it holds."""
        ends = self.cube.valid_to
        return posix(self.cube.valid_from), float("inf") if ends is None else posix(ends)


@dataclass(slots=True)
class _Group:
    members: list[_Member] = field(default_factory=list[_Member])
    wordings: list[Wording] = field(default_factory=list[Wording])
    first: float = float("inf")
    last: float = float("-inf")
    """When the first and the last of them begin to hold."""
    ends: float = float("inf")
    """When the first of them ends."""

    def admits(self, one: _Member, rivals: _Rivals) -> bool:
        """Whether a memory says the same as all of them, at a time that goes together with theirs."""
        if not self.members:
            return True
        if len(self.wordings) == _WORDINGS and one.wording not in self.wordings:
            return False
        if not all(same(other, one.wording) for other in self.wordings):
            return False
        begins, ends = one.span
        first, last = min(begins, self.first), max(begins, self.last)
        if last > min(ends, self.ends):  # they never hold at one moment
            return False
        if last - first > _DAY and not _timeless(one.cube, rivals):
            return False
        # What lies between the others was looked at when they joined.
        return not rivals.between(one.cube, *((begins, self.first) if begins < self.first else (self.last, last)))

    def add(self, one: _Member) -> None:
        """Take it in."""
        begins, ends = one.span
        self.members.append(one)
        self.first, self.last, self.ends = min(begins, self.first), max(begins, self.last), min(ends, self.ends)
        if one.wording not in self.wordings:
            self.wordings.append(one.wording)


def _grouped(members: Sequence[_Member], rivals: _Rivals, alike: Candidates) -> list[_Group]:
    """Each memory joins the first group that admits it, or begins one."""
    near: dict[int, list[int]] = defaultdict(list)
    first_of: dict[str, int] = {}
    places = [first_of.setdefault(one.wording.joined, place) for place, one in enumerate(members)]
    distinct = sorted(set(places))
    for one, other in alike([members[place].wording.joined for place in distinct]):
        near[distinct[one]].append(distinct[other])
        near[distinct[other]].append(distinct[one])
    found: list[_Group] = []
    by_key: dict[object, list[_Group]] = defaultdict(list)
    for place, one in enumerate(members):
        keys = [places[place], *near[places[place]], *([one.wording.claims] if one.wording.claims else [])]
        tried = {id(group): group for key in keys for group in by_key[key][-_TRIED:]}
        group = next((group for group in tried.values() if group.admits(one, rivals)), None)
        if group is None:
            group = _Group()
            found.append(group)
        group.add(one)
        for key in (places[place], one.wording.claims):
            if key != () and all(known is not group for known in by_key[key][-_TRIED:]):
                by_key[key].append(group)
    return [group for group in found if len(group.members) > 1]


def _voice(cube: MemCube) -> tuple[object, ...] | None:
    """What has to be the same of two memories before their texts are compared; None for one that never merges."""
    origin, policy = cube.provenance, cube.policy
    product = origin.method.startswith(PREFIX)
    if cube.kind not in _KINDS or cube.state is State.FROZEN or (origin.derived_from and not product):
        return None
    if policy.expires_at is not None or policy.trigger is not None or policy.half_life is not None:
        return None
    if cube.kind is not Kind.DOCUMENT and "?" in cube.text:
        return None
    scope, trust = cube.scope, cube.trust
    session = scope.session if cube.kind is Kind.MESSAGE else None
    source = origin.source.partition(":")[0] if trust in _VOUCHED else origin.source
    meta = json.dumps({key: value for key, value in cube.meta.items() if key not in _OF_PLACE}, sort_keys=True)
    return (
        cube.kind, scope.space, scope.user, scope.agent, session, origin.author, origin.role, source, cube.about, meta,
        trust, policy.sensitivity, policy.access, policy.priority,
    )  # fmt: skip


_OF_PLACE = frozenset({"part", "parts", "consolidation"})


def _member(cube: MemCube) -> _Member | None:
    """None for a turn that claims nothing: "Yes." and "Good morning" are said anew each time."""
    claims = by_rules(cube) if cube.kind is not Kind.DOCUMENT else []
    if cube.kind is Kind.MESSAGE and not claims:
        return None
    written = _UNDATED if cube.kind is Kind.DOCUMENT else cube.valid_from
    return _Member(cube, wording(cube.text, cube.provenance.observed_at or written, claims))


def _timeless(cube: MemCube, rivals: _Rivals) -> bool:
    """Whether saying it again on another day is no news: its rivals would be known, or it is a document without a time."""
    if cube.kind is Kind.DOCUMENT:
        return cube.provenance.observed_at is None
    return rivals.knows(cube)


class _Rivals:
    """What is said against a claim, and when."""

    def __init__(self, stated: Iterable[Stated]) -> None:
        self._of: dict[str, list[Stated]] = defaultdict(list)
        slots: dict[tuple[str, str], set[tuple[float, Value, bool]]] = defaultdict(set)
        for one in stated:
            self._of[one.cube_id].append(one)
            value = value_key(one.fact.relation, one.fact.value)
            slots[_slot(one)].add((one.holds_from, value, one.negated))
        self._slots = {slot: sorted(some) for slot, some in slots.items()}

    def knows(self, cube: MemCube) -> bool:
        """Whether a memory claims something, so that its rivals are known."""
        return cube.id in self._of

    def between(self, cube: MemCube, first: float, last: float) -> bool:
        """Whether another value, or a denial, of something that a memory claims was said from `first` to `last`."""
        return any(self._against(own, first, last) for own in self._of.get(cube.id, ()))

    def _against(self, own: Stated, first: float, last: float) -> bool:
        some = self._slots[_slot(own)]
        value, exclusive = value_key(own.fact.relation, own.fact.value), arity(own.fact.relation) is not Arity.MANY
        for at in range(bisect_left(some, first, key=lambda one: one[0]), len(some)):
            said, other, negated = some[at]
            if said > last:
                return False
            if negated != own.negated if other == value else exclusive:
                return True
        return False


def _slot(one: Stated) -> tuple[str, str]:
    return subject_key(one.fact.subject), relation_key(one.fact.relation)
