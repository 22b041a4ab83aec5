"""SuRe: answer candidates, a summary for each, and a choice between them by what the summaries are worth.

Source: Kim et al., SuRe: Summarizing Retrievals using Answer Candidates for Open-domain QA of LLMs, ICLR 2024, arXiv
2404.13081. Seven calls: one for two candidates, two for their summaries, two for the summaries' validity, and two for their
ranking, once in each order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from remanence.answer.asking import Asking, Reading
from remanence.answer.plain import UNANSWERABLE
from remanence.models.language import Prompt
from remanence.models.prompts import quoted, render

_CANDIDATES = re.compile(r"\(\s*a\s*\)(?P<a>.*?)\(\s*b\s*\)(?P<b>.*)", re.IGNORECASE | re.DOTALL)
_LABEL = re.compile(r"\A\s*(?:\(\s*[ab]\s*\)|answer\s*:)\s*", re.IGNORECASE)
_TRUTH = re.compile(r"\b(true|false)\b", re.IGNORECASE)
_CHOICE = re.compile(r"\b([12])\b")
_WORD_TOKENS, _CANDIDATE_TOKENS, _SUMMARY_TOKENS = 8, 48, 320
_TIE = (0.5, 0.5)

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Resolved:
    """What SuRe decided."""

    answer: str
    """The winning candidate; empty where the model found the question unanswerable."""
    rationale: str
    """The summary that speaks for it."""
    candidates: tuple[str, ...] = ()
    valid: tuple[bool, ...] = ()
    """Whether each summary was judged to support its candidate; empty for a single candidate."""
    scores: tuple[float, ...] = ()
    """What the decision compared; empty for a single candidate."""


def resolve(asking: Asking, reading: Reading) -> Resolved:
    """Run SuRe over what was packed. Calls that do not wait for each other run side by side.

    One candidate, because the model gave one, the same one twice, or nothing that can be read as two, is the answer: its
    summary is still asked for, and there is nothing to compare.

    Raises
    ------
    EndpointError, BrokenAnswerError
        As `LanguageModel.generate`.
    """
    asked = replace(reading.prompt("sure_candidates"), max_tokens=_CANDIDATE_TOKENS)
    candidates = parse_candidates(asking.ask(asked).text)
    if not candidates:
        return Resolved("", "")
    choices = " ".join(f"({label}) {text}" for label, text in zip("ab", candidates, strict=False))
    summaries = [
        completion.text.strip()
        for completion in asking.ask_all(
            [
                replace(
                    reading.prompt("sure_summary", choices=quoted(choices), prediction=quoted(one)),
                    max_tokens=_SUMMARY_TOKENS,
                )
                for one in candidates
            ]
        )
    ]
    if len(candidates) == 1:
        return Resolved(candidates[0], summaries[0], candidates)
    judged = asking.ask_all([*_validity(reading, candidates, summaries), *_ranking(reading, summaries)])
    valid = (is_true(judged[0].text), is_true(judged[1].text))
    scores = decide(ranked(judged[2].text, judged[3].text), valid)
    winner = 0 if scores[0] >= scores[1] else 1
    return Resolved(candidates[winner], summaries[winner], candidates, valid, scores)


def parse_candidates(text: str) -> tuple[str, ...]:
    """Two candidates, or a single one where the text does not hold two different ones; none for UNANSWERABLE or nothing."""
    if re.match(rf"\W*{UNANSWERABLE}\b", text, re.IGNORECASE):
        return ()
    match = _CANDIDATES.search(text)
    found = [_tidy(match["a"]), _tidy(match["b"])] if match else [_tidy(_LABEL.sub("", text))]
    return tuple({one.casefold(): one for one in reversed(found) if one}.values())[::-1]


def is_true(text: str) -> bool:
    """Whether a judgement says True first; anything that says neither counts as False."""
    match = _TRUTH.search(text)
    return match is not None and match[1].lower() == "true"


def ranked(in_order: str, swapped: str) -> Pair:
    """The rank vector of two comparisons, the second with the passages exchanged: the passage preferred in both gets 1, else a tie."""
    first, second = _CHOICE.search(in_order), _CHOICE.search(swapped)
    if first is None or second is None or first[1] == second[1]:
        return _TIE
    return (1.0, 0.0) if first[1] == "1" else (0.0, 1.0)


def decide(rank: Pair, valid: tuple[bool, bool]) -> Pair:
    """The scores of both candidates: with exactly one valid, half of the rank and half for that one; else the rank. A tie goes to the first."""
    if valid[0] == valid[1]:
        return rank
    return (0.5 * rank[0] + 0.5 * valid[0], 0.5 * rank[1] + 0.5 * valid[1])


def _validity(reading: Reading, candidates: tuple[str, ...], summaries: list[str]) -> list[Prompt]:
    return [
        _short(reading, "sure_valid", prediction=quoted(one), passage=quoted(summary))
        for one, summary in zip(candidates, summaries, strict=True)
    ]


def _ranking(reading: Reading, summaries: list[str]) -> list[Prompt]:
    first, second = map(quoted, summaries)
    return [
        _short(reading, "sure_rank", first=first, second=second),
        _short(reading, "sure_rank", first=second, second=first),
    ]


def _short(reading: Reading, name: str, **values: str) -> Prompt:
    turns = render(name, question=quoted(reading.question), **values)
    return reading.about(Prompt(turns=turns, max_tokens=_WORD_TOKENS))


def _tidy(text: str) -> str:
    return " ".join(text.split()).strip(" .,;:\"'“”")
