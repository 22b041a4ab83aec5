"""What was decided about sources and trials is held against the journal, also in files of format 3."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from remanence import Memory
from remanence.settings import Settings

V3 = Path(__file__).parent / "files" / "v3.rem"
RUMOURS = "https://rumours.example"


@pytest.fixture
def old(tmp_path):
    """A file of format 3 with a revoked source and a trial."""
    return shutil.copy(V3, tmp_path / "v3.rem")


def opened(path):
    return Memory(path, Settings(embedder="hashing", care_every=0))


def test_a_file_of_format_three_gets_entries_that_commit_to_its_rows(old):
    with opened(old) as memory:
        checked = memory.verify(sample=0)
        assert checked.ok, checked.problems
        assert checked.checks["decisions"] == 2


def test_a_source_that_was_accepted_before_the_migration_is_no_problem(old):
    with closing(sqlite3.connect(old)) as connection:  # as accept left it: the entry stays, the row goes
        connection.execute("DELETE FROM sources")
        connection.commit()
    with opened(old) as memory:
        assert memory.verify(sample=0).ok


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE sources SET reason = 'it does not'", "is not what the journal says"),
        ("UPDATE sources SET at = '2020-01-01T00:00:00+00:00'", "is not what the journal says"),
        ("UPDATE sources SET source = 'https://other.example'", "is not what the journal says"),
        ("DELETE FROM sources", "is not there"),
        ("UPDATE rollouts SET body = replace(body, 'passed', 'failed')", "the trial"),
        ("DELETE FROM rollouts", "is not there"),
    ],
)
def test_an_edited_decision_is_noticed(old, statement, words):
    opened(old).close()
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute(statement).rowcount > 0
        connection.commit()
    with opened(old) as memory:
        assert any(words in one for one in memory.verify(sample=0).problems)


def test_accepting_and_revoking_again_keeps_the_entries_true(old):
    with opened(old) as memory:
        [revoked] = [one for space in memory.spaces() for one in memory.trust.sources(space=space)]
        space = next(name for name in memory.spaces() if memory.trust.sources(space=name))
        memory.trust.accept(revoked.source, space=space)
        assert memory.verify(sample=0).ok
        memory.trust.revoke(RUMOURS, "again", space=space)
        assert memory.verify(sample=0).ok
