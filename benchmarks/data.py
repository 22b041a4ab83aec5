"""Where the benchmarks' data lies, and how it is read. None of it is part of the project."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

_EVIDENCE = re.compile(r"D:?(\d+):(\d+)")


def folder() -> Path:
    """`REMANENCE_DATA`, or the folder that lies beside a checkout."""
    return Path(os.environ.get("REMANENCE_DATA", Path(__file__).parents[2] / "shared" / "data"))


@dataclass(frozen=True)
class Question:
    text: str
    gold: tuple[str, ...]
    kind: str


@dataclass
class Corpus:
    """Messages for `add`, each with a `meta["key"]`, and questions with the keys of their evidence."""

    name: str
    messages: list[dict]
    questions: list[Question]
    facts: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)


def locomo(path: Path | None = None) -> list[Corpus]:
    """LoCoMo conversations, one cube per turn; categories 1 to 4, malformed evidence ids repaired, questions without evidence dropped."""
    path = path or folder() / "locomo-dev" / "locomo-dev.json"
    return [_conversation(sample) for sample in json.loads(path.read_text(encoding="utf-8"))]


def _conversation(sample: dict) -> Corpus:
    talk, messages = sample["conversation"], []
    number = 1
    while f"session_{number}_date_time" in talk or f"session_{number}" in talk:
        turns = talk.get(f"session_{number}") or []
        if turns:
            time = datetime.strptime(talk[f"session_{number}_date_time"], "%I:%M %p on %d %B, %Y")  # noqa: DTZ007
        for turn in turns:
            caption = turn.get("blip_caption")
            messages.append(
                {
                    "role": "user", "name": turn["speaker"], "time": time.isoformat(), "session": f"session_{number}",
                    "content": turn["text"] + (f" [shares image: {caption}]" if caption else ""),
                    "meta": {"key": turn["dia_id"]},
                }
            )  # fmt: skip
        number += 1
    keys = {message["meta"]["key"] for message in messages}
    questions = []
    for question in sample["qa"]:
        found = {f"D{int(a)}:{int(b)}" for text in question["evidence"] for a, b in _EVIDENCE.findall(text)} & keys
        if question["category"] != 5 and found:
            questions.append(Question(question["question"], tuple(sorted(found)), str(question["category"])))
    return Corpus(sample["sample_id"], messages, questions)


def multihop(path: Path | None = None, *, titles: bool = True) -> Corpus:
    """MuSiQue passages as documents, questions with their supporting passages."""
    path = path or folder() / "multihop-dev"
    passages = json.loads((path / "corpus.json").read_text(encoding="utf-8"))
    messages = [
        {"role": "document", "content": one["text"], "meta": {"key": str(number)}} | ({"title": one["title"]} if titles and one["title"] else {})
        for number, one in enumerate(passages)
    ]  # fmt: skip
    place = {}
    for number, one in enumerate(passages):
        place.setdefault((one["title"], one["text"]), str(number))
    questions = []
    for question in json.loads((path / "questions.json").read_text(encoding="utf-8")):
        gold = {place[one["title"], one["paragraph_text"]] for one in question["paragraphs"] if one["is_supporting"]}
        questions.append(Question(question["question"], tuple(sorted(gold)), "multihop"))
    return Corpus("multihop-dev", messages, questions)


def single_hop(path: Path | None = None) -> Corpus:
    """The first sub-questions of the same set: one passage each."""
    path = path or folder() / "multihop-dev"
    corpus = multihop(path)
    passages = json.loads((path / "corpus.json").read_text(encoding="utf-8"))
    place = {}
    for number, one in enumerate(passages):
        place.setdefault((one["title"], one["text"]), str(number))
    questions = []
    for question in json.loads((path / "questions.json").read_text(encoding="utf-8")):
        for step in question["question_decomposition"]:
            if "#" in step["question"]:
                continue
            one = question["paragraphs"][step["paragraph_support_idx"]]
            text = " ".join(part.strip() for part in step["question"].split(">>"))
            questions.append(Question(text, (place[one["title"], one["paragraph_text"]],), "single"))
    return Corpus("single-hop", corpus.messages, questions)
