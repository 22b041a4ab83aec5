"""Passages: within the limit, never empty, never across sections, nothing lost; and how text formats become them."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.errors import InputError, UnreadableFileError
from remanence.settings import Settings
from remanence.write.files import read_file
from remanence.write.segment import LONGEST_HEADING, Outline, Passage, segment

LIMITS = st.integers(1, 60)
# No heading can be made from these: what is left is every other rule, with lists, fences, quotes and odd spaces.
BODY = st.text(st.sampled_from("ab.!? \n\t-*`|\"'1)。\u00a0\u2028é"), max_size=300)
WORD = st.text(st.sampled_from("abcdefghij"), min_size=1, max_size=12)
PARAGRAPH = st.lists(WORD, min_size=1, max_size=8).map(" ".join)


def solid(text: str) -> str:
    return "".join(text.split())


def texts(text: str, limit: int = 1200) -> list[str]:
    return [passage.text for passage in segment(text, limit=limit)]


# --- properties -------------------------------------------------------------------------------------------------------


@given(BODY.filter(lambda text: "---" not in text), LIMITS)
def test_without_headings_every_character_is_in_one_passage_and_in_order(text, limit):
    assert solid("".join(texts(text, limit))) == solid(text)


@given(st.text(max_size=200), LIMITS)
def test_any_text_gives_passages_within_the_limit_and_never_blank(text, limit):
    for passage in texts(text, limit):
        assert 0 < len(passage) <= limit
        assert passage.strip()


@given(st.lists(st.tuples(st.integers(0, 6), PARAGRAPH), max_size=12), LIMITS)
def test_headings_stand_over_what_is_below_them_and_are_text_where_nothing_is(blocks, limit):
    """The naive twin: a heading has something below it when the next block is text or a deeper heading that has."""
    source = "\n\n".join(f"{'#' * level} {body}" if level else body for level, body in blocks)
    expected: list[tuple[str, str]] = []  # the path, and the body without its spaces
    open_: list[tuple[int, str]] = []
    for at, (level, body) in enumerate(blocks):
        if not level:
            expected.append((" > ".join(title for _, title in open_), solid(body)))
            continue
        open_ = [entry for entry in open_ if entry[0] < level]
        below = next((kind for kind, _ in blocks[at + 1 :] if not kind or kind <= level), 1)
        if below == 0 or any(kind > level for kind, _ in blocks[at + 1 : at + 2]):
            open_.append((level, body))
        else:
            expected.append((" > ".join(title for _, title in open_), solid(body)))
    found = segment(source, limit=limit)
    assert solid("".join(passage.text for passage in found)) == "".join(body for _, body in expected)
    assert [path for path, _ in grouped(found)] == [path for path, _ in runs(expected)]


def grouped(passages: list[Passage]) -> list[tuple[str, str]]:
    return runs([(passage.heading, passage.text) for passage in passages])


def runs(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Neighbours under the same path, joined."""
    joined: list[tuple[str, str]] = []
    for path, body in pairs:
        if joined and joined[-1][0] == path:
            joined[-1] = (path, joined[-1][1] + solid(body))
        else:
            joined.append((path, solid(body)))
    return joined


# --- structure --------------------------------------------------------------------------------------------------------


def test_the_heading_path_goes_down_and_comes_back_up():
    source = "intro\n# A\none\n## B ##\ntwo\n### C\nthree\n## D\nfour\n# E\nfive"
    assert segment(source) == [
        Passage("intro", ""),
        Passage("one", "A"),
        Passage("two", "A > B"),
        Passage("three", "A > B > C"),
        Passage("four", "A > D"),
        Passage("five", "E"),
    ]


def test_sections_of_the_same_name_stay_apart():
    assert segment("# A\none\n# A\ntwo") == [Passage("one", "A"), Passage("two", "A")]


def test_a_heading_over_nothing_is_kept_as_text_of_the_section_around_it():
    assert segment("# A\none\n## Empty\n## B\ntwo\n# Last") == [
        Passage("one\n\nEmpty", "A"),
        Passage("two", "A > B"),
        Passage("Last", ""),
    ]


