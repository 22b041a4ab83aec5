"""PDF files, through pypdf."""

from __future__ import annotations

import re
import struct
import zlib
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

from remanence.errors import InputTooLargeError, UnreadableFileError
from remanence.extras import require
from remanence.write.readers.text import Document
from remanence.write.segment import Outline

# Besides its own errors, pypdf lets through whatever its parser stumbles over in a damaged file. This list is what its
# sources raise and what damaging files byte by byte brought up; a MemoryError or an interrupt stays what it is.
_STUMBLES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
_HYPHEN = re.compile("(?:(?<=[^\\W\\d_])-|\u00ad)\\n(?=[a-zß-öø-ÿ])")


def read_pdf(data: bytes, path: Path, max_bytes: int) -> Document:
    """The text of a PDF file, page by page; words hyphenated at a line end are joined. A scan has no text.

    Raises
    ------
    UnreadableFileError
        Damaged, or encrypted with a password.
    InputTooLargeError
        More than `max_bytes` characters of text come out of it.
    MissingExtraError
        pypdf is not installed.

    """
    pypdf = require("pypdf", extra="files", purpose="Reading PDF files")
    errors = require("pypdf.errors", extra="files", purpose="Reading PDF files")
    outline = Outline()
    size = 0
    try:
        reader = _opened(pypdf, data, path)
        title = str((reader.metadata and reader.metadata.title) or "")
        for page in reader.pages:
            text = _HYPHEN.sub("", page.extract_text())
            size += len(text)
            _check_size(size, path, max_bytes)
            for block in text.split("\n\n"):
                outline.add(block)
    except (InputTooLargeError, UnreadableFileError):
        raise
    except errors.DependencyError as error:  # pypdf has no AES of its own
        raise _encrypted(path) from error
    except (errors.PyPdfError, errors.DeprecationError, *_STUMBLES) as error:
        raise UnreadableFileError(
            f"{path} is not a PDF file that can be read: {error or type(error).__name__}.",
            "Open it in a PDF viewer and save it again.",
        ) from error
    return Document(outline, title=outline.title or " ".join(title.split()))


def _opened(pypdf: ModuleType, data: bytes, path: Path) -> Any:
    reader = pypdf.PdfReader(BytesIO(data))
    # Many files are encrypted with an empty password, only to forbid printing: those open.
    if reader.is_encrypted and not reader.decrypt(""):
        raise _encrypted(path)
    return reader


def _check_size(size: int, path: Path, max_bytes: int) -> None:
    if size > max_bytes:
        raise InputTooLargeError(
            f"{path} holds more than {max_bytes} characters of text.", "Split it, or raise Settings.max_file."
        )


def _encrypted(path: Path) -> UnreadableFileError:
    return UnreadableFileError(f"{path} is an encrypted PDF file.", "Save a copy without a password and ingest that.")
