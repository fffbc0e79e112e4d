"""Scores of tables with their presets, seeds 0 to 19: the greedy policy over 1,000 fresh episodes; writes tabular_scores.md.

    python benchmarks/tabular_scores.py                       # all, some ten minutes
    python benchmarks/tabular_scores.py q-learning --seeds 3  # one agent, shown and not written

What `rl-core run AGENT --task TASK --seed S` learns, one after the other in one process and without files.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import recipe
from rl_core.seeds import Seeds

LAKE, FIRM = 0.744 - 0.03, 1.0  # the best mean return within 100 steps is 0.7442 on slippery ice
GOALS = [
    *((agent, "FrozenLake-v1", LAKE) for agent in ("value-iteration", "policy-iteration", "modified-policy-iteration")),
    *((agent, "FrozenLake-v1", LAKE) for agent in ("q-learning", "double-q-learning", "sarsa", "expected-sarsa", "mc-control")),
    *((agent, "FrozenLake-v1", LAKE) for agent in ("mc-q-learning", "dyna-q", "n-step-sarsa", "sarsa-lambda")),
    *((agent, "FrozenLake-v1-firm", FIRM) for agent in ("value-iteration", "policy-iteration", "modified-policy-iteration")),
    *((agent, "FrozenLake-v1-firm", FIRM) for agent in ("prioritised-sweeping", "q-learning", "double-q-learning", "sarsa")),
    *((agent, "FrozenLake-v1-firm", FIRM) for agent in ("expected-sarsa", "n-step-sarsa", "sarsa-lambda", "mc-control")),
    *((agent, "FrozenLake-v1-firm", FIRM) for agent in ("mc-exploring-starts", "mc-q-learning", "mc-off-policy", "dyna-q")),
    ("value-iteration", "Taxi-v4", 7.7),
    ("policy-iteration", "Taxi-v4", 7.7),
    ("q-learning", "Taxi-v4", 7.0),
    ("sarsa", "Taxi-v4", None),
    ("dyna-q", "Taxi-v4", None),
    ("value-iteration", "CliffWalking-v1", -13.0),
    ("q-learning", "CliffWalking-v1", -13.0),
    ("value-iteration", "blackjack", -0.06),
    ("mc-control", "blackjack", -0.06),
    ("mc-exploring-starts", "blackjack", -0.06),
    ("mc-off-policy", "blackjack", -0.06),
    ("q-learning", "blackjack", -0.06),
    ("mcts", "FrozenLake-v1-firm", FIRM),
    ("mcts", "FrozenLake-v1", LAKE),
    ("mcts", "grid-robot", None),
    ("mcts-rollouts", "maze", 1.0),
]


MANY = {"blackjack": 100_000}  # episodes of a second evaluation, where a return scatters so much that 1,000 tell little


def score(catalogue: Catalogue, agent_name: str, task_name: str, seed: int) -> tuple[float, float, float]:
    """Mean returns after the preset's budget: over 1,000 episodes, over `MANY` (else the same), and as the model expects."""
    resolved = recipe.resolve(catalogue, agent_name, task=task_name, seed=seed)
    budget = resolved.recipe.budget
    agent = resolved.build_agent(Seeds(seed))
    while agent.progress < budget and not agent.finished:
        agent.step()
    task = resolved.built_task
    policy = agent.predict(np.arange(task.mdp.num_states))
    exact = task.return_of(policy) if task.max_steps else float(task.mdp.start @ task.mdp.under(policy).values())
    episodes, seeds = (1_000, MANY.get(task_name, 1_000)), Seeds(seed).child("scores")
    few, many = (agent.evaluate(episodes=count, seeds=seeds)["mean return"] for count in episodes)
    return few, many, exact


def main() -> None:
    """Run all and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("agents", nargs="*")
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    catalogue = Catalogue.discover()
    lines = [
        "# Scores of tables",
        "",
        f"Written by `benchmarks/tabular_scores.py`: mean return of the greedy policy over 1,000 fresh episodes, presets, {options.seeds} "
        f"seeds. {platform.machine()}, Python {platform.python_version()}, numba {version('numba')}, gymnasium {version('gymnasium')}.",
        "A mean of 20 seeds of blackjack has a standard error of 0.007 from the episodes alone, one of FrozenLake-v1 0.003; so blackjack "
        f"is judged a second time, over {MANY['blackjack']:,} episodes a seed (0.0007).",
        "",
        "| agent | task | mean | worst seed | mean of many episodes | mean by the model | asked for | seconds a seed |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for agent, task, goal in GOALS:
        if options.agents and agent not in options.agents:
            continue
        began = time.perf_counter()
        scores, many, exact = zip(*(score(catalogue, agent, task, seed) for seed in range(options.seeds)), strict=True)
        seconds = (time.perf_counter() - began) / options.seeds
        asked = "" if goal is None else f"{goal:g}"
        surer = f"{statistics.mean(many):.4f}" if task in MANY else ""
        numbers = f"{statistics.mean(scores):.4f} | {min(scores):.3f} | {surer} | {statistics.mean(exact):.4f}"
        lines.append(f"| {agent} | {task} | {numbers} | {asked} | {seconds:.2f} |")
        print(lines[-1], flush=True)
    if not options.agents:
        (Path(__file__).parent / "tabular_scores.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
