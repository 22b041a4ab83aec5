"""A receipt for people: as plain text for a terminal, and as one web page without a script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from remanence.forget.receipt import Receipt

_GRADES = {
    "E": "exact: every copy within reach was erased, and nothing of it was found afterwards",
    "A": "approximate: every copy in text and caches was erased; weights were changed to unlearn it, within the figures below",
    "S": "suppressed only: no row is left, but the file could not be rewritten and may still hold bytes of it",
    "F": "failed: something of it was found afterwards",
}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}"
    "h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #ddd}td.n{text-align:right}"
    ".PASS{color:#0a6b2d}.FAIL{color:#b00020;font-weight:bold}.NOT_COMPUTABLE{color:#8a5a00}code{word-break:break-all}"
    "@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#151515}th,td{border-color:#333}"
    ".PASS{color:#5ec27e}.FAIL{color:#ff6b81}.NOT_COMPUTABLE{color:#e0a94a}}"
)


def text(receipt: Receipt) -> str:
    """The receipt in lines for a terminal."""
    lines = [
        f"Receipt {receipt.id} (number {receipt.number}), grade {receipt.grade}: {_GRADES[receipt.grade]}",
        *(f"{name}: {value}" for name, value in _facts(receipt)),
        "",
        "Where it was, rows or pieces before and after:",
        *(
            f"  {one.verdict:<14} {one.kind}: {_n(one.before)} -> {_n(one.after)}  ({one.method})"
            for one in receipt.substrates
        ),
        "",
        "Tests, before and after:",
        *(
            f"  {one.verdict:<14} {one.name}: {_n(one.before)} -> {_n(one.after)} of {one.n}{f'  ({one.words})' if one.words else ''}"
            for one in receipt.tests
        ),
        "",
        *_forms(receipt),
        "Not reached:",
        *(f"  {one.what}: {one.where}. {one.do}" for one in receipt.not_reached),
        "",
        "What stays uncertain:",
        *(f"  {one}" for one in receipt.residual_risk),
    ]
    return "\n".join(lines)


def page(receipt: Receipt) -> str:
    """The receipt as a page of HTML that needs nothing else; everything in it is escaped."""
    substrates = ((one.kind, _n(one.before), _n(one.after), one.method, one.verdict) for one in receipt.substrates)
    tests = (
        (one.name, one.statistic, str(one.n), _n(one.before), _n(one.after), one.verdict, one.words)
        for one in receipt.tests
    )
    parts = [
        f"<h1>Receipt of a forget</h1><p>Grade <b>{receipt.grade}</b>: {escape(_GRADES[receipt.grade])}.</p>",
        _table((), _facts(receipt)),
        "<h2>Where it was</h2>",
        _table(("place", "before", "after", "what was done", "verdict"), substrates),
        "<h2>Tests</h2>",
        _table(("test", "what is counted", "n", "before", "after", "verdict", "note"), tests),
        *_form_tables(receipt),
        "<h2>Not reached</h2>",
        _table(("what", "where", "what to do"), ((one.what, one.where, one.do) for one in receipt.not_reached)),
        "<h2>What stays uncertain</h2>",
        f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in receipt.residual_risk)}</ul>",
        "<h2>Erased ids</h2>",
        f"<p><code>{escape(' '.join(receipt.ids))}</code></p>",
        "<h2>Proof</h2>",
        _table((), _proof(receipt)),
        "<p>To check it: <code>remanence receipts verify FILE --key KEY</code>. This page is for reading; the JSON is what is signed.</p>",
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Receipt {escape(receipt.id)}</title><style>{_STYLE}</style></head><body>\n{chr(10).join(parts)}\n</body></html>\n"
    )


def _forms(receipt: Receipt) -> list[str]:
    lines = ["Form by form:"] if receipt.forms else []
    for one in receipt.forms:
        lines.append(f"  {one.form}: {one.mode}; {one.copies} held it; {one.how}")
        lines += [
            f"    {figure.verdict:<14} {figure.name}: {_f(figure.before)} -> {_f(figure.after)}, never saw it {_f(figure.control)} "
            f"[{_f(figure.low)}, {_f(figure.high)}] (n {figure.n})"
            for figure in one.figures
        ]
    return [*lines, ""] if lines else []


def _form_tables(receipt: Receipt) -> list[str]:
    if not receipt.forms:
        return []
    rows = ((one.form, str(one.copies), one.mode, one.how, " ".join(one.rebuilt)) for one in receipt.forms)
    figures = [
        (one.name, one.statistic, str(one.n), _f(one.before), _f(one.after), _f(one.control), f"{_f(one.low)} to {_f(one.high)}", one.verdict)
        for form in receipt.forms
        for one in form.figures
    ]  # fmt: skip
    head = ("probe", "what is counted", "n", "before", "after", "never saw it", "interval", "verdict")
    return [
        "<h2>Form by form</h2>",
        _table(("form", "copies", "mode", "what was done", "made anew"), rows),
        *([_table(head, figures)] if figures else []),
    ]


def _f(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _facts(receipt: Receipt) -> list[tuple[str, str]]:
    request, target = receipt.request, receipt.target
    found = [
        ("asked by", request.subject),
        ("by", request.selector + (f" in the space {request.space!r}" if request.space else "")),
        ("reason", request.reason or "none given"),
        (
            "erased",
            f"{len(target.record_ids)} memories, {target.versions} versions; {target.chosen} of them were asked for",
        ),
        ("spaces", ", ".join(target.spaces)),
        ("written from", receipt.time_window[0]),
        ("erased at", receipt.time_window[1]),
        ("tombstones", f"{len(target.keyed_digests)} keyed digests"),
    ]
    if receipt.came_back:
        found.append(("recalled again", ", ".join(receipt.came_back)))
    if receipt.rebuilt:
        found.append(("summaries to make anew from", ", ".join(receipt.rebuilt)))
    return found


def _proof(receipt: Receipt) -> list[tuple[str, str]]:
    return [
        ("id", f"{receipt.id}, number {receipt.number}"),
        ("store", receipt.store),
        ("issued at", receipt.issued_at),
        ("key", f"{receipt.issuer} ({receipt.key})"),
        ("journal", f"entries {receipt.journal.first} to {receipt.journal.entry}, hash {receipt.journal.hash}"),
        ("receipt before", receipt.prev),
        ("signature", receipt.signature),
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    first = f"<tr>{''.join(f'<th>{escape(one)}</th>' for one in head)}</tr>" if head else ""
    return f"<table>{first}{''.join(map(_row, rows))}</table>"


def _row(cells: Sequence[str]) -> str:
    return f"<tr>{''.join(map(_cell, cells))}</tr>"


def _cell(cell: str) -> str:
    kind = f' class="{cell}"' if cell in {"PASS", "FAIL", "NOT_COMPUTABLE"} else ' class="n"' if cell.isdigit() else ""
    return f"<td{kind}>{escape(cell)}</td>"


def _n(count: int | None) -> str:
    return "-" if count is None else str(count)
