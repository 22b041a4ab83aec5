"""Can it still be found or answered? The erased texts as questions to the real recall and the real answerer, before and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from remanence.cubes import Answer, Kind, MemCube
from remanence.errors import ModelError, StoreDamagedError
from remanence.forget.probe import Test, Verdict
from remanence.language import questions
from remanence.language.qa import parse_qa
from remanence.language.sameness import normalised
from remanence.language.tokens import STOP_WORDS
from remanence.store import chosen
from remanence.store.erasure import Survey, Target

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from remanence.store.sqlite import SQLiteStore

K = 10
"""Hits that are looked at."""
_MOST = 8  # memories that are searched for; evenly chosen where more go
_MOST_ASKED = 12
_LONGEST = 1500  # characters of a text that is asked as it stands
_SAMPLE = 200  # memories whose similarities say what unrelated ones come to
_LEAST = 10  # of them that say anything at all
_RESEMBLING = 3


class Look(Protocol):
    """The real recall: ids of the hits, best first. With a vector, that one stands in for the question's embedding."""

    def __call__(self, question: str, space: str, vector: NDArray[np.float32] | None = None) -> list[str]: ...


Ask = Callable[[str, str], Answer]
"""The real answerer, without a language model: a question and a space."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something that an erased text answers."""

    space: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Searches:
    """What to search for: kept in memory only as long as the probe runs."""

    targets: tuple[Target, ...]
    asked: tuple[Question, ...]
    gone: frozenset[str]


@dataclass(frozen=True, slots=True)
class Found:
    """What searches brought up."""

    exact: int
    paraphrase: int
    embedding: int
    answered: int
    """Questions for which an erased memory was read, or whose answer gave what the erased text gives."""
    unsupported: int
    """Those of them that read it, or give that and cite no living memory."""
    supporting: tuple[str, ...] = ()
    """Living memories that such answers cite."""
    asked: bool = True
    """Whether questions were asked at all."""
    problem: str = ""
    """Why nothing could be searched, if so."""


def searches(survey: Survey) -> Searches:
    """What to search for: some of the memories that go, those that were asked for first, and what they answer."""
    targets = [target for target in survey.targets if any(one.isalnum() for one in target.last.text)]
    step = max(len(targets) / _MOST, 1.0)
    some = tuple(targets[int(number * step)] for number in range(min(_MOST, len(targets))))
    asked = [Question(target.space, one.question, one.answer) for target in some for one in _answered(target.last)]
    return Searches(some, tuple(dict.fromkeys(asked))[:_MOST_ASKED], frozenset(survey.ids))


def _answered(cube: MemCube) -> Sequence[questions.Pair]:
    if cube.kind is Kind.QA:
        pair = parse_qa(cube.text)
        return [] if pair is None else [questions.Pair(pair[0], pair[1], 0, 0)]
    origin = cube.provenance
    speaker = None if origin.role == "document" else origin.author or cube.scope.user
    return questions.pairs(cube.text[:_LONGEST], speaker, cube.about)


def paraphrase(text: str) -> str:
    """The content words of a text, the last one first: what a search by words and meaning has to find all the same."""
    words = [word for word in normalised(text).split() if word not in STOP_WORDS]
    return " ".join(reversed(words))


def run(sought: Searches, look: Look, ask: Ask | None) -> Found:
    """Search once for everything; without `ask`, nothing is asked."""
    exact = reworded = embedded = 0
    answered, unsupported, supporting = 0, 0, dict[str, None]()
    try:
        for target in sought.targets:
            text, vector = target.last.text[:_LONGEST], target.vectors[-1]
            exact += not sought.gone.isdisjoint(look(text, target.space))
            reworded += not sought.gone.isdisjoint(look(paraphrase(text) or text, target.space))
            embedded += vector is not None and not sought.gone.isdisjoint(look("?", target.space, _row(vector)))
        for one in sought.asked:
            if ask is None:
                break
            answer = ask(one.question, one.space)
            says = not answer.abstained and f" {normalised(one.answer)} " in f" {normalised(answer.text)} "
            read = not sought.gone.isdisjoint(hit.cube.id for hit in answer.used)
            cited = {citation.cube_id for citation in answer.citations}
            answered += says or read
            unsupported += read or (says and not cited - sought.gone)
            supporting |= dict.fromkeys(sorted(cited - sought.gone) if says else ())
    except (ModelError, StoreDamagedError) as error:  # what cannot be searched can still be erased
        return Found(0, 0, 0, 0, 0, problem=error.what)
    return Found(exact, reworded, embedded, answered, unsupported, tuple(supporting), asked=ask is not None)


