"""The rooms of one memory, each opened when it is first needed."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from remanence.arguments import optional_space
from remanence.background import Background, Rounds
from remanence.cubes import DEFAULT_SPACE
from remanence.errors import NoModelError, UnknownSpaceError
from remanence.extras import require
from remanence.governance.admitted import admitted_profile, admitted_settings
from remanence.settings import Settings
from remanence.store.protocol import Store

if TYPE_CHECKING:
    from remanence.cubes import Hit
    from remanence.encoding import Encoding
    from remanence.governance.quarantine import Quarantine
    from remanence.models.language import LanguageModel
    from remanence.models.local.causal import CausalLM
    from remanence.models.local.client import LocalModel
    from remanence.recall.pipeline import Recall
    from remanence.recall.profile import Profile
    from remanence.recall.query import Query
    from remanence.shelf import Shelf


class Upkeep(NamedTuple):
    """What a memory does unasked."""

    due: Callable[[Rooms], None]
    """In every round of care."""
    at_end: Callable[[Rooms], None]
    """Before the file is released."""


class Rooms:
    """What a `Memory` is made of. Two first calls at once open one embedder and load one index."""

    def __init__(
        self, store: Store, settings: Settings, profile: Profile | None, model: LanguageModel | None, upkeep: Upkeep
    ) -> None:
        self.store, self.given_settings = store, settings
        self.settings = admitted_settings(store, settings)
        """As given, with what was admitted to the store; see `admission`."""
        self.upkeep = upkeep
        self._closed = False
        self.used: Counter[str] = Counter()
        """How often memories were recalled and not written down yet; only of those that can fade."""
        self._profile, self._given = profile, model
        self._model: LanguageModel | None = None
        self._encoding: Encoding | None = None
        self.recall_: Recall | None = None
        """The indexes, None before the first question."""
        self._local: dict[str, CausalLM] = {}
        self._shelf: Shelf | None = None
        self._speaks: LanguageModel | None = None
        self._opening = threading.Lock()
        self.quiet = threading.local()
        """Whether this thread asks as a part of another question; see `questions.unrecorded`."""
        self._spaces: set[str] = set()  # seen to exist; a space never ceases to
        if settings.background != "off" and not (model or settings.model):
            raise NoModelError(
                f"Settings.background is {settings.background!r}, and there is no language model.",
                "Set REMANENCE_MODEL=http://host:port/v1#model, or leave background off.",
            )
        self.background = Background(self._read_on)
        """Reads what was written, if the settings say so."""
        self.care = Rounds(lambda: upkeep.due(self), settings.care_every)
        """Does what falls due."""
        if store.lifecycle.is_due_ever() or settings.schedule == "on":
            self.care.begin()

    @property
    def has_own_profile(self) -> bool:
        """Whether the caller gave a recall profile, which counts more than an admitted one."""
        return self._profile is not None

    @property
    def given_model(self) -> LanguageModel | None:
        """The language model that the caller gave."""
        return self._given

    def refresh(self) -> None:
        """Take up what was admitted to the store since it was opened."""
        settings = admitted_settings(self.store, self.given_settings)
        with self._opening:
            self.settings, self._encoding, self.recall_ = settings, None, None

    @property
    def encoding(self) -> Encoding:
        """The embedder, held to the store's fingerprint."""
        with self._opening:
            if self._encoding is None:
                from remanence.encoding import Encoding

                self._encoding = Encoding(self.store, self.settings)
            return self._encoding

    @property
    def recall(self) -> Recall:
        """The indexes of the store's spaces."""
        model = self.model if self.settings.recognition == "model" else None
        with self._opening:
            if self.recall_ is None:
                from remanence.recall.pipeline import Recall
                from remanence.recall.profile import Profile

                profile = self._profile or Profile(**admitted_profile(self.store))  # pyright: ignore[reportArgumentType]
                self.recall_ = Recall(self.store, profile, model)
            return self.recall_

    @property
    def model(self) -> LanguageModel | None:
        """The language model, its answers kept in the store as long as the memories that they came from; None without one."""
        with self._opening:
            if self._model is None:
                from remanence.models.cached_answers import CachedModel
                from remanence.models.speaking import open_language_model

                self._speaks = self._given or open_language_model(self.settings)
                self._model = self._speaks and CachedModel(self._speaks, self.store.derived)
            return self._model

    @property
    def own_model(self) -> LocalModel | None:
        """The language model that answers, if it is one on this machine."""
        client = sys.modules.get("remanence.models.local.client") if self.model else None
        if client is None or not isinstance(self._speaks, client.LocalModel):
            return None
        return cast("LocalModel", self._speaks)

    def local(self, model: CausalLM | str | Path | None = None) -> CausalLM:
        """A language model on this machine, kept open: as it is given, from its folder or name, or the one of the settings.

        Raises
        ------
        NoModelError
            None is given, and the settings name none, or a remote one.
        MissingExtraError
            The extra `local` is not installed.
        ModelMissingError, ModelDamagedError
            There is no such model.
        """
        if model is None:
            if (own := self.own_model) is None:
                raise NoModelError(
                    "No language model on this machine was named.",
                    "Pass model=FOLDER, or set REMANENCE_MODEL=local:FOLDER.",
                )
            return own.lm
        if not isinstance(model, str | Path):
            return model
        require("torch", extra="local", purpose="A language model on this machine")
        from remanence.models.local.causal import CausalLM

        with self._opening:
            if str(model) not in self._local:
                self._local[str(model)] = CausalLM.open(model)
            return self._local[str(model)]

    @property
    def shelf(self) -> Shelf:
        """Caches that are open."""
        with self._opening:
            if self._shelf is None:
                from remanence.shelf import Shelf

                self._shelf = Shelf(self.store)
            return self._shelf

    def let_go(self) -> None:
        """Drop what models on this machine hold in memory of what they read: something of it was forgotten."""
        if (own := self.own_model) is not None:
            own.clear()
        if self._shelf is not None:
            self._shelf.clear()

    @property
    def quarantine(self) -> Quarantine:
        """What is held or refused when something is written."""
        from remanence.governance.quarantine import Quarantine

        return Quarantine(self.store, self.settings)

    def record(self, query: Query, hits: Sequence[Hit]) -> None:
        """Write a question down, if the settings say so, and it is nobody's part."""
        if self.settings.record_questions == "off" or getattr(self.quiet, "depth", 0):
            return
        from remanence.questions import filters_of

        ids = [hit.cube.id for hit in hits]
        self.store.trusted.record(query.scope.space, query.question, filters_of(query), ids, self.store.clock())

    def wrote(self, *, falls_due: bool = False) -> None:
        """Something is durable that nobody has read yet, and that shares may have to show; or something falls due from now on."""
        if self.store.grants.shares.any():
            from remanence.sharing import sync

            sync(self.store)
        if not self.store.payloads.is_tidy():
            self.store.payloads.sweep()
        if self.settings.background != "off":
            self.background.wake()
        if falls_due:
            self.care.begin()

    def note_uses(self) -> None:
        """Write down how often memories were recalled."""
        with self._opening:
            counts, self.used = self.used, Counter()
        if counts:
            self.store.lifecycle.used(counts, self.store.clock())

    def close(self) -> None:
        """Stop reading, note what was used, and release the file."""
        if self._closed:
            return
        self._closed = True
        self.background.stop()
        self.care.stop()
        if self.used:
            self.note_uses()
        self.upkeep.at_end(self)
        self.store.close()

    def _read_on(self, stop: Callable[[], bool]) -> bool:
        """See `background.Work`."""
        from remanence.pairing import pair
        from remanence.reading import read
        from remanence.write.extract import ModelExtractor

        model, embed, failed = self.model, self.encoding.documents, False
        if model is not None and self.settings.background in {"extract", "both"}:
            extractor = ModelExtractor(model, concurrency=self.settings.model_concurrency)
            done = read(self.store, extractor, embed, batch=self.settings.model_concurrency, stop=stop)
            failed = bool(done.failures)
        if model is not None and self.settings.background in {"pair", "both"}:
            failed = bool(pair(self.store, embed, model, stop=stop).failures) or failed
        return failed

    def known_space(self, space: object) -> str | None:
        """A space that work is restricted to, None for all; an unknown one is an error."""
        checked = optional_space(space)
        if checked is not None:
            self.has_space(checked)
        return checked

    def has_space(self, space: str) -> bool:
        """Whether anything was ever written to it; an unknown space other than the default is an error."""
        if space in self._spaces:
            return True
        self._spaces.update(self.store.spaces())
        if space in self._spaces:
            return True
        if space == DEFAULT_SPACE:
            return False
        raise UnknownSpaceError(
            f"Nothing was ever written to the space {space!r}.",
            "Check its spelling; Memory.spaces() and `remanence spaces` list them.",
        )
