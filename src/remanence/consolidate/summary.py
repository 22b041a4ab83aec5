"""A summary of a session or a topic, by rules or by a model, as a product that knows its sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from remanence.consolidate.abstract import abstract
from remanence.consolidate.digest import Piece, digest, pieces
from remanence.consolidate.plan import Due
from remanence.consolidate.product import RULES, Product, Source
from remanence.cubes import Cost, Kind, MemCube
from remanence.language.topics import normalised
from remanence.models.language import LanguageModel

_FRAME = 32  # characters of a line's head: its day and who speaks
_MOST = 400  # memories that a summary is chosen of, the newest


@dataclass(frozen=True, slots=True)
class Summed:
    """A summary, or none, and what it took."""

    product: Product | None
    dropped: int = 0
    """Sentences of a model that its sources did not bear out."""
    cost: Cost = field(default_factory=Cost)


def summed(one: Due, room: int, model: LanguageModel | None) -> Summed:
    """Make the summary that is due, of at most `room` characters; none where nothing is worth a line.

    Raises
    ------
    EndpointError, BrokenAnswerError
        As `LanguageModel.generate`.
    """
    cubes = one.material[-_MOST:]
    return _digested(one, cubes, room) if model is None else _abstracted(one, cubes, room, model)


def _digested(one: Due, cubes: Sequence[MemCube], room: int) -> Summed:
    found = pieces(cubes)
    if one.what == "topic":
        name = one.key
        found = [
            piece for piece in found
            if normalised(cubes[piece.cube].about or "") == name
            or f" {name} " in f" {normalised(cubes[piece.cube].text[piece.start : piece.end])} "
        ]  # fmt: skip
    chosen = digest(cubes, found, room, _FRAME)
    if not chosen:
        return Summed(None)
    lines: dict[int, list[Piece]] = {}
    for piece in chosen:
        lines.setdefault(piece.cube, []).append(piece)
    parents = tuple(cubes[place] for place in lines)
    sources = tuple(Source(cubes[piece.cube].id, cubes[piece.cube].version, piece.start, piece.end) for piece in chosen)
    text = "\n".join(
        f"{_head(cubes[place])}{' '.join(cubes[place].text[piece.start : piece.end] for piece in some)}"
        for place, some in lines.items()
    )
    return Summed(_product(one, text, parents, sources, RULES))


def _abstracted(one: Due, cubes: Sequence[MemCube], room: int, model: LanguageModel) -> Summed:
    written = abstract(model, cubes, room)
    if not written.sentences:
        return Summed(None, written.dropped, written.cost)
    places = list(dict.fromkeys(place for sentence in written.sentences for place in sentence.cubes))
    sources = tuple(Source(cubes[place].id, cubes[place].version, 0, len(cubes[place].text)) for place in places)
    text = "\n".join(sentence.text for sentence in written.sentences)
    # The model read them all: what it wrote goes with any of them.
    product = _product(one, text, tuple(cubes[: written.read]), sources, f"consolidated/{model.name}/1")
    return Summed(product, written.dropped, written.cost)


def _product(one: Due, text: str, parents: tuple[MemCube, ...], sources: tuple[Source, ...], method: str) -> Product:
    about = one.title or None
    return Product(one.what, one.key, text, Kind.SUMMARY, one.scope, parents, sources, about, method, one.seen)


def _head(cube: MemCube) -> str:
    """When it was said, and by whom. A label before the words says that "I" is somebody else than the reader."""
    said, author = cube.provenance.observed_at, cube.provenance.author or cube.scope.user
    who = author if author and cube.provenance.role != "document" else cube.about
    day = f"{said.date().isoformat()} " if said else ""
    return f"{day}{' '.join(who.split())[:_FRAME]}: " if who else (f"{day}: " if day else "")
