"""Caches and adapters when a memory is forgotten: what held it is gone with the rows; adapters are made anew without it, and probed.

`rebuild` trains the adapter again from the memories that stay, by the same recipe: exact. `unlearn` changes the old adapter until probes
do not find the memory: approximate, with figures. `drop` leaves it at the erasure: exact, for the base was never changed. What is kept is
held against models that never saw the memory, with the probes of `parametric.probing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from remanence.cubes import Form, MemCube, State
from remanence.errors import InputError, ModelError, RemanenceError, UnknownCubeError
from remanence.forget.forms import Figure, FormReport, Reform
from remanence.forget.probe import Verdict
from remanence.forming import keep, make
from remanence.language.entities import mentions
from remanence.language.tokens import folded
from remanence.store.erasure import Survey

if TYPE_CHECKING:
    from remanence.drafts import Artefact
    from remanence.models.local.causal import CausalLM
    from remanence.parametric.adapterfile import Adapter
    from remanence.parametric.measuring import Measured, Secret
    from remanence.parametric.probing import BatteryReport
    from remanence.rooms import Rooms

Adapters = Literal["rebuild", "unlearn", "drop"]
_LORA, _ROWS = "remanence.lora/1", "remanence.rows/1"
_OTHER_SEED = 1
_ERASED = "file overwritten and removed; the base weights were never changed"


@dataclass(frozen=True, slots=True)
class _Held:
    """An adapter that goes, as it was before."""

    cube: MemCube
    sources: tuple[str, ...]
    """Ids of the memories that it was made of."""
    lm: CausalLM | None
    """Its model; None where it is not at hand."""
    adapter: Adapter | None
    """Its tensors, of a LoRA adapter whose model is at hand."""


def checked_adapters(how: str) -> Adapters:
    """InputError where it is none."""
    if how not in get_args(Adapters):
        raise InputError(f"adapters is {how!r}.", f"Use one of: {', '.join(get_args(Adapters))}.")
    return how  # pyright: ignore[reportReturnType]


def reforming(rooms: Rooms, survey: Survey, how: Adapters, model: CausalLM | str | Path | None) -> Reform:
    """What `erase.carry_out` calls when rows and files are gone. The adapters are opened now, while they are there."""
    held = [
        _opened(rooms, target.last, model)
        for target in survey.targets
        if target.last.form is Form.PARAMETRIC and not target.chosen and target.last.superseded_at is None
    ]
    chosen = sum(target.last.form is Form.PARAMETRIC for target in survey.targets) - len(held)
    rooms.let_go()

    def reform(done: Survey) -> Sequence[FormReport]:
        rooms.let_go()
        reports = [FormReport(Form.PARAMETRIC, chosen, "exact", _ERASED)] if chosen else []
        texts = [target.last for target in done.targets if target.last.form is Form.TEXT]
        return [*reports, *(_reformed(rooms, one, texts, set(done.ids), how) for one in held)]

    return reform


def _opened(rooms: Rooms, cube: MemCube, model: CausalLM | str | Path | None) -> _Held:
    sources = cube.provenance.derived_from
    lm = _model_of(rooms, cube, model)
    if lm is None or cube.payload is None or cube.payload.format != _LORA:
        return _Held(cube, sources, lm, None)
    from remanence.parametric.adapterfile import open_

    try:
        return _Held(cube, sources, lm, open_(rooms.store.payloads.path(cube), lm))
    except (RemanenceError, OSError):  # damaged: there is nothing to compare with, and it goes all the same
        return _Held(cube, sources, lm, None)


def _model_of(rooms: Rooms, cube: MemCube, model: CausalLM | str | Path | None) -> CausalLM | None:
    """The model that an adapter belongs to: the one that is given, that of the settings, or where it lay when it was made."""
    if cube.payload is None:
        return None
    known = cube.payload.details.get("model")
    for one in (model, None, known):
        if one is None and rooms.own_model is None:
            continue
        if isinstance(one, str) and one == known and not Path(one).is_dir():
            continue
        try:
            lm = rooms.local(one)
        except (ModelError, InputError):
            continue
        if replace(lm.fingerprint, adapter="").to_json() == {**cube.payload.fingerprint, "adapter": ""}:
            return lm
    return None


# ── making anew ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _reformed(rooms: Rooms, held: _Held, gone: Sequence[MemCube], ids: set[str], how: Adapters) -> FormReport:
    if how == "drop":
        return FormReport(Form.PARAMETRIC, 1, "exact", _ERASED)
    left = _left(rooms, held, ids)
    if held.lm is None:
        return FormReport(Form.PARAMETRIC, 1, "exact", f"{_ERASED}; not made anew, because its model is not at hand")
    if not left:
        return FormReport(Form.PARAMETRIC, 1, "exact", f"{_ERASED}; nothing is left that it was made of")
    try:
        if how == "unlearn" and held.adapter is not None:
            return _unlearned(rooms, held.lm, held, gone, left)
        return _rebuilt(rooms, held.lm, held, gone, left)
    except RemanenceError as error:
        return FormReport(Form.PARAMETRIC, 1, "exact", f"{_ERASED}; not made anew: {error}")


def _left(rooms: Rooms, held: _Held, ids: set[str]) -> list[MemCube]:
    """The sources that stay, as they are now."""
    found: list[MemCube] = []
    for one in held.sources:
        if one in ids:
            continue
        try:
            cube = rooms.store.get(one)
        except UnknownCubeError:
            continue
        if cube.form is Form.TEXT and cube.superseded_at is None and cube.state in {State.ACTIVE, State.FROZEN}:
            found.append(cube)
    return found


def _rebuilt(rooms: Rooms, lm: CausalLM, held: _Held, gone: Sequence[MemCube], left: Sequence[MemCube]) -> FormReport:
    options = _without(_options(held.cube), gone)
    made = make(rooms, lm, left, Form.PARAMETRIC, **options)
    how = "trained anew from the memories that stay, by the same recipe"
    assert made.payload is not None
    if made.payload.format != _LORA:
        return FormReport(Form.PARAMETRIC, 1, "exact", how, (made.id,))
    from remanence.parametric.adapterfile import open_

    found = _probed(lm, held, open_(rooms.store.payloads.path(made), lm), gone, left)
    return FormReport(Form.PARAMETRIC, 1, "exact", how + _unprobed(found), (made.id,), _figures(found))


def _unlearned(rooms: Rooms, lm: CausalLM, held: _Held, gone: Sequence[MemCube], left: Sequence[MemCube]) -> FormReport:
    from remanence.parametric.adapterfile import write
    from remanence.parametric.unlearning.adapters import unlearn_adapter
    from remanence.parametric.unlearning.examples import examples

    assert held.adapter is not None
    forget, retain = (examples(lm, _pairs(cubes)) for cubes in (gone, left))
    changed, _ = unlearn_adapter(lm, held.adapter, forget, retain, method="ihl")
    found = _probed(lm, held, changed, gone, left, _control(rooms, lm, held, gone, left))
    if found is None or not found.passed:
        why = "no probe could be made" if found is None else found.verdict
        return FormReport(
            Form.PARAMETRIC, 1, "exact", f"{_ERASED}; unlearning did not hold ({why}), so nothing of it is kept"
        )
    store = rooms.store
    with store.payloads.partial() as path:
        write(changed, path)
        made = keep(rooms, left, _artefact(held, changed, left, path))
    how = "unlearned in the adapter (inverted hinge), the memories that stay retained"
    return FormReport(Form.PARAMETRIC, 1, "approximate", how, (made.id,), _figures(found))


def _artefact(held: _Held, changed: Adapter, left: Sequence[MemCube], path: Path) -> Artefact:
    from remanence.drafts import Artefact

    assert held.cube.payload is not None
    details = {**changed.details, "sources": [[cube.id, cube.version] for cube in left]}
    text = f"{held.cube.text}; something was unlearned"
    return Artefact(Form.PARAMETRIC, _LORA, path, held.cube.payload.fingerprint, details, text)


def _options(cube: MemCube) -> dict[str, Any]:
    """What an adapter was derived with."""
    assert cube.payload is not None
    if cube.payload.format == _ROWS:
        return {"lookup": True}
    from remanence.parametric.gate import Limits
    from remanence.parametric.lora import Recipe
    from remanence.parametric.training import Schedule

    said = cube.payload.details
    recipe: dict[str, Any] = {**said["recipe"], "targets": tuple(said["recipe"]["targets"])}
    recipe["schedule"] = Schedule(**said["recipe"]["schedule"])
    return {"recipe": Recipe(**recipe), "limits": Limits(**said["gate"]["limits"]), **said.get("prompts", {})}


def _without(options: dict[str, Any], gone: Sequence[MemCube]) -> dict[str, Any]:
    """Without the prompts that name what was forgotten: they would stay with the new adapter."""
    named = {one.name for cube in gone for one in mentions(cube.text)}
    clean = {
        name: [prompt for prompt in options[name] if not any(one in folded(prompt) for one in named)]
        for name in ("guard", "watch")
        if name in options
    }
    return options | clean


# ── probing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _pairs(cubes: Sequence[MemCube]) -> list[tuple[str, str]]:
    from remanence.parametric.views import views_of

    return [(view.prompt, view.answer) for view in views_of(cubes).training]


def _probed(
    lm: CausalLM, held: _Held, kept: Adapter, gone: Sequence[MemCube], left: Sequence[MemCube], control: Adapter | None = None
) -> BatteryReport | None:  # fmt: skip
    """The battery on the adapter that is kept, beside models that never saw the memory: the base, and a control where there is one."""
    from remanence.parametric.probing import battery

    secrets = _secrets(gone, left)
    if not secrets:
        return None
    known = _pairs(left)[:64]
    controls = [_measured(lm, None, secrets, known)]
    if control is not None:
        controls.append(_measured(lm, control, secrets, known))
    before = None if held.adapter is None else _measured(lm, held.adapter, secrets, known)
    return battery(_measured(lm, kept, secrets, known), secrets, controls=controls, original=before)


def _secrets(gone: Sequence[MemCube], left: Sequence[MemCube]) -> list[Secret]:
    """The facts that went, beside values of the same kind from facts that stay."""
    from remanence.parametric.unlearning.adapters import secrets_of
    from remanence.parametric.views import facts_of, probes_of

    lost = tuple(dict.fromkeys(fact for cube in gone for fact in facts_of(cube)))
    known = tuple(dict.fromkeys((*lost, *(fact for cube in left for fact in facts_of(cube)))))
    ours = {f"facts/{number}" for number in range(len(lost))}
    return [secret for secret in secrets_of(probes_of(known)) if secret.id in ours] if lost else []


def _control(
    rooms: Rooms, lm: CausalLM, held: _Held, gone: Sequence[MemCube], left: Sequence[MemCube]
) -> Adapter | None:
    """An adapter of the memories that stay, trained with another seed; None where it misses its gate."""
    from remanence.parametric.adapterfile import open_
    from remanence.parametric.derive import derive

    options = _without(_options(held.cube), gone)
    schedule = replace(options["recipe"].schedule, seed=options["recipe"].schedule.seed + _OTHER_SEED)
    with rooms.store.payloads.partial() as path:
        try:
            derive(left, lm, path, **options | {"recipe": replace(options["recipe"], schedule=schedule)})
        except RemanenceError:
            return None
        return open_(path, lm)


def _measured(
    lm: CausalLM, adapter: Adapter | None, secrets: Sequence[Secret], known: Sequence[tuple[str, str]]
) -> Measured:
    from remanence.parametric.measuring import measure
    from remanence.parametric.unlearning.adapters import factors_of

    return measure(lm, secrets, kept=known, factors=None if adapter is None else factors_of(adapter, lm))


def _unprobed(found: BatteryReport | None) -> str:
    return "" if found is not None else "; not probed, because the rules read no fact in what was forgotten"


def _figures(found: BatteryReport | None) -> tuple[Figure, ...]:
    if found is None:
        return ()
    statistics: Mapping[str, str] = {
        "extraction": "share of facts that the model writes on its own",
        "memorisation": "share of tokens that are its first choice",
        "rank": "share of other values that are less likely",
        "paraphrase": "share of facts that it writes in other wordings",
        "quantised": "the most at any precision",
        "relearning": "share that is back after a short training",
    }
    return tuple(
        Figure(
            one.test, statistics[one.test], one.n, one.original, one.value, sum(one.controls) / len(one.controls),
            one.control_low, one.control_high, _verdict(one.finding, valid=one.valid),
        )
        for one in found.tests
    )  # fmt: skip


def _verdict(finding: str, *, valid: bool) -> Verdict:
    if not valid:
        return Verdict.NOT_COMPUTABLE
    return Verdict.FAIL if finding == "above" else Verdict.PASS
