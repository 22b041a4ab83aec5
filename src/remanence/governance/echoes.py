"""Answers that were given before, so that they are not learned again: keyed digests of their sentences, not the sentences.

What a model wrote and what is then stored as if somebody had said it would vouch for itself. A digest forgets case, accents,
punctuation, citation marks and blanks; nobody without the store's secret can test a guess against it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

from remanence.language.sentences import sentence_spans
from remanence.language.tokens import folded

LEAST = 8
"""Words of a sentence that is recognised: "Ana lives in Lisbon." may be said by anybody."""
SHARE = 0.6
"""Share of a text's words, in sentences of that length, that makes it an echo."""

_LONG = 40  # words of a quoted answer that is recognised as a whole
_MARK = re.compile(r"\[\d{1,3}(?:\s?[,;]\s?\d{1,3}){0,20}\]")
_WORD = re.compile(r"[^\W_]+")
_MOST = 2000  # sentences of one text


def digests(text: str, secret: bytes, quoted: Iterable[str] = ()) -> list[bytes]:
    """Digests of what an answer says in its own words, 16 bytes each.

    `quoted` are the texts that it was made from: a sentence that stands in one of them, a digest of which would hold
    what people said against them, leaves none. A long answer leaves one as a whole all the same.
    """
    known = " ".join(" ".join(_words(one)) for one in quoted)
    own = [words for words in _sentences(text) if len(words) >= LEAST and " ".join(words) not in known]
    whole = _words(text)
    if len(whole) >= _LONG or (own and len(whole) >= LEAST):
        own.append(whole)
    return [_digest(words, secret) for words in {tuple(words): words for words in own}.values()]


def probes(text: str, secret: bytes) -> list[tuple[bytes, int]]:
    """What to look up of a new text: digests of its sentences and of the whole, each with how many words it stands for."""
    found = [words for words in _sentences(text) if len(words) >= LEAST]
    whole = _words(text)
    if len(whole) >= LEAST:
        found.append(whole)
    return [(_digest(words, secret), len(words)) for words in found]


def is_echo(found: Sequence[tuple[bytes, int]], known: frozenset[bytes]) -> bool:
    """Whether most of a text, given by its `probes`, was answered before."""
    if not found:
        return False
    *sentences, whole = found
    if whole[0] in known:
        return True
    total = max(whole[1], sum(count for _, count in sentences))
    return sum(count for digest, count in sentences if digest in known) >= SHARE * total


def _sentences(text: str) -> list[list[str]]:
    return [_words(text[start:end]) for start, end in sentence_spans(text)[:_MOST]]


def _words(text: str) -> list[str]:
    return _WORD.findall(folded(_MARK.sub(" ", text)))


def _digest(words: Sequence[str], secret: bytes) -> bytes:
    return hashlib.blake2b(" ".join(words).encode(), key=secret, digest_size=16, person=b"echo").digest()
