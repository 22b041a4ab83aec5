"""All parts of the reliability report, and the page that is made of their results.

    python benchmarks/reliability/report.py                  docs/reliability.md from the results that are there
    python benchmarks/reliability/report.py --run            run every part first
    python benchmarks/reliability/report.py --run --quick    small runs; the page goes to the screen, the results nowhere

A number of the page comes from `results/NAME.json` and from nowhere else. A part without a result is named as missing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reliability.md"
_RESULTS = "RELIABILITY_RESULTS"  # environment variable: another folder for results
Lines = Iterator[str]


def results() -> Path:
    """The folder of the results."""
    return Path(os.environ.get(_RESULTS, HERE / "results"))


def made(seconds: float) -> dict[str, Any]:
    """With what, when, and how long a result was made."""
    return {
        "date": datetime.now(UTC).date().isoformat(), "remanence": tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"],
        "python": platform.python_version(), "sqlite": sqlite3.sqlite_version, "seconds": round(seconds),
    }  # fmt: skip


def keep(name: str, result: dict[str, Any], started: float) -> int:
    """Write one result beside the others, and print it. Returns the exit code: 1 where something was found."""
    whole = {"made": made(time.monotonic() - started), "result": result}
    text = json.dumps(whole, indent=1, ensure_ascii=False)
    results().mkdir(exist_ok=True)
    (results() / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return int(bool(result["problems"]))


# ── the parts ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Part:
    """One part of the report."""

    name: str
    title: str
    script: str
    full: tuple[str, ...]
    quick: tuple[str, ...]
    page: Callable[[Mapping[str, Any]], Lines]
    out: str = ""
    """The option that takes the name of the result's file; "-" for a result on standard output; empty for `keep`."""


def _rows(rows: Mapping[str, Any], head: str = "") -> Lines:
    yield f"| {head} | |"
    yield "|---|---|"
    for name, value in rows.items():
        yield f"| {name} | {_number(value)} |"
    yield ""


