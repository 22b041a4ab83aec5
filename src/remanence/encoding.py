"""The embedder of one store: opened when it is first needed, held to the store's fingerprint, missed without harm."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from remanence.errors import EmbedderMismatchError, EndpointError, ModelError, ModelMissingError
from remanence.language.keys import RULES, embedded_parts, embedded_text
from remanence.reading import derived_anew
from remanence.settings import Settings
from remanence.store.protocol import Store
from remanence.write.pipeline import Progress, keys_for

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from remanence.models.cached import CachedEmbedder
    from remanence.models.protocol import Embedder
    from remanence.write.pipeline import Embed

_LOG = logging.getLogger("remanence")
_NOTE = "embedder"  # the store's note with the fingerprint of the embedder that made its vectors
_STEP = 256  # versions that reindex commits at a time
_CLOSE = 0.999  # cosine at which a stored float16 vector counts as the one that embedding again gives


class Encoding:
    """Vectors for documents and questions, or None where no embedder is at hand."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._lock = threading.Lock()
        self._opened = False
        self._embedder: Embedder | None = None
        self._questions: CachedEmbedder | None = None
        self._missing = ""
        self._unanswered = ""

    def documents(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Unit vectors of texts to be stored, shape (n, dimensions).

        Raises
        ------
        EmbedderMismatchError
            The store's vectors are another embedder's.
        EndpointError
            A remote embedder failed.
        """
        embedder = self._open()
        if embedder is None:
            return None
        self._bind(embedder, claim=True)
        return embedder.embed(texts)

    def question(self, text: str) -> NDArray[np.float32] | None:
        """The unit vector of a question, shape (dimensions,); None without an embedder, or when a remote one does not answer."""
        embedder = self._open()
        if embedder is None or self._questions is None:
            return None
        try:
            self._bind(embedder, claim=False)
            vector = self._questions.embed([text])[0]
        except EndpointError as error:  # the other channels can still answer; `notes` says what is missing
            self._unanswered = error.what
            _LOG.warning("dense search left out: %s", error)
            return None
        self._unanswered = ""
        return vector

    def drop_questions(self) -> None:
        """Drop the cached embeddings of questions, and their texts: after a forget they might repeat what is gone."""
        if self._questions is not None:
            self._questions.clear()

    def compare(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Unit vectors of texts that are not stored, to be compared with each other; None without an embedder."""
        embedder = self._open()
        return None if embedder is None else embedder.embed(texts)

    def claim(self, fingerprint: str) -> bool:
        """Whether vectors of this fingerprint may go into the store as they are; if so, it is held to it from now on.

        Raises
        ------
        EmbedderMismatchError
            The store's own vectors are another embedder's.
        """
        embedder = self._open()
        if embedder is None:  # nothing to compare with: the vectors wait for their embedder
            if self._store.note(_NOTE) not in {None, "", fingerprint}:
                return False
            self._store.set_note(_NOTE, fingerprint)
            return True
        if embedder.fingerprint != fingerprint:
            return False
        self._bind(embedder, claim=True)
        return True

    def notes(self) -> tuple[str, ...]:
        """What a recall has to tell about its channels."""
        self._open()
        if self._missing:
            return (f"Dense search left out. {self._missing}",)
        if self._unanswered:
            return (f"Dense search left out. {self._unanswered}",)
        if self._store.note("rules") != RULES:
            return ("Words and dates were indexed by the rules of an earlier release. Run: remanence reindex",)
        return ()

    def verify(self, sample: int) -> tuple[int, tuple[str, ...]]:
        """Embed evenly chosen texts again and compare. Returns how many were compared, and what differs."""
        embedder = self._open()
        total = self._store.counts()["versions"]
        if embedder is None or not sample or not total:
            return 0, ()
        try:
            self._bind(embedder, claim=False)
        except ModelError:
            return 0, ()  # another embedder's vectors, or none that answers: nothing to compare with
        import numpy as np

        step = max(-(-total // sample), 1)
        chosen: list[tuple[str, str, bytes]] = []
        for number, (cube, keys, reading) in enumerate(self._store.derived.everything(None)):
            if number % step == 0 and keys.vector:
                name = f"cube {cube.id} version {cube.version}"
                chosen.append((f"the vector of {name} does not belong to its text", embedded_text(cube), keys.vector))
                if reading and reading.vectors:
                    parts = embedded_parts(reading.content)
                    width = len(reading.vectors) // len(parts)
                    own = [reading.vectors[at * width : (at + 1) * width] for at in range(len(parts))]
                    said = f"a vector of what was read out of {name} does not belong to it"
                    chosen += [(said, part, vector) for part, vector in zip(parts, own, strict=True)]
        if not chosen:
            return 0, ()
        again = embedder.embed([text for _, text, _ in chosen])
        problems: list[str] = []
        for (problem, _, vector), fresh in zip(chosen, again, strict=True):
            stored = np.frombuffer(vector, "<f2").astype(np.float32)
            if (
                stored.shape != fresh.shape or not _CLOSE <= float(stored @ fresh) <= 2 - _CLOSE
            ):  # not a number is not close
                problems.append(problem)
        return len(chosen), tuple(dict.fromkeys(problems))

    def reindex(self, progress: Progress | None = None) -> int:
        """Derive all keys again, those of readings too, with this embedder. Returns how many versions were done.

        The store's note changes first and marks the work as begun: until it is finished, old and new vectors are told
        apart by `reindexed_to`, and calling again goes on from there.
        """
        embedder = self._open()
        fingerprint = embedder.fingerprint if embedder else ""
        if self._store.note(_NOTE) != fingerprint or self._store.note("reindexed_to") is None:
            self._store.set_note("reindexed_to", "0")
            self._store.set_note(_NOTE, fingerprint)
        total = self._store.counts()["versions"]
        done = 0
        after = int(self._store.note("reindexed_to") or 0)
        embed: Embed = embedder.embed if embedder else lambda _: None
        while some := self._store.numbered(after, _STEP):
            keys = keys_for([cube for _, cube in some], embed)
            self._store.rekey(dict(zip((seq for seq, _ in some), keys, strict=True)))
            stored = self._store.derived.stored([seq for seq, _ in some])
            if stored:
                pairs = [(cube, stored[seq]) for seq, cube in some if seq in stored]
                self._store.derived.rekey(derived_anew(pairs, embed))
            after = some[-1][0]
            self._store.set_note("reindexed_to", str(after))
            done += len(some)
            if progress:
                progress(done, total)
        self._store.set_note("rules", RULES)
        self._store.set_note("generation", str(int(self._store.note("generation") or 0) + 1))  # indexes load anew
        self._store.drop_note("reindexed_to")
        return done

    def _open(self) -> Embedder | None:
        with self._lock:
            if not self._opened:
                from remanence.models.cached import CachedEmbedder
                from remanence.models.shelf import open_embedder

                try:
                    self._embedder = open_embedder(self._settings)
                    self._questions = CachedEmbedder(self._embedder) if self._embedder else None
                    self._missing = "" if self._embedder else "The settings say: no embedder."
                except ModelMissingError as error:
                    self._missing = str(error)
                    _LOG.warning("no embedder: %s", error)
                self._opened = True
            return self._embedder

    def _bind(self, embedder: Embedder, *, claim: bool) -> None:
        """Hold the embedder to the store's fingerprint; the first one to write claims an unclaimed store."""
        stored = self._store.note(_NOTE)
        if not stored:
            if not claim:
                return
            if stored is not None:  # what a reindex without an embedder left
                self._store.drop_note(_NOTE)
            stored = self._store.offer_note(_NOTE, embedder.fingerprint)  # another process may have been first
        if stored != embedder.fingerprint:
            raise EmbedderMismatchError(
                f"The store's vectors were made by {stored}, the settings name {embedder.fingerprint}.",
                "Set the embedder it was made with, or run: remanence reindex",
            )
        if self._store.note("reindexed_to") is not None:
            raise EmbedderMismatchError("A reindex of this store was cut off.", "Run: remanence reindex")
