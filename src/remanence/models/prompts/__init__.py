"""The prompts, one file each beside this module, and how they are filled in.

A file holds a system part and a user part, divided by a line of `---`. `$name` stands for a value. Stored text never goes
into a prompt as it is: it enters as JSON (`quoted`), in which it can neither close a quotation nor start a new one, and
every prompt says that what stands there is data.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

from remanence.models.language import Turn

_DIVIDER = "\n---\n"


def render(name: str, **values: str) -> tuple[Turn, ...]:
    """The turns of a prompt file, its `$names` filled in. KeyError for a name without a value: a mistake in the code."""
    system, user = _template(name)
    return Turn("system", Template(system).substitute(values)), Turn("user", Template(user).substitute(values))


def quoted(value: Any) -> str:
    """Stored text, or a list or dict of it, as one line of JSON that holds no character a prompt's frame is made of."""
    text = json.dumps(value, ensure_ascii=False)
    for character, escape in (("<", "\\u003c"), (">", "\\u003e"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(character, escape)
    return text


@cache
def _template(name: str) -> tuple[str, str]:
    text = (files(__name__) / f"{name}.md").read_text(encoding="utf-8")
    system, _, user = text.partition(_DIVIDER)
    return system.strip(), user.strip()
