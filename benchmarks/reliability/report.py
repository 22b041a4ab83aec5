"""Results in, a page out."""
from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def keep(name: str, result: dict[str, Any], started: float) -> int:
    """Write one result as JSON beside the others, and print it. Returns the exit code: 1 where something was found."""
    RESULTS.mkdir(exist_ok=True)
    result["seconds"] = round(time.monotonic() - started)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    json.dump(result, sys.stdout, indent=1)
    print()
    return int(bool(result["problems"]))
