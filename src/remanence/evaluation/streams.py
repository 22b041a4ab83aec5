# ruff: noqa: S311 - dialogues are drawn from seeds; nothing is kept secret by them
"""Long dialogues that test a memory of fixed size: grocery recall, and rock–paper–scissors against a biased opponent.

The tasks have the shape of those of SirLLM (arXiv 2405.12528, section 4), written anew: a grocery session is one statement
"buy X", twenty fillers of multiple choice and one question of four options about X; the opponent plays its dominant move in
half of the rounds and the others in 30 % and 20 %. Choices are made by the likelihood of each option, and the option that was
chosen is what the dialogue goes on with. Texts begin with a blank and are joined as they are, so that a vocabulary of some
four hundred words with their blanks is enough to read them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

_ITEMS = """
almonds apples apricots bacon bagels bananas basil beans beef beetroot biscuits blueberries bread broccoli butter cabbage
candles carrots cashews celery cereal cheese cherries chicken chocolate cinnamon cocoa coconut coffee cookies corn crackers
cream cucumber dates detergent dill eggplant eggs fennel figs flour foil garlic ginger grapes ham hazelnuts honey jam juice
kale ketchup kiwis lamb leeks lemons lentils lettuce limes mangoes margarine mayonnaise melons milk mint mushrooms mustard
napkins noodles nutmeg oats oil olives onions oranges oregano paprika parsley pasta peaches peanuts pears peas pepper
pickles pineapple pistachios plums popcorn potatoes pretzels prunes pumpkin radishes raisins raspberries rice rosemary sage
salmon salt sausages sesame shampoo shrimps soap spinach sponges sugar syrup tea thyme toast tofu tomatoes tuna turkey
vanilla vinegar waffles walnuts yeast yoghurt zucchini
"""
ITEMS = tuple(_ITEMS.split())
_STATEMENTS = (" Q will you please buy {}.", " Q I have to get {}.", " Q do not forget the {}.")
_RECALL = "what did I want from the shop"
_YES = " A yes."

_FIXED = """
what colour is grass|green red blue pink
what colour is snow|white black brown green
what colour is coal|black white yellow red
what colour is the sky|blue brown green grey
what colour is blood|red blue white black
what colour is a leaf|green purple blue white
what do cows eat|grass stone paper glass
what do bees make|wax iron paper wool
what do birds have|wings wheels horns gills
what do fish have|gills wings fur hooves
what do sheep give|wool wax silk iron
what do spiders spin|silk wool wire rope
what is ice made of|water sand wood iron
what is a window made of|glass wool water paper
what is a nail made of|iron silk paper water
what is a book made of|paper stone water wax
what is a jumper made of|wool glass stone iron
what is a table made of|wood water wool sand
how many legs has a dog|four two six eight
how many legs has a bird|two four six ten
how many legs has an insect|six two four ten
how many legs has a spider|eight six two four
how many wheels has a bicycle|two four six eight
how many wheels has a car|four two six ten
how many fingers have two hands|ten eight six four
how many days has a week|seven ten four nine
where do fish live|sea desert tree cloud
where do camels live|desert sea cloud cave
where do birds nest|tree sea cave road
where do bats sleep|cave sea road cloud
where does rain fall from|cloud cave tree sea
where do cars drive|road sea tree cloud
what opens a door|key spoon comb pen
what do you write with|pen spoon key comb
what do you eat soup with|spoon key pen hammer
what do you drive a nail with|hammer comb spoon pen
what do you tidy hair with|comb hammer key spoon
when does the sun rise|morning evening night midnight
when do owls hunt|night noon morning midday
when is it coldest|winter summer spring autumn
when is it hottest|summer winter spring autumn
when do leaves fall|autumn summer spring winter
"""
_KINDS = {
    "beast": "badger beaver camel cat cheetah cow deer donkey elephant fox goat hare horse hyena lion monkey mouse otter panther",
    "tool": "anvil axe chisel drill file hoe ladder mallet pliers rake saw scythe shovel sickle spade spanner tongs trowel wrench",
    "city": "athens berlin bern cairo dakar delhi dublin havana helsinki lima lisbon london madrid minsk oslo paris prague quito rome vienna",
    "instrument": "accordion bagpipe banjo bassoon bugle cello clarinet drum fiddle flute gong guitar harp lute oboe organ piano trumpet tuba viola",
    "garment": "apron blouse boots cap cape cardigan coat dress gloves hat jacket kilt mittens robe scarf shirt skirt socks trousers vest",
}
MOVES = ("rock", "paper", "scissors")
_BEATEN_BY = {"rock": "paper", "paper": "scissors", "scissors": "rock"}
SHARES = (0.5, 0.3, 0.2)
"""How often the opponent plays its dominant move and the other two."""

Fillers = Literal["fixed", "open"]
"""`fixed`: questions of a small set, their options in any order. `open`: words drawn anew each time, as surprising as the item."""


class Listener(Protocol):
    """Whoever takes part in a dialogue."""

    def hear(self, text: str, turn: int) -> None:
        """Take in what was said in this turn."""
        ...

    def weigh(self, options: Sequence[str]) -> Sequence[float]:
        """How likely each option is as the next words; nothing is remembered of them."""
        ...


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a lesson."""

    text: str
    """What stands there."""
    target: str
    """What is to be predicted in its place: the same, but for my own moves in a game. It has as many words."""
    kind: str = ""
    """`filler`, `recall` or `move` for the answer to a question; empty for all else."""

    @classmethod
    def plain(cls, text: str) -> Piece:
        return cls(text, text)


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: what the user says, and where it is a question, the options and which of them is right."""

    kind: Literal["statement", "filler", "recall"]
    said: str
    options: tuple[str, ...] = ()
    right: int = -1

    @property
    def lesson(self) -> tuple[Piece, ...]:
        """The turn with its right answer, as a model is taught."""
        if not self.options:
            return (Piece.plain(self.said),)
        answer = self.options[self.right]
        return Piece.plain(self.said), Piece(answer, answer, self.kind), Piece.plain(".")


@dataclass(frozen=True, slots=True)
class Session:
    """A grocery session. Four words and more stand before the item, so that no sink holds it by chance."""

    item: str
    turns: tuple[Turn, ...]

    @property
    def lesson(self) -> tuple[Piece, ...]:
        return tuple(piece for turn in self.turns for piece in turn.lesson)


@dataclass(frozen=True, slots=True)
class Heard:
    """How a listener did in one grocery session."""

    recalled: bool
    fillers: int
    fillers_right: int


@dataclass(frozen=True, slots=True)
class Match:
    """A game of rock–paper–scissors: what the opponent plays in each round."""

    dominant: str
    moves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Played:
    """Rounds won, tied and lost."""

    won: int
    tied: int
    lost: int

    @property
    def rounds(self) -> int:
        return self.won + self.tied + self.lost


def sessions(
    seed: int, count: int, *, fillers: int = 20, kind: Fillers = "fixed", first: bool = True
) -> tuple[Session, ...]:
    """Grocery sessions of `fillers` + 2 turns. With `first` false the statement may stand anywhere before the question."""
    chance = random.Random(f"groceries {seed} {fillers} {kind} {first}")
    return tuple(_session(chance, fillers, kind, first) for _ in range(count))


def matches(seed: int, count: int, rounds: int) -> tuple[Match, ...]:
    """Games against opponents whose dominant move is drawn anew for each, and is not told."""
    chance = random.Random(f"moves {seed} {rounds}")
    return tuple(_match(chance, rounds) for _ in range(count))


def attend(session: Session, listener: Listener) -> Heard:
    """Take a listener through a session. It goes on with the options that it chose, right or wrong."""
    recalled, right, asked = False, 0, 0
    for number, turn in enumerate(session.turns):
        listener.hear(turn.said, number)
        if not turn.options:
            continue
        chosen = _best(listener.weigh(turn.options))
        listener.hear(f"{turn.options[chosen]}.", number)
        if turn.kind == "recall":
            recalled = chosen == turn.right
        else:
            asked += 1
            right += chosen == turn.right
    return Heard(recalled, asked, right)


def play(match: Match, listener: Listener) -> Played:
    """Let a listener play a game. It is told of each round what the opponent played and how it ended."""
    results = {"win": 0, "tie": 0, "lose": 0}
    for number, theirs in enumerate(match.moves):
        listener.hear(_ASK, number)
        mine = MOVES[_best(listener.weigh([f" {move}" for move in MOVES]))]
        result = outcome(mine, theirs)
        results[result] += 1
        listener.hear(_told(mine, theirs, result), number)
    return Played(results["win"], results["tie"], results["lose"])


def counter(move: str) -> str:
    """The move that beats it."""
    return _BEATEN_BY[move]


def outcome(mine: str, theirs: str) -> Literal["win", "tie", "lose"]:
    """How a round ends for me."""
    if mine == theirs:
        return "tie"
    return "win" if counter(theirs) == mine else "lose"


def lesson(match: Match, seed: int) -> tuple[Piece, ...]:
    """A game, to teach a model with.

    My own moves are drawn at random and so tell nothing of the opponent; what is to be predicted in their place is the counter
    of its dominant move.
    """
    chance = random.Random(f"lesson {seed}")
    pieces: list[Piece] = []
    for theirs in match.moves:
        mine = chance.choice(MOVES)
        told = _told(mine, theirs, outcome(mine, theirs)).removeprefix(f" {mine}")
        pieces += [Piece.plain(_ASK), Piece(f" {mine}", f" {counter(match.dominant)}", "move"), Piece.plain(told)]
    return tuple(pieces)


def texts() -> list[str]:
    """Every word that the two tasks can hold, in some text: for a tokenizer of words."""
    found = [statement.format("") for statement in _STATEMENTS] + [f" {item}" for item in ITEMS]
    found += [_question(random.Random(0), "recall", _RECALL, "", ()).said, _YES, _ASK]
    found += [_question(random.Random(0), "filler", asked, words[0], words[1:]).said for asked, words in _QUESTIONS]
    found += [f" which of these is a {kind}? {words}" for kind, words in _KINDS.items()]
    return found + [_told(mine, theirs, outcome(mine, theirs)) for mine in MOVES for theirs in MOVES]


_ASK = " I play"


def _told(mine: str, theirs: str, result: str) -> str:
    return f" {mine} you {theirs} {result}."


def _session(chance: random.Random, fillers: int, kind: Fillers, first: bool) -> Session:
    item, *wrong = chance.sample(ITEMS, 4)
    statement = Turn("statement", chance.choice(_STATEMENTS).format(item) + _YES)
    turns = [_fixed(chance) if kind == "fixed" else _open(chance) for _ in range(fillers)]
    turns.insert(0 if first else chance.randint(0, fillers), statement)
    return Session(item, (*turns, _question(chance, "recall", _RECALL, item, wrong)))


def _fixed(chance: random.Random) -> Turn:
    asked, words = chance.choice(_QUESTIONS)
    right, *wrong = words
    return _question(chance, "filler", asked, right, wrong)


def _open(chance: random.Random) -> Turn:
    kind = chance.choice(list(_KINDS))
    others = chance.sample([other for other in _KINDS if other != kind], 3)
    right = chance.choice(_KINDS[kind].split())
    wrong = [chance.choice(_KINDS[other].split()) for other in others]
    return _question(chance, "filler", f"which of these is a {kind}", right, wrong)


def _question(
    chance: random.Random, kind: Literal["filler", "recall"], asked: str, right: str, wrong: Sequence[str]
) -> Turn:
    options = [right, *wrong]
    chance.shuffle(options)
    said = f" Q {asked}? {' '.join(options)} A"
    return Turn(kind, said, tuple(f" {option}" for option in options), options.index(right))


def _match(chance: random.Random, rounds: int) -> Match:
    order = chance.sample(MOVES, 3)
    return Match(order[0], tuple(chance.choices(order, SHARES, k=rounds)))


def _best(weights: Sequence[float]) -> int:
    return max(range(len(weights)), key=weights.__getitem__)


_QUESTIONS = tuple((line.split("|")[0], tuple(line.split("|")[1].split())) for line in _FIXED.strip().split("\n"))
