"""What Memory does when it forgets: the request checked, the rooms handed to the probe; and the receipts that stay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from remanence.arguments import identity, optional_space, place
from remanence.asking import ask
from remanence.cubes import DEFAULT_SPACE, Answer, Hits, MemCube, Route, Scope
from remanence.errors import EmbedderMismatchError, ReceiptError
from remanence.forget import erase, plan, search, verify
from remanence.forget.erase import Order, Searching
from remanence.forget.plan import Plan, Selector
from remanence.forget.receipt import Receipt, parsed
from remanence.forget.verify import Verified
from remanence.governance.access import Gate, Operation
from remanence.governance.signing import SigningKey, public_from
from remanence.policies import Clearance
from remanence.recall.query import Query
from remanence.reforming import checked_adapters, reforming
from remanence.rooms import Rooms
from remanence.store.erasure import refuse_frozen
from remanence.write.messages import name, text
from remanence.write.pipeline import Progress, new_id

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from remanence.models.local.causal import CausalLM
    from remanence.recall.pipeline import Recall
    from remanence.store.sqlite import SQLiteStore

Wanted = str | MemCube | Sequence[str | MemCube] | None
"""The id of a memory, or several."""


def forget(
    rooms: Rooms, gate: Gate, cube_ids: Wanted = None, *, query: str | None = None, source: str | None = None,
    user: str | None = None, space: str | None = None, reason: str | None = None, dry_run: bool = False,
    tombstone: bool = True, progress: Progress | None = None, adapters: str = "rebuild",
    model: CausalLM | str | Path | None = None,
) -> Receipt | Plan:  # fmt: skip
    """See `Memory.forget`."""
    how = checked_adapters(adapters)
    selector = _selector(rooms, cube_ids, query, source, user, optional_space(space))
    _check(rooms, gate, selector)
    made, survey = plan.build(_store(rooms), selector, rooms.settings, close=bool(dry_run))
    checked = erase.check_reason(reason, survey)
    if dry_run:
        return made if gate.principal is None else _seen(rooms, gate, made)
    refuse_frozen(survey)
    key = SigningKey.open(rooms.settings.signing_key)  # before anything is erased: without it there is no receipt
    order = Order(new_id(), made, gate.name, checked, tombstone)
    try:
        reform = reforming(rooms, survey, how, model)
        return erase.carry_out(_store(rooms), order, survey, key, _searching(rooms), progress, reform)
    finally:
        rooms.encoding.drop_questions()


def _check(rooms: Rooms, gate: Gate, selector: Selector) -> None:
    """Whether the caller may forget this. What was made of it in other spaces goes with it, whoever may see that."""
    if selector.kind == "ids":
        for cube_id in selector.value:
            gate.locate(Operation.FORGET, cube_id, selector.space)
    else:
        gate.check(Operation.FORGET, selector.space)
        rooms.has_space(selector.space or DEFAULT_SPACE)


def _seen(rooms: Rooms, gate: Gate, made: Plan) -> Plan:
    spaces = {space: gate.allows(Operation.FORGET, space) for space in rooms.store.spaces()}
    return plan.seen_by(made, _store(rooms), lambda space: spaces.get(space, False))


def _selector(
    rooms: Rooms, cube_ids: Wanted, query: str | None, source: str | None, user: str | None, space: str | None
) -> Selector:
    ids = None
    if cube_ids is not None:
        some = (
            list(cube_ids) if isinstance(cube_ids, Iterable) and not isinstance(cube_ids, str | MemCube) else [cube_ids]
        )
        ids = [identity(one) for one in some]
    checked = None if query is None else text(query, "The query", rooms.settings.max_question)
    named = any(one is not None for one in (query, source, user))
    return plan.selector_of(
        ids, checked, name(source, "source"), name(user, "user"), space or (DEFAULT_SPACE if named else None)
    )


def _store(rooms: Rooms) -> SQLiteStore:
    """The store of these rooms. Only the embedded one can rewrite its file and look at its bytes."""
    return cast("SQLiteStore", rooms.store)


# ── searching for what was erased ────────────────────────────────────────────────────────────────────────────────────


def _searching(rooms: Rooms) -> Searching:
    """The real recall and the real answerer, without anything that would carry the erased text elsewhere: no language model, no
    remote embedder, no cache of questions, no log.
    """
    recall, remote = _recall(rooms), rooms.settings.embedder.startswith(("http://", "https://"))

    def found(
        _: Clearance | None, question: str, /, *, k: int, space: str = DEFAULT_SPACE, route: Route | None = None, current: bool = False,
        vector: NDArray[np.float32] | None = None, **filters: Any,
    ) -> Hits:  # fmt: skip
        asked = Query(
            question=question, scope=Scope(space=space), k=k, now=rooms.store.clock(), explain=False, route=route,
            current=current, kinds=frozenset(filters["kinds"]) if filters.get("kinds") else None,
        )  # fmt: skip
        return recall(asked, lambda words: _vector(rooms, words, remote=remote) if vector is None else vector)

    def look(question: str, space: str, vector: NDArray[np.float32] | None = None) -> list[str]:
        if vector is not None and recall.view(space).vectors.width != len(vector):
            return []  # a reindex that was cut off left vectors of two embedders
        hits = found(None, question, k=search.K, space=space, route=Route.CHEAP, vector=vector)
        return [hit.cube.id for hit in hits]

    def answered(question: str, space: str) -> Answer:
        return ask(
            rooms,
            Gate(rooms.store, None, "off"),
            found,
            question,
            k=search.K,
            method="extractive",
            budget=None,
            space=space,
        )

    return Searching(look, None if remote else answered)


def _recall(rooms: Rooms) -> Recall:
    """The indexes of this process, as they are; others where a language model would be asked about the facts."""
    if rooms.settings.recognition != "model":
        return rooms.recall
    from remanence.recall.pipeline import Recall

    return Recall(rooms.store)


def _vector(rooms: Rooms, words: str, *, remote: bool) -> NDArray[np.float32] | None:
    """The embedding of a question, past the cache; None where it would leave the machine, or the store has another embedder."""
    if remote or not rooms.store.note("embedder"):
        return None
    try:
        rows = rooms.encoding.documents([words])
    except EmbedderMismatchError:
        return None
    return None if rows is None else rows[0]


# ── receipts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Receipts:
    """Receipts of what was forgotten: `memory.receipts`."""

    def __init__(self, rooms: Rooms, gate: Gate) -> None:
        self._rooms, self._gate = rooms, gate

    def list(self) -> Sequence[Receipt]:
        """All receipts of the store, oldest first."""
        self._gate.check(Operation.RECEIPTS, None)
        return [parsed(one.body) for one in _store(self._rooms).tombstones.receipts()]

    def get(self, receipt_id: str) -> Receipt:
        """One receipt.

        Raises
        ------
        ReceiptError
            The store has none with this id.
        """
        self._gate.check(Operation.RECEIPTS, None)
        stored = _store(self._rooms).tombstones.receipts()
        body = next((one.body for one in stored if one.id == receipt_id), None)
        if body is None:
            raise ReceiptError(
                f"There is no receipt {receipt_id!r}.", "See memory.receipts.list(), or: remanence receipts list"
            )
        return parsed(body)

    def verify(self, receipt: Receipt | str | Path, *, key: str | Path | None = None, again: bool = True) -> Verified:
        """Check a receipt, one in a file, or one by its id: its signature, its place in the chain, the journal; and `again` the scans.

        `key` is the public key of whom you trust, in hexadecimal digits or a file; without it this installation's own, if there is
        one. The scans look for rows with the erased ids and, by their digests, for the erased texts.

        Raises
        ------
        ReceiptError
            It is no receipt.
        KeyMissingError, InputError
            The key cannot be read.
        """
        self._gate.check(Operation.RECEIPTS, None)
        found = receipt if isinstance(receipt, Receipt) else self._named(receipt)
        return verify.inside(_store(self._rooms), found, self._key(key), again=again)

    def _named(self, receipt: str | Path) -> Receipt:
        if isinstance(receipt, str) and not Path(receipt).exists():
            return self.get(receipt)
        return verify.from_file(place(receipt, "receipt"))

    def _key(self, key: str | Path | None) -> bytes | None:
        if key is not None:
            return public_from(key)
        path = Path(self._rooms.settings.signing_key).expanduser()
        return SigningKey.open(path, create=False).public if path.exists() else None


def verify_file(path: str | Path, key: str | Path | None = None) -> Verified:
    """Check a receipt in a file without any store: that it is signed, by this public key if one is given, and unchanged.

    Raises
    ------
    ReceiptError
        It is no receipt.
    """
    return verify.alone(verify.from_file(place(path, "path")), None if key is None else public_from(key))
