"""Score planners that use the task's own dynamics, side by side; written to benchmarks/planners.md.

`python benchmarks/planners.py mpc-gradient` measures one planner again and keeps the other rows.
"""

from __future__ import annotations

import platform
import sys
import time
from pathlib import Path

import numpy as np

from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import recipe
from rl_core.seeds import Seeds

AGENTS = {
    "Pendulum-v1": ("mpc-random", "mpc-cem", "icem", "mpc-mppi", "mpc-cma", "mpc-gradient"),
    "CartPole-v1": ("mpc-random", "mpc-cem", "icem", "mpc-mppi", "mpc-cma"),
}
ICEM = {"noise_exponent": 2.0, "kept_fraction": 0.3, "shrink": 0.8, "num_candidates": 60}
EPISODES = {"Pendulum-v1": 60, "CartPole-v1": 20}


def score(catalogue: Catalogue, name: str, task: str, seed: int) -> tuple[dict[str, float], float, int]:
    """Return the scores of a planner over fresh episodes, the seconds, and the transitions that it predicted."""
    agent, config = ("mpc-cem", ICEM) if name == "icem" else (name, {})
    resolved = recipe.resolve(catalogue, agent=agent, task=task, config=config)
    built = resolved.build_agent(Seeds(seed))
    player = built.predictor()
    start = time.process_time()
    scores = resolved.built_task.evaluate(player, episodes=EPISODES[task], seeds=Seeds(seed, ("evaluation",)))
    return scores, time.process_time() - start, player.model_steps


def main() -> None:
    """Print and write the table."""
    catalogue, chosen = Catalogue.discover(), sys.argv[1:]
    page = Path(__file__).with_suffix(".md")
    old = {tuple(line.split(" | ", 2)[:2]): line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")}
    lines = [
        "# Planners with the true dynamics",
        "",
        "Written by `benchmarks/planners.py`: mean return over fresh episodes, seeds 0 to 4, one thread. `icem` is `mpc-cem` with",
        "time-correlated noise and kept elites (`noise_exponent=2 kept_fraction=0.3 shrink=0.8 num_candidates=60`).",
        f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}.",
        "",
        "| task | planner | mean return by seed | mean | model steps a decision | million model steps a second |",
        "|---|---|---|---:|---:|---:|",
    ]
    for task, episodes in EPISODES.items():
        for name in AGENTS[task]:
            if chosen and name not in chosen and (f"| {task}", name) in old:
                lines.append(old[f"| {task}", name])
                continue
            runs = [score(catalogue, name, task, seed) for seed in range(5)]
            returns = [scores["mean return"] for scores, _, _ in runs]
            decisions = sum(scores["mean length"] * episodes for scores, _, _ in runs)
            steps, seconds = sum(run[2] for run in runs), sum(run[1] for run in runs)
            row = f"| {task} | {name} | {', '.join(f'{value:.1f}' for value in returns)} | **{np.mean(returns):.1f}** "
            lines.append(f"{row}| {steps / decisions:,.0f} | {steps / seconds / 1e6:.1f} |")
            print(lines[-1], flush=True)
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
