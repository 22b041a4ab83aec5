"""Answers on LoCoMo: what the model-free answerer finds, cites, and abstains from.

python benchmarks/answers.py             the figures with the frozen profile (docs/answers.md)
python benchmarks/answers.py --fit       fit the profile on three conversations, print it, and report on the others
python benchmarks/answers.py --curve     and the whole risk-coverage curve
python benchmarks/answers.py --support   what the check of citations keeps and refuses

Answerable: categories 1 to 4. Unanswerable: category 5 (questions that take another person for the one it is true of), and the
questions of categories 1 to 4 with the turns of their evidence taken out of the hits. An answer counts as right when it cites a
turn of the evidence; no answer to an unanswerable question does.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import string
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import data
import numpy as np
from numpy.typing import NDArray

from recall import filled
from remanence import Memory, Settings
from remanence.answer.evidence import SPAN_FEATURES, spans
from remanence.answer.extractive import extract, find
from remanence.answer.profile import DEFAULT, ConfidenceWeights, Profile, SpanWeights
from remanence.answer.question import read_question
from remanence.answer.support import check
from remanence.cubes import Answer, Hit
from remanence.language.tokens import folded, stems
from remanence.models.shelf import open_embedder

FITTED_ON = ("conv-26", "conv-30", "conv-41")
K = 10
"""Hits that are answered from. As many again stand by for the questions whose evidence is taken out."""
FEW = 2
ADVERSARIAL, REMOVED = "adversarial", "evidence removed"
_EVIDENCE = re.compile(r"D:?(\d+):(\d+)")


@dataclass(frozen=True)
class Case:
    """A question with the hits to answer it from."""

    conversation: str
    kind: str
    """1 to 4, or one of the unanswerable kinds."""
    question: str
    gold: str
    evidence: frozenset[str]
    hits: tuple[Hit, ...]

    @property
    def answerable(self) -> bool:
        return self.kind not in {ADVERSARIAL, REMOVED}

    def right(self, found: Answer) -> bool:
        """Whether an answer, abstention aside, cites the evidence."""
        cited = {hit.cube.meta["key"] for hit in found.used if hit.cube.id in {one.cube_id for one in found.citations}}
        return self.answerable and bool(cited & self.evidence)


class Embedding:
    """An embedder that remembers what it embedded."""

    def __init__(self, settings: Settings) -> None:
        self._embedder = open_embedder(settings)
        self._known: dict[str, NDArray[np.float32]] = {}

    @property
    def at_hand(self) -> bool:
        return self._embedder is not None

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        if self._embedder is None:
            return None
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._embedder.embed(new), strict=True))
        return np.stack([self._known[text] for text in texts])


def cases(memory: Memory, path: Path) -> list[Case]:
    """Every question of the file with its hits; of categories 1 to 4 those with evidence, as in the figures of recall."""
    found = []
    for sample in json.loads(path.read_text(encoding="utf-8")):
        name = sample["sample_id"]
        for one in sample["qa"]:
            evidence = frozenset(f"D{int(a)}:{int(b)}" for text in one["evidence"] for a, b in _EVIDENCE.findall(text))
            hits = tuple(memory.recall(one["question"], space=name, k=2 * K, explain=False))
            case = Case(name, str(one["category"]), one["question"], str(one.get("answer", "")), evidence, hits[:K])
            if one["category"] == 5:
                found.append(replace(case, kind=ADVERSARIAL))
            elif evidence:
                left = tuple(hit for hit in hits if hit.cube.meta["key"] not in evidence)
                found += [case, replace(case, kind=REMOVED, hits=left[:K])]
    return found


# ── figures ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def tokens(text: str) -> list[str]:
    """As SQuAD and LoCoMo compare answers: lower case, no punctuation, no articles."""
    plain = "".join(" " if letter in string.punctuation else letter for letter in text.lower())
    return [word for word in plain.split() if word not in {"a", "an", "the", "and"}]


def overlap(text: str, gold: str) -> tuple[float, float]:
    """Token F1, and the share of the gold answer's tokens that the text holds."""
    one, other = Counter(tokens(text)), Counter(tokens(gold))
    shared = sum((one & other).values())
    total = sum(one.values()) + sum(other.values())
    return (2 * shared / total if total else 0.0), (shared / sum(other.values()) if other else 0.0)


def auroc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Chance that a positive scores above a negative; ties count half."""
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    values, inverse = np.unique(scores, return_inverse=True)
    ranks = np.array([ranks[inverse == at].mean() for at in range(len(values))])[inverse]
    many = int(positive.sum())
    return float((ranks[positive].sum() - many * (many + 1) / 2) / (many * (len(scores) - many)))


def curve(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coverage and selective risk as the threshold falls: the share answered, and the share of wrong ones among them."""
    order = np.argsort(-scores, kind="stable")
    count = np.arange(1, len(scores) + 1)
    return count / len(scores), np.cumsum(~right[order]) / count


