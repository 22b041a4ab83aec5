"""Copies of memories in other spaces, kept as the shares say: made, followed, taken away.

A copy is a derived cube of the target space, made of its original: no query ever crosses spaces, and what is forgotten,
corrected or put away in the source ends in the target by lineage. Copies carry the labels of their originals.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from remanence.cubes import Kind, MemCube, State
from remanence.drafts import Draft
from remanence.errors import FrozenError, UnknownCubeError
from remanence.governance.access import joined
from remanence.policies import Policy
from remanence.store.parts import Transition
from remanence.store.rows import shared as shared_copy
from remanence.store.shares import METHOD, Original, Shared
from remanence.write.pipeline import new_id

if TYPE_CHECKING:
    from remanence.store.protocol import Store

_BY = "share"


@dataclass(frozen=True, slots=True)
class Synced:
    """What came of bringing shares up to date."""

    made: int = 0
    """Copies that are new."""
    governed: int = 0
    """Copies whose policy followed their original's."""
    ended: int = 0
    """Copies that no share covers any more."""

    def __add__(self, other: Synced) -> Synced:
        return Synced(self.made + other.made, self.governed + other.governed, self.ended + other.ended)


def sync(store: Store) -> Synced:
    """Bring all shares up to date with what changed in their sources since the last time; next to nothing where nothing did."""
    shares = store.grants.shares
    if not shares.any():
        return Synced()
    known = shares.listed()
    done = Synced()
    for shared in known:
        head, ids = shares.changed(shared)
        if ids:
            done += _follow(store, shared, [one for one in known if _beside(one, shared)], ids)
            shares.reached(shared, head)
    return done


def govern(store: Store, cube: MemCube, policy: Policy) -> MemCube:
    """Give a memory another policy. What was made from it, copies in other spaces included, follows.

    Its label, its access list and its trust go on to all that was made from it, in the same transaction. A label of its own that
    something made from it was given stays with it. What a merge speaks for becomes no easier to see than the merge.

    Raises
    ------
    FrozenError
        The memory, or something that was made from it, is frozen. Nothing was changed.
    InputError
        It is a copy that a share put into its space: its original has to be governed.
    """
    if cube.provenance.method == METHOD:
        raise shared_copy(cube.id)
    wanted = {cube.id: policy}
    if _told(policy) != _told(cube.policy):
        wanted |= _behind(store, cube, policy)
        wanted |= _following(store, wanted)
    store.lifecycle.govern_all(wanted)  # together: nobody reads what was made of it in between
    sync(store)
    return store.get(cube.id)


def _told(policy: Policy) -> tuple[object, ...]:
    """What of a policy goes on to what is made from its memory."""
    return policy.sensitivity, policy.access, policy.trust


def _behind(store: Store, product: MemCube, policy: Policy) -> dict[str, Policy]:
    """The policies of the memories that a merged one speaks for: as strict as it is, so that undoing the merge shows nothing."""
    if not product.provenance.method.startswith("merged/"):
        return {}
    parents = [there for one in product.provenance.derived_from if (there := _there(store, one)) is not None]
    found: dict[str, Policy] = {}
    for parent in parents:
        if parent.state is not State.MERGED:
            continue
        same = (parent.policy.sensitivity, parent.policy.access) == (product.policy.sensitivity, product.policy.access)
        sensitivity, access = joined([policy] if same else [parent.policy, policy])
        found[parent.id] = replace(parent.policy, sensitivity=sensitivity, access=access)
        found |= _behind(store, parent, found[parent.id])
    return found


def _following(store: Store, given: Mapping[str, Policy]) -> dict[str, Policy]:
    """The policies of everything that was made from memories, in any space, once those have these ones."""
    found: dict[str, Policy] = {}
    waiting = store.derived.children([*given])
    for child in waiting:  # grows while it is walked
        one = _there(store, child)
        if one is None or one.id in given:
            continue
        parents = [there for parent in one.provenance.derived_from if (there := _there(store, parent)) is not None]
        if one.state is State.FROZEN:
            raise FrozenError(f"The memory {one.id}, made from {min(given)}, is frozen.", "Unfreeze it first.")
        known = {**given, **found}
        own = _inherited(one, parents, [replace(one, policy=known.get(one.id, one.policy)) for one in parents])
        if found.get(one.id) != own:
            found[one.id] = own
            waiting += store.derived.children([child])
    return found


def _inherited(cube: MemCube, before: Sequence[MemCube], after: Sequence[MemCube]) -> Policy:
    """The policy of what was made from others, when theirs change; what it was given itself, beyond theirs, stays."""
    policies = [one.policy for one in after]
    if (cube.policy.sensitivity, cube.policy.access) != joined(one.policy for one in before):
        policies.append(cube.policy)
    sensitivity, access = joined(policies)
    from remanence.consolidate.product import lowest  # it loads numpy, which the command line can do without

    was, now = lowest(before or [cube]), lowest(after or [cube])
    trust = cube.policy.trust if was is now else now if cube.trust is was else lowest([cube, *after])
    return replace(cube.policy, sensitivity=sensitivity, access=access, trust=trust)


