"""The command line: one small function per command, and one table that names them all.

A command returns an `Answer`: data for `--json`, and a view for people that is only built when it is wanted. Everything
else that is said (progress, notes, errors) goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from rich.console import RenderableType

from remanence import show
from remanence.cubes import DEFAULT_SPACE, Hit, Kind
from remanence.errors import InputError, NotAStoreError, NotFoundError, RemanenceError, UnreadableFileError
from remanence.forget.pipeline import Erasure
from remanence.memory import Memory
from remanence.settings import Settings

_INTERRUPTED, _PIPE_CLOSED = 130, 141  # as a shell reports SIGINT and SIGPIPE
_SINGLE = ("role", "name", "time", "title", "meta")  # options that describe one message

Args = argparse.Namespace


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command has to say."""

    data: Mapping[str, Any]
    view: Callable[[], RenderableType]
    code: int = 0


@dataclass(frozen=True, slots=True)
class Command:
    """A line of the table: what runs, what its help says, and what it takes."""

    run: Callable[[Args], Answer]
    about: str
    example: str
    arguments: str = ""
    """Names of `_ARGUMENTS`, in order."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, 1 for a failure, 2 for what was asked wrongly."""
    argv = sys.argv[1:] if argv is None else argv
    as_json = "--json" in argv
    try:
        args = _parser().parse_args(argv or ["--help"])
        with show.warnings(shown=args.command != "recall"):  # its hits carry their own notes
            answer = COMMANDS[args.command].run(args)
        show.result(answer.data, answer.view, as_json=as_json)
    except RemanenceError as error:
        show.failure(type(error).__name__, error.what, error.next_step, as_json=as_json)
        return 2 if isinstance(error, InputError | NotFoundError) else 1
    except KeyboardInterrupt as error:
        what, *next_step = getattr(error, "__notes__", ["Stopped."])
        show.failure("Interrupted", what, " ".join(next_step), as_json=as_json)
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it flushes at exit
        return _PIPE_CLOSED
    except OSError as error:
        show.failure(type(error).__name__, f"{error}.", "Check the path and the disk.", as_json=as_json)
        return 1
    return answer.code


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _add(args: Args) -> Answer:
    content = _messages(args)
    with _opened(args, create=True) as memory, show.Bar("messages") as bar:
        ids = memory.add(content, **_scope(args), source=args.source, idempotency_key=args.key, progress=bar)
    return Answer({"ids": ids}, lambda: show.plain(*ids))


def _messages(args: Args) -> Any:
    single = {name: value for name in _SINGLE if (value := getattr(args, name))}
    if args.jsonl is None:
        if args.text is None:
            raise InputError("There is no text to add.", "Pass a text, - for standard input, or --jsonl FILE.")
        return {"content": _text(args.text), **single, "meta": _meta(args.meta)}
    if args.text is not None or single:
        names = ", ".join(f"--{name}" for name in single) or "A text"
        raise InputError(f"{names} cannot go with --jsonl.", "Put it into the messages of the file.")
    return list(_json_lines(args.jsonl))


def _json_lines(name: str) -> Iterator[Any]:
    for number, line in enumerate(_read(name).split("\n"), 1):
        try:
            if line.strip():
                yield json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UnreadableFileError(f"{name}, line {number} is not JSON: {error}.", "Nothing was added.") from error


def _ingest(args: Args) -> Answer:
    found: list[dict[str, Any]] = []
    with _opened(args, create=True) as memory, show.Bar("messages") as bar:
        for path in args.paths:
            bar.begin(path)
            ids = memory.ingest(path, **_scope(args), skip_unreadable=args.skip_unreadable, progress=bar)
            found.append({"path": path, "messages": len(ids), "new": ids.new, "skipped": ids.skipped, "ids": ids})
    lines = [f"{one['path']}: {one['messages']:,} messages, {one['new']:,} of them new" for one in found]
    lines += [f"skipped: {what}" for one in found for what in one["skipped"]]
    return Answer({"paths": found}, lambda: show.plain(*lines))


def _correct(args: Args) -> Answer:
    with _opened(args) as memory:
        cube = memory.correct(args.id, _text(args.text), space=args.space, time=args.time)
    return Answer(cube.to_json(), lambda: show.cube(cube))


def _forget(args: Args) -> Answer:
    with _opened(args) as memory:
        if not args.yes and not _confirmed([memory.get(one, space=args.space).text for one in args.ids]):
            return Answer(asdict(Erasure((), 0, 0)), lambda: show.plain("Nothing was erased."), 1)
        done = memory.forget(args.ids, space=args.space)
    return Answer(asdict(done), lambda: show.erasure(done))


