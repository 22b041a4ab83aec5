"""Memories made from others in the life of a memory: recalled, retired by a correction, seen again by `as_of`, refused politely."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from remanence import Memory, Settings
from remanence.cubes import Extraction, Fact, Kind, MemCube, Provenance, Scope, State
from remanence.drafts import Draft
from remanence.errors import RemanenceError
from remanence.write.pipeline import keys_for, new_id

SAID, ASKED, MEANWHILE, CHANGED = (f"2024-0{month}-01T00:00:00+00:00" for month in (1, 2, 3, 4))


def derive_from(memory: Memory, text: str, parents: list[str], space: str = "default") -> str:
    """What a model would have made out of these memories, as the store takes it."""
    at = datetime.fromisoformat(ASKED)
    cube = MemCube(
        id=new_id(), version=1, text=text, kind=Kind.QA, scope=Scope(space=space), recorded_at=at, valid_from=at,
        provenance=Provenance(source="pairs", method="test", derived_from=tuple(parents)),
    )  # fmt: skip
    return memory._store.append([Draft(cube, keys_for([cube], memory._encoding.documents)[0], None)])[0]


def test_what_was_made_has_to_be_asked_for(opened):
    memory = opened()
    [there] = memory.add("The office is in Lisbon.")
    derive_from(memory, "Where is the office? In Lisbon.", [there])
    assert [hit.cube.text for hit in memory.recall("Where is the office?")] == ["The office is in Lisbon."]
    assert [hit.cube.text for hit in memory.recall("Where is the office?", kinds=["qa"])] == [
        "Where is the office? In Lisbon."
    ]


@pytest.fixture(params=[True, False], ids=["index-loaded-before", "index-loaded-after"])
def corrected(request, opened):
    """A memory in which the parent was corrected; ids of the parent, its child and its grandchild."""
    memory = opened()
    [there] = memory.add({"content": "The office is in Lisbon.", "time": SAID})
    memory.add("The kiln is fired on Fridays.")
    child = derive_from(memory, "Where is the office? In Lisbon.", [there])
    grandchild = derive_from(memory, "Is the office far? Lisbon is.", [child])
    if request.param:
        assert len(recalled(memory)) == 4
    memory.correct(there, "The office is in Porto.", time=CHANGED)
    return memory, there, child, grandchild


def recalled(memory: Memory, **options) -> set[str]:
    """Recalled with what was made from other memories, which has to be asked for."""
    return {hit.cube.text for hit in memory.recall("Where is the office in Lisbon?", k=10, kinds=list(Kind), **options)}


def test_what_was_made_from_a_corrected_memory_is_not_recalled(corrected):
    memory, *_ = corrected
    assert recalled(memory) == {"The office is in Porto.", "The kiln is fired on Fridays."}
    assert [cube.text for cube in memory.list()] == ["The office is in Porto.", "The kiln is fired on Fridays."]
    assert memory.verify().ok


def test_it_is_recalled_as_of_a_time_before(corrected):
    memory, *_ = corrected
    assert recalled(memory, as_of=MEANWHILE) == {
        "The office is in Lisbon.", "Where is the office? In Lisbon.", "Is the office far? Lisbon is.",
    }  # fmt: skip


def test_another_handle_sees_the_same(corrected, opened):
    memory, *_ = corrected
    assert recalled(opened()) == recalled(memory)
    assert recalled(opened(), as_of=MEANWHILE) == recalled(memory, as_of=MEANWHILE)


def test_its_history_stays(corrected):
    memory, there, child, _ = corrected
    [only] = memory.history(child)
    assert (only.state, only.valid_to) == (State.ARCHIVED, memory.get(there).valid_from)
    assert memory.get(child) == only


def test_it_can_be_forgotten_alone(corrected):
    memory, there, child, grandchild = corrected
    assert memory.forget(child).ids == (child, grandchild)
    assert recalled(memory, as_of=MEANWHILE) == {"The office is in Lisbon."}
    assert memory.get(there).version == 2


def test_forgetting_the_parent_takes_it_along_in_the_index(corrected):
    memory, there, *_ = corrected
    memory.forget(there)
    assert recalled(memory, as_of=MEANWHILE) == set()
    assert recalled(memory) == {"The kiln is fired on Fridays."}
    assert memory.verify().ok


def test_what_is_retired_cannot_be_corrected_and_the_error_says_so(corrected):
    memory, _, child, _ = corrected
    with pytest.raises(RemanenceError, match="retired"):
        memory.correct(child, "Where is the office? In Porto.")
    assert len(memory.history(child)) == 1
    assert memory.verify().ok


def test_a_space_of_another_is_reached_as_well(opened):
    memory = opened()
    [there] = memory.add({"content": "The office is in Lisbon.", "time": SAID})
    child = derive_from(memory, "Where is the office? In Lisbon.", [there], "other")
    assert len(memory.recall("office", space="other", kinds=["qa"])) == 1
    memory.correct(there, "The office is in Porto.")
    assert memory.recall("office", space="other", kinds=["qa"]) == []
    assert memory.forget(there, space="default").ids == (there, child)
    assert memory.verify().ok


# ── reindex ──────────────────────────────────────────────────────────────────────────────────────────────────────────

READ = Extraction(("Ana",), (Fact("Ana", "lives in", "Lisbon"),), ("Ana's home is Lisbon.",), "Ana")


@pytest.fixture
def stale(opened, read):
    """A memory of 300 versions, more than one step of a reindex, with readings whose keys and vectors are another's."""
    memory = opened()
    ids = memory.add([f"This is number {number}." for number in range(299)])
    memory.correct(ids[0], "This is number 300.")
    for version, number in ((1, 0), (2, 0), (1, 5), (1, 298)):
        read(memory._store, ids[number], READ, f"reader {number}", version)
    read(memory._store, ids[7], Extraction(entities=("Ben",)))
    store = memory._store
    store.derived.rekey(
        [one._replace(mentions=b"", links=b"", terms=b"") for one in store.derived.stored(range(400)).values()]
    )
    assert not memory.verify().ok
    return memory


