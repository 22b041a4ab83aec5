"""Receipts: one byte form, signed and chained, and readable."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from remanence.errors import ReceiptError
from remanence.forget.plan import Beyond
from remanence.forget.probe import Test, Verdict
from remanence.forget.receipt import (
    FIRST,
    Aim,
    Chained,
    Receipt,
    Request,
    Substrate,
    closure_digest,
    graded,
    is_signed,
    parsed,
    signed,
)
from remanence.governance.signing import SigningKey, canonical

PASS = Test("bytes: texts", "values", 2, 2, 0, Verdict.PASS)
FAIL = replace(PASS, verdict=Verdict.FAIL, after=1)


@pytest.fixture
def key(tmp_path) -> SigningKey:
    return SigningKey.open(tmp_path / "key.pem")


@pytest.fixture
def receipt(key) -> Receipt:
    bare = Receipt(
        id="r1", number=0, issued_at="2026-01-01T00:00:00+00:00", issuer="", key="", store="s",
        request=Request("owner", "ids", None, None, "<b>asked</b> & done"),
        target=Aim(("a", "b"), 1, ("default",), 3, ("00ff",), closure_digest(["b", "a"])),
        time_window=("2025-01-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00"), release="0.1",
        substrates=(Substrate("versions", 3, 0, "rows deleted", Verdict.PASS), Substrate("shm", 0, None, "x", Verdict.NOT_COMPUTABLE)),
        tests=(PASS,), came_back=("c",), rebuilt=("d",), residual_risk=("<script>alert(1)</script>",),
        not_reached=(Beyond("backup", "/tmp/<x>.rem", "Delete it."),), exact=True, grade="E", journal=Chained(4, 5, "ab"),
    )  # fmt: skip
    return signed(bare, key, 1, None)


def test_it_is_read_back_as_it_was(receipt):
    assert parsed(receipt.canonical()) == receipt
    assert parsed(json.dumps(receipt.to_json(), indent=2)) == receipt
    assert receipt.canonical() == canonical(receipt.to_json())
    assert receipt.to_json()["format"] == "remanence.forget/1"
    assert receipt.to_json()["rollback"]["possible"] is False


@pytest.mark.parametrize(
    "change",
    [lambda data: data.update(grade="F"), lambda data: data["target"]["record_ids"].append("c"),
     lambda data: data["tests"][0].update(after=7), lambda data: data.update(number=2),
     lambda data: data["request"].update(reason=None), lambda data: data["journal"].update(entry=6)],
    ids=["grade", "ids", "test", "number", "reason", "journal"],
)  # fmt: skip
def test_a_changed_receipt_is_not_signed(receipt, change):
    assert is_signed(receipt)
    data = receipt.to_json()
    change(data)
    assert not is_signed(parsed(json.dumps(data)))


def test_another_key_does_not_pass(receipt, tmp_path):
    other = SigningKey.open(tmp_path / "other.pem")
    assert not is_signed(replace(receipt, key=other.public.hex()))
    assert not is_signed(replace(receipt, key="no key"))


def test_each_receipt_names_the_one_before(receipt, key):
    assert (receipt.number, receipt.prev) == (1, FIRST)
    body = receipt.canonical().decode()
    second = signed(receipt, key, 2, body)
    assert (second.number, len(second.prev)) == (2, 64)
    assert second.prev != signed(receipt, key, 2, body.replace("rows", "cows")).prev


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", '{"format": "remanence.forget/2"}', '{"format": "remanence.forget/1"}', "[" * 9999],
    ids=["empty", "list", "object", "null", "later", "fields", "deep"],
)
def test_what_is_no_receipt_is_refused(text):
    with pytest.raises(ReceiptError):
        parsed(text)


def test_a_receipt_with_more_fields_is_refused(receipt):
    with pytest.raises(ReceiptError):
        parsed(json.dumps(receipt.to_json() | {"comment": "hello"}))


def test_grades():
    assert graded([PASS], [], rewritten=True) == "E"
    assert graded([PASS, FAIL], [], rewritten=True) == "F"
    assert graded([PASS], [Substrate("x", 1, 1, "", Verdict.FAIL)], rewritten=True) == "F"
    assert graded([PASS, FAIL], [], rewritten=False) == "S"
    assert graded([replace(PASS, verdict=Verdict.NOT_COMPUTABLE)], [], rewritten=True) == "E"


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags, self.text = set(), ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not {name for name, _ in attrs} & {"src", "href", "onclick", "style"}

    def handle_data(self, data):
        self.text += data


def test_the_page_stands_alone_and_runs_nothing(receipt):
    page = Page()
    page.feed(receipt.page())
    assert page.tags <= {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "p",
        "b",
        "table",
        "tr",
        "th",
        "td",
        "ul",
        "li",
        "code",
    }
    for words in (
        "<b>asked</b> & done",
        "<script>alert(1)</script>",
        "/tmp/<x>.rem",
        receipt.signature,
        "a b",
        "Grade E",
    ):
        assert words in page.text, words


def test_the_text_says_the_same(receipt):
    text = receipt.text()
    for words in (
        "r1",
        "grade E",
        "rows deleted",
        "bytes: texts",
        "Delete it.",
        "NOT_COMPUTABLE",
        "<b>asked</b> & done",
    ):
        assert words in text, words
