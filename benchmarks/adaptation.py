"""Measure domain adaptation: labels of plain digits, images of digits on patterns, beside what no and all labels there give.

    MNIST_FOLDER=data/mnist python benchmarks/adaptation.py              # seeds 0 to 2; writes adaptation.md
    MNIST_FOLDER=data/mnist python benchmarks/adaptation.py --seeds 100  # one seed; prints only

The score is the accuracy on all test images of the task `shifted:mnist:`, digits on waves. The encoder, the number of labelled images and
that of updates are the same in all ways; settings were chosen with seed 100.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import rl_core

TASK = {"task.settings": "{examples_per_class: 600, validation_fraction: 0.02}", "task.strength": 0.6}
LEARN = {"epochs": 30, "batch_size": 32, "weight_decay": 0.0, "network.channels": "[16, 32]"}
PLAIN = {"learning_rate": 0.002, "network.hidden": "[64]"}
WAYS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "source only": ("cnn", "labels of the source, nothing of the target", {"task.learn": "source", **PLAIN}),
    "CORAL": ("coral", "labels of the source, images of the target", {"learning_rate": 0.002, "network.weight": 10.0}),
    "DANN": ("dann", "labels of the source, images of the target", {"learning_rate": 0.002, "network.weight": 0.03}),
    "target": ("cnn", "labels of the target: the bound", {"task.learn": "target", **PLAIN}),
}


def main() -> None:
    """Run every way with every seed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    arguments = parser.parse_args()
    folder = Path(os.environ["MNIST_FOLDER"]).resolve()
    scores: dict[str, list[float]] = {way: [] for way in WAYS}
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for seed in arguments.seeds:
        for way, (network, _, settings) in WAYS.items():
            overrides = [f"{name}={value}" for name, value in {**TASK, **LEARN, **settings}.items()]
            with tempfile.TemporaryDirectory() as out:
                result = rl_core.learn(
                    "supervised",
                    task=f"shifted:mnist:{folder}",
                    network=network,
                    seed=seed,
                    out=f"{out}/run",
                    overrides=overrides,
                    quiet=True,
                    device="cpu",
                    threads=1,
                )
            assert result.score is not None
            scores[way].append(result.score)
            seconds[way].append(result.seconds)
            print(f"seed {seed} {way}: {result.score:.4f} in {result.seconds:.1f} s", flush=True)
    print(table := report(arguments.seeds, scores, seconds))
    if arguments.seeds == [0, 1, 2]:
        Path(__file__).with_suffix(".md").write_text(table, encoding="utf-8")


def report(seeds: list[int], scores: dict[str, list[float]], seconds: dict[str, list[float]]) -> str:
    """Return the table as Markdown."""
    rows = []
    for way, values in scores.items():
        network, shown, settings = WAYS[way]
        chosen = ", ".join(f"{name}={value}" for name, value in settings.items() if name in ("learning_rate", "network.weight"))
        each = ", ".join(f"{value:.4f}" for value in values)
        rows.append(
            f"| {way} | `{network}` | {shown} | {chosen} | {each} | {statistics.mean(values):.4f} | {statistics.mean(seconds[way]):.0f} |"
        )
    return "\n".join(
        [
            "# Domain adaptation: MNIST to digits on patterns",
            "",
            f"Made by `benchmarks/adaptation.py` with dl-nets {version('dl-nets')}, torch {version('torch')}, Python "
            f"{platform.python_version()}, one thread, seeds {', '.join(map(str, seeds))}. The source has 2,940 labelled images",
            "of MNIST, the target 2,940 others on waves (`shifted:mnist:`), without labels. Accuracy is that on the 10,000 test images on",
            "waves. All ways have convolutions of 16 and 32 filters, 30 epochs, batches of 32. Seconds on a shared machine.",
            "",
            "| way | network | what is learned from | settings | accuracy by seed | mean | seconds |",
            "|---|---|---|---|---|---:|---:|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    main()
