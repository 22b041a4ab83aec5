"""Forgetting by the front door: what goes, what stays, what the receipt says, and that it can be checked afterwards."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from remanence import Memory
from remanence.cubes import Extraction, Fact, Kind, State
from remanence.errors import (
    AccessDeniedError,
    ForgetIncompleteError,
    ForgottenError,
    FrozenError,
    InputError,
    KeyMissingError,
    ReceiptError,
    UnknownCubeError,
    UnknownSpaceError,
)
from remanence.forget.receipt import signed
from remanence.forgetting import verify_file
from remanence.governance.signing import SigningKey
from remanence.store.parts import Transition

FILLER = [
    "The kiln is fired on Fridays.",
    "Glazes are mixed by weight.",
    "Rain fell all week in Porto.",
    "The train leaves at noon.",
]
LONG = "The code of the blue safe in the cellar is seven four one."


def noise(seed: str, length: int = 40) -> str:
    """Characters that occur nowhere else."""
    return "".join(random.Random(seed).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))


@pytest.fixture
def memory(opened) -> Memory:
    memory = opened()
    memory.add(FILLER)
    return memory


def verdicts(receipt) -> dict[str, str]:
    return {one.name: one.verdict.value for one in receipt.tests}


# ── what is meant ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_by_query(memory):
    ids = memory.add(["Ana lives in Lisbon.", "Lisbon is where Ana works.", "Ben lives in Lisbon."])
    memory.correct(ids[0], "Ana lives in Porto.")
    receipt = memory.forget(query="ana lisbon", reason="asked by the user")
    assert set(receipt.ids) == {*ids[:2]}
    assert (receipt.request.selector, receipt.request.reason, receipt.request.space) == (
        "query",
        "asked by the user",
        "default",
    )
    assert memory.get(ids[2]).text == "Ben lives in Lisbon."


def test_by_source_user_and_space(memory, tmp_path):
    (tmp_path / "notes.md").write_text("# Pots\n\nThe glaze is blue.\n\n# Kilns\n\nThe kiln is hot.\n")
    file = memory.ingest(tmp_path / "notes.md")
    web = memory.add("From the web.", source="https://example.org")
    mine = memory.add(["one of mine", "two of mine"], user="ana")
    yours = memory.add("one of yours", user="ben")
    there = memory.add(["in another space"], space="work", user="ana")
    assert memory.forget(source="https://example.org").ids == (*web,)
    assert set(memory.forget(user="ana").ids) == {*mine}
    assert set(memory.forget(source="notes.md").ids) == {*file}
    assert memory.get(there[0]).text == "in another space"
    assert memory.forget(space="work").ids == (*there,)
    assert {cube.text for cube in memory.list()} == {*FILLER, "one of yours"}
    assert memory.get(yours[0])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [({}, InputError), ({"cube_id": []}, InputError), ({"query": "a", "user": "b"}, InputError), ({"query": "the of"}, InputError),
     ({"query": " "}, InputError), ({"user": 5}, InputError), ({"query": "unheard"}, UnknownCubeError), ({"user": "nobody"}, UnknownCubeError),
     ({"space": "nowhere"}, UnknownSpaceError), ({"cube_id": "no such"}, UnknownCubeError), ({"query": "kiln", "reason": ""}, InputError),
     ({"query": "kiln", "reason": "x" * 1001}, InputError), ({"query": "kiln", "reason": f"because “{FILLER[0]}”"}, InputError)],
    ids=repr,
)  # fmt: skip
def test_what_means_nothing_erases_nothing(memory, arguments, error):
    with pytest.raises(error):
        memory.forget(**arguments)
    assert len(memory.list()) == len(FILLER)
    assert memory.receipts.list() == []


# ── the plan ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dry_run_shows_everything_and_changes_nothing(memory, tmp_path, read):
    [there] = memory.add("Ana lives in Lisbon.", user="ana")
    [near] = memory.add("Ana lives in Lisbon now.")
    memory.correct(there, "Ana lives in Porto.")
    memory.pair()
    content = Extraction(("Ana",), (Fact("Ana", "lives in", "Porto"),), ("Ana's home is Porto.",))
    read(memory._store, there, content, embed=memory._encoding.documents)
    memory._store.derived.keep_reply("default", b"k", "A cached reply.", [there])
    memory.backup(tmp_path / "copy.rem")
    before = memory._store.head()
    plan = memory.forget(query="ana porto", dry_run=True)
    counts = dict(plan.counts)
    assert counts["versions"] == 3
    assert (counts["memories"], counts["question-answer pairs"], counts["readings"], counts["cached replies"]) == (
        1,
        1,
        1,
        1,
    )
    assert counts["claims"] >= 2
    assert [one.made_of for one in plan.memories if one.chosen] == [(), (there,)], "the pair says both words too"
    by_id = memory.forget(there, dry_run=True)
    assert [(one.id == there, one.chosen, one.made_of) for one in by_id.memories] == [
        (True, True, ()),
        (False, False, (there,)),
    ]
    assert by_id.counts == plan.counts
    assert near in [one.id for one in plan.close]
    assert there not in [one.id for one in plan.close]
    assert any(one.where == str(tmp_path / "copy.rem") for one in plan.not_reached)
    assert json.loads(json.dumps(plan.to_json()))["counts"] == counts
    assert memory._store.head() == before
    assert memory.get(there).text == "Ana lives in Porto."
    assert memory.receipts.list() == []


def test_other_passages_of_the_file_are_named(memory, tmp_path):
    (tmp_path / "notes.md").write_text("# Pots\n\nThe glaze is blue.\n\n# Kilns\n\nThe oven is hot.\n")
    ids = memory.ingest(tmp_path / "notes.md")
    assert len(ids) == 2
    assert memory.forget(ids[0], dry_run=True).same_source == (ids[1],)
    assert memory.forget(source="file:notes.md", dry_run=True).same_source == ()


@pytest.mark.parametrize("host", ["models.example:8080", "models.example"])
def test_remote_models_are_named_without_keys(opened, host):
    memory = opened(model=f"http://user:secret@{host}/v1#m", model_key="secret")
    [there] = memory.add("Ana lives in Lisbon.")
    found = [one for one in memory.forget(there, dry_run=True).not_reached if one.what.startswith("remote")]
    assert [one.where for one in found] == [host]


def test_a_dry_run_shows_nothing_of_spaces_of_others(memory):
    [there] = memory.add(LONG, space="a")
    memory.access.share(there, to="b")
    memory.pair(space="b")
    copies = [cube.id for cube in memory.list(space="b")]
    memory.access.grant("boss", "owner", space="a")
    plan = memory.acting_as("boss").forget(there, dry_run=True)
    assert plan.ids == (there,)
    assert plan.elsewhere == len(copies) > 0
    assert not [one for one in copies if one in json.dumps(plan.to_json())]
    memory.access.grant("boss", "owner", space="b")
    assert set(memory.acting_as("boss").forget(there, dry_run=True).ids) == {there, *copies}
    memory.access.grant("other", "owner", space="b")
    plan = memory.acting_as("other").forget(copies[0], dry_run=True)
    assert there not in json.dumps(plan.to_json())


def test_names_in_settings_are_said_not_to_be_reached(memory):
    [there] = memory.add("Ana lives in Lisbon.", space="work", user="ana")
    memory.access.grant("ana", "reader", space="work")
    memory.access.grant("ben", "reader", space="work")
    memory.access.share(space="work", user="ana", to="team")

    def named(plan):
        return [one.where for one in plan.not_reached if one.what == "names in settings"]

    assert named(memory.forget(there, dry_run=True)) == ["1 grants, 1 principals, 1 shares"]
    assert named(memory.forget(space="work", dry_run=True)) == ["2 grants, 1 principals, 1 shares"]
    assert named(memory.forget(query="kiln", dry_run=True)) == []
    assert [one.where for one in memory.forget(there).not_reached if "names" in one.what]


def test_what_is_frozen_refuses_the_whole(memory):
    ids = memory.add(["Ana lives in Lisbon.", "Ana likes tea."])
    memory._store.lifecycle.change([Transition(ids[1], State.FROZEN, "law")])
    assert memory.forget(query="ana", dry_run=True).frozen == (ids[1],)
    with pytest.raises(FrozenError, match=ids[1]):
        memory.forget(query="ana")
    assert memory.get(ids[0])


# ── what follows from it ─────────────────────────────────────────────────────────────────────────────────────────────


def merged(memory: Memory, draft) -> tuple[list[str], str]:
    """Two memories, and the one that was made of them."""
    ids = memory.add(["Ana lives in Lisbon.", {"content": "Ana lives in Lisbon!", "session": "s"}])
    product = draft("Ana lives in Lisbon.", "default", cube_id="product", derived_from=ids, vector=None)
    cube = product.cube
    from dataclasses import replace

    cube = replace(cube, kind=Kind.MESSAGE, provenance=replace(cube.provenance, method="merged/1"))
    product = replace(product, cube=cube, made_of=tuple((one, 1) for one in ids))
    assert memory._store.lifecycle.merge(product, ids, "the same") is not None
    return ids, "product"


def test_the_other_source_of_a_merge_comes_back(memory, draft):
    ids, product = merged(memory, draft)
    assert memory.get(ids[1]).state is State.MERGED
    receipt = memory.forget(ids[0])
    assert set(receipt.ids) == {ids[0], product}
    assert receipt.came_back == (ids[1],)
    assert memory.get(ids[1]).state is State.ACTIVE
    assert ids[1] in [hit.cube.id for hit in memory.recall("Where does Ana live?")]
    assert memory.verify().ok


def test_forgetting_a_merged_memory_forgets_what_it_speaks_for(memory, draft):
    ids, product = merged(memory, draft)
    receipt = memory.forget(product)
    assert set(receipt.ids) == {product, *ids}
    assert receipt.came_back == ()
    assert not [hit for hit in memory.recall("Where does Ana live?") if "Ana" in hit.cube.text]


def test_a_source_that_came_back_is_not_forgotten_with_the_merged_memory(opened):
    memory = opened()
    ids = memory.add(["I really like chess.", "I like chess!"], user="ana")
    memory.consolidate(what=["merge"])
    [product] = [cube.id for cube in memory.list() if cube.provenance.method.startswith("merged/")]
    memory.lifecycle.restore(ids[0])
    memory.correct(ids[0], "The bakery closes at noon on Mondays.")
    receipt = memory.forget(product)
    assert ids[0] not in receipt.ids
    assert memory.get(ids[0]).text == "The bakery closes at noon on Mondays."


def test_a_summary_goes_and_its_other_sources_are_named(memory, draft):
    ids = memory.add(["Ana lives in Lisbon.", "Ana likes tea."])
    from dataclasses import replace

    made = draft("Ana: Lisbon, tea.", "default", cube_id="summary", derived_from=ids, vector=None)
    memory._store.append([replace(made, cube=replace(made.cube, kind=Kind.SUMMARY))])
    plan = memory.forget(ids[0], dry_run=True)
    assert plan.counts["summaries and profiles"] == 1
    assert plan.rebuilt == (ids[1],)
    assert memory.forget("summary", dry_run=True).sources_left == (*ids,)
    receipt = memory.forget(ids[0])
    assert (set(receipt.ids), receipt.rebuilt) == ({ids[0], "summary"}, (ids[1],))


def test_recorded_questions_go(memory):
    [there] = memory.add("Ana lives in Lisbon.", user="ana")
    with memory._store.connections.write() as connection:
        for question, filters, ids in (
            ("Where does she live?", {}, [there]), ("Is it true that ana lives in lisbon?", {}, []),
            ("What is hot?", {"user": "ana"}, []), ("What is hot?", {"user": "ben"}, []), ("Rain?", {}, []),
        ):  # fmt: skip
            connection.execute(
                "INSERT INTO questions (space, at, question, filters, ids) VALUES (1, 'now', ?, ?, ?)",
                (question, json.dumps(filters), json.dumps(ids)),
            )
    receipt = memory.forget(there)
    with memory._store.connections.read() as connection:
        left = [row[0] for row in connection.execute("SELECT question FROM questions ORDER BY n")]
    assert left == ["What is hot?", "Rain?"]
    assert [(one.before, one.after) for one in receipt.substrates if one.kind == "recorded questions"] == [(3, 0)]


def test_questions_of_an_emptied_space_go(memory):
    memory.add(["One.", "Two."], space="guests")
    with memory._store.connections.write() as connection:
        for space in (1, 2):
            connection.execute(
                "INSERT INTO questions (space, at, question, filters, ids) VALUES (?, 'now', 'What?', '{}', '[]')",
                (space,),
            )
    memory.forget(query="two", space="guests")
    with memory._store.connections.read() as connection:
        assert connection.execute("SELECT space FROM questions").fetchall() == [(1,), (2,)]
    memory.forget(space="guests")
    with memory._store.connections.read() as connection:
        assert connection.execute("SELECT space FROM questions").fetchall() == [(1,)]


def test_events_and_usage_go(memory, image, tmp_path):
    [there] = memory.add("Ana lives in Lisbon.")
    why = noise("reason")
    memory._store.lifecycle.change([Transition(there, State.FROZEN, why), Transition(there, State.ACTIVE, "done")])
    assert why.encode() in image(tmp_path / "m.rem")
    receipt = memory.forget(there)
    assert why.encode() not in image(tmp_path / "m.rem")
    assert verdicts(receipt)["bytes: reasons of events"] == "PASS"
    assert memory.verify().ok


# ── the receipt ──────────────────────────────────────────────────────────────────────────────────────────────────────


def secretive(memory: Memory) -> tuple[str, list[str]]:
    """A memory all of whose parts are secrets."""
    secrets = {
        part: noise(part)
        for part in ("text", "second", "user", "author", "session", "source", "meta", "title", "query")
    }
    message = {
        "content": f"Mind {secrets['text']} and the word {secrets['query']} now.", "name": secrets["author"],
        "session": secrets["session"], "source": secrets["source"], "meta": {"k": secrets["meta"]}, "title": secrets["title"],
    }  # fmt: skip
    [there] = memory.add(message, user=secrets["user"])
    memory.correct(there, f"It is {secrets['second']}.")
    return there, list(secrets.values())


@pytest.mark.parametrize("by", ["cube_id", "query", "user", "source"])
def test_it_holds_nothing_of_what_was_erased(memory, by, tmp_path, image):
    there, secrets = secretive(memory)
    value = {"cube_id": there, "query": noise("query"), "user": noise("user"), "source": noise("source")}[by]
    receipt = memory.forget(**{by: value})
    for text in (receipt.canonical().decode(), receipt.page(), receipt.text()):
        assert [secret for secret in secrets if secret in text] == []
    assert [secret for secret in secrets if secret.encode() in image(tmp_path / "m.rem")] == []
    assert (receipt.grade, receipt.exact) == ("E", True)
    assert receipt.ids == (there,)


def test_every_test_could_have_failed(memory):
    [there] = memory.add({"content": "Ana lives in Lisbon.", "meta": {"pin": noise("pin")}})
    receipt = memory.forget(there)
    assert set(verdicts(receipt).values()) == {"PASS"}
    for one in receipt.tests:
        if one.name.startswith(("bytes: texts", "bytes: meta", "bytes: vectors", "search", "re-ask", "rows")):
            assert one.before > 0, one
            assert one.after == 0, one


def test_a_living_memory_that_says_the_same_is_named(memory):
    ids = memory.add(["Ana lives in Lisbon.", {"content": "Ana lives in Lisbon!", "session": "s"}])
    memory.pair()
    receipt = memory.forget(ids[0])
    assert receipt.grade == "E"
    named = [one for one in receipt.residual_risk if one.startswith("Answered from other memories")]
    assert len(named) == 1
    assert any(cube.id in named[0] for cube in memory.list() if "Lisbon" in cube.text)


def test_residue_is_told_and_the_receipt_kept(memory, monkeypatch):
    [there] = memory.add(LONG)
    monkeypatch.setattr(memory._store, "scrub", lambda: None)
    with pytest.raises(ForgetIncompleteError, match="traces can still be read") as caught:
        memory.forget(there)
    receipt = caught.value.receipt
    assert (receipt.grade, receipt.exact) == ("F", False)
    assert verdicts(receipt)["bytes: texts"] == "FAIL"
    assert memory.receipts.list() == [receipt]


def test_a_file_that_cannot_be_rewritten_is_only_suppressed(memory, monkeypatch):
    [there] = memory.add(LONG)

    def full() -> None:
        raise ForgetIncompleteError("The disk is full.", "Free some room.")

    monkeypatch.setattr(memory._store, "scrub", full)
    with pytest.raises(ForgetIncompleteError, match="disk is full") as caught:
        memory.forget(there)
    assert (caught.value.receipt.grade, memory.receipts.list()[0].grade) == ("S", "S")
    with pytest.raises(UnknownCubeError):
        memory.get(there)


def test_without_a_key_nothing_is_erased(opened, tmp_path):
    (tmp_path / "bad.pem").write_text("no key")
    (tmp_path / "bad.pem").chmod(0o600)
    memory = opened(signing_key=tmp_path / "bad.pem")
    [there] = memory.add("Ana lives in Lisbon.")
    with pytest.raises(KeyMissingError):
        memory.forget(there)
    assert memory.get(there)


def test_a_partial_copy_beside_the_store_is_found(memory, tmp_path):
    [there] = memory.add(LONG)
    partial = tmp_path / ".m.rem.0123.part"
    memory.backup(tmp_path / "whole.rem")
    partial.write_bytes((tmp_path / "whole.rem").read_bytes())
    with pytest.raises(ForgetIncompleteError) as caught:
        memory.forget(there)
    places = {one.kind: one.verdict for one in caught.value.receipt.substrates}
    assert places["bytes of the store: partial"] == "FAIL"
    assert places["bytes of the store: file"] == "PASS"


def test_progress_is_told(memory):
    told = []
    memory.forget(query="kiln", progress=lambda done, total: told.append((done, total)))
    assert told == [(number, 6) for number in range(1, 7)]


# ── verification ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def receipts(memory):
    """Three receipts of one store."""
    ids = memory.add([LONG, "Ben likes tea.", "Cleo sails on Sundays."])
    return [memory.forget(one) for one in ids]


def test_receipts_hold(memory, receipts):
    assert memory.receipts.list() == receipts
    assert memory.receipts.get(receipts[1].id) == receipts[1]
    for one in receipts:
        found = memory.receipts.verify(one)
        assert found.ok, found.checks
    with pytest.raises(ReceiptError):
        memory.receipts.get("no such id")


def test_a_receipt_is_checked_without_the_store(memory, receipts, tmp_path):
    path = tmp_path / "receipt.json"
    path.write_bytes(receipts[0].canonical())
    key = SigningKey.open(memory.settings.signing_key)
    other = SigningKey.open(tmp_path / "other.pem")
    assert verify_file(path, key.public.hex()).ok
    assert not verify_file(path, other.public.hex()).ok
    assert verify_file(path).notes
    path.write_text(path.read_text().replace('"grade":"E"', '"grade":"F"'))
    assert not verify_file(path).ok
    with pytest.raises(ReceiptError):
        verify_file(tmp_path / "missing.json")


TAMPERED = {
    "journal entry changed": ("UPDATE journal SET id = 'x' WHERE op = 'forget' AND entry = (SELECT min(entry) FROM journal WHERE op = 'forget')", "journal"),
    "journal entry removed": ("DELETE FROM journal WHERE entry = (SELECT min(entry) FROM journal WHERE op = 'forget')", "journal"),
    "journal time changed": ("UPDATE journal SET at = '2000' WHERE op = 'forget' AND entry = (SELECT min(entry) FROM journal WHERE op = 'forget')", "journal"),
    "receipt removed": ("DELETE FROM receipts WHERE n = 2", "chain of receipts"),
    "own receipt removed": ("DELETE FROM receipts WHERE n = 1", "the store holds the same receipt"),
    "receipt changed": ("UPDATE receipts SET body = replace(body, '\"E\"', '\"F\"') WHERE n = 1", "the store holds the same receipt"),
    "receipts swapped": ("UPDATE receipts SET n = 9 - n", "chain of receipts"),
    "tombstones removed": ("DELETE FROM tombstones", "tombstones are there"),
    "other store": ("UPDATE notes SET value = 'x' || value WHERE name = 'store'", "store"),
    "rows come back": ("INSERT INTO usage SELECT id, 1, 'now' FROM journal WHERE op = 'forget'", "no row has an erased id"),
}  # fmt: skip


@pytest.mark.parametrize(("statement", "check"), TAMPERED.values(), ids=TAMPERED.keys())
def test_tampering_is_noticed(memory, opened, receipts, statement, check):
    with memory._store.connections.write() as connection:
        assert connection.execute(statement).rowcount
    found = opened().receipts.verify(receipts[0])
    assert not found.ok
    assert check in [one.name for one in found.checks if not one.ok]


def test_a_receipt_that_follows_from_another_one_is_noticed(memory, receipts):
    """Also where whoever has the key signed it."""
    forged = signed(receipts[1], SigningKey.open(memory.settings.signing_key), 2, "another receipt")
    with memory._store.connections.write() as connection:
        connection.execute("UPDATE receipts SET body = ? WHERE n = 2", (forged.canonical().decode(),))
    found = memory.receipts.verify(forged)
    assert [one.name for one in found.checks if not one.ok] == ["chain of receipts"]


def test_who_said_the_same_before_is_named_and_no_fault(memory):
    ids = memory.add([LONG, {"content": LONG, "session": "s"}])
    found = memory.receipts.verify(memory.forget(ids[0]))
    assert found.ok, found.checks
    assert any(ids[1] in note for note in found.notes)


def test_what_is_learned_again_on_purpose_is_noted(memory, receipts):
    memory.add(LONG, relearn=True)
    found = memory.receipts.verify(receipts[0])
    assert {one.name for one in found.checks if not one.ok} == {
        "no memory has learned an erased text again",
        "tombstones are there",
    }
    assert memory.receipts.verify(receipts[0], again=False).ok
    assert memory.receipts.verify(receipts[1]).ok


# ── who may ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("role", [None, "reader", "writer", "auditor"])
def test_only_owners_of_the_space_forget(memory, role):
    [there] = memory.add("Ana lives in Lisbon.", user="ana")
    if role:
        memory.access.grant("eve", role, space="default")
    eve = memory.acting_as("eve")
    for arguments in ({"cube_id": there}, {"query": "ana"}, {"user": "ana"}, {"space": "default"}):
        for dry_run in (True, False):
            with pytest.raises((AccessDeniedError, UnknownCubeError)):
                eve.forget(**arguments, dry_run=dry_run)
    assert memory.get(there)


def test_an_owner_of_a_space_forgets_there_and_is_named(memory):
    memory.access.grant("eve", "owner", space="work")
    [there] = memory.add("Ana works in Lisbon.", space="work")
    eve = memory.acting_as("eve")
    assert eve.forget(there, space="work").request.subject == "eve"
    with pytest.raises((AccessDeniedError, UnknownCubeError)):
        eve.forget(query="kiln")


# ── not again ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_forgotten_text_is_refused_and_nothing_of_its_list_written(memory):
    memory.forget(memory.add([LONG, "Hi Ben!"]))
    with pytest.raises(ForgottenError, match="Message 2 of 3"):
        memory.add(["Something new.", LONG.upper(), "More."])
    assert len(memory.list()) == len(FILLER)
    assert memory.add(LONG, space="elsewhere").new == 1
    ids = memory.add(["Something new.", LONG], relearn=True)
    assert ids.new == 2
    assert memory.add(LONG, session="again").new == 1


def test_a_text_with_a_forgotten_sentence_is_held(memory):
    memory.forget(memory.add(f"Hello. {LONG}"))
    ids = memory.add(["Fine.", f"By the way: nice. {LONG} Bye."])
    assert list(ids.held) == [ids[1]]
    assert memory.get(ids[1]).state is State.GENERATED
    assert ids[1] not in [hit.cube.id for hit in memory.recall("the code of the blue safe")]


def test_without_tombstones_it_may_be_learned_again(memory):
    [there] = memory.add(LONG)
    receipt = memory.forget(there, tombstone=False)
    assert receipt.target.keyed_digests == ()
    assert memory.add(LONG).new == 1
    found = memory.receipts.verify(receipt)
    assert found.ok
    assert any("No digests" in one for one in found.notes)


def test_an_idempotency_key_still_answers_for_what_was_forgotten(memory):
    [there] = memory.add(LONG, idempotency_key="k")
    memory.forget(there)
    assert memory.add(LONG, idempotency_key="k") == []


def test_passages_are_left_out_and_named(memory, tmp_path):
    path = tmp_path / "notes.md"
    path.write_text("# Pots\n\nThe glaze is blue.\n\n# Kilns\n\nThe oven is hot.\n")
    ids = memory.ingest(path)
    memory.forget(ids[0])
    again = memory.ingest(path)
    assert (list(again), again.new) == ([ids[1]], 0)
    assert len(again.skipped) == 1
    assert "notes.md" in again.skipped[0]
    assert memory.ingest(path, relearn=True).new == 1


def test_a_correction_does_not_bring_it_back(memory):
    memory.forget(memory.add("Ana lives in Lisbon."))
    [there] = memory.add("Ana lives in Porto.")
    with pytest.raises(ForgottenError):
        memory.correct(there, "ana lives in lisbon")
    assert memory.get(there).version == 1
    assert memory.correct(there, "Ana lives in Lisbon.", relearn=True).version == 2


def test_a_correction_does_not_bring_a_sentence_back(memory):
    memory.forget(memory.add(LONG))
    [there] = memory.add("Ana lives in Porto.")
    with pytest.raises(ForgottenError, match="sentence"):
        memory.correct(there, f"Ana lives in Porto. {LONG}")
    assert memory.correct(there, f"Ana lives in Porto. {LONG}", relearn=True).version == 2


def test_a_correction_may_keep_a_sentence_that_is_there(memory):
    [there] = memory.add(f"Ana lives in Porto. {LONG}")
    memory.forget(memory.add(LONG))
    assert memory.correct(there, f"Ana lives in Faro. {LONG}").version == 2


def test_an_old_export_of_another_space_does_not_bring_a_shared_copy_back(memory, tmp_path):
    [there] = memory.add("Ana lives in Lisbon.")
    memory.access.share(there, to="other")
    memory.export(tmp_path / "other.jsonl", space="other")
    memory.forget(there)
    assert memory.import_(tmp_path / "other.jsonl") == 0
    assert memory.list(space="other") == []
    with pytest.raises(ForgottenError):
        memory.add("Ana lives in Lisbon.", space="other")


def test_a_share_does_not_make_again_what_its_target_forgot(memory):
    [there] = memory.add("Ana lives in Lisbon.", user="ana")
    memory.access.share(user="ana", to="other")
    [copy] = memory.list(space="other")
    memory.forget(copy.id)
    memory.lifecycle.archive(there)
    memory.lifecycle.restore(there)
    memory.access.sync()
    assert memory.list(space="other") == []
    memory.add("Ana likes tea.", user="ana")
    assert [cube.text for cube in memory.list(space="other")] == ["Ana likes tea."]


def test_an_old_export_does_not_bring_it_back(memory, opened, tmp_path, caplog):
    [there] = memory.add("Ana lives in Lisbon.")
    memory.correct(there, "Ana lives in Porto.")
    [other] = memory.add("Ben is a nurse.")
    memory.pair()
    memory.export(tmp_path / "old.jsonl")
    memory.forget(there)
    before = memory.stats().versions
    assert memory.import_(tmp_path / "old.jsonl") == 0
    assert memory.stats().versions == before
    assert "left out" in caplog.text
    assert opened("fresh.rem").import_(tmp_path / "old.jsonl") > before
    assert memory.import_(tmp_path / "old.jsonl", relearn=True) == 3
    assert memory.get(there).text == "Ana lives in Porto."
    assert memory.get(other)
    assert memory.verify().ok


def test_nothing_of_the_probe_stays(memory):
    """The probe asks with the erased text: neither the cache of questions nor the log may keep it."""
    [there] = memory.add(LONG)
    memory.recall("the code of the blue safe")
    cached = memory._encoding._questions._vectors
    assert [text for text in cached if "safe" in text]
    memory.forget(there)
    assert not [text for text in cached if "safe" in text]
    with memory._store.connections.read() as connection:
        assert connection.execute("SELECT count(*) FROM questions").fetchone() == (0,)
    assert Path(memory._store.location).exists()


def test_a_share_of_one_memory_ends_with_it(memory):
    [cube_id] = memory.add(["Zoe keeps a falcon."])
    kept = memory.access.share(memory.list()[0], to="press")
    memory.access.share(cube_id, to="press")
    receipt = memory.forget(cube_id)
    assert receipt.grade == "E"
    assert [one.id for one in memory.access.shares()] == [kept.id]
    assert len(memory.list(space="press")) == 1
    with memory._store.connections.read() as connection:
        query = "SELECT count(*) FROM journal WHERE op = 'unshare'"
        assert connection.execute(query).fetchone() == (1,)
    assert memory.verify().ok
    assert memory.audit.verify().ok
    assert memory.receipts.verify(receipt).ok
