"""SAC: its density, worked numbers of an update, the temperature; by torch and by hand-derived gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import distributions as reference

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.continuous import sac
from rl_algos.continuous.sac import SAC, SACConfig
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


def make(fast, num_inputs=1, num_dimensions=1, hidden=(), activation="relu", **settings):
    network = MLP(MLPConfig(hidden=hidden, activation=activation, fast=fast))
    config = SACConfig(buffer_size=100, **settings)
    agent = SAC(config, Spaces(num_inputs, num_dimensions), network, seeds=Seeds(3), budget=10_000, device="cpu")
    assert bool(agent.fast) is fast
    return agent


def update(agent, batch, noise):
    agent.update_noise = Given(noise)
    return agent.update(batch)


def squashed(fast, head, noise):
    head, noise = np.asarray(head, np.float32), np.asarray(noise, np.float32)
    if fast:
        return sac.fast_squashed(head, noise)[:2]
    return tuple(column.numpy() for column in sac.squashed(torch.from_numpy(head), torch.from_numpy(noise)))


def numbers(agent, target=False):
    """Return actor, then critics, as one vector [P]; or the targets of the critics."""
    module = agent.target["critics"] if target else agent.module
    return np.concatenate([value.detach().numpy().ravel() for value in module.parameters()])


def temperature(agent):
    return math.exp(agent.log_temperature.item())


def put(agent, parameters, target):
    """Set these numbers as parameters, and those as the critics' targets."""
    for module, values in ((agent.module, parameters), (agent.target["critics"], target)):
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


@BOTH_PATHS
@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (0.7, -1.0), (-1.5, 0.5), (0.0, -2.0)])
def test_the_density_of_squashed_actions_integrates_to_one(fast, mean, log_std):
    noise = np.linspace(-7, 7, 20_001)[:, None]
    action, log_prob = squashed(fast, np.tile([mean, log_std], (len(noise), 1)), noise)
    density, place = np.exp(log_prob.astype(np.float64)), action[:, 0].astype(np.float64)
    assert np.sum((density[1:] + density[:-1]) / 2 * np.diff(place)) == pytest.approx(1.0, abs=2e-3)


@BOTH_PATHS
def test_log_probabilities_are_those_of_torch_s_transformed_normal(fast):
    rng = np.random.default_rng(0)
    head, noise = rng.normal(0, 0.5, (50, 6)).astype(np.float32), rng.normal(size=(50, 3)).astype(np.float32)
    action, log_prob = squashed(fast, head, noise)
    normal = reference.Normal(torch.from_numpy(head[:, :3]), torch.from_numpy(head[:, 3:]).exp())
    tanh = reference.TransformedDistribution(normal, reference.transforms.TanhTransform(cache_size=1))
    before = torch.from_numpy(head[:, :3] + np.exp(head[:, 3:]) * noise)
    np.testing.assert_allclose(action, before.tanh(), atol=1e-6)
    tanh.transforms[0]._cached_x_y = (before, expected := before.tanh())
    np.testing.assert_allclose(log_prob, tanh.log_prob(expected).sum(dim=1), atol=2e-4)


@BOTH_PATHS
def test_log_probabilities_stay_finite_where_tanh_is_one(fast):
    action, log_prob = squashed(fast, [[30.0, 0.0], [-30.0, 0.0]], [[0.0], [0.0]])
    assert action.ravel().tolist() == [1.0, -1.0]
    # 2 (ln 2 - 30) is the logarithm of the slope of tanh at 30.
    np.testing.assert_allclose(log_prob, [-0.5 * math.log(2 * math.pi) - 2 * (math.log(2) - 30)] * 2, rtol=1e-6)


# Actor: mean = w s + b, ln sigma likewise; its numbers are (w_mean, w_log_std), then (b_mean, b_log_std).
ACTOR, CRITIC, OTHER = [0.5, 0.0, 0.0, -1.0], [1.0, 2.0, 0.5], [0.0, 1.0, 3.0]
TARGET_CRITIC, TARGET_OTHER = [1.0, -1.0, 0.0], [0.5, -1.0, 0.8]


@BOTH_PATHS
def test_the_target_is_the_smaller_value_and_the_entropy_that_is_to_come(fast):
    twin = make(fast, temperature=0.3, tune_temperature=False)
    put(twin, ACTOR + CRITIC + OTHER, TARGET_CRITIC + TARGET_OTHER)
    before = 0.5 * 2 + math.exp(-1) * 0.6  # at next_obs 2 with noise 0.6
    log_prob = -0.5 * 0.6**2 + 1 - 0.5 * math.log(2 * math.pi) - math.log(1 - math.tanh(before) ** 2)
    target = 1 + 0.5 * (min(2 - math.tanh(before), 1 - math.tanh(before) + 0.8) - 0.3 * log_prob)
    losses = update(twin, one_transition(), np.array([[[0.6]], [[0.0]]], np.float32))
    assert losses[0] == pytest.approx((1.9 - target) ** 2 + (3.2 - target) ** 2, rel=1e-5)
    assert losses[1] == pytest.approx(1.9)


