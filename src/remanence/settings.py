"""Settings: one frozen value, and the only reader of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Literal, get_args

from remanence.errors import InputError
from remanence.policies import Trust

Precision = Literal["int8", "fp32"]
Durability = Literal["full", "normal"]
Recognition = Literal["score", "model"]
Background = Literal["off", "extract", "pair", "both"]
Switch = Literal["on", "off"]
Composition = Literal["exact", "repair", "blend"]
Logged = Literal["off", "principals", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a `Memory` behaves. Every field has a default that works; times are in seconds, sizes in characters or bytes.

    Each field can also be set through the environment: `REMANENCE_` and its name in capitals.
    """

    store: str = "memory.rem"
    """Where the memory lives when no location is given."""
    embedder: str = "minilm"
    """`minilm`, `hashing`, `none`, a folder, a hub name such as `sentence-transformers/all-MiniLM-L6-v2`, or the
    http(s) URL of an OpenAI-compatible endpoint, with the model after `#`: `http://localhost:11434/v1#nomic-embed-text`."""
    precision: Precision = "int8"
    """Arithmetic of a local embedder: int8 finds as much as fp32 and is nearly twice as fast. Part of the fingerprint."""
    embedder_key: str = field(default="", repr=False)
    """Bearer token for an embedding endpoint. Never written to the store, never printed."""
    model: str = ""
    """The language model: the http(s) URL of an OpenAI-compatible endpoint with the model after `#`, such as
    `http://localhost:11434/v1#llama3.2`; or `local:` with the folder of a Hugging Face model behind it, or its name in the local
    cache of the hub, such as `local:/models/nano`, which needs the extra `local`. Empty for none: everything but written answers
    works without."""
    recognition: Recognition = "score"
    """Which facts close to a question may lead the walk over the graph: by their `score`, or as the `model` says, one call a recall."""
    model_key: str = field(default="", repr=False)
    """Bearer token for the language model. Never written to the store, never printed."""
    model_timeout: float = 120.0
    """How long one request to the language model may take; for a stream, the wait for the next piece."""
    model_concurrency: int = 4
    """Requests to the language model at once; further ones wait."""
    model_context: int = 8192
    """Tokens that a prompt and its answer may have together."""
    background: Background = "off"
    """What the model does with memories after they are written, in a thread of its own: `off`, `extract`, `pair` or `both`."""
    model_price_in: float = 0.0
    """Price of a million tokens of prompts, in any currency; only for `Cost.price` and budgets."""
    model_price_out: float = 0.0
    """Price of a million tokens of answers, in the same currency."""
    care_every: float = 60.0
    """Seconds between two rounds of care, in a thread of its own: expiry, fading. 0 for none: call `memory.lifecycle.care()`."""
    signing_key: Path = Path("~/.config/remanence/signing.pem")
    """The Ed25519 key that signs checkpoints of the journal and receipts; made when it is first needed. Keep a copy."""
    quarantine: Switch = "on"
    """Whether suspicious text is held back when it is written."""
    corroborate: str = "web,unknown"
    """Tiers of trust, comma-separated, that enter an answer only when something independent says the same; empty for none."""
    record_questions: Switch = "off"
    """Whether questions are kept, to try changes on them later. They go with what they found when it is forgotten."""
    access_log: Logged = "principals"
    """Whose accesses are logged: of named `principals`, of `all`, or `off`."""
    models_dir: Path = Path("~/.cache/remanence/models")
    """Where `remanence models fetch` puts what comes from a hub."""
    hub: str = "https://huggingface.co"
    """Where hub names are fetched from. Nothing is fetched unless `remanence models fetch` is called."""
    durability: Durability = "full"
    """`full` syncs the disk at every commit; `normal` may lose the last commits when the power fails, never on a crash."""
    busy_timeout: float = 30.0
    """How long a write waits for another process before `StoreBusyError`."""
    commit_every: int = 256
    """Messages per transaction in a long `add` or `ingest`."""
    composition: Composition = "exact"
    """How caches may enter a prompt of a model on this machine: only where they are `exact`, or moved behind other memories as well, an
    approximation, with the first tokens computed again (`repair`) or those that differ most (`blend`)."""
    schedule: Switch = "off"
    """Whether rounds of care move memories between forms as the scheduler says."""
    payload_quota: int = 8_000_000_000
    """Bytes that the files of caches and adapters may take together, in the folder beside the store. Caches make room for others;
    adapters do not."""
    max_text: int = 1_000_000
    """Characters of one cube."""
    max_question: int = 32_000
    """Characters of one question."""
    max_file: int = 64_000_000
    """Bytes of one file to ingest or import line."""
    max_meta: int = 64_000
    """Bytes of one cube's `meta` as JSON."""

    def __post_init__(self) -> None:
        """Check every field once, here, so that nothing else has to."""
        self._check_choices()
        for name in _COUNTS:
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)!r}.", "Use a whole number of at least 1.")
        for name in ("busy_timeout", "care_every"):
            if not _is_finite(getattr(self, name)) or getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)!r}.", "Use seconds, 0 or more.")
        if not _is_finite(self.model_timeout) or self.model_timeout <= 0:
            raise InputError(f"model_timeout is {self.model_timeout!r}.", "Use seconds, more than 0.")
        for name in ("model_price_in", "model_price_out"):
            if not _is_finite(getattr(self, name)) or getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)!r}.", "Use a price per million tokens, 0 or more.")
        _check_tiers(self.corroborate)
        for name in ("models_dir", "signing_key"):
            object.__setattr__(self, name, Path(getattr(self, name)).expanduser())

    def _check_choices(self) -> None:
        for name, allowed in _CHOICES:
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} is {getattr(self, name)!r}.", f"Use one of: {', '.join(allowed)}.")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Defaults, overridden by `REMANENCE_*` variables.

        Raises
        ------
        InputError
            A variable holds something that its field cannot.
        """
        environ = os.environ if environ is None else environ
        found: dict[str, object] = {}
        for each in fields(cls):
            text = environ.get(f"REMANENCE_{each.name.upper()}")
            if text is None:
                continue
            try:
                found[each.name] = _CASTS.get(str(each.type), str)(text)
            except ValueError as error:
                raise InputError(
                    f"REMANENCE_{each.name.upper()} is {text!r}.", f"It has to be a {each.type}."
                ) from error
        return cls(**found)  # pyright: ignore[reportArgumentType]


def _check_tiers(names: str) -> None:
    unknown = {one.strip() for one in names.split(",")} - {"", *Trust}
    if unknown:
        raise InputError(f"corroborate names {min(unknown)!r}.", f"Use some of: {', '.join(Trust)}.")


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


_COUNTS = (
    "commit_every", "payload_quota", "max_text", "max_question", "max_file", "max_meta", "model_concurrency", "model_context",
)  # fmt: skip
_CHOICES = (
    ("precision", get_args(Precision)),
    ("composition", get_args(Composition)),
    ("schedule", get_args(Switch)),
    ("durability", get_args(Durability)),
    ("recognition", get_args(Recognition)),
    ("background", get_args(Background)),
    ("quarantine", get_args(Switch)),
    ("record_questions", get_args(Switch)),
    ("access_log", get_args(Logged)),
)
_CASTS = {"int": int, "float": float, "Path": Path}
