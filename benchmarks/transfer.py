"""Measure transfer learning: from MNIST's digits 0 to 4 to digits 5 to 9 with 20 images of each, beside learning from scratch.

    MNIST_FOLDER=data/mnist python benchmarks/transfer.py              # seeds 0 to 9; writes transfer.md
    MNIST_FOLDER=data/mnist python benchmarks/transfer.py --seeds 100  # one seed; prints only

The score is the accuracy on all test images of the digits 5 to 9. All ways have the same network, the same 100 images and the same number
of updates; settings were chosen with seeds 100 and 101.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import rl_core

SHAPE = {"network.channels": (16, 32, 64), "network.hidden": (), "network.batch_norm": True, "network.dropout": 0.3}
PRETRAIN = {"epochs": 2, "learning_rate": 0.002, "batch_size": 64}
LEARN = {"epochs": 60, "learning_rate": 0.002, "batch_size": 20, "task.validation_fraction": 0.0}
START = {"network.head": "new"}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "from scratch": ("all layers from first weights", {}),
    "features": ("`network.freeze=all`: the last layer alone learns, on features computed once", {**START, "network.freeze": "all"}),
    "fine-tuned": ("`loaded_rate=0.3`: all layers learn, loaded ones at 0.3 of the rate", {**START, "loaded_rate": 0.3}),
    "unfrozen": (
        "`network.freeze=all unfreeze_every=15`: one more layer learns every 15 epochs",
        {**START, "network.freeze": "all", "unfreeze_every": 15, "loaded_rate": 0.3},
    ),
}


def learn(folder: Path, out: Path, seed: int, labels: tuple[int, ...], settings: dict[str, Any], per_class: int = 0) -> Any:
    """Return the result of a run on some digits."""
    fields = {"task.labels": labels, "task.examples_per_class": per_class, **settings}
    overrides = [f"{name}={list(value) if isinstance(value, tuple) else value}" for name, value in fields.items()]
    return rl_core.learn("supervised", task=f"mnist:{folder}", network="cnn", seed=seed, out=out, overrides=overrides, quiet=True)


def main() -> None:
    """Run every way with every seed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(10)))
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    data = Path(os.environ["MNIST_FOLDER"]).resolve()
    scores: dict[str, list[float]] = {name: [] for name in WAYS}
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    first: list[float] = []
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            first.append(learn(data, folder / "first", seed, (0, 1, 2, 3, 4), {**SHAPE, **PRETRAIN}).score)
            for way, (_, settings) in WAYS.items():
                start = {"network.from": folder / "first"} if "network.head" in settings else {}
                began = time.perf_counter()
                result = learn(data, folder / way, seed, (5, 6, 7, 8, 9), {**SHAPE, **LEARN, **start, **settings}, per_class=20)
                seconds[way].append(time.perf_counter() - began)
                scores[way].append(result.score)
                print(f"seed {seed} {way}: {result.score:.4f} in {seconds[way][-1]:.1f} s", flush=True)
    table = report(arguments.seeds, scores, seconds, first)
    print(table)
    if arguments.seeds == list(range(10)):
        (Path(__file__).parent / "transfer.md").write_text(table, encoding="utf-8")


def report(seeds: list[int], scores: dict[str, list[float]], seconds: dict[str, list[float]], first: list[float]) -> str:
    """Return the table as Markdown."""
    scratch = scores["from scratch"]
    rows = []
    for way, values in scores.items():
        gains = [value - base for value, base in zip(values, scratch, strict=True)]
        gain = "" if way == "from scratch" else f"{statistics.mean(gains):+.4f} ({min(gains):+.4f} to {max(gains):+.4f})"
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        rows.append(
            f"| {way} | {WAYS[way][0]} | {statistics.mean(values):.4f} ± {spread:.4f} | {gain} | {statistics.mean(seconds[way]):.1f} |"
        )
    return "\n".join(
        [
            "# Transfer learning: MNIST's digits 5 to 9 from 20 images of each",
            "",
            f"Made by `benchmarks/transfer.py` with dl-nets {version('dl-nets')}, torch {version('torch')}, Python "
            f"{platform.python_version()}, seeds {seeds[0]} to {seeds[-1]}. The network, `cnn` with 16, 32 and 64",
            "channels, batch normalisation and dropout of 0.3 before the last layer, first learned the digits 0 to 4",
            f"(all training images, twice, accuracy {statistics.mean(first):.4f} on their test images).",
            "Accuracy is that on the 4,861 test images of the digits 5 to 9: mean and standard deviation over the seeds. The gain over",
            "learning from scratch is paired by seed: mean, least and greatest. Seconds are those of the whole run on a shared machine.",
            "",
            "| way | settings | accuracy | gain | seconds |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    main()
