"""The compiled Q-network gives the numbers of the plain one."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.compiled.dqn import CompiledQNetwork, head_error
from rl_algos.q_learning.dqn import DQN, DQNConfig, QNetwork, dueling_values, td_loss
from rl_algos.replay.buffer import Batch
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_core.seeds import Seeds

SMALL = DQNConfig(num_envs=2, rollout_steps=8, learning_starts=0, buffer_size=200, batch_size=16, learning_rate=1e-2)


def make(activation="relu", **settings):
    network = MLP(MLPConfig(hidden=(16, 8), activation=activation))
    return DQN(replace(SMALL, **settings), CartPole(ArrayTaskConfig()), network, seeds=Seeds(3), budget=1_000, device="cpu").q


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize(("double", "dueling", "loss"), [*itertools.product((False, True), (False, True), ("huber", "squared"))])
def test_an_update_is_its_twin_s(double, dueling, loss, activation):
    settings = {"double": double, "dueling": dueling, "loss": loss, "max_grad_norm": 0.5}
    compiled, plain = make(activation, compiled=True, **settings), make(activation, compiled=False, **settings)
    assert isinstance(compiled, CompiledQNetwork)
    assert isinstance(plain, QNetwork)
    rng = np.random.default_rng(0)
    for number in range(10):
        obs, next_obs = rng.standard_normal((2, 32, 4), dtype=np.float32)
        reward, discount, weight = (
            3 * rng.standard_normal(32, dtype=np.float32),
            rng.random(32, dtype=np.float32),
            rng.random(32, dtype=np.float32),
        )
        batch = Batch(obs, rng.integers(2, size=32), reward, discount, next_obs)
        left, right = compiled.update(batch, weight, 1e-2), plain.update(batch, weight, 1e-2)
        assert (left.loss, left.value) == pytest.approx((right.loss, right.value), rel=1e-4, abs=1e-5)
        np.testing.assert_allclose(left.td_error, right.td_error, atol=1e-4)
        if number % 3 == 2:
            compiled.move_target(0.3), plain.move_target(0.3)
        if number == 8:
            compiled.move_target(1.0), plain.move_target(1.0)
    np.testing.assert_allclose(compiled.values(obs), plain.values(obs), atol=1e-3)
    for left, right in zip(compiled.parameters().values(), plain.parameters().values(), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-3)


@pytest.mark.parametrize(("dueling", "loss"), [*itertools.product((False, True), ("huber", "squared"))])
def test_a_derivative_is_autograd_s(dueling, loss):
    rng = np.random.default_rng(1)
    head = 2 * rng.standard_normal((12, 3 + dueling), dtype=np.float32)
    action, target, weight = rng.integers(3, size=12), rng.standard_normal(12, dtype=np.float32), rng.random(12, dtype=np.float32)
    error, td_error, loss_value, value = head_error(head, action, target, weight, dueling, loss == "huber")
    leaf = torch.from_numpy(head).requires_grad_()
    q = dueling_values(leaf) if dueling else leaf
    chosen = q.gather(1, torch.from_numpy(action)[:, None]).squeeze(1)
    expected = (torch.from_numpy(weight) * td_loss(chosen - torch.from_numpy(target), loss)).mean()
    expected.backward()
    np.testing.assert_allclose(error, leaf.grad.numpy(), atol=1e-6)
    np.testing.assert_allclose(td_error, (chosen.detach().numpy() - target), atol=1e-6)
    assert (loss_value, value) == pytest.approx((expected.item(), chosen.mean().item()), abs=1e-5)


def test_what_is_no_plain_perceptron_is_refused():
    with pytest.raises(ValueError, match="the compiled path of dqn takes plain perceptrons of tanh or ReLU; for other"):
        CompiledQNetwork(nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 2)), SMALL)
