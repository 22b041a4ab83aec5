"""An endless dialogue in a cache of fixed size: what a scorer rates highest is kept, and the rest is forgotten.

Keys are held before rotation. With `positions="cache"` a token stands where it stands in the cache, as in StreamingLLM
(arXiv 2309.17453) and SirLLM (arXiv 2405.12528): the dialogue may be longer than the model's context. With
`positions="original"` it stays where it stood in the dialogue, which ends with the context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import log_softmax
from transformers import Cache

from remanence.activation import stream_file
from remanence.activation.rope import rope_of
from remanence.activation.scorers import Scorer, Seen
from remanence.activation.slots import chosen, nothing, turned
from remanence.activation.watching import watched
from remanence.activation.words import words_of
from remanence.errors import ContextTooLongError, InputError
from remanence.models.local.caches import cache_of, fork, pairs
from remanence.models.local.causal import CausalLM

Positions = Literal["cache", "original"]
_SHARE = (
    8  # of the budget is freed at once while a text is written, so that the cache is not rotated anew for every token
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A token that is in the memory."""

    id: int
    place: int
    """Where it stood in the dialogue, from 0."""
    turn: int
    score: float
    """As the scorer gave it, without decay."""
    text: str


@dataclass(frozen=True, slots=True)
class Written:
    """What `generate` wrote; it is part of the dialogue."""

    ids: tuple[int, ...]
    text: str