def _confirmed(texts: Sequence[str]) -> bool:
    if not sys.stdin.isatty():
        raise InputError("Nothing was erased: nobody is here to confirm it.", "Add --yes to erase without being asked.")
    show.say(*(show.line(text, 70) for text in texts), f"Erase {len(texts)} for good? [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _recall(args: Args) -> Answer:
    with _opened(args) as memory:
        hits = memory.recall(
            _text(args.question), **_scope(args), k=args.k, kinds=args.kind, since=args.since, until=args.until,
            as_of=args.as_of, now=args.now, meta=_meta(args.meta), explain=not args.no_explain,
        )  # fmt: skip
    return Answer({"hits": [_hit(hit) for hit in hits], "notes": list(hits.notes)}, lambda: show.hits(hits))


def _hit(hit: Hit) -> dict[str, Any]:
    return {"cube": hit.cube.to_json(), "score": hit.score, "why": [asdict(reason) for reason in hit.why.reasons]}


def _get(args: Args) -> Answer:
    with _opened(args) as memory:
        cube = memory.get(args.id, space=args.space)
    return Answer(cube.to_json(), lambda: show.cube(cube))


def _list(args: Args) -> Answer:
    with _opened(args) as memory:
        page = memory.list(**_scope(args), limit=args.limit, after=args.after)
    return Answer({"cubes": [cube.to_json() for cube in page], "cursor": page.cursor}, lambda: show.page(page))


def _history(args: Args) -> Answer:
    with _opened(args) as memory:
        versions = memory.history(args.id, space=args.space)
    return Answer({"versions": [cube.to_json() for cube in versions]}, lambda: show.history(versions))


def _spaces(args: Args) -> Answer:
    with _opened(args) as memory:
        counts = dict(memory.stats().by_space)
    return Answer({"spaces": counts}, lambda: show.spaces(counts))


def _stats(args: Args) -> Answer:
    with _opened(args) as memory:
        stats = memory.stats()
    return Answer(asdict(stats), lambda: show.stats(stats))


def _verify(args: Args) -> Answer:
    with _opened(args) as memory:
        checked = memory.verify(sample=args.sample)
    return Answer({"ok": checked.ok, **asdict(checked)}, lambda: show.checked(checked), 0 if checked.ok else 1)


def _reindex(args: Args) -> Answer:
    with _opened(args) as memory, show.Bar("versions") as bar:
        done = memory.reindex(bar)
    return Answer({"versions": done}, lambda: show.plain(f"{done:,} versions indexed anew"))


def _backup(args: Args) -> Answer:
    with _opened(args) as memory:
        path = memory.backup(args.file)
    size = path.stat().st_size
    return Answer({"file": str(path), "bytes": size}, lambda: show.plain(f"{path}: {show.size(size)}"))


def _export(args: Args) -> Answer:
    with _opened(args) as memory:
        count = memory.export(args.file, space=args.only, vectors=args.vectors)
    return Answer({"file": args.file, "versions": count}, lambda: show.plain(f"{args.file}: {count:,} versions"))


def _import(args: Args) -> Answer:
    with _opened(args, create=True) as memory, show.Bar("versions") as bar:
        new = memory.import_(args.file, bar)
    return Answer({"file": args.file, "new": new}, lambda: show.plain(f"{args.file}: {new:,} new versions"))


def _models(args: Args) -> Answer:
    from remanence.models import shelf

    settings = Settings.from_environment()
    if args.action == "list":
        if args.name:
            raise InputError(f"list takes no name, but {args.name!r} was given.", "Run: remanence models")
        found = shelf.present(settings)
        return Answer({"models": [asdict(one) for one in found]}, lambda: show.models(found))
    if not args.name:
        raise InputError("There is no model to fetch.", "Run: remanence models fetch minilm")
    with show.Bar("bytes", resumes=False) as bar:
        fetched = shelf.fetch(args.name, settings, bar.download)
    return Answer(asdict(fetched), lambda: show.models([fetched]))


# ── what commands share ──────────────────────────────────────────────────────────────────────────────────────────────


def _opened(args: Args, *, create: bool = False) -> Memory:
    location = str(args.store)
    named = location == ":memory:" or "://" in location
    if not (create or named or Path(location).exists()):
        raise NotAStoreError(f"There is no store at {location}.", 'Begin one: remanence add "…", or use --store.')
    return Memory(location)


def _scope(args: Args) -> dict[str, Any]:
    found = {name: getattr(args, name) for name in ("space", "user", "agent", "session")}
    return found if found["space"] is not None else {**found, "space": DEFAULT_SPACE}


def _meta(items: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE; a value that is a JSON number, text in quotes, true, false or null is taken as that, all else as text."""
    meta: dict[str, Any] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not (key and equals):
            raise InputError(f"--meta is {item!r}.", "Write KEY=VALUE.")
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            parsed = value
        meta[key] = value if isinstance(parsed, list | dict) else parsed
    return meta


def _text(argument: str) -> str:
    return _read("-").removesuffix("\n").removesuffix("\r") if argument == "-" else argument


def _read(name: str) -> str:
    try:
        return (sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = "Standard input" if name == "-" else name
        raise UnreadableFileError(f"{where} is not UTF-8 (byte {error.start}).", "Convert it first.") from error
    except OSError as error:
        raise UnreadableFileError(f"{name} cannot be opened: {error.strerror}.", "Check its path.") from error


# ── options ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Parser(argparse.ArgumentParser):
    """Mistakes in the arguments are told like all others."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message[:1].upper()}{message[1:]}.", f"See: {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="remanence", description="A memory for language-model applications, in one file.",
        epilog="Help on a command: remanence COMMAND --help", allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"remanence {version('remanence')}")
    _everywhere(parser, store=Settings.from_environment().store, as_json=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        sub = commands.add_parser(
            name, help=command.about, description=command.about, epilog=f"example:\n  {command.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
        )  # fmt: skip
        _everywhere(sub, store=argparse.SUPPRESS, as_json=argparse.SUPPRESS)
        for argument in command.arguments.split():
            sub.add_argument(argument.rstrip("?"), **_ARGUMENTS[argument])
    return parser


def _everywhere(parser: argparse.ArgumentParser, *, store: str, as_json: object) -> None:
    """Options that may stand before or behind the command."""
    parser.add_argument(
        "--store", metavar="PATH", default=store, help="the memory's file; else REMANENCE_STORE, else memory.rem"
    )
    parser.add_argument("--json", action="store_true", default=as_json, help="answer with one JSON document")


_STDIN = "; - reads standard input"
_ARGUMENTS: dict[str, dict[str, Any]] = {
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
    "--as-of": {"metavar": "TIME", "help": "the memory as the world stood then"},
    "--now": {"metavar": "TIME", "help": 'what "last week" counts from'},
    "--since": {"metavar": "TIME", "help": "said at this time or later"},
    "--until": {"metavar": "TIME", "help": "said before this time"},
    "--kind": {"metavar": "KIND", "action": "append", "help": f"{', '.join(Kind)}; may be repeated"},
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
        _add, "Remember a text, or messages from a file.",
        'remanence add "The office moved to Lisbon." --name Ana --time 2024-05-08',
        f"text? --jsonl --role --name --time --title --source --meta --key {_SCOPE}",
    ),
    "ingest": Command(_ingest, "Remember files and folders.", "remanence ingest notes/ chat.jsonl",
        f"paths --skip-unreadable {_SCOPE}"),
    "recall": Command(
        _recall, "Find the memories that answer a question.", 'remanence recall "Where is the office?"',
        f"question -k --as-of --now --since --until --kind --meta --no-explain {_SCOPE}",
    ),
    "get": Command(_get, "Show one memory in full.", "remanence get ID", "id --space"),
    "list": Command(
        _list, "Show memories in the order of writing.", "remanence list --user ana", f"--limit --after {_SCOPE}"
    ),
    "correct": Command(
        _correct, "Replace what a memory says; the old text stays in its history.",
        'remanence correct ID "The office is in Porto."', "id text --time --space",
    ),
    "history": Command(_history, "Show all versions of a memory.", "remanence history ID", "id --space"),
    "forget": Command(
        _forget, "Erase memories for good, and search the file for what may be left.", "remanence forget ID ID",
        "ids --yes --space",
    ),
    "stats": Command(_stats, "Show what the store holds and what it costs.", "remanence stats --json"),
    "spaces": Command(_spaces, "List the spaces.", "remanence spaces"),
    "verify": Command(_verify, "Check the whole store; exits with 1 on problems.", "remanence verify", "--sample"),
    "reindex": Command(
        _reindex, "Derive all keys and vectors anew, with the embedder of the settings.",
        "REMANENCE_EMBEDDER=minilm remanence reindex",
    ),
    "backup": Command(
        _backup, "Copy the store to a new file while it is in use.", "remanence backup monday.rem", "file"
    ),
    "export": Command(
        _export, "Write every version as JSON Lines.", "remanence export all.jsonl --only work", "file --only --vectors"
    ),
    "import": Command(_import, "Read what export wrote.", "remanence --store new.rem import all.jsonl", "file"),
    "models": Command(
        _models, "List the embedders that are here, or fetch one.", "remanence models fetch minilm", "action name?"
    ),
}  # fmt: skip
