"""Decisions a second of PETS beside mbrl-lib's planner at equal settings; written to benchmarks/model_based_speed.md.

Both plan for Pendulum-v1 through an untrained ensemble of five networks of 64 x 64 units: CEM without further options, 100 candidates,
3 iterations, 20 particles that change members at every step. `mbrl` and `hydra-core` have to be importable; they are not installed with the
packages here, because mbrl's own requirements are older than these.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from pairs import paired

from rl_algos.model_based.pets import PETS, PETSConfig
from rl_algos.tasks.pendulum import Pendulum
from rl_core.seeds import Seeds

HORIZON, CANDIDATES, ITERATIONS, PARTICLES, DECISIONS = 15, 100, 3, 20, 5


def ours(seed: int) -> Callable[[], int]:
    """Return the work of our planner: some decisions."""
    config = PETSConfig(
        horizon=HORIZON,
        num_candidates=CANDIDATES,
        num_iterations=ITERATIONS,
        num_particles=PARTICLES,
        noise_exponent=0.0,
        kept_fraction=0.0,
        shrink=1.0,
    )
    agent = PETS(config, Pendulum(Pendulum.Config()), None, seeds=Seeds(seed), budget=1_000)
    player, obs = agent.predictor(), np.array([[-1.0, 0.1, 0.5]], dtype=np.float32)
    player.begin(np.ones(1, dtype=np.bool_))  # type: ignore[attr-defined]

    def work() -> int:
        for _ in range(DECISIONS):
            player(obs)
        return DECISIONS

    return work


def theirs(seed: int) -> Callable[[], int]:
    """Return the work of mbrl-lib's planner: as many decisions."""
    import gymnasium
    from mbrl.env.termination_fns import no_termination
    from mbrl.models import GaussianMLP, ModelEnv, OneDTransitionRewardModel
    from mbrl.planning import CEMOptimizer

    def reward(action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
        angle = torch.atan2(next_obs[:, 1], next_obs[:, 0])
        return -(angle**2 + 0.1 * next_obs[:, 2] ** 2 + 0.001 * action[:, 0] ** 2)[:, None]

    generator = torch.Generator().manual_seed(seed)
    silu = {"_target_": "torch.nn.SiLU"}
    network = GaussianMLP(
        4, 3, "cpu", num_layers=2, ensemble_size=5, hid_size=64, propagation_method="random_model", activation_fn_cfg=silu
    )
    model = OneDTransitionRewardModel(network, target_is_delta=True, normalize=True, learned_rewards=False)
    envs = ModelEnv(gymnasium.make("Pendulum-v1"), model, no_termination, reward, generator=generator)
    optimiser = CEMOptimizer(ITERATIONS, 0.1, CANDIDATES, [[-2.0]] * HORIZON, [[2.0]] * HORIZON, 0.1, "cpu")
    obs = np.array([-1.0, 0.1, 0.5], dtype=np.float32)

    def work() -> int:
        with torch.no_grad():
            for _ in range(DECISIONS):
                optimiser.optimize(lambda plans: envs.evaluate_action_sequences(plans, obs, PARTICLES), x0=torch.zeros(HORIZON, 1))
        return DECISIONS

    return work


def main() -> None:
    """Print and write the table."""
    lines = [
        "# Speed of planning with a learned ensemble",
        "",
        "Written by `benchmarks/model_based_speed.py`: PETS beside mbrl-lib 0.2.0's CEM and ensemble at equal settings (five networks of",
        f"64 x 64, {CANDIDATES} candidates, {ITERATIONS} iterations, {PARTICLES} particles, {HORIZON} steps), paired and interleaved;",
        "the median over the pairs.",
        "",
        "| threads | pairs | decisions a second, ours | mbrl-lib | times as fast |",
        "|---:|---:|---:|---:|---:|",
    ]
    for threads in (1, 2):
        torch.set_num_threads(threads)
        pairs = paired(ours, theirs, 5)
        ratio = statistics.median(pair.ratio() for pair in pairs)
        mine, other = (statistics.median(side.steps / side.seconds for side in sides) for sides in zip(*pairs, strict=True))
        lines.append(f"| {threads} | {len(pairs)} | {mine:.1f} | {other:.1f} | **{ratio:.1f}** |")
        print(lines[-1], flush=True)
        Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
