"""Tree search: it finds what can be found by looking ahead, and does not look into the future."""

from __future__ import annotations

import threading

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rl_algos.exploration.deep_sea import DeepSea, DeepSeaConfig
from rl_algos.planning.policy import optimal_policy
from rl_algos.safety.lava import GridLava, GridLavaConfig
from rl_algos.tasks.classic import Garnet, GarnetConfig
from rl_algos.tasks.grids import GridRobot, GridRobotConfig, Maze, MazeConfig
from rl_algos.tasks.mdp.model import MDP
from rl_algos.tasks.mdp.task import MDPTask
from rl_algos.tasks.toy_text import ToyText, ToyTextConfig
from rl_algos.tree_search import mcts
from rl_algos.tree_search.mcts import MCTS, MCTSConfig
from rl_algos.tree_search.select import puct, ucb1
from rl_algos.tree_search.tree import Search, back_up, best_action, better, descend, new_tree, simulate
from rl_core.errors import RequestError
from rl_core.gym_task import GymConfig, GymTask
from rl_core.seeds import Seeds


def make(task, **settings):
    return MCTS(MCTSConfig(**settings), task, None, seeds=Seeds(0), budget=100)


def gamble():
    """Action 0 pays 0.6 for sure; action 1 pays 1 or 0 alike; the end."""
    transition = {0: {0: [(1.0, 0, 0.6, True)], 1: [(0.5, 0, 1.0, True), (0.5, 0, 0.0, True)]}}
    return MDPTask(None, MDP.from_table(transition, discount=1.0, start=np.ones(1)), max_steps=0)


def settings(**changes):
    return Search(**{"num_simulations": 1, "width": 1.4, "max_depth": 10, "discount": 1.0, "best": False, "merge": False, **changes})


def test_a_return_is_walked_up_the_path():
    tree = new_tree(3, 2, 0)
    assert descend(tree, 0, 1, 7, False) == (1, 1, True)
    assert descend(tree, 0, 1, 7, False) == (1, 1, False)
    assert descend(tree, 0, 1, 8, False) == (2, 2, True)
    back_up(tree, np.array([[0, 1, 1], [1, 0, 0]]), np.array([1.0, 2.0]), 2, 4.0, settings(discount=0.5))
    assert tree.values[1, 0] == 2.0 + 0.5 * 4.0
    assert tree.values[0, 1] == 1.0 + 0.5 * 4.0
    assert tree.bounds.tolist() == [3.0, 4.0]


def test_a_node_is_worth_its_best_action_or_the_mean_of_its_simulations():
    for best, value in ((True, 8.0), (False, (2.0 + 3 * 8.0) / 4)):
        tree = new_tree(4, 2, 0)
        for action, reward in ((0, 2.0), (1, 8.0), (1, 8.0), (1, 8.0)):
            back_up(tree, np.array([[0, action, 0]]), np.array([reward]), 1, 0.0, settings(best=best))
        assert tree.value[0] == value


def test_chance_is_averaged_over_where_an_action_led():
    """Action 0 leads three times to node 1, worth 4, and once to the end: r + gamma 3 / 4 * 4."""
    tree, search = new_tree(4, 1, 0), settings(best=True, discount=0.5)
    node, edge, _ = descend(tree, 0, 0, 7, True)
    tree.value[node] = tree.estimate[node] = 4.0
    for taken in (edge, edge, edge, 0):
        back_up(tree, np.array([[0, 0, taken]]), np.array([1.0]), 1, 0.0, search)
    assert tree.values[0, 0] == 1.0 + 0.5 * 0.75 * 4.0


def test_known_probabilities_weigh_the_outcomes_met_so_far():
    """Reward 1; node 1, worth 4, with 0.3, node 2, worth 8, with 0.2, else the end: 1 + 0.5 (4) at first, then 1 + 0.3 (4) + 0.2 (8)."""
    tree, search = new_tree(4, 1, 0), settings(best=True, exact=True)
    tree.rewards[0, 0], tree.going[0, 0] = 1.0, 0.5
    for key, share, worth, value in ((7, 0.3, 4.0, 3.0), (8, 0.2, 8.0, 3.8)):
        node, edge, _ = descend(tree, 0, 0, key, True)
        tree.value[node] = tree.estimate[node] = worth
        tree.arrivals[edge] = share
        back_up(tree, np.array([[0, 0, edge]]), np.array([99.0]), 1, 0.0, search)
        assert tree.values[0, 0] == pytest.approx(value)


