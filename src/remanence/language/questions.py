"""Question–answer pairs by rules: from claims, and from a question turn with its answer turn.

A pair is a key to the text that it comes from, never a replacement: `start` and `end` say where the answer stands. The idea of
a memory of question–answer pairs is that of Chen et al. 2022, arXiv 2204.04581; here no model writes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from remanence.language.dates import has_time_expression
from remanence.language.relations import canonical, is_known, names_person, question
from remanence.language.statements import Claim, claims


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and its answer, with the characters [start, end) of the text that the answer comes from."""

    question: str
    answer: str
    start: int
    end: int


_PEOPLE = re.compile(
    r"(?:an?|the)\s+(?:[\w-]+\s+){0,4}?(?:nurse|doctor|teacher|engineer|writer|novelist|poet|actor|actress|singer|musician|composer"
    r"|painter|artist|politician|lawyer|scientist|physicist|chemist|mathematician|biologist|philosopher|historian|economist"
    r"|journalist|footballer|player|dancer|director|producer|songwriter|guitarist|pianist|student|professor|chef|programmer"
    r"|developer|designer|architect|photographer|athlete|swimmer|runner|coach|soldier|king|queen|emperor|president|bishop"
    r"|priest|farmer|baker|carpenter|electrician|plumber|pilot|sailor|police\s+officer|accountant|psychologist|therapist"
    r"|veterinarian|vet|dentist|pharmacist|author|vegetarian|vegan|woman|man|girl|boy)s?"
    r"(?=$|\s+(?:of|in|at|from|for|and|with|by|on|to|known|born)\b)"
)
_PLURALS = (("does", "do"), ("is", "are"), ("was", "were"), ("has", "have"))
_ASKS = re.compile(
    r"(?:(?:and|so|but|oh|hey|also|well|okay|ok|hi|by the way),?\s+)*"
    r"(?P<word>what|where|when|who|whom|whose|which|how\s+(?:many|much|old|long|often|far|tall)"
    r"|do|does|did|is|are|was|were|have|has|can)\b",
    re.IGNORECASE,
)
_IDLE = re.compile(
    r"\b(?:how\s+are|how\s+is\s+it\s+going|how's|what's\s+up|what\s+about|how\s+about|what\s+do\s+you\s+think|you\s+know|what\s+if|what\s+else"
    r"|anything\s+else|can\s+you|could\s+you|can\s+i|what's\s+new|what's\s+going\s+on|what\s+happened|why|really|who\s+knows|who\s+cares"
    r"|is\s+that\s+so|isn't\s+it|that|this|these|those|it|he|she|they|him|her|them|his|their|its|there|ones?|photos?|pictures?|pics?|images?"
    r"|up\s+to|been\s+up|happening|lately|again|else|next)\b",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"\b(?:don['’]?t\s+(?:know|remember|recall)|do\s+not\s+(?:know|remember)|no\s+idea|not\s+sure|unsure|maybe|perhaps|probably|it\s+depends"
    r"|hard\s+to\s+say|who\s+knows|guess|think|why\s+do\s+you|good\s+question|secret|rather\s+not|can['’]?t\s+say|never\s+mind|haha|lol"
    r"|sorry|me\s+too|joking|kidding|yes\s+and\s+no|kind\s+of|sort\s+of|if)\b",
    re.IGNORECASE,
)
_YES_OR_NO = re.compile(r"(?:yes|yeah|yep|yup|no|nope|nah|of\s+course|never|always|sure|i\s|not\s)", re.IGNORECASE)
_IS_YES_OR_NO = re.compile(r"\s*(?:yes|yeah|yep|no|nope)\b", re.IGNORECASE)
_COUNT = re.compile(
    r"\d|\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|thousand|once|twice|none"
    r"|every|daily|weekly|monthly|yearly|never|always|often|sometimes|an?|years?|months?|weeks?|days?)\b",
    re.IGNORECASE,
)
_HELLO = re.compile(
    r"\s*(?:(?i:(?:oh|well|hey|hi|hello|ah|wow|sure|thanks|thank\ you|good\ question)\b)(?:,?\s+[A-Z][a-z]+)?[,!.]+\s+"
    r"|(?!Yes|No|Yeah|Yep|Nope)[A-Z][a-z]+,\s+(?=I\b)){0,3}"
)
_CALLS_OUT = re.compile(
    r"(?:(?P<word>(?i:yes|yeah|yep|no|nope|hey|hi|thanks|wow)),?\s+)?[A-Z][a-z]+"
)  # "Yeah, John!" only speaks to someone
_FIRST_SENTENCE = re.compile(
    r"(?:[^.!?\n]|\.(?=\w)|(?<=\b[A-Z])\.|(?<=\bDr)\.|(?<=\bSt)\.|(?<=\bMr)\.|(?<=\bMrs)\.){1,200}"
)
_LAST_SENTENCE = re.compile(r"(?:^|[.!?…\n]\s*)([^.!?…\n]{1,160}\?)\s*$")
_LONGEST_TURN = 2000
_MOST_WORDS = (16, 25)  # of the question, of the answer


