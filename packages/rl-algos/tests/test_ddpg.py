"""DDPG and TD3: worked numbers of an update, targets, delays, and the compiled twin against the plain one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces

from dl_nets.fast.mlp import Layout
from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.compiled.ddpg import CompiledActorCritic
from rl_algos.continuous.ddpg import ActorCritic, DDPGConfig, build_actor_critic
from rl_algos.parts.perceptrons import Perceptrons
from rl_algos.replay.buffer import Batch

TD3 = {"twin_critics": True, "policy_delay": 2, "target_noise": 0.2, "target_noise_clip": 0.5}
SETTINGS = {"ddpg": {}, "td3": TD3, "one critic, late policy": {"policy_delay": 3}, "td3 at once": TD3 | {"policy_delay": 1}}
BOTH_PATHS = pytest.mark.parametrize("compiled", [True, False])


class Spaces:
    """What `build_actor_critic` asks of a task."""

    def __init__(self, num_inputs):
        self.input_space = spaces.Box(-1, 1, (num_inputs,), np.float32)


def make(compiled, num_inputs=1, num_dimensions=1, hidden=(), activation="relu", **settings):
    config = DDPGConfig(compiled=compiled, **settings)
    network, rng = MLP(MLPConfig(hidden=hidden, activation=activation)), np.random.default_rng(3)
    built = build_actor_critic(config, Spaces(num_inputs), network, num_dimensions, rng, "cpu")
    assert type(built) is (CompiledActorCritic if compiled else ActorCritic)
    return built


def numbers(actor_critic, target=False):
    """Actor, then critics, as one vector [P]."""
    state = actor_critic.state_dict()
    if isinstance(actor_critic, CompiledActorCritic):
        return state["target" if target else "parameters"]
    return np.concatenate([value.ravel() for value in state["target" if target else "module"].values()])


def put(actor_critic, parameters, target):
    """Have these numbers as parameters, and those as targets."""
    state = actor_critic.state_dict()
    if isinstance(actor_critic, CompiledActorCritic):
        state |= {"parameters": np.array(parameters, np.float32), "target": np.array(target, np.float32)}
    else:
        for name, values in (("module", parameters), ("target", target)):
            for key, value in state[name].items():
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
def test_td3_s_target_is_the_smaller_value_of_the_target_critics_at_a_blurred_action(compiled, noise, blurred):
    twin = make(compiled, **TD3)
    put(twin, ACTOR + CRITIC + OTHER, TARGET_ACTOR + TARGET_CRITIC + TARGET_OTHER)
    target = 1 + 0.5 * min(2 - blurred, 1 - blurred + 0.8)
    value, other = 1 + 2 * 0.2 + 0.5, 0.2 + 3
    losses = twin.update(one_transition(), np.array([[noise]], np.float32))
    assert losses[0] == pytest.approx((value - target) ** 2 + (other - target) ** 2, rel=1e-5)
    assert losses[1] == pytest.approx(value, rel=1e-5)


@BOTH_PATHS
def test_the_blurred_action_stays_within_bounds(compiled):
    twin = make(compiled, **TD3)
    put(twin, ACTOR + CRITIC + OTHER, [0.5, 0.0, *TARGET_CRITIC, *TARGET_OTHER])  # tanh(1) + 0.5 is beyond 1
    value, other, target = 1.9, 3.2, 1 + 0.5 * min(2 - 1, 1 - 1 + 0.8)
    assert twin.update(one_transition(), np.array([[9.0]], np.float32))[0] == pytest.approx((value - target) ** 2 + (other - target) ** 2)


@BOTH_PATHS
def test_ddpg_s_target_is_the_target_critic_s_value_of_the_target_policy_s_action(compiled):
    twin = make(compiled)
    put(twin, ACTOR + CRITIC, TARGET_ACTOR + TARGET_CRITIC)
    target = 1 + 0.5 * (2 - math.tanh(0.25))
    assert twin.update(one_transition(), np.array([[9.0]], np.float32))[0] == pytest.approx((1.9 - target) ** 2, rel=1e-5)


@BOTH_PATHS
def test_nothing_is_expected_after_an_end(compiled):
    twin = make(compiled)
    put(twin, ACTOR + CRITIC, TARGET_ACTOR + TARGET_CRITIC)
    assert twin.update(one_transition(discount=0.0), np.zeros((1, 1), np.float32))[0] == pytest.approx((1.9 - 1.0) ** 2, rel=1e-5)


@BOTH_PATHS
@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_the_policy_climbs_the_slope_of_the_first_critic(compiled, direction):
    twin = make(compiled, twin_critics=True)
    critic, other = [0.0, direction, 0.0], [0.0, -direction, -5.0]
    put(twin, [0.0, 0.1, *critic, *other], [0.0, 0.1, *critic, *other])
    before = twin.act(np.ones((1, 1), np.float32)).item()
    batch = one_transition(reward=0.0, discount=0.0, action=0.0)
    assert twin.update(batch, np.zeros((1, 1), np.float32))[2] == pytest.approx(-direction * math.tanh(0.1), abs=2e-3)
    assert (twin.act(np.ones((1, 1), np.float32)).item() - before) * direction > 0


@BOTH_PATHS
def test_the_policy_and_the_targets_wait_for_their_turn(compiled):
    rng, twin = np.random.default_rng(0), make(compiled, hidden=(4,), **TD3)
    size, start, start_target = 2 * 4 + 5, numbers(twin), numbers(twin, target=True)
    losses = twin.update(random_batch(rng), rng.standard_normal((64, 1), dtype=np.float32))
    assert np.isnan(losses[2])
    np.testing.assert_array_equal(numbers(twin)[:size], start[:size])
    np.testing.assert_array_equal(numbers(twin, target=True), start_target)
    assert (numbers(twin)[size:] != start[size:]).any()
    losses = twin.update(random_batch(rng), rng.standard_normal((64, 1), dtype=np.float32))
    assert np.isfinite(losses[2])
    assert (numbers(twin)[:size] != start[:size]).any()
    assert (numbers(twin, target=True) != start_target).any()


@BOTH_PATHS
def test_targets_go_a_part_of_the_way_to_the_networks(compiled):
    rng, twin = np.random.default_rng(0), make(compiled, hidden=(4,), target_rate=0.25)
    before = numbers(twin, target=True)
    for _ in range(3):
        twin.update(random_batch(rng), np.zeros((64, 1), np.float32))
        after = numbers(twin, target=True)
        np.testing.assert_allclose(after, 0.75 * before + 0.25 * numbers(twin), atol=1e-6)
        before = after


def critic_gradient(twin):
    if isinstance(twin, CompiledActorCritic):
        return twin._nets.gradient[twin._nets.actor_size :].copy()
    return np.concatenate([parameter.grad.numpy().ravel() for parameter in twin._module["critics"].parameters()])


@BOTH_PATHS
def test_the_policy_s_step_leaves_no_gradient_in_the_critics(compiled):
    rng = np.random.default_rng(0)
    batch, noise = random_batch(rng), rng.standard_normal((64, 1), dtype=np.float32)
    early, late = make(compiled, hidden=(4,), policy_delay=1), make(compiled, hidden=(4,), policy_delay=2)
    early.update(batch, noise), late.update(batch, noise)
    np.testing.assert_array_equal(critic_gradient(early), critic_gradient(late))


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_an_update_is_its_twin_s(setting, activation):
    shape = {"num_inputs": 4, "num_dimensions": 3}
    settings = {"hidden": (16, 8), "activation": activation, "policy_gain": 1.0, "target_rate": 0.1, **SETTINGS[setting]}
    compiled, plain = (make(path, **shape, **settings) for path in (True, False))
    np.testing.assert_array_equal(numbers(compiled), numbers(plain))
    rng = np.random.default_rng(0)
    for _ in range(6):
        batch, noise = random_batch(rng, **shape), rng.standard_normal((64, 3), dtype=np.float32)
        np.testing.assert_allclose(compiled.act(batch.obs), plain.act(batch.obs), atol=1e-5)
        np.testing.assert_allclose(compiled.value(batch.obs, batch.action), plain.value(batch.obs, batch.action), atol=2e-5)
        np.testing.assert_allclose(compiled.update(batch, noise), plain.update(batch, noise), atol=2e-5)
        np.testing.assert_allclose(critic_gradient(compiled), critic_gradient(plain), atol=2e-5)
        # Adam divides by the root of the square: where a gradient is near 0, rounding moves a step by a part of its length 1e-3.
        np.testing.assert_allclose(numbers(compiled), numbers(plain), atol=5e-5)
        np.testing.assert_allclose(numbers(compiled, target=True), numbers(plain, target=True), atol=5e-5)


@pytest.mark.parametrize("network", [MLPConfig(layer_norm=True), MLPConfig(activation="gelu"), MLPConfig(dropout=0.1)])
def test_other_networks_take_the_plain_path(network):
    built = build_actor_critic(DDPGConfig(), Spaces(3), MLP(network), 2, np.random.default_rng(0), "cpu")
    assert type(built) is ActorCritic
    rng = np.random.default_rng(0)
    assert np.isfinite(built.update(random_batch(rng, 3, 2), np.zeros((64, 2), np.float32))).all()


def test_the_compiled_path_refuses_what_it_cannot_compute():
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LayerNorm(2))
    assert Layout.of(module) is None
    with pytest.raises(ValueError, match=r"takes plain perceptrons of tanh or ReLU; for other networks set compiled=false"):
        Perceptrons([module])


def test_the_first_policy_is_near_zero():
    twin = make(True, num_inputs=4, hidden=(64, 64))
    assert np.abs(twin.act(np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32))).max() < 0.1
