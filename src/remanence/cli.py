"""The command line: its options, and one table that names all commands. What they do stands in `commands.py`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from remanence import show
from remanence.commands import (
    access,
    audit,
    consolidation,
    forgetting,
    forms,
    lifecycle,
    lm,
    options,
    scheduling,
    trust,
)
from remanence.commands.command import Command
from remanence.errors import InputError, NotFoundError, RemanenceError
from remanence.settings import Settings

_AREAS = (options, lifecycle, access, audit, forgetting, trust, consolidation, forms, scheduling, lm)
COMMANDS: dict[str, Command] = {name: command for area in _AREAS for name, command in area.COMMANDS.items()}
_ARGUMENTS = {name: {**options.ARGUMENTS, **area.ARGUMENTS} for area in _AREAS for name in area.COMMANDS}
_INTERRUPTED, _PIPE_CLOSED = 130, 141  # as a shell reports SIGINT and SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, 1 for a failure, 2 for what was asked wrongly."""
    argv = sys.argv[1:] if argv is None else argv
    as_json = "--json" in argv
    try:
        args = _parser().parse_args(argv or ["--help"])
        with show.warnings(shown=args.command not in {"recall", "ask"}):  # these carry their own notes
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
    _everywhere(parser, store=Settings.from_environment().store, as_json=False, principal=None)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        sub = subparsers.add_parser(
            name, help=command.about, description=command.about, epilog=f"example:\n  {command.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
        )  # fmt: skip
        _everywhere(sub, store=argparse.SUPPRESS, as_json=argparse.SUPPRESS, principal=argparse.SUPPRESS)
        for argument in command.arguments.split():
            sub.add_argument(argument.rstrip("?").replace("-k10", "-k"), **_ARGUMENTS[name][argument])
    return parser


def _everywhere(parser: argparse.ArgumentParser, *, store: str, as_json: object, principal: str | None) -> None:
    """Options that may stand before or behind the command."""
    parser.add_argument(
        "--store", metavar="PATH", default=store, help="the memory's file; else REMANENCE_STORE, else memory.rem"
    )
    parser.add_argument("--json", action="store_true", default=as_json, help="answer with one JSON document")
    parser.add_argument("--as", dest="acting_as", metavar="PRINCIPAL", default=principal, help="act as this principal")
