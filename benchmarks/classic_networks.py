"""Measure the classic networks on MNIST, with their presets, seeds 0 to 2.

    MNIST=data/mnist python benchmarks/classic_networks.py                     # all rows; writes classic_networks.md
    MNIST=data/mnist python benchmarks/classic_networks.py dbn --seeds 0       # one row and seed
    python benchmarks/classic_networks.py --table                              # the table, from what was measured

MNIST names the folder of the four idx files. A score is that of the test split, which was not used to choose any setting. Every run is a
process with one thread. What was measured is kept in classic_networks.json, so that rows can be measured one at a time. The scores of GANs
are in generation.md.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import rows

HERE = Path(__file__)


class Row(NamedTuple):
    """One row of the table: what is run, the number that is asked of it, and how the number is called.

    Attributes:
        component: Name of the agent or network.
        task: Name of the task; {mnist} stands for the folder.
        metric: Name of the number.
        goal: What is asked of the mean.
        higher: Whether more is better.
    """

    component: str
    task: str
    metric: str
    goal: float
    higher: bool = True


ROWS = {
    "softmax-regression": Row("softmax-regression", "mnist:{mnist}", "accuracy", 0.92),
    "rbf-network": Row("rbf-network", "mnist:{mnist}", "error, %", 3.6, higher=False),
    "dbn": Row("dbn", "mnist:{mnist}", "error, %", 1.3, higher=False),
    "spiking": Row("spiking", "mnist:{mnist}", "accuracy", 0.985),
    "autoencoder": Row("autoencoder", "reconstruct:mnist:{mnist}", "error / error of PCA", 0.7, higher=False),
    "variational-autoencoder": Row("variational-autoencoder", "reconstruct:mnist:{mnist}", "ELBO, nats", -105.0),
}


def run(row: Row, seed: int) -> dict[str, Any]:
    """Return what one run gives: its JSON result, and the number that is asked for as "value"."""
    task = row.task.format(mnist=os.environ.get("MNIST", "data/mnist"))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "rl_core", "run", row.component, "--task", task, "--seed", str(seed), "--device", "cpu"]
        done = subprocess.run([*command, "--out", f"{folder}/run", "--json"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        result: dict[str, Any] = json.loads(done.stdout)
        if row.metric == "error / error of PCA":
            value = result["score"] / pca(task, 32)
        elif row.metric == "ELBO, nats":
            value = elbo(f"{folder}/run")
        else:
            value = 100.0 * (1.0 - result["score"]) if row.metric == "error, %" else result["score"]
    return {"seed": seed, "value": value, "seconds": result["seconds"], "progress": result["progress"], "metrics": result["metrics"]}


def pca(task: str, code: int) -> float:
    """Return the error of principal components of the same number as the code has numbers."""
    import numpy as np

    from dl_nets.generative.reconstruct import Reconstruct, pca_error
    from dl_nets.generative.view import ViewConfig

    view = Reconstruct(ViewConfig(task=task.partition(":")[2]))
    train, test = (view.numbers(split, np.arange(view.num_examples(split))) for split in ("train", "test"))
    return pca_error(train, test, code)


def elbo(folder: str) -> float:
    """Return the mean bound over the test split, nats, with ten draws of each code."""
    import numpy as np
    import torch

    import rl_core

    agent: Any = rl_core.load(folder)
    module, task = agent.module.eval(), agent.task
    total, count = 0.0, task.num_examples("test")
    with torch.no_grad():
        for start in range(0, count, 500):
            images = torch.from_numpy(task.numbers("test", np.arange(start, min(start + 500, count))))
            likelihood, distance = module.bound(images.repeat(10, 1, 1, 1))
            total += float((likelihood - distance).sum()) / 10.0
    return total / count


def table(measured: dict[str, list[dict[str, Any]]]) -> str:
    """Return the page, from all that was measured."""
    lines = [
        "# Classic networks",
        "",
        "Written by `benchmarks/classic_networks.py`: the presets on MNIST (54,000 training, 6,000 validation and 10,000 test images),",
        "each run one process with one thread on a machine that did other work too. The mean is over the seeds shown.",
        f"{platform.machine()}, Python {platform.python_version()}, torch {version('torch')}.",
        "",
        "| row | task | number | by seed | mean | goal | | seconds of learning, median |",
        "|---|---|---|---|---:|---:|---|---:|",
    ]
    for name, row in ROWS.items():
        runs = measured.get(name, [])
        sign, task = (">=" if row.higher else "<="), row.task.replace("{mnist}", "...")
        if not runs:
            lines.append(f"| {name} | `{task}` | {row.metric} | not measured yet | | {sign} {row.goal:g} | | |")
            continue
        mean = statistics.mean(each["value"] for each in runs)
        met = mean >= row.goal if row.higher else mean <= row.goal
        values = ", ".join(f"{each['value']:.4g}" for each in runs)
        verdict = "reached" if met else "**missed**"
        timed = [each["seconds"] for each in runs if each["seconds"] is not None]  # of older runs the times were not kept
        seconds = f"{statistics.median(timed):.0f}" if timed else "-"
        lines.append(f"| {name} | `{task}` | {row.metric} | {values} | {mean:.4g} | {sign} {row.goal:g} | {verdict} | {seconds} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure the rows that are asked for, and write the table."""
    store, arguments = HERE.with_suffix(".json"), sys.argv[1:]
    held = json.loads(store.read_text()) if arguments == ["--table"] else rows.measured(store, ROWS, arguments, (0, 1, 2), run)
    HERE.with_suffix(".md").write_text(table(held))


if __name__ == "__main__":
    main()
