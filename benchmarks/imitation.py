"""Score cloning beside DAgger with as many labels of an expert, which is a run of ours: `ppo` on two tasks.

    python benchmarks/imitation.py                    # both tasks, then imitation.md
    python benchmarks/imitation.py CartPole-v1        # one of them; the other keeps its rows

A label is one action of the expert. Cloning has all of them from demonstrations: the first steps that the expert takes. DAgger has half of
them from there, and asks for the others where the learner goes, in nine rounds.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rows import write_parts

import rl_core
from rl_core.plugins.catalogue import Catalogue
from rl_core.recording import PROBABILITY, Recording, record, write
from rl_core.runs.run import Run
from rl_core.seeds import Seeds

SEEDS = (0, 1, 2, 3, 4)
LABELS = (100, 200, 400, 1_000)
ROUNDS = 10  # the first one without asking
UPDATES = 4_000
TASKS = ("CartPole-v1", "Pendulum-v1")
HERE = Path(__file__).parent
Rows = list[dict[str, Any]]


def demonstrations(expert: Run, count: int, seed: int, path: Path) -> None:
    """Write the first steps of an expert, and one more, which is held back."""
    task: Any = expert.task
    arrays = record(task, expert.agent.predict, num_steps=count + 1, seeds=Seeds(seed, ("demonstrations",)), num_lanes=1)
    cut = {name: array[: count + 1].copy() for name, array in arrays.items() if name != PROBABILITY}
    cut["truncated"][-1] = not cut["terminated"][-1]
    write(Recording(cut, {"task": expert.recipe.task, "policy": "ppo"}), path)


def learned(agent: str, task: str, expert: Path, labels: int, seed: int, folder: Path) -> float:
    """Return the mean return of 100 episodes after learning from so many labels."""
    asked = labels // 2 if agent == "dagger" else 0
    path = folder / f"{task}-{agent}-{labels}-{seed}.npz"
    with Run.open(expert, Catalogue.discover()) as run:
        demonstrations(run, labels - asked, seed, path)
    settings = [f"iteration_updates={UPDATES // ROUNDS}", "batch_size=128", "task.test_fraction=0.000001", "task.validation_fraction=0"]
    settings += ["network.hidden=[128,128]", "network.activation=relu", f"task.expert={expert}"]
    if asked:
        settings += ["num_envs=1", f"rollout_steps={asked // (ROUNDS - 1)}"]
    result = rl_core.learn(
        agent, task=f"offline:{path}", seed=seed, budget=UPDATES, overrides=settings, device="cpu", quiet=True, out=folder / path.stem
    )
    print(agent, task, labels, seed, round(result.score, 1), f"{result.seconds:.0f} s", flush=True)
    return float(result.score)


def rows_of(task: str) -> Rows:
    """Return the rows of a task."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chance = [rl_core.learn("random", task=task, seed=seed, quiet=True, out=folder / f"random-{seed}").score for seed in SEEDS]
        expert = rl_core.learn("ppo", task=task, seed=0, device="cpu", quiet=True, out=folder / "expert").score
        rows: Rows = [{"agent": "random", "labels": 0, "returns": chance}, {"agent": "expert", "labels": 0, "returns": [expert]}]
        for labels in LABELS:
            for agent in ("behaviour-cloning", "dagger"):
                returns = [learned(agent, task, folder / "expert", labels, seed, folder) for seed in SEEDS]
                rows.append({"agent": agent, "labels": labels, "returns": returns})
        return rows


def table(parts: dict[str, Rows]) -> list[str]:
    """Return the lines of imitation.md."""
    lines = [
        "# Cloning beside asking",
        "",
        "Written by `imitation.py`: the expert is a run of `ppo` with its preset, seed 0. Mean return of 100 fresh episodes, learners of",
        "seeds 0 to 4, each with demonstrations of its own, 4,000 gradient steps. A label is one action of the expert: cloning has all of",
        "them from demonstrations, `dagger` half of them, and asks for the others where the learner goes.",
        "",
        "| task | who | labels | returns | mean |",
        "|---|---|---:|---:|---:|",
    ]
    for task, rows in parts.items():
        for row in rows:
            name = "the expert" if row["agent"] == "expert" else f"`{row['agent']}`"
            returns = ", ".join(f"{value:.1f}" for value in row["returns"])
            lines.append(f"| `{task}` | {name} | {row['labels'] or ''} | {returns} | {np.mean(row['returns']):.1f} |")
    return [*lines, ""]


def main() -> None:
    """Measure the tasks that are named, or both, and write the table."""
    write_parts(HERE / "imitation.json", {task: partial(rows_of, task) for task in TASKS}, sys.argv[1:], table)


if __name__ == "__main__":
    main()