def _number(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _found(problems: list[Any]) -> Lines:
    yield f"Found: {len(problems)}." if problems else "Found: nothing."
    yield ""
    for problem in problems[:20]:
        yield f"- `{problem}`"
    if problems:
        yield ""


def _crash(result: Mapping[str, Any]) -> Lines:
    yield (
        "A process does random work on a store and says when each operation is done. It is killed (SIGKILL) at a random moment, or at a "
        "random call of the disk, in half a write too. Then the store is opened again. All that was acknowledged has to be there, the "
        "operation in flight has left all or nothing of each of its transactions, `verify` is clean, recall agrees with an index derived "
        "anew, no byte of what was forgotten is left, and the same call again ends the work."
    )
    yield ""
    kills, left = result["kills"], result["cut off"]
    yield from _rows(
        {
            "trials": result["trials"], "operations acknowledged": result["acknowledged"],
            **{f"killed {name}" if name.startswith("at") else name: count for name, count in kills.items()},
            **{f"operations in flight that left {name}": count for name, count in left.items()},
            "backups and exports opened again": result["copies"], "trials that lost something or failed a check": len(result["problems"]),
        }
    )  # fmt: skip
    yield "Operations: " + ", ".join(f"{name} {count:,}" for name, count in result["operations"].items()) + "."
    yield ""
    yield from _found(result["problems"])


def _faults(result: Mapping[str, Any]) -> Lines:
    yield (
        "Each kind of work is done once to count what it asks of the disk: opening, writing, syncing, truncating, deleting, renaming, by "
        "SQLite and by Python. Then it is done again for each of these calls and each fault, on a fresh copy of one store. The work has to "
        "raise one of our errors or to be done in full; what was there before is there; `verify` is clean; the same process goes on, and so "
        "does the next; the same call again ends the work. After a power failure the disk holds what was synced and any part of the rest, "
        "sector by sector, in any order."
    )
    yield ""
    yield from _rows(
        {"calls of the disk": result["points"], "faults injected": result["injected"], **result["by fault"]}
    )
    if result["every"] > 1:
        yield f"Every {result['every']}th call was tried."
        yield ""
    yield from _rows(result["calls"], "calls tried, by work")
    yield from _rows(result["outcomes"], "what the work raised, what it had left")
    yield from _found(result["problems"])


def _histories(result: Mapping[str, Any]) -> Lines:
    yield (
        "Several processes work on one file and write down when they asked, when they were answered, and what. A checker looks in the merged "
        "history for what no store that does one thing after another could have answered: lost updates, stale reads, reads that go backwards "
        "or come from the future, reads across spaces, memories that come back, memories missing from a list, torn batches, own writes not "
        "recalled, one idempotency key used twice. Each of these was put into a history by hand to see that the checker finds it "
        "(`tests/benchmarks/test_histories.py`)."
    )
    yield ""
    yield from _rows(
        {
            "processes": result["processes"], "operations": result["operations"], **result["raced"],
            "`verify` clean afterwards": result["verified"], "anomalies": result["anomalies"],
        }
    )  # fmt: skip
    yield "Operations: " + ", ".join(f"{name} {count:,}" for name, count in result["by operation"].items()) + "."
    yield ""
    yield from _found(result["problems"])


def _files(result: Mapping[str, Any]) -> Lines:
    yield (
        f"{len(result['files'])} files of formats 1 to {len(result['files'])} are opened by this release: `verify` is clean, the export is the one that is kept "
        "beside each, recall answers, and the store takes every kind of work. Then single bytes of the newest one are changed, one per copy. "
        "The process must not crash, and where a row of any table reads otherwise than before, `verify` or the reading has to say so."
    )
    yield ""
    yield from _rows({"bytes changed": result["flips"], **result["outcomes"]})
    noticed = result["noticed of those with an effect"]
    yield f"Of the changes that had an effect, {'none was tried' if noticed is None else f'{100 * noticed:.1f} % were noticed'}."
    if result["unnoticed by table"]:
        some = ", ".join(f"{name} {count}" for name, count in result["unnoticed by table"].items())
        yield (
            f"The others lay in tables that nothing can be held against in full ({some}): caches, notes, the access log, the list of idempotency keys, and "
            "vectors of readings, of which `verify` embeds some again and passes small differences."
        )
    yield ""
    yield from _found(result["problems"])


def _tenants(result: Mapping[str, Any]) -> Lines:
    yield (
        "Many spaces hold nearly the same texts. Every way to read is called by every principal with ids and questions of the others; what "
        "comes back is searched for words that only the others have."
    )
    yield ""
    some = {name: value for name, value in result.items() if isinstance(value, int) and name != "seed"}
    yield from _rows(some)
    yield from _rows(result.get("by call", {}), "calls, by kind")
    yield from _found(result.get("first leaks", []))


def _tamper(result: Mapping[str, Any]) -> Lines:
    yield (
        "The journal, its signed checkpoints and its export are changed in every way that is listed, by somebody who can write the file. "
        "`remanence audit verify` has to notice each change."
    )
    yield ""
    yield "| what was changed | changes | not noticed |"
    yield "|---|---|---|"
    for kind, row in result.items():
        yield f"| {kind} | {row['tried']:,} | {len(row['missed'])} |"
    yield ""
    yield from _found([missed for row in result.values() for missed in row["missed"]])


def _plain(result: Mapping[str, Any]) -> Lines:
    """A result of any shape: its numbers, and the numbers one level below."""
    yield from _rows({name: value for name, value in result.items() if isinstance(value, int | float | str)})
    for name, value in result.items():
        if isinstance(value, dict) and all(isinstance(one, int | float) for one in value.values()) and value:
            yield from _rows(value, name)
    problems = result.get("first problems", result.get("problems"))
    if isinstance(problems, list):
        yield from _found(problems)


def _erasures(result: Mapping[str, Any]) -> Lines:
    yield (
        "A store with corrections, readings, pairs, summaries, shares and cached answers is told to forget, by ids, a query, a source, a user or "
        "a space. Each memory holds words that nothing else holds; a list of them is kept outside. After each erasure the bytes of the file and "
        "its log, every table, and what the store still answers are searched for all that is gone, beyond what the receipt names as left."
    )
    yield ""
    yield from _plain(result)


def _poison(result: Mapping[str, Any]) -> Lines:
    yield "Attacks on a memory by what it is told, with each defence alone and all together; see `docs/trust.md`."
    yield ""
    modes = list(dict.fromkeys(row["mode"] for row in result["rows"]))
    yield "| defence | attacks | held back | recalled | answered | right answers |"
    yield "|---|---|---|---|---|---|"
    for mode in modes:
        some = [row for row in result["rows"] if row["mode"] == mode]
        total = sum(row["attacks"] for row in some)
        shares = [sum(row[name] for row in some) / total for name in ("held", "retrieved", "answered", "right")]
        yield f"| {mode} | {total:,} | " + " | ".join(f"{share:.2f}" for share in shares) + " |"
    yield ""


PARTS = (
    Part("crash", "Crashes", "reliability/crash.py", (), ("--trials", "25"), _crash),
    Part("faults", "Faults of the disk", "reliability/faults.py", (), ("--every", "25"), _faults),
    Part("histories", "Many processes", "reliability/histories.py", (), ("--processes", "4", "--operations", "600"), _histories),
    Part("tenants", "Spaces and principals", "reliability/tenants.py", (), ("--spaces", "6", "--calls", "600"), _tenants, "-"),
    Part("tamper", "Edits of the journal", "reliability/tamper.py", (), ("--quick",), _tamper, "--out"),
    Part("erasures", "Erasures", "reliability/erasures.py", (), ("--erasures", "20"), _erasures, "-"),
    Part("files", "Files of every format, and damaged ones", "reliability/files.py", (), ("--flips", "200"), _files),
    Part("poison", "Poisoned memories", "poison.py", (), ("--attacks", "4", "--base", "100", "--embedder", "hashing"), _poison, "--json"),
)  # fmt: skip


# ── running, and the page ────────────────────────────────────────────────────────────────────────────────────────────


def run(part: Part, *, quick: bool) -> int:
    """Run one part as a program of its own. Returns its exit code."""
    script, target = HERE.parent / part.script, results() / f"{part.name}.json"
    if not script.exists():
        print(f"{part.name}: {part.script} is not there", file=sys.stderr)
        return 1
    command = [sys.executable, str(script), *(part.quick if quick else part.full)]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.json"
        if part.out.startswith("--"):
            command += [part.out, str(raw)]
        done = subprocess.run(
            command, check=False, text=True, stdout=subprocess.PIPE if part.out == "-" else sys.stderr
        )
        text = done.stdout if part.out == "-" else raw.read_text(encoding="utf-8") if raw.exists() else ""
        if part.out and text.strip():
            found = json.loads(text)
            whole = found if "made" in found else {"made": made(time.monotonic() - started), "result": found}
            target.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(
        f"{part.name}: {'nothing found' if done.returncode == 0 else f'exit code {done.returncode}'}", file=sys.stderr
    )
    return done.returncode


_INTRODUCTION = (
    "What was done to the store to break it, how often, and what was found. This page is written by `make reliability` from the results in "
    "`benchmarks/reliability/results`; `make reliability QUICK=1` runs small versions. What is random has a fixed seed."
)


def page() -> str:
    """The page, from the results that are there."""
    lines = [
        "# Reliability",
        "",
        _INTRODUCTION,
        "",
    ]
    for part in PARTS:
        lines += ["", f"## {part.title}", ""]
        path = results() / f"{part.name}.json"
        if not path.exists():
            lines.append(
                f"No result is here. Run: `python benchmarks/{part.script} {' '.join(part.full)}".rstrip() + "`"
            )
            continue
        whole = json.loads(path.read_text(encoding="utf-8"))
        how, result = whole.get("made", {}), whole.get("result", whole)
        lines += part.page(result)
        with_what = f", Remanence {how['remanence']}, Python {how['python']}, SQLite {how['sqlite']}" if how else ""
        command = " ".join(["python", f"benchmarks/{part.script}", *part.full])
        lines.append(f"`{command}`{', ' + how['date'] if how else ''}{with_what}.")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="run the parts first")
    parser.add_argument(
        "--quick", action="store_true", help="with --run: small runs that leave docs/ and the results as they are"
    )
    parser.add_argument("--only", nargs="*", default=[part.name for part in PARTS], help="names of parts")
    options = parser.parse_args()
    chosen = [part for part in PARTS if part.name in options.only]
    if not (options.run and options.quick):
        codes = [run(part, quick=False) for part in chosen] if options.run else []
        PAGE.write_text(page(), encoding="utf-8")
        return int(any(codes))
    with tempfile.TemporaryDirectory() as folder:
        os.environ[_RESULTS] = folder
        codes = [run(part, quick=True) for part in chosen]
        print(page())
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