@BOTH_PATHS
def test_the_policy_s_loss_has_the_new_action_s_entropy_and_the_smaller_value(fast):
    twin = make(fast, temperature=0.3, tune_temperature=False, learning_rate=1e-9)
    put(twin, ACTOR + CRITIC + OTHER, TARGET_CRITIC + TARGET_OTHER)
    before = 0.5 - math.exp(-1) * 0.4  # at obs 1 with noise -0.4
    log_prob = -0.5 * 0.4**2 + 1 - 0.5 * math.log(2 * math.pi) - math.log(1 - math.tanh(before) ** 2)
    losses = update(twin, one_transition(), np.array([[[0.6]], [[-0.4]]], np.float32))
    assert losses[2] == pytest.approx(0.3 * log_prob - min(1.5 + 2 * math.tanh(before), math.tanh(before) + 3), rel=1e-5)
    assert losses[3] == pytest.approx(-log_prob, rel=1e-5)


@BOTH_PATHS
def test_the_policy_climbs_the_slope_of_the_smaller_critic(fast):
    twin = make(fast, temperature=1e-6, tune_temperature=False, learning_rate=1e-3)
    put(twin, [0.0, 0.0, 0.1, -3.0, 0.0, 1.0, 9.0, 0.0, -1.0, 0.0], [0.0] * 6)  # Q_1 = a + 9, Q_2 = -a
    before = twin.actor_head(np.ones((1, 1), np.float32))[0, 0].item()
    update(twin, one_transition(reward=0.0, discount=0.0), np.zeros((2, 1, 1), np.float32))
    assert twin.actor_head(np.ones((1, 1), np.float32))[0, 0] < before


@BOTH_PATHS
@pytest.mark.parametrize(("target_entropy", "direction"), [(2.0, 1), (-9.0, -1)])
def test_the_temperature_rises_where_there_is_too_little_entropy_and_falls_where_there_is_too_much(fast, target_entropy, direction):
    twin, rng = make(fast, target_entropy=target_entropy, temperature=0.5), np.random.default_rng(0)
    before = 0.5
    for _ in range(3):
        losses = update(twin, random_batch(rng), rng.standard_normal((2, 64, 1), dtype=np.float32))
        assert losses[4] == pytest.approx(before, rel=1e-6)
        assert (temperature(twin) - before) * direction > 0
        before = temperature(twin)


@BOTH_PATHS
def test_where_all_actions_are_worth_the_same_the_policy_widens(fast):
    twin, rng = make(fast, temperature=1.0, tune_temperature=False, learning_rate=1e-2), np.random.default_rng(0)
    put(twin, [0.0, 0.0, 0.0, -3.0] + [0.0] * 6, [0.0] * 6)
    for _ in range(20):
        batch = random_batch(rng)._replace(discount=np.zeros(64, np.float32), reward=np.zeros(64, np.float32))
        update(twin, batch, rng.standard_normal((2, 64, 1), dtype=np.float32))
    assert twin.actor_head(np.zeros((1, 1), np.float32))[0, 1] > -2.9


@BOTH_PATHS
def test_targets_go_a_part_of_the_way_to_the_critics(fast):
    rng, twin = np.random.default_rng(0), make(fast, hidden=(4,), target_rate=0.25)
    before = numbers(twin, target=True)
    for _ in range(3):
        update(twin, random_batch(rng), rng.standard_normal((2, 64, 1), dtype=np.float32))
        after = numbers(twin, target=True)
        np.testing.assert_allclose(after, 0.75 * before + 0.25 * numbers(twin)[-len(before) :], atol=1e-6)
        before = after


def critic_gradient(agent):
    return agent.critic_optimiser.flat.gradient.numpy().copy()


@BOTH_PATHS
def test_the_policy_s_step_leaves_no_gradient_in_the_critics(fast):
    # Q = w_s s + w_a a + b: the gradient of one critic's loss is 2 (Q - y) (s, a, 1).
    twin = make(fast, temperature=0.3, tune_temperature=False)
    put(twin, ACTOR + CRITIC + OTHER, TARGET_CRITIC + TARGET_OTHER)
    update(twin, one_transition(discount=0.0), np.zeros((2, 1, 1), np.float32))
    misses = 1.9 - 1.0, 3.2 - 1.0
    np.testing.assert_allclose(critic_gradient(twin), [2 * miss * factor for miss in misses for factor in (1.0, 0.2, 1.0)], rtol=1e-5)


@BOTH_PATHS
def test_a_deviation_at_its_bound_is_held_there(fast):
    twin, rng = make(fast, temperature=1.0, tune_temperature=False, learning_rate=1e-2), np.random.default_rng(0)
    put(twin, [0.0, 0.0, 0.0, 2.5, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0], [0.0] * 6)  # ln sigma 2.5 is above 2: no gradient brings it anywhere
    update(twin, random_batch(rng), rng.standard_normal((2, 64, 1), dtype=np.float32))
    assert numbers(twin)[[1, 3]].tolist() == [0.0, 2.5]
    assert (numbers(twin)[[0, 2]] != 0.0).all()


@pytest.mark.parametrize("network", [MLPConfig(layer_norm=True), MLPConfig(activation="gelu")])
def test_other_networks_are_updated_by_torch(network):
    agent = SAC(SACConfig(buffer_size=100), Spaces(3, 2), MLP(network), seeds=Seeds(0), budget=100, device="cpu")
    assert agent.fast is None
    assert np.isfinite(agent.update(random_batch(np.random.default_rng(0), 3, 2))).all()
