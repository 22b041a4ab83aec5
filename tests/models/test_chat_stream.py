"""Answers in pieces, against a real web server on the loopback."""

from __future__ import annotations

import json
import threading
from itertools import islice
from time import monotonic, time
from types import SimpleNamespace

import pytest

from remanence.errors import BrokenAnswerError, EndpointError
from remanence.models import http
from remanence.models.chat import ChatModel
from remanence.models.language import Completion, Prompt, Turn
from remanence.models.tokens import Prices

KEY = "sk-very-secret-7777"
ASK = Prompt(turns=(Turn("user", "Who made the bowl?"),))
EVENT_STREAM = {"Content-Type": "text/event-stream; charset=utf-8"}
TEXT = "Die Schale ist von Marta, né€ 🙂."


def event(content=None, finish=None, *, ascii_only=False, **fields):
    choice = {"index": 0, "delta": {} if content is None else {"content": content}, "finish_reason": finish}
    data = {"object": "chat.completion.chunk", "choices": [choice]} | fields
    return f"data: {json.dumps(data, ensure_ascii=ascii_only)}\n\n".encode()


DONE = b"data: [DONE]\n\n"
USAGE = event(choices=[], usage={"prompt_tokens": 12, "completion_tokens": 9})


def streams(*chunks, **headers):
    """A stream of these chunks; an exception among them is raised, which breaks the connection off."""

    def body():
        for chunk in chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    return lambda _request: (200, EVENT_STREAM | headers, body())


@pytest.fixture
def open_model(server):
    pauses: list[float] = []

    def build(**options):
        model = ChatModel(f"{server.url}/v1", "m", **{"key": KEY, "sleep": pauses.append, "timeout": 5.0} | options)
        model.pauses = pauses
        return model

    return build


def whole(stream) -> tuple[list[str], Completion]:
    pieces = []
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as end:
            return pieces, end.value


def test_pieces_come_as_they_are_written(server, open_model):
    server.answer = streams(
        event(role="assistant"), event(""), event("Mar"), b": keep-alive\n\n", event("ta."), event(finish="stop"), USAGE, DONE
    )  # fmt: skip
    pieces, found = whole(open_model(prices=Prices(1, 1)).stream(ASK))
    assert pieces == ["Mar", "ta."]
    assert (found.text, found.finish, found.cost.calls) == ("Marta.", "stop", 1)
    assert (found.cost.prompt_tokens, found.cost.completion_tokens, found.cost.price) == (12, 9, pytest.approx(21e-6))
    body = json.loads(server.requests[0].body)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    assert server.requests[0].headers["Accept"] == "text/event-stream"


def test_the_first_piece_is_there_before_the_second_is_written(server, open_model):
    go_on = threading.Event()

    def body():
        yield event("Mar")
        go_on.wait(5)
        yield event("ta.", "stop") + DONE

    server.answer = lambda _request: (200, EVENT_STREAM, body())
    stream = open_model().stream(ASK)
    assert next(stream) == "Mar"
    go_on.set()
    assert list(stream) == ["ta."]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_chunks_may_be_cut_at_any_byte(server, open_model, size, ascii_only):
    raw = b"".join(event(c, ascii_only=ascii_only) for c in TEXT) + event(finish="stop") + DONE
    raw = raw.replace(b"\n", b"\r\n") if size % 2 else raw
    server.answer = streams(*(raw[i : i + size] for i in range(0, len(raw), size)))
    pieces, found = whole(open_model().stream(ASK))
    assert ("".join(pieces), found.text) == (TEXT, TEXT)


def test_halves_of_a_surrogate_pair_are_put_together(server, open_model):
    server.answer = streams(
        event("a\ud83d", ascii_only=True), event("\ude42b\ud83d", ascii_only=True), event("", "stop")
    )
    assert "".join(open_model().stream(ASK)) == "a🙂b\ufffd"


def test_thoughts_are_not_streamed(server, open_model):
    server.answer = streams(
        *map(event, ["<th", "ink>hm ", "<b> </thi", "nk>", "\n\n", " Mar", "ta."]), event(finish="stop"), DONE
    )
    pieces, found = whole(open_model().stream(ASK))
    assert pieces == ["Mar", "ta."]
    assert found.text == "Marta."
    assert found.cost.completion_tokens > open_model().count("Marta.")  # thoughts are paid for


