"""Lookup rows: what is written is read, what is deleted was never there, and nothing else is touched."""

from __future__ import annotations

import random
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.cubes import Fact, Form
from remanence.errors import InputError, ModelMismatchError, PayloadDamagedError, QuotaError, TrainingError
from remanence.parametric import lookupfile
from remanence.parametric.lookup import LookupMemory
from remanence.parametric.lookuptable import Hashes, LookupSpec, Owner, RowSet, Table
from remanence.parametric.lookuptraining import Note, RowTraining, common_ngrams


def note(world, fact, cube, guards=0):
    """What a fact gives to learn: two questions and two sentences; the last question is held out."""
    pairs = [(world.question(fact, n), world.answer(fact)) for n in (0, 1)]
    pairs += [(world.cloze(fact, n), world.answer(fact)) for n in (0, 1)]
    others = [Fact(fact.subject, one.name, one.values[0]) for one in world.relations if one.name != fact.relation]
    return Note(
        Owner(cube, 1),
        tuple(pairs),
        (fact.subject,),
        tuple(world.question(other, n) for other in others for n in range(guards)),
    )


def recall(lm, world, facts, template=0):
    texts = lm.generate_many([lm.encode(world.question(fact, template)) for fact in facts], max_new=4, stop=(".",))
    return sum(text == world.answer(fact) for text, fact in zip(texts, facts, strict=True)) / len(facts)


def logits(lm, prompts):
    return [lm.forward(lm.encode(prompt)).logits for prompt in prompts]


def same(left, right):
    return all(torch.equal(one, other) for one, other in zip(left, right, strict=True))


@pytest.fixture(scope="module")
def facts(taught_world):
    return taught_world.fresh(4)


@pytest.fixture(scope="module")
def notes(taught_world, facts):
    return [note(taught_world, fact, f"c{number:02}") for number, fact in enumerate(facts)]


@pytest.fixture(scope="module")
def full(taught, notes):
    memory = LookupMemory(taught)
    memory.write(notes)
    return memory


@pytest.fixture
def memory(taught, full):
    """A memory of its own with all rows, detached at the end."""
    made = LookupMemory(taught)
    made.add(full.sets)
    yield made
    made.detach()


# ── the table ────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(
    st.lists(st.integers(0, 2**31 - 2), min_size=1, max_size=3),
    st.integers(2, 4),
    st.integers(16, 70_000),
    st.integers(0, 9),
)
def test_slots_of_tensors_are_those_of_whole_numbers(ids, heads, size, seed):
    hashes = Hashes(LookupSpec(orders=(1, 2, 3), heads=heads, size=size, seed=seed))
    slots = hashes.slots(tuple(ids))
    assert slots == [int(hashes.of(torch.tensor([ids]), head)) for head in range(heads)]
    assert len(set(hashes.primes)) == heads
    assert all(0 <= slot < prime <= size for slot, prime in zip(slots, hashes.primes, strict=True))


ngram = st.lists(st.integers(0, 4), min_size=1, max_size=3).map(tuple)
row_sets = st.lists(
    st.tuples(st.sets(ngram, min_size=1, max_size=6), st.lists(ngram, max_size=2)),
    max_size=4,
    unique_by=id,
)


def table_of(spec, drawn, order):
    sets = []
    for number, (ngrams, entities) in enumerate(drawn):
        values = torch.full((len(ngrams), 1, 2), float(number))
        sets.append(RowSet(Owner(f"c{number}", 1), tuple(sorted(ngrams)), values, tuple(sorted(set(entities)))))
    return Table(spec, [sets[at] for at in order], 2)


@settings(max_examples=150, deadline=None)
@given(row_sets, st.data())
def test_matching_finds_what_comparing_everything_finds(drawn, data):
    spec = LookupSpec(
        orders=(1, 2, 3),
        size=data.draw(st.sampled_from([16, 4096])),
        read=data.draw(st.sampled_from(["best", "all"])),
        window=data.draw(st.integers(1, 6)),
    )
    order = data.draw(st.permutations(range(len(drawn))))
    table = table_of(spec, drawn, order)
    length = data.draw(st.integers(1, 9))
    ids = torch.tensor([[data.draw(st.integers(-1, 4)) for _ in range(length)] for _ in range(2)])
    start = data.draw(st.integers(0, length - 1))
    fast, naive = table.match(ids, start), table.match_naive(ids, start)
    assert fast.count == naive.count
    assert all(
        torch.equal(a, b)
        for one, other in zip(fast.passes, naive.passes, strict=True)
        for a, b in zip(one, other, strict=True)
    )
    again = table_of(spec, drawn, range(len(drawn)))
    assert torch.equal(table.values, again.values)
    assert torch.equal(table.counts, again.counts)
    for texts, places, _ in fast.passes:
        pairs = list(zip(texts.tolist(), places.tolist(), strict=True))
        assert len(set(pairs)) == len(pairs)


