"""Which named things a text mentions: capitalised spans, quoted titles, dates, and its own title. Rules only.

A mention is kept as the 32-bit hash of the name, normalised: like the stems, a store then has no dictionary of names that
could remember a forgotten one. The same name in two texts is one node of the graph.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from remanence.language.tokens import STOP_WORDS
from remanence.language.topics import normalised

ABOUT = 0x80
"""Bit of a packed mention: the text is about this entity."""
_MOST = 0x3F  # mentions of one name that are counted; bit 0x40 is free for the graph
_LONGEST = 12  # words of a name
_NAMES = 512  # names of one text: ten thousand entities in one message must not make ten thousand edges
_LETTERS = 2  # of a name of one word

_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_DATE = re.compile(
    rf"\b(?:\d{{1,2}}(?:st|nd|rd|th)?\ (?:of\ )?(?:{_MONTHS})\b(?:,?\ \d{{4}}\b)?|(?:{_MONTHS})\ \d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\ \d{{4}}\b)?"
    rf"|(?:{_MONTHS}),?\ \d{{4}}\b|(?:1\d|20)\d\d\b)".replace("\\ ", " ")
)
_QUOTED = re.compile(r"(?:[\"“‘]|``)\s?([A-Z][^\"“”‘’`\n]{2,60}?)\s?(?:[\"”’]|'')|[「『《]([^」』》\n]{1,60})[」』》]")
_TOKEN = re.compile(r"[^\W_][\w'’.&-]*|[^\w\s]")
_BRACKETS = re.compile(r"\s*\([^)]*\)\s*$")
_INSIDE = frozenset("of the de da di du van von der den la le el al bin ibn & y des del".split())
"""Small words that stand inside a name: University of Oxford, Ludwig van Beethoven."""
_BETWEEN = frozenset("in and for on at to with of the , - – -- ' ! :".split())
"""What may stand between two names that are one: Santa Maria in Vallicella; Austin, Texas. The whole counts beside its parts."""
_OPENING = STOP_WORDS | frozenset(
    """also although another because both during each every first here last like many most next one second several since
    some such there therefore three thus two under unless unlike until upon while yes according based despite following
    instead however among through per via well hey hi hello wow thanks thank ok okay oh yeah sure great nice cool awesome
    congrats congratulations sorry please maybe definitely absolutely glad sounds looks good really never ever always
    today yesterday tomorrow monday tuesday wednesday thursday friday saturday sunday let""".split()
)
"""Words that a sentence begins with and that name nothing."""


class Mention(NamedTuple):
    """A name in a text."""

    name: str
    """Normalised: lower case, no accents, single blanks."""
    times: int
    about: bool
    """It is the text's title, or what the text says it is about."""


def mentions(text: str, title: str | None = None) -> list[Mention]:
    """The names in a text, in the order in which they first occur; those of the title first. At most 512."""
    counts: Counter[str] = Counter()
    titles = _titles(title) if title else []
    counts.update(titles)
    counts.update(name for surface in surfaces(text) if _worth(name := normalised(surface)))
    subject = titles[-1] if titles else None
    return [Mention(name, count, name == subject) for name, count in list(counts.items())[:_NAMES]]


def surfaces(text: str) -> Iterator[str]:
    """Every stretch of a text that may be a name, as it is written, with repetitions."""
    for match in _DATE.finditer(text):
        yield match.group()
    for match in _QUOTED.finditer(text):
        yield match.group(1) or match.group(2)
    yield from _capitalised(text)


def pack_mentions(found: Iterable[Mention]) -> bytes:
    """Distinct hashes in rising order: 4 bytes little-endian, and 1 byte that holds the count and the bit `ABOUT`."""
    packed: dict[int, int] = {}
    for mention in found:
        key = name_hash(mention.name)
        packed[key] = packed.get(key, 0) | min(mention.times, _MOST) | ABOUT * mention.about
    return b"".join(key.to_bytes(4, "little") + bytes((packed[key],)) for key in sorted(packed))


def name_hash(name: str) -> int:
    """32 bits that stand for a normalised name."""
    return zlib.crc32(name.encode())


def opens(word: str) -> bool:
    """Whether a word is one that sentences begin with and that names nothing."""
    return word in _OPENING


def spans(question: str) -> list[tuple[int, int, str]]:
    """Every stretch of up to twelve words of a question that could be a name: first word, number of words, normalised.

    Longest first at each word, so that a reader who takes the first known one has the longest match.
    """
    words = normalised(question).split()
    return [
        (at, length, " ".join(words[at : at + length]))
        for at in range(len(words))
        for length in range(min(_LONGEST, len(words) - at), 0, -1)
    ]


def _titles(title: str) -> list[str]:
    """A title in full; without the bracket that tells it from others of its name, which is what a text calls it; up to a comma."""
    plain = _BRACKETS.sub("", title)
    head = plain.partition(",")[0] if "," in plain else ""
    return [form for form in dict.fromkeys(map(normalised, (title, head, plain))) if form]


def _worth(name: str) -> bool:
    words = name.split()
    if not words or len(words) > _LONGEST:
        return False
    return not _OPENING.issuperset(words) and (len(words) > 1 or len(name) >= _LETTERS)


def _capitalised(text: str) -> Iterator[str]:
    tokens = [match.group() for match in _TOKEN.finditer(text)]
    at, begun, ended = 0, -1, -1  # the name before, joined ones included, lies from `begun` to `ended`
    while at < len(tokens):
        if not _begins(tokens, at):
            at += 1
            continue
        end = _end(tokens, at)
        first = at
        while first < end and tokens[first].lower() in _OPENING:
            first += 1
        if first < end:
            yield _joined(tokens[first:end])
            if begun >= 0 and ended - begun <= _LONGEST and _belongs(tokens, ended, at):
                yield _joined(tokens[begun:end])
            else:
                begun = first
            ended = end
        at = end


def _joined(words: list[str]) -> str:
    return " ".join(words).strip(" .'’-")


def _belongs(tokens: list[str], ended: int, at: int) -> bool:
    """Whether a name that begins at `at` goes on with the one that ended before."""
    between = tokens[ended:at]
    small = all(one.lower() in _BETWEEN for one in between)
    return 0 < len(between) <= 2 and small and not tokens[ended - 1].endswith(".")


def _begins(tokens: list[str], at: int) -> bool:
    first = tokens[at]
    numbered = first[0].isdigit() and at + 1 < len(tokens) and tokens[at + 1][0].isupper()
    return first[0].isupper() or numbered


def _end(tokens: list[str], at: int) -> int:
    """One past the last word of the name that begins here: capitals and numbers, and small words between them."""
    end = at + 1
    while end < len(tokens) and not tokens[end - 1].endswith("."):
        look = end
        while look < len(tokens) and look - end < 2 and tokens[look] in _INSIDE:
            look += 1
        if look >= len(tokens) or not (tokens[look][0].isupper() or tokens[look][0].isdigit()):
            break
        end = look + 1
    return end
