"""Word pieces as BERT cuts them: clean, space out CJK, lower, strip accents, split at punctuation, longest match first.

Source: Devlin et al. 2018 (arXiv 1810.04805), `tokenization.py` of their code, and the library `tokenizers`, whose ids
ours equal (tests/models/test_wordpiece.py). Two differences are meant. Special tokens in a text, such as `[SEP]`, are plain
characters here: stored text is data. And `tokenizers` knows the character classes of Unicode 8, we those of the running
Python: a few hundred rare marks that were added since are cut differently.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

from remanence.errors import ModelDamagedError

LONGEST_WORD = 100
REMEMBERED_WORDS = 100_000

_CJK = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),  # sic: `tokenizers` begins this block at B920, BERT's own code at B820
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class WordPiece:
    """Cuts text into the ids of one vocabulary. Safe to share between threads: the only state is a cache of words."""

    def __init__(
        self,
        vocabulary: Mapping[str, int],
        *,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        space_cjk: bool = True,
        unknown: str = "[UNK]",
        prefix: str = "##",
    ) -> None:
        self._vocabulary = dict(vocabulary)
        self.first, self.last, self.padding = vocabulary["[CLS]"], vocabulary["[SEP]"], vocabulary["[PAD]"]
        self._unknown = vocabulary[unknown]
        self._prefix = prefix
        self._lowercase = lowercase
        # BERT's own rule: whoever lowers also strips accents, unless told otherwise.
        self._strip_accents = lowercase if strip_accents is None else strip_accents
        self._clean = _Clean(space_cjk=space_cjk)
        self._split = _Split()
        self._words: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        """The ids of the pieces of `text`, without [CLS] and [SEP]."""
        known = self._words
        if len(known) > REMEMBERED_WORDS:
            known = self._words = {}
        ids: list[int] = []
        for word in self.words(text):
            pieces = known.get(word)
            if pieces is None:
                pieces = known[word] = self._pieces(word)
            ids += pieces
        return ids

    def words(self, text: str) -> list[str]:
        """The words and punctuation marks of `text`, cleaned."""
        text = text.translate(self._clean)
        if text.isascii():
            return (text.lower() if self._lowercase else text).translate(self._split).split(" ")
        if self._strip_accents:
            text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
        if self._lowercase:
            # Character by character: on a whole text, `lower` chooses between σ and ς by context.
            text = "".join(map(str.lower, text))
        return text.translate(self._split).split(" ")

    def _pieces(self, word: str) -> list[int]:
        """Greedy: the longest piece that the vocabulary has, again and again; the whole word is unknown if one is missing."""
        if not word:
            return []
        if len(word) > LONGEST_WORD:
            return [self._unknown]
        ids: list[int] = []
        start, prefix = 0, ""
        while start < len(word):
            for end in range(len(word), start, -1):
                found = self._vocabulary.get(prefix + word[start:end])
                if found is not None:
                    break
            else:
                return [self._unknown]
            ids.append(found)
            start, prefix = end, self._prefix
        return ids


class _Clean(dict[int, str]):
    """For `str.translate`, filled as characters are met: control characters vanish, every space is a blank, CJK stands alone."""

    def __init__(self, *, space_cjk: bool) -> None:
        super().__init__()
        self._space_cjk = space_cjk

    def __missing__(self, code: int) -> str:
        self[code] = kept = self._kept(chr(code), code)
        return kept

    def _kept(self, character: str, code: int) -> str:
        if character in "\t\n\r":
            return " "
        category = unicodedata.category(character)
        if code in {0, 0xFFFD} or (category[0] == "C" and category != "Cn"):  # unassigned characters are kept
            return ""
        if character.isspace():
            return " "
        if self._space_cjk and any(first <= code <= last for first, last in _CJK):
            return f" {character} "
        return character


class _Split(dict[int, str]):
    """For `str.translate`: punctuation stands alone. As in BERT, all ASCII marks count, `$` and `^` too."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        ascii_mark = 33 <= code <= 126 and not character.isalnum()
        apart = ascii_mark or unicodedata.category(character)[0] == "P"
        self[code] = kept = f" {character} " if apart else character
        return kept


def from_tokenizer_json(text: str | bytes, *, where: str) -> WordPiece:
    """Read the `tokenizer.json` of a BERT-family model.

    Raises
    ------
    ModelDamagedError
        It is not JSON, or describes another kind of tokenizer.
    """
    try:
        description: dict[str, Any] = json.loads(text)
        model, normalizer = description["model"], description["normalizer"]
        if (model["type"], normalizer["type"]) != ("WordPiece", "BertNormalizer"):
            raise ModelDamagedError(
                f"{where} describes a {model['type']} tokenizer, and this embedder reads BERT word pieces.",
                "Use a BERT-family sentence-transformer, or serve this model through an embeddings endpoint.",
            )
        return WordPiece(
            model["vocab"],
            lowercase=normalizer["lowercase"],
            strip_accents=normalizer["strip_accents"],
            space_cjk=normalizer["handle_chinese_chars"],
            unknown=model["unk_token"],
            prefix=model["continuing_subword_prefix"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ModelDamagedError(
            f"{where} is not a tokenizer description: {error!r}.", "Fetch the model again."
        ) from error
