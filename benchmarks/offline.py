"""Score the agents that learn from recorded transitions; written to benchmarks/offline.md from benchmarks/offline.json.

`python benchmarks/offline.py scripted` measures on the recordings that come with the package, `own` on recordings of our own `dqn` and
`sac`, which it trains first. `--seeds 100` tries settings, and keeps nothing.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rl_core.plugins.catalogue import Catalogue
from rl_core.recording import Recording, record, write
from rl_core.runs import recipe
from rl_core.runs.run import Run
from rl_core.seeds import Seeds

HERE = Path(__file__).parent
EPISODES = 50
DISCRETE = {
    "behaviour-cloning": ("behaviour-cloning", {}),
    "double DQN, no correction": ("cql", {"conservatism": 0.0}),
    "bcq": ("bcq", {}),
    "cql": ("cql", {}),
    "iql": ("iql", {}),
}
CONTINUOUS = {
    "behaviour-cloning": ("behaviour-cloning", {}),
    "TD3, no correction": ("td3-bc", {"value_weight": 1e6}),
    "td3-bc": ("td3-bc", {}),
    "iql": ("iql", {}),
}
OWN = {"CartPole-v1": ("dqn", (10_000, 50_000)), "Pendulum-v1": ("sac", (3_000, 20_000))}


def learned(catalogue: Catalogue, agent: str, config: dict[str, Any], task: str, seed: int, budget: int | None) -> dict[str, float]:
    """Return the score of one run, and its seconds of processor time."""
    options = {"budget": budget} if budget else {}
    with tempfile.TemporaryDirectory() as folder:
        resolved = recipe.resolve(catalogue, agent=agent, task=task, seed=seed, config=config, **options)
        start = time.process_time()
        with Run.create(resolved, catalogue, Path(folder) / "run") as run:
            score = run.learn(quiet=True, episodes=EPISODES)["score"]
    return {"score": score, "seconds": time.process_time() - start}


def own_recordings(catalogue: Catalogue, folder: Path) -> Iterator[tuple[str, str, float]]:
    """Yield the environment, the name of an offline task, and the mean return of recordings of our own agents."""
    for environment, (agent, pauses) in OWN.items():
        with Run.create(recipe.resolve(catalogue, agent=agent, task=environment, seed=0), catalogue, folder / agent) as run:
            for name, pause in (("random", 0), ("medium", pauses[0]), ("expert", pauses[1])):
                while run.agent.progress < pause:
                    run.agent.step()
                arrays = record(run.task, run.agent.predictor() if pause else None, num_steps=20_000, seeds=Seeds(0))
                made = Recording(arrays, {"task": environment, "policy": f"{agent} after {pause} steps"})
                write(made, folder / f"{environment}-{name}.npz")
                yield environment, f"offline:{folder / f'{environment}-{name}.npz'}", float(made.returns().mean())


def scripted(catalogue: Catalogue) -> Iterator[tuple[str, str, float]]:
    """Yield the environment, the name and the mean return of the recordings that come with the package."""
    for kind, environment in (("cartpole", "CartPole-v1"), ("pendulum", "Pendulum-v1")):
        for policy in ("expert", "mixed", "random"):
            built: Any = recipe.build_task(catalogue, f"{kind}-{policy}")
            yield environment, f"{kind}-{policy}", float(built.recording.returns().mean())


def measure(kind: str, seeds: list[int], only: list[str], agents_only: list[str], budget: int | None) -> dict[str, Any]:
    """Return rows by data set and agent."""
    catalogue, rows = Catalogue.discover(), {}
    with tempfile.TemporaryDirectory() as folder:
        for environment, task, mean in scripted(catalogue) if kind == "scripted" else own_recordings(catalogue, Path(folder)):
            name = task if kind == "scripted" else Path(task).stem
            if only and not any(word in name for word in only):
                continue
            agents = DISCRETE if environment == "CartPole-v1" else CONTINUOUS
            found = {}
            for row, (agent, config) in agents.items():
                if agents_only and row not in agents_only:
                    continue
                preset = f"{'cartpole' if environment == 'CartPole-v1' else 'pendulum'}-expert"
                if kind == "own":  # the settings of the recordings that come with the package
                    resolved = recipe.resolve(catalogue, agent=agent, task=preset, config=config)
                    config = {**resolved.recipe.config, **config}
                found[row] = [learned(catalogue, agent, config, task, seed, budget) for seed in seeds]
                print(name, row, [f"{run['score']:.0f} ({run['seconds']:.0f} s)" for run in found[row]], flush=True)
            rows[name] = {"data": mean, "agents": found}
    return rows


def table(rows: dict[str, Any]) -> list[str]:
    """Return a table of data sets, a line for each agent."""
    lines = []
    for agents in (DISCRETE, CONTINUOUS):
        names = [name for name, row in rows.items() if set(row["agents"]) == set(agents)]
        if not names:
            continue
        lines += ["| agent | " + " | ".join(names) + " | seconds |", "|---|" + "---:|" * (len(names) + 1)]
        lines.append("| *the data itself* | " + " | ".join(f"*{rows[name]['data']:.0f}*" for name in names) + " | |")
        for agent in agents:
            runs = [rows[name]["agents"][agent] for name in names]
            cells = [f"{np.mean([run['score'] for run in some]):.0f} ({min(run['score'] for run in some):.0f})" for some in runs]
            seconds = np.mean([run["seconds"] for some in runs for run in some])
            lines.append(f"| {agent} | " + " | ".join(cells) + f" | {seconds:.0f} |")
        lines.append("")
    return lines


def page(found: dict[str, Any]) -> str:
    """Return the page."""
    lines = [
        "# Learning from recorded transitions",
        "",
        f"Written by `benchmarks/offline.py`. Mean return of the last policy over {EPISODES} fresh episodes, the worst seed in",
        "brackets; 20,000 transitions each. No policy was chosen by its return.",
    ]
    for kind, title in (("scripted", "Recordings that come with the package"), ("own", "Recordings of our own `dqn` and `sac`")):
        if kind in found:
            count = max(len(runs) for row in found[kind].values() for runs in row["agents"].values())
            seeds = "seed 0" if count == 1 else f"seeds 0 to {count - 1}"
            lines += ["", f"## {title}, {seeds}", "", *table(found[kind])]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["scripted", "own", "page"])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--only", nargs="*", default=[], help="data sets; others are kept")
    parser.add_argument("--agents", nargs="*", default=[], help="rows; others are kept")
    parser.add_argument("--budget", type=int)
    given = parser.parse_args()
    kept = HERE / "offline.json"
    found = json.loads(kept.read_text()) if kept.exists() else {}
    if given.kind != "page":
        rows = measure(given.kind, given.seeds, given.only, given.agents, given.budget)
        if min(given.seeds) >= 100 or given.budget:
            return
        for name, row in rows.items():
            known = found.setdefault(given.kind, {}).setdefault(name, {"data": row["data"], "agents": {}})
            known["agents"] |= row["agents"]
        kept.write_text(json.dumps(found, indent=1) + "\n")
    (HERE / "offline.md").write_text(page(found))


if __name__ == "__main__":
    main()
