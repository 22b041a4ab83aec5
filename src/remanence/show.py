"""Answers of the command line for people: plain blocks that fit 80 columns, and progress on stderr.

Stored text comes from anywhere. All of it passes through `clean`, so that it can neither steer a terminal nor be read as
markup.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from io import TextIOWrapper
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from remanence.cubes import Answer, Cost, Hits, MemCube, Page
from remanence.errors import RemanenceError
from remanence.models.shelf import ModelStatus
from remanence.stats import Stats
from remanence.store.protocol import Checked

if TYPE_CHECKING:  # what they are made with is slow to load
    from remanence.calibration import Fitted
    from remanence.conflicts import Conflict
    from remanence.pairing import Paired
    from remanence.reading import Read

_CONTROLS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MARKS = re.compile(r"\s*\[\d+(?:\s*[,;]\s*\d+)*\]")  # where a model names the memories that it read
_SHORT = 400  # characters of a text where many are shown; `get` shows all
_REASONS = 3


def console(file: TextIO) -> Console:
    """Plain but for our own styles. Colours only on a terminal, none where NO_COLOR is set: rich sees to both."""
    _spelling_out(file)
    return Console(file=file, highlight=False, markup=False, emoji=False)


def clean(text: str) -> str:
    """The text with control characters, direction overrides and lone surrogates spelled out; line ends and tabs stay."""
    return _CONTROLS.sub(_spelled, text.replace("\r\n", "\n"))


def line(text: str, most: int = _SHORT) -> str:
    """The text on one line, cleaned, cut at `most` characters."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= most else flat[: most - 1].rstrip() + "…"


def plain(*lines: str) -> RenderableType:
    """Lines as they are, cleaned."""
    return Text("\n".join(map(clean, lines)))


def hits(found: Hits) -> RenderableType:
    """One block per hit: rank, score, when, who, id; the text; the strongest reasons."""
    blocks: list[RenderableType] = []
    for number, hit in enumerate(found, 1):
        head = Text.assemble((f"{number}. ", "bold"), (f"{hit.score:.2f}", "green"), "  ")
        blocks += _block(head, hit.cube)
        if hit.why.reasons:
            strongest = "; ".join(line(str(reason)) for reason in hit.why.reasons[:_REASONS])
            blocks.append(_under(Text(f"why: {strongest}", "dim")))
    if not found:
        blocks.append(Text("Nothing was found."))
    blocks += [Text.assemble(("standing: ", "bold"), line(one.text)) for one in found.standing]
    if found.withheld:
        blocks.append(Text(f"withheld from you: {found.withheld:,}", "yellow"))
    if found and found.routed is not None:
        blocks.append(Text(f"looked up by {line(str(found.routed))}", "dim"))
    return Group(*blocks, *(Text(f"note: {line(note)}", "yellow") for note in found.notes))


def piece(text: str) -> None:
    """A piece of an answer while it is written."""
    _spelling_out(sys.stdout)
    sys.stdout.write(clean(text))
    sys.stdout.flush()


def answer(found: Answer, streamed: str = "") -> RenderableType:
    """The answer, then what each sentence rests on; or that there is none. What was `streamed` as it stands is not repeated."""
    blocks: list[RenderableType] = [Text()] if streamed else []
    if found.abstained:
        blocks.append(Text("The memory does not say.", "bold"))
    elif _MARKS.sub("", streamed).split() != found.text.split():
        blocks += [Text("After the check:", "dim")] if streamed else []
        blocks.append(Text(clean(found.text), "bold"))
    blocks += [
        _under(Text.assemble((f"[{one.sentence + 1}] ", "dim"), f"“{line(one.quote)}”  ", (one.cube_id, "dim")))
        for one in found.citations
    ]
    blocks += [Text.assemble(("standing: ", "bold"), line(one.text)) for one in found.standing]
    spent = f", {found.cost.prompt_tokens + found.cost.completion_tokens:,} tokens" if found.cost.calls else ""
    blocks.append(Text(f"{found.method}, confidence {found.confidence:.2f}{spent}", "dim"))
    return Group(*blocks, *(Text(f"note: {line(note)}", "yellow") for note in found.notes))


def read(done: Read) -> RenderableType:
    """What came of extraction."""
    counts = (
        (done.waiting, "waiting"),
        (done.missing, "unknown to the file"),
        (done.dropped, "items without support left out"),
    )
    rest = "".join(f", {count:,} {what}" for count, what in counts if count)
    return _outcome(f"{done.read:,} memories read{rest}", done.failures, done.cost)