def _there(store: Store, cube_id: str) -> MemCube | None:
    """A memory, unless it was forgotten meanwhile or never imported."""
    try:
        return store.get(cube_id)
    except UnknownCubeError:
        return None


def covers(shared: Shared, cube: MemCube) -> bool:
    """Whether a share shows a memory of its source."""
    if shared.cube is not None:
        return cube.id == shared.cube
    own = cube.provenance.method
    if cube.provenance.derived_from and not own.startswith("merged/"):  # pairs and summaries: the target makes its own
        return False
    view = shared.view or {}
    kinds = view.get("kinds")
    return (kinds is None or cube.kind in {Kind(kind) for kind in kinds}) and all(
        view.get(name) in {None, value}
        for name, value in (
            ("user", cube.scope.user), ("agent", cube.scope.agent), ("session", cube.scope.session),
            ("source", cube.provenance.source),
        )
    )  # fmt: skip


def end(store: Store, shared: Shared) -> list[str]:
    """Erase the copies of a share that is no more, unless another share covers their originals. Returns their ids."""
    others = [one for one in store.grants.shares.listed() if _beside(one, shared) and one.id != shared.id]
    ids = store.grants.shares.all_copies(shared.source, shared.target)
    originals = {one.cube.id: one.cube for one in store.grants.shares.originals(shared.source, ids)}
    copies = store.grants.shares.copies(shared.target, ids)
    gone = [
        copy.id
        for original, some in copies.items()
        for copy in some
        if not (original in originals and any(covers(one, originals[original]) for one in others))
    ]
    if gone:
        store.erase(gone, shared.target)
        store.scrub()
    return gone


def _beside(one: Shared, other: Shared) -> bool:
    return (one.source, one.target) == (other.source, other.target)


def _follow(store: Store, shared: Shared, beside: Sequence[Shared], ids: Sequence[str]) -> Synced:
    """Make what is missing of some originals, and end what is too much."""
    originals = {one.cube.id: one for one in store.grants.shares.originals(shared.source, ids)}
    copies = store.grants.shares.copies(shared.target, ids)
    missing: list[tuple[Original, int]] = []
    surplus: list[MemCube] = []
    governed = 0
    for one in ids:
        original, all_ = originals.get(one), copies.get(one, [])
        current = [copy for copy in all_ if copy.superseded_at is None]
        if original is None or not any(covers(other, original.cube) for other in beside):
            surplus += current
            continue
        same = [copy for copy in current if _shows(copy, original.cube)]
        surplus += [copy for copy in current if copy not in same[:1]]
        if not same and covers(shared, original.cube):
            missing.append((original, len(all_)))
        elif same and same[0].policy != _policy_of(original.cube):
            store.lifecycle.govern(same[0].id, _policy_of(original.cube), shared.target)
            governed += 1
    hits = store.tombstones.hits(shared.target, [original.cube.text for original, _ in missing])
    missing = [one for one, hit in zip(missing, hits, strict=True) if hit is None]  # the target forgot the others
    drafts = [_copy(store, original, shared.target, earlier) for original, earlier in missing]
    made = store.append(drafts) if drafts else []
    store.lifecycle.change([Transition(one.id, State.ARCHIVED, "not shared any more", _BY) for one in surplus])
    return Synced(len(made), governed, len(surplus))


def _shows(copy: MemCube, original: MemCube) -> bool:
    """Whether a copy says what its original says now."""
    return (copy.text, copy.kind, copy.valid_from, copy.given_to, copy.about, copy.meta) == (
        original.text, original.kind, original.valid_from, original.given_to, original.about, original.meta
    )  # fmt: skip


def _policy_of(original: MemCube) -> Policy:
    """The policy that a copy has: its original's, with the trust that the original has by its role and source."""
    return replace(original.policy, trust=original.trust)


def _copy(store: Store, original: Original, target: str, earlier: int) -> Draft:
    cube = original.cube
    origin = replace(cube.provenance, method=METHOD, derived_from=(cube.id,))
    copy = replace(
        cube, id=new_id(), version=1, scope=replace(cube.scope, space=target), provenance=origin,
        recorded_at=store.clock(), valid_to=cube.given_to, policy=_policy_of(cube), state=State.ACTIVE,
    )  # fmt: skip
    # Two processes that follow at once make one copy: the second finds the mark of the first.
    content = f"shared\0{target}\0{cube.id}\0{cube.version}\0{earlier}".encode()
    mark = hashlib.blake2b(content, key=store.secret(), digest_size=16).digest()
    return Draft(copy, original.keys, mark, ((cube.id, cube.version),))
