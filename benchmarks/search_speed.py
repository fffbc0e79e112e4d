"""ARS beside sb3-contrib's, in one process: environment steps per second with the RL Zoo's settings for CartPole-v1.

    python benchmarks/search_speed.py            # five pairs, about a minute; writes search_speed.md
    python benchmarks/search_speed.py --pairs 1

Two directions, a linear policy, 50,000 steps, one thread; see `pairs`. Ours plays compiled episodes; the torch path, which steps the
environments of any task, and Gymnasium's own CartPole are listed beside it. Sb3-contrib's policy has no bias, and its environment is
Gymnasium's. Building the agents is not timed, compiling is done before.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")

import numpy as np
import pairs
import sb3_contrib
import torch
from stable_baselines3.common.env_util import make_vec_env

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.search.ars import ARS, ARSConfig
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_core.gym_task import GymConfig, GymTask
from rl_core.seeds import Seeds
from rl_core.task import ControlTask

BUDGET, ASKED = 50_000, 10.0
SETTINGS = {"num_directions": 2, "learning_rate": 0.02, "noise_std": 0.05}


def ours(task: ControlTask, *, fast: bool, num_envs: int = 4) -> pairs.Way:
    """Our ARS on a task."""

    def set_up(seed: int) -> Callable[[], int]:
        config = ARSConfig(**SETTINGS, num_envs=num_envs)
        agent = ARS(config, task, MLP(MLPConfig(hidden=(), fast=fast)), seeds=Seeds(seed), budget=BUDGET, device="cpu")
        return pairs.learning(agent, BUDGET)

    return set_up


def theirs(seed: int) -> Callable[[], int]:
    """ARS of sb3-contrib."""
    env = make_vec_env("CartPole-v1", n_envs=1, seed=seed)
    model = sb3_contrib.ARS("LinearPolicy", env, n_delta=2, learning_rate=0.02, delta_std=0.05, seed=seed, device="cpu")

    def work() -> int:
        model.learn(BUDGET)
        return int(model.num_timesteps)

    return work


def main() -> None:
    """Time the pairs and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    num_pairs = parser.parse_args().pairs
    torch.set_num_threads(1)
    cartpole, gymnasium_s = CartPole(ArrayTaskConfig()), GymTask(GymConfig(id="CartPole-v1"))
    ways = {
        "compiled episodes": (ours(cartpole, fast=True), ASKED),
        "torch path, array environments, 4 together": (ours(cartpole, fast=False), None),
        "Gymnasium's environment, 1": (ours(gymnasium_s, fast=True, num_envs=1), None),
    }
    versions = f"numpy {np.__version__}, torch {torch.__version__}, sb3-contrib {sb3_contrib.__version__}"
    lines = [
        "# Speed of ARS on CartPole-v1, beside sb3-contrib's",
        "",
        "Written by `benchmarks/search_speed.py`, which says how it is measured. RL Zoo's settings, 50,000 steps, one thread.",
        f"{platform.machine()}, Python {platform.python_version()}, {versions}.",
        "",
        *pairs.HEAD,
    ]
    for what, (way, asked) in ways.items():
        lines.append(pairs.row(what, pairs.paired(way, theirs, num_pairs), asked))
        print(lines[-1], flush=True)
    if num_pairs >= 5:
        Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
