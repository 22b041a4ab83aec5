"""Runs in an environment that has mem0ai, its local Qdrant and sentence-transformers; prints JSON. See twins.py."""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time

os.environ.update(MEM0_TELEMETRY="False", OPENAI_API_KEY="not used", HF_HUB_OFFLINE="1", MEM0_DIR=tempfile.mkdtemp())

from mem0 import Memory


def main(model: str) -> None:
    work = json.load(sys.stdin)
    config = {
        "vector_store": {
            "provider": "qdrant",
            "config": {"path": tempfile.mkdtemp(), "embedding_model_dims": 384, "on_disk": True},
        },
        "embedder": {"provider": "huggingface", "config": {"model": model, "embedding_dims": 384}},
    }
    memory = Memory.from_config(config)
    memory.add("warm up", user_id="other", infer=False)
    start = time.perf_counter()
    for text in work["single"]:
        memory.add(text, user_id="u", infer=False)
    single = len(work["single"]) / (time.perf_counter() - start)
    start = time.perf_counter()
    memory.add([{"role": "user", "content": text} for text in work["bulk"]], user_id="bulk", infer=False)
    bulk = len(work["bulk"]) / (time.perf_counter() - start)
    seconds = []
    for question in work["questions"]:
        start = time.perf_counter()
        memory.search(question, filters={"user_id": "u"})
        seconds.append(1000 * (time.perf_counter() - start))
    print(
        json.dumps(
            {
                "single adds/s": single,
                "bulk texts/s": bulk,
                "search p50 ms": statistics.median(seconds),
                "items": len(work["single"]),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