def _row(vector: bytes) -> NDArray[np.float32]:
    import numpy as np

    return np.frombuffer(vector, "<f2").astype(np.float32)


def tests(sought: Searches, before: Found, after: Found) -> list[Test]:
    """The tests that follow from two searches."""
    if before.problem or after.problem:
        words = f"The store could not be searched: {before.problem or after.problem}"
        return [Test("search", "erased memories found", len(sought.targets), None, None, Verdict.NOT_COMPUTABLE, words)]
    n, with_vector = len(sought.targets), sum(target.vectors[-1] is not None for target in sought.targets)
    found = [
        _test("search: by the exact text", f"memories for which an erased one is among {K} hits", n, before.exact, after.exact),
        _test("search: by a paraphrase", "the same for the content words in another order", n, before.paraphrase, after.paraphrase),
        _test("search: by the original embedding", "the same for the stored vector", with_vector, before.embedding, after.embedding),
    ]  # fmt: skip
    supported = after.answered - after.unsupported
    words = f"{supported} are answered from other memories: {', '.join(after.supporting)}" if supported else ""
    words = words if after.asked else "Left out: the embedder is remote, and would be sent the erased text again."
    found.append(
        _test("re-ask: questions that the text answers", "answered from the erased memory, or as it would without a living memory that says so",
              len(sought.asked), before.answered, after.unsupported, words)
    )  # fmt: skip
    return [one for one in found if one.n]


def _test(name: str, statistic: str, n: int, before: int, after: int, words: str = "") -> Test:
    verdict = Verdict.FAIL if after else Verdict.PASS if before else Verdict.NOT_COMPUTABLE
    return Test(name, statistic, n, before, after, verdict, words)


# ── what says the same ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Resembling:
    """Living memories that mean about the same as an erased one."""

    test: Test | None
    ids: tuple[str, ...]


def resembling(store: SQLiteStore, sought: Searches) -> Resembling:
    """The neighbours of the erased embeddings among the living that are closer than unrelated memories are to each other: above
    the 99th percentile of the similarities of up to 200 memories of the space. They are no residue, but they say about the same.
    """
    import numpy as np

    near, n, null = dict[str, float](), 0, 0
    for space in dict.fromkeys(target.space for target in sought.targets):
        found = chosen.vectors(store.connections, space)
        rows = [_row(one) for target in sought.targets if target.space == space and (one := target.vectors[-1])]
        rows = [row for row in rows if row.shape == found.rows.shape[1:]]
        if len(found.ids) < _LEAST or not rows:
            continue
        some = found.rows[:: max(len(found.ids) // _SAMPLE, 1)][:_SAMPLE]
        between = (some @ some.T)[np.triu_indices(len(some), 1)]
        limit, closeness = float(np.quantile(between, 0.99)), (found.rows @ np.stack(rows).T).max(axis=1)
        n, null = n + len(rows), null + len(between)
        near |= {found.ids[place]: float(closeness[place]) for place in np.flatnonzero(closeness > limit)}
    if not n:
        return Resembling(None, ())
    ids = tuple(sorted(near, key=lambda one: (-near[one], one))[:_RESEMBLING])
    words = f"Measured on {null:,} pairs of living memories. "
    words += f"The closest of {len(near)}: {', '.join(ids)}" if ids else "No living memory is closer than that."
    name, statistic = "embedding: neighbours", "erased memories among those above the 99th percentile of unrelated ones"
    return Resembling(
        Test(
            name,
            statistic,
            n,
            n,
            len(near.keys() & sought.gone),
            Verdict.FAIL if near.keys() & sought.gone else Verdict.PASS,
            words,
        ),
        ids,
    )