def wanted(memory: Memory) -> dict[int, bytes | None]:
    """The vectors that each reading should have, from the embedder itself."""
    parts = ["Ana lives in Lisbon", "Ana's home is Lisbon."]
    vectors = memory._encoding.documents(parts)
    assert vectors is not None
    return dict.fromkeys([1, 6, 299, 300], vectors.astype("<f2").tobytes()) | {8: None}


def test_a_reindex_derives_and_embeds_readings_again(stale):
    head = stale.stats().entries
    assert stale.reindex() == 300
    assert {seq: one.vectors for seq, one in stale._store.derived.stored(range(400)).items()} == wanted(stale)
    assert stale._store.derived.stored([6])[6].extractor == "reader 5"
    assert stale._store.derived.stored([6])[6].content == READ
    assert stale.stats().entries == head, "the journal tells of readings, not of their keys"
    checked = stale.verify()
    assert checked.ok, checked.problems


def test_a_reindex_that_was_cut_off_goes_on(stale):
    class CutOffError(Exception):
        pass

    def stop(*_: int) -> None:
        raise CutOffError

    with pytest.raises(CutOffError):
        stale.reindex(stop)
    half = stale._store.derived.stored(range(400))
    assert half[6].vectors == wanted_before_the_end(stale)
    assert half[299].mentions == b""
    assert stale.reindex() == 300 - 256
    assert {seq: one.vectors for seq, one in stale._store.derived.stored(range(400)).items()} == wanted(stale)
    assert stale.verify().ok


def wanted_before_the_end(memory: Memory) -> bytes:
    """As `wanted`, with an embedder of its own: the memory's refuses while a reindex is half done."""
    with Memory(":memory:", memory.settings) as other:
        return wanted(other)[6] or b""


def test_a_reindex_without_an_embedder_takes_the_vectors_away(stale, tmp_path):
    stale.close()
    with Memory(tmp_path / "m.rem", Settings(embedder="none")) as bare:
        bare.reindex()
        assert {one.vectors for one in bare._store.derived.stored(range(400)).values()} == {None}
        assert bare.verify().ok


def test_the_index_has_what_a_reindex_made(stale):
    stale.recall("Where is Ana's home?")
    stale.reindex()
    hits = stale.recall("Where is Ana's home?", k=5)
    with Memory(stale.stats().location, stale.settings) as other:
        assert [(hit.cube, round(hit.score, 4)) for hit in hits] == [
            (hit.cube, round(hit.score, 4)) for hit in other.recall("Where is Ana's home?", k=5)
        ]
    view = stale._recall._indexes["default"].view()
    assert np.flatnonzero(view.read).size == 5
    assert np.flatnonzero(view.statements.length).size == 4
