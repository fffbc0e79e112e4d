"""Every hand-derived update gives the numbers of the torch update, on the same parameters and the same state."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from gymnasium import spaces

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.continuous.ddpg import DDPG, DDPGConfig
from rl_algos.continuous.sac import SAC, SACConfig
from rl_algos.continuous.td3 import TD3, TD3Config
from rl_algos.q_learning.dqn import DQN, DQNConfig
from rl_algos.replay.buffer import Batch
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tasks.pendulum import Pendulum
from rl_core.seeds import Seeds

Q_VARIANTS = [
    {"double": double, "dueling": dueling, "loss": loss}
    for double, dueling, loss in itertools.product((False, True), (False, True), ("huber", "squared"))
]


def q_agent(activation, **settings):
    network = MLP(MLPConfig(hidden=(16, 8), activation=activation))
    config = replace(DQNConfig(buffer_size=200, learning_rate=1e-3, max_grad_norm=0.5), **settings)
    return DQN(config, CartPole(ArrayTaskConfig()), network, seeds=Seeds(3), budget=1_000, device="cpu")


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("settings", Q_VARIANTS, ids=str)
def test_dqn_s_fast_update_is_torch_s(settings, activation):
    fast, plain = q_agent(activation, **settings), q_agent(activation, **settings)
    assert fast.update == fast.fast_update
    rng = np.random.default_rng(0)
    for number in range(10):
        obs, next_obs = rng.standard_normal((2, 32, 4), dtype=np.float32)
        reward, discount, weight = 3 * rng.standard_normal(32, dtype=np.float32), *rng.random((2, 32), dtype=np.float32)
        batch = Batch(obs, rng.integers(2, size=32), reward, discount, next_obs)
        left, right = fast.fast_update(batch, weight), plain.torch_update(batch, weight)
        assert (left.loss, left.value) == pytest.approx((right.loss, right.value), rel=1e-5, abs=1e-5)
        np.testing.assert_allclose(left.td_error, right.td_error, atol=1e-5)
        if number % 3 == 2:
            for agent in (fast, plain):
                agent.move_target(0.3)
    assert_same_parameters(fast, plain)


CONTINUOUS = {
    "ddpg": (DDPG, DDPGConfig, {"actor_learning_rate": 1e-4, "critic_learning_rate": 3e-4}),
    "td3": (TD3, TD3Config, {"actor_learning_rate": 1e-4, "critic_learning_rate": 3e-4}),
    "td3 at once": (TD3, TD3Config, {"policy_delay": 1, "actor_learning_rate": 1e-4, "critic_learning_rate": 3e-4}),
    "sac": (SAC, SACConfig, {}),
    "sac, fixed": (SAC, SACConfig, {"tune_temperature": False, "temperature": 0.2}),
    "sac, target": (SAC, SACConfig, {"target_entropy": 1.5, "temperature": 0.5}),
}


class ThreeActions(Pendulum):
    """Spaces of more dimensions than Pendulum's."""

    def __init__(self, config):
        super().__init__(config)
        self.output_space = spaces.Box(-1, 1, (3,), np.float32)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_a_continuous_agent_s_fast_update_is_torch_s(name, activation):
    agent_class, config_class, settings = CONTINUOUS[name]
    config = config_class(buffer_size=100, policy_gain=1.0, target_rate=0.1, **settings)
    agents = []
    for fast in (True, False):
        network = MLP(MLPConfig(hidden=(16, 8), activation=activation, fast=fast))
        agents.append(agent_class(config, ThreeActions(ArrayTaskConfig()), network, seeds=Seeds(3), budget=1_000, device="cpu"))
    fast, plain = agents
    assert fast.fast
    assert not plain.fast
    rng = np.random.default_rng(0)
    for _ in range(6):
        obs, next_obs = rng.standard_normal((2, 64, 3), dtype=np.float32)
        discount = np.where(rng.random(64) < 0.2, 0, 0.9).astype(np.float32)
        batch = Batch(obs, rng.uniform(-1, 1, (64, 3)).astype(np.float32), rng.standard_normal(64, dtype=np.float32), discount, next_obs)
        left, right = fast.update(batch), plain.update(batch)
        for name_, number in left._asdict().items():
            assert number == pytest.approx(getattr(right, name_), abs=1e-5), name_
        np.testing.assert_allclose(fast.critic_optimiser.flat.gradient, plain.critic_optimiser.flat.gradient, atol=1e-5)
    assert_same_parameters(fast, plain)
    for left, right in zip(fast.target_flats, plain.target_flats, strict=True):
        np.testing.assert_allclose(left.vector, right.vector, atol=1e-5)


def assert_same_parameters(fast, plain):
    for name, value in fast.parameters().items():
        np.testing.assert_allclose(value, plain.parameters()[name], atol=1e-5, err_msg=name)
