"""The house's own agents, killed at five arbitrary moments and continued, end in the bytes of a run that was never disturbed."""

from __future__ import annotations

import json
from typing import Any

import pytest

RUNS = {
    "ppo on CartPole-v1": ["ppo", "--task", "CartPole-v1", "--budget", 12_000, "--checkpoint-every", 1_500],
    "ppo on Acrobot-v1": ["ppo", "--task", "Acrobot-v1", "--budget", 12_000, "--checkpoint-every", 1_500],
    "ppo on Pendulum-v1": ["ppo", "--task", "Pendulum-v1", "--budget", 12_000, "--checkpoint-every", 1_500],
    "ppo on a replayed CartPole-v1": ["ppo", "--task", "gym:CartPole-v1", "--budget", 6_000, "--checkpoint-every", 500],
    "ppo with a memory": ["ppo", "--task", "masked-CartPole-v1", "--budget", 8_000, "--checkpoint-every", 1_000],
    "a2c with a memory": ["a2c", "--task", "masked-CartPole-v1", "--network", "gru", "--budget", 8_000, "--checkpoint-every", 1_000],
    "ars on a replayed CartPole-v1": ["ars", "--task", "gym:CartPole-v1", "--budget", 12_000, "--checkpoint-every", 500],
    "cem on CartPole-v1": ["cem", "--task", "CartPole-v1", "--budget", 60_000, "--checkpoint-every", 5_000, "--set", "network.fast=false"],
    "cma-es on Acrobot-v1": ["cma-es", "--task", "Acrobot-v1", "--budget", 300_000, "--checkpoint-every", 20_000],
    "es on Pendulum-v1": ["es", "--task", "Pendulum-v1", "--budget", 300_000, "--checkpoint-every", 20_000],
    "dqn on CartPole-v1": ["dqn", "--task", "CartPole-v1", "--budget", 3_000, "--checkpoint-every", 256],
    "rainbow-lite on a replayed CartPole-v1": ["rainbow-lite", "--task", "gym:CartPole-v1", "--budget", 3_000, "--checkpoint-every", 256],
    "dqn with a memory": ["dqn", "--task", "masked-CartPole-v1", "--network", "lstm", "--budget", 3_000, "--checkpoint-every", 400],
    "a2c": ["a2c", "--budget", 12_000, "--checkpoint-every", 1_500],
    "a3c with one worker": ["a3c", "--budget", 24_000, "--checkpoint-every", 4_000, "--set", "num_workers=1"],
    "npg": ["npg", "--task", "Pendulum-v1", "--budget", 12_000, "--checkpoint-every", 2_000],
    "reinforce-baseline": ["reinforce-baseline", "--budget", 12_000, "--checkpoint-every", 1_500],
    "reinforce-crossentropy": ["reinforce-crossentropy", "--budget", 12_000, "--checkpoint-every", 1_500],
    "trpo": ["trpo", "--task", "Acrobot-v1", "--budget", 12_000, "--checkpoint-every", 2_000],
    "vpg": ["vpg", "--task", "gym:CartPole-v1", "--budget", 6_000, "--checkpoint-every", 500],
    "supervised with mlp": [
        "supervised",
        "--network",
        "mlp",
        "--task",
        "breast-cancer",
        "--budget",
        30 * 456,
        "--checkpoint-every",
        2 * 456,
    ],
    "supervised with cnn": ["supervised", "--network", "cnn", "--task", "digits", "--budget", 6 * 1438, "--checkpoint-every", 1438],
    "skip-gram": ["skip-gram", "--budget", 300_000, "--checkpoint-every", 30_000, "--set", "chunk_words=10000"],
    "fasttext": ["fasttext", "--budget", 150_000, "--checkpoint-every", 30_000, "--set", "chunk_words=10000", "--set", "buckets=20000"],
    "glove": ["glove", "--budget", 600_000, "--checkpoint-every", 30_000],
    "text-classifier": ["text-classifier", "--budget", 17_120, "--checkpoint-every", 1_500, "--set", "buckets=20000"],
}


@pytest.mark.parametrize("name", RUNS)
def test_five_kills_leave_no_trace(program: Any, name: str) -> None:
    arguments = ["run", *RUNS[name], "--seed", 1, "--device", "cpu"]
    whole = program.call(*arguments, "--out", "whole", "--json")
    assert whole.status == 0, whole.err
    program.disturbed("killed", arguments, whole="whole", kills=5, seed=len(name), forked=True)
    killed = program.call("resume", "killed", "--json")
    assert killed.status == 0, killed.err
    assert program.final("killed") == program.final("whole")
    assert program.progress("killed") == program.progress("whole")
    assert (killed.json["score"], killed.json["progress"]) == (whole.json["score"], whole.json["progress"])
    sessions = json.loads((program.folder / "killed" / "manifest.json").read_text())["sessions"]
    assert len(sessions) == 6
    assert any(session["progress"] > 0 for session in sessions)  # it went on from a checkpoint, not only from its beginning
