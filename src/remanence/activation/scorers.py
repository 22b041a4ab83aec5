"""Which tokens of a long dialogue to keep: one number per token, the higher the better.

Every rule is a `Scorer`. It says what it has to see and gives scores for all tokens that are in the memory after a segment,
either one list for the whole model, so that the kept tokens are a text, or one list per layer and head. Attention comes to it
averaged over the query heads that share a key–value head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, log_softmax

from remanence.errors import InputError

T = TypeVar("T")
Needs = Literal["nothing", "logits", "keys", "window", "attention"]
"""What is shown to a scorer beside the tokens: nothing, the model's predictions, its keys, or attention: of the last queries
only (`window`), or of all."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What is known once a segment of m tokens went through the model, behind n tokens that were kept from before."""

    ids: Tensor
    """The tokens of the segment, [m]."""
    words: Tensor
    """Which word of the segment each belongs to, rising from 0, [m]."""
    start: int
    """How many tokens the dialogue had before the segment, forgotten ones included."""
    earlier: Tensor
    """Scores of the n tokens from before, [n] or [layers, heads, n]; of no length at the beginning."""
    logits: Tensor | None = None
    """[m + 1, vocabulary]: row i predicts token i of the segment, row m what comes next. The first row of a dialogue is all NaN."""
    keys: Sequence[Tensor] | None = None
    """Per layer [heads, n + m, width], before rotation."""
    attention: Sequence[Tensor] | None = None
    """Per layer [heads, queries, n + m]."""

    @property
    def held(self) -> int:
        """How many tokens there were before the segment: n."""
        return self.earlier.shape[-1]


class Scorer(Protocol):
    """A rule that says what is worth its place."""

    @property
    def name(self) -> str:
        """Names the rule and its options; a memory that was stored is opened with the same."""
        ...

    @property
    def needs(self) -> Needs:
        """What `score` looks at."""
        ...

    @property
    def shared(self) -> bool:
        """Whether all layers and heads keep the same tokens."""
        ...

    @property
    def decays(self) -> bool:
        """Whether scores are 0 or more and keep their meaning, so that they may be multiplied down from turn to turn."""
        ...

    @property
    def window(self) -> int:
        """How many of the last queries are looked at, where `needs` is `window`."""
        ...

    def score(self, seen: Seen) -> Tensor:
        """Scores of all n + m tokens, [n + m] if shared, else [layers, heads, n + m]."""
        ...


@dataclass(frozen=True, slots=True)
class StreamingLLM:
    """Sinks and recent tokens (Xiao et al. 2023, arXiv 2309.17453): what came later is worth more."""

    name: str = "streamingllm"
    needs: Needs = "nothing"
    shared: bool = True
    decays: bool = False
    window: int = 0

    def score(self, seen: Seen) -> Tensor:
        return torch.arange(seen.held + len(seen.ids), dtype=torch.float32)


@dataclass(frozen=True, slots=True)
class Random:
    """The control: a number drawn once for each token. The same seed and dialogue give the same."""

    seed: int = 0
    name: str = "random"
    needs: Needs = "nothing"
    shared: bool = True
    decays: bool = True
    window: int = 0

    def score(self, seen: Seen) -> Tensor:
        drawn = torch.Generator().manual_seed(self.seed * 1_000_003 + seen.start)
        return torch.cat([seen.earlier, torch.rand(len(seen.ids), generator=drawn)])


@dataclass(frozen=True, slots=True)
class SirLLM:
    """The surprisal of the token that came, `e_i = -log P(x_i | x_<i)` (Yao et al. 2024, arXiv 2405.12528), in nats.

    Predictions are those of the model behind the tokens that were kept. The first token of a dialogue has none: it counts as
    a blind guess, log of the vocabulary.

    Attributes
    ----------
    smooth
        An odd number: the mean over so many neighbours in the segment. 0 for none.
    whole_words
        Every token of a word gets the highest score in it, since parts of a word mean little.

    Raises
    ------
    InputError
        `smooth` is neither 0 nor odd.
    """

    smooth: int = 0
    whole_words: bool = False
    needs: Needs = "logits"
    shared: bool = True
    decays: bool = True
    window: int = 0

    def __post_init__(self) -> None:
        if self.smooth < 0 or (self.smooth and self.smooth % 2 == 0):
            raise InputError(f"smooth is {self.smooth}.", "Use 0, or an odd number such as 3.")

    @property
    def name(self) -> str:
        return "sirllm" + (f"+smooth{self.smooth}" if self.smooth else "") + ("+words" if self.whole_words else "")

    def score(self, seen: Seen) -> Tensor:
        new = surprisal(_there(seen.logits)[:-1], seen.ids)
        if self.smooth:
            new = smoothed(new, self.smooth)
        if self.whole_words:
            highest = torch.zeros(int(seen.words.max()) + 1).scatter_reduce(0, seen.words, new, "amax")
            new = highest[seen.words]
        return torch.cat([seen.earlier, new])


