"""What is taught and asked of memories."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

pytest.importorskip("peft", reason="needs the extra `local`")

from remanence.cubes import Fact, Form, Kind, MemCube, Provenance, Scope
from remanence.errors import InputError
from remanence.evaluation.probes import Facet
from remanence.evaluation.world import World
from remanence.language.relations import canonical, question
from remanence.language.statements import facts
from remanence.parametric.views import OTHERS, Style, facts_of, probes_of, styled, views_of
from remanence.parametric.wordings import _ROWS, filled, wording

VALUES = {"born on": "3 May 1990", "owns": "a boat", "plays": "the cello"}
AT = datetime(2026, 1, 1, tzinfo=UTC)


def cube(text: str, number: int = 0, **fields) -> MemCube:
    origin = Provenance(author=fields.pop("author", None))
    return MemCube(
        id=f"c{number}", version=1, text=text, kind=Kind.MESSAGE, scope=Scope(), provenance=origin, recorded_at=AT,
        valid_from=AT, **fields,
    )  # fmt: skip


def prompts(views, kind: str) -> set[str]:
    return {view.prompt for view in views.training if view.kind == kind}


def test_a_fact_is_taught_in_several_wordings_and_as_it_stands():
    views = views_of([cube("Mira Kovac lives in Lisbon.")])
    assert views.facts == (Fact("Mira Kovac", "lives in", "Lisbon"),)
    assert views.sources == (("c0", 1),)
    assert prompts(views, "statement") == {"Mira Kovac lives in", "Mira Kovac resides in", "Mira Kovac's home is"}
    assert "Question: Where does Mira Kovac live? Answer:" in prompts(views, "question")
    [verbatim] = [view for view in views.training if view.kind == "verbatim"]
    assert verbatim.prompt + verbatim.answer == "Mira Kovac lives in Lisbon."
    assert len({(view.prompt, view.answer) for view in views.training}) == len(views.training)


def test_no_view_has_a_held_out_wording():
    world = World(0, people=10, relations=5)
    views = views_of([cube(world.statement(fact), number) for number, fact in enumerate(world.facts)])
    assert len(views.facts) == len(world.facts)
    held = {probe.prompt for probe in views.probes.of(Facet.PARAPHRASE)}
    assert len(held) == 2 * len(world.facts)
    assert not held & {view.prompt for view in views.training}
    ours = {world.question(fact, -1) for fact in world.facts} | {world.cloze(fact, -1) for fact in world.facts}
    assert not ours & {view.prompt for view in views.training}


def test_a_memory_in_the_held_out_words_is_no_paraphrase():
    views = views_of([cube("The home of Mira Kovac is Lisbon.")])
    assert {probe.prompt for probe in views.probes.of(Facet.PARAPHRASE)} == {
        "Question: In which city does Mira Kovac live? Answer:"
    }


@pytest.mark.parametrize("name", sorted(_ROWS))
def test_the_rows_of_the_table(name):
    ways = _ROWS[name]
    assert canonical(name) == name
    every = (*ways.statements, ways.held_statement)
    assert all(one.startswith("{s}") or "{s}" in one for one in every)
    assert all(one.endswith(" {v}.") for one in every)
    assert len(set(every)) == len(every) >= 3
    asked = (*ways.questions, ways.held_question)
    assert all("{s}" in one and one.endswith("?") for one in asked)
    usual = question(name, "{s}") if name != "dog" else "What is the name of {s}'s dog?"
    assert usual in ways.questions
    value = VALUES.get(name, "Lisbon")
    [read] = facts(filled(ways.statements[0], Fact("Mira Kovac", name, value)))
    assert (read.subject, canonical(read.relation), read.value) == ("Mira Kovac", name, value)


def test_attributes_and_other_relations_have_wordings_too():
    assert wording(Fact("Ana", "dentist", "Dr Sato")).questions[0] == "Who is {s}'s dentist?"
    assert wording(Fact("Ana", "favourite colour", "blue")).statements[0] == "{s}'s favourite colour is {v}."
    assert wording(Fact("Ana", "visited", "Rome")).statements == ("{s} visited {v}.",)
    odd = Fact("A{v}a", "lives in", "{s} and \0")
    assert filled(wording(odd).statements[0], odd) == "A{v}a lives in {s} and \0."


def test_who_speaks_is_whom_i_means():
    assert facts_of(cube("I live in Oslo.", author="Ana Bell")) == (Fact("Ana Bell", "lives in", "Oslo"),)
    assert facts_of(cube("I live in Oslo.", author="user")) == ()
    assert facts_of(cube("Q: Where does Ana live?\nA: Ana lives in Oslo.")) == ()


def test_a_pair_is_taught_as_a_question():
    views = views_of([cube("Q: Who baked the cake?\nA: Tom did.")])
    assert [(view.prompt, view.answer) for view in views.training] == [
        ("Question: Who baked the cake? Answer:", " Tom did.")
    ]


def test_one_step_on():
    views = views_of([cube("Ada Lind works at Lumen Labs."), cube("Lumen Labs is located in Oslo.", 1)])
    [hop] = views.probes.of(Facet.PORTABILITY)
    assert (hop.prompt, hop.answer) == ("Question: Where is the employer of Ada Lind? Answer:", " Oslo")


def test_what_is_true_twice_is_right_twice():
    probes = probes_of([Fact("Ana", "likes", "chess"), Fact("Ana", "likes", "tea"), Fact("Bo", "likes", "jazz")])
    first = probes.of(Facet.RELIABILITY)[0]
    assert (first.answer, first.accept) == (" chess", (" tea",))


def test_the_five_styles():
    fact, others = Fact("Mira Kovac", "lives in", "Lisbon"), ["Oslo", "Graz", "Lyon", "Turin"]
    assert styled(fact, Style.SHORT, others).answer == " Lisbon."
    assert styled(fact, Style.BRIEF, others).answer == " Mira Kovac lives in Lisbon."
    assert styled(fact, Style.DETAILED, others).answer.count("Lisbon.") == 3
    for seed in range(12):
        choice = styled(fact, Style.CHOICE, others, seed=seed)
        letter = choice.answer.strip(" .")
        assert f"{letter}: Lisbon" in choice.prompt
        assert sum(other in choice.prompt for other in others) == 3
        claim = styled(fact, Style.YES_NO, others, seed=seed)
        assert claim.answer == (" yes." if "Lisbon" in claim.prompt else " no.")
    assert {styled(fact, Style.YES_NO, others, seed=seed).answer for seed in range(12)} == {" yes.", " no."}
    for style in (Style.YES_NO, Style.CHOICE):  # without other values there is nothing to tell apart
        assert styled(fact, style, []).style is Style.SHORT


def test_a_share_of_the_questions_is_in_other_styles():
    world = World(0, people=40)
    cubes = [cube(world.statement(fact), number) for number, fact in enumerate(world.facts)]
    views = views_of(cubes, styles=0.2)
    asked = [view for view in views.training if view.kind in {"question", "pair"} and view.fact]
    other = [view for view in asked if view.style is not Style.SHORT]
    assert 0.13 < len(other) / (2 * len(world.facts)) < 0.27
    assert {view.style for view in other} == set(OTHERS)
    assert views_of(cubes, styles=0.2) == views
    assert views_of(cubes, styles=0.2, seed=1) != views


def test_what_cannot_be_taught():
    with pytest.raises(InputError, match="no text"):
        views_of([cube("a cache", form=Form.ACTIVATION)])
    with pytest.raises(InputError, match="no text"):
        views_of([cube("  ")])
    for options in ({}, {"styles": 2.0}, {"question": "Q"}):
        with pytest.raises(InputError, match="no views"):
            views_of([cube("Ana lives in Oslo.")] if options else [], **options)
