"""Score AlphaZero and MuZero: games against perfect and random play, and CartPole-v1.

    python benchmarks/self_play.py                       # some two hours; writes self_play.md
    python benchmarks/self_play.py --seeds 0 --only connect-four   # measures these rows again and keeps the others

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
SEARCH = ["--set", "task.opponent=search", "--set", "task.simulations=50"]  # as many as the agent's own
ROWS: list[tuple[str, str, list[str], list[tuple[str, list[str]]]]] = [  # agent, task, options, evaluations: name, options
    ("alphazero", "tic-tac-toe", [], [("perfect play", ["--set", "task.opponent=perfect"]), ("random play", [])]),
    ("alphazero", "connect-four", [], [("tree search", SEARCH), ("random play", [])]),
    ("muzero", "tic-tac-toe", [], [("perfect play", ["--set", "task.opponent=perfect"]), ("random play", [])]),
    ("muzero", "CartPole-v1", [], [("", [])]),
]


def command(*arguments: str) -> dict[str, Any]:
    """Return what a command of rl-core prints as JSON."""
    done = subprocess.run([sys.executable, "-m", "rl_core", *arguments, "--json"], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Run all rows and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--only", nargs="*", default=[name for row in ROWS for name in row[:2]], help="agents, tasks, or agent/task")
    options = parser.parse_args()
    page = Path(__file__).with_suffix(".md")
    old = page.read_text().splitlines() if page.exists() else []
    rows = {tuple(line.split(" | ")[:4]): line for line in old if line.startswith(("| alphazero", "| muzero"))}
    head = [
        "# AlphaZero and MuZero",
        "",
        f"Written by `benchmarks/self_play.py`: presets; {GAMES:,} games, 200 against tree search with as many simulations, or 100",
        "episodes for each seed; seconds of learning.",
        "",
        "| agent | task | against | seed | steps | seconds | result |",
        "|---|---|---|---:|---:|---:|---|",
    ]
    for agent, task, options_of_run, evaluations in ROWS:
        for seed in options.seeds if {agent, task, f"{agent}/{task}"} & set(options.only) else []:
            with tempfile.TemporaryDirectory() as folder:
                run = command("run", agent, "--task", task, "--seed", str(seed), "--out", f"{folder}/run", *options_of_run)
                for against, given in evaluations:
                    episodes = 200 if given is SEARCH else GAMES if against else 100
                    scores = command("eval", f"{folder}/run", "--episodes", str(episodes), *given)["metrics"]
                    names = ("won", "drawn", "lost") if against else ("mean return",)
                    result = ", ".join(f"{name} {scores[name]:.3g}" for name in names)
                    line = f"| {agent} | {task} | {against} | {seed} | {run['progress']:,} | {run['seconds']:.0f} | {result} |"
                    rows[tuple(line.split(" | ")[:4])] = line
                    print(line, flush=True)
                    order = {f"| {row[0]} | {row[1]} |": place for place, row in enumerate(ROWS)}
                    listed = sorted(rows.values(), key=lambda row: (order[" | ".join(row.split(" | ")[:2]) + " |"], row))
                    page.write_text("\n".join([*head, *listed]) + "\n")


if __name__ == "__main__":
    main()
