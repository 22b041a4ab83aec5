"""The front door: public names, what importing them loads, how much an installation brings."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import Requirement

import remanence


def test_public_names_are_sorted_and_there() -> None:
    assert list(remanence.__all__) == sorted(remanence.__all__)
    assert set(remanence.__all__) == {
        "Answer", "Citation", "Extraction", "Fact", "Form", "Hit", "Hits", "Kind", "MemCube", "Memory", "Page", "Plan", "Policy",
        "Provenance", "Reason", "Receipt", "RemanenceError", "Route", "Routed", "Scope", "Settings", "State", "Stats",
        "Trigger", "Trust", "Why",
    }  # fmt: skip
    for name in remanence.__all__:
        assert getattr(remanence, name).__doc__, name


def test_importing_loads_nothing_heavy() -> None:
    code = "import remanence, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    heavy = {"numpy", "onnxruntime", "torch", "transformers", "tokenizers", "rich", "urllib3", "starlette", "asyncio"}
    assert not loaded & heavy
    assert {"remanence", "sqlite3"} <= loaded


def test_a_recall_loads_no_torch() -> None:
    code = (
        "import sys; from remanence import Memory, Settings\n"
        "with Memory(':memory:', Settings(embedder='hashing')) as m: m.add('a text'); m.recall('a text')\n"
        "print(*sorted(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "onnx", "tokenizers", "rich", "urllib3", "onnxruntime"} & set(loaded)


def test_the_core_installs_at_most_fifteen_distributions() -> None:
    found: set[str] = set()

    def walk(name: str) -> None:
        name = re.sub(r"[-_.]+", "-", name).lower()
        if name in found:
            return
        found.add(name)
        try:
            wanted = requires(name) or []
        except PackageNotFoundError:
            return  # a requirement of another platform
        for wish in map(Requirement, wanted):
            if wish.marker is None or wish.marker.evaluate({"extra": ""}):
                walk(wish.name)

    walk("remanence")
    assert {"numpy", "onnxruntime", "rich"} <= found
    assert len(found - {"remanence"}) <= 15, sorted(found)
