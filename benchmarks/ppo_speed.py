"""PPO beside stable-baselines3's, in one process: environment steps per second, and training time until CartPole is solved.

    python benchmarks/ppo_speed.py            # five seeds, about three minutes; writes ppo_speed.md
    python benchmarks/ppo_speed.py --seeds 1

Both learn CartPole-v1 with the RL Zoo's settings, 8 environments, one thread. Runs are paired: for each seed one after the other, the
order turned with every pair, so that a machine busy with other things slows both alike. Such a machine still makes single ratios of
wall time jump, so those of processor time stand beside them (one thread: on an idle machine the two agree).
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

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.on_policy.ppo import PPO, PPOConfig
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
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
        self.seconds, self.cpu_seconds, self.solved_after = 0.0, 0.0, None
        self.solved_at = self.solved_cpu = float("nan")
        self._start()

    def tick(self, progress: int) -> None:
        """Judge the policy if it is time."""
        if progress < self._next:
            return
        self.stop()
        self._next += EVERY
        score = self._task.evaluate(self._predict, episodes=100, seeds=self._seeds)["mean return"]
        if self.solved_after is None and score >= SOLVED:
            self.solved_at, self.solved_cpu, self.solved_after = self.seconds, self.cpu_seconds, progress
        self._start()

    def stop(self) -> None:
        """Count the last stretch."""
        self.seconds += time.perf_counter() - self._since
        self.cpu_seconds += time.process_time() - self._cpu_since

    def _start(self) -> None:
        self._since, self._cpu_since = time.perf_counter(), time.process_time()


class Tick(BaseCallback):
    """Ticks the clock between two iterations of stable-baselines3."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def _on_rollout_start(self) -> None:
        self._clock.tick(self.num_timesteps)

    def _on_step(self) -> bool:
        return True


def run_ours(seed: int, fast: bool) -> Clock:
    """Train ours once."""
    agent = PPO(SETTINGS, CartPole(ArrayTaskConfig()), MLP(MLPConfig(fast=fast)), seeds=Seeds(seed), budget=BUDGET, device="cpu")
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
    ways = {"fast": lambda seed: run_ours(seed, True), "torch": lambda seed: run_ours(seed, False), "sb3": run_theirs}
    run_ours(1_000, True)  # compile the kernels before anything is timed
    rows, pairs = [], []
    for seed in range(num_seeds):
        order = list(ways) if seed % 2 == 0 else list(ways)[::-1]
        clocks = {name: ways[name](seed) for name in order}
        pairs.append(clocks)
        theirs = clocks["sb3"]
        cells = [f"{BUDGET / clocks[name].seconds:,.0f}" for name in ways]
        for name in ("fast", "torch"):
            cells.append(f"{theirs.seconds / clocks[name].seconds:.1f} / {theirs.cpu_seconds / clocks[name].cpu_seconds:.1f}")
        cells += [f"{clocks[name].solved_at:.2f} ({clocks[name].solved_after})" for name in ways]
        rows.append(f"| {seed} | " + " | ".join(cells) + " |")
        print(rows[-1], flush=True)

    def median(field: str, name: str) -> str:
        """Median of SB3's by ours, of pairs that have both."""
        ratios = [getattr(clocks["sb3"], field) / getattr(clocks[name], field) for clocks in pairs]
        return f"{statistics.median(ratio for ratio in ratios if ratio == ratio):.1f}"

    versions = f"torch {torch.__version__}, numpy {np.__version__}, stable-baselines3 {stable_baselines3.__version__}"
    lines = [
        "# PPO's speed on CartPole-v1, beside stable-baselines3's",
        "",
        "Written by `benchmarks/ppo_speed.py`, which says how it is measured. RL Zoo's settings, 100,000 steps, 8 environments, 1 thread.",
        f"{platform.machine()}, Python {platform.python_version()}, {versions}.",
        "",
        "| median of SB3's time by ours | wall time | processor time |",
        "|---|---:|---:|",
        f"| 100,000 steps, fast path | **{median('seconds', 'fast')}** | **{median('cpu_seconds', 'fast')}** |",
        f"| 100,000 steps, torch path | {median('seconds', 'torch')} | {median('cpu_seconds', 'torch')} |",
        f"| until {SOLVED:.0f} is first reached, fast path | **{median('solved_at', 'fast')}** | **{median('solved_cpu', 'fast')}** |",
        "",
        "| seed | steps/s fast | torch | SB3 | SB3's time by fast's, wall / processor | by torch's "
        "| solved after s (steps), fast | torch | SB3 |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        *rows,
        "",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
