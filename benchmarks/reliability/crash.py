"""Processes that are killed (SIGKILL) while they work on a store. What they had acknowledged has to be there.

    python benchmarks/reliability/crash.py                 500 trials
    python benchmarks/reliability/crash.py --trials 40     fewer

Each trial forks a process that does random operations and says over a pipe when one begins and when it is done. It dies at a
random moment, or at a random write, sync, truncation or renaming of a file, with or without half of the write done. Then the
store is opened again: everything that was acknowledged is there, the operation in flight left all or nothing of each of its
transactions, `verify` is clean, recall agrees with an index derived anew, no byte of what was forgotten is left, and the same
call again brings the operation to its end. The next trial goes on with the same file.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import random
import select
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import disk
import operations
import report
from operations import SETTINGS, Expected, Operation

from remanence import Memory

_PER_FILE = 12  # trials on one file
_LONGEST = 5.0  # seconds after which a process that was to die at a call is killed anyway


@dataclass
class Plan:
    """When a process dies: so many seconds after it opened the store, or at a call of the disk."""

    seconds: float | None = None
    calls: int | None = None
    torn: bool = False


@dataclass
class Tally:
    """What was done and seen."""

    trials: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    copies: int = 0
    problems: list[str] = field(default_factory=list)


def planned(chance: random.Random, *, new: bool) -> Plan:
    if new and chance.random() < 0.5:  # while the file is being made
        return Plan(calls=chance.randrange(1, 62), torn=chance.random() < 0.4)
    if chance.random() < 0.5:
        return Plan(seconds=chance.uniform(0, 0.08))
    return Plan(calls=round(10 ** chance.uniform(0.3, 3)), torn=chance.random() < 0.4)


# ── the process that is killed ───────────────────────────────────────────────────────────────────────────────────────


def worker(path: Path, expected: Expected, chance: random.Random, plan: Plan, out: int, shared: mmap.mmap) -> None:
    """Work until the end comes. Only a fault of the program's own ends it otherwise."""
    left = plan.calls

    def judge(call: disk.Call) -> disk.Verdict:
        nonlocal left
        if left is None:
            return disk.Verdict.PASS
        left -= 1
        if left > 0:
            return disk.Verdict.PASS
        shared[1] = 1 + ["open", "write", "sync", "truncate", "delete", "rename"].index(call.kind)
        return disk.Verdict.TORN_KILL if plan.torn and call.kind == "write" else disk.Verdict.KILL

    with disk.watched(judge, path.parent, shared), Memory(path, SETTINGS) as memory:
        os.write(out, operations.said(opened=True))
        while True:
            operation = operations.choose(chance, expected)
            os.write(out, operations.said(begin=operation))
            result = operations.perform(memory, operation, path.parent)
            expected.apply(operation, result)
            at = datetime.now(UTC).isoformat() if chance.random() < 0.2 else None
            if at:
                expected.mark(at)
            os.write(out, operations.said(done=result, at=at))


def killed(path: Path, expected: Expected, seed: int, plan: Plan) -> tuple[list[dict[str, Any]], mmap.mmap]:
    """Fork a worker, kill it by the plan, and give back the lines that came through whole, and the memory shared with it."""
    shared = mmap.mmap(-1, mmap.PAGESIZE)
    read_end, write_end = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(read_end)
        try:
            worker(path, Expected.from_json(expected.to_json()), random.Random(seed), plan, write_end, shared)
        except BaseException:  # noqa: BLE001 - nothing may unwind into the parent's code: the child says why and is gone
            os.write(write_end, operations.said(error=traceback.format_exc()))
        os._exit(1)
    os.close(write_end)
    data, deadline = b"", time.monotonic() + _LONGEST
    while chunk := _read_until(read_end, deadline):
        if not data and plan.seconds is not None:  # the clock runs from the moment the store is open
            deadline = time.monotonic() + plan.seconds
        data += chunk
    os.kill(process, signal.SIGKILL)
    data += _rest(read_end)
    os.close(read_end)
    os.waitpid(process, 0)
    return [json.loads(line) for line in data.split(b"\n")[:-1]], shared


def _read_until(descriptor: int, deadline: float) -> bytes:
    ready, _, _ = select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))
    return os.read(descriptor, 1 << 20) if ready else b""


