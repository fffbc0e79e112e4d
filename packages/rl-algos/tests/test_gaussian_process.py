"""Gaussian processes: predictions against scikit-learn's formulas by hand, moments against samples, and what curiosity pays for."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dl_nets.networks.mlp import MLP
from rl_algos.model_based.curiosity import Curiosity, CuriosityConfig
from rl_algos.model_based.gaussian_process import GaussianProcesses
from rl_algos.model_based.gp_mpc import GPMPC, GPModel, GPMPCConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tasks.pendulum import Pendulum
from rl_core.seeds import Seeds


def fitted() -> GaussianProcesses:
    rng = np.random.default_rng(0)
    points = rng.uniform(-2, 2, (60, 3))
    values = np.stack([np.sin(points[:, 0]) + 0.3 * points[:, 1] * points[:, 2], np.cos(points[:, 1]) * points[:, 2]], axis=1)
    processes = GaussianProcesses(3, 2)
    processes.fit(points, values, 60)
    processes.condition(points, values)
    return processes


def test_moments_are_those_of_200_000_samples_within_a_hundredth() -> None:
    processes, rng = fitted(), np.random.default_rng(1)
    mean = torch.tensor([[0.3, -0.5, 0.8]], dtype=torch.float64)
    root = 0.3 * rng.standard_normal((3, 3))
    covariance = torch.from_numpy(root @ root.T + 0.05 * np.eye(3))[None]
    found = processes.moments(mean, covariance)
    half = rng.multivariate_normal(np.zeros(3), covariance[0].numpy(), 100_000)
    inputs = mean.numpy() + np.concatenate([half, -half])  # antithetic: the samples' mean is exact
    values = processes.predict(torch.from_numpy(inputs)).numpy()
    unknown = np.diag(processes.variance(torch.from_numpy(inputs[:2_000])).numpy().mean(axis=0))
    expected, scale = np.cov(values.T) + unknown, np.sqrt(np.diag(found.covariance[0].numpy()))
    assert np.abs(found.mean[0].numpy() - values.mean(axis=0)).max() < 0.01 * scale.max()
    assert np.abs(found.covariance[0].numpy() - expected).max() < 0.01 * expected.max()
    across = (inputs - mean.numpy()).T @ (values - values.mean(axis=0)) / len(inputs)
    assert np.abs(found.across[0].numpy() - across).max() < 0.01 * np.abs(across).max()


def test_moments_of_a_certain_input_are_the_prediction_itself() -> None:
    processes = fitted()
    mean = torch.tensor([[0.3, -0.5, 0.8], [1.0, 1.0, -1.0]], dtype=torch.float64)
    found = processes.moments(mean, torch.zeros(2, 3, 3, dtype=torch.float64))
    assert torch.allclose(found.mean, processes.predict(mean), atol=1e-8)
    assert torch.allclose(found.covariance.diagonal(dim1=1, dim2=2), processes.variance(mean), atol=1e-4)  # of a signal of 100


def test_a_full_memory_gives_up_the_point_that_the_others_know_best() -> None:
    model = GPModel(Pendulum(Pendulum.Config()), GPMPCConfig(num_points=4))
    obs = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 2.0], [-1.0, 0.0, -3.0], [1.0, 0.02, 0.0]])
    model.add(obs, np.zeros((4, 1)), np.arange(4.0), obs + 0.1)
    model.processes.logs[:, -1] = np.log(0.01)
    model.inputs.fit(model.points)
    model.targets.fit(model.values)
    model.condition()
    assert model._redundant() in (0, 3)  # the two that are almost the same


def test_plans_are_compared_by_the_reward_that_the_task_states_along_the_mean_prediction() -> None:
    task, rng = Pendulum(Pendulum.Config()), np.random.default_rng(0)
    envs, models = task.envs(1, Seeds(0)), [GPModel(task, GPMPCConfig(use_outcome=known)) for known in (True, False)]
    obs = envs.reset()
    for plan in rng.uniform(-1, 1, (40, 1, 1)):
        after = envs.step(models[0].actions(plan))
        for model in models:
            model.add(obs, plan, after.reward, after.final_obs)
        obs = after.obs
    for model in models:
        model.fit()
    starts, plans = np.array([[1.0, 0.0, 0.0], [np.cos(0.3), np.sin(0.3), 0.5]]), rng.uniform(-1, 1, (2, 5, 1))
    states = np.concatenate([starts[:, None], models[0].trajectories(starts, plans)], axis=1)
    angle, torque = np.arctan2(states[:, :-1, 1], states[:, :-1, 0]), 2.0 * plans[:, :, 0]
    true = -(angle**2 + 0.1 * states[:, :-1, 2] ** 2 + 0.001 * torque**2).sum(axis=1)
    assert np.allclose(models[0].returns(starts, plans), true, atol=1e-6)
    learned = models[1].expected(starts, torch.from_numpy(plans), carry_moments=False).numpy()
    assert np.array_equal(models[1].returns(starts, plans), learned)
    assert np.abs(learned - true).max() > 1e-3


def test_choices_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="take pets for choices"):
        GPMPC(GPMPCConfig(), CartPole(CartPole.Config()), None, seeds=Seeds(0), budget=10)


def test_disagreement_is_paid_and_one_network_cannot_disagree() -> None:
    task, network = Pendulum(Pendulum.Config()), MLP(MLP.Config(hidden=(4,)))
    config = CuriosityConfig(learning_starts=20, iteration_steps=10, fit_every=10, batch_size=8, model_updates=5, bonus=1.0)
    agent = Curiosity(config, task, network, seeds=Seeds(0), budget=100)
    paid: list[np.ndarray] = []
    agent.fast_update = lambda batch, noise: paid.append(batch.reward) or SimpleNamespace()  # type: ignore[method-assign,func-returns-value]
    while not agent.num_fits:
        agent.act()
    batch = agent.replay.sample(np.random.default_rng(0), 64)
    agent.update(batch)
    bonus = paid[0] - batch.reward
    assert (bonus >= 0).all()
    assert bonus.mean() == pytest.approx(1.0, rel=1e-3)  # of the usual size, by definition
    with pytest.raises(ValueError, match="cannot disagree with itself"):
        Curiosity(CuriosityConfig(model="deterministic"), task, network, seeds=Seeds(0), budget=100)
