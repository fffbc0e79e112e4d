"""Measure what narrow and wide training, forgetting, a warm start, and help by a controller or an expert bring, and how fast tasks are.

    python benchmarks/changing_world.py                  # every part, then the table
    python benchmarks/changing_world.py switching warm   # some parts; the others keep their rows

Every run is that of `rl-core run` with the settings that the table names. Rows are kept in changing_world.json, and changing_world.md is
written from it.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from rows import write_parts

import rl_core
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs.recipe import resolve
from rl_core.seeds import Seeds

SEEDS = (0, 1, 2)
HERE = Path(__file__).parent
Rows = list[dict[str, Any]]
PENDULUM = ["num_envs=8", "rollout_steps=256", "batch_size=64", "discount=0.9", "learning_rate=0.001", "learning_rate_schedule=linear"]
LANE = ["num_envs=8", "rollout_steps=256", "batch_size=64", "learning_rate=0.001", "learning_rate_schedule=linear"]
LOSSES = ["task.loss=0.7"]


def learned(agent: str, task: str, seed: int, settings: Sequence[str], **options: Any) -> rl_core.Result:
    """Return the result of a run, whose folder is not kept."""
    with tempfile.TemporaryDirectory() as folder:
        out = options.pop("out", f"{folder}/run")
        result = rl_core.learn(agent, task=task, seed=seed, overrides=settings, device="cpu", quiet=True, out=out, **options)
    print(agent, task, seed, *settings, result, flush=True)
    return result


def scored(agent: str, task: str, settings: Sequence[str], seeds: Sequence[int] = SEEDS, **options: Any) -> dict[str, Any]:
    """Return a row of the scores of an agent over seeds."""
    results = [learned(agent, task, seed, settings, **options) for seed in seeds]
    return {"agent": agent, "task": task, "steps": results[0].progress, "scores": [result.score for result in results]}


def varied() -> Rows:
    """Return the returns over masses of PPO trained on one pendulum and on a range of them; writes the picture."""
    from rl_core.figure import new_figure

    figure = new_figure(7.0, 4.2)
    axes, rows = figure.add_subplot(1, 1, 1), []
    judge: Any = resolve(Catalogue.discover(), "ppo", task="varied-pendulum").built_task
    for name, mass, length in (("narrow", "[1,1]", "[1,1]"), ("wide", "[0.6,1.6]", "[0.8,1.2]")):
        curves = []
        for seed in SEEDS:
            sets = [*PENDULUM, f"task.mass={mass}", f"task.length={length}"]
            agent = learned("ppo", "varied-pendulum", seed, sets, budget=200_000).agent
            masses, returns = judge.over_range(agent.predict, episodes=100, seeds=Seeds(seed, ("masses",)))
            curves.append(returns.tolist())
        axes.plot(masses, np.mean(curves, axis=0), marker="o", label=f"trained on {'one mass' if name == 'narrow' else 'a range'}")
        axes.fill_between(masses, np.min(curves, axis=0), np.max(curves, axis=0), alpha=0.2, linewidth=0)
        rows.append({"training": name, "masses": masses.tolist(), "returns": curves})
    axes.axvspan(0.6, 1.6, color="C2", alpha=0.15, label="range in training")
    axes.set_xscale("log")
    axes.set_xlabel("mass [kg]")
    axes.set_ylabel("mean return of 100 episodes, 3 seeds")
    axes.set_title("Narrow and wide training on varied-pendulum")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    figure.savefig(HERE / "changing_world_range.png", dpi=110)
    return rows


def switching() -> Rows:
    """Return the regrets of bandit agents whose arms change places every thousand pulls, seeds 0 to 4."""
    agents = ("random", "bandit-epsilon-greedy", "bandit-thompson", "bandit-ucb", "bandit-discounted-ucb", "bandit-monitored-ucb")
    rows = []
    for every, name in itertools.product((1_000, 5_000), agents):
        regrets, agent = [], "bandit-epsilon-greedy" if name == "random" else name
        settings = [f"task.switch_pulls={every}", *(["exploration=random"] if name == "random" else [])]
        for seed in range(5):
            recipe = resolve(Catalogue.discover(), agent, task="bandit-switching", overrides=settings, budget=10 * every)
            made: Any = recipe.build_agent(Seeds(seed))
            while made.progress < made.budget:
                made.step()
            regrets.append(made.regret)
        rows.append({"agent": name, "every": every, "regrets": regrets})
        print(name, every, np.round(regrets), flush=True)
    return rows


def warm() -> Rows:
    """Return the scores of PPO on a heavier pendulum, from the start and from a run on the usual one."""
    rows: Rows = []
    heavy = [*PENDULUM, "task.mass=[1.3,1.3]", "task.length=[1,1]"]
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            sets = [*PENDULUM, "task.mass=[1,1]", "task.length=[1,1]"]
            learned("ppo", "varied-pendulum", seed, sets, budget=100_000, out=f"{folder}/{seed}")
        for budget in (10_000, 20_000, 40_000, 80_000):
            rows.append({"start": "none", **scored("ppo", "varied-pendulum", heavy, budget=budget)})
            if budget <= 20_000:
                results = [learned("ppo", "varied-pendulum", s, heavy, budget=budget, from_run=f"{folder}/{s}") for s in SEEDS]
                rows.append({**rows[-1], "start": "a run of 100,000 steps at 1 kg", "scores": [result.score for result in results]})
    return rows


def hybrid() -> Rows:
    """Return the scores on a lane where observations are lost: the controller alone, PPO alone, and PPO that corrects the controller."""
    rows = [{"way": "controller alone", **scored("random", "disturbed:lane-keeping", [*LOSSES, "task.residual=0.000001"])}]
    for budget in (20_000, 60_000):
        for way, residual in (("`ppo` alone", []), ("`ppo` corrects the controller by up to 0.5", ["task.residual=0.5"])):
            rows.append({"way": way, **scored("ppo", "disturbed:lane-keeping", [*LANE, *LOSSES, *residual], budget=budget)})
    return rows


def latency() -> Rows:
    """Return the milliseconds that a decision takes."""
    from rl_core.runs.latency import decision_times

    rows = []
    for agent, task in (
        ("ppo", "CartPole-v1"),
        ("ppo-lagrangian", "data-centre"),
        ("pid", "data-centre"),
        ("q-learning", "traffic-signal"),
    ):
        made = resolve(Catalogue.discover(), agent, task=task).build_agent(Seeds(0))
        rows.append({"agent": agent, "task": task, **decision_times(made.task, made.predictor(), seeds=Seeds(0))})
    return rows


def speed() -> Rows:
    """Return the steps per second of processor time of 512 environments of each of our tasks, with random actions."""
    rows = []
    catalogue = Catalogue.discover()
    for name in sorted(TASKS):
        task: Any = resolve(catalogue, "random", task=name).built_task
        envs = task.envs(512, Seeds(0))
        envs.reset()
        task.output_space.seed(0)
        actions = [np.stack([task.output_space.sample() for _ in range(512)]) for _ in range(8)]
        for warming in range(3):
            envs.step(actions[warming])
        began = process_time()
        for step in range(200):
            envs.step(actions[step % 8])
        rows.append({"task": name, "rate": 512 * 200 / (process_time() - began)})
        print(rows[-1], flush=True)
    return rows


TASKS = (
    *("adaptive-trial", "data-centre", "epidemic", "execution", "grid-lava", "inventory", "job-scheduling", "lane-keeping"),
    *("pendulum-limited", "point-hazards", "portfolio", "pursuit", "recommender", "smart-grid", "climbing-game", "traffic-signal"),
    *("treatment", "two-roads", "varied-cartpole", "varied-pendulum"),
)
PARTS: dict[str, Callable[[], Rows]] = {
    "varied": varied,
    "switching": switching,
    "warm": warm,
    "hybrid": hybrid,
    "latency": latency,
    "speed": speed,
}


def section(title: str, note: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table with a title and a note."""
    lines = ["", f"## {title}", "", note, "", f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def numbers(values: Sequence[float]) -> str:
    """Return numbers as the table has them."""
    return ", ".join(f"{value:.1f}" for value in values)


def table(parts: dict[str, Rows]) -> list[str]:
    """Return the lines of changing_world.md."""
    lines = ["# Worlds that change, help from controllers, and speed", "", "Written by `changing_world.py`; one number a seed."]
    if rows := parts.get("varied"):
        words = {"narrow": "mass 1, length 1", "wide": "masses 0.6 to 1.6, lengths 0.8 to 1.2"}
        lines += section(
            "Narrow and wide training",
            "`ppo` on `varied-pendulum`, 200,000 steps: mean return of seeds 0 to 2 at each mass. [Picture](changing_world_range.png).",
            ["trained on", *(f"{mass:.2f} kg" for mass in rows[0]["masses"])],
            [[words[row["training"]], *(f"{value:.0f}" for value in np.mean(row["returns"], axis=0))] for row in rows],
        )
    if rows := parts.get("switching"):
        lines += section(
            "Agents that forget, and one that detects changes",
            "Regret on `bandit-switching`, whose arms change places ten times a run; seeds 0 to 4.",
            ("agent", "pulls between changes", "regrets", "mean"),
            [[f"`{r['agent']}`", f"{r['every']:,}", numbers(r["regrets"]), f"{np.mean(r['regrets']):.0f}"] for r in rows],
        )
    if rows := parts.get("warm"):
        lines += section(
            "A warm start",
            "`ppo` on a pendulum of 1.3 kg, anew and with `--from` a run on one of 1 kg; mean return of 100 episodes, seeds 0 to 2.",
            ("begins from", "steps", "returns"),
            [[row["start"], f"{row['steps']:,}", numbers(row["scores"])] for row in rows],
        )
    if rows := parts.get("hybrid"):
        lines += section(
            "A controller that is corrected",
            "`disturbed:lane-keeping`, where 7 of 10 observations are lost; seeds 0 to 2. The controller reaches 199.5 where none is.",
            ("who drives", "steps", "returns"),
            [[row["way"], f"{row['steps']:,}", numbers(row["scores"])] for row in rows],
        )
    if rows := parts.get("latency"):
        lines += section(
            "Time of a decision",
            "Milliseconds of one decision on a machine that was busy with other things; `rl-core eval RUN --latency` measures a run's.",
            ("agent", "task", "median", "99th percentile"),
            [[f"`{r['agent']}`", f"`{r['task']}`", *(f"{r[f'decision ms {p}']:.3f}" for p in ("p50", "p99"))] for r in rows],
        )
    if rows := parts.get("speed"):
        lines += section(
            "Speed of the tasks",
            "Steps per second of processor time, one thread, 512 environments in step, random actions; the aim is 100,000.",
            ("task", "steps per second"),
            [[f"`{row['task']}`", f"{row['rate']:,.0f}"] for row in rows],
        )
    return [*lines, ""]


def main() -> None:
    """Measure the parts that are named, or all, and write the table."""
    write_parts(HERE / "changing_world.json", PARTS, sys.argv[1:], table)


if __name__ == "__main__":
    main()
