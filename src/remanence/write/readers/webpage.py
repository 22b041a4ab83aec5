"""HTML: what a reader of the page would read, in blocks under its headings."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from remanence.errors import UnreadableFileError
from remanence.write.readers.text import Document, decode
from remanence.write.segment import Outline

_DROPPED = frozenset(("script", "style", "nav", "template", "noscript", "svg", "iframe", "object", "canvas"))
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = frozenset(("ul", "ol", "menu"))
_CELLS = frozenset(("td", "th"))
_BLOCKS = frozenset(
    (
        *("address", "article", "aside", "blockquote", "body", "caption", "dd", "details", "dialog", "div", "dl", "dt"),
        *("fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "legend", "main", "option"),
        *("p", "section", "summary"),
    )
)


def read_html(data: bytes, path: Path, max_bytes: int) -> Document:
    """A web page: headings, paragraphs, lists, tables as `a | b`; no scripts, styles or navigation.

    Raises
    ------
    UnreadableFileError
        Not UTF-8, or markup that cannot be parsed.

    """
    del max_bytes  # checked before the file was loaded, and text does not grow
    page = _Page()
    try:
        page.feed(decode(data, path))
        page.close()
    except AssertionError as error:  # what html.parser raises on a broken declaration
        line, column = page.getpos()
        raise UnreadableFileError(
            f"{path} is not HTML that can be parsed: {error}, line {line}, column {column}.",
            "Mend that place, or save the page as text.",
        ) from error
    page.flush()
    return Document(page.outline, title=page.outline.title or " ".join("".join(page.title).split()))


@dataclass(slots=True)
class _Line:
    prefix: str = ""
    parts: list[str] = field(default_factory=list[str])
    cells: int = 0

    def text(self) -> str:
        body = " ".join("".join(self.parts).split())
        return self.prefix + body if body.strip("| ") else ""


class _Page(HTMLParser):
    """Collects lines of text, and hands them to the outline as one block whenever a block of the page ends."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.outline = Outline()
        self.title: list[str] = []
        self._lines = [_Line()]
        self._dropping, self._depth = "", 0  # the dropped element, and how many of its kind are open in it
        self._lists = self._tables = 0
        self._heading = 0
        self._in_title = self._in_pre = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if self._dropping == "nav" and tag in ("main", "article"):
            self._dropping = ""  # a menu that was never closed must not swallow the page
        if self._dropping:
            self._depth += tag == self._dropping
        elif tag in _DROPPED:
            self._dropping, self._depth = tag, 1
        else:
            self._boundary(tag, opens=True)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _DROPPED:  # <svg/> has nothing in it to drop
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if not self._dropping:
            self._boundary(tag, opens=False)
        elif tag == self._dropping:
            self._depth -= 1
            self._dropping = self._dropping if self._depth else ""

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif not self._dropping:
            self._lines[-1].parts.append(data)

    def flush(self) -> None:
        """Hand on what was collected, as a block or as the heading that it is in."""
        if self._in_pre:
            text = "".join(part for line in self._lines for part in line.parts)
        else:
            text = "\n".join(filter(None, (line.text() for line in self._lines)))
        self._lines = [_Line()]
        if self._heading:
            self.outline.open(self._heading, text)
        else:
            structured = self._in_pre or self._lists or self._tables
            self.outline.add(text, "lines" if structured else "prose")

    def _boundary(self, tag: str, *, opens: bool) -> None:
        self._in_title = opens and tag == "title"  # any other tag ends a title that was never closed
        if tag in _HEADINGS:
            self.flush()
            self._heading = _HEADINGS[tag] if opens else 0
        elif tag == "pre":
            self.flush()
            self._in_pre = opens
        elif tag == "table" or tag in _LISTS:
            self._container(tag, 1 if opens else -1)
        elif tag == "br":
            self._break()
        elif tag in ("tr", "li") or tag in _CELLS:
            self._within(tag, opens=opens)
        elif tag in _BLOCKS:
            self._block()

    def _container(self, tag: str, step: int) -> None:
        """Lists and tables: the outermost is a block of its own, one inside another goes on in it."""
        outermost = self._lists + self._tables + min(step, 0) <= 0
        if outermost:
            self.flush()
        if tag == "table":
            self._tables = max(0, self._tables + step)
        else:
            self._lists = max(0, self._lists + step)
        if not outermost:
            self._block()

    def _within(self, tag: str, *, opens: bool) -> None:
        line = self._lines[-1]
        if tag in _CELLS:
            if opens and line.cells:
                line.parts.append(" | ")
            line.cells += opens
        elif tag == "tr":
            self._lines.append(_Line())
        elif line.cells:
            line.parts.append(" ")
        elif opens:
            self._lines.append(_Line("  " * max(0, self._lists - 1) + "- "))

    def _block(self) -> None:
        """A block inside a list or a cell does not end the list or the row."""
        line = self._lines[-1]
        if line.cells or self._heading:
            line.parts.append(" ")
        elif self._in_pre:
            line.parts.append("\n")
        elif not (self._lists or self._tables):
            self.flush()
        elif line.text().strip():
            self._lines.append(_Line("  " * self._lists))

    def _break(self) -> None:
        line = self._lines[-1]
        if self._in_pre:
            line.parts.append("\n")
        elif line.cells or self._heading:
            line.parts.append(" ")
        else:
            self._lines.append(_Line("  " * self._lists))
