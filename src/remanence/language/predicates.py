"""The predicates that state a fact, and the values that may follow them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from remanence.language import phrases
from remanence.language.phrases import Span
from remanence.language.relations import canonical, is_known, names_person
from remanence.language.subjects import Subject

Begins = Callable[[int], bool]
"""Whether a new clause begins at a character."""


class Said(NamedTuple):
    """What a predicate says of its subject."""

    relation: str
    span: Span
    """Where the value lies."""
    negated: bool = False
    replaces: bool = False
    attribute: bool = False
    """It is a fact about the subject's owner: "my phone number is …"."""


_ADVERBS = r"(?:\s*\b(?:now|currently|still|also|actually|really|originally|officially|finally|already|just|recently|usually|mainly|always|absolutely|totally|truly|permanently|lawfully|legally|happily)\b){0,2}"
_IS = re.compile(
    rf"(?:\s*(?<!\w)(?:am|is|are)\b|['’](?:m|s|re)\b)(?P<before>{_ADVERBS})(?P<no>\s*(?:not|no\s+longer|never)\b|n['’]t\b)?(?P<after>{_ADVERBS})\s+"
)
_ISNT = re.compile(r"\s*(?<!\w)(?:isn|aren)['’]t\s+")
_WAS = re.compile(rf"\s*(?<!\w)(?:was|were)\b{_ADVERBS}\s+")
_HAS = re.compile(
    r"(?:\s*(?<!\w)(?:have|has|got|adopted|bought)\b|['’](?:ve|s)\s+got\b)(?:\s+got)?\s+an?\s+(?:new\s+)?(?P<what>(?:[a-z][a-z-]*\s+){1,3}?)(?:named|called)\s+"
)
_PERFECT = re.compile(
    rf"(?:\s*(?<!\w)(?:have|has)\b|['’](?:ve|s)\b){_ADVERBS}\s+(?P<verb>lived|worked|been\s+living|been\s+working)\s+(?P<at>in|at|for|as)\s+"
)
_SINCE = re.compile(
    r"\s+(?:since\b|for\s+(?:\d|an?\b|many|several|over|almost|two|three|four|five|six|seven|eight|nine|ten|years))"
)
_LEFT = re.compile(
    rf"\s*(?<!\w)(?:has\s+|have\s+)?{_ADVERBS}\s*(?:stopped|quit)\s+(?P<verb>working\s+(?:at|for|as)|living\s+in)\s+"
)
_TURNED = re.compile(r"\s*(?<!\w)(?:just\s+|recently\s+)?turned\s+")
_BORN = re.compile(r"born\s+(?=in\s|on\s)")
_IN_ON = re.compile(r"\s*,?\s*(?:in|on|at)\s+")
_CHANGED = re.compile(
    r"\s*(?:has\s+|have\s+)?(?:just\s+|recently\s+)?(?:changed|switched)\s+(?:from\s+[^,;]{1,60}?\s+)?to\s+"
)
_NO = re.compile(
    r"\s*(?<!\w)(?P<no>do(?:es)?\s+not|do(?:es)?n['’]t|no\s+longer|never|did\s+not|didn['’]t|used\s+to|has\s+never|have\s+never)(?:\s+(?:actually|really|currently))?\s+"
)
_PAST_NO = ("did", "has never", "have never")