@pytest.mark.parametrize("end", [DONE, b"data: [DONE]\n", event(finish="stop"), event(finish="stop") + b"data: [DO"])
def test_every_way_to_end(server, open_model, end):
    server.answer = streams(event("Marta."), end)
    assert list(open_model().stream(ASK)) == ["Marta."]


def test_nothing_after_the_end_is_read(server, open_model):
    server.answer = streams(event("Marta."), DONE, event("Ignore this."), b"data: <html>\n\n")
    assert list(open_model().stream(ASK)) == ["Marta."]


def test_an_answer_in_one_piece_is_taken_too(server, open_model):
    data = {"choices": [{"message": {"content": "Marta."}, "finish_reason": "length"}], "usage": None}
    server.answer = lambda _request: (200, {"Content-Type": "application/json"}, json.dumps(data).encode())
    pieces, found = whole(open_model().stream(ASK))
    assert (pieces, found.finish) == (["Marta."], "length")


@pytest.mark.parametrize(
    ("chunks", "what"),
    [
        ((event("Marta"), ConnectionResetError()), "broke off"),
        ((event("Marta"), event(" made")[:20], ConnectionResetError()), "broke off"),
        ((event("Marta"),), "broke off before the end"),
        ((event("Marta"), b"data: <html>\n\n"), "does not answer as a chat endpoint should"),
        ((event("Marta"), b'data: {"choices": [7]}\n\n'), "does not answer as a chat endpoint should"),
        ((event("Marta"), b'data: {"error": {"message": "out of memory"}}\n\n'), "out of memory"),
        ((event("Marta"), b"data: " + b"x" * 9_000_000), "more than 8,512,000 bytes"),
    ],
)
def test_what_breaks_midway_says_how_much_had_come_and_is_not_tried_again(server, open_model, chunks, what):
    server.answer = streams(*chunks)
    pieces = []
    with pytest.raises(EndpointError, match=what) as caught:
        pieces.extend(open_model().stream(ASK))
    assert "5 characters of the answer had come" in str(caught.value)
    assert caught.value.next_step
    assert len(server.requests) == 1


def test_before_the_first_piece_it_is_tried_again(server, open_model):
    left = iter(
        [(500, {}, b"boom"), None, streams(b": hello\n\n", ConnectionResetError()), streams(event("a", "stop"), DONE)]
    )

    def answer(request):
        found = next(left)
        if found is None:
            return 429, {"Retry-After": "3"}, b""
        return found if isinstance(found, tuple) else found(request)

    server.answer = answer
    model = open_model()
    assert list(model.stream(ASK)) == ["a"]
    assert model.pauses == [0.5, 3.0, 2.0]


@pytest.mark.parametrize("body", [b"", b": nothing\n\n"])
def test_an_empty_stream_is_broken(server, open_model, body):
    server.answer = streams(*([body] if body else []))
    with pytest.raises(EndpointError, match="broke off before the end"):
        list(open_model().stream(ASK))


def test_a_page_of_another_kind_is_refused(server, open_model):
    server.answer = lambda _request: (200, {"Content-Type": "text/html"}, b"<h1>Welcome</h1>")
    with pytest.raises(EndpointError, match="does not answer as a chat endpoint should"):
        list(open_model().stream(ASK))


def test_keep_alives_do_not_put_the_timeout_off(server, open_model):
    def body():
        yield event("Marta")
        while not server.released.wait(0.01):
            yield b": still here\n\n"

    server.answer = lambda _request: (200, EVENT_STREAM, body())
    start = monotonic()
    with pytest.raises(EndpointError, match=r"dripped.*5 characters"):
        list(open_model(timeout=0.25).stream(ASK))
    assert monotonic() - start < 3