def paired(done: Paired) -> RenderableType:
    """What came of making pairs."""
    return _outcome(f"{done.pairs:,} new pairs from {done.cubes:,} memories", done.failures, done.cost)


def _outcome(summary: str, failures: Mapping[str, RemanenceError], cost: Cost) -> RenderableType:
    rows: list[RenderableType] = [Text(summary)]
    if cost.calls or cost.cached:
        tokens = cost.prompt_tokens + cost.completion_tokens
        rows.append(
            Text(
                f"{cost.calls:,} calls, {cost.cached:,} from the cache, {tokens:,} tokens, price {cost.price:.4f}",
                "dim",
            )
        )
    rows += [Text(f"failed: {cube_id}: {line(str(error))}", "red") for cube_id, error in failures.items()]
    return Group(*rows)


def conflicts(found: Sequence[Conflict]) -> RenderableType:
    """Both sides of each contradiction."""
    blocks: list[RenderableType] = []
    for one in found:
        blocks.append(Text(f"{line(one.subject)} {line(one.relation)}", "bold"))
        for side in (one.first, one.second):
            said = f"{'not ' if side.denied else ''}{line(side.value)}"
            blocks.append(_under(Text.assemble(f"{said}: “{line(side.cube.text)}”  ", (side.cube.id, "dim"))))
    return Group(*blocks) if blocks else Text("Nothing contradicts anything.")


def fitted(found: Fitted) -> RenderableType:
    """What the gate is worth on the questions it was fitted to."""
    rows = [(f"recall@10, {name}", f"{value:.3f}") for name, value in found.recall.items()]
    rows += [(f"not looked up, {name}", f"{value:.3f}") for name, value in found.withheld.items()]
    return Group(Text(f"{found.questions:,} questions, {found.answerable:,} with an answer"), pairs(rows))


def page(found: Page) -> RenderableType:
    """Two or three lines per memory, and how to go on."""
    blocks = [part for cube in found for part in _block(Text(), cube)]
    if not found:
        blocks.append(Text("There is nothing here."))
    if found.cursor:
        blocks.append(Text(f"More: --after {found.cursor}", "dim"))
    return Group(*blocks)


def cube(found: MemCube) -> RenderableType:
    """Every field that holds something, then the whole text."""
    values = found.to_json()
    text = values.pop("text")
    filled = {name: value for name, value in values.items() if value not in (None, {}, "")}
    return Group(pairs((name, str(value)) for name, value in filled.items()), Text(), Text(clean(text)))


def history(versions: Sequence[MemCube]) -> RenderableType:
    """All versions, oldest first, each with the time for which it held."""
    blocks: list[RenderableType] = []
    for one in versions:
        until = f"to {_when(one.valid_to)}" if one.valid_to else "until now"
        held = f"held from {_when(one.valid_from)} {until}"
        blocks.append(Text.assemble((f"version {one.version}", "bold"), f"  {held}  ", (one.state.value, "dim")))
        blocks.append(_under(Text(clean(one.text))))
    return Group(*blocks)


def stats(found: Stats) -> RenderableType:
    """Counts and sizes, one a line."""
    each = f", {found.bytes / found.versions:,.0f} bytes per version" if found.versions else ""
    rows = [
        ("store", found.location),
        ("memories", f"{found.cubes:,}"),
        ("versions", f"{found.versions:,}"),
        ("journal", f"{found.entries:,} entries"),
        ("no vector", f"{found.without_vector:,} versions"),
        ("file", f"{size(found.bytes)}{each}"),
        ("embedder", found.embedder or "none yet"),
    ]
    spaces = (("space", f"{name}: {count:,} memories") for name, count in found.by_space.items())
    return pairs((*rows, *spaces))


def checked(found: Checked) -> RenderableType:
    """What was looked at, then the problems."""
    looked_at = pairs((name, f"{count:,} checked") for name, count in found.checks.items())
    if found.ok:
        return Group(looked_at, Text("No problems.", "green"))
    return Group(looked_at, *(Text(f"problem: {clean(problem)}", "red") for problem in found.problems))


