"""Server-sent events, cut anywhere."""

from __future__ import annotations

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from remanence.models.events import events


def naive(body: bytes) -> list[bytes]:
    """The whole body at once: lines, then events."""
    body = body.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    found, data = [], []
    for line in body.split(b"\n")[:-1]:
        if not line and data:
            found.append(b"\n".join(data))
            data = []
        elif line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif line == b"data":
            data.append(b"")
    return found + ([b"\n".join(data)] if data else [])


def test_an_event_of_each_kind():
    body = (
        b"\xef\xbb\xbfdata: one\n\n: keep-alive\n\nevent: x\nid: 7\ndata: t\xc3\xa9o\r\ndata:  more\r\n\r\n"
        b"data:three\r\rdataset: no\n\ndata\n\ndata: [DONE]\n"
    )
    found = [b"one", "téo\n more".encode(), b"three", b"", b"[DONE]"]
    assert list(events([body])) == found
    assert list(events(body[i : i + 1] for i in range(len(body)))) == found
    assert naive(body) == found


def test_a_last_line_that_is_not_ended_does_not_count():
    assert list(events([b'data: {"a": 1}\n\ndata: {"b"'])) == [b'{"a": 1}']


def test_an_event_is_there_as_soon_as_its_blank_line_is():
    def chunks():
        yield b"data: a\r\n\r\n"
        raise AssertionError("asked for more before the event was given")

    assert next(events(chunks())) == b"a"


PARTS = st.sampled_from(
    [b"data: ", b"data:", b"data", b"\n", b"\r", b"\r\n", b":", b"x", "é€🙂".encode(), b" ", b"id: 1\n"]
)


@given(st.lists(PARTS, max_size=30).map(b"".join), st.lists(st.integers(0, 60), max_size=12))
@example(b"data: a\r\n\r\ndata: b\n\n", [8, 9, 10, 11])
@example(b"\r\ndata: a\r\r\n\n", [1, 10, 11])
def test_where_it_is_cut_plays_no_part(body, cuts):
    cuts = [0, *sorted(cuts), len(body)]
    chunks = [body[a:b] for a, b in itertools.pairwise(cuts)]
    assert b"".join(chunks) == body or max(cuts) > len(body)
    if max(cuts) <= len(body):
        assert list(events(chunks)) == naive(body)
    assert list(events([body])) == naive(body)
