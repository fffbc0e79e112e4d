"""Tree search: it finds what can be found by looking ahead, and does not look into the future."""

from __future__ import annotations

import numpy as np
import pytest

from rl_algos.planning.policy import optimal_policy
from rl_algos.tasks.classic import Garnet, GarnetConfig
from rl_algos.tasks.grids import Maze, MazeConfig
from rl_algos.tasks.mdp.model import MDP
from rl_algos.tasks.mdp.task import MDPTask
from rl_algos.tasks.toy_text import ToyText, ToyTextConfig
from rl_algos.tree_search.mcts import MCTS, MCTSConfig, back_up, best_action, descend, new_tree, select
from rl_core.gym_task import GymConfig, GymTask
from rl_core.seeds import Seeds


def make(task, **settings):
    return MCTS(MCTSConfig(**settings), task, None, seeds=Seeds(0), budget=100)


def gamble():
    """Action 0 pays 0.6 for sure; action 1 pays 1 or 0 alike; the end."""
    transition = {0: {0: [(1.0, 0, 0.6, True)], 1: [(0.5, 0, 1.0, True), (0.5, 0, 0.0, True)]}}
    return MDPTask(None, MDP.from_table(transition, discount=1.0, start=np.ones(1)), max_steps=0)


def test_a_return_is_walked_up_the_path():
    tree = new_tree(3, 2, 0)
    node, new = descend(tree, 0, 1, 7)
    assert (node, new) == (1, True)
    assert descend(tree, 0, 1, 7) == (1, False)
    assert descend(tree, 0, 1, 8) == (2, True)
    back_up(tree, np.array([[0, 1], [1, 0]]), np.array([1.0, 2.0]), 2, 4.0, 0.5)
    assert tree.values[1, 0] == 2.0 + 0.5 * 4.0
    assert tree.values[0, 1] == 1.0 + 0.5 * 4.0
    assert tree.bounds.tolist() == [3.0, 4.0]


def test_every_action_is_tried_before_one_is_tried_twice():
    tree = new_tree(10, 3, 0)
    for index in range(3):
        action = select(tree, 0, 1.4, 0.5)
        assert tree.visits[0, action] == 0
        back_up(tree, np.array([[0, action]]), np.array([float(index)]), 1, 0.0, 1.0)


def test_visits_of_the_root_add_up_to_the_simulations():
    agent = make(Garnet(GarnetConfig()), num_simulations=321, rollout_depth=20)
    tree = agent.search(agent.envs, agent.obs, agent.rng)
    assert tree.visits[0].sum() == 321
    assert tree.num_nodes[0] <= 322


def test_the_search_does_not_see_which_way_chance_will_fall():
    """A search that knew the coin would take it whenever it pays 1, half of the time; one that does not never takes it."""
    agent = make(gamble(), num_simulations=2_000, exploration=1.0)
    for _ in range(30):
        tree = agent.search(agent.envs, agent.obs, agent.rng)
        assert best_action(tree) == 0
        assert tree.values[0, 1] == pytest.approx(0.5, abs=0.2)
        agent.step()


def test_the_search_finds_the_way_through_a_maze():
    task = Maze(MazeConfig(layout="S.#\n..#\n#.G", discount=0.9, max_steps=20))
    assert make(task, num_simulations=1_000, rollout_depth=30).evaluate(episodes=3, seeds=Seeds(1))["mean length"] == 4.0


def test_with_learned_values_at_the_leaves_decisions_come_near_the_best():
    task = Garnet(GarnetConfig(num_states=8, num_actions=3, branches=2, discount=0.8, max_steps=2))  # episodes start everywhere
    agent = make(task, num_simulations=1_000, leaf="value", exploration=1.0)
    for _ in range(200):
        agent.step()
    truth = task.mdp.under(optimal_policy(task.mdp)).values()
    # means over simulations that also explore: below the truth, and not by far
    assert (agent.values > 0.7 * truth).all()
    assert (agent.values < truth + 0.05).all()
    chosen = task.mdp.under(agent.predict(np.arange(8))).values()
    assert (chosen > 0.95 * truth).all()


def test_an_environment_is_searched_in_copies_and_left_as_it_is():
    task = GymTask(GymConfig("CartPole-v1"))
    agent = make(task, num_simulations=20, rollout_depth=10, discount=1.0)
    before = agent.envs.state_dict()
    tree = agent.search(agent.envs, agent.obs, agent.rng)
    assert tree.visits[0].sum() == 20
    after = agent.envs.state_dict()
    for name in ("episode", "obs", "length"):
        np.testing.assert_array_equal(before[name], after[name])


@pytest.mark.learning
def test_the_search_keeps_the_pole_upright():
    task = GymTask(GymConfig("CartPole-v1"))
    agent = make(task, num_simulations=30, rollout_depth=25, discount=1.0)
    for _ in range(150):
        assert "return" not in agent.step()


def test_a_search_goes_on_where_it_was():
    whole, first, second = (make(ToyText(ToyTextConfig()), num_simulations=50, leaf="value") for _ in range(3))
    for _ in range(5):
        whole.step(), first.step()
    second.load_state_dict(first.state_dict())
    second.seeds.load_state_dict(first.seeds.state_dict())
    second.progress = first.progress
    for _ in range(5):
        assert whole.step() == second.step()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_simulations": 0}, "num_simulations is 0; it must be >= 1"),
        ({"exploration": -1.0}, "exploration is -1.0; it must be >= 0"),
        ({"discount": 2.0}, r"discount is 2.0; it must be in \[0, 1\]"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MCTSConfig(**settings)


def test_what_cannot_be_searched_is_refused_in_words():
    with pytest.raises(ValueError, match="needs discrete ones"):
        make(GymTask(GymConfig("Pendulum-v1")))
    with pytest.raises(ValueError, match="leaf is 'value', which keeps a value for each numbered state"):
        make(GymTask(GymConfig("CartPole-v1")), leaf="value")


def test_where_the_model_is_hidden_an_answer_is_what_was_decided_there():
    agent = make(GymTask(GymConfig("CartPole-v1")), num_simulations=15, rollout_depth=5)
    seen, decided = [], []
    for _ in range(12):
        seen.append(agent.obs[0].copy())
        position = agent.envs.state_dict()["actions"]
        agent.step()
        decided.append(int(agent.envs.state_dict()["actions"][0][len(position[0])]))
    assert agent.predict(np.array(seen)).tolist() == decided
    other = make(GymTask(GymConfig("CartPole-v1")), num_simulations=15, rollout_depth=5)
    other.load_state_dict(agent.state_dict())
    assert other.predict(np.array(seen)).tolist() == decided
