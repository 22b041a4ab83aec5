"""The vocabulary of relations: their names, how many values they take at a time, and how to ask for them.

A relation that is not in the table keeps its own words, lower case and in the singular, and is `OPEN`.
"""

from __future__ import annotations

from enum import StrEnum

from remanence.language.irregular import BASE_FORMS
from remanence.language.tokens import STOP_WORDS
from remanence.language.topics import normalised


class Arity(StrEnum):
    """How many values a relation takes for one subject."""

    FIXED = "fixed"
    """One value, for good: the place of birth."""
    ONE = "one"
    """One value at a time: the home, the phone number."""
    MANY = "many"
    """Any number at a time: what someone likes."""
    OPEN = "open"
    """Not known. Values stand side by side, until a text says that one takes the place of the others."""


# name | arity | question, with {s} for the subject ("-": there is no natural one) | other words for it
_TABLE = """
lives in|one|Where does {s} live?|live in, living in, resides in, reside in, residing in, moved to, has moved to, relocated to, home, residence, city of residence, current city, location of home
works at|one|Where does {s} work?|work at, works for, work for, working at, working for, employed by, employed at, is employed by, employer, workplace
works as|open|What does {s} work as?|work as, working as, job, occupation, profession, job title
born in|fixed|Where was {s} born?|was born in, place of birth, birthplace, birth place
born on|fixed|When was {s} born?|was born on, date of birth, birth date, birthdate, born
birthday|fixed|When is {s}'s birthday?|
died in|fixed|Where did {s} die?|place of death
died on|fixed|When did {s} die?|date of death, death date
age|one|How old is {s}?|is aged, years old
name|one|What is {s} called?|called, is called, is named, named, full name
also called|many|-|known as, is known as, alias, nickname
phone|one|What is {s}'s phone number?|phone number, telephone, telephone number, mobile, mobile number, cell, cell phone, cell number, cell phone number, mobile phone number
email|one|What is {s}'s email address?|email address, e mail, e mail address, mail address
address|one|What is {s}'s address?|home address, postal address, street address
married to|one|Who is {s} married to?|is married to, spouse, wife, husband, spouse of, husband of, wife of
engaged to|one|Who is {s} engaged to?|is engaged to, fiance, fiancee
boss|one|Who is {s}'s boss?|manager, supervisor
mother|fixed|Who is {s}'s mother?|
father|fixed|Who is {s}'s father?|
capital|one|What is the capital of {s}?|capital city
capital of|one|What is {s} the capital of?|is the capital of
ceo|one|Who is the CEO of {s}?|chief executive officer, chief executive
president|one|Who is the president of {s}?|
mayor|one|Who is the mayor of {s}?|
prefers|open|What does {s} prefer?|prefer
likes|many|What does {s} like?|like, loves, love, enjoys, enjoy, adores, adore, fond of, is fond of
dislikes|many|What does {s} dislike?|dislike, hates, hate, detests, detest, loathes, loathe
owns|many|What does {s} own?|own, possesses, possess
speaks|many|What does {s} speak?|speak, language, speaks language
plays|many|What does {s} play?|play
visited|many|Where has {s} been?|has visited, travelled to, traveled to
lived in|many|Where did {s} live?|used to live in
worked at|many|Where did {s} work?|worked for
worked as|many|What did {s} work as?|
studies at|open|Where does {s} study?|study at, studying at
studied at|many|Where did {s} study?|
graduated from|many|Where did {s} graduate from?|
grew up in|many|Where did {s} grow up?|
located in|many|Where is {s}?|situated in, is located in, is situated in, based in, location
from|many|Where is {s} from?|is from, comes from, come from, originally from, home town, hometown
allergic to|many|What is {s} allergic to?|is allergic to, allergy
member of|many|What is {s} a member of?|is a member of
founded|many|What did {s} found?|
founded by|many|Who was {s} founded by?|founder
founded in|fixed|When was {s} founded?|founding year, founding date
wrote|many|What did {s} write?|
written by|many|Who was {s} written by?|author
directed|many|What did {s} direct?|
directed by|many|Who was {s} directed by?|director of film
invented|many|What did {s} invent?|
invented by|many|Who was {s} invented by?|inventor
painted by|many|Who was {s} painted by?|
composed by|many|Who was {s} composed by?|composer
child|many|Who is {s}'s child?|has child, son, daughter, kid
sibling|many|Who is {s}'s sibling?|
sister|many|Who is {s}'s sister?|
brother|many|Who is {s}'s brother?|
friend|many|Who is {s}'s friend?|
is|many|-|is a, is an, are, instance of
was|many|-|were
"""
_PEOPLE = frozenset(
    """boss manager dentist doctor teacher coach therapist roommate neighbour neighbor colleague coworker partner girlfriend
    boyfriend aunt uncle cousin niece nephew grandmother grandfather lawyer landlord mentor trainer tutor ceo president mayor
    sister brother mother father friend child sibling king queen leader chancellor""".split()
)
_FAVOURITE = "favourite"
_SINGULAR_ENDS = ("ss", "us", "is", "series", "species", "news")


