"""Commands: forgetting and receipts."""

from __future__ import annotations

from typing import Any

from remanence.commands.command import Command

ARGUMENTS: dict[str, dict[str, Any]] = {}
COMMANDS: dict[str, Command] = {}
