"""The graph's edges against a plain list of them: after every change, within every scope."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest

from remanence import Memory, reading
from remanence.cubes import Extraction, Fact
from remanence.language.entities import ABOUT, name_hash
from remanence.language.tokens import unpack_terms
from remanence.language.topics import normalised
from remanence.recall.graph import READ
from remanence.recall.profile import Profile
from remanence.settings import Settings
from remanence.write.openie import CachedExtractor, Passage

PROFILE = Profile(about_edge=3, relation=0.3, read_edge=0.5, sequence=0.7)
TEXTS = [
    {"content": "Ann met Bob in Rome. Ann laughed.", "role": "document", "title": "Rome (city)"},
    {"content": "it was in Rome that Carl met Ann", "user": "u", "session": "s"},
    {"content": "then Carl went to Paris", "user": "u", "session": "s"},
    {"content": "nothing at all"},
    {"content": "it was Dora"},
]
FOUND = {
    TEXTS[0]["content"]: Extraction(("Ann", "Emma"), (Fact("Ann", "met", "Bob"), Fact("Ann", "is", "ann"))),
    TEXTS[2]["content"]: Extraction(("Paris",), (Fact("Carl", "went to", "Paris"), Fact("Carl", "left", "Rome")), (), "Paris"),
    TEXTS[3]["content"]: Extraction(("Zoe",)),
}  # fmt: skip


def fill(memory, texts=TEXTS):
    """Add them, each for its own user."""
    return [memory.add({key: one[key] for key in one if key != "user"}, user=one.get("user"))[0] for one in texts]


def read(memory, found):
    extractor = CachedExtractor(
        [Passage(text, title, one) for text, one in found.items() for title in ("", "Rome (city)")]
    )
    return reading.read(memory._store, extractor, memory._encoding.documents)


def walked(seen, mask, profile=PROFILE):
    """All edges of living nodes as the walk sees them, by names and texts: from, to → weight."""
    graph, cubes = seen.graph, {}
    nodes = np.concatenate([np.arange(graph.size), graph.size + np.flatnonzero(mask)])
    owner, target, weight = graph.neighbours(nodes, seen, mask, profile)
    for (source, other), value in zip(
        zip(nodes[owner].tolist(), target.tolist(), strict=True), weight.tolist(), strict=True
    ):
        key = (_told(seen, source), _told(seen, other))
        cubes[key] = cubes.get(key, 0.0) + value
    return cubes


def _told(seen, node):
    return ("text", int(seen.seq[node - seen.graph.size])) if node >= seen.graph.size else ("name", node)


def expected(memory, seen, mask, profile=PROFILE, space="default"):
    """The same edges from the rows of the store, one by one."""
    edges = defaultdict(float)
    number = lambda name: ("name", int(seen.graph.names.find(np.array([name], np.uint32))[0]))  # noqa: E731
    inside = set(seen.seq[mask].tolist())
    with memory._store.snapshot(space) as (_, everything):
        rows = [row for row in everything if row.seq in inside]
    for row in rows:
        by_rules = unpack_terms(row.mentions)
        marks = list(by_rules.items())
        for name, mark in unpack_terms(row.read_mentions or b"").items():
            if name not in by_rules or mark & ABOUT:
                marks.append((name, mark | READ))
        for name, mark in marks:
            weight = math.log(1 + (mark & 63)) * (3 if mark & ABOUT else 1) * (0.5 if mark & READ else 1)
            edges["text", row.seq, *number(name)] += weight
            edges[*number(name), "text", row.seq] += weight
        sides = [
            int.from_bytes((row.read_links or b"")[at : at + 4], "little")
            for at in range(0, len(row.read_links or b""), 4)
        ]
        for one, other in zip(sides[::2], sides[1::2], strict=True):
            if one != other:
                edges[*number(one), *number(other)] += 0.3
                edges[*number(other), *number(one)] += 0.3
    for slot in np.flatnonzero(mask).tolist():
        for beside in (int(seen.previous[slot]), int(seen.next[slot])):
            if beside >= 0 and mask[beside]:
                edges["text", int(seen.seq[slot]), "text", int(seen.seq[beside])] += 0.7
    return {((a, b), (c, d)): weight for (a, b, c, d), weight in edges.items()}


def current(seen):
    return seen.alive & (seen.until == np.inf)


@pytest.fixture
def same(view):
    """The edges of the index that caught up and of one that is loaded anew: both as the store's rows say."""

    def look(memory, only=None):
        for fresh in (True, False):
            seen = view(memory, fresh=fresh)
            mask = current(seen) if only is None else current(seen) & only(seen)
            found = walked(seen, mask)
            assert found == pytest.approx(expected(memory, seen, mask))
            assert all(found[there] == pytest.approx(found[back]) for there in found if (back := there[::-1]))
        return found

    return look


