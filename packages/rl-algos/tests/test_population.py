"""The population: what is played and counted, and that compiled episodes, perceptrons and any network in torch are the same thing."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.search.kernels import respond_each
from rl_algos.search.population import Population
from rl_algos.tasks.acrobot import Acrobot
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tasks.mountain_car import MountainCarContinuous
from rl_algos.tasks.pendulum import Pendulum
from rl_core.envs import Envs, Transition
from rl_core.errors import WorkError
from rl_core.gym_task import GymConfig, GymTask
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


class Sequential(Network):
    """The same parameters as `MLP`, in a module that is no plain perceptron to `Layout.of`."""

    Config = MLPConfig

    def build(self, input_space, output_space, rng):
        return nn.Sequential(nn.Flatten(), *MLP(self.config).build(input_space, output_space, rng).layers)


class Stepped(ControlTask):
    """An array task without its `problem`: it can only be played in environments."""

    Config = dict

    def __init__(self, task):
        super().__init__({})
        self.task, self.input_space, self.output_space = task, task.input_space, task.output_space

    def envs(self, num_envs, seeds):
        return self.task.envs(num_envs, seeds)


class Strange(Stepped):
    """A stranger's array task: it has a `problem` and a `time_limit`, and inherits from nothing of this package."""

    problem = CartPole.problem
    time_limit = 30


def test_a_stranger_s_array_task_plays_compiled_episodes():
    strange, ours = make(Strange(CartPole(ArrayTaskConfig()))), make(CartPole(ArrayTaskConfig(time_limit=30)))
    assert strange.path == "fast: compiled episodes"
    scores, expected = (population.play(candidates(population, 4), num_episodes=2) for population in (strange, ours))
    np.testing.assert_array_equal(scores.returns, expected.returns)


def test_plain_functions_are_not_compiled_into_episodes():
    class Plain(Strange):
        problem = CartPole.problem._replace(observe=lambda state: state.astype(np.float32))

    assert make(Plain(CartPole(ArrayTaskConfig()))).path == "fast: compiled layers, in the task's own environments"


class Counting(ControlTask):
    """Each step pays the action; an episode has as many steps as ten times the first action."""

    Config = dict
    input_space = spaces.Box(-1, 1, (1,), np.float32)
    output_space = spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self):
        super().__init__({})

    def envs(self, num_envs, seeds):
        return CountingEnvs(num_envs, self.input_space, self.output_space)


class CountingEnvs(Envs):
    def reset(self):
        self.elapsed = np.zeros(self.num_envs)
        return np.ones((self.num_envs, 1), np.float32)

    def step(self, actions):
        self.elapsed += 1
        over = self.elapsed >= 10 * actions[:, 0]
        self.elapsed[over] = 0
        self._count(actions[:, 0], over)
        obs = np.ones((self.num_envs, 1), np.float32)
        return Transition(obs, actions[:, 0], over, np.zeros_like(over), obs)

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        return self.reset()


def make(task, *, seed=0, network=MLP, hidden=(8,), num_envs=100, normalise_obs=False, activation="tanh", num_blocks=1):
    network = network(MLPConfig(hidden=hidden, activation=activation))
    settings = {"num_envs": num_envs, "normalise_obs": normalise_obs, "device": "cpu", "num_blocks": num_blocks}
    return Population(task, network, seeds=Seeds(seed), **settings)


def candidates(population, count, seed=0):
    return population.first + np.random.default_rng(seed).normal(size=(count, len(population.first)))


@pytest.mark.parametrize("normalise_obs", [False, True])
@pytest.mark.parametrize("task", [CartPole, Acrobot, Pendulum, MountainCarContinuous])
def test_compiled_episodes_are_those_of_the_environments(task, normalise_obs):
    task = task(ArrayTaskConfig(time_limit=150))
    fast, plain = (make(one, normalise_obs=normalise_obs, num_envs=12) for one in (task, Stepped(task)))
    assert [population.path for population in (fast, plain)] == [
        "fast: compiled episodes",
        "fast: compiled layers, in the task's own environments",
    ]
    for population in (fast, plain):
        population.moments.take_in(10, np.full(population.moments.mean.shape, 0.1), np.full(population.moments.mean.shape, 4.0))
    scores, expected = (population.play(candidates(population, 4), num_episodes=3) for population in (fast, plain))
    np.testing.assert_allclose(scores.returns, expected.returns, rtol=1e-4)
    np.testing.assert_array_equal(scores.lengths, expected.lengths)
    assert fast.moments.count == plain.moments.count == 10 + normalise_obs * scores.steps
    np.testing.assert_allclose(fast.moments.mean, plain.moments.mean, atol=1e-4)
    np.testing.assert_allclose(fast.moments.variance, plain.moments.variance, rtol=1e-3)


