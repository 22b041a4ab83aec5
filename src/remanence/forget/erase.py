"""Erase, rewrite, probe, and write the receipt: one forget from the confirmed plan to its proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from remanence.errors import ForgetIncompleteError, InputError, StoreError
from remanence.forget import probe, search
from remanence.forget.forms import FormReport, Reform, reports
from remanence.forget.plan import Plan, Selector
from remanence.forget.probe import Bytes, Test, Verdict, Wanted
from remanence.forget.receipt import (
    Aim,
    Chained,
    Receipt,
    Request,
    Substrate,
    closure_digest,
    graded,
    parsed,
    signed,
)
from remanence.governance.signing import SigningKey, canonical
from remanence.language.sameness import normalised, telling_sentences
from remanence.store import erasure, scan
from remanence.store.erasure import Survey
from remanence.store.ledger import Ledger

if TYPE_CHECKING:
    import sqlite3

    from remanence.store.sqlite import SQLiteStore

Progress = Callable[[int, int], None]
"""Called with how many steps are done, and how many there are."""
_TRIES = 3
_STEPS = 6
_LEAST = 12  # characters of a normalised text that a reason may not hold; shorter ones are said by many
_MOST_REASON = 1000
_KEPT: Mapping[str, str] = {
    "idempotency keys": "kept as digests, so that a repeated call brings nothing back; what they stood for is blank",
    "access log entries, ids only": "kept: ids without text",
}
_PLACES: Mapping[str, str] = {
    "file": "rewritten from living rows; free pages and slack were scanned",
    "wal": "emptied and scanned",
    "shm": "holds page numbers; scanned as this process has it mapped",
    "journal": "not used by this store; scanned",
    "partial": "copies that were cut off beside the store; scanned, not deleted",
}


@dataclass(frozen=True, slots=True)
class Order:
    """A forget that was confirmed."""

    receipt: str
    """The id that its receipt gets."""
    plan: Plan
    by: str
    reason: str | None
    tombstone: bool


@dataclass(frozen=True, slots=True)
class Searching:
    """The ways to search, from the rooms above. `ask` is None where asking would send the erased text to another machine."""

    look: search.Look
    ask: search.Ask | None


@dataclass(frozen=True, slots=True)
class _Done:
    """What the transaction left to know."""

    survey: Survey
    digests: tuple[bytes, ...]
    chained: Chained
    at: datetime


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What was looked at before and after."""

    sought: Wanted
    before: Bytes
    after: Bytes
    left: Mapping[str, int]
    tests: tuple[Test, ...]
    failure: str
    """Why the file could not be rewritten, if so."""
    resembling: tuple[str, ...]
    files: int
    """Files of caches and adapters that are still there."""
    forms: tuple[FormReport, ...]


def check_reason(reason: str | None, survey: Survey) -> str | None:
    """The reason, for it stays in the receipt; InputError where it is too long or repeats what is to go."""
    if reason is None:
        return None
    if not isinstance(reason, str) or not reason.strip() or len(reason) > _MOST_REASON:
        raise InputError("The reason is no text, empty or too long.", f"Use at most {_MOST_REASON:,} characters.")
    said = normalised(reason)
    for text in survey.texts:
        phrases = [one for one in map(normalised, (text, *telling_sentences(text))) if len(one) >= _LEAST]
        if any(one in said for one in phrases):
            raise InputError(
                "The reason repeats what is to be forgotten, and it stays in the receipt.",
                "Say why, not what: “asked by the user”.",
            )
    return reason


