"""What a space still lacks: which merges, timelines, summaries and profiles are missing, out of date, or without ground.

The plan is made of what is current now, and nothing is remembered between two runs but the products themselves. That is what
makes a run safe to interrupt and to repeat.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from remanence.consolidate import profile as profiles_
from remanence.consolidate.chains import Chain, chains
from remanence.consolidate.product import RULES, Product, Source, is_product, noted, place_of, suits, versions_of
from remanence.cubes import Kind, MemCube, Scope, State, posix
from remanence.language.calendar_words import FULL_MONTH, WEEKDAY
from remanence.language.entities import opens, surfaces
from remanence.language.slots import Stated, relation_key, subject_key
from remanence.language.tokens import STOP_WORDS
from remanence.language.topics import normalised
from remanence.policies import Trust

Group = tuple[str | None, str | None]
"""A user and an agent: nothing is ever made of memories of two groups."""


@dataclass(frozen=True, slots=True)
class Limits:
    """From how much on something is made, and how long it may be."""

    session_memories: int = 8
    topic_memories: int = 6
    topics: int = 50
    """Of one user and agent; those that most memories name."""
    claims: int = 4
    """Current lines of somebody who is not the user, from which they have a profile."""
    characters: int = 1200
    """Of a summary. There is none of material that is not twice as long."""
    growth: float = 0.25
    """Share of new memories from which a summary is made anew; at least `least_growth` of them."""
    least_growth: int = 4


DEFAULT = Limits()


@dataclass(frozen=True, slots=True)
class Due:
    """Something to be made, made again, or dropped."""

    what: str
    """chain, session, topic or profile."""
    key: str
    scope: Scope
    why: str
    """missing, outgrown, changed, repeated, or without ground."""
    material: tuple[MemCube, ...] = ()
    """What it is to be made of; empty where it is only dropped."""
    product: Product | None = None
    """Ready where it costs nothing to make: chains and profiles."""
    old: tuple[str, ...] = ()
    """Ids of the products in whose place it comes."""
    seen: int = 0
    title: str = ""
    """The name as the memories write it, of a topic."""

    @property
    def place(self) -> tuple[str, str | None, str | None, str]:
        """What there is one product for, within a space."""
        return self.what, self.scope.user, self.scope.agent, self.key


@dataclass(frozen=True)
class Matter:
    """The current memories of one space, and what they claim."""

    space: str
    cubes: Sequence[MemCube]
    stated: Sequence[Stated]
    now: datetime
    limits: Limits = DEFAULT

    @cached_property
    def groups(self) -> dict[Group, list[MemCube]]:
        """What may go into products, by user and agent."""
        found: dict[Group, list[MemCube]] = defaultdict(list)
        for cube in self.cubes:
            if suits(cube):
                found[cube.scope.user, cube.scope.agent].append(cube)
        return found

    @cached_property
    def products(self) -> dict[tuple[str, str | None, str | None, str], list[MemCube]]:
        """Chains, summaries and profiles that are current, by place, oldest first."""
        found: dict[tuple[str, str | None, str | None, str], list[MemCube]] = defaultdict(list)
        for cube in self.cubes:
            if is_product(cube) and cube.kind in {Kind.SUMMARY, Kind.PROFILE}:
                found[place_of(cube)].append(cube)
        return found

    def claims_of(self, group: Group) -> tuple[list[Stated], dict[str, MemCube]]:
        """What vouched-for memories of a group state, and these memories by id.

        A page of the web, or a model, does not say where somebody lives.
        """
        cubes = {cube.id: cube for cube in self.groups[group] if cube.trust in {Trust.USER, Trust.TOOL}}
        return [one for one in self.stated if one.cube_id in cubes], cubes


def due(matter: Matter, what: Iterable[str], *, by_model: bool = False) -> list[Due]:
    """What is due, step by step. With `by_model`, a summary made by rules is due to be written by a model."""
    chosen = set(what)
    makers = {"chains": _chains, "sessions": _sessions, "topics": _topics, "profiles": _profiles}
    names = {"chains": "chain", "sessions": "session", "topics": "topic", "profiles": "profile"}
    found: list[Due] = []
    for step, make in makers.items():
        if step not in chosen:
            continue
        wanted = [one for group in matter.groups for one in make(matter, group)]
        places = {one.place for one in wanted}
        found += [one for want in wanted if (one := _compared(want, matter, by_model=by_model)) is not None]
        for place, olds in matter.products.items():
            if place[0] == names[step] and place not in places and not _stays(olds[-1]):
                found.append(
                    Due(place[0], place[3], olds[-1].scope, "without ground", old=tuple(old.id for old in olds))
                )
    return found


def _compared(want: Due, matter: Matter, *, by_model: bool) -> Due | None:
    """What is missing or out of date about one product; None where it is fine."""
    there = matter.products.get(want.place, [])
    why = _why(want, there, matter.limits, by_model=by_model)
    return None if why is None else replace(want, why=why, old=tuple(one.id for one in there))


def _why(want: Due, there: Sequence[MemCube], limits: Limits, *, by_model: bool) -> str | None:
    if len(there) != 1:
        return "repeated" if there else "missing"
    [product] = there
    if _stays(product):
        return None
    if want.product is not None:
        same = (product.text, versions_of(product)) == (want.product.text, want.product.versions)
        return None if same else "changed"
    seen = int(noted(product).get("seen", 0))
    if not versions_of(product) <= {(cube.id, cube.version) for cube in want.material}:
        return "changed"  # something that it is made of got a label, say, or was merged
    if abs(want.seen - seen) >= max(limits.least_growth, limits.growth * seen):
        return "outgrown"
    return "by rules" if by_model and product.provenance.method == RULES else None


def _stays(cube: MemCube) -> bool:
    """Whether somebody wrote a product themselves, or froze it."""
    return cube.provenance.method == "corrected" or cube.state is State.FROZEN


# ── chains ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _chains(matter: Matter, group: Group) -> Iterator[Due]:
    stated, cubes = matter.claims_of(group)
    scope = Scope(space=matter.space, user=group[0], agent=group[1])
    for chain in chains(stated, cubes):
        product = _chained(chain, cubes, scope)
        yield Due("chain", product.key, scope, "", product.parents, product, seen=len(product.parents))


def _chained(chain: Chain, cubes: dict[str, MemCube], scope: Scope) -> Product:
    ids = dict.fromkeys(one.cube_id for stay in chain.stays for one in stay.sources)
    parents = tuple(cubes[one] for one in ids)
    stays = [
        {"value": stay.value, "sources": list(dict.fromkeys(one.cube_id for one in stay.sources))}
        for stay in chain.stays
    ]
    return Product(
        "chain", f"{subject_key(chain.subject)}, {relation_key(chain.relation)}", chain.text, Kind.SUMMARY,
        scope, parents, tuple(Source(one.id, one.version, 0, len(one.text)) for one in parents), chain.subject,
        seen=len(parents), extra={"stays": stays},
    )  # fmt: skip


# ── summaries ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _sessions(matter: Matter, group: Group) -> Iterator[Due]:
    by_session: dict[str, list[MemCube]] = defaultdict(list)
    for cube in matter.groups[group]:
        if cube.scope.session is not None:
            by_session[cube.scope.session].append(cube)
    for session, cubes in by_session.items():
        if len(cubes) >= matter.limits.session_memories and _long(cubes, matter.limits):
            scope = Scope(space=matter.space, user=group[0], agent=group[1], session=session)
            yield Due("session", session, scope, "", _ordered(cubes), seen=len(cubes))


def _topics(matter: Matter, group: Group) -> Iterator[Due]:
    cubes = matter.groups[group]
    speakers = {normalised(name) for cube in cubes for name in (cube.provenance.author, cube.scope.user) if name}
    naming: dict[str, list[MemCube]] = defaultdict(list)
    shown: dict[str, Counter[str]] = defaultdict(Counter)
    for cube in cubes:
        found = [cube.about] if cube.about else []
        if cube.kind is not Kind.DOCUMENT:  # of documents the title counts: an encyclopedia names every country
            found += surfaces(cube.text)
        for surface in found:
            shown[normalised(surface)][surface] += 1
        for name in dict.fromkeys(map(normalised, found)):
            if _names(name, speakers):
                naming[name].append(cube)
    often = [
        name
        for name, some in naming.items()
        if len(some) >= matter.limits.topic_memories and _long(some, matter.limits)
    ]
    often.sort(key=lambda name: (-len(naming[name]), name))
    for name in often[: matter.limits.topics]:
        scope = Scope(space=matter.space, user=group[0], agent=group[1])
        title = shown[name].most_common(1)[0][0]
        yield Due("topic", name, scope, "", _ordered(naming[name]), seen=len(naming[name]), title=title)


_NICKNAME = 3  # letters
_MONTHS = frozenset(FULL_MONTH.split("|")) | frozenset(WEEKDAY.split("|"))


def _names(name: str, speakers: Collection[str]) -> bool:
    """Whether a stretch with a capital may be a topic: not "It's", not March, nobody who speaks, and no short name of theirs."""
    words = name.split()
    if len(name) < 2 or any(map(str.isdigit, name)) or _MONTHS.issuperset(words):
        return False
    if all(word in STOP_WORDS or opens(word) for word in words):
        return False
    first_names = {word for speaker in speakers for word in (speaker, *speaker.split())}
    return not any(known == name or (len(name) >= _NICKNAME and known.startswith(name)) for known in first_names)


def _long(cubes: Sequence[MemCube], limits: Limits) -> bool:
    return sum(len(cube.text) for cube in cubes) >= 2 * limits.characters


def _ordered(cubes: Iterable[MemCube]) -> tuple[MemCube, ...]:
    """In the order of time; what was said at one time in the order of writing."""
    return tuple(sorted(cubes, key=lambda cube: posix(cube.provenance.observed_at or cube.valid_from)))


# ── profiles ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _profiles(matter: Matter, group: Group) -> Iterator[Due]:
    stated, cubes = matter.claims_of(group)
    scope = Scope(space=matter.space, user=group[0], agent=group[1])
    by_subject: dict[str, list[Stated]] = defaultdict(list)
    if group[0] is not None:
        own = profiles_.about_users(stated, cubes, group[0])
        found = profiles_.lines(own, cubes, matter.now)
        found += profiles_.told(cubes.values(), {one.cube_id for one in stated}, matter.now)
        if found:
            yield _profiled(group[0], group[0], found, cubes, scope)
        users = {subject_key(one.fact.subject) for one in own}
        stated = [one for one in stated if subject_key(one.fact.subject) not in users]
    for one in stated:
        by_subject[subject_key(one.fact.subject)].append(one)
    for subject, some in by_subject.items():
        found = profiles_.lines(some, cubes, matter.now)
        if len(found) >= matter.limits.claims:
            yield _profiled(subject, some[-1].fact.subject, found, cubes, scope)


def _profiled(key: str, name: str, found: Sequence[profiles_.Line], cubes: dict[str, MemCube], scope: Scope) -> Due:
    lines = profiles_.fitted(found, profiles_.MOST_CHARACTERS - len(name) - 1)
    text = "\n".join([f"{name}:", *(f"- {line.text}" for line in lines)])
    sources = tuple(source for line in lines for source in line.sources)
    parents = tuple(cubes[one] for one in dict.fromkeys(source.id for source in sources))
    said = [{"text": line.text, "sources": [source.id for source in line.sources]} for line in lines]
    product = Product(
        "profile", key, text, Kind.PROFILE, scope, parents, sources, name, seen=len(found), extra={"lines": said}
    )
    return Due("profile", key, scope, "", parents, product, seen=len(found))
