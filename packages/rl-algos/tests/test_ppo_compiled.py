"""The compiled twin of PPO's update against the plain one, and whole runs on either path."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.compiled.ppo import CompiledPPOLearner
from rl_algos.on_policy.ppo import PPO, PPOConfig, PPOLearner
from rl_algos.on_policy.rollout import Batch
from rl_algos.parts.actor_critic import build_networks
from rl_algos.parts.distributions import distribution
from rl_algos.tasks.acrobot import Acrobot
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tasks.pendulum import Pendulum
from rl_core.gym_task import GymConfig, GymTask
from rl_core.seeds import Seeds

SETTINGS = {
    "plain": {},
    "not normalised": {"normalise_advantage": False},
    "entropy": {"entropy_weight": 0.1},
    "value clipped": {"value_clip_range": 0.05},
    "gradient clipped": {"max_grad_norm": 0.01},
    "all": {"entropy_weight": 0.1, "value_clip_range": 0.05, "max_grad_norm": 0.01, "value_weight": 2.0},
}


def make_twins(task, config, activation="tanh"):
    network, actions = MLP(MLPConfig(hidden=(16, 8), activation=activation)), distribution(task.output_space)
    actor, critic = build_networks(task, network, np.random.default_rng(3), policy_gain=config.policy_gain)
    return CompiledPPOLearner(actor, critic, actions, config), PPOLearner(actor, critic, actions, config, torch.device("cpu"))


def random_batch(task, twin, rng, size=64):
    inputs = rng.standard_normal((size, *task.input_space.shape), dtype=np.float32)
    is_continuous = bool(task.output_space.shape)
    action = rng.standard_normal((size, 1), dtype=np.float32) if is_continuous else rng.integers(0, task.output_space.n, size)
    # Old probabilities a little off, so that some ratios are clipped on either side.
    log_prob = twin.log_prob(inputs, action) + rng.normal(0, 0.3, size).astype(np.float32)
    numbers = (rng.standard_normal(size, dtype=np.float32) for _ in range(3))
    return Batch(inputs, action, log_prob, *numbers)


def flat(twin):
    parameters = twin.parameters()
    order = sorted(parameters, key=lambda name: (name.split(".")[0] != "actor", name.split(".")[0] != "log_std", name))
    return np.concatenate([parameters[name].ravel() for name in order])


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("task_class", [CartPole, Acrobot, Pendulum])
def test_an_update_is_its_twin_s(task_class, setting, activation):
    task, rng = task_class(ArrayTaskConfig()), np.random.default_rng(0)
    compiled, plain = make_twins(task, replace(PPOConfig(policy_gain=1.0), **SETTINGS[setting]), activation)
    np.testing.assert_array_equal(flat(compiled), flat(plain))
    for _ in range(5):
        batch = random_batch(task, plain, rng)
        np.testing.assert_allclose(compiled.head(batch.inputs), plain.head(batch.inputs), atol=1e-5)
        np.testing.assert_allclose(compiled.value(batch.inputs), plain.value(batch.inputs), atol=1e-5)
        np.testing.assert_allclose(compiled.log_prob(batch.inputs, batch.action), plain.log_prob(batch.inputs, batch.action), atol=1e-5)
        np.testing.assert_allclose(compiled.update(batch, 1e-3, 0.2), plain.update(batch, 1e-3, 0.2), atol=2e-5)
        # Adam divides by the root of the square: where a gradient is near 0, rounding moves a step by a part of its length 1e-3.
        np.testing.assert_allclose(flat(compiled), flat(plain), atol=2e-5)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("task_class", [CartPole, Pendulum])
def test_a_gradient_is_its_twin_s(task_class, setting):
    task, rng = task_class(ArrayTaskConfig()), np.random.default_rng(1)
    compiled, plain = make_twins(task, replace(PPOConfig(policy_gain=1.0), **(SETTINGS[setting] | {"max_grad_norm": 1e9})))
    batch = random_batch(task, plain, rng)
    compiled.update(batch, 1e-3, 0.2), plain.update(batch, 1e-3, 0.2)
    modules = plain._module
    parts = [modules["actor"].parameters(), [modules.log_std], modules["critic"].parameters()]
    theirs = np.concatenate([parameter.grad.numpy().ravel() for part in parts for parameter in part if parameter.numel()])
    np.testing.assert_allclose(compiled._gradient, theirs, atol=2e-6, rtol=1e-4)


@pytest.mark.parametrize("task_class", [CartPole, Acrobot, Pendulum])
def test_ppo_on_either_path_is_the_same_run(task_class):
    config = PPOConfig(num_envs=4, rollout_steps=32, num_epochs=4, batch_size=32, normalise_obs=True, normalise_reward=True)
    agents = [
        PPO(
            replace(config, compiled=compiled),
            task_class(ArrayTaskConfig()),
            MLP(MLPConfig(hidden=(16,))),
            seeds=Seeds(0),
            budget=1_000,
            device="cpu",
        )
        for compiled in (True, False)
    ]
    for _ in range(5):
        metrics, expected = (agent.step() for agent in agents)
        assert metrics.keys() == expected.keys()
        for name, value in expected.items():
            assert metrics[name] == pytest.approx(value, abs=1e-3, rel=1e-3), name
    np.testing.assert_allclose(flat(agents[0]), flat(agents[1]), atol=1e-3)


@pytest.mark.parametrize("network", [MLPConfig(layer_norm=True), MLPConfig(activation="gelu"), MLPConfig(dropout=0.1)])
def test_other_networks_and_inputs_take_the_plain_path(network):
    config = PPOConfig(num_envs=2, rollout_steps=2)
    cartpole, lake = CartPole(ArrayTaskConfig()), GymTask(GymConfig(id="FrozenLake-v1"))
    for task, built in ((cartpole, MLP(network)), (lake, MLP(MLPConfig()))):
        assert type(PPO(config, task, built, seeds=Seeds(0), budget=1, device="cpu").actor_critic) is PPOLearner
    assert type(PPO(config, cartpole, MLP(MLPConfig()), seeds=Seeds(0), budget=1, device="cpu").actor_critic) is CompiledPPOLearner


def test_neither_path_moves_torch_s_or_numpy_s_own_generators():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    for compiled in (True, False):
        config = PPOConfig(num_envs=2, rollout_steps=8, num_epochs=1, batch_size=8, compiled=compiled)
        PPO(config, CartPole(ArrayTaskConfig()), MLP(MLPConfig()), seeds=Seeds(0), budget=100, device="cpu").step()
    assert torch.equal(torch_state, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_state, np.random.get_state()[1])
