"""Scores of PPO with its presets, as `rl-core run ppo` gives them, one run after the other; each task's row goes into ppo_scores.md.

    python benchmarks/ppo_scores.py                        # all tasks, seeds 0 to 9 (LunarLander 0 to 4): some eight minutes
    python benchmarks/ppo_scores.py CartPole-v1 --seeds 3  # shown and not written, because the seeds are not all there

A score is the mean return of the greedy policy after the preset's budget, over 100 fresh episodes. Settings were chosen on seeds
from 100 on. LunarLander needs the extra `box2d`.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
from importlib.metadata import version
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

from rl_core import learn

SEEDS = 10
GOALS = {  # mean return asked for, and how many seeds
    "CartPole-v1": (490.0, SEEDS),
    "Acrobot-v1": (-90.0, SEEDS),
    "Pendulum-v1": (-200.0, SEEDS),
    "MountainCar-v0": (-115.0, SEEDS),
    "MountainCarContinuous-v0": (90.0, SEEDS),
    "LunarLander-v3": (200.0, 5),
}
TABLE = Path(__file__).with_suffix(".md")
HEAD = [
    "# PPO's scores",
    "",
    "Written by `benchmarks/ppo_scores.py`: mean return of the greedy policy over 100 fresh episodes, with the presets, by seed.",
    "Seconds are of a machine that was busy with other things.",
    f"{platform.machine()}, Python {platform.python_version()}, numpy {version('numpy')}, numba {version('numba')}.",
    "",
    f"| task | steps | {' | '.join(map(str, range(SEEDS)))} | mean | worst | asked for | seconds a run |",
    f"|---|---:|{'---:|' * SEEDS}---:|---:|---:|---:|",
]


def run(task: str, seed: int) -> dict:
    """Return the result of one run."""
    with tempfile.TemporaryDirectory() as folder:
        return vars(learn("ppo", task=task, seed=seed, out=f"{folder}/run"))


def write(task: str, row: str) -> None:
    """Put the task's row into the table, in the order of `GOALS`."""
    rows = {}
    if TABLE.exists():
        rows = {name: line for line in TABLE.read_text().splitlines() for name in GOALS if line.startswith(f"| {name} |")}
    rows[task] = row
    TABLE.write_text("\n".join([*HEAD, *(rows[name] for name in GOALS if name in rows)]) + "\n")


def main() -> None:
    """Run all and write their rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tasks", nargs="*", default=list(GOALS))
    parser.add_argument("--seeds", type=int)
    options = parser.parse_args()
    for task in options.tasks:
        goal, all_seeds = GOALS[task]
        results = []
        for seed in range(options.seeds or all_seeds):
            results.append(run(task, seed))
            print(task, seed, results[-1]["score"], f"{results[-1]['seconds']:.1f} s", flush=True)
        scores = [result["score"] for result in results]
        digits = 0 if abs(statistics.mean(scores)) > 200 else 1
        by_seed = [f"{score:.{digits}f}" for score in scores] + ["-"] * (SEEDS - len(scores))
        cells = [task, f"{results[0]['progress']:,}", *by_seed, f"**{statistics.mean(scores):.1f}**", f"{min(scores):.1f}", f"{goal:g}"]
        cells.append(f"{statistics.median(result['seconds'] for result in results):.1f}")
        row = "| " + " | ".join(cells) + " |"
        print(row, flush=True)
        if len(scores) == all_seeds:
            write(task, row)


if __name__ == "__main__":
    main()
