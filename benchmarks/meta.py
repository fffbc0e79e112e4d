"""Score the agents that learn to learn; written to benchmarks/meta.md from benchmarks/meta.json.

`python benchmarks/meta.py "rl2, 10 pulls" pearl` measures some rows again and keeps the others; `--seeds 0,1` chooses seeds.
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
from rl_core.seeds import Seeds

SEEDS = (0, 1, 2)
HERE = Path(__file__).parent
LONG = {"num_trials": 400, "batch_trials": 50, "learning_rate": 0.003, "discount": 0.95}  # for trials of 100 pulls


class Row(NamedTuple):
    """A row of the table: an agent on a family, the number it is judged by, and the number it should reach."""

    agent: str
    task: str
    score: str
    target: float
    config: dict[str, Any] | None = None
    task_config: dict[str, Any] | None = None
    budget: int | None = None
    episodes: int = 2_000


HALVES = {"goals": "right half circle", "test_goals": "left half circle"}
HEAVY = {"mass": [0.7, 1.3], "test_mass": [1.8, 1.8], "length": [1.0, 1.0], "gravity": [10.0, 10.0]}
RELABEL = {"relabel_updates": 2_000}
ROWS = {
    "maml": Row("maml", "navigation-2d", "return after 1", -18.0, episodes=100),
    "maml, first order": Row("maml", "navigation-2d", "return after 1", -18.0, {"order": "first"}, episodes=100),
    "maml, trpo, 20 iterations": Row("maml", "navigation-2d", "return after 1", -18.0, {"outer": "trpo"}, budget=1_600_000, episodes=100),
    "maml, ten CartPoles": Row("maml", "CartPole-mass", "mean return", 195.0, episodes=50),
    "rl2, 10 pulls": Row("rl2", "bandit-distribution", "trial return", 6.5, episodes=10_000),
    "rl2, 100 pulls": Row("rl2", "bandit-distribution", "trial return", 77.0, LONG, {"num_pulls": 100}, 4_000_000),
    "rl2, processes": Row("rl2", "mdp-distribution", "trial return", 150.0),
    "snail, 10 pulls": Row("snail", "bandit-distribution", "trial return", 6.5, episodes=10_000),
    "snail, 100 pulls": Row("snail", "bandit-distribution", "trial return", 77.0, LONG, {"num_pulls": 100}),
    "snail, processes": Row("snail", "mdp-distribution", "trial return", 150.0),
    "pearl": Row("pearl", "point-robot", "return after 2", -8.0, episodes=200),
    "mier": Row("mier", "point-robot", "return after 2", -8.0, episodes=200),
    "pearl, other half": Row("pearl", "point-robot", "return after 2", -8.0, task_config=HALVES, episodes=200),
    "mier, other half": Row("mier", "point-robot", "return after relabelling", -8.0, RELABEL, HALVES, episodes=200),
    "mier, heavier pendulum": Row(
        "mier", "Pendulum-mass", "return after relabelling", -300.0, {**RELABEL, "relabel_dynamics": True}, HEAVY, episodes=20
    ),
}


def permuted(agent: Any, seeds: Seeds) -> float:
    """Return the mean return of trials on test bandits whose arms are in another order."""
    envs = agent.family.tasks(5_000, 1, seeds, "test")
    envs.variation = np.ascontiguousarray(envs.variation[:, ::-1])
    return float(agent.play(envs, seeds.numpy("actions")).returns(1).mean())


def pulls(agent: Any, seeds: Seeds) -> list[float]:
    """Return the mean reward of the first pull and of the last ten of trials on test bandits."""
    reward = agent.play(agent.family.tasks(5_000, 1, seeds, "test"), seeds.numpy("actions")).reward
    return [float(reward[0].mean()), float(reward[-10:].mean())]


def goals_from_latent(agent: Any, seeds: Seeds) -> float:
    """Return the share of the variance of test goals that a linear function of the description explains, after two episodes."""
    returns, found, _, envs = agent.trajectories(400, seeds)
    contexts = np.concatenate(found[:2], axis=1)
    if hasattr(agent, "posterior"):
        with torch.no_grad():
            latent = agent.posterior(torch.from_numpy(contexts))[0].numpy()
    else:
        latent = agent.infer(contexts, len(contexts), seeds.numpy("unused"))
    known = np.concatenate((latent, np.ones((400, 1))), axis=1)
    goals = envs.variation
    error = goals[200:] - known[200:] @ np.linalg.lstsq(known[:200], goals[:200], rcond=None)[0]
    del returns
    return float(1.0 - (error**2).sum() / ((goals[200:] - goals[200:].mean(axis=0)) ** 2).sum())


def measure(catalogue: Catalogue, row: Row, seed: int) -> dict[str, Any]:
    """Return the scores and the checks of one run."""
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {"config": row.config or {}, "task_config": row.task_config or {}}
        options |= {"budget": row.budget} if row.budget else {}
        resolved = recipe.resolve(catalogue, agent=row.agent, task=row.task, seed=seed, **options)
        start = time.process_time()
        with Run.create(resolved, catalogue, Path(folder) / "run") as run:
            result = run.learn(quiet=True, episodes=row.episodes)
            seconds, agent, checks = time.process_time() - start, run.agent, {}
            if row.task == "bandit-distribution":
                checks = {"permuted": permuted(agent, Seeds(77)), "pulls": pulls(agent, Seeds(78))}
            if row.task == "point-robot":
                checks = {"R2": goals_from_latent(agent, Seeds(79))}
    return {"seed": seed, "steps": result["progress"], "seconds": seconds, **result["metrics"], **checks}


def line_of(name: str, row: Row, runs: list[dict[str, Any]]) -> str:
    """Return a row of the table."""
    scores = [run[row.score] for run in runs]
    after = [f"{np.mean([run[f'return after {n}'] for run in runs]):.1f}" for n in range(4) if f"return after {n}" in runs[0]]
    notes = []
    if "R2" in runs[0]:
        notes.append("R^2 of goals " + ", ".join(f"{run['R2']:.2f}" for run in runs))
    if "permuted" in runs[0]:
        notes.append("arms reversed " + ", ".join(f"{run['permuted']:.2f}" for run in runs))
        notes.append("first pull {:.2f}, last ten {:.2f}".format(*np.mean([run["pulls"] for run in runs], axis=0)))
    if "return before relabelling" in runs[0]:
        notes.append("before relabelling " + ", ".join(f"{run['return before relabelling']:.1f}" for run in runs))
        notes.append("error of rewards " + ", ".join(f"{100 * run['relative error of rewards']:.0f} %" for run in runs))
    if "share of tasks with a lower loss" in runs[0]:
        notes.append("loss falls on " + ", ".join(f"{100 * run['share of tasks with a lower loss']:.0f} %" for run in runs))
    listed = ", ".join(f"{score:.2f}" for score in scores)
    seeds = ", ".join(str(run["seed"]) for run in runs)
    adaptation = " / ".join(after) if len(after) > 1 else ""
    return (
        f"| {name} | {row.task} | {runs[0]['steps']:,} | {row.score} | {seeds} | {listed} | **{np.mean(scores):.2f}** | {row.target:g} "
        f"| {adaptation} | {'; '.join(notes)} | {np.mean([run['seconds'] for run in runs]):.0f} |"
    )


def main(arguments: list[str]) -> None:
    """Measure the rows that are named, or all, and write the table."""
    torch.set_num_threads(1)
    catalogue = Catalogue.discover()
    known = measured(HERE / "meta.json", ROWS, arguments, SEEDS, lambda row, seed: measure(catalogue, row, seed))
    lines = [line_of(name, row, known[name]) for name, row in ROWS.items() if name in known]
    (HERE / "meta.md").write_text(HEADER.format(platform.machine(), platform.python_version(), torch.__version__) + "\n".join(lines) + "\n")


HEADER = """# Learning to learn

