"""What a language model reads out of a cube: entities, facts, statements. It knows no store.

Source: the index of HippoRAG 2 (Gutiérrez et al. 2025, arXiv 2502.14802, section 3 and appendix): a passage's named entities
first, then triples conditioned on them. Statements are our third call, after LoCoMo's observations (arXiv 2402.17753). All
of it is extra keys to the text, never a replacement.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol, runtime_checkable

from remanence.cubes import Cost, Extraction, Fact, MemCube
from remanence.errors import BrokenAnswerError, EndpointError, InputError, RemanenceError
from remanence.models.language import LanguageModel, Prompt, Turn
from remanence.models.prompts import quoted, render
from remanence.write.grounding import MOST_ITEMS, Ground, ground_of, is_pronoun, listed, normal, tidy
from remanence.write.windows import MOST_WINDOWS, OVERLAP, WINDOW, shown, speaker_of, windows

PARTS = ("entities", "triples", "statements")
"""The calls on each window, in this order."""
MOST_ENTITIES, MOST_FACTS, MOST_STATEMENTS = 256, 256, 128
"""Per cube; what comes after is dropped and counted."""
LONGEST_NAME, LONGEST_RELATION, LONGEST_STATEMENT = 200, 100, 300
"""Characters of an entity (and of a fact's subject and value), of a relation, of a statement. Longer ones are dropped."""
SUPPORT_OF_SIDE = 0.5
"""Content words of a fact's other side that the passage has to hold. `benchmarks/observations.py` measures both bounds."""
SUPPORT_OF_STATEMENT = 0.25
"""Content words of a statement, names aside, that the passage has to hold."""

_ANSWER = 2048  # tokens of an answer, less for a model with a small context
_SMALLEST_WINDOW = 256  # tokens; a header of usual length has to fit as well
_REVISION = 1  # counts up when cleaning or merging changes, so that `name` does
_LIST_OF_TEXTS = {"type": "array", "items": {"type": "string"}}
_SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    # Nothing is said about lengths: an answer that is too long is cut by us, and need not be asked for again.
    "entities": {"entities": _LIST_OF_TEXTS},
    "triples": {"triples": {"type": "array", "items": _LIST_OF_TEXTS}},
    "statements": {"statements": _LIST_OF_TEXTS, "about": {"type": "string"}},
}


@dataclass(frozen=True, slots=True)
class Extracted:
    """What came of some cubes. Places are those in the list that was passed, from 0."""

    extractions: tuple[Extraction | None, ...]
    """One per cube, in order; None where it failed this time."""
    failures: Mapping[int, RemanenceError] = field(default_factory=dict[int, RemanenceError])
    """Why, for every None."""
    cost: Cost = field(default_factory=Cost)
    """Of the calls that were answered; a call that failed does not say what it took."""
    missing: frozenset[int] = frozenset()
    """Cubes that a cached extractor knows nothing of; their extractions are empty."""
    cut: frozenset[int] = frozenset()
    """Cubes of which only the first `MOST_WINDOWS` windows were read."""
    dropped: int = 0
    """Items of answers that were left out: malformed, too long, too many, or not in the text. Repetitions do not count."""


@runtime_checkable
class Extractor(Protocol):
    """Reads entities, facts and statements out of cubes."""

    @property
    def name(self) -> str:
        """Fingerprint: another model, prompt or rule of cleaning is another name."""
        ...

    def extract(self, cubes: Sequence[MemCube]) -> Extracted:
        """Read each cube. One that cannot be read never stops the others: it is in `failures`."""
        ...


