"""Fitting the gate to a labelled set, through the front door."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from remanence.calibration import Labelled, read_labels
from remanence.cubes import Route
from remanence.errors import InputError, UnknownSpaceError, UnreadableFileError
from remanence.recall import gate

PEOPLE = ["Ana", "Ben", "Carla", "Dora", "Emil", "Fay"]


def filled(memory):
    """Documents about people and their places."""
    memory.add(
        [{"content": f"{one} was born in {one}ville.", "role": "document", "title": one} for one in PEOPLE]
        + [{"content": f"{one}ville lies at the sea.", "role": "document", "title": f"{one}ville"} for one in PEOPLE]
    )
    return [cube.id for cube in memory.list()]


def rows(ids):
    known = [{"question": f"Where was {one} born?", "gold": [ids[at]]} for at, one in enumerate(PEOPLE)]
    return known + [
        {"question": f"how do {what} fly", "gold": []} for what in ("kites", "jets", "owls", "bees", "bats")
    ]


def written(tmp_path, labels, name="labels.jsonl"):
    path = tmp_path / name
    path.write_text("\n".join(json.dumps(one) for one in labels) + "\n\n")
    return path


def test_it_is_fitted_kept_and_used_at_once_and_by_another_process(opened, tmp_path):
    memory = opened()
    ids = filled(memory)
    seen = []
    fitted = memory.calibrate(written(tmp_path, rows(ids)), progress=lambda at, of: seen.append((at, of)))
    assert (fitted.questions, fitted.answerable) == (11, 6)
    assert seen[-1] == (11, 11)
    assert fitted.recall["gate"] <= fitted.recall["best"]
    assert fitted.recall["cheap"] == fitted.recall["best"] == 1.0
    assert fitted.withheld["nothing to find"] > fitted.withheld["answerable"]
    assert memory._recall.gate("default") == fitted.gate != gate.DEFAULT
    routed = memory.recall("how do kites fly").routed
    assert (routed.route, routed.reason) == (Route.NONE, "nothing here is close to it")
    script = (
        "from remanence import Memory; from remanence.settings import Settings\n"
        f"with Memory({str(tmp_path / 'm.rem')!r}, Settings(embedder='hashing')) as m: print(m.recall('how do kites fly').routed.route)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "none"


def test_it_can_be_fitted_again_also_over_a_malformed_note(opened):
    memory = opened()
    labels = [Labelled(one["question"], frozenset(one["gold"])) for one in rows(filled(memory))]
    first = memory.calibrate(labels)
    assert memory.calibrate(labels) == first
    memory._store.set_note("gate/default", "broken")
    assert memory.calibrate(iter(labels)) == first


def test_where_all_can_be_answered_nothing_is_withheld(opened):
    memory = opened()
    ids = filled(memory)
    fitted = memory.calibrate(
        [Labelled(f"Where was {PEOPLE[at % 6]} born?", frozenset(ids[at % 6 : at % 6 + 1])) for at in range(12)]
    )
    assert fitted.withheld == {"nothing to find": 0.0, "answerable": 0.0}
    assert fitted.gate.nothing == {"bias": -20.0}


def test_where_nothing_can_be_answered(opened):
    memory = opened()
    filled(memory)
    fitted = memory.calibrate([Labelled(f"how do {number} kites fly", frozenset()) for number in range(10)])
    assert fitted.answerable == 0
    assert fitted.recall["best"] == 0.0
    assert fitted.withheld["nothing to find"] == 1.0


def test_an_empty_memory_can_be_asked(opened):
    labels = [Labelled(f"Where is Ana {number}?", frozenset(["x"])) for number in range(10)]
    assert opened().calibrate(labels).recall["graph"] == 0.0


def test_without_an_embedder(opened):
    memory = opened(embedder="none")
    ids = filled(memory)
    labels = [Labelled(one["question"], frozenset(one["gold"])) for one in rows(ids)]
    assert memory.calibrate(labels).recall["cheap"] == 1.0


def test_small_talk_and_sums_count_as_withheld_only_by_the_weights(opened):
    memory = opened()
    filled(memory)
    labels = [Labelled("hello", frozenset()) for _ in range(10)]
    assert memory.calibrate(labels).questions == 10


def test_too_few_questions_are_refused(opened):
    memory = opened()
    filled(memory)
    with pytest.raises(InputError, match="9 labelled questions"):
        memory.calibrate([Labelled("Where?", frozenset())] * 9)
    assert memory._store.note("gate/default") is None


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "3", '"x"', "null", '{"question": "x"}', '{"gold": []}', '{"question": 3, "gold": []}',
     '{"question": "x", "gold": "id"}', '{"question": "x", "gold": [3]}', '{"question": "x", "gold": [["id"]]}',
     '{"question": "x", "gold": 3}', "[" * 100000],
)  # fmt: skip
def test_a_malformed_line_is_named(tmp_path, line):
    path = tmp_path / "labels.jsonl"
    path.write_text('{"question": "fine", "gold": []}\n\n' + line)
    with pytest.raises(UnreadableFileError, match="line 3"):
        read_labels(path)


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(UnreadableFileError, match="cannot be read"):
        read_labels(tmp_path / "missing.jsonl")
    (tmp_path / "latin").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(UnreadableFileError, match="cannot be read"):
        read_labels(tmp_path / "latin")


def test_a_gate_is_one_spaces_own(opened):
    memory = opened()
    ids = memory.add([f"Note {number}" for number in range(12)], space="a")
    memory.add("Something else.", space="b")
    memory.calibrate([{"question": f"Where is note {n}?", "gold": [one]} for n, one in enumerate(ids)], space="a")
    assert memory._store.note("gate/a") is not None
    assert memory._store.note("gate/b") is None
    with pytest.raises(UnknownSpaceError):
        memory.calibrate([], space="c")
