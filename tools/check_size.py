"""Files and functions stay small: one idea each. Fails above the limits; raising one takes a note in decisions/."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

FILE, FUNCTION = 400, 60
FACADE = {"src/remanence/memory.py": 660}  # one documented call for each thing Memory does, and nothing else
ROOT = Path(__file__).parents[1]


def main() -> int:
    problems = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT)
        limit = FACADE.get(name.as_posix(), FILE)
        if (lines := text.count("\n")) > limit:
            problems.append(f"{name}: {lines} lines, the limit is {limit}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1
                if length > FUNCTION:
                    problems.append(f"{name}:{node.lineno} {node.name}: {length} lines, the limit is {FUNCTION}")
    print("\n".join(problems) or "every file and function is within its size")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
