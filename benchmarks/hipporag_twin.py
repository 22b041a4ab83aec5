"""HippoRAG 2 on the same triples and the same vectors as ours: a twin of the published algorithm, and its package's own code.

    python benchmarks/hipporag_twin.py                                dense search and the twin
    python benchmarks/hipporag_twin.py --peer-python ENV/bin/python   and hipporag's own search from another environment

HippoRAG 2 (arXiv 2502.14802, section 3) links a question to its five nearest facts, lets a language model drop those that
do not help (the recognition filter), and walks from the subjects and objects of the rest over a graph of phrases and
passages. The language model is left out here: the filter is off, or a lexical one keeps a fact if all words of its subject
or its object are words of the question. The triples are those of the data's `openie.json`.

The twin needs numpy only; where igraph is importable it walks with prpack, as the package does. Set the peer up with:

    python -m venv ENV
    ENV/bin/pip install --no-deps hipporag==2.0.0a4 gritlm==1.0.2
    ENV/bin/pip install torch transformers==4.45.2 "openai>=1.91,<2" litellm==1.73.1 tiktoken boto3 python_igraph==0.11.8 \\
        pandas pyarrow einops tenacity pydantic

hipporag pins torch 2.5.1 and vllm 0.6.6: neither takes part in its search, so it is installed without its own pins.

The cache is an .npz of unit vectors (float32, one row a text): `passages` (title, newline, text), `queries`,
`single_queries`, `phrases`, `facts` (subject, relation and object with blanks between them) and `fact_tuples` (the Python
tuple written out, which is what the package embeds); `phrase_texts` and `fact_texts` are JSON lists in the same order, and
`digest` tells whether it belongs to these texts and this precision.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import data
import hipporag_ours
import numpy as np
from numpy.typing import NDArray

Triple = tuple[str, str, str]
Walk = Callable[[NDArray], NDArray]
CUTS = (2, 5, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The constants of the paper (section 3 and appendix) and of the package."""

    synonym: float = 0.8
    """Cosine from which two phrases are synonyms."""
    synonyms: int = 101
    """Synonyms of a phrase; the package stops after the 101st, not the 100th."""
    shortest: int = 3
    """Letters and digits that a phrase needs to look for synonyms."""
    facts: int = 5
    phrases: int = 5
    passage: float = 0.05
    """Share of a passage's scaled similarity in the reset vector."""
    damping: float = 0.5


PUBLISHED = Published()


def normal(text: object) -> str:
    """Lower case, all but ASCII letters and digits blank."""
    return re.sub("[^A-Za-z0-9 ]", " ", str(text).lower()).strip()


def cleaned(triples: Sequence[Sequence[object]]) -> list[Triple]:
    """The triples of one passage: those of three parts, each raw form once, normalised."""
    once = dict.fromkeys(tuple(map(str, triple)) for triple in triples if len(triple) == 3)
    return [(normal(a), normal(b), normal(c)) for a, b, c in once]


def scaled(scores: NDArray) -> NDArray:
    """Least 0, greatest 1; all 1 where they are the same."""
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.ones_like(scores)


def power_walk(size: int, edges: Mapping[tuple[int, int], float], damping: float) -> Walk:
    """Personalised PageRank by power iteration until less than 1e-12 of the mass moves; no edge at a node: back to the reset."""
    pairs = np.array(list(edges), np.int64).reshape(-1, 2)
    weights = np.tile(np.fromiter(edges.values(), float, len(edges)), 2)
    source, target = np.r_[pairs[:, 0], pairs[:, 1]], np.r_[pairs[:, 1], pairs[:, 0]]
    strength = np.bincount(source, weights, size)
    share, alone = damping * weights / strength[source], strength == 0

    def walk(reset: NDArray) -> NDArray:
        reset = reset / reset.sum()
        mass, moved = reset, 1.0
        while moved > 1e-12:
            after = np.bincount(target, share * mass[source], size)
            after += (1 - damping + damping * mass[alone].sum()) * reset
            mass, moved = after, float(np.abs(after - mass).sum())
        return mass

    return walk


def prpack_walk(size: int, edges: Mapping[tuple[int, int], float], damping: float) -> Walk:
    """The same by igraph's prpack."""
    from igraph import Graph

    graph = Graph(n=size, edges=list(edges), directed=False)
    weights = list(edges.values())
    return lambda reset: np.array(
        graph.personalized_pagerank(
            damping=damping, directed=False, weights=weights, reset=reset, implementation="prpack"
        )
    )


