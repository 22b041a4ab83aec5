"""`memory.access`: principals, grants, the access log, labels, and shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from remanence.arguments import count, identity, kind_set, optional_space
from remanence.cubes import DEFAULT_SPACE, Kind, MemCube
from remanence.errors import InputError, UnknownCubeError
from remanence.governance.access import Gate, Operation, Role, principal_name
from remanence.policies import Policy
from remanence.rooms import Rooms
from remanence.sharing import Synced, end, govern, sync
from remanence.store.grants import EVERYWHERE, Granted, Log, moment
from remanence.store.rows import shared as shared_copy
from remanence.store.shares import METHOD, Shared
from remanence.write.messages import moment as when
from remanence.write.messages import name
from remanence.write.pipeline import new_id

if TYPE_CHECKING:
    from remanence.store.protocol import Store

_MOST_LINES = 10_000


class Access:
    """Who may do what with which space, and what was asked for."""

    def __init__(self, rooms: Rooms, gate: Gate) -> None:
        self._rooms, self._gate = rooms, gate

    # ── grants ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def grant(self, principal: str, role: Role | str, *, space: str, labels: Sequence[str] = ()) -> Granted:
        """Give a principal a role in a space, in place of the one held there; "*" is every space, also those to come.

        `labels` are the sensitivity labels that a reader or a writer may see beside what has none; an owner sees all. A
        space need not exist yet.

        Raises
        ------
        AccessDeniedError
            Only an owner of the space can grant, and only an owner of "*" can grant "*".
        InputError
            A name is empty, the role is none, or the principal is called "owner", as the owner of the file is.
        """
        where = _space(space)
        self._gate.check(Operation.GRANT, _scope(where))
        granted = Granted(
            where,
            principal_name(principal),
            _role(role).value,
            _labels(labels),
            moment(self._store.clock()),
            self._gate.name,
        )
        self._store.grants.grant(granted)
        return granted

    def revoke(self, principal: str, *, space: str) -> bool:
        """Take back what a principal holds in a space, at once and for every process. False if that is nothing."""
        where = _space(space)
        self._gate.check(Operation.GRANT, _scope(where))
        return self._store.grants.revoke(principal_name(principal), where) is not None

    def grants(self, *, space: str | None = None, principal: str | None = None) -> Sequence[Granted]:
        """The grants of a space, of a principal, or all: those that the caller may list, as owner or auditor of their space."""
        where, who = optional_space(space), None if principal is None else principal_name(principal)
        if where is not None:
            self._gate.check(Operation.LOG, _scope(where))
        found = self._store.grants.listed(where, who)
        if where is not None:
            return found
        mine = {*self._gate.among(Operation.LOG, dict.fromkeys(one.space for one in found if one.space != EVERYWHERE))}
        return [one for one in found if one.space in mine or self._gate.allows(Operation.LOG, None)]

    def log(
        self, *, since: datetime | str | None = None, until: datetime | str | None = None, principal: str | None = None,
        operation: Operation | str | None = None, cube: str | MemCube | None = None, space: str | None = None,
        allowed: bool | None = None, limit: int = 100, after: str | None = None,
    ) -> Log:  # fmt: skip
        """Lines of the access log, oldest first; `after` takes the `cursor` of the page before.

        Tries that were refused are in it too. An auditor of one space names it; without `space` the whole log is read, which
        takes a grant on "*". `cube` finds the lines that returned or touched a memory; `until` is excluded.

        Raises
        ------
        AccessDeniedError
            The caller is neither owner nor auditor there.
        """
        where = optional_space(space)
        given = {
            "since": None if since is None else _moment(since, "since"), "until": None if until is None else _moment(until, "until"),
            "principal": name(principal, "principal"), "operation": _operation(operation), "space": where,
            "cube": None if cube is None else identity(cube), "allowed": allowed,
        }  # fmt: skip
        most = count(limit, "limit", _MOST_LINES)
        if after is not None and not isinstance(after, str):
            raise InputError(f"after is {after!r}.", "Pass the `cursor` of the page before, or None.")
        self._gate.check(Operation.LOG, _scope(where))
        filters = {key: value for key, value in given.items() if value is not None}
        return self._store.grants.log(filters, most, after)

    # ── what is withheld ─────────────────────────────────────────────────────────────────────────────────────────────

    def label(self, cube_id: str | MemCube, sensitivity: str | None, *, space: str | None = None) -> MemCube:
        """Put a sensitivity label on a memory, or take it off with None; what was made from it and its shared copies follow.

        Raises
        ------
        UnknownCubeError, AccessDeniedError
            There is no such memory, or the caller does not own its space.
        InputError
            It is a shared copy: its original has to be labelled.
        """
        checked = name(sensitivity, "sensitivity")
        return self._govern(cube_id, space, lambda policy: replace(policy, sensitivity=checked))

    def restrict(self, cube_id: str | MemCube, principals: Sequence[str], *, space: str | None = None) -> MemCube:
        """Let only these principals see a memory, beside the owners of its space; an empty list lifts that. Errors as `label`."""
        some = [principals] if isinstance(principals, str) else list(principals)
        allowed = tuple(dict.fromkeys(principal_name(one) for one in some))
        return self._govern(cube_id, space, lambda policy: replace(policy, access=allowed))

    def _govern(self, cube_id: str | MemCube, space: str | None, change: Callable[[Policy], Policy]) -> MemCube:
        where, _ = self._gate.locate(Operation.GOVERN, identity(cube_id), optional_space(space))
        cube = self._store.get(identity(cube_id), where)
        return govern(self._store, cube, change(cube.policy))

    # ── sharing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def share(
        self, cube_id: str | MemCube | None = None, *, to: str, space: str | None = None, user: str | None = None,
        agent: str | None = None, session: str | None = None, source: str | None = None,
        kinds: Sequence[Kind | str] | None = None,
    ) -> Shared:  # fmt: skip
        """Show one memory, or all of `space` that pass the filters, in the space `to`: as copies that nobody can correct there.

        A view goes on: what is written to it later follows, what is corrected is replaced, and what is put away or forgotten
        goes in `to` as well. Labels and access lists travel with the copies. Earlier versions are not shared. Copies are not
        shared onward, nor are question-answer pairs and summaries: the target makes its own.

        Raises
        ------
        AccessDeniedError
            The caller has to own the source and to be at least a writer of the target.
        InputError
            The target is the source, or the memory is a copy itself.
        """
        target = _space(to)
        if cube_id is None:
            origin, view = optional_space(space) or DEFAULT_SPACE, self._view(user, agent, session, source, kinds)
            self._gate.check(Operation.SHARE, origin)
            self._rooms.has_space(origin)
        else:
            where, _ = self._gate.locate(Operation.SHARE, identity(cube_id), optional_space(space))
            cube = self._store.get(identity(cube_id), where)
            if cube.provenance.method == METHOD:
                raise shared_copy(cube.id)
            origin, view = cube.scope.space, None
        if target == origin:
            raise InputError(f"{target!r} is the space that is shared.", "Name another space.")
        self._gate.check(Operation.ADD, target)
        shared = Shared(
            new_id(),
            origin,
            target,
            None if cube_id is None else identity(cube_id),
            view,
            moment(self._store.clock()),
            self._gate.name,
        )
        self._store.grants.shares.add(shared)
        sync(self._store)
        return shared

    def unshare(self, share_id: str) -> list[str]:
        """End a share and erase its copies; the owner of either space can. Returns the ids of the copies.

        Raises
        ------
        UnknownCubeError
            There is no such share, or the caller owns neither space.
        """
        known = next((one for one in self._store.grants.shares.listed() if one.id == share_id), None)
        mine = [] if known is None else self._owned(known)
        if known is None or not mine:
            self._gate.refused(Operation.SHARE)
            raise UnknownCubeError(
                f"There is no share {share_id!r}.", "List them: remanence access shares, or memory.access.shares()."
            )
        self._gate.check(Operation.SHARE, mine[0])
        self._store.grants.shares.drop(share_id)
        return end(self._store, known)

    def shares(self, *, space: str | None = None) -> Sequence[Shared]:
        """The shares from or to a space, or all: those of spaces that the caller owns."""
        where = optional_space(space)
        found = [one for one in self._store.grants.shares.listed() if where in {None, one.source, one.target}]
        mine = {
            *self._gate.among(Operation.SHARE, {one: None for share in found for one in (share.source, share.target)})
        }
        return [one for one in found if {one.source, one.target} & mine]

    def _owned(self, shared: Shared) -> list[str]:
        """Those of its two spaces that the caller owns."""
        return [space for space in (shared.source, shared.target) if self._gate.allows(Operation.SHARE, space)]

    def sync(self) -> Synced:
        """Bring all shares up to date. Writes do so by themselves; this is for the maintenance job, after another process wrote."""
        self._gate.check(Operation.MAINTAIN, None)
        return sync(self._store)

    def _view(
        self, user: str | None, agent: str | None, session: str | None, source: str | None, kinds: Sequence[Kind | str] | None
    ) -> dict[str, Any]:  # fmt: skip
        chosen = kind_set(kinds)
        given = {
            "user": name(user, "user"), "agent": name(agent, "agent"), "session": name(session, "session"),
            "source": name(source, "source"), "kinds": None if chosen is None else sorted(kind.value for kind in chosen),
        }  # fmt: skip
        return {key: value for key, value in given.items() if value is not None}

    @property
    def _store(self) -> Store:
        return self._rooms.store


def _space(given: object) -> str:
    checked = optional_space(given)
    if not checked:
        raise InputError("There is no space.", 'Name one; "*" is every space.')
    return checked


def _scope(space: str | None) -> str | None:
    """What the gate is asked about: "*" is the whole store."""
    return None if space == EVERYWHERE else space


def _role(given: object) -> Role:
    try:
        return Role(str(given))
    except ValueError:
        raise InputError(f"{given!r} is not a role.", f"Use one of: {', '.join(Role)}.") from None


def _operation(given: object) -> str | None:
    try:
        return None if given is None else Operation(str(given)).value
    except ValueError:
        raise InputError(f"{given!r} is not an operation.", f"Use one of: {', '.join(Operation)}.") from None


def _labels(given: Sequence[str]) -> tuple[str, ...]:
    some = [given] if isinstance(given, str) else list(given)
    labels = [name(one, "label") for one in some]
    if not all(labels):
        raise InputError(f"labels are {given!r}.", "Pass a list of names, such as ['health'].")
    return tuple(dict.fromkeys(label for label in labels if label))


def _moment(given: datetime | str, what: str) -> str:
    found = when(given, what)
    if found is None:
        raise InputError(f"{what} is {given!r}.", "Pass a datetime, or text such as 2026-05-08T13:56.")
    return moment(found)
