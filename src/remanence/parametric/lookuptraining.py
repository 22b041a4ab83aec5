"""How the rows of one cube are trained: on the frozen model, with no other rows in place.

Only the rows are trained, on prompts and answers that state the cube's facts. Because no row of another cube is in place,
nor any example of one in the batch, the result is what it would be were the cube alone in the memory. That is what makes a
delete exact. The price is that cubes that share n-grams do not learn to make room for each other; entities keep them apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from remanence.errors import InputError, TrainingError
from remanence.models.local.causal import CausalLM
from remanence.parametric.lookupreading import Reading
from remanence.parametric.lookuptable import LookupSpec, NGram, Owner, RowSet, Table, contains

_IGNORED = -100


@dataclass(frozen=True, slots=True)
class Note:
    """What rows are to hold of one cube."""

    owner: Owner
    pairs: tuple[tuple[str, str], ...]
    """(prompt, answer): the answer continues the prompt, so it usually starts with a space."""
    entities: tuple[str, ...] = ()
    """Names. If given, the rows are read only after one of them was read."""
    guards: tuple[str, ...] = ()
    """Prompts after which the model should go on as before. They must not be made from other cubes."""


@dataclass(frozen=True, slots=True)
class RowTraining:
    """How rows are trained."""

    steps: int = 60
    rate: float = 0.1
    """Of Adam."""
    stop: float = 0.02
    """Training ends when no answer has a mean negative log-likelihood (nats per token) above this."""
    decay: float = 1e-4
    """Weight of the mean square of the rows in the loss."""
    guard: float = 1.0
    """Weight of the divergence (KL) from the model without rows, after the guards."""
    places: Literal["read", "answer"] = "read"
    """Rows for every n-gram from the entity to the answer's end, or only where tokens of the answer are predicted."""
    common: frozenset[NGram] = frozenset()
    """N-grams that get no row; see `common_ngrams`."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one note."""

    owner: Owner
    rows: int
    steps: int
    loss: float
    """The largest mean negative log-likelihood of an answer, nats per token."""
    skipped: int
    """Pairs whose prompt names none of the entities: no row could be read there."""


@dataclass(frozen=True, slots=True)
class _Examples:
    ids: Tensor
    mask: Tensor
    labels: Tensor


def common_ngrams(lm: CausalLM, texts: Iterable[str], orders: Sequence[int], at_least: int = 2) -> frozenset[NGram]:
    """N-grams that occur in `at_least` of the texts: a row under one of them would be read everywhere.

    The texts must be general ones. Made from memories, the choice would tell of them after they are forgotten.
    """
    counted: Counter[NGram] = Counter()
    for text in texts:
        ids = tuple(lm.encode(text))
        counted.update({ids[at : at + n] for n in orders for at in range(len(ids) - n + 1)})
    return frozenset(ngram for ngram, count in counted.items() if count >= at_least)


def trained(
    lm: CausalLM, reading: Reading, spec: LookupSpec, width: int, note: Note, how: RowTraining
) -> tuple[RowSet, Written]:
    """Rows for one note.

    Raises
    ------
    InputError
        There is nothing to learn from, or no n-gram to hold it.
    TrainingError
        The loss is not a number.
    """
    every = [_encoded(lm, prompt, answer) for prompt, answer in note.pairs]
    if not every:
        raise InputError(f"The note of {note.owner.id} has no prompt with an answer.", "Give it at least one.")
    entities = _entities(lm, note, [ids[:start] for ids, start in every])
    texts = [(ids, start) for ids, start in every if not entities or _named(ids[:start], entities)]
    ngrams = _chosen(spec, how, texts)
    if not ngrams:
        raise InputError(
            f"No n-gram of the note of {note.owner.id} can hold a row.",
            "Give it a longer prompt, or fewer common n-grams.",
        )
    rows = RowSet(note.owner, ngrams, torch.zeros(len(ngrams), len(spec.layers), width), entities)
    values, steps, loss = _descended(lm, reading, Table(spec, [rows], width), texts, note, how)
    return replace(rows, values=values), Written(note.owner, len(ngrams), steps, loss, len(every) - len(texts))