# verb phrase (base, third person) | relation | kind of value
_VERBS = """
live in,lives in,reside in,resides in|lives in|place
work at,works at,work for,works for|works at|employer
work as,works as|works as|indefinite
prefer,prefers|prefers|noun
like,likes,love,loves,enjoy,enjoys,adore,adores|likes|noun
dislike,dislikes,hate,hates,detest,detests,loathe,loathes|dislikes|noun
own,owns|owns|indefinite
speak,speaks|speaks|name
play,plays|plays|played
study at,studies at|studies at|name
come from,comes from|from|place
"""
_PAST = """
moved to,relocated to|lives in|place
lived in,resided in|lived in|place
worked at,worked for|worked at|employer
worked as|worked as|indefinite
married|married to|name
divorced|-married to|name
visited|visited|place
studied at|studied at|name
graduated from|graduated from|name
grew up in|grew up in|place
founded|founded|name
wrote|wrote|name
directed|directed|name
invented|invented|name
died in|died in|place
died on,died in|died on|date
"""
_STATES = """
married to|married to|name
engaged to|engaged to|name
divorced from|-married to|name
called,named|name|name
known as|also called|name
living in,residing in,based in|lives in|place
working at,working for,employed at,employed by|works at|employer
working as|works as|indefinite
studying at|studies at|name
located in,situated in|located in|place
allergic to|allergic to|noun
fond of|likes|noun
from|from|place
"""
_PAST_STATES = """
founded by|founded by|name
founded in,established in|founded in|date
written by|written by|name
directed by|directed by|name
invented by|invented by|name
painted by|painted by|name
composed by|composed by|name
"""
_IT_MAY = frozenset(
    ["name", "also called", "located in", "founded by", "founded in", "written by", "directed by", "invented by", "painted by",
     "composed by", "from", "founded"]
)  # fmt: skip
_CONDITION = re.compile(
    r"(?:vegetarian|vegan|retired|divorced|widowed|single|unemployed|self-employed|left-handed|right-handed|colour-blind|color-blind"
    r"|diabetic|deaf|blind|bilingual|lactose\s+intolerant|gluten\s+intolerant|pescatarian|pregnant)(?=\s*(?:[.!,;]|$|and\b|now\b))"
)
_PLAYED = re.compile(
    r"(?:the\s+)?(?!the\b|a\b|an\b|in\b|at\b|on\b|for\b|with\b|to\b|as\b|it\b|some\b|around\b|along\b|games?\b|well\b|sports?\b)[a-z]+(?=\s*(?:[.!,;]|$|and\b|every\b|in\b|on\b|with\b|for\b))"
)

Row = tuple[str, str, bool]


def _table(rows: str) -> tuple[re.Pattern[str], dict[str, list[Row]]]:
    """One pattern for all verb phrases, and what each stands for: relation, kind of value, whether it denies."""
    found: dict[str, list[Row]] = {}
    for line in rows.strip().split("\n"):
        words, relation, kind = line.split("|")
        for word in words.split(","):
            found.setdefault(word, []).append((relation.lstrip("-"), kind, relation.startswith("-")))
    longest = sorted(found, key=len, reverse=True)
    return re.compile(r"(?:" + "|".join(word.replace(" ", r"\s+") for word in longest) + r")\b\s+"), found


_VERB, _VERB_ROWS = _table(_VERBS)
_PAST_VERB, _PAST_ROWS = _table(_PAST)
_STATE, _STATE_ROWS = _table(_STATES)
_PAST_STATE, _PAST_STATE_ROWS = _table(_PAST_STATES)
_ADVERBS_BEFORE = re.compile(rf"(?:\s*(?<!\w)(?:have|has)\b|['’]ve\b)?(?P<adverbs>{_ADVERBS})\s*(?<!\w)")
_NOW = re.compile(r"\b(?:now|currently)\b")
_NOW_AFTER = re.compile(r",?\s+(?:now|these\s+days|nowadays|instead)\b")


def read(text: str, subject: Subject, end: int, begins: Begins | None) -> list[Said]:
    """What the predicate after a subject says; nothing where it is none that we know."""
    found = _attribute(text, subject, end, begins) if subject.attribute else []
    for reader in (_is, _was, _has, _perfect, _verb):
        if found:
            break
        found = reader(text, subject, end, begins)
    return [
        said._replace(replaces=said.replaces or _NOW_AFTER.match(text, said.span[1], end) is not None) for said in found
    ]


def begins(text: str, at: int, end: int) -> bool:
    """Whether a predicate begins here: "works at …", "is a …"."""
    return any(pattern.match(text, at, end) for pattern in (_VERB, _PAST_VERB, _IS, _WAS, _NO, _HAS, _TURNED, _PERFECT))


def _value(kind: str, text: str, at: int, end: int, begins: Begins | None) -> Span | None:
    if kind == "noun":
        return phrases.noun(text, at, end, begins)
    if kind == "indefinite":
        return phrases.indefinite(text, at, end, begins)
    if kind == "played":
        match = _PLAYED.match(text, at, end)
        return match.span() if match else None
    if kind == "date":
        return phrases.date(text, at, end)
    reader = {"place": phrases.place, "name": phrases.whole_name, "employer": phrases.employer}[kind]
    return reader(text, at, end, begins)


