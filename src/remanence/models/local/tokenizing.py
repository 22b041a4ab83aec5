"""Tokenizers for models that are trained here: bytes, byte pairs, words. Made again, they are the same byte for byte.

Bytes and byte pairs give any text back as it was. Words give it back where they are known; a word carries the blank before it,
so that a prompt and an answer that begins with a blank have the same ids apart and joined.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from remanence.errors import InputError

SPECIAL = ("<|pad|>", "<|begin|>", "<|end|>")
PAD, BOS, EOS = range(3)
UNKNOWN = "<|unknown|>"
BYTES = 256
SMALLEST_BPE, LARGEST_BPE = len(SPECIAL) + BYTES, 1024

_WORD = r"[ ]?[\p{L}\p{M}\p{N}_']+|[ ]?[^\s\p{L}\p{M}\p{N}_']|\s"
_WORD_IN_PYTHON = re.compile(r"[ ]?[\w']+|[ ]?[^\s\w']|\s")


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte of UTF-8, and the three special ones: 259 in all."""
    names = {name: number for number, name in enumerate((*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())))}
    built = Tokenizer(models.BPE(vocab=names, merges=[]))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    built.decoder = decoders.ByteLevel()
    return _wrapped(built)


def bpe_tokenizer(texts: Iterable[str], size: int = 512) -> PreTrainedTokenizerFast:
    """Byte pairs learned from `texts`, at most `size` tokens (259 to 1,024): fewer where the texts have no more pairs.

    Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units", over bytes.

    Raises
    ------
    InputError
        The size is outside of these limits.
    """
    if not SMALLEST_BPE <= size <= LARGEST_BPE:
        raise InputError(
            f"A vocabulary of {size:,} byte pairs is not made here.", f"Use {SMALLEST_BPE} to {LARGEST_BPE:,}."
        )
    built = Tokenizer(models.BPE())
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    built.train_from_iterator(texts, trainer)
    return _wrapped(built)


def word_tokenizer(texts: Iterable[str], most: int = 1 << 16) -> PreTrainedTokenizerFast:
    """One token per word of `texts`, the most frequent first, then by the alphabet; signs and line ends are words of their own.

    What is not in `texts` becomes `<|unknown|>`.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(_WORD_IN_PYTHON.findall(text))
    words = sorted(counts, key=lambda word: (-counts[word], word))[: max(0, most - len(SPECIAL) - 1)]
    names = {name: number for number, name in enumerate((*SPECIAL, UNKNOWN, *words))}
    built = Tokenizer(models.WordLevel(vocab=names, unk_token=UNKNOWN))
    built.pre_tokenizer = pre_tokenizers.Split(Regex(_WORD), "isolated")
    built.decoder = decoders.Fuse()
    return _wrapped(built, unknown=UNKNOWN)


def _wrapped(built: Tokenizer, unknown: str | None = None) -> PreTrainedTokenizerFast:
    built.add_special_tokens([AddedToken(name, normalized=False) for name in SPECIAL])
    pad, bos, eos = SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=built, pad_token=pad, bos_token=bos, eos_token=eos, unk_token=unknown,
        clean_up_tokenization_spaces=False,
    )  # fmt: skip
