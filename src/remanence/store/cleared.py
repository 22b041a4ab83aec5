"""A clearance as a condition of a query: what a caller may not see never leaves the store."""

from __future__ import annotations

import json

from remanence.policies import Clearance

_CONDITION = (
    " AND ({0}.sensitivity IS NULL OR {0}.sensitivity IN (SELECT value FROM json_each(?)))"
    " AND ({0}.access = '[]' OR EXISTS (SELECT 1 FROM json_each({0}.access) a WHERE a.value = ?))"
)

IN_TIME = " AND (c.expires_at IS NULL OR c.expires_at > ?)"
"""A condition on `cubes c`: its time is not up, though no care came by yet. Takes the time that it is, as text."""


def cleared(clearance: Clearance | None, table: str = "c") -> tuple[str, tuple[str, ...]]:
    """A condition to add to a WHERE clause on rows of `cubes`, and its values: what `Clearance.admits` says, in SQL."""
    if clearance is None:
        return "", ()
    return _CONDITION.format(table), (json.dumps(sorted(clearance.labels)), clearance.principal)


def withheld(clearance: Clearance | None, table: str = "c") -> tuple[str, tuple[str, ...]]:
    """The opposite condition: what the caller may not see."""
    if clearance is None:
        return " AND 0", ()
    condition, values = cleared(clearance, table)
    return f" AND NOT (1{condition})", values
