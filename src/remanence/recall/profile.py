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
    speaker: float = 6.0
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
    again: float = 0.5
    again_hits: int = 5
    """Second round: weight of being said like the best so many hits of the first."""
    about_edge: float = 3.0
    """Graph: weight of the edge between a text and what it is about, in units of a mention."""
    relation: float = 0.3
    """Graph: weight of the edge between the two sides of a fact."""
    read_edge: float = 1.0
    """Graph: weight of the edge between a text and a name that a model found in it, in units of a mention."""
    sequence: float = 0.0
    """Graph: weight of the edge between neighbouring turns. Conversations gain nothing from it."""
    damping: float = 0.5
    tolerance: float = 5e-7
    rounds: int = 12
    """Personalised PageRank: the chance to go on, the residual below which a node waits, and the most rounds."""
    seeds: int = 100
    share: float = 0.05
    share_unsure: float = 0.07
    """How many passages the walk may start from, and with how much of its start; more where a name in the question is not
    what some text is about."""
    facts: int = 5
    facts_share: float = 0.0
    facts_cut: float = 0.6
    """Facts that the walk may start from; their part of the names' start, all of it where the question names nothing; and the
    cosine above which a fact is kept although the question names neither of its sides."""
    repeated: float = 0.5
    """Graph: what each further text about one entity keeps of its score, the closest in meaning first."""
    statement_words: float = 0.1
    statement_meaning: float = 0.5
    """Weights of what models wrote about a cube: words, and closest vector."""
    pool: int = 1024
    """Candidates that are fused. A smaller scope is taken whole."""


DEFAULT = Profile()
