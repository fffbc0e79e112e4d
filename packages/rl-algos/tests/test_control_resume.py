"""Runs of DDPG, TD3 and SAC that are killed with no warning and continued."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "rl_core"]
SETTINGS = {"iteration_steps": 50, "learning_starts": 100, "batch_size": 64, "buffer_size": 400, "num_envs": 2}


def command(agent: str, out: Path) -> list[str]:
    given = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
    return [*PROGRAM, "run", agent, *given, "--budget", "2000", "--checkpoint-every", "200", "--seed", "3", "--out", str(out)]


def final(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "checkpoints" / "2000").iterdir() if path.is_file()}


@pytest.mark.learning
@pytest.mark.parametrize("agent", ["ddpg", "td3", "sac"])
def test_a_run_that_is_killed_at_any_instant_ends_with_the_bytes_of_one_that_was_not(agent: str, tmp_path: Path) -> None:
    subprocess.run(command(agent, tmp_path / "whole"), check=True, capture_output=True, timeout=250)
    killed = tmp_path / "killed"
    for number in range(2):  # twice, a little after the first checkpoint that is new
        before = set((killed / "checkpoints").glob("[0-9]*"))
        start = [*PROGRAM, "resume", str(killed)] if number else command(agent, killed)
        process = subprocess.Popen(start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while set((killed / "checkpoints").glob("[0-9]*")) <= before:
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(0.05)
        process.kill()
        assert process.wait() == -9
    assert not (killed / "result.json").exists()
    subprocess.run([*PROGRAM, "resume", str(killed)], check=True, capture_output=True, timeout=250)
    assert final(killed) == final(tmp_path / "whole")
