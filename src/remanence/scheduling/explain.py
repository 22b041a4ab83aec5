"""Every number that led to a decision: as JSON, and as rows of a table."""

from __future__ import annotations

import math
from typing import Any

from remanence.cubes import Form
from remanence.scheduling.choose import Choice, Plan
from remanence.scheduling.cost import Machine, Terms

_COLUMNS = ("memories", "tokens", "reads/day", "text", "cache", "weights", "bytes", "from", "to", "why")
"""Of `rows`; text, cache and weights are seconds a day."""


def action(choice: Choice) -> str:
    """What is done: stay, derive a form, drop what is there, or replace it."""
    if choice.derive is None:
        return "drop" if choice.drop else "stay"
    verb = "replace by" if choice.drop else "derive"
    return f"{verb} {choice.derive.value}"


def reason(choice: Choice) -> str:
    """Why, in words, with the numbers that decided."""
    if choice.held:
        return choice.held
    costs, work = choice.costs, choice.work
    if choice.crowded:
        return "a file would pay, and the quota has no room for it: others save more per byte"
    if choice.form is Form.TEXT:
        if refused := "; ".join(f"{one.form}: {one.refused}" for one in costs.values() if one.refused):
            return f"{_rate(work.reads)}, {_cache_from(choice)}; {refused}"
        return f"{_rate(work.reads)}, {_cache_from(choice)}"
    return f"{_rate(work.reads)}, {_cache_from(choice)}; saves {choice.saved:.3g} s a day"


def explained(plan: Plan, machine: Machine, terms: Terms) -> dict[str, Any]:
    """The plan with all that it was made of, as JSON types; infinite numbers are None."""
    return {
        "machine": machine.to_json(), "terms": terms.to_json(), "quota": plan.quota, "bytes": plan.size,
        "seconds_per_day": plan.seconds, "gap": plan.gap,
        "choices": [_choice(one) for one in plan.choices],
    }  # fmt: skip


def columns() -> tuple[str, ...]:
    """The names of the columns of `rows`."""
    return _COLUMNS


def rows(plan: Plan) -> list[tuple[str, ...]]:
    """One row per workload, those that something is done with first, then by what they cost as text."""
    ordered = sorted(plan.choices, key=lambda one: (action(one) == "stay", -one.costs[Form.TEXT].seconds))
    return [_row(one) for one in ordered]


def _row(choice: Choice) -> tuple[str, ...]:
    work = choice.work
    name = work.ids[0] if len(work.ids) == 1 else f"{work.ids[0]} +{len(work.ids) - 1}"
    prices = (f"{one.seconds:.3g}" + ("×" if one.refused else "") for one in choice.costs.values())
    return (
        name, f"{work.tokens:,}", f"{work.reads:.3g}", *prices, f"{choice.size:,}", work.current.value, action(choice),
        reason(choice),
    )  # fmt: skip


def _choice(choice: Choice) -> dict[str, Any]:
    work = choice.work
    return {
        "ids": list(work.ids), "tokens": work.tokens, "bytes_per_token": work.bytes_per_token,
        "reads_per_day": work.reads, "corrections_per_day": work.corrections, "age_days": work.age,
        "days_left": _finite(work.left), "days_seen": _finite(work.seen), "days_since_moved": _finite(work.moved), "failures": work.failures,
        "clear": work.clear, "disputed": work.disputed, "pinned": work.pinned,
        "artefacts": {form.value: one for form, one in work.artefacts.items()}, "report": dict(work.report),
        "forms": {
            form.value: {
                "seconds_per_day": one.seconds, "bytes": one.size, "parts": dict(one.parts), "refused": one.refused,
            }
            for form, one in choice.costs.items()
        },
        "break_even": {
            "reads_per_day": _finite(choice.breaks_even.per_day), "reuses": _finite(choice.breaks_even.reuses),
        },
        "from": work.current.value, "to": choice.form.value, "action": action(choice), "saved": choice.saved,
        "held": choice.held, "crowded": choice.crowded, "why": reason(choice),
    }  # fmt: skip


def _rate(reads: float) -> str:
    return f"{reads:.3g} reads a day"


def _cache_from(choice: Choice) -> str:
    found = choice.breaks_even
    if math.isinf(found.reuses):
        return "a cache takes longer to load than to compute"
    return f"a cache pays from {found.per_day:.3g}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