def _rest(descriptor: int) -> bytes:
    return b"".join(iter(lambda: os.read(descriptor, 1 << 20), b""))


# ── what is looked at afterwards ─────────────────────────────────────────────────────────────────────────────────────


def followed(expected: Expected, events: list[dict[str, Any]], tally: Tally) -> Operation | None:
    """Take in what was acknowledged. Returns the operation that was cut off, if there is one."""
    begun: Operation | None = None
    for event in events:
        assert "error" not in event, event["error"]
        if "begin" in event:
            begun = event["begin"]
        elif "done" in event:
            assert begun is not None
            expected.apply(begun, event["done"])
            if event["at"]:
                expected.mark(event["at"])
            tally.operations[begun["op"]] += 1
            begun = None
    return begun


def settled(path: Path, expected: Expected, begun: Operation | None, chance: random.Random, tally: Tally) -> None:
    """Open the store again, hold it to what is expected, and bring the operation that was cut off to its end."""
    with Memory(path, SETTINGS) as memory:
        if begun is not None:
            image = operations.image_of(memory)
            what = operations.left_by(begun, expected, image)
            tally.left[what] += 1
            operations.repeat(memory, begun, expected, path.parent)
        operations.compare(memory, expected)
        forgotten = set(operations.TOKEN.findall(bytes_of(path))) & tokens_of(expected)
        assert not forgotten, f"bytes of what was forgotten are left: {forgotten}"
        operations.compare_index(memory, chance, path.parent)
        tally.copies += operations.compare_copies(expected, path.parent)


def bytes_of(path: Path) -> bytes:
    """The file and its log. Both are open in this process: read only after all work, for closing them drops SQLite's locks."""
    return b"\0\0".join(part.read_bytes() for part in (path, Path(f"{path}-wal")) if part.exists())


def tokens_of(expected: Expected) -> set[bytes]:
    texts = " ".join(content for seen in expected.cubes.values() for content in seen.texts)
    gone = {token.encode() for tokens in expected.gone.values() for token in tokens}
    return gone - set(operations.TOKEN.findall(texts.encode()))


def trial(path: Path, expected: Expected, seed: int, tally: Tally) -> None:
    chance = random.Random(seed)
    plan = planned(chance, new=not path.exists())
    events, shared = killed(path, expected, seed, plan)
    tally.trials += 1
    tally.kills["at a random moment" if plan.calls is None or not shared[1] else "at a call of the disk"] += 1
    tally.kills["of these in a write that was half done"] += bool(shared[1] == 2 and plan.torn)
    tally.kills["of these inside a transaction"] += shared[0]
    tally.kills["of these while the store was being opened"] += not events
    begun = followed(expected, events, tally)
    settled(path, expected, begun, chance, tally)


def run(trials: int, seed: int, progress: Callable[[int], None] = lambda _: None) -> Tally:
    """So many trials, a fresh file every few."""
    disk.install()
    tally, number = Tally(), 0
    while number < trials:
        with tempfile.TemporaryDirectory() as folder:
            path, expected = Path(folder) / "m.rem", Expected()
            for _ in range(min(_PER_FILE, trials - number)):
                number += 1
                try:
                    trial(path, expected, 1_000_003 * seed + number, tally)
                except Exception as error:  # noqa: BLE001 - a trial that fails is a finding, and the others go on
                    tally.problems.append(f"trial {number}: {type(error).__name__}: {error}"[:2000])
                    traceback.print_exc()
                    break
                progress(number)
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if missing := disk.available():
        print(missing, file=sys.stderr)
        return 2
    started = time.monotonic()
    tally = run(
        options.trials, options.seed, lambda n: n % 50 or print(n, f"{time.monotonic() - started:.0f} s", flush=True)
    )
    result = {
        "trials": tally.trials, "operations": dict(sorted(tally.operations.items())), "acknowledged": tally.operations.total(),
        "kills": dict(sorted(tally.kills.items())), "cut off": dict(sorted(tally.left.items())),
        "copies": tally.copies, "problems": tally.problems, "seed": options.seed,
    }  # fmt: skip
    return report.keep("crash", result, started)


if __name__ == "__main__":
    sys.exit(main())
