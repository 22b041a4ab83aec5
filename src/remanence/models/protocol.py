"""What an embedder is. Nothing is imported that costs time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Vectors: TypeAlias = "NDArray[np.float32]"

Progress = Callable[[int], None]
"""Called with how many more texts are done. The numbers add up to the number of texts."""


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors whose dot product says how close two texts are in meaning."""

    @property
    def name(self) -> str:
        """For people: `minilm-l6-v2`, `hashing`, the model of an endpoint."""
        ...

    @property
    def fingerprint(self) -> str:
        """Short and stable. Vectors of the same fingerprint can be compared; others must never mix."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Embed each text on its own; the order is kept.

        Returns
        -------
        float32 of shape (len(texts), dimensions), each row of length 1.

        Raises
        ------
        ModelMissingError
            The weights are not on this machine.
        ModelDamagedError
            The weights are not the ones they claim to be.
        EndpointError
            A remote model refused, failed, or answered nonsense.
        """
        ...
