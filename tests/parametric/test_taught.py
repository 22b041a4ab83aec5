"""The shared model knows what the other tests rely on."""

from __future__ import annotations


def recalled(lm, prompts, answers):
    texts = lm.generate_many([lm.encode(prompt) for prompt in prompts], max_new=4, stop=(".",))
    return sum(text == answer for text, answer in zip(texts, answers, strict=True)) / len(answers)


def test_it_knows_its_world_by_heart(taught, taught_world):
    facts = taught_world.facts
    for template in range(-3, 0):
        asked = [taught_world.question(fact, template) for fact in facts]
        assert (
            recalled(taught, asked, map(taught_world.answer, facts) and [taught_world.answer(f) for f in facts]) >= 0.97
        )


def test_it_reads_what_it_does_not_know(taught, taught_world):
    facts = taught_world.fresh(12)
    answers = [taught_world.answer(fact) for fact in facts]
    alone = [taught_world.question(fact) for fact in facts]
    assert recalled(taught, alone, answers) <= 0.25
    told = [taught_world.reading([taught_world.statement(fact)], fact) for fact in facts]
    assert recalled(taught, told, answers) >= 0.9
    people = [facts[at : at + 4] for at in range(0, len(facts), 4)]
    told = [
        taught_world.reading([taught_world.statement(one) for one in some], fact) for some in people for fact in some
    ]
    assert recalled(taught, told, answers) >= 0.8