@dataclass(frozen=True, slots=True)
class SirLLMReleased:
    """An ablation: what the released code computes in place of the published score.

    It looks up x_i, not x_(i+1), in the prediction at i, and moves the result by one: a token is scored by how unlikely it
    was that the token *before* it came twice. The first token of a segment gets the highest score of the segment.
    """

    name: str = "sirllm_released"
    needs: Needs = "logits"
    shared: bool = True
    decays: bool = True
    window: int = 0

    def score(self, seen: Seen) -> Tensor:
        twice = surprisal(_there(seen.logits)[1:], seen.ids)[:-1]
        first = twice.max() if len(twice) else _there(seen.logits).new_tensor(_there(seen.logits).shape[-1]).log()
        return torch.cat([seen.earlier, first[None], twice])


@dataclass(frozen=True, slots=True)
class H2O:
    """All attention that a token was given so far (Zhang et al. 2023, arXiv 2306.14048); meant to be used with recent tokens."""

    name: str = "h2o"
    needs: Needs = "attention"
    shared: bool = False
    decays: bool = True
    window: int = 0

    def score(self, seen: Seen) -> Tensor:
        given = torch.stack([rows.sum(dim=-2) for rows in _there(seen.attention)])
        given[..., : seen.held] += seen.earlier
        return given


@dataclass(frozen=True, slots=True)
class SnapKV:
    """Mean attention of the last queries, averaged over neighbours (Li et al. 2024, arXiv 2404.14469).

    Where a segment has fewer queries than the window, the score from before stands for those that are missing.

    Raises
    ------
    InputError
        The window is empty, or `pool` is not odd.
    """

    window: int = 32
    pool: int = 5
    needs: Needs = "window"
    shared: bool = False
    decays: bool = False

    def __post_init__(self) -> None:
        if self.window < 1 or self.pool < 1 or self.pool % 2 == 0:
            raise InputError(
                f"window is {self.window}, pool is {self.pool}.", "Use a window of 1 or more and an odd pool."
            )

    @property
    def name(self) -> str:
        return f"snapkv{self.window}+pool{self.pool}"

    def score(self, seen: Seen) -> Tensor:
        rows = torch.stack(list(_there(seen.attention)))[..., -self.window :, :]
        share = rows.shape[-2] / self.window
        found = smoothed(rows.mean(dim=-2), self.pool)
        if seen.held:
            found[..., : seen.held] = share * found[..., : seen.held] + (1 - share) * seen.earlier
        return found


@dataclass(frozen=True, slots=True)
class Tova:
    """The last query's attention, averaged over the heads of a layer (Oren et al. 2024, arXiv 2401.06104)."""

    name: str = "tova"
    needs: Needs = "window"
    shared: bool = False
    decays: bool = False
    window: int = 1

    def score(self, seen: Seen) -> Tensor:
        rows = torch.stack(list(_there(seen.attention)))[..., -1, :]
        return rows.mean(dim=1, keepdim=True).expand_as(rows).contiguous()


@dataclass(frozen=True, slots=True)
class Knorm:
    """Keys of small norm are attended to (Devoto et al. 2024, arXiv 2406.11430): minus the norm."""

    name: str = "knorm"
    needs: Needs = "keys"
    shared: bool = False
    decays: bool = False
    window: int = 0

    def score(self, seen: Seen) -> Tensor:
        return torch.stack([-keys.float().norm(dim=-1) for keys in _there(seen.keys)])


SCORERS: Mapping[str, Scorer] = MappingProxyType(
    {
        "streamingllm": StreamingLLM(), "sirllm": SirLLM(), "sirllm_released": SirLLMReleased(), "h2o": H2O(),
        "snapkv": SnapKV(), "tova": Tova(), "knorm": Knorm(), "random": Random(),
    }
)  # fmt: skip
"""Each rule with its usual options."""


def surprisal(logits: Tensor, ids: Tensor) -> Tensor:
    """-log P of each id under the logits of its row, in nats, [m]. A row of NaN counts as a blind guess."""
    found = -log_softmax(logits.float(), dim=-1).gather(-1, ids.to(logits.device)[:, None])[:, 0].cpu()
    return found.nan_to_num(nan=float(torch.tensor(float(logits.shape[-1])).log()))


def smoothed(scores: Tensor, width: int) -> Tensor:
    """The mean over `width` neighbours, fewer at the ends, along the last axis."""
    flat = scores.reshape(-1, 1, scores.shape[-1])
    return avg_pool1d(flat, width, stride=1, padding=width // 2, count_include_pad=False).reshape(scores.shape)


def _there(shown: T | None) -> T:
    if shown is None:
        raise InputError("A scorer was not shown what it needs.", "Pass what `needs` names.")
    return shown
