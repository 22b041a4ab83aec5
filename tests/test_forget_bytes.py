"""After `forget` the bytes of the file, its log and the log's index hold nothing of what was forgotten. Before, they did."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence import Memory
from remanence.cubes import Extraction, Fact
from remanence.errors import ForgetIncompleteError
from remanence.settings import Settings
from remanence.store.sqlite import SQLiteStore

NEIGHBOURS = ["The kiln is fired on Fridays.", "Glazes are mixed by weight, never by volume."]


def noise(length: int, seed: str) -> str:
    """Characters that occur nowhere else."""
    return "".join(random.Random(seed).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))


@dataclass
class Case:
    """A message, and byte strings that only it brings into the file."""

    message: dict
    secrets: list[str]
    corrections: list[str] = field(default_factory=list)


LONG = noise(200_000, "long")
CASES = {
    "ascii": Case({"content": f"The code of the safe is {noise(40, 'a')}."}, [noise(40, "a")]),
    "short": Case({"content": noise(12, "b")}, [noise(12, "b")]),
    "not-ascii": Case({"content": "Żółta łódź płynie; 黄色い船; 🛶 плывёт"}, ["Żółta łódź", "黄色い船", "🛶 плывёт"]),
    "zero-byte": Case({"content": f"before\0{noise(30, 'z')}"}, [noise(30, "z")]),
    "long": Case({"content": LONG}, [LONG[at : at + 24] for at in range(0, len(LONG), 1000)]),
    "meta": Case({"content": "See meta.", "meta": {"deep": [{"pin": noise(30, "m")}]}}, [noise(30, "m")]),
    "meta-name": Case({"content": "See meta.", "meta": {noise(30, "k"): 1}}, [noise(30, "k")]),
    "names": Case(
        {"content": "Hello.", "name": noise(20, "n1"), "title": noise(20, "n2"), "session": noise(20, "n3"), "source": noise(20, "n4")},
        [noise(20, f"n{n}") for n in range(1, 5)],
    ),
    "versions": Case({"content": noise(50, "v1")}, [noise(50, "v1"), noise(50, "v2"), noise(5000, "v3")[2000:2040]],
                     [noise(50, "v2"), noise(5000, "v3")]),
}  # fmt: skip


def written(text: str) -> list[bytes]:
    """The ways in which a text may stand in a file."""
    return [text.encode(), text.encode("utf-16-le"), text.encode("ascii", "backslashreplace")]


def vector_pieces(memory: Memory, ids: list[str]) -> list[bytes]:
    """Pieces of the memories' vectors that are dense enough to be theirs alone."""
    vectors = [keys.vector for cube, keys in memory._store.everything() if cube.id in ids]
    pieces = [vector[at : at + 24] for vector in vectors for at in range(0, len(vector), 24)]
    return [piece for piece in pieces if piece.count(0) < 12]


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request) -> Case:
    return request.param


def test_nothing_is_left(case, opened, image, tmp_path):
    memory = opened()
    memory.add(NEIGHBOURS)
    [there] = memory.add(case.message)
    for text in case.corrections:
        memory.correct(there, text)
    before = image(tmp_path / "m.rem")
    found = [any(form in before for form in written(secret)) for secret in case.secrets]
    assert sum(found) > 0.9 * len(found)  # all of them, but for those that a page's end cuts in two

    receipt = memory.forget(there)

    after = image(tmp_path / "m.rem")
    assert [secret for secret in case.secrets for form in written(secret) if form in after] == []
    assert (receipt.ids, receipt.versions, receipt.grade) == ((there,), 1 + len(case.corrections), "E")
    searched = {one.name: (one.n, one.before, one.after) for one in receipt.tests if one.name.startswith("bytes:")}
    assert searched["bytes: salts"] == (receipt.versions, receipt.versions, 0)
    assert all(n == before and after == 0 for name, (n, before, after) in searched.items() if "encodings" not in name)
    assert [cube.text for cube in memory.list()] == NEIGHBOURS
    assert memory.verify().ok