Written by `benchmarks/meta.py`: the presets, one thread. Scores are means over test tasks, none of which was seen in training: 10,000
(ten pulls) or 2,000 trials of rl2 and snail, 100 tasks of maml, 200 of pearl and mier. "Return after" is over the amount of data of the
test task: gradient updates on 20 episodes for maml, episodes for the others; means over seeds after 0 / 1 / 2 / 3. A target is that of
the column named score. Gittins' index earns 6.6 of ten pulls and 78.3 of a hundred, Thompson sampling 5.7 and 74.7, chance 5 and 50. Of
the processes a random policy earns 100, posterior sampling (PSRL) 138, the RL^2 of its authors 156. On navigation-2d staying at the
start earns -38.1; on point-robot staying earns -20.9, going to the middle -15.9, and knowing the goal -5.2. R^2 of goals is of a linear
function of the description after two episodes, fitted on 200 test tasks and judged on 200 others. Relabelling uses 200 real transitions
of each of five test tasks whose goals are on the half of the circle that training did not have. Seconds are of the processor, with the
evaluation. {}, Python {}, torch {}.

| agent | task | steps | score | seeds | by seed | mean | target | return after 0 / 1 / 2 / 3 | checks | s |
|---|---|---:|---|---|---|---:|---:|---|---|---:|
"""


if __name__ == "__main__":
    main(sys.argv[1:])
