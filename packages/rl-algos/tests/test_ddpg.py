"""DDPG and TD3: worked numbers of an update, targets, delays; by torch and by hand-derived gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
from gymnasium import spaces

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.continuous.ddpg import DDPG, DDPGConfig
from rl_algos.continuous.td3 import TD3, TD3Config
from rl_algos.replay.buffer import Batch
from rl_core.seeds import Seeds

BOTH_PATHS = pytest.mark.parametrize("fast", [True, False])


class Spaces:
    """The part of a task that an agent needs to be built."""

    def __init__(self, num_inputs, num_dimensions):
        self.input_space = spaces.Box(-1, 1, (num_inputs,), np.float32)
        self.output_space = spaces.Box(-1, 1, (num_dimensions,), np.float32)

    def envs(self, num_envs, seeds):
        return self

    def reset(self):
        return np.zeros((1, *self.input_space.shape), np.float32)


class Given:
    """A stream of numbers that are given."""

    def __init__(self, numbers):
        self.numbers = numbers

    def standard_normal(self, shape, dtype):
        assert self.numbers.shape == shape
        return self.numbers


def make(fast, name="ddpg", num_inputs=1, num_dimensions=1, hidden=(), activation="relu", **settings):
    agent_class, config_class = {"ddpg": (DDPG, DDPGConfig), "td3": (TD3, TD3Config)}[name]
    network = MLP(MLPConfig(hidden=hidden, activation=activation, fast=fast))
    config = config_class(buffer_size=100, **settings)
    agent = agent_class(config, Spaces(num_inputs, num_dimensions), network, seeds=Seeds(3), budget=10_000, device="cpu")
    assert bool(agent.fast) is fast
    return agent


def update(agent, batch, noise):
    agent.target_noise = Given(noise)
    return agent.update(batch)


def act(agent, obs):
    return agent.answer_policy(agent.actor_head(obs))


def numbers(agent, target=False):
    """Return actor, then critics, as one vector [P]."""
    module = agent.target if target else agent.module
    return np.concatenate([value.detach().numpy().ravel() for value in module.parameters()])


def put(agent, parameters, target):
    """Set these numbers as parameters, and those as targets."""
    for module, values in ((agent.module, parameters), (agent.target, target)):
        for parameter in module.parameters():
            part, values = np.array(values[: parameter.numel()], np.float32), values[parameter.numel() :]
            parameter.data.copy_(parameter.data.new_tensor(part).view_as(parameter))
        assert len(values) == 0


def random_batch(rng, num_inputs=1, num_dimensions=1, size=64):
    obs, next_obs = rng.standard_normal((2, size, num_inputs), dtype=np.float32)
    discount = np.where(rng.random(size) < 0.2, 0, 0.9).astype(np.float32)
    action = rng.uniform(-1, 1, (size, num_dimensions)).astype(np.float32)
    return Batch(obs, action, rng.standard_normal(size, dtype=np.float32), discount, next_obs)


def one_transition(obs=1.0, action=0.2, reward=1.0, discount=0.5, next_obs=2.0):
    column = [np.array([[value]], np.float32) for value in (obs, action, reward, discount, next_obs)]
    return Batch(column[0], column[1], column[2][0], column[3][0], column[4])


# Actor: a = tanh(w s + b). Critics: Q = w_s s + w_a a + b.
ACTOR, CRITIC, OTHER = [0.5, 0.0], [1.0, 2.0, 0.5], [0.0, 1.0, 3.0]
TARGET_ACTOR, TARGET_CRITIC, TARGET_OTHER = [0.1, 0.05], [1.0, -1.0, 0.0], [0.5, -1.0, 0.8]


@BOTH_PATHS
@pytest.mark.parametrize(
    ("noise", "blurred"),
    [
        (1.0, math.tanh(0.25) + 0.2),  # sigma 0.2
        (-30.0, math.tanh(0.25) - 0.5),  # clipped to 0.5
        (2.5, math.tanh(0.25) + 0.5),
    ],
)
def test_td3_s_target_is_the_smaller_value_of_the_target_critics_at_a_blurred_action(fast, noise, blurred):
    twin = make(fast, "td3")
    put(twin, ACTOR + CRITIC + OTHER, TARGET_ACTOR + TARGET_CRITIC + TARGET_OTHER)
    target = 1 + 0.5 * min(2 - blurred, 1 - blurred + 0.8)
    value, other = 1 + 2 * 0.2 + 0.5, 0.2 + 3
    losses = update(twin, one_transition(), np.array([[noise]], np.float32))
    assert losses[0] == pytest.approx((value - target) ** 2 + (other - target) ** 2, rel=1e-5)
    assert losses[1] == pytest.approx(value, rel=1e-5)


@BOTH_PATHS
def test_the_blurred_action_stays_within_bounds(fast):
    twin = make(fast, "td3")
    put(twin, ACTOR + CRITIC + OTHER, [0.5, 0.0, *TARGET_CRITIC, *TARGET_OTHER])  # tanh(1) + 0.5 is beyond 1
    value, other, target = 1.9, 3.2, 1 + 0.5 * min(2 - 1, 1 - 1 + 0.8)
    assert update(twin, one_transition(), np.array([[9.0]], np.float32))[0] == pytest.approx((value - target) ** 2 + (other - target) ** 2)


@BOTH_PATHS
def test_ddpg_s_target_is_the_target_critic_s_value_of_the_target_policy_s_action(fast):
    twin = make(fast)
    put(twin, ACTOR + CRITIC, TARGET_ACTOR + TARGET_CRITIC)
    target = 1 + 0.5 * (2 - math.tanh(0.25))
    assert update(twin, one_transition(), np.array([[9.0]], np.float32))[0] == pytest.approx((1.9 - target) ** 2, rel=1e-5)


@BOTH_PATHS
def test_nothing_is_expected_after_an_end(fast):
    twin = make(fast)
    put(twin, ACTOR + CRITIC, TARGET_ACTOR + TARGET_CRITIC)
    assert update(twin, one_transition(discount=0.0), np.zeros((1, 1), np.float32))[0] == pytest.approx((1.9 - 1.0) ** 2, rel=1e-5)


@BOTH_PATHS
@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_the_policy_climbs_the_slope_of_the_first_critic(fast, direction):
    twin = make(fast, "td3", policy_delay=1)
    critic, other = [0.0, direction, 0.0], [0.0, -direction, -5.0]
    put(twin, [0.0, 0.1, *critic, *other], [0.0, 0.1, *critic, *other])
    before = act(twin, np.ones((1, 1), np.float32)).item()
    batch = one_transition(reward=0.0, discount=0.0, action=0.0)
    assert update(twin, batch, np.zeros((1, 1), np.float32))[2] == pytest.approx(-direction * math.tanh(0.1), abs=2e-3)
    assert (act(twin, np.ones((1, 1), np.float32)).item() - before) * direction > 0


@BOTH_PATHS
def test_the_policy_and_the_targets_wait_for_their_turn(fast):
    rng, twin = np.random.default_rng(0), make(fast, "td3", hidden=(4,))
    size, start, start_target = 2 * 4 + 5, numbers(twin), numbers(twin, target=True)
    losses = update(twin, random_batch(rng), rng.standard_normal((64, 1), dtype=np.float32))
    assert losses.policy_loss is None
    np.testing.assert_array_equal(numbers(twin)[:size], start[:size])
    np.testing.assert_array_equal(numbers(twin, target=True), start_target)
    assert (numbers(twin)[size:] != start[size:]).any()
    losses = update(twin, random_batch(rng), rng.standard_normal((64, 1), dtype=np.float32))
    assert np.isfinite(losses.policy_loss)
    assert (numbers(twin)[:size] != start[:size]).any()
    assert (numbers(twin, target=True) != start_target).any()


@BOTH_PATHS
def test_targets_go_a_part_of_the_way_to_the_networks(fast):
    rng, twin = np.random.default_rng(0), make(fast, hidden=(4,), target_rate=0.25)
    before = numbers(twin, target=True)
    for _ in range(3):
        update(twin, random_batch(rng), np.zeros((64, 1), np.float32))
        after = numbers(twin, target=True)
        np.testing.assert_allclose(after, 0.75 * before + 0.25 * numbers(twin), atol=1e-6)
        before = after


def critic_gradient(agent):
    return agent.critic_optimiser.flat.gradient.numpy().copy()


@BOTH_PATHS
def test_the_policy_s_step_leaves_no_gradient_in_the_critics(fast):
    rng = np.random.default_rng(0)
    batch, noise = random_batch(rng), rng.standard_normal((64, 1), dtype=np.float32)
    early, late = make(fast, "td3", hidden=(4,), policy_delay=1), make(fast, "td3", hidden=(4,), policy_delay=2)
    update(early, batch, noise), update(late, batch, noise)
    np.testing.assert_array_equal(critic_gradient(early), critic_gradient(late))


@pytest.mark.parametrize("network", [MLPConfig(layer_norm=True), MLPConfig(activation="gelu"), MLPConfig(dropout=0.1)])
def test_other_networks_are_updated_by_torch(network):
    agent = TD3(TD3Config(buffer_size=100), Spaces(3, 2), MLP(network), seeds=Seeds(0), budget=100, device="cpu")
    assert agent.fast is None
    losses = [agent.update(random_batch(np.random.default_rng(0), 3, 2)) for _ in range(2)]
    assert np.isfinite(losses[1]).all()


def test_the_first_policy_is_near_zero():
    agent = make(True, num_inputs=4, hidden=(64, 64))
    assert np.abs(act(agent, np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32))).max() < 0.1
