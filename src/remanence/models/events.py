"""Server-sent events: bytes as they come from a connection → the data of each event.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html, sections 9.2.5 and 9.2.6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_BOM = b"\xef\xbb\xbf"


def events(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The data of each event, as bytes. Where the chunks are cut plays no part: lines are put together before they are read.

    Comments (keep-alives) and other fields are skipped. The last event counts also without the blank line that should end
    it, since some servers hang up early; a last line that is not ended does not.
    """
    data: list[bytes] = []
    for line in _lines(chunks):
        if line:
            name, _, value = line.partition(b":")
            if name == b"data":
                data.append(value.removeprefix(b" "))
        elif data:
            yield b"\n".join(data)
            data.clear()
    if data:
        yield b"\n".join(data)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends: CR, LF or CR LF."""
    held, seen, first, after_cr = bytearray(), 0, True, False
    for chunk in chunks:
        # The LF of a CR LF that was cut in two ends no second line.
        held += chunk[1:] if after_cr and chunk[:1] == b"\n" else chunk
        after_cr = after_cr and not chunk
        while (end := _end(held, seen)) >= 0:
            line = bytes(held[:end])
            pair = held.startswith(b"\r\n", end)
            after_cr = held[end] == 0x0D and end + 1 == len(held)
            del held[: end + 1 + pair]
            seen = 0
            yield line.removeprefix(_BOM) if first else line
            first = False
        seen = len(held)


def _end(held: bytearray, start: int) -> int:
    """Where the first line ends, or -1."""
    feed, back = held.find(b"\n", start), held.find(b"\r", start)
    return max(feed, back) if min(feed, back) < 0 else min(feed, back)
