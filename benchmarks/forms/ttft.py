"""Time to the first token with a stored KV cache, against a full prefill and against ordinary prefix caching.

    python benchmarks/forms/ttft.py --json benchmarks/forms/results/ttft.json
    python benchmarks/forms/ttft.py --quick

The grid is that of a published table: contexts of 583, 2,773 and 6,064 tokens, questions of 167, 303 and 953. Its best cell of three
models stands beside ours. Weights and tokens are random, as timing depends on neither; outputs of all ways are compared all
the same. A file is pushed out of the page cache before it is read, opened with its digest checked, and decoded. What the published
table leaves out is the column `prefix`: the cache of the last prompt, kept by the same process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from remanence.activation.capture import capture
from remanence.activation.files import open_, save
from remanence.activation.prefix import reuse
from remanence.activation.running import extend
from remanence.models.local.caches import fork
from remanence.models.local.causal import CausalLM
from remanence.models.local.nano import NanoSpec, new
from remanence.models.local.tokenizing import byte_tokenizer

PUBLISHED = {
    (583, 167): 71.3, (583, 303): 55.6, (583, 953): 23.8, (2773, 167): 89.7, (2773, 303): 85.1, (2773, 953): 64.6,
    (6064, 167): 94.2, (6064, 303): 91.1, (6064, 953): 79.1,
}  # fmt: skip
"""Per cent of time saved, best of three models: MemOS paper (arXiv 2507.03724), table on KV-cache acceleration."""


READ = 256
"""Tokens of a pass that reads a question after a cache: a mask costs the whole rectangle of scores, so small passes waste less."""


def machine(device: str) -> str:
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, torch {torch.__version__}, {device}"


def out_of_page_cache(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def first_token(lm: CausalLM, ids: list[int], cache=None, chunk: int = READ) -> tuple[int, torch.Tensor]:
    """The first token of an answer, and the logits that it was chosen by."""
    done = cache.get_seq_length() if cache is not None else 0
    logits, _ = extend(ids[done:], lm, cache, chunk=chunk)
    return int(logits.argmax()), logits


def timed(action, before=None) -> tuple[float, float, object]:
    """Seconds by the clock, seconds of this process, and the result."""
    if before is not None:
        before()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    began, busy = time.perf_counter(), time.process_time()
    result = action()
    return time.perf_counter() - began, time.process_time() - busy, result


def cell(lm: CausalLM, context: list[int], query: list[int], folder: Path, repeats: int) -> dict:
    """One cell of the grid: medians of all ways, measured in turns so that a busy moment hits all of them."""
    ids, exact, half = [*context, *query], folder / "exact.kv", folder / "half.kv"
    build, _, block = timed(lambda: capture(context, lm, precision="fp32"))
    saving, _, _ = timed(lambda: save(block, exact))
    save(capture(context, lm, precision="fp16"), half)
    kept = lm.forward(context, keep=1).cache  # what prefix caching has from the prompt before
    ways = {
        "direct": (lambda: first_token(lm, ids, chunk=len(ids)), None),
        "disk": (lambda: first_token(lm, ids, reuse(ids, open_(exact, lm), lm).cache), lambda: out_of_page_cache(exact)),
        "disk_fp16": (lambda: first_token(lm, ids, reuse(ids, open_(half, lm), lm).cache), lambda: out_of_page_cache(half)),
        "ram": (lambda: first_token(lm, ids, reuse(ids, [block], lm).cache), None),
        "prefix": (lambda: first_token(lm, ids, fork(kept)), None),
    }  # fmt: skip
    seconds, busy = {name: [] for name in ways}, {name: [] for name in ways}
    outputs = {}
    for turn in range(repeats + 1):
        for name, (action, before) in ways.items():
            took, worked, outputs[name] = timed(action, before)
            if turn:  # the first round warms up
                seconds[name].append(took)
                busy[name].append(worked)
    medians, cpu = summed(seconds), summed(busy)
    token, logits = outputs["direct"]
    per_use = medians["direct"] - medians["disk"]
    return {
        "context": len(context), "query": len(query), "seconds": medians, "spread": {n: [min(s), max(s)] for n, s in seconds.items()},
        "saved_percent": saved(medians), "cpu_seconds": cpu, "cpu_saved_percent": saved(cpu), "published_percent": PUBLISHED.get((len(context), len(query))),
        "build_seconds": build, "save_seconds": saving, "bytes": exact.stat().st_size,
        "break_even_uses": (build + saving) / per_use if per_use > 0 else None,
        "same_first_token": {name: outputs[name][0] == token for name in ways},
        "logits_off": {name: float((outputs[name][1] - logits).abs().max()) for name in ways},
    }  # fmt: skip


def summed(seconds: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(all_) for name, all_ in seconds.items()}


def saved(medians: dict[str, float]) -> dict[str, float]:
    return {name: 100 * (1 - medians[name] / medians["direct"]) for name in ("disk", "disk_fp16", "ram", "prefix")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="a small model and a corner of the grid")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    width = 64 if options.quick else options.width
    spec = NanoSpec(
        depth=2 if options.quick else options.depth, width=width, heads=width // 64 or 1, kv_heads=max(1, width // 256), vocab=512,
        context=8192, seed=options.seed,
    )  # fmt: skip
    model = new(spec).to(options.device)
    lm = CausalLM.of(model, byte_tokenizer(), "nano")
    drawn = torch.Generator().manual_seed(options.seed)
    contexts, queries = ((583,), (167, 953)) if options.quick else ((583, 2773, 6064), (167, 303, 953))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for context in contexts:
            ids = torch.randint(3, 259, (context + max(queries),), generator=drawn).tolist()
            for query in queries:
                asked = ids[context : context + query]
                rows.append(cell(lm, ids[:context], asked, Path(folder), 1 if options.quick else options.repeats))
                saved_ = {name: round(value, 1) for name, value in rows[-1]["saved_percent"].items()}
                print(f"{context} + {query}: {saved_}", file=sys.stderr, flush=True)
    show(rows)
    if options.json:
        body = {
            "machine": machine(options.device), "seed": options.seed, "command": " ".join(sys.argv), "weights": "random",
            "parameters": sum(one.numel() for one in model.parameters()), "depth": spec.depth, "width": width, "dtype": str(lm.dtype),
            "bytes_per_token": lm.bytes_per_token, "repeats": options.repeats, "rows": rows,
        }  # fmt: skip
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


def show(rows: list[dict]) -> None:
    table = Table(title="Time to first token: seconds, and per cent saved against a full prefill")
    for name in (
        "context",
        "query",
        "direct",
        "disk",
        "disk fp16",
        "ram",
        "prefix",
        "published",
        "met",
        "disk, CPU time",
        "break-even",
    ):
        table.add_column(name, justify="right")
    for row in rows:
        cells = [
            f"{row['seconds'][way]:.3f} ({row['saved_percent'][way]:.1f})"
            for way in ("disk", "disk_fp16", "ram", "prefix")
        ]
        met = row["saved_percent"]["disk"] >= row["published_percent"]
        uses = row["break_even_uses"]
        table.add_row(
            f"{row['context']:,}", f"{row['query']:,}", f"{row['seconds']['direct']:.3f}", *cells, f"{row['published_percent']}",
            "yes" if met else "no", f"{row['cpu_saved_percent']['disk']:.1f}", "never" if uses is None else f"{uses:.2f}",
        )  # fmt: skip
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
