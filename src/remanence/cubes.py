"""The shared nouns. Every room speaks in these, and they are frozen: change makes a new version, never an edit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from remanence.kinds import Form, Kind, Payload, State
from remanence.policies import Policy, Trust, trust_of

DEFAULT_SPACE = "default"
ROLES = frozenset({"user", "assistant", "system", "tool", "document"})
"""Who may speak where no name is given; none of these counts as a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose memory it is. `space` is the tenant and the isolation boundary; the others are filters inside it."""

    space: str = DEFAULT_SPACE
    user: str | None = None
    agent: str | None = None
    session: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a cube comes from."""

    source: str = "api"
    """`api`, `file:<path>`, `import`, or whatever the caller names."""
    author: str | None = None
    """Who said or wrote it: the speaker of a message."""
    role: str = "user"
    """user, assistant, system, tool or document."""
    observed_at: datetime | None = None
    """When it was said or written. A time without a zone is read as UTC where it has to be compared."""
    method: str = "raw"
    """`raw`: the text as it came. `corrected`: a caller's correction. Else who made it out of other cubes: a model, rules."""
    derived_from: tuple[str, ...] = ()
    """Ids of the memories that it was made from. It is retired when one of them is corrected, and forgotten with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemCube:
    """One governed memory. `id` names the memory and stays; `version` counts its corrections from 1."""

    id: str
    version: int
    text: str
    kind: Kind
    scope: Scope
    provenance: Provenance
    recorded_at: datetime
    """When the store learned this version (UTC)."""
    valid_from: datetime
    """From when on this version holds in the world: when it was said, or corrected."""
    valid_to: datetime | None = None
    """Until when it held: given, or set when a correction takes over."""
    superseded_at: datetime | None = None
    """When the store learned that it no longer holds (UTC)."""
    state: State = State.ACTIVE
    form: Form = Form.TEXT
    about: str | None = None
    """The entity that the text is about: a document's title, a record's subject."""
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The caller's own data, kept as it came."""
    given_to: datetime | None = None
    """Until when it holds as it was told when it was written; a correction may end `valid_to` earlier."""
    hidden: bool = False
    """Put away or held: neither recall nor `as_of` shows it. A version that a correction replaced is not hidden."""
    policy: Policy = field(default_factory=Policy)
    """How it is governed; the only part of the header, with `state` and the ends, that changes without a new version."""
    payload: Payload | None = None
    """The file of a cache or an adapter; None for text."""

    @property
    def trust(self) -> Trust:
        """How far it is to be believed."""
        return self.policy.trust or trust_of(self.provenance.role, self.provenance.source)

    def to_json(self) -> dict[str, Any]:
        """Every field as JSON types, in a fixed order: the line of an export and the answer of `--json`."""
        scope, origin = self.scope, self.provenance
        return {
            "id": self.id, "version": self.version, "form": self.form.value, "kind": self.kind.value,
            "state": self.state.value, "text": self.text, "about": self.about,
            "space": scope.space, "user": scope.user, "agent": scope.agent, "session": scope.session,
            "source": origin.source, "author": origin.author, "role": origin.role, "method": origin.method,
            "observed_at": _iso(origin.observed_at), "recorded_at": _iso(self.recorded_at),
            "valid_from": _iso(self.valid_from), "valid_to": _iso(self.valid_to),
            "superseded_at": _iso(self.superseded_at), "meta": dict(self.meta), "derived_from": list(origin.derived_from),
            "given_to": _iso(self.given_to), "hidden": self.hidden, "policy": self.policy.to_json(),
            "payload": None if self.payload is None else self.payload.to_json(),
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MemCube:
        """The inverse of `to_json`.

        Raises
        ------
        KeyError, ValueError, TypeError
            A field is missing or malformed; the caller says which file or row it came from.
        """
        return cls(
            id=str(data["id"]), version=int(data["version"]), text=str(data["text"]), kind=Kind(data["kind"]),
            scope=Scope(space=data["space"], user=data["user"], agent=data["agent"], session=data["session"]),
            provenance=Provenance(
                source=data["source"], author=data["author"], role=data["role"],
                observed_at=_moment(data["observed_at"]), method=data["method"],
                derived_from=tuple(data.get("derived_from", ())),
            ),
            recorded_at=datetime.fromisoformat(data["recorded_at"]),
            valid_from=datetime.fromisoformat(data["valid_from"]), valid_to=_moment(data["valid_to"]),
            superseded_at=_moment(data["superseded_at"]), state=State(data["state"]), form=Form(data["form"]),
            about=data["about"], meta=dict(data["meta"]), given_to=_moment(data.get("given_to")),
            hidden=bool(data.get("hidden", False)),
            policy=Policy.from_json(data.get("policy", {})),
            payload=None if data.get("payload") is None else Payload.from_json(data["payload"]),
        )  # fmt: skip

    def sealed_bytes(self) -> bytes:
        """The canonical bytes of what never changes in a version: what the journal commits to.

        `state`, `hidden`, `valid_to`, `superseded_at` and `policy` are left out: they change, and the journal records the changes.
        So are an empty `derived_from`, an open `given_to` and a missing `payload`, which earlier formats did not have.
        """
        data = self.to_json()
        for name in ("state", "valid_to", "superseded_at", "hidden", "policy"):
            del data[name]
        for name in ("derived_from", "given_to", "payload"):
            if not data[name]:
                del data[name]
        return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Reason:
    """One channel's part in a hit."""

    channel: str
    rank: int | None
    """1 is the best of all candidates; None where the channel does not rank (a prior)."""
    value: float
    """The channel's own score: BM25, a dot product, days of distance …"""
    contribution: float
    """What it added to the hit's score."""
    words: str

    def __str__(self) -> str:
        """Words first, then numbers."""
        rank = "" if self.rank is None else f", rank {self.rank}"
        return f"{self.words}{rank} ({self.contribution:+.2f})"


@dataclass(frozen=True, slots=True)
class Why:
    """Why a cube was recalled: one reason for each channel that spoke, strongest first."""

    reasons: tuple[Reason, ...] = ()
    routed: Routed | None = None
    """How the question was looked up: the same for all hits of a call."""

    def __str__(self) -> str:
        """One line for people."""
        return "; ".join(map(str, self.reasons)) or "not explained"


@dataclass(frozen=True, slots=True)
class Hit:
    """A recalled cube. Scores compare within one call only."""

    cube: MemCube
    score: float
    why: Why = field(default_factory=Why)


class Route(StrEnum):
    """How a question was looked up."""

    NONE = "none"
    """Not at all."""
    CHEAP = "cheap"
    """By words, meaning and priors."""
    GRAPH = "graph"
    """That, and a walk over the graph that orders the documents."""


@dataclass(frozen=True, slots=True)
class Routed:
    """What the gate decided, and why."""

    route: Route
    reason: str
    measures: Mapping[str, float] = field(default_factory=dict[str, float])
    """What it went by; see `recall.gate.Features`."""

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.route}: {self.reason}"


