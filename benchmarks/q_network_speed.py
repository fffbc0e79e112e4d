"""DQN and replay beside stable-baselines3's, in one process: steps per second with RL Zoo's settings for CartPole-v1, batches per second.

    python benchmarks/q_network_speed.py            # three pairs, some two minutes; writes q_network_speed.md
    python benchmarks/q_network_speed.py --pairs 1

One environment, a network of 256 x 256, 128 gradient steps on 64 transitions after every 256 steps, one thread; see `pairs`. Prioritised
replay, which stable-baselines3 has not, stands beside its even draws. What a buffer of 1,000,000 frames of Pong takes is its arrays'
size, and that of stable-baselines3's is reckoned from its own, which holds every frame four times, and eight times unless it is asked to
save memory.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")

import gymnasium
import numpy as np
import pairs
import stable_baselines3
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer as TheirBuffer

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.q_learning.dqn import DQN, DQNConfig
from rl_algos.replay.buffer import ReplayBuffer, ReplaySettings
from rl_algos.replay.prioritised import PrioritisedReplay
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_core.envs import Transition
from rl_core.seeds import Seeds

STEPS, ASKED = 10_000, 2.5
ZOO = DQNConfig(
    learning_rate=2.3e-3,
    batch_size=64,
    buffer_size=100_000,
    learning_starts=1_000,
    rollout_steps=256,
    num_updates=128,
    target_steps=10,
    exploration_steps=8_000,
    exploration_end=0.04,
)
VECTORS, FRAMES = spaces.Box(-1, 1, (4,), np.float32), spaces.Box(0, 255, (4, 84, 84), np.uint8)
TWO = spaces.Discrete(2)


def agent_way(*, fast: bool = True, **settings: bool | int) -> pairs.Way:
    """Return our agent's way, `STEPS` of a budget of 50,000."""

    def set_up(seed: int) -> Callable[[], int]:
        network = MLP(MLPConfig(hidden=(256, 256), activation="relu", init="uniform", fast=fast))
        config = replace(ZOO, **settings)
        agent = DQN(config, CartPole(ArrayTaskConfig()), network, seeds=Seeds(seed), budget=50_000, device="cpu")
        return pairs.learning(agent, STEPS)

    return set_up


def their_agent(seed: int) -> Callable[[], int]:
    """DQN of stable-baselines3, as many steps."""
    model = stable_baselines3.DQN(
        "MlpPolicy",
        gymnasium.make("CartPole-v1"),
        learning_rate=ZOO.learning_rate,
        batch_size=ZOO.batch_size,
        buffer_size=ZOO.buffer_size,
        learning_starts=ZOO.learning_starts,
        gamma=ZOO.discount,
        target_update_interval=ZOO.target_steps,
        train_freq=ZOO.rollout_steps,
        gradient_steps=ZOO.num_updates,
        exploration_fraction=ZOO.exploration_steps / STEPS,
        exploration_final_eps=ZOO.exploration_end,
        policy_kwargs={"net_arch": [256, 256]},
        seed=seed,
        device="cpu",
    )

    def work() -> int:
        model.learn(STEPS)
        return int(model.num_timesteps)

    return work


def full_buffer(space: spaces.Box, rows: int, prioritised: bool) -> ReplayBuffer:
    """Return ours, filled with zeros."""
    settings = ReplaySettings(rows, stack_axis=0 if space is FRAMES else None)
    buffer = PrioritisedReplay(settings, space, TWO, exponent=0.6) if prioritised else ReplayBuffer(settings, space, TWO)
    obs, no = np.zeros((1, *space.shape), dtype=space.dtype), np.array([False])
    for _ in range(rows):
        buffer.add(obs, np.array([0]), Transition(obs, np.ones(1, dtype=np.float32), no, no, obs))
    return buffer


def their_full_buffer(space: spaces.Box, rows: int) -> TheirBuffer:
    """Theirs, filled with zeros."""
    buffer = TheirBuffer(rows, space, TWO, device="cpu")
    obs, no = np.zeros((1, *space.shape), dtype=space.dtype), np.array([False])
    for _ in range(rows):
        buffer.add(obs, obs, np.array([0]), np.ones(1, dtype=np.float32), no, [{}])
    return buffer


def sampling_way(space: spaces.Box, rows: int, batch_size: int, draws: int, *, prioritised: bool = False) -> pairs.Way:
    """Draws of our buffer; prioritised ones set the priorities of what they drew."""

    def set_up(seed: int) -> Callable[[], int]:
        buffer, rng = full_buffer(space, rows, prioritised), np.random.default_rng(seed)
        error = rng.random(batch_size, dtype=np.float32)

        def work() -> int:
            for _ in range(draws):
                slots, _ = buffer.draw(rng, batch_size, 0.5)
                buffer.read(slots)
                buffer.revalue(slots, error)
            return draws

        return work

    return set_up


def their_sampling_way(space: spaces.Box, rows: int, batch_size: int, draws: int) -> pairs.Way:
    """Draws of stable-baselines3's buffer."""

    def set_up(seed: int) -> Callable[[], int]:
        buffer = their_full_buffer(space, rows)

        def work() -> int:
            for _ in range(draws):
                buffer.sample(batch_size)
            return draws

        return work

    return set_up


def main() -> None:
    """Time the pairs and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=3)
    num_pairs = parser.parse_args().pairs
    torch.set_num_threads(1)
    vectors, frames = (VECTORS, 20_000, 64, 3_000), (FRAMES, 2_000, 32, 200)
    ways = {
        "dqn, fast path": (agent_way(), their_agent, ASKED),
        "dqn, torch path": (agent_way(fast=False), their_agent, None),
        "rainbow-lite beside their dqn": (agent_way(double=True, dueling=True, prioritised=True, return_steps=3), their_agent, None),
        "64 of 20,000 transitions of 4 numbers": (sampling_way(*vectors), their_sampling_way(*vectors), None),
        "the same, prioritised, beside their even draws": (sampling_way(*vectors, prioritised=True), their_sampling_way(*vectors), None),
        "32 of 2,000 stacks of 4 frames of 84 x 84": (sampling_way(*frames), their_sampling_way(*frames), None),
    }
    rows = []
    for name, (ours, theirs, asked) in ways.items():
        rows.append(pairs.row(name, pairs.paired(ours, theirs, num_pairs), asked))
        print(rows[-1], flush=True)
    million = ReplayBuffer(ReplaySettings(1_000_000, stack_axis=0), FRAMES, spaces.Discrete(6))
    their_frames = 1_000_000 * int(np.prod(FRAMES.shape))
    versions = f"numpy {np.__version__}, torch {torch.__version__.split('+')[0]}, stable-baselines3 {stable_baselines3.__version__}"
    lines = [
        "# The speed of Q-networks and of replay, beside stable-baselines3's",
        "",
        "Written by `benchmarks/q_network_speed.py`, which says how it is measured. A step is one of the environment, or one batch drawn.",
        f"{platform.machine()}, Python {platform.python_version()}, {versions}.",
        "",
        *pairs.HEAD,
        *rows,
        "",
        f"A buffer of 1,000,000 stacks of frames of Pong takes {million.nbytes / 1e9:.2f} GB; stable-baselines3's would take "
        f"{their_frames / 1e9:.1f} GB with `optimize_memory_usage`, {2 * their_frames / 1e9:.1f} GB without.",
        "",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
