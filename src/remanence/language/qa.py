"""Question–answer pairs as text, and how the answer of one makes the next question."""

from __future__ import annotations

import re

from remanence.language.tokens import stems

_QUESTION = re.compile(r"\s*Q:[ \t]*")
_ANSWER_LINE = re.compile(r"\n[ \t]*A:[ \t]*")
_WORD = re.compile(r"[^\W_][\w'’.-]*[^\W_]|[^\W_]")
_HEAD = re.compile(r"(?<![\w-])(?:the\s+)?(?:[\w-]+\s+){1,3}(?:of|from|for|by|in|behind)\s+(?:the\s+)?$", re.IGNORECASE)
_ARTICLE = re.compile(r"\b(?:the|an?)\s+$", re.IGNORECASE)


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
    if run is None or len(shared) == sum(
        bool(own) for _, _, own in words
    ):  # the whole question is known: nothing is left to ask
        return None
    start, end = words[run[0]][0], words[run[1]][1]
    head = _HEAD.search(question, 0, start)
    asks_head = head and not set(stems(head.group())) <= known and head.start() > 0
    article = _ARTICLE.search(question, 0, start)
    start = head.start() if head and asks_head else article.start() if article else start
    left, right = question[:start], question[end:]
    if not stems(left + right):
        return None
    return " ".join(f"{left.rstrip()} {answer} {right.lstrip() if right[:1].isalnum() else right}".split())


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
