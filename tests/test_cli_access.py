"""`remanence access` and `--as`."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _store(monkeypatch, tmp_path):
    monkeypatch.setenv("REMANENCE_STORE", str(tmp_path / "c.rem"))
    monkeypatch.setenv("REMANENCE_EMBEDDER", "hashing")


def failed(said, *argv):
    code, out, err = said(*argv)
    assert out == ""
    return code, err


def test_grant_act_log_and_revoke(run, said):
    _, added = run("add", "Ana takes Zolpidem.", "--space", "work")
    [cube] = added["ids"]
    code, granted = run("access", "grant", "p", "reader", "--space", "work", "--label", "legal", "--label", "staff")
    assert (code, granted["principal"], granted["role"], granted["labels"], granted["by"]) == (
        0,
        "p",
        "reader",
        ["legal", "staff"],
        "owner",
    )
    assert (
        run("access", "list")[1]["grants"]
        == [granted]
        == run("access", "list", "--principal", "p", "--space", "work")[1]["grants"]
    )
    assert run("get", cube, "--as", "p")[1]["text"] == "Ana takes Zolpidem."
    assert run("access", "label", cube, "health")[1]["policy"] == {"sensitivity": "health"}
    code, err = failed(said, "--as", "p", "get", cube)
    assert (code, err.splitlines()[0]) == (2, f"error: No cube has the id '{cube}'.")
    code, err = failed(said, "add", "x", "--space", "work", "--as", "p")
    assert code == 1
    assert "p has no right to add in the space 'work'" in err
    assert run("recall", "What does Ana take?", "--space", "work", "--as", "p")[1]["withheld"] == 1
    lines = run("access", "log", "--principal", "p")[1]["lines"]
    assert [(one["operation"], one["allowed"]) for one in lines] == [
        ("get", True),
        ("get", False),
        ("add", False),
        ("recall", True),
    ]
    assert len(run("access", "log", "--refused", "--cube", cube)[1]["lines"]) == 1
    page = run("access", "log", "--limit", "1", "--operation", "get")[1]
    assert (
        run("access", "log", "--limit", "5", "--operation", "get", "--after", page["cursor"])[1]["lines"][0]["allowed"]
        is False
    )
    assert run("access", "label", cube)[1]["policy"] == {}
    assert run("access", "restrict", cube, "q", "r")[1]["policy"] == {"access": ["q", "r"]}
    assert run("access", "restrict", cube)[1]["policy"] == {}
    assert run("access", "revoke", "p", "--space", "work") == (0, {"revoked": True})
    assert run("access", "revoke", "p", "--space", "work") == (1, {"revoked": False})


def test_share_and_unshare(run):
    _, added = run("add", "Ana lives in Lisbon.", "--space", "work", "--user", "ana")
    code, shared = run("access", "share", "--space", "work", "--user", "ana", "--kind", "message", "--to", "team")
    assert (code, shared["view"], shared["cube"]) == (0, {"user": "ana", "kinds": ["message"]}, None)
    _, other = run("access", "share", *added["ids"], "--to", "team")
    assert run("access", "shares", "--space", "team")[1]["shares"] == [shared, other]
    assert run("access", "sync")[1] == {"made": 0, "governed": 0, "ended": 0}
    [copy] = run("list", "--space", "team")[1]["cubes"]
    assert run("access", "unshare", other["id"])[1] == {"erased": []}
    assert run("access", "unshare", shared["id"])[1] == {"erased": [copy["id"]]}


def test_people_read_it_too(said):
    said("add", "Ana lives in Lisbon.", "--space", "work")
    assert said("access", "grant", "p\x1b[31m", "owner", "--space", "work")[0] == 2
    assert said("access", "grant", "p", "owner", "--space", "*")[1] == "p is owner of *\n"
    assert said("access", "list")[1] == "p is owner of *\n"
    assert said("access", "log")[1] == "There is nothing in the log.\n"
    assert said("recall", "Ana?", "--space", "work", "--as", "p")[0] == 0
    said("recall", "Ana?", "--space", "work", "--as", "q")
    out = said("access", "log")[1]
    assert "p recall in work, 1 memories" in out
    assert "q recall in work REFUSED" in out
    assert "work → team, everything" in said("access", "share", "--space", "work", "--to", "team")[1]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("grant", "p"), "grant takes PRINCIPAL ROLE"), (("grant", "p", "reader"), "in which space"), (("revoke", "p"), "in which space"),
        (("grant", "p", "king", "--space", "a"), "not a role"), (("label",), "label takes ID [LABEL]"), (("label", "a", "b", "c"), "label takes"),
        (("share",), "where it is to be shown"), (("list", "x"), "list takes nothing more"), (("log", "--operation", "x"), "not an operation"),
        (("dance",), "invalid choice"), (("grant", "owner", "reader", "--space", "a"), "not a name"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(said, argv, words):
    said("add", "x")
    code, out, err = said("access", *argv)
    assert (code, out) == (2, "")
    assert words in err
