"""Memories as a file, and prompts out of files, against prompts with the text."""

from __future__ import annotations

import json
import re

import pytest
import torch

from remanence.activation.assemble import assemble
from remanence.activation.capture import capture
from remanence.activation.derive import derive
from remanence.activation.files import FORMAT, notes_of, open_
from remanence.activation.layout import PLAIN, Frame, frame_of, head_of, prompt_of
from remanence.cubes import Form
from remanence.errors import ContextTooLongError, InputError, ModelMismatchError, PayloadDamagedError
from remanence.models.local.fingerprint import Fingerprint

QUESTION = "Where does Cid live?"


def answers_alike(lm, found, prompt, new=6, atol=1e-4):
    """Whether logits and greedy tokens from a cache are those of the text."""
    wanted = lm.forward(prompt.ids, keep=1).logits[0]
    got = lm.forward(prompt.ids[found.covered :], found.cache, keep=1).logits[0]
    return torch.allclose(got, wanted, atol=atol)


@pytest.mark.parametrize("which", ["roomy", "chatting"])
@pytest.mark.parametrize("layout", ["prefix", "isolated"])
def test_prompting_with_the_text_and_with_the_cache_is_the_same(request, which, layout, cubes, tmp_path):
    lm = request.getfixturevalue(which)
    derive(cubes, lm, tmp_path / "a.kv", layout=layout, precision="fp32")
    blocks = open_(tmp_path / "a.kv", lm)
    prompt = prompt_of(QUESTION, cubes, lm)
    found = assemble(prompt, blocks, lm, mode="blend", share=1.0)
    assert found.exact
    assert found.covered == len(prompt.ids) - len(prompt.question.ids)
    assert answers_alike(lm, found, prompt)
    again = assemble(prompt, blocks, lm, mode="blend", share=1.0)
    with_cache = lm.generate(prompt.ids, cache=again.cache, max_new=8)
    assert with_cache.ids == lm.generate(prompt.ids, max_new=8).ids


def test_the_artefact_says_all_that_is_known_and_nothing_of_the_text(roomy, cubes, tmp_path):
    made = derive([cubes[4], cubes[1]], roomy, tmp_path / "a.kv", precision="int8", frame=PLAIN)
    assert (made.form, made.format, made.path) == (Form.ACTIVATION, FORMAT, tmp_path / "a.kv")
    assert Fingerprint.from_json(made.fingerprint) == roomy.fingerprint
    details = json.loads(json.dumps(made.details))
    assert details["sources"] == [["0001", 1], ["0004", 1]]
    [block] = open_(made.path, roomy)
    assert details["tokens"] == len(block.ids)
    assert details["bytes"] == made.path.stat().st_size
    assert 0 < details["prefill"] <= details["seconds"]
    assert (details["layout"], details["precision"], details["lossless"]) == ("prefix", "int8", False)
    assert 0 < details["quality"]["keys_relative"] < 0.05
    assert notes_of(made.path) == {"layout": "prefix"}
    assert [(one.tokens, one.source) for one in block.segments][1:] == [(len(roomy.encode(cubes[1].text)) + 1, ("0001", 1)),
                                                                      (len(roomy.encode(cubes[4].text)) + 1, ("0004", 1))]  # fmt: skip
    assert not re.search(r"Ben|Eva|boat", made.text + json.dumps(details))


def test_the_same_memories_give_the_same_blocks_in_any_order(roomy, cubes, tmp_path):
    one, two = (derive(chosen, roomy, tmp_path / name) for chosen, name in ((cubes[:3], "a"), (cubes[2::-1], "b")))
    assert open_(one.path, roomy)[0].ids == open_(two.path, roomy)[0].ids


def test_isolated_memories_stand_behind_the_frame(roomy, cubes, tmp_path):
    made = derive(cubes, roomy, tmp_path / "a.kv", layout="isolated", precision="fp32")
    head, *memories = open_(made.path, roomy)
    frame = head_of(roomy, frame_of(roomy))
    assert (head.ids, head.mode) == (frame.ids, "prefix")
    assert [block.sources for block in memories] == [((one.id, 1),) for one in cubes]
    assert {(block.start, block.mode) for block in memories} == {(len(frame.ids), "isolated")}
    without = derive(cubes[:2], roomy, tmp_path / "b.kv", layout="isolated", frame=Frame("", "", ""))
    assert [block.mode for block in open_(without.path, roomy)] == ["prefix", "prefix"]