def named(seen, name):
    return int(seen.graph.names.find(np.array([name_hash(normalised(name))], np.uint32))[0])


def test_mentions_titles_and_neighbours_are_edges(memory, same, view):
    fill(memory)
    found = same(memory)
    seen = view(memory)
    first = ("text", int(seen.seq[0]))
    assert found[("name", named(seen, "Ann")), first] == pytest.approx(math.log(3))
    assert found[first, ("name", named(seen, "Rome"))] == pytest.approx(3 * math.log(3))
    assert sum(one[0][0] == one[1][0] == "text" for one in found) == 2, "two turns stand beside each other"


def test_what_is_read_later_becomes_edges_at_once(memory, same, view):
    fill(memory)
    before = same(memory)
    read(memory, FOUND)
    found = same(memory)
    seen = view(memory)
    assert len(found) > len(before)
    third = ("text", int(seen.seq[2]))
    paris, carl = ("name", named(seen, "Paris")), ("name", named(seen, "Carl"))
    assert found[carl, paris] == pytest.approx(0.3)
    assert found[third, paris] == pytest.approx(math.log(2) * (1 + 3 * 0.5)), (
        "by the rules, and by the reading as what it is about"
    )
    assert (("name", named(seen, "Ann")),) * 2 not in found, "no edge from a name to itself"


def test_reading_again_replaces_what_was_read(memory, same, view):
    fill(memory)
    same(memory)
    read(memory, FOUND)
    same(memory)
    read(memory, {TEXTS[3]["content"]: Extraction(("Yann",), (Fact("Yann", "knows", "Emma"),))})
    found = same(memory)
    zoe = named(view(memory), "Zoe")
    assert zoe < 0 or not any(("name", zoe) in edge for edge in found)
    assert (("name", named(view(memory), "Yann")), ("name", named(view(memory), "Emma"))) in found


def test_reading_before_the_first_question_is_the_same(memory, same):
    fill(memory, TEXTS[:3])
    read(memory, FOUND)
    same(memory)
    fill(memory, TEXTS[3:])
    read(memory, FOUND)
    same(memory)


def test_forgetting_leaves_no_edge_and_no_node_hangs_on_it(memory, same, view):
    ids = fill(memory)
    read(memory, FOUND)
    same(memory)
    memory.forget([ids[0], ids[2]])
    found = same(memory)
    seen = view(memory)
    for name in ("Bob", "Paris", "Emma"):  # only the forgotten ones held them
        number = named(seen, name)
        assert not any(("name", number) in edge for edge in found), name
        assert len(seen.graph.mentioning(number, current(seen))[0]) == 0
    held = {int(slot) for slot in np.flatnonzero(current(seen))}
    assert {int(np.flatnonzero(seen.seq == node)[0]) for edge in found for kind, node in edge if kind == "text"} <= held
    assert named(view(memory, fresh=True), "Bob") == -1, "a fresh index has never heard of them"


def test_forgetting_blanks_the_vectors_of_facts_and_statements(memory, view):
    ids = fill(memory)
    read(memory, {TEXTS[2]["content"]: Extraction((), (Fact("Carl", "went to", "Paris"),), ("Carl went to Paris.",))})
    seen = view(memory)
    vector = memory._encoding.question("Carl went to Paris")
    assert seen.graph.facts.dot(vector).max() > 0.9
    assert seen.statements.vectors.dot(vector).max() > 0.5
    memory.forget(ids[2])
    seen = view(memory)
    assert np.all(seen.graph.facts.dot(vector) == 0)
    assert np.all(seen.statements.vectors.dot(vector) == 0)