def carry_out(
    store: SQLiteStore,
    order: Order,
    survey: Survey,
    key: SigningKey,
    searching: Searching,
    progress: Progress | None = None,
    reform: Reform = lambda _: (),
) -> Receipt:
    """Erase what a plan names and all that was made of it by now, rewrite the file, probe, and store the signed receipt.

    `reform` looks after caches and adapters, once their rows and files are gone.

    Raises
    ------
    UnknownCubeError, FrozenError
        As `erasure.erase`. Nothing was erased.
    ForgetIncompleteError
        The rows are gone, but the file could not be rewritten, or a test failed. Its `receipt` says which; it is stored.
    """
    step = _steps(progress)
    chosen = [target.id for target in survey.targets if target.chosen]
    tests = probe.controls()
    sought = probe.wanted(survey)
    before = probe.look(store, sought, spare_living=False)
    step()
    wanted = search.searches(survey)
    found = search.run(wanted, searching.look, searching.ask)
    step()
    done = _erase(store, order, chosen)
    if done.survey.ids != survey.ids or done.survey.versions != survey.versions:  # written since the first look
        sought = probe.wanted(done.survey)
    step()
    after, failure = _rewrite(store, sought)
    step()
    with store.connections.read() as connection:
        left = erasure.recount(connection, done.survey)
    tests += _tested(tests, probe.byte_tests(sought, before, after, overhang=scan.overhang(store.connections)))
    tests += probe.row_tests(left, done.survey, sought.short)
    tests += search.tests(wanted, found, search.run(wanted, searching.look, searching.ask))
    near = search.resembling(store, wanted)
    tests += [near.test] if near.test else []
    tests.append(probe.structure_test(store))
    files = store.payloads.left(done.survey.payloads)
    forms = reports(done.survey, files, reform(done.survey) if done.survey.payloads else ())
    step()
    evidence = _Evidence(sought, before, after, left, tuple(tests), failure, near.ids, files, forms)
    receipt = _issued(store, _unsigned(store, order, done, evidence), key)
    step()
    if not receipt.ok:
        raise _incomplete(store, receipt, evidence)
    return receipt


def _steps(progress: Progress | None) -> Callable[[], None]:
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if progress:
            progress(count, _STEPS)

    return step


def _tested(controls: Sequence[Test], found: list[Test]) -> list[Test]:
    """Byte tests count only where the controls of the scan came out right."""
    return found if all(one.verdict is Verdict.PASS for one in controls) else probe.as_invalid(found)


def _erase(store: SQLiteStore, order: Order, chosen: Sequence[str]) -> _Done:
    digests: list[bytes] = []
    last: list[tuple[int, bytes]] = []
    now = store.clock()

    def also(connection: sqlite3.Connection, survey: Survey) -> None:
        for target in survey.targets if order.tombstone else ():
            copied = target.substrate == "shared copies"  # an old export of its space would bring it back
            if target.chosen or copied or not target.last.provenance.derived_from:
                texts = [cube.text for cube in target.cubes]
                digests.extend(store.tombstones.bury(connection, target.number, texts, order.receipt, now))
        last.append(connection.execute("SELECT entry, hash FROM journal ORDER BY entry DESC LIMIT 1").fetchone())

    erased = erasure.erase(store.connections, chosen, order.plan.selector.space, now, also)
    [(entry, hashed)] = last
    chained = Chained(entry - len(erased.ids) + 1, entry, hashed.hex())
    return _Done(erased.survey, tuple(dict.fromkeys(digests)), chained, now)


def _rewrite(store: SQLiteStore, sought: Wanted) -> tuple[Bytes, str]:
    """Rewrite the file and look again; what another forget erases meanwhile may hold the same bytes until its own rewrite."""
    after, failure = probe.Bytes({}, 0, {}), ""
    for _ in range(_TRIES):
        try:
            store.scrub()
        except ForgetIncompleteError as error:
            failure = f"{error.what} {error.next_step}"
        after = probe.look(store, sought, spare_living=True)
        if failure or not any(after.places.values()):
            break
    return after, failure


# ── the receipt ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _unsigned(store: SQLiteStore, order: Order, done: _Done, evidence: _Evidence) -> Receipt:
    survey, selector = done.survey, order.plan.selector
    substrates = _substrates(survey, evidence, len(done.digests))
    grade = graded(evidence.tests, substrates, evidence.forms, rewritten=not evidence.failure)
    first = min(cube.recorded_at for target in survey.targets for cube in target.cubes)
    return Receipt(
        id=order.receipt, number=0, issued_at=store.clock().isoformat(timespec="microseconds"), issuer="", key="",
        store=Ledger(store.connections).store_id(),
        request=Request(order.by, selector.kind, _selector_digest(store, order, selector), selector.space, order.reason),
        target=Aim(
            record_ids=survey.ids, chosen=sum(target.chosen for target in survey.targets),
            spaces=tuple(sorted({target.space for target in survey.targets})), versions=survey.versions,
            keyed_digests=tuple(one.hex() for one in done.digests), lineage_closure_digest=closure_digest(survey.ids),
        ),
        time_window=(first.isoformat(), done.at.isoformat()), release=version("remanence"), substrates=substrates,
        tests=evidence.tests, came_back=survey.coming_back, rebuilt=order.plan.rebuilt,
        residual_risk=_risks(evidence, tombstone=order.tombstone), not_reached=order.plan.not_reached,
        exact=grade == "E", grade=grade, journal=done.chained, forms=evidence.forms,
    )  # fmt: skip


