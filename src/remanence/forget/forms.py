"""What became of what was erased, form by form: text, caches, weights. Exact, approximate with figures, or not reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from remanence.forget.probe import Verdict
from remanence.store.erasure import Survey

Mode = Literal["exact", "approximate", "not reached"]
FORMS = ("text", "activation", "parametric")


@dataclass(frozen=True, slots=True)
class Figure:
    """One probe of a model, beside models that never saw what was erased."""

    name: str
    statistic: str
    """What the numbers are: a share of facts, a rank, steps."""
    n: int
    """Facts that were probed."""
    before: float | None
    """With the adapter that was erased; None where it could not be opened."""
    after: float | None
    control: float | None
    """The mean of the models that never saw it."""
    low: float | None
    high: float | None
    """The interval of those models."""
    verdict: Verdict
    words: str = ""


@dataclass(frozen=True, slots=True)
class FormReport:
    """What became of one form of what was erased."""

    form: str
    """text, activation or parametric."""
    copies: int
    """Memories, caches or adapters that held it."""
    mode: Mode
    how: str
    """What was done."""
    rebuilt: tuple[str, ...] = ()
    """Ids of what was made anew without it."""
    figures: tuple[Figure, ...] = ()


def report_of(data: Mapping[str, Any]) -> FormReport:
    """The inverse of `asdict`; KeyError or TypeError where it is malformed."""
    figures = tuple(Figure(**one | {"verdict": Verdict(one["verdict"])}) for one in data["figures"])
    said: dict[str, Any] = {**data, "rebuilt": tuple(data["rebuilt"]), "figures": figures}
    return FormReport(**said)


Reform = Callable[[Survey], Sequence[FormReport]]
"""Called when rows and files are gone: probes, and makes anew what can be. Returns what to report of caches and weights."""


def reports(survey: Survey, files_left: int, reformed: Sequence[FormReport]) -> tuple[FormReport, ...]:
    """One report for each form that there was; nothing where there was text only."""
    if not survey.payloads:
        return ()
    texts = sum(target.substrate not in {"caches", "adapters"} for target in survey.targets)
    found = [FormReport("text", texts, "exact", "rows erased, file rewritten")]
    caches = sum(target.substrate == "caches" for target in survey.targets)
    if caches:
        how = "files overwritten and removed; no model holds anything of them"
        found.append(FormReport("activation", caches, "not reached" if files_left else "exact", how))
    return (*found, *reformed)
