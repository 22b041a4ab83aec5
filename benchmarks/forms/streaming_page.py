"""The tables of docs/streaming.md, made of results/streaming.json and of nothing else.

python benchmarks/forms/streaming_page.py            writes them between the two marks of the page
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULT = HERE / "results" / "streaming.json"
PAGE = HERE.parents[1] / "docs" / "streaming.md"
BEGINS, ENDS = "<!-- figures: benchmarks/forms/streaming_page.py -->", "<!-- end of the figures -->"


def tables(result: Mapping[str, Any]) -> str:
    """Everything between the marks."""
    return "\n".join(
        [*head(result), *(line for kind in ("fixed", "open") for line in groceries(result, kind)), *games(result)]
    )


def head(result: Mapping[str, Any]) -> Iterator[str]:
    plan, count = result["plan"], len(result["seeds"])
    yield (
        f"`{result['command']}` ({result['machine']}; torch {result['torch']}). {count} models of "
        f"{result['training'][0]['parameters']:,} parameters, seeds {result['seeds'][0]} to {result['seeds'][-1]}, {plan['steps']} steps each; "
        f"{plan['sessions']} sessions of each kind and {plan['matches']} games of {plan['rounds']} rounds for each model."
    )
    yield ""


def groceries(result: Mapping[str, Any], kind: str) -> Iterator[str]:
    """Recall by rule and budget, the intervals of Wilson; whether the item was there at the question; the difference to StreamingLLM."""
    rows = [row for row in result["rows"]["grocery"] if row["kind"] == kind]
    budgets = sorted({row["budget"] for row in rows} - {0})
    seen = [one[kind] for one in result["surprisal"]]
    item, others, above = (statistics.fmean(one[what] for one in seen) for what in ("item", "others", "above"))
    [full] = [row for row in rows if not row["budget"]]
    yield f"**Groceries, {kind} fillers.** The item's surprisal is {item:.1f} nats, that of the other tokens {others:.1f}; {above:.0f} tokens"
    yield f"of a session have more (median). With the whole session in the cache the model recalls {share(full['recall'])}; a guess is right in 0.250."
    yield ""
    yield "| rule | " + " | ".join(f"{budget} tokens | item kept" for budget in budgets) + " |"
    yield "|---|" + "---|---|" * len(budgets)
    for name in dict.fromkeys(row["method"] for row in rows if row["budget"]):
        cells = [row for budget in budgets for row in rows if (row["method"], row["budget"]) == (name, budget)]
        texts = [
            f"{share(row['recall'])} | {'' if row['item_kept'] is None else format(row['item_kept'], '.2f')}"
            for row in cells
        ]
        yield f"| {name} | " + " | ".join(texts) + " |"
    yield ""
    yield "SirLLM over StreamingLLM on the same sessions, bootstrapped over models, and by model:"
    for row in rows:
        if row["method"] == "sirllm":
            over, each = row["over_streamingllm"], ", ".join(f"{one:.2f}" for one in row["over_seeds"]["each"])
            yield f"{row['budget']} tokens {over['value']:+.3f} [{over['low']:+.3f}, {over['high']:+.3f}] (recall {each});"
    yield f"fillers were answered right in {min(row['fillers'] for row in rows):.3f} or more of all cells."
    yield ""


def games(result: Mapping[str, Any]) -> Iterator[str]:
    """Rounds won, and what was left of the opponent's moves at the end."""
    yield "**Rock–paper–scissors.** The interval is over games."
    yield ""
    yield "| rule | budget | won | tied | lost | moves kept | of these the dominant |"
    yield "|---|---|---|---|---|---|---|"
    for row in result["rows"]["games"]:
        kept = (
            ("", "") if row.get("moves_kept") is None else (f"{row['moves_kept']:.1f}", f"{row['dominant_share']:.2f}")
        )
        yield f"| {row['method']} | {row['budget'] or ''} | {share(row['won'])} | {row['tied']:.3f} | {row['lost']:.3f} | {kept[0]} | {kept[1]} |"
    yield ""


def share(found: Mapping[str, float]) -> str:
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def main() -> None:
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGINS)
    _, _, after = rest.partition(ENDS)
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    PAGE.write_text(f"{before}{BEGINS}\n{tables(result)}{ENDS}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
