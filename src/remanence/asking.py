"""What `Memory` does with language models: answers, extraction, pairs. Wiring only; the rooms do the work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from remanence.answer.pairs import by_pairs
from remanence.answer.pipeline import Method, answer, answer_stream
from remanence.arguments import place, scope
from remanence.cubes import DEFAULT_SPACE, Answer, Hits, Kind, MemCube, Route
from remanence.errors import InputError, NoModelError, UnknownCubeError
from remanence.formed import LocalReader
from remanence.governance.access import Gate, Operation
from remanence.governance.echoes import digests as own_words
from remanence.governance.standing import followed, held
from remanence.governance.trust import WIDER, Vouched, tiers, vouched
from remanence.language.dates import has_time_expression
from remanence.language.slots import disputed, resolve
from remanence.pairing import Paired, imported, pair
from remanence.policies import Clearance
from remanence.questions import unrecorded
from remanence.recall.current import outdated
from remanence.rooms import Rooms
from remanence.settings import Settings
from remanence.write.extract import Extractor, ModelExtractor
from remanence.write.messages import Message, moment, text
from remanence.write.openie import CachedExtractor
from remanence.write.pairs import read_pairs
from remanence.write.pipeline import Progress

Recall = Callable[..., Hits]
"""`Memory.recall` past the gate: the clearance first, then as there."""

_NARROWING = ("as_of", "known_at", "since", "until", "kinds", "meta")  # filters that only recall applies
_PAIRS = 5  # pairs that are compared with a question


_PAST = re.compile(
    r"\b(?:did|was|were|had|ago|before|earlier|former|formerly|previous|previously|originally|used\s+to)\b",
    re.IGNORECASE,
)


def _current(question: str, where: dict[str, Any]) -> dict[str, Any]:
    """Answers come from the current view, unless the caller says otherwise or the question is about an earlier time."""
    past = _asked_back(where) or has_time_expression(question) or _PAST.search(question)
    return {"current": not past} | where


def _asked_back(where: dict[str, Any]) -> bool:
    return where.get("as_of") is not None or where.get("known_at") is not None


def _checked(rooms: Rooms, question: str, where: dict[str, Any]) -> str:
    """The question, checked as `recall` checks it, before pairs are looked at; and so the space."""
    scope(where.get("space", DEFAULT_SPACE), None, None, None)
    return text(question, "The question", rooms.settings.max_question)


class _Visit:
    """One question of one caller: what may be seen, and what was."""

    def __init__(self, gate: Gate, recall: Recall, where: dict[str, Any]) -> None:
        self.space = scope(where.get("space", DEFAULT_SPACE), None, None, None).space
        self.clearance = gate.check(Operation.ASK, self.space)
        self._gate, self._recall = gate, recall
        self._withheld, self._told = 0, set[str]()

    def recall(self, question: str, **where: Any) -> Hits:
        """`Memory.recall`, past the gate."""
        hits = self._recall(self.clearance, question, **where)
        self._withheld = max(self._withheld, hits.withheld)
        return hits

    def told(self, cubes: Iterable[MemCube | str]) -> None:
        """Log what is about to be shown, but for what was logged before."""
        ids = {one if isinstance(one, str) else one.id: None for one in cubes}
        if {*ids} - self._told or not self._told:
            self._told |= {*ids}
            self._gate.told(Operation.ASK, self.space, ids, self._withheld)

    def answered(self, found: Answer) -> Answer:
        """The answer, once what it shows is logged; it says how much was withheld."""
        self.told([*(hit.cube for hit in found.used), *(one.cube_id for one in found.citations), *found.standing])
        count = self._withheld
        return replace(found, notes=(*found.notes, f"Withheld from you: {count}.")) if count else found


def ask(
    rooms: Rooms, gate: Gate, recall: Recall, question: str, *, k: int, method: Method, budget: int | None, **where: Any
) -> Answer:
    """See `Memory.ask`."""
    question = _checked(rooms, question, where)
    visit = _Visit(gate, recall, where)
    if method in {"auto", "extractive"} and (known := _from_pairs(rooms, visit, question, where)) is not None:
        return visit.answered(known)
    hits = visit.recall(question, k=k, **_current(question, where))
    passed = _vouched(rooms, visit, question, hits, where)
    options = _options(rooms, visit, method, budget, where)
    found = answer(question, passed.hits, **options, standing=followed(hits.standing))
    return visit.answered(_noted(rooms, visit, found, hits, where, passed))


def ask_stream(
    rooms: Rooms, gate: Gate, recall: Recall, question: str, *, k: int, method: Method, budget: int | None, **where: Any
) -> Iterator[str | Answer]:
    """See `Memory.ask_stream`."""
    question = _checked(rooms, question, where)
    visit = _Visit(gate, recall, where)
    if method in {"auto", "extractive"} and (known := _from_pairs(rooms, visit, question, where)) is not None:
        whole = visit.answered(known)
        yield whole.text
        yield whole
        return
    hits = visit.recall(question, k=k, **_current(question, where))
    passed = _vouched(rooms, visit, question, hits, where)
    visit.told([*(hit.cube for hit in hits), *hits.standing])
    options = _options(rooms, visit, method, budget, where)
    for piece in answer_stream(question, passed.hits, **options, standing=followed(hits.standing)):
        yield visit.answered(_noted(rooms, visit, piece, hits, where, passed)) if isinstance(piece, Answer) else piece


def extractor_of(given: Extractor | str | Path | None, rooms: Rooms) -> Extractor:
    """The extractor that a caller means: their own, a file's, or the model's."""
    if isinstance(given, str | Path):
        path = place(given, "extractor")
        read = (
            CachedExtractor.from_lines if path.suffix.lower() in {".jsonl", ".ndjson"} else CachedExtractor.from_openie
        )
        return read(path, max_bytes=rooms.settings.max_file)
    if given is not None:
        return given
    if rooms.model is None:
        raise NoModelError(
            "Extraction needs a language model, and the settings name none.",
            "Set REMANENCE_MODEL=http://host:port/v1#model, or pass a file with cached extractions.",
        )
    return ModelExtractor(rooms.model, concurrency=rooms.settings.model_concurrency)


def pairs_in(path: str | Path, settings: Settings) -> list[Message]:
    """The pairs of a file, ready to be written."""
    file = place(path, "path")
    return imported(read_pairs(file, settings), f"file:{file}")


def pairs_of(rooms: Rooms, by: str, space: str | None, progress: Progress | None) -> Paired:
    """Pairs of what is stored; see `Memory.pair`."""
    if by not in {"rules", "model"}:
        raise InputError(f"by is {by!r}.", "Use rules or model.")
    model = rooms.model if by == "model" else None
    if by == "model" and model is None:
        raise NoModelError("The settings name no language model.", "Set REMANENCE_MODEL, or make pairs by rules.")
    return pair(rooms.store, rooms.encoding.documents, model, space=space, progress=progress)


def _options(rooms: Rooms, visit: _Visit, method: Method, budget: int | None, where: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": rooms.model, "method": method, "embed": rooms.encoding.compare, "budget": budget,
        "now": moment(where.get("now"), "now") or moment(where.get("as_of"), "as_of"),
        "neighbours": None if _narrowed(where) else partial(_beside, rooms, visit.clearance),
        "reader": _reader(rooms, visit, method, where),
    }  # fmt: skip


def _reader(rooms: Rooms, visit: _Visit, method: Method, where: dict[str, Any]) -> LocalReader | None:
    """The model on this machine, where the settings name one."""
    if method not in {"auto", "local"} or rooms.own_model is None:
        return None
    return LocalReader(rooms, rooms.local(), visit.space, where.get("user"), visit.clearance)


def _from_pairs(rooms: Rooms, visit: _Visit, question: str, where: dict[str, Any]) -> Answer | None:
    """What pairs know, unless the caller restricts the kinds, or there are none."""
    if where.get("kinds") is not None or not rooms.store.derived.has_pairs(where.get("space", DEFAULT_SPACE)):
        return None
    rest = {name: value for name, value in where.items() if name not in {"kinds", "route"}}

    def find(asked: str) -> Hits:
        with unrecorded(rooms.quiet):
            return visit.recall(asked, k=_PAIRS, kinds=[Kind.QA], route=Route.CHEAP, **_current(asked, rest))

    def source(cube: MemCube) -> MemCube | None:
        parents = cube.provenance.derived_from
        try:
            return rooms.store.get(parents[0], cube.scope.space, visit.clearance) if parents else None
        except UnknownCubeError:  # an import without it
            return None

    found = by_pairs(question, find, source, rooms.encoding.compare)
    # Pairs of low trust do not answer by themselves: reading asks who else says so.
    if found is None or _is_low(rooms, visit, found):
        return None
    if where.get("known_at") is not None:
        return found
    who = scope(visit.space, where.get("user"), where.get("agent"), where.get("session"))
    instructions, notes = held(rooms.store, question, who, visit.clearance, None)
    return replace(found, standing=instructions, notes=(*found.notes, *notes))


def _is_low(rooms: Rooms, visit: _Visit, found: Answer) -> bool:
    low = tiers(rooms.settings.corroborate)
    cubes = (rooms.store.get(one.cube_id, visit.space, visit.clearance) for one in found.citations) if low else ()
    return any(cube.trust in low for cube in cubes)


def _vouched(rooms: Rooms, visit: _Visit, question: str, hits: Hits, where: dict[str, Any]) -> Vouched:
    """The hits that may enter an answer: those of low trust as far as something independent says the same."""
    low = tiers(rooms.settings.corroborate)
    if all(hit.cube.trust not in low for hit in hits):
        return Vouched(hits, (), {})
    with unrecorded(rooms.quiet):
        wider = visit.recall(question, k=WIDER, **_current(question, {**where, "explain": False}))
    doubted = [hit.cube.id for hit in hits if hit.cube.trust in low]
    stated = rooms.store.derived.claims_beside(visit.space, doubted, visit.clearance)
    others = [hit.cube for hit in wider]
    return vouched(question, hits, others, low, stated=stated, embed=rooms.encoding.compare)


def _noted(rooms: Rooms, visit: _Visit, found: Answer, hits: Hits, where: dict[str, Any], passed: Vouched) -> Answer:
    """The answer with what recall had to say, what was left out, and what contradicts the memories that it cites.

    What a model wrote is remembered as such, so that it is not learned again.
    """
    notes = found.notes
    if hits and not passed.hits:
        notes = ("What was recalled is of low trust, and nothing independent supports it.",)
    if not found.abstained and hits:
        quoted = [hit.cube.text for hit in hits]
        digests = own_words(found.text, rooms.store.secret(), quoted)
        rooms.store.trusted.keep_echoes(visit.space, digests, rooms.store.clock())
    used = tuple(replace(hit, cube=passed.whole.get(hit.cube.id, hit.cube)) for hit in found.used)
    data = tuple(
        f"Not followed, because it is not the user's own word: {one.id}."
        for one in hits.standing
        if one not in followed(hits.standing)
    )
    notes = (*hits.notes, *passed.notes, *notes, *data, *_disputed(rooms, visit, found, where))
    return replace(found, used=used, notes=notes, standing=hits.standing)


def _beside(rooms: Rooms, clearance: Clearance | None, cube: MemCube) -> list[MemCube]:
    """The turns around one, without those of low trust and those that state only what something newer replaced."""
    low = tiers(rooms.settings.corroborate)
    found = [one for one in rooms.store.beside(cube, clearance) if one.trust not in low]
    stated = rooms.store.derived.claims_beside(cube.scope.space, [one.id for one in found], clearance)
    old = {pair.old.cube_id for pair in outdated(stated, {one.seq for one in stated}).values()}
    return [one for one in found if one.id not in old]


def _narrowed(where: dict[str, Any]) -> bool:
    """Whether memories that stand beside the hits may be out of bounds."""
    return any(where.get(name) is not None for name in _NARROWING)


def _disputed(rooms: Rooms, visit: _Visit, found: Answer, where: dict[str, Any]) -> tuple[str, ...]:
    cited = {citation.cube_id for citation in found.citations}
    if not cited or _narrowed(where):
        return ()
    pairs = disputed(resolve(rooms.store.derived.claims_beside(visit.space, sorted(cited), visit.clearance)))
    return tuple(
        f"Contradicted: {other.cube_id} says {'not ' if other.negated else ''}{other.fact.value!r} of "
        f"{other.fact.subject}, {other.fact.relation}."
        for pair in pairs
        for one, other in ((pair.first, pair.second), (pair.second, pair.first))
        if one.cube_id in cited and other.cube_id not in cited and _visible(rooms, visit, other.cube_id, where)
    )


def _visible(rooms: Rooms, visit: _Visit, cube_id: str, where: dict[str, Any]) -> bool:
    """Whether the filters of the question let a memory be seen."""
    try:
        scope = rooms.store.get(cube_id, visit.space, visit.clearance).scope
    except UnknownCubeError:  # forgotten in this very moment
        return False
    return all(where.get(name) in {None, getattr(scope, name)} for name in ("user", "agent", "session"))