def told(found):
    return [(part.how, part.source[0] if part.source else None) for part in found.used]


def test_any_memories_in_isolation_serve_and_say_what_they_are(roomy, cubes, tmp_path):
    blocks = open_(derive(cubes, roomy, tmp_path / "a.kv", layout="isolated", precision="fp32").path, roomy)
    prompt = prompt_of(QUESTION, [cubes[1], cubes[3]], roomy)
    found = assemble(prompt, blocks, roomy, mode="rerotate")
    assert told(found) == [("exact", None), ("exact", "0001"), ("approximate", "0003")]
    assert (found.exact, found.cost, found.taken) == (False, 0.0, found.covered)
    assert not answers_alike(roomy, found, prompt)
    nothing_moved = assemble(prompt, blocks, roomy, mode=None)
    assert told(nothing_moved) == [("exact", None), ("exact", "0001"), ("fresh", "0003")]
    assert nothing_moved.exact
    assert answers_alike(roomy, nothing_moved, prompt)


def test_all_memories_are_used_not_the_first_only(roomy, cubes, tmp_path):
    """MemOS gives a turn the first cached item of the first cube."""
    blocks = [block for number, one in enumerate(cubes)
              for block in open_(derive([one], roomy, tmp_path / str(number), layout="isolated", precision="fp32").path, roomy)]  # fmt: skip
    found = assemble(prompt_of(QUESTION, cubes, roomy), blocks, roomy, mode="rerotate")
    assert [source for _, source in told(found)] == [None, "0000", "0001", "0002", "0003", "0004"]
    assert found.taken == found.covered == len(found.ids) - len(prompt_of(QUESTION, cubes, roomy).question.ids)


def test_what_nobody_holds_is_computed_in_between(roomy, cubes, tmp_path):
    held = [cubes[0], cubes[2]]
    blocks = open_(derive(held, roomy, tmp_path / "a.kv", layout="isolated", precision="fp32").path, roomy)
    prompt = prompt_of(QUESTION, cubes[:4], roomy)
    found = assemble(prompt, blocks, roomy, mode="rerotate")
    assert told(found) == [
        ("exact", None),
        ("exact", "0000"),
        ("fresh", "0001"),
        ("approximate", "0002"),
        ("fresh", "0003"),
    ]
    lengths = {part.source[0] if part.source else None: part.tokens for part in found.used}
    assert (
        found.covered == sum(lengths.values()) - lengths["0003"]
    )  # the pass that reads the question computes the last one
    assert found.cost == pytest.approx(lengths["0001"] / found.covered)
    exact = assemble(prompt, blocks, roomy, mode="blend", share=1.0)
    assert answers_alike(roomy, exact, prompt)


def test_a_longer_beginning_is_taken_before_single_memories(roomy, cubes, tmp_path):
    run = open_(derive(cubes[:3], roomy, tmp_path / "a.kv", precision="fp32").path, roomy)
    single = open_(derive(cubes, roomy, tmp_path / "b.kv", layout="isolated", precision="fp32").path, roomy)
    found = assemble(prompt_of(QUESTION, cubes[:4], roomy), [*single, *run], roomy, mode="rerotate")
    assert told(found) == [
        ("exact", None),
        ("exact", "0000"),
        ("exact", "0001"),
        ("exact", "0002"),
        ("approximate", "0003"),
    ]
    # The lines of memories begin alike. Where a run ends inside of one that is held as a whole, it is cut back to its start.
    cut = assemble(prompt_of(QUESTION, [cubes[0], cubes[2]], roomy), [*single, *run], roomy, mode="rerotate")
    assert told(cut) == [("exact", None), ("exact", "0000"), ("approximate", "0002")]
    kept = assemble(prompt_of(QUESTION, [cubes[0], cubes[2]], roomy), run, roomy, mode=None)
    assert told(kept) == [("exact", None), ("exact", "0000"), ("exact", "0002"), ("fresh", "0002")]
    assert answers_alike(roomy, kept, prompt_of(QUESTION, [cubes[0], cubes[2]], roomy))


def test_a_memory_is_cut_out_of_a_run_where_that_is_all_there_is(roomy, cubes, tmp_path):
    run = open_(derive(cubes, roomy, tmp_path / "a.kv", precision="fp32").path, roomy)
    prompt = prompt_of(QUESTION, [cubes[3]], roomy)
    found = assemble(prompt, run, roomy, mode="rerotate")
    assert told(found) == [("exact", None), ("approximate", "0003")]
    assert answers_alike(roomy, assemble(prompt, run, roomy, mode="blend", share=1.0), prompt)


