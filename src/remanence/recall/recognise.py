"""The recognition filter: which of the facts close to a question may lead the walk.

HippoRAG 2 (arXiv 2502.14802, section 3.2) asks a language model, which may keep none. Without one the score decides, as
`link.kept_by_score` says; the paper's own ablation puts the difference at 0.7 points of recall@5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from remanence.cubes import Fact
from remanence.errors import BrokenAnswerError
from remanence.language.keys import linking
from remanence.models.language import LanguageModel, Prompt
from remanence.models.prompts import quoted, render
from remanence.recall.link import KeptFact
from remanence.recall.view import View
from remanence.store.protocol import Store

_MOST = 4
_SCHEMA = {
    "type": "object",
    "properties": {"keep": {"type": "array", "items": {"type": "integer"}}},
    "required": ["keep"],
    "additionalProperties": False,
}


def by_model(
    model: LanguageModel, question: str, facts: Sequence[KeptFact], view: View, store: Store, space: str
) -> list[KeptFact]:
    """The facts that a model keeps, in their order, at most four.

    Raises
    ------
    EndpointError, BrokenAnswerError
        As `LanguageModel.generate`.
    """
    seqs = [int(view.seq[fact.slot]) for fact in facts]
    cubes, readings = store.fetch(space, seqs), store.derived.stored(seqs)
    shown: dict[int, KeptFact] = {}
    lines: list[object] = []
    for fact, seq in zip(facts, seqs, strict=True):
        read = readings.get(seq) if seq in cubes else None
        said = _fact(fact, linking(read.content)) if read else None
        if said is not None:
            shown[len(shown) + 1] = fact
            lines.append([len(shown), said.subject, said.relation, said.value])
    if not shown:
        return []
    prompt = Prompt(
        turns=render("recognise", question=quoted(question), facts=quoted(lines)), schema=_SCHEMA, max_tokens=100,
        space=space, sources=tuple(sorted({cube.id for cube in cubes.values()})),
    )  # fmt: skip
    data: Any = model.generate(prompt).data
    keep: Any = data.get("keep") if isinstance(data, dict) else None
    if not isinstance(keep, list) or not all(isinstance(number, int) for number in keep):
        raise BrokenAnswerError(
            f"The answer of {model.name} is no JSON object with a list of numbers to keep.",
            "Use a model that follows a JSON schema.",
        )
    return [shown[number] for number in dict.fromkeys(keep) if number in shown][:_MOST]


def _fact(fact: KeptFact, read: Sequence[Fact]) -> Fact | None:
    return read[fact.place] if fact.place < len(read) else None
