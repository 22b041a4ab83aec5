"""Writing on from a prompt, token by token, with a cache that may already hold its beginning."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

from remanence.errors import InputError
from remanence.models.local import caches
from remanence.models.local.scoring import batches

if TYPE_CHECKING:
    from remanence.models.local.causal import CausalLM

BATCH_TOKENS = 8192
"""Tokens of a batch of prompts, padding included."""
UNFINISHED = "\ufffd"
"""What a tokenizer writes for a part of a character."""


class Token(NamedTuple):
    """A token that was written."""

    id: int
    logprob: float
    """The natural logarithm of its probability under the model, at temperature 1."""
    cache: Cache
    """Holds the prompt and all tokens before this one."""


@dataclass(frozen=True, slots=True)
class Generated:
    """What was written."""

    ids: tuple[int, ...]
    """The new tokens without the one that ends the answer."""
    text: str
    """Their text, cut before the first stop text."""
    logprobs: tuple[float, ...]
    """One per id."""
    cache: Cache
    """Holds the prompt and the new tokens up to the last one that was read: `caches.length` says how many."""
    finish: str
    """`stop`, or `length` where `max_new` or the context ended it."""
    first_seconds: float
    """Until the first token was there."""


def ends(lm: CausalLM) -> frozenset[int]:
    """Ids that end an answer: of the generation configuration, else of the configuration, and the tokenizer's."""
    found: set[int] = set()
    for holder in (lm.model.generation_config, lm.model.config, lm.tokenizer):
        ids = cast(Any, getattr(holder, "eos_token_id", None))
        found.update(ids if isinstance(ids, list | tuple) else () if ids is None else (ids,))
    return frozenset(found)


def generate(lm: CausalLM, ids: Sequence[int], *, stop: Sequence[str] = (), **how: Any) -> Generated:
    """See `CausalLM.generate`."""
    if isinstance(stop, str) or not all(stop):
        raise InputError(f"stop is {stop!r}.", "Pass a list of texts that are not empty.")
    start = time.monotonic()
    new: list[int] = []
    logprobs: list[float] = []
    first, finish, text, last = 0.0, "length", "", lm.ends
    cache: Cache = DynamicCache()
    for token in tokens(lm, ids, **how):
        first = first or time.monotonic() - start
        cache = token.cache
        if token.id in last:
            finish = "stop"
            break
        new.append(token.id)
        logprobs.append(token.logprob)
        text = lm.decode(new) if stop else ""
        if found := [at for one in stop if (at := text.find(one)) >= 0]:
            text, finish = text[: min(found)], "stop"
            break
    text = text if stop else lm.decode(new)
    return Generated(tuple(new), text, tuple(logprobs), cache, finish, first)


def tokens(
    lm: CausalLM,
    ids: Sequence[int],
    *,
    cache: Cache | None = None,
    past: int | None = None,
    max_new: int = 64,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
) -> Iterator[Token]:
    """See `CausalLM.tokens`."""
    if not isfinite(temperature) or temperature < 0 or not 0 < top_p <= 1 or max_new < 1:
        raise InputError(
            f"temperature {temperature!r}, top_p {top_p!r}, max_new {max_new!r} cannot be used.",
            "Use a temperature of 0 or more, a top_p above 0 up to 1, and at least one new token.",
        )
    lm.check(ids)
    lm.check_room(len(ids))
    past = _start(ids, cache, past)
    drawn = torch.Generator().manual_seed(seed)
    ahead, last = list(ids[past:]), lm.ends
    for number in range(max_new):
        if past + len(ahead) > lm.context:
            return
        step = lm.forward(ahead, cache, range(past, past + len(ahead)), keep=1)
        cache = step.cache
        past += len(ahead)
        logprobs = step.logits[-1].log_softmax(-1)
        chosen = int(logprobs.argmax()) if temperature == 0 else _draw(logprobs, temperature, top_p, drawn)
        yield Token(chosen, float(logprobs[chosen]), cache)
        if chosen in last or number + 1 == max_new:
            return
        ahead = [chosen]


