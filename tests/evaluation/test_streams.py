"""The dialogues have the shape that they claim, and tell a memory from none."""

import re
from collections import Counter

import pytest

from remanence.evaluation import streams


class Reader:
    """Remembers the last `span` characters of all that was said, and picks the option that was said before the question."""

    def __init__(self, span: int) -> None:
        self.span, self.said, self.turns = span, "", []

    def hear(self, text, turn):
        self.said += text
        self.turns.append(turn)

    def weigh(self, options):
        before = self.said.rsplit(" Q ", 1)[0][::-1][: self.span][::-1]
        return [float(before.count(option)) for option in options]


class Counting:
    """Counts the opponent's moves and counters the most frequent."""

    def __init__(self) -> None:
        self.seen = Counter()

    def hear(self, text, turn):
        if found := re.match(r" (\w+) you (\w+) (win|tie|lose)\.$", text):
            mine, theirs, result = found.groups()
            assert result == streams.outcome(mine, theirs)
            self.seen[theirs] += 1

    def weigh(self, options):
        return [float(self.seen[move] == max(self.seen.values(), default=0)) for move in map(beaten, options)]


def beaten(option):
    """The move that an option beats."""
    return next(move for move in streams.MOVES if streams.counter(move) == option.strip())


@pytest.mark.parametrize("kind", ["fixed", "open"])
def test_a_grocery_session_has_its_turns(kind):
    for session in streams.sessions(0, 40, kind=kind):
        assert [turn.kind for turn in session.turns] == ["statement"] + ["filler"] * 20 + ["recall"]
        assert session.item in streams.ITEMS
        assert len(re.findall(r"[\w']+", session.turns[0].said.split(session.item)[0])) >= 4, "no sink holds the item"
        recall = session.turns[-1]
        assert recall.options[recall.right] == f" {session.item}"
        assert len(set(recall.options)) == 4
        for turn in session.turns[1:]:
            assert all(option in turn.said for option in turn.options)
        between = "".join(turn.said for turn in session.turns[1:-1]).split()
        assert session.item not in between


def test_the_right_option_has_no_place_of_its_own():
    places = Counter(session.turns[-1].right for session in streams.sessions(1, 400))
    assert set(places) == {0, 1, 2, 3}
    assert min(places.values()) > 60


def test_the_same_seed_gives_the_same():
    assert streams.sessions(3, 5) == streams.sessions(3, 5)
    assert streams.sessions(3, 5) != streams.sessions(4, 5)
    assert streams.matches(3, 2, 30) == streams.matches(3, 2, 30)
    assert streams.lesson(streams.matches(3, 1, 30)[0], 1) != streams.lesson(streams.matches(3, 1, 30)[0], 2)


def test_a_statement_may_stand_anywhere_for_teaching():
    places = {
        next(i for i, turn in enumerate(session.turns) if turn.kind == "statement")
        for session in streams.sessions(0, 60, fillers=4, first=False)
    }
    assert places == {0, 1, 2, 3, 4}


def test_who_remembers_all_recalls_and_who_does_not_guesses():
    drawn = streams.sessions(5, 60)
    full, short = ([streams.attend(session, Reader(span)).recalled for session in drawn] for span in (10**6, 200))
    assert all(full)
    assert sum(short) < 30


def test_fillers_are_counted_and_turns_come_in_order():
    reader = Reader(0)  # weighs all the same, and takes the first option each time
    session = streams.sessions(6, 1)[0]
    heard = streams.attend(session, reader)
    assert heard.fillers == 20
    assert heard.fillers_right == sum(turn.right == 0 for turn in session.turns if turn.kind == "filler")
    assert reader.turns == sorted(reader.turns)
    assert set(reader.turns) == set(range(22))
    assert all(f"{turn.options[0]}." in reader.said for turn in session.turns if turn.options), (
        "it goes on with its choice"
    )


def test_countering_the_dominant_move_wins_half():
    games = streams.matches(0, 30, 200)
    won = sum(streams.outcome(streams.counter(game.dominant), move) == "win" for game in games for move in game.moves)
    assert won / (30 * 200) == pytest.approx(0.5, abs=0.03)
    for game in games[:5]:
        shares = sorted(count / 200 for count in Counter(game.moves).values())
        assert shares == pytest.approx([0.2, 0.3, 0.5], abs=0.12)


def test_who_counts_comes_near_to_that():
    played = [streams.play(game, Counting()) for game in streams.matches(1, 20, 200)]
    assert all(one.rounds == 200 for one in played)
    assert 0.44 < sum(one.won for one in played) / (20 * 200) < 0.54


def test_outcomes():
    table = {(mine, theirs): streams.outcome(mine, theirs) for mine in streams.MOVES for theirs in streams.MOVES}
    assert Counter(table.values()) == {"win": 3, "tie": 3, "lose": 3}
    assert table["paper", "rock"] == table["rock", "scissors"] == table["scissors", "paper"] == "win"


def test_a_lesson_is_what_is_played():
    session = streams.sessions(2, 1)[0]
    said = "".join(piece.text for piece in session.lesson)
    assert said.startswith(session.turns[0].said + session.turns[1].said)
    assert [piece.kind for piece in session.lesson if piece.kind] == ["filler"] * 20 + ["recall"]
    assert all(piece.text == piece.target for piece in session.lesson)

    game = streams.matches(2, 1, 50)[0]
    taught = streams.lesson(game, 0)
    moves = [piece for piece in taught if piece.kind == "move"]
    assert {piece.target.strip() for piece in moves} == {streams.counter(game.dominant)}
    assert len({piece.text for piece in moves}) == 3, "what was played there says nothing"
    counting = Counting()
    for one, two in zip(taught[1::3], taught[2::3], strict=True):
        counting.hear(one.text + two.text, 0)
    assert sum(counting.seen.values()) == 50


def test_texts_hold_every_word():
    known = set(re.findall(r" ?\w+|[^\w\s]", " ".join(streams.texts()))) | set(
        re.findall(r" ?\w+|[^\w\s]", "".join(streams.texts()))
    )
    drawn = [session.lesson for kind in ("fixed", "open") for session in streams.sessions(9, 60, kind=kind)]
    drawn += [streams.lesson(game, 1) for game in streams.matches(9, 3, 30)]
    for lesson in drawn:
        assert set(re.findall(r" ?\w+|[^\w\s]", "".join(piece.text for piece in lesson))) <= known