class Hits(list[Hit]):
    """The hits of one recall, best first; how they were looked up; and `notes` on what the call could not do.

    `withheld` counts memories in scope that the caller may not see; `standing` are the instructions that the question brought up.
    """

    def __init__(
        self, hits: list[Hit] | None = None, notes: tuple[str, ...] = (), routed: Routed | None = None, *,
        withheld: int = 0, standing: tuple[MemCube, ...] = (),
    ) -> None:  # fmt: skip
        super().__init__(hits or [])
        self.notes, self.routed, self.withheld, self.standing = notes, routed, withheld, standing


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement about the world as subject, relation and value: an edge of the graph, a filling of a slot."""

    subject: str
    relation: str
    value: str


@dataclass(frozen=True, slots=True)
class Extraction:
    """What a model, or a cached one, read out of one version of a cube. Extra keys to it, never a replacement."""

    entities: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    statements: tuple[str, ...] = ()
    """Sentences that stand by themselves, such as LoCoMo's observations."""
    about: str | None = None
    """The entity that the text is about, where the cube has no title."""

    def to_json(self) -> dict[str, Any]:
        """As JSON types; facts as lists of three."""
        facts = [[fact.subject, fact.relation, fact.value] for fact in self.facts]
        return {
            "entities": list(self.entities), "facts": facts, "statements": list(self.statements), "about": self.about,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Extraction:
        """The inverse of `to_json`; KeyError, ValueError or TypeError where it is malformed."""
        about = data["about"]
        return cls(
            entities=tuple(map(str, data["entities"])), facts=tuple(Fact(*map(str, fact)) for fact in data["facts"]),
            statements=tuple(map(str, data["statements"])), about=None if about is None else str(about),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cost:
    """What language-model calls took. Costs add up."""

    calls: int = 0
    """Requests that reached a model; answers from the cache are not among them."""
    cached: int = 0
    """Answers that came from the store's cache instead."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    """Waiting for models, calls side by side counted each."""
    price: float = 0.0
    """By the prices of the settings; 0 where none are given."""

    def __add__(self, other: Cost) -> Cost:
        """The sum, field by field."""
        return Cost(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Citation:
    """What a sentence of an answer rests on: a stretch of a cube's text."""

    cube_id: str
    version: int
    sentence: int
    """Number of the answer's sentence, from 0."""
    start: int
    end: int
    """Where the stretch lies in the cube's text, in characters, `end` excluded."""
    quote: str
    """`text[start:end]` of that version."""
    support: float
    """How well it carries the sentence, 0 to 1."""


@dataclass(frozen=True, slots=True)
class FormUsed:
    """In which form memories entered an answer."""

    form: Form
    how: str
    """`text`; of caches `prefix` (exact) or `composed` (approximate); of weights `routed`."""
    memories: tuple[str, ...]
    """Ids of the memories that it stands for."""
    id: str | None = None
    """Of the cache or adapter; None for text."""
    exact: bool = True
    """Whether the model computed what it would have from the text."""
    saved: float = 0.0
    """Seconds that it spared, as measured where it was made."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its citations, or an abstention."""

    text: str
    """Empty when abstained."""
    citations: tuple[Citation, ...] = ()
    confidence: float = 0.0
    """0 to 1. Below the threshold of the profile the answerer abstains."""
    abstained: bool = False
    used: tuple[Hit, ...] = ()
    """The memories that the answerer read, in the order it read them."""
    cost: Cost = field(default_factory=Cost)
    removed: int = 0
    """Citations of the model that did not support their sentence, and were taken out."""
    method: str = "extractive"
    """extractive, plain, sure or local."""
    notes: tuple[str, ...] = ()
    standing: tuple[MemCube, ...] = ()
    """Standing instructions that the question brought up."""
    forms: tuple[FormUsed, ...] = ()
    """The forms that a language model on this machine answered from; empty for other methods."""


class Ids(list[str]):
    """The ids of what was added, in order; how many of them are `new`; what was `skipped`, and why; why some are `held`."""

    def __init__(self, ids: Iterable[str] = (), new: int = 0) -> None:
        super().__init__(ids)
        self.new = new
        self.skipped: tuple[str, ...] = ()
        self.held: dict[str, str] = {}


class Page(list[MemCube]):
    """Some cubes, oldest first, and the cursor that `list(after=…)` goes on from; None at the end."""

    def __init__(self, cubes: list[MemCube], cursor: str | None) -> None:
        super().__init__(cubes)
        self.cursor = cursor
        self.withheld = 0
        """How many memories among them the caller may not see."""


def posix(moment: datetime) -> float:
    """POSIX seconds of a moment; without a zone it is read as UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
