"""Agents that learn values with a model: MBPO's imagined transitions, and the targets of MVE and STEVE."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from dl_nets.networks.mlp import MLP
from rl_algos.continuous.sac import SAC, SACConfig
from rl_algos.model_based.mbpo import MBPO, MBPOConfig
from rl_algos.model_based.model_envs import ModelEnvs
from rl_algos.model_based.steve import STEVE, STEVEConfig, horizon_weights
from rl_algos.tasks.cartpole import ContinuousCartPole
from rl_algos.tasks.pendulum import Pendulum
from rl_core.seeds import Seeds

SMALL: dict[str, Any] = {"learning_starts": 60, "iteration_steps": 10, "fit_every": 30, "batch_size": 16, "model_updates": 20}


def agent(cls: Any, config: Any, steps: int = 70, task: Any = Pendulum) -> Any:
    made = cls(config, task(task.Config()), MLP(MLP.Config(hidden=(8,))), seeds=Seeds(0), budget=200)
    while made.progress < steps:
        made.step()
    return made


def test_a_horizon_of_zero_is_sac_to_the_last_bit() -> None:
    base = agent(SAC, SACConfig(**{name: SMALL[name] for name in ("learning_starts", "iteration_steps", "batch_size")}), 100)
    for weighting in ("inverse-variance", "last"):
        other = agent(STEVE, STEVEConfig(rollout_horizon=0, weighting=weighting, **SMALL), 100)
        for name, value in base.parameters().items():
            assert np.array_equal(value, other.parameters()[name]), name


def test_horizons_are_weighed_by_what_is_known() -> None:
    assert horizon_weights(np.full((4, 3), 2.0)) == pytest.approx(0.25)
    steve = agent(STEVE, STEVEConfig(**SMALL))
    batch = steve.replay.sample(np.random.default_rng(0), 32)
    noise = np.random.default_rng(1).standard_normal((32, 1), dtype=np.float32)
    with torch.no_grad():
        steve.model.network.members.biases[-1][0] += 1_000.0  # one member is out of its mind
    weights = horizon_weights(steve.expand(batch, noise).variance)
    assert weights[0].mean() > 0.99
    assert (steve.expand(batch, noise).variance[0] < steve.expand(batch, noise).variance[1]).all()


def test_one_step_of_expansion_is_the_formula() -> None:
    steve = agent(STEVE, STEVEConfig(rollout_horizon=1, num_members=1, num_particles=1, weighting="last", **SMALL))
    batch = steve.replay.sample(np.random.default_rng(0), 8)
    noise = np.random.default_rng(1).standard_normal((8, 1), dtype=np.float32)
    _, log_prob, action = steve.soft_values(batch.next_obs, noise)
    alpha = steve.log_temperature.exp().item()
    kept = steve.update_noise.bit_generator.state
    found = steve.expand(batch, noise).mean[1]
    steve.update_noise.bit_generator.state = kept
    obs = torch.from_numpy(batch.next_obs)[None]
    after, reward, end = steve.model.step(obs, torch.from_numpy(action)[None], steve.model.functions(1, np.random.default_rng(0)), None)
    values, next_log_prob, _ = steve.soft_values(after[0].numpy(), steve.update_noise.standard_normal((8, 1), dtype=np.float32))
    soft = 0.99 * ~end[0].numpy() * (values.min(axis=0) - alpha * next_log_prob)
    assert found == pytest.approx(batch.reward + batch.discount * (reward[0].numpy() - alpha * log_prob + soft), rel=1e-4)


def test_imagined_transitions_look_like_real_ones() -> None:
    mbpo = agent(MBPO, MBPOConfig(rollouts_per_step=10, **(SMALL | {"model_updates": 300})), 100)
    assert mbpo.num_imagined == 2 * 10 * 30
    real = mbpo.data.rows()
    imagined = mbpo.imagined[:300]
    assert (np.abs(imagined[:, 6:9].mean(axis=0) - real.next_obs.mean(axis=0)) < 3 * real.next_obs.std(axis=0)).all()
    assert abs(imagined[:, 4].mean() - real.reward.mean()) < 3 * real.reward.std()
    assert np.isin(imagined[:, 5], np.float32([0.0, 0.99])).all()


def test_a_model_is_environments_that_end_as_the_task_says() -> None:
    mbpo = agent(MBPO, MBPOConfig(use_outcome=True, num_members=2, num_particles=2, **SMALL), 70, ContinuousCartPole)
    edge = np.array([2.39, 5.0, 0.0, 0.0], dtype=np.float32)
    with torch.no_grad():  # a model that predicts no change at all but in the position
        for parameter in (*mbpo.model.network.members.weights, *mbpo.model.network.members.biases):
            parameter.zero_()
    mbpo.model.targets.mean[:], mbpo.model.targets.std[:] = [0.1, 0, 0, 0, 1], 1e-6
    envs = ModelEnvs(mbpo.model, mbpo.task, lambda count: np.tile(edge, (count, 1)), 5, 3, np.random.default_rng(0))
    envs.reset()
    after = envs.step(np.zeros((5, 1), dtype=np.float32))
    assert after.terminated.all()
    assert after.final_obs[:, 0] == pytest.approx(2.49, abs=1e-3)
    assert np.array_equal(after.obs, np.tile(edge, (5, 1)))
    assert envs.episode_metrics() == {"episode_return": 1.0, "episode_length": 1.0}


def test_the_true_dynamics_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="take model=ensemble"):
        agent(MBPO, MBPOConfig(model="true"))


@pytest.mark.learning
@pytest.mark.parametrize(("cls", "config", "steps", "least"), [(MBPO, MBPOConfig, 4_000, -200.0), (STEVE, STEVEConfig, 5_000, -250.0)])
def test_the_pendulum_is_learned_in_few_steps(cls: Any, config: Any, steps: int, least: float) -> None:
    task = Pendulum(Pendulum.Config())
    network = MLP(MLP.Config(hidden=(64, 64), activation="relu"))
    made = cls(config(learning_rate=1e-3, learning_starts=500), task, network, seeds=Seeds(0), budget=steps)
    while made.progress < steps:
        made.step()
    assert made.evaluate(episodes=20, seeds=Seeds(0, ("evaluation",)))["mean return"] >= least
