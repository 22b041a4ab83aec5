"""Whose word counts for how much, and what a memory of low trust needs before it may enter an answer.

A hit of low trust enters an answer sentence by sentence, and only those sentences that somebody independent supports: one memory of
higher trust, or a second source of low trust that shares neither site nor author and is no copy. What contradicts a
memory of higher trust stays out. Models' own words support nothing: they may only repeat what they read.

Two sources suffice, so whoever writes as two of them passes; `benchmarks/poison.py` measures that too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from remanence.cubes import ROLES, Hit, MemCube
from remanence.errors import InputError
from remanence.governance.bursts import near
from remanence.language.relations import Arity
from remanence.language.sentences import sentence_spans
from remanence.language.slots import Stated, resolve, value_key
from remanence.language.tokens import folded, stems
from remanence.policies import Trust

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Embed = Callable[[Sequence[str]], NDArray[np.float32] | None]
    """Unit vectors of texts, shape (n, dimensions), float32; None where there is no embedder."""

WIDER = 40
"""Memories among which support is looked for."""
SHARE = 0.6
"""Share of a sentence's words, those that the question did not bring along, that its support has to hold."""
SHARE_IF_CLOSE = 0.3
CLOSE = 0.7
"""With an embedder: this dot product makes up for words, down to `SHARE_IF_CLOSE`."""

_MOST_SENTENCES = 200  # of one memory
_MOST_EMBEDDED = 32
_VOUCHING = frozenset({Trust.USER, Trust.TOOL})
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_CAPITAL = re.compile(r"(?<![.!?…\"“] )(?<!^)\b[A-Z][^\W_]+")
_NEGATION = re.compile(r"\b(?:not|never|no longer|none|nobody|neither|nor|without)\b|n't\b")
_WORD = re.compile(r"[^\W_]+")
_SAME = {"life": "live"}  # "lives" may be either; who compares two sentences must not care
_TWO_LEVELS = frozenset({"co", "com", "org", "net", "ac", "gov", "edu"})  # co.uk, com.au: the name stands before these


