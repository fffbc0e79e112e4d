"""Measure what a classifier gains on few examples of a class by a conditional generator that learned from the same few.

    python benchmarks/augmenting.py --runs DIR      # a quarter of an hour on one core; writes augmenting.md

Task: `plain-shapes` with 1 % of the training triangles left; the test split has as many triangles as other shapes. The classifier is
`lenet`, for as many updates in each row. `generated:<RUN>` fills the triangles up to the commonest class by what `conditional-gan` draws,
which saw the same few. In `classes weighted` the loss weighs classes by their rarity, the plain remedy. No setting was chosen on these
runs.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

SHAPES = "{rare: 0.01, num_validation: 0}"
SEEDS = (0, 1, 2)
BUDGET = 40_000
OUT = Path(__file__).with_suffix(".md")


def run(name: str, task: str, seed: int, folder: Path, *settings: str) -> dict[str, Any]:
    """Return the result of a run, which is not run again where its folder is."""
    if not (folder / "result.json").is_file():
        command = [
            sys.executable,
            "-m",
            "rl_core",
            "run",
            name,
            "--task",
            task,
            "--seed",
            str(seed),
            "--device",
            "cpu",
            "--out",
            str(folder),
        ]
        command += ["--budget", str(BUDGET)] if name == "lenet" else []
        for setting in settings:
            command += ["--set", setting]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    result: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return result


def triangles(folder: Path) -> float:
    """Return the share of the test triangles that a classifier finds."""
    import numpy as np

    import rl_core

    agent: Any = rl_core.load(folder)
    inputs, classes = agent.task.read("test", np.arange(agent.task.num_examples("test")))
    rare = np.asarray(classes) == agent.task.class_names.index("triangle")
    return float((np.asarray(agent.predict(np.asarray(inputs)[rare])) == np.asarray(classes)[rare]).mean())


def main() -> None:
    """Run what was not run and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(SEEDS))
    options = parser.parse_args()
    lines = [
        "# Few examples of a class, with generated ones",
        "",
        "Written by `benchmarks/augmenting.py`, which says what the rows are.",
        f"{platform.machine()}, one thread, Python {platform.python_version()}, torch {version('torch')}.",
        "",
        "| training examples | seed | accuracy | triangles found |",
        "|---|---:|---:|---:|",
    ]
    for seed in options.seeds:
        generator = options.runs / f"gan-{seed}"
        run("conditional-gan", "generate:plain-shapes", seed, generator, f"task.settings={SHAPES}", "task.labels=true")
        few = [f"task.{part}" for part in ("rare=0.01", "num_validation=0")]
        for name, task, settings in (
            ("few", "plain-shapes", few),
            ("few, classes weighted", "plain-shapes", [*few, "class_weights=balanced"]),
            ("few and generated", f"generated:{generator}", []),
        ):
            folder = options.runs / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
            result = run("lenet", task, seed, folder, *settings)
            lines.append(f"| {name} | {seed} | {result['score']:.3f} | {triangles(folder):.3f} |")
    OUT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
