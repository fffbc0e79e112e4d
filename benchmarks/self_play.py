"""Score AlphaZero and MuZero: games against perfect and random play, and CartPole-v1.

    python benchmarks/self_play.py                       # some ten minutes; writes self_play.md
    python benchmarks/self_play.py --seeds 0 --only muzero

Each row is a run with the agent's preset for the task, from the command line, evaluated on fresh episodes by `rl-core eval`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

GAMES = 1_000
ROWS = [  # agent, task, evaluations: name, options
    ("alphazero", "tic-tac-toe", [("perfect play", ["--set", "task.opponent=perfect"]), ("random play", [])]),
    ("muzero", "CartPole-v1", [("", [])]),
]


def command(*arguments: str) -> dict[str, Any]:
    """Return what a command of rl-core prints as JSON."""
    done = subprocess.run([sys.executable, "-m", "rl_core", *arguments, "--json"], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Run all rows and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--only", nargs="*", default=[name for name, _, _ in ROWS])
    options = parser.parse_args()
    lines = [
        "# AlphaZero and MuZero",
        "",
        f"Written by `benchmarks/self_play.py`: presets, {GAMES:,} games or 100 episodes for each seed; seconds of learning.",
        "",
        "| agent | task | against | seed | steps | seconds | result |",
        "|---|---|---|---:|---:|---:|---|",
    ]
    for agent, task, evaluations in ROWS:
        for seed in options.seeds if agent in options.only else []:
            with tempfile.TemporaryDirectory() as folder:
                run = command("run", agent, "--task", task, "--seed", str(seed), "--out", f"{folder}/run")
                for against, given in evaluations:
                    episodes = GAMES if against else 100
                    scores = command("eval", f"{folder}/run", "--episodes", str(episodes), *given)["metrics"]
                    names = ("won", "drawn", "lost") if against else ("mean return",)
                    result = ", ".join(f"{name} {scores[name]:.3g}" for name in names)
                    lines.append(f"| {agent} | {task} | {against} | {seed} | {run['progress']:,} | {run['seconds']:.0f} | {result} |")
                    print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
