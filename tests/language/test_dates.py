from calendar import month_name
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.language import dates
from remanence.language.date_atoms import Frame
from remanence.language.date_phrases import phrases
from remanence.language.dates import Window, asked, asks_latest, asks_when, has_time_expression, mentioned

NOW = datetime(2023, 5, 10, 15, 30, tzinfo=UTC)  # a Wednesday
DAY = 86400.0


def at(iso: str) -> float:
    return datetime.fromisoformat(iso).replace(tzinfo=UTC).timestamp()


def window(lo: str, hi: str | None = None) -> Window:
    """[lo, hi) of ISO days; the one day `lo` without `hi`."""
    return Window(at(lo), at(hi) if hi else at(lo) + DAY)


SPAN = window("2022-01-05", "2023-11-05")


def pairs(table: dict[str, list[str]]):
    """Cases "text": ["lo hi", "day", ...], each under its own id."""
    return [
        pytest.param(text, tuple(window(*each.split()) for each in found), id=text) for text, found in table.items()
    ]


ABSOLUTE = {
    "7 May 2023": ["2023-05-07"], "7th of May, 2023": ["2023-05-07"], "the 7th of May 2023": ["2023-05-07"],
    "May 7, 2023": ["2023-05-07"], "May 7th, 2023": ["2023-05-07"], "may 7, 2023": ["2023-05-07"],
    "May 7,2023": ["2023-05-07"], "Sept. 5, 2023": ["2023-09-05"], "5 dec 2023": ["2023-12-05"],
    "07-Mar-2023": ["2023-03-07"], "7\u00a0May\u00a02023": ["2023-05-07"], "Sunday, 7 May 2023": ["2023-05-07"],
    "2023-05-07": ["2023-05-07"], "at 2023-05-07T10:00 sharp": ["2023-05-07"],
    "at 2023-05-07T10:00:00.5+02:00 sharp": ["2023-05-07"], "2023/05/07": ["2023-05-07"],
    "25/12/2023": ["2023-12-25"], "12/25/2023": ["2023-12-25"], "07/05/2023": ["2023-05-07", "2023-07-05"],
    "05/05/2023": ["2023-05-05"], "May 2023": ["2023-05-01 2023-06-01"], "Sept. 2023": ["2023-09-01 2023-10-01"],
    "march 2023": ["2023-03-01 2023-04-01"], "December of 2023": ["2023-12-01 2024-01-01"],
    "2023": ["2023-01-01 2024-01-01"], "1999": ["1999-01-01 2000-01-01"], "in 1215": ["1215-01-01 1216-01-01"],
    "the 1990s": ["1990-01-01 2000-01-01"], "early 2023": ["2023-01-01 2023-05-03"],
    "early June 2023": ["2023-06-01 2023-06-11"], "mid-June 2023": ["2023-06-11 2023-06-21"],
    "the end of June 2023": ["2023-06-21 2023-07-01"],
    "the first half of September 2022": ["2022-09-01 2022-09-16"],
    "the second week of November 2023": ["2023-11-08 2023-11-15"], "the last Sunday of May 2023": ["2023-05-28"],
    "the summer of 2023": ["2023-06-01 2023-09-01"], "fall 2023": ["2023-09-01 2023-12-01"],
    "winter 2023": ["2022-12-01 2023-03-01", "2023-12-01 2024-03-01"], "Q2 2024": ["2024-04-01 2024-07-01"],
    "the second quarter of 2024": ["2024-04-01 2024-07-01"], "Christmas 2023": ["2023-12-25"],
    "New Year's Eve 2023": ["2023-12-31"], "New Year’s Day 2023": ["2023-01-01"],
    "Halloween 2023": ["2023-10-31"], "Valentine's Day 2023": ["2023-02-14"], "Thanksgiving 2023": ["2023-11-23"],
    "between 3 and 10 May 2023": ["2023-05-03 2023-05-11"], "on 3 and 10 May 2023": ["2023-05-03", "2023-05-10"],
    "May 3-10, 2023": ["2023-05-03 2023-05-11"], "from 3 to 10 May 2023": ["2023-05-03 2023-05-11"],
    "between August 11 and August 15 2023": ["2023-08-11 2023-08-16"],
    "from March to May 2024": ["2024-03-01 2024-06-01"],
    "from November to February 2024": ["2023-11-01 2024-03-01"],
    "from November 2023 to February": ["2023-11-01 2024-03-01"],
    "in May and June 2023": ["2023-05-01 2023-06-01", "2023-06-01 2023-07-01"],
    "2019-2021": ["2019-01-01 2022-01-01"], "the week of 7 June 2023": ["2023-06-05 2023-06-12"],
    "the week before 9 June 2023": ["2023-06-02 2023-06-09"],
    "two weeks before August 11, 2023": ["2023-07-25 2023-08-01"],
    "the Sunday before October 25, 2022": ["2022-10-23"],
    "the weekend before 25 May 2023": ["2023-05-20 2023-05-22"],
    "the weekend after 20 May 2023": ["2023-05-27 2023-05-29"], "the day after 7 May 2023": ["2023-05-08"],
    "3 days after Christmas 2023": ["2023-12-28"], "a few days after 9 June 2023": ["2023-06-10 2023-06-17"],
    "shortly before 9 June 2023": ["2023-06-02 2023-06-09"],
    "the month before June 2023": ["2023-05-01 2023-06-01"],
}  # fmt: skip

