"""Compare DDPG, TD3 and SAC with stable-baselines3's: steps per second while learning, RL Zoo's settings for Pendulum, one thread.

    python benchmarks/control_speed.py            # some five minutes; writes control_speed.md
    python benchmarks/control_speed.py --pairs 1

A step is one step of the environment and one gradient step on 256 transitions, with the Zoo's networks of 256 x 256 (SAC) and
400 x 300 (DDPG, TD3), and with the 64 x 64 of our presets. The random steps at first, which the Zoo gives DDPG and TD3 10,000 of, are
cut to 300 and are not timed. With large networks nearly all that is left is matrix products, whose speed is the BLAS's; the last line
of the table's file tells how much of a ratio that is.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")

import gymnasium
import numpy as np
import stable_baselines3
import threadpoolctl
import torch
from pairs import HEAD, Pair, learning, paired, row
from stable_baselines3.common.noise import NormalActionNoise

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.continuous.ddpg import DDPG, DDPGConfig
from rl_algos.continuous.sac import SAC, SACConfig
from rl_algos.continuous.td3 import TD3, TD3Config
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.pendulum import Pendulum
from rl_core.seeds import Seeds

RANDOM_STEPS, STEPS = 300, 600
ROWS = [  # agent, units of its networks, ratio asked for
    ("ddpg", (400, 300), 1.5),
    ("td3", (400, 300), 1.5),
    ("sac", (256, 256), 2.0),
    *((name, (64, 64), None) for name in ("ddpg", "td3", "sac")),  # our presets' size
]
COMMON: dict[str, Any] = {"learning_starts": RANDOM_STEPS, "batch_size": 256, "target_rate": 0.005, "iteration_steps": RANDOM_STEPS}
RATES: dict[str, Any] = {"actor_learning_rate": 1e-3, "critic_learning_rate": 1e-3, "noise": "gaussian", "noise_std": 0.1}


def ours(name: str, hidden: tuple[int, ...], seed: int) -> Callable[[], int]:
    """Our agent after its random steps; the work is `STEPS` more."""
    task, network = Pendulum(ArrayTaskConfig()), MLP(MLPConfig(hidden=hidden, activation="relu"))
    agent: SAC | DDPG | TD3
    if name == "sac":
        agent = SAC(SACConfig(**COMMON, learning_rate=1e-3), task, network, seeds=Seeds(seed), budget=20_000, device="cpu")
    else:
        settings: dict[str, Any] = {**COMMON, **RATES, "discount": 0.98, "buffer_size": 200_000}
        if name == "td3":
            agent = TD3(TD3Config(**settings), task, network, seeds=Seeds(seed), budget=20_000, device="cpu")
        else:
            agent = DDPG(DDPGConfig(**settings), task, network, seeds=Seeds(seed), budget=20_000, device="cpu")
    agent.step()
    return learning(agent, RANDOM_STEPS + STEPS)


def theirs(name: str, hidden: tuple[int, ...], seed: int) -> Callable[[], int]:
    """Stable-baselines3's agent after its random steps; the work is `STEPS` more."""
    settings: dict[str, Any] = {"learning_starts": RANDOM_STEPS, "learning_rate": 1e-3, "seed": seed, "device": "cpu"}
    settings |= {"policy_kwargs": {"net_arch": list(hidden)}}
    if name != "sac":
        settings |= {"gamma": 0.98, "buffer_size": 200_000, "train_freq": 1, "gradient_steps": 1}
        settings |= {"action_noise": NormalActionNoise(np.zeros(1), np.full(1, 0.1))}
    kind = {"ddpg": stable_baselines3.DDPG, "td3": stable_baselines3.TD3, "sac": stable_baselines3.SAC}[name]
    model = kind("MlpPolicy", gymnasium.make("Pendulum-v1"), **settings)
    model.learn(RANDOM_STEPS)

    def work() -> int:
        model.learn(STEPS, reset_num_timesteps=False)
        return STEPS

    return work


def product_rates() -> tuple[float, float]:
    """GFLOP/s of NumPy and of torch at 256 x 256 times 256 x 256."""
    left, right = np.random.default_rng(0).standard_normal((2, 256, 256), dtype=np.float32)
    tensors = torch.from_numpy(left), torch.from_numpy(right)

    def way(product: Callable[[], Any]) -> Callable[[int], Callable[[], int]]:
        def work() -> int:
            for _ in range(200):
                product()
            return 200

        return lambda seed: work

    pairs: list[Pair] = paired(way(lambda: left @ right), way(lambda: tensors[0] @ tensors[1]), 9)
    rates = [[2 * 256**3 * timing.steps / timing.cpu_seconds / 1e9 for timing in side] for side in zip(*pairs, strict=True)]
    return statistics.median(rates[0]), statistics.median(rates[1])


def main() -> None:
    """Run the pairs and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    num_pairs = parser.parse_args().pairs
    torch.set_num_threads(1)
    rows = []
    for name, hidden, asked in ROWS:
        pairs = paired(partial(ours, name, hidden), partial(theirs, name, hidden), num_pairs)
        rows.append(row(f"{name}, {' x '.join(map(str, hidden))}", pairs, asked))
        print(rows[-1], flush=True)
    numpy_rate, torch_rate = product_rates()
    kernels = ", ".join(str(info.get("architecture")) for info in threadpoolctl.threadpool_info() if "numpy" in info["filepath"])
    versions = f"torch {torch.__version__}, numpy {np.__version__}, stable-baselines3 {stable_baselines3.__version__}"
    lines = [
        "# Speed of continuous control on Pendulum-v1, beside stable-baselines3's",
        "",
        "Written by `benchmarks/control_speed.py`, which says how it is measured. One thread, a gradient step each step, batches of 256.",
        f"{platform.machine()}, Python {platform.python_version()}, {versions}.",
        "",
        *HEAD,
        *rows,
        "",
        f"At 256 x 256 x 256 NumPy's OpenBLAS (kernels for {kernels}) multiplies at {numpy_rate:.0f} GFLOP/s here, torch at "
        f"{torch_rate:.0f}: a factor of {numpy_rate / torch_rate:.2f} in these ratios is the library's.",
        "",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
