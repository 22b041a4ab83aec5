"""What a fingerprint says about changes that PEFT does not know of: lookup rows, adapters under hooks, applied edits.

`CausalLM.adapter` is one text. Here it is kept as a sorted list of marks, so that several changes can come and go in any order.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from remanence.models.local.causal import CausalLM
from remanence.models.local.fingerprint import Fingerprint

_LOCK = threading.Lock()


def change(lm: CausalLM, old: str, new: str) -> None:
    """Put one mark in the place of another; "" stands for none."""
    with _LOCK:
        marks = [mark for mark in lm.adapter.split("+") if mark]
        if old in marks:
            marks.remove(old)
        lm.adapter = "+".join(sorted([*marks, new] if new else marks))


def without(lm: CausalLM, own: str) -> Fingerprint:
    """The fingerprint of a model, one mark left out: what the bearer of that mark itself stands on."""
    found = lm.fingerprint
    marks = found.adapter.split("+")
    if own in marks:
        marks.remove(own)
    return replace(found, adapter="+".join(mark for mark in marks if mark))