RELATIVE = {
    "yesterday": ["2023-05-09"], "last night": ["2023-05-09"], "today": ["2023-05-10"], "tonight": ["2023-05-10"],
    "this morning": ["2023-05-10"], "tomorrow": ["2023-05-11"], "the day before yesterday": ["2023-05-08"],
    "the day after tomorrow": ["2023-05-12"], "the other day": ["2023-05-03 2023-05-10"],
    "3 days ago": ["2023-05-07"], "a few days ago": ["2023-05-07"], "a week ago": ["2023-04-30 2023-05-07"],
    "two weeks ago": ["2023-04-23 2023-04-30"], "a couple of weeks ago": ["2023-04-23 2023-04-30"],
    "several weeks ago": ["2023-03-19 2023-04-23"], "four months ago": ["2023-01-01 2023-02-01"],
    "ten years ago": ["2013-01-01 2014-01-01"], "a few years back": ["2020-01-01 2021-01-01"],
    "two weekends ago": ["2023-04-29 2023-05-01"], "in 3 days": ["2023-05-13"],
    "in two weeks": ["2023-05-21 2023-05-28"], "two months from now": ["2023-07-01 2023-08-01"],
    "last Friday": ["2023-05-05"], "last fri": ["2023-05-05"], "last Wednesday": ["2023-05-03"],
    "this past Monday": ["2023-05-08"], "this Friday": ["2023-05-12"], "this Wednesday": ["2023-05-10"],
    "next Friday": ["2023-05-19"], "last week": ["2023-05-01 2023-05-08"], "this week": ["2023-05-08 2023-05-15"],
    "next week": ["2023-05-15 2023-05-22"], "last weekend": ["2023-05-06 2023-05-08"],
    "over the weekend": ["2023-05-06 2023-05-08"], "this weekend": ["2023-05-13 2023-05-15"],
    "last month": ["2023-04-01 2023-05-01"], "next month": ["2023-06-01 2023-07-01"],
    "last quarter": ["2023-01-01 2023-04-01"], "last year": ["2022-01-01 2023-01-01"],
    "earlier this month": ["2023-05-01 2023-05-11"], "later this month": ["2023-05-10 2023-06-01"],
    "late last year": ["2022-09-01 2023-01-01"], "in the past week": ["2023-05-03 2023-05-11"],
    "over the last 2 weeks": ["2023-04-26 2023-05-11"], "the next few days": ["2023-05-10 2023-05-14"],
    "last summer": ["2022-06-01 2022-09-01"], "this summer": ["2023-06-01 2023-09-01"],
    "last winter": ["2022-12-01 2023-03-01"], "last May": ["2022-05-01 2022-06-01"],
    "last August": ["2022-08-01 2022-09-01"], "this March": ["2023-03-01 2023-04-01"],
    "next June": ["2023-06-01 2023-07-01"], "last Christmas": ["2022-12-25"],
    "June last year": ["2022-06-01 2022-07-01"], "May 7th": ["2023-05-07"], "in May": ["2023-05-01 2023-06-01"],
    "in November": ["2022-11-01 2022-12-01"], "in march": ["2023-03-01 2023-04-01"],
    "in the summer": ["2023-06-01 2023-09-01"], "on Halloween": ["2023-10-31"], "29 February": ["2024-02-29"],
}  # fmt: skip

