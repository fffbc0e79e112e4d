"""Measure the scores of the supervised agent with its presets: `rl-core run` on each pair of network and task, seeds 0 to 4.

    python benchmarks/supervised.py                # all pairs, about five minutes; writes supervised.md
    python benchmarks/supervised.py vit --seeds 1  # one network; prints only

A score is the accuracy or r2 that `rl-core run` reports on the test split, which was not used to choose any setting. Every run is a
process with one thread. Processor seconds are those of the whole process, imports included; other load on the machine changes them
less than it changes wall time.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

GOALS = {
    ("cnn", "digits"): 0.97,
    ("vit", "digits"): 0.95,
    ("mlp", "digits"): None,
    ("mlp", "breast-cancer"): None,
    ("mlp", "wine"): None,
    ("mlp", "diabetes"): None,
    ("gru", "digits"): None,
    ("lstm", "digits"): None,
    ("rnn", "digits"): None,
}
NETWORKS = list(dict.fromkeys(network for network, _ in GOALS))
SEEDS = 5


def run(network: str, task: str, seed: int) -> dict[str, Any]:
    """Return the JSON result of one run, with the processor seconds of its process."""
    before = processor_seconds()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "rl_core", "run", network, "--task", task, "--seed", str(seed), "--device", "cpu"]
        done = subprocess.run([*command, "--out", f"{folder}/run", "--json"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return {**json.loads(done.stdout), "processor_seconds": processor_seconds() - before}


def processor_seconds() -> float:
    """Return the processor seconds of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Run every pair and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    lines = [
        "# Scores of the supervised agent",
        "",
        "Written by `benchmarks/supervised.py`: scores on the test split of `rl-core run NETWORK --task TASK` with the presets, by seed.",
        "The target is the published or derived score that counts as solved (see the task's file); the goal is this project's own.",
        f"{platform.machine()}, one thread, Python {platform.python_version()}, torch {version('torch')}.",
        "",
        f"| network | task | metric | examples | {' | '.join(map(str, range(options.seeds)))} | mean | target | goal "
        "| seconds of learning, median | processor seconds of the process, median |",
        f"|---|---|---|---:|{'---:|' * options.seeds}---:|---:|---:|---:|---:|",
    ]
    for (network, task), goal in GOALS.items():
        if network not in options.networks:
            continue
        results = []
        for seed in range(options.seeds):
            results.append(run(network, task, seed))
            print(network, task, seed, f"{results[-1]['score']:.4f}", f"{results[-1]['seconds']:.1f} s", flush=True)
        scores = [result["score"] for result in results]
        cells = [network, task, results[0]["metric"], f"{results[0]['progress']:,}", *(f"{score:.4f}" for score in scores)]
        cells += [f"**{statistics.mean(scores):.4f}**", f"{results[0]['target']:.4g}", f"{goal:g}" if goal else ""]
        cells += [f"{statistics.median(result[key] for result in results):.1f}" for key in ("seconds", "processor_seconds")]
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    if options.networks == NETWORKS and options.seeds == SEEDS:
        Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
