"""A folder of Hugging Face → a model and its tokenizer. Weights come from safetensors only: a pickle can run code."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING
from transformers.utils import logging

from remanence.errors import InputError, ModelDamagedError, ModelMissingError, RemanenceError, UnsupportedModelError
from remanence.models.local.fingerprint import base_of

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")

_HERE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def load(where: str | Path, device: str, dtype: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, Path | None]:
    """See `CausalLM.open`. The folder is None for a name in the cache."""
    on, kind = _choose(device, dtype)
    folder = Path(where).expanduser()
    if not folder.exists():
        folder = None
        if Path(where).is_absolute() or str(where).startswith((".", "~")) or str(where).count("/") > 1:
            raise ModelMissingError(f"There is no folder {where}.", "Check its path.")
    else:
        _check_files(folder)
    place = str(where) if folder is None else str(folder)
    with _quiet():
        config = _config(place)
        tokenizer = _tokenizer(place)
        model = _weights(place, config, kind)
    check_vocabulary(model, tokenizer, place)
    return cast(PreTrainedModel, cast(Any, model).to(on)), tokenizer, folder


def placed(model: PreTrainedModel, device: str = "auto") -> PreTrainedModel:
    """A model on a device, its dtype as it is.

    Raises
    ------
    InputError
        The device is unknown, or not here.
    """
    return cast(PreTrainedModel, cast(Any, model).to(_choose(device, "float32")[0]))


def embeddings(model: PreTrainedModel) -> int:
    """Rows of the input embedding."""
    base = cast(PreTrainedModel, base_of(model))
    return int(cast(Any, base.get_input_embeddings()).weight.shape[0])


def check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, place: str) -> None:
    """Refuse a tokenizer with ids that the model does not know.

    Raises
    ------
    ModelDamagedError
    """
    highest, rows = max(tokenizer.get_vocab().values(), default=0), embeddings(model)
    if highest >= rows:
        raise ModelDamagedError(
            f"The tokenizer of {place} has ids up to {highest:,}, and the model embeddings for {rows:,}.",
            "Use the tokenizer that the model was trained with.",
        )


def _choose(device: str, dtype: str) -> tuple[torch.device, torch.dtype]:
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        on = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device is {device!r}.", "Use auto, cpu, cuda or cuda:1.") from error
    if on.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device is {device!r}, and torch sees no GPU.", "Use cpu, or install torch for CUDA.")
    if dtype == "auto":
        dtype = "bfloat16" if on.type == "cuda" else "float32"
    if dtype not in DTYPES:
        raise InputError(f"dtype is {dtype!r}.", f"Use auto, {', '.join(DTYPES)}.")
    return on, DTYPES[dtype]


def _check_files(folder: Path) -> None:
    """Say plainly what a folder lacks, before anything is read."""
    if not (folder / "config.json").is_file():
        raise ModelMissingError(f"{folder} holds no config.json.", "Give the folder of a Hugging Face model.")
    if not any((folder / name).is_file() for name in WEIGHTS):
        pickles = sorted(one.name for pattern in PICKLES for one in folder.glob(pattern))
        if pickles:
            raise ModelMissingError(
                f"{folder} holds weights as a pickle only ({pickles[0]}), which could run any code.",
                "Convert them to safetensors where you trust them.",
            )
        raise ModelMissingError(f"{folder} holds no model.safetensors.", "Copy the weights there.")
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise ModelMissingError(f"{folder} holds no tokenizer.", "Copy tokenizer.json there.")


def _config(place: str) -> Any:
    with _explained(place, "The configuration"):
        config = cast(Any, AutoConfig.from_pretrained(place, **_HERE))
    named = list(config.architectures or [])
    causal = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
    if (
        type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING
        or getattr(config, "is_encoder_decoder", False)
        or (named and not any(one.endswith(causal) for one in named))
    ):
        raise UnsupportedModelError(
            f"{place} is a {named[0] if named else config.model_type}, which is no causal language model.",
            "Use a model whose config.json names a …ForCausalLM.",
        )
    return config


def _tokenizer(place: str) -> PreTrainedTokenizerBase:
    with _explained(place, "The tokenizer"):
        return cast(PreTrainedTokenizerBase, AutoTokenizer.from_pretrained(place, **_HERE))


def _weights(place: str, config: Any, dtype: torch.dtype) -> PreTrainedModel:
    with _explained(place, "The weights"):
        model, told = cast(Any, AutoModelForCausalLM).from_pretrained(
            place, config=config, dtype=dtype, use_safetensors=True, output_loading_info=True, **_HERE
        )
    if lacking := sorted(told["missing_keys"]):  # transformers would make them up
        raise ModelDamagedError(
            f"The weights of {place} lack {len(lacking)} tensors, such as {lacking[0]}.", "Copy the whole model again."
        )
    return model


@contextmanager
def _explained(place: str, what: str) -> Generator[None]:
    """Errors of transformers and safetensors, told as ours."""
    try:
        yield
    except RemanenceError:
        raise
    except SafetensorError as error:
        raise ModelDamagedError(f"{what} of {place} cannot be read: {error}.", "Copy the model again.") from error
    except OSError as error:
        if not Path(place).exists():
            missing = f"There is neither a folder {place} nor a model of this name in the local Hugging Face cache."
            raise ModelMissingError(missing, "Check the path or the name; nothing is fetched.") from error
        raise ModelMissingError(
            f"{what} of {place} cannot be read: {_first(error)}", "Copy the model again."
        ) from error
    except (ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        if "trust_remote_code" in str(error) or "remote code" in str(error):
            raise UnsupportedModelError(
                f"{place} needs code of its own to run, which is never executed.",
                "Use a model that transformers knows.",
            ) from error
        raise ModelDamagedError(
            f"{what} of {place} cannot be used: {_first(error)}", "Copy the model again."
        ) from error


@contextmanager
def _quiet() -> Generator[None]:
    """Without the progress bars and remarks of transformers: what matters of them is raised."""
    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _first(error: Exception) -> str:
    """The first line of a message, which transformers writes long."""
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return line[:300].rstrip(".") + "."
