"""Measure captioners of pictures and clips on tasks whose truth is known: `rl-core run` with the presets of the agent `supervised`.

    python benchmarks/describing.py --runs DIR                  # all rows, about half an hour on one core; writes describing.md
    python benchmarks/describing.py --runs DIR --only s2vt      # the runs of one network; existing runs are not run again

The settings of show-attend-and-tell were tried with seed 100 on the validation split, those of the others were not. A network or a seed
without a row was not measured since the convolutions pool; each run took place once. `permuted` is the metric where each answer is judged
as that of the next input. `gap` is the mean loss of a word, in nats, where a training caption is said of the next input of the batch,
less that of its own input, over the last tenth of the run. `backwards` is the metric on the same clips played backwards, against the
captions that are then true.

`mean-pool-captioner` learns along which axis the shape moves, which is worth 0.25 of the motions: pooled frames do not show it whether the
shape also came back, which would be worth 0.5. After 20 epochs in place of 6, at three times the rate, it was right on 0.28 (seed 100).
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

ROWS: dict[str, tuple[str, str]] = {
    "show-and-tell": ("shapes-captions", "exact match >= 0.20"),
    "show-attend-and-tell": ("shapes-captions", "exact match >= 0.98"),
    "transformer-captioner": ("shapes-captions", "exact match >= 0.98"),
    "clip": ("shapes-captions", "text recall@1 of 100 >= 0.90"),
    "mean-pool-captioner": ("moving-shapes", "colour and shape >= 0.98, motion 0.4 to 0.6; 0.5 is all that an order-blind model can know"),
    "s2vt": ("moving-shapes", "exact match >= 0.93"),
    "temporal-attention-captioner": ("moving-shapes", "exact match and backwards >= 0.98"),
    "clip-classifier": ("moving-shapes-actions", "accuracy and backwards >= 0.95"),
}
SEEDS = (0, 1, 2)
OUT = Path(__file__).with_suffix(".md")


def run(network: str, seed: int, folder: Path) -> None:
    """Run a network on its task, unless it was."""
    if (folder / "result.json").is_file():
        return
    command = [sys.executable, "-m", "rl_core", "run", network, "--task", ROWS[network][0], "--seed", str(seed), "--device", "cpu"]
    subprocess.run([*command, "--out", str(folder)], check=True, stdout=subprocess.DEVNULL)


def gap(folder: Path) -> float | None:
    """Return how much the loss of a word rises, in nats, where captions are said of the next input."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    known = [line["permuted_loss"] - line["loss"] for line in lines if "permuted_loss" in line]
    last = known[-max(1, len(known) // 10) :]
    return sum(last) / len(last) if last else None


def pointing(folder: Path) -> float:
    """Return the share of nouns at which the place with the most attention is within 9 of 48 pixels of the object that is named."""
    import numpy as np
    import torch

    import rl_core
    from cv_models.describe.shape_captions import KINDS
    from cv_models.describe.show_attend_and_tell import pointing_accuracy

    agent: Any = rl_core.load(folder)
    task, module = agent.task, agent.module.eval()
    count = min(300, task.num_examples("test"))
    pictures, rows = task.read("test", np.arange(count))
    captions = torch.from_numpy(rows[:, : module.length])
    nouns = torch.isin(captions, torch.tensor(task.vocabulary.tokens(KINDS)))
    places = nouns.nonzero()[:, 1].reshape(count, 2)
    with torch.no_grad():
        shares = module.attention(torch.from_numpy(pictures), captions)
    centres = torch.from_numpy(task.centres("test")[:count]).float()
    return pointing_accuracy(shares, places, centres, task.config.size, 9.0 * task.config.size / 48)


def recalls(folder: Path) -> dict[str, float]:
    """Return recall at 1, 5 and 10 of CLIP in both directions, among 100 test pictures of different captions."""
    import rl_core
    from cv_models.describe.clip import recall

    agent: Any = rl_core.load(folder)
    return recall(agent.module, agent.task)


def row(network: str, seed: int, folder: Path) -> str:
    """Return the line of the table for a run that ended."""
    import yaml

    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    metrics: dict[str, Any] = result["metrics"]
    lacks = gap(folder)
    more = []
    if network in ("show-attend-and-tell", "transformer-captioner"):
        more.append(f"pointing {pointing(folder):.2f}")
    if network == "clip":
        more += [f"{name} {value:.2f}" for name, value in recalls(folder).items() if name != "candidates"]
    names = ("first shape", "second shape", "relation", "colour", "shape", "motion")
    more += [f"{name} {metrics[name]:.3f}" for name in names if name in metrics and network != "clip"]
    permuted = next((value for name, value in metrics.items() if name.endswith("inputs permuted")), None)
    back = metrics.get("exact match, played backwards", metrics.get("accuracy, played backwards"))
    numbers = [metrics.get("BLEU-4"), metrics.get("METEOR"), metrics.get("CIDEr-D"), permuted, lacks, back]
    cells = [
        network, recipe["task"], str(seed), f"{result['progress']:,}", f"{result['score']:.3f}", ROWS[network][1],
        *("-" if value is None else f"{value:.3f}" for value in numbers), ", ".join(more) or "-", f"{result['seconds']:.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Run what is asked for and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--seeds", type=int, nargs="*", default=list(SEEDS))
    options = parser.parse_args()
    for seed in options.seeds:
        for network in options.only:
            run(network, seed, options.runs / f"{network}-{seed}")
    lines = [
        "# Captions of pictures and clips",
        "",
        "Written by `benchmarks/describing.py`, which says what the columns are. Each task is made from a seed, and the best score is 1.",
        f"{platform.machine()}, one thread, Python {platform.python_version()}, torch {version('torch')}; seconds on a busy machine.",
        "",
        "| network | task | seed | examples | score | target | BLEU-4 | METEOR | CIDEr-D | permuted | gap | backwards | parts | seconds |",
        "|---|---|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|---|---:|",
    ]
    for network in ROWS:
        for seed in SEEDS:
            folder = options.runs / f"{network}-{seed}"
            if (folder / "result.json").is_file():
                lines.append(row(network, seed, folder))
    OUT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
