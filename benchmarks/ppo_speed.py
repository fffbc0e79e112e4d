"""PPO beside stable-baselines3's, in one process: environment steps per second, and training time until CartPole is solved.

    python benchmarks/ppo_speed.py            # five seeds, about three minutes; writes ppo_speed.md
    python benchmarks/ppo_speed.py --seeds 1

Both learn CartPole-v1 with the RL Zoo's settings, 8 environments, one thread. Runs are paired: for each seed one after the other, the
order turned with every pair, so that a machine busy with other things slows both alike; trust the ratios, not the rates.
Every 10,000 steps the clock is stopped and the same 100 greedy episodes judge either policy.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")

import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from dl_nets.mlp import MLP, MLPConfig
from rl_algos.array_envs import ArrayTaskConfig
from rl_algos.cartpole import CartPole
from rl_algos.ppo import PPO, PPOConfig
from rl_core.seeds import Seeds

BUDGET, EVERY, SOLVED = 100_000, 10_000, 475.0
SETTINGS = PPOConfig(
    num_envs=8,
    rollout_steps=32,
    batch_size=256,
    num_epochs=20,
    learning_rate=1e-3,
    learning_rate_schedule="linear",
    discount=0.98,
    gae_lambda=0.8,
    clip_range=0.2,
    clip_range_schedule="linear",
    entropy_weight=0.0,
)


class Clock:
    """Seconds of training, stopped while a policy is judged.

    Args:
        predict: The greedy policy.
        seed: Of the episodes that judge it.
    """

    def __init__(self, predict: Callable[[np.ndarray], np.ndarray], seed: int) -> None:
        self._predict, self._seeds = predict, Seeds(seed)
        self._task, self._next = CartPole(ArrayTaskConfig()), EVERY
        self.seconds, self.solved_at, self.solved_after = 0.0, None, None
        self._since = time.perf_counter()

    def tick(self, progress: int) -> None:
        """Judge the policy if it is time."""
        if progress < self._next:
            return
        self.seconds += time.perf_counter() - self._since
        self._next += EVERY
        score = self._task.evaluate(self._predict, episodes=100, seeds=self._seeds)["mean return"]
        if self.solved_at is None and score >= SOLVED:
            self.solved_at, self.solved_after = self.seconds, progress
        self._since = time.perf_counter()

    def stop(self) -> None:
        """Count the last stretch."""
        self.seconds += time.perf_counter() - self._since


class Tick(BaseCallback):
    """Ticks the clock between two iterations of stable-baselines3."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def _on_rollout_start(self) -> None:
        self._clock.tick(self.num_timesteps)

    def _on_step(self) -> bool:
        return True


def run_ours(seed: int, compiled: bool) -> Clock:
    """Train ours once."""
    config = SETTINGS if compiled else PPOConfig(**{**vars(SETTINGS), "compiled": False})
    agent = PPO(config, CartPole(ArrayTaskConfig()), MLP(MLPConfig()), seeds=Seeds(seed), budget=BUDGET, device="cpu")
    clock = Clock(agent.predict, seed)
    while agent.progress < BUDGET:
        agent.step()
        clock.tick(agent.progress)
    clock.stop()
    return clock


def run_theirs(seed: int) -> Clock:
    """Train stable-baselines3's once."""
    config = SETTINGS
    model = stable_baselines3.PPO(
        "MlpPolicy",
        make_vec_env("CartPole-v1", n_envs=config.num_envs, seed=seed),
        n_steps=config.rollout_steps,
        batch_size=config.batch_size,
        n_epochs=config.num_epochs,
        learning_rate=lambda left: left * config.learning_rate,
        clip_range=lambda left: left * config.clip_range,
        gamma=config.discount,
        gae_lambda=config.gae_lambda,
        ent_coef=config.entropy_weight,
        vf_coef=config.value_weight,
        max_grad_norm=config.max_grad_norm,
        seed=seed,
        device="cpu",
    )
    clock = Clock(lambda obs: model.predict(obs, deterministic=True)[0], seed)
    model.learn(BUDGET, callback=Tick(clock))
    clock.tick(model.num_timesteps)
    clock.stop()
    return clock


def main() -> None:
    """Run the pairs and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    num_seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    ways = {"compiled": lambda seed: run_ours(seed, True), "torch": lambda seed: run_ours(seed, False), "sb3": run_theirs}
    run_ours(1_000, True)  # compile the kernels before anything is timed
    rows, ratios = [], {"compiled": [], "torch": [], "solved": []}
    for seed in range(num_seeds):
        order = list(ways) if seed % 2 == 0 else list(ways)[::-1]
        clocks = {name: ways[name](seed) for name in order}
        rate = {name: BUDGET / clock.seconds for name, clock in clocks.items()}
        solved = {name: "never" if clock.solved_at is None else f"{clock.solved_at:.2f}" for name, clock in clocks.items()}
        for name in ("compiled", "torch"):
            ratios[name].append(rate[name] / rate["sb3"])
        if clocks["compiled"].solved_at and clocks["sb3"].solved_at:
            ratios["solved"].append(clocks["sb3"].solved_at / clocks["compiled"].solved_at)
        cells = [f"{rate[name]:,.0f}" for name in ways] + [f"{ratios[name][-1]:.1f}" for name in ("compiled", "torch")]
        cells += [f"{solved[name]} ({clocks[name].solved_after or '-'})" for name in ways]
        rows.append(f"| {seed} | " + " | ".join(cells) + " |")
        print(rows[-1], flush=True)
    medians = {name: f"{statistics.median(values):.1f}" if values else "-" for name, values in ratios.items()}
    versions = f"torch {torch.__version__}, numpy {np.__version__}, stable-baselines3 {stable_baselines3.__version__}"
    lines = [
        "# PPO's speed on CartPole-v1, beside stable-baselines3's",
        "",
        "Written by `benchmarks/ppo_speed.py`, which says how it is measured. RL Zoo's settings, 100,000 steps, 8 environments, 1 thread.",
        f"{platform.machine()}, Python {platform.python_version()}, {versions}.",
        "",
        f"Median ratio of environment steps per second: **{medians['compiled']}** compiled, **{medians['torch']}** in torch. "
        f"Median ratio of training times until {SOLVED:.0f} is first reached: **{medians['solved']}**.",
        "",
        "| seed | steps/s compiled | steps/s torch | steps/s SB3 | compiled / SB3 | torch / SB3 "
        "| solved after s (steps), compiled | torch | SB3 |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        *rows,
        "",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
