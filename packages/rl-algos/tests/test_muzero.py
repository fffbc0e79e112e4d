"""MuZero: the targets of stretches, the model, and that the search works in a model that is right."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.games.task import GameConfig, TicTacToe
from rl_algos.self_play.histories import GOES_ON, TERMINATED, TRUNCATED, Histories, Stretches, seen_in_symmetry
from rl_algos.self_play.latent_model import Bins
from rl_algos.self_play.latent_search import is_plain
from rl_algos.self_play.muzero import LearnedGame, MuZero, MuZeroConfig
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tree_search.forest import Leaves, grown, visit_shares
from rl_algos.tree_search.tree import Search
from rl_core.seeds import Seeds


def make(task, seed=0, **settings):
    network = MLP(MLPConfig(hidden=(32,), activation="relu"))
    return MuZero(MuZeroConfig(**settings), task, network, seeds=Seeds(seed), budget=10_000)


def histories(rewards, ends, values, beyond=0.0):
    """One environment of two actions with these steps."""
    kept = Histories(1, 16, np.zeros((1, 1), np.float32), 2)
    for index, (reward, end, value) in enumerate(zip(rewards, ends, values, strict=True)):
        kept.add(
            obs=np.array([[index]]), action=np.array([index % 2]), reward=np.array([reward]), end=np.array([end]), value=np.array([value]),
            beyond=np.array([beyond if end == TRUNCATED else 0.0]), shares=np.array([[0.25, 0.75]]),
        )  # fmt: skip
    return kept


def stretch_from(kept, first, **settings):
    """The stretch that begins at one step."""
    while True:
        drawn = kept.sample(np.random.default_rng(first), 64, settings.pop("num_unrolled", 2), 3, 0.5)
        rows = np.flatnonzero(drawn.obs[:, 0] == first)
        return type(drawn)(*(part[rows[0]] for part in drawn))


def test_a_target_is_three_rewards_and_the_value_of_the_search_after_them():
    kept = histories([1, 2, 3, 4, 5, 6, 7], [GOES_ON] * 7, [10, 20, 30, 40, 50, 60, 70])
    drawn = stretch_from(kept, 0)
    assert drawn.value.tolist() == [1 + 1 + 0.75 + 5, 2 + 1.5 + 1 + 6.25, 3 + 2 + 1.25 + 7.5]
    assert drawn.reward.tolist() == [1, 2]
    assert drawn.action.tolist() == [0, 1]
    assert drawn.has_policy.tolist() == [1, 1, 1]


def test_renewed_values_take_the_place_of_those_of_the_searches():
    kept = histories([1, 2, 3, 4, 5, 6, 7], [GOES_ON] * 7, [10, 20, 30, 40, 50, 60, 70])
    kept.renew(lambda obs: 80.0 * obs[:, 0])
    assert stretch_from(kept, 0).value.tolist() == [1 + 1 + 0.75 + 240 / 8, 2 + 1.5 + 1 + 320 / 8, 3 + 2 + 1.25 + 400 / 8]


def test_behind_an_end_everything_is_worth_nothing():
    kept = histories([1, 2, 3, 4, 5, 6, 7], [GOES_ON, TERMINATED, *[GOES_ON] * 5], [9] * 7)
    drawn = stretch_from(kept, 1)
    assert drawn.value.tolist() == [2, 0, 0]
    assert drawn.reward.tolist() == [2, 0]
    assert drawn.has_value.tolist() == [1, 1, 1]
    assert drawn.has_policy.tolist() == [1, 0, 0]


def test_behind_a_time_limit_nothing_is_known_but_what_the_network_says_of_the_last_observation():
    kept = histories([1, 2, 3, 4, 5, 6, 7], [GOES_ON, TRUNCATED, *[GOES_ON] * 5], [9] * 7, beyond=100.0)
    drawn = stretch_from(kept, 0)
    assert drawn.value.tolist() == [1 + 1 + 25, 2 + 50, 0]
    assert drawn.has_value.tolist() == [1, 1, 0]


def test_a_move_in_a_symmetry_leads_to_the_next_board_in_that_symmetry():
    rules, rng, count = TicTacToe.rules, np.random.default_rng(0), 64
    boards = rng.integers(-1, 2, size=(count, 9)).astype(np.int8)
    boards[:, 4] = 0
    action = np.array([rng.choice(np.flatnonzero(board == 0)) for board in boards])
    after = boards.copy()
    rules.move(after, action)
    shares = np.eye(9, dtype=np.float32)[action][:, None]
    unchanged = (np.zeros((count, 1)),) * 2
    drawn = Stretches(rules.planes(boards), action[:, None], unchanged[0], unchanged[1], shares, *unchanged)
    turned = seen_in_symmetry(rules, drawn, np.random.default_rng(1))
    symmetry = np.random.default_rng(1).integers(len(rules.cells), size=count)
    assert set(symmetry) == set(range(8))
    played = rules.boards(turned.obs)
    rules.move(played, turned.action[:, 0])
    np.testing.assert_array_equal(played, np.take_along_axis(after, rules.cells[symmetry], axis=1))
    np.testing.assert_array_equal(turned.shares.argmax(axis=2), turned.action)


def test_numbers_survive_their_bins():
    bins = Bins(20)
    numbers = torch.tensor([-300.0, -1.5, 0.0, 0.3, 7.0, 415.0])
    logits = bins.distribution(numbers).clamp(min=1e-12).log().numpy().astype(np.float64)
    assert np.allclose(bins.number(logits), numbers, rtol=1e-4, atol=1e-4)


class TrueCartPole(LearnedGame):
    """The dynamics of CartPole in place of the learned model: a fall costs 20, and states far from rest are worth less."""

    def __init__(self, task, state, num_nodes):
        self.dynamics, self.trees = task.dynamics(), np.arange(len(state))
        self.states = np.zeros((len(state), num_nodes, state.shape[1]))
        self.states[:, 0] = state

    def expand(self, node, action, place):
        after, _, fell = self.dynamics.step(self.states[self.trees, node], action)
        self.states[self.trees, place] = after
        value = -((after / np.array([2.4, 2.0, 0.2, 2.0])) ** 2).sum(axis=1)
        return Leaves(np.where(fell, -20.0, 0.0), fell, value, np.full((len(node), 2), 0.5))


def test_the_same_search_balances_the_pole_when_the_model_is_right():
    task = CartPole(ArrayTaskConfig())

    def act(obs):
        model = TrueCartPole(task, task.dynamics().state_of(obs), 31)
        even = np.full((len(obs), 2), 0.5)
        forest = grown(model, np.zeros(len(obs)), even, Search(30, 1.25, 30, 0.997, False, False), np.random.default_rng(0))
        return visit_shares(forest).argmax(axis=1)

    assert task.evaluate(act, episodes=4, seeds=Seeds(0))["mean return"] >= 450


def test_only_allowed_moves_are_played():
    agent = make(TicTacToe(GameConfig()), num_envs=8, num_simulations=8, max_squeezed=2)
    for _ in range(12):
        before = agent.allowed(agent.obs)
        agent.act(1.0)
        taken = agent.histories.arrays["action"][:, agent.histories.num_added - 1]
        assert before[np.arange(8), taken].all()


@pytest.mark.learning
def test_cartpole_is_learned():
    agent = make(CartPole(ArrayTaskConfig()))
    agent.budget = 30_000
    while agent.progress < agent.budget:
        agent.step()
    assert agent.evaluate(episodes=20, seeds=Seeds(1))["mean return"] >= 195


def test_the_compiled_search_grows_the_trees_of_the_plain_one():
    agent = make(CartPole(ArrayTaskConfig()), seed=3, hidden=(32, 16))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in agent.module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) / 5)
    obs = np.random.default_rng(0).standard_normal((8, 4), dtype=np.float32)
    assert is_plain(agent.module)
    fast = agent.search(obs, agent.allowed(obs), np.random.default_rng(1), noise=True)
    agent.module.dynamics.fast = False
    assert not is_plain(agent.module)
    plain = agent.search(obs, agent.allowed(obs), np.random.default_rng(1), noise=True)
    np.testing.assert_array_equal(fast.visits, plain.visits)
    np.testing.assert_allclose(fast.value, plain.value, rtol=1e-4, atol=1e-4)
    assert len(np.unique(fast.visits[:, 0, 0])) > 1
