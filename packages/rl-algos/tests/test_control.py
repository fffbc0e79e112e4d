"""What DDPG, TD3 and SAC have in common: what an end is, what is acted and what is answered, exact resume, and learning."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.continuous.bounded_actions import BoundedActions, pair_space
from rl_algos.continuous.ddpg import DDPG, DDPGConfig
from rl_algos.continuous.sac import SAC, SACConfig
from rl_algos.continuous.td3 import TD3, TD3Config
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.pendulum import Pendulum
from rl_core.envs import Envs, Transition
from rl_core.gym_task import GymConfig, GymTask
from rl_core.seeds import Seeds
from rl_core.task import ControlTask

SMALL: dict[str, Any] = {"num_envs": 2, "iteration_steps": 8, "learning_starts": 8, "batch_size": 8, "buffer_size": 40}
AGENTS = {"ddpg": (DDPG, DDPGConfig), "td3": (TD3, TD3Config), "sac": (SAC, SACConfig)}
BOTH_PATHS = pytest.mark.parametrize("fast", [True, False])
TORCH_LATER = pytest.mark.parametrize("fast", [True, pytest.param(False, marks=pytest.mark.learning)])
EVERY_AGENT = pytest.mark.parametrize("name", AGENTS)


def make_agent(name, task=None, *, seeds=None, hidden=(8, 8), budget=10_000, fast=True, **settings):
    agent_class, config_class = AGENTS[name]
    network = MLP(MLPConfig(hidden=hidden, activation="relu", fast=fast))
    config = config_class(**{**SMALL, **settings})
    return agent_class(config, task or Pendulum(ArrayTaskConfig()), network, seeds=seeds or Seeds(0), budget=budget, device="cpu")


@dataclass(frozen=True)
class PeakConfig:
    """Nothing to set."""


class Peak(ControlTask):
    """One state that pays `height` less the squared distance of the action from 3; episodes of `length` steps, ended or cut."""

    Config: ClassVar[type] = PeakConfig

    def __init__(self, length=1, *, ends=True, height=0.0):
        super().__init__(PeakConfig())
        self.input_space, self.output_space = spaces.Box(-1, 1, (1,), np.float32), spaces.Box(0.0, 4.0, (1,), np.float32)
        self.length, self.ends, self.height = length, ends, height

    def envs(self, num_envs, seeds):
        return PeakEnvs(num_envs, self)


class PeakEnvs(Envs):
    def __init__(self, num_envs, task):
        super().__init__(num_envs, task.input_space, task.output_space)
        self.task, self.elapsed, self.actions = task, np.zeros(num_envs, dtype=np.int64), []

    def reset(self):
        return np.ones((self.num_envs, 1), dtype=np.float32)

    def step(self, actions):
        self.actions.append(actions)
        self.elapsed += 1
        over = self.elapsed >= self.task.length
        self.elapsed[over] = 0
        distance = 0.0 if self.task.height else actions[:, 0] - 3.0
        reward = (self.task.height - distance**2 * np.ones(self.num_envs)).astype(np.float32)
        never = np.zeros_like(over)
        self._count(reward, over)
        ended, cut = (over, never) if self.task.ends else (never, over)
        return Transition(self.reset(), reward, ended, cut, self.reset())

    def state_dict(self):
        return {"elapsed": self.elapsed.copy(), **self._counters()}

    def load_state_dict(self, state):
        self.elapsed = np.array(state["elapsed"])
        self._load_counters(state)
        return self.reset()


def assert_same(left, right):
    assert type(left) is type(right)
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for key in left:
            assert_same(left[key], right[key])
    elif isinstance(left, list | tuple):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
    elif isinstance(left, np.ndarray):
        np.testing.assert_array_equal(left, right)
    else:
        assert left == right


@EVERY_AGENT
@TORCH_LATER
def test_a_time_limit_leaves_the_value_where_it_was_and_an_end_does_not(name, fast):
    # One state that pays 1 whatever is done, for ever: Q = 1 / (1 - 0.9) = 10, however often it is cut. With an end after every
    # fourth step, a quarter of the transitions has no future: Q = 1 + 0.75 * 0.9 Q = 1 / 0.325.
    settings = {"discount": 0.9, "target_rate": 0.5, "batch_size": 64, "buffer_size": 1_000, "learning_starts": 400, "num_updates": 8}
    settings |= {"learning_rate": 3e-3, "temperature": 1e-6, "tune_temperature": False} if name == "sac" else {"critic_learning_rate": 3e-3}
    for ends, expected in ((False, 10.0), (True, 1 / 0.325)):
        agent = make_agent(name, Peak(4, ends=ends, height=1.0), fast=fast, hidden=(8,), **settings)
        while agent.progress < 520:
            agent.step()
        value = agent.value(np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32))
        assert value.mean() == pytest.approx(expected, rel=0.1)


@EVERY_AGENT
@TORCH_LATER
def test_the_best_action_is_found_in_the_task_s_own_units(name, fast):
    # The peak is at 3 of [0, 4]; an answer at random is off by 1.25 on average.
    settings = {"num_envs": 1, "batch_size": 32, "buffer_size": 2_000, "learning_starts": 200, "num_updates": 2, "target_rate": 0.05}
    rates = {"learning_rate": 3e-3} if name == "sac" else {"actor_learning_rate": 1e-3, "critic_learning_rate": 3e-3}
    agent = make_agent(name, Peak(), fast=fast, hidden=(32, 32), **settings, **rates)
    while agent.progress < 1_200:
        agent.step()
    assert agent.predict(np.ones((1, 1), np.float32)).item() == pytest.approx(3.0, abs=0.3)


@EVERY_AGENT
@BOTH_PATHS
def test_a_resumed_run_continues_to_the_last_bit(name, fast):
    seeds = Seeds(5)
    settings = {"policy_delay": 3, "noise": "ornstein-uhlenbeck"} if name == "td3" else {}
    agent = make_agent(name, seeds=seeds, fast=fast, iteration_steps=7, **settings)
    for _ in range(4):
        agent.step()
    state, streams, progress = agent.state_dict(), seeds.state_dict(), agent.progress
    frozen = copy.deepcopy(state)
    expected = [agent.step() for _ in range(3)]
    assert_same(state, frozen)  # what was handed out does not follow the training

    other_seeds = Seeds(5)
    other = make_agent(name, seeds=other_seeds, fast=fast, iteration_steps=7, **settings)
    other.step()
    other.load_state_dict(state)
    other_seeds.load_state_dict(streams)
    other.progress = progress
    assert [other.step() for _ in range(3)] == expected
    assert_same(other.state_dict(), agent.state_dict())


@EVERY_AGENT
@BOTH_PATHS
def test_answers_are_the_policy_s_without_noise_and_touch_nothing_that_step_uses(name, fast):
    left, right = (make_agent(name, fast=fast) for _ in range(2))
    left.step(), right.step()
    inputs = np.random.default_rng(0).standard_normal((300, 3), dtype=np.float32)
    expected = np.tanh(left.actor_head(inputs)[:, :1])
    np.testing.assert_allclose(left.predict(inputs), 2.0 * expected, atol=1e-6)  # torques reach to 2
    left.evaluate(episodes=1, seeds=left.seeds)
    assert left.step() == right.step()
    assert_same(left.state_dict(), right.state_dict())
    assert left.seeds.state_dict() == right.seeds.state_dict()


@EVERY_AGENT
def test_it_acts_at_random_at_first_and_then_near_its_policy(name):
    task = Peak(length=5)
    agent = make_agent(name, task, num_envs=1, iteration_steps=300, learning_starts=200)
    agent.step()
    taken = np.array(agent.envs.actions)[:, 0, 0]
    assert taken[:200].min() < 0.2  # of [0, 4]: 200 numbers all above 0.2 have the chance 0.95^200 = 4e-5
    assert taken[:200].max() > 3.8
    later = agent.predict(np.ones((1, 1), np.float32)).item()
    assert len(np.unique(taken[200:])) > 50  # with noise
    if name != "sac":
        assert abs(taken[280:] - later).mean() < 1.0  # 2 is the half width: a deviation of 0.2, or of 0.37 for the drift


def test_random_actions_are_held_and_a_resumed_run_holds_them_on():
    agent = make_agent("sac", Peak(length=99), num_envs=1, iteration_steps=12, learning_starts=50, hold_steps=5)
    agent.step()
    first = np.array(agent.envs.actions)[:, 0, 0]
    assert len(np.unique(first)) == 3
    assert (first[:5] == first[0]).all()
    assert (first[5:10] == first[5]).all()
    other = make_agent("sac", Peak(length=99), num_envs=1, iteration_steps=12, learning_starts=50, hold_steps=5)
    other.load_state_dict(agent.state_dict())
    other.progress = agent.progress
    other.step()
    assert np.array(other.envs.actions)[:3, 0, 0].tolist() == [first[-1]] * 3


@EVERY_AGENT
@BOTH_PATHS
def test_a_step_is_finite_and_changes_every_parameter(name, fast):
    agent = make_agent(name, fast=fast)
    before = {name: value.copy() for name, value in agent.parameters().items()}
    metrics = agent.step() | agent.step()
    assert agent.progress == 32
    assert {"critic_loss", "policy_loss", "value"} <= metrics.keys()
    assert all(np.isfinite(number) for number in metrics.values())
    for parameter, value in agent.parameters().items():
        assert (value != before[parameter]).any(), parameter


@EVERY_AGENT
def test_updates_come_in_rounds(name):
    agent = make_agent(name, num_envs=1, iteration_steps=12, learning_starts=3, rollout_steps=4, num_updates=3)
    count = 0
    update = agent.update

    def counted(batch):
        nonlocal count
        count += 1
        return update(batch)

    agent.update = counted
    agent.step()
    assert count == 9  # after 4, 8 and 12 steps


def test_actions_of_any_box_are_scaled_to_its_bounds():
    actions = BoundedActions(spaces.Box(np.array([[0.0, -1.0]], np.float32), np.array([[10.0, 3.0]], np.float32)))
    assert actions.num_dimensions == 2
    scaled = actions.to_env(np.array([[-1.0, 1.0], [0.5, 0.0]], np.float32))
    assert scaled.tolist() == [[[0.0, 3.0]], [[7.5, 1.0]]]


def test_scaled_actions_never_leave_the_box_by_rounding():
    space = spaces.Box(np.float32(-0.1), np.float32(0.7), (1,), np.float32)
    ends = BoundedActions(space).to_env(np.array([[-1.0], [1.0]], np.float32))
    assert all(space.contains(end.astype(np.float32)) for end in ends)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            spaces.Discrete(2),
            r"the task takes actions of Discrete\(2\); this agent gives a Box of floats; ppo and dqn give",
        ),
        (spaces.Box(0, 5, (1,), np.int64), r"this agent gives a Box of floats"),
        (
            spaces.Box(-np.inf, np.inf, (1,)),
            r"with a dimension that has no bound; this agent's actions are scaled to bounds: give them",
        ),
    ],
)
def test_actions_that_cannot_be_scaled_are_refused_in_words(space, message):
    with pytest.raises(ValueError, match=message):
        BoundedActions(space)


@pytest.mark.parametrize(("low", "high"), [(5.0, np.inf), (-np.inf, 5.0)])
def test_a_dimension_with_one_bound_starts_there_and_reaches_far(low, high):
    actions, sign = BoundedActions(spaces.Box(low, high, (1,), np.float32)), 1 if np.isfinite(low) else -1
    found = actions.to_env(np.array([[-sign], [0.0], [sign * (1 - 2 * math.exp(-2))], [sign]], np.float32)).ravel()
    np.testing.assert_allclose(found, 5 + sign * np.array([0.0, math.log(2), 2.0, 25 * math.log(2)]), rtol=1e-5)
    assert actions.uniform(np.random.default_rng(0), 3).shape == (3, 1)


def test_actions_without_axes_are_numbers():
    actions = BoundedActions(spaces.Box(0.0, 1.0, (), np.float32))
    assert actions.num_dimensions == 1
    assert actions.to_env(np.array([[-1.0], [0.5]], np.float32)).tolist() == [0.0, 0.75]


class Unbounded(gymnasium.Env):
    """Pays the negative distance of an action from 2."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), -abs(action.item() - 2.0), False, True, {}


