"""Benchmarks are scripts in folders of their own: a test imports them from there."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def reliability(monkeypatch) -> Callable[[str], ModuleType]:
    """Import a module of benchmarks/reliability."""
    monkeypatch.syspath_prepend(BENCHMARKS / "reliability")
    return import_module


@pytest.fixture
def watched_disk(reliability) -> ModuleType:
    """The module that watches the disk, or a skip where this Python does not let it."""
    disk = reliability("disk")
    if missing := disk.available():
        pytest.skip(missing)
    return disk
