"""Probes: questions with known answers, about facts that were written, from several sides.

The facets and the record are those of WikiDYK (Zhang et al. 2025, arXiv 2505.12306): a fact with, under `eval`, a prompt and
its right answers for every facet. They serve any way to remember, by weights or by a store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from remanence.cubes import Fact
from remanence.errors import InputError
from remanence.evaluation.world import World


class Facet(StrEnum):
    """From which side a fact is asked for."""

    RELIABILITY = "reliability"
    """As it was taught."""
    GENERALITY = "generality"
    """In the other form that was taught: a sentence to be completed, where reliability asks a question."""
    PARAPHRASE = "paraphrase"
    """In words that it was never taught in."""
    PORTABILITY = "portability"
    """One step on: with something else that is known."""
    LOCALITY = "locality"
    """What has nothing to do with it, and must stay as it was."""
    COUNTERFACTUAL = "counterfactual"
    """Against other values: the true one has to be the more probable."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One question with its answer."""

    id: str
    facet: Facet
    prompt: str
    """The answer follows it."""
    answer: str
    """With the space that parts it from the prompt, where there is one."""
    accept: tuple[str, ...] = ()
    """Other answers that are right too."""
    fact_id: str = ""
    """Of the fact that it asks for; empty for what belongs to none."""
    against: tuple[str, ...] = ()
    """Answers that have to be less probable."""


@dataclass(frozen=True, slots=True)
class ProbeSet:
    """Probes under a name: one set for each thing that was learnt.

    Raises
    ------
    InputError
        Two probes have the same id.
    """

    name: str
    probes: tuple[Probe, ...]
    facts: Mapping[str, str]
    """The sentence of every fact, by its id."""

    def __post_init__(self) -> None:
        if len({probe.id for probe in self.probes}) != len(self.probes):
            raise InputError(f"Probes of {self.name} share ids.", "Give every probe an id of its own.")

    def of(self, *facets: Facet) -> tuple[Probe, ...]:
        return tuple(probe for probe in self.probes if probe.facet in facets)

    def to_json(self) -> dict[str, Any]:
        """A record for each fact, and one without a fact for the rest."""
        ids = dict.fromkeys(probe.fact_id for probe in self.probes)
        records: list[dict[str, Any]] = []
        for fact_id in ids:
            sides: dict[str, list[dict[str, Any]]] = {}
            for probe in self.probes:
                if probe.fact_id == fact_id:
                    side = {
                        "id": probe.id,
                        "prompt": probe.prompt,
                        "answer": [probe.answer, *probe.accept],
                        "against": list(probe.against),
                    }
                    sides.setdefault(probe.facet.value, []).append(side)
            records.append({"id": fact_id, "fact": self.facts.get(fact_id, ""), "eval": sides})
        return {"name": self.name, "records": records}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ProbeSet:
        """The inverse of `to_json`; a facet may also be a single `{prompt, answer}`, as in WikiDYK's files.

        Raises
        ------
        InputError
            It is not of this shape.
        """
        probes: list[Probe] = []
        facts: dict[str, str] = {}
        try:
            for number, record in enumerate(data["records"]):
                fact_id = str(record.get("id", f"f{number}"))
                if record.get("fact"):
                    facts[fact_id] = str(record["fact"])
                for name, sides in record["eval"].items():
                    for place, side in enumerate([sides] if isinstance(sides, Mapping) else sides):
                        probes.append(_probe(fact_id, Facet(name), place, side))
            return cls(str(data["name"]), tuple(probes), facts)
        except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise InputError(f"This is no probe set: {error!r}.", "See `ProbeSet.to_json` for its shape.") from error


def _probe(fact_id: str, facet: Facet, place: int, side: Mapping[str, Any]) -> Probe:
    answers = [side["answer"]] if isinstance(side["answer"], str) else list(side["answer"])
    return Probe(
        str(side.get("id", f"{fact_id}/{facet.value}/{place}")), facet, str(side["prompt"]), str(answers[0]),
        tuple(map(str, answers[1:])), fact_id, tuple(map(str, side.get("against", ()))),
    )  # fmt: skip


def world_probes(
    world: World, facts: Sequence[Fact], *, name: str = "facts", local: Iterable[Fact] = (), against: int = 3
) -> ProbeSet:
    """Probes for facts of a world from all sides: the last wordings, which are held out, are the paraphrases.

    `local` are facts that have to stay as they are, such as those of background people.
    """
    probes: list[Probe] = []
    said: dict[str, str] = {}
    for number, fact in enumerate(facts):
        fact_id = f"{name}/{number}"
        said[fact_id] = world.statement(fact)
        answer = world.answer(fact)
        others = tuple(f" {value}" for value in world.counterfactuals(fact, against))
        sides = [
            (Facet.RELIABILITY, world.question(fact), answer, ()),
            (Facet.GENERALITY, world.cloze(fact), answer, ()),
            (Facet.PARAPHRASE, world.question(fact, -1), answer, ()),
            (Facet.PARAPHRASE, world.cloze(fact, -1), answer, ()),
            (Facet.COUNTERFACTUAL, world.question(fact), answer, others),
        ]
        hop = world.hop(fact)
        if hop is not None:
            sides.append((Facet.PORTABILITY, *hop, ()))
        for place, (facet, prompt, right, wrong) in enumerate(sides):
            probes.append(Probe(f"{fact_id}/{place}", facet, prompt, right, (), fact_id, wrong))
    for number, fact in enumerate(local):
        probes.append(Probe(f"{name}/local/{number}", Facet.LOCALITY, world.question(fact), world.answer(fact)))
    return ProbeSet(name, tuple(probes), said)