class Twin:
    """HippoRAG 2's graph and search, without its language model.

    `triples` are those of each passage, as extracted; `passages` are unit vectors, shape (passages, dimensions); `phrases`
    and `facts` give the unit vector of each normalised phrase and triple.
    """

    def __init__(
        self,
        triples: Sequence[Sequence[Sequence[object]]],
        passages: NDArray,
        phrases: Mapping[str, NDArray],
        facts: Mapping[Triple, NDArray],
        constants: Published = PUBLISHED,
        walk: Callable[[int, Mapping[tuple[int, int], float], float], Walk] = power_walk,
    ) -> None:
        by_passage = [cleaned(some) for some in triples]
        self.facts = list(dict.fromkeys(triple for some in by_passage for triple in some))
        self.phrases = list(dict.fromkeys(phrase for a, _, c in self.facts for phrase in (a, c)))
        self._constants = constants
        self._number = {phrase: number for number, phrase in enumerate(self.phrases)}
        self._passages = passages
        self._fact_vectors = np.array([facts[fact] for fact in self.facts])
        self._places = [len(some) for some in self._where(by_passage)]
        self.edges = self._relations(by_passage)
        kinds = {"relation edges": len(self.edges)}
        context = {(self._number[p], len(self.phrases) + at): 1.0 for at, some in enumerate(by_passage) for a, _, c in some for p in (a, c)}  # fmt: skip
        self.edges |= context
        synonyms = self._synonyms(np.array([phrases[phrase] for phrase in self.phrases]))
        self.edges |= synonyms  # a synonym overwrites the relation between the same two phrases
        kinds |= {"context edges": len(context), "synonym edges": len(synonyms), "edges in all": len(self.edges)}
        self.sizes = {"passages": len(passages), "phrases": len(self.phrases), "facts": len(self.facts)} | kinds
        self._walk = walk(len(self.phrases) + len(passages), self.edges, constants.damping)

    def _where(self, by_passage: Sequence[Sequence[Triple]]) -> list[set[int]]:
        """The passages of each phrase."""
        found = [set[int]() for _ in self.phrases]
        for at, triples in enumerate(by_passage):
            for subject, _, thing in triples:
                found[self._number[subject]].add(at)
                found[self._number[thing]].add(at)
        return found

    def _relations(self, by_passage: Sequence[Sequence[Triple]]) -> dict[tuple[int, int], float]:
        """Each extraction adds 1 in either direction: as the graph has no directions, a relation counts double."""
        edges: dict[tuple[int, int], float] = defaultdict(float)
        for triples in by_passage:
            for subject, _, thing in triples:
                a, b = self._number[subject], self._number[thing]
                if a != b:
                    edges[a, b] += 1
                    edges[b, a] += 1
        return dict(edges)

    def _synonyms(self, vectors: NDArray, step: int = 1024) -> dict[tuple[int, int], float]:
        """From each phrase that is long enough to its nearest others; both directions where both are long enough."""
        edges = {}
        for start in range(0, len(vectors), step):
            close = vectors[start : start + step] @ vectors.T
            for row, scores in enumerate(close):
                a = start + row
                if len(re.sub("[^A-Za-z0-9]", "", self.phrases[a])) < self._constants.shortest:
                    continue
                near = np.flatnonzero(scores >= self._constants.synonym)
                near = near[np.argsort(-scores[near], kind="stable")]
                near = [b for b in near.tolist() if b != a and self.phrases[b]][: self._constants.synonyms]
                edges |= {(a, b): float(scores[b]) for b in near}
        return edges

    def seeds(self, question: NDArray, recognised: frozenset[str] | None = None) -> dict[int, float]:
        """Phrase to weight. With `recognised`, only facts whose subject or object is among these phrases count."""
        scores = scaled(self._fact_vectors @ question)
        total, times = defaultdict[int, float](float), Counter[int]()
        for fact in np.argsort(-scores, kind="stable")[: self._constants.facts].tolist():
            subject, _, thing = self.facts[fact]
            if recognised is not None and not recognised & {subject, thing}:
                continue
            for phrase in (self._number[subject], self._number[thing]):
                total[phrase] += float(scores[fact]) / self._places[phrase]
                times[phrase] += 1
        weights = {phrase: weight / times[phrase] for phrase, weight in total.items()}
        best = sorted(weights, key=lambda phrase: -weights[phrase])[: self._constants.phrases]
        return {phrase: weights[phrase] for phrase in best}

    def rank(self, question: NDArray, recognised: frozenset[str] | None = None) -> NDArray:
        """Passages, best first. Without a seed, by similarity alone."""
        similar = self._passages @ question
        seeds = self.seeds(question, recognised)
        if not seeds:
            return np.argsort(-similar, kind="stable")
        reset = np.zeros(len(self.phrases) + len(similar))
        reset[list(seeds)] = list(seeds.values())
        reset[len(self.phrases) :] = self._constants.passage * scaled(similar)
        return np.argsort(-self._walk(reset)[len(self.phrases) :], kind="stable")