def test_no_vector_is_left(opened, image, tmp_path):
    memory = opened()
    memory.add(NEIGHBOURS)
    there = memory.add([noise(400, "p").replace("a", " "), noise(90_000, "q").replace("a", " ")])
    pieces = vector_pieces(memory, there)
    before = image(tmp_path / "m.rem")
    assert len(pieces) > 10
    assert all(piece in before for piece in pieces)
    memory.forget(there)
    after = image(tmp_path / "m.rem")
    assert [piece for piece in pieces if piece in after] == []


def test_nothing_is_left_while_another_handle_is_open(opened, image, tmp_path):
    memory, other = opened(), opened()
    memory.add(NEIGHBOURS)
    [there] = memory.add(noise(3000, "o"))
    assert other.get(there).text == noise(3000, "o")
    other.forget(there)
    assert noise(3000, "o")[:2000].encode()[1000:1024] not in image(tmp_path / "m.rem")
    assert [hit.cube.text for hit in memory.recall(noise(3000, "o")[:100]) if hit.cube.id == there] == []


def test_an_idempotency_key_is_never_written_as_it_is(opened, image, tmp_path):
    memory = opened()
    memory.add("Hello.", idempotency_key="order of " + noise(20, "i"))
    assert noise(20, "i").encode() not in image(tmp_path / "m.rem")


def test_a_copy_made_afterwards_is_clean_and_one_made_before_is_not(opened, image, tmp_path):
    """The receipt says that backups and exports made earlier are not reached: this is why."""
    memory, secret = opened(), noise(40, "c")
    memory.add(NEIGHBOURS)
    [there] = memory.add(secret)
    memory.backup(tmp_path / "before.rem")
    receipt = memory.forget(there)
    memory.backup(tmp_path / "after.rem")
    memory.export(tmp_path / "after.jsonl", vectors=True)
    assert secret.encode() in image(tmp_path / "before.rem")
    assert secret.encode() not in image(tmp_path / "after.rem") + (tmp_path / "after.jsonl").read_bytes()
    assert [one.where for one in receipt.not_reached if one.what.startswith("backup")] == [str(tmp_path / "before.rem")]


# ── what was made out of memories ────────────────────────────────────────────────────────────────────────────────────


def made(
    memory: Memory, read: Callable[..., object], draft: Callable[..., object]
) -> tuple[str, list[str], list[bytes]]:
    """A memory with a reading, memories made from it, and cached answers. Returns its id, theirs, and secrets."""
    memory.add(NEIGHBOURS)
    names = {part: f"Q{noise(22, part)}" for part in (
        "text", "entity", "subject", "relation", "value", "statement", "about", "second reading", "question", "answer",
        "grandchild", "reply", "reply to the child", "read of the child", "corrected", "old reading",
    )}  # fmt: skip
    [there] = memory.add(f"Of old: {names['text']}.")
    store, embed = memory._store, memory._encoding.documents
    read(store, there, Extraction(entities=(names["old reading"],)), embed=embed)
    memory.correct(there, f"It is {names['corrected']}.")
    read(store, there, Extraction(statements=(names["second reading"],)), embed=embed)
    content = Extraction(
        (names["entity"],), (Fact(names["subject"], names["relation"], names["value"]), Fact("Ann", "is", names["value"])),
        (f"He said {names['statement']} twice.", noise(900, "long statement").replace("a", " ")), names["about"],
    )  # fmt: skip
    read(store, there, content, "second reader", embed=embed)
    child, grandchild = "id-of-the-child", "id-of-the-grandchild"
    store.append([draft(f"{names['question']}? {names['answer']}", "default", cube_id=child, derived_from=[there])])
    read(store, child, Extraction(entities=(names["read of the child"],)), embed=embed)
    store.append([draft(names["grandchild"], "elsewhere", cube_id=grandchild, derived_from=[child])])
    neighbour = memory.list()[0].id
    store.derived.keep_reply("default", b"k", names["reply"], [there, neighbour])
    store.derived.keep_reply("default", b"l", names["reply to the child"], [grandchild])
    store.derived.keep_reply("default", b"m", "This one stays.", [neighbour])
    return there, [child, grandchild], [name.encode() for name in names.values() if name != names["second reading"]]


