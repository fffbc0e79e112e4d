"""SAC: its density, worked numbers of an update, the temperature, and the compiled twin against the plain one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import distributions as reference

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.compiled import sac as sac_compiled
from rl_algos.compiled.sac import CompiledActorCritic
from rl_algos.continuous import sac
from rl_algos.continuous.sac import ActorCritic, SACConfig, build_actor_critic
from rl_algos.replay.buffer import Batch

BOTH_PATHS = pytest.mark.parametrize("compiled", [True, False])
SETTINGS = {"learned": {}, "fixed": {"tune_temperature": False, "temperature": 0.2}, "target": {"target_entropy": 1.5, "temperature": 0.5}}


class Spaces:
    """What `build_actor_critic` asks of a task."""

    def __init__(self, num_inputs):
        self.input_space = spaces.Box(-1, 1, (num_inputs,), np.float32)


def make(compiled, num_inputs=1, num_dimensions=1, hidden=(), activation="relu", **settings):
    config = SACConfig(compiled=compiled, **settings)
    network, rng = MLP(MLPConfig(hidden=hidden, activation=activation)), np.random.default_rng(3)
    built = build_actor_critic(config, Spaces(num_inputs), network, num_dimensions, rng, "cpu")
    assert type(built) is (CompiledActorCritic if compiled else ActorCritic)
    return built


def squashed(compiled, head, noise):
    head, noise = np.asarray(head, np.float32), np.asarray(noise, np.float32)
    if compiled:
        return sac_compiled.squashed(head, noise)
    return tuple(column.numpy() for column in sac.squashed(torch.from_numpy(head), torch.from_numpy(noise)))


def numbers(actor_critic, target=False):
    """Actor, then critics, as one vector [P]; or the targets of the critics."""
    state = actor_critic.state_dict()
    if isinstance(actor_critic, CompiledActorCritic):
        return state["target" if target else "parameters"]
    parts = state["target"] if target else {name: value for name, value in state["module"].items() if name != "log_temperature"}
    return np.concatenate([value.ravel() for value in parts.values()])


def temperature(actor_critic):
    return math.exp(actor_critic.parameters()["log_temperature"].item())


def put(actor_critic, parameters, target):
    """Have these numbers as parameters, and those as the critics' targets."""
    state = actor_critic.state_dict()
    if isinstance(actor_critic, CompiledActorCritic):
        state |= {"parameters": np.array(parameters, np.float32), "target": np.array(target, np.float32)}
    else:
        for name, values in (("module", parameters), ("target", target)):
            for key, value in state[name].items():
                if key != "log_temperature":
                    state[name][key], values = np.array(values[: value.size], np.float32).reshape(value.shape), values[value.size :]
    actor_critic.load_state_dict(state)


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
def test_the_density_of_squashed_actions_integrates_to_one(compiled, mean, log_std):
    noise = np.linspace(-7, 7, 20_001)[:, None]
    action, log_prob = squashed(compiled, np.tile([mean, log_std], (len(noise), 1)), noise)
    density, place = np.exp(log_prob.astype(np.float64)), action[:, 0].astype(np.float64)
    assert np.sum((density[1:] + density[:-1]) / 2 * np.diff(place)) == pytest.approx(1.0, abs=2e-3)


@BOTH_PATHS
def test_log_probabilities_are_those_of_torch_s_transformed_normal(compiled):
    rng = np.random.default_rng(0)
    head, noise = rng.normal(0, 0.5, (50, 6)).astype(np.float32), rng.normal(size=(50, 3)).astype(np.float32)
    action, log_prob = squashed(compiled, head, noise)
    normal = reference.Normal(torch.from_numpy(head[:, :3]), torch.from_numpy(head[:, 3:]).exp())
    tanh = reference.TransformedDistribution(normal, reference.transforms.TanhTransform(cache_size=1))
    before = torch.from_numpy(head[:, :3] + np.exp(head[:, 3:]) * noise)
    np.testing.assert_allclose(action, before.tanh(), atol=1e-6)
    tanh.transforms[0]._cached_x_y = (before, expected := before.tanh())
    np.testing.assert_allclose(log_prob, tanh.log_prob(expected).sum(dim=1), atol=2e-4)


@BOTH_PATHS
def test_log_probabilities_stay_finite_where_tanh_is_one(compiled):
    action, log_prob = squashed(compiled, [[30.0, 0.0], [-30.0, 0.0]], [[0.0], [0.0]])
    assert action.ravel().tolist() == [1.0, -1.0]
    # 2 (ln 2 - 30) is the logarithm of the slope of tanh at 30.
    np.testing.assert_allclose(log_prob, [-0.5 * math.log(2 * math.pi) - 2 * (math.log(2) - 30)] * 2, rtol=1e-6)