def models(found: Sequence[ModelStatus]) -> RenderableType:
    """One block per model."""
    blocks: list[RenderableType] = []
    for one in found:
        blocks.append(
            Text.assemble((clean(one.name), "bold"), f"  {one.precision}  {size(one.size) if one.size else ''}")
        )
        blocks.append(_under(Text(clean(one.note), "dim")))
    return Group(*blocks)


def spaces(found: Mapping[str, int]) -> RenderableType:
    """Names and counts."""
    return pairs((name, f"{count:,} memories") for name, count in found.items()) if found else Text("None yet.")


def pairs(rows: Iterable[tuple[str, str]]) -> RenderableType:
    """Names and values in two columns."""
    cleaned = [(line(name), clean(value)) for name, value in rows]
    width = max((len(name) for name, _ in cleaned), default=0)
    return Text("\n").join(Text.assemble((name.ljust(width), "dim"), f"  {value}") for name, value in cleaned)


def size(count: int) -> str:
    """Bytes for people."""
    value, unit = float(count), "bytes"
    for larger in ("KB", "MB", "GB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"


class Bar:
    """Counts what is durable, and shows it on stderr where that is a terminal.

    An interruption carries the count away with it, as a note of the exception.
    """

    def __init__(self, things: str, done: str = "durable", *, resumes: bool = True) -> None:
        self._things, self._kept, self._resumes = things, done, resumes
        self._before = self._done = self._total = 0
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
        self._live = Progress(*columns, console=console(sys.stderr), transient=True, disable=not sys.stderr.isatty())
        self._task = self._live.add_task(things, total=None)

    def begin(self, what: str) -> None:
        """Go on to the next part; what is done stays counted."""
        self._before += self._done
        self._done = self._total = 0
        self._live.update(self._task, description=line(what, 30))

    def __call__(self, done: int, total: int) -> None:
        """Take note of progress. A total of 0 is unknown."""
        self._done, self._total = done, total
        whole = self._before + total if total else None
        self._live.update(self._task, completed=self._before + done, total=whole)

    def download(self, file: str, have: int, total: int | None) -> None:
        """Take note of a file's progress."""
        self._live.update(self._task, description=line(file, 30))
        self(have, total or 0)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        if isinstance(error, KeyboardInterrupt) and self._resumes:
            of = f" of {self._before + self._total:,}" if self._total else ""
            error.add_note(f"Stopped: {self._before + self._done:,}{of} {self._things} are {self._kept}.")
            error.add_note("Run the same command again: it goes on from there.")


def result(data: Mapping[str, Any], view: Callable[[], RenderableType], *, as_json: bool) -> None:
    """An answer on stdout. As JSON it is ASCII: fit for every pipe, and unable to steer a terminal."""
    if as_json:
        text = json.dumps(data) + "\n"
    else:
        out = console(sys.stdout)
        with out.capture() as captured:  # rich would swallow a closed pipe
            out.print(view())
        text = captured.get()
    sys.stdout.write(text)
    sys.stdout.flush()


def failure(name: str, what: str, next_step: str, *, as_json: bool) -> None:
    """What went wrong and what to do: two lines on stderr, or a document on stdout."""
    if as_json:
        result({"error": name, "what": what, "next_step": next_step}, Text, as_json=True)
    else:
        say(f"error: {what}", *([f"next: {next_step}"] if next_step else []))


def say(*lines: str) -> None:
    """Lines on stderr, each on one line, cleaned."""
    for one in lines:
        sys.stderr.write(" ".join(clean(one).split()) + "\n")
    sys.stderr.flush()


@contextmanager
def warnings(*, shown: bool) -> Generator[None]:
    """What the library logs as a warning, as notes on stderr, or not at all."""
    handler = _Notes(logging.WARNING) if shown else logging.NullHandler()
    logger = logging.getLogger("remanence")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(f"note: {record.getMessage()}")


class _Rate(ProgressColumn):
    """Things per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", "dim")


def _block(head: Text, one: MemCube) -> list[RenderableType]:
    origin = one.provenance
    who = origin.author or one.about or (origin.source if origin.role == "document" else origin.role)
    head.append(f"{_when(origin.observed_at or one.recorded_at)}  {line(who, 18)}  ")
    head.append(one.id, "dim")
    return [head, _under(Text(line(one.text)))]


def _under(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 3), expand=False)


def _when(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def _spelling_out(file: TextIO) -> None:
    """What the file's encoding lacks is spelled out."""
    if isinstance(file, TextIOWrapper):
        file.reconfigure(errors="backslashreplace")


def _spelled(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
