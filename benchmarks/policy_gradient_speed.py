"""A2C and TRPO beside stable-baselines3's and sb3-contrib's, in one process: environment steps per second with the RL Zoo's settings.

    python benchmarks/policy_gradient_speed.py            # five pairs, some three minutes; writes policy_gradient_speed.md
    python benchmarks/policy_gradient_speed.py --pairs 1

CartPole-v1, networks of 64 x 64, one thread; see `pairs`. The fast path runs by default; the torch path, and the fast
path on Gymnasium's own environments, stand beside it. Building the agents is not timed, compiling is done before.
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
import stable_baselines3
import torch
from stable_baselines3.common.env_util import make_vec_env

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.on_policy.a2c import A2C
from rl_algos.on_policy.loop import OnPolicy
from rl_algos.on_policy.trpo import TRPO
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_core.gym_task import GymConfig, GymTask
from rl_core.seeds import Seeds
from rl_core.task import ControlTask

BUDGET, ASKED = 10_240, 3.0
A2C_SETTINGS = {"num_envs": 8}
TRPO_SETTINGS = {
    "num_envs": 2, "rollout_steps": 512, "damping": 1e-3, "gae_lambda": 0.98, "value_epochs": 20, "value_batch_size": 512,
}  # fmt: skip


def ours(agent_class: type[OnPolicy], settings: dict, task: ControlTask, *, fast: bool = True) -> pairs.Way:
    """One of our agents on a task."""

    def set_up(seed: int) -> Callable[[], int]:
        config = agent_class.Config(**settings)
        agent = agent_class(config, task, MLP(MLPConfig(fast=fast)), seeds=Seeds(seed), budget=BUDGET, device="cpu")
        return pairs.learning(agent, BUDGET)

    return set_up


def sb3_a2c(seed: int) -> Callable[[], int]:
    """A2C of stable-baselines3."""
    model = stable_baselines3.A2C("MlpPolicy", make_vec_env("CartPole-v1", n_envs=8, seed=seed), ent_coef=0.0, seed=seed, device="cpu")
    return lambda: int(model.learn(BUDGET).num_timesteps)


def contrib_trpo(seed: int) -> Callable[[], int]:
    """TRPO of sb3-contrib."""
    env = make_vec_env("CartPole-v1", n_envs=2, seed=seed)
    model = sb3_contrib.TRPO(
        "MlpPolicy", env, n_steps=512, batch_size=512, cg_damping=1e-3, gae_lambda=0.98, gamma=0.99, learning_rate=1e-3,
        n_critic_updates=20, seed=seed, device="cpu",
    )  # fmt: skip
    return lambda: int(model.learn(BUDGET).num_timesteps)


def main() -> None:
    """Time the pairs and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    num_pairs = parser.parse_args().pairs
    torch.set_num_threads(1)
    cartpole, gymnasium_s = CartPole(ArrayTaskConfig()), GymTask(GymConfig(id="CartPole-v1"))
    versions = f"numpy {np.__version__}, torch {torch.__version__}, stable-baselines3 {stable_baselines3.__version__}"
    lines = [
        "# Speed of A2C and TRPO on CartPole-v1, beside stable-baselines3's and sb3-contrib's",
        "",
        "Written by `benchmarks/policy_gradient_speed.py`, which says how it is measured. RL Zoo's settings, 10,240 steps, one thread.",
        f"{platform.machine()}, Python {platform.python_version()}, {versions}, sb3-contrib {sb3_contrib.__version__}.",
        "",
        *pairs.HEAD,
    ]
    for name, agent_class, settings, theirs in (("a2c", A2C, A2C_SETTINGS, sb3_a2c), ("trpo", TRPO, TRPO_SETTINGS, contrib_trpo)):
        ways = {
            f"{name}, fast path": (ours(agent_class, settings, cartpole), ASKED),
            f"{name}, torch path": (ours(agent_class, settings, cartpole, fast=False), None),
            f"{name}, fast path, Gymnasium's environments": (ours(agent_class, settings, gymnasium_s), None),
        }
        for what, (way, asked) in ways.items():
            lines.append(pairs.row(what, pairs.paired(way, theirs, num_pairs), asked))
            print(lines[-1], flush=True)
    if num_pairs >= 5:
        Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
