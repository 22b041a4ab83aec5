"""The small language model that the tests of the local rooms share: trained once, by whichever worker comes first."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SOURCES = ("evaluation/world.py", "evaluation/wordings.py", "parametric/taught.py", "parametric/training.py",
           "models/local/nano.py", "models/local/tokenizing.py")  # fmt: skip
PACKAGE = Path(__file__).parents[1] / "src" / "remanence"
PEOPLE = 40


@pytest.fixture(scope="session")
def taught_world() -> Any:
    """The world that `taught` knows."""
    from remanence.evaluation.world import World

    return World(seed=0, people=PEOPLE)


@pytest.fixture(scope="session")
def taught_folder(tmp_path_factory: pytest.TempPathFactory, taught_world: Any) -> Path:
    """The folder of the model. With REMANENCE_TEST_MODELS set it is kept there, until what it is made of changes."""
    pytest.importorskip("peft", reason="needs the extra `local`")
    base = tmp_path_factory.getbasetemp()
    shared = Path(os.environ.get("REMANENCE_TEST_MODELS", base.parent if "PYTEST_XDIST_WORKER" in os.environ else base))
    folder = shared / f"taught-{_digest()}"
    shared.mkdir(parents=True, exist_ok=True)
    with (shared / "taught.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _train(taught_world, folder)
    return folder


@pytest.fixture(scope="session")
def taught(taught_folder: Path) -> Any:
    """A `CausalLM` that knows the background facts of `taught_world` and answers from a context. Leave it as it was."""
    import torch

    from remanence.models.local.causal import CausalLM

    torch.set_num_threads(1)
    return CausalLM.open(taught_folder, device="cpu")


@pytest.fixture
def own_taught(taught_folder: Path) -> Callable[[], Any]:
    """Opens another copy of the model, for tests that change it."""
    import torch

    from remanence.models.local.causal import CausalLM

    torch.set_num_threads(1)
    return lambda: CausalLM.open(taught_folder, device="cpu")


def _digest() -> str:
    found = hashlib.sha256(str(PEOPLE).encode())
    for name in SOURCES:
        found.update((PACKAGE / name).read_bytes())
    return found.hexdigest()[:12]


def _train(world: Any, folder: Path) -> None:
    import torch

    from remanence.parametric.taught import teach

    torch.set_num_threads(1)
    lm = teach(world)
    part = folder.with_suffix(".part")
    lm.model.save_pretrained(part)
    lm.tokenizer.save_pretrained(part)
    part.rename(folder)
