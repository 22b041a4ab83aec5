"""The recognition filter: which of the facts close to a question may lead the walk.

HippoRAG 2 (arXiv 2502.14802, section 3.2) asks a language model, which may keep none. Without one the score decides, as
`link.kept_by_score` says; the paper's own ablation puts the difference at 0.7 points of recall@5.
"""

from __future__ import annotations

from collections.abc import Sequence

from remanence.cubes import Fact
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
    cubes = store.fetch(space, seqs)
    shown: dict[int, KeptFact] = {}
    lines: list[object] = []
    for fact, seq in zip(facts, seqs, strict=True):
        read = store.derived.reading(cubes[seq].id) if seq in cubes else None
        said = _fact(fact, linking(read[1])) if read else None
        if said is not None:
            shown[len(shown) + 1] = fact
            lines.append([len(shown), said.subject, said.relation, said.value])
    if not shown:
        return []
    prompt = Prompt(
        turns=render("recognise", question=quoted(question), facts=quoted(lines)), schema=_SCHEMA, max_tokens=100,
        space=space, sources=tuple(sorted({cube.id for cube in cubes.values()})),
    )  # fmt: skip
    keep = model.generate(prompt).data["keep"]
    return [shown[number] for number in dict.fromkeys(keep) if number in shown][:_MOST]


def _fact(fact: KeptFact, read: Sequence[Fact]) -> Fact | None:
    return read[fact.place] if fact.place < len(read) else None
