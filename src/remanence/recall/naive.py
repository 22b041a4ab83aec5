"""The read path once more, as plain loops over plain cubes: slow, short, and the measure that the fast one is held to.

It knows nothing of slots, masks, postings or candidates: it fuses every cube in scope, and so equals the fast path
wherever that fuses the whole scope too, up to `Profile.pool` cubes. Beyond, the two searches stay comparable, because
they are exact. `tests/recall/test_twin.py` compares them.
"""

from __future__ import annotations

import math
import operator
import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from remanence.cubes import ENDS_WITH_QUESTION, HAS_TIME, Keys, MemCube, posix
from remanence.language import dates, names, tokens
from remanence.language.keys import unpack_windows
from remanence.language.topics import Topics
from remanence.recall.profile import DEFAULT, Profile
from remanence.recall.query import Query

_DAY, _VAGUE = 86400.0, 62 * 86400.0  # a stored date longer than that says little
_ROLES = frozenset({"user", "assistant", "system", "tool", "document"})  # not names
_SAME = 1e-6  # values this close, or within this share of the largest, differ by rounding only

Entries = Iterable[tuple[MemCube, Keys]]
Thread = tuple[str | None, ...]


@dataclass(eq=False, slots=True)
class _Turn:
    """A version, its keys unpacked, and its neighbours."""

    cube: MemCube
    keys: Keys
    observed: float
    dated: bool  # False where `observed` is only when a document was stored
    terms: dict[int, int]
    vector: Sequence[float]  # empty where there is none
    previous: _Turn | None = None
    following: _Turn | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """What each channel says of every cube in scope, and adds to its score: lists in the order of `cubes`.

    `words` and `meaning` are None where that search is silent; `contributions` are empty where there is nothing to search for.
    """

    cubes: list[MemCube]
    words: list[float] | None
    meaning: list[float] | None
    contributions: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def scores(self) -> list[float]:
        """The fused scores; empty like `contributions`."""
        return [sum(column) for column in zip(*self.contributions.values(), strict=True)]


def search(
    entries: Entries, query: Query, vector: Sequence[float] | None, profile: Profile = DEFAULT
) -> list[tuple[MemCube, float]]:
    """Every cube in scope with its score, best first, ties to the memory first written; `vector` is that of `sought`."""
    found = parts(entries, query, vector, profile)
    return sorted(zip(found.cubes, found.scores(), strict=bool(found.contributions)), key=lambda pair: -pair[1])


def sought(entries: Entries, query: Query) -> str:
    """The question without the names of those who speak in the space: what both searches look for."""
    return _named([cube for cube, _ in entries], query).rest


def parts(entries: Entries, query: Query, vector: Sequence[float] | None, profile: Profile = DEFAULT) -> Parts:
    """Every channel over every cube in scope."""
    turns = _turns(entries)
    scope = [turn for turn in turns if _in_scope(turn, query)]
    for turn in scope:  # what is out of scope does not speak through its neighbours either
        turn.previous = turn.previous if turn.previous and _in_scope(turn.previous, query) else None
        turn.following = turn.following if turn.following and _in_scope(turn.following, query) else None
    asked = _analyse(turns, query)
    words, meaning = _words(scope, asked.terms, profile), _meaning(scope, vector, profile)
    found = Parts([turn.cube for turn in scope], words, meaning)
    if words is None and meaning is None and not (asked.windows or asked.topics or asked.speaker):
        return found
    if words is not None:
        weight = profile.alone if meaning is None else profile.words
        found.contributions["words"] = [weight * z for z in _zscores(words)]
    if meaning is not None:
        weight = profile.alone if words is None else profile.meaning
        zs = iter(_zscores([value for value, turn in zip(meaning, scope, strict=True) if turn.vector]))
        found.contributions["meaning"] = [weight * next(zs) if turn.vector else 0.0 for turn in scope]
    found.contributions.update(_priors(scope, asked, profile))
    if (lift := _session_lift(scope, found.scores(), profile)) is not None:
        found.contributions["session"] = lift
    return found