def twin_rankings(
    triples: Sequence[Sequence[Sequence[object]]],
    passages: NDArray,
    phrases: Mapping[str, NDArray],
    facts: Mapping[Triple, NDArray],
    questions: NDArray,
    *,
    recognised: Sequence[frozenset[str]] | None = None,
    constants: Published = PUBLISHED,
) -> NDArray:
    """The passages of each question, best first, shape (questions, passages): `Twin` in one call.

    `questions` are unit vectors; `recognised` has for each the normalised phrases that the filter lets through.
    """
    twin = Twin(triples, passages, phrases, facts, constants)
    let = [None] * len(questions) if recognised is None else recognised
    return np.array([twin.rank(question, some) for question, some in zip(questions, let, strict=True)])


def phrases_in(questions: Sequence[str], phrases: Sequence[str]) -> list[frozenset[str]]:
    """For each question the phrases all of whose words are among its words: the lexical filter."""
    from remanence.language.tokens import stems

    words = [(phrase, frozenset(stems(phrase))) for phrase in phrases]
    asked = [frozenset(stems(question)) for question in questions]
    return [frozenset(phrase for phrase, some in words if some and some <= have) for have in asked]


@dataclass(frozen=True, slots=True)
class Work:
    """What is ranked, by whom it is asked, and the texts that need vectors."""

    triples: list[list[list[object]]]
    passages: list[str]
    sets: dict[str, list[data.Question]]
    phrases: list[str]
    facts: list[Triple]

    def texts(self) -> dict[str, list[str]]:
        multi, single = self.sets.values()
        return {
            "passages": self.passages,
            "queries": [question.text for question in multi],
            "single_queries": [question.text for question in single],
            "phrases": self.phrases,
            "facts": [" ".join(fact) for fact in self.facts],
            "fact_tuples": [str(fact) for fact in self.facts],
        }


def work(folder: Path) -> Work:
    """The multi-hop set with its triples, and its single-hop questions."""
    docs = json.loads((folder / "openie.json").read_text(encoding="utf-8"))["docs"]
    corpus = data.multihop(folder)
    passages = [f"{one.get('title', '')}\n{one['content']}" for one in corpus.messages]
    assert passages == [doc["passage"] for doc in docs], "the triples belong to other passages"
    triples = [doc["extracted_triples"] for doc in docs]
    facts = list(dict.fromkeys(triple for some in triples for triple in cleaned(some)))
    phrases = list(dict.fromkeys(phrase for a, _, c in facts for phrase in (a, c)))
    sets = {"multi-hop": corpus.questions, "single-hop": data.single_hop(folder).questions}
    return Work(triples, passages, sets, phrases, facts)


def vectors_of(job: Work, precision: str, cache: Path) -> dict[str, NDArray]:
    """Unit vectors of all texts, from the cache where it holds the same texts at the same precision."""
    texts = job.texts()
    digest = hashlib.sha256(json.dumps([precision, texts]).encode()).hexdigest()
    if cache.is_file():
        with np.load(cache) as stored:
            if "digest" in stored and str(stored["digest"]) == digest:
                return {name: stored[name] for name in texts}
    from remanence import Settings
    from remanence.models.shelf import open_embedder

    embedder, vectors = open_embedder(Settings(precision=precision)), {}
    assert embedder is not None
    for name, some in texts.items():
        order = np.argsort([len(text) for text in some], kind="stable")  # texts of like length go through together
        vectors[name] = np.empty((len(some), embedder.dimensions), np.float32)
        vectors[name][order] = embedder.embed([some[at] for at in order])
    lists = {"phrase_texts": json.dumps(job.phrases), "fact_texts": json.dumps(job.facts)}
    np.savez(cache, digest=digest, **lists, **vectors)
    return vectors


@dataclass(frozen=True, slots=True)
class Result:
    """The first ten passages of each question, and the milliseconds that one took."""

    found: list[list[int]]
    ms: float


def timed(rank: Callable[[int], NDArray], count: int) -> Result:
    """`rank` of each question's number, one at a time."""
    rank(0)
    start = time.perf_counter()
    found = [rank(number)[: max(CUTS)].tolist() for number in range(count)]
    return Result(found, 1000 * (time.perf_counter() - start) / count)


def recalls(found: Sequence[Sequence[int]], questions: Sequence[data.Question]) -> list[float]:
    """Mean share of the evidence among the first 2, 5 and 10."""
    gold = [set(map(int, question.gold)) for question in questions]
    return [float(np.mean([len(have & set(some[:cut])) / len(have) for some, have in zip(found, gold, strict=True)])) for cut in CUTS]  # fmt: skip


def ours(twin: Twin, passages: NDArray, questions: NDArray, let: Sequence[frozenset[str]]) -> dict[str, Result]:
    count = len(questions)
    return {
        "dense only": timed(lambda at: np.argsort(-(passages @ questions[at]), kind="stable"), count),
        "twin, no filter": timed(lambda at: twin.rank(questions[at]), count),
        "twin, lexical filter": timed(lambda at: twin.rank(questions[at], let[at]), count),
    }


