"""What the tests of recall share: memories with everything in them, and the comparison with the naive twin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import combinations, pairwise
from typing import Any

import pytest

from remanence import Memory
from remanence.cubes import Extraction, Hits, Kind, Scope
from remanence.recall import naive
from remanence.recall.pipeline import Recall
from remanence.recall.profile import DEFAULT, Profile
from remanence.recall.query import Query
from remanence.recall.view import View
from remanence.settings import Settings
from remanence.store.parts import Reading

NOW = datetime(2024, 6, 12, 15, tzinfo=UTC)  # a Wednesday
CLOSE = 1e-3  # the fast path counts in float32
UNSAID = 0.005 + CLOSE  # what would print as 0.00 is not explained
UNSTABLE = 1e-4  # z-scores of values closer than this, but not the same, magnify its rounding beyond that


def query_of(question: str, **asked: Any) -> Query:
    """The query that `Memory.recall` would make of these arguments, at a fixed moment."""
    scope = Scope(**{name: asked.pop(name) for name in ("space", "user", "agent", "session") if name in asked})
    kinds = asked.pop("kinds", None)
    return Query(
        question=question, scope=scope, now=asked.pop("now", NOW), **asked,
        kinds=None if kinds is None else frozenset(map(Kind, kinds)),
    )  # fmt: skip


def parts_of(memory: Memory, question: str, **asked: Any) -> naive.Parts:
    """What the naive twin says, of the same store, with the same question vector."""
    query = query_of(question, **asked)
    entries = list(memory._store.everything(query.scope.space))
    vector = memory._encoding.question(naive.sought(entries, query))
    asked_with = None if vector is None else vector.tolist()
    return naive.parts(entries, query, asked_with, memory._profile or DEFAULT, readings_of(memory, query.scope.space))


def readings_of(memory: Memory, space: str) -> naive.Readings:
    """What was read out of each version, as the store keeps it."""
    with memory._store.snapshot(space) as (_, rows):
        some = [row for row in rows if row.read_mentions is not None]
    cubes = memory._store.fetch(space, [row.seq for row in some])
    return {
        (cubes[row.seq].id, cubes[row.seq].version): Reading(
            row.seq, "", Extraction(), row.read_mentions, row.read_links, row.read_terms, row.read_vectors
        )
        for row in some
    }


@pytest.fixture
def memory() -> Iterator[Memory]:
    """An empty memory with an embedder that needs no weights."""
    with Memory(":memory:", Settings(embedder="hashing")) as opened:
        yield opened


@pytest.fixture
def wordy() -> Iterator[Memory]:
    """An empty memory without an embedder."""
    with Memory(":memory:", Settings(embedder="none")) as opened:
        yield opened


@pytest.fixture(scope="session")
def query() -> Callable[..., Query]:
    return query_of


@pytest.fixture(scope="session")
def twin() -> Callable[..., naive.Parts]:
    return parts_of


@pytest.fixture(scope="session")
def view() -> Callable[..., View]:
    """A space as recall sees it: by the index that caught up, or by one that is loaded anew."""

    def look(memory: Memory, space: str = "default", *, fresh: bool = False) -> View:
        return (Recall(memory._store) if fresh else memory._recall).view(space)

    return look


@pytest.fixture(scope="session")
def loaded_anew() -> Callable[..., Hits]:
    """The hits of a recall that begins with an empty index."""

    def ask(memory: Memory, question: str, **asked: Any) -> Hits:
        return Recall(memory._store, memory._profile or DEFAULT)(query_of(question, **asked), memory._encoding.question)

    return ask


def _steady(values: list[float] | None) -> bool:
    distinct = sorted(set(values or ()))
    return all(b - a < 1e-9 or b - a > UNSTABLE for a, b in pairwise(distinct))


def _same(hits: Hits, expected: naive.Parts, k: int, slack: float) -> None:
    """Everything is the same but what the walk leaves open: how documents that it finds about as often swap their scores."""
    scores = dict(zip(((cube.id, cube.version) for cube in expected.cubes), expected.scores(), strict=False))
    assert len(hits) == min(k, len(scores))
    assert [hit.score for hit in hits] == pytest.approx(sorted(scores.values(), reverse=True)[:k], abs=CLOSE)
    settled = _apart(expected, slack)
    for hit in hits:
        place = expected.cubes.index(hit.cube)
        said = {reason.channel: reason.contribution for reason in hit.why.reasons}
        assert len(said) == len(hit.why.reasons)
        whole = {channel: column[place] for channel, column in expected.contributions.items()}
        if not settled:
            assert said.pop("graph") + sum(whole.values()) - whole.pop("graph") == pytest.approx(hit.score, abs=CLOSE)
        else:
            assert hit.score == pytest.approx(scores[hit.cube.id, hit.cube.version], abs=CLOSE)
        assert said == pytest.approx({channel: whole[channel] for channel in said}, abs=CLOSE)
        assert all(abs(value) < UNSAID for channel, value in whole.items() if channel not in said)
    worths = dict(zip(((cube.id, cube.version) for cube in expected.cubes), expected.worths or (), strict=False))
    documents = [hit for hit in hits if worths and (hit.cube.about or hit.cube.provenance.role == "document")]
    for better, worse in combinations(documents, 2):
        more = worths[worse.cube.id, worse.cube.version] - worths[better.cube.id, better.cube.version]
        assert more <= slack or better.score - worse.score < CLOSE, "above a document that the walk finds more often"


def _apart(expected: naive.Parts, slack: float) -> bool:
    """Whether no two documents are found so nearly as often that a walk which stops early may take them the other way round."""
    distinct = sorted(set(expected.worths or ()))
    return all(b - a < 1e-13 or b - a > slack for a, b in pairwise(distinct))


def _slack(memory: Memory, profile: Profile, space: str = "default") -> float:
    """By how much two masses may differ the other way round: what the walk has not pushed further, and float32."""
    nodes = memory._recall.view(space).graph.size + len(memory._recall.view(space))
    return 2 * (profile.damping**profile.rounds + nodes * profile.tolerance) + UNSTABLE


@pytest.fixture(scope="session")
def agree(loaded_anew: Callable[..., Hits]) -> Callable[..., Hits]:
    """Ask the index that caught up, one that is loaded anew, and the naive twin: all have to say the same."""

    def ask(memory: Memory, question: str, **asked: Any) -> Hits:
        expected = parts_of(memory, question, **asked)
        if "clearance" in asked:  # what the gate would say of a caller
            hits = memory._recall(query_of(question, **asked), memory._encoding.question)
        else:
            hits = memory.recall(question, now=NOW, **asked)
        if _steady(expected.words) and _steady(expected.meaning):
            slack = _slack(memory, memory._profile or DEFAULT, asked.get("space", "default"))
            _same(hits, expected, asked.get("k", 10), slack)
            _same(loaded_anew(memory, question, **asked), expected, asked.get("k", 10), slack)
        return hits

    return ask


@pytest.fixture(scope="session")
def contributions() -> Callable[..., Mapping[str, dict[str, float]]]:
    """Ask, and give for each hit's text what every channel contributed."""

    def ask(memory: Memory, question: str, **asked: Any) -> dict[str, dict[str, float]]:
        hits = memory.recall(question, **{"now": NOW, "k": 100} | asked)
        return {hit.cube.text: {one.channel: one.contribution for one in hit.why.reasons} for hit in hits}

    return ask
