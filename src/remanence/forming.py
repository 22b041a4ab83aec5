"""Memories in another form: a cache or an adapter is derived, stored beside its sources, opened, and put away.

The text stays the source of truth. What is made of it names its sources as `derived_from`: it is retired when one of them is corrected or
put away, and erased when one is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from remanence.consolidate.product import policy_of
from remanence.cubes import Form, Kind, MemCube, Provenance, Scope, State, posix
from remanence.drafts import Draft
from remanence.errors import InputError, StaleError
from remanence.extras import require
from remanence.language.keys import derive as keys_of
from remanence.store.parts import Transition
from remanence.write.pipeline import Progress, new_id

if TYPE_CHECKING:
    from pathlib import Path

    from remanence.drafts import Artefact
    from remanence.models.local.causal import CausalLM
    from remanence.rooms import Rooms

BY = "forms"
"""Who acts, in the events."""
_KINDS = {Form.ACTIVATION: Kind.CACHE, Form.PARAMETRIC: Kind.ADAPTER}


def make(
    rooms: Rooms, lm: CausalLM, cubes: Sequence[MemCube], form: Form, progress: Progress | None = None,
    stop: Callable[[], bool] | None = None, **options: Any,
) -> MemCube:  # fmt: skip
    """Derive a cache or an adapter from memories and store it. Whatever goes wrong leaves nothing behind.

    Raises
    ------
    InputError
        The memories may not stand in one artefact: see `fitting`.
    StaleError
        One of them changed or went meanwhile.
    GateError, TrainingError
        The adapter did not pass its gate, or could not be trained.
    ContextTooLongError
        They are longer than the model's context.
    QuotaError
        The file is larger than the room that there is.
    """
    parents = fitting(cubes)
    store = rooms.store
    with store.payloads.partial() as path:
        artefact = _derived(rooms, lm, parents, form, path, progress, stop, options)
        known = {**artefact.details, "model": str(lm.folder or lm.name)}
        return keep(rooms, parents, replace(artefact, details=known))


def keep(rooms: Rooms, parents: Sequence[MemCube], artefact: Artefact) -> MemCube:
    """Store an artefact that was made of some memories; StaleError and QuotaError as `make`."""
    return rooms.store.payloads.keep(_draft(rooms, parents, artefact), artefact)


def put_away(rooms: Rooms, cube_id: str, reason: str, by: str = BY) -> None:
    """Retire a cache or an adapter, and destroy its file. Its memories stay, and it can be derived again."""
    rooms.store.lifecycle.change([Transition(cube_id, State.ARCHIVED, reason, by)])
    rooms.store.payloads.sweep()


def fitting(cubes: Sequence[MemCube]) -> tuple[MemCube, ...]:
    """The memories that an artefact is to be made of, each once.

    They have to be current texts of one space and one user, with the same label and the same access list: whoever may use the artefact may
    then see all of them.

    Raises
    ------
    InputError
        They are none, or not of that kind.
    StaleError
        One of them is not current.
    """
    parents = tuple({cube.id: cube for cube in cubes}.values())
    if not parents:
        raise InputError("No memory was named.", "Pass the ids of the memories that it is to be made of.")
    for cube in parents:
        if cube.form is not Form.TEXT or cube.kind in _KINDS.values():
            raise InputError(
                f"{cube.id} is no text but {cube.form}.", "Derive from texts; caches and adapters are derived."
            )
        if cube.superseded_at is not None or cube.state not in {State.ACTIVE, State.FROZEN}:
            raise StaleError(f"{cube.id} is {cube.state}.", "Take its current version, or leave it out.")
    for what, found in (
        ("space", {cube.scope.space for cube in parents}),
        ("user", {cube.scope.user for cube in parents}),
        ("label", {cube.policy.sensitivity for cube in parents}),
        ("access list", {tuple(sorted(cube.policy.access)) for cube in parents}),
    ):
        if len(found) > 1:
            raise InputError(
                f"The memories differ in their {what}.",
                f"Derive one for each {what}: whoever uses it may see all of it.",
            )
    return parents


def _derived(
    rooms: Rooms, lm: CausalLM, parents: Sequence[MemCube], form: Form, path: Path, progress: Progress | None,
    stop: Callable[[], bool] | None, options: dict[str, Any],
) -> Artefact:  # fmt: skip
    require("torch", extra="local", purpose="Deriving a cache or an adapter")
    if form is Form.ACTIVATION:
        from remanence.activation.derive import derive

        with rooms.shelf.using((), lm):  # a cache is of the base, whoever answers with an adapter meanwhile
            return derive(parents, lm, path, **options)
    if form is Form.PARAMETRIC:
        return _trained(rooms, lm, parents, path, progress, stop, options)
    raise InputError("A text is added, not derived.", "Use form='activation' or form='parametric'.")


def _trained(
    rooms: Rooms, lm: CausalLM, parents: Sequence[MemCube], path: Path, progress: Progress | None,
    stop: Callable[[], bool] | None, options: dict[str, Any],
) -> Artefact:  # fmt: skip
    if options.pop("lookup", False):
        from remanence.parametric.lookupfile import derive as rows
        from remanence.parametric.lookupnotes import notes_of

        with rooms.shelf.using((), lm):
            return rows(notes_of(parents), lm, path, **options)
    from remanence.parametric.derive import derive
    from remanence.parametric.lora import Recipe

    recipe = options.pop("recipe", None) or Recipe()
    steps = recipe.schedule.steps

    def told(step: int, _: float) -> None:
        if progress:
            progress(step, steps)

    with rooms.shelf.using((), lm):  # nobody answers with another adapter meanwhile
        made = derive(parents, lm, path, recipe=recipe, progress=told, stop=stop, **options)
    prompts: dict[str, Any] = {name: list(options[name]) for name in ("guard", "watch") if options.get(name)}
    if "neighbours" in options:
        prompts["neighbours"] = options["neighbours"]
    return replace(made, details={**made.details, "prompts": prompts})  # to train it again in the same way


def _draft(rooms: Rooms, parents: Sequence[MemCube], artefact: Artefact) -> Draft:
    first = parents[0].scope
    agents, sessions = ({getattr(cube.scope, name) for cube in parents} for name in ("agent", "session"))
    cube = MemCube(
        id=new_id(), version=1, text=artefact.text, kind=_KINDS[artefact.form], form=artefact.form,
        scope=Scope(
            space=first.space, user=first.user, agent=first.agent if len(agents) == 1 else None,
            session=first.session if len(sessions) == 1 else None,
        ),
        provenance=Provenance(
            source="derived", role="system", method=artefact.format, derived_from=tuple(cube.id for cube in parents)
        ),
        recorded_at=rooms.store.clock(), valid_from=max((cube.valid_from for cube in parents), key=posix),
        policy=policy_of(parents),
    )  # fmt: skip
    return Draft(cube, keys_of(cube), None, tuple((one.id, one.version) for one in parents))
