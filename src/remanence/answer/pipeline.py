"""Question and hits → an answer with citations, or an abstention; also piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, TypeVar, get_args

from remanence.answer.asking import Asking, Reading, instructions
from remanence.answer.cite import cite_candidate, uphold
from remanence.answer.evidence import Embed
from remanence.answer.extractive import extract
from remanence.answer.local import Reader, answer_locally
from remanence.answer.pack import Neighbours, Packed, pack
from remanence.answer.plain import MOST_TOKENS, UNANSWERABLE, Written, parse_marked, read_plain
from remanence.answer.profile import DEFAULT, Profile
from remanence.answer.route import conflicting
from remanence.answer.sure import resolve
from remanence.cubes import Answer, Cost, Hit, MemCube
from remanence.errors import BrokenAnswerError, EndpointError, InputError, NoModelError
from remanence.models.language import LanguageModel

_T = TypeVar("_T")
Method = Literal["auto", "extractive", "plain", "sure", "local"]

BUDGET = 4000
"""Tokens of memories in a prompt, where none are given."""
_FRAME = 900
"""Tokens kept free for the instructions of a prompt, and the candidates and summaries of SuRe."""


def answer(
    question: str, hits: Sequence[Hit], *, model: LanguageModel | None = None, method: Method = "auto",
    embed: Embed | None = None, now: datetime | None = None, budget: int | None = None, profile: Profile = DEFAULT,
    neighbours: Neighbours | None = None, standing: Sequence[MemCube] = (), reader: Reader | None = None,
) -> Answer:  # fmt: skip
    """Answer a question from hits, every sentence with citations, or abstain.

    `method`: `extractive` quotes the best supported sentence or two and needs no model. `plain` lets the model read the
    memories and write. `sure` compares two candidate answers in seven calls. `local` asks the `reader`: a model on this machine that
    has memories as text, caches or weights. `auto` is `local` with a reader, else `extractive` without a model; with one it is
    `plain`, or `sure` where the best hits conflict (`route.conflicting`).

    `embed` gives unit vectors of texts, if there is an embedder: closeness in meaning then counts as well. `now` is what
    "today" is to the model; the clock if not given. `budget` is in tokens of memories in a prompt, by the model's count; 4000 if
    not given, and never more than the model's context leaves. `neighbours` gives the cubes around one, to be read along
    where the budget allows. `standing` are the user's standing instructions: the model is told to follow them.

    A model that fails does not fail the answer: it is given by extraction, and a note says why.

    Raises
    ------
    InputError
        The method or the budget is none.
    NoModelError
        `plain` or `sure` without a model.
    """
    task = _Task(question, hits, model, embed, now or datetime.now(UTC), budget, profile, neighbours, standing, reader)
    chosen = _method(method, task)
    if not hits:
        return _nothing()
    if chosen == "local" and reader is not None:
        return _embedding(task, lambda embed: answer_locally(question, hits, reader, embed))
    if model is None or chosen == "extractive":
        return task.extracted()
    asking = Asking(model)
    try:
        return _plain(task, asking) if chosen == "plain" else _sure(task, asking)
    except (EndpointError, BrokenAnswerError) as error:
        return task.fallen_back(error, asking.cost)


def answer_stream(
    question: str, hits: Sequence[Hit], *, model: LanguageModel | None = None, method: Method = "auto",
    embed: Embed | None = None, now: datetime | None = None, budget: int | None = None, profile: Profile = DEFAULT,
    neighbours: Neighbours | None = None, standing: Sequence[MemCube] = (), reader: Reader | None = None,
) -> Iterator[str | Answer]:  # fmt: skip
    """As `answer`, but yields the text in pieces as it is written and, last, the checked `Answer`.

    The pieces of a plain reading are what the model writes, with its [n] marks, before any check: where sentences are
    dropped afterwards, the `Answer` is what counts. SuRe and extraction have nothing to show before they are done. Errors are
    raised by the first `next`. Closing the iterator stops the model.
    """
    task = _Task(question, hits, model, embed, now or datetime.now(UTC), budget, profile, neighbours, standing, reader)
    if _method(method, task) == "plain" and hits and model is not None:
        asking = Asking(model)
        try:
            yield from _streamed(task, asking)
        except (EndpointError, BrokenAnswerError) as error:
            yield task.fallen_back(error, asking.cost)
        return
    whole = answer(
        question, hits, model=model, method=method, embed=embed, now=task.now, budget=budget, profile=profile, neighbours=neighbours,
        standing=standing, reader=reader,
    )  # fmt: skip
    if whole.text:
        yield whole.text
    yield whole


@dataclass(frozen=True, slots=True)
class _Task:
    """One question with everything that its answer depends on."""

    question: str
    hits: Sequence[Hit]
    model: LanguageModel | None
    embed: Embed | None
    now: datetime
    budget: int | None
    profile: Profile
    neighbours: Neighbours | None
    standing: Sequence[MemCube]
    reader: Reader | None

    def extracted(self) -> Answer:
        """The answer without a model. A remote embedder that fails is left out, with a note."""
        try:
            return extract(self.question, self.hits, embed=self.embed, profile=self.profile)
        except EndpointError as error:
            plain = extract(self.question, self.hits, profile=self.profile)
            return replace(plain, notes=(*plain.notes, f"Closeness in meaning left out. {error.what}"))

    def fallen_back(self, error: Exception, cost: Cost) -> Answer:
        """The answer without the model that failed, with a note and what the calls before had cost."""
        found = self.extracted()
        return replace(
            found,
            cost=cost,
            notes=(*found.notes, f"Answered by extraction, because the language model failed. {error}"),
        )

    def reading(self, model: LanguageModel) -> Reading:
        """The memories, packed for the model."""
        told = instructions(self.standing)
        room = model.context - MOST_TOKENS - _FRAME - model.count(self.question) - model.count(told)
        packed = pack(
            self.hits, count=model.count, budget=max(min(self.budget or BUDGET, room), 0), question=self.question,
            neighbours=self.neighbours,
        )  # fmt: skip
        return Reading(self.question, packed, self.now, tuple(self.standing))


def _method(method: str, task: _Task) -> str:
    if method not in get_args(Method):
        raise InputError(f"method is {method!r}.", f"Use one of: {', '.join(get_args(Method))}.")
    if task.budget is not None and (not isinstance(task.budget, int) or task.budget < 1):
        raise InputError(f"budget is {task.budget!r}.", "Use a whole number of tokens, at least 1.")
    if method in {"plain", "sure"} and task.model is None:
        raise NoModelError(
            f"The method {method!r} needs a language model, and there is none.", "Pass one, or use extractive."
        )
    if method == "local" and task.reader is None:
        raise NoModelError(
            "The method 'local' needs a language model on this machine.", "Set REMANENCE_MODEL=local:FOLDER."
        )
    if method != "auto":
        return method
    if task.reader is not None:
        return "local"
    if task.model is None:
        return "extractive"
    return "sure" if conflicting(task.question, task.hits) else "plain"


def _plain(task: _Task, asking: Asking) -> Answer:
    reading = task.reading(asking.model)
    if not reading.packed.entries:
        return _no_room(task)
    return _upheld(task, reading.packed, read_plain(asking, reading), asking.cost)


def _streamed(task: _Task, asking: Asking) -> Iterator[str | Answer]:
    reading = task.reading(asking.model)
    if not reading.packed.entries:
        yield _no_room(task)
        return
    prompt = replace(reading.prompt("answer_stream"), max_tokens=MOST_TOKENS)
    written, held = "", ""
    stream = asking.model.stream(prompt)
    try:
        for piece in stream:
            written, held = written + piece, held + piece
            if UNANSWERABLE.startswith(written.strip().upper()):  # not shown before it is known to be something else
                continue
            yield held
            held = ""
    finally:
        if (close := getattr(stream, "close", None)) is not None:
            close()
    count = asking.model.count
    asking.spent(
        Cost(1, 0, sum(count(turn.content) for turn in prompt.turns), count(written))
    )  # a stream tells no cost
    if held and written.strip().upper() != UNANSWERABLE:
        yield held
    yield _upheld(task, reading.packed, parse_marked(written), asking.cost)


def _upheld(task: _Task, packed: Packed, written: Sequence[Written], cost: Cost) -> Answer:
    """The checked answer of a plain reading."""
    kept = _embedding(task, lambda embed: uphold(task.question, written, packed, embed))
    notes = (*kept.notes, *_left_out(packed))
    if not kept.text:
        why = "Nothing that the model wrote is supported." if written else "The model found no answer in the memories."
        notes = (*notes, why)
    return Answer(
        kept.text, kept.citations, kept.confidence, not kept.text, packed.hits, cost, kept.removed, "plain", notes
    )


def _sure(task: _Task, asking: Asking) -> Answer:
    reading = task.reading(asking.model)
    packed = reading.packed
    if not packed.entries:
        return _no_room(task)
    found = resolve(asking, reading)
    blank = Answer("", abstained=True, used=packed.hits, cost=asking.cost, method="sure")
    if not found.answer:
        return replace(blank, notes=("The model found no answer in the memories.", *_left_out(packed)))
    citations = _embedding(
        task, lambda embed: cite_candidate(task.question, found.answer, found.rationale, packed, embed)
    )
    notes = [f"Rationale: {found.rationale}", *_left_out(packed)]
    if found.valid and not any(found.valid):
        notes.append("Neither candidate's summary was judged to support it.")
    if not citations:
        return replace(blank, notes=(f"No memory supports the model's answer: {found.answer!r}", *notes))
    chosen = max(found.scores, default=0.5)
    return replace(
        blank, text=found.answer, citations=citations, abstained=False, notes=tuple(notes),
        confidence=chosen * max(citation.support for citation in citations),
    )  # fmt: skip


def _embedding(task: _Task, step: Callable[[Embed | None], _T]) -> _T:
    """A step that may use the embedder, done again without it where a remote one fails."""
    try:
        return step(task.embed)
    except EndpointError:
        return step(None)


def _left_out(packed: Packed) -> tuple[str, ...]:
    if not packed.left_out:
        return ()
    return (f"Not read in full: {'; '.join(f'{one.cube_id} ({one.why})' for one in packed.left_out)}.",)


def _no_room(task: _Task) -> Answer:
    found = task.extracted()
    note = "Answered by extraction, because no memory fits into the model's context or the budget."
    return replace(found, notes=(*found.notes, note))


def _nothing() -> Answer:
    return Answer("", abstained=True, notes=("Nothing was recalled.",))
