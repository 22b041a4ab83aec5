"""The language model that the settings name, and the settings themselves."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from remanence.errors import InputError
from remanence.models.chat import ChatModel
from remanence.models.language import Prompt, Turn
from remanence.models.speaking import open_language_model
from remanence.settings import Settings


def test_none_by_default():
    assert Settings().model == ""
    assert open_language_model(Settings()) is None


def test_a_url_with_a_model_is_opened_with_every_setting(server):
    server.answer = lambda _request: (
        200, {}, json.dumps({"choices": [{"message": {"content": "a"}}],
        "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 500_000}}).encode(),
    )  # fmt: skip
    model = open_language_model(
        Settings(
            model=f"{server.url}/v1#org/m:7b", model_key="sk-7", model_context=999, model_price_in=2, model_price_out=8
        )
    )
    assert isinstance(model, ChatModel)
    assert model.context == 999
    assert model.name.endswith("/v1/org/m:7b")
    assert model.generate(Prompt(turns=(Turn("user", "?"),))).cost.price == pytest.approx(6.0)
    assert json.loads(server.requests[0].body)["model"] == "org/m:7b"
    assert server.requests[0].headers["Authorization"] == "Bearer sk-7"


def test_timeout_and_concurrency_are_handed_on(monkeypatch):
    seen = {}
    monkeypatch.setattr(ChatModel, "__init__", lambda _self, url, model, **options: seen.update(options, url=url))
    open_language_model(Settings(model="http://h/v1#m", model_timeout=7, model_concurrency=3))
    assert (seen["url"], seen["timeout"], seen["concurrency"]) == ("http://h/v1", 7, 3)


@pytest.mark.parametrize(
    "model", ["llama3.2", "ftp://host#m", "http://host/v1", "http://host/v1#", "http://u:p@host#m"]
)
def test_what_names_no_model_is_refused(model):
    with pytest.raises(InputError, match=r"http://host:port/v1#model"):
        open_language_model(Settings(model=model))


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        *((name, bad) for name in ("model_concurrency", "model_context") for bad in (0, -1, 1.5, "4")),
        *(("model_timeout", bad) for bad in (0, -1.0, float("nan"), float("inf"), "120", True)),
        *((name, bad) for name in ("model_price_in", "model_price_out") for bad in (-0.1, float("nan"), "1")),
    ],
)
def test_settings_are_checked(field, bad):
    with pytest.raises(InputError, match=f"{field} is"):
        Settings(**{field: bad})


def test_the_environment_sets_them():
    found = Settings.from_environment(
        {
            "REMANENCE_MODEL": "http://h/v1#m", "REMANENCE_MODEL_TIMEOUT": "9.5", "REMANENCE_MODEL_CONCURRENCY": "2",
            "REMANENCE_MODEL_CONTEXT": "4096", "REMANENCE_MODEL_PRICE_IN": "0.15", "REMANENCE_MODEL_KEY": "sk-7",
        }
    )  # fmt: skip
    assert (found.model, found.model_timeout, found.model_concurrency) == ("http://h/v1#m", 9.5, 2)
    assert (found.model_context, found.model_price_in, found.model_key) == (4096, 0.15, "sk-7")
    with pytest.raises(InputError, match="REMANENCE_MODEL_TIMEOUT"):
        Settings.from_environment({"REMANENCE_MODEL_TIMEOUT": "soon"})


def test_keys_are_not_printed():
    assert "hunter2" not in repr(Settings(model_key="hunter2", embedder_key="hunter2"))


def test_the_web_stack_is_loaded_only_for_a_model():
    code = (
        "import sys; from remanence import Settings; from remanence.models.speaking import open_language_model\n"
        "from remanence.models.scripted import ScriptedModel\n"
        "open_language_model(Settings()); print('urllib3' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