def _start(ids: Sequence[int], cache: Cache | None, past: int | None) -> int:
    """How many of `ids` are computed; at least the last one is computed again, to have its logits."""
    held = caches.length(cache)
    past = held if past is None else past
    if not held <= past <= len(ids):
        raise InputError(
            f"The cache holds {held:,} tokens and stands for {past:,}, of a prompt of {len(ids):,}.",
            "Pass the whole prompt, and a cache of its beginning.",
        )
    if past == len(ids) and cache is not None:
        caches.crop(cache, held - 1)
        past -= 1
    return past


def _draw(logprobs: Tensor, temperature: float, top_p: float, drawn: torch.Generator) -> int:
    """Nucleus sampling (Holtzman et al. 2020, section 3.1). On the CPU, so that a seed means the same everywhere."""
    probabilities = (logprobs.double().cpu() / temperature).softmax(-1)
    ordered, order = probabilities.sort(descending=True, stable=True)
    ordered[ordered.cumsum(0) - ordered >= top_p] = 0.0
    return int(order[torch.multinomial(ordered, 1, generator=drawn)])


@torch.no_grad()
def generate_many(
    lm: CausalLM, prompts: Sequence[Sequence[int]], *, max_new: int = 16, stop: Sequence[str] = ()
) -> list[str]:
    """See `CausalLM.generate_many`."""
    if isinstance(stop, str) or not all(stop) or max_new < 1:
        raise InputError(
            f"stop {stop!r} or max_new {max_new!r} cannot be used.", "Pass texts, and at least one new token."
        )
    for prompt in prompts:
        lm.check(prompt)
        lm.check_room(len(prompt))
    found = [""] * len(prompts)
    for batch in batches([len(prompt) + max_new for prompt in prompts], BATCH_TOKENS):
        written = _batch(lm, [prompts[one] for one in batch], max_new, stop)
        for one, text in zip(batch, written, strict=True):
            found[one] = text
    return found


def _batch(lm: CausalLM, prompts: Sequence[Sequence[int]], max_new: int, stop: Sequence[str]) -> list[str]:
    """Padding stands on the left, masked, and takes no positions."""
    longest, last = max(map(len, prompts)), lm.ends
    ids = torch.tensor([[prompt[0]] * (longest - len(prompt)) + list(prompt) for prompt in prompts], device=lm.device)
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=lm.device)
    positions = (mask.cumsum(1) - 1).clamp_min(0)
    cache, extra = None, {"use_cache": True}
    new: list[list[int]] = [[] for _ in prompts]
    texts: list[str | None] = [None] * len(prompts)
    for _ in range(max_new):
        output = lm.model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, **extra)
        cache = output.past_key_values
        chosen = output.logits[:, -1].argmax(-1)
        for row, token in enumerate(chosen.tolist()):
            if texts[row] is None:
                texts[row] = _ended(lm, new[row], token, stop, len(prompts[row]), last)
        if None not in texts:
            break
        ids, positions = chosen[:, None], (positions[:, -1:] + 1).clamp_max(lm.context - 1)
        mask = torch.cat([mask, torch.ones_like(ids)], 1)
    return [lm.decode(ids) if text is None else text for ids, text in zip(new, texts, strict=True)]


def _ended(
    lm: CausalLM, new: list[int], token: int, stop: Sequence[str], prompt: int, last: frozenset[int]
) -> str | None:
    """Take a token of a row; the text, where it ends there."""
    if token in last:
        return lm.decode(new)
    new.append(token)
    if stop:
        text = lm.decode(new)
        if found := [at for one in stop if (at := text.find(one)) >= 0]:
            return text[: min(found)]
    return lm.decode(new) if prompt + len(new) > lm.context else None
