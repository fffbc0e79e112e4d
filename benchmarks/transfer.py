"""Measure transfer learning: from MNIST's digits 0 to 4 to digits 5 to 9 with 20 images of each, beside learning from scratch.

    MNIST_FOLDER=data/mnist python benchmarks/transfer.py              # seeds 0 to 9; writes transfer.md
    MNIST_FOLDER=data/mnist python benchmarks/transfer.py --seeds 100  # one seed; prints only
    MNIST_FOLDER=data/mnist python benchmarks/transfer.py --networks cnn  # one table; the other stays as it was measured

Runs are kept in transfer.json, and seeds that it holds are not run again.

The score is the accuracy on all test images of the digits 5 to 9. All ways of a network have the same 100 images and the same number of
updates; settings were chosen with seeds from 100 on. The transformer is one of the library transformers: what it learned of the first
digits is written by the library's own `save_pretrained` to a folder, and `network.from` reads that folder.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import rl_core

LEARN = {"epochs": 60, "learning_rate": 0.002, "batch_size": 20, "task.validation_fraction": 0.0}
FROM_NOTHING, ALL_LEARN = "from scratch", "fine-tuned"
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    FROM_NOTHING: ("all layers from first weights", {}),
    "features": ("`network.freeze=all`: the last layer alone learns, on features computed once", {"network.freeze": "all"}),
    ALL_LEARN: ("`loaded_rate=0.3`: all layers learn, loaded ones at 0.3 of the rate", {"loaded_rate": 0.3}),
    "unfrozen": (
        "`network.freeze=all unfreeze_every=15`: one more layer learns every 15 epochs",
        {"network.freeze": "all", "unfreeze_every": 15, "loaded_rate": 0.3},
    ),
}


class Subject(NamedTuple):
    """A network whose ways are compared.

    Attributes:
        words: What it is.
        shape: Settings of the network.
        first: Settings of learning the first digits.
        ways: Names of the ways.
    """

    words: str
    shape: dict[str, Any]
    first: dict[str, Any]
    ways: tuple[str, ...]


SUBJECTS = {
    "cnn": Subject(
        "`cnn` with 16, 32 and 64 channels, batch normalisation and dropout of 0.3 before the last layer",
        {"network.channels": (16, 32, 64), "network.hidden": (), "network.batch_norm": True, "network.dropout": 0.3},
        {"epochs": 2, "learning_rate": 0.002, "batch_size": 64},
        tuple(WAYS),
    ),
    "hugging-face": Subject(
        "`hugging-face`, a vision transformer of the library transformers with 2 layers of 64 numbers, through a folder",
        {"network.width": 64, "network.depth": 2},
        {"epochs": 1, "learning_rate": 0.001, "batch_size": 64},
        (FROM_NOTHING, ALL_LEARN),
    ),
}


def learn(network: str, data: Path, out: Path, seed: int, labels: tuple[int, ...], settings: dict[str, Any], per_class: int = 0) -> Any:
    """Return the result of a run on some digits."""
    fields = {"task.labels": labels, "task.examples_per_class": per_class, **settings}
    overrides = [f"{name}={list(value) if isinstance(value, tuple) else value}" for name, value in fields.items()]
    return rl_core.learn("supervised", task=f"mnist:{data}", network=network, seed=seed, out=out, overrides=overrides, quiet=True)


def learned_weights(network: str, run: Path) -> dict[str, Any]:
    """Return the settings by which a network starts from a run: from it, or from a folder of the library that is written beside it."""
    if network != "hugging-face":
        return {"network.from": run, "network.head": "new"}
    agent: Any = rl_core.load(run)
    folder = run.with_name("folder")
    agent.module.backbone.save_pretrained(folder)
    return {"network.from": folder}


def main() -> None:
    """Run every way with every seed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(10)))
    parser.add_argument("--networks", nargs="*", default=list(SUBJECTS))
    arguments = parser.parse_args()
    data = Path(os.environ["MNIST_FOLDER"]).resolve()
    here = Path(__file__)
    store = here.with_suffix(".json")
    known: dict[str, list[dict[str, Any]]] = json.loads(store.read_text()) if store.exists() else {}
    for network in arguments.networks:
        runs = known.setdefault(network, [])
        for seed in arguments.seeds:
            if seed not in {run["seed"] for run in runs}:
                runs.append(measured(network, data, seed))
                print(network, runs[-1], flush=True)
                if seed < 100:  # settings are chosen with others
                    store.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
        part = table(SUBJECTS[network], runs)
        print("\n".join(part))
        if all(run["seed"] < 100 for run in runs):
            page = here.with_suffix(".md")
            page.write_text("\n".join([*head(), *sections({**measured_before(page), network: part})]), encoding="utf-8")


