"""A process is killed at a random moment, over and over on one file. What it had acknowledged is there; what it forgot is not."""

from __future__ import annotations

import json
import random
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from remanence import Memory
from remanence.errors import UnknownCubeError
from remanence.settings import Settings

SETTINGS = Settings(embedder="hashing", busy_timeout=10, commit_every=16)
TOKEN = re.compile(rb"Zq[0-9a-f]{12}")


# ── the process that is killed ───────────────────────────────────────────────────────────────────────────────────────


def say(**event: Any) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def text(chance: random.Random) -> str:
    """A text made of a token that no other text has."""
    return " ".join([f"Zq{chance.getrandbits(48):012x}"] * chance.choice([1, 3, 20, 90, 400]))


def ingest(memory: Memory, chance: random.Random) -> None:
    """Add batches, larger ones in several transactions."""
    while True:
        texts = [text(chance) for _ in range(chance.choice([1, 5, 40]))]
        say(begin="add", texts=texts)
        say(done=memory.add(texts))


def edit(memory: Memory, chance: random.Random) -> None:
    """Add, correct and forget."""
    ids = [cube.id for cube in memory.list(limit=10_000)]
    while True:
        what = chance.choice(["add", "correct", "forget", "forget"]) if len(ids) > 10 else "add"
        if what == "add":
            texts = [text(chance) for _ in range(6)]
            say(begin="add", texts=texts)
            new = memory.add(texts)
            ids += new
            say(done=new)
        elif what == "correct":
            chosen, new_text = chance.choice(ids), text(chance)
            say(begin="correct", id=chosen, text=new_text)
            memory.correct(chosen, new_text)
            say(done=[chosen])
        else:
            some = [ids.pop(chance.randrange(len(ids))) for _ in range(chance.randrange(1, 4))]
            say(begin="forget", ids=some)
            memory.forget(some)
            say(done=some)


# ── the test that kills it ───────────────────────────────────────────────────────────────────────────────────────────


class Expected:
    """What the file has to hold by the events that came through before the kill."""

    def __init__(self) -> None:
        self.versions: dict[str, list[str]] = {}
        self.gone: dict[str, list[str]] = {}

    def follow(self, events: list[dict[str, Any]]) -> dict[str, Any] | None:
        """Take in what was acknowledged. Returns the work that was cut off, if there is any."""
        begun: dict[str, Any] | None = None
        for event in events:
            if "begin" in event:
                begun = event
            elif begun:
                self._done(begun, event["done"])
                begun = None
        return begun

    def _done(self, begun: dict[str, Any], ids: list[str]) -> None:
        if begun["begin"] == "add":
            self.versions |= {one: [content] for one, content in zip(ids, begun["texts"], strict=True)}
        elif begun["begin"] == "correct":
            self.versions[begun["id"]].append(begun["text"])
        else:
            self.gone |= {one: self.versions.pop(one) for one in ids}

    def settle(self, begun: dict[str, Any] | None, memory: Memory) -> None:
        """See what became of the work that was cut off. All of it or nothing, batch by batch."""
        if begun is None:
            return
        cubes = {cube.id: cube for cube in memory.list(limit=10_000)}
        if begun["begin"] == "add":
            new = [cube for one, cube in cubes.items() if one not in self.versions]
            assert [cube.text for cube in new] == begun["texts"][: len(new)]
            assert len(new) == len(begun["texts"]) or len(new) % SETTINGS.commit_every == 0
            self.versions |= {cube.id: [cube.text] for cube in new}
        elif begun["begin"] == "correct":
            if cubes[begun["id"]].text == begun["text"]:
                self.versions[begun["id"]].append(begun["text"])
        else:
            there = [one for one in begun["ids"] if one in cubes]
            assert there in ([], begun["ids"])
            if not there:
                self.gone |= {one: self.versions.pop(one) for one in begun["ids"]}

    def compare(self, memory: Memory) -> None:
        checked = memory.verify(sample=8)
        assert checked.ok, checked.problems
        assert {cube.id for cube in memory.list(limit=10_000)} == set(self.versions)
        for one, texts in self.versions.items():
            assert [cube.text for cube in memory.history(one)] == texts
        for one in self.gone:
            with pytest.raises(UnknownCubeError):
                memory.get(one)

    def tokens_gone(self) -> set[bytes]:
        return {content[:14].encode() for texts in self.gone.values() for content in texts}


@pytest.fixture
def killed(child) -> Callable[..., list[dict[str, Any]]]:
    """Run the process, kill it some time after the first thing it got done, and give back what it said."""

    def run(mode: str, path: Path, seed: int, delay: float) -> list[dict[str, Any]]:
        with child(__file__, [mode, path, seed]) as process:
            lines: list[str] = [process.stdout.readline()]
            assert "opening" in lines[0], process.stderr.read()
            while mode != "open" and "done" not in lines[-1]:
                lines.append(process.stdout.readline())
            timer = threading.Timer(delay, process.kill)
            timer.start()
            lines += process.stdout
            timer.join()
            assert process.wait() == -signal.SIGKILL, process.stderr.read()
        return [json.loads(line) for line in lines if line.endswith("\n")]

    return run


def trials(killed, image, path: Path, mode: str, seed: int, count: int) -> Iterator[Expected]:
    chance, expected = random.Random(seed), Expected()
    for number in range(count):
        events = killed(mode, path, 1000 * seed + number, chance.uniform(0, 0.35))
        begun = expected.follow(events)
        with Memory(path, SETTINGS) as memory:
            expected.settle(begun, memory)
            left = set(TOKEN.findall(image(path)))
            assert left & expected.tokens_gone() == set()
            expected.compare(memory)
        yield expected


@pytest.mark.parametrize("mode", ["ingest", "edit"])
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_acknowledged_is_lost(killed, image, tmp_path, mode, seed):
    *_, expected = trials(killed, image, tmp_path / "m.rem", mode, seed, 4)
    assert expected.versions
    assert mode == "ingest" or expected.gone


def test_killed_while_it_is_created(killed, tmp_path):
    for number, delay in enumerate([0, 0.002, 0.005, 0.02]):
        path = tmp_path / f"{number}.rem"
        killed("open", path, number, delay)
        with Memory(path, SETTINGS) as memory:
            memory.add("Hello.")
            assert memory.verify().ok


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["ingest", "edit"])
@pytest.mark.parametrize("seed", range(3, 8))
def test_nothing_acknowledged_is_lost_in_many_trials(killed, image, tmp_path, mode, seed):
    assert sum(1 for _ in trials(killed, image, tmp_path / "m.rem", mode, seed, 20)) == 20


def test_an_erasure_that_was_cut_off_is_finished_at_the_next_opening(opened, image, tmp_path):
    """The moment between the two halves, made by hand: rows erased, file not rewritten, process gone."""
    memory = opened()
    memory.add(["The kiln is fired on Fridays.", "Glazes are mixed by weight."])
    secret = text(random.Random(5)) + " and more"
    [there] = memory.add(secret)
    memory._store.erase([there])
    memory.close()
    opened()
    assert TOKEN.findall(image(tmp_path / "m.rem")) == []


if __name__ == "__main__":
    mode, location, seed = sys.argv[1:]
    say(opening=location)
    with Memory(location, SETTINGS) as opened_memory:
        {"ingest": ingest, "edit": edit, "open": ingest}[mode](opened_memory, random.Random(int(seed)))
