"""What consolidation makes: a text with the places that it comes from, and the cube that holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast

from remanence.consolidate.merge import METHOD as MERGED
from remanence.consolidate.merge import PREFIX, fullest
from remanence.cubes import Kind, MemCube, Provenance, Scope, State, posix
from remanence.policies import Policy, Trust

META = "consolidation"
"""The name in `MemCube.meta` under which a product says what it is made of."""
RULES = "consolidated/rules/1"
_TRUST = (Trust.UNKNOWN, Trust.WEB, Trust.MODEL, Trust.TOOL, Trust.USER)  # from the lowest
_OUT = frozenset({Kind.SUMMARY, Kind.PROFILE, Kind.QA, Kind.PROCEDURE})


@dataclass(frozen=True, slots=True)
class Source:
    """A stretch of a memory that a product rests on."""

    id: str
    version: int
    start: int
    end: int
    """Characters [start, end) of that version's text."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in `meta`."""
        return {"id": self.id, "version": self.version, "start": self.start, "end": self.end}


@dataclass(frozen=True, slots=True)
class Product:
    """What is to be made of some memories, before it has an id."""

    what: str
    """merge, chain, session, topic or profile."""
    key: str
    """Which of its kind, within its scope: a session, a slot, a name."""
    text: str
    kind: Kind
    scope: Scope
    parents: tuple[MemCube, ...]
    """The memories whose text or claims are in it."""
    sources: tuple[Source, ...]
    about: str | None = None
    method: str = RULES
    seen: int = 0
    """Of how many memories it was chosen: with more of them it grows out of date."""
    extra: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def place(self) -> tuple[str, str | None, str | None, str]:
        """What there is one product for, within a space."""
        return self.what, self.scope.user, self.scope.agent, self.key

    @property
    def versions(self) -> frozenset[tuple[str, int]]:
        """What it is made of, by id and version."""
        return frozenset((parent.id, parent.version) for parent in self.parents)


def suits(cube: MemCube) -> bool:
    """Whether a memory may go into chains, summaries and profiles.

    It has to be current, first-hand (or merged of such), and for everybody: what carries a label or an access list stays out,
    so that nothing made of it can be read by somebody who may not read it. So do standing instructions, pairs, and what
    another space shares.
    """
    origin, policy = cube.provenance, cube.policy
    if cube.superseded_at is not None or cube.state not in {State.ACTIVE, State.FROZEN} or cube.kind in _OUT:
        return False
    if origin.derived_from and not origin.method.startswith(PREFIX):
        return False
    return policy.sensitivity is None and not policy.access and policy.trigger is None


def is_product(cube: MemCube) -> bool:
    """Whether consolidation made it; also after somebody corrected it."""
    return bool(cube.provenance.derived_from) and bool(noted(cube).get("what"))


def place_of(cube: MemCube) -> tuple[str, str | None, str | None, str]:
    """`Product.place` of a product that is stored."""
    said = noted(cube)
    return str(said.get("what")), cube.scope.user, cube.scope.agent, str(said.get("key"))


def versions_of(cube: MemCube) -> frozenset[tuple[str, int]]:
    """`Product.versions` of a product that is stored."""
    return frozenset((str(one["id"]), int(one["version"])) for one in noted(cube).get("parents", ()))


def noted(cube: MemCube) -> dict[str, Any]:
    """What a product says of itself; empty where a caller's own `meta` stands in that place."""
    said = cube.meta.get(META)
    return cast("dict[str, Any]", said) if isinstance(said, dict) else {}


def lowest(parents: Sequence[MemCube]) -> Trust:
    """The tier of the least trusted."""
    return min((parent.trust for parent in parents), key=_TRUST.index)


def merged(parents: Sequence[MemCube]) -> Product:
    """One memory in place of several that say the same: the fullest text, every label and right the strictest."""
    text = fullest(parents)
    earliest = min(parents, key=lambda cube: (posix(cube.valid_from), cube.id))
    session = text.scope.session if len({cube.scope.session for cube in parents}) == 1 else None
    return Product(
        "merge", earliest.id, text.text, text.kind, replace(text.scope, session=session), tuple(parents),
        tuple(Source(cube.id, cube.version, 0, len(cube.text)) for cube in parents), text.about, MERGED, len(parents),
        {key: value for key, value in text.meta.items() if key != META},
    )  # fmt: skip


def cube_of(product: Product, cube_id: str, now: datetime) -> MemCube:
    """The cube that holds a product: with the interval of its parents, the lowest trust, the strictest label and rights.

    Everything observed counts from the earliest parent; an open end stays open.
    """
    parents = product.parents
    ends = [parent.valid_to for parent in parents]
    closed = [end for end in ends if end is not None]
    until = max(closed, key=posix) if len(closed) == len(ends) else None
    origin = _origin(product)
    said: dict[str, Any] = {
        "what": product.what, "key": product.key, "seen": product.seen,
        "sources": [source.to_json() for source in product.sources],
        "parents": [{"id": parent.id, "version": parent.version} for parent in parents],
    }  # fmt: skip
    if product.what == "session":
        said["session"] = product.key
    return MemCube(
        id=cube_id, version=1, text=product.text, kind=product.kind, scope=product.scope, provenance=origin, about=product.about,
        recorded_at=now, valid_from=min((parent.valid_from for parent in parents), key=posix),
        valid_to=until, given_to=until,
        policy=policy_of(parents), meta={**product.extra, META: said},
    )  # fmt: skip


def policy_of(parents: Sequence[MemCube]) -> Policy:
    """The strictest of some policies: the label that any has, the rights that all give, the first to expire, the lowest trust.

    `suits` and `merge` see to it that labels and rights do not differ. A half-life and a trigger belong to one memory alone.
    """
    policies = [parent.policy for parent in parents]
    labels = sorted({policy.sensitivity for policy in policies if policy.sensitivity is not None})
    lists = [set(policy.access) for policy in policies if policy.access]
    expiries = [policy.expires_at for policy in policies if policy.expires_at is not None]
    return Policy(
        trust=lowest(parents),
        sensitivity=labels[0] if labels else None,
        access=tuple(sorted(set.intersection(*lists))) if lists else (),
        expires_at=min(expiries, default=None),
        priority=max(policy.priority for policy in policies),
    )


def stricter(one: Policy, other: Policy) -> tuple[str | None, tuple[str, ...]] | None:
    """The label and the access list that both of two policies ask for; None where no memory can bear both."""
    labels = {one.sensitivity, other.sensitivity} - {None}
    if len(labels) > 1:
        return None
    if not (one.access and other.access):
        return one.sensitivity or other.sensitivity, one.access or other.access
    both = tuple(sorted({*one.access} & {*other.access}))
    return (one.sensitivity or other.sensitivity, both) if both else None


def _origin(product: Product) -> Provenance:
    parents = product.parents
    ids = tuple(parent.id for parent in parents)
    if product.what != "merge":
        return Provenance(source="consolidation", role="system", method=product.method, derived_from=ids)
    text = fullest(parents).provenance
    times = [parent.provenance.observed_at for parent in parents if parent.provenance.observed_at is not None]
    return replace(text, method=product.method, derived_from=ids, observed_at=min(times, key=posix, default=None))
