"""What an edit of weights is asked for, and what reaches an MLP's projection: its keys.

The MLP's last projection is read as a linear memory (Kohonen; Anderson): its input at a token is the key, its output the value.
A request names the token whose key is meant, and that is a property of the model: `trace` finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from remanence.errors import InputError
from remanence.models.local.causal import CausalLM
from remanence.parametric.lookuptable import NGram, contains
from remanence.parametric.sites import Projection, inputs_of

Place = Literal["subject_last", "last"]
"""Which token's key an edit uses: the last one of the subject, or the last one of the prompt."""


@dataclass(frozen=True, slots=True)
class Request:
    """A fact that the model should answer."""

    prompt: str
    """Names the subject; the target continues it."""
    subject: str
    target: str
    """Usually starts with a space."""
    source: tuple[str, int]
    """The cube and its version."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where an edit is made."""

    layer: int
    place: Place


@dataclass(frozen=True, slots=True)
class Batch:
    """A request behind several contexts, each continued by the target: rows padded on the right."""

    ids: Tensor
    mask: Tensor
    labels: Tensor
    """The id to predict at each place, from the place before it on; -100 elsewhere."""
    at: Tensor
    """Of each row, the place of the token that is meant."""


def forms(lm: CausalLM, name: str) -> tuple[NGram, ...]:
    """The token sequences that a name may stand as: alone, after a space, and with an 's."""
    written = {before + name + after for before in ("", " ") for after in ("", "'s")}
    return tuple(sorted({tuple(lm.encode(form)) for form in written} - {()}))


def spot(lm: CausalLM, ids: Sequence[int], subject: str, place: Place) -> int:
    """The place of the token that is meant in a prompt's ids.

    Raises
    ------
    InputError
        The subject does not stand in the prompt.
    """
    if place == "last":
        return len(ids) - 1
    ends = [end for end in (contains(ids, form) for form in forms(lm, subject)) if end >= 0]
    if not ends:
        raise InputError("The subject of a request does not stand in its prompt.", "Write it as it stands there.")
    return min(ends)


def batch(lm: CausalLM, request: Request, contexts: Sequence[str], place: Place) -> Batch:
    """A request behind each context, "" for none. Raises as `spot`, and InputError for an empty prompt or target."""
    target = lm.encode(request.target)
    rows: list[tuple[list[int], int, int]] = []
    for context in contexts:
        before = lm.encode(context) if context else []
        prompt = lm.encode(f" {request.prompt}" if context else request.prompt)
        if not prompt or not target:
            raise InputError("A request needs a prompt and a target.", "Give it both.")
        at = len(before) + spot(lm, prompt, request.subject, place)
        rows.append(([*before, *prompt, *target], len(before) + len(prompt), at))
    longest = max(len(ids) for ids, _, _ in rows)
    ids, mask = torch.zeros(2, len(rows), longest, dtype=torch.long)
    labels = torch.full((len(rows), longest), -100)
    for row, (tokens, start, _) in enumerate(rows):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
        labels[row, start - 1 : len(tokens) - 1] = torch.tensor(target)
    parts = (ids, mask, labels, torch.tensor([at for _, _, at in rows]))
    return Batch(*(part.to(lm.device) for part in parts))


def key(lm: CausalLM, found: Projection, rows: Batch) -> Tensor:
    """The mean key [in] of a batch, as fp64."""
    inputs = inputs_of(lm.model, found, rows.ids, rows.mask)
    return inputs[torch.arange(len(rows.at), device=inputs.device), rows.at].double().mean(0)


def covariance(lm: CausalLM, found: Projection, texts: Iterable[str]) -> Tensor:
    """E[k kᵀ] of the keys [in, in] over all tokens of sample texts, not centred, as fp64 (ROME, section 3.1).

    Raises
    ------
    InputError
        There is no text.
    """
    total, tokens = torch.zeros(found.weight.shape[1], found.weight.shape[1], dtype=torch.float64), 0
    for text in texts:
        ids = lm.encode(text)[: lm.context]
        if ids:
            keys = inputs_of(lm.model, found, torch.tensor([ids], device=lm.device))[0].double().cpu()
            total += keys.T @ keys
            tokens += len(ids)
    if not tokens:
        raise InputError("The covariance of keys needs sample text.", "Pass some texts that are like the model's own.")
    return total / tokens


def adding(module: nn.Module, rows: Batch, delta: Tensor) -> Callable[[], None]:
    """Add delta [out] to what a module puts out at the token that is meant, until the returned function is called."""

    def add(_module: nn.Module, _arguments: tuple[Any, ...], output: Any) -> Any:
        hidden: Tensor = output[0] if isinstance(output, tuple) else output
        at = (torch.arange(len(rows.at), device=hidden.device), rows.at)
        changed = hidden.index_put(at, delta.to(hidden.dtype).expand(len(rows.at), -1), accumulate=True)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    return module.register_forward_hook(add).remove
