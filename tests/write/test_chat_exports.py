"""Chat exports: every shape that is understood, and what is said about the others."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from remanence.errors import UnreadableFileError
from remanence.settings import Settings
from remanence.write.files import read_file


def read(tmp_path: Path, value: Any, name: str = "chat.json") -> list[dict[str, Any]]:
    """The messages of a file that holds `value`: JSON of it, or the text itself."""
    path = tmp_path / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return read_file(path, root=tmp_path, settings=Settings()).messages


def said(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in messages]


# --- shapes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["role", "speaker", "author", "from", "sender"])
@pytest.mark.parametrize("what", ["content", "text", "message", "value"])
def test_a_list_of_messages_under_any_of_the_usual_keys(tmp_path, who, what):
    messages = read(tmp_path, [{who: "user", what: "Hi."}, {who: "Assistant", what: "Hello."}])
    assert messages == [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}]


def test_a_person_is_a_user_with_a_name(tmp_path):
    exported = [
        {"speaker": "Ada", "text": "Hi."},
        {"role": "human", "name": "Bob", "content": "Hey."},
        {"role": "moderator", "content": "Quiet."},
        {"role": "assistant", "speaker": "Iris", "content": "Yes?"},
        {"role": "function", "content": "42"},
    ]
    assert [(message["role"], message.get("name")) for message in read(tmp_path, exported)] == [
        ("user", "Ada"),
        ("user", "Bob"),
        ("user", "moderator"),
        ("assistant", "Iris"),
        ("tool", None),
    ]


def test_openai_messages_with_parts(tmp_path):
    parts = [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": "x"}},
        {"type": "text", "text": "ok?"},
    ]
    chat = {
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": parts},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
            {"role": "assistant", "tool_calls": [{"id": "1"}]},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
        ]
    }
    assert said(read(tmp_path, chat)) == [("system", "Be kind."), ("user", "Look:\nok?")]


def test_conversations_without_a_name_are_told_apart(tmp_path):
    chat = {"messages": [{"role": "user", "content": "Hi."}]}
    one, two, three = read(tmp_path, [chat, chat, chat["messages"]])
    root = f"file:{tmp_path.name}/chat.json"
    assert (one["session"], two["session"], three["session"]) == (f"{root}#1", f"{root}#2", f"{root}#3")


def test_a_conversation_gives_its_messages_session_title_and_time(tmp_path):
    turns = [{"role": "user", "content": "a"}, {"role": "user", "content": "b", "time": "2024-02-01", "session": "own"}]
    first, second = read(tmp_path, {"id": "s1", "title": "Trip", "date": "2024-01-01T10:00:00Z", "messages": turns})
    assert (first["session"], first["title"], first["time"]) == ("s1", "Trip", "2024-01-01T10:00:00+00:00")
    assert (second["session"], second["title"], second["time"]) == ("own", "Trip", "2024-02-01T00:00:00")


def node(parent: str | None, role: str, *parts: Any, **more: Any) -> dict[str, Any]:
    message = {
        "author": {"role": role},
        "create_time": 1_700_000_000.5,
        "content": {"content_type": "text", "parts": list(parts)},
    }
    return {"message": message | more, "parent": parent, "children": []}


def tree() -> dict[str, Any]:
    return {
        "root": {"message": None, "parent": None, "children": ["sys"]},
        "sys": node("root", "system", ""),
        "q": node("sys", "user", "Question?"),
        "old": node("q", "assistant", "First try."),
        "old2": node("old", "user", "Hm."),
        "new": node("q", "assistant", "Second try.", {"content_type": "image_asset_pointer"}),
    }


def test_chatgpt_follows_the_branch_on_screen(tmp_path):
    export = [{"title": "T", "conversation_id": "c1", "create_time": 1, "mapping": tree(), "current_node": "new"}]
    messages = read(tmp_path, export)
    assert said(messages) == [("user", "Question?"), ("assistant", "Second try.")]
    assert messages[0] == {
        "role": "user",
        "content": "Question?",
        "time": "2023-11-14T22:13:20.500000+00:00",
        "session": "c1",
        "title": "T",
    }


@pytest.mark.parametrize("current", [None, "gone", 7])
def test_chatgpt_without_a_current_node_takes_the_longest_branch(tmp_path, current):
    messages = read(tmp_path, [{"title": "T", "mapping": tree(), "current_node": current}])
    assert [text for _, text in said(messages)] == ["Question?", "First try.", "Hm."]
    assert messages[0]["session"] == "T"


def test_chatgpt_loops_and_calls_of_tools(tmp_path):
    loop = {"a": node("b", "user", "A"), "b": node("a", "assistant", "B")}
    assert {text for _, text in said(read(tmp_path, {"mapping": loop}))} == {"A", "B"}
    call = {
        "a": node(None, "user", "Draw."),
        "b": node("a", "assistant", '{"prompt": "cat"}', recipient="dalle.text2im"),
    }
    assert said(read(tmp_path, {"mapping": call})) == [("user", "Draw.")]
    code = {"a": {"message": {"author": {"role": "assistant"}, "content": {"content_type": "code", "text": "x"}}}}
    assert read(tmp_path, {"mapping": code}) == []


def test_claude_export(tmp_path):
    turn = {"uuid": "m1", "sender": "human", "text": "Hi.", "content": [], "created_at": "2024-03-01T09:00:00.123456Z"}
    answer = turn | {"uuid": "m2", "sender": "assistant", "text": "", "content": [{"type": "text", "text": "Hello."}]}
    export = [
        {"uuid": "c1", "name": "Greetings", "created_at": "2024-03-01T08:00:00Z", "chat_messages": [turn, answer]}
    ]
    messages = read(tmp_path, export)
    assert said(messages) == [("user", "Hi."), ("assistant", "Hello.")]
    assert messages[0] == {
        "role": "user",
        "content": "Hi.",
        "time": "2024-03-01T09:00:00.123456+00:00",
        "session": "c1",
        "title": "Greetings",
        "meta": {"uuid": "m1"},
    }


@pytest.mark.parametrize("name", ["chat.jsonl", "chat.ndjson"])
def test_lines_hold_messages_or_conversations(tmp_path, name):
    lines = [
        json.dumps({"role": "user", "content": "one\u2028two"}, ensure_ascii=False),
        "",
        json.dumps({"id": "s", "messages": [{"role": "user", "content": "three"}]}),
    ]
    messages = read(tmp_path, "\r\n".join(lines), name)
    assert [(message["content"], message.get("session")) for message in messages] == [
        ("one\u2028two", None),
        ("three", "s"),
    ]


def test_notices_without_words_are_passed_over(tmp_path):
    export = [
        {"type": "service", "actor": "Ada", "text": ""},
        {"from": "Ada", "text": ["See ", {"type": "link", "text": "x.org"}]},
    ]
    assert said(read(tmp_path, export)) == [("user", "See\nx.org")]


# --- fields -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (1_700_000_000, "2023-11-14T22:13:20+00:00"),
        (1_700_000_000_000, "2023-11-14T22:13:20+00:00"),
        ("1700000000", "2023-11-14T22:13:20+00:00"),
        ("2024-05-01T10:00:00+02:00", "2024-05-01T10:00:00+02:00"),
    ],
)
def test_times_become_iso(tmp_path, given, expected):
    [message] = read(tmp_path, [{"role": "user", "content": "x", "timestamp": given}])
    assert message["time"] == expected
    assert "meta" not in message


@pytest.mark.parametrize("given", ["last Tuesday", 1e300, True, 0, 2024, "2024", -1_700_000_000])
def test_a_time_that_is_none_is_kept_as_a_note(tmp_path, given):
    [message] = read(tmp_path, [{"role": "user", "content": "x", "time": given}])
    assert "time" not in message
    assert message["meta"] == {"time": given}


def test_meta_keeps_short_plain_values_and_what_was_given_as_meta(tmp_path):
    exported = {
        "role": "user",
        "content": "x",
        "id": 7,
        "mood": "fine",
        "deep": {"a": 1},
        "long": "x" * 201,
        "endless": 10**30,
        "meta": {"mood": "better", "tags": ["a"]},
    }
    [message] = read(tmp_path, [exported])
    assert message["meta"] == {"id": 7, "mood": "better", "tags": ["a"]}


def test_meta_is_bounded(tmp_path):
    [message] = read(tmp_path, [{"role": "user", "content": "x"} | {f"k{n}": n for n in range(100)}])
    assert len(message["meta"]) == 16
    worst = {f"{n:02}" + "\U0001f600" * 62: "\U0001f600" * 200 for n in range(100)}
    [message] = read(tmp_path, [{"role": "user", "content": "x"} | worst])
    assert len(json.dumps(message["meta"])) <= Settings().max_meta


def test_what_json_can_carry_and_a_database_cannot(tmp_path):
    [message] = read(
        tmp_path,
        r'[{"role": "user", "content": "a\u0000b \ud83d c \ud83d\ude00", "meta": {"\ud83d": "\u0000"}, "n": NaN, "m": 1e999}]',
    )
    assert message["content"] == "a\ufffdb \ufffd c \U0001f600"
    assert message["meta"] == {"\ufffd": "\ufffd"}


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [{"a": 1}, [{"a": 1}], ["text"], 7, [{"text": "who said it?"}], {"messages": [7]}, None]
)
def test_an_unknown_shape_names_the_known_ones(tmp_path, value):
    with pytest.raises(UnreadableFileError, match="not a known chat export") as caught:
        read(tmp_path, value)
    assert "chat.json" in caught.value.what
    assert "ChatGPT or Claude" in caught.value.next_step


def test_an_unknown_line_is_named(tmp_path):
    with pytest.raises(UnreadableFileError, match="keys 'a' in line 2"):
        read(tmp_path, '{"role": "user", "content": "x"}\n{"a": 1}', "chat.jsonl")


def test_broken_json_says_where(tmp_path):
    with pytest.raises(UnreadableFileError, match=r"chat\.json is not valid JSON: .* line 2, column 3"):
        read(tmp_path, "[\n  x]")
    with pytest.raises(UnreadableFileError, match=r"line 2, column 1\."):
        read(tmp_path, '{"role": "user", "content": "x"}\nx', "chat.jsonl")


def test_lines_in_a_json_file_are_told_their_suffix(tmp_path):
    with pytest.raises(UnreadableFileError) as caught:
        read(tmp_path, '{"role": "user", "content": "x"}\n{"role": "user", "content": "y"}')
    assert ".jsonl" in caught.value.next_step


@pytest.mark.parametrize("around", ["{}", '[{{"role": "user", "content": "x", "meta": {{"a": {}}}}}]'])
def test_deep_nesting_is_refused_wherever_the_limit_is_met(tmp_path, around):
    """First while parsing, then while walking, then while cleaning up: each has its own depth."""
    with pytest.raises(UnreadableFileError, match="too deeply"):
        read(tmp_path, around.format("[" * 100_000 + "]" * 100_000))
    for depth in range(200, 1000, 50):
        with suppress(UnreadableFileError):
            read(tmp_path, around.format("[" * depth + "]" * depth))


def test_numbers_too_long_to_convert_are_refused(tmp_path):
    with pytest.raises(UnreadableFileError, match="number that is too long"):
        read(tmp_path, f'[{{"role": "user", "content": "x", "n": {"9" * 5000}}}]')


@pytest.mark.parametrize("value", [[], {"messages": []}, {"mapping": {}}])
def test_an_empty_chat_has_no_messages(tmp_path, value):
    assert read(tmp_path, value) == []