def test_nothing_is_left_of_what_was_made_out_of_it(opened, image, tmp_path, read, draft):
    memory = opened()
    there, children, secrets = made(memory, read, draft)
    vectors = [one.vectors for one in memory._store.derived.stored(range(99)).values() if one.vectors]
    pieces = [vector[at : at + 24] for vector in vectors for at in range(0, len(vector), 24)]
    secrets += [piece for piece in pieces if piece.count(0) < 12]
    before = image(tmp_path / "m.rem")
    assert [secret for secret in secrets if secret not in before] == []
    assert len(secrets) > 25

    receipt = memory.forget(there)

    after = image(tmp_path / "m.rem")
    assert [secret for secret in secrets if secret in after] == []
    assert (receipt.ids, receipt.versions) == ((there, *children), 4)
    assert memory._store.derived.readings(None) == {}
    assert memory._store.derived.children([there, *children]) == []
    assert [memory._store.derived.reply("default", key) for key in (b"k", b"l", b"m")] == [
        None,
        None,
        "This one stays.",
    ]
    with memory._store.connections.read() as connection:
        for table in ("extractions", "lineage", "claims"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
        assert connection.execute("SELECT count(*) FROM reply_sources").fetchone() == (1,)
    assert [cube.text for cube in memory.list()] == NEIGHBOURS
    checked = memory.verify()
    assert checked.ok, checked.problems


def test_a_reading_alone_is_searched_for(opened, read, draft):
    """The probe knows what was read, made and answered: with a rewrite that does nothing it finds that too."""
    memory = opened()
    there, _, secrets = made(memory, read, draft)
    erased = memory._store.erase([there])
    found = b"\0".join(erased.traces)
    assert [secret for secret in secrets if secret not in found] == []


def test_an_earlier_reading_goes_too(opened, image, tmp_path, read, draft):
    """It was replaced, and its bytes may lie in the slack of a page until the file is rewritten."""
    memory = opened()
    there, _, _ = made(memory, read, draft)
    memory.forget(there)
    assert f"Q{noise(22, 'second reading')}".encode() not in image(tmp_path / "m.rem")


def test_forgetting_what_was_made_leaves_the_rest(opened, image, tmp_path, read, draft):
    memory = opened()
    there, children, _ = made(memory, read, draft)
    assert memory.forget(children[0]).ids == tuple(children)
    after = image(tmp_path / "m.rem")
    for part in ("question", "answer", "grandchild", "read of the child", "reply to the child"):
        assert f"Q{noise(22, part)}".encode() not in after, part
    for part in ("text", "corrected", "entity", "value", "statement", "reply"):
        assert f"Q{noise(22, part)}".encode() in after, part
    assert memory.get(there).version == 2
    assert memory.verify().ok


# ── the probe ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_neighbour_with_the_same_phrase_lives_on(opened, image, tmp_path):
    memory, phrase = opened(), "the key is under the third flower pot on the left"
    memory.add(NEIGHBOURS)
    mine, yours = memory.add([f"Remember: {phrase}", {"content": "Elsewhere.", "meta": {"note": f"he says {phrase}"}}])
    memory.forget(mine)
    assert phrase.encode() in image(tmp_path / "m.rem")  # because the neighbour says it
    assert memory.get(yours).meta == {"note": f"he says {phrase}"}
    memory.forget(yours)
    assert phrase.encode() not in image(tmp_path / "m.rem")


def test_a_trace_that_stays_is_reported(opened, tmp_path):
    """The probe is no decoration: with a rewrite that does nothing it finds what is left, here in the log."""
    memory = opened()
    memory.add(NEIGHBOURS)
    [there] = memory.add(noise(500, "t"))
    memory._store.scrub = lambda: None  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ForgetIncompleteError, match="traces can still be read"):
        memory.forget(there)