NO_DATE = [
    "", "no date at all", "may I come in?", "May I ask you a favour?", "It may rain.", "Those 5 may come.",
    "They march on Rome.", "May 2 people come?", "March on!", "What did June say to April?", "Jan and Mark", "prices fall, a spring of water",
    "How did he feel after the fall?", "the Christmas magic", "31 June 2023", "2023-02-30", "13/13/2023", "in '23",
    "1850", "2000 steps and 2000-word essays", "$2023", "2,023", "v2023", "call 555-2023", "3.2023", "on Friday", "recently",
    "my last chat", "long ago", "this sat well with me", "We haven't talked in a few days.", "the fifth Sunday of February 2023",
    "once in a day", "the first quarter was close", "I have 12 months",
]  # fmt: skip


@pytest.mark.parametrize("anchor", [None, NOW], ids=["unanchored", "anchored"])
@pytest.mark.parametrize(("text", "expected"), pairs(ABSOLUTE))
def test_absolute_dates_need_no_anchor(text, expected, anchor):
    assert mentioned(f"We met {text}.", anchor) == expected
    assert asked(f"Did we meet {text}?", anchor, SPAN) == expected


@pytest.mark.parametrize(("text", "expected"), pairs(RELATIVE))
def test_relative_dates_count_from_the_anchor(text, expected):
    assert mentioned(f"We met {text}.", NOW) == expected
    assert mentioned(f"We met {text}.", NOW.replace(tzinfo=None)) == expected
    assert mentioned(f"We met {text}.", None) == ()


@pytest.mark.parametrize("text", NO_DATE)
def test_no_date_is_read_where_none_is_meant(text):
    assert mentioned(text, NOW) == ()


ASKED = {
    "When did we camp in June?": ["2022-06-01 2022-07-01", "2023-06-01 2023-07-01"],
    "What happened on 7 May?": ["2022-05-07", "2023-05-07"],
    "What do we do on Christmas?": ["2022-12-25", "2023-12-25"],
    "What did I do yesterday?": ["2023-05-09"],
    "What did I say on Friday?": ["2023-05-05", "2023-05-12"],
    "What changed since June 2022?": ["2022-06-01 2023-05-10T15:30"],
    "What changed since June?": ["2022-06-01 2023-05-10T15:30"],
    "What changed after 7 May 2023?": ["2023-05-08 2023-05-10T15:30"],
    "What changed since 2030?": ["2030-01-01 3000-01-01"],
    "What was there before 2023?": ["2022-01-05 2023-01-01"],
    "What was there before 2020?": ["1000-01-01 2020-01-01"],
    "What was there until June 2022?": ["2022-01-05 2022-07-01"],
    "How many did he win by July 10, 2022?": ["2022-01-05 2022-07-11"],
    "What went wrong last week, as mentioned on November 6, 2023?": ["2023-10-30 2023-11-06", "2023-11-06"],
    "What was it last weekend before April 10, 2023?": ["2023-04-08 2023-04-10"],
    "What did I say today about 7 May 2023?": ["2023-05-07", "2023-05-10"],
    "Who may march with us?": [],
}  # fmt: skip


@pytest.mark.parametrize(("question", "expected"), pairs(ASKED))
def test_questions(question, expected):
    assert asked(question, NOW, SPAN) == expected


@pytest.mark.parametrize(
    ("question", "now", "span", "expected"),
    [
        pytest.param("in June?", NOW, None, [("2023-06-01", "2023-07-01")], id="the year of now"),
        pytest.param("in June?", None, None, [], id="no year at all"),
        pytest.param("on 29 February?", None, window("2019-01-01", "2025-01-01"), [("2020-02-29", None), ("2024-02-29", None)], id="leap years"),
        pytest.param("yesterday?", None, SPAN, [], id="no now"),
        pytest.param("last June?", None, SPAN, [("2022-06-01", "2022-07-01"), ("2023-06-01", "2023-07-01")], id="last without now"),
        pytest.param("since June 2023?", None, SPAN, [("2023-06-01", "2023-11-05")], id="open to the span"),
        pytest.param("since June 2023?", None, None, [("2023-06-01", "3000-01-01")], id="open to the end"),
        pytest.param("before 2023?", None, None, [("1000-01-01", "2023-01-01")], id="open to the beginning"),
        pytest.param("before or after?", NOW, SPAN, [], id="no date"),
    ],
)  # fmt: skip
def test_questions_without_all_the_context(question, now, span, expected):
    assert asked(question, now, span) == tuple(window(*each) for each in expected)


