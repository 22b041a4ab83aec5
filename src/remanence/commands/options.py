"""The arguments that commands of any area may take, and the table of the basic commands."""

from __future__ import annotations

from typing import Any

from remanence.commands import basic
from remanence.commands.command import Command
from remanence.cubes import Kind, Route
from remanence.policies import Trust

_STDIN = "; - reads standard input"
ARGUMENTS: dict[str, dict[str, Any]] = {
    "text": {"help": f"what it says from now on{_STDIN}"},
    "text?": {"nargs": "?", "help": f"what to remember{_STDIN}"},
    "question": {"help": f"what to look for{_STDIN}"},
    "id": {"help": "the memory's id, as add, list and recall show it"},
    "ids": {"nargs": "+", "metavar": "ID", "help": "the memories' ids"},
    "--skip-unreadable": {"action": "store_true", "help": "go on without files that cannot be read, and name them"},
    "paths": {"nargs": "+", "metavar": "PATH", "help": "files and folders"},
    "file": {"metavar": "FILE", "help": "where it lies, or will lie"},
    "action": {"nargs": "?", "choices": ["list", "fetch"], "default": "list", "help": "list (default) or fetch"},
    "name?": {"nargs": "?", "metavar": "NAME", "help": "minilm, or organisation/model on the hub"},
    "--space": {"help": "whose memory it is: spaces never see each other"},
    "--user": {"help": "the user inside the space"},
    "--agent": {"help": "the agent inside the space"},
    "--session": {"help": "the session inside the space"},
    "--jsonl": {"metavar": "FILE", "help": f"messages, one JSON object or text a line{_STDIN}"},
    "--role": {"help": "user (default), assistant, system, tool or document"},
    "--name": {"help": "who says it"},
    "--time": {"help": "when it was said, or from when a correction holds, such as 2024-05-08T13:56"},
    "--title": {"help": "what it is about"},
    "--source": {"help": "where it comes from"},
    "--meta": {"metavar": "KEY=VALUE", "action": "append", "default": [], "help": "your own data; may be repeated"},
    "--key": {"metavar": "IDEMPOTENCY_KEY", "help": "makes a repetition of the same call harmless"},
    "-k": {"type": int, "default": 5, "metavar": "N", "help": "how many hits (5)"},
    "--known-at": {"metavar": "TIME", "help": "what the store knew then"},
    "--as-of": {"metavar": "TIME", "help": "the memory as the world stood then"},
    "--now": {"metavar": "TIME", "help": 'what "last week" counts from'},
    "--since": {"metavar": "TIME", "help": "said at this time or later"},
    "--until": {"metavar": "TIME", "help": "said before this time"},
    "--kind": {"metavar": "KIND", "action": "append", "help": f"{', '.join(Kind)}; may be repeated"},
    "--route": {"choices": [route.value for route in Route], "help": "how to look: else the gate decides"},
    "--current": {"action": "store_true", "help": "leave out what something newer has replaced"},
    "-k10": {"type": int, "default": 10, "metavar": "N", "help": "how many memories to read (10)"},
    "--method": {
        "choices": ["auto", "extractive", "plain", "sure", "local"],
        "default": "auto",
        "help": "auto: a model where there is one",
    },
    "--budget": {"type": int, "metavar": "TOKENS", "help": "tokens of memories that a model may read (4000)"},
    "--by": {"choices": ["rules", "model"], "default": "rules", "help": "who makes the pairs (rules)"},
    "extractions?": {
        "nargs": "?",
        "metavar": "FILE",
        "help": "cached extractions, .json or .jsonl; else the model reads",
    },
    "pairs?": {"nargs": "?", "metavar": "FILE", "help": "pairs to remember, .jsonl or .csv; else they are made"},
    "labelled": {"metavar": "FILE", "help": 'JSON Lines of {"question", "gold": [ids]}'},
    "--trust": {"choices": [one.value for one in Trust], "help": "how far it is to be believed"},
    "--sensitivity": {"metavar": "LABEL", "help": "only callers with a right to this label see it"},
    "--access": {
        "metavar": "PRINCIPAL",
        "action": "append",
        "default": [],
        "help": "who alone may see it; may be repeated",
    },
    "--ttl": {"type": float, "metavar": "SECONDS", "help": "until it expires, from now"},
    "--expires-at": {"metavar": "TIME", "help": "when it expires"},
    "--priority": {"type": float, "metavar": "N", "help": "which of two stays where room is short (0)"},
    "--half-life": {"type": float, "metavar": "DAYS", "help": "in which it fades by half when nobody uses it"},
    "--trigger": {
        "metavar": "WORDS",
        "action": "append",
        "default": [],
        "help": "words in a question that bring it up, or: always",
    },
    "--valid-from": {"metavar": "TIME", "help": "since when it holds in the world"},
    "--valid-to": {"metavar": "TIME", "help": "until when it holds in the world"},
    "--kind?": {"metavar": "KIND", "help": "one of: " + ", ".join(Kind)},
    "--relearn": {"action": "store_true", "help": "learn again what was forgotten"},
    "--no-explain": {"action": "store_true", "help": "leave out the reasons"},
    "--limit": {"type": int, "default": 20, "metavar": "N", "help": "how many (20)"},
    "--after": {"metavar": "CURSOR", "help": "go on from the page before"},
    "--yes": {"action": "store_true", "help": "do not ask"},
    "--sample": {"type": int, "default": 64, "metavar": "N", "help": "vectors to compute again (64)"},
    "--only": {"metavar": "SPACE", "help": "this space only"},
    "--vectors": {"action": "store_true", "help": "with vectors: larger, and quicker to import"},
}
_SCOPE = "--space --user --agent --session"