def test_a_place_reads_the_cube_that_most_of_its_ngrams_belong_to():
    spec = LookupSpec(orders=(1,), size=64)
    sets = [(({(1,), (2,), (9,)}), []), (({(1,), (9,)}), [])]
    table = table_of(spec, sets, range(2))
    hits = table.match(torch.tensor([[1, 2, 9]]))
    last = [
        int(table.values[row, 0, 0])
        for texts, places, rows in hits.passes
        for place, row in zip(places, rows, strict=True)
        if place == 2
    ]
    assert last == [0]
    both = Table(LookupSpec(orders=(1,), size=64, read="all"), table.sets, 2).match(torch.tensor([[1, 2, 9]]))
    assert both.count == 5


def test_a_spec_that_cannot_work_is_refused():
    for wrong in (
        {"layers": ()},
        {"orders": ()},
        {"orders": (2, 2)},
        {"heads": 1},
        {"heads": 5},
        {"size": 4},
        {"dim": -1},
    ):
        with pytest.raises(InputError):
            LookupSpec(**wrong)


# ── reading and writing ──────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_written_is_answered(taught, taught_world, facts, memory):
    assert recall(taught, taught_world, facts) <= 0.25
    with memory.reading():
        assert recall(taught, taught_world, facts) >= 0.9
        assert recall(taught, taught_world, facts, 1) >= 0.9
        assert recall(taught, taught_world, taught_world.facts[:24]) >= 0.95
    assert recall(taught, taught_world, facts) <= 0.25


def test_text_without_the_ngrams_is_untouched_bit_by_bit(taught, taught_world, memory):
    prompts = [taught_world.question(fact, n) for fact in taught_world.facts[:12] for n in (0, 2)]
    before = logits(taught, prompts)
    with memory.reading():
        assert same(before, logits(taught, prompts))
        assert not same(before[:1], logits(taught, [taught_world.question(taught_world.fresh(4)[0])]))


def test_after_a_delete_it_is_as_if_never_written(taught, taught_world, facts, notes, memory, tmp_path):
    prompts = [taught_world.question(fact, n) for fact in facts for n in range(3)]
    prompts += [taught_world.cloze(fact, n) for fact in facts[:4] for n in range(2)]
    base = logits(taught, prompts)
    gone = {owner.id for owner in memory.owners[::2]}
    alone = LookupMemory(taught)
    alone.write([one for one in reversed(notes) if one.owner.id not in gone])
    assert memory.delete(gone) > 0
    with memory.reading():
        left = logits(taught, prompts)
    with alone.reading():
        assert same(left, logits(taught, prompts))
    assert lookupfile.save(memory, tmp_path / "a").read_bytes() == lookupfile.save(alone, tmp_path / "b").read_bytes()
    assert memory.occupancy() == alone.occupancy()
    memory.delete(owner.id for owner in memory.owners)
    with memory.reading():
        assert same(base, logits(taught, prompts))
        assert taught.fingerprint.adapter == ""
    assert memory.delete(["c00"]) == 0


def test_deleted_facts_are_as_unknown_as_before(taught, taught_world, facts, memory):
    prompts = [taught.encode(taught_world.question(fact)) for fact in facts]
    answers = [taught.encode(taught_world.answer(fact)) for fact in facts]
    never = [one.total for one in taught.score(prompts, answers)]
    memory.delete(["c03", "c05"])
    with memory.reading():
        now = [one.total for one in taught.score(prompts, answers)]
        assert min(now[n] for n in range(len(facts)) if n not in {3, 5}) > -1
    memory.delete(owner.id for owner in memory.owners)
    with memory.reading():
        assert [one.total for one in taught.score(prompts, answers)] == never


def test_a_cube_is_found_under_its_ngrams(taught, taught_world, facts, memory):
    read = memory.held_under(taught_world.question(facts[2]))
    assert Owner("c02", 1) in read
    assert max(read, key=lambda owner: read[owner]) == Owner("c02", 1)
    end = tuple(taught.encode(taught_world.question(facts[0]))[-3:])
    assert set(memory.owners_of(end)) == set(memory.owners)
    assert memory.owners_of((0, 0)) == ()
    occupancy = memory.occupancy()
    assert occupancy.rows > occupancy.ngrams > occupancy.shared > 0
    assert all(0 < taken <= occupancy.ngrams for taken in occupancy.taken)


