"""Which models are here, how to get one, and how to open the one that `Settings` names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from remanence.errors import InputError, ModelError, ModelMissingError
from remanence.models.protocol import Embedder
from remanence.settings import Settings

if TYPE_CHECKING:
    from remanence.models.fetch import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """One line of `remanence models list`."""

    name: str
    """What to write into `Settings.embedder`."""
    where: str
    """The folder, or empty when nothing is on the disk."""
    size: int
    """Bytes on the disk."""
    verified: bool | None
    """Whether all hashes hold; None when there is nothing to compare with."""
    precision: str
    """The precisions that it can run in, such as `fp32, int8`."""
    note: str
    """What to do, or what it is."""


def open_embedder(settings: Settings) -> Embedder | None:
    """The embedder that `settings.embedder` names; None for `none`. Weights are read when the first text comes.

    Raises
    ------
    ModelMissingError
        Its weights are not on this machine. The caller decides whether to go on without.
    ModelDamagedError
        A file of the model is not what it should be.
    InputError
        The setting names nothing.
    """
    name = settings.embedder
    if name == "none":
        return None
    if name == "minilm":
        from remanence.models.minilm import open_minilm

        return open_minilm(settings.precision)
    if name == "hashing":
        from remanence.models.hashing import HashingEmbedder

        return HashingEmbedder()
    if name.startswith(("http://", "https://")):
        from remanence.models.endpoint import EndpointEmbedder

        url, _, model = name.partition("#")
        return EndpointEmbedder(url, model, key=settings.embedder_key)
    from remanence.models.folder import open_folder

    return open_folder(_folder(name, settings.models_dir), settings.precision)


def present(settings: Settings) -> list[ModelStatus]:
    """What can be used here: the default first, whether installed or not, then `hashing`, then what was fetched.

    Every file is read and hashed; about 0.1 s for each 100 MB.
    """
    return [_minilm(), _HASHING, *(_fetched(folder, settings) for folder in sorted(settings.models_dir.glob("*/*/")))]


def fetch(name: str, settings: Settings, progress: Report | None = None) -> ModelStatus:
    """Get a model that is not here: `minilm` from the package index, `organisation/model` from `settings.hub`.

    `progress` is called with a file's name, its bytes so far and its size if known; for `minilm` not at all.

    Raises
    ------
    ModelMissingError
        There is no such model, or it cannot run here, or pip failed.
    ModelDamagedError
        What came is not what it should be.
    EndpointError
        The hub cannot be reached or failed.
    InputError
        `name` is neither `minilm` nor a hub name.
    """
    from remanence.models.fetch import download, install_minilm

    if name == "minilm":
        install_minilm()
        return _minilm()
    return _fetched(download(name, settings.hub, settings.models_dir, progress), settings)


def _folder(name: str, models_dir: Path) -> Path:
    """A folder of this name, or where a hub name was fetched to."""
    from remanence.models.fetch import hub_folder

    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    try:
        fetched = hub_folder(name, models_dir)
    except InputError as error:
        raise InputError(
            f"embedder is {name!r}, which is neither a known name nor a folder.",
            "Use minilm, hashing, none, a folder, a hub name (organisation/model) or a URL with #model.",
        ) from error
    if not fetched.is_dir():
        raise ModelMissingError(f"The model {name} is not on this machine.", f"Run: remanence models fetch {name}")
    return fetched


_HASHING = ModelStatus(
    name="hashing", where="", size=0, verified=None, precision="fp32", note="knows spelling, not meaning; for tests"
)


def _minilm() -> ModelStatus:
    from remanence.models.minilm import genuine, installed

    folder = installed()
    if folder is None:
        note = "not installed; run: remanence models fetch minilm"
        return ModelStatus(name="minilm", where="", size=0, verified=None, precision="fp32, int8", note=note)
    verified = genuine(folder)
    return ModelStatus(
        name="minilm",
        where=str(folder),
        size=_size(folder),
        verified=verified,
        precision="fp32, int8",
        note="all-MiniLM-L6-v2, 384 dimensions" if verified else "not the official files; reinstall the wheel",
    )


def _fetched(folder: Path, settings: Settings) -> ModelStatus:
    from remanence.models.fetch import intact
    from remanence.models.folder import describe

    name = folder.relative_to(settings.models_dir).as_posix()
    verified, precision = None, ""
    try:
        verified = intact(folder)
        found = describe(folder)
        precision = "fp32, int8" if found.fits else "fp32"
        note = f"{found.kind}, {found.dimensions} dimensions"
    except ModelError as error:
        note = str(error)
    if verified is not True:
        note += f"; incomplete or changed, run: remanence models fetch {name}"
    return ModelStatus(
        name=name, where=str(folder), size=_size(folder), verified=verified, precision=precision, note=note
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