def test_underlined_headings_are_read_by_their_marks():
    assert segment("Top\n===\none\n\nBelow\n---\ntwo") == [Passage("one", "Top"), Passage("two", "Top > Below")]


@pytest.mark.parametrize(
    "text", ["#tag is no heading", "- item\n---", "| a | b |\n---", "# ##", "a\nb\n---", "---\n---"]
)
def test_what_only_looks_like_a_heading_is_text(text):
    assert solid("".join(texts(text))) == solid(text)


def test_an_endless_heading_is_a_paragraph():
    long = "# " + "x" * LONGEST_HEADING
    assert segment(long + "\nbody") == [Passage(f"{long}\nbody", "")]


def test_hashes_in_code_are_no_headings():
    source = "# A\n```sh\n# install\n\npip install x\n```\nafter"
    assert segment(source) == [Passage("```sh\n# install\n\npip install x\n```\n\nafter", "A")]


def test_code_inside_a_list_item_does_not_end_the_list():
    source = "- first\n\n  ```\n# no heading\n  ```\n\n- second"
    assert texts(source) == [source]


# --- packing ----------------------------------------------------------------------------------------------------------


def test_paragraphs_are_packed_up_to_the_limit():
    assert texts("aaaa\n\nbbbb\n\ncccc", 10) == ["aaaa\n\nbbbb", "cccc"]


def test_lists_and_code_stay_whole_when_they_fit():
    listed = "- one\n- two\n\n- three"
    assert texts(f"Words.\n\n{listed}", 22) == ["Words.", listed]
    code = "```\na = 1\n\nb = 2\n```"
    assert texts(f"Some words here.\n\n{code}", 25) == ["Some words here.", code]


def test_a_long_list_breaks_between_items_and_keeps_their_indent():
    assert texts("- one. two\n  - three\n- four", 22) == ["- one. two\n  - three", "- four"]


def test_long_paragraphs_break_at_sentence_ends():
    text = 'Dr. Ada came at 3.30 p.m. today. "Was it late?" Nobody knew.'
    assert texts(text, 36) == ["Dr. Ada came at 3.30 p.m. today.", '"Was it late?" Nobody knew.']


def test_a_title_before_a_name_ends_no_sentence():
    assert texts("It rained. Dr. Ada came.", 16) == ["It rained.", "Dr. Ada came."]


def test_sentences_without_spaces_between_them_break_too():
    assert texts("今天天气很好。我们去公园。", 7) == ["今天天气很好。", "我们去公园。"]


