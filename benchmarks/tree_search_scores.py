"""Score the tree search on every small task whose table is known, beside value iteration; written to benchmarks/tree_search_scores.md.

    python benchmarks/tree_search_scores.py                                  # all tasks; keeps rows in tree_search_scores.json
    python benchmarks/tree_search_scores.py maze four-rooms --seeds 0        # some tasks and seeds; the others stay

`mcts` runs with its preset and is judged on fresh episodes; value iteration plays the same episodes with an optimal policy. A shortfall is
the difference as a share of what value iteration gets.
"""

from __future__ import annotations

import platform
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rows import measured

from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import recipe
from rl_core.runs.run import Run

TASKS = (
    "adaptive-trial", "blackjack", "CliffWalking-v1", "CliffWalkingSlippery-v1", "deep-sea", "epidemic", "four-rooms", "FrozenLake-v1",
    "FrozenLake-v1-firm", "FrozenLake8x8-v1", "FrozenLake8x8-v1-firm", "gamblers-problem", "garnet", "grid-lava", "grid-robot", "inventory",
    "job-scheduling", "maze", "recommender", "smart-grid", "Taxi-v4", "traffic-signal", "treatment", "two-roads", "windy-gridworld",
)  # fmt: skip
EPISODES = 1_000


def played(catalogue: Catalogue, agent: str, task: str, seed: int) -> tuple[float, float | None]:
    """Return the mean return of an agent with its preset, and the value of its decisions in the process; `None` where that has no bound."""
    resolved = recipe.resolve(catalogue, agent=agent, task=task, seed=seed)
    with tempfile.TemporaryDirectory() as folder, Run.create(resolved, catalogue, Path(folder) / "run") as run:
        score, mdp = float(run.learn(quiet=True, episodes=EPISODES)["score"]), run.task.mdp  # type: ignore[attr-defined]
        try:
            values = mdp.under(run.agent.predict(np.arange(mdp.num_states))).values()
        except ValueError:
            return score, None
        return score, float(mdp.start @ values)


def measure(catalogue: Catalogue, task: str, seed: int) -> dict[str, Any]:
    """Return the mean returns of the search, of value iteration and of random play, and the processor seconds of the search."""
    start = time.process_time()
    found, value = played(catalogue, "mcts", task, seed)
    seconds = time.process_time() - start
    best, optimum = played(catalogue, "value-iteration", task, seed)
    exact = None if value is None or optimum is None else {"value": value, "optimum": optimum}
    return {
        "seed": seed,
        "mcts": found,
        "best": best,
        "random": played(catalogue, "random", task, seed)[0],
        "exact": exact,
        "seconds": seconds,
    }


def main() -> None:
    """Measure and write the table of all that is known."""
    here, catalogue = Path(__file__), Catalogue.discover()
    known = measured(here.with_suffix(".json"), {task: task for task in TASKS}, sys.argv[1:], range(3), partial(measure, catalogue))
    lines = [
        "# Tree search beside value iteration",
        "",
        f"Written by `benchmarks/tree_search_scores.py`, which says how: `mcts` with its preset, {EPISODES:,} fresh episodes a seed.",
        "The column `exactly` is the shortfall of the same decisions in the process itself, without the chance of episodes and without",
        "their time limit; empty where that has no bound, and for rows that are older than this column.",
        f"{platform.machine()}, one thread, Python {platform.python_version()}, torch {torch.__version__}.",
        "",
        "| task | seeds | `mcts` by seed | mean | `value-iteration` | random play | shortfall | exactly | s |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for task in (name for name in TASKS if name in known):
        runs = known[task]
        mean, best, least = (float(np.mean([run[name] for run in runs])) for name in ("mcts", "best", "random"))
        shortfall = (best - mean) / abs(best) if best else 0.0
        pairs = [run["exact"] for run in runs if run.get("exact")]
        exactly = f"{sum(p['optimum'] - p['value'] for p in pairs) / abs(sum(p['optimum'] for p in pairs)):.1%}" if pairs else ""
        seconds = np.mean([run["seconds"] for run in runs])
        numbers = f"**{mean:.2f}** | {best:.2f} | {least:.2f} | {shortfall:.1%} | {exactly} | {seconds:.0f}"
        seeds, each = ", ".join(str(run["seed"]) for run in runs), ", ".join(f"{run['mcts']:.2f}" for run in runs)
        lines.append(f"| {task} | {seeds} | {each} | {numbers} |")
    here.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
