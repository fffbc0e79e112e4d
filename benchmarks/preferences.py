"""Score language models that learn from preferences on `opinions`: DPO and reinforcement learning with a penalty, at prices of a nat.

    python benchmarks/preferences.py                      # every row, seeds 0 to 2; writes preferences.json and preferences.md
    python benchmarks/preferences.py dpo-1 --seeds 0      # one row and one seed; the others are kept

For each seed a language model learns the recorded answers; each policy begins as it, and is judged on draws for the 500 test prompts.
"""

from __future__ import annotations

import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rows import measured

import rl_core
from dl_nets.preferences.opinions import optimum
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs.parent import checkpoint_of
from rl_core.runs.recipe import resolve
from rl_core.runs.run import Run
from rl_core.seeds import Seeds

STORE = Path(__file__).with_suffix(".json")
KEPT = ("win rate against reference", "kl", "mean reward", "grammatical", "pair accuracy")


class Row(NamedTuple):
    """An agent at a price of a nat; `None`: the language model itself."""

    agent: str | None
    beta: float


ROWS = {"reference": Row(None, 0.0)} | {f"{agent}-{beta:g}": Row(agent, beta) for agent in ("dpo", "rlhf") for beta in (1.0, 0.3)}
ROWS |= {"rlhf-0": Row("rlhf", 0.0)}
FOLDER = tempfile.TemporaryDirectory()


@cache
def language_model(seed: int) -> Path:
    """Return the run of the language model of a seed."""
    out = Path(FOLDER.name) / f"language-{seed}"
    rl_core.learn("supervised", task="opinions", seed=seed, device="cpu", quiet=True, out=out)
    return out


def measure(row: Row, seed: int) -> dict[str, Any]:
    """Return the scores of a row and a seed."""
    begun = str(language_model(seed))
    if row.agent is None:
        resolved = resolve(Catalogue.discover(), "dpo", task="opinions", seed=seed, device="cpu", from_run=str(checkpoint_of(Path(begun))))
        with Run.create(resolved, Catalogue.discover(), Path(FOLDER.name) / f"reference-{seed}") as run:
            scores, seconds, steps = run.agent.evaluate(episodes=1, seeds=Seeds(seed, ("evaluation",))), 0.0, 0
    else:
        out = Path(FOLDER.name) / f"{row.agent}-{row.beta}-{seed}"
        options: Any = {"device": "cpu", "quiet": True, "out": out, "from_run": begun, "overrides": [f"beta={row.beta}"]}
        result = rl_core.learn(row.agent, task="opinions", seed=seed, **options)
        scores, seconds, steps = dict(result.metrics), result.seconds, result.progress
    return {"seed": seed, **{name: scores[name] for name in KEPT}, "seconds": seconds, "steps": steps}


def table(found: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Return the lines of preferences.md."""
    seeds = sorted({run["seed"] for runs in found.values() for run in runs})
    lines = [
        "# Learning from preferences with a language model",
        "",
        f"Written by `preferences.py`: task `opinions`, 4,000 pairs of a judge who errs, seeds {', '.join(map(str, seeds))}.",
        "`beta` is the price of a nat of divergence from the reference. The reward is the judge's score of an answer; the best one at a",
        "price is that of p(y) exp(r(y) / beta), p the grammar. 500 test prompts; answers are drawn, and won against the reference's.",
        "",
        "| policy | beta | steps | win rate | reward | best | nats | of the best | grammatical | pairs in order | seconds |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in ROWS.items():
        runs = found.get(name, [])
        if not runs:
            continue

        def each(key: str, digits: int = 2, runs: list[dict[str, Any]] = runs) -> str:
            return ", ".join(f"{run[key]:.{digits}f}" for run in runs)

        best = optimum(row.beta) if row.beta else None
        known = (f"{best.reward:.2f}", f"{best.kl:.2f}") if best else ("", "")
        cells = [
            "the language model" if row.agent is None else f"`{row.agent}`",
            f"{row.beta:g}" if row.agent else "",
            f"{runs[0]['steps']:,}" if row.agent else "",
            each("win rate against reference", 3),
            each("mean reward"),
            known[0],
            each("kl"),
            known[1],
            each("grammatical", 3),
            each("pair accuracy", 3),
            f"{np.mean([run['seconds'] for run in runs]):.0f}" if row.agent else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def main() -> None:
    """Measure the rows that are named, or all, and write the table."""
    found = measured(STORE, ROWS, sys.argv[1:], (0, 1, 2), measure)
    STORE.with_suffix(".md").write_text("\n".join(table(found)), encoding="utf-8")


if __name__ == "__main__":
    main()