def test_a_caller_that_takes_its_time_is_not_the_servers_fault(server, open_model, monkeypatch):
    go_on = threading.Event()

    def body():
        yield event("Mar")
        go_on.wait(5)
        yield b": still here\n\n"
        yield event("ta.", "stop") + DONE

    server.answer = lambda _request: (200, EVENT_STREAM, body())
    late = [0.0]
    monkeypatch.setattr(http, "time", SimpleNamespace(monotonic=lambda: monotonic() + late[0], time=time))
    stream = open_model().stream(ASK)
    assert next(stream) == "Mar"
    late[0] = 1000.0
    go_on.set()
    assert list(stream) == ["ta."]


def test_silence_times_out(server, open_model):
    def body():
        yield event("Marta")
        server.released.wait(5)

    server.answer = lambda _request: (200, EVENT_STREAM, body())
    with pytest.raises(EndpointError, match=r"timed out.*5 characters"):
        list(open_model(timeout=0.25).stream(ASK))


def test_closing_the_stream_closes_the_connection_and_frees_the_place(server, open_model):
    closed = threading.Event()

    def body():
        try:
            while not server.released.wait(0.005):
                yield event("Marta ")
        finally:
            closed.set()

    server.answer = lambda _request: (200, EVENT_STREAM, body())
    model = open_model(concurrency=1)
    stream = model.stream(ASK)
    assert list(islice(stream, 3)) == ["Marta "] * 3
    stream.close()
    assert closed.wait(5)
    server.answer = streams(event("next", "stop"), DONE)
    assert list(model.stream(ASK)) == ["next"]


def test_a_stream_that_is_never_begun_asks_nothing(server, open_model):
    open_model().stream(ASK).close()
    assert server.requests == []


def test_what_is_refused_is_left_out(server, open_model):
    def answer(request):
        body = json.loads(request.body)
        if "stream_options" in body:
            return 400, {}, b'{"error": {"message": "unknown field stream_options"}}'
        if "response_format" in body:
            return 400, {}, b'{"error": {"message": "unknown field response_format"}}'
        return streams(event('{"a": 1}', "stop"), DONE)(request)

    server.answer = answer
    prompt = Prompt(turns=ASK.turns, schema={"type": "object", "required": ["a"]})
    model = open_model()
    assert whole(model.stream(prompt))[1].data == {"a": 1}
    asked = len(server.requests)
    assert whole(model.stream(prompt))[1].data == {"a": 1}
    assert len(server.requests) == asked + 1


def test_an_error_in_the_first_event_counts_as_a_refusal(server, open_model):
    def answer(request):
        if "response_format" in json.loads(request.body):
            return streams(b'data: {"error": {"message": "grammar", "code": 400}}\n\n')(request)
        return streams(event('{"a": 1}', "stop"), DONE)(request)

    server.answer = answer
    assert whole(open_model().stream(Prompt(turns=ASK.turns, schema={"type": "object"})))[1].data == {"a": 1}


def test_a_streamed_answer_that_does_not_fit_is_an_error_at_its_end(server, open_model):
    server.answer = streams(event("no JSON", "stop"), DONE)
    pieces = []
    with pytest.raises(BrokenAnswerError, match="no JSON in it") as caught:
        pieces.extend(open_model().stream(Prompt(turns=ASK.turns, schema={"type": "object"})))
    assert pieces == ["no JSON"]
    assert caught.value.cost.calls == 1
    assert len(server.requests) == 1


def test_a_refusal_in_so_many_words_is_an_error(server, open_model):
    refusal = b'data: {"choices": [{"delta": {"refusal": "I cannot."}, "finish_reason": "stop"}]}\n\n'
    server.answer = streams(refusal, DONE)
    with pytest.raises(EndpointError, match="refused to answer: 'I cannot"):
        list(open_model().stream(ASK))


def test_the_token_appears_nowhere(server, open_model):
    for answer in (
        streams(event("a"), f'data: {{"error": "{KEY}"}}\n\n'.encode()),
        streams(event("a"), f"data: {KEY}\n\n".encode()),
        lambda _request: (403, {}, KEY.encode()),
    ):
        server.answer = answer
        with pytest.raises(EndpointError) as caught:
            list(open_model().stream(ASK))
        assert KEY[:9] not in f"{caught.value} {caught.value!r}"
