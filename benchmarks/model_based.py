"""Score the agents that learn a model of the dynamics; kept in benchmarks/model_based.json, written to benchmarks/model_based.md.

`python benchmarks/model_based.py pets mbpo --seeds 3,4` measures some rows on some seeds and keeps the others.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rows import measured

from rl_algos.model_based.learned import LearnedModel, scores
from rl_algos.model_based.transitions import Transitions
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import recipe
from rl_core.runs.run import Run
from rl_core.seeds import Seeds
from rl_core.task import PredictWithMemory


class Row(NamedTuple):
    """A row of the table: an agent on a task; planners play few fresh episodes, since each action takes thousands of predictions."""

    agent: str
    task: str
    config: dict[str, Any] | None = None
    budget: int | None = None
    episodes: int = 20


ROWS = {
    "pets": Row("pets", "Pendulum-v1", episodes=5),
    "pets TS-inf": Row("pets", "Pendulum-v1", {"propagation": "ts-inf"}, episodes=5),
    "deterministic-model": Row("deterministic-model", "Pendulum-v1", episodes=5),
    "dropout-model": Row("dropout-model", "Pendulum-v1", episodes=5),
    "pets, continuous pole": Row("pets", "CartPoleContinuous-v1", episodes=5),
    "simple-mbrl": Row("simple-mbrl", "CartPole-v1"),
    "simple-mbrl linear": Row("simple-mbrl", "CartPole-v1", {"model": "linear"}),
    "simple-mbrl mixture": Row("simple-mbrl", "CartPole-v1", {"model": "mixture"}),
    "simple-mbrl bayesian": Row("simple-mbrl", "CartPole-v1", {"model": "bayesian", "num_particles": 5}),
    "mbpo": Row("mbpo", "Pendulum-v1"),
    "sac, the steps of mbpo": Row("sac", "Pendulum-v1", None, 4_000),
    "mbpo, 3,000": Row("mbpo", "Pendulum-v1", None, 3_000),
    "sac, 3,000": Row("sac", "Pendulum-v1", None, 3_000),
    "mbpo, 2,000": Row("mbpo", "Pendulum-v1", None, 2_000),
    "sac, 2,000": Row("sac", "Pendulum-v1", None, 2_000),
    "steve": Row("steve", "Pendulum-v1"),
    "mve": Row("mve", "Pendulum-v1"),
    "sac, the steps of steve": Row("sac", "Pendulum-v1", None, 5_000),
    "steve, 10,000": Row("steve", "Pendulum-v1", None, 10_000),
    "mve, 10,000": Row("mve", "Pendulum-v1", None, 10_000),
    "sac, 10,000": Row("sac", "Pendulum-v1", None, 10_000),
    "curiosity": Row("curiosity", "pendulum-sparse"),
    "sac, sparse": Row("sac", "pendulum-sparse", None, 10_000),
    "sac, sparse, temperature 0.1": Row("sac", "pendulum-sparse", {"temperature": 0.1}, 10_000),
    "gp-mpc": Row("gp-mpc", "Pendulum-v1", episodes=1),
}
CHECKS = {
    "z_deviation": "z", "mixture_z_deviation": "mixture z", "outside": "doubt outside", "model_error": "1-step error",
    "open_loop_error": "15-step error",
}  # fmt: skip
OUTSIDE = 3.0  # times as far from the mean of what was seen


def measure(catalogue: Catalogue, row: Row, seed: int) -> dict[str, Any]:
    """Return the score, the first nine training episodes' returns, the model's checks, and whether a process holds the pendulum up."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"config": row.config or {}} | ({"budget": row.budget} if row.budget else {})
        resolved = recipe.resolve(catalogue, agent=row.agent, task=row.task, seed=seed, **options)
        start = time.process_time()
        with Run.create(resolved, catalogue, Path(folder) / "run") as run:
            result = run.learn(quiet=True, episodes=row.episodes)
            seconds = time.process_time() - start
            held = {"upright": stays_upright(run)} if row.agent == "gp-mpc" else outside(run)
        lines = [json.loads(line) for line in (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines()]
    episodes = [(line["progress"], line["episode_return"]) for line in lines if "episode_return" in line]
    last = {name: line[name] for line in lines for name in CHECKS if name in line}
    found = {"seed": seed, "score": result["score"], "steps": result["progress"], "seconds": seconds}
    return {**found, **held, **last, "episodes": episodes[:9]}


def outside(run: Run) -> dict[str, float]:
    """Return how much more members, or functions drawn from a model, disagree away from what was seen; nothing for one function."""
    model, data = getattr(run.agent, "model", None), getattr(run.agent, "data", None)
    if not isinstance(model, LearnedModel) or not isinstance(data, Transitions):
        return {}
    rows, mean = data.rows(np.flatnonzero(data.held_out[: data.size])), model.inputs.mean[: model.num_numbers]
    moved = mean + OUTSIDE * (rows.obs - mean)
    away = rows._replace(obs=moved, next_obs=moved + rows.next_obs - rows.obs)
    near, far = (scores(model, each, np.random.default_rng(0)).spread.mean() for each in (rows, away))
    return {"outside": float(far / near)} if near > 0 else {}


def stays_upright(run: Run) -> bool:
    """Return whether the pendulum stays within 0.2 rad of upright for the last 50 of the 200 steps of a fresh episode."""
    envs, player = run.task.envs(1, Seeds(run.resolved.recipe.seed, ("upright",))), run.agent.predictor()
    obs, angles = envs.reset(), []
    if isinstance(player, PredictWithMemory):
        player.begin(np.ones(1, dtype=np.bool_))
    for _ in range(200):
        after = envs.step(player(obs))
        angles.append(float(np.arctan2(after.final_obs[0, 1], after.final_obs[0, 0])))
        obs = after.obs
    envs.close()
    return bool(np.abs(angles[-50:]).max() < 0.2)


def line_of(name: str, row: Row, runs: list[dict[str, Any]]) -> str:
    """Return a row of the table."""
    scores = [run["score"] for run in runs]
    checks = [np.mean([run[key] for run in runs]) if all(key in run for run in runs) else None for key in CHECKS]
    numbers = " | ".join("" if value is None else f"{value:.2f}" for value in checks)
    late = " / ".join(f"{np.median([value for _, value in run['episodes'][5:9]]):.0f}" for run in runs if len(run["episodes"]) >= 9)
    first = " / ".join(f"{max([value for _, value in run['episodes'][:5]] or [float('nan')]):.0f}" for run in runs)
    seconds = np.mean([run["seconds"] for run in runs])
    seeds = ", ".join(str(run["seed"]) for run in runs)
    held = f"; held up in {sum(run['upright'] for run in runs)} of {len(runs)}" if "upright" in runs[0] else ""
    return (
        f"| {name} | {row.task} | {runs[0]['steps']:,} | {seeds} | {', '.join(f'{score:.1f}' for score in scores)} "
        f"| **{np.mean(scores):.1f}**{held} | {first} | {late} | {numbers} | {seconds:.0f} |"
    )


def main() -> None:
    """Measure rows, and write the table of all that are known."""
    catalogue, here = Catalogue.discover(), Path(__file__)
    known = measured(here.with_suffix(".json"), ROWS, sys.argv[1:], range(5), partial(measure, catalogue))
    rows = [line_of(name, row, known[name]) for name, row in ROWS.items() if name in known]
    here.with_suffix(".md").write_text("\n".join([*HEAD, *rows]) + "\n", encoding="utf-8")


HEAD = [
    "# Learned models",
    "",
    "Written by `benchmarks/model_based.py`: the presets, one thread; mean return over fresh episodes after the budget: 5 for planners",
    "with an ensemble, 1 for `gp-mpc`, 20 for the others; `gp-mpc` holds the pendulum up where it stays within 0.2 rad for the last 50",
    "of the 200 steps of another episode. Best of the first five training episodes and median of the sixth to the ninth are by seed.",
    "The checks of the model are means of the last fit: the deviation of z-scores on held-out transitions under each member's own",
    "distribution (1 is right) and under the mixture (below 1: the ensemble together is better than it says), how many times as much",
    "members disagree about observations three times as far from the mean of those seen (empty for one function, and for rows that are",
    "older than this column), the error one step ahead in deviations of the change, and the error after 15 steps as a ratio to the",
    "constant prediction's. Seconds are of the processor, with the evaluation.",
    f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}.",
    "",
    "| agent | task | steps | seeds | return by seed | mean | best of 1-5 | median of 6-9 "
    "| z | mixture z | doubt outside | 1 step | 15 steps | s |",
    "|---|---|---:|---|---|---:|---|---|---:|---:|---:|---:|---:|---:|",
]

if __name__ == "__main__":
    main()