@pytest.mark.parametrize("normalise_obs", [False, True])
def test_any_network_in_torch_plays_as_the_perceptron_does(normalise_obs):
    task = CartPole(ArrayTaskConfig(time_limit=40))
    ours, torch_s = (make(Stepped(task), network=network, normalise_obs=normalise_obs, num_envs=6) for network in (MLP, Sequential))
    assert torch_s.path == "torch: Sequential has no fast path"
    np.testing.assert_array_equal(ours.first, torch_s.first)
    scores, expected = (population.play(candidates(population, 6), num_episodes=1) for population in (ours, torch_s))
    np.testing.assert_array_equal(scores.returns, expected.returns)
    obs = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    np.testing.assert_array_equal(ours.predict(ours.first, obs), torch_s.predict(torch_s.first, obs))


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("hidden", [(), (7,), (5, 9)])
def test_each_row_is_answered_by_its_own_candidate(hidden, activation):
    module = MLP(MLPConfig(hidden=hidden, activation=activation)).build(
        spaces.Box(-1, 1, (4,)), spaces.Box(-1, 1, (3,)), np.random.default_rng(0)
    )
    rng = np.random.default_rng(1)
    parameters = rng.normal(size=(3, sum(p.numel() for p in module.parameters()))).astype(np.float32)
    owner, inputs = np.array([2, 0, 1, 2, 2]), rng.normal(size=(5, 4)).astype(np.float32)
    outputs = respond_each(np.array([4, *hidden, 3]), activation == "relu", parameters, owner, inputs)
    for row, candidate in enumerate(owner):
        nn.utils.vector_to_parameters(torch.from_numpy(parameters[candidate]), module.parameters())
        expected = module(torch.from_numpy(inputs[row : row + 1])).detach().numpy()[0]
        np.testing.assert_allclose(outputs[row], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_envs", [1, 3, 8, 30])
def test_every_candidate_plays_its_episodes_however_many_environments_there_are(num_envs):
    population = make(Counting(), hidden=(), num_envs=num_envs)
    actions = np.array([0.9, 0.15, 0.5, 0.25, 0.3])
    drawn = np.stack([np.zeros(5), actions], axis=1)  # no weight, and a bias
    population.play(drawn, num_episodes=1)
    scores = population.play(drawn, num_episodes=4)
    lengths = np.array([9, 2, 5, 3, 3])
    np.testing.assert_array_equal(scores.lengths, np.repeat(lengths[:, None], 4, axis=1))
    np.testing.assert_allclose(scores.returns, np.repeat((lengths * actions)[:, None], 4, axis=1), rtol=1e-6)
    assert scores.steps == 4 * lengths.sum()
    assert scores.metrics() == {
        "episode_return": pytest.approx((lengths * actions).mean()),
        "best_return": pytest.approx(8.1),
        "episode_length": pytest.approx(lengths.mean()),
    }


@pytest.mark.parametrize("kind", [CartPole, lambda config: Stepped(CartPole(config))], ids=["compiled", "stepped"])
def test_statistics_move_with_a_generation_and_at_no_other_time(kind):
    population = make(kind(ArrayTaskConfig()), normalise_obs=True)
    scores = population.play(candidates(population, 4), num_episodes=2)
    assert population.moments.count == scores.steps
    before = population.state_dict()["moments"]
    population.predict(population.first, np.ones((50, 4), np.float32))
    after = population.state_dict()["moments"]
    assert after["count"] == before["count"]
    np.testing.assert_array_equal(after["mean"], before["mean"])


def test_one_generation_sees_the_statistics_of_those_before_it_alone():
    # With the same starts, the candidates of a generation are judged alike whether or not others are judged with them.
    alone, crowded = (make(GymTask(GymConfig(id="Pendulum-v1")), normalise_obs=True, num_envs=1, hidden=()) for _ in range(2))
    few = candidates(alone, 1)
    many = np.concatenate([few, candidates(alone, 2, seed=9)])
    assert alone.play(few, 1).returns[0, 0] == crowded.play(many, 1).returns[0, 0]


def test_a_resumed_population_of_any_environment_plays_on_exactly():
    task = GymTask(GymConfig(id="CartPole-v1"))
    population = make(task, num_envs=3, normalise_obs=True)
    drawn = candidates(population, 5)
    population.play(drawn, 1)
    state = population.state_dict()
    expected = [population.play(drawn, 1) for _ in range(2)]
    other = make(task, num_envs=3, normalise_obs=True)
    other.load_state_dict(state)
    for scores in expected:
        np.testing.assert_array_equal(other.play(drawn, 1).returns, scores.returns)


def test_any_number_of_processes_plays_the_same_blocks_and_a_lost_one_is_named():
    task = GymTask(GymConfig(id="CartPole-v1"))
    alone, shared = (make(task, num_envs=4, num_blocks=3, normalise_obs=True) for _ in range(2))
    drawn = candidates(alone, 5)
    for population in (alone, shared):
        population.play(drawn, 2)
    shared.use_processes(2)  # in the middle: the blocks move with their state
    for _ in range(2):
        np.testing.assert_array_equal(alone.play(drawn, 2).returns, shared.play(drawn, 2).returns)
    assert alone.moments.mean.tobytes() == shared.moments.mean.tobytes()
    np.testing.assert_equal(alone.state_dict(), shared.state_dict())
    for process in multiprocessing.active_children():
        process.kill()
        process.join()
    with pytest.raises(WorkError, match="a process that plays episodes has ended"):
        shared.play(drawn, 1)


def test_processes_are_refused_where_there_is_nothing_to_share():
    with pytest.raises(ValueError, match="the episodes of this task are compiled"):
        make(CartPole(ArrayTaskConfig()), num_blocks=2).use_processes(2)
    with pytest.raises(ValueError, match="num_blocks is 1; add --set num_blocks=4"):
        make(Counting()).use_processes(2)
    with pytest.raises(ValueError, match="num_blocks is 3, and there are 2 environments to share"):
        make(Counting(), num_envs=2, num_blocks=3)


def test_observations_without_a_mean_are_not_normalised():
    with pytest.raises(ValueError, match=r"normalise_obs is true, and observations are Discrete\(16\)"):
        make(GymTask(GymConfig(id="FrozenLake-v1")), normalise_obs=True)
