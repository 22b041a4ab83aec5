"""Text and conversations to ids and back. What looks like a special token in somebody's text stays text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from remanence.errors import InputError


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The ids of a text, without special tokens."""
    return cast(Any, tokenizer)(text, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of ids, without special tokens."""
    return cast(str, tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def chat(tokenizer: PreTrainedTokenizerBase, turns: Sequence[tuple[str, str]]) -> list[int]:
    """See `CausalLM.chat`."""
    if not turns:
        raise InputError("The conversation has no turns.", "Pass at least one.")
    if not getattr(tokenizer, "chat_template", None):
        # An answer that was written behind "Assistant:" begins with the blank that stands there.
        lines = (f"{role.capitalize()}: {content.removeprefix(' ')}\n" for role, content in turns)
        return encode(tokenizer, "".join(lines) + "Assistant:")
    special = [name for name in set(map(str, tokenizer.all_special_tokens)) | _added(tokenizer) if name]
    if not any(name in content for _, content in turns for name in special):
        return _whole(tokenizer, _rendered(tokenizer, turns))
    # The contents are put in after the template was cut into tokens, so that they cannot end a turn and begin another.
    marks = [f"\ue000{number}\ue001" for number in range(len(turns))]
    text = _rendered(tokenizer, [(role, mark) for (role, _), mark in zip(turns, marks, strict=True)])
    found: list[int] = []
    for part in re.split("(\ue000\\d+\ue001)", text):
        if part in marks:
            found += encode(tokenizer, turns[marks.index(part)][1])
        elif part:
            found += _whole(tokenizer, part)
    return found


def _rendered(tokenizer: PreTrainedTokenizerBase, turns: Sequence[tuple[str, str]]) -> str:
    messages = [{"role": role, "content": content} for role, content in turns]
    try:
        return cast(str, tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    except (TemplateError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"The model's chat template refuses these turns: {error}.",
            "Use roles that it knows, in the order it wants.",
        ) from error


def _whole(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of a rendered template, its special tokens understood."""
    return cast(Any, tokenizer)(text, add_special_tokens=False, split_special_tokens=False, verbose=False)["input_ids"]


def _added(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    return {str(one) for one in cast(Any, tokenizer).added_tokens_decoder.values() if one.special}
