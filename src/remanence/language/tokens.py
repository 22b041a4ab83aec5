"""Words as BM25 sees them: lower case, no stop words, irregular forms undone, Snowball stems, hashed.

Stems are kept as 32-bit hashes: a store then has no dictionary that could remember a forgotten word, and two words of a
vocabulary of 100,000 share a hash with a chance of 1 in 40,000 for a given query word.
"""

from __future__ import annotations

import re
import threading
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import Stemmer

from remanence.language.irregular import BASE_FORMS

STOP_WORDS = frozenset(
    """a an the of to in on at for from by with and or but if then than as is are was were be been being am do does did
    doing have has had having i you he she it we they me him her us them my your his its our their mine yours this that
    these those there here what which who whom whose when where why how not no nor so too very can could will would shall
    should may might must about into over after before between out up down off again once just also s t d ll m re ve""".split()
)
_WORD = re.compile(r"[^\W_]+")
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # kana and Han: no blanks between words
_ANY_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W_])+")
_ACCENTS = re.compile("[\u0300-\u036f]")
_STEMMERS = threading.local()  # a Snowball stemmer is not safe to share between threads
_PAIR = 5  # bytes of one packed term: 4 of hash, 1 of count


def stems(text: str) -> list[str]:
    """The stems of a text in order, stop words dropped. Letters and digits of any script, accents folded; Han and kana one by one."""
    words = [BASE_FORMS.get(word, word) for word in _words(folded(text)) if word not in STOP_WORDS]
    stemmed: list[str] = _stemmer().stemWords(words)
    return stemmed


def folded(text: str) -> str:
    """Lower case without accents: São and sao are one word."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFKD", text)).lower())


def _words(text: str) -> list[str]:
    return (_WORD if text.isascii() else _ANY_WORD).findall(text)


@lru_cache(maxsize=65536)
def term_hash(stem: str) -> int:
    """32 bits that stand for a stem: CRC-32, which spreads short words without collisions as well as any."""
    return zlib.crc32(stem.encode())


def hashes(text: str) -> list[int]:
    """The hashed stems of a text, in order and with repetitions."""
    return [term_hash(stem) for stem in stems(text)]


def pack_terms(terms: Iterable[int]) -> bytes:
    """Distinct hashes in rising order, 4 bytes little-endian and 1 byte of count (at most 255) each."""
    counts = Counter(terms)
    return b"".join(term.to_bytes(4, "little") + bytes((min(counts[term], 255),)) for term in sorted(counts))


def unpack_terms(packed: bytes) -> dict[int, int]:
    """Hash to count: the inverse of `pack_terms`."""
    return {
        int.from_bytes(packed[at : at + 4], "little"): packed[at + 4] for at in range(0, len(packed) - _PAIR + 1, _PAIR)
    }


def _stemmer() -> Any:
    stemmer = getattr(_STEMMERS, "english", None)
    if stemmer is None:
        stemmer = _STEMMERS.english = Stemmer.Stemmer("english")
    return stemmer
