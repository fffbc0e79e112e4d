"""Scores of PPO with its presets, as `rl-core run ppo` gives them: seeds 0 to 9, one run after the other; writes ppo_scores.md.

    python benchmarks/ppo_scores.py                        # all tasks, some three minutes
    python benchmarks/ppo_scores.py CartPole-v1 --seeds 3  # one task, shown and not written

A score is the mean return of the greedy policy after the preset's budget, over 100 fresh episodes. Settings were chosen on seeds
from 100 on.
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

from rl_core.run import learn

GOALS = {
    "CartPole-v1": 490.0,
    "Acrobot-v1": -90.0,
    "Pendulum-v1": -200.0,
    "MountainCar-v0": -115.0,
    "MountainCarContinuous-v0": 90.0,
}


def run(task: str, seed: int) -> dict:
    """What `rl-core run` says of one run."""
    with tempfile.TemporaryDirectory() as folder:
        return learn("ppo", task=task, seed=seed, out=f"{folder}/run")


def main() -> None:
    """Run all and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tasks", nargs="*", default=list(GOALS))
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    lines = [
        "# PPO's scores",
        "",
        "Written by `benchmarks/ppo_scores.py`: mean return of the greedy policy over 100 fresh episodes, with the presets, by seed.",
        f"{platform.machine()}, Python {platform.python_version()}, numpy {version('numpy')}, numba {version('numba')}.",
        "",
        f"| task | steps | {' | '.join(map(str, range(options.seeds)))} | mean | worst | asked for | seconds a run |",
        f"|---|---:|{'---:|' * options.seeds}---:|---:|---:|---:|",
    ]
    for task in options.tasks:
        results = []
        for seed in range(options.seeds):
            results.append(run(task, seed))
            print(task, seed, results[-1]["score"], f"{results[-1]['seconds']:.1f} s", flush=True)
        scores = [result["score"] for result in results]
        digits = 0 if abs(statistics.mean(scores)) > 300 else 1
        cells = [task, f"{results[0]['progress']:,}", *(f"{score:.{digits}f}" for score in scores)]
        cells += [f"**{statistics.mean(scores):.1f}**", f"{min(scores):.1f}", f"{GOALS.get(task, float('nan')):g}"]
        cells += [f"{statistics.median(result['seconds'] for result in results):.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    if options.tasks == list(GOALS) and options.seeds == 10:
        Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