@pytest.mark.parametrize(
    "text",
    ["hi there friend", "embedder", "SQLite format 3", "superseded_at", "CREATE TABLE notes", "a" + " " * 99],
    ids=["sparse-vector", "name-of-a-note", "header", "column", "statement", "blanks"],
)
@pytest.mark.parametrize("location", ["m.rem", ":memory:"], ids=["file", "memory"])
def test_the_only_memory_can_be_forgotten(opened, location, text):
    memory = opened(location)
    assert memory.forget(memory.add(text)).versions == 1


def test_a_text_that_repeats_the_journal_can_be_forgotten(opened):
    memory = opened()
    [first] = memory.add(NEIGHBOURS[0])
    memory.add(NEIGHBOURS[1])
    quoting = memory.add(f"{first}")
    memory.forget(first)
    memory.forget(quoting)


# ── many pages, split and joined ─────────────────────────────────────────────────────────────────────────────────────

TOKEN = re.compile(rb"Zq[0-9a-f]{14}")


def tokens(number: int, size: int) -> str:
    """A text made of one unique token, over and over: whatever piece of 32 bytes stays, it holds the token."""
    token = f"Zq{number:014x}"
    return " ".join([token] * (size // 17 + 1))


def churn(add: Callable[[str], str], correct: Callable[[str, str], object], forget: Callable[[list[str]], object],
          sizes: list[int], seed: int, steps: int) -> tuple[set[bytes], set[bytes]]:  # fmt: skip
    """Random work. Returns the tokens of living and of forgotten memories."""
    chance = random.Random(seed)
    living: dict[str, list[int]] = {}
    gone: list[int] = []
    for number in range(steps):
        what = chance.random()
        if what < 0.6 or len(living) < 5:
            living[add(tokens(number, chance.choice(sizes)))] = [number]
        elif what < 0.85:
            cube_id = chance.choice(list(living))
            correct(cube_id, tokens(number, chance.choice(sizes)))
            living[cube_id].append(number)
        else:
            some = chance.sample(sorted(living), k=min(len(living), chance.randrange(1, 4)))
            forget(some)
            gone += [token for cube_id in some for token in living.pop(cube_id)]

    def found(numbers):
        return {f"Zq{number:014x}".encode() for number in numbers}

    return found(number for numbers in living.values() for number in numbers), found(gone)


SIZES = st.lists(st.integers(1, 6000) | st.integers(1, 200), min_size=1, max_size=6)


@settings(max_examples=4)
@given(sizes=SIZES, seed=st.integers(0, 2**32))
def test_nothing_is_left_after_much_work(tmp_path_factory, image, sizes, seed):
    path = tmp_path_factory.mktemp("churn") / "m.rem"
    with Memory(path, Settings(embedder="hashing", durability="normal")) as memory:
        memory.add(NEIGHBOURS)
        living, gone = churn(lambda text: memory.add(text)[0], memory.correct, memory.forget, sizes, seed, 120)
        assert set(TOKEN.findall(image(path))) & (living | gone) >= living
        memory.forget(memory.add("One more to rewrite the file."))
        left = set(TOKEN.findall(image(path)))
        assert left & gone == set()
        assert memory.verify().ok
    assert set(TOKEN.findall(image(path))) & gone == set()


def test_overwriting_deleted_rows_alone_would_leave_some(tmp_path, draft, image):
    """The control: the same work without the rewrite leaves copies in the slack of pages, although SQLite zeroes deleted cells."""
    path = tmp_path / "m.rem"
    with closing(SQLiteStore(path, Settings(embedder="none", durability="normal"))) as store:
        versions: dict[str, int] = {}

        def add(text: str) -> str:
            return store.append([draft(text, cube_id=f"m{store.head()}")])[0]

        def correct(cube_id: str, text: str) -> None:
            versions[cube_id] = versions.get(cube_id, 1) + 1
            store.supersede(draft(text, cube_id=cube_id, version=versions[cube_id], mark=None))

        living, gone = churn(add, correct, store.erase, [40, 300, 900, 2500], 7, 1500)
        with store.connections.outside_transactions() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        left = set(TOKEN.findall(image(path))) - living
        assert left & gone
        store.scrub()
        assert set(TOKEN.findall(image(path))) - living == set()
