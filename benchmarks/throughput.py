"""Environment steps of PPO and A2C per second of processor time, over the number of environments, next to stepping alone, the limit.

    python benchmarks/throughput.py            # about a minute; writes throughput.md
    python benchmarks/throughput.py --seconds 0.05

Array tasks, networks of 64 x 64 on the fast path, one thread. PPO takes rollouts of 32 steps and 20 epochs of minibatches of 256, as
the RL Zoo does for CartPole-v1, A2C rollouts of 5 steps and one gradient step. Stepping alone takes random actions that are drawn before.
Each figure is the best of three, in processor time: a machine that is busy with other things can only be slower.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")

import numpy as np

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.on_policy.a2c import A2C, A2CConfig
from rl_algos.on_policy.loop import OnPolicy, OnPolicyConfig
from rl_algos.on_policy.ppo import PPO, PPOConfig
from rl_algos.tasks.acrobot import Acrobot
from rl_algos.tasks.array_envs import ArrayTask, ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tasks.pendulum import Pendulum
from rl_core.seeds import Seeds

NUM_ENVS = (1, 8, 64, 512)
TASKS: dict[str, type[ArrayTask]] = {"CartPole-v1": CartPole, "Acrobot-v1": Acrobot, "Pendulum-v1": Pendulum}
REPETITIONS = 3
Step = Callable[[], int]
"""Does some work and returns how many environment steps that were."""


def rate(step: Step, seconds: float) -> float:
    """Environment steps per second of processor time: the best of some repetitions of so many seconds."""
    step()
    best = 0.0
    for _ in range(REPETITIONS):
        start, total = time.process_time(), 0
        while (elapsed := time.process_time() - start) < seconds:
            total += step()
        best = max(best, total / elapsed)
    return best


def stepping(task: ArrayTask, num_envs: int) -> Step:
    """Stepping alone, ten steps at a time."""
    envs = task.envs(num_envs, Seeds(0))
    envs.reset()
    task.output_space.seed(0)
    actions = np.stack([np.stack([task.output_space.sample() for _ in range(num_envs)]) for _ in range(10)])

    def step() -> int:
        for action in actions:
            envs.step(action)
        envs.pop_episodes()
        return len(actions) * num_envs

    return step


def learning(agent_class: type[OnPolicy], config: OnPolicyConfig, task: ArrayTask) -> Step:
    """An agent's iteration."""
    agent = agent_class(config, task, MLP(MLPConfig()), seeds=Seeds(0), budget=10**9, device="cpu")

    def step() -> int:
        before = agent.progress
        agent.step()
        return agent.progress - before

    return step


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=0.3)
    seconds = parser.parse_args().seconds
    lines = [
        "# Environment steps per second of processor time, over the number of environments",
        "",
        "Written by `benchmarks/throughput.py`, which says how it is measured, on a machine that was busy with other things. One thread.",
        f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}.",
        "",
        f"| task | what | {' | '.join(map(str, NUM_ENVS))} |",
        f"|---|---|{'---:|' * len(NUM_ENVS)}",
    ]
    for name, task_class in TASKS.items():
        task = task_class(ArrayTaskConfig())
        rows: dict[str, Callable[[int], Step]] = {
            "stepping alone": lambda count, task=task: stepping(task, count),
            "a2c": lambda count, task=task: learning(A2C, A2CConfig(num_envs=count), task),
            "ppo": lambda count, task=task: learning(PPO, PPOConfig(num_envs=count, rollout_steps=32, num_epochs=20, batch_size=256), task),
        }
        for what, make in rows.items():
            rates = " | ".join(f"{rate(make(count), seconds):,.0f}" for count in NUM_ENVS)
            lines.append(f"| {name} | {what} | {rates} |")
            print(lines[-1], flush=True)
    if seconds >= 0.3:
        Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
