"""Runs in an environment that has hipporag; prints JSON. See hipporag_twin.py.

Everything that ranks is the package's: its graph, its synonym edges, its fact scores, its walk. Three things are put in
from outside: the vectors, the triples (as its own cached extraction file), and a filter where it would ask a language
model. Nothing is downloaded and no model is opened.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

os.environ.update(OPENAI_API_KEY="not used", HF_HUB_OFFLINE="1", TQDM_DISABLE="1")


class Given:
    """An embedding model that knows the vectors of its texts beforehand."""

    def __init__(self, vectors: Mapping[str, np.ndarray]) -> None:
        self._vectors = vectors

    def batch_encode(self, texts: Sequence[str], instruction: str = "", *, norm: bool = True) -> np.ndarray:
        del instruction, norm  # the vectors have length 1, and our embedder takes no instructions
        return np.array([self._vectors[text] for text in texts])


def indexed(work: dict, vectors: Mapping[str, np.ndarray], folder: str) -> Any:
    """The package's index of the passages, with the triples found where it looks for those of an earlier run."""
    if find_spec("vllm") is None:  # the package imports it when it is imported, and uses it only to extract triples
        sys.modules["vllm"] = ModuleType("vllm")
        sys.modules["vllm"].SamplingParams = sys.modules["vllm"].LLM = None
    from hipporag import HippoRAG
    from hipporag.utils.config_utils import BaseConfig

    warnings.filterwarnings("ignore", "invalid value encountered")  # it divides 0 by 0 for phrases without a fact
    config = BaseConfig(save_dir=folder, embedding_model_name="text-embedding-given", llm_name="gpt-4o-mini")
    docs = [
        {"passage": passage, "extracted_entities": [], "extracted_triples": triples}
        for passage, triples in zip(work["passages"], work["triples"], strict=True)
    ]
    (Path(folder) / "openie_results_ner_gpt-4o-mini.json").write_text(json.dumps({"docs": docs}), encoding="utf-8")
    hippo = HippoRAG(global_config=config)
    hippo.embedding_model = Given(vectors)
    for store in (hippo.chunk_embedding_store, hippo.entity_embedding_store, hippo.fact_embedding_store):
        store.embedding_model = hippo.embedding_model
    hippo.index(work["passages"])
    hippo.prepare_retrieval_objects()
    return hippo


def keep_all(_question, facts, numbers, len_after_rerank=None):
    return numbers, facts, {"most": len_after_rerank}


def keep_recognised(let: Mapping[str, set[str]]):
    """The filter's place in the package: which of the candidate facts, and their numbers, go on."""

    def keep(question, facts, numbers, len_after_rerank=None):
        kept = [at for at, (subject, _, thing) in enumerate(facts) if let[question] & {subject, thing}]
        return [numbers[at] for at in kept], [facts[at] for at in kept], {"most": len_after_rerank}

    return keep


def measured(hippo: Any, some: dict, number: Mapping[str, int], cuts: Sequence[int]) -> dict:
    """Every question by itself through `retrieve`; its vector is looked up beforehand."""
    questions = some["questions"]
    hippo.get_query_embeddings(questions)
    hippo.retrieve(questions[:1])
    hippo.ppr_time, start = 0, time.perf_counter()
    results = [hippo.retrieve([question])[0] for question in questions]
    seconds = time.perf_counter() - start
    found = [[number[passage] for passage in result.docs[: max(cuts)]] for result in results]
    recall = {
        f"@{cut}": float(np.mean([len({*gold} & {*one[:cut]}) / len(gold) for one, gold in zip(found, some["gold"], strict=True)]))
        for cut in cuts
    }  # fmt: skip
    return {"found": found, "recall": recall, "ms": 1000 * seconds / len(questions), "walk ms": 1000 * hippo.ppr_time / len(questions)}  # fmt: skip


def main(folder: str) -> None:
    work = json.loads((Path(folder) / "work.json").read_text(encoding="utf-8"))
    arrays = np.load(Path(folder) / "vectors.npz")
    vectors: dict[str, np.ndarray] = {}
    for name in ("passages", "phrases", "facts"):
        vectors |= dict(zip(work[name], arrays[name], strict=True))
    for name, some in work["sets"].items():
        vectors |= dict(zip(some["questions"], arrays[name], strict=True))
    number = {passage: at for at, passage in enumerate(work["passages"])}
    with tempfile.TemporaryDirectory() as index:
        start = time.perf_counter()
        hippo = indexed(work, vectors, index)
        sizes = {"nodes": hippo.graph.vcount(), "edges": hippo.graph.ecount(), "facts": len(hippo.fact_node_keys)}
        sizes["seconds to index"] = round(time.perf_counter() - start)
        sets = {}
        for name, some in work["sets"].items():
            hippo.rerank_filter = keep_all
            sets[name] = {"package, no filter": measured(hippo, some, number, work["cuts"])}
            let = {question: set(kept) for question, kept in zip(some["questions"], some["recognised"], strict=True)}
            hippo.rerank_filter = keep_recognised(let)
            sets[name]["package, lexical filter"] = measured(hippo, some, number, work["cuts"])
    print(json.dumps({"sizes": sizes, "sets": sets}))


if __name__ == "__main__":
    main(sys.argv[1])