def report(name: str, some: list[Case], embed: Embedding, profile: Profile, *, whole_curve: bool) -> None:
    """Print everything for some cases."""
    always = replace(profile, threshold=0.0, without=profile.without and replace(profile.without, threshold=0.0))
    limit = profile.without.threshold if profile.without and not embed.at_hand else profile.threshold
    answers = [extract(case.question, case.hits, embed=embed, profile=always) for case in some]
    scores = np.array([one.confidence for one in answers])
    right = np.array([case.right(one) for case, one in zip(some, answers, strict=True)])
    answerable = np.array([case.answerable for case in some])
    kinds = np.array([case.kind for case in some])
    kept = scores >= limit
    print(f"\n{name}: {len(some)} questions, {int(answerable.sum())} of them answerable")
    print(
        f"{'kind':18s} {'n':>5s} {'answered':>9s} {'cites':>7s} {'F1':>6s} {'holds':>6s}   always answering: cites, F1, holds"
    )
    for kind in (*sorted(set(kinds[answerable])), "1 to 4", ADVERSARIAL, REMOVED):
        mask = answerable if kind == "1 to 4" else kinds == kind
        overlaps = np.array([overlap(one.text, case.gold) for one, case in zip(answers, some, strict=True)])
        line = f"{kind:18s} {int(mask.sum()):5d} {kept[mask].mean():9.3f}"
        if kind not in {ADVERSARIAL, REMOVED}:
            both = mask & kept
            shown = overlaps[both].mean(0) if both.any() else (0.0, 0.0)
            line += f" {right[both].mean() if both.any() else 0.0:7.3f} {shown[0]:6.3f} {shown[1]:6.3f}"
            line += f"   {right[mask].mean():.3f} {overlaps[mask, 0].mean():.3f} {overlaps[mask, 1].mean():.3f}"
        print(line)
    for what, mask in (
        ("all", kinds != ""), ("1 to 4 alone", answerable),
        ("with adversarial", kinds != REMOVED), ("with evidence removed", kinds != ADVERSARIAL),
    ):  # fmt: skip
        covered, risk = curve(scores[mask], right[mask])
        best = curve(right[mask].astype(float), right[mask])[1].mean()
        line = f"{what:22s} AURC {risk.mean():.3f} (no order {1 - right[mask].mean():.3f}, best order {best:.3f})"
        line += f"  AUROC right/wrong {auroc(scores[mask], right[mask]):.3f}"
        if what != "1 to 4 alone":
            line += f"  answerable/unanswerable {auroc(scores[mask], answerable[mask]):.3f}"
        print(line)
        if what == "all" or whole_curve:
            cuts = np.arange(0.05 if whole_curve else 0.1, 1.001, 0.05 if whole_curve else 0.1)
            at = [min(int(np.ceil(cut * len(risk))), len(risk)) - 1 for cut in cuts]
            print("  coverage " + " ".join(f"{covered[place]:.2f}" for place in at))
            print("  risk     " + " ".join(f"{risk[place]:.2f}" for place in at))
    bins = np.clip((scores * 5).astype(int), 0, 4)
    print("confidence, share right: " + "  ".join(f"{scores[bins == b].mean():.2f} {right[bins == b].mean():.2f} (n {int((bins == b).sum())})" for b in range(5) if (bins == b).any()))  # fmt: skip


def support_report(memory: Memory, path: Path, embed: Embedding, per_conversation: int = 150) -> None:
    """Does the check keep what supports and refuse what does not? On LoCoMo's observations: sentences that a model wrote from one turn.

    The turn beside it is the best hit for the sentence that is another one. Some of these say the same, so that column is an upper
    bound of the error.
    """
    draw, kept, total = random.Random(0), Counter(), 0
    for sample in json.loads(path.read_text(encoding="utf-8")):
        name, talk = sample["sample_id"], sample["conversation"]
        turns = {cube.meta["key"]: cube for cube in memory.list(space=name, limit=10_000)}
        speakers = talk["speaker_a"], talk["speaker_b"]
        people = frozenset(map(folded, speakers))
        written = [
            (text, turns[key])
            for session in sample["observation"].values() for told in session.values() for text, key in told
            if isinstance(key, str) and key in turns and turns[key].provenance.author in text
        ]  # fmt: skip
        for text, turn in draw.sample(written, min(per_conversation, len(written))):
            author = str(turn.provenance.author)
            other = speakers[speakers[0] == author]
            beside = next(
                hit.cube for hit in memory.recall(text, space=name, k=2, explain=False) if hit.cube.id != turn.id
            )
            elsewhere = draw.choice(
                [one for one in turns.values() if one.provenance.author == author and one.id != turn.id]
            )
            total += 1
            for what, sentence, cube in (
                ("its own turn", text, turn), ("the turn beside it", text, beside), ("any other turn of the speaker", text, elsewhere),
                ("its own turn, name exchanged", text.replace(author, other), turn),
            ):  # fmt: skip
                kept[what] += bool(check(sentence, [cube], 0, people=people, embed=embed).citations)
    print(
        f"\ncitations kept, {total} sentences: "
        + ", ".join(f"{what} {count / total:.3f}" for what, count in kept.items())
    )


