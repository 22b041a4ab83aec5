"""The disk is full, the file refuses writes, somebody holds on to the log: the error says so, and nothing that was there is lost."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from remanence import Memory
from remanence.errors import ForgetIncompleteError, RemanenceError, StoreFullError, StoreUnwritableError
from remanence.settings import Settings

SETTINGS = Settings(embedder="hashing", busy_timeout=0.3)
EARLIER = ["The kiln is fired on Fridays.", "Glazes are mixed by weight."]
SECRET = "The code of the safe is ninety-one, forty, seven."
NOBODY = 65534


def large(number: int) -> str:
    return f"{number} " + " ".join(f"word{number}x{n}" for n in range(1200))


def fill(memory: Memory) -> StoreFullError:
    """Write until there is no room."""
    for number in range(1000):
        try:
            memory.add(large(number))
        except StoreFullError as error:
            return error
    raise AssertionError("the disk never got full")


def outcome(call: Callable[[], object]) -> str:
    """The name of what a call raises, or "fine"."""
    try:
        call()
    except (RemanenceError, OSError) as error:
        return type(error).__name__
    return "fine"


# ── no room ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("location", ["m.rem", ":memory:"], ids=["file", "memory"])
def test_no_room_for_more_pages(opened, location):
    memory = opened(location)
    memory.add(EARLIER)
    writer = memory._store.connections._writer
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    most = writer.execute("PRAGMA max_page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages + 40}")
    before = {cube.text for cube in memory.list()}
    error = fill(memory)
    assert "safe" in str(error)
    full = [cube.text for cube in memory.list()]
    assert before <= set(full)
    assert full[2:] == [large(n) for n in range(len(full) - 2)]
    assert memory.recall("When is the kiln fired?")[0].cube.text == EARLIER[0]
    checked = memory.verify()
    assert checked.ok, checked.problems
    writer.execute(f"PRAGMA max_page_count = {most}")
    memory.add(large(len(full) - 2))
    assert len(memory.list()) == len(full) + 1
    assert memory.verify().ok


def test_a_list_that_does_not_fit_keeps_the_batches_that_did_and_goes_on_later(opened):
    memory = opened(commit_every=4)
    memory.add(EARLIER)
    writer = memory._store.connections._writer
    writer.execute("PRAGMA max_page_count = 150")
    texts, durable = [large(n) for n in range(60)], [0]
    with pytest.raises(StoreFullError):
        memory.add(texts, progress=lambda done, _total: durable.append(done))
    assert [cube.text for cube in memory.list()] == EARLIER + texts[: durable[-1]]
    assert 0 < durable[-1] < 60
    writer.execute("PRAGMA max_page_count = 1000000")
    first = [cube.id for cube in memory.list()][2:]
    assert memory.add(texts)[: len(first)] == first
    assert [cube.text for cube in memory.list()] == EARLIER + texts


@pytest.fixture
def answer(child) -> Callable[..., Any]:
    """Run a case below in a process of its own, and read what it found."""

    def run(case: str, path: Path | str = "") -> Any:
        with child(__file__, [case, path]) as process:
            out, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
        found = json.loads(out)
        if "skip" in found:
            pytest.skip(found["skip"])
        return found

    return run


def limit(size: int) -> None:
    """From now on no file of this process grows beyond so many bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def no_room_on_disk(path: Path) -> dict[str, Any]:
    with Memory(path, SETTINGS) as memory:
        memory.add(EARLIER)
        limit(400_000)
        fill(memory)
        there = [cube.text for cube in memory.list()]
        found = {
            "earlier": there[:2] == EARLIER, "in_order": there[2:] == [large(n) for n in range(len(there) - 2)],
            "recall": memory.recall("When is the kiln fired?")[0].cube.text, "problems": memory.verify().problems,
            "again": outcome(lambda: fill(memory)),
        }  # fmt: skip
    found["reopened while full"] = outcome(lambda: Memory(path, SETTINGS).close())
    limit(resource.RLIM_INFINITY)
    with Memory(path, SETTINGS) as memory:
        memory.add(large(999))
        found["after"] = len(memory.list()) - len(there)
        found["problems after"] = memory.verify().problems
    return found


def test_no_room_on_the_disk(answer, tmp_path):
    found = answer("no_room_on_disk", tmp_path / "m.rem")
    assert found == {
        "earlier": True, "in_order": True, "recall": EARLIER[0], "problems": [], "again": "fine",
        "reopened while full": "fine", "after": 1, "problems after": [],
    }  # fmt: skip