def test_a_table_says_the_chances_of_a_state():
    """State 0: 0.5 to 1 for 2, 0.25 to 1 for 4, 0.25 to the end for 0; from 1 the end."""
    outcomes = [(0.5, 1, 2.0, False), (0.25, 1, 4.0, False), (0.25, 0, 0.0, True)]
    table = MDP.from_table({0: {0: outcomes}, 1: {0: [(1.0, 1, 0.0, True)]}}, discount=1.0, start=np.array([1.0, 0.0])).table
    world = mcts.World(table, np.zeros(2, np.int64), np.zeros(2), np.zeros(2), np.zeros(2, np.int64), False, True, 5, 1.0)
    tree, rng = new_tree(4, 1, 0), np.random.default_rng(0)
    found = set()
    while len(found) < 2:
        world.state[1] = 0
        _, state, over, probability = mcts.advance.py_func(world, tree, 0, 0, rng)
        found.add(over)
        assert over or (state, probability) == (1, pytest.approx(0.75))
    assert (tree.rewards[0, 0], tree.going[0, 0]) == pytest.approx((2.0, 0.75))


def test_the_treasure_of_the_deep_sea_is_found():
    """Random play finds it once in a thousand dives, and every move towards it costs."""
    agent = make(DeepSea(DeepSeaConfig()), num_simulations=2_000, leaf="value", exploration=0.5)
    assert agent.evaluate(episodes=1, seeds=Seeds(0))["mean return"] == pytest.approx(0.99)


def test_states_that_are_reached_in_two_ways_share_a_node_when_merged():
    for merge, node in ((True, 1), (False, 2)):
        tree = new_tree(3, 2, 0)
        descend(tree, 0, 0, 7, merge)
        assert descend(tree, 0, 1, 7, merge) == (node, 2, True)


def test_of_equally_good_actions_the_shorter_way_is_taken():
    tree = new_tree(3, 2, 0)
    for action, length in ((0, 5.0), (1, 3.0)):
        node, edge, _ = descend(tree, 0, action, 7 + action, False)
        tree.value[node], tree.length[node] = 1.0, length
        back_up(tree, np.array([[0, action, edge]]), np.array([0.0]), 1, 1.0, settings(best=True))
    assert tree.values[0].tolist() == [1.0, 1.0]
    assert best_action(tree) == 1
    assert tree.length[0] == 4.0


def test_without_a_gain_the_shorter_way_is_not_better():
    """With nothing found yet, the shortest way to the end is to fall into the nearest hole."""
    assert better(1.0, 3.0, 1.0, 5.0)
    assert better(-1.0, 5.0, -1.0, 3.0)
    assert not better(0.0, 3.0, 0.0, 5.0)
    assert not better(0.0, 5.0, 0.0, 3.0)


def test_every_action_is_tried_before_one_is_tried_twice():
    for rule in (ucb1, puct):
        tree = new_tree(10, 3, 0)
        for index in range(3):
            action = rule(tree, 0, 1.4, 0.5)
            assert tree.visits[0, action] == 0
            back_up(tree, np.array([[0, action, 0]]), np.array([float(rule is ucb1) * index]), 1, 0.0, settings())


def test_puct_prefers_what_its_prior_prefers_and_then_what_pays():
    """Values 0 and 1 after one visit each: 0 + c P sqrt(2) / 2 against 1 + c (1 - P) sqrt(2) / 2."""
    for width, action in ((1.0, 1), (3.0, 0)):
        tree = new_tree(3, 2, 0)
        tree.priors[0] = 0.9, 0.1
        for pulled, reward in ((0, 0.0), (1, 1.0)):
            back_up(tree, np.array([[0, pulled, 0]]), np.array([reward]), 1, 0.0, settings())
        assert puct(tree, 0, width, 0.0) == action


def test_visits_of_the_root_add_up_to_the_simulations():
    agent = make(Garnet(GarnetConfig()), num_simulations=321, rollout_depth=20, merge=False)
    tree = agent.search(agent.envs, agent.obs, agent.rng)
    assert tree.visits[0].sum() == 321
    assert tree.counts[0] <= 322


def test_the_search_does_not_see_which_way_chance_will_fall():
    """A search that knew the coin would take it whenever it pays 1, half of the time; one that does not never takes it."""
    agent = make(gamble(), num_simulations=2_000, exploration=1.0)
    for _ in range(30):
        tree = agent.search(agent.envs, agent.obs, agent.rng)
        assert best_action(tree) == 0
        assert tree.values[0, 1] == pytest.approx(0.5)
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
        assert "episode_return" not in agent.step()


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
        ({"num_simulations": 0}, "num_simulations is 0; it must be in"),
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
    for _ in range(6):
        seen.append(agent.obs[0].copy())
        position = agent.envs.state_dict()["actions"]
        agent.step()
        decided.append(int(agent.envs.state_dict()["actions"][0][len(position[0])]))
    assert agent.predict(np.array(seen)).tolist() == decided
    other = make(GymTask(GymConfig("CartPole-v1")), num_simulations=15, rollout_depth=5)
    other.load_state_dict(agent.state_dict())
    assert other.predict(np.array(seen)).tolist() == decided


