"""From memories to notes for lookup rows, by rules.

The views of each cube are made from it alone, and its guards from the names in it and the table of wordings: nothing of another cube
gets into a note, so nothing of another cube gets into its rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from remanence.cubes import Fact, MemCube
from remanence.language.relations import canonical
from remanence.parametric.lookuptable import Owner
from remanence.parametric.lookuptraining import Note
from remanence.parametric.views import QUESTION, views_of
from remanence.parametric.wordings import filled, wording

ASKED = ("lives in", "works at", "likes", "owns", "speaks", "born in")
"""Relations that guards ask for: what else somebody may want to know of a person."""


def notes_of(
    cubes: Sequence[MemCube], *, question: str = QUESTION, relations: Sequence[str] = ASKED
) -> tuple[Note, ...]:
    """A note for each memory: its facts as prompts and answers, its subjects as entities, other questions about them as guards.

    A memory in which the rules read no fact has neither entities nor guards: its rows are read wherever its words stand.

    Raises
    ------
    InputError
        There is nothing to learn, or a cube is no text.
    """
    return tuple(_note(cube, question, relations) for cube in cubes)


def _note(cube: MemCube, question: str, relations: Sequence[str]) -> Note:
    views = views_of([cube], question=question)
    subjects = tuple(dict.fromkeys(fact.subject for fact in views.facts))
    pairs = tuple((view.prompt, view.answer) for view in views.training if view.kind != "verbatim" or not subjects)
    known = {(fact.subject, canonical(fact.relation)) for fact in views.facts}
    guards = [
        question.format(filled(asked, Fact(subject, relation, "")))
        for subject in subjects
        for relation in relations
        if (subject, relation) not in known
        for asked in wording(Fact(subject, relation, "")).questions
    ]
    return Note(Owner(cube.id, cube.version), pairs, subjects, tuple(guards))
