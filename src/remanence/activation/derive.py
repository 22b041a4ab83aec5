"""Memories → the file of a cache.

Two layouts. `prefix`: the frame and all memories in one run; exact for prompts that begin with exactly these memories. `isolated`: each
memory by itself behind the frame; any of them serve in any order, as an approximation where another memory stands before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from remanence.activation.block import Block, block_of
from remanence.activation.capture import capture
from remanence.activation.codec import GROUP, PRECISIONS, Precision
from remanence.activation.files import FORMAT, save
from remanence.activation.layout import Frame, Part, frame_of, head_of, memory_parts
from remanence.activation.running import CHUNK
from remanence.cubes import Form, MemCube
from remanence.drafts import Artefact
from remanence.errors import InputError
from remanence.models.local.causal import CausalLM

Layout = Literal["prefix", "isolated"]


def derive(
    cubes: Sequence[MemCube], lm: CausalLM, target: str | Path, *, layout: Layout = "prefix", precision: Precision = "fp16",
    frame: Frame | None = None, chunk: int = CHUNK, group: int = GROUP,
) -> Artefact:  # fmt: skip
    """Compute the cache of memories and write it to `target`, one file.

    Of the details, `sources` are the ids and versions in order, `tokens` all tokens with the frame's, `seconds` what computing
    and writing took, `prefill` the seconds of computing alone, `bytes` the file.

    Raises
    ------
    InputError
        There are no memories, or two versions of one; the layout or the precision is unknown.
    ContextTooLongError
        They are longer than the model's context.
    UnsupportedModelError
        The model keeps something else than keys and values of all tokens.
    """
    if not cubes or layout not in get_args(Layout) or precision not in PRECISIONS:
        raise InputError(
            f"No cache is made of {len(cubes)} memories with the layout {layout!r} and the precision {precision!r}.",
            f"Pass memories, a layout of {', '.join(get_args(Layout))}, a precision of {', '.join(PRECISIONS)}.",
        )
    frame = frame_of(lm) if frame is None else frame
    head, parts = head_of(lm, frame), memory_parts(cubes, lm, frame)
    began = time.perf_counter()
    make = _prefix if layout == "prefix" else _isolated
    blocks = make(head, parts, lm, precision, chunk, group)
    prefill = time.perf_counter() - began
    path = Path(target)
    size = save(blocks, path, notes={"layout": layout})
    sources = [[*source] for block in blocks for source in block.sources]
    details = {
        "sources": sources, "layout": layout, "precision": precision, "tokens": sum(len(block.ids) for block in blocks),
        "seconds": time.perf_counter() - began, "prefill": prefill, "bytes": size,
        "lossless": all(block.lossless for block in blocks),
        "quality": {name: max(block.quality[name] for block in blocks) for name in blocks[0].quality},
    }  # fmt: skip
    text = f"Cache of {len(sources)} memories for {lm.name}: {details['tokens']:,} tokens, {layout}, {precision}."
    return Artefact(Form.ACTIVATION, FORMAT, path, lm.fingerprint.to_json(), details, text)


def _prefix(
    head: Part, parts: Sequence[Part], lm: CausalLM, precision: Precision, chunk: int, group: int
) -> tuple[Block, ...]:  # fmt: skip
    run = [part for part in (head, *parts) if part.ids]
    ids = [one for part in run for one in part.ids]
    segments = [part.segment for part in run]
    return (capture(ids, lm, precision=precision, chunk=chunk, group=group, segments=segments),)


def _isolated(
    head: Part, parts: Sequence[Part], lm: CausalLM, precision: Precision, chunk: int, group: int
) -> tuple[Block, ...]:  # fmt: skip
    """The frame first, in full precision while the memories are computed behind it, then each memory."""
    begun = capture(head.ids, lm, precision="fp32", chunk=chunk, segments=[head.segment]) if head.ids else ()
    behind = [
        capture(part.ids, lm, prefix=begun, precision=precision, chunk=chunk, group=group, segments=[part.segment])
        for part in parts
    ]
    if isinstance(begun, tuple):
        return tuple(behind)
    stored = block_of(
        begun.ids, begun.pairs(), precision, begun.fingerprint, segments=begun.segments, rope=begun.rope, group=group,
        seconds=begun.seconds,
    )  # fmt: skip
    return stored, *behind
