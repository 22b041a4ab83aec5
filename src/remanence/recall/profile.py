"""The fusion's weights: one profile, in units of the channels' standard deviation, so that it carries over between stores.

Chosen on three conversations and checked on others; `docs/recall.md` shows what each part is worth, on conversations and
on documents, and the command that measures it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How much each channel counts. Priors add, they never filter."""

    words: float = 1.0
    """Weight of BM25F."""
    meaning: float = 1.3
    """Weight of dense search."""
    alone: float = 2.3
    """Weight of either one where the other is silent."""
    k1: float = 1.2
    b: float = 0.4
    """BM25: saturation, and how much length counts. Turns are short, so less than the usual 0.75."""
    words_previous: float = 0.7
    words_next: float = 0.5
    """Weight of the neighbouring turns' words: fields of BM25F."""
    meaning_previous: float = 0.3
    meaning_next: float = 0.15
    """Weight of the neighbouring turns' dense scores."""
    speaker: float = 4.0
    """Said by the one person whom the question names."""
    date: float = 8.0
    date_days: float = 7.0
    """In or near a time that the question names; falls to 1/e in this many days."""
    when: float = 2.0
    """Holds a time expression, where the question asks when."""
    asking: float = -1.5
    """Ends with a question mark: asks rather than tells."""
    brief: float = -2.0
    brief_stems: float = 4.0
    """Says little: falls to 1/e with every so many content words."""
    about: float = 2.0
    """Is about an entity that the question names."""
    latest: float = 2.0
    """Newest of the candidates, where the question asks for the present state; the oldest gets nothing."""
    session: float = 0.2
    session_best: int = 3
    """Weight of the mean of the session's best turns: a session on the topic lifts its turns."""
    pool: int = 1024
    """Candidates that are fused. A smaller scope is taken whole."""


DEFAULT = Profile()
