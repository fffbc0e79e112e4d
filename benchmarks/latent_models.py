"""Score the agents that learn a latent model, beside others at equal steps; written to benchmarks/latent_models.md.

`python benchmarks/latent_models.py pixels "pets, with that model"` measures some groups or rows again and keeps the others; `--seeds 0,1`
chooses how many of the seeds are measured.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import recipe
from rl_core.runs.run import Run

SEEDS = (0, 1, 2)


class Row(NamedTuple):
    """A row of the table: an agent on a task."""

    group: str
    agent: str
    task: str
    budget: int | None = None
    network: str | None = None
    config: dict[str, Any] | None = None
    source: str = ""  # name of the row whose run it starts from


PIXELS, POLE = "pendulum-pixels", "masked-CartPole-v1"
ROWS = {
    "dreamer, pictures": Row("pixels", "dreamer", PIXELS),
    "random, pictures": Row("pixels", "random", PIXELS, 200),
    "reinforce, pictures": Row("pixels", "reinforce", PIXELS, 2_500, "cnn"),
    "dreamer, cart": Row("cart", "dreamer", "cartpole-pixels"),
    "random, cart": Row("cart", "random", "cartpole-pixels", 200),
    "reinforce, cart": Row("cart", "reinforce", "cartpole-pixels", 4_000, "cnn"),
    "dreamer": Row("vectors", "dreamer", "Pendulum-v1"),
    "sac, the steps of dreamer": Row("vectors", "sac", "Pendulum-v1", 3_000),
    "dreamer, pole": Row("choices", "dreamer", "CartPole-v1"),
    "world-model": Row("memory", "world-model", POLE),
    "world-model without its memory": Row("memory", "world-model", POLE, config={"sees_memory": False}),
    "pets": Row("transfer", "pets", "Pendulum-v1", 1_000),
    "pets, with that model": Row("transfer", "pets", "pendulum-damping", 20, source="pets"),
    "pets, from nothing": Row("transfer", "pets", "pendulum-damping", 220),
    "random, damping": Row("transfer", "random", "pendulum-damping", 200),
    "world-model, pictures": Row("dreams", "world-model", PIXELS),
}


def measure(catalogue: Catalogue, row: Row, seed: int) -> dict[str, Any]:
    """Return the score, the checks of the model and the time of one run."""
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {"config": row.config or {}, "network": row.network}
        if row.budget:
            options["budget"] = row.budget
        if row.source:
            first = ROWS[row.source]
            resolved = recipe.resolve(catalogue, agent=first.agent, task=first.task, budget=first.budget, seed=seed)
            with Run.create(resolved, catalogue, Path(folder) / "first") as run:
                run.learn(quiet=True, episodes=1)
            options["from_run"] = str(max((Path(folder) / "first" / "checkpoints").iterdir(), key=lambda path: int(path.name)))
        resolved = recipe.resolve(catalogue, agent=row.agent, task=row.task, seed=seed, **options)
        start, elapsed = time.process_time(), time.perf_counter()
        with Run.create(resolved, catalogue, Path(folder) / "run") as run:
            result = run.learn(quiet=True, episodes=5 if row.agent == "pets" else 20)
        lines = [json.loads(line) for line in (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines()]
    errors = [line["open_loop_error"] for line in lines if "open_loop_error" in line]
    return {
        "score": result["score"],
        "steps": result["progress"],
        "error": errors[-1] if errors else None,
        "seconds": time.process_time() - start,
        "elapsed": time.perf_counter() - elapsed,
    }


def line_of(name: str, row: Row, runs: list[dict[str, Any]]) -> str:
    """Return a row of the table."""
    scores = [run["score"] for run in runs]
    errors = [run["error"] for run in runs if run["error"] is not None]
    error = " / ".join(f"{value:.2f}" for value in errors)
    seconds, elapsed = np.mean([run["seconds"] for run in runs]), np.mean([run["elapsed"] for run in runs])
    return (
        f"| {name} | {row.task} | {runs[0]['steps']:,} | {', '.join(f'{score:.1f}' for score in scores)} | **{np.mean(scores):.1f}** "
        f"| {error} | {seconds:.0f} | {elapsed:.0f} |"
    )


def rows_of(page: Path) -> dict[str, str]:
    """Return the rows of the page by name."""
    lines = page.read_text(encoding="utf-8").splitlines() if page.exists() else []
    return {line.split(" | ")[0][2:]: line for line in lines if line.startswith("| ")}


def main() -> None:
    """Print and write the table."""
    catalogue, chosen, seeds = Catalogue.discover(), sys.argv[1:], SEEDS
    if "--seeds" in chosen:
        place = chosen.index("--seeds")
        seeds = tuple(map(int, chosen[place + 1].split(",")))
        del chosen[place : place + 2]
    page = Path(__file__).with_suffix(".md")
    for name, row in ROWS.items():
        if chosen and row.group not in chosen and name not in chosen:
            continue
        runs: list[dict[str, Any]] = []
        for seed in seeds:
            runs.append(measure(catalogue, row, seed))
            old = rows_of(page)  # anew each time: groups may be measured side by side
            old[name] = line_of(name, row, runs)
            print(old[name], flush=True)
            rows = [old[known] for known in ROWS if known in old]
            page.write_text("\n".join([*HEAD, *rows]) + "\n", encoding="utf-8")


HEAD = [
    "# Latent models",
    "",
    "Written by `benchmarks/latent_models.py`: the presets, one thread, seeds 0, 1 and 2 in this order (fewer where fewer are listed);",
    "mean return over 20 fresh episodes after the budget, 5 for pets, whose actions take long. The error is that of observations",
    "predicted without seeing for 15 steps, as a ratio to that of repeating the last one that was seen, on stretches of the newest half",
    "of the experience, by seed; of pets, on the newest episode. Seconds are of the",
    "processor and of the clock, with the evaluation, on a machine that was busy with other work.",
    f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}.",
    "",
    "| agent | task | steps | return by seed | mean | error after 15 steps | processor s | clock s |",
    "|---|---|---:|---|---:|---|---:|---:|",
]

if __name__ == "__main__":
    main()