def test_a_new_version_takes_the_place_of_the_old_one(taught, taught_world, facts, memory):
    other = Fact(facts[0].subject, facts[0].relation, taught_world.counterfactuals(facts[0], 1)[0])
    changed = note(taught_world, other, "c00")
    memory.write([Note(Owner("c00", 2), changed.pairs, changed.entities)])
    assert [owner for owner in memory.owners if owner.id == "c00"] == [Owner("c00", 2)]
    with memory.reading():
        assert recall(taught, taught_world, [other]) == 1


def test_guards_keep_other_questions_about_the_same_person(taught, taught_world, facts):
    fact = facts[0]
    others = [
        Fact(fact.subject, one.name, one.values[0]) for one in taught_world.relations if one.name != fact.relation
    ]
    prompts = [taught_world.question(other, n) for other in others for n in range(2)]
    before = torch.stack([taught.forward(taught.encode(prompt)).logits[-1].log_softmax(-1) for prompt in prompts])
    moved = []
    for guards in (0, 2):
        memory = LookupMemory(taught)
        memory.write([note(taught_world, fact, "c", guards)])
        with memory.reading():
            after = torch.stack(
                [taught.forward(taught.encode(prompt)).logits[-1].log_softmax(-1) for prompt in prompts]
            )
        moved.append(float((before.exp() * (before - after)).sum(-1).mean()))
    assert moved[1] < moved[0] / 2


def test_fewer_numbers_per_row(taught, taught_world, facts):
    memory = LookupMemory(taught, LookupSpec(dim=24, heads=4))
    assert memory.write([note(taught_world, facts[0], "c")])[0].loss < 0.1
    assert memory.sets[0].values.shape[-1] == 24
    with memory.reading():
        assert recall(taught, taught_world, facts[:1]) == 1
    with pytest.raises(InputError):
        LookupMemory(taught, LookupSpec(dim=10_000))


# ── caches, batches, threads ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_cache_changes_nothing(taught, taught_world, facts, memory):
    ids = taught.encode(taught_world.question(facts[1]))
    with memory.reading():
        whole = taught.forward(ids).logits[-1]
        first = taught.forward(ids[:4])
        step = taught.forward(ids[4:], first.cache)
        assert torch.allclose(step.logits[-1], whole, atol=1e-5)
        assert taught.generate(ids, max_new=3, stop=(".",)).text == taught_world.answer(facts[1])


def test_a_cache_of_unknown_tokens_is_refused(taught, taught_world, facts, memory):
    ids = taught.encode(taught_world.question(facts[1]))
    before = taught.forward(ids[:4]).cache
    with memory.reading():
        with pytest.raises(InputError, match="does not know the 4 tokens"):
            taught.forward(ids[4:], before)
        memory.tell(before, ids[:4])
        whole, step = taught.forward(ids).logits[-1], taught.forward(ids[4:], before).logits[-1]
        assert (whole - step).abs().max() < 0.5 < (whole - taught_off(memory, taught, ids)).abs().max()
        with pytest.raises(InputError, match="token ids"):
            taught.model(inputs_embeds=torch.zeros(1, 2, taught.model.config.hidden_size))


def taught_off(memory, lm, ids):
    memory.detach()
    try:
        return lm.forward(ids).logits[-1]
    finally:
        memory.attach()


def test_threads_read_their_own_text(taught, taught_world, facts, memory):
    prompts = [taught_world.question(fact) for fact in facts]
    with memory.reading():
        expected = logits(taught, prompts)
        found = [[] for _ in range(4)]

        def run(number):
            mine = list(range(len(prompts)))
            random.Random(number).shuffle(mine)
            found[number] = [(at, taught.forward(taught.encode(prompts[at])).logits) for at in mine]

        threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all(len(one) == len(prompts) for one in found)
    assert all(torch.equal(expected[at], got) for one in found for at, got in one)


def test_nothing_stays_on_the_model(taught, taught_world, memory):
    def hooks():
        return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in taught.model.modules())

    before = hooks(), taught.fingerprint
    for _ in range(3):
        memory.attach()
        memory.attach()
        assert taught.fingerprint.adapter.startswith("rows:")
        memory.detach()
    assert (hooks(), taught.fingerprint) == before


