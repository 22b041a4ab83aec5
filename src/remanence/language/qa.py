"""Question–answer pairs as text, and how the answer of one makes the next question."""

from __future__ import annotations

import re

from remanence.language.tokens import stems

EXCHANGED = "pairs/exchange/1"
"""Method of a pair made of a question in one turn and the reply in the next: nobody has checked that the one answers the other."""
_QUESTION = re.compile(r"\s*Q:[ \t]*")
_ANSWER_LINE = re.compile(r"\n[ \t]*A:[ \t]*")
_WORD = re.compile(r"[^\W_][\w'’.-]*[^\W_]|[^\W_]")
_ARTICLE = re.compile(r"\b(?:the|an?)\s+$", re.IGNORECASE)

_ASKS_WHO = re.compile(r"\W*(?:who|whom|what|which)\b", re.IGNORECASE)
_ARTICLES = frozenset({"the", "a", "an"})
_JOINING = frozenset({"of", "from", "for", "by", "in", "behind"})
_HEAD_WORDS = 3
_STEM = 3  # letters of the shortest verb that a noun is made from: "own", "owner"
_DOERS = {
    verb: frozenset(stem for noun in nouns.split() for stem in stems(noun))
    for verb, nouns in (
        ("write", "author writer novelist poet"),
        ("make", "maker creator manufacturer"),
        ("marri", "wife husband spouse"),
        ("found", "founder"),
        ("star", "star lead actor actress"),
        ("play", "actor actress"),
        ("compos", "composer"),
        ("creat", "creator author maker"),
        ("own", "owner"),
        ("win", "winner"),
        ("rule", "ruler king queen emperor"),
    )
}
"""Who does what a verb says, by the verb's stem, where the noun does not begin with it."""


def qa_text(question: str, answer: str) -> str:
    """The text of a cube of kind `qa`: `Q: …`, a line break, `A: …`. The question becomes one line, the answer keeps its own."""
    return f"Q: {' '.join(question.split())}\nA: {answer.strip()}"


def parse_qa(text: str) -> tuple[str, str] | None:
    """Question and answer out of such a text, also where the question has several lines; None where it is no such text.

    The answer starts at the first line that begins with `A:`; lines like that below it are part of the answer.
    """
    start = _QUESTION.match(text)
    middle = _ANSWER_LINE.search(text, start.end()) if start else None
    if not start or not middle:
        return None
    question, answer = text[start.end() : middle.start()].strip(), text[middle.end() :].strip()
    return (question, answer) if question and answer else None


def bridged(question: str, known_question: str, answer: str) -> str | None:
    """A question with the part that another one asks for replaced by its answer; None where they share no such part.

    "Where was the author of Dead Ernest born?", "Who wrote Dead Ernest?", "P. A. Taylor" gives "Where was P. A. Taylor born?".
    The step from one pair to the next, as in QAMAT's second round (arXiv 2204.04581, section 3.4), in words instead of vectors.
    """
    known = set(stems(known_question))
    words = [(match.start(), match.end(), stems(match.group())) for match in _WORD.finditer(question)]
    shared = [place for place, (_, _, own) in enumerate(words) if own and set(own) <= known]
    run = _longest(words, shared)
    if run is None or len(shared) == sum(bool(own) for _, _, own in words):  # nothing shared, or nothing left to ask
        return None
    held = {stem for _, _, own in words[run[0] : run[1] + 1] for stem in own}
    missing = known - held
    start, end = words[run[0]][0], words[run[1]][1]
    if missing:
        head = _head(question, words, run[0])
        if head is None or not _ASKS_WHO.match(known_question) or not all(_means(stem, head[1]) for stem in missing):
            return None
        start = head[0]
    article = _ARTICLE.search(question, 0, start)
    start = article.start() if article else start
    left, right = question[:start], question[end:]
    if not stems(left + right):
        return None
    return " ".join(f"{left.rstrip()} {answer.strip()}{right}".split())


def _head(question: str, words: list[tuple[int, int, list[str]]], place: int) -> tuple[int, set[str]] | None:
    """What is said of the shared part before it, "director of" in "the director of Dust": its start and its stems."""
    at = place - 1
    while at >= 0 and not words[at][2] and question[words[at][0] : words[at][1]].lower() in _ARTICLES:
        at -= 1
    if at < 1 or question[words[at][0] : words[at][1]].lower() not in _JOINING or not words[at - 1][2]:
        return None
    first = at - 1
    while first and at - first < _HEAD_WORDS and words[first - 1][2]:
        first -= 1
    if first and question[words[first - 1][0] : words[first - 1][1]].lower() not in _ARTICLES:
        first = at - 1  # no article says where it begins
    return words[first][0], {stem for _, _, own in words[first:at] for stem in own}


def _means(verb: str, nouns: set[str]) -> bool:
    """Whether one of some nouns names who or what does what a verb says: "directed" and "director"."""
    return any(
        noun in _DOERS.get(verb, ()) or (min(len(noun), len(verb)) >= _STEM and noun.startswith(verb)) for noun in nouns
    )


def _longest(words: list[tuple[int, int, list[str]]], shared: list[int]) -> tuple[int, int] | None:
    """First and last of the run of shared words, small words between them allowed, that has the most of them."""
    best: tuple[int, int, int] | None = None
    begun = 0
    for place in range(len(shared)):
        if place and any(words[between][2] for between in range(shared[place - 1] + 1, shared[place])):
            begun = place
        size = place - begun + 1
        if best is None or size >= best[0]:
            best = (size, shared[begun], shared[place])
    return None if best is None else (best[1], best[2])
