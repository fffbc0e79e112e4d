"""REINFORCE: which episodes count, what an action answers for, and what is subtracted."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.on_policy.policy_gradient import policy_gradient
from rl_algos.on_policy.reinforce import Reinforce, ReinforceConfig, returns_to_go, whole_returns
from rl_algos.on_policy.rollout import Rollout
from rl_core.envs import Envs, Transition
from rl_core.gym_task import GymConfig, GymTask
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


class Ladders(ControlTask):
    """Environment n ends its k-th episode after n + k + 1 steps; the observation is (episode, step), the reward 1."""

    Config = dict
    input_space = spaces.Box(0, 100, (2,), np.float32)
    output_space = spaces.Discrete(2)

    def __init__(self):
        super().__init__({})

    def envs(self, num_envs, seeds):
        return LadderEnvs(num_envs, self.input_space, self.output_space)

    def evaluate(self, predict, *, episodes, seeds):
        return {}


class LadderEnvs(Envs):
    def __init__(self, *args):
        super().__init__(*args)
        self.episode, self.elapsed = np.zeros(self.num_envs, int), np.zeros(self.num_envs, int)

    def reset(self):
        self.episode += self.elapsed > 0
        self.elapsed[:] = 0
        return self._obs()

    def step(self, actions):
        self.elapsed += 1
        final_obs, over = self._obs(), self.elapsed > np.arange(self.num_envs) + self.episode
        self.episode += over
        self.elapsed[over] = 0
        reward = np.ones(self.num_envs, np.float32)
        self._count(reward, over)
        return Transition(self._obs(), reward, over, np.zeros_like(over), final_obs)

    def state_dict(self):
        return self._counters()

    def load_state_dict(self, state):
        return self._obs()

    def _obs(self):
        return np.stack([self.episode, self.elapsed], axis=1).astype(np.float32)


def make_agent(task=None, fast=True, **settings):
    config = ReinforceConfig(**({"num_envs": 3} | settings))
    return Reinforce(config, task or Ladders(), MLP(MLPConfig(hidden=(4,), fast=fast)), seeds=Seeds(0), budget=1_000, device="cpu")


def column(*numbers):
    return np.array(numbers, dtype=np.float32)[:, None]


def test_every_environment_s_share_counts_from_its_first_step_to_its_last():
    agent = make_agent(episodes_per_env=2)
    rollout, counts = agent.collector.collect_episodes(agent.actor_critic, 2, 100)
    assert counts.sum(axis=0).tolist() == [1 + 2, 2 + 3, 3 + 4]
    assert len(counts) == 7  # as long as the slowest
    assert rollout.over[-1].all()  # what is given up does not go on in the next rollout's running return
    for n in range(3):
        assert rollout.obs[counts[:, n], n, 0].tolist() == [0.0] * (n + 1) + [1.0] * (n + 2)  # whole episodes, in order
        assert rollout.over[counts[:, n], n].sum() == 2


def test_the_next_update_starts_with_new_episodes():
    agent = make_agent()
    agent.collector.collect_episodes(agent.actor_critic, 1, 100)
    assert agent.collector.obs[:, 1].tolist() == [0.0, 0.0, 0.0]  # nobody is in the middle of one
    agent.collector.episode_metrics()
    rollout, counts = agent.collector.collect_episodes(agent.actor_critic, 1, 100)
    assert (rollout.obs[0, :, 1] == 0).all()
    for env, return_, length in agent.collector.envs.pop_episodes():
        assert return_ == length  # an episode that was given up is not added to the next
        assert length <= counts[:, env].sum() + 10


@pytest.mark.parametrize("baseline", ["none", "learned"])
def test_where_steps_led_is_kept_for_a_learned_baseline_alone(one_state, baseline):
    agent = make_agent(one_state(3, False), baseline=baseline)
    returns, sizes = agent.returns, []
    agent.returns = lambda rollout: sizes.append(rollout.final_obs.size) or returns(rollout)
    agent.step()
    assert (sizes[0] > 0) is (baseline == "learned")


def test_an_episode_without_an_end_is_cut_and_not_waited_for(one_state):
    agent = make_agent(one_state(10**9, True), max_episode_steps=7)
    rollout, counts = agent.collector.collect_episodes(agent.actor_critic, 1, 7)
    assert counts.all()
    assert rollout.truncated[:, 0].tolist() == [False] * 6 + [True]
    assert not rollout.terminated.any()


@pytest.mark.parametrize(
    ("over", "to_go", "whole"),
    [
        ([False, False, True], [3.25, 4.5, 1.0], [3.25, 3.25, 3.25]),  # 1 + 0.5 (4 + 0.5 * 1), 4 + 0.5 * 1, 1
        ([False, True, True], [3.0, 4.0, 1.0], [3.0, 3.0, 1.0]),  # nothing of the second episode comes back into the first
        ([True, True, True], [1.0, 4.0, 1.0], [1.0, 4.0, 1.0]),
    ],
)
def test_an_action_answers_for_its_own_episode_only(over, to_go, whole):
    ends = np.array(over)[:, None]
    result = returns_to_go(column(1, 4, 1), 0.5, ends, np.zeros((3, 1), np.float32))
    assert result.ravel().tolist() == to_go
    assert whole_returns(result, ends).ravel().tolist() == whole


def test_the_learned_baseline_says_what_a_time_limit_cut_off_and_nothing_of_an_end():
    agent = make_agent(num_envs=1, baseline="learned", discount=0.5)
    final_obs = np.random.default_rng(0).standard_normal((2, 1, 2), dtype=np.float32)
    beyond = agent.actor_critic.value(final_obs[1])[0]
    no, last = np.zeros((2, 1), bool), np.array([[False], [True]])
    for terminated, truncated, tail in ((last, no, 0.0), (no, last, beyond), (last, last, 0.0)):
        rollout = Rollout(final_obs, np.zeros((2, 1), np.int64), column(1, 2), terminated, truncated, final_obs)
        np.testing.assert_allclose(agent.returns(rollout).ravel(), [2 + 0.25 * tail, 2 + 0.5 * tail], rtol=1e-6)


@pytest.mark.parametrize(("baseline", "expected"), [("none", [1.0, 2.0, 6.0]), ("mean", [-2.0, -1.0, 3.0])])
def test_a_baseline_is_subtracted_from_returns(baseline, expected):
    agent = make_agent(baseline=baseline)
    assert agent.advantage(np.zeros((3, 2), np.float32), column(1, 2, 6)[:, 0]).tolist() == expected


def test_the_learned_baseline_is_the_value_of_the_state():
    agent = make_agent(baseline="learned")
    inputs = np.random.default_rng(0).standard_normal((3, 2), dtype=np.float32)
    np.testing.assert_allclose(agent.advantage(inputs, column(1, 2, 6)[:, 0]), column(1, 2, 6)[:, 0] - agent.actor_critic.value(inputs))


def test_without_a_learned_baseline_there_is_no_critic():
    assert not any(name.startswith("critic") for name in make_agent().parameters())
    assert any(name.startswith("critic") for name in make_agent(baseline="learned").parameters())


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("returns", ["whole", "to-go"])
def test_the_gradient_is_the_mean_of_return_times_score(returns, fast):
    # A policy of two logits without inputs that matter: d ln pi(a) / d logit_j = 1[j = a] - pi_j, here (+-1/2).
    agent = make_agent(returns=returns, fast=fast, policy_gain=0.0)
    inputs, action = np.zeros((4, 2), np.float32), np.array([0, 1, 1, 0])
    return_ = np.array([3.0, 2.0, 1.0, 5.0], np.float32)
    before = agent.actor_critic.head(inputs[:1]).copy()
    policy_gradient(agent.actor_critic, inputs, action, agent.advantage(inputs, return_), 0.0)
    bias = agent.actor_critic.policy_flat.gradient[-2:]
    assert (before == 0).all()
    np.testing.assert_allclose(bias, [-(3 - 2 - 1 + 5) / 8, (3 - 2 - 1 + 5) / 8], rtol=1e-6)


def test_restarted_gym_environments_do_not_play_the_given_up_episode_again():
    envs = GymTask(GymConfig(id="CartPole-v1")).envs(2, Seeds(0))
    first = envs.reset()
    envs.step(np.array([0, 1]))
    second = envs.restart()
    assert (second != first).any(axis=1).all()
    np.testing.assert_array_equal(envs.restart(), second)  # nothing was under way
    other = GymTask(GymConfig(id="CartPole-v1")).envs(2, Seeds(0))
    np.testing.assert_array_equal(other.load_state_dict(envs.state_dict()), second)