def _rows(found: re.Match[str], rows: dict[str, list[Row]], text: str, end: int, begins: Begins | None) -> Said | None:
    """The first meaning of a verb phrase whose value fits."""
    for relation, kind, denies in rows[" ".join(found.group().split())]:
        span = _value(kind, text, found.end(), end, begins)
        if span:
            return Said(relation, span, denies)
    return None


def _is(text: str, subject: Subject, end: int, begins: Begins | None) -> list[Said]:
    """Read "is a tower", "isn't married to", "is no longer employed by", "is 34 years old", "is vegetarian"."""
    found = _ISNT.match(text, subject.end, end) or _IS.match(text, subject.end, end)
    if not found:
        return []
    negated = found.re is _ISNT or found["no"] is not None
    at, now = found.end(), found.re is _IS and _NOW.search(found["before"] + found["after"]) is not None
    state = _STATE.match(text, at, end)
    said = _rows(state, _STATE_ROWS, text, end, begins) if state else None
    if said is None:
        said = _copula(text, subject, at, end, begins)
    if said is None or (not subject.person and said.relation not in _IT_MAY | {"is"}):
        return []
    return [said._replace(negated=negated ^ said.negated, replaces=now)] if not (negated and said.negated) else []


def _copula(text: str, subject: Subject, at: int, end: int, begins: Begins | None) -> Said | None:
    years = phrases.age(text, at, end) if subject.person else None
    if years:
        return Said("age", years)
    if subject.attribute and canonical(subject.attribute) in _KINDS and canonical(subject.attribute) != "phone":
        return None  # "my age is a secret" says nothing of an age; "my phone is a Nokia" does, of a thing
    condition = _CONDITION.match(text, at, end)
    span = condition.span() if condition else phrases.described(text, at, end, begins) or _belongs(text, at, end)
    return Said("is", span) if span else None


_BELONGS = re.compile(r"['’]s?\s+(?:[a-z]+|CEO)(?=\s*(?:[.!,;]|$))")


def _belongs(text: str, at: int, end: int) -> Span | None:
    """Read "Bob's sister"."""
    owner = phrases.name(text, at, end)
    found = _BELONGS.match(text, owner[1], end) if owner else None
    return (at, found.end()) if found and is_known(found.group().split()[-1]) else None


def _was(text: str, subject: Subject, end: int, begins: Begins | None) -> list[Said]:
    """Read "was born in", "was written by", "was a painter"."""
    found = _WAS.match(text, subject.end, end)
    if not found:
        return []
    born = _BORN.match(text, found.end(), end)
    if born and subject.person:
        return _born(text, born.end(), end)
    state = _PAST_STATE.match(text, found.end(), end)
    said = _rows(state, _PAST_STATE_ROWS, text, end, begins) if state else None
    if said:
        return [said]
    span = phrases.described(text, found.end(), end, begins)
    return [Said("was", span)] if span else []


def _born(text: str, at: int, end: int) -> list[Said]:
    """A day and a place, in either order."""
    found: dict[str, Said] = {}
    while joint := _IN_ON.match(text, at, end):
        day = phrases.date(text, joint.end(), end)
        span = day or phrases.place(text, joint.end(), end)
        relation = "born on" if day else "born in"
        if span is None or relation in found:
            break
        found[relation], at = Said(relation, span), span[1]
    return list(found.values())


def _has(text: str, subject: Subject, end: int, begins: Begins | None) -> list[Said]:
    """Read "has a dog named Rex"."""
    del begins
    found = _HAS.match(text, subject.end, end)
    span = phrases.whole_name(text, found.end(), end) if found else None
    return [Said(canonical(found["what"]), span)] if found and span else []


def _perfect(text: str, subject: Subject, end: int, begins: Begins | None) -> list[Said]:
    """Read "has lived in Lisbon since 2019", which holds still; without the since, it may be over."""
    found = _PERFECT.match(text, subject.end, end)
    if not found or not subject.person:
        return []
    going = found["verb"].startswith("been")
    verb = found["verb"].split()[-1].replace("ing", "ed")
    row = _PAST_ROWS.get(f"{verb} {found['at']}")
    span = _value(row[0][1], text, found.end(), end, begins) if row else None
    if not row or not span:
        return []
    going = going or _SINCE.match(text, span[1], end) is not None
    return [
        Said(canonical(f"{verb[:-1] if verb == 'lived' else verb[:-2]} {found['at']}") if going else row[0][0], span)
    ]


