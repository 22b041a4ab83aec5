"""A causal language model of Hugging Face with its tokenizer, frozen: tokens in, logits, scores and text out.

How a folder is opened stands in `opening`, how answers are scored in `scoring`, how text is written in `generating`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from transformers import Cache, DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from remanence.errors import ContextTooLongError, InputError
from remanence.models.local import caches, chats, fingerprint, generating, opening, scoring
from remanence.models.local.fingerprint import Fingerprint
from remanence.models.local.generating import Generated, Token
from remanence.models.local.scoring import Scored

UNLIMITED = 1 << 20
"""Positions of a model whose configuration names none, as those without position embeddings."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a forward pass gives."""

    logits: Tensor
    """[tokens, vocabulary], float32."""
    cache: Cache
    """The cache that was passed, now longer, or a new one."""


class _Config(Protocol):
    num_hidden_layers: int
    num_attention_heads: int
    hidden_size: int


class CausalLM:
    """Any causal language model of Hugging Face. Frozen and in evaluation mode; nothing here changes a weight.

    Attributes
    ----------
    adapter
        The digest of something that changes what the model computes and that is not PEFT's: whoever puts it on sets this, and
        whoever takes it off empties it. Adapters of PEFT are seen without it.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str = "model",
        folder: Path | None = None,
    ) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name = name
        self.folder = folder
        self.adapter = ""
        self._hashed: tuple[object, str] | None = None
        self._base: Fingerprint | None = None
        self._keeps = "logits_to_keep" in inspect.signature(fingerprint.base_of(model).forward).parameters

    @classmethod
    def open(cls, where: str | Path, *, device: str = "auto", dtype: str = "auto") -> CausalLM:
        """Open a folder, or a hub name that is in the local Hugging Face cache. Nothing is fetched, and no code of it is run.

        Parameters
        ----------
        where
            The folder, or a name such as `org/model`.
        device
            `cpu`, `cuda`, `cuda:1` …; `auto` is the GPU where there is one.
        dtype
            `float32`, `bfloat16` or `float16`; `auto` is bfloat16 on a GPU and float32 on the CPU.

        Raises
        ------
        ModelMissingError
            There is no such model here, or it lacks weights in safetensors, or a tokenizer.
        ModelDamagedError
            A file is not what its name says, or the files do not fit together.
        UnsupportedModelError
            It is no causal language model, or one that needs code of its own.
        InputError
            The device or dtype is unknown.
        """
        model, tokenizer, folder = opening.load(where, device, dtype)
        return cls(model, tokenizer, name=Path(where).resolve().name if folder else str(where), folder=folder)

    @classmethod
    def of(cls, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str = "model") -> CausalLM:
        """A model that is in memory already. It is put into evaluation mode and frozen.

        Raises
        ------
        ModelDamagedError
            The tokenizer has more tokens than the model has embeddings.
        """
        opening.check_vocabulary(model, tokenizer, name)
        return cls(model, tokenizer, name=name)

    # ── what it is ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def fingerprint(self) -> Fingerprint:
        """What a cache or an adapter made with this model depends on. The weights are hashed again only if they changed."""
        state = fingerprint.state_of(self.model)
        if self._hashed is None or self._hashed[0] != state:
            self._hashed = state, fingerprint.weights_of(self.model)
            self._base = None
        if self._base is None:
            template = cast(str | None, getattr(self.tokenizer, "chat_template", None))
            self._base = Fingerprint(
                architecture=fingerprint.architecture_of(self.model), weights=self._hashed[1],
                tokenizer=fingerprint.tokenizer_of(self.tokenizer), dtype=str(self.dtype).removeprefix("torch."),
                template=fingerprint.digest([str(template).encode()]) if template else "", rope=fingerprint.rope_of(self.model),
            )  # fmt: skip
        adapters = "+".join(filter(None, (self.adapter, fingerprint.adapter_of(self.model))))
        return replace(self._base, adapter=adapters)

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    @property
    def context(self) -> int:
        """Positions: tokens of a prompt and its answer together."""
        for name in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"):
            if isinstance(found := getattr(self._config, name, None), int):
                return found
        return UNLIMITED

    @property
    def layers(self) -> int:
        return self._config.num_hidden_layers

    @property
    def kv_heads(self) -> int:
        return getattr(self._config, "num_key_value_heads", None) or self._config.num_attention_heads

    @property
    def head_dim(self) -> int:
        return getattr(self._config, "head_dim", None) or self._config.hidden_size // self._config.num_attention_heads

    @property
    def bytes_per_token(self) -> int:
        """Bytes that a token takes in a key–value cache."""
        return 2 * self.layers * self.kv_heads * self.head_dim * self.dtype.itemsize

    @property
    def vocabulary(self) -> int:
        """Rows of the embedding; a tokenizer may have fewer tokens."""
        return opening.embeddings(self.model)

    @property
    def ends(self) -> frozenset[int]:
        """Tokens that end an answer."""
        return generating.ends(self)

    @property
    def _config(self) -> _Config:
        return cast(
            _Config, cast(PreTrainedModel, fingerprint.base_of(self.model)).config.get_text_config(decoder=True)
        )

    # ── text and tokens ──────────────────────────────────────────────────────────────────────────────────────────────

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without special tokens: what looks like one in the text is text."""
        return chats.encode(self.tokenizer, text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, without special tokens."""
        return chats.decode(self.tokenizer, ids)

    def chat(self, turns: Sequence[tuple[str, str]]) -> list[int]:
        """The ids of a conversation of (role, content) up to where the assistant answers.

        With the tokenizer's chat template; without one, `Role: content` on a line each, and `Assistant:`. What looks like a
        special token in a content is text.

        Raises
        ------
        InputError
            No turns, or the template refuses them.
        """
        return chats.chat(self.tokenizer, turns)

    # ── arithmetic ───────────────────────────────────────────────────────────────────────────────────────────────────

    @torch.no_grad()
    def forward(
        self, ids: Sequence[int], cache: Cache | None = None, positions: Sequence[int] | None = None, keep: int = 0
    ) -> Step:
        """Run tokens through the model, behind what `cache` holds. The cache grows in place.

        Parameters
        ----------
        ids
            At least one.
        cache
            What was computed before; a new one where there is none.
        positions
            One per token; from the length of the cache on where none are given. A cache that was thinned out needs them.
        keep
            Logits of the last so many tokens only; 0 for all.

        Raises
        ------
        InputError
            No ids, an id that is not in the vocabulary, or positions that do not fit.
        ContextTooLongError
            More tokens than the model has positions.
        """
        self.check(ids)
        if positions is not None and (len(positions) != len(ids) or min(positions) < 0):
            raise InputError(
                f"{len(positions)} positions do not fit {len(ids)} tokens.", "Pass one, 0 or more, per token."
            )
        self.check_room(max(positions) + 1 if positions is not None else caches.length(cache) + len(ids))
        cache = (
            DynamicCache(config=cast(PreTrainedModel, fingerprint.base_of(self.model)).config)
            if cache is None
            else cache
        )
        extra: dict[str, Any] = {}
        if positions is not None:
            extra["position_ids"] = torch.tensor([list(positions)], device=self.device)
        logits = self.logits(
            torch.tensor([list(ids)], device=self.device), keep, past_key_values=cache, use_cache=True, **extra
        )
        return Step(logits[0], cache)

    def logits(self, ids: Tensor, keep: int | Tensor = 0, **extra: Any) -> Tensor:
        """Logits in float32 of a batch of ids: all, of the last `keep` tokens, or at the indices `keep`. The rest goes to the model."""
        if self._keeps:
            return self.model(input_ids=ids, logits_to_keep=keep, **extra).logits.float()
        found = self.model(input_ids=ids, **extra).logits
        return (found[:, -keep:] if isinstance(keep, int) else found[:, keep]).float()

    def score(self, prompts: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> list[Scored]:
        """How probable each target is behind its prompt, in batches.

        Raises
        ------
        InputError
            The two differ in number, or one of a pair is empty.
        ContextTooLongError
            A prompt and its target are longer than the model's context.
        """
        return scoring.score(self, prompts, targets)

    def generate(
        self,
        ids: Sequence[int],
        *,
        cache: Cache | None = None,
        past: int | None = None,
        max_new: int = 64,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> Generated:
        """Write on from `ids`.

        Parameters
        ----------
        ids
            The whole prompt, also what the cache holds of it.
        cache
            Holds the beginning of `ids`, already computed; it grows in place, so pass `caches.clone(cache)` or
            `caches.fork(cache)` to keep it. Where it holds all of `ids`, the last token is computed again.
        past
            How many of `ids` the cache stands for, where it was thinned out: new tokens get the positions from there on.
        max_new
            Tokens at most.
        stop
            Texts that end the answer; they are not part of it.
        temperature
            0 for the most probable token each time.
        top_p
            Draw from the most probable tokens that together have this probability.
        seed
            Of what is drawn.

        Raises
        ------
        InputError
            No ids, or the cache holds more than they are, or a number is out of its range.
        ContextTooLongError
            `ids` alone are longer than the model's context.
        """
        return generating.generate(
            self,
            ids,
            cache=cache,
            past=past,
            max_new=max_new,
            stop=stop,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
        )

    def tokens(
        self,
        ids: Sequence[int],
        *,
        cache: Cache | None = None,
        past: int | None = None,
        max_new: int = 64,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> Iterator[Token]:
        """The tokens of `generate` one by one, the one that ends the answer included."""
        return generating.tokens(
            self, ids, cache=cache, past=past, max_new=max_new, temperature=temperature, top_p=top_p, seed=seed
        )

    def generate_many(
        self, prompts: Sequence[Sequence[int]], *, max_new: int = 16, stop: Sequence[str] = ()
    ) -> list[str]:
        """The most probable answer to each prompt, in batches. Errors as `generate`."""
        return generating.generate_many(self, prompts, max_new=max_new, stop=stop)

    # ── checks ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def check(self, ids: Sequence[int]) -> None:
        """Refuse no ids, and ids that the embedding does not have."""
        if not ids:
            raise InputError("There are no tokens.", "Pass at least one id.")
        if min(ids) < 0 or max(ids) >= self.vocabulary:
            odd = min(ids) if min(ids) < 0 else max(ids)
            raise InputError(
                f"The id {odd} is not among the {self.vocabulary:,} of {self.name}.", "Use its own tokenizer."
            )

    def check_room(self, tokens: int) -> None:
        """Refuse more tokens than there are positions."""
        if tokens > self.context:
            raise ContextTooLongError(
                f"{tokens:,} tokens do not fit the {self.context:,} positions of {self.name}.",
                "Pass fewer memories, or use a model with a longer context.",
            )
