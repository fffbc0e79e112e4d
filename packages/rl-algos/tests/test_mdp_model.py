"""Processes, chains and reward processes: what is refused, and what follows from what is accepted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from rl_algos.tasks.classic import Garnet, GarnetConfig, RandomWalk, RandomWalkConfig, StudentConfig, StudentProcess, garnet
from rl_algos.tasks.mdp.chain import MarkovChain, MarkovRewardProcess
from rl_algos.tasks.mdp.model import MDP
from rl_algos.tasks.mdp.task import MDPTask
from rl_core.seeds import Seeds


def two_states(**changes):
    arrays = {
        "offset": np.array([0, 2, 3]),
        "probability": np.array([0.25, 0.75, 1.0]),
        "next_state": np.array([0, 1, 1]),
        "reward": np.array([1.0, 2.0, 0.0]),
        "terminated": np.array([False, True, True]),
        "discount": 0.9,
        "start": np.array([1.0, 0.0]),
        "num_actions": 1,
    }
    return MDP(**{**arrays, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"probability": np.array([0.25, 0.65, 1.0])},
            "state 0, action 0: the probabilities of its outcomes sum to 0.9; they must sum to 1",
        ),
        ({"probability": np.array([-0.25, 1.25, 1.0])}, r"state 0, action 0: an outcome's probability is -0.25; it must be in \[0, 1\]"),
        ({"reward": np.array([1.0, 2.0, np.inf])}, "state 1, action 0: an outcome's reward is inf; it must be finite"),
        ({"next_state": np.array([0, 2, 1])}, r"state 0, action 0: an outcome's next_state is 2; it must be in \[0, 2\)"),
        ({"offset": np.array([0, 0, 3])}, "state 0, action 0: it has 0 outcomes; at least one is needed"),
        ({"offset": np.array([0, 2])}, "offset must run from 0 to the 3 outcomes in 3 entries"),
        ({"reward": np.array([1.0])}, r"reward has shape \[1\]; it must be \[3\]"),
        ({"discount": 1.5}, r"discount is 1.5; it must be in \[0, 1\]"),
        ({"start": np.array([0.5, 0.0])}, "the start distribution sums to 0.5"),
    ],
)
def test_a_wrong_process_is_refused_with_its_state_and_action(changes, message):
    with pytest.raises(ValueError, match=message):
        two_states(**changes)


def test_the_expected_reward_and_the_chance_to_go_on_are_those_of_the_outcomes():
    mdp = two_states()
    assert mdp.expected_reward.tolist() == [[1.75], [0.0]]
    assert mdp.continuation.toarray().tolist() == [[0.25, 0.0], [0.0, 0.0]]
    assert mdp.is_terminal.tolist() == [False, True]


@pytest.mark.parametrize("reward_shape", ["S", "SA", "SAS", "sparse"])
def test_dense_and_sparse_matrices_give_the_same_process(reward_shape):
    rng = np.random.default_rng(0)
    transition = rng.random((4, 3, 4)) * (rng.random((4, 3, 4)) < 0.6) + 0.1 * np.eye(4)[:, None, :]
    transition /= transition.sum(axis=2, keepdims=True)
    full = rng.random((4, 3, 4))
    reward = {
        "S": full[:, 0, 0],
        "SA": full[:, :, 0],
        "SAS": full,
        "sparse": [sparse.csr_array(full[:, action, :]) for action in range(3)],
    }[reward_shape]
    dense = MDP.from_arrays(transition, full if reward_shape == "sparse" else reward, discount=0.9, terminal=[3])
    thin = MDP.from_matrices([sparse.csr_array(transition[:, action, :]) for action in range(3)], reward, discount=0.9, terminal=[3])
    for name in ("offset", "probability", "next_state", "reward", "terminated"):
        np.testing.assert_array_equal(getattr(dense, name), getattr(thin, name))
    spread = {
        "S": lambda: np.broadcast_to(full[:, :1, :1], full.shape),
        "SA": lambda: np.broadcast_to(full[:, :, :1], full.shape),
    }.get(reward_shape, lambda: full)()
    np.testing.assert_allclose(dense.expected_reward[:3], (transition * spread).sum(axis=2)[:3])
    assert dense.expected_reward[3].tolist() == [0.0, 0.0, 0.0]


def test_a_list_of_matrices_and_an_array_are_told_apart_where_states_are_as_many_as_actions():
    """Two states and two actions: [P0, P1] has one matrix for each action, np.array([P0, P1]) one for each state."""
    first, second = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    by_action = MDP.from_matrices([first, second], np.array([1.0, 0.0]), discount=0.9)
    assert by_action.continuation.toarray()[:2].tolist() == [[0.9, 0.1], [0.0, 1.0]]  # state 0 under both actions
    assert MDP.from_arrays(np.stack([first, second], axis=1), np.array([1.0, 0.0]), discount=0.9).continuation.toarray().tolist() == (
        by_action.continuation.toarray().tolist()
    )
    with pytest.raises(ValueError, match=r"transition is a list; from_arrays takes one array .* call MDP.from_matrices"):
        MDP.from_arrays([first, second], np.zeros(2), discount=0.9)
    with pytest.raises(ValueError, match=r"reward is a list; from_arrays takes one array"):
        MDP.from_arrays(np.stack([first, second], axis=1), [first, second], discount=0.9)
    with pytest.raises(ValueError, match=r"transition is one array; from_matrices takes a list"):
        MDP.from_matrices(np.array([first, second]), np.zeros(2), discount=0.9)


def test_probabilities_in_single_precision_are_taken_and_sum_to_one_again():
    rng, dtype = np.random.default_rng(0), np.float32
    transition = rng.random((30, 3, 30)).astype(dtype)
    transition /= transition.sum(axis=2, keepdims=True)
    start = np.full(30, 1 / 30, dtype=dtype)
    mdp = MDP.from_arrays(transition, np.zeros(30), discount=0.9, start=start)
    np.testing.assert_allclose(np.add.reduceat(mdp.probability, mdp.offset[:-1]), 1.0, atol=1e-14)
    assert mdp.start.sum() == pytest.approx(1.0, abs=1e-14)
    policy = rng.random((30, 3)).astype(dtype)
    mdp.under(policy / policy.sum(axis=1, keepdims=True)).values()
    assert MarkovChain(transition[:, 0, :]).stationary_distribution().sum() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="must sum to 1"):
        MDP.from_arrays(transition * dtype(1.1), np.zeros(30), discount=0.9)
    with pytest.raises(ValueError, match="must sum to 1"):
        MDP.from_arrays(transition.astype(np.float64) * (1 + 1e-6), np.zeros(30), discount=0.9)


@pytest.mark.parametrize("table", [{0: {0: []}, 2: {0: []}}, {0: {0: [(1.0, 0, 0.0)]}}, {0: {0: [], 1: []}, 1: {0: []}}, [[5]], {}])
def test_a_table_with_something_missing_is_refused_in_words(table):
    with pytest.raises(ValueError, match=r"the table is not complete|at least one"):
        MDP.from_table(table, discount=0.9, start=np.ones(1))


def test_matrices_of_the_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"transition has shape \[2, 2\]; it must be \[S, A, S'\]"):
        MDP.from_arrays(np.eye(2), np.zeros(2), discount=0.9)
    with pytest.raises(ValueError, match=r"reward has shape \[3\]; it must be \[2\], \[2, 1\] or \[2, 1, 2\]"):
        MDP.from_arrays(np.eye(2)[:, None, :], np.zeros(3), discount=0.9)
    with pytest.raises(ValueError, match="terminal state 5 is not one of the 2 states"):
        MDP.from_arrays(np.eye(2)[:, None, :], np.zeros(2), discount=0.9, terminal=[5])


def test_a_policy_of_the_wrong_shape_or_sum_is_refused_with_its_state():
    mdp = garnet(GarnetConfig(num_states=3, num_actions=2, branches=2))
    with pytest.raises(ValueError, match=r"the policy has shape \[2\]; it must be \[3\] \(actions\) or \[3, 2\]"):
        mdp.under(np.zeros(2))
    with pytest.raises(ValueError, match="state 1: the policy takes action 7 of 2"):
        mdp.under(np.array([0, 7, 0]))
    with pytest.raises(ValueError, match=r"state 2: the policy's probabilities are \[0.5, 0.6\]"):
        mdp.under(np.array([[0.5, 0.5], [1.0, 0.0], [0.5, 0.6]]))


def test_an_mdp_with_a_fixed_policy_is_the_reward_process_of_its_averages():
    mdp = garnet(GarnetConfig(num_states=6, num_actions=3, branches=4, ending=0.2))
    weights = np.random.default_rng(1).dirichlet(np.ones(3), size=6)
    process = mdp.under(weights)
    dense = mdp.continuation.toarray().reshape(6, 3, 6)
    np.testing.assert_allclose(process.transition.toarray(), np.einsum("sa,sat->st", weights, dense))
    np.testing.assert_allclose(process.reward, (weights * mdp.expected_reward).sum(axis=1))
    np.testing.assert_allclose(process.chain().transition.sum(axis=1), 1.0)


def test_looking_a_policy_up_leaves_it_as_it_was():
    mdp = garnet(GarnetConfig(num_states=5, num_actions=2, branches=2))
    weights = np.array([[1.0, 0.0]] * 5)
    mdp.under(weights)
    assert weights.tolist() == [[1.0, 0.0]] * 5


def test_the_values_of_the_random_walk_are_sixths():
    walk = RandomWalk(RandomWalkConfig()).mdp.under(np.zeros(5, dtype=int))
    np.testing.assert_allclose(walk.values(), np.arange(1, 6) / 6.0, atol=1e-12)


def test_the_student_s_values_are_those_of_the_lecture():
    process = StudentProcess(StudentConfig(discount=1.0)).mdp.under(np.zeros(7, dtype=int))
    np.testing.assert_allclose(process.values(), [-12.5, 1.5, 4.3, 10.0, 0.8, -22.5, 0.0], atol=0.05)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3]), st.sampled_from([0.0, 0.5, 0.95]))
def test_values_in_closed_form_and_by_iteration_agree(process_seed, ending, discount):
    mdp = garnet(GarnetConfig(num_states=8, num_actions=2, branches=3, ending=ending, discount=discount, process_seed=process_seed))
    process = mdp.under(np.zeros(8, dtype=int))
    values, _ = process.values_by_iteration(1e-13)
    np.testing.assert_allclose(process.values(), values, atol=1e-10)


def test_sampled_paths_have_the_mean_return_that_the_values_say():
    process = garnet(GarnetConfig(num_states=4, branches=2, ending=0.4, discount=1.0)).under(np.zeros(4, dtype=int))
    _, rewards = process.sample_paths(np.random.default_rng(0), np.zeros(40_000, dtype=int), 60)
    returns = rewards.sum(axis=1)
    # six standard errors: a false alarm in 5e8 runs
    assert abs(returns.mean() - process.values()[0]) < 6.0 * returns.std() / np.sqrt(len(returns))


def test_an_endless_reward_without_discount_is_refused_with_its_state():
    with pytest.raises(ValueError, match=r"state 1 is never left for good and its reward is 2.0"):
        MarkovRewardProcess(np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([0.0, 2.0]), discount=1.0).values()


def test_a_state_that_stays_for_nothing_is_worth_nothing_without_discount():
    process = MarkovRewardProcess(np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([3.0, 0.0]), discount=1.0)
    assert process.values().tolist() == [3.0, 0.0]
    assert np.isinf(process.expected_steps()).all()


def test_the_stationary_distribution_is_left_where_it_is_by_the_chain():
    rng = np.random.default_rng(3)
    transition = rng.dirichlet(np.ones(6), size=6)
    distribution = MarkovChain(transition).stationary_distribution()
    np.testing.assert_allclose(distribution @ transition, distribution, atol=1e-12)
    assert distribution.sum() == pytest.approx(1.0)


def test_a_chain_with_two_ends_has_no_single_stationary_distribution():
    with pytest.raises(ValueError, match="the chain has 2 recurrent classes"):
        MarkovChain(np.eye(2)).stationary_distribution()


def test_the_gambler_s_ruin_is_absorbed_as_the_formula_says():
    transition = np.zeros((5, 5))
    transition[0, 0] = transition[4, 4] = 1.0
    for capital in (1, 2, 3):
        transition[capital, capital + 1], transition[capital, capital - 1] = 0.5, 0.5
    chances, steps = MarkovChain(transition).absorption()
    np.testing.assert_allclose(chances[:, 1], [0.0, 0.25, 0.5, 0.75, 1.0], atol=1e-12)
    np.testing.assert_allclose(steps, [0.0, 3.0, 4.0, 3.0, 0.0], atol=1e-12)  # i (n - i)


@pytest.mark.parametrize(
    ("transition", "message"),
    [
        (np.array([[0.5, 0.4], [0.0, 1.0]]), "state 0: its row of probabilities sums to 0.9; it must sum to 1"),
        (np.array([[1.5, -0.5], [0.0, 1.0]]), r"state 0: a probability is -0.5; it must be in \[0, 1\]"),
        (np.ones((1, 2)), "it must be square"),
    ],
)
def test_a_wrong_chain_is_refused_with_its_state(transition, message):
    with pytest.raises(ValueError, match=message):
        MarkovChain(transition)


def test_a_reward_process_refuses_rows_above_one_and_rewards_of_another_shape():
    with pytest.raises(ValueError, match=r"state 0: its row of probabilities sums to 1.1; it must sum to at most 1"):
        MarkovRewardProcess(np.array([[1.1]]), np.zeros(1), discount=0.9)
    with pytest.raises(ValueError, match=r"reward has shape \[2\]; it must be \[1\]"):
        MarkovRewardProcess(np.array([[1.0]]), np.zeros(2), discount=0.9)


def test_a_process_behind_gymnasium_s_interface_has_the_frequencies_of_its_table():
    task = Garnet(GarnetConfig(num_states=3, num_actions=1, branches=3))
    env = task.env()
    env.reset(seed=0)
    counts = np.zeros(3)
    for _ in range(6_000):
        env.reset(options={"state": 0})
        counts[env.step(0)[0]] += 1
    expected = task.mdp.probability[:3]
    order = task.mdp.next_state[:3]
    # a chi-squared of 2 degrees of freedom is above 28 once in a million runs
    assert ((counts[order] - 6_000 * expected) ** 2 / (6_000 * expected)).sum() < 28.0


def test_environments_of_a_process_are_taken_up_where_they_were():
    task = Garnet(GarnetConfig(num_states=10, ending=0.1, max_steps=7))
    envs, actions = task.envs(3, Seeds(4)), np.random.default_rng(0).integers(4, size=(40, 3))
    envs.reset()
    for action in actions[:20]:
        envs.step(action)
    saved = envs.state_dict()
    ahead = [envs.step(action) for action in actions[20:]]
    other = task.envs(3, Seeds(4))
    other.load_state_dict(saved)
    for action, expected in zip(actions[20:], ahead, strict=True):
        for ours, theirs in zip(other.step(action), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_an_action_that_does_not_exist_is_refused():
    task = Garnet(GarnetConfig())
    envs = task.envs(1, Seeds(0))
    envs.reset()
    with pytest.raises(ValueError, match=r"actions are \[9\]; each must be in \[0, 4\)"):
        envs.step(np.array([9]))


def test_a_time_limit_cuts_and_does_not_end():
    class Walk(MDPTask):
        pass

    envs = Walk(None, two_states(probability=np.array([1.0, 0.0, 1.0])), max_steps=3).envs(1, Seeds(0))
    envs.reset()
    for _ in range(2):
        assert not envs.step(np.array([0])).truncated[0]
    last = envs.step(np.array([0]))
    assert last.truncated[0]
    assert not last.terminated[0]
    assert last.final_obs[0] == 0


def test_a_process_is_drawn_as_text_and_as_a_picture():
    env = Garnet(GarnetConfig(num_states=4, branches=2)).env("ansi")
    env.reset(options={"state": 2})
    assert env.render() == "..@."
    picture = Garnet(GarnetConfig(num_states=4, branches=2)).env("rgb_array")
    picture.reset(seed=0)
    assert picture.render().shape == (24, 96, 3)
    with pytest.raises(ValueError, match="render_mode is 'human'"):
        Garnet(GarnetConfig()).env("human")
