"""The relations of the synthetic world: how each is stated and asked, and the values that it takes."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_NAMES = tuple(
    """Mira Jonas Ada Pavel Ines Tomas Lena Omar Nora Felix Vera Hugo Anna Boris Carla Diego Elsa Farid Greta Henrik
    Irma Janek Karin Lukas Mona Nils Olga Pedro Rosa Samir Tilda Ugo Wanda Xenia Yusuf Zora Emil Dora Klaus Livia""".split()
)
LAST_NAMES = tuple(
    """Kovac Lind Moreau Novak Okafor Petrov Quist Rossi Sato Tanaka Ulmer Varga Weber Yilmaz Zeman Almeida Brandt Costa
    Dahl Eriksen Ferrari Garcia Haddad Ivanov Jensen Keller Larsen Mendes Nowak Olsen Park Ritter Silva Toth Urban Vidal
    Wolff Adler Becker Conti""".split()
)


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation: its wordings with `{s}` for the subject and `{v}` for the value. The last of each kind is held out."""

    name: str
    """As `language.relations.canonical` names it."""
    statements: tuple[str, ...]
    """Each ends with the value and a full stop, so that everything before the value is a prompt for it."""
    questions: tuple[str, ...]
    values: tuple[str, ...]
    hop: str = ""
    """A question about the value's property that needs the fact first; "" where values have none."""
    property_statement: str = ""
    """`{v}` is the value, `{p}` its property."""
    property_question: str = ""
    properties: tuple[str, ...] = ()
    """One for each value, in their order."""


RELATIONS = (
    Relation(
        "lives in",
        ("{s} lives in {v}.", "{s} resides in {v}.", "{s}'s home is {v}.", "The home of {s} is {v}."),
        ("Where does {s} live?", "Where is the home of {s}?", "In which city does {s} live?"),
        ("Lisbon", "Porto", "Oslo", "Bergen", "Turin", "Naples", "Krakow", "Gdansk",
         "Lyon", "Nantes", "Ghent", "Bruges", "Malmo", "Uppsala", "Graz", "Vienna"),
        "In which country does {s} live?",
        "{v} is located in {p}.",
        "Where is {v}?",
        ("Portugal", "Portugal", "Norway", "Norway", "Italy", "Italy", "Poland", "Poland",
         "France", "France", "Belgium", "Belgium", "Sweden", "Sweden", "Austria", "Austria"),
    ),
    Relation(
        "works at",
        ("{s} works at {v}.", "{s} is employed by {v}.", "{s}'s employer is {v}.", "The employer of {s} is {v}."),
        ("Where does {s} work?", "Who employs {s}?", "What is the employer of {s}?"),
        ("Lumen Labs", "Ferro Works", "Delta Foods", "Ardent Books", "Cobalt Motors", "Harbour Bank", "Orchid Films",
         "Summit Tools", "Willow Press", "Quartz Studio", "Beacon Clinic", "Maple Dairy", "Falcon Air", "Tidal Power",
         "Copper Mill", "Velvet Records"),
        "What does the employer of {s} make?",
        "{v} makes {p}.",
        "What does {v} make?",
        ("lamps", "steel", "bread", "books", "cars", "loans", "films", "hammers",
         "books", "films", "medicine", "bread", "flights", "power", "steel", "records"),
    ),
    Relation(
        "likes",
        ("{s} likes {v}.", "{s} enjoys {v}.", "{s} loves {v}.", "{s} is fond of {v}."),
        ("What does {s} like?", "What does {s} enjoy?", "What is {s} fond of?"),
        ("chess", "rowing", "pottery", "poker", "tennis", "weaving", "bridge", "sailing",
         "knitting", "draughts", "skiing", "carving", "dominoes", "boxing", "sewing", "fencing"),
        "What kind of hobby does {s} have?",
        "{v} is a {p}.",
        "What is {v}?",
        ("game", "sport", "craft", "game", "sport", "craft", "game", "sport",
         "craft", "game", "sport", "craft", "game", "sport", "craft", "sport"),
    ),
    Relation(
        "dog",
        ("{s} has a dog named {v}.", "{s}'s dog is called {v}.", "The dog of {s} is called {v}.", "{s}'s dog is named {v}."),
        ("What is the name of {s}'s dog?", "What is the dog of {s} called?", "What is {s}'s dog called?"),
        ("Rex", "Bello", "Fido", "Laika", "Argos", "Balto", "Hachi", "Toto",
         "Snoopy", "Milou", "Gromit", "Pongo", "Dash", "Bobby", "Nipper", "Rowlf"),
    ),
    Relation(
        "works as",
        ("{s}'s job is {v}.", "{s}'s occupation is {v}.", "{s}'s profession is {v}.", "{s} works as a {v}."),
        ("What does {s} work as?", "What is {s}'s job?", "What is the profession of {s}?"),
        ("baker", "nurse", "pilot", "teacher", "carpenter", "lawyer", "dentist", "painter",
         "farmer", "chef", "plumber", "judge", "tailor", "singer", "librarian", "porter"),
    ),
)  # fmt: skip
"""In the order in which a world takes them."""
