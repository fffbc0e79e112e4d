"""Scores of deep reinforcement learning with its presets, as `rl-core run AGENT --task TASK` gives them; each row goes into deep_scores.md.

    python benchmarks/deep_scores.py                       # every row, seeds 0 to 4
    python benchmarks/deep_scores.py dqn sac               # the rows of these agents
    python benchmarks/deep_scores.py dqn/Acrobot-v1        # one row
    python benchmarks/deep_scores.py dqn --seeds 2         # shown and not written, because the seeds are not all there

A score is the mean return of the greedy policy after the preset's budget, over 100 fresh episodes. Settings were chosen on seeds
from 100 on. LunarLander needs the extra `box2d`, pong the extra `atari`; pong, which takes long, has three seeds.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

from rl_core import learn

SEEDS = 5
TABLE = Path(__file__).with_suffix(".md")


class Row(NamedTuple):
    """One line of the table: what learns what, and the mean return asked for; `below` where memory is said to be needed."""

    agent: str
    task: str
    asked: float | None
    network: str | None = None
    below: bool = False
    seeds: int = SEEDS  # fewer for what takes long

    @property
    def name(self) -> str:
        """How a command names it."""
        return f"{self.agent}/{self.task}" + (f"/{self.network}" if self.network else "")


CARTPOLE = (
    *("dqn", "double-dqn", "dueling-dqn", "per-dqn", "rainbow-lite"),
    *("reinforce", "reinforce-crossentropy", "reinforce-baseline", "vpg", "npg", "trpo", "a2c", "a3c", "ppo"),
    *("cem", "es", "cma-es", "ars"),
)
ROWS = [
    *(Row(agent, "CartPole-v1", 475.0) for agent in CARTPOLE),
    *(Row(agent, "Acrobot-v1", -100.0) for agent in ("dqn", "trpo", "a2c", "ppo")),
    *(Row(agent, "Acrobot-v1", -100.0) for agent in ("cem", "es", "cma-es", "ars")),
    Row("dqn", "MountainCar-v0", -120.0),
    *(Row(agent, "MountainCarContinuous-v0", 90.0) for agent in ("sac", "cem", "es", "cma-es", "ars")),
    *(Row(agent, "Pendulum-v1", -200.0) for agent in ("ddpg", "td3", "sac", "ppo")),
    *(Row("trpo", task, None) for task in ("MountainCar-v0", "Pendulum-v1")),
    Row("dqn", "LunarLander-v3", 130.0),
    Row("ppo", "LunarLander-v3", 200.0),
    *(Row(agent, "masked-CartPole-v1", 450.0, "lstm") for agent in ("ppo", "a2c", "dqn")),
    Row("ppo", "masked-CartPole-v1", 200.0, "mlp", below=True),
    Row("reinforce", "pong-pixels", -20.7, seeds=3),
    Row("reinforce-crossentropy", "pong-pixels", -15.0, seeds=3),
]


def write(row: Row, line: str) -> None:
    """Put a row's line into the table, in the order of `ROWS`."""
    old = TABLE.read_text().splitlines() if TABLE.exists() else []
    lines = {other.name: text for other in ROWS for text in old if text.startswith(f"| {other.name} |")}
    lines[row.name] = line
    head = [
        "# Scores of deep reinforcement learning",
        "",
        "Written by `benchmarks/deep_scores.py`: mean return of the greedy policy over 100 fresh episodes, with the presets, by seed.",
        "Seconds are of learning on one thread of a machine that was busy with other things. The rows of `dqn` and `double-dqn` on",
        "CartPole-v1 were run after the learners of Q-networks had been merged into one; the other rows of Q-networks, `ddpg`, `td3` and",
        "`sac` were run before, and their updates agree with those to 1e-5.",
        f"{platform.machine()}, Python {platform.python_version()}, numpy {version('numpy')}, torch {version('torch').split('+')[0]}.",
        "",
        f"| agent/task | steps | {' | '.join(map(str, range(SEEDS)))} | mean | deviation | worst | asked for | seconds a run |",
        f"|---|---:|{'---:|' * SEEDS}---:|---:|---:|---:|---:|",
    ]
    TABLE.write_text("\n".join([*head, *(lines[other.name] for other in ROWS if other.name in lines)]) + "\n")


def line_of(row: Row, results: list[dict]) -> str:
    """The row's line, from what its runs said."""
    scores = [result["score"] for result in results]
    mean, deviation = statistics.mean(scores), statistics.stdev(scores) if len(scores) > 1 else 0.0
    asked = "-" if row.asked is None else f"{'<' if row.below else '>='} {row.asked:g}"
    cells = [row.name, f"{max(result['progress'] for result in results):,}", *(f"{score:.1f}" for score in scores)]
    cells += ["-"] * (SEEDS - len(scores))
    cells += [f"**{mean:.1f}**", f"{deviation:.1f}", f"{(max if row.below else min)(scores):.1f}", asked]
    return "| " + " | ".join([*cells, f"{statistics.median(result['seconds'] for result in results):.1f}"]) + " |"


def main() -> None:
    """Run the rows asked for and write them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*", help="agents, or agent/task")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    chosen = [row for row in ROWS if not options.rows or row.agent in options.rows or row.name in options.rows]
    if not chosen:
        sys.exit(f"no row is called {', '.join(options.rows)}; there are {', '.join(row.name for row in ROWS)}")
    for row in chosen:
        results = []
        for seed in range(min(options.seeds, row.seeds)):
            with tempfile.TemporaryDirectory() as folder:
                results.append(vars(learn(row.agent, task=row.task, network=row.network, seed=seed, out=f"{folder}/run")))
            print(row.name, seed, results[-1]["score"], f"{results[-1]['seconds']:.1f} s", flush=True)
        line = line_of(row, results)
        print(line, flush=True)
        if options.seeds == SEEDS:
            write(row, line)


if __name__ == "__main__":
    main()
