"""The language model that `Settings` names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remanence.errors import InputError
from remanence.extras import require

if TYPE_CHECKING:
    from remanence.models.language import LanguageModel
    from remanence.settings import Settings


LOCAL = "local:"
"""What the setting of a model on this machine begins with; its folder, or its name in the local Hugging Face cache, follows."""


def open_language_model(settings: Settings) -> LanguageModel | None:
    """The language model that `settings.model` names; None where it is empty. Nothing is sent before the first prompt.

    Raises
    ------
    InputError
        The setting is neither a URL with a model after `#` nor `local:` with a folder behind it.
    MissingExtraError
        It is `local:`, and the extra `local` is not installed.
    ModelMissingError
        It is `local:`, and the folder is not there.
    """
    if not settings.model:
        return None
    if settings.model.startswith(LOCAL):
        return _local(settings)
    if not settings.model.startswith(("http://", "https://")):
        raise InputError(
            f"model is {settings.model!r}, which is no URL.",
            "Write it as http://host:port/v1#model, as local:FOLDER, or leave it empty for no language model.",
        )
    from remanence.models.chat import ChatModel
    from remanence.models.tokens import Prices

    url, _, model = settings.model.partition("#")
    return ChatModel(
        url, model, key=settings.model_key, timeout=settings.model_timeout, concurrency=settings.model_concurrency,
        context=settings.model_context, prices=Prices(settings.model_price_in, settings.model_price_out),
    )  # fmt: skip


def _local(settings: Settings) -> LanguageModel:
    """A model in this process. It is read from the disk when it is first asked something."""
    where = settings.model.removeprefix(LOCAL)
    if not where.strip():
        raise InputError("model is 'local:', which names no folder.", "Write it as local:FOLDER.")
    for module in ("torch", "transformers"):
        require(module, extra="local", purpose="A language model on this machine")
    from remanence.models.local.client import LocalModel
    from remanence.models.tokens import Prices

    return LocalModel(where, prices=Prices(settings.model_price_in, settings.model_price_out))
