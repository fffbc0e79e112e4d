"""PPO with an LSTM beside sb3-contrib's RecurrentPPO: environment steps per second while learning, RL Zoo's settings, one thread.

    python benchmarks/recurrent_speed.py            # some three minutes; writes recurrent_speed.md
    python benchmarks/recurrent_speed.py --pairs 1

A rollout is 32 steps of 8 environments of CartPole without its velocities, and is learned from 20 times; actor and critic have an LSTM
of 64 units and a hidden layer of 64 each. Rollouts and updates are timed together.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")

import gymnasium
import numpy as np
import sb3_contrib
import torch
from pairs import HEAD, learning, paired, row
from stable_baselines3.common.env_util import make_vec_env

from dl_nets.networks.recurrent import RecurrentConfig, RecurrentNetwork
from rl_algos.on_policy.ppo import PPO, PPOConfig
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import MaskedCartPole
from rl_core.seeds import Seeds

STEPS = 4 * 32 * 8


class Masked(gymnasium.ObservationWrapper):
    """Gymnasium's CartPole-v1 without its velocities."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        whole = env.observation_space
        self.observation_space = gymnasium.spaces.Box(whole.low[::2], whole.high[::2], dtype=np.float32)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        """Position and angle [2]."""
        return observation[::2]


def ours(seed: int) -> Callable[[], int]:
    """Our agent; the work is four rollouts and their updates."""
    config = PPOConfig(
        num_envs=8, rollout_steps=32, batch_size=256, num_epochs=20, learning_rate=1e-3, discount=0.98, gae_lambda=0.8
    )  # fmt: skip
    network = RecurrentNetwork(RecurrentConfig("lstm", units=64, after=(64,), activation="relu"))
    agent = PPO(config, MaskedCartPole(ArrayTaskConfig()), network, seeds=Seeds(seed), budget=100_000, device="cpu")
    return learning(agent, STEPS)


def theirs(seed: int) -> Callable[[], int]:
    """sb3-contrib's agent; the same work."""
    envs = make_vec_env(lambda: Masked(gymnasium.make("CartPole-v1")), n_envs=8, seed=seed)
    hidden = {"pi": [64], "vf": [64]}
    policy = {"ortho_init": False, "activation_fn": torch.nn.ReLU, "lstm_hidden_size": 64, "enable_critic_lstm": True, "net_arch": hidden}
    model = sb3_contrib.RecurrentPPO(
        "MlpLstmPolicy", envs, n_steps=32, batch_size=256, n_epochs=20, learning_rate=1e-3, gamma=0.98, gae_lambda=0.8, ent_coef=0.0,
        policy_kwargs=policy, seed=seed, device="cpu",
    )  # fmt: skip

    def work() -> int:
        model.learn(STEPS)
        return STEPS

    return work


def main() -> None:
    """Run the pairs and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    num_pairs = parser.parse_args().pairs
    torch.set_num_threads(1)
    line = row("ppo, LSTM of 64", paired(ours, theirs, num_pairs), None)
    print(line, flush=True)
    lines = [
        "# Speed of PPO with a memory, beside sb3-contrib's",
        "",
        "Written by `benchmarks/recurrent_speed.py`, which says how it is measured. One thread; times while learning.",
        f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}, sb3-contrib {sb3_contrib.__version__}.",
        "",
        *HEAD,
        line,
        "",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