# ── bad input ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_failed_write_writes_nothing(taught, taught_world, facts, notes, memory):
    before = memory.sets
    for wrong, error in (
        ([notes[0], notes[0]], InputError),
        ([Note(Owner("x", 1), ())], InputError),
        ([Note(Owner("x", 1), (("", " a"),))], InputError),
        ([Note(Owner("x", 1), (("Question:", " Oslo"),), ("Nobody Known",))], InputError),
    ):
        with pytest.raises(error):
            memory.write(wrong)
    with pytest.raises(TrainingError):
        memory.write([note(taught_world, facts[0], "x")], RowTraining(rate=float("nan")))
    ngrams = common_ngrams(taught, [taught_world.question(facts[0])], (2, 3), at_least=1)
    with pytest.raises(InputError, match="No n-gram"):
        memory.write([Note(Owner("x", 1), (notes[0].pairs[0],))], RowTraining(common=ngrams, places="answer"))
    assert memory.sets == before


def test_full_heads_refuse(taught, taught_world, notes):
    memory = LookupMemory(taught, LookupSpec(size=16, collisions="refuse"))
    memory.write(notes[:1], RowTraining(steps=1))
    before = memory.sets
    with pytest.raises(QuotaError):
        memory.write(notes[1:2], RowTraining(steps=1))
    assert memory.sets == before


# ── the file ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_brings_the_rows_back(taught, taught_world, facts, memory, tmp_path):
    path = lookupfile.save(memory, tmp_path / "rows.safetensors")
    back = lookupfile.open_(path, taught)
    assert back.spec == memory.spec
    assert back.owners == memory.owners
    prompts = [taught_world.question(fact, n) for fact in facts for n in range(3)]
    with memory.reading():
        expected = logits(taught, prompts)
    with back.reading():
        assert same(expected, logits(taught, prompts))
    assert lookupfile.save(back, tmp_path / "again").read_bytes() == path.read_bytes()


def test_derived_rows(taught, taught_world, facts, notes, tmp_path):
    made = lookupfile.derive(notes[:2], taught, tmp_path / "rows.safetensors")
    assert (made.form, made.format) == (Form.PARAMETRIC, "remanence.rows/1")
    assert made.details["sources"] == [["c00", 1], ["c01", 1]]
    assert lookupfile.details(made.path) == made.details
    assert not any(word in made.text + repr(made.details) for fact in facts for word in (fact.subject, fact.value))
    with lookupfile.open_(made.path, taught).reading():
        assert recall(taught, taught_world, facts[:2]) == 1


def test_two_memories_side_by_side(taught, taught_world, facts, memory, tmp_path):
    first, second = LookupMemory(taught), LookupMemory(taught)
    first.add(memory.sets[:4])
    second.add(memory.sets[4:8])
    paths = [lookupfile.save(one, tmp_path / f"{number}") for number, one in enumerate((first, second))]
    with lookupfile.open_(paths[0], taught).reading():
        one_mark = taught.fingerprint.adapter
        with lookupfile.open_(paths[1], taught).reading():
            assert recall(taught, taught_world, facts[:8]) >= 0.85  # of two people: neither reads the other's rows
            assert len(taught.fingerprint.adapter.split("+")) == 2
            on_rows = lookupfile.derive(
                [note(taught_world, facts[9], "x")], taught, tmp_path / "on", how=RowTraining(steps=1)
            )
        assert taught.fingerprint.adapter == one_mark
    assert taught.fingerprint.adapter == ""
    with pytest.raises(ModelMismatchError):  # made on other rows, which are not there
        lookupfile.open_(on_rows.path, taught)


def test_a_damaged_or_foreign_file_is_refused(taught, own_taught, memory, tmp_path):
    path = lookupfile.save(memory, tmp_path / "rows.safetensors")
    data = bytearray(path.read_bytes())
    for at in (len(data) // 2, len(data) - 1, 20):
        broken = bytearray(data)
        broken[at] ^= 1
        (tmp_path / "broken").write_bytes(broken)
        with pytest.raises(PayloadDamagedError):
            lookupfile.open_(tmp_path / "broken", taught)
    for other in (b"", bytes(data[:100])):
        (tmp_path / "broken").write_bytes(other)
        with pytest.raises(PayloadDamagedError):
            lookupfile.open_(tmp_path / "broken", taught)
    with pytest.raises(PayloadDamagedError):
        lookupfile.open_(tmp_path / "missing", taught)
    other = own_taught()
    with torch.no_grad():
        other.model.lm_head.weight[0, 0] += 1
    with pytest.raises(ModelMismatchError):
        lookupfile.open_(path, other)
