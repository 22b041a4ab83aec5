"""New files appear whole or not at all, and what is left of a failure is the error that caused it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from remanence.errors import InputError
from remanence.store.placing import placed


def test_a_file_appears_when_the_block_ends(tmp_path):
    with placed(tmp_path / "a") as partial:
        partial.write_text("all of it")
        assert not (tmp_path / "a").exists()
        assert partial.parent == tmp_path
    assert (tmp_path / "a").read_text() == "all of it"
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


def test_nothing_appears_when_the_block_fails(tmp_path):
    with pytest.raises(KeyError), placed(tmp_path / "a") as partial:  # noqa: PT012 (the block is what is tested)
        partial.write_text("half")
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_synced_after_the_renaming(tmp_path, monkeypatch):
    steps, sync = [], os.fsync

    def watched(descriptor: int) -> None:
        steps.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), (tmp_path / "a").exists()))
        sync(descriptor)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system has no /proc")
    monkeypatch.setattr(os, "fsync", watched)
    with placed(tmp_path / "a") as partial:
        partial.write_text("x")
    assert steps == [(str(tmp_path), True)]


def test_the_first_error_is_the_one_that_is_told(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(5, "the second error")

    with pytest.raises(OSError, match="the first"), placed(tmp_path / "a") as partial:  # noqa: PT012 (as above)
        partial.write_text("x")
        monkeypatch.setattr(os, "unlink", refuse)
        raise OSError(28, "the first error")


def test_what_cannot_be_placed_is_refused(tmp_path):
    (tmp_path / "there").write_text("mine")
    for path, what in ((tmp_path / "there", "exists"), (tmp_path / "missing" / "a", "does not exist")):
        with pytest.raises(InputError, match=what), placed(path):
            raise AssertionError
    assert (tmp_path / "there").read_text() == "mine"
