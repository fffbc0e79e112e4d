"""Cost of a sweep beside what it learns and evaluates.

    python benchmarks/overhead.py [--seeds 40] [--budget 5120]        # writes overhead.md

Many short runs of PPO on CartPole-v1 with two workers. What one run must cost is measured in a process that has everything imported: to
learn and to evaluate, again and again, nothing written. The rest of the sweep's processor time is its overhead: imports, planning, claims,
checkpoints, results. The wall time asked for is 1.15 times half of what learning and evaluation need, on two idle cores; half of the
sweep's processor time is the least that it can be.
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

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"))

PAGE = Path(__file__).with_suffix(".md")


def needed(budget: int, runs: int) -> float:
    """Processor time [s] of learning and evaluating one run, in a warm process: the mean over runs."""
    from rl_core.plugins.catalogue import Catalogue
    from rl_core.runs import recipe
    from rl_core.seeds import Seeds

    catalogue = Catalogue.discover()
    total = 0.0
    for seed in range(-1, runs):
        resolved = recipe.resolve(catalogue, "ppo", task="CartPole-v1", budget=budget, seed=max(seed, 0))
        seeds = Seeds(max(seed, 0))
        agent = resolved.build_agent(seeds)
        began = time.process_time()
        while agent.progress < budget:
            agent.step()
        agent.evaluate(episodes=100, seeds=Seeds(max(seed, 0), ("evaluation",)))
        total += (time.process_time() - began) * (seed >= 0)  # the first one compiles
    return total / runs


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--budget", type=int, default=5_120)
    options = parser.parse_args()
    each = needed(options.budget, 10)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        command = ["sweep", "ppo", "--task", "CartPole-v1", "--budget", str(options.budget), "--seeds", f"0-{options.seeds - 1}"]
        command += ["--workers", "2", "--out", f"{folder}/sweep"]
        subprocess.run([sys.executable, "-m", "rl_core", *command], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    useful = each * options.seeds
    rows = [
        ("processor time of the sweep", f"{cpu:.1f} s"),
        (f"of it to learn and to evaluate: {options.seeds} x {each:.2f} s", f"{useful:.1f} s"),
        ("the rest", f"{cpu - useful:.1f} s, **{100 * (cpu - useful) / cpu:.0f} %** (asked: < 10 %)"),
        ("least wall time on two idle cores, by half of the needed", f"**{cpu / useful:.2f}** (asked: < 1.15)"),
        (
            f"wall time, load {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores",
            f"{wall:.1f} s, {wall / (useful / 2):.2f} of half the needed",
        ),
    ]
    what = f"PPO on CartPole-v1, {options.seeds} runs of {options.budget:,} steps, 2 workers, 100 episodes of evaluation each."
    head = f"# Overhead of a sweep\n\n{what}"
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    PAGE.write_text(f"{head}\nWritten by `benchmarks/overhead.py`, which says how it is measured.\n\n| | |\n|---|---:|\n{table}\n")
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