def tiers(text: str) -> frozenset[Trust]:
    """The tiers that a setting such as "web,unknown" names; an empty text names none.

    Raises
    ------
    InputError
        A name is no tier.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        return frozenset(Trust(name) for name in names)
    except ValueError as error:
        raise InputError(
            f"corroborate is {text!r}: {error}.", f"Use names of tiers, with commas: {', '.join(Trust)}."
        ) from None


class Vouched(NamedTuple):
    """Hits that may enter an answer."""

    hits: list[Hit]
    """In their order; of those of low trust only the sentences that somebody supports, the others are blanks of the same length."""
    notes: tuple[str, ...]
    """One for each hit that was left out, whole or in part."""
    whole: dict[str, MemCube]
    """The cubes as they are, by id, of the hits in which something is blank."""


def vouched(
    question: str, hits: Sequence[Hit], others: Iterable[MemCube], low: frozenset[Trust], *, stated: Sequence[Stated] = (),
    embed: Embed | None = None,
) -> Vouched:  # fmt: skip
    """Keep of hits what may enter an answer.

    `others` are memories that could support them, the hits may be among them; `stated` is what memories state in the slots
    that the hits fill (`claims_beside`). Hits of other tiers than `low` stay as they are.
    """
    if all(hit.cube.trust not in low for hit in hits):
        return Vouched(list(hits), (), {})
    pool = {(cube.id, cube.version): cube for cube in (*(hit.cube for hit in hits), *others)}
    witnesses = [_Witness.of(cube) for cube in pool.values() if not cube.provenance.derived_from]
    overruled = _overruled(stated)
    kept: list[Hit] = []
    notes: list[str] = []
    whole: dict[str, MemCube] = {}
    for hit in hits:
        cube = hit.cube
        if cube.trust not in low:
            kept.append(hit)
        elif cube.id in overruled:
            notes.append(f"Left out {cube.id}: it contradicts {overruled[cube.id]}, which is trusted more.")
        else:
            text = _supported(question, cube, witnesses, low, embed)
            if not text.strip():
                notes.append(f"Left out {cube.id} (trust {cube.trust}): no independent memory supports it.")
                continue
            if text != cube.text:
                notes.append(f"Read {cube.id} (trust {cube.trust}) only where another memory supports it.")
                whole[cube.id] = cube
            kept.append(replace(hit, cube=replace(cube, text=text)))
    return Vouched(kept, tuple(notes), whole)


def independent(one: MemCube, other: MemCube) -> bool:
    """Whether two memories come from different sites or sources and different authors, and neither is a copy of the other."""
    first, second = one.provenance, other.provenance
    if one.id == other.id or origin(first.source) == origin(second.source):
        return False
    if first.author is not None and first.author == second.author:
        return False
    return _plain(one.text) != _plain(other.text) and not near(one.text, other.text)


def origin(source: str) -> str:
    """What stands behind a source: the registered name of a site, whatever page of it; another source by itself."""
    if not source.lower().startswith(("http://", "https://")):
        return source
    try:
        host = (urlsplit(source).hostname or source).rstrip(".")
    except ValueError:  # a malformed address
        return source
    parts = host.split(".")
    if all(part.isdigit() for part in parts):
        return host
    count = 3 if len(parts) > 2 and len(parts[-1]) == 2 and parts[-2] in _TWO_LEVELS else 2
    return ".".join(parts[-count:])


class _Said(NamedTuple):
    """A sentence in the parts that have to agree."""

    text: str
    terms: frozenset[str]
    keys: frozenset[str]
    """Numbers and names, folded."""
    denies: bool


@dataclass(frozen=True, slots=True)
class _Witness:
    """A memory that may support another."""

    cube: MemCube
    sentences: tuple[_Said, ...]
    around: frozenset[str]
    """Words of its author and title: "I moved" is said of whoever says it."""

    @classmethod
    def of(cls, cube: MemCube) -> _Witness:
        """Take a memory apart."""
        author = cube.provenance.author
        around = f"{author if author not in ROLES and author else ''} {cube.about or ''}"
        return cls(cube, tuple(_sentences(cube.text)), _terms(around) | {*_WORD.findall(folded(around))})


def _sentences(text: str) -> Iterable[_Said]:
    for start, end in sentence_spans(text)[:_MOST_SENTENCES]:
        yield _said(text[start:end])


def _terms(text: str) -> frozenset[str]:
    return frozenset(_SAME.get(stem, stem) for stem in stems(text))


def _said(sentence: str) -> _Said:
    plain = folded(sentence)
    keys = {*_NUMBER.findall(plain), *(folded(name) for name in _CAPITAL.findall(sentence))}
    return _Said(sentence, _terms(sentence), frozenset(keys), len(_NEGATION.findall(plain)) % 2 == 1)


def _supported(
    question: str, cube: MemCube, witnesses: Sequence[_Witness], low: frozenset[Trust], embed: Embed | None
) -> str:
    """The text of a cube of low trust with every sentence blanked that nobody supports."""
    able = [witness for witness in witnesses if _may_vouch(witness.cube, cube, low)]
    if not able:
        return " " * len(cube.text)
    asked, about = _terms(question), _terms(cube.about or "")
    named = {folded(name) for name in _CAPITAL.findall(question)}
    spans = sentence_spans(cube.text)
    pieces: list[str] = []
    last = 0
    for number, (start, end) in enumerate(spans):
        sentence = cube.text[start:end]
        said = _said(sentence)
        said = said._replace(
            keys=said.keys | (named & {*_WORD.findall(folded(sentence))})
        )  # also where it begins a sentence
        held = number < _MOST_SENTENCES and _is_supported(said, asked | about, able, embed)
        pieces += [cube.text[last:start], sentence if held else " " * len(sentence)]
        last = end
    return "".join(pieces) + cube.text[last:]


def _may_vouch(witness: MemCube, cube: MemCube, low: frozenset[Trust]) -> bool:
    if witness.trust is Trust.MODEL:
        return False
    if witness.trust in _VOUCHING and witness.trust not in low:
        return witness.id != cube.id and _plain(witness.provenance.source) != _plain(cube.provenance.source)
    return independent(witness, cube)


def _is_supported(said: _Said, known: frozenset[str], able: Sequence[_Witness], embed: Embed | None) -> bool:
    """Whether one of the witnesses says the same: every number and name, no negation more or less, and most words that are new."""
    new = said.terms - known or said.terms
    if not new:
        return False
    near_enough: list[str] = []
    for witness in able:
        for other in witness.sentences:
            if other.denies != said.denies or not _keys_hold(said, other, witness):
                continue
            share = len(new & (other.terms | witness.around)) / len(new)
            if share >= SHARE:
                return True
            if share >= SHARE_IF_CLOSE:
                near_enough.append(other.text)
    if not near_enough or embed is None:
        return False
    vectors = embed([said.text, *near_enough[:_MOST_EMBEDDED]])
    return vectors is not None and float((vectors[1:] @ vectors[0]).max()) >= CLOSE


def _keys_hold(said: _Said, other: _Said, witness: _Witness) -> bool:
    return said.keys <= other.keys | {*_WORD.findall(folded(other.text))} | witness.around


def _overruled(stated: Sequence[Stated]) -> dict[str, str]:
    """Memories that state what one of higher rank excludes, and the id of that one."""
    found: dict[str, str] = {}
    by_slot = resolve(stated)
    for one in stated:
        slot = by_slot.about(one.fact.subject, one.fact.relation)
        if slot is None or one.negated:
            continue
        key = value_key(one.fact.relation, one.fact.value)
        for other in slot.current if slot.arity in {Arity.ONE, Arity.FIXED} else ():
            theirs = value_key(other.fact.relation, other.fact.value)
            is_same = theirs[: len(key)] == key[: len(theirs)]
            if other.rank > one.rank and not is_same:
                found.setdefault(one.cube_id, other.cube_id)
    for pair in by_slot.contradictions():  # a denial of higher rank
        for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
            if other.rank > one.rank:
                found.setdefault(one.cube_id, other.cube_id)
    return found


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(folded(text)))