def test_at_most_so_many_windows():
    text = ", ".join(f"{day} May {year}" for year in range(2000, 2010) for day in range(1, 29))
    assert len(mentioned(text, None)) == 16
    assert len(asked(text, None, None)) == 64
    assert len(asked("in June?", None, window("1200-01-01", "2023-01-01"))) == 64


def test_windows_come_in_order_and_once():
    found = mentioned("9 May 2023, 7 May 2023, 2023-05-07 and yesterday", NOW)
    assert found == (window("2023-05-07"), window("2023-05-09"))


def test_days_begin_at_midnight_in_the_zone_of_the_moment():
    east = timezone(timedelta(hours=9))
    (found,) = mentioned("yesterday", datetime(2023, 5, 10, 1, tzinfo=east))
    assert found == Window(at("2023-05-08T15:00"), at("2023-05-09T15:00"))
    assert mentioned("9 May 2023", datetime(2023, 5, 10, 1, tzinfo=east)) == (found,)
    assert asked("since 9 May 2023", datetime(2023, 5, 10, 1, tzinfo=east), None) == (
        Window(at("2023-05-08T15:00"), at("2023-05-09T16:00")),
    )


@pytest.mark.parametrize(
    "moment", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)], ids=["first", "last"]
)
@pytest.mark.parametrize("text", sorted(RELATIVE))
def test_the_ends_of_the_calendar_name_nothing(text, moment):
    assert mentioned(f"June and {text}", moment) == ()
    asked(f"June and {text}", moment.replace(tzinfo=timezone(timedelta(hours=9))), SPAN)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, True) for text in RELATIVE),
        *((text, True) for text in ["recently", "See you soon", "on Friday", "It was 2019", "2023-05-07", "in May", "Aug 5", "for 3 weeks"]),
        *((text, False) for text in ["", "May I?", "Might does not last", "a few times", "this time", "my next trip", "daylight", "march on"]),
    ],
)  # fmt: skip
def test_has_time_expression(text, expected):
    assert has_time_expression(text) is expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("When did she go?", True), ("when is it", True), ("When Jon has lost his job?", True), ("What date was it?", True),
        ("What year did John start surfing?", True), ("Which week did Tim visit the UK?", True), ("In which month did it rain?", True),
        ("On what date did it happen?", True), ("How long ago was her birthday?", True), ("Do you remember when we met?", True),
        ("So, since when does she paint?", True), ("How many years ago did he move?", True),
        ("What does she do when it rains?", False), ("When John was in Rome, what did he eat?", False), ("Whenever?", False),
        ("How long has she painted?", False), ("What did he do last year?", False), ("Which book does she like?", False), ("", False),
    ],
)  # fmt: skip
def test_asks_when(question, expected):
    assert asks_when(question) is expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the latest plan?", True), ("What did Jo read most recently?", True), ("What is Jo's current job?", True),
        ("Where does she live now?", True), ("What does he do these days?", True), ("Is she at the moment in Rome?", True),
        ("Does she still paint?", True), ("When was the last time they met?", True), ("Who is the newest member?", True),
        ("How many, as of today?", True), ("Does he work there anymore?", True), ("What is the latest news of 2023?", True),
        ("What is Ann Last's job?", False), ("What did we do last June?", False), ("What did she do last?", False),
        ("Do you know her?", False), ("Who painted the still life?", False), ("Was the ocean current strong?", False),
        ("What is he currently playing, on November 7, 2022?", False), ("", False),
    ],
)  # fmt: skip
def test_asks_latest(question, expected):
    assert asks_latest(question) is expected


# ── Properties ──

_WORDS = """
    may May march March June q1 12/12/2023 7 31 2023 1850 3rd the of in on by and to - , . before after since until between week
    weeks weekend month year day days ago last next this past coming Friday fri summer winter Christmas couple few several a
    early late mid first second half end beginning yesterday tomorrow night other not now from back today Thanksgiving
"""
any_text = st.one_of(st.text(), st.lists(st.sampled_from(_WORDS.split()), max_size=25).map(" ".join))
times = st.floats(-1e11, 1e11)
moments = st.one_of(st.none(), st.datetimes(), st.datetimes(timezones=st.just(timezone(timedelta(hours=-7)))))
spans = st.one_of(
    st.none(), st.tuples(st.floats(-1e11, 1e11), st.floats(-1e11, 1e11)).map(lambda ends: Window(*sorted(ends)))
)


