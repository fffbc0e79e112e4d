"""Find how deep a sea each agent dives; written to benchmarks/exploration.md from benchmarks/exploration.json.

`python benchmarks/exploration.py count-dqn dqn --depths 10 20 --seeds 0` measures some cells again and keeps the others.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import recipe
from rl_core.seeds import Seeds

HERE = Path(__file__).parent
EPISODES = 1_000
AGENTS = ("dqn", "noisy-dqn", "rnd-dqn", "curiosity-dqn", "disagreement-dqn", "count-dqn", "bootstrapped-dqn")


def dive(agent: str, depth: int, seed: int) -> dict[str, Any]:
    """Return the episode in which the treasure was first found, the greedy policy's return, and the seconds of processor time."""
    catalogue, budget = Catalogue.discover(), EPISODES * depth
    tuned: dict[str, Any] = {}
    if agent == "dqn":  # the settings of the others; the exploration rate falls from 1 to 0.05 over half of the budget
        tuned = dict(recipe.resolve(catalogue, agent="count-dqn", task="deep-sea").recipe.config)
        known = recipe.resolve(catalogue, agent="dqn", task="deep-sea").recipe.config
        tuned = {name: value for name, value in tuned.items() if name in known and not name.startswith("exploration")}
        tuned |= {"exploration_steps": 0.5}
    resolved = recipe.resolve(
        catalogue,
        agent=agent,
        task="deep-sea",
        seed=seed,
        budget=budget,
        config=tuned,
        task_config={"depth": depth},
        network_config={"hidden": [64], "activation": "relu"},
    )
    learner, start, found = resolved.build_agent(Seeds(seed)), time.process_time(), None
    while learner.progress < budget:
        if learner.step().get("episode_return", 0.0) > 0.4 and found is None:
            found = learner.progress // depth
    score = learner.evaluate(episodes=1, seeds=Seeds(seed))["mean return"]
    return {"found": found, "score": score, "seconds": time.process_time() - start}


def page(cells: dict[str, dict[str, Any]]) -> str:
    """Return the page."""
    depths = sorted({int(name.split()[1]) for name in cells})
    lines = [
        "# Deep exploration",
        "",
        f"Written by `benchmarks/exploration.py`. `deep-sea` of growing depth, {EPISODES:,} episodes each: how many seeds end with a",
        "greedy policy that takes the treasure, and in which episode each seed found it first. Random play finds it once in 2^depth",
        "episodes.",
        "",
        "| agent | " + " | ".join(f"depth {depth}" for depth in depths) + " |",
        "|---|" + "---|" * len(depths),
    ]
    for agent in AGENTS:
        row = []
        for depth in depths:
            runs = cells.get(f"{agent} {depth}", {})
            solved = sum(run["score"] > 0.9 for run in runs.values())
            first = ", ".join(str(run["found"]) if run["found"] is not None else "never" for run in runs.values())
            row.append(f"{solved} of {len(runs)} (found: {first})" if runs else "not measured")
        lines.append(f"| `{agent}` | " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure the cells that are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("agents", nargs="*", default=list(AGENTS))
    parser.add_argument("--depths", type=int, nargs="*", default=[10, 20])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    given = parser.parse_args()
    kept = HERE / "exploration.json"
    for agent in given.agents:
        for depth in given.depths:
            for seed in given.seeds:
                result = dive(agent, depth, seed)
                print(agent, depth, seed, result, flush=True)
                cells = json.loads(kept.read_text()) if kept.exists() else {}
                cells.setdefault(f"{agent} {depth}", {})[str(seed)] = result
                kept.write_text(json.dumps(cells, indent=1, sort_keys=True) + "\n")
                (HERE / "exploration.md").write_text(page(cells))


if __name__ == "__main__":
    main()