# ── the fit ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def logistic(
    rows: NDArray[np.float64], labels: NDArray[np.float64], weights: NDArray[np.float64], *, ridge: float = 2.0
) -> tuple[NDArray[np.float64], float]:
    """Weighted logistic regression by Newton's method, ridge on standardised features. Returns weights and base."""
    mean, spread = rows.mean(0), rows.std(0) + 1e-9
    inputs = np.c_[(rows - mean) / spread, np.ones(len(rows))]
    penalty = np.r_[np.full(rows.shape[1], ridge), 1e-6]
    found = np.zeros(inputs.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-inputs @ found))
        slope = inputs.T @ (weights * (chance - labels)) + penalty * found
        bend = (inputs.T * (weights * chance * (1 - chance))) @ inputs + np.diag(penalty)
        found -= np.linalg.solve(bend, slope)
    factors = found[:-1] / spread
    return factors, float(found[-1] - factors @ mean)


def fit(some: list[Case], embed: Embedding) -> Profile:
    """Weights of spans, then of the confidence, then the threshold.

    Spans, each against the mean of its question's: does a sentence stand in a turn of the evidence, and share a stem with the gold answer (questions of time and of
    inference are exempt: their answers are worded otherwise)? Confidence: is the answer right? There, answerable questions
    weigh a half and both unanswerable kinds a quarter, and each is there with ten hits and with two. The threshold is where the rate of right answers that
    are kept and that of others that are held back have the largest sum.
    """
    rows, labels = [], []
    for case in some:
        if not case.answerable:
            continue
        gold = set(stems(case.gold))
        found = spans(read_question(case.question, list(case.hits)), case.hits, embed)
        middle = np.mean([span.features for span in found], axis=0)
        for span in found:
            stands = case.hits[span.place].cube.meta["key"] in case.evidence
            rows.append(span.features - middle)
            labels.append(float(stands and (case.kind in {"2", "3"} or bool(gold & span.terms))))
    factors, _ = logistic(np.array(rows), np.array(labels), np.ones(len(rows)))
    weights = SpanWeights(
        **{name: round(float(factor), 2) for name, factor in zip(SPAN_FEATURES, factors, strict=True)}
    )
    profile = Profile(spans=weights, threshold=0.0)
    names = [each.name for each in fields(ConfidenceWeights) if each.name not in {"base", "absent"}]
    rows, labels, groups = [], [], []
    several = [*some, *(replace(case, hits=case.hits[:FEW]) for case in some)]
    for case in several:
        found = find(case.question, case.hits, embed, profile)
        rows.append([found.features[name] for name in names])
        labels.append(float(case.right(extract(case.question, case.hits, embed=embed, profile=profile))))
        groups.append("answerable" if case.answerable else case.kind)
    sizes = Counter(groups)
    balance = np.array([len(groups) / (2 if group == "answerable" else 4) / sizes[group] for group in groups])
    factors, base = logistic(np.array(rows), np.array(labels), balance)
    chosen = {name: round(float(factor), 2) for name, factor in zip(names, factors, strict=True)}
    profile = replace(profile, confidence=ConfidenceWeights(base=round(base, 2), **chosen))
    scores = np.array([find(case.question, case.hits, embed, profile).confidence for case in several])
    right = np.array(labels) > 0
    cuts = np.round(np.arange(0.05, 0.95, 0.01), 2)
    sums = [float((scores[right] >= cut).mean() + (balance[~right] * (scores[~right] < cut)).sum() / balance[~right].sum()) for cut in cuts]  # fmt: skip
    return replace(profile, threshold=float(cuts[int(np.argmax(sums))]))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--fit", action="store_true")
    arguments.add_argument("--curve", action="store_true")
    arguments.add_argument("--support", action="store_true")
    arguments.add_argument("--no-embedder", action="store_true", help="recall and answer by words alone")
    arguments.add_argument("--locomo", type=Path)
    options = arguments.parse_args()
    path = options.locomo or data.folder() / "locomo-dev" / "locomo-dev.json"
    if not path.is_file():
        sys.exit(f"No data in {path}: set REMANENCE_DATA.")
    settings = Settings(embedder="none") if options.no_embedder else Settings()
    embed = Embedding(settings)
    with filled(data.locomo(path), settings) as memory:
        if options.support:
            support_report(memory, path, embed)
            return
        every = cases(memory, path)
    parts = defaultdict(list)
    for case in every:
        parts["fitted on" if case.conversation in FITTED_ON else "held out of the fit"].append(case)
    profile = fit(parts["fitted on"], embed) if options.fit else DEFAULT
    if options.fit:
        print(profile)
    for name, some in parts.items():
        report(name, some, embed, profile, whole_curve=options.curve)


if __name__ == "__main__":
    main()
