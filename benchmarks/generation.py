"""Measure what generates and translates pictures, with its presets: `rl-core run` on each row.

    GENERATION_DATA=data python benchmarks/generation.py                # all rows; writes generation.json and generation.md
    GENERATION_DATA=data python benchmarks/generation.py dcgan espcn    # some rows; the others keep what was measured before
    ... python benchmarks/generation.py gan-ring --seeds 3,4            # some seeds of a row

The folder holds `mnist`, the four idx files; rows on bundled tasks need none. A score is what `rl-core run` reports on the test split,
which was not used to choose any setting; settings were chosen with seeds from 100 on. Every run is a process with one thread. Processor
seconds are those of the whole process, imports and evaluation included.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import rows

HERE = Path(__file__).parent
MNIST = f"generate:mnist:{Path(os.environ.get('GENERATION_DATA', 'data')) / 'mnist'}"
ROWS: dict[str, tuple[str, str, int, str]] = {
    "gan-ring": ("gan", "ring-of-gaussians", 5, "8 modes"),
    "dcgan": ("dcgan", "generate:plain-shapes", 3, ""),
    "conditional-gan": ("conditional-gan", "generate:plain-shapes", 3, ""),
    "wgan-gp": ("wgan-gp", "generate:plain-shapes", 3, ""),
    "stylegan": ("stylegan", "generate:plain-shapes", 3, "stated"),
    "ddpm": ("ddpm", "shapes-from-noise", 3, ""),
    "captions-gan": ("conditional-gan", "shapes-from-captions", 3, "size, colour and shape >= 0.8"),
    "captions-ddpm": ("ddpm", "shapes-from-captions", 1, "size, colour and shape >= 0.8"),
    "cyclegan": ("cyclegan", "ink-on-paper", 3, "PSNR >= 24 both ways"),
    "gan-mnist": ("gan", MNIST, 3, "Frechet distance <= 8"),
    "dcgan-mnist": ("dcgan", MNIST, 3, "Frechet distance <= 2, recall >= 0.75"),
    "wgan-gp-mnist": ("wgan-gp", MNIST, 3, "Frechet distance <= 3, recall >= 0.75"),
    "conditional-gan-mnist": ("conditional-gan", MNIST, 3, "Frechet distance <= 2, recall >= 0.75, class accuracy >= 0.97"),
    "stylegan-mnist": ("stylegan", MNIST, 3, "stated"),
}
"""Name of a row: component, task, number of seeds, target."""


def run(name: str, task: str, seed: int) -> dict[str, Any]:
    """Return metrics and processor seconds of one run."""
    before = processor_seconds()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "rl_core", "run", name, "--task", task, "--seed", str(seed), "--device", "cpu"]
        done = subprocess.run([*command, "--out", f"{folder}/run", "--json"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        result = json.loads(done.stdout)
    return {"seed": seed, "metrics": result["metrics"], "seconds": processor_seconds() - before}


def processor_seconds() -> float:
    """Return the processor seconds of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def table(measured: dict[str, list[dict[str, Any]]]) -> str:
    """Return the runs that were measured as Markdown, a row each."""
    lines = ["| component | task | seed | metrics on the test split | target | processor seconds |", "|" + "---|" * 6]
    for name, (component, task, _, target) in ROWS.items():
        for each in measured.get(name, []):
            shown = "generate:mnist" if task == MNIST else task
            metrics = ", ".join(f"{key} {value:.3f}" for key, value in each["metrics"].items())
            lines.append(f"| `{component}` | `{shown}` | {each['seed']} | {metrics} | {target} | {each['seconds']:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Run the rows that were named, or all; the file of rows is written after each run, the table after each row."""

    def measure(row: tuple[str, str, int, str], seed: int) -> dict[str, Any]:
        return run(row[0], row[1], seed)

    store = HERE / "generation.json"
    names, _, seeds = " ".join(sys.argv[1:]).partition("--seeds")
    for name in names.split() or ROWS:
        held = rows.measured(store, ROWS, [name], [int(seed) for seed in seeds.split(",")] if seeds else range(ROWS[name][2]), measure)
        versions = f"torch {version('torch')}, Python {platform.python_version()}, one thread"
        (HERE / "generation.md").write_text(f"# Generation\n\nMade by `benchmarks/generation.py`: {versions}.\n\n{table(held)}\n")


if __name__ == "__main__":
    main()
