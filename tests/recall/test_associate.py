"""Associative recall: what shares no word with a question is found through what both name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence import Memory, reading
from remanence.cubes import Extraction, Fact
from remanence.language import tokens
from remanence.recall import associate as associating
from remanence.recall import link
from remanence.recall.associate import Association, reordered
from remanence.recall.profile import DEFAULT, Profile
from remanence.recall.statements import closest, worded
from remanence.recall.view import NOBODY
from remanence.settings import Settings
from remanence.write.openie import CachedExtractor, Passage

HOPS = [
    ("Blue Harvest", "a film directed by Mara Quill."),
    ("Mara Quill", "she was born in Tallow Bay."),
    ("Otter Creek", "a film where the director was at birth in a place by the sea."),
    ("Place of birth", "where a director of a film was born, a place."),
    *[(f"Stone {one}", f"a director of film number {one}, born in a place.") for one in range(20)],
]


def fill(memory, documents=HOPS):
    return memory.add([{"content": text, "role": "document", "title": title} for title, text in documents])


def read(memory, found, embed=None):
    extractor = CachedExtractor([Passage(text, "", one) for text, one in found.items()])
    return reading.read(memory._store, extractor, embed or memory._encoding.documents)


def place(memory, question, title):
    hits = memory.recall(question, k=100)
    return next(at for at, hit in enumerate(hits) if hit.cube.about == title), hits


@pytest.mark.parametrize("embedder", ["hashing", "none"])
def test_the_second_hop_is_found_though_it_shares_no_word_with_the_question(embedder):
    question = "Where did the maker of Blue Harvest grow up?"
    with Memory(":memory:", Settings(embedder=embedder)) as memory:
        fill(memory)
        at, hits = place(memory, question, "Mara Quill")
        assert at == 1
        assert hits[0].cube.about == "Blue Harvest"
        (graph,) = [one for one in hits[at].why.reasons if one.channel == "graph"]
        assert graph.contribution > 0
        assert graph.words.startswith("reached from blue harvest (")


def test_facts_that_a_model_read_lead_further(memory):
    """No rule sees a name in these texts: the chain stands in the facts alone."""
    documents = [*HOPS[4:], ("one", "a film made by m.q."), ("two", "m.q. was raised by the bay.")]
    fill(memory, documents)
    question = "who is the maker of harvest, the film of a director?"
    before, hits = place(memory, question, "two")
    assert all(one.channel != "graph" for hit in hits for one in hit.why.reasons)
    read(memory, {
        documents[-2][1]: Extraction((), (Fact("harvest", "maker", "m.q."),)),
        documents[-1][1]: Extraction(("m.q.",)),
    })  # fmt: skip
    after, hits = place(memory, question, "two")
    assert before > 2 > after
    assert any(one.words.startswith("reached from what is close") for one in hits[0].why.reasons)


def test_a_question_without_names_walks_nowhere(memory):
    fill(memory)
    hits = memory.recall("what was in a place by the sea?", k=100)
    assert all(one.channel != "graph" for hit in hits for one in hit.why.reasons)


def test_conversations_without_documents_walk_nowhere(memory):
    memory.add(["Ann met Bob", "Bob went to Rome"])
    assert all(one.channel != "graph" for hit in memory.recall("Ann?") for one in hit.why.reasons)


def test_turns_keep_their_scores_and_documents_swap_theirs(memory):
    fill(memory)
    memory.add(["I saw Blue Harvest with Mara Quill", "it rained"])
    hits = memory.recall("Where did the maker of Blue Harvest grow up?", k=100)
    change = {
        hit.cube.text: next(one.contribution for one in hit.why.reasons if one.channel == "graph") for hit in hits
    }
    assert change["it rained"] == change["I saw Blue Harvest with Mara Quill"] == 0
    assert any(change.values())
    assert sum(change.values()) == pytest.approx(0, abs=1e-9)


def test_the_walk_stays_within_the_filters(memory):
    fill(memory)
    memory.forget([hit.cube.id for hit in memory.recall("Blue Harvest", k=100) if hit.cube.about == "Mara Quill"])
    memory.add(
        {"content": "she was born in Tallow Bay.", "role": "document", "title": "Mara Quill"}, user="v", relearn=True
    )
    memory.add({"content": "it is by Mara Quill.", "role": "document", "title": "Blue Harvest"}, user="u")
    hits = memory.recall("Where did the maker of Blue Harvest grow up?", user="u", k=100)
    assert [hit.cube.about for hit in hits] == ["Blue Harvest"]


class Columns:
    """As much of a view as ordering needs."""

    def __init__(self, about, root):
        self.about, self.root = np.array(about, np.int32), np.array(root, np.int64)


masses = st.sampled_from([0.0, 0.1, 0.1 + 1e-15, 0.25, 0.4])


@given(
    st.lists(
        st.tuples(masses, st.floats(-9, 9), st.integers(-1, 3), st.floats(-1, 1, width=32)), min_size=1, max_size=20
    )
)
def test_reordering_deals_the_same_scores_out_again(some):
    mass, scores, about, base = (np.array(column) for column in zip(*some, strict=True))
    view = Columns(about, range(len(some)))
    found = reordered(
        view, np.arange(len(some)), scores, Association(mass, (), (), 0.0), base.astype(np.float32), Profile(repeated=1)
    )
    assert sorted(found.tolist()) == sorted(scores.tolist())
    for one in range(len(some)):
        for other in range(len(some)):
            if mass[one] > mass[other] + 1e-9:
                assert found[one] >= found[other]
            elif abs(mass[one] - mass[other]) < 1e-13 and scores[one] > scores[other] + 1e-4:
                assert found[one] >= found[other], "of two found as often the better one stays before"


def deal(mass, about, base, root=None, repeated=0.5):
    size = len(mass)
    view = Columns(about, range(size) if root is None else root)
    scores = np.arange(size, 0, -1.0)
    found = reordered(
        view, np.arange(size), scores, Association(np.array(mass), (), (), 0.0), np.array(base, np.float32),
        Profile(repeated=repeated),
    )  # fmt: skip
    return np.argsort(-found).tolist()


def test_further_texts_about_one_entity_count_half_each_time_the_closest_first():
    assert deal([0.4, 0.3, 0.35], [7, 7, NOBODY], [0.1, 0.9, 0]) == [2, 1, 0]
    assert deal([0.4, 0.3, 0.35], [7, 7, NOBODY], [0.1, 0.9, 0], repeated=1) == [0, 2, 1]
    assert deal([0.4, 0.4, 0.4, 0.15], [7, 7, 7, 1], [0.3, 0.2, 0.1, 0]) == [0, 1, 3, 2]
    assert deal([0.4, 0.4, 0.35], [NOBODY, NOBODY, 1], [0.1, 0.9, 0]) == [0, 1, 2], "no entity is no repetition"


def test_rounding_and_the_order_of_loading_decide_nothing():
    third = 0.1 + 0.2
    assert deal([0.3, third], [1, 2], [0, 0]) == deal([third, 0.3], [1, 2], [0, 0]) == [0, 1]
    same = np.float32(0.7)
    nearly = np.nextafter(same, np.float32(1))
    assert deal([0.4, 0.4], [1, 1], [same, nearly]) == deal([0.4, 0.4], [1, 1], [nearly, same]) == [0, 1]
    assert deal([0.4, 0.4], [1, 1], [same, same], root=[9, 3])[0] == 1, "the older one is the first about its entity"


def test_passages_that_are_equally_close_start_the_walk_alike():
    close = np.float32(0.5) + np.arange(4, dtype=np.float32) * np.float32(6e-8)
    slots, weights = associating._passages(close, np.ones(4, bool), DEFAULT)
    assert slots.tolist() == [0, 1, 2, 3]
    assert weights.tolist() == [0.25] * 4


def test_the_closest_passages_start_in_proportion_to_how_far_they_lie_above_the_last():
    close = np.array([0.9, 0.1, 0.5, 0.3, 0.7], np.float32)
    mask = np.array([True, True, True, True, False])
    slots, weights = associating._passages(close, mask, Profile(seeds=3))
    assert dict(zip(slots.tolist(), weights.tolist(), strict=True)) == pytest.approx({0: 0.75, 2: 0.25})


def test_a_rare_name_says_more_than_a_common_one(memory, view):
    """Of two names the one of fewer texts starts more of the walk."""
    memory.add([{"content": "it was Zed", "role": "document", "title": "One"}, *["it was Ann"] * 3])
    seen = view(memory)
    names = link.names("Ann and Zed?", seen, seen.alive)
    assert associating._of_names(names) == pytest.approx(
        {one.number: {1: 0.75, 3: 0.25}[one.mentions] for one in names}
    )
    found = associating.associate(
        seen, names, [], np.zeros(4, np.float32), seen.alive, Profile(share=0, share_unsure=0)
    )
    assert found.mass[0] > 3 * found.mass[1] > 0
    assert found.names == tuple(names)


# ── statements ──────────────────────────────────────────────────────────────────────────────────────────────────────────

SAID = {
    "I did it at last.": Extraction((), (), ("Melanie painted a sunrise over the lake.", "Melanie was proud.")),
    "Well done!": Extraction((), (), ("Caroline praised the painting.",)),
    "It rains.": Extraction(),
}


def test_words_of_a_statement_lead_to_the_turn_itself(wordy, contributions):
    wordy.add([*SAID, "a lake without a sunrise"])
    assert wordy.recall("Who painted?") == []
    read(wordy, SAID, lambda _: None)
    added = contributions(wordy, "Who painted?")
    assert len(added) == 4
    assert max(added, key=lambda text: added[text]["statement words"]) == "Well done!", "the shorter statement"
    assert added["I did it at last."]["statement words"] > 0 > added["It rains."]["statement words"]


def test_the_closest_statement_counts(memory, view):
    memory.add(list(SAID))
    seen = view(memory)
    vector = memory._encoding.question("Melanie painted a sunrise over the lake.")
    assert closest(seen, vector, seen.alive) is None
    read(memory, SAID)
    seen = view(memory)
    scores = closest(seen, vector, seen.alive)
    assert scores[0] == pytest.approx(1, abs=1e-2)
    assert scores[0] > scores[1] >= scores[2]
    assert closest(seen, vector, seen.alive & (np.arange(3) == 2)) is None, "none in scope"


def test_words_of_statements_out_of_scope_say_nothing(memory, view):
    memory.add(list(SAID))
    read(memory, SAID)
    seen = view(memory)
    terms = tuple(tokens.hashes("painted sunrise"))
    assert worded(seen, terms, seen.alive, DEFAULT)[0] > 0
    beyond_the_first = worded(seen, terms, seen.alive & (np.arange(3) > 0), DEFAULT)
    assert beyond_the_first[0] == 0 < beyond_the_first[1], "the painting of the other is left"
    assert worded(seen, terms, seen.alive & (np.arange(3) == 2), DEFAULT) is None
    assert worded(seen, tuple(tokens.hashes("zebra")), seen.alive, DEFAULT) is None


def test_statistics_of_statements_are_those_of_the_scope(memory, view):
    memory.add(list(SAID), user="u")
    read(memory, SAID)
    seen = view(memory)
    terms = tuple(tokens.hashes("painted sunrise"))
    alone = worded(seen, terms, seen.alive, DEFAULT)
    memory.add(["x", "y"], user="v")
    read(memory, SAID | {"x": Extraction((), (), ("sunrise " * 50,)), "y": Extraction((), (), ("a painted sunrise",))})
    seen = view(memory)
    assert worded(seen, terms, seen.user == seen.code("u"), DEFAULT)[:3].tolist() == alone.tolist()


def test_what_is_read_again_replaces_the_statements(memory):
    memory.add(list(SAID))
    read(memory, SAID)
    assert memory.recall("sunrise", k=1)[0].cube.text == "I did it at last."
    read(memory, {"It rains.": Extraction((), (), ("A sunrise came before the rain.",))})
    assert memory.recall("sunrise", k=1)[0].cube.text == "It rains."
