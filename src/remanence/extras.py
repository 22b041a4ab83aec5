"""The door check of optional parts: the one place that names a pip extra."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from remanence.errors import MissingExtraError


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional module, or say which extra brings it.

    Raises
    ------
    MissingExtraError
        The module is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] != module.split(".", maxsplit=1)[0]:
            raise
        raise MissingExtraError(
            f"{purpose} needs the package {module!r}.", f"Run: pip install 'remanence[{extra}]'"
        ) from error
