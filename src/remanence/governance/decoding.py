"""Text inside text: base64, hexadecimal, percent signs, escapes, and letters turned around."""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
from collections.abc import Callable, Iterator
from urllib.parse import unquote_to_bytes

_RUNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("hexadecimal", re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}[ :,]?){20,4000}")),
    ("base64", re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/_-]{32,8000}={0,2}")),
    ("base64 in lines", re.compile(r"(?<![A-Za-z0-9+/=_-])(?:[A-Za-z0-9+/]{40,76}\n){1,200}[A-Za-z0-9+/]{4,76}={0,2}")),
    ("percent signs", re.compile(r"(?:%[0-9A-Fa-f]{2}){12,4000}")),
    ("escapes", re.compile(r"(?:\\u00[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2}){12,4000}")),
    ("entities", re.compile(r"(?:&#(?:x[0-9A-Fa-f]{2,4}|[0-9]{2,4});){12,4000}")),
    ("binary digits", re.compile(r"(?:[01]{8} ?){16,4000}")),
)
_READS = re.compile(r"(?:[A-Za-z][a-z']{0,20}[ ,.;:!?-]{1,3}){4}")
_MOST = 64  # runs of each kind that are looked at
_TURNED = 65_536  # characters that are read backwards and by rot13


def decoded(text: str) -> Iterator[tuple[str, str]]:
    """Each stretch of a text that decodes to words: what it was written in, and what it says; then all of it, turned around."""
    for name, pattern in _RUNS:
        for number, match in enumerate(pattern.finditer(text)):
            if number == _MOST:
                break
            inner = _text_of(_DECODERS[name], match.group())
            if inner is not None:
                yield name, inner
    start = text[:_TURNED]
    yield "rot13", codecs.decode(start, "rot13")
    yield "reversed", start[::-1]


def _text_of(decode: Callable[[str], bytes], run: str) -> str | None:
    """What a run says, if it is words; None if it is bytes, a hash, a key, a picture."""
    try:
        plain = decode(run).decode("utf-8")
    except (ValueError, binascii.Error):  # UnicodeDecodeError is a ValueError
        return None
    return plain if _READS.search(plain) else None


def _base64(run: str) -> bytes:
    plain = run.replace("\n", "").rstrip("=").replace("-", "+").replace("_", "/")
    plain = plain[: len(plain) - (len(plain) % 4 == 1)]
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def _hexadecimal(run: str) -> bytes:
    return bytes.fromhex(re.sub(r"[ :,]", "", run))


def _escapes(run: str) -> bytes:
    return bytes(int(code, 16) for code in re.findall(r"\\(?:u00|x)([0-9A-Fa-f]{2})", run))


def _binary(run: str) -> bytes:
    return bytes(int(octet, 2) for octet in re.findall(r"[01]{8}", run))


_DECODERS: dict[str, Callable[[str], bytes]] = {
    "hexadecimal": _hexadecimal,
    "base64": _base64,
    "base64 in lines": _base64,
    "percent signs": unquote_to_bytes,
    "escapes": _escapes,
    "entities": lambda run: html.unescape(run).encode(),
    "binary digits": _binary,
}
