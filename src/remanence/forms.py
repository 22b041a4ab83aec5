"""`memory.forms`: caches and adapters that stand for memories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remanence.arguments import identity, optional_space, scope
from remanence.cubes import DEFAULT_SPACE, Form, MemCube
from remanence.errors import InputError
from remanence.forming import make, put_away
from remanence.governance.access import Gate, Operation
from remanence.rooms import Rooms
from remanence.write.pipeline import Progress

if TYPE_CHECKING:
    from remanence.models.local.causal import CausalLM


@dataclass(frozen=True, slots=True)
class Usage:
    """What the files of caches and adapters take."""

    quota: int
    """Bytes that there are."""
    size: int
    """Bytes that are used."""
    caches: int
    adapters: int

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


class Forms:
    """Memories in other forms: derive, list, open, evict."""

    def __init__(self, rooms: Rooms, gate: Gate) -> None:
        self._rooms, self._gate = rooms, gate

    def derive(
        self, memories: str | MemCube | Sequence[str | MemCube], model: CausalLM | str | Path | None = None, *,
        form: Form | str = Form.ACTIVATION, space: str | None = None, progress: Progress | None = None,
        stop: Callable[[], bool] | None = None, **options: Any,
    ) -> MemCube:  # fmt: skip
        """Make a cache or an adapter of memories, and keep it as a memory of that form. Its sources stay as they are.

        `model` is a `CausalLM`, the folder of one, or a name in the local cache; the one of `Settings.model` if it is left out. A
        cache (`form="activation"`) takes the options of `activation.derive.derive`: layout, precision. An adapter
        (`form="parametric"`) those of `parametric.derive.derive`: recipe, guard; with `lookup=True` it is rows of a lookup memory.

        Raises
        ------
        UnknownCubeError
            One of the memories is not there.
        InputError
            They are of several spaces, users, labels or access lists, or not texts.
        GateError
            The adapter did not pass its gate: it was not kept. Its `report` says why.
        StaleError, QuotaError, ContextTooLongError, TrainingError, ModelMissingError
            As their names say. Nothing was kept.
        """
        wanted = [memories] if isinstance(memories, str | MemCube) else list(memories)
        cubes = [self._source(one, optional_space(space)) for one in wanted]
        lm = self._rooms.local(model)
        made = make(self._rooms, lm, cubes, _form(form), progress, stop, **options)
        self._gate.told(Operation.DERIVE, made.scope.space, [made.id])
        return made

    def list(self, *, space: str = DEFAULT_SPACE, form: Form | str | None = None) -> list[MemCube]:
        """The caches and adapters of a space that may be used, oldest first."""
        where = scope(space, None, None, None).space
        clearance = self._gate.check(Operation.LIST, where)
        self._rooms.has_space(where)
        found = self._rooms.store.payloads.of(where, None if form is None else _form(form), clearance=clearance)
        self._gate.told(Operation.LIST, where, [cube.id for cube in found])
        return found

    def path(self, cube_id: str | MemCube, *, space: str | None = None) -> Path:
        """The file of a cache or an adapter, checked against its hash.

        Raises
        ------
        UnknownCubeError
            There is no such memory.
        StaleError
            What it was made of changed, or it was put away.
        PayloadDamagedError
            The file is missing, or holds other bytes.
        """
        where, clearance = self._gate.locate(Operation.GET, identity(cube_id), optional_space(space))
        cube = self._rooms.store.get(identity(cube_id), where, clearance)
        self._gate.told(Operation.GET, cube.scope.space, [cube.id])
        return self._rooms.store.payloads.path(cube)

    def evict(self, cube_id: str | MemCube, reason: str = "evicted", *, space: str | None = None) -> MemCube:
        """Put a cache or an adapter away, and destroy its file. Its memories stay; derive it again when it is needed.

        Raises
        ------
        UnknownCubeError
            There is no such memory.
        InputError
            It is a text.
        """
        where, clearance = self._gate.locate(Operation.DERIVE, identity(cube_id), optional_space(space))
        cube = self._rooms.store.get(identity(cube_id), where, clearance)
        if cube.payload is None:
            raise InputError(f"{cube.id} is a text.", "Use memory.lifecycle.archive, or forget it.")
        put_away(self._rooms, cube.id, reason, self._gate.name)
        return self._rooms.store.get(cube.id)

    def usage(self) -> Usage:
        """What the files take, of what they may take."""
        self._gate.check(Operation.STATS, None)
        spaces = self._rooms.store.spaces()
        found = [cube for space in spaces for cube in self._rooms.store.payloads.of(space)]
        caches = sum(cube.form is Form.ACTIVATION for cube in found)
        size = sum(cube.payload.size for cube in found if cube.payload)
        return Usage(self._rooms.settings.payload_quota, size, caches, len(found) - caches)

    def _source(self, one: str | MemCube, space: str | None) -> MemCube:
        where, clearance = self._gate.locate(Operation.DERIVE, identity(one), space)
        return self._rooms.store.get(identity(one), where, clearance)


def _form(form: Form | str) -> Form:
    try:
        found = Form(form)
    except ValueError:
        found = Form.TEXT
    if found is Form.TEXT:
        raise InputError(f"form is {form!r}.", f"Use one of: {Form.ACTIVATION}, {Form.PARAMETRIC}.")
    return found