def _selector_digest(store: SQLiteStore, order: Order, selector: Selector) -> str | None:
    """A name or a query is content: only its keyed digest stays."""
    if selector.kind in {"ids", "space"} or not order.tombstone:
        return None
    return store.tombstones.digest(selector.value[0]).hex()


def _substrates(survey: Survey, evidence: _Evidence, digests: int) -> tuple[Substrate, ...]:
    found: list[Substrate] = []
    for name, count in survey.counts.items():
        if name in _KEPT:
            found.append(Substrate(name, count, count, _KEPT[name], Verdict.PASS))
        else:
            after = evidence.left.get(name, 0)
            found.append(Substrate(name, count, after, "rows deleted", Verdict.FAIL if after else Verdict.PASS))
    for name, after in evidence.after.places.items():
        verdict = Verdict.NOT_COMPUTABLE if after is None else Verdict.FAIL if after else Verdict.PASS
        found.append(
            Substrate(
                f"bytes of the store: {name}", evidence.before.places.get(name) or 0, after, _PLACES[name], verdict
            )
        )
    if survey.payloads:
        verdict = Verdict.FAIL if evidence.files else Verdict.PASS
        how = "overwritten and removed; looked for by size and hash"
        found.append(Substrate("files of caches and adapters", len(survey.payloads), evidence.files, how, verdict))
    searched = [one for one in evidence.tests if one.name.startswith("search")]
    worst = max((one.verdict for one in searched), key=list(Verdict).index, default=Verdict.NOT_COMPUTABLE)
    failed = Verdict.FAIL if any(one.verdict is Verdict.FAIL for one in searched) else worst
    found.append(
        Substrate("indexes in this process", len(survey.targets), None, "follow the journal; tested by search", failed)
    )
    if digests:
        found.append(Substrate("tombstones", 0, digests, "written: keyed digests, no content", Verdict.PASS))
    return tuple(found)


def _risks(evidence: _Evidence, *, tombstone: bool) -> tuple[str, ...]:
    found = [
        f"Not computable: {one.name}. {one.words}".strip()
        for one in evidence.tests
        if one.verdict is Verdict.NOT_COMPUTABLE
    ]
    found += [
        f"Answered from other memories: {one.words}."
        for one in evidence.tests
        if one.name.startswith("re-ask") and one.words
    ]
    found += [f"Another memory says about the same: {one}." for one in evidence.resembling]
    if evidence.failure:
        found.append(f"The file was not rewritten: {evidence.failure}")
    if evidence.sought.short:
        found.append(
            f"{evidence.sought.short} values under {scan.SHORTEST} bytes cannot be told from chance in bytes; rows were checked."
        )
    found.append("Compressed or encrypted copies inside the file would not be seen by the scan; this store makes none.")
    if tombstone:
        found.append("Whoever has the file can test a guess against the keyed digests, for their key lies in it.")
    return tuple(found)


def _issued(store: SQLiteStore, receipt: Receipt, key: SigningKey) -> Receipt:
    def make(number: int, before: str | None) -> tuple[str, str, str, str]:
        made = signed(receipt, key, number, before)
        return made.id, made.issued_at, ", ".join(made.target.spaces), canonical(made.to_json()).decode()

    try:
        return parsed(store.tombstones.issue(make).body)
    except StoreError as error:  # a full disk: what could not be stored is at least handed over, outside the chain
        raise ForgetIncompleteError(
            f"The rows are erased, but the receipt could not be stored: {error.what}",
            "Remove the cause and open the store again: the clean-up is finished then. The error holds the receipt.",
            signed(receipt, key, 0, None),
        ) from error


def _incomplete(store: SQLiteStore, receipt: Receipt, evidence: _Evidence) -> ForgetIncompleteError:
    if evidence.failure:
        return ForgetIncompleteError(evidence.failure, f"The receipt is {receipt.id}.", receipt)
    left = sum(count or 0 for count in evidence.after.places.values())
    failed = [one.name for one in receipt.tests if one.verdict is Verdict.FAIL]
    failed += [figure.name for one in receipt.forms for figure in one.figures if figure.verdict is Verdict.FAIL]
    failed += ["files of caches and adapters"] if evidence.files else []
    found = (
        f"{left} of {len(evidence.sought.traces())} traces can still be read from {store.location}; " if left else ""
    )
    first = "Close other programs that use the file, then run" if left else "Run"
    return ForgetIncompleteError(
        f"The erasure is done, but not shown: {found}failed: {', '.join(failed)}.",
        f"See the receipt {receipt.id}. {first}: remanence verify",
        receipt,
    )
