"""Commands: small language models, trained, sampled and looked at on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remanence import show
from remanence.commands.command import Answer, Args, Command, text_of
from remanence.errors import InputError
from remanence.extras import require

if TYPE_CHECKING:
    from remanence.models.local.causal import CausalLM
    from remanence.models.local.training import Trained, TrainSpec

_DEFAULTS: Mapping[str, Any] = {
    "depth": 4, "vocab": "bpe:512", "context": 256, "batch": 16, "lr": 1e-2, "seed": 0, "rule": "adamw",
}  # fmt: skip


def lm(args: Args) -> Answer:
    for module in ("torch", "transformers"):
        require(module, extra="local", purpose="A language model on this machine")
    return {"train": _train, "sample": _sample, "info": _info}[args.action](args)


def _train(args: Args) -> Answer:
    from remanence.models.local.folders import write_model
    from remanence.models.local.packing import pack
    from remanence.models.local.training import train

    if args.out is None or not args.paths:
        raise InputError("train needs texts and a folder.", "Run: remanence lm train notes.txt --out FOLDER")
    folder = Path(args.out)
    texts = [text_of(name) for name in args.paths]
    model, tokenizer, spec = _continued(args, folder) if args.resume else _begun(args, texts)
    data = pack(texts, tokenizer)
    if not args.resume:
        write_model(folder, model, tokenizer)
    with show.Bar("steps", "done", resumes=False) as bar:
        done = train(model, data, spec, folder=folder, resume=args.resume, progress=bar)
    return Answer({"folder": str(folder), **asdict(done)}, lambda: _trained(folder, done))


def _begun(args: Args, texts: list[str]) -> tuple[Any, Any, TrainSpec]:
    """A new model."""
    from remanence.models.local import nano
    from remanence.models.local.opening import placed
    from remanence.models.local.training import TrainSpec

    if args.steps is not None and args.minutes is not None:
        raise InputError("Both steps and minutes are given.", "Use one of them.")
    said = {
        name: default if getattr(args, name) is None else getattr(args, name) for name, default in _DEFAULTS.items()
    }
    tokenizer = _tokenizer(said["vocab"], texts)
    sizes = nano.NanoSpec(depth=said["depth"], vocab=len(tokenizer), context=said["context"], seed=said["seed"])
    spec = TrainSpec(
        steps=1000 if args.steps is None else args.steps, minutes=args.minutes or 0.0, context=said["context"],
        batch=said["batch"], lr=said["lr"], seed=said["seed"], rule=said["rule"],
    )  # fmt: skip
    return placed(nano.new(sizes)), tokenizer, spec


def _continued(args: Args, folder: Path) -> tuple[Any, Any, TrainSpec]:
    """The model of a training that was stopped; the settings are the saved ones."""
    from remanence.models.local import checkpoints
    from remanence.models.local.causal import CausalLM
    from remanence.models.local.training import TrainSpec

    given = [name for name in (*_DEFAULTS, "steps", "minutes") if getattr(args, name) is not None]
    if given:
        raise InputError(
            f"--{given[0]} is given with --resume, which takes what the training began with.", "Leave it out."
        )
    state = checkpoints.read(folder)
    opened = CausalLM.open(folder, dtype="float32")
    return opened.model, opened.tokenizer, TrainSpec(**state.said["spec"])


def _tokenizer(vocab: str, texts: list[str]) -> Any:
    from remanence.models.local import tokenizing

    kind, _, size = vocab.partition(":")
    if vocab == "byte":
        return tokenizing.byte_tokenizer()
    if vocab == "word":
        return tokenizing.word_tokenizer(texts)
    if kind == "bpe" and size.isascii() and size.isdigit():
        return tokenizing.bpe_tokenizer(texts, int(size))
    raise InputError(f"--vocab is {vocab!r}.", "Use byte, bpe:512 or word.")


def _sample(args: Args) -> Answer:
    model = _opened(args)
    start = model.tokenizer.bos_token_id
    ids = model.encode(args.prompt or "") or [start if isinstance(start, int) else 0]
    made = model.generate(
        ids, max_new=args.max_new, temperature=args.temperature, seed=0 if args.seed is None else args.seed
    )
    data = {
        "prompt": args.prompt or "", "text": made.text, "finish": made.finish, "tokens": len(made.ids),
        "first_seconds": made.first_seconds, "logprob": sum(made.logprobs),
    }  # fmt: skip
    return Answer(data, lambda: show.plain(f"{args.prompt or ''}{made.text}"))


def _info(args: Args) -> Answer:
    model = _opened(args)
    parameters = sum(one.numel() for one in model.model.parameters())
    data = {
        "name": model.name, "architecture": type(model.model).__name__, "parameters": parameters, "layers": model.layers,
        "kv_heads": model.kv_heads, "head_dim": model.head_dim, "context": model.context, "vocabulary": model.vocabulary,
        "tokens": len(model.tokenizer), "dtype": str(model.dtype).removeprefix("torch."),
        "bytes_per_token": model.bytes_per_token, "fingerprint": model.fingerprint.to_json(),
    }  # fmt: skip
    rows = [
        ("name", model.name),
        (
            "architecture",
            f"{data['architecture']}, {model.layers} layers, {model.kv_heads} key–value heads of {model.head_dim}",
        ),
        ("parameters", f"{parameters:,} in {data['dtype']}"),
        ("context", f"{model.context:,} tokens"),
        ("vocabulary", f"{len(model.tokenizer):,} tokens, {model.vocabulary:,} embeddings"),
        (
            "cache",
            f"{model.bytes_per_token:,} bytes per token, {show.size(model.bytes_per_token * model.context)} in full",
        ),
        *(
            (f"{name} digest", value or "none")
            for name, value in model.fingerprint.to_json().items()
            if name != "dtype"
        ),
    ]
    return Answer(data, lambda: show.pairs(rows))


def _opened(args: Args) -> CausalLM:
    from remanence.models.local.causal import CausalLM

    if len(args.paths) != 1:
        raise InputError(f"{args.action} takes one model folder.", f"Run: remanence lm {args.action} FOLDER")
    return CausalLM.open(args.paths[0])


def _trained(folder: Path, done: Trained) -> Any:
    rows = [
        ("folder", str(folder)),
        ("steps", f"{done.steps:,}, {done.tokens:,} tokens"),
        ("loss", f"{done.loss:.3f} nats per token"),
    ]
    if done.held_out is not None and done.bits_per_byte is not None:
        rows.append(("held out", f"{done.held_out:.3f} nats per token, {done.bits_per_byte:.3f} bits per byte"))
    rows.append(("time", f"{done.seconds:,.1f} s"))
    return show.pairs(rows)


ARGUMENTS: dict[str, dict[str, Any]] = {
    "action": {"choices": ["train", "sample", "info"], "help": "train a new model, let one write, or show what it is"},
    "paths": {
        "nargs": "*",
        "metavar": "PATH",
        "help": "texts in UTF-8 to learn from; for sample and info, a model folder",
    },
    "--out": {"metavar": "FOLDER", "help": "where the model is written"},
    "--depth": {"type": int, "metavar": "N", "help": "layers; all sizes follow from it (4)"},
    "--vocab": {"metavar": "KIND", "help": "byte, bpe:SIZE up to 1024, or word (bpe:512)"},
    "--steps": {"type": int, "metavar": "N", "help": "steps of the training (1000)"},
    "--minutes": {"type": float, "metavar": "N", "help": "about how long to train, instead of steps"},
    "--context": {"type": int, "metavar": "N", "help": "tokens that the model sees at once (256)"},
    "--batch": {"type": int, "metavar": "N", "help": "rows of a step (16)"},
    "--lr": {"type": float, "metavar": "X", "help": "the highest learning rate (0.01)"},
    "--rule": {"choices": ["adamw", "muon"], "help": "the optimiser (adamw)"},
    "--seed": {"type": int, "metavar": "N", "help": "of all that is drawn (0)"},
    "--resume": {"action": "store_true", "help": "go on with the training in the folder, with the same texts"},
    "--prompt": {"metavar": "TEXT", "help": "what to write on from"},
    "--max-new": {"type": int, "default": 64, "metavar": "N", "help": "tokens to write at most (64)"},
    "--temperature": {
        "type": float,
        "default": 0.0,
        "metavar": "X",
        "help": "0 for the most probable token each time (0)",
    },
}
COMMANDS: dict[str, Command] = {
    "lm": Command(
        lm, "Train a small language model on this machine, let it write, or show what it is.",
        'remanence lm train notes.txt --out nano --depth 2 --minutes 2\n  remanence lm sample nano --prompt "The kiln"',
        "action paths --out --depth --vocab --steps --minutes --context --batch --lr --rule --seed --resume --prompt --max-new "
        "--temperature",
    ),
}  # fmt: skip