def _descended(
    lm: CausalLM, reading: Reading, table: Table, texts: list[tuple[list[int], int]], note: Note, how: RowTraining
) -> tuple[Tensor, int, float]:
    examples = _batch(texts, lm)
    guards = _batch([(lm.encode(text), len(lm.encode(text))) for text in note.guards], lm) if note.guards else None
    before = None if guards is None else _guarded(lm, guards, reading, table, table.values)
    values = table.values.clone().to(lm.device).requires_grad_()
    first, second = torch.zeros_like(values), torch.zeros_like(values)
    step, worst = 0, float("inf")
    for step in range(how.steps + 1):
        with reading.only(table, values):
            each = _losses(lm, examples)
            worst = float(each.detach().max())
            if not worst < float("inf"):
                raise TrainingError(
                    f"The loss of the rows of {note.owner.id} is not a number.", "Lower the rate; nothing was written."
                )
            if step == how.steps or worst <= how.stop:
                break
            loss = each.mean() + how.decay * values.square().mean()
            if guards is not None and before is not None:
                after = functional.log_softmax(_last(lm, guards), -1)
                loss = loss + how.guard * functional.kl_div(after, before, reduction="batchmean", log_target=True)
            [gradient] = torch.autograd.grad(loss, values)
        with torch.no_grad():
            first.lerp_(gradient, 0.1)
            second.lerp_(gradient.square(), 0.01)
            scale = (second / (1 - 0.99 ** (step + 1))).sqrt_().add_(1e-8)
            values -= how.rate * (first / (1 - 0.9 ** (step + 1))) / scale
    return values.detach().cpu(), step, worst


def _losses(lm: CausalLM, examples: _Examples) -> Tensor:
    """Mean negative log-likelihood of each answer."""
    logits = lm.model(input_ids=examples.ids, attention_mask=examples.mask, use_cache=False).logits[:, :-1].float()
    labels = examples.labels[:, 1:]
    each = functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none", ignore_index=_IGNORED)
    return each.sum(1) / (labels != _IGNORED).sum(1)


def _guarded(lm: CausalLM, guards: _Examples, reading: Reading, table: Table, zeros: Tensor) -> Tensor:
    with torch.no_grad(), reading.only(table, zeros.to(lm.device)):
        return functional.log_softmax(_last(lm, guards), -1)


def _last(lm: CausalLM, examples: _Examples) -> Tensor:
    logits = lm.model(input_ids=examples.ids, attention_mask=examples.mask, use_cache=False).logits
    ends = examples.mask.sum(1) - 1
    return logits[torch.arange(len(ends), device=logits.device), ends].float()


def _encoded(lm: CausalLM, prompt: str, answer: str) -> tuple[list[int], int]:
    """The ids of both, and where the answer starts."""
    head, tail = lm.encode(prompt), lm.encode(answer)
    if not head or not tail:
        raise InputError("A prompt or an answer is empty.", "Give both some text.")
    return [*head, *tail], len(head)


def _batch(texts: list[tuple[list[int], int]], lm: CausalLM) -> _Examples:
    longest = max(len(ids) for ids, _ in texts)
    ids = torch.zeros(len(texts), longest, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, _IGNORED)
    for row, (tokens, start) in enumerate(texts):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
        labels[row, start : len(tokens)] = ids[row, start : len(tokens)]
    return _Examples(ids.to(lm.device), mask.to(lm.device), labels.to(lm.device))


def _entities(lm: CausalLM, note: Note, texts: list[list[int]]) -> tuple[NGram, ...]:
    """The token sequences of the entities as they stand in the prompts: a tokenizer writes a word after a space differently."""
    forms = {before + name + after for name in note.entities for before in ("", " ") for after in ("", "'s")}
    wanted = {tuple(lm.encode(form)) for form in forms} - {()}
    found = {entity for entity in wanted if any(_named(ids, (entity,)) for ids in texts)}
    if note.entities and not found:
        raise InputError(
            f"None of the entities of the note of {note.owner.id} stands in a prompt of it.",
            "Give names as they stand.",
        )
    return tuple(sorted(found))


def _named(ids: Sequence[int], entities: tuple[NGram, ...]) -> bool:
    return any(contains(ids, entity) >= 0 for entity in entities)


def _chosen(spec: LookupSpec, how: RowTraining, texts: list[tuple[list[int], int]]) -> tuple[NGram, ...]:
    """The n-grams that get rows: all that end before the last token."""
    found: set[NGram] = set()
    for ids, start in texts:
        first = start - 1 if how.places == "answer" else 0
        for place in range(first, len(ids) - 1):
            found |= {tuple(ids[place - n + 1 : place + 1]) for n in spec.orders if n <= place + 1}
    return tuple(sorted(found - how.common))
