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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from remanence.cubes import MemCube, posix
from remanence.drafts import ENDS_WITH_QUESTION, HAS_TIME, Keys
from remanence.language import dates, names, tokens
from remanence.language.keys import unpack_windows
from remanence.language.topics import Topics
from remanence.recall import naive_graph, naive_time
from remanence.recall.profile import DEFAULT, Profile
from remanence.recall.query import Query
from remanence.store.parts import Reading

_DAY, _VAGUE = 86400.0, 62 * 86400.0  # a stored date longer than that says little
_ROLES = frozenset({"user", "assistant", "system", "tool", "document"})  # not names
_SAME = 1e-6  # values this close, or within this share of the largest, differ by rounding only

Entries = Iterable[tuple[MemCube, Keys]]
Readings = Mapping[tuple[str, int], Reading]
"""What models read, by id and version."""
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
    mentions: dict[int, int]
    reading: Reading | None
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
    worths: list[float] | None = None
    """What the walk orders documents by; None where there was no walk."""

    def scores(self) -> list[float]:
        """The fused scores; empty like `contributions`."""
        return [sum(column) for column in zip(*self.contributions.values(), strict=True)]


def search(
    entries: Entries,
    query: Query,
    vector: Sequence[float] | None,
    profile: Profile = DEFAULT,
    readings: Readings | None = None,
) -> list[tuple[MemCube, float]]:
    """Every cube in scope with its score, best first, ties to the memory first written; `vector` is that of `sought`."""
    found = parts(entries, query, vector, profile, readings)
    return sorted(zip(found.cubes, found.scores(), strict=bool(found.contributions)), key=lambda pair: -pair[1])


def sought(entries: Entries, query: Query) -> str:
    """The question without the names of those who speak in the space: what both searches look for."""
    return _named([cube for cube, _ in entries if _seen(cube, query)], query).rest


def parts(
    entries: Entries,
    query: Query,
    vector: Sequence[float] | None,
    profile: Profile = DEFAULT,
    readings: Readings | None = None,
) -> Parts:
    """Every channel over every cube in scope."""
    turns = _turns(entries, readings or {})
    holds = naive_time.holding([turn.cube for turn in turns], query)
    scope = [turn for turn in turns if (turn.cube.id, turn.cube.version) in holds and _in_scope(turn, query)]
    within = {id(turn) for turn in scope}
    for turn in scope:  # what is out of scope does not speak through its neighbours either
        turn.previous = turn.previous if turn.previous and id(turn.previous) in within else None
        turn.following = turn.following if turn.following and id(turn.following) in within else None
    vector = vector if any(turn.vector for turn in scope) else None
    asked = _analyse([turn for turn in turns if _seen(turn.cube, query)], query)
    words, meaning = _words(scope, asked.terms, profile), _meaning(scope, vector, profile)
    written = _statements(scope, asked.terms, vector, profile)
    found = Parts([turn.cube for turn in scope], words, meaning)
    if words is None and meaning is None and not (written or asked.windows or asked.topics or asked.speaker):
        return found
    if words is not None:
        weight = profile.alone if meaning is None else profile.words
        found.contributions["words"] = [weight * z for z in _zscores(words)]
    if meaning is not None:
        weight = profile.alone if words is None else profile.meaning
        zs = iter(_zscores([value for value, turn in zip(meaning, scope, strict=True) if turn.vector]))
        found.contributions["meaning"] = [weight * next(zs) if turn.vector else 0.0 for turn in scope]
    found.contributions.update(written)
    found.contributions.update(_priors(scope, asked, profile))
    if (lift := _session_lift(scope, found.scores(), profile)) is not None:
        found.contributions["session"] = lift
    if meaning is not None and (again := _again(scope, found.scores(), profile)) is not None:
        found.contributions["again"] = again
    worths = _worths(scope, query.question, vector, words if meaning is None else meaning, profile)
    if worths is not None:
        found.contributions["graph"] = _reordered(scope, worths, found.scores())
    return replace(found, worths=worths)


