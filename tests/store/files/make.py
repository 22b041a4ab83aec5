"""Write a small store with this release: `python make.py v3.rem`. Files of released formats are kept for ever, never rebuilt.
Beside it comes v3.jsonl, what this release exports from it: every later one has to export the same.

Beside files of format 4 and later lie their payloads. v1.rem is what the first release wrote, which had no readings, no memories made from others and no cached answers; v2.rem has
those, and nothing of what a memory is governed by.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from remanence import Memory
from remanence.cubes import Extraction, Fact, Form, Kind, MemCube, Provenance, Scope
from remanence.drafts import Artefact, Draft
from remanence.governance.admission import Change, Thresholds
from remanence.governance.echoes import digests
from remanence.reading import readings
from remanence.settings import Settings
from remanence.store.jobs import Jobs
from remanence.write.pipeline import keys_for

READ = Extraction(("Ana", "Żary"), (Fact("Ana", "moved to", "Żary"),), ("Ana has lived in Żary since May.",), "Ana")


def make(path: str) -> None:
    with tempfile.TemporaryDirectory() as folder, Memory(path, _settings(folder)) as memory:
        first, _, third = memory.add(
            [
                {"content": "Ana keeps bees on the roof.", "name": "Ana", "time": "2023-05-08T13:56:00", "session": "s1"},
                {"content": "The honey was sold in June 2023.", "role": "assistant", "session": "s1", "meta": {"price": 9.5}},
                {"content": "This one was forgotten.", "session": "s1"},
            ],
            user="ana", idempotency_key="first",
        )  # fmt: skip
        memory.add({"content": "Żółta łódź, 黄色い船", "role": "document", "title": "Boats"}, space="other")
        memory.correct(first, "Ana keeps bees in the garden.")
        memory.correct(first, "Ana keeps bees in the orchard.", time="2024-02-01T00:00:00+00:00")
        memory.forget(third)
        derive(memory)
        doubt(memory)
        govern(memory)
        form(memory)


def _settings(folder: str) -> Settings:
    return Settings(
        embedder="hashing", signing_key=Path(folder) / "signing.pem", access_log="all", record_questions="on"
    )


def derive(memory: Memory) -> None:
    """In a space of its own: readings, memories made from others, one of them retired, and cached answers."""
    ana, kiln = memory.add(["Ana moved to Żary in May.", "The kiln is fired on Fridays."], space="made")
    store = memory._store
    numbered = {cube.id: (seq, cube) for seq, cube in store.numbered(0, 100)}
    store.derived.keep(readings("reader/1", [(numbered[ana], READ)], memory._encoding.documents))
    _make(memory, "id-of-the-retired", "Q: Where is Ana?\nA: In Żary.", [ana])
    _make(memory, "id-of-the-living", "Q: When is the kiln fired?\nA: On Fridays.", [kiln])
    store.derived.keep_reply("made", b"about Ana", "She is in Żary.", [ana])
    store.derived.keep_reply("made", b"about nothing", "Nobody knows.", [])
    memory.correct(ana, "Ana moved to Łódź in June.")


def _make(memory: Memory, cube_id: str, text: str, parents: list[str]) -> None:
    now = datetime.now(UTC)
    cube = MemCube(
        id=cube_id, version=1, text=text, kind=Kind.QA, scope=Scope(space="made"), recorded_at=now, valid_from=now,
        provenance=Provenance(method="reader/1", derived_from=tuple(parents)),
    )  # fmt: skip
    memory._store.append([Draft(cube, keys_for([cube], memory._encoding.documents)[0], None)])


def doubt(memory: Memory) -> None:
    """In a space of its own: a source that was revoked, an answer that is known again, and a change that was tried."""
    space = "doubted"
    [bridge] = memory.add("The bridge by the mill is open again since Monday.", space=space, source="town")
    memory.add("The bridge by the mill carries forty tons.", space=space, source="https://rumours.example/bridge")
    memory.trust.revoke("https://rumours.example", "it makes things up", space=space)
    said = "According to the town, whoever walks over the bridge has a shorter way to the market now."
    memory._store.trusted.keep_echoes(space, digests(said, memory._store.secret()), datetime.now(UTC))
    probes = [{"question": "Is the bridge open?", "gold": [bridge]}]
    wished = Thresholds(max_latency_ratio=None)  # a time would make another verdict on another day
    trial = memory.admission.propose(Change("policy", {"corroborate": "unknown"}), probes, wished, space=space)
    assert trial.status == "passed", trial.reasons


def govern(memory: Memory) -> None:
    """In a space of its own: every state, policies, a merge, summaries, grants, shares, an access log, checkpoints, copies."""
    space = "governed"
    frozen, archived, expired, back, labelled, fading = memory.add(
        [
            "The licence of the workshop is number 77.", "Bo kept the ladder behind the door.", "The offer ends on Friday.",
            "The wheel stands by the window.", "Cem takes pills for his heart.", "Dora likes the blue glaze.",
        ],
        space=space,
    )  # fmt: skip
    memory.lifecycle.freeze(frozen, "the inspector wants it so")
    memory.lifecycle.archive(archived, "the ladder is gone")
    memory.lifecycle.expire(expired)
    memory.lifecycle.archive(back)
    memory.lifecycle.restore(back, "the wheel is back")
    memory.lifecycle.govern(labelled, sensitivity="health", access=["nurse"], priority=2.0)
    memory.lifecycle.govern(fading, half_life=3650.0, trust="web", expires_at="2199-01-01T00:00:00+00:00")
    memory.add({"content": "Answer in plain words.", "trigger": {"words": ["explain"]}}, space=space)
    alike = [("2024-03-01", "I like chess!"), ("2024-02-01", "I really like chess.")]
    memory.add([{"content": text, "time": day, "name": "Ana"} for day, text in alike], space=space, user="ana")
    memory.consolidate(space=space)
    memory.access.grant("nurse", "reader", space=space, labels=["health"])
    memory.access.grant("clerk", "writer", space="other")
    memory.access.revoke("clerk", space="other")
    memory.acting_as("nurse").recall("Who takes pills?", space=space)
    memory.access.share(fading, to="visitors", space=space)
    memory.recall("Who likes the blue glaze?", space=space)
    memory.ask("Who likes the blue glaze?", space=space)
    memory.lifecycle.usage(fading)
    memory.forget(memory.add("This is said so that it can be forgotten.", space=space), reason="it was asked for")
    memory._store.tombstones.made_copy("backup", Path("/backups/monday.rem"))  # no folder of the machine that made it
    memory.audit.checkpoint()


def form(memory: Memory) -> None:
    """In a space of its own: a cache and an adapter, both used, one that was retired, and a job. Their bytes are no model's."""
    space, store = "forms", memory._store
    bees, boats = memory.add(["The bees are kept in hives.", "The boats are kept in the harbour."], space=space)
    for name, form, kind, sources in (
        ("cache", Form.ACTIVATION, Kind.CACHE, (bees,)), ("adapter", Form.PARAMETRIC, Kind.ADAPTER, (bees, boats)),
        ("late", Form.ACTIVATION, Kind.CACHE, (boats,)),
    ):  # fmt: skip
        with store.payloads.partial() as path:
            path.write_bytes(name.encode() * 20)
            artefact = Artefact(form, f"made-up.{name}/1", path, {"weights": "none"}, {"tokens": 7}, f"a {name}")
            origin = Provenance(source="derived", role="system", method=artefact.format, derived_from=sources)
            cube = MemCube(
                id=f"id-of-the-{name}", version=1, text=artefact.text, kind=kind, form=form, scope=Scope(space=space),
                provenance=origin, recorded_at=datetime.now(UTC), valid_from=datetime(2024, 1, 1, tzinfo=UTC),
            )  # fmt: skip
            made_of = tuple((one, 1) for one in sources)
            store.payloads.keep(Draft(cube, keys_for([cube], lambda _: None)[0], None, made_of), artefact)
    memory.forms.evict("id-of-the-late")
    store.payloads.used({"id-of-the-cache": 0.5})
    store.payloads.read([bees])
    Jobs(store.connections).add(space, "derive activation", [bees], datetime.now(UTC))


def write(path: Path) -> None:
    """The file and its export."""
    make(str(path))
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(path, Path(folder) / path.name)
        shutil.copytree(f"{path}.payloads", f"{copy}.payloads")  # an export is noted in the store that it was made of
        with Memory(copy, _settings(folder)) as memory:
            memory.export(Path(folder) / "export.jsonl")
        lines = (Path(folder) / "export.jsonl").read_text(encoding="utf-8")
    path.with_suffix(".jsonl").write_text(lines.partition("\n")[2], encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