class StreamingMemory:
    """What a model remembers of a dialogue, in at most `budget` tokens.

    Before a segment that does not fit, the memory keeps the best tokens by score, the first `sinks` and the last `recent`.
    The cache is held twice, before rotation and ready for use.
    """

    def __init__(
        self, lm: CausalLM, budget: int, scorer: Scorer, *, sinks: int = 4, recent: int = 0,
        positions: Positions = "cache", decay: float = 1.0,
    ) -> None:  # fmt: skip
        """Begin a dialogue.

        Parameters
        ----------
        lm
            The model. Its positions have to be rotary, with constant frequencies.
        budget
            Tokens that are held at most, those of the turn that is going on included.
        scorer
            What is worth keeping; `scorers.SCORERS` has some.
        sinks
            The first tokens of the dialogue, which are always kept: models rest their attention on them.
        recent
            The last tokens, which are kept before scores are looked at.
        positions
            `cache` or `original`, see above.
        decay
            What a score is multiplied by for every turn that has passed since; 1 for no decay.

        Raises
        ------
        InputError
            Numbers that do not fit together, or a decay with a scorer whose scores do not allow it.
        ContextTooLongError
            The budget is larger than the model's context.
        UnsupportedModelError
            The model's keys cannot be moved.
        """
        _check(budget, sinks, recent, positions, decay, scorer)
        if budget > lm.context:
            raise ContextTooLongError(
                f"A budget of {budget:,} tokens does not fit the {lm.context:,} positions of {lm.name}.",
                f"Use a budget of at most {lm.context:,}.",
            )
        self.lm, self.budget, self.scorer = lm, budget, scorer
        self.sinks, self.recent, self.positions, self.decay = sinks, recent, positions, decay
        self.seen = 0
        """Tokens of the dialogue so far, forgotten ones included."""
        self.turn = 0
        """The turn that is going on."""
        self._rope = rope_of(lm)
        self._slots = nothing(lm.layers, lm.kv_heads, lm.head_dim, lm.dtype, lm.device, shared=scorer.shared)
        self._last: Tensor | None = None  # [vocabulary], what the model expects next
        self._live: Cache | None = None  # the slots, rotated to their positions; None: to be made

    def __len__(self) -> int:
        """Tokens that are held."""
        return len(self._slots)

    # ── the dialogue ─────────────────────────────────────────────────────────────────────────────────────────────────

    def feed(self, said: str | Sequence[int], turn: int | None = None) -> None:
        """Take in a text, or tokens, as part of a turn: by default of the one after the last.

        A text longer than the budget has room for beside the sinks is taken in by parts, half of that room each.

        Raises
        ------
        InputError
            Nothing was said, an unknown token, or a turn that is over already.
        ContextTooLongError
            With original positions: the dialogue is longer than the model's context.
        """
        ids = self.lm.encode(said) if isinstance(said, str) else [int(one) for one in said]
        self.lm.check(ids)
        turn = (self.turn + 1 if self.seen else 0) if turn is None else turn
        if turn < self.turn:
            raise InputError(f"Turn {turn} is over: this is turn {self.turn}.", "Feed the turns in their order.")
        if self.positions == "original":
            self.lm.check_room(self.seen + len(ids))
        self.turn = turn
        size = self.budget - self.sinks
        size = size if len(ids) <= size else max(1, size // 2)
        for at in range(0, len(ids), size):
            self._run(ids[at : at + size])

    def weigh(self, options: Sequence[str | Sequence[int]]) -> list[float]:
        """Log-probability of each option as what comes next, in nats. The memory stays as it is.

        Raises
        ------
        InputError
            Nothing was fed yet, or an option is empty.
        """
        last = self._expected()
        found: list[float] = []
        for option in options:
            ids = self.lm.encode(option) if isinstance(option, str) else [int(one) for one in option]
            self.lm.check(ids)
            rows = last[None]
            if len(ids) > 1:
                places = range(self._next, self._next + len(ids) - 1)
                rows = torch.cat([rows, self.lm.forward(ids[:-1], fork(self._cache()), places).logits.cpu()])
            found.append(float(log_softmax(rows, -1).gather(-1, torch.tensor(ids)[:, None]).sum()))
        return found

    def generate(self, max_new: int = 64, turn: int | None = None) -> Written:
        """Write the most probable continuation, until the model ends it, and remember it.

        The token that ends the answer is not taken in.

        Raises
        ------
        InputError
            Nothing was fed yet, or `max_new` is less than 1.
        ContextTooLongError
            As `feed`.
        """
        if max_new < 1:
            raise InputError(f"max_new is {max_new}.", "Use 1 or more.")
        turn = self.turn if turn is None else turn
        ids: list[int] = []
        while len(ids) < max_new:
            new = int(self._expected().argmax())
            if new in self.lm.ends:
                break
            if len(self) == self.budget:
                self._make_room(min(max_new - len(ids), max(1, (self.budget - self.sinks) // _SHARE)))
            self.feed([new], turn)
            ids.append(new)
        return Written(tuple(ids), self.lm.decode(ids))

    # ── what is kept ─────────────────────────────────────────────────────────────────────────────────────────────────

    def kept(self) -> tuple[Kept, ...]:
        """The tokens in the memory, in their order.

        Raises
        ------
        InputError
            Each layer and head keeps tokens of its own.
        """
        if not self.scorer.shared:
            raise InputError(
                f"With {self.scorer.name} every layer and head keeps other tokens: they are no text.",
                "Use a scorer that is shared, such as SirLLM.",
            )
        held = self._slots
        lists = (one.tolist() for one in (held.ids, held.places, held.turns, held.scores))
        return tuple(Kept(*one, text=self.lm.decode([one[0]])) for one in zip(*lists, strict=True))

    def kept_text(self, gap: str = " …") -> str:
        """The kept tokens as text, with `gap` where something is missing. Errors as `kept`."""
        runs: list[list[int]] = []
        expected = -1
        for one in self.kept():
            if one.place != expected:
                runs.append([])
            runs[-1].append(one.id)
            expected = one.place + 1
        return gap.join(self.lm.decode(run) for run in runs)

    # ── in a file ────────────────────────────────────────────────────────────────────────────────────────────────────

    def save(self, path: str | Path) -> int:
        """Write the memory to a safetensors file, all or nothing, and give its bytes. The file holds what was said."""
        state = {
            "budget": self.budget, "sinks": self.sinks, "recent": self.recent, "positions": self.positions,
            "decay": self.decay, "scorer": self.scorer.name, "seen": self.seen, "turn": self.turn,
        }  # fmt: skip
        return stream_file.save(Path(path), self._slots, self._last, state, self.lm.fingerprint)

    @classmethod
    def load(cls, path: str | Path, lm: CausalLM, scorer: Scorer) -> StreamingMemory:
        """Open a file that `save` wrote, to go on where it ended.

        Raises
        ------
        PayloadDamagedError
            The file is missing, damaged or of another format.
        ModelMismatchError
            It was made with another model.
        InputError
            It was made with another scorer.
        """
        held, last, state = stream_file.load(Path(path), lm, shared=scorer.shared)
        if state.scorer != scorer.name:
            raise InputError(
                f"{path} was made with the scorer {state.scorer}, not {scorer.name}.", "Pass the same scorer."
            )
        memory = cls(
            lm, state.budget, scorer, sinks=state.sinks, recent=state.recent, positions=state.positions, decay=state.decay
        )  # fmt: skip
        memory._slots, memory._last = held, last
        memory.seen, memory.turn = state.seen, state.turn
        return memory

    # ── arithmetic ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _next(self) -> int:
        """The position of the next token."""
        return len(self) if self.positions == "cache" else self.seen

    def _expected(self) -> Tensor:
        if self._last is None:
            raise InputError("Nothing was said yet.", "Feed a text first.")
        return self._last

    def _run(self, ids: list[int]) -> None:
        """A segment that fits: make room, compute, and hold what came of it. Broken off, it leaves the memory as it was."""
        before, done = self._slots, False
        try:
            self._make_room(len(ids))
            self._take_in(ids)
            done = True
        finally:
            if not done:  # the cache may have grown already
                self._slots, self._live = before, None

    def _take_in(self, ids: list[int]) -> None:
        at, count = self._next, len(ids)
        places = range(at, at + count)
        cache = self._cache() if len(self) else None
        attention: list[Tensor] | None = None
        if self.scorer.needs in {"window", "attention"}:
            step, attention = watched(self.lm, ids, cache, places)
        else:
            step = self.lm.forward(ids, cache, places)
        found = [(keys[0, :, -count:], values[0, :, -count:]) for keys, values in pairs(step.cache)]
        keys = tuple(turned(one, torch.arange(at, at + count), self._rope, back=True) for one, _ in found)
        scores = self.scorer.score(self._shown(ids, step.logits.cpu(), keys, attention))
        values = tuple(one for _, one in found)
        self._slots = self._slots.grown(torch.tensor(ids), self.seen, self.turn, scores, keys, values)
        self._last, self._live = step.logits[-1].cpu(), step.cache
        self.seen += count

    def _shown(self, ids: list[int], logits: Tensor, keys: tuple[Tensor, ...], attention: list[Tensor] | None) -> Seen:
        """What the scorer needs, and no more."""
        needs, before = self.scorer.needs, self._last
        if before is None:
            before = torch.full_like(logits[0], torch.nan)
        if attention is not None and needs == "window":
            attention = [rows[:, -self.scorer.window :] for rows in attention]
        everything = [torch.cat([old, new], dim=-2).cpu() for old, new in zip(self._slots.keys, keys, strict=True)]
        return Seen(
            torch.tensor(ids), torch.tensor(words_of(ids, self.lm.tokenizer)), self.seen, self._slots.scores,
            logits=torch.cat([before[None], logits]) if needs == "logits" else None,
            keys=everything if needs == "keys" else None, attention=attention,
        )  # fmt: skip

    def _make_room(self, count: int) -> None:
        """Forget tokens, if `count` more do not fit."""
        if len(self) + count <= self.budget:
            return
        scores = self._slots.scores
        if self.decay != 1.0:
            scores = scores * self.decay ** (self.turn - self._slots.turns).float()
        self._slots = self._slots.picked(chosen(scores, self.budget - count, self.sinks, self.recent))
        self._live = None

    def _cache(self) -> Cache:
        """The held tokens as the model wants them, rotated from what was stored, never from what was rotated before."""
        if self._live is None:
            held = self._slots
            count = len(held)
            places = torch.arange(count) if self.positions == "cache" else held.places
            rows = [places if places.dim() == 1 else places[layer] for layer in range(len(held.keys))]
            self._live = cache_of(
                [
                    (turned(keys, row, self._rope).to(self.lm.dtype)[None], values[None])
                    for keys, values, row in zip(held.keys, held.values, rows, strict=True)
                ]
            )
        return self._live


def _check(budget: int, sinks: int, recent: int, positions: str, decay: float, scorer: Scorer) -> None:
    if min(sinks, recent) < 0 or budget <= sinks + recent:
        raise InputError(
            f"A budget of {budget:,} tokens has no room beside {sinks:,} sinks and {recent:,} recent tokens.",
            f"Use a budget above {max(0, sinks) + max(0, recent):,}, and no negative numbers.",
        )
    if positions not in {"cache", "original"}:
        raise InputError(f"positions is {positions!r}.", "Use cache or original.")
    if not 0.0 < decay <= 1.0:
        raise InputError(f"decay is {decay}.", "Use a number above 0, and 1 for no decay.")
    if decay != 1.0 and not scorer.decays:
        raise InputError(f"Scores of {scorer.name} cannot decay.", "Leave decay at 1.")