def _turns(entries: Entries, readings: Readings) -> list[_Turn]:
    """All versions, by memory in the order of first writing; the current ones know their neighbours."""
    memories: dict[str, list[_Turn]] = defaultdict(list)
    for cube, keys in entries:
        said, vector = cube.provenance.observed_at, _floats(keys.vector)
        observed, dated = posix(said or cube.valid_from), said is not None or cube.provenance.role != "document"
        terms, mentions = tokens.unpack_terms(keys.terms), tokens.unpack_terms(keys.mentions or b"")
        reading = readings.get((cube.id, cube.version))
        memories[cube.id].append(_Turn(cube, keys, observed, dated, terms, vector, mentions, reading))
    turns = [turn for versions in memories.values() for turn in versions]
    last: dict[Thread, _Turn] = {}
    for turn in turns:
        if (thread := _thread(turn.cube)) and turn.cube.superseded_at is None:
            if thread in last:
                turn.previous, last[thread].following = last[thread], turn
            last[thread] = turn
    return turns


def _thread(cube: MemCube) -> Thread | None:
    """What neighbours share: one user's session with one agent. Passages of documents, and what was made from turns, stand alone."""
    stands_alone = cube.scope.session is None or cube.provenance.role == "document" or cube.provenance.derived_from
    return None if stands_alone else (cube.scope.user, cube.scope.agent, cube.scope.session)


def _in_scope(turn: _Turn, query: Query) -> bool:
    cube, asked, has = turn.cube, query.scope, turn.cube.scope
    meta = {name: (value, isinstance(value, bool)) for name, value in cube.meta.items()}  # true is not 1
    return (
        _seen(cube, query)
        and asked.user in (None, has.user)
        and asked.agent in (None, has.agent)
        and asked.session in (None, has.session)
        and (_stands_for_itself(cube) if query.kinds is None else cube.kind in query.kinds)
        and (query.since is None or turn.observed >= posix(query.since))
        and (query.until is None or turn.observed < posix(query.until))
        and all(meta.get(name) == (value, isinstance(value, bool)) for name, value in query.meta.items())
    )


def _seen(cube: MemCube, query: Query) -> bool:
    return query.clearance is None or query.clearance.admits(cube.policy.sensitivity, cube.policy.access)


def _stands_for_itself(cube: MemCube) -> bool:
    method = cube.provenance.method
    return not cube.provenance.derived_from or method == "shared" or method.startswith("merged/")


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


def _floats(packed: bytes | None) -> list[float]:
    return [value for (value,) in struct.iter_unpack("<e", packed or b"")]


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
    """Dot product of each turn, its neighbours' at a discount; None without a vector to compare with."""
    if vector is None:
        return None

    def dot(turn: _Turn | None) -> float:
        return _dot(turn.vector, vector) if turn else 0.0

    before, after = profile.meaning_previous, profile.meaning_next
    return [dot(turn) + before * dot(turn.previous) + after * dot(turn.following) for turn in scope]


def _statements(
    scope: Sequence[_Turn], asked: Sequence[int], vector: Sequence[float] | None, profile: Profile
) -> dict[str, list[float]]:
    """What models wrote about the turns: BM25 of its words, and the closest vector. Silent where nothing was written."""
    found: dict[str, list[float]] = {}
    keys = [tokens.unpack_terms(turn.reading.terms) if turn.reading else {} for turn in scope]
    some = [terms for terms in keys if terms]
    mean = sum(sum(terms.values()) for terms in some) / max(len(some), 1)
    scores = [0.0] * len(scope)
    for term in asked:
        df = sum(term in terms for terms in some)
        idf = math.log(1 + (len(some) - df + 0.5) / (df + 0.5))
        for place, terms in enumerate(keys):
            if tf := terms.get(term, 0):
                norm = profile.k1 * (1 - profile.b + profile.b * sum(terms.values()) / mean)
                scores[place] += idf * (profile.k1 + 1) * tf / (tf + norm)
    if any(scores):
        found["statement words"] = [profile.statement_words * z for z in _zscores(scores)]
    close = [[_dot(one, vector) for one in _read(turn, vector)[1]] for turn in scope]
    if any(close):
        lowest = min(0.0, *(max(one) for one in close if one))
        values = [max(one, default=lowest) for one in close]
        found["statement meaning"] = [profile.statement_meaning * z for z in _zscores(values)]
    return found


