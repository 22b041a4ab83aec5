"""Words as BM25 sees them: forms that meet, what is dropped, and hashes that go into bytes and back."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.language import irregular
from remanence.language.tokens import STOP_WORDS, hashes, pack_terms, stems, term_hash, unpack_terms

GROUPS = [group.split() for line in irregular._FORMS.split("\n") for group in line.split("|") if group.strip()]
TERMS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group[0])
def test_all_forms_of_a_word_meet_in_one_stem(group):
    assert len({tuple(stems(form)) for form in group if form not in STOP_WORDS}) <= 1
    assert all(stems(form) for form in group if form not in STOP_WORDS)


def test_no_form_belongs_to_two_words():
    forms = Counter(form for group in GROUPS for form in group)
    assert [form for form, times in forms.items() if times > 1] == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("He went home.", "going home"), ("the children's photos", "a child's picture"), ("She bought mice", "buying a mouse"),
        ("running quickly", "RUN quick"), ("best films", "good movies"), ("São Paulo", "sao paulo"), ("Café", "cafe"),
        ("naïve", "naive"), ("ﬁre", "fire"), ("Ｈｅｌｌｏ", "hello"),
        pytest.param("𝗕𝗼𝗹𝗱 text", "bold text"),
    ],
)  # fmt: skip
def test_what_means_the_same_has_the_same_stems(one, other):
    assert stems(one) == stems(other)
    assert stems(one)


@pytest.mark.parametrize(("one", "other"), [("lead", "led zeppelin"), ("mean", "man"), ("bear", "bore hole")])
def test_what_differs_stays_apart(one, other):
    assert stems(one) != stems(other)


def test_stop_words_and_marks_are_dropped_and_the_order_stays():
    assert stems("What is the quick, brown fox's name_2 in the box?") == ["quick", "brown", "fox", "name", "2", "box"]
    assert stems("the of AND what's") == []
    assert stems("") == stems("… !?") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Где Москва?", 2),
        ("東京", 2),
        ("東京 tower", 3),
        ("ひらがな", 4),
        ("한국어 단어", 2),
        ("naïve Łódź", 2),
        ("x² №5", 2),
        ("😀", 0),
    ],
)
def test_every_script_has_words(text, words):
    assert len(stems(text)) == words


@given(st.text(max_size=60))
def test_any_text_can_be_stemmed_and_case_does_not_matter_in_latin(text):
    assert len(hashes(text)) == len(stems(text))
    if text.isascii():
        assert stems(text.upper()) == stems(text)


def test_hashes_are_those_of_the_stems_in_order_with_repetitions():
    assert hashes("red red fox") == [term_hash("red"), term_hash("red"), term_hash("fox")]
    assert term_hash("123456789") == 0xCBF43926, "CRC-32, in every release: it is what files hold"


@given(st.lists(TERMS, max_size=30))
def test_packing_keeps_every_term_and_its_count(terms):
    packed = pack_terms(terms)
    assert unpack_terms(packed) == Counter(terms)
    assert len(packed) == 5 * len(set(terms))
    assert list(unpack_terms(packed)) == sorted(set(terms))


@given(st.dictionaries(TERMS, st.integers(1, 700), max_size=6))
def test_counts_stop_at_what_a_byte_holds(counts):
    packed = pack_terms(Counter(counts).elements())
    assert unpack_terms(packed) == {term: min(count, 255) for term, count in counts.items()}


def test_packed_bytes_are_as_documented():
    assert pack_terms([0x01020304, 7, 0x01020304]) == b"\x07\0\0\0\x01" + b"\x04\x03\x02\x01\x02"
    assert pack_terms([]) == b""


def test_many_threads_stem_as_one_does():
    texts = [f"running {number} children bought houses and {'quickly ' * (number % 5)}" for number in range(400)]
    expected = [stems(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert list(pool.map(stems, texts)) == expected