COMMANDS: dict[str, Command] = {
    "add": Command(
        basic.add, "Remember a text, or messages from a file.",
        'remanence add "The office moved to Lisbon." --name Ana --time 2024-05-08',
        "text? --jsonl --role --name --time --title --source --meta --kind? --valid-from --valid-to --trust --sensitivity "
        f"--access --ttl --priority --half-life --trigger --key --relearn {_SCOPE}",
    ),
    "ingest": Command(basic.ingest, "Remember files and folders.", "remanence ingest notes/ chat.jsonl",
        f"paths --skip-unreadable --relearn {_SCOPE}"),
    "recall": Command(
        basic.recall, "Find the memories that answer a question.", 'remanence recall "Where is the office?"',
        f"question -k --as-of --known-at --now --since --until --route --current --kind --meta --no-explain {_SCOPE}",
    ),
    "ask": Command(
        basic.ask, "Answer a question from memory, with citations, or say that it cannot.", 'remanence ask "Where is the office?"',
        f"question -k10 --method --budget --as-of --known-at --now {_SCOPE}",
    ),
    "get": Command(basic.get, "Show one memory in full.", "remanence get ID", "id --space"),
    "list": Command(
        basic.list_, "Show memories in the order of writing.", "remanence list --user ana", f"--limit --after {_SCOPE}"
    ),
    "correct": Command(
        basic.correct, "Replace what a memory says; the old text stays in its history.",
        'remanence correct ID "The office is in Porto."', "id text --time --space",
    ),
    "history": Command(basic.history, "Show all versions of a memory.", "remanence history ID", "id --space"),
    "extract": Command(
        basic.extract, "Let a model read what is stored: entities, facts and statements become keys.",
        "REMANENCE_MODEL=http://localhost:11434/v1#qwen3 remanence extract", "extractions? --space",
    ),
    "pair": Command(
        basic.pair, "Make question-answer pairs of what is stored, or remember those of a file.", "remanence pair",
        "pairs? --by --space",
    ),
    "conflicts": Command(basic.conflicts, "Show memories that contradict each other.", "remanence conflicts", "--space"),
    "gate": Command(
        basic.gate, "Fit the gate to questions whose answers are known.", "remanence gate labelled.jsonl", "labelled --space"
    ),
    "stats": Command(basic.stats, "Show what the store holds and what it costs.", "remanence stats --json"),
    "spaces": Command(basic.spaces, "List the spaces.", "remanence spaces"),
    "verify": Command(basic.verify, "Check the whole store; exits with 1 on problems.", "remanence verify", "--sample"),
    "reindex": Command(
        basic.reindex, "Derive all keys and vectors anew, with the embedder of the settings.",
        "REMANENCE_EMBEDDER=minilm remanence reindex",
    ),
    "backup": Command(
        basic.backup, "Copy the store to a new file while it is in use.", "remanence backup monday.rem", "file"
    ),
    "export": Command(
        basic.export, "Write every version as JSON Lines.", "remanence export all.jsonl --only work", "file --only --vectors"
    ),
    "import": Command(basic.import_, "Read what export wrote.", "remanence --store new.rem import all.jsonl", "file --relearn"),
    "models": Command(
        basic.models, "List the embedders that are here, or fetch one.", "remanence models fetch minilm", "action name?"
    ),
}  # fmt: skip
