"""When two texts say the same in the same words: letters and digits, whatever the case, the blanks and the marks between them."""

from __future__ import annotations

import re
import unicodedata

from remanence.language.sentences import sentence_spans
from remanence.language.tokens import stems

TELLING = 6
"""Content words of a sentence that tells something by itself; shorter ones are said by many."""
_WORDS = re.compile(r"[^\W_]+")


def normalised(text: str) -> str:
    """The words of a text in compatibility form (NFKC), case folded, one blank between them. Of marks alone, the marks."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(_WORDS.findall(folded)) or " ".join(folded.split())


def telling_sentences(text: str) -> list[str]:
    """The sentences of a text that have at least `TELLING` content words."""
    found = [text[start:end] for start, end in sentence_spans(text)]
    return [sentence for sentence in found if len(stems(sentence)) >= TELLING]
