"""Fitting the gate to a labelled set: which questions gain from the graph, and which have nothing to find."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from remanence.cubes import Hits, Route, Scope
from remanence.errors import InputError, UnreadableFileError
from remanence.recall.gate import DEFAULT, Features, Gate, chance, fit
from remanence.recall.query import Query

if TYPE_CHECKING:
    from remanence.recall.pipeline import Embed, Recall

_DEPTH = 10  # hits in which evidence counts as found
_LEAST = 10  # labelled questions


class Labelled(NamedTuple):
    """A question and the ids of the memories that answer it; none where the memory holds nothing on it."""

    question: str
    gold: frozenset[str]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A gate, and what it is worth on the questions that it was fitted to."""

    gate: Gate
    questions: int
    answerable: int
    recall: Mapping[str, float]
    """Mean recall@10 over answerable questions: always cheap, always graph, as the gate decides, and the better of both each time."""
    withheld: Mapping[str, float]
    """Share of questions that the gate would not look up: of those with nothing to find, and of the others."""


_Row = tuple[Features, float, float, bool]
"""Of a question: its features, recall without and with the graph, and whether there is anything to find."""


def calibrate(
    labelled: Iterable[Labelled | Mapping[str, object]],
    space: str,
    recall: Recall,
    embed: Embed,
    progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Look every question up in a space, both ways, and fit a gate to what each found.

    Raises
    ------
    InputError
        There are fewer than ten questions.
    """
    given = [one if isinstance(one, Labelled) else _from_mapping(one) for one in labelled]
    if len(given) < _LEAST:
        raise InputError(f"There are {len(given)} labelled questions.", f"Label at least {_LEAST}.")
    rows: list[_Row] = []
    for number, one in enumerate(given, 1):
        query = Query(question=one.question, scope=Scope(space=space), k=_DEPTH, now=datetime.now(UTC), explain=False)
        features = recall.features(query, embed)
        cheap, graph = (_found(recall, query, route, embed, one.gold) for route in (Route.CHEAP, Route.GRAPH))
        rows.append((features, cheap, graph, bool(one.gold)))
        if progress:
            progress(number, len(given))
    answerable = [row for row in rows if row[3]]
    gains = [(features, theirs - ours) for features, ours, theirs, _ in answerable if theirs != ours]
    graph = fit(gains) if gains else dict(DEFAULT.graph)  # questions that both ways answer alike teach nothing
    empty = len(answerable) < len(rows)
    nothing = fit([(features, -1.0 if known else 1.0) for features, _, _, known in rows]) if empty else {"bias": -20.0}
    gate = Gate(graph=graph, nothing=nothing)
    return Fitted(gate, len(rows), len(answerable), _worth(answerable, gate), _withheld(rows, gate))


def read_labels(path: Path) -> list[Labelled]:
    """Labelled questions from JSON Lines: {"question": "…", "gold": ["id", …]}.

    Raises
    ------
    UnreadableFileError
        The file cannot be opened, or a line is not of that shape: it is named.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"{path} cannot be read: {error}.", "Pass a file of JSON Lines in UTF-8.") from error
    found: list[Labelled] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
            found.append(_labelled(data["question"], data["gold"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UnreadableFileError(
                f"{path}, line {number} is no labelled question.",
                'Write {"question": "…", "gold": ["id of a memory", …]}.',
            ) from error
    return found


def _from_mapping(row: Mapping[str, object]) -> Labelled:
    try:
        return _labelled(row["question"], row["gold"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{row!r} is no labelled question.", 'Pass {"question": "…", "gold": ["id of a memory", …]}.'
        ) from error


def _labelled(question: object, gold: object) -> Labelled:
    if not isinstance(question, str) or not isinstance(gold, list | tuple | set | frozenset):
        raise TypeError("not of that shape")
    ids = frozenset(cast("Collection[object]", gold))
    if not all(isinstance(one, str) for one in ids):
        raise TypeError("an id is no text")
    return Labelled(question, cast("frozenset[str]", ids))


def dumped(gate: Gate) -> str:
    """The gate as the store's note."""
    return json.dumps(asdict(gate))


def _found(recall: Recall, query: Query, route: Route, embed: Embed, gold: frozenset[str]) -> float:
    hits: Hits = recall(replace(query, route=route), embed)
    return len({hit.cube.id for hit in hits} & gold) / len(gold) if gold else 0.0


def _worth(rows: list[_Row], gate: Gate) -> dict[str, float]:
    count = max(len(rows), 1)
    return {
        "cheap": sum(row[1] for row in rows) / count,
        "graph": sum(row[2] for row in rows) / count,
        "gate": sum(row[2] if chance(row[0], gate.graph) > 0.5 else row[1] for row in rows) / count,
        "best": sum(max(row[1], row[2]) for row in rows) / count,
    }


def _withheld(rows: list[_Row], gate: Gate) -> dict[str, float]:
    shares: dict[str, float] = {}
    for name, known in (("nothing to find", False), ("answerable", True)):
        some = [row for row in rows if row[3] is known]
        shares[name] = sum(chance(row[0], gate.nothing) > 0.5 for row in some) / len(some) if some else 0.0
    return shares
