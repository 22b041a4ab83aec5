"""The receipt of a forget: what was erased, where it was, which tests were made, what could not be checked; signed, chained.

The format `remanence.forget/1` is JSON. What is signed is its canonical form without the signature. It names ids, counts and keyed
digests, and holds nothing of what was erased.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from remanence.errors import ReceiptError
from remanence.forget.forms import FormReport, report_of
from remanence.forget.plan import Beyond
from remanence.forget.probe import Test, Verdict
from remanence.governance.signing import SigningKey, canonical, verify

FORMAT = "remanence.forget/1"
METHOD = "erase rows, rewrite file, probe"
VERSION = 1
FIRST = "0" * 64
"""What stands in `prev` of the first receipt of a store."""
_ELSE = "Pass a file that forget wrote, or the id of a receipt."
Grade = Literal["E", "A", "S", "F"]
"""E: exact, every substrate was erased. A: so it was, but for weights that were changed to unlearn it, within the figures given. S: suppressed only, no row is left but the file could not be rewritten. F: failed."""


@dataclass(frozen=True, slots=True)
class Substrate:
    """One kind of place where copies were."""

    kind: str
    before: int
    after: int | None
    method: str
    """What was done there."""
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, without its content."""

    subject: str
    """Who asked."""
    selector: str
    """ids, query, source, user or space."""
    selector_digest: str | None
    """Keyed digest of a query, source or user, None for ids, spaces, and where no digests are kept."""
    space: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Aim:
    """What was erased, without its content."""

    record_ids: tuple[str, ...]
    chosen: int
    """How many of them, the first ones, were asked for; the others were made of them."""
    spaces: tuple[str, ...]
    versions: int
    keyed_digests: tuple[str, ...]
    """HMAC-SHA256 of texts and telling sentences under the store's secret; none where no tombstones are kept."""
    lineage_closure_digest: str
    """SHA-256 of the sorted ids."""


@dataclass(frozen=True, slots=True)
class Chained:
    """Where the erasure stands in the journal."""

    first: int
    """Its first entry."""
    entry: int
    """Its last entry."""
    hash: str
    """The hash of that entry."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What `Memory.forget` did and checked."""

    id: str
    number: int
    """Its place in the store's chain of receipts, from 1."""
    issued_at: str
    issuer: str
    """Fingerprint of the key that signed."""
    key: str
    """That public key, raw, in hexadecimal digits."""
    store: str
    """Name of the store, which says nothing else."""
    request: Request
    target: Aim
    time_window: tuple[str, str]
    """From the first writing of what was erased to its erasure."""
    release: str
    """Of Remanence."""
    substrates: tuple[Substrate, ...]
    tests: tuple[Test, ...]
    came_back: tuple[str, ...]
    """Ids of memories that an erased merged memory spoke for."""
    rebuilt: tuple[str, ...]
    """Ids of what dropped summaries and profiles were also made of."""
    residual_risk: tuple[str, ...]
    not_reached: tuple[Beyond, ...]
    exact: bool
    grade: Grade
    journal: Chained
    forms: tuple[FormReport, ...] = ()
    """What became of each form; empty where there was text only."""
    prev: str = FIRST
    """SHA-256 of the receipt before, signature included."""
    signature: str = ""

    @property
    def ok(self) -> bool:
        """Nothing failed."""
        return self.grade in {"E", "A"}

    @property
    def ids(self) -> tuple[str, ...]:
        """Of everything that was erased."""
        return self.target.record_ids

    @property
    def versions(self) -> int:
        """Rows of memories that were erased."""
        return self.target.versions

    def to_json(self) -> dict[str, Any]:
        """The receipt as JSON types: what is stored and signed."""
        data = json.loads(json.dumps(asdict(self)))
        if not self.forms:  # receipts of earlier releases have no such field
            del data["forms"]
        method = {"name": METHOD, "version": VERSION, "release": data.pop("release")}
        rollback = {"possible": False, "how": "", "expires": None}
        issuer = {"fingerprint": data.pop("issuer"), "key": data.pop("key")}
        window = dict(zip(("from", "to"), data.pop("time_window"), strict=True))
        return {
            "format": FORMAT,
            **data,
            "issuer": issuer,
            "time_window": window,
            "method": method,
            "rollback": rollback,
        }

    def canonical(self) -> bytes:
        """Its one byte form, signature included: what `prev` of the next receipt is the digest of."""
        return canonical(self.to_json())

    def signed_bytes(self) -> bytes:
        """What the signature is of."""
        return canonical({name: value for name, value in self.to_json().items() if name != "signature"})

    def text(self) -> str:
        """The receipt for a terminal."""
        from remanence.forget.page import text

        return text(self)

    def page(self) -> str:
        """The receipt as a web page that stands alone."""
        from remanence.forget.page import page

        return page(self)


