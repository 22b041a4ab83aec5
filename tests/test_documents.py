"""The documents keep up with the code: the map with the tree, the settings table with the settings, the tour with the commands."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from remanence import Memory, Settings, errors

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "remanence"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_map_names_every_module_and_room() -> None:
    tree = re.search(r"```text\n(.*?)```", read("ARCHITECTURE.md"), re.DOTALL)
    assert tree
    there = {path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    named = set(re.findall(r"([\w]+\.py)\b", tree[1].split("the flow")[0])) | {
        name for name in re.findall(r"^├── (\w+)/|^└── (\w+)/", tree[1], re.MULTILINE) for name in name if name
    }
    assert there - named == {"__main__.py"}
    assert named <= there


def test_the_map_names_modules_that_exist() -> None:
    for room, line in re.findall(r"^[├└]── (\w+)/ +(.*)$", read("ARCHITECTURE.md"), re.MULTILINE):
        for module in re.findall(r"(\w+)(?= ·|$)", line.split("  ")[-1]) if " · " in line else []:
            path = PACKAGE / room / module
            assert path.with_suffix(".py").exists() or path.is_dir(), f"{room}/{module}"


def test_a_program_stands_early_in_the_readme() -> None:
    assert read("README.md").split("\n").index("from remanence import Memory") < 30


def test_the_guide_names_every_setting_with_its_default() -> None:
    guide = read("docs/guide.md")
    for field in fields(Settings):
        row = next((line for line in guide.split("\n") if line.startswith("|") and f"`{field.name}`" in line), "")
        assert row, field.name
        if field.name in {"store", "embedder", "precision", "durability", "busy_timeout", "commit_every"}:
            assert f"| `{field.default}` |" in row or f"| {field.default:g} |" in row, row


def test_the_guide_shows_every_method() -> None:
    guide = read("docs/guide.md")
    for name in vars(Memory):
        if not name.startswith("_") and callable(getattr(Memory, name)) and name not in {"close", "spaces", "stats"}:
            assert f".{name}(" in guide or f"`{name}`" in guide, name


def test_every_link_in_the_documents_leads_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "decisions").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_error_tree_names_every_error() -> None:
    assert errors.__doc__
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, Exception):
            assert name in errors.__doc__, name


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX", "raise NotImplementedError"])
def test_nothing_is_left_undone(word: str) -> None:
    assert not [
        str(path) for path in PACKAGE.rglob("*.py") if re.search(rf"\b{word}\b", path.read_text(encoding="utf-8"))
    ]
