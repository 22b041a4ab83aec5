"""Word files (.docx), opened with python-docx, read from their XML.

The paragraphs that python-docx offers leave out content controls and tracked insertions, and with them text.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from remanence.errors import InputTooLargeError, UnreadableFileError
from remanence.extras import require
from remanence.write.readers.text import Document
from remanence.write.segment import Outline

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"  # the same text a second time
_SKIPPED = frozenset((_FALLBACK, f"{_W}del", f"{_W}moveFrom", f"{_W}pPr", f"{_W}rPr"))
_MARKS = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
_OLE = b"\xd0\xcf\x11\xe0"  # the container of old .doc files, and of .docx files with a password
_UNPACKED = 4  # how many times `max_bytes` an archive may unpack to
_STYLE_DEPTH = 8  # styles inherit; a chain as long as this goes round in circles
_HEADING = re.compile(r"heading ([1-9])\Z", re.IGNORECASE)

# What zipfile, and python-docx on top of it, raise on damaged archives and on XML that lacks what they look for.
_STUMBLES = (
    zipfile.BadZipFile,
    zlib.error,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)


def read_word(data: bytes, path: Path, max_bytes: int) -> Document:
    """The text of a .docx file: headings, paragraphs, lists, tables as `a | b`. Deleted text, notes and margins are not read.

    Raises
    ------
    UnreadableFileError
        Damaged, encrypted, or something else than a Word file.
    InputTooLargeError
        It would unpack to more than four times `max_bytes`.
    MissingExtraError
        python-docx is not installed.

    """
    docx = require("docx", extra="files", purpose="Reading Word files")
    opc = require("docx.opc.exceptions", extra="files", purpose="Reading Word files")
    oxml = require("docx.oxml.exceptions", extra="files", purpose="Reading Word files")
    etree = require("lxml.etree", extra="files", purpose="Reading Word files")
    if data.startswith(_OLE):
        raise UnreadableFileError(
            f"{path} is an old .doc file, or has a password.", "Save it as .docx without a password and ingest that."
        )
    try:
        _check_size(data, path, max_bytes)
        document = docx.Document(BytesIO(data))
        outline = Outline()
        _Body(outline, _levels(document)).read(document.element.body)
        return Document(outline, title=outline.title or " ".join(document.core_properties.title.split()))
    except (InputTooLargeError, UnreadableFileError):
        raise
    except (opc.OpcError, oxml.XmlchemyError, etree.LxmlError, *_STUMBLES) as error:
        raise UnreadableFileError(
            f"{path} is not a Word file that can be read: {error or type(error).__name__}.",
            "Open it in a word processor and save it again as .docx.",
        ) from error


def _check_size(data: bytes, path: Path, max_bytes: int) -> None:
    """Before anything is unpacked. zipfile never unpacks more of a member than the directory says."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        members = archive.infolist()
    unpacked = sum(member.file_size for member in members)
    if unpacked > max_bytes * _UNPACKED:
        raise InputTooLargeError(
            f"{path} would unpack to {unpacked} bytes; the limit is {max_bytes * _UNPACKED}.",
            "Split it, or raise Settings.max_file.",
        )
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        raise UnreadableFileError(f"{path} is packed in a way that Word does not use.", "Save it again as .docx.")


def _levels(document: Any) -> dict[str, int]:
    """Which styles are headings, and of which level: by name, or by the style they inherit from. The title ranks above."""
    levels: dict[str, int] = {}
    for style in document.styles:
        base = style
        for _ in range(_STYLE_DEPTH):
            name = str(getattr(base, "name", None) or "")
            if match := _HEADING.match(name):
                levels[style.style_id] = int(match[1])
            elif name.lower() == "title":
                levels[style.style_id] = 0
            base = getattr(base, "base_style", None)
            if base is None or style.style_id in levels:
                break
    return levels


class _Body:
    """Walks the blocks of a document. Items of a list that follow each other become one block."""

    def __init__(self, outline: Outline, levels: dict[str, int]) -> None:
        self._outline = outline
        self._levels = levels
        self._items: list[str] = []

    def read(self, body: Any) -> None:
        """Everything in the body, in order."""
        for block in _blocks(body):
            if block.tag == f"{_W}tbl":
                self._end_list()
                self._outline.add("\n".join(_rows(block)), "lines")
            else:
                self._paragraph(block)
        self._end_list()

    def _paragraph(self, paragraph: Any) -> None:
        text = "".join(_texts(paragraph)).strip()
        style = paragraph.find(f"{_W}pPr/{_W}pStyle")
        style_id = "" if style is None else style.get(f"{_W}val", "")
        listed = paragraph.find(f"{_W}pPr/{_W}numPr") is not None or style_id.startswith("List")
        if style_id in self._levels:
            self._end_list()
            if text:
                self._outline.open(self._levels[style_id], text)
        elif listed and text:
            self._items.append("- " + " ".join(text.split()))
        elif text:
            self._end_list()
            self._outline.add(text)

    def _end_list(self) -> None:
        self._outline.add("\n".join(self._items), "lines")
        self._items = []


def _blocks(parent: Any) -> Iterator[Any]:
    """Paragraphs and tables, through whatever wraps them: content controls, custom XML, tracked insertions."""
    for child in parent:
        if child.tag in (f"{_W}p", f"{_W}tbl"):
            yield child
        elif child.tag not in _SKIPPED:
            yield from _blocks(child)


def _texts(element: Any) -> Iterator[str]:
    for child in element:
        if child.tag == f"{_W}t":
            yield child.text or ""
        elif child.tag in _MARKS:
            yield _MARKS[child.tag]
        elif child.tag not in _SKIPPED:
            yield from _texts(child)
            if child.tag == f"{_W}p":  # in a text box
                yield "\n"


def _rows(table: Any) -> Iterator[str]:
    """Rows as `a | b`. A table in a cell becomes part of the cell."""
    for row in _within(table, "tr"):
        cells = [" ".join(" ".join(_cell(cell)).split()) for cell in _within(row, "tc")]
        if any(cells):
            yield " | ".join(cells)


def _within(parent: Any, name: str) -> Iterator[Any]:
    for child in parent:
        if child.tag == f"{_W}{name}":
            yield child
        elif child.tag in (f"{_W}sdt", f"{_W}sdtContent", f"{_W}ins", f"{_W}customXml"):
            yield from _within(child, name)


def _cell(cell: Any) -> Iterator[str]:
    for block in _blocks(cell):
        if block.tag == f"{_W}tbl":
            yield "; ".join(_rows(block))
        else:
            yield "".join(_texts(block))