def _verb(text: str, subject: Subject, end: int, begins: Begins | None) -> list[Said]:
    """Read "lives in", "moved to", "does not work at", "no longer likes", "used to own"."""
    turned = _TURNED.match(text, subject.end, end)
    years = phrases.age(text, turned.end(), end) if turned else None
    if years:
        return [Said("age", years)]
    left = _LEFT.match(text, subject.end, end)
    if left:
        state = _STATE.match(text, left.start("verb"), end)
        said = _rows(state, _STATE_ROWS, text, end, begins) if state else None
        return [said._replace(negated=True)] if said else []
    no, now = _NO.match(text, subject.end, end), False
    if no and no["no"].startswith(_PAST_NO):
        return []
    at = no.end() if no else subject.end
    adverbs = _ADVERBS_BEFORE.match(text, at, end) if not no else None
    if adverbs:
        at, now = adverbs.end(), _NOW.search(adverbs["adverbs"]) is not None
    agrees = (no is not None and no["no"][0] in "du") or subject.first or subject.plural
    said = _present(text, at, end, begins, base=agrees) or (None if no else _past(text, at, end, begins))
    if said is None or (not subject.person and said.relation not in _IT_MAY):
        return []
    return [said._replace(negated=said.negated or no is not None, replaces=said.replaces or now)]


def _present(text: str, at: int, end: int, begins: Begins | None, *, base: bool) -> Said | None:
    """`base`: the verb has to stand without its s. "Sounds like a plan" says nothing of a Sounds."""
    found = _VERB.match(text, at, end)
    if found is None or base == (found.group().split()[0].endswith("s")):
        return None
    return _rows(found, _VERB_ROWS, text, end, begins)


def _past(text: str, at: int, end: int, begins: Begins | None) -> Said | None:
    found = _PAST_VERB.match(text, at, end)
    said = _rows(found, _PAST_ROWS, text, end, begins) if found else None
    return said._replace(replaces=said.relation == "lives in") if said else None


_KINDS = {
    "phone": phrases.phone, "email": phrases.email, "age": phrases.age, "address": phrases.address, "born on": phrases.date,
    "birthday": phrases.date, "died on": phrases.date, "founded in": phrases.date, "name": phrases.whole_name,
    "lives in": phrases.place, "born in": phrases.place, "from": phrases.place, "works at": phrases.employer,
}  # fmt: skip
_IS_AT = re.compile(r"\s*(?:on|in|at)\s+")
_NAME_END = re.compile(r"\s+(?:name|names)$")


def _attribute(text: str, subject: Subject, end: int, begins: Begins | None) -> list[Said]:
    """Read "my phone number is …", "Ana's favourite colour has changed to …"."""
    words = subject.attribute or ""
    found, changed = _IS.match(text, subject.end, end), _CHANGED.match(text, subject.end, end)
    state = _ISNT.match(text, subject.end, end)
    at = next((match.end() for match in (found, state, changed) if match), None)
    if at is None or (words != "name" and text[subject.end : subject.end + 1] in {"'", "’"}):
        return []  # "the voice of Cleveland's MetroHealth": no verb
    negated = state is not None or (found is not None and found["no"] is not None)
    now = found is not None and _NOW.search(found["before"] + found["after"]) is not None
    called = re.compile(r"(?:called|named)\s+").match(text, at, end)
    relation = _NAME_END.sub("", words) if words != "full name" else words
    if called:
        at = called.end()
    span = (
        phrases.whole_name(text, at, end) if called or relation != words else _filling(text, relation, at, end, begins)
    )
    if span is None:
        return []
    return [Said(relation, span, negated, now or changed is not None or words.startswith("new "), attribute=True)]


def _filling(text: str, relation: str, at: int, end: int, begins: Begins | None) -> Span | None:
    """The value of an attribute: of its kind where the kind is known, else a name."""
    name = canonical(relation)
    if name in _KINDS:
        joint = _IS_AT.match(text, at, end) if name in {"born on", "birthday", "lives in", "born in"} else None
        return _KINDS[name](text, joint.end() if joint else at, end)
    if name.startswith("favourite "):
        return phrases.phrase(text, at, end, begins) if not phrases.is_empty(text, at, end) else None
    if name == "works as":
        return phrases.noun(text, at, end, begins)
    span = phrases.whole_name(text, at, end)
    if span is None or (phrases.is_adjective(text[slice(*span)]) and not (is_known(name) and not names_person(name))):
        return None
    return span
