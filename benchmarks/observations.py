"""LoCoMo's observations: what a model wrote down of each turn, as statements by the turn's key.

Run as a program, it holds extractions that were made before against their texts, as `docs/extraction.md` reports.
"""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path

from data import folder, locomo

from remanence.write.extract import SUPPORT_OF_STATEMENT, fact_of, supported
from remanence.write.grounding import Ground

_TURN = re.compile(r"D:?(\d+):(\d+)")


def observations(path: Path | None = None) -> dict[str, dict[str, list[str]]]:
    """Sample id → turn key (`D1:3`, as `data.locomo` writes it in `meta["key"]`) → statements, in the order of the file."""
    path = path or folder() / "locomo-dev" / "locomo-dev.json"
    return {sample["sample_id"]: of_sample(sample) for sample in json.loads(path.read_text(encoding="utf-8"))}


def of_sample(sample: dict) -> dict[str, list[str]]:
    """One conversation's. A statement made of several turns stands at each of them; one that names no turn is left out.

    The field is {"session_1_observation": {speaker: [[statement, key or keys], …]}}. Keys come as "D1:3", as a list of
    these, or as one text with several, such as "D8:6; D9:17" or "D:11:26".
    """
    found: dict[str, list[str]] = {}
    for session in sample.get("observation", {}).values():
        for statements in session.values() if isinstance(session, dict) else ():
            for statement, keys in statements:
                for key in dict.fromkeys(turns(keys)):
                    found.setdefault(key, []).append(statement)
    return found


def turns(keys: str | list) -> list[str]:
    """The turn keys in a field, repaired: `D:11:026` is `D11:26`."""
    texts = [keys] if isinstance(keys, str) else [key for key in keys if isinstance(key, str)]
    return [f"D{int(session)}:{int(turn)}" for text in texts for session, turn in _TURN.findall(text)]


def main() -> None:
    """How much of other people's extractions our checks let through, against the right text and against a wrong one."""
    if not folder().is_dir():
        sys.exit(f"No data in {folder()}: set REMANENCE_DATA.")
    docs = json.loads((folder() / "multihop-dev" / "openie.json").read_text(encoding="utf-8"))["docs"]
    names, facts = [], []
    for doc in docs:
        ground = Ground(doc["text"], [doc["title"]])
        names += [ground.holds(name) for name in doc["extracted_entities"]]
        found = map(fact_of, (triple for triple in doc["extracted_triples"] if len(triple) == 3))
        facts += [bool(fact and supported(fact, ground)) for fact in found]
    right, wrong = [], []
    chance, known = random.Random(0), observations()
    for corpus in locomo():
        grounds = {one["meta"]["key"]: Ground(one["content"], [one["name"]]) for one in corpus.messages}
        for key, statements in known[corpus.name].items():
            for statement in statements:
                other = chance.choice([turn for turn in grounds if turn != key])
                right.append(grounds[key].share_beyond_names(statement) >= SUPPORT_OF_STATEMENT)
                wrong.append(grounds[other].share_beyond_names(statement) >= SUPPORT_OF_STATEMENT)
    for what, passed in (
        ("entities of gpt-3.5 in their MuSiQue passage", names), ("triples of gpt-3.5 in their MuSiQue passage", facts),
        ("observations in their LoCoMo turn", right), ("observations in another turn of the conversation", wrong),
    ):  # fmt: skip
        print(f"{sum(passed) / len(passed):7.2%} of {len(passed):6,} {what}")


if __name__ == "__main__":
    main()
