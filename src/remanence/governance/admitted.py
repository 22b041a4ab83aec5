"""What was admitted to a store, and counts there from then on: settings, and a recall profile."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from remanence.errors import StoreDamagedError

if TYPE_CHECKING:
    from remanence.settings import Settings
    from remanence.store.protocol import Store

PROFILE, SETTINGS = "admitted/profile", "admitted/settings"
"""Notes of a store with what was admitted: fields of a recall profile, and settings as {name: [as given then, as admitted]}."""
SWITCHES = ("embedder", "precision", "corroborate", "quarantine")
"""Settings that a change may be about."""


def admitted_settings(store: Store, given: Settings) -> Settings:
    """The settings with what was admitted to this store, as long as the caller says what they said at that time.

    Raises
    ------
    StoreDamagedError
        What the store keeps is malformed.
    """
    text = store.note(SETTINGS)
    if text is None:
        return given
    try:
        found = {
            name: new
            for name, (was, new) in json.loads(text).items()
            if name in SWITCHES and getattr(given, name) == was
        }
        return replace(given, **found)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise StoreDamagedError(
            f"The admitted settings are malformed: {error}.", "Roll the change back, or restore a backup."
        ) from error


def admitted_profile(store: Store) -> dict[str, float]:
    """The fields of the recall profile that were admitted to this store; raises as `admitted_settings`."""
    try:
        return dict(json.loads(store.note(PROFILE) or "{}"))
    except (ValueError, TypeError, RecursionError) as error:
        raise StoreDamagedError(
            f"The admitted profile is malformed: {error}.", "Roll the change back, or restore a backup."
        ) from error
