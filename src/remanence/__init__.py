"""Remanence: a memory operating system for language-model applications.

::

    from remanence import Memory

    with Memory("life.rem") as memory:
        memory.add("The office moved to Lisbon in May 2024.")
        print(memory.recall("Where is the office?")[0].cube.text)
"""

from remanence.cubes import (
    Answer,
    Citation,
    Extraction,
    Fact,
    Form,
    Hit,
    Hits,
    Kind,
    MemCube,
    Page,
    Provenance,
    Reason,
    Route,
    Routed,
    Scope,
    State,
    Why,
)
from remanence.errors import RemanenceError
from remanence.forget.plan import Plan
from remanence.forget.receipt import Receipt
from remanence.memory import Memory
from remanence.policies import Policy, Trigger, Trust
from remanence.settings import Settings
from remanence.stats import Stats

__all__ = [
    "Answer",
    "Citation",
    "Extraction",
    "Fact",
    "Form",
    "Hit",
    "Hits",
    "Kind",
    "MemCube",
    "Memory",
    "Page",
    "Plan",
    "Policy",
    "Provenance",
    "Reason",
    "Receipt",
    "RemanenceError",
    "Route",
    "Routed",
    "Scope",
    "Settings",
    "State",
    "Stats",
    "Trigger",
    "Trust",
    "Why",
]
