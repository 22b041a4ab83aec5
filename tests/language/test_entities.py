"""Names in texts and questions: what counts as one, how it is packed, and that no text is too strange or too long."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.language import entities
from remanence.language.entities import ABOUT, Mention, mentions, name_hash, pack_mentions, spans
from remanence.language.tokens import unpack_terms
from remanence.language.topics import normalised


def names(text, title=None):
    return {mention.name: mention.times for mention in mentions(text, title)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("She met Ada Lovelace there.", {"ada lovelace"}),
        ("ludwig van Beethoven or Ludwig van Beethoven", {"beethoven", "ludwig van beethoven"}),
        ("the University of Oxford, they say", {"university of oxford"}),
        ("all of the University of the Arts", {"university of the arts"}),
        ("Zoë's brother met José Pérez", {"zoe", "jose perez"}),
        ("it was Ada’s, but O'Neill's too", {"ada", "o neill"}),
        ("in the 1. FC Köln squad", {"fc koln"}),
        ("he bought 3 Apples", {"3 apples"}),
        ("a quiet day with nothing in it", set()),
        ("J. R. R. Tolkien wrote", {"tolkien"}),
        ("Apollo 11 landed", {"apollo 11"}),
        ("Smith & Wesson", {"smith wesson"}),
        ("", set()),
        ("   \n\t ", set()),
    ],
)
def test_capitalised_names(text, expected):
    assert names(text).keys() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Austin, Texas is large", {"austin", "texas", "austin texas"}),
        ("in Santa Maria in Vallicella today", {"santa maria", "vallicella", "santa maria in vallicella"}),
        ("Ann and Bob", {"ann", "bob", "ann and bob"}),
        ("War of the Worlds, Part Two", {"war of the worlds", "part two", "war of the worlds part two"}),
        ("Ann likes Bob", {"ann", "bob"}),
        ("She saw St. Louis. Paris was far.", {"st", "louis", "paris"}),
    ],
)
def test_names_with_little_between_them_count_joined_too(text, expected):
    assert names(text).keys() == expected


@pytest.mark.parametrize(
    "text",
    ["However, it rained.", "The rain fell.", "Hey! Thanks, that looks good.", "Yesterday it rained. Maybe tomorrow.", "He said: However."],
)  # fmt: skip
def test_words_that_open_sentences_name_nothing(text):
    assert names(text) == {}


def test_an_opening_word_is_cut_from_the_name_after_it():
    assert names("The Who played. Dear Ann, hello.").keys() == {"dear ann"}
    assert names("Yesterday Ann Lee came").keys() == {"ann lee"}
    assert names("However Ann came").keys() == {"ann"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on 5 June 2023 it was", {"5 june 2023"}),
        ("on June 5, 2023 it was", {"june 5 2023", "june 5"}),
        ("on the 5th of June it was", {"5th of june", "june"}),
        ("in June 2023 it was", {"june 2023"}),
        ("since 1984 it was", {"1984"}),
        ("the 987 and the 21000", set()),
    ],
)
def test_dates(text, expected):
    found = names(text).keys()
    assert expected <= found
    assert bool(found) == bool(expected)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ('she read "Gone with a wind" then', "gone with a wind"),
        ("she read “Gone with a wind” then", "gone with a wind"),
        ("she read ‘Gone with a wind’ then", "gone with a wind"),
        ("she read ``Gone with a wind'' then", "gone with a wind"),
        ("she read `` Gone with a wind '' then", "gone with a wind"),
        ("彼は「雪国」を読んだ", "雪国"),
        ("彼は『雪国』を読んだ", "雪国"),
        ("他讀《紅樓夢》了", "紅樓夢"),
    ],
)
def test_quoted_titles(text, title):
    assert title in names(text)


@pytest.mark.parametrize("text", ['"gone"', '"Gone\nand off"', '"' + "A" + "b" * 70 + '"', "「」", '""', '"'])
def test_what_is_no_quoted_title(text):
    quoted = {normalised(one) for one in re.findall(r'"([^"]*)"', text)}
    found = {normalised(one.group()) for one in entities._QUOTED.finditer(text)}
    assert not quoted & found


def test_a_title_is_what_the_text_is_about_in_all_its_forms():
    found = mentions("It is red. It is by Ann.", "Rome (film, 2018)")
    assert found[:2] == [Mention("rome film 2018", 1, False), Mention("rome", 1, True)]
    assert {one.name for one in found} == {"rome film 2018", "rome", "ann"}
    assert {one.name for one in mentions("", "Austin, Texas")} == {"austin texas", "austin"}


def test_exactly_one_name_is_what_a_text_is_about():
    for title in ["Rome", "Rome (city)", "Austin, Texas (song)", "A, B, C (d) (e)", "(only brackets)"]:
        assert sum(one.about for one in mentions("Rome and Ann", title)) == 1, title
    assert not any(one.about for one in mentions("Rome and Ann"))
    assert mentions("", "!?") == []


def test_mentions_are_counted_and_come_in_the_order_of_the_text():
    found = mentions("Dear Ann saw Bob. It was Bob, and Carl saw Bob.", "Zed")
    assert [one.name for one in found] == ["zed", "dear ann", "bob", "carl", "bob and carl"]
    assert names("it was Bob; it was Bob; it was Ann") == {"bob": 2, "ann": 1}


def test_a_name_of_one_letter_or_of_thirteen_words_is_none():
    assert names("then I met A") == {}
    long = " ".join(f"Name{chr(97 + one)}" for one in range(13))
    assert names(f"it is {long}") == {}
    assert len(names(f"it is {long.rsplit(' ', 1)[0]}")) == 1


def test_ten_thousand_names_are_cut_to_512_and_the_title_stays():
    text = ". ".join(f"it was Name{one}x" for one in range(10_000))
    found = mentions(text, "The Title")
    assert len(found) == 512
    assert found[0] == Mention("the title", 1, True)
    assert found[-1].name == "name510x"
    assert len(pack_mentions(found)) <= 512 * 5


def test_the_same_name_ten_thousand_times_is_one():
    assert mentions("it was Ann. " * 10_000) == [Mention("ann", 10_000, False)]
    (mark,) = unpack_terms(pack_mentions(mentions("it was Ann. " * 10_000))).values()
    assert mark == 63


@given(
    st.lists(
        st.builds(Mention, st.text(max_size=9), st.integers(1, 300), st.booleans()), unique_by=lambda one: one.name
    )
)
def test_packed_mentions_unpack_to_what_they_were(some):
    expected = {name_hash(one.name): min(one.times, 63) | (ABOUT if one.about else 0) for one in some}
    packed = pack_mentions(some)
    assert len(packed) == 5 * len(expected)
    found = unpack_terms(packed)
    assert list(found) == sorted(found)
    assert found == expected
    assert all(mark & 0x40 == 0 for mark in found.values()), "the graph's bit stays free"


def test_a_repeated_mention_keeps_the_bit_that_says_about():
    packed = pack_mentions([Mention("rome", 2, True), Mention("rome", 1, False)])
    assert unpack_terms(packed) == {name_hash("rome"): ABOUT | 3}


PIECES = ["Ann", "of", "the", "’s", "'", "``", "''", '"', "「", "」", "June", "5", "2023", ",", ".", "(", ")", "-", "\n", " ", "é", "Ǆ", "ß", "İ", "\u0301", "\U0001f600", "\x00", "\ud800", "１", "²", "Ⅷ"]  # fmt: skip
strange = st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text()


@given(strange, st.none() | strange)
def test_any_text_has_names_that_are_normalised_and_can_be_packed(text, title):
    text, title = (one and one.encode("utf-8", "ignore").decode() for one in (text, title))  # as `add` lets them in
    found = mentions(text, title)
    assert all(one.name == normalised(one.name) and one.name and one.times for one in found)
    assert len({one.name for one in found}) == len(found) <= 512
    assert len(unpack_terms(pack_mentions(found))) == len({name_hash(one.name) for one in found})
    for at, length, name in spans(text):
        assert name == " ".join(normalised(text).split()[at : at + length])


def test_spans_are_all_stretches_longest_first():
    assert spans("Is Ann's Tea cold?") == [
        (0, 4, "is ann tea cold"), (0, 3, "is ann tea"), (0, 2, "is ann"), (0, 1, "is"),
        (1, 3, "ann tea cold"), (1, 2, "ann tea"), (1, 1, "ann"), (2, 2, "tea cold"), (2, 1, "tea"), (3, 1, "cold"),
    ]  # fmt: skip
    assert max(length for _, length, _ in spans("word " * 30)) == 12
    assert spans("?") == []


def steps(text):
    """How many lines of Python the rules run over a text, and how many characters they give out."""
    lines = 0

    def trace(frame, event, _):
        nonlocal lines
        if frame.f_code.co_filename != entities.__file__:
            return None
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        given_out = sum(len(one) for one in entities.surfaces(text))
    finally:
        sys.settrace(before)
    return lines + given_out


@pytest.mark.parametrize(
    "piece",
    ["Ann and Bob, ", "Ann, ", "Name ", "Name of the ", "Name of ", "of ", '"Aa ', "`` A", "「", "5 June 2023 ", "January ", "A.", "N-", "' ", "12 "],
)  # fmt: skip
def test_work_grows_with_the_text_and_not_with_its_square(piece):
    once, four_times = steps(piece * 500), steps(piece * 2000)
    assert four_times <= 4.2 * once + 200


def test_ten_megabytes_are_no_more_than_long():
    """What would take the square of this would not end within hours."""
    text = ("Ann of the " * 8 + '"Aa ' + "」「 `` " + "n" * 400 + " January, " + "(" * 90 + "x. ") * 17_000
    assert len(text) > 10_000_000
    assert len(mentions(text, "(" * 500)) < 512