# Actor: mean = w s + b, ln sigma likewise; its numbers are (w_mean, w_log_std), then (b_mean, b_log_std).
ACTOR, CRITIC, OTHER = [0.5, 0.0, 0.0, -1.0], [1.0, 2.0, 0.5], [0.0, 1.0, 3.0]
TARGET_CRITIC, TARGET_OTHER = [1.0, -1.0, 0.0], [0.5, -1.0, 0.8]


@BOTH_PATHS
def test_the_target_is_the_smaller_value_and_the_entropy_that_is_to_come(compiled):
    twin = make(compiled, temperature=0.3, tune_temperature=False)
    put(twin, ACTOR + CRITIC + OTHER, TARGET_CRITIC + TARGET_OTHER)
    before = 0.5 * 2 + math.exp(-1) * 0.6  # at next_obs 2 with noise 0.6
    log_prob = -0.5 * 0.6**2 + 1 - 0.5 * math.log(2 * math.pi) - math.log(1 - math.tanh(before) ** 2)
    target = 1 + 0.5 * (min(2 - math.tanh(before), 1 - math.tanh(before) + 0.8) - 0.3 * log_prob)
    losses = twin.update(one_transition(), np.array([[[0.6]], [[0.0]]], np.float32))
    assert losses[0] == pytest.approx((1.9 - target) ** 2 + (3.2 - target) ** 2, rel=1e-5)
    assert losses[1] == pytest.approx(1.9)


@BOTH_PATHS
def test_the_policy_s_loss_has_the_new_action_s_entropy_and_the_smaller_value(compiled):
    twin = make(compiled, temperature=0.3, tune_temperature=False, learning_rate=1e-9)
    put(twin, ACTOR + CRITIC + OTHER, TARGET_CRITIC + TARGET_OTHER)
    before = 0.5 - math.exp(-1) * 0.4  # at obs 1 with noise -0.4
    log_prob = -0.5 * 0.4**2 + 1 - 0.5 * math.log(2 * math.pi) - math.log(1 - math.tanh(before) ** 2)
    losses = twin.update(one_transition(), np.array([[[0.6]], [[-0.4]]], np.float32))
    assert losses[2] == pytest.approx(0.3 * log_prob - min(1.5 + 2 * math.tanh(before), math.tanh(before) + 3), rel=1e-5)
    assert losses[3] == pytest.approx(-log_prob, rel=1e-5)


@BOTH_PATHS
def test_the_policy_climbs_the_slope_of_the_smaller_critic(compiled):
    twin = make(compiled, temperature=1e-6, tune_temperature=False, learning_rate=1e-3)
    put(twin, [0.0, 0.0, 0.1, -3.0, 0.0, 1.0, 9.0, 0.0, -1.0, 0.0], [0.0] * 6)  # Q_1 = a + 9, Q_2 = -a
    before = twin.head(np.ones((1, 1), np.float32))[0, 0].item()
    twin.update(one_transition(reward=0.0, discount=0.0), np.zeros((2, 1, 1), np.float32))
    assert twin.head(np.ones((1, 1), np.float32))[0, 0] < before


@BOTH_PATHS
@pytest.mark.parametrize(("target_entropy", "direction"), [(2.0, 1), (-9.0, -1)])
def test_the_temperature_rises_where_there_is_too_little_entropy_and_falls_where_there_is_too_much(compiled, target_entropy, direction):
    twin, rng = make(compiled, target_entropy=target_entropy, temperature=0.5), np.random.default_rng(0)
    before = 0.5
    for _ in range(3):
        losses = twin.update(random_batch(rng), rng.standard_normal((2, 64, 1), dtype=np.float32))
        assert losses[4] == pytest.approx(before, rel=1e-6)
        assert (temperature(twin) - before) * direction > 0
        before = temperature(twin)


@BOTH_PATHS
def test_where_all_actions_are_worth_the_same_the_policy_widens(compiled):
    twin, rng = make(compiled, temperature=1.0, tune_temperature=False, learning_rate=1e-2), np.random.default_rng(0)
    put(twin, [0.0, 0.0, 0.0, -3.0] + [0.0] * 6, [0.0] * 6)
    for _ in range(20):
        batch = random_batch(rng)._replace(discount=np.zeros(64, np.float32), reward=np.zeros(64, np.float32))
        twin.update(batch, rng.standard_normal((2, 64, 1), dtype=np.float32))
    assert twin.head(np.zeros((1, 1), np.float32))[0, 1] > -2.9


