"""LoCoMo's observations: what a model wrote down of each turn, as statements by the turn's key. Not part of the project."""

from __future__ import annotations

import json
import re
from pathlib import Path

from data import folder

_TURN = re.compile(r"D:?(\d+):(\d+)")


def observations(path: Path | None = None) -> dict[str, dict[str, list[str]]]:
    """Sample id → turn key (`D1:3`, as `data.locomo` writes it in `meta["key"]`) → statements, in the order of the file."""
    path = path or folder() / "locomo-dev" / "locomo-dev.json"
    return {sample["sample_id"]: of_sample(sample) for sample in json.loads(path.read_text(encoding="utf-8"))}


def of_sample(sample: dict) -> dict[str, list[str]]:
    """One conversation's. A statement made of several turns stands at each of them; one that names no turn is left out.

    The field is {"session_1_observation": {speaker: [[statement, key or keys], …]}}. Keys come as "D1:3", as a list of
    these, or as one text with several, such as "D8:6; D9:17" or "D:11:26".
    """
    found: dict[str, list[str]] = {}
    for session in sample.get("observation", {}).values():
        for statements in session.values() if isinstance(session, dict) else ():
            for statement, keys in statements:
                for key in dict.fromkeys(turns(keys)):
                    found.setdefault(key, []).append(statement)
    return found


def turns(keys: str | list) -> list[str]:
    """The turn keys in a field, repaired: `D:11:026` is `D11:26`."""
    texts = [keys] if isinstance(keys, str) else [key for key in keys if isinstance(key, str)]
    return [f"D{int(session)}:{int(turn)}" for text in texts for session, turn in _TURN.findall(text)]
