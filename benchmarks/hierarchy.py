"""Score agents of several levels beside flat ones; written to benchmarks/hierarchy.md from benchmarks/hierarchy.json.

`python benchmarks/hierarchy.py hiro td3` measures some rows again and keeps the others; `--seeds 0,1` chooses seeds.
"""

from __future__ import annotations

import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rows import measured

from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import recipe
from rl_core.runs.run import Run

SEEDS = (0, 1, 2)
HERE = Path(__file__).parent
PLAIN = {"hidden": [64, 64], "activation": "relu"}


class Row(NamedTuple):
    """A row of the table: an agent on a task, and its settings where they differ from the preset's."""

    agent: str
    task: str
    budget: int | None = None
    config: dict[str, Any] | None = None
    network: dict[str, Any] | None = None


ROWS = {
    "hiro": Row("hiro", "point-u-maze"),
    "hiro, relabelled": Row("hiro", "point-u-maze", config={"relabel": True}),
    "td3": Row("td3", "point-u-maze", 60_000, {"discount": 0.98, "batch_size": 128}, PLAIN),
    "td3, actions held for 10 steps at first": Row(
        "td3", "point-u-maze", 60_000, {"discount": 0.98, "batch_size": 128, "hold_steps": 10, "learning_starts": 10_000}, PLAIN
    ),
    "feudal": Row("feudal", "four-rooms"),
    "feudal, no pay for directions": Row("feudal", "four-rooms", config={"intrinsic_weight": 0.0}),
    "a2c": Row("a2c", "four-rooms", 150_000, {"num_envs": 16, "rollout_steps": 40, "learning_rate": 0.001, "gae_lambda": 0.95}),
}


def measure(catalogue: Catalogue, row: Row, seed: int) -> dict[str, Any]:
    """Return the scores of one run."""
    options: dict[str, Any] = {"config": row.config or {}, "network_config": row.network or {}}
    options |= {"budget": row.budget} if row.budget else {}
    with tempfile.TemporaryDirectory() as folder:
        resolved = recipe.resolve(catalogue, agent=row.agent, task=row.task, seed=seed, **options)
        start = time.process_time()
        with Run.create(resolved, catalogue, Path(folder) / "run") as run:
            result = run.learn(quiet=True, episodes=200)
    return {"seed": seed, "steps": result["progress"], "seconds": time.process_time() - start, **result["metrics"]}


def line_of(name: str, row: Row, runs: list[dict[str, Any]]) -> str:
    """Return a row of the table."""
    scores = ", ".join(f"{run['mean return']:.2f}" for run in runs)
    lengths = ", ".join(f"{run['mean length']:.1f}" for run in runs)
    mean = np.mean([run["mean return"] for run in runs])
    seconds = np.mean([run["seconds"] for run in runs])
    seeds = ", ".join(str(run["seed"]) for run in runs)
    return f"| {name} | {row.task} | {runs[0]['steps']:,} | {seeds} | {scores} | **{mean:.2f}** | {lengths} | {seconds:.0f} |"


def main(arguments: list[str]) -> None:
    """Measure the rows that are named, or all, and write the table."""
    torch.set_num_threads(1)
    catalogue = Catalogue.discover()
    known = measured(HERE / "hierarchy.json", ROWS, arguments, SEEDS, lambda row, seed: measure(catalogue, row, seed))
    lines = [line_of(name, row, known[name]) for name, row in ROWS.items() if name in known]
    header = HEADER.format(platform.machine(), platform.python_version(), torch.__version__)
    (HERE / "hierarchy.md").write_text(header + "\n".join(lines) + "\n")


HEADER = """# Several levels

Written by `benchmarks/hierarchy.py`: the presets, one thread; 200 episodes each, without noise. On `point-u-maze` the return is 1 for an
episode that arrives within 200 steps, and the target is 0.8; random actions arrive in 1 of 4,000 episodes. On `four-rooms` it is 1 for one
that arrives within 1,000 steps: there the length counts, of which 12.1 is the least on average over first cells. Seconds are of the
processor. {}, Python {}, torch {}.

| agent | task | steps | seeds | mean return | mean | steps to the goal | s |
|---|---|---:|---|---|---:|---|---:|
"""


if __name__ == "__main__":
    main(sys.argv[1:])