class ModelExtractor:
    """Asks a language model: for each cube, or each window of a long one, one call for each of `parts`, one after the other.

    `concurrency` cubes are read side by side.

    Raises
    ------
    InputError
        `parts` names none or an unknown one, `concurrency` is below 1, or the model's context is too small for the prompts.
    """

    def __init__(self, model: LanguageModel, *, parts: Sequence[str] = PARTS, concurrency: int = 4) -> None:
        if not parts or isinstance(parts, str) or not set(parts) <= set(PARTS):
            raise InputError(f"parts is {parts!r}.", f"Use one or more of: {', '.join(PARTS)}.")
        if concurrency < 1:
            raise InputError(f"concurrency is {concurrency!r}.", "Use a whole number of at least 1.")
        self._model = model
        self._parts = tuple(part for part in PARTS if part in parts)
        self._concurrency = concurrency
        frames = {part: _turns(part, "", "") for part in self._parts}
        described = json.dumps([_REVISION, _bounds(), frames, {part: _SCHEMAS[part] for part in self._parts}])
        self._name = f"extract/{model.name}/{hashlib.sha256(described.encode()).hexdigest()[:16]}"
        self._answer = min(_ANSWER, model.context // 4)
        frame = max(sum(model.count(turn.content) for turn in turns) for turns in frames.values())
        # Half of what is left, since the triples' prompt shows the names beside the passage.
        self._window = min(WINDOW, (model.context - self._answer - frame) // 2)
        if self._window < _SMALLEST_WINDOW:
            raise InputError(
                f"The model {model.name} has a context of {model.context:,} tokens, too few for extraction.",
                "Serve it with a larger one: 4,096 tokens are enough.",
            )

    @property
    def name(self) -> str:
        """See `Extractor`."""
        return self._name

    def extract(self, cubes: Sequence[MemCube]) -> Extracted:
        """See `Extractor`. Every cube is read on its own: what one says never stands in the prompt of another."""
        if not cubes:
            return Extracted(())
        with ThreadPoolExecutor(max_workers=min(self._concurrency, len(cubes))) as pool:
            futures = [pool.submit(self._read, cube) for cube in cubes]
            try:
                outcomes = [future.result() for future in futures]
            finally:
                for future in futures:  # after an error that is none of a model: start no further calls
                    future.cancel()
        return Extracted(
            tuple(one.extraction for one in outcomes),
            {place: one.error for place, one in enumerate(outcomes) if one.error},
            sum((one.cost for one in outcomes), Cost()),
            cut=frozenset(place for place, one in enumerate(outcomes) if one.cut),
            dropped=sum(one.dropped for one in outcomes),
        )

    def _read(self, cube: MemCube) -> _Outcome:
        """All windows of one cube. A call that fails ends it: half an extraction would look like a whole one."""
        if not cube.text.strip():
            return _Outcome(Extraction())
        parts = list(islice(windows(cube.text, self._window, self._model.count), MOST_WINDOWS + 1))
        found = _Found()
        cost = Cost()
        for window in parts[:MOST_WINDOWS]:
            ground = ground_of(cube, window)
            named: list[str] = []
            for part in self._parts:
                prompt = self._prompt(part, cube, window, named)
                try:
                    data, spent = asked(self._model, prompt, part)
                except (EndpointError, BrokenAnswerError) as error:
                    return _Outcome(None, error, cost)
                cost += spent
                if part == "entities":
                    named = found.add_entities(data, ground)
                elif part == "triples":
                    found.add_facts(data, ground)
                else:
                    found.add_statements(data, ground)
        extraction = found.whole(with_about=not cube.about)
        return _Outcome(extraction, None, cost, cut=len(parts) > MOST_WINDOWS, dropped=found.dropped)

    def _prompt(self, part: str, cube: MemCube, window: str, named: Sequence[str]) -> Prompt:
        room = self._window - self._model.count(shown(cube, ""))
        names = self._fitting([name for name in (speaker_of(cube), cube.about, *named) if name], room)
        return Prompt(
            turns=_turns(part, shown(cube, window), quoted(names)),
            schema=_schema(part),
            max_tokens=self._answer,
            space=cube.scope.space,
            sources=(cube.id,),
        )

    def _fitting(self, names: Sequence[str], room: int) -> list[str]:
        """The first names, as many as `room` tokens hold, each once."""
        kept: dict[str, None] = {}
        for name in names:
            room -= self._model.count(quoted(name))
            if room < 0:
                break
            kept[name] = None
        return list(kept)


@dataclass(frozen=True, slots=True)
class _Outcome:
    extraction: Extraction | None
    error: RemanenceError | None = None
    cost: Cost = field(default_factory=Cost)
    cut: bool = False
    dropped: int = 0


class _Found:
    """What the windows of one cube gave so far, cleaned; keys are normalised, so that each thing is kept once."""

    def __init__(self) -> None:
        self._entities: dict[str, str] = {}
        self._facts: dict[tuple[str, ...], Fact] = {}
        self._statements: dict[str, str] = {}
        self._about = ""
        self.dropped = 0

    def add_entities(self, data: dict[str, Any], ground: Ground) -> list[str]:
        """Keep those that the window holds; they are returned, in order."""
        kept: dict[str, str] = {}
        for item in self._items(data, "entities"):
            name = tidy(item, LONGEST_NAME)
            if name and ground.holds(name) and not is_pronoun(name):
                kept.setdefault(normal(name), name)
            else:
                self.dropped += 1
        for key, name in kept.items():
            self._keep(self._entities, key, name, MOST_ENTITIES)
        return list(kept.values())

    def add_facts(self, data: dict[str, Any], ground: Ground) -> None:
        """Keep those of which the window holds one side, and the other by half of its words."""
        for item in self._items(data, "triples"):
            fact = fact_of(item)
            if fact and supported(fact, ground):
                key = (normal(fact.subject), normal(fact.relation), normal(fact.value))
                self._keep(self._facts, key, fact, MOST_FACTS)
            else:
                self.dropped += 1

    def add_statements(self, data: dict[str, Any], ground: Ground) -> None:
        """Keep those whose words the window holds; and the first `about` that it holds."""
        for item in self._items(data, "statements"):
            statement = tidy(item, LONGEST_STATEMENT)
            if statement and ground.share_beyond_names(statement) >= SUPPORT_OF_STATEMENT:
                self._keep(self._statements, normal(statement), statement, MOST_STATEMENTS)
            else:
                self.dropped += 1
        about = tidy(data.get("about"), LONGEST_NAME)
        if about and not self._about:
            if ground.holds(about) and not is_pronoun(about):
                self._about = about
            else:
                self.dropped += 1

    def whole(self, *, with_about: bool) -> Extraction:
        """Everything kept."""
        return Extraction(
            tuple(self._entities.values()),
            tuple(self._facts.values()),
            tuple(self._statements.values()),
            (self._about or None) if with_about else None,
        )

    def _items(self, data: dict[str, Any], name: str) -> list[Any]:
        items, beyond = listed(data[name])
        self.dropped += beyond
        return items

    def _keep(self, kept: dict[Any, Any], key: Any, value: Any, most: int) -> None:
        if key in kept:
            return
        if len(kept) < most:
            kept[key] = value
        else:
            self.dropped += 1


def fact_of(item: Any) -> Fact | None:
    """A triple of an answer as a fact; None where it is not three texts of fitting length, or a side is a pronoun."""
    if not isinstance(item, list | tuple) or len(item) != 3:
        return None
    subject, relation, value = map(tidy, item, (LONGEST_NAME, LONGEST_RELATION, LONGEST_NAME))
    if not all(map(normal, (subject, relation, value))) or is_pronoun(subject) or is_pronoun(value):
        return None
    return Fact(subject, relation, value)


def supported(fact: Fact, ground: Ground) -> bool:
    """The passage holds one side of the fact word for word, and of the other enough content words."""
    held = [ground.holds(side) for side in (fact.subject, fact.value)]
    if not any(held):
        return False
    return all(
        here or ground.share(side) >= SUPPORT_OF_SIDE
        for here, side in zip(held, (fact.subject, fact.value), strict=True)
    )


def asked(model: LanguageModel, prompt: Prompt, name: str) -> tuple[dict[str, Any], Cost]:
    """The object that a model answers, with a list under `name`. Checked again here: the model may be anyone's.

    Raises
    ------
    EndpointError, BrokenAnswerError
        As `LanguageModel.generate`.
    """
    completion = model.generate(prompt)
    data: Any = completion.data
    if not isinstance(data, dict) or not isinstance(data.get(name), list):
        raise BrokenAnswerError(
            f"The answer of {model.name} is no JSON object with a list of {name}.",
            "Use a model that follows a JSON schema.",
        )
    return data, completion.cost


def _turns(part: str, memory: str, names: str) -> tuple[Turn, ...]:
    return render(part, memory=memory, names=names) if part == "triples" else render(part, memory=memory)


def _schema(part: str) -> dict[str, Any]:
    properties = _SCHEMAS[part]
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _bounds() -> list[float]:
    return [
        WINDOW, MOST_WINDOWS, OVERLAP, MOST_ITEMS, MOST_ENTITIES, MOST_FACTS, MOST_STATEMENTS, LONGEST_NAME, LONGEST_RELATION,
        LONGEST_STATEMENT, SUPPORT_OF_SIDE, SUPPORT_OF_STATEMENT,
    ]  # fmt: skip
