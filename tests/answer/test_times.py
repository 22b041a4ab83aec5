"""Times in stored text, as dates."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from remanence.answer.times import as_date, day_of, days_of, resolved, zone_of
from remanence.cubes import posix
from remanence.language.dates import Window


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("I moved yesterday.", ("7 May 2023",)),
        ("I moved last year.", ("2022",)),
        ("I will move next month.", ("June 2023",)),
        ("I moved last week.", ("1 May 2023 to 7 May 2023",)),
        ("I moved on 3 May 2023.", ()),
        ("I moved on 3 May.", ("3 May 2023",)),
        ("I moved.", ()),
    ],
)
def test_what_a_text_says_from_where_it_stands_becomes_a_date(hit, text, dates):
    assert resolved(text, hit(text, on="2023-05-08T13:56:00").cube) == dates


def test_without_a_day_of_its_own_a_text_resolves_nothing(hit):
    assert resolved("I moved yesterday.", hit("x").cube) == ()


def test_days_begin_in_the_zone_of_the_cube(hit):
    cube = hit("x", on="2023-05-08T01:00:00+09:00").cube
    assert resolved("I moved yesterday.", cube) == ("7 May 2023",)
    assert zone_of(cube).utcoffset(None) == timedelta(hours=9)
    assert zone_of(hit("x", on="2023-05-08").cube) is UTC


def test_a_window_is_said_by_its_first_and_last_day():
    def window(start: datetime, stop: datetime) -> Window:
        return Window(posix(start), posix(stop))

    assert as_date(window(datetime(2023, 12, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC))) == "December 2023"
    assert (
        as_date(window(datetime(2023, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)))
        == "1 January 2023 to 31 December 2024"
    )
    east = timezone(timedelta(hours=9))
    assert as_date(window(datetime(2023, 5, 1, tzinfo=east), datetime(2023, 5, 2, tzinfo=east)), east) == "1 May 2023"
    assert day_of(datetime(2023, 5, 8, tzinfo=UTC)) == "8 May 2023"


def test_days_of_a_text_hold_those_given_in_full_too(hit):
    assert len(days_of("On 3 May 2022, and yesterday.", hit("x", on="2023-05-08").cube)) == 2