def _turns(entries: Entries) -> list[_Turn]:
    """All versions, by memory in the order of first writing; the current ones know their neighbours."""
    memories: dict[str, list[_Turn]] = defaultdict(list)
    for cube, keys in entries:
        said, vector = cube.provenance.observed_at, [value for (value,) in struct.iter_unpack("<e", keys.vector or b"")]
        observed, dated = posix(said or cube.valid_from), said is not None or cube.provenance.role != "document"
        memories[cube.id].append(_Turn(cube, keys, observed, dated, tokens.unpack_terms(keys.terms), vector))
    turns = [turn for versions in memories.values() for turn in versions]
    last: dict[Thread, _Turn] = {}
    for turn in turns:
        if (thread := _thread(turn.cube)) and turn.cube.valid_to is None:
            if thread in last:
                turn.previous, last[thread].following = last[thread], turn
            last[thread] = turn
    return turns


def _thread(cube: MemCube) -> Thread | None:
    """What neighbours share: one user's session with one agent. A document's passages stand for themselves."""
    stands_alone = cube.scope.session is None or cube.provenance.role == "document"
    return None if stands_alone else (cube.scope.user, cube.scope.agent, cube.scope.session)


def _in_scope(turn: _Turn, query: Query) -> bool:
    cube, asked, has = turn.cube, query.scope, turn.cube.scope
    meta = {name: (value, isinstance(value, bool)) for name, value in cube.meta.items()}  # true is not 1
    since, until = posix(cube.valid_from), math.inf if cube.valid_to is None else posix(cube.valid_to)
    return (
        (until == math.inf if query.as_of is None else since <= posix(query.as_of) < until)
        and asked.user in (None, has.user)
        and asked.agent in (None, has.agent)
        and asked.session in (None, has.session)
        and (query.kinds is None or cube.kind in query.kinds)
        and (query.since is None or turn.observed >= posix(query.since))
        and (query.until is None or turn.observed < posix(query.until))
        and all(meta.get(name) == (value, isinstance(value, bool)) for name, value in query.meta.items())
    )


class _Asked(NamedTuple):
    terms: list[int]
    speaker: str | None
    windows: tuple[dates.Window, ...]
    when: bool
    latest: bool
    topics: set[str]


def _analyse(turns: Sequence[_Turn], query: Query) -> _Asked:
    question, naming = query.question, _named([turn.cube for turn in turns], query)
    times = [turn.observed for turn in turns]
    span = dates.Window(min(times), max(times) + 1) if times else None
    known, abouts = Topics(), sorted({turn.cube.about for turn in turns if turn.cube.about is not None})
    for code, about in enumerate(abouts):
        known.add(about, code)
    spoken = (names.speaks_of_self(question), names.speaks_to_assistant(question))
    implied = {(True, False): "user", (False, True): "assistant"}.get(spoken)
    return _Asked(
        terms=tokens.hashes(naming.rest),
        speaker=implied if not naming.people else min(naming.people) if len(naming.people) == 1 else None,
        windows=dates.asked(question, query.as_of or query.now, span),
        when=dates.asks_when(question),
        latest=dates.asks_latest(question),
        topics={abouts[code] for code in known.named(question)},
    )


def _named(cubes: Sequence[MemCube], query: Query) -> names.Naming:
    authors = {cube.provenance.author for cube in cubes}
    return names.named(query.question, {name for name in authors if name is not None and name not in _ROLES})


def _words(scope: Sequence[_Turn], asked: Sequence[int], profile: Profile) -> list[float] | None:
    """BM25F of each turn, with its neighbours' words as weaker fields; None where no turn in scope has any of the words."""
    before, after = profile.words_previous, profile.words_next
    fields = [[(1.0, turn), (before, turn.previous), (after, turn.following)] for turn in scope]
    lengths = [sum(weight * sum(one.terms.values()) for weight, one in some if one) for some in fields]
    mean = max(sum(lengths) / max(len(lengths), 1), 1e-9)
    scores = [0.0] * len(scope)
    for term in asked:
        df = sum(term in turn.terms for turn in scope)
        idf = math.log(1 + (len(scope) - df + 0.5) / (df + 0.5))
        for place, some in enumerate(fields):
            tf = sum(weight * one.terms.get(term, 0) for weight, one in some if one)
            norm = profile.k1 * (1 - profile.b + profile.b * lengths[place] / mean)
            scores[place] += idf * (profile.k1 + 1) * tf / (tf + norm) if tf else 0
    return scores if any(scores) else None


