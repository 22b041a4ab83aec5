"""Nano models that can do the tasks of `remanence.evaluation.streams`, as long as nothing is forgotten."""

from __future__ import annotations

import random
import statistics
import time
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerBase

from remanence.evaluation import streams
from remanence.models.local.causal import CausalLM
from remanence.models.local.nano import NanoSpec, new
from remanence.models.local.tokenizing import BOS, word_tokenizer

CONTEXT = 512
LENGTHS = (0, 1, 2, 4, 8, 14, 20)
"""Fillers of a session in each stage of the training."""
KINDS: tuple[streams.Fillers, ...] = ("fixed", "open")


def taught(seed: int, steps: int) -> tuple[CausalLM, dict[str, Any]]:
    """A nano model, trained on sessions that grow as it recalls the item in nine of ten."""
    tokenizer = word_tokenizer(streams.texts())
    model = new(
        NanoSpec(depth=3, width=64, heads=4, kv_heads=2, hidden=192, vocab=len(tokenizer), context=CONTEXT, seed=seed)
    ).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.98), weight_decay=0.01)
    chance = random.Random(seed)
    stage, recent, started = 0, [], time.process_time()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * min(1.0, (step + 1) / 50) * min(1.0, (steps - step) / (0.4 * steps) + 0.02)
        ids, targets, weights = batch(chance, tokenizer, LENGTHS[stage] if step % 3 else None)
        logits = model(ids, use_cache=False).logits[:, :-1]
        losses = cross_entropy(logits.transpose(1, 2), targets[:, 1:], reduction="none")
        loss = (losses * weights[:, 1:]).sum() / weights.sum()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step % 3:
            asked = weights[:, 1:] > 1
            recent.append((logits.argmax(-1) == targets[:, 1:])[asked].float().mean().item())
        if len(recent) >= 20 and statistics.fmean(recent[-20:]) > 0.9 and stage < len(LENGTHS) - 1:
            stage, recent = stage + 1, []
    return CausalLM.of(model, tokenizer, f"streams-{seed}"), {
        "parameters": sum(one.numel() for one in model.parameters()), "stage": LENGTHS[stage], "loss": float(loss.detach()),
        "cpu_seconds": round(time.process_time() - started, 1),
    }  # fmt: skip


def batch(
    chance: random.Random, tokenizer: PreTrainedTokenizerBase, fillers: int | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, what to predict in their place, and weights. Sessions of at most so many fillers, or games where that is None.

    What is learned from little counts more: the answer to the last question thirty times, a move in a game ten times. Padding
    does not count.
    """
    if fillers is None:
        count, tokens = chance.choice((8, 16, 32, 62)), 7
    else:
        count, tokens = fillers if chance.random() < 0.5 else chance.randint(0, fillers), 15
    rows = []
    for _ in range(max(6, min(64, 2500 // (tokens * count + 25)))):
        ids, targets, weights = [BOS], [BOS], [0.0]
        for piece in game(chance, count) if fillers is None else session(chance, count):
            read = encoded(tokenizer, piece.text)
            ids, targets = ids + read, targets + encoded(tokenizer, piece.target)
            weights += [{"recall": 30.0, "move": 10.0}.get(piece.kind, 1.0)] * len(read)
        rows.append((ids, targets, weights))
    width = max(len(ids) for ids, _, _ in rows)
    return tuple(torch.tensor([row[part] + [0] * (width - len(row[0])) for row in rows]) for part in range(3))


def session(chance: random.Random, fillers: int) -> tuple[streams.Piece, ...]:
    """A session whose statement stands first, or anywhere before the question."""
    kind, seed = chance.choice(KINDS), chance.randrange(1 << 30)
    return streams.sessions(seed, 1, fillers=fillers, kind=kind, first=chance.random() < 0.5)[0].lesson


def game(chance: random.Random, rounds: int) -> tuple[streams.Piece, ...]:
    return streams.lesson(streams.matches(chance.randrange(1 << 30), 1, rounds)[0], chance.randrange(1 << 30))


_encoded: dict[str, list[int]] = {}


def encoded(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    if text not in _encoded:
        _encoded[text] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return _encoded[text]
