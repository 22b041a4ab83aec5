"""The language model that `Settings` names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remanence.errors import InputError

if TYPE_CHECKING:
    from remanence.models.language import LanguageModel
    from remanence.settings import Settings


def open_language_model(settings: Settings) -> LanguageModel | None:
    """The language model that `settings.model` names; None where it is empty. Nothing is sent before the first prompt.

    Raises
    ------
    InputError
        The setting is no URL with a model after `#`.
    """
    if not settings.model:
        return None
    if not settings.model.startswith(("http://", "https://")):
        raise InputError(
            f"model is {settings.model!r}, which is no URL.",
            "Write it as http://host:port/v1#model, or leave it empty for no language model.",
        )
    from remanence.models.chat import ChatModel
    from remanence.models.tokens import Prices

    url, _, model = settings.model.partition("#")
    return ChatModel(
        url, model, key=settings.model_key, timeout=settings.model_timeout, concurrency=settings.model_concurrency,
        context=settings.model_context, prices=Prices(settings.model_price_in, settings.model_price_out),
    )  # fmt: skip
