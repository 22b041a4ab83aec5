"""Do two texts say the same? Precision before recall: what is kept apart costs a line, what is joined wrongly costs a fact.

Three ways lead to yes: the same words once their spelling is put right; sentences that are nothing but claims, and the same
claims; and texts that differ in slips of spelling alone. Numbers, names, negations, days and the words that turn a meaning
have to be the same in every case. Embeddings have no say: they put "likes" beside "dislikes".
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from remanence.language.dates import mentioned
from remanence.language.relations import canonical
from remanence.language.slots import subject_key, value_key
from remanence.language.statements import Claim
from remanence.language.tokens import STOP_WORDS

_TYPOGRAPHY = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "\u00a0": " ", "\u00ad": ""})
_SHORT = (
    (re.compile(r"\bwon't\b"), "will not"), (re.compile(r"\bcan't\b|\bcannot\b"), "can not"), (re.compile(r"n't\b"), " not"),
    (re.compile(r"\bi'm\b"), "i am"), (re.compile(r"'re\b"), " are"), (re.compile(r"'ve\b"), " have"), (re.compile(r"'ll\b"), " will"),
)  # fmt: skip
# A number with its sign, currency and unit mark; a word with what belongs to it (C++, O'Neill); a question mark.
_TOKEN = re.compile(r"[-+]?[$€£¥]?\d+(?:[.,:/-]\d+)*%?|[^\W\d_](?:[\w'&-]*\w)?[+#]*|[$€£¥%?]")
_FILLERS = frozenset("really actually just also simply definitely certainly truly".split())  # noqa: SIM905
_NEGATIONS = frozenset(
    """not no never none nobody nothing nowhere neither nor without hardly barely scarcely seldom rarely lacks lack lacking
    stopped quit former formerly longer used ex unable fail fails failed refuse refuses refused""".split()  # noqa: SIM905
)
_TURNING = frozenset(
    """before after since until till from to into onto out over under above below up down off on left right more less most least only
    almost nearly if unless except but may might could would should must always usually mainly mostly often sometimes originally
    first last next again still yet already like likes love loves hate hates dislike dislikes prefer prefers open opened closed close
    start starts started stop stops end ends ended buy bought sell sold win won lose lost on off true false yes new old ago soon
    recently lately today tonight tomorrow yesterday earlier later""".split()  # noqa: SIM905
)
_NUMBER_WORDS = frozenset(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen
    twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion dozen half quarter third once twice both all
    some any few many several each every""".split()  # noqa: SIM905
)
_DEICTIC = re.compile(
    r"\b(?:recently|lately|soon|ago|just|tonight|earlier|later|today|so far|this|next|last|past|coming|again)\b",
    re.IGNORECASE,
)
_SENTENCE_START = re.compile(r"(?:^|[.!?…:]\s+|\n\s*|[\"'(\[]\s*)$")
_VARIANTS = (
    (re.compile(r"(?<=\w{3})our(?=\w*$)"), "or"), (re.compile(r"(?<=\w{2})is(?=(?:e|ed|es|ing|ation|ations|er|ers)$)"), "iz"),
    (re.compile(r"(?<=\w{3})ogue(?=s?$)"), "og"), (re.compile(r"(?<=\w{3}[bt])re(?=s?$)"), "er"), (re.compile(r"ll(?=(?:ed|ing|er|ers)$)"), "l"),
)  # fmt: skip
_LONG_WORD = 8  # letters of a word in which a slip of the pen is believed
_LONG_TEXT = 20  # words of a text that may hold one
_SLIPS = 50  # words of a text for each of them
_DAY = 86400


@dataclass(frozen=True, slots=True)
class Wording:
    """What of a text decides whether another says the same."""

    tokens: tuple[str, ...]
    """Lower case, contractions undone, fillers left out. Accents stay: `resume` and `résumé` are two words."""
    names: frozenset[str]
    """Words with a capital inside a sentence."""
    cased: bool
    """Whether capitals tell anything here; not in a text that has none, or nothing else."""
    days: frozenset[tuple[float, float]]
    """Windows of time that it names, those said relative to the day of writing included."""
    said_on: int | None
    """The day that words such as "recently" count from; None where there are none."""
    claims: tuple[tuple[str, ...], ...]
    """What it claims, where it says nothing else: subject, relation, value, whether denied or replacing. Else empty."""

    @property
    def joined(self) -> str:
        """The tokens as one text in one spelling, for shingles and for finding the same text again."""
        return " ".join(map(_spelt, self.tokens))


