"""Tokenizers give texts back, cut prompts and answers alike apart and joined, and come out the same each time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from remanence.errors import InputError
from remanence.models.local import chats, tokenizing
from remanence.models.local.fingerprint import tokenizer_of

TEXTS = ["Ana lives in Porto. Ana's kiln fires at 1240 degrees.\nBert lives in Lisbon; Bert's dog barks."] * 2
BYTES = tokenizing.byte_tokenizer()
PAIRS = tokenizing.bpe_tokenizer(TEXTS, 300)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.lists(
    st.sampled_from([*tokenizing.SPECIAL, " ", "a", "é", "\n", "<|"]), max_size=8
).map("".join)


@settings(max_examples=150)
@given(text=ANY_TEXT)
def test_bytes_and_pairs_give_any_text_back(text):
    for tokenizer in (BYTES, PAIRS):
        ids = chats.encode(tokenizer, text)
        assert chats.decode(tokenizer, ids) == text
        assert not {tokenizing.PAD, tokenizing.BOS, tokenizing.EOS} & set(ids)
    assert len(chats.encode(BYTES, text)) == len(text.encode())


@settings(max_examples=60)
@given(first=ANY_TEXT, second=ANY_TEXT)
def test_bytes_have_no_borders(first, second):
    assert chats.encode(BYTES, first) + chats.encode(BYTES, second) == chats.encode(BYTES, first + second)


def test_words_carry_the_blank_before_them():
    words = tokenizing.word_tokenizer([*TEXTS, "Where does Ana live? Answer: Porto"])
    prompt, answer = "Where does Ana live?", " Porto"
    assert chats.encode(words, prompt) + chats.encode(words, answer) == chats.encode(words, prompt + answer)
    for text in TEXTS:
        assert chats.decode(words, chats.encode(words, text)) == text
    assert len(chats.encode(words, answer)) == 1


def test_an_unknown_word_is_one_token_and_says_so():
    words = tokenizing.word_tokenizer(TEXTS)
    ids = chats.encode(words, "Ana lives in Timbuktu.")
    assert words.convert_ids_to_tokens(ids)[-2] == tokenizing.UNKNOWN


def test_a_vocabulary_can_be_bounded():
    words = tokenizing.word_tokenizer(TEXTS, most=8)
    assert len(words) == 8
    assert " Bert's" not in words.get_vocab()


@pytest.mark.parametrize(
    "make", [lambda: tokenizing.bpe_tokenizer(TEXTS, 300), lambda: tokenizing.word_tokenizer(TEXTS)]
)
def test_made_again_it_is_the_same(make, tmp_path):
    first = make()
    assert tokenizer_of(first) == tokenizer_of(make())
    first.save_pretrained(tmp_path)
    opened = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert tokenizer_of(opened) == tokenizer_of(first)
    assert chats.encode(opened, TEXTS[0]) == chats.encode(first, TEXTS[0])
    assert (opened.pad_token_id, opened.bos_token_id, opened.eos_token_id) == (0, 1, 2)


def test_pairs_are_shorter_than_bytes_and_within_the_size():
    assert 259 < len(PAIRS) <= 300
    assert len(chats.encode(PAIRS, TEXTS[0])) < len(TEXTS[0].encode())


@pytest.mark.parametrize("size", [258, 1025])
def test_sizes_that_are_not_made(size):
    with pytest.raises(InputError, match="259 to 1,024"):
        tokenizing.bpe_tokenizer(TEXTS, size)
