"""A machine on which a cache can pay, and workloads on it."""

from __future__ import annotations

from typing import Any

import pytest

from remanence.scheduling.cost import Machine, Terms, Workload

MACHINE = Machine(
    prefill=1e-3, quadratic=1e-7, decode=2e-3, load=1e-8, opening=1e-3, write=5e-9, hash=1e-9, embed=1e-4, train=4e-3,
    bytes_per_token=10_000, adapter_bytes=500_000, context=4096,
)  # fmt: skip


def working(*ids: str, **changes: Any) -> Workload:
    """A workload of a hundred tokens, ten reads a day, settled, and without corrections."""
    given = {
        "tokens": 100, "bytes_per_token": 10_000, "adapter_bytes": 500_000, "reads": 10.0, "age": 30.0,
    }  # fmt: skip
    return Workload(ids=ids or ("a",), **given | changes)


@pytest.fixture
def machine() -> Machine:
    return MACHINE


@pytest.fixture
def terms() -> Terms:
    return Terms()


@pytest.fixture(scope="session")
def work():
    return working