@given(any_text, moments, spans)
def test_no_text_raises_and_windows_are_sound(text, moment, span):
    for found, most in ((mentioned(text, moment), 16), (asked(text, moment, span), 64)):
        assert all(each.lo < each.hi for each in found)
        assert list(found) == sorted(set(found))
        assert len(found) <= most
    assert {type(each(text)) for each in (has_time_expression, asks_when, asks_latest)} == {bool}


@given(any_text)
def test_the_gate_lets_every_date_through(text):
    if dates._GATE.search(text.lower()) is None:
        today = NOW.toordinal()
        assert phrases(text, Frame(now=today, base=today, years=(2023,), is_question=True)) == []


STYLES = {
    "d Month y": lambda d: f"{d.day} {month_name[d.month]} {d.year}",
    "dth of Month, y": lambda d: f"{d.day}th of {month_name[d.month]}, {d.year}",
    "Month d, y": lambda d: f"{month_name[d.month]} {d.day}, {d.year}",
    "Month dth y": lambda d: f"{month_name[d.month]} {d.day}th {d.year}",
    "month d, y": lambda d: f"{month_name[d.month].lower()} {d.day}, {d.year}",
    "Mon d, y": lambda d: f"{month_name[d.month][:3]} {d.day}, {d.year}",
    "d Mon. y": lambda d: f"{d.day} {month_name[d.month][:3]}{'' if d.month == 5 else '.'} {d.year}",
    "dd-Mon-y": lambda d: f"{d.day:02}-{month_name[d.month][:3]}-{d.year}",
    "iso": lambda d: d.isoformat(),
    "iso with time": lambda d: f"{d.isoformat()}T23:59:59Z",
    "y/m/d": lambda d: d.isoformat().replace("-", "/"),
    "d/m/y": lambda d: f"{d.day}/{d.month}/{d.year}",
    "m/d/y": lambda d: f"{d.month:02}/{d.day:02}/{d.year}",
}


@pytest.mark.parametrize("style", list(STYLES))
@given(day=st.dates(date(1000, 1, 1), date(2999, 12, 30)))
def test_what_is_written_is_read(style, day):
    found = mentioned(f"It was on {STYLES[style](day)}, I think.", None)
    assert window(day.isoformat()) in found
    assert len(found) == 1 or style in {"d/m/y", "m/d/y"}


_ANCHORS = st.dates(date(1600, 1, 1), date(2400, 1, 1)).map(
    lambda day: datetime(day.year, day.month, day.day, tzinfo=UTC)
)
BY_DAY = [
    text for text in RELATIVE if text.endswith(("yesterday", "tomorrow", "other day", " days", "days ago", "weeks ago"))
]
BY_WEEK = [
    *BY_DAY,
    *(text for text in RELATIVE if text.endswith(("Friday", "Monday", " week", " weekend", "weekends ago"))),
]


@given(st.sampled_from(BY_DAY), _ANCHORS, st.integers(-9999, 9999))
def test_relative_days_move_with_the_anchor(text, anchor, days):
    assert mentioned(text, anchor + timedelta(days=days)) == tuple(
        Window(each.lo + days * DAY, each.hi + days * DAY) for each in mentioned(text, anchor)
    )


@given(st.sampled_from(BY_WEEK), _ANCHORS, st.integers(-999, 999))
def test_relative_weeks_move_with_the_anchor(text, anchor, weeks):
    assert mentioned(text, anchor + timedelta(weeks=weeks)) == tuple(
        Window(each.lo + weeks * 7 * DAY, each.hi + weeks * 7 * DAY) for each in mentioned(text, anchor)
    )


_STEADY = sorted(text for text in RELATIVE if text.startswith(("last", "next", "a ", "two", "ten")))


@given(st.sampled_from(_STEADY), _ANCHORS, st.integers(0, 400), st.integers(0, 86399))
def test_a_later_anchor_never_names_an_earlier_time(text, midnight, days, seconds):
    (here,), (later,) = mentioned(text, midnight), mentioned(text, midnight + timedelta(days=days))
    assert here.lo <= later.lo
    assert mentioned(text, midnight + timedelta(seconds=seconds)) == (here,)  # the hour of the anchor does not matter
    if text.startswith("last"):
        assert here.hi <= midnight.timestamp()