def _rows() -> dict[str, tuple[Arity, str]]:
    rows: dict[str, tuple[Arity, str]] = {}
    for line in _TABLE.strip().split("\n"):
        name, count, question, words = line.split("|")
        rows[name] = (Arity(count), "" if question == "-" else question)
        _SYNONYMS.update(dict.fromkeys(filter(None, words.split(", ")), name))
    return rows


_SYNONYMS: dict[str, str] = {}
_ROWS = _rows()


def canonical(relation: str) -> str:
    """The one name of a relation: "Resides in" is "lives in", "mobile numbers" is "phone", "favorite colors" "favourite color".

    Doing it twice changes nothing. Words that leave nothing over (only marks) are kept as they are, in lower case.
    """
    words = normalised(relation).replace("favorite", _FAVOURITE).split()
    while len(words) > 1 and words[0] in {"a", "an", "the", "my", "his", "her", "their", "its", "new"}:
        del words[0]
    plain = " ".join(words)
    if plain in _ROWS or plain in _SYNONYMS:
        return _SYNONYMS.get(plain, plain)
    single = " ".join([*words[:-1], *map(_singular, words[-1:])])
    return _SYNONYMS.get(single, single) or relation.strip().lower()


def arity(relation: str) -> Arity:
    """How many values the relation, in any wording, takes. A favourite is one at a time; what is not known is OPEN."""
    name = canonical(relation)
    return _ROWS[name][0] if name in _ROWS else Arity.ONE if name.startswith(f"{_FAVOURITE} ") else Arity.OPEN


def question(relation: str, subject: str) -> str:
    """The question that the relation's value answers, or "" where the table has none."""
    name = canonical(relation)
    if name in _ROWS:
        return _ROWS[name][1].replace("{s}", subject)
    if name.startswith(f"{_FAVOURITE} ") or name not in _PEOPLE:
        return f"What is {subject}'s {name}?"
    return f"Who is {subject}'s {name}?"


def is_known(relation: str) -> bool:
    """Whether the wording belongs to the table, or is a favourite."""
    name = canonical(relation)
    return name in _ROWS or name.startswith(f"{_FAVOURITE} ")


def names_person(relation: str) -> bool:
    """Whether the value of such an attribute is a person: boss, sister, dentist."""
    return canonical(relation) in _PEOPLE or canonical(relation) == "married to"


def _singular(word: str) -> str:
    """The singular of a noun, by the plain rules. Never run on a word twice with another result."""
    base = BASE_FORMS.get(word, word)
    if base != word or word in STOP_WORDS or len(word) < 4 or not word.endswith("s") or word.endswith(_SINGULAR_ENDS):
        return base
    return f"{word[:-3]}y" if word.endswith("ies") else word[:-1]
