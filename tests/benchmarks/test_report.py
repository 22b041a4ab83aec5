"""The page says what the results say, and what is missing."""

from __future__ import annotations

import json
import sys

import pytest


@pytest.fixture
def report(reliability, monkeypatch, tmp_path):
    monkeypatch.setenv("RELIABILITY_RESULTS", str(tmp_path))
    return reliability("report")


CRASH = {
    "trials": 7654, "operations": {"add": 4321}, "acknowledged": 9876, "kills": {"at a random moment": 3456}, "cut off": {"none": 2345},
    "copies": 1234, "problems": [],
}  # fmt: skip


def test_numbers_come_from_the_results(report, capsys):
    assert report.keep("crash", dict(CRASH), 0.0) == 0
    page = report.page()
    for number in ("7,654", "4,321", "9,876", "3,456", "2,345", "1,234"):
        assert number in page
    assert "Found: nothing." in page


def test_the_page_names_the_command_that_was_run(report, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["crash.py", "--trials", "7654"])
    report.keep("crash", dict(CRASH), 0.0)
    assert "`python benchmarks/reliability/crash.py --trials 7654`" in report.page()


def test_a_part_that_prints_its_result_is_taken_in_with_its_command(report, tmp_path):
    [part] = [part for part in report.PARTS if part.name == "tenants"]
    assert report.run(part, ["--spaces", "2", "--calls", "20"]) == 0
    kept = json.loads((tmp_path / "tenants.json").read_text(encoding="utf-8"))
    assert kept["made"]["command"] == "python benchmarks/reliability/tenants.py --spaces 2 --calls 20"
    assert kept["made"]["command"] in report.page()


def test_what_was_found_is_named(report, capsys):
    assert report.keep("crash", CRASH | {"problems": ["trial 3: lost"]}, 0.0) == 1
    assert "Found: 1." in report.page()
    assert "`trial 3: lost`" in report.page()


def test_what_is_missing_is_named(report):
    page = report.page()
    assert page.count("No result is here") == len(report.PARTS)
    assert not any(character.isdigit() for line in page.splitlines() if "|" in line for character in line)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_result_of_another_part_may_stand_alone(report, tmp_path, wrapped):
    result = {"erasures": 1000, "residue": 0, "by kind": {"facts": 12}}
    (tmp_path / "erasures.json").write_text(json.dumps({"result": result} if wrapped else result), encoding="utf-8")
    assert "| erasures | 1,000 |" in report.page()
    assert "| facts | 12 |" in report.page()


def test_the_page_in_docs_is_that_of_the_results(report, monkeypatch):
    monkeypatch.delenv("RELIABILITY_RESULTS")
    assert report.PAGE.read_text(encoding="utf-8") == report.page(), "run: python benchmarks/reliability/report.py"