def closure_digest(ids: Sequence[str]) -> str:
    """SHA-256 of sorted ids, one a line."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def graded(
    tests: Sequence[Test], substrates: Sequence[Substrate], forms: Sequence[FormReport] = (), *, rewritten: bool
) -> Grade:
    """What the tests come to."""
    if not rewritten:
        return "S"
    figures = [figure for one in forms for figure in one.figures]
    if any(one.verdict is Verdict.FAIL for one in (*tests, *substrates, *figures)):
        return "F"
    return "A" if any(one.mode == "approximate" for one in forms) else "E"


def signed(receipt: Receipt, key: SigningKey, number: int, before: str | None) -> Receipt:
    """The receipt as the next of a chain. `before` is the stored body of the last one."""
    prev = FIRST if before is None else hashlib.sha256(before.encode()).hexdigest()
    chained = replace(receipt, number=number, prev=prev, issuer=key.fingerprint, key=key.public.hex(), signature="")
    return replace(chained, signature=key.sign(chained.signed_bytes()).hex())


def is_signed(receipt: Receipt) -> bool:
    """Whether the holder of the key that it names signed it as it is."""
    try:
        key, signature = bytes.fromhex(receipt.key), bytes.fromhex(receipt.signature)
    except ValueError:
        return False
    return verify(key, signature, receipt.signed_bytes())


def parsed(text: str | bytes) -> Receipt:
    """The receipt in a file or a row.

    Raises
    ------
    ReceiptError
        It is none, or of a later format.
    """
    try:
        data = json.loads(text)
        if data["format"] != FORMAT:
            raise ReceiptError(
                f"The format {data['format']!r} is not known.", "Upgrade: pip install --upgrade remanence"
            )
        found = _receipt(data)
        same = found.to_json() == data
    except json.JSONDecodeError as error:
        raise ReceiptError(f"This is not a receipt, for it is not JSON: {error}.", _ELSE) from error
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ReceiptError("This is not a receipt: what a receipt holds is not there.", _ELSE) from error
    if not same:
        raise ReceiptError("This receipt has other fields than the format.", _ELSE)
    return found


def _receipt(data: Mapping[str, Any]) -> Receipt:
    return Receipt(
        id=data["id"], number=data["number"], issued_at=data["issued_at"], issuer=data["issuer"]["fingerprint"],
        key=data["issuer"]["key"], store=data["store"], request=Request(**data["request"]),
        target=_aim(data["target"]),
        time_window=(data["time_window"]["from"], data["time_window"]["to"]), release=data["method"]["release"],
        substrates=tuple(Substrate(**one | {"verdict": Verdict(one["verdict"])}) for one in data["substrates"]),
        tests=tuple(Test(**one | {"verdict": Verdict(one["verdict"])}) for one in data["tests"]),
        came_back=tuple(data["came_back"]), rebuilt=tuple(data["rebuilt"]), residual_risk=tuple(data["residual_risk"]),
        not_reached=tuple(Beyond(**one) for one in data["not_reached"]), exact=data["exact"], grade=data["grade"],
        journal=Chained(**data["journal"]), prev=data["prev"], signature=data["signature"],
        forms=tuple(report_of(one) for one in data.get("forms", ())),
    )  # fmt: skip


def _aim(data: Mapping[str, Any]) -> Aim:
    return Aim(
        record_ids=tuple(data["record_ids"]), chosen=data["chosen"], spaces=tuple(data["spaces"]), versions=data["versions"],
        keyed_digests=tuple(data["keyed_digests"]), lineage_closure_digest=data["lineage_closure_digest"],
    )  # fmt: skip
