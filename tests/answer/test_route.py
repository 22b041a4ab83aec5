"""When the best memories conflict."""

import pytest

from remanence.answer.route import conflicting


def test_two_places_for_the_same_thing_conflict(hit):
    hits = [hit("The office moved to Lisbon.", cube_id="1"), hit("The office moved to Porto.", cube_id="2")]
    assert conflicting("Where did the office move?", hits)
    assert not conflicting("Where did the office move?", hits[:1])
    assert not conflicting("Did the office move?", hits)
    assert not conflicting("What did the office do?", hits)


def test_two_numbers_conflict_and_the_same_number_does_not(hit):
    one, two = hit("The kiln fires at 1240 degrees."), hit("Our kiln fires at 1300 degrees.")
    assert conflicting("At what temperature does the kiln fire?", [one, two])
    assert not conflicting(
        "At what temperature does the kiln fire?", [one, hit("The kiln fires at 1240 degrees again.")]
    )


def test_times_are_compared_as_days(hit):
    one, two = (
        hit("I sold my car yesterday.", by="Ann", on="2023-05-08"),
        hit("I sold my car on Sunday.", by="Ann", on="2023-05-09"),
    )
    assert not conflicting("When did Ann sell her car?", [one, two])
    assert conflicting("When did Ann sell her car?", [one, hit("I sold my car last year.", by="Ann", on="2023-05-09")])


@pytest.mark.parametrize("other", ["The weather in Porto is nice.", "Lunch in Porto!"])
def test_what_is_not_about_the_question_conflicts_with_nothing(hit, other):
    assert not conflicting("Where did the office move?", [hit("The office moved to Lisbon."), hit(other)])


def test_what_another_person_says_of_themselves_is_no_conflict(hit):
    hits = [hit("I moved to Lisbon.", by="Ann"), hit("I moved to Porto.", by="Bob")]
    assert not conflicting("Where did Ann move?", hits)


def test_only_the_first_hits_are_looked_at(hit):
    filler = [hit(f"Filler {number}.") for number in range(5)]
    hits = [hit("The office moved to Lisbon."), *filler, hit("The office moved to Porto.")]
    assert not conflicting("Where did the office move?", hits)
