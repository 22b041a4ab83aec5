"""Names, values and what stands before a clause: the small patterns that statements are read with.

Every pattern is tried at a given place and looks at one sentence only, whose length `sentences` bounds.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from remanence.language.calendar_words import FULL_MONTH
from remanence.language.tokens import STOP_WORDS, folded

Span = tuple[int, int]
"""Characters [start, end) of the text."""

IsClause = Callable[[int], bool] | None
"""Whether a new clause begins at a character, so that an "and" before it adds no second value."""

_UPPER = "".join(letter for letter in map(chr, range(0x530)) if letter.isupper())  # Latin, Greek, Cyrillic
_TITLE = r"(?:Dr|Mr|Mrs|Ms|St|Prof|Sr|Jr)\."
_WORD = rf"(?:{_TITLE}|[A-Z]\.|[{_UPPER}](?:\w|['’](?!s\b)(?=\w)|[-./&+](?=\w))*)"
_SMALL = r"(?:of|the|de|da|do|dos|del|della|di|la|le|van|von|der|den|e|y|bin|ibn|al|el)"
_MORE = rf"(?:\s+(?:{_SMALL}\s+){{0,2}}(?:{_WORD}|\d{{1,4}}\b)){{0,6}}"
_NAME = re.compile(rf"(?:[Tt]he\s+)?{_WORD}{_MORE}(?!\w)")
_PLACE = re.compile(rf"(?:[Tt]he\s+)?{_WORD}{_MORE}(?:,\s+{_WORD}{_MORE}){{0,2}}(?!\w)")
_DATE = re.compile(
    rf"(?:\d{{4}}-\d\d-\d\d|\d{{1,2}}[/.]\d{{1,2}}[/.]\d{{4}}|(?:the\s+)?\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?(?i:{FULL_MONTH})(?:,?\s+\d{{4}})?"
    rf"|(?i:{FULL_MONTH})\s+\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s+\d{{4}})?|(?:{FULL_MONTH.title()})(?:,?\s+\d{{4}})?|[12]\d{{3}})\b"
)
_PHONE = re.compile(r"\+?\(?\d(?:[\s().-]{0,2}\d){4,16}\b")
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,6}")
_AGE = re.compile(r"(?:\d{1,3}\b(?!\s*[-/:.,%]\s*\d)|[a-z]+(?:-[a-z]+)?(?=\s+years?\s+old))")
_AGE_END = re.compile(r"(?:\s+years?\s+old|\s+years?\s+of\s+age)?(?=\s*(?:[.!,;]|$|\band\b|\bnow\b|\btoday\b))")
_ADDRESS = re.compile(r"(?=[^;!]{0,60}\d)[\w][^;!\n(]{3,120}?(?=\s*(?:[.!;]?$|[;!(]))")
_PHRASE = re.compile(r"[^\s,;:()!?.…–—][^,;:()!?…–—]*")

_NOT_NAMES = STOP_WORDS | frozenset(
    """yes yeah yep no nope ok okay oh ah wow well hey hi hello thanks thank please sorry sure today tomorrow yesterday
    tonight now everything something nothing anything everyone everybody someone somebody nobody anyone another many most
    some several few all any each every both other such one two three four five six seven eight nine ten last next first
    let lets maybe perhaps because since while until unless although though however therefore also still even only just
    my your his her its our their being having getting going doing work life money dinner lunch breakfast school traffic
    weather family time food music love home sleep summer winter spring autumn exercise cooking reading running swimming
    monday tuesday wednesday thursday friday saturday sunday part half much more less people things stuff others
    remember note say ask tell make take give show write use try keep go come see look add call answer reply ignore
    assume imagine pretend suppose according despite during after before nice good great cool awesome amazing congrats
    inside outside above below beneath beyond behind beside appended attached enclosed included
    gone same different dear honestly seriously basically""".split()
)
_LEAD = re.compile(
    rf"""(?:(?:[-*•]|\d{{1,2}}[.)])\s+
    |(?i:hi|hey|hello|thanks|thank\ you|oh|yes|well),?\ {_WORD}[,!.]\s+
    |(?i:well|oh|ah|wow|so|and|but|yes|yeah|yep|ok|okay|hey|hi|hello|thanks|anyway|by\ the\ way|btw|fyi|in\ fact|of\ course|sure
      |no|also|plus|personally)(?:[,!.]\s*|\s+(?=I\b|my\b|[{_UPPER}]))
    |(?:[{_UPPER}][a-z]+ly|Now|Today|Nowadays|Still|These\ days|At\ the\ moment),?\s+
    |(?:In|Since|By|From|Until)\s+(?:\w+\s+)?[12]\d{{3}},?\s+)""",
    re.VERBOSE,
)
_STOP = re.compile(
    r"\s+[-–—]+\s|\s+(?:because|but|when|while|since|so|though|although|which|who|whom|whose|that|as|until|after|before|where|yet|like"
    r"|now|anymore|any\s+more|these\s+days|nowadays|currently|at\s+the\s+moment|at\s+present|today|lately|recently|instead"
    r"|too|as\s+well|a\s+lot|very\s+much|so\s+much|better|best|the\s+most|more\s+than|over|rather\s+than|thanks|especially)\b"
)
_NO_START = re.compile(
    r"(?:it|that|this|these|those|him|her|them|you|your|yours|me|us|our|we|he|she|they|i|my|his|their|its|how|when|what|why|where|who"
    r"|which|if|to|not|so|very|too|of|going|one|ones|none|some|any|something|anything|nothing|everything|someone|everyone|both"
    r"|all|more|most|being|having|getting|been|there|here|also|just|really|always|never|only|as|like|no|nor|neither|either"
    r"|each|every|another|other|in|on|at|by|with|from|for|about|up|out|off|over|under|still|already|an?\s+(?:lot|bit|little|few))\b",
    re.IGNORECASE,
)
_POINTS = re.compile(
    r"\b(?:my|our|me|us|i|your|you|we|it|them|him|they|he|she|this|these|those|there|here)\b", re.IGNORECASE
)
_POINTS_BACK = re.compile(r"\b(?:his|her|their|its)\b", re.IGNORECASE)
_NARROWED = re.compile(r"\s+(?:that|who|where|when|which)\b")  # "stories that end well" are not all stories
_LISTS_ON = re.compile(
    rf",\s+(?!(?:{'|'.join(sorted(STOP_WORDS))})\b)[a-z]"
)  # "a bright, ingenious boy" is not "a bright"
_LOOSE_END = re.compile(r"(?:^|\s)(?:to|of|in|on|at|by|with|from|for|about|and|or|the|an?|so|very|up|out)$")
_CONTRACTED = re.compile(r"['’](?:ll|re|ve|d|m|t)\b")
_GERUND = re.compile(r"\w{2,}ing$")
_ING_NAMES = frozenset({"beijing", "nanjing", "chongqing", "wyoming", "redding"})
_DEFINITE = re.compile(r"the\s+(?:[a-z]|\d)")
_EMPTY = re.compile(
    r"(?:an?|the)\s+(?:\w+\s+)?(?:lot|bit|little|few|pleasure|pity|shame|mess|joke|lie|problem|must|same|one|ones|thing|things|idea"
    r"|reason|way|kind|sort|question|point|case|best|worst|blast|treat|time|deal|plus|start|day|week|moment|fans?(?!\s+of))\b(?!\s+\w+\s+[A-Z])"
)
_MOST_WORDS = 12
_BAD_AFTER = re.compile(
    rf"['’]|\s+(?:or|nor|&)\s|(?P<and>,?\s+and\s+)(?:the\s+)?(?:[{_UPPER}\d]|in\s|at\s)|\s*[/&]\s*\w|,\s+[{_UPPER}][\w]*,?\s+(?:and|or)\s"
)
_GOES_ON = re.compile(
    r"\s+(?!(?:with|and|but|since|for|in|now|because|where|near|as|when|while|at|on|too|these|until|after|before|from|to|again|still"
    r"|anymore|any|today|currently|by|via|full-time|part-time|together|alone|so|though|right|or|instead|nowadays|last|this|who|every)\b)[a-z]"
)  # "the Hukeri taluk": the name is part of a longer one
_LISTED = re.compile(
    rf"\s+(?!(?:with|and|but|since|for|in|now|because|where|near|as|when|while|at|on|too|these)\b)[a-z]|,?\s+(?:and|or)\s+[{_UPPER}]"
)
_NATIONS = ("ese", "ish", "ian", "ean", "can", "ic", "ist", "ican", "lim", "ew", "indu")


def lead(text: str, at: int, end: int) -> int:
    """The place after "Well, ", "Currently " or "In 2019, "."""
    for _ in range(3):
        match = _LEAD.match(text, at, end)
        if not match:
            break
        at = match.end()
    return at


def name(text: str, at: int, end: int) -> Span | None:
    """A run of capitalised words that can be a name: "Ana Costa", "the Eiffel Tower", "University of Lisbon"."""
    match = _NAME.match(text, at, end)
    if not match:
        return None
    first = folded(match.group().split()[0].strip("."))
    if first == "the" and len(match.group().split()) > 1:
        return match.span()
    if first in _NOT_NAMES or _CONTRACTED.search(match.group()):
        return None
    return None if _GERUND.match(first) and first not in _ING_NAMES else match.span()


def place(text: str, at: int, end: int, is_clause: IsClause = None) -> Span | None:
    """A name, and the regions that it lies in: "Lisbon, Portugal". None where another name is added or offered."""
    span = name(text, at, end)
    match = _PLACE.match(text, at, end) if span else None
    if not match:
        return None
    comma = text.find(",", *match.span())
    listed = comma >= 0 and _LISTED.match(
        text, match.end(), end
    )  # "Lisbon, Ana and Bob", "Lisbon, Bob lives": no region
    stop = comma if listed else match.end()
    return None if _is_one_of_several(text, stop, end, is_clause) else (match.start(), stop)


def whole_name(text: str, at: int, end: int, is_clause: IsClause = None) -> Span | None:
    """A name with nothing beside it that would change it: no "or", no second name, no possessive."""
    span = name(text, at, end)
    return None if span is None or _is_one_of_several(text, span[1], end, is_clause) else span


def _is_one_of_several(text: str, at: int, end: int, is_clause: IsClause) -> bool:
    after = _BAD_AFTER.match(text, at, end)
    if after is None:
        return _GOES_ON.match(text, at, end) is not None
    return not (is_clause and after["and"] and is_clause(after.end("and")))


def employer(text: str, at: int, end: int, is_clause: IsClause = None) -> Span | None:
    """A name, or "a hospital"."""
    return whole_name(text, at, end, is_clause) or indefinite(text, at, end, is_clause)


def date(text: str, at: int, end: int) -> Span | None:
    """A day, a month or a year."""
    match = _DATE.match(text, at, end)
    return match.span() if match else None


def phone(text: str, at: int, end: int) -> Span | None:
    """A run of five digits or more."""
    match = _PHONE.match(text, at, end)
    return match.span() if match else None


def email(text: str, at: int, end: int) -> Span | None:
    """An address with an @."""
    match = _EMAIL.match(text, at, end)
    return match.span() if match else None


def age(text: str, at: int, end: int) -> Span | None:
    """The number of years in "34", "34 years old" or "five years old"."""
    match = _AGE.match(text, at, end)
    return match.span() if match and _AGE_END.match(text, match.end(), end) else None


def address(text: str, at: int, end: int) -> Span | None:
    """The rest of the sentence, if it has a number in it."""
    match = _ADDRESS.match(text, at, end)
    return match.span() if match else None


def phrase(text: str, at: int, end: int, is_clause: IsClause = None) -> Span | None:
    """Words up to a mark, a connective or the clause that an "and" begins; None if they point elsewhere ("it", "that")."""
    match = _PHRASE.match(text, at, end)
    if not match or _NO_START.match(text, at, end):
        return None
    start, stop = match.span()
    cut = _STOP.search(text, start, stop)
    stop = cut.start() if cut else stop
    for joint in re.finditer(r"\s+and\s+", text[start:stop]):
        if is_clause and is_clause(start + joint.end()):
            stop = start + joint.start()
            break
    words = text[start:stop].rstrip(" .\n\t")
    if not words or len(words.split()) > _MOST_WORDS or _POINTS.search(words) or _LOOSE_END.search(words):
        return None
    return start, start + len(words)


def noun(text: str, at: int, end: int, is_clause: IsClause = None) -> Span | None:
    """A phrase that means the same outside its text: "jazz", "a red bicycle", "the Beatles", but not "the book"."""
    span = None if _DEFINITE.match(text, at, end) else phrase(text, at, end, is_clause)
    if span and _NARROWED.match(text, span[1], end):
        return None
    return span if span and not _EMPTY.match(text, at, span[1]) and not _POINTS_BACK.search(text, *span) else None


def indefinite(text: str, at: int, end: int, is_clause: IsClause = None) -> Span | None:
    """A noun with "a" before it: "a hospital"."""
    return noun(text, at, end, is_clause) if re.compile(r"an?\s").match(text, at, end) else None


def described(text: str, at: int, end: int, is_clause: IsClause = None) -> Span | None:
    """What a copula says of its subject: "a tower in Paris", "the capital of Portugal"; None for "a lot" and "the one"."""
    if not re.compile(r"(?:an?|the)\s").match(text, at, end) or _EMPTY.match(text, at, end):
        return None
    span = phrase(text, at, end, is_clause)
    if span and len(text[slice(*span)].split()) <= 2 and _LISTS_ON.match(text, span[1], end):
        return None
    if span and text.startswith("the", at) and _NARROWED.match(text, span[1], end):
        return None
    return span


def is_adjective(word: str) -> bool:
    """A capitalised word that is more likely a nationality or a creed than a name: "Portuguese", "Catholic"."""
    return " " not in word and word.lower().endswith(_NATIONS)


def is_empty(text: str, at: int, end: int) -> bool:
    """Words that say nothing by themselves: "a lot", "the one"."""
    return _EMPTY.match(text, at, end) is not None