def test_long_sentences_break_at_words_and_long_words_anywhere():
    assert texts("one two three four", 9) == ["one two", "three", "four"]
    assert texts("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]


def test_the_default_limit_makes_full_passages():
    found = texts("A sentence of words. " * 400)
    assert all(800 <= len(text) <= 1200 for text in found[:-1])


def test_a_blank_text_has_no_passages():
    assert segment(" \n\t\r\n") == []


def test_a_limit_below_one_is_refused():
    with pytest.raises(InputError, match="limit is 0"):
        segment("text", limit=0)


def test_the_title_is_the_first_heading_of_the_highest_rank():
    outline = Outline()
    for level, title in ((3, "Menu"), (1, "Report"), (1, "Annex")):
        outline.open(level, title)
    assert outline.title == "Report"
    assert Outline().title == ""


@pytest.mark.parametrize(
    "unit", ["\n", " ", "x", ". ", "# ", "#", "- a\n\n", "```\n", "| ", "Hi. ", "  \n", ".)))", "# a\n", "a\n---\n"]
)
def test_no_text_takes_more_than_linear_time(unit):
    """Quadratic at this size would be minutes."""
    text = unit * (200_000 // len(unit))
    start = time.perf_counter()
    segment(text)
    assert time.perf_counter() - start < 5


# --- Markdown files ---------------------------------------------------------------------------------------------------


def read(path: Path, text: str) -> list[dict[str, Any]]:
    path.write_bytes(text.encode())
    return read_file(path, root=path, settings=Settings()).messages


def contents(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(message["meta"].get("heading", ""), message["content"]) for message in messages]


def test_markdown_comes_in_parts_under_its_headings(tmp_path):
    messages = read(tmp_path / "a.md", "# Rome\nWe went.\n\n## Food\nGood.\n")
    assert contents(messages) == [("Rome", "We went."), ("Rome > Food", "Good.")]
    assert [(message["meta"]["part"], message["meta"]["parts"]) for message in messages] == [(1, 2), (2, 2)]
    assert {message["title"] for message in messages} == {"Rome"}


def test_front_matter_describes_the_document(tmp_path):
    front = (
        '---\r\ntitle: "The trip"\r\ndate: 2024-05-01\r\ntags:\r\n  - italy\r\n  - food\r\n---\r\n# Rome\r\nWe went.'
    )
    assert read(tmp_path / "a.md", front) == [
        {
            "role": "document",
            "title": "The trip",
            "time": "2024-05-01T00:00:00",
            "content": "We went.",
            "meta": {
                "date": "2024-05-01",
                "tags": "italy, food",
                "file": "a.md",
                "part": 1,
                "parts": 1,
                "heading": "Rome",
            },
        }
    ]


@pytest.mark.parametrize("text", ["---\nnot a key\n---\nbody", "---\na: 1\nbody", "---\n---\nbody"])
def test_what_is_no_front_matter_stays_text(tmp_path, text):
    assert "".join("".join(message["content"] for message in read(tmp_path / "a.md", text)).split()) == "".join(
        text.split()
    )


# --- HTML -------------------------------------------------------------------------------------------------------------

PAGE = """<!doctype html><html><head><title>Site &amp; more</title><style>p {}</style><script>var x = "<p>no</p>";</script></head>
<body><nav><ul><li>Menu</li></ul></nav><p>Before&nbsp;all.</p><h1>Big <em>news</em></h1><p>First
   line<br>second &lt;line&gt;</p><div>Block one<div>Block two</div></div>
<h2>Data</h2><table><tr><th>Name</th><th>Age</th></tr><tr><td><p>Ada</p></td><td>36<br>years</td></tr></table>
<ul><li>one<ul><li>inner</li></ul>after</li><li><p>two</p></li></ul>
<pre># not a heading
  x = 1</pre></body></html>"""


def test_html_keeps_its_structure_and_drops_what_is_not_read(tmp_path):
    messages = read(tmp_path / "a.html", PAGE)
    assert {message["title"] for message in messages} == {"Big news"}
    assert contents(messages) == [
        ("", "Before all."),
        ("Big news", "First line\nsecond <line>\n\nBlock one\n\nBlock two"),
        (
            "Big news > Data",
            "Name | Age\nAda | 36 years\n\n- one\n  - inner\n  after\n- two\n\n# not a heading\n  x = 1",
        ),
    ]


def test_html_without_headings_is_named_by_its_title(tmp_path):
    [message] = read(tmp_path / "a.htm", "<title>The\n page</title><p>Hi.")
    assert (message["title"], message["content"]) == ("The page", "Hi.")


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<nav>menu<main>body</main>", "body"),
        ("<title>open<p>body", "body"),
        ("<h1>never closed<p>body", "never closed body"),
        ("</ul></table></li>body</p>", "body"),
        ("<svg/><p>body", "body"),
        ("<nav><nav>a</nav>b</nav>body", "body"),
        ("<table><tr><td><ul><li>a<li>b</ul></td><td>c", "a b | c"),
        ("a &#0; &bogus; &#xd800; < b", "a \ufffd &bogus; \ufffd < b"),
    ],
)
def test_html_that_is_not_well_formed(tmp_path, page, expected):
    assert [message["content"] for message in read(tmp_path / "a.html", page)] == [expected]


def test_html_that_cannot_be_parsed_is_refused_or_read(tmp_path):
    """Newer parsers read on where older ones give up."""
    with suppress(UnreadableFileError):
        assert read(tmp_path / "a.html", "<p>body</p><![bogus stuff]>")[0]["content"].startswith("body")