@EVERY_AGENT
def test_the_advice_for_actions_without_bounds_works(name, monkeypatch):
    monkeypatch.setitem(gymnasium.registry, "Unbounded-v0", gymnasium.envs.registration.EnvSpec("Unbounded-v0", Unbounded))
    with pytest.raises(ValueError, match=r"with a dimension that has no bound; .* --set task.action_bounds=\[-1,1\] .*, or take ppo"):
        make_agent(name, GymTask(GymConfig(id="Unbounded-v0")))
    agent = make_agent(name, GymTask(GymConfig(id="Unbounded-v0", action_bounds=(-4.0, 4.0))))
    agent.step()
    assert np.abs(agent.predict(np.zeros((3, 1), np.float32))).max() <= 4.0


@EVERY_AGENT
def test_the_best_action_above_one_bound_is_found(name):
    task = Peak()
    task.output_space = spaces.Box(2.0, np.inf, (1,), np.float32)  # the peak is at 3
    settings = {"num_envs": 1, "batch_size": 32, "buffer_size": 2_000, "learning_starts": 200, "num_updates": 2, "target_rate": 0.05}
    rates = {"learning_rate": 3e-3} if name == "sac" else {"actor_learning_rate": 1e-3, "critic_learning_rate": 3e-3}
    agent = make_agent(name, task, hidden=(32, 32), **settings, **rates)
    while agent.progress < 1_200:
        agent.step()
    assert agent.predict(np.ones((1, 1), np.float32)).item() == pytest.approx(3.0, abs=0.4)