def _meaning(scope: Sequence[_Turn], vector: Sequence[float] | None, profile: Profile) -> list[float] | None:
    """Dot product of each turn, its neighbours' at a discount; None where no turn in scope has a vector."""
    if vector is None or not any(turn.vector for turn in scope):
        return None

    def dot(turn: _Turn | None) -> float:
        return sum(map(operator.mul, vector, turn.vector)) if turn else 0.0

    before, after = profile.meaning_previous, profile.meaning_next
    return [dot(turn) + before * dot(turn.previous) + after * dot(turn.following) for turn in scope]


def _priors(scope: Sequence[_Turn], asked: _Asked, profile: Profile) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    said = [asked.speaker in (turn.cube.provenance.author, turn.cube.provenance.role) for turn in scope]
    if asked.speaker is not None and any(said) and not all(said):  # it tells nobody apart otherwise
        found["speaker"] = [profile.speaker * one for one in said]
    if asked.windows:
        found["date"] = [profile.date * math.exp(-_days(turn, asked.windows) / profile.date_days) for turn in scope]
    if asked.when:
        found["when"] = [profile.when * bool(turn.keys.flags & HAS_TIME) for turn in scope]
    found["asking"] = [profile.asking * bool(turn.keys.flags & ENDS_WITH_QUESTION) for turn in scope]
    found["brief"] = [profile.brief * math.exp(-sum(one.terms.values()) / profile.brief_stems) for one in scope]
    if asked.topics:
        found["about"] = [profile.about * (turn.cube.about in asked.topics) for turn in scope]
    times = [turn.observed for turn in scope if turn.dated]
    if asked.latest and times:  # what has no date counts as the oldest
        first, span = min(times), max(max(times) - min(times), 1.0)
        found["latest"] = [profile.latest * (one.observed - first) / span if one.dated else 0.0 for one in scope]
    return found


def _days(turn: _Turn, windows: Sequence[dates.Window]) -> float:
    """Days between the turn, or a time that it names, and the nearest time that the question names."""
    named = [window for window in unpack_windows(turn.keys.dates) if window.hi - window.lo <= _VAGUE]
    times = [dates.Window(turn.observed, turn.observed), *named] if turn.dated else named
    gaps = [max(window.lo - time.hi, time.lo - window.hi, 0.0) for window in windows for time in times]
    return min(gaps, default=math.inf) / _DAY


def _session_lift(scope: Sequence[_Turn], scores: Sequence[float], profile: Profile) -> list[float] | None:
    """z-scored means of each thread's best scores, weighted; None where there are not two threads to tell apart."""
    if len(set(threads := [_thread(turn.cube) for turn in scope])) < 2:
        return None
    together: dict[Thread | None, list[float]] = defaultdict(list)
    for thread, score in zip(threads, scores, strict=True):
        together[thread].append(score)
    best = {thread: sorted(some, reverse=True)[: profile.session_best] for thread, some in together.items()}
    # a cube without a thread is a thread of its own
    lifts = [sum(best[one]) / len(best[one]) if one else score for one, score in zip(threads, scores, strict=True)]
    return [profile.session * z for z in _zscores(lifts)]


def _zscores(values: Sequence[float]) -> list[float]:
    """Distances from the mean in standard deviations; zeros where all values are the same but for rounding."""
    if not values or max(values) - min(values) <= _SAME * max(1.0, *map(abs, values)):
        return [0.0] * len(values)
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    return [(value - mean) / deviation for value in values]
