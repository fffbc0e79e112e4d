"""Measure what the tasks of dl-nets ask of a learner: scores beside targets that are known, and the share of reading in a training step.

    python benchmarks/tasks.py                       # scores of the drawn tasks, and reading from pictures; writes tasks.md
    MNIST=data/mnist python benchmarks/tasks.py      # the same, and reading from idx files

Scores are those of `rl-core run` with the presets, seeds 0 to 2, on test splits that had no part in any setting. Reading is measured in
one process with one thread for the network: processor seconds of `task.read`, which a thread calls ahead of time, and of the epoch. They
hardly depend on the load of the machine, as waiting would.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path
from time import process_time, thread_time
from typing import Any

import numpy as np

PAIRS = [
    ("mlp", "xor"),
    ("mlp", "two-moons"),
    ("mlp", "spirals"),
    ("matrix-factorisation", "low-rank-ratings"),
]
SEEDS = 3
PICTURES = 600  # of 256 x 256 pixels


def score(network: str, task: str, seed: int) -> dict[str, Any]:
    """Return the JSON result of one run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "rl_core", "run", network, "--task", task, "--seed", str(seed), "--device", "cpu"]
        done = subprocess.run([*command, "--out", f"{folder}/run", "--json"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout))


def scores() -> Iterator[str]:
    """Yield the rows of the table of scores."""
    yield "| network | task | metric | 0 | 1 | 2 | mean | target | seconds of a run |"
    yield "|---|---|---|---:|---:|---:|---:|---:|---:|"
    for network, task in PAIRS:
        with ThreadPoolExecutor(SEEDS) as pool:
            results = list(pool.map(partial(score, network, task), range(SEEDS)))
        values = " | ".join(f"{result['score']:.4f}" for result in results)
        mean = np.mean([result["score"] for result in results])
        seconds = np.median([result["seconds"] for result in results])
        first = results[0]
        yield f"| {network} | {task} | {first['metric']} | {values} | **{mean:.4f}** | {first['target']:.4f} | {seconds:.1f} |"
        print(network, task, values, flush=True)


def reading(name: str, config: dict[str, Any], network: str, epochs: int, resident: int) -> Iterator[str]:
    """Yield a row for each epoch: the share of its processor seconds that reading takes, in whatever thread."""
    from dl_nets.learning.supervised import Supervised, SupervisedConfig
    from rl_core.plugins.catalogue import Catalogue
    from rl_core.seeds import Seeds

    catalogue = Catalogue.discover()
    task_class = catalogue.find(name, "task").load()
    network_class = catalogue.find(network, "network").load()
    task = task_class(task_class.Config(**config))
    count = task.num_examples("train")
    settings = SupervisedConfig(resident_megabytes=resident)
    budget = epochs * (count + task.num_examples("validation"))
    agent = Supervised(settings, task, network_class(network_class.Config()), seeds=Seeds(0), budget=budget, device="cpu")
    spent, read = [0.0], task.read

    def timed(split: str, indices: np.ndarray) -> Any:
        begun = thread_time()
        batch = read(split, indices)
        spent[0] += thread_time() - begun
        return batch

    task.read = timed
    for epoch in range(epochs):
        spent[0], begun = 0.0, process_time()
        while agent.progress < agent.budget * (epoch + 1) // epochs:
            agent.step()
        seconds = process_time() - begun
        kept = "kept on the device" if resident and not task.costly else "read batch by batch"
        yield f"| {name} | {network} | {kept} | {epoch + 1} | {count:,} | {seconds:.2f} | {spent[0]:.3f} | {spent[0] / seconds:.1%} |"


def write_pictures(folder: Path) -> None:
    """Write JPEG files of two classes: smooth noise of two colours."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(PICTURES):
        label = number % 2
        small = rng.integers(0, 160, (16, 16, 3)).astype(np.uint8)
        small[:, :, 2 * label] += 90
        target = folder / ("red", "blue")[label]
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(small).resize((256, 256), Image.Resampling.BICUBIC).save(target / f"{number}.jpg", quality=90)


def main() -> None:
    """Measure, and write the tables."""
    import torch

    torch.set_num_threads(1)
    head = "task | network | examples are | epoch | examples | processor seconds | of them reading | share"
    lines = [f"| {head} |", "|---|---|---|---:|---:|---:|---:|---:|"]
    if mnist := os.environ.get("MNIST"):
        for resident in (0, 1024):
            lines += reading("mnist:data", {"path": mnist}, "mlp", 2, resident)
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder) / "noise")
        lines += reading("images:noise", {"path": f"{folder}/noise"}, "cnn", 2, 1024)
    print("\n".join(lines), flush=True)
    text = [
        "# The tasks of dl-nets",
        "",
        "Written by `benchmarks/tasks.py`. Scores on the test split of `rl-core run NETWORK --task TASK` with the presets, by seed, beside",
        "the target that each task derives (see its file).",
        f"{platform.machine()}, one thread, Python {platform.python_version()}, torch {version('torch')}.",
        "",
        *scores(),
        "",
        "The share of an epoch that reading takes. The first read of idx files unpacks them. Pictures are JPEG files of 256 x 256",
        "pixels, read as 64 x 64: the first epoch decodes them, later ones find them in memory.",
        "",
        *lines,
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