def pairs(text: str, speaker: str | None = None, about: str | None = None) -> tuple[Pair, ...]:
    """What a text answers by its claims: "Ana lives in Lisbon." gives "Where does Ana live?", "Lisbon".

    `speaker` and `about` are those of `statements.claims`. What the text denies answers nothing.
    """
    found = (_pair(claim) for claim in claims(text, speaker, about) if not claim.negated)
    return tuple(dict.fromkeys(pair for pair in found if pair))


def exchange(question_text: str, answer_text: str) -> Pair | None:
    """A short direct question that ends one turn, with the first sentence of the next turn, if that answers it.

    None where the question needs its context ("What about that?"), asks for small talk, or is one of several; and where
    the answer is unsure, asks back, or is not of the kind asked for (a time for "when", a count for "how many"). "You" stays
    as it was said. The place is that of the answer in `answer_text`.
    """
    if max(len(question_text), len(answer_text)) > _LONGEST_TURN or question_text.count("?") != 1:
        return None
    last = _LAST_SENTENCE.search(question_text)
    asks = _ASKS.match(last[1].strip()) if last else None
    if not last or not asks or _IDLE.search(last[1]) or len(last[1].split()) > _MOST_WORDS[0]:
        return None
    start = (_HELLO.match(answer_text) or last).end()
    answer = _FIRST_SENTENCE.match(answer_text, start)
    if not answer or answer_text[answer.end() : answer.end() + 1] == "?" or _UNSURE.search(answer.group()):
        return None
    words = answer.group().strip()
    if not words or len(words.split()) > _MOST_WORDS[1] or not _fits(" ".join(asks["word"].lower().split()), words):
        return None
    called = _CALLS_OUT.fullmatch(words)
    if called and (called["word"] or answer_text[answer.end() : answer.end() + 1] == "!"):
        return None
    asked = " ".join(last[1].strip()[asks.start("word") :].split())
    begin = answer.start() + len(answer.group()) - len(answer.group().lstrip())
    return Pair(asked[0].upper() + asked[1:], words, begin, begin + len(words))


def _fits(asked: str, answer: str) -> bool:
    """Whether an answer is of the kind that a question word asks for."""
    if asked == "when":
        return has_time_expression(answer) or any(letter.isdigit() for letter in answer)
    if asked.startswith("how "):
        return _COUNT.search(answer) is not None
    if asked in {"do", "does", "did", "is", "are", "was", "were", "have", "has", "can"}:
        return _YES_OR_NO.match(answer) is not None
    return _IS_YES_OR_NO.match(answer) is None


def _pair(claim: Claim) -> Pair | None:
    asked = _question(claim)
    return Pair(asked, claim.fact.value, claim.start, claim.end) if asked else None


def _question(claim: Claim) -> str:
    """The question that a claim answers, or "" where none comes naturally."""
    fact = claim.fact
    if fact.relation in {"is", "was"}:
        return _identity(claim)
    asked = question(fact.relation, fact.subject)
    for one, several in _PLURALS if claim.plural else ():
        asked = re.sub(
            rf" {one} {re.escape(fact.subject)}(?!['’])", f" {several} {fact.subject}".replace("\\", r"\\"), asked
        )
    if not is_known(fact.relation) and not names_person(fact.relation):
        return f"What is the name of {fact.subject}'s {canonical(fact.relation)}?"
    return asked


def _identity(claim: Claim) -> str:
    """As "What is the Eiffel Tower?", "Who was Ada Lovelace?"; for a bare adjective none."""
    fact = claim.fact
    if not re.match(r"(?:an?|the)\s", fact.value):
        return ""
    word = "Who" if _PEOPLE.match(fact.value) else "What"
    verb = {("is", False): "is", ("is", True): "are", ("was", False): "was", ("was", True): "were"}[
        fact.relation, claim.plural
    ]
    return f"{word} {verb} {fact.subject}?"