def wording(text: str, said: datetime, claims: Sequence[Claim] = ()) -> Wording:
    """Take a text apart. `said` is when it was said or written; `claims` what the rules find in it."""
    plain = unicodedata.normalize("NFC", text).translate(_TYPOGRAPHY)
    tokens = _tokens(plain)
    names = frozenset(
        match.group()
        for match in _TOKEN.finditer(plain)
        if match.group()[:1].isupper()
        and match.group() != "I"
        and not match.group().startswith("I'")
        and (not _SENTENCE_START.search(plain, 0, match.start()) or _is_acronym(match.group()))
    )
    letters = [character for character in plain if character.isalpha()]
    upper = sum(map(str.isupper, letters))
    deictic = _DEICTIC.search(plain) is not None
    return Wording(
        tokens, names, 0 < upper < len(letters), frozenset((w.lo, w.hi) for w in mentioned(text, said)),
        int(said.timestamp() // _DAY) if deictic else None, _claimed(plain, claims),
    )  # fmt: skip


def same(one: Wording, other: Wording) -> bool:
    """Whether two texts say the same."""
    if not one.tokens or not other.tokens or one.days != other.days or one.said_on != other.said_on:
        return False
    if not _names_agree(one, other):
        return False
    if one.tokens == other.tokens:
        return True
    if one.claims and one.claims == other.claims:
        return _turns(one) == _turns(other)
    return _turns(one) == _turns(other) and _slips_only(one.tokens, other.tokens)


def _tokens(plain: str) -> tuple[str, ...]:
    lowered = plain.lower()
    for pattern, full in _SHORT:
        lowered = pattern.sub(full, lowered)
    found: list[str] = _TOKEN.findall(lowered)
    if _NEGATIONS.isdisjoint(found):  # "not really" and "not just" turn a meaning
        found = [token for token in found if token not in _FILLERS]
    return tuple(found)


def _is_acronym(word: str) -> bool:
    return len(word) > 1 and word.isupper()


def _names_agree(one: Wording, other: Wording) -> bool:
    """The same names; where one text has no capitals, the other must have no acronym that is a word as well."""
    if one.cased and other.cased:
        return one.names == other.names
    cased = one if one.cased else other
    return not any(_is_acronym(name) and name.lower() in STOP_WORDS for name in cased.names)


def _claimed(text: str, claims: Sequence[Claim]) -> tuple[tuple[str, ...], ...]:
    """The claims of a text, sorted; none if it says anything beside them."""
    rest = text
    for claim in sorted(claims, key=lambda claim: -claim.start):
        rest = f"{rest[: claim.start]} {rest[claim.end :]}"
    if not _FILLERS.union({"and"}).issuperset(_tokens(rest)):
        return ()
    return tuple(
        sorted(
            (
                subject_key(claim.fact.subject),
                canonical(claim.fact.relation),
                *value_key(claim.fact.relation, claim.fact.value),
                f"{claim.negated} {claim.replaces}",
            )
            for claim in claims
        )
    )


def _turns(one: Wording) -> Counter[str]:
    """The words that turn a meaning, and the numbers. Between texts that claim the same, those of place and liking are the claim's."""
    words = (_NEGATIONS | _TURNING | _NUMBER_WORDS) - (_OF_CLAIMS if one.claims else frozenset())
    return Counter(token for token in one.tokens if token in words or any(map(str.isdigit, token)))


_OF_CLAIMS = frozenset(
    "to from on likes like loves love hate hates dislike dislikes prefer prefers not no longer new still".split()  # noqa: SIM905
)


def _slips_only(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Word by word the same, but for another spelling of a word, or a slip in a long one of a long text."""
    if len(one) != len(other):
        return False
    slips = 0
    for mine, yours in zip(one, other, strict=True):
        if mine == yours or _spelt(mine) == _spelt(yours):
            continue
        if not _slipped(mine, yours):
            return False
        slips += 1
    return slips == 0 or (len(one) >= _LONG_TEXT and slips * _SLIPS <= max(len(one), _SLIPS))


def _spelt(word: str) -> str:
    """A word in American spelling."""
    for pattern, letters in _VARIANTS:
        word = pattern.sub(letters, word)
    return word


def _slipped(one: str, other: str) -> bool:
    """Two letters changed places, or a letter is doubled, inside a long word."""
    if min(len(one), len(other)) < _LONG_WORD or one[:2] != other[:2] or one[-2:] != other[-2:]:
        return False
    if len(one) == len(other):
        apart = [at for at in range(len(one)) if one[at] != other[at]]
        return (
            len(apart) == 2
            and apart[1] == apart[0] + 1
            and one[apart[0]] == other[apart[1]]
            and one[apart[1]] == other[apart[0]]
        )
    longer, shorter = (one, other) if len(one) > len(other) else (other, one)
    return len(longer) == len(shorter) + 1 and any(
        longer[at] == longer[at + 1] and longer[:at] + longer[at + 1 :] == shorter for at in range(len(longer) - 1)
    )