def measured(network: str, data: Path, seed: int) -> dict[str, Any]:
    """Return the score on the first digits, and score and seconds of each way."""
    subject = SUBJECTS[network]
    found: dict[str, Any] = {"seed": seed, "scores": {}, "seconds": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found["first"] = learn(network, data, folder / "first", seed, (0, 1, 2, 3, 4), {**subject.shape, **subject.first}).score
        start = learned_weights(network, folder / "first")
        for way in subject.ways:
            settings = {**LEARN, **subject.shape, **({} if way == FROM_NOTHING else {**start, **WAYS[way][1]})}
            began = time.perf_counter()
            result = learn(network, data, folder / way, seed, (5, 6, 7, 8, 9), settings, per_class=20)
            found["scores"][way], found["seconds"][way] = result.score, round(time.perf_counter() - began, 1)
    return found


def measured_before(page: Path) -> dict[str, list[str]]:
    """Return the tables of the page, by the network that each names first."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    found = [f"## {part}".splitlines() for part in text.split("\n## ")[1:]]
    return {lines[0].split("`")[1]: [*lines, ""] if lines[-1] else lines for lines in found}


def sections(parts: dict[str, list[str]]) -> list[str]:
    """Return the lines of the tables that were measured, in the order of `SUBJECTS`."""
    return [line for network in SUBJECTS for line in parts.get(network, [])]


def head() -> list[str]:
    """Return the first lines of the page."""
    return [
        "# Transfer learning: MNIST's digits 5 to 9 from 20 images of each",
        "",
        f"Made by `benchmarks/transfer.py` with dl-nets {version('dl-nets')}, torch {version('torch')}, transformers "
        f"{version('transformers')}, Python {platform.python_version()}. Each network first learned",
        "the digits 0 to 4, from all training images of them.",
        "Accuracy is that on the 4,861 test images of the digits 5 to 9: mean and standard deviation over the seeds. The gain over",
        "learning from scratch is paired by seed: mean, least and greatest. Seconds are those of the whole run on a shared machine.",
        "",
    ]


def table(subject: Subject, runs: list[dict[str, Any]]) -> list[str]:
    """Return the table of a network as lines of Markdown."""
    rows = []
    for way in subject.ways:
        values, seconds = [run["scores"][way] for run in runs], statistics.mean(run["seconds"][way] for run in runs)
        gains = [run["scores"][way] - run["scores"][FROM_NOTHING] for run in runs]
        gain = "" if way == FROM_NOTHING else f"{statistics.mean(gains):+.4f} ({min(gains):+.4f} to {max(gains):+.4f})"
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        rows.append(f"| {way} | {WAYS[way][0]} | {statistics.mean(values):.4f} ± {spread:.4f} | {gain} | {seconds:.1f} |")
    first, epochs = statistics.mean(run["first"] for run in runs), subject.first["epochs"]
    return [
        f"## {subject.words}",
        "",
        f"{len(runs)} seeds. Epochs on the digits 0 to 4: {epochs}, with an accuracy of {first:.4f} on their test images.",
        "",
        "| way | settings | accuracy | gain | seconds |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]


if __name__ == "__main__":
    main()