def forget_without_room(path: Path) -> dict[str, Any]:
    with Memory(path, SETTINGS) as memory:
        memory.add([*EARLIER, *(large(n) for n in range(20))])
        [there] = memory.add(SECRET)
    limit(path.stat().st_size // 2)
    with Memory(path, SETTINGS) as memory:
        found = {"forget": outcome(lambda: memory.forget(there)), "get": outcome(lambda: memory.get(there))}
        found["others"] = len(memory.list()) == 22
    found["opened without room"] = outcome(lambda: Memory(path, SETTINGS).close())
    limit(resource.RLIM_INFINITY)
    with Memory(path, SETTINGS) as memory:
        found["problems"] = list(memory.verify().problems)
        found["later"] = len(memory.list())
    found["left"] = SECRET.encode() in path.read_bytes()
    return found


def test_forgetting_without_room_is_finished_at_the_next_opening(answer, tmp_path):
    found = answer("forget_without_room", tmp_path / "m.rem")
    assert found.pop("opened without room") in ("fine", "ForgetIncompleteError")
    assert found == {
        "forget": "ForgetIncompleteError", "get": "UnknownCubeError", "others": True, "problems": [], "later": 22, "left": False,
    }  # fmt: skip


# ── no permission ────────────────────────────────────────────────────────────────────────────────────────────────────


def without_permission(file: int, folder: int, *, parent: int = 0o777, exists: bool = True) -> dict[str, Any]:
    """A store that somebody else may only partly touch, tried by a user who is not root."""
    with Memory(":memory:", SETTINGS) as memory:  # everything is imported before the rights are given up
        memory.add(EARLIER)
        memory.recall("kiln")
        memory.verify()
    top = Path(tempfile.mkdtemp())
    try:
        path = top / "folder" / "m.rem"
        path.parent.mkdir()
        if exists:
            with Memory(path, SETTINGS) as memory:
                memory.add(EARLIER)
            path.chmod(file)
        path.parent.chmod(folder)
        top.chmod(parent)
        if os.geteuid() == 0:
            os.setgroups([])
            os.setegid(NOBODY)
            os.seteuid(NOBODY)
        return {
            "read": outcome(lambda: _use(path)),
            "write": outcome(lambda: _use(path, "One more.")),
            "uid": os.geteuid(),
        }
    finally:
        with suppress(PermissionError):
            os.seteuid(0)
        for one in (top, top / "folder"):
            one.chmod(0o700)
        shutil.rmtree(top)


def _use(path: Path, text: str | None = None) -> None:
    with Memory(path, SETTINGS) as memory:
        assert len(memory.recall("When is the kiln fired?")) == 2
        if text:
            memory.add(text)


PERMISSIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "all-read-only": lambda: without_permission(0o444, 0o555),
    "file-read-only": lambda: without_permission(0o444, 0o777),
    "folder-read-only": lambda: without_permission(0o666, 0o555),
    "new-file-in-read-only-folder": lambda: without_permission(0o666, 0o555, exists=False),
    "file-unreadable": lambda: without_permission(0o000, 0o777),
    "folder-closed": lambda: without_permission(0o666, 0o000),
    "folder-out-of-reach": lambda: without_permission(0o666, 0o777, parent=0o000),
}


@pytest.mark.parametrize("case", PERMISSIONS)
def test_what_may_not_be_written_is_refused(answer, case):
    """A read-only file can be read where the folder takes the log that SQLite keeps beside it, and nowhere else."""
    found = answer(case)
    assert found["uid"] != 0
    assert found["read"] == ("fine" if case == "file-read-only" else StoreUnwritableError.__name__)
    assert found["write"] == StoreUnwritableError.__name__


# ── the log in use elsewhere ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def reader(child, opened, tmp_path):
    """A memory with a secret, and another process that goes on reading the state of this moment until it is released."""
    memory = opened(busy_timeout=0.3)
    ids = memory.add([*EARLIER, SECRET, "And one to be forgotten later."])
    process = child(__file__, ["hold", tmp_path / "m.rem"])
    assert process.stdout.readline() == "holding\n", process.stderr.read()

    def release() -> None:
        _, errors = process.communicate("done\n", timeout=30)
        assert process.returncode == 0, errors

    yield memory, ids, release
    if process.poll() is None:
        release()


def hold(path: Path) -> None:
    with Memory(path, SETTINGS) as memory, memory._store.snapshot("default") as (_, rows):
        next(rows)
        sys.stdout.write("holding\n")
        sys.stdout.flush()
        sys.stdin.readline()


def test_a_reader_elsewhere_holds_up_the_clean_up_until_the_next_forget(reader, image, tmp_path):
    memory, ids, release = reader
    with pytest.raises(ForgetIncompleteError, match="another process"):
        memory.forget(ids[2])
    assert [cube.id for cube in memory.list()] == [ids[0], ids[1], ids[3]]
    release()
    memory.forget(ids[3])
    assert SECRET.encode() not in image(tmp_path / "m.rem")
    assert memory.verify().ok


def test_a_reader_elsewhere_holds_up_the_clean_up_until_the_next_opening(reader, image, opened, tmp_path):
    memory, ids, release = reader
    with pytest.raises(ForgetIncompleteError):
        memory.forget(ids[2])
    release()
    assert SECRET.encode() in image(tmp_path / "m.rem")  # in the log's older part: the control
    memory.close()
    assert opened().verify().ok
    assert SECRET.encode() not in image(tmp_path / "m.rem")


def test_a_clean_up_that_is_due_keeps_nobody_out(reader, opened):
    """As long as the reader reads, the others want to work as well."""
    memory, ids, _ = reader
    with pytest.raises(ForgetIncompleteError):
        memory.forget(ids[2])
    memory.close()
    assert len(opened(busy_timeout=0.3).recall("kiln")) == 3


if __name__ == "__main__":
    case, location = sys.argv[1:]
    if case == "hold":
        hold(Path(location))
    else:
        cases = {"no_room_on_disk": no_room_on_disk, "forget_without_room": forget_without_room}
        result = PERMISSIONS[case]() if case in PERMISSIONS else cases[case](Path(location))
        sys.stdout.write(json.dumps(result))