def test_of_several_blocks_of_a_memory_the_best_is_moved(roomy, cubes):
    prompt = prompt_of(QUESTION, [cubes[0], cubes[1]], roomy)
    head, (first, second) = prompt.head.ids, prompt.memories
    begun = capture(head, roomy, precision="fp32")
    framed, lossy, bare = (
        capture(second.ids, roomy, prefix=before, precision=precision, segments=[second.segment])
        for before, precision in ((begun, "fp32"), (begun, "int8"), ((), "fp32"))
    )  # fmt: skip
    start = [begun, capture(first.ids, roomy, prefix=begun, precision="fp32", segments=[first.segment])]
    wanted = assemble(prompt, [*start, framed], roomy, mode="rerotate").cache
    for others in ([framed, bare, lossy], [lossy, bare, framed], [bare, framed, lossy]):
        found = assemble(prompt, [*start, *others], roomy, mode="rerotate")
        assert found.used[-1].how == "approximate"
        assert torch.equal(found.cache.layers[1].values, wanted.layers[1].values)
    there = capture(second.ids, roomy, prefix=[*head, *first.ids], precision="fp32", segments=[second.segment])
    behind_what_is_computed = assemble(prompt, [begun, bare, framed, there], roomy, mode="rerotate")
    # Both memories begin alike, so that the first tokens of the first one are taken from the block of the second.
    assert [part.how for part in behind_what_is_computed.used] == ["exact", "exact", "fresh", "exact"]
    assert answers_alike(roomy, behind_what_is_computed, prompt)


def test_without_blocks_there_is_nothing_to_take(roomy, cubes):
    found = assemble(prompt_of(QUESTION, cubes, roomy), [], roomy)
    assert (found.covered, found.taken, found.exact, {part.how for part in found.used}) == (0, 0, True, {"fresh"})
    assert roomy.generate(found.ids, cache=found.cache, max_new=2).ids == roomy.generate(found.ids, max_new=2).ids


def test_storing_with_loss_is_exact_but_for_the_storing(roomy, cubes, tmp_path):
    prompt = prompt_of(QUESTION, cubes, roomy)
    for precision, atol in (("fp16", 2e-2), ("int8", 0.5)):
        blocks = open_(derive(cubes, roomy, tmp_path / precision, precision=precision).path, roomy)
        found = assemble(prompt, blocks, roomy)
        assert {how for how, _ in told(found)} == {"stored"}
        assert found.exact
        assert answers_alike(roomy, found, prompt, atol=atol)


def test_a_corrected_memory_is_not_found(roomy, cubes, cube, tmp_path):
    blocks = open_(derive(cubes[:1], roomy, tmp_path / "a.kv", layout="isolated").path, roomy)
    changed = cube(0, "Ada lives in Rome and paints boats.", version=2, author="Ada")
    found = assemble(prompt_of(QUESTION, [changed], roomy), blocks, roomy)
    assert found.used[-1].how == "fresh"


def test_memory_that_was_lost_is_an_error_not_an_empty_cache(roomy, cubes, tmp_path):
    """MemOS catches everything while loading, and goes on with no memory."""
    made = derive(cubes, roomy, tmp_path / "a.kv")
    made.path.write_bytes(made.path.read_bytes()[:-100])
    with pytest.raises(PayloadDamagedError, match="Derive it again"):
        open_(made.path, roomy)
    made.path.unlink()
    with pytest.raises(PayloadDamagedError):
        open_(made.path, roomy)


def test_bad_input_is_named(roomy, lm, cubes, cube, tmp_path):
    with pytest.raises(InputError, match="0 memories"):
        derive([], roomy, tmp_path / "a.kv")
    with pytest.raises(InputError, match="'rows'"):
        derive(cubes, roomy, tmp_path / "a.kv", layout="rows")
    with pytest.raises(InputError, match="'int3'"):
        derive(cubes, roomy, tmp_path / "a.kv", precision="int3")
    with pytest.raises(ContextTooLongError, match="2,048"):
        derive([cube(1, "long " * 500)], roomy, tmp_path / "a.kv")
    with pytest.raises(ContextTooLongError):
        assemble(prompt_of("why " * 500, cubes, roomy), [], roomy)
    with pytest.raises(ModelMismatchError):
        assemble(prompt_of(QUESTION, cubes, roomy), [capture([5, 6], lm)], roomy)
    assert list(tmp_path.iterdir()) == []