def _read(turn: _Turn, vector: Sequence[float] | None) -> tuple[list[list[float]], list[list[float]]]:
    """Vectors of the facts and of the statements that were read out of a turn."""
    if turn.reading is None or vector is None:
        return [], []
    flat, width, facts = _floats(turn.reading.vectors), len(vector), len(turn.reading.links) // 8
    rows = [flat[at : at + width] for at in range(0, len(flat), width)]
    return rows[:facts], rows[facts:]


def _dot(one: Sequence[float], other: Sequence[float] | None) -> float:
    return sum(map(operator.mul, one, other or ()))


def _again(scope: Sequence[_Turn], scores: Sequence[float], profile: Profile) -> list[float] | None:
    """How like the best turns every turn is; None where there are not more turns than those."""
    turns = [place for place, turn in enumerate(scope) if turn.vector and not _stands_alone(turn)]
    if not profile.again or len(turns) <= profile.again_hits:
        return None
    best = sorted(turns, key=lambda place: -round(scores[place], 6))[: profile.again_hits]
    weights = [math.exp(scores[place] - scores[best[0]]) for place in best]
    close = [
        sum(weight * _dot(scope[one].vector, scope[place].vector) for weight, place in zip(weights, best, strict=True))
        for one in turns
    ]
    result = [0.0] * len(scope)
    for place, z in zip(turns, _zscores([one / sum(weights) for one in close]), strict=True):
        result[place] = profile.again * z
    return result


def _stands_alone(turn: _Turn) -> bool:
    return turn.cube.about is not None or turn.cube.provenance.role == "document"


def _worths(
    scope: Sequence[_Turn], question: str, vector: Sequence[float] | None, base: list[float] | None, profile: Profile
) -> list[float] | None:
    """What the walk from the question's names and facts orders documents by; None where there is none to make."""
    if base is None or not any(map(_stands_alone, scope)):
        return None
    places = {id(turn): place for place, turn in enumerate(scope)}
    texts = [_text(turn, places, vector) for turn in scope]
    names, facts = naive_graph.linked(question, texts), naive_graph.kept(question, texts, profile)
    if not (names or facts):
        return None
    start = naive_graph.starts(names, facts, texts, base, profile)
    found = naive_graph.walk(naive_graph.graph(texts, profile), start, profile.damping)
    mass = [found.get(("text", place), 0.0) for place in range(len(scope))]
    return naive_graph.worths(mass, base, [turn.cube.about for turn in scope], profile)


def _text(turn: _Turn, places: Mapping[int, int], vector: Sequence[float] | None) -> naive_graph.Text:
    beside = [places[id(one)] for one in (turn.previous, turn.following) if one]
    if turn.reading is None:
        return naive_graph.Text(turn.mentions, turn.terms, turn.cube.about, beside=beside)
    read = naive_graph.names_read(turn.mentions, turn.reading)
    facts = naive_graph.facts_read(turn.reading, _read(turn, vector)[0], vector)
    return naive_graph.Text(turn.mentions, turn.terms, turn.cube.about, read, facts, beside)


def _reordered(scope: Sequence[_Turn], worths: Sequence[float], scores: Sequence[float]) -> list[float]:
    """What the walk adds to each score: documents swap theirs, everything else keeps its own."""
    documents = [place for place, turn in enumerate(scope) if _stands_alone(turn)]
    dealt = naive_graph.dealt([worths[place] for place in documents], [scores[place] for place in documents])
    change = [0.0] * len(scope)
    for place, score in zip(documents, dealt, strict=True):
        change[place] = score - scores[place]
    return change


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
