"""One update of each learner, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rl_algos.parts.exploration import Exploration
from rl_algos.tabular import dyna, mc_off_policy, monte_carlo, n_step, td_control, traces
from rl_algos.tabular.dyna import Dyna, DynaConfig
from rl_algos.tabular.episodes import Episode
from rl_algos.tabular.learner import Sample, StepSize
from rl_algos.tabular.prediction import mc_prediction
from rl_algos.tabular.td_control import DOUBLE_Q_LEARNING, EXPECTED_SARSA, Q_LEARNING, SARSA, TARGETS
from rl_algos.tasks.grids import Maze, MazeConfig
from rl_core.seeds import Seeds


def sample(state, action, reward, next_state=0, *, terminated=False, over=False):
    return Sample(state, action, reward, next_state, terminated, terminated or over)


def after_update(target, *, terminated=False, bonus=0.0, seed=0):
    q = np.array([[[0.0, 0.0], [2.0, 4.0]], [[0.0, 0.0], [3.0, 1.0]]])
    visits = np.zeros((2, 2), dtype=np.int64)
    explorer = Exploration(exploration_rate=0.5).explorer()
    memory = td_control.Memory(target, explorer, StepSize(0.5, 0.0), 0.9, bonus, q[0], q[1], visits, np.empty((2, 2)))
    return q, td_control.learn(memory, sample(0, 1, 1.0, 1, terminated=terminated), 0, np.random.default_rng(seed))


def test_q_learning_moves_towards_the_best_next_value():
    q, action = after_update(Q_LEARNING)
    assert q[0, 0, 1] == pytest.approx(0.5 * (1.0 + 0.9 * 4.0))
    assert action == -1


def test_sarsa_moves_towards_the_value_of_the_action_it_takes_next():
    q, action = after_update(SARSA)
    assert q[0, 0, 1] == pytest.approx(0.5 * (1.0 + 0.9 * q[0, 1, action]))


def test_expected_sarsa_moves_towards_the_mean_of_its_rule():
    q, _ = after_update(EXPECTED_SARSA)
    assert q[0, 0, 1] == pytest.approx(0.5 * (1.0 + 0.9 * (0.25 * 2.0 + 0.75 * 4.0)))


def test_double_q_learning_values_one_table_s_choice_by_the_other():
    found = {tuple(after_update(DOUBLE_Q_LEARNING, seed=seed)[0][:, 0, 1].round(6)) for seed in range(20)}
    # the first table prefers action 1, which the second values at 1; the second prefers 0, which the first values at 2
    assert found == {(0.5 * (1.0 + 0.9 * 1.0), 0.0), (0.0, 0.5 * (1.0 + 0.9 * 2.0))}


@pytest.mark.parametrize("target", range(len(TARGETS)))
def test_nothing_follows_the_end_of_an_episode(target):
    q, action = after_update(target, terminated=True)
    assert q[:, 0, 1].sum() == pytest.approx(0.5)
    assert action == -1


def test_the_count_bonus_is_added_to_the_reward():
    assert after_update(Q_LEARNING, bonus=2.0)[0][0, 0, 1] == pytest.approx(0.5 * (1.0 + 2.0 + 0.9 * 4.0))


def test_two_step_sarsa_adds_two_rewards_and_the_estimate():
    q, visits = np.zeros((4, 1)), np.zeros((4, 1), dtype=np.int64)
    window = np.zeros((2, 2), dtype=np.int64), np.zeros(2), np.zeros(1, dtype=np.int64)
    memory = n_step.Memory(Exploration().explorer(), StepSize(1.0, 0.0), 0.5, q, visits, *window, np.empty(1))
    n_step.update(memory, sample(0, 0, 1.0), 9.0)
    assert q.sum() == 0.0
    n_step.update(memory, sample(1, 0, 2.0), 8.0)
    assert q[:, 0].tolist() == [1.0 + 0.5 * 2.0 + 0.25 * 8.0, 0.0, 0.0, 0.0]
    n_step.update(memory, sample(2, 0, 4.0, terminated=True), 0.0)
    assert q[:, 0].tolist() == [4.0, 2.0 + 0.5 * 4.0, 4.0, 0.0]


def test_traces_fall_by_gamma_lambda_and_add_up_or_are_renewed():
    for replacing, expected in ((True, 1.0), (False, 1.5)):
        values, visits = np.zeros(3), np.ones(3, dtype=np.int64)
        marked = traces.Traces(0.5, replacing, np.zeros(3), np.zeros(3, dtype=np.int64), np.zeros(1, dtype=np.int64))
        traces.mark(marked, 0)
        traces.spread(marked, values, visits, StepSize(0.1, 0.0), 2.0, False)
        assert values.tolist() == pytest.approx([0.2, 0.0, 0.0])
        traces.mark(marked, 0)
        assert marked.trace[0] == expected
        traces.spread(marked, values, visits, StepSize(0.1, 0.0), 1.0, True)
        assert values[0] == pytest.approx(0.2 + 0.1 * expected)
        assert marked.trace.tolist() == [0.0, 0.0, 0.0]
        assert marked.num_active[0] == 0


def played(pairs, rewards, chances=(1.0, 1.0, 1.0)):
    length = np.array([len(pairs)])
    return Episode(np.array(pairs), np.array(rewards), np.array(chances), length)


def episode_update(method, *, first_visit, rewards=(1.0, 2.0, 4.0), q=None):
    q = np.zeros((2, 2)) if q is None else q
    visits, seen, clock = np.zeros((2, 2), dtype=np.int64), np.zeros((2, 2), dtype=np.int64), np.zeros(1, dtype=np.int64)
    episode, explorer = played([[0, 0], [1, 1], [0, 0]], rewards), Exploration().explorer()
    memory = monte_carlo.Memory(method, explorer, first_visit, 0.0, 0.5, q, visits, seen, clock, np.zeros(1), episode, np.empty(2))
    monte_carlo.update_from_episode(memory, 0.0)
    return q


def test_first_visits_and_every_visit_average_the_returns_they_should():
    # returns are 4, 2 + 2 = 4 and 1 + 2 = 3, from the last step to the first
    assert episode_update(monte_carlo.ON_POLICY, first_visit=True).tolist() == [[3.0, 0.0], [0.0, 4.0]]
    assert episode_update(monte_carlo.ON_POLICY, first_visit=False).tolist() == [[3.5, 0.0], [0.0, 4.0]]


def test_q_learning_by_episodes_stops_following_a_return_at_an_action_that_was_not_greedy():
    q = episode_update(monte_carlo.Q_LEARNING, first_visit=False, q=np.array([[0.0, 0.0], [10.0, 0.0]]))
    # the second action was not greedy: earlier steps bootstrap from max_a Q(1, a) = 10, and the two returns of (0, 0) are 4 and 6
    assert q.tolist() == [[5.0, 0.0], [10.0, 4.0]]


def test_importance_weights_are_products_of_ratios():
    policy, behaviour = np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[0.5, 0.5], [0.25, 0.75]])
    for weighting, expected in ((mc_prediction.ORDINARY, [4.0 * 3.0, 2.0 * 2.0]), (mc_prediction.WEIGHTED, [3.0, 2.0])):
        values, weights, seen, clock = np.zeros(2), np.zeros(2), np.zeros(2, dtype=np.int64), np.zeros(1, dtype=np.int64)
        episode = played([[0, 0], [1, 0]], [1.0, 2.0])
        memory = mc_prediction.Memory(weighting, True, 0.0, 1.0, values, weights, seen, clock, policy, behaviour, episode)
        mc_prediction.update_from_episode(memory, 0.0)
        assert values.tolist() == expected
    assert weights.tolist() == [4.0, 2.0]


def off_policy(q, episode):
    weights, visits = np.zeros(q.shape), np.zeros(q.shape, dtype=np.int64)
    memory = mc_off_policy.Memory(Exploration().explorer(), True, 1.0, q, visits, weights, episode, np.empty(q.shape[1]))
    mc_off_policy.update_from_episode(memory, 0.0)
    return weights


def test_off_policy_control_walks_back_for_as_long_as_actions_were_greedy():
    q = np.array([[0.0, 0.0], [0.0, 9.0], [0.0, 0.0]])
    weights = off_policy(q, played([[0, 0], [1, 0], [2, 0]], [1.0, 2.0, 4.0], [0.5, 0.5, 0.25]))
    assert q.tolist() == [[0.0, 0.0], [6.0, 9.0], [4.0, 0.0]]  # 6 is less than 9: the walk ends before the first step
    assert weights.tolist() == [[0.0, 0.0], [4.0, 0.0], [1.0, 0.0]]


def test_of_equally_good_actions_the_target_policy_takes_the_first_alone():
    for action, walked in ((0, [5.0, 4.0]), (1, [0.0, 4.0])):
        q = np.array([[0.0, 0.0], [4.0, 4.0]])
        off_policy(q, played([[0, 0], [1, action]], [1.0, 4.0], [0.5, 0.5]))
        assert [q[0, 0], q[1, action]] == walked


def test_the_model_keeps_the_frequencies_of_what_was_seen():
    agent = Dyna(DynaConfig(), Maze(MazeConfig()), None, seeds=Seeds(0), budget=10)
    for next_state, count in ((1, 3), (2, 1)):
        for _ in range(count):
            dyna.remember(agent.model, sample(0, 2, float(next_state), next_state), 4, 5, False)
    assert agent.model.frequency[2, :3].tolist() == [3, 1, 0]
    assert agent.model.next_state[2, :2].tolist() == [1, 2]
    assert agent.model.reward[2, :2].tolist() == [1.0, 2.0]
    assert agent.model.num_pairs[0] == 1


def test_what_was_not_tried_in_a_seen_state_is_planned_with_by_dyna_q_plus():
    settings = DynaConfig(time_bonus=0.1, planning_steps=200, learning_rate=1.0, discount=0.0)
    agent = Dyna(settings, Maze(MazeConfig()), None, seeds=Seeds(0), budget=10)
    dyna.remember(agent.model, sample(7, 2, 1.0, 8), 4, 5, True)
    assert sorted(agent.model.known[:4].tolist()) == [28, 29, 30, 31]
    dyna.plan(agent.memory, 9)
    assert agent.q[0, 7].tolist() == pytest.approx([0.3, 0.3, 1.2, 0.3])  # kappa sqrt(9 - 0), and 1 + kappa sqrt(9 - 5)


@pytest.mark.parametrize(("planning_steps", "at_most"), [(5, 900), (50, 250)])
def test_planning_finds_the_way_through_the_maze_in_few_steps(planning_steps, at_most):
    """Steps of the first three episodes but the first; without planning they are about 800 (the book's figure 8.2)."""
    totals = []
    for seed in range(20):
        task = Maze(MazeConfig(wall_reward=0.0, max_steps=0))
        agent = Dyna(DynaConfig(planning_steps=planning_steps, steps_per_iteration=1), task, None, seeds=Seeds(seed), budget=100_000)
        lengths = []
        while len(lengths) < 3:
            agent.learn(1)
            agent.progress += 1
            lengths += [length for _, _, length in agent.envs.pop_episodes()]
        totals.append(sum(lengths[1:]))
    assert np.mean(totals) < at_most
