"""Notes of memories: a cube alone, by rules."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

pytest.importorskip("peft", reason="needs the extra `local`")

from remanence.cubes import Kind, MemCube, Provenance, Scope
from remanence.errors import InputError
from remanence.parametric.lookup import LookupMemory
from remanence.parametric.lookupnotes import notes_of
from remanence.parametric.lookuptable import Owner


def cube(number, text, version=1):
    now = datetime(2026, 1, 2, tzinfo=UTC)
    return MemCube(
        id=f"c{number}", version=version, text=text, kind=Kind.MESSAGE, scope=Scope(), provenance=Provenance(),
        recorded_at=now, valid_from=now,
    )  # fmt: skip


def test_a_note_is_made_of_its_cube_alone(taught_world):
    texts = [taught_world.statement(fact) for fact in taught_world.fresh(2)]
    cubes = [cube(number, text, version=number + 1) for number, text in enumerate(texts)]
    together = notes_of(cubes)
    assert together == tuple(note for one in cubes for note in notes_of([one]))
    assert [note.owner for note in together] == [Owner(f"c{number}", number + 1) for number in range(len(cubes))]
    for note, fact in zip(together, taught_world.fresh(2), strict=True):
        assert note.entities == (fact.subject,)
        assert all(fact.value in answer for _, answer in note.pairs)
        assert all(fact.subject in prompt for prompt, _ in note.pairs)
        assert note.guards
        assert not any(fact.value in guard for guard in note.guards)
        assert not {prompt for prompt, _ in note.pairs} & set(note.guards)


def test_what_memories_say_is_answered(taught, taught_world):
    facts = taught_world.fresh(1)
    memory = LookupMemory(taught)
    memory.write(notes_of([cube(number, taught_world.statement(fact)) for number, fact in enumerate(facts)]))
    with memory.reading():
        for fact in facts:
            said = taught.generate(taught.encode(taught_world.question(fact)), max_new=4, stop=(".",))
            assert said.text == taught_world.answer(fact)


def test_a_memory_without_a_known_fact_is_read_where_its_words_stand(taught):
    note = notes_of([cube(1, "Where does the employer live?")])[0]
    assert (note.entities, note.guards) == ((), ())
    assert note.pairs[0][0] == "Where"
    memory = LookupMemory(taught)
    memory.write([note])
    with memory.reading():
        said = taught.generate(taught.encode("Where does"), max_new=4)  # two tokens are the shortest n-gram
        assert said.text == " the employer live?"


def test_there_is_nothing_in_an_empty_memory():
    with pytest.raises(InputError):
        notes_of([cube(1, " ")])
