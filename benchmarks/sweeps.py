"""Cost of many short runs: a sweep with warm workers beside the same runs as processes of their own.

    python benchmarks/sweeps.py [--seeds 100] [--budget 100000] [--alone 3]

Processor time is that of all processes, as the system counts it; the wall time on a machine whose two cores do nothing else is at least
half of it.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAGE = Path(__file__).with_suffix(".md")


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--budget", type=int, default=100_000)
    parser.add_argument("--alone", type=int, default=3, help="runs as processes of their own")
    options = parser.parse_args()
    settings = ["ppo", "--task", "CartPole-v1", "--budget", str(options.budget)]
    with tempfile.TemporaryDirectory() as folder:
        measured(["run", *settings, "--out", f"{folder}/first"])  # compiles the kernels, and keeps them
        alone = [measured(["run", *settings, "--seed", str(seed), "--out", f"{folder}/{seed}"]) for seed in range(options.alone)]
        seeds = f"0-{options.seeds - 1}"
        wall, cpu = measured(["sweep", *settings, "--seeds", seeds, "--workers", "2", "--out", f"{folder}/sweep"])
        summary = subprocess.run([*PROGRAM, "show", f"{folder}/sweep"], capture_output=True, text=True, check=True).stdout
    each = sum(seconds for _, seconds in alone) / len(alone)
    rows = [
        ("runs", f"{options.seeds}", "1"),
        ("processor time", f"{cpu:.0f} s", f"{each:.1f} s"),
        ("processor time of a run", f"{cpu / options.seeds:.2f} s", f"{each:.2f} s"),
        ("half of the processor time: wall time on two idle cores, at least", f"{cpu / 2:.0f} s", ""),
        (f"wall time measured, load {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores", f"{wall:.0f} s", ""),
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    text = (
        f"# Many short runs\n\nPPO on CartPole-v1, {options.budget:,} steps, {options.seeds} seeds; 100 episodes of evaluation each.\n"
        f"A run alone draws its figures, a run of a sweep does not. Written by `benchmarks/sweeps.py`.\n\n"
        f"| | `sweep --workers 2` | `run` (mean of {options.alone}) |\n|---|---:|---:|\n{table}\n\n"
        f"The sweep takes {each * options.seeds / cpu:.1f} times less processor time than its runs alone would.\n\n```text\n{summary}```\n"
    )
    PAGE.write_text(text)
    print(PAGE.read_text())


PROGRAM = [sys.executable, "-m", "rl_core"]


def measured(arguments: list[str]) -> tuple[float, float]:
    """Run a command, and return its wall time and the processor time of it and all that it started, in seconds."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([*PROGRAM, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