@EVERY_AGENT
def test_a_warm_up_may_be_a_fraction_and_one_beyond_the_budget_is_warned_of(name):
    agent = make_agent(name, budget=160, learning_starts=0.1)
    assert (agent.warm_up, agent.warnings) == (16, [])
    late = make_agent(name, budget=160, learning_starts=1_000)
    assert "the budget of 160 ends before the first update, after 1,000 (learning_starts)" in late.warnings[0]


@EVERY_AGENT
def test_parameters_that_explode_are_seen_in_the_metrics(name):
    rates = {"learning_rate": 1e30} if name == "sac" else {"actor_learning_rate": 1e30, "critic_learning_rate": 1e30}
    agent = make_agent(name, **rates)
    metrics = [agent.step() for _ in range(4)]
    assert any(not np.isfinite(number) for step in metrics for number in step.values())


@EVERY_AGENT
def test_sizes_that_no_memory_holds_are_refused(name):
    with pytest.raises(ValueError, match=r"buffer_size: .* rows of the replay buffer, of \d+ bytes each, take .* of memory are available"):
        make_agent(name, buffer_size=10**13)
    with pytest.raises(ValueError, match=r"batch_size is 1000000000000; it must be in \[1, 1e\+07\]"):
        make_agent(name, batch_size=10**12)


