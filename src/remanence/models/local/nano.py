"""A small decoder of today's shape: rotary positions, RMS norms, grouped key–value heads, a gated MLP.

It is a `LlamaForCausalLM`, so that a folder it is saved to is opened by anything that reads Hugging Face models. One dial,
`depth`, sets the rest; every size can be set by hand. Shape: Touvron et al. 2023, "LLaMA", section 2.2; grouped heads:
Ainslie et al. 2023, "GQA", section 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from remanence.errors import InputError
from remanence.models.local.tokenizing import BOS, EOS, PAD

WIDTH_PER_LAYER = 32
HEAD_WIDTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class NanoSpec:
    """The sizes of a nano model. None means: from `depth`.

    Raises
    ------
    InputError
        Sizes that do not fit together.
    """

    depth: int = 4
    """Layers. Width is 32 times as much, and heads are 32 wide: depth 4 has 0.8 million parameters, depth 8 has 6 million."""
    vocab: int = 512
    context: int = 1024
    """Positions, in tokens."""
    seed: int = 0
    width: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    """Half as many as heads where that is a whole number, else as many."""
    hidden: int | None = None
    """Width inside the gated MLP; 8/3 of the width, up to the next multiple of 32."""
    theta: float = 10_000.0
    """Base of the rotary positions."""
    tied: bool = True
    """Whether the embedding is also the output: a third fewer parameters in small models."""

    def __post_init__(self) -> None:
        for name in ("depth", "vocab", "context"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)!r}.", "Use a whole number of at least 1.")
        if self.vocab <= max(PAD, BOS, EOS):
            raise InputError(f"vocab is {self.vocab}.", "The three special tokens alone need more.")
        width, heads, kv_heads, hidden = self.sizes
        if min(width, heads, kv_heads, hidden) < 1 or width % heads or heads % kv_heads or (width // heads) % 2:
            raise InputError(
                f"A width of {width} does not fit {heads} heads and {kv_heads} key–value heads.",
                "The heads have to divide the width into even parts, and the key–value heads the heads.",
            )

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Width, heads, key–value heads, and the width inside the MLP."""
        width = WIDTH_PER_LAYER * self.depth if self.width is None else self.width
        heads = max(1, width // HEAD_WIDTH) if self.heads is None else self.heads
        kv_heads = (heads // 2 if heads % 2 == 0 else heads) if self.kv_heads is None else self.kv_heads
        hidden = -(-width * 8 // 3 // 32) * 32 if self.hidden is None else self.hidden
        return width, heads, kv_heads, hidden


def new(spec: NanoSpec) -> LlamaForCausalLM:
    """A model with random weights that depend on `spec.seed` only; float32, on the CPU.

    Matrices begin with the variance that keeps activations at one size, those that write into the residual stream with
    less, by the number of them (Radford et al. 2019, section 2.3).
    """
    width, heads, kv_heads, hidden = spec.sizes
    config = LlamaConfig(
        vocab_size=spec.vocab, hidden_size=width, intermediate_size=hidden, num_hidden_layers=spec.depth,
        num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=width // heads,
        max_position_embeddings=spec.context, tie_word_embeddings=spec.tied,
        rope_parameters={"rope_type": "default", "rope_theta": spec.theta},
        pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):  # what transformers draws is written over: leave the caller's numbers alone
        model = LlamaForCausalLM(config)
    drawn = torch.Generator().manual_seed(spec.seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() < 2:
                weight.fill_(1.0)  # the gains of the norms
                continue
            spread = 1 / sqrt(weight.shape[1])
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                spread /= sqrt(2 * spec.depth)
            weight.normal_(0.0, spread, generator=drawn)
    return model.float().eval()
