"""The commands of the command line: one small function each.

A command returns an `Answer`: data for `--json`, and a view for people that is only built when it is wanted. Everything
else that is said (progress, notes, errors) goes to stderr.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from remanence import cubes, show
from remanence.commands.command import Answer, Args, meta_of, opened, said, scoped, text_of, trigger_of
from remanence.cubes import DEFAULT_SPACE, Hit
from remanence.errors import InputError, NoModelError, UnreadableFileError
from remanence.settings import Settings

_SET_A_MODEL = "Set REMANENCE_MODEL=http://host:port/v1#model"
_SINGLE = (
    "role", "name", "time", "title", "meta", "kind", "valid_from", "valid_to", "trust", "sensitivity", "access", "ttl",
    "priority", "half_life", "trigger",
)  # fmt: skip
"""Options that describe one message."""

# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def add(args: Args) -> Answer:
    content = _messages(args)
    with opened(args, create=True) as memory, show.Bar("messages") as bar:
        ids = memory.add(
            content, **scoped(args), source=args.source, idempotency_key=args.key, relearn=args.relearn, progress=bar
        )
    held = {"held": ids.held} if ids.held else {}
    return Answer({"ids": ids, **held}, lambda: show.plain(*ids, *_held(ids.held)))


def _held(held: Mapping[str, str]) -> list[str]:
    return [f"held: {cube_id}, {why}" for cube_id, why in held.items()]


def _messages(args: Args) -> Any:
    single = {name: value for name in _SINGLE if (value := getattr(args, name)) not in (None, [])}
    if "trigger" in single:
        single["trigger"] = trigger_of(args.trigger)
    if args.jsonl is None:
        if args.text is None:
            raise InputError("There is no text to add.", "Pass a text, - for standard input, or --jsonl FILE.")
        return {"content": said(args.text), **single, "meta": meta_of(args.meta)}
    if args.text is not None or single:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in single) or "A text"
        raise InputError(f"{names} cannot go with --jsonl.", "Put it into the messages of the file.")
    return list(_json_lines(args.jsonl))


def _json_lines(name: str) -> Iterator[Any]:
    for number, line in enumerate(text_of(name).split("\n"), 1):
        try:
            if line.strip():
                yield json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UnreadableFileError(f"{name}, line {number} is not JSON: {error}.", "Nothing was added.") from error


def ingest(args: Args) -> Answer:
    found: list[dict[str, Any]] = []
    with opened(args, create=True) as memory, show.Bar("messages") as bar:
        for path in args.paths:
            bar.begin(path)
            ids = memory.ingest(
                path, **scoped(args), skip_unreadable=args.skip_unreadable, relearn=args.relearn, progress=bar
            )
            held = {"held": ids.held} if ids.held else {}
            found.append(
                {"path": path, "messages": len(ids), "new": ids.new, "skipped": ids.skipped, "ids": ids, **held}
            )
    lines = [f"{one['path']}: {one['messages']:,} messages, {one['new']:,} of them new" for one in found]
    lines += [f"skipped: {what}" for one in found for what in one["skipped"]]
    lines += [line for one in found for line in _held(one.get("held", {}))]
    return Answer({"paths": found}, lambda: show.plain(*lines))


def correct(args: Args) -> Answer:
    with opened(args) as memory:
        cube = memory.correct(args.id, said(args.text), space=args.space, time=args.time)
    return Answer(cube.to_json(), lambda: show.cube(cube))


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def recall(args: Args) -> Answer:
    with opened(args) as memory:
        hits = memory.recall(
            said(args.question), **scoped(args), k=args.k, kinds=args.kind, since=args.since, until=args.until,
            as_of=args.as_of, known_at=args.known_at, now=args.now, meta=meta_of(args.meta), explain=not args.no_explain,
            route=args.route, current=args.current,
        )  # fmt: skip
    routed = None if hits.routed is None else asdict(hits.routed)
    beside = {"standing": [one.to_json() for one in hits.standing], "withheld": hits.withheld}
    data = {"hits": [_hit(hit) for hit in hits], "notes": list(hits.notes), "routed": routed, **beside}
    return Answer(data, lambda: show.hits(hits))


def _hit(hit: Hit) -> dict[str, Any]:
    return {"cube": hit.cube.to_json(), "score": hit.score, "why": [asdict(reason) for reason in hit.why.reasons]}


def get(args: Args) -> Answer:
    with opened(args) as memory:
        cube = memory.get(args.id, space=args.space)
    return Answer(cube.to_json(), lambda: show.cube(cube))


def list_(args: Args) -> Answer:
    with opened(args) as memory:
        page = memory.list(**scoped(args), limit=args.limit, after=args.after)
    return Answer({"cubes": [cube.to_json() for cube in page], "cursor": page.cursor}, lambda: show.page(page))


def history(args: Args) -> Answer:
    with opened(args) as memory:
        versions = memory.history(args.id, space=args.space)
    return Answer({"versions": [cube.to_json() for cube in versions]}, lambda: show.history(versions))


def spaces(args: Args) -> Answer:
    with opened(args) as memory:
        counts = dict(memory.stats().by_space)
    return Answer({"spaces": counts}, lambda: show.spaces(counts))


def stats(args: Args) -> Answer:
    with opened(args) as memory:
        stats = memory.stats()
    return Answer(asdict(stats), lambda: show.stats(stats))


def verify(args: Args) -> Answer:
    with opened(args) as memory:
        checked = memory.verify(sample=args.sample)
    return Answer({"ok": checked.ok, **asdict(checked)}, lambda: show.checked(checked), 0 if checked.ok else 1)


def reindex(args: Args) -> Answer:
    with opened(args) as memory, show.Bar("versions") as bar:
        done = memory.reindex(bar)
    return Answer({"versions": done}, lambda: show.plain(f"{done:,} versions indexed anew"))


def backup(args: Args) -> Answer:
    with opened(args) as memory:
        path = memory.backup(args.file)
    size = path.stat().st_size
    return Answer({"file": str(path), "bytes": size}, lambda: show.plain(f"{path}: {show.size(size)}"))


def export(args: Args) -> Answer:
    with opened(args) as memory:
        count = memory.export(args.file, space=args.only, vectors=args.vectors)
    return Answer({"file": args.file, "versions": count}, lambda: show.plain(f"{args.file}: {count:,} versions"))


def import_(args: Args) -> Answer:
    with opened(args, create=True) as memory, show.Bar("versions") as bar:
        new = memory.import_(args.file, bar, relearn=args.relearn)
    return Answer({"file": args.file, "new": new}, lambda: show.plain(f"{args.file}: {new:,} new versions"))


def models(args: Args) -> Answer:
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


# ── what a model adds ────────────────────────────────────────────────────────────────────────────────────────────────


def ask(args: Args) -> Answer:
    """Streams to a terminal; the checked answer comes at the end."""
    streaming = not args.json and sys.stdout.isatty()
    found, written = cubes.Answer("", abstained=True), ""
    with opened(args) as memory:
        pieces = memory.ask_stream(
            said(args.question), method=args.method, k=args.k, budget=args.budget, **scoped(args), as_of=args.as_of, known_at=args.known_at, now=args.now
        )  # fmt: skip
        try:
            for piece in pieces:
                if isinstance(piece, cubes.Answer):
                    found = piece
                elif streaming:
                    written += piece
                    show.piece(piece)
        except KeyboardInterrupt:
            if written:
                show.piece("\n")
            raise
        except NoModelError as error:
            raise NoModelError(error.what, f"{_SET_A_MODEL}, or leave --method out.") from error
    return Answer(_answer(found), lambda: show.answer(found, written))


def _answer(found: cubes.Answer) -> dict[str, Any]:
    data = asdict(replace(found, used=(), standing=()))
    standing = [cube.to_json() for cube in found.standing]
    return {**data, "used": [hit.cube.to_json() for hit in found.used], "standing": standing}


def extract(args: Args) -> Answer:
    with opened(args) as memory, show.Bar("memories", "read") as bar:
        done = memory.extract(args.extractions, space=args.space, progress=bar)
    failures = {cube_id: str(error) for cube_id, error in done.failures.items()}
    data = {**asdict(replace(done, failures={})), "failures": failures}
    return Answer(data, lambda: show.read(done), 1 if failures else 0)


def pair(args: Args) -> Answer:
    if args.pairs is not None and args.by != "rules":
        raise InputError("--by cannot go with a file.", "Leave one of them out.")
    with opened(args, create=args.pairs is not None) as memory, show.Bar("memories", "done") as bar:
        done = memory.pair(args.pairs, by=args.by, space=args.space, progress=bar)
    if isinstance(done, cubes.Ids):
        ids = done
        return Answer({"ids": ids, "pairs": ids.new}, lambda: show.plain(f"{ids.new:,} new pairs"))
    made = done
    failures = {cube_id: str(error) for cube_id, error in made.failures.items()}
    data = {**asdict(replace(made, failures={})), "failures": failures}
    return Answer(data, lambda: show.paired(made), 1 if failures else 0)


def conflicts(args: Args) -> Answer:
    with opened(args) as memory:
        found = memory.conflicts(space=args.space or DEFAULT_SPACE)
    return Answer({"conflicts": [one.to_json() for one in found]}, lambda: show.conflicts(found))


def gate(args: Args) -> Answer:
    with opened(args) as memory, show.Bar("questions", resumes=False) as bar:
        fitted = memory.calibrate(args.labelled, space=args.space or DEFAULT_SPACE, progress=bar)
    return Answer(asdict(fitted), lambda: show.fitted(fitted))
