"""Which tokens make up a word, by the marks that tokenizers put on them."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

_BEGINS = ("Ġ", "▁", " ", "Ċ", "\n", "<")
_GOES_ON = "##"


def words_of(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The number of the word that each token belongs to, from 0.

    A word begins with a token that carries a blank or is no letter or digit, or, where a tokenizer marks what goes on, with any
    that is not marked.
    """
    pieces = tokenizer.convert_ids_to_tokens(list(ids))
    marked = any(piece.startswith(_GOES_ON) for piece in pieces)
    found: list[int] = []
    for number, piece in enumerate(pieces):
        begins = not piece.startswith(_GOES_ON) if marked else piece.startswith(_BEGINS) or not piece[:1].isalnum()
        found.append((found[-1] + begins) if number else 0)
    return found