def peers(python: Path, seed: int, job: Work, vectors: dict, let: dict) -> tuple[dict, dict[str, dict[str, Result]]]:
    """Graph sizes and results of the package's own code, in its own environment. See peer_hipporag.py."""
    with tempfile.TemporaryDirectory() as folder:
        sets = {}
        for name, some in job.sets.items():
            gold = [list(map(int, question.gold)) for question in some]
            kept = [sorted(phrases) for phrases in let[name]]
            sets[name] = {"questions": [question.text for question in some], "gold": gold, "recognised": kept}
        wanted = {"passages": job.passages, "triples": job.triples, "phrases": job.phrases, "facts": [str(fact) for fact in job.facts], "sets": sets, "cuts": CUTS}  # fmt: skip
        (Path(folder) / "work.json").write_text(json.dumps(wanted), encoding="utf-8")
        np.savez(Path(folder) / "vectors.npz", **vectors)
        call = [str(python), str(Path(__file__).with_name("peer_hipporag.py")), folder]
        environment = os.environ | {"PYTHONHASHSEED": str(seed)}
        output = subprocess.run(call, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    answer, results = json.loads(output.splitlines()[-1]), {}
    for name, some in answer["sets"].items():
        results[name] = {what: Result(one["found"], one["ms"]) for what, one in some.items()}
    return answer["sizes"], results


def agreement(one: Result, other: Result, cut: int = 5) -> float:
    """Mean share of the first five that two rankings have in common."""
    return float(np.mean([len({*a[:cut]} & {*b[:cut]}) / cut for a, b in zip(one.found, other.found, strict=True)]))


def report(job: Work, results: Mapping[str, Mapping[str, Result]]) -> None:
    first, *_ = results.values()
    print(f"{'recall@' + '/@'.join(map(str, CUTS)):30s} " + " ".join(f"{name:>24s}" for name in results))
    for what in first:
        cells = []
        for name, some in results.items():
            figures = " / ".join(f"{value:.3f}" for value in recalls(some[what].found, job.sets[name]))
            cells.append(f"{figures} {some[what].ms:7.1f} ms")
        print(f"{what:30s} " + "   ".join(cells), flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--peer-python", type=Path)
    arguments.add_argument("--seed", type=int, default=0, help="PYTHONHASHSEED of the package, whose ties it settles")
    arguments.add_argument("--precision", default="int8", choices=("fp32", "int8"))
    arguments.add_argument("--facts", default="facts", choices=("facts", "fact_tuples"), help="how a fact is embedded")
    arguments.add_argument("--cache", type=Path, help="an .npz for the vectors, else one in the temporary folder")
    options = arguments.parse_args()
    job = work(data.folder() / "multihop-dev")
    cache = options.cache or Path(tempfile.gettempdir()) / f"remanence-hipporag-{options.precision}.npz"
    stored = vectors_of(job, options.precision, cache)
    asked = {"multi-hop": stored["queries"], "single-hop": stored["single_queries"]}
    vectors = {"passages": stored["passages"], "phrases": stored["phrases"], "facts": stored[options.facts]}
    walk = prpack_walk if find_spec("igraph") else power_walk
    phrases, facts = (dict(zip(getattr(job, name), vectors[name], strict=True)) for name in ("phrases", "facts"))
    twin = Twin(job.triples, vectors["passages"], phrases, facts, walk=walk)
    let = {name: phrases_in([question.text for question in some], job.phrases) for name, some in job.sets.items()}
    results = {name: ours(twin, vectors["passages"], asked[name], let[name]) for name in job.sets}
    print(", ".join(f"{count:,} {what}" for what, count in twin.sizes.items()) + f"; {walk.__name__}")
    if options.peer_python:
        sizes, theirs = peers(options.peer_python, options.seed, job, vectors | asked, let)
        print("the package: " + ", ".join(f"{count:,} {what}" for what, count in sizes.items()))
        results = {name: results[name] | theirs[name] for name in results}
    for what, memory in hipporag_ours.rankings(data.folder() / "multihop-dev", options.precision):
        for name, some in job.sets.items():
            for question in some:
                memory._encoding.question(question.text)  # the others get their vectors for nothing too
            rank = lambda at, memory=memory, some=some: np.array(hipporag_ours.found(memory, some[at].text))  # noqa: E731
            results[name] |= {what: timed(rank, len(some))}
    report(job, results)
    for name, some in results.items() if options.peer_python else ():
        shares = (f"{what} {agreement(some[f'twin, {what}'], some[f'package, {what}']):.3f}" for what in ("no filter", "lexical filter"))  # fmt: skip
        print(f"{name}: first five in common, twin and package: " + ", ".join(shares))


if __name__ == "__main__":
    main()
