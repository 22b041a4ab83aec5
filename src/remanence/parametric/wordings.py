"""How a fact is said and asked in several ways, by rules: what an adapter is taught, and in what words it is tested.

The last statement and the last question of each relation are held out: no view has them, and the gate asks with them.
"""

from __future__ import annotations

from dataclasses import dataclass

from remanence.cubes import Fact
from remanence.language.relations import canonical, is_known, names_person, question

# relation | statements | questions | the value as a phrase of its subject. {s}: the subject; a statement ends with the value.
_TABLE = """
lives in|{s} lives in;{s} resides in;{s}'s home is;The home of {s} is|Where does {s} live?;Where is the home of {s}?;In which city does {s} live?|the home of {s}
works at|{s} works at;{s} is employed by;{s}'s employer is;The employer of {s} is|Where does {s} work?;Who employs {s}?;What is the employer of {s}?|the employer of {s}
works as|{s}'s job is;{s}'s occupation is;{s}'s profession is;{s} works as|What does {s} work as?;What is {s}'s job?;What is the profession of {s}?|the job of {s}
likes|{s} likes;{s} enjoys;{s} loves;{s} is fond of|What does {s} like?;What does {s} enjoy?;What is {s} fond of?|
dislikes|{s} dislikes;{s} hates;{s} detests;{s} cannot stand|What does {s} dislike?;What does {s} hate?;What can {s} not stand?|
prefers|{s} prefers;{s}'s preference is;{s} would rather have|What does {s} prefer?;What is {s}'s preference?;What would {s} rather have?|
born in|{s} was born in;{s}'s birthplace is;The birthplace of {s} is|Where was {s} born?;What is {s}'s birthplace?;In which place was {s} born?|the birthplace of {s}
born on|{s} was born on;{s}'s date of birth is;The birth date of {s} is|When was {s} born?;What is {s}'s date of birth?;On which day was {s} born?|
from|{s} is from;{s} comes from;{s} is originally from|Where is {s} from?;Where does {s} come from?;What is the home town of {s}?|
speaks|{s} speaks;{s}'s language is;The language of {s} is|What does {s} speak?;Which language does {s} speak?;What is the language of {s}?|
plays|{s} plays;{s} can play;{s} knows how to play|What does {s} play?;What can {s} play?;What does {s} know how to play?|
dog|{s}'s dog is called;The dog of {s} is called;{s} has a dog named;{s}'s dog is named|What is the name of {s}'s dog?;What is the dog of {s} called?;What is {s}'s dog called?|the dog of {s}
owns|{s} owns;{s} possesses;{s} is the owner of|What does {s} own?;What does {s} possess?;What is {s} the owner of?|
married to|{s} is married to;{s}'s spouse is;The spouse of {s} is|Who is {s} married to?;Who is {s}'s spouse?;Whom did {s} marry?|the spouse of {s}
studies at|{s} studies at;{s} is a student at;{s} takes courses at|Where does {s} study?;Where is {s} a student?;At which place does {s} take courses?|
allergic to|{s} is allergic to;{s} has an allergy to;{s} must avoid|What is {s} allergic to?;What does {s} have an allergy to?;What must {s} avoid?|
located in|{s} is located in;{s} is situated in;{s} lies in|Where is {s}?;Where is {s} located?;In which place does {s} lie?|the place of {s}
capital|The capital of {s} is;{s}'s capital is;The capital city of {s} is|What is the capital of {s}?;What is {s}'s capital?;Which city is the capital of {s}?|the capital of {s}
founded by|{s} was founded by;{s}'s founder is;The founder of {s} is|Who was {s} founded by?;Who is {s}'s founder?;Who founded {s}?|the founder of {s}
written by|{s} was written by;{s}'s author is;The author of {s} is|Who was {s} written by?;Who is {s}'s author?;Who wrote {s}?|the author of {s}
"""
_VALUE = " {v}."


@dataclass(frozen=True, slots=True)
class Wording:
    """The ways to say and ask a relation. `{s}` is the subject, `{v}` the value."""

    statements: tuple[str, ...]
    """To be taught; each ends with the value and a full stop."""
    questions: tuple[str, ...]
    """To be taught."""
    held_statement: str
    """Only to test with; "" where there is none."""
    held_question: str
    phrase: str
    """The value as a phrase: "the employer of {s}"; "" where there is none."""


def _rows() -> dict[str, Wording]:
    rows: dict[str, Wording] = {}
    for line in _TABLE.strip().split("\n"):
        name, statements, questions, phrase = line.split("|")
        said = [f"{one}{_VALUE}" for one in statements.split(";")]
        asked = questions.split(";")
        rows[name] = Wording(tuple(said[:-1]), tuple(asked[:-1]), said[-1], asked[-1], phrase)
    return rows


_ROWS = _rows()


def wording(fact: Fact) -> Wording:
    """How to say and ask a fact: by the table; "Ana's dentist is …" for an attribute; as it stands for any other relation."""
    name = canonical(fact.relation)
    if name in _ROWS:
        return _ROWS[name]
    asked = question(name, "{s}")
    if is_known(name) and not names_person(name) and not name.startswith("favourite "):
        return Wording((f"{{s}} {name}{_VALUE}",), (asked,) if asked else (), "", "", "")
    word = "Who" if names_person(name) else "What"
    asked = asked if names_person(name) or is_known(name) else f"What is the name of {{s}}'s {name}?"
    return Wording(
        (f"{{s}}'s {name} is{_VALUE}", f"The {name} of {{s}} is{_VALUE}"), (asked, f"{word} is the {name} of {{s}}?"),
        f"{{s}}'s {name} is called{_VALUE}", f"Do you know the {name} of {{s}}?", f"the {name} of {{s}}",
    )  # fmt: skip


def cloze(statement: str, fact: Fact) -> str:
    """A statement's wording up to the value, which follows after a space."""
    return filled(statement[: statement.index("{v}")].rstrip(), fact)


def filled(text: str, fact: Fact, subject: str | None = None) -> str:
    """A wording with subject and value put in. Both may hold anything, braces too."""
    parts = text.replace("{v}", "\0v").replace("{s}", "\0s").split("\0")
    put = {"v": fact.value, "s": subject or fact.subject}
    return parts[0] + "".join(put[part[0]] + part[1:] for part in parts[1:])