def test_a_correction_takes_its_names_along(memory, same, view):
    ids = fill(memory)
    read(memory, FOUND)
    same(memory)
    memory.correct(ids[0], "it is Gina now")
    found = same(memory)
    seen = view(memory)
    assert not any(("name", named(seen, "Bob")) in edge for edge in found)
    assert any(("name", named(seen, "Gina")) in edge for edge in found)
    assert any(("name", named(seen, "Rome")) in edge for edge in found), "it keeps its title"
    read(memory, {"it is Gina now": Extraction((), (Fact("Gina", "met", "Rome"),))})
    found = same(memory)
    seen = view(memory)
    assert (("name", named(seen, "Gina")), ("name", named(seen, "Rome"))) in found


@pytest.mark.parametrize("user", ["u", "v"])
def test_no_edge_leads_through_what_is_out_of_scope(memory, same, view, user):
    fill(memory, TEXTS[:3])
    memory.add("the secret of Carl is Rome", user="v", session="s")
    read(memory, FOUND | {"the secret of Carl is Rome": Extraction((), (Fact("Carl", "hides", "Treasure"),))})
    found = same(memory, lambda seen: seen.user == seen.code(user))
    seen = view(memory)
    hidden = ("name", named(seen, "Treasure"))
    assert any(hidden in edge for edge in found) == (user == "v")
    texts = {node for edge in found for kind, node in edge if kind == "text"}
    assert texts == set(seen.seq[seen.user == seen.code(user)].tolist())


def test_a_turn_out_of_scope_is_no_neighbour(memory, same, view):
    memory.add(["one", "two", "three", "four"], session="s")
    seqs = view(memory).seq.tolist()
    assert len(same(memory)) == 6
    found = same(memory, lambda seen: seen.seq != seqs[1])
    assert found.keys() == {(("text", seqs[2]), ("text", seqs[3])), (("text", seqs[3]), ("text", seqs[2]))}


def test_spaces_have_graphs_of_their_own(memory, view):
    memory.add("it was Ann with Bob", space="a")
    memory.add("it was Ann with Carl", space="b")
    for space, here, elsewhere in (("a", "Bob", "Carl"), ("b", "Carl", "Bob")):
        seen = view(memory, space)
        assert named(seen, here) >= 0
        assert named(seen, elsewhere) == -1
        assert seen.graph.slots_of.of(named(seen, "Ann"))[0].tolist() == [0]


def test_ten_thousand_times_one_name_is_one_edge_and_many_names_are_512(memory, same, view):
    memory.add(["it was Ann. " * 10_000, ". ".join(f"it was Name{one}x" for one in range(10_000))])
    found = same(memory)
    seen = view(memory)
    assert found[("text", int(seen.seq[0])), ("name", named(seen, "Ann"))] == pytest.approx(math.log(64))
    assert len(found) == 2 * (1 + 512)


def test_a_store_from_before_names_has_texts_without_edges(memory, view):
    fill(memory)
    with memory._store.connections.write() as connection:
        connection.execute("UPDATE keys SET mentions = NULL")
    seen = view(memory, fresh=True)
    assert walked(seen, current(seen), Profile(sequence=0)) == {}


def test_slots_that_came_after_the_question_began_are_not_seen(memory, view):
    """The registry and the postings are shared with the index, which goes on growing."""
    memory.add("it was Ann with Bob")
    seen = view(memory)
    memory.add("it was Ann with Carl and Zed")
    view(memory)
    mask = np.ones(len(seen), bool)
    found = walked(seen, mask)
    assert {node for edge in found for node in edge} <= {
        ("text", int(seen.seq[0])),
        *(("name", n) for n in range(seen.graph.size)),
    }


def test_bytes_are_counted():
    with Memory(":memory:", Settings(embedder="hashing")) as memory:
        fill(memory)
        before = memory._recall.view("default").graph
        size = memory._recall.nbytes
        read(memory, FOUND)
        assert memory._recall.view("default").graph.size > before.size
        assert memory._recall.nbytes > size