@BOTH_PATHS
def test_targets_go_a_part_of_the_way_to_the_critics(compiled):
    rng, twin = np.random.default_rng(0), make(compiled, hidden=(4,), target_rate=0.25)
    before = numbers(twin, target=True)
    for _ in range(3):
        twin.update(random_batch(rng), rng.standard_normal((2, 64, 1), dtype=np.float32))
        after = numbers(twin, target=True)
        np.testing.assert_allclose(after, 0.75 * before + 0.25 * numbers(twin)[-len(before) :], atol=1e-6)
        before = after


def critic_gradient(twin):
    if isinstance(twin, CompiledActorCritic):
        return twin._nets.gradient[twin._nets.actor_size :].copy()
    return np.concatenate([parameter.grad.numpy().ravel() for parameter in twin._critics.parameters()])


@BOTH_PATHS
def test_the_policy_s_step_leaves_no_gradient_in_the_critics(compiled):
    # Q = w_s s + w_a a + b: the gradient of one critic's loss is 2 (Q - y) (s, a, 1).
    twin = make(compiled, temperature=0.3, tune_temperature=False)
    put(twin, ACTOR + CRITIC + OTHER, TARGET_CRITIC + TARGET_OTHER)
    twin.update(one_transition(discount=0.0), np.zeros((2, 1, 1), np.float32))
    misses = 1.9 - 1.0, 3.2 - 1.0
    np.testing.assert_allclose(critic_gradient(twin), [2 * miss * factor for miss in misses for factor in (1.0, 0.2, 1.0)], rtol=1e-5)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_an_update_is_its_twin_s(setting, activation):
    shape = {"num_inputs": 4, "num_dimensions": 3}
    settings = {"hidden": (16, 8), "activation": activation, "policy_gain": 1.0, "target_rate": 0.1, **SETTINGS[setting]}
    compiled, plain = (make(path, **shape, **settings, learning_rate=1e-3) for path in (True, False))
    np.testing.assert_array_equal(numbers(compiled), numbers(plain))
    rng = np.random.default_rng(0)
    for _ in range(6):
        batch, noise = random_batch(rng, **shape), rng.standard_normal((2, 64, 3), dtype=np.float32)
        np.testing.assert_allclose(compiled.head(batch.obs), plain.head(batch.obs), atol=1e-5)
        np.testing.assert_allclose(compiled.value(batch.obs, batch.action), plain.value(batch.obs, batch.action), atol=2e-5)
        np.testing.assert_allclose(compiled.update(batch, noise), plain.update(batch, noise), atol=5e-5)
        np.testing.assert_allclose(critic_gradient(compiled), critic_gradient(plain), atol=2e-5)
        # Adam divides by the root of the square: where a gradient is near 0, rounding moves a step by a part of its length 1e-3.
        np.testing.assert_allclose(numbers(compiled), numbers(plain), atol=5e-5)
        np.testing.assert_allclose(numbers(compiled, target=True), numbers(plain, target=True), atol=5e-5)
        if setting != "fixed":
            assert temperature(compiled) == pytest.approx(temperature(plain), rel=1e-5)


@BOTH_PATHS
def test_a_deviation_at_its_bound_is_held_there(compiled):
    twin, rng = make(compiled, temperature=1.0, tune_temperature=False, learning_rate=1e-2), np.random.default_rng(0)
    put(twin, [0.0, 0.0, 0.0, 2.5, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0], [0.0] * 6)  # ln sigma 2.5 is above 2: no gradient brings it anywhere
    twin.update(random_batch(rng), rng.standard_normal((2, 64, 1), dtype=np.float32))
    assert numbers(twin)[[1, 3]].tolist() == [0.0, 2.5]
    assert (numbers(twin)[[0, 2]] != 0.0).all()


@pytest.mark.parametrize("network", [MLPConfig(layer_norm=True), MLPConfig(activation="gelu")])
def test_other_networks_take_the_plain_path(network):
    built = build_actor_critic(SACConfig(), Spaces(3), MLP(network), 2, np.random.default_rng(0), "cpu")
    assert type(built) is ActorCritic
    assert np.isfinite(built.update(random_batch(np.random.default_rng(0), 3, 2), np.zeros((2, 64, 2), np.float32))).all()