@pytest.mark.parametrize("space", [spaces.Discrete(3), spaces.Box(0, 255, (8, 8, 1), np.uint8), spaces.Box(0, 9, (2,), np.int64)])
def test_observations_that_are_no_vectors_are_refused_in_words(space):
    with pytest.raises(ValueError, match=r"this agent's critic reads vectors of floats, .* flatten them with"):
        pair_space(space, 1)


@pytest.mark.parametrize(
    ("config_class", "setting", "message"),
    [
        (TD3Config, {"policy_delay": 0}, r"policy_delay is 0; it must be >= 1"),
        (DDPGConfig, {"target_rate": 0.0}, r"target_rate is 0.0; it must be in \(0, 1\]"),
        (DDPGConfig, {"noise_std": -0.1}, r"noise_std is -0.1; it must be >= 0"),
        (DDPGConfig, {"critic_learning_rate": 0.0}, r"critic_learning_rate is 0.0; it must be > 0"),
        (SACConfig, {"temperature": 0.0}, r"temperature is 0.0; it must be > 0"),
        (SACConfig, {"discount": 1.5}, r"discount is 1.5; it must be in \[0, 1\]"),
        (SACConfig, {"num_envs": 8, "buffer_size": 4}, r"buffer_size is 4; it must be >= 9 with 8 environments"),
        (SACConfig, {"rollout_steps": 0}, r"rollout_steps is 0; it must be >= 1"),
    ],
)
def test_a_setting_out_of_range_is_refused_in_words(config_class, setting, message):
    with pytest.raises(ValueError, match=message):
        config_class(**setting)