FIRM = ToyTextConfig(options={"is_slippery": False}, discount=1.0)


OF_GYMNASIUM = GymTask(GymConfig("FrozenLake-v1", options={"is_slippery": False}))  # simulated in Python


@pytest.mark.parametrize(
    ("task", "leaf", "num_simulations"),
    [
        (ToyText(FIRM), "rollout", 600),
        (ToyText(FIRM), "value", 600),
        (OF_GYMNASIUM, "value", 200),
        pytest.param(OF_GYMNASIUM, "rollout", 600, marks=pytest.mark.learning),
    ],
)
def test_an_undiscounted_search_walks_straight_to_the_goal(task, leaf, num_simulations):
    """Every way to the goal is worth 1; it took none, or walked to and fro, when only the value counted."""
    agent = make(task, num_simulations=num_simulations, leaf=leaf)
    lengths = []
    while len(lengths) < 3:
        metrics = agent.step()
        lengths += [metrics["episode_length"]] if "episode_length" in metrics else []
        assert agent.progress < 40
    assert lengths[-1] == 6


@pytest.mark.parametrize("seed", range(3))
def test_a_search_acts_as_well_as_value_iteration_on_slippery_ground(seed):
    task = GridRobot(GridRobotConfig())
    agent = MCTS(MCTSConfig(num_simulations=1_000, leaf="value", exploration=0.5), task, None, seeds=Seeds(seed), budget=300)
    for _ in range(300):
        agent.step()
    best = task.mdp.under(optimal_policy(task.mdp)).values()
    found = task.mdp.under(agent.predict(np.arange(task.mdp.num_states))).values()
    assert float(task.mdp.start @ (best - found)) < 0.1 * abs(float(task.mdp.start @ best)) + 0.1


def test_a_table_is_searched_whose_environments_are_wrapped():
    """The environments of `grid-lava` report costs beside rewards."""
    agent = make(GridLava(GridLavaConfig()), num_simulations=50)
    assert all(agent.step()["nodes"] > 1 for _ in range(3))


def test_the_python_loop_is_the_compiled_one():
    """On a known process both simulate alike when Python's copies draw from the search's own stream."""
    task = Garnet(GarnetConfig(num_states=7, num_actions=3, branches=2, discount=0.9))
    agent = make(task, num_simulations=200, rollout_depth=15)
    compiled = agent.search_from(2, np.random.default_rng(3))
    tree, rng = new_tree(200, 3, 2), np.random.default_rng(3)
    place = np.array([2, 2])
    world = mcts.World(task.mdp.table, place, agent.values, agent.lengths, agent.searched, False, True, 15, 0.9)
    tree.bounds[:] = task.mdp.table.reward.min(), task.mdp.table.reward.max()
    simulate.py_func(ucb1, mcts.restart, mcts.advance, mcts.evaluate, world, tree, agent._settings(200), rng)
    for name in ("visits", "values", "lengths", "value", "target", "arrivals"):
        np.testing.assert_array_equal(getattr(tree, name), getattr(compiled, name), err_msg=name)


def test_an_environment_that_cannot_be_copied_is_refused_with_what_a_tree_search_needs():
    class Locked(gymnasium.Env):
        observation_space, action_space = gymnasium.spaces.Discrete(2), gymnasium.spaces.Discrete(2)

        def __init__(self):
            self.lock = threading.Lock()

        def reset(self, *, seed=None, options=None):
            return 0, {}

        def step(self, action):
            return 1, 1.0, True, False, {}

    gymnasium.register("locked-v0", Locked)
    try:
        agent = make(GymTask(GymConfig("locked-v0")), num_simulations=2)
        with pytest.raises(RequestError, match=r"simulates in copies .* cannot be copied .*lock") as caught:
            agent.step()
        assert "__deepcopy__" in caught.value.hint
    finally:
        del gymnasium.registry["locked-v0"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("values", np.zeros(3), "values is saved as"),
        ("searched", np.full(16, -1), "searched is saved with"),
        ("decided", np.array([4]), "is saved"),
        ("met", np.zeros((1, 2), dtype=np.int64), "met is saved as"),
    ],
)
def test_an_altered_state_is_refused(name, value, message):
    agent = make(ToyText(ToyTextConfig()), num_simulations=10, leaf="value")
    state = agent.state_dict() | {name: value}
    with pytest.raises(ValueError, match=message):
        agent.load_state_dict(state)


def test_a_tree_that_does_not_fit_into_memory_is_refused():
    with pytest.raises(ValueError, match="num_simulations is 1000000000; it must be in"):
        make(ToyText(ToyTextConfig()), num_simulations=10**9)
    task = ToyText(ToyTextConfig())
    task.output_space = spaces.Discrete(10**9)
    with pytest.raises(ValueError, match=r"nodes of 500 simulations take .* of memory are available: lower num_simulations"):
        make(task)
