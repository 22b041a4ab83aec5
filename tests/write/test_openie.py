"""Cached extractions: what is found, what is missing, and what a damaged file says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.cubes import Extraction, Fact, Kind
from remanence.errors import InputError, InputTooLargeError, UnreadableFileError
from remanence.write.extract import Extractor
from remanence.write.grounding import is_pronoun, normal
from remanence.write.openie import CachedExtractor, Passage, write_extractions

DATA = Path(os.environ.get("REMANENCE_DATA", Path(__file__).parents[3] / "shared" / "data"))
MILL = {
    "title": "Harbour Mill", "text": "It was built in 1874.", "passage": "Harbour Mill\nIt was built in 1874.",
    "extracted_entities": ["Harbour Mill", "1874"], "extracted_triples": [["Harbour Mill", "was built in", "1874"]],
}  # fmt: skip
FOUND = Extraction(("Harbour Mill", "1874"), (Fact("Harbour Mill", "was built in", "1874"),))


@pytest.fixture
def openie(tmp_path):
    def write(document) -> Path:
        path = tmp_path / "openie.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
        return path

    return write


@pytest.fixture
def document(cube):
    def make(text: str, about: str | None = None):
        return cube(text, about=about, author=None, role="document", kind=Kind.DOCUMENT)

    return make


@pytest.mark.parametrize(
    "doc",
    [MILL, {key: value for key, value in MILL.items() if key not in ("title", "text")}],
    ids=["title and text", "passage only"],
)
@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("It was built in 1874.", "Harbour Mill"),
        ("It was built in 1874.", None),
        ("It was built in 1874.", "another title"),
        ("Harbour Mill\nIt was built in 1874.", None),
        ("  It was\nbuilt  in 1874.\r\n", " Harbour  Mill "),
    ],
)
def test_a_passage_is_found_with_and_without_its_title_and_with_other_white_space(openie, document, doc, text, about):
    extractor = CachedExtractor.from_openie(openie({"docs": [doc]}))
    assert isinstance(extractor, Extractor)
    extracted = extractor.extract([document(text, about)])
    assert (extracted.extractions, extracted.missing, extracted.cost.calls) == ((FOUND,), frozenset(), 0)


def test_what_is_not_there_is_empty_and_counts_as_missing(openie, document):
    extractor = CachedExtractor.from_openie(openie({"docs": [MILL]}))
    extracted = extractor.extract([document("It was built in 1875."), document(MILL["text"]), document("")])
    assert extracted.extractions == (Extraction(), FOUND, Extraction())
    assert extracted.missing == {0, 2}
    assert not extracted.failures


def test_the_title_tells_equal_texts_apart_and_the_first_counts_without_one(document):
    one, two = Extraction(("one",)), Extraction(("two",))
    extractor = CachedExtractor([Passage("Same.", "A", one), Passage("Same.", "B", two), Passage("Same.", "A", two)])
    found = extractor.extract(
        [document("Same.", "A"), document("Same.", "B"), document("Same."), document("Same.", "C")]
    )
    assert found.extractions == (one, two, one, one)


def test_malformed_items_are_skipped_and_counted(openie, document):
    triples = [
        ["a", "b"],
        ["a", "b", "c", "d"],
        ["a", 1, "c"],
        "abc",
        None,
        ["", "b", "c"],
        ["x", "is", "1" * 201],
        ["a", "b", "c"],
        ["a", "b", "c"],
    ]
    doc = MILL | {
        "extracted_triples": triples,
        "extracted_entities": ["Mill", 7, "", None, "M" * 201, "Mill", "$", "she"],
    }
    extractor = CachedExtractor.from_openie(openie({"docs": [doc]}))
    assert extractor.skipped == 7 + 6
    [found] = extractor.extract([document(MILL["text"])]).extractions
    assert found == Extraction(("Mill",), (Fact("a", "b", "c"),))  # fmt: skip


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("", "column 1"),
        ('{"docs": [\n{"passage" "a"}]}', "line 2, column 12"),
        ("[" * 100_000, "nested too deeply"),
        ('{"docs": ' + "1" * 5000 + "}", "number that is too long"),
        ("[]", "no list of docs"),
        ("{}", "no list of docs"),
        ('{"docs": {}}', "no list of docs"),
        ('{"docs": [{"passage": "a"}, []]}', r"docs\[1\] is of type list"),
        ('{"docs": [{"passage": 5}]}', r"docs\[0\]: passage is not a text"),
        ('{"docs": [{"passage": "\\ud800"}]}', r"docs\[0\]: passage is not a text"),
        ('{"docs": [{"title": "a", "passage": " "}]}', r"docs\[0\] has no text"),
        ('{"docs": [{"passage": "a", "extracted_triples": "b"}]}', r"docs\[0\]: extracted_triples is of type str"),
        ('{"docs": [{"passage": "a", "extracted_entities": {}}]}', r"docs\[0\]: extracted_entities is of type dict"),
    ],
)
def test_a_damaged_file_says_where(openie, content, place):
    path = openie(content)
    with pytest.raises(UnreadableFileError, match=place) as error:
        CachedExtractor.from_openie(path)
    assert str(path) in error.value.what
    assert error.value.next_step


def test_files_that_are_not_there_not_text_or_too_large(tmp_path, openie):
    with pytest.raises(UnreadableFileError, match="cannot be opened"):
        CachedExtractor.from_openie(tmp_path / "none.json")
    with pytest.raises(UnreadableFileError, match="cannot be opened"):
        CachedExtractor.from_lines(tmp_path)
    with pytest.raises(InputTooLargeError, match="100 bytes"):
        CachedExtractor.from_openie(openie({"docs": [MILL]}), max_bytes=100)
    (tmp_path / "binary.json").write_bytes(b"\xff\x00\xfa")
    with pytest.raises(UnreadableFileError, match="not UTF-8"):
        CachedExtractor.from_openie(tmp_path / "binary.json")


# --- our own format ---------------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(categories=["L", "N"]), min_size=2, max_size=20).filter(
    lambda name: normal(name) and not is_pronoun(name)
)
EXTRACTIONS = st.builds(
    Extraction,
    st.lists(NAMES, unique=True, max_size=4).map(tuple),
    st.lists(st.builds(Fact, NAMES, NAMES, NAMES), unique=True, max_size=4).map(tuple),
    st.lists(NAMES, unique=True, max_size=4).map(tuple),
    st.none() | NAMES,
)


@given(st.lists(EXTRACTIONS, max_size=5))
def test_what_is_written_is_read_again(tmp_path_factory, cube, extractions):
    path = tmp_path_factory.mktemp("lines") / "found.jsonl"
    cubes = [cube(f"Text\u2028{number}", about=f"T{number}") for number in range(len(extractions))]
    assert write_extractions(path, cubes, extractions) == len(extractions)
    read = CachedExtractor.from_lines(path)
    assert read.skipped == sum(one != found for one, found in zip(read.extract(cubes).extractions, extractions, strict=True)) == 0  # fmt: skip
    assert read.extract(cubes).missing == frozenset()


def test_writing_leaves_out_what_failed_and_replaces_no_file(tmp_path, cube):
    path, cubes = tmp_path / "found.jsonl", [cube("a"), cube("b")]
    assert write_extractions(path, cubes, [None, FOUND]) == 1
    assert json.loads(path.read_text("utf-8"))["text"] == "b"
    with pytest.raises(InputError, match="exists"):
        write_extractions(path, cubes, [None, FOUND])
    with pytest.raises(InputError, match="2 cubes and 1 extractions"):
        write_extractions(tmp_path / "x", cubes, [FOUND])
    with pytest.raises(InputError, match="does not exist"):
        write_extractions(tmp_path / "no" / "x", cubes, [FOUND, FOUND])
    assert [file.name for file in tmp_path.iterdir()] == ["found.jsonl"]


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("{", "line 3 is not valid JSON: .*column 2"),
        ("[1]", "line 3 is of type list"),
        ('{"entities": []}', "line 3 has no text"),
        ('{"text": "a", "facts": []}', "line 3 has unknown fields: facts"),
        ('{"text": "a", "statements": "b"}', "line 3: statements is of type str"),
        ('{"text": "a", "title": 4}', "line 3: title is not a text"),
    ],
)
def test_a_damaged_line_is_named(tmp_path, line, place):
    path = tmp_path / "lines.jsonl"
    path.write_text('{"text": "a"}\n\n' + line + "\n", encoding="utf-8")
    with pytest.raises(UnreadableFileError, match=place):
        CachedExtractor.from_lines(path)


def test_statements_can_be_given_without_a_file(cube):
    extractor = CachedExtractor.from_statements({"Hi, I moved to Porto.": ["Ana moved to Porto.", "", "x" * 301]})
    found = extractor.extract([cube("Hi, I moved to Porto.")])
    assert found.extractions == (Extraction(statements=("Ana moved to Porto.",)),)
    assert extractor.skipped == 2


def test_the_name_changes_with_what_is_served(openie):
    one = CachedExtractor.from_openie(openie({"docs": [MILL]})).name
    assert CachedExtractor.from_openie(openie({"docs": [MILL], "current_cost": 5})).name == one
    assert CachedExtractor.from_openie(openie({"docs": [MILL | {"extracted_triples": []}]})).name != one
    assert one.startswith("cached/")


def test_the_real_file_serves_every_passage_of_its_corpus(document):
    folder = DATA / "multihop-dev"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here (set REMANENCE_DATA)")
    extractor = CachedExtractor.from_openie(folder / "openie.json")
    assert (
        extractor.skipped == 188
    )  # 115 triples of more than three parts, 70 of fewer, and three without words or too long
    corpus = json.loads((folder / "corpus.json").read_bytes())
    extracted = extractor.extract([document(one["text"], one["title"] or None) for one in corpus])
    assert extracted.missing == frozenset()
    assert sum(len(one.facts) for one in extracted.extractions) == 17_202
    assert sum(len(one.entities) for one in extracted.extractions) == 17_657
