"""The names of the steps."""

from __future__ import annotations

WHAT = ("merge", "chains", "sessions", "topics", "profiles")
"""The steps of consolidation, in the order in which they run."""
